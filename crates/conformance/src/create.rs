//! Making machines: how many, called what, labeled how, and what is refused.

use std::collections::BTreeSet;

use crate::run::{ids, len, must, names};
use crate::{Outcome, Run};

/// Three machines at once, or as many as one call may make.
fn some(run: &Run<'_>) -> u32 {
    run.info().batch.min(3)
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
        let real = run.made_by(&request.token).await;
        must(
            ids(&real) == ids(&nodes),
            "the machines of the answer are the machines that exist because of this token",
            || {
                format!(
                    "answered {}; carrying the token {}",
                    names(&nodes),
                    names(&real)
                )
            },
        )?;
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
            run.list(&fleetwright_core::ListRequest::default()).await,
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
    let request = run.request(some(run));
    let nodes = run.nodes_of(&request).await?;
    let wanted: BTreeSet<String> = (0..request.count)
        .map(|n| request.machine_name(n))
        .collect();
    let given: BTreeSet<String> = nodes.iter().map(|node| node.name.clone()).collect();
    must(
        wanted == given,
        "machines are named `CreateRequest::machine_name`, each name once",
        || format!("{given:?} instead of {wanted:?}"),
    )
}
