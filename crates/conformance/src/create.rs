//! Making machines: how many, called what, labeled how, and what is refused.

use std::collections::BTreeSet;

use fleetwright_core::{
    Boot, CreateRequest, Effect, Error, Kind, ListRequest, Market, Node, Remedy,
};
use futures::future::join_all;

use crate::run::{Look, ids, len, names};
use crate::verdict::{must, not_applicable};
use crate::{Outcome, Run, ScriptEnd};

/// Three machines at once, or as many as one call may make.
pub(crate) fn some(run: &Run<'_>) -> u32 {
    run.info().batch.min(run.subject().room()).min(3)
}

pub(crate) async fn as_many_machines_as_asked_for(run: &Run<'_>) -> Outcome {
    for count in BTreeSet::from([1, some(run)]) {
        let request = run.request(count);
        let nodes = run.nodes_of(&request).await?;
        must(
            ids(&nodes).len() == len(count),
            "every machine of an answer has its own id",
            || names(&nodes),
        )?;
        only_these(run, &request, &nodes).await?;
        for node in &nodes {
            let right = node.id.provider() == run.info().name
                && node.id.region() == request.spec.region
                && node.instance_type == request.spec.instance_type
                && node.market == request.spec.market;
            must(
                right,
                "a node says the provider, region, type and market that were asked for",
                || format!("{node:?}"),
            )?;
        }
    }
    Ok(())
}

/// The answered nodes are exactly the machines that exist because of the token.
pub(crate) async fn only_these(run: &Run<'_>, request: &CreateRequest, nodes: &[Node]) -> Outcome {
    let real = run.made_by(&request.token).await;
    must(
        ids(&real) == ids(nodes),
        "`Created::nodes` are the machines that exist because of this token, no more and no fewer",
        || {
            format!(
                "answered {}; carrying the token {}",
                names(nodes),
                names(&real)
            )
        },
    )
}

pub(crate) async fn every_label_is_kept(run: &Run<'_>) -> Outcome {
    let mut spec = run.subject().spec();
    spec.labels.insert("team".to_owned(), "ml".to_owned());
    spec.labels
        .insert("note".to_owned(), format!("a{}z", "-".repeat(61)));
    let request = run.request_for(spec, some(run));
    let nodes = run.nodes_of(&request).await?;
    run.settle_lag().await;
    let listed = run
        .ok(
            "a listing of a healthy provider succeeds",
            run.list(&ListRequest::default()).await,
        )?
        .nodes;
    for node in &nodes {
        let looked = run.ok(
            "`get` finds a node that was made",
            run.look_at(&node.id).await,
        )?;
        let in_list = listed.iter().find(|other| other.id == node.id);
        must(
            in_list.is_some(),
            "a complete listing shows every node of ours",
            || format!("`{}` is missing in {}", node.id, names(&listed)),
        )?;
        for seen in [Some(node), in_list, Some(&looked)].into_iter().flatten() {
            for (key, value) in &request.spec.labels {
                must(
                    seen.label(key) == Some(value),
                    "a node carries every label of its request, in `create`, `list` and `get`",
                    || {
                        format!(
                            "`{}` has `{key}` = {:?} instead of `{value}`",
                            seen.id,
                            seen.label(key)
                        )
                    },
                )?;
            }
            must(
                seen.is_managed(),
                "a node that was made is recognized as ours",
                || format!("labels {:?}", seen.labels),
            )?;
        }
    }
    Ok(())
}

pub(crate) async fn names_follow_the_request(run: &Run<'_>) -> Outcome {
    let short = run.request(some(run));
    let mut longest = run.request(1);
    let padding = "x".repeat(40 - longest.spec.name.len());
    longest.spec.name.push_str(&padding);
    for request in [short, longest] {
        let nodes = run.nodes_of(&request).await?;
        let wanted: BTreeSet<String> = (0..request.count)
            .map(|n| request.machine_name(n))
            .collect();
        let given: BTreeSet<String> = nodes.iter().map(|node| node.name.clone()).collect();
        must(
            wanted == given,
            "machines are named `CreateRequest::machine_name`, each name once",
            || format!("{given:?} instead of {wanted:?}"),
        )?;
    }
    Ok(())
}

pub(crate) async fn spot_is_never_swapped_for_on_demand(run: &Run<'_>) -> Outcome {
    let mut spec = run.subject().spec();
    spec.market = match spec.market {
        Market::OnDemand => Market::Spot,
        Market::Spot => Market::OnDemand,
    };
    let request = run.request_for(spec, 1);
    match run.create(&request).await {
        Ok(created) => {
            only_these(run, &request, &created.nodes).await?;
            must(
                created
                    .nodes
                    .iter()
                    .all(|node| node.market == request.spec.market),
                "machines are bought on the market that was asked for: it decides what they cost",
                || format!("`{}` asked for: {created:?}", request.spec.market),
            )
        }
        Err(error) => {
            must(
                matches!(
                    error.kind(),
                    Kind::Invalid | Kind::Unsupported | Kind::Capacity | Kind::Quota
                ) && error.effect() == Effect::None,
                "a market that is not served is a clear no: `Invalid` or `Unsupported`",
                || format!("{error:?}"),
            )?;
            only_these(run, &request, &[]).await
        }
    }
}

// === user data ===

async fn boot_result(run: &Run<'_>, user_data: Option<String>) -> Outcome<Boot> {
    if !run.info().reports_boot {
        return not_applicable("the provider does not report what became of boot scripts");
    }
    let mut spec = run.subject().spec();
    spec.user_data = user_data;
    let node = run.nodes_of(&run.request_for(spec, 1)).await?.remove(0);
    run.until(
        "a provider with `reports_boot` tells in time how the boot scripts ended",
        async || {
            Ok(match run.look_at(&node.id).await {
                Ok(node) => match node.boot {
                    Some(boot) if boot != Boot::Running => Look::Done(boot),
                    boot => Look::Wait(format!("state `{}`, boot {boot:?}", node.state)),
                },
                Err(error) => Look::Wait(format!("{error:?}")),
            })
        },
    )
    .await
}

fn script(run: &Run<'_>, end: ScriptEnd) -> Outcome<String> {
    match run.subject().user_data(end) {
        Some(script) => Ok(script),
        None => not_applicable("the subject has no user data that ends like this"),
    }
}

pub(crate) async fn user_data_runs_at_boot(run: &Run<'_>) -> Outcome {
    let script = script(run, ScriptEnd::Succeeds)?;
    let boot = boot_result(run, Some(script)).await?;
    must(
        boot == Boot::Succeeded,
        "boot scripts that all end with status 0 are `Boot::Succeeded`",
        || format!("{boot:?}"),
    )
}

pub(crate) async fn nothing_to_run_at_boot_is_a_success(run: &Run<'_>) -> Outcome {
    let boot = boot_result(run, None).await?;
    must(
        boot == Boot::Succeeded,
        "without user data there was nothing to do: `Boot::Succeeded`",
        || format!("{boot:?}"),
    )
}

pub(crate) async fn a_failing_boot_script_is_told(run: &Run<'_>) -> Outcome {
    let script = script(run, ScriptEnd::Fails(7))?;
    let boot = boot_result(run, Some(script)).await?;
    must(
        matches!(
            boot,
            Boot::Failed {
                exit_status: Some(7),
                ..
            }
        ),
        "a boot script that fails is `Boot::Failed` with its exit status",
        || format!("{boot:?} after a script that ends with status 7"),
    )
}

pub(crate) async fn user_data_may_be_as_long_as_the_limit(run: &Run<'_>) -> Outcome {
    let limit = run.info().user_data_limit;
    if limit > 1 << 20 {
        return not_applicable("the limit of user data is above 1 MiB");
    }
    let mut text = script(run, ScriptEnd::Succeeds)?;
    if text.len() >= limit {
        return not_applicable("the subject's user data is longer than the limit");
    }
    text.push('#');
    text.push_str(&"x".repeat(limit - text.len()));
    let mut spec = run.subject().spec();
    spec.user_data = Some(text);
    run.nodes_of(&run.request_for(spec, 1)).await.map(|_| ())
}

// === refusals ===

/// Sends a request that must be refused as `Invalid` and leave no trace.
async fn is_refused(run: &Run<'_>, what: &str, request: &CreateRequest) -> Outcome<Error> {
    let error = run.refused(
        &format!("{what} is `Invalid`"),
        Kind::Invalid,
        run.create(request).await,
    )?;
    must(
        error.effect() == Effect::None,
        &format!("{what} is refused before anything is made, and the error says so"),
        || format!("{error:?}"),
    )?;
    let made = run.made().await;
    must(made.is_empty(), &format!("{what} makes nothing"), || {
        names(&made)
    })?;
    Ok(error)
}

pub(crate) async fn an_impossible_count_is_refused(run: &Run<'_>) -> Outcome {
    is_refused(run, "a count of 0", &run.request(0)).await?;
    if let Some(above) = run.info().batch.checked_add(1) {
        is_refused(run, "a count above `batch`", &run.request(above)).await?;
    }
    Ok(())
}

pub(crate) async fn an_unknown_type_is_refused(run: &Run<'_>) -> Outcome {
    let mut spec = run.subject().spec();
    "conformance-no-such-type".clone_into(&mut spec.instance_type);
    is_refused(run, "an unknown instance type", &run.request_for(spec, 1))
        .await
        .map(|_| ())
}

pub(crate) async fn an_unknown_region_is_refused(run: &Run<'_>) -> Outcome {
    let mut spec = run.subject().spec();
    "conformance-no-such-region".clone_into(&mut spec.region);
    spec.zone = None;
    is_refused(run, "an unknown region", &run.request_for(spec, 1))
        .await
        .map(|_| ())
}

pub(crate) async fn an_unknown_zone_is_refused(run: &Run<'_>) -> Outcome {
    let mut spec = run.subject().spec();
    spec.zone = Some("conformance-no-such-zone".to_owned());
    is_refused(run, "an unknown zone", &run.request_for(spec, 1))
        .await
        .map(|_| ())
}

pub(crate) async fn user_data_beyond_the_limit_is_refused(run: &Run<'_>) -> Outcome {
    let Some(above) = run
        .info()
        .user_data_limit
        .checked_add(1)
        .filter(|above| *above <= 64 << 20)
    else {
        return not_applicable("the limit of user data is above 64 MiB");
    };
    let marker = "conformance-secret-in-user-data";
    let mut text = format!("#!/bin/sh\n# {marker}\n");
    text.push_str(&"#".repeat(above.saturating_sub(text.len())));
    let mut spec = run.subject().spec();
    spec.user_data = Some(text);
    let error = is_refused(
        run,
        "user data beyond `user_data_limit`",
        &run.request_for(spec, 1),
    )
    .await?;
    must(
        !format!("{error:?}").contains(marker),
        "no error shows user data: people keep secrets in it",
        || "the text of the user data in the error".to_owned(),
    )
}

// === many and few ===

pub(crate) async fn fifty_creates_at_once(run: &Run<'_>) -> Outcome {
    let number = run.subject().room().min(50);
    let requests: Vec<CreateRequest> = (0..number).map(|_| run.request(1)).collect();
    let results = join_all(requests.iter().map(|request| run.create(request))).await;
    let mut all = Vec::new();
    for (request, result) in requests.iter().zip(results) {
        let created = run.ok(
            "calls with different tokens do not disturb each other",
            result,
        )?;
        must(
            created.nodes.len() == 1 && created.shortfall.is_none(),
            "calls with different tokens do not disturb each other",
            || format!("{created:?}"),
        )?;
        only_these(run, request, &created.nodes).await?;
        all.extend(created.nodes);
    }
    must(
        ids(&all).len() == len(number),
        "calls with different tokens make different machines",
        || names(&all),
    )?;
    let made = run.made().await;
    must(
        ids(&made) == ids(&all),
        "many calls at once make no machine that nobody is told of",
        || format!("answered {}; real {}", names(&all), names(&made)),
    )
}

pub(crate) async fn short_capacity_is_a_shortfall(run: &Run<'_>) -> Outcome {
    a_shortfall(run, Kind::Capacity).await
}

pub(crate) async fn a_short_quota_is_a_shortfall(run: &Run<'_>) -> Outcome {
    a_shortfall(run, Kind::Quota).await
}

/// Leaves room for two, asks for three, then for one more.
async fn a_shortfall(run: &Run<'_>, kind: Kind) -> Outcome {
    if some(run) < 3 {
        return not_applicable("a call makes fewer than three machines");
    }
    if !run.subject().limit(kind, 2).await {
        return not_applicable(format!("the subject cannot make `{kind}` short"));
    }
    let request = run.request(3);
    let created = run.ok(
        "fewer machines than asked for, if at least one could be had, are `Ok` with a shortfall",
        run.create(&request).await,
    )?;
    let told = created.shortfall.as_ref().map(Error::kind);
    must(
        told == Some(kind) && (1..=2).contains(&created.nodes.len()),
        "a short answer says why: `shortfall` is `Some` if and only if `nodes` is short",
        || format!("room for 2 of 3, ended by `{kind}`: {created:?}"),
    )?;
    only_these(run, &request, &created.nodes).await?;

    if !run.subject().limit(kind, 0).await {
        return not_applicable(format!("the subject cannot make `{kind}` run out"));
    }
    let request = run.request(1);
    let error = run.refused(
        "no machine at all is an error of the kind that says why",
        kind,
        run.create(&request).await,
    )?;
    must(
        error.kind().remedy() == Remedy::TryElsewhere && error.effect() == Effect::None,
        "a clear no for want of capacity or quota has no effect",
        || format!("{error:?}"),
    )?;
    only_these(run, &request, &[]).await
}
