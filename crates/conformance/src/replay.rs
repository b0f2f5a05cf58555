//! Exactly once: the same token gives the same nodes, whichever answers were lost.

use std::time::Duration;

use fleetwright_core::{CreateRequest, Idempotency, Kind, Node, Operation};
use futures::future::join_all;

use crate::create::{only_these, some};
use crate::run::{ids, len, may_have_happened, names};
use crate::verdict::{must, not_applicable};
use crate::{Fault, Outcome, Run};

const SAME: &str = "`create` with the same token gives the same nodes";
const EXACT: &str = "a replay ends with exactly as many machines as were asked for, whatever \
                     became of the earlier call";

/// Sends the request again, as recovery does: marked, and where the token is a label after the
/// listing has had time to show what was made.
async fn replay(run: &Run<'_>, request: &CreateRequest) -> Outcome<Vec<Node>> {
    if run.info().idempotency == Idempotency::LabelThenList {
        run.settle_lag().await;
    }
    let marked = CreateRequest {
        replay: true,
        ..request.clone()
    };
    let created = run.ok(EXACT, run.create(&marked).await)?;
    must(
        created.nodes.len() == len(request.count) && created.shortfall.is_none(),
        EXACT,
        || format!("{} asked for, {created:?}", request.count),
    )?;
    only_these(run, request, &created.nodes).await?;
    let mut called: Vec<&str> = created.nodes.iter().map(|node| &*node.name).collect();
    called.sort_unstable();
    called.dedup();
    must(
        called.len() == created.nodes.len(),
        "a replay makes no two machines of the same name",
        || names(&created.nodes),
    )?;
    // Nothing of the earlier call may turn up late.
    run.settle_lag().await;
    only_these(run, request, &created.nodes).await?;
    Ok(created.nodes)
}

fn same(first: &[Node], again: &[Node]) -> Outcome {
    must(ids(first) == ids(again), SAME, || {
        format!("first {}; then {}", names(first), names(again))
    })
}

pub(crate) async fn the_same_token_gives_the_same_nodes(run: &Run<'_>) -> Outcome {
    if run.info().idempotency == Idempotency::LabelThenList {
        return not_applicable(
            "the token is a label: a call that is not marked as a replay does not look for it",
        );
    }
    let request = run.request(some(run));
    let first = run.nodes_of(&request).await?;
    let again = run.nodes_of(&request).await?;
    same(&first, &again)?;
    only_these(run, &request, &first).await
}

pub(crate) async fn a_marked_replay_gives_the_same_nodes(run: &Run<'_>) -> Outcome {
    let request = run.request(some(run));
    let first = run.nodes_of(&request).await?;
    for _ in 0..2 {
        same(&first, &replay(run, &request).await?)?;
    }
    Ok(())
}

pub(crate) async fn a_first_call_may_be_marked_as_a_replay(run: &Run<'_>) -> Outcome {
    let request = run.request(some(run));
    replay(run, &request).await.map(|_| ())
}

pub(crate) async fn another_token_gives_other_nodes(run: &Run<'_>) -> Outcome {
    let first = run.nodes(some(run)).await?;
    let second = run.nodes(some(run)).await?;
    must(
        ids(&first).is_disjoint(&ids(&second)),
        "another token makes other machines",
        || format!("first {}; then {}", names(&first), names(&second)),
    )
}

pub(crate) async fn a_replay_brings_no_deleted_node_back(run: &Run<'_>) -> Outcome {
    if run.info().idempotency != Idempotency::NativeToken {
        return not_applicable("only the cloud itself can remember a token beyond its machines");
    }
    let request = run.request(some(run));
    let nodes = run.nodes_of(&request).await?;
    run.remove(&ids(&nodes)).await?;
    let marked = CreateRequest {
        replay: true,
        ..request.clone()
    };
    // An answer with the deleted nodes and a refusal are both true.
    let answer = run.create(&marked).await;
    run.settle_lag().await;
    let real = run.made_by(&request.token).await;
    must(real.is_empty(), SAME, || {
        format!(
            "after all were deleted a replay made {} and said {answer:?}",
            names(&real)
        )
    })
}

// === lost answers ===

/// The first call meets the fault; the replay puts it right.
async fn replay_after(run: &Run<'_>, fault: Fault) -> Outcome {
    let happened = fault.point != crate::Point::Before;
    run.inject(fault).await?;
    let request = run.request(some(run));
    match run.create_once(&request).await {
        Ok(created) => must(
            !happened || created.nodes.len() == len(request.count) || created.shortfall.is_some(),
            "a call that lost its answer fails, or answers with what was made",
            || format!("{created:?}"),
        )?,
        Err(error) => {
            let real = run.made_by(&request.token).await;
            must(
                real.is_empty() || may_have_happened(&error),
                "an error has `Effect::None` only if no machine can exist because of the call",
                || format!("{error:?}, but there are {}", names(&real)),
            )?;
        }
    }
    replay(run, &request).await.map(|_| ())
}

pub(crate) async fn a_lost_answer_is_put_right_by_a_replay(run: &Run<'_>) -> Outcome {
    replay_after(run, Fault::after(Operation::Create, Kind::Timeout)).await
}

pub(crate) async fn a_lost_request_is_put_right_by_a_replay(run: &Run<'_>) -> Outcome {
    replay_after(run, Fault::before(Operation::Create, Kind::Timeout)).await
}

pub(crate) async fn half_a_create_is_put_right_by_a_replay(run: &Run<'_>) -> Outcome {
    replay_after(run, Fault::midway(Operation::Create, Kind::Timeout)).await
}

pub(crate) async fn answers_lost_again_and_again_make_nothing_twice(run: &Run<'_>) -> Outcome {
    let request = run.request(some(run));
    let mut once = request.clone();
    for _ in 0..3 {
        run.inject(Fault::after(Operation::Create, Kind::Timeout))
            .await?;
        // The answer does not matter: recovery only knows that there was none.
        let _ = run.create_once(&once).await;
        if run.info().idempotency == Idempotency::LabelThenList {
            run.settle_lag().await;
        }
        once.replay = true;
    }
    replay(run, &request).await.map(|_| ())
}

pub(crate) async fn a_dropped_create_is_found_by_its_replay(run: &Run<'_>) -> Outcome {
    for millis in [0, 1, 3, 10, 30, 100, 300] {
        let request = run.request(some(run));
        let provider = run.provider();
        let sent = request.clone();
        let call = tokio::spawn(async move { provider.create(&sent).await });
        tokio::time::sleep(Duration::from_millis(millis)).await;
        call.abort();
        match call.await {
            Ok(Ok(created)) => run.note_nodes(created.nodes.iter().map(|node| &node.id)),
            Ok(Err(error)) => run.note_error(&error),
            Err(end) => must(end.is_cancelled(), "a provider never panics", || {
                end.to_string()
            })?,
        }
        let nodes = replay(run, &request).await?;
        run.remove(&ids(&nodes)).await?;
    }
    Ok(())
}

// === what a token is bound to ===

pub(crate) async fn a_token_is_bound_to_its_parameters(run: &Run<'_>) -> Outcome {
    let request = run.request(some(run));
    let others = other_parameters(run, &request).await?;
    if others.is_empty() {
        return not_applicable(
            "no other parameter can be seen on a machine: one type, and the token is a label",
        );
    }
    let nodes = run.nodes_of(&request).await?;
    let marks: &[bool] = match run.info().idempotency {
        Idempotency::NativeToken | Idempotency::DeterministicName => &[false, true],
        Idempotency::LabelThenList => {
            run.settle_lag().await;
            &[true]
        }
    };
    for (what, other) in &others {
        for replay in marks {
            let call = CreateRequest {
                replay: *replay,
                ..other.clone()
            };
            run.refused(
                &format!("a token that was used with another {what} is `Conflict`"),
                Kind::Conflict,
                run.create(&call).await,
            )?;
            only_these(run, &request, &nodes).await?;
        }
    }
    Ok(())
}

/// The same token with other parameters, as far as this kind of provider can notice.
async fn other_parameters(
    run: &Run<'_>,
    request: &CreateRequest,
) -> Outcome<Vec<(&'static str, CreateRequest)>> {
    let mut others = Vec::new();
    if let Some(other_type) = another_type(run, request).await? {
        let mut other = request.clone();
        other.spec.instance_type = other_type;
        others.push(("type", other));
    }
    if run.info().idempotency == Idempotency::NativeToken {
        let mut other = request.clone();
        other.spec.user_data = Some("#!/bin/sh\ntrue\n".to_owned());
        others.push(("user data", other));
        if request.count > 1 {
            let other = CreateRequest {
                count: request.count - 1,
                ..request.clone()
            };
            others.push(("count", other));
        }
    }
    Ok(others)
}

async fn another_type(run: &Run<'_>, request: &CreateRequest) -> Outcome<Option<String>> {
    let provider = run.provider();
    let Some(catalog) = provider.catalog() else {
        return Ok(None);
    };
    let offerings = run.at_its_pace(async || catalog.offerings().await).await;
    let offerings = run.ok("`offerings` of a healthy provider succeeds", offerings)?;
    let spec = &request.spec;
    Ok(offerings
        .into_iter()
        .filter(|o| o.region == spec.region && o.market == spec.market)
        .filter(|o| o.zone.is_none() || spec.zone.is_none() || o.zone == spec.zone)
        .map(|o| o.instance_type)
        .find(|name| *name != spec.instance_type))
}

// === at once ===

pub(crate) async fn twenty_creates_with_one_token_are_one(run: &Run<'_>) -> Outcome {
    if run.info().idempotency == Idempotency::LabelThenList {
        return not_applicable(
            "the token is a label: the engine's lease keeps one claim from being worked on twice",
        );
    }
    let request = run.request(some(run));
    let results = join_all((0..20).map(|_| run.create(&request))).await;
    for result in results {
        match result {
            Ok(created) => must(created.nodes.len() <= len(request.count), SAME, || {
                format!("{} asked for, {created:?}", request.count)
            })?,
            // The cloud may say that the same call is under way.
            Err(error) => must(
                matches!(error.kind(), Kind::Conflict | Kind::Unavailable),
                "a call whose twin is under way succeeds or says `Conflict` or `Unavailable`",
                || format!("{error:?}"),
            )?,
        }
    }
    replay(run, &request).await.map(|_| ())
}

pub(crate) async fn a_replay_of_a_short_answer_makes_no_more_than_asked_for(
    run: &Run<'_>,
) -> Outcome {
    if some(run) < 3 {
        return not_applicable("a call makes fewer than three machines");
    }
    let mut possible = false;
    for kind in [Kind::Capacity, Kind::Quota] {
        if !possible && run.subject().limit(kind, 2).await {
            possible = true;
        }
    }
    if !possible {
        return not_applicable("the subject can make neither capacity nor quota short");
    }
    let request = run.request(3);
    let first = run.ok(
        "fewer machines than asked for, if at least one could be had, are `Ok` with a shortfall",
        run.create(&request).await,
    )?;
    for kind in [Kind::Capacity, Kind::Quota] {
        // Whichever it was, there is room again.
        let _ = run.subject().limit(kind, run.subject().room()).await;
    }
    if run.info().idempotency == Idempotency::LabelThenList {
        run.settle_lag().await;
    }
    let marked = CreateRequest {
        replay: true,
        ..request.clone()
    };
    let again = run.ok(SAME, run.create(&marked).await)?;
    must(
        ids(&first.nodes).is_subset(&ids(&again.nodes)),
        SAME,
        || {
            format!(
                "first {}; then {}",
                names(&first.nodes),
                names(&again.nodes)
            )
        },
    )?;
    must(
        again.shortfall.is_some() == (again.nodes.len() < len(request.count)),
        "`shortfall` is `Some` if and only if `nodes` is short",
        || format!("{again:?}"),
    )?;
    only_these(run, &request, &again.nodes).await
}
