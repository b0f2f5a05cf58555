//! Removing machines: until they are gone, as often as one likes, and only those.

use fleetwright_core::{Deletion, Kind, NodeId, Operation};

use crate::create::some;
use crate::run::{Look, ids, names};
use crate::verdict::must;
use crate::{Fault, Outcome, Run};

pub(crate) async fn a_deleted_node_is_really_gone(run: &Run<'_>) -> Outcome {
    let node = run.nodes(1).await?.remove(0);
    run.remove([&node.id]).await?;
    is_gone(run, &node.id).await?;
    run.settle_lag().await;
    match run.look_at(&node.id).await {
        Ok(node) => must(
            node.state.is_deleted(),
            "after `listing_lag`, `get` of a node that is gone is `NotFound` or `NodeState::Deleted`",
            || format!("{node:?}"),
        ),
        Err(error) => must(
            error.kind() == Kind::NotFound,
            "after `listing_lag`, `get` of a node that is gone is `NotFound` or `NodeState::Deleted`",
            || format!("{error:?}"),
        ),
    }
}

async fn is_gone(run: &Run<'_>, id: &NodeId) -> Outcome {
    let made = run.made().await;
    must(
        made.iter().all(|node| node.id != *id),
        "`Deletion::Gone`: nothing is left",
        || format!("`{id}` still exists: {}", names(&made)),
    )
}

pub(crate) async fn deleting_again_is_fine(run: &Run<'_>) -> Outcome {
    let node = run.nodes(1).await?.remove(0);
    for _ in 0..2 {
        run.ok(
            "`delete` of a node that is being deleted is no error",
            run.delete(&node.id).await,
        )?;
    }
    run.remove([&node.id]).await?;
    for _ in 0..2 {
        let again = run.ok("removing what is gone is fine", run.delete(&node.id).await)?;
        must(
            again == Deletion::Gone,
            "removing what is gone is `Deletion::Gone`",
            || format!("{again:?}"),
        )?;
    }
    is_gone(run, &node.id).await
}

pub(crate) async fn deleting_what_never_was_is_fine(run: &Run<'_>) -> Outcome {
    let deletion = run.ok(
        "removing what is not there is fine",
        run.delete(&run.subject().unknown_id()).await,
    )?;
    must(
        deletion == Deletion::Gone,
        "removing what is not there is `Deletion::Gone`",
        || format!("{deletion:?}"),
    )
}

pub(crate) async fn deleting_one_leaves_the_others(run: &Run<'_>) -> Outcome {
    let mut nodes = run.nodes(some(run)).await?;
    nodes.extend(run.nodes(1).await?);
    let gone = nodes.remove(0);
    run.remove([&gone.id]).await?;
    let real = run.made().await;
    must(
        ids(&real) == ids(&nodes) && real.iter().all(|node| !node.state.is_leaving()),
        "`delete` removes the node that was named and no other",
        || format!("deleted `{}`; left {}", gone.id, names(&real)),
    )
}

pub(crate) async fn a_lost_answer_to_a_deletion_does_no_harm(run: &Run<'_>) -> Outcome {
    let mut nodes = run.nodes(1).await?;
    nodes.extend(run.nodes(1).await?);
    run.inject(Fault::after(Operation::Delete, Kind::Timeout))
        .await?;
    match run.delete(&nodes[0].id).await {
        Ok(Deletion::Gone) => is_gone(run, &nodes[0].id).await?,
        Ok(Deletion::Started) => {}
        Err(error) => must(
            error.kind() == Kind::Timeout,
            "an error keeps its kind",
            || format!("`timeout` came back as {error:?}"),
        )?,
    }
    run.remove([&nodes[0].id]).await?;
    is_gone(run, &nodes[0].id).await?;
    let real = run.made().await;
    must(
        ids(&real) == ids(&nodes[1..]),
        "`delete` removes the node that was named and no other",
        || names(&real),
    )
}

pub(crate) async fn a_node_can_be_deleted_at_once(run: &Run<'_>) -> Outcome {
    // Before it is up, and before a listing shows it.
    let request = run.request(some(run));
    let nodes = run.nodes_of(&request).await?;
    run.remove(&ids(&nodes)).await?;
    run.settle_lag().await;
    run.until(
        "a node that was deleted while it was made stays gone",
        async || {
            let left = run.made_by(&request.token).await;
            Ok(if left.is_empty() {
                Look::Done(())
            } else {
                Look::Wait(names(&left))
            })
        },
    )
    .await
}
