//! From pending to running, and what is said of a machine that died.

use fleetwright_core::{Node, NodeState};

use crate::run::Look;
use crate::verdict::{must, not_applicable};
use crate::{Outcome, Run};

/// One node that is up.
pub(crate) async fn running(run: &Run<'_>) -> Outcome<Node> {
    let node = run.nodes(1).await?.remove(0);
    run.until("a machine that was made comes up", async || {
        Ok(match run.look_at(&node.id).await {
            Ok(node) if node.state == NodeState::Running => Look::Done(node),
            Ok(node) => Look::Wait(format!("state `{}`: {:?}", node.state, node.message)),
            Err(error) => Look::Wait(format!("{error:?}")),
        })
    })
    .await
}

pub(crate) async fn a_node_comes_up(run: &Run<'_>) -> Outcome {
    let node = running(run).await?;
    if !run.info().has_ssh {
        return Ok(());
    }
    let access = run
        .until(
            "a provider with `has_ssh` says how to log in to a running node",
            async || {
                Ok(match run.look_at(&node.id).await {
                    Ok(Node {
                        access: Some(access),
                        ..
                    }) => Look::Done(access),
                    other => Look::Wait(format!("{other:?}")),
                })
            },
        )
        .await?;
    must(
        !access.host.is_empty() && access.port != 0 && !access.user.is_empty(),
        "a login has a host, a port and a user",
        || format!("{access:?}"),
    )
}

pub(crate) async fn a_killed_node_is_not_called_running(run: &Run<'_>) -> Outcome {
    let node = running(run).await?;
    if !run.subject().kill(&node.id).await {
        return not_applicable("the subject cannot end a machine behind the provider's back");
    }
    run.until(
        "a state is read from what really is there: a dead machine is not `Running`",
        async || {
            Ok(match run.look_at(&node.id).await {
                Ok(node) if matches!(node.state, NodeState::Running | NodeState::Pending) => {
                    Look::Wait(format!("{node:?}"))
                }
                Ok(_) => Look::Done(()),
                Err(error) if error.kind() == fleetwright_core::Kind::NotFound => Look::Done(()),
                Err(error) => Look::Wait(format!("{error:?}")),
            })
        },
    )
    .await?;
    run.remove([&node.id]).await
}
