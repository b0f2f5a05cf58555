//! Notice before a node is taken away.

use fleetwright_core::ability::Interruption;

use crate::lifecycle::running;
use crate::run::Look;
use crate::verdict::{must, not_applicable};
use crate::{Outcome, Run};

async fn pending(run: &Run<'_>) -> Outcome<Vec<Interruption>> {
    let provider = run.provider();
    let Some(interruptions) = provider.interruptions() else {
        return not_applicable("the provider has no interruptions");
    };
    let notices = run
        .at_its_pace(async || interruptions.pending().await)
        .await;
    run.ok("`pending` of a healthy provider succeeds", notices)
}

pub(crate) async fn notice_is_given_of_the_right_node(run: &Run<'_>) -> Outcome {
    let (node, bystander) = (running(run).await?, running(run).await?);
    if !run.subject().interrupt(&node.id).await {
        return not_applicable("the subject cannot make the world give notice");
    }
    run.until("a notice that is in force is pending", async || {
        let notices = pending(run).await?;
        must(
            notices.iter().all(|notice| notice.node != bystander.id),
            "notice is given of the node that will be taken away, of no other",
            || format!("only `{}` was meant: {notices:?}", node.id),
        )?;
        Ok(if notices.iter().any(|notice| notice.node == node.id) {
            Look::Done(())
        } else {
            Look::Wait(format!("{notices:?}"))
        })
    })
    .await
}

pub(crate) async fn an_undisturbed_node_has_no_notice(run: &Run<'_>) -> Outcome {
    let node = running(run).await?;
    let notices = pending(run).await?;
    must(
        notices.iter().all(|notice| notice.node != node.id),
        "no notice is given of a node that nobody takes away",
        || format!("{notices:?}"),
    )
}
