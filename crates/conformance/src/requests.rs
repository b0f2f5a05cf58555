//! Asking about a create request without making it, and giving one up.

use fleetwright_core::{
    CreateRequest, Error, Kind, ListRequest, Node, NodeState, Operation, Result, keys,
};

use crate::create::{only_these, some};
use crate::run::{ids, names};
use crate::verdict::{must, not_applicable};
use crate::{Fault, Outcome, Run};

/// Calls the ability, waiting where the provider asks for slower calls.
async fn preflight(run: &Run<'_>, request: &CreateRequest) -> Outcome<Result<()>> {
    let provider = run.provider();
    let Some(requests) = provider.requests() else {
        return not_applicable("the provider cannot be asked about requests");
    };
    Ok(run
        .at_its_pace(async || requests.preflight(request).await)
        .await)
}

async fn give_up(run: &Run<'_>, request: &CreateRequest) -> Outcome {
    let provider = run.provider();
    let Some(requests) = provider.requests() else {
        return not_applicable("the provider cannot be asked about requests");
    };
    let given_up = run
        .at_its_pace(async || requests.give_up(request).await)
        .await;
    run.ok(
        "giving up a request of a healthy provider succeeds",
        given_up,
    )
}

pub(crate) async fn a_preflight_makes_nothing(run: &Run<'_>) -> Outcome {
    let request = run.request(some(run));
    run.ok(
        "`preflight` of a request that would succeed succeeds",
        preflight(run, &request).await?,
    )?;
    run.settle_lag().await;
    only_these(run, &request, &[]).await
}

pub(crate) async fn a_preflight_refuses_what_create_would(run: &Run<'_>) -> Outcome {
    let mut request = run.request(1);
    "conformance-no-such-type".clone_into(&mut request.spec.instance_type);
    let answer = preflight(run, &request).await?;
    must(
        matches!(&answer, Err(error) if error.kind() == Kind::Invalid),
        "`preflight` refuses an unknown type as `create` does: `Invalid`",
        || format!("{answer:?}"),
    )?;
    answer
        .err()
        .iter()
        .for_each(|error: &Error| run.note_error(error));
    only_these(run, &request, &[]).await
}

pub(crate) async fn what_was_never_sent_can_be_given_up(run: &Run<'_>) -> Outcome {
    let request = run.request(some(run));
    give_up(run, &request).await?;
    give_up(run, &request).await?;
    only_these(run, &request, &[]).await
}

pub(crate) async fn machines_outlive_the_request_that_made_them(run: &Run<'_>) -> Outcome {
    let request = run.request(some(run));
    let made = run.nodes_of(&request).await?;
    give_up(run, &request).await?;
    run.settle_lag().await;
    let left = run.made_by(&request.token).await;
    let alive = |node: &Node| {
        left.iter().any(|other| {
            let leaves = matches!(other.state, NodeState::Deleting | NodeState::Deleted);
            other.id == node.id && !leaves
        })
    };
    must(
        made.iter().all(alive),
        "machines that exist stay when their request is given up",
        || format!("made {}; left {}", names(&made), names(&left)),
    )
}

pub(crate) async fn nothing_comes_of_a_request_given_up(run: &Run<'_>) -> Outcome {
    let request = run.request(some(run));
    run.inject(Fault::after(Operation::Create, Kind::Timeout))
        .await?;
    // The answer does not matter: recovery only knows that there was none.
    let _ = run.create_once(&request).await;
    give_up(run, &request).await?;
    let then = run.made_by(&request.token).await;
    run.note_nodes(then.iter().map(|node| &node.id));
    run.settle_lag().await;
    run.settle_lag().await;
    let listed = run.ok(
        "a listing of a healthy provider succeeds",
        run.list(&ListRequest::default()).await,
    )?;
    let later = run.made_by(&request.token).await;
    run.note_nodes(later.iter().map(|node| &node.id));
    must(
        ids(&later).is_subset(&ids(&then)),
        "no machine comes of a request after it was given up",
        || format!("then {}; later {}", names(&then), names(&later)),
    )?;
    let of_request: Vec<Node> = listed
        .nodes
        .into_iter()
        .filter(|node| node.label(keys::CLAIM) == Some(request.token.as_str()))
        .collect();
    must(
        ids(&later).is_subset(&ids(&of_request)),
        "machines of a request that was given up are listed",
        || format!("exist {}; listed {}", names(&later), names(&of_request)),
    )
}
