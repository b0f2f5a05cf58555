//! What is printed about deployments.

use fleetwright_core::{
    DeployedNode, DeployedState, Deployment, DeploymentId, DeploymentOutcome, Error, Exit as Ended,
    Kind, Result,
};
use fleetwright_engine::{Deployed, NoLogin, TargetGap, TargetSet};
use serde::Serialize;

use crate::context::Context;
use crate::exit::Exit;
use crate::output::{self, Out, age, count};

/// Lines of a failure that are shown at the end.
const TAIL: usize = 20;
/// Deployments that are listed.
const LISTED: u32 = 50;

#[derive(Serialize)]
struct Report<'a> {
    deployment: &'a Deployment,
    nodes: &'a [DeployedNode],
    /// Machines that nobody can log in to, and that are no part of it.
    unreachable: &'a [NoLogin],
    /// Places that could not be looked at.
    gaps: &'a [TargetGap],
}

#[derive(Serialize)]
struct List {
    deployments: Vec<Deployment>,
}

/// `--list`.
pub(super) async fn list(context: &Context) -> Result<Exit> {
    let deployments = context.store().await?.deployments(LISTED).await?;
    if context.out.json {
        output::json(&List { deployments })?;
        return Ok(Exit::Done);
    }
    if deployments.is_empty() {
        context.out.note("no deployments");
        return Ok(Exit::Done);
    }
    let now = Context::now();
    let rows = deployments
        .iter()
        .map(|one| {
            vec![
                one.id.to_string(),
                age(one.began_at, now),
                state(one).to_owned(),
                one.spec.summary(),
                one.reason.clone(),
            ]
        })
        .collect();
    output::table(&["DEPLOYMENT", "AGE", "STATE", "WHAT", "REASON"], rows)?;
    Ok(Exit::Done)
}

/// `--show`.
pub(super) async fn show(context: &Context, id: DeploymentId) -> Result<Exit> {
    let store = context.store().await?;
    let deployment = store.deployment(id).await?.ok_or_else(|| {
        Error::new(Kind::NotFound, format!("there is no deployment `{id}`"))
            .with_hint("`fleetwright deploy --list` shows them")
    })?;
    let nodes = store.deployed_nodes(id).await?;
    if context.out.json {
        output::json(&Report {
            deployment: &deployment,
            nodes: &nodes,
            unreachable: &[],
            gaps: &[],
        })?;
        return Ok(Exit::Done);
    }
    output::line(&format!("deployment   {}", deployment.id))?;
    output::line(&format!("what         {}", deployment.spec.summary()))?;
    output::line(&format!("began        {:.0}", deployment.began_at))?;
    output::line(&format!("state        {}", state(&deployment)))?;
    if !deployment.reason.is_empty() {
        output::line(&format!("reason       {}", deployment.reason))?;
    }
    output::line("")?;
    let is_open = deployment.outcome.is_none();
    let rows = nodes
        .iter()
        .map(|node| {
            let words = if is_open && node.state == DeployedState::Running {
                "at it, or nobody knows how it ended".to_owned()
            } else {
                outcome(node)
            };
            vec![node.name.clone(), node.state.to_string(), words]
        })
        .collect();
    output::table(&["MACHINE", "STATE", "HOW"], rows)?;
    for node in nodes.iter().filter(|node| node.state.is_failure()) {
        explain(context.out, node);
    }
    Ok(Exit::Done)
}

/// How a deployment ended.
pub(super) fn result(context: &Context, deployed: &Deployed, set: &TargetSet) -> Result<()> {
    let out = context.out;
    if out.json {
        output::json(&Report {
            deployment: &deployed.deployment,
            nodes: &deployed.nodes,
            unreachable: &set.unreachable,
            gaps: &set.gaps,
        })?;
    } else {
        for node in deployed.nodes.iter().filter(|node| node.state.is_failure()) {
            explain(out, node);
        }
    }
    for one in &set.unreachable {
        output::error_line(&format!("{}: nobody can log in: {}", one.name, one.reason));
    }
    let parts: Vec<String> = [
        (DeployedState::Succeeded, "done"),
        (DeployedState::Skipped, "already right"),
        (DeployedState::Failed, "failed"),
        (DeployedState::Unreachable, "unreachable"),
        (DeployedState::Unknown, "unknown"),
        (DeployedState::Waiting, "without a turn"),
    ]
    .into_iter()
    .map(|(state, word)| (deployed.count(state), word))
    .filter(|(number, _)| *number > 0)
    .map(|(number, word)| format!("{number} {word}"))
    .collect();
    out.note(&format!(
        "{}: {}",
        count(deployed.nodes.len(), "machine"),
        parts.join(", ")
    ));
    let deployment = &deployed.deployment;
    if deployment.outcome != Some(DeploymentOutcome::Succeeded) {
        if deployment.outcome == Some(DeploymentOutcome::Stopped) {
            output::error_line(&format!("stopped: {}", deployment.reason));
        }
        let id = deployment.id;
        output::hint(&format!(
            "`fleetwright deploy --resume {id}` goes on with all machines that are not right{}",
            if deployed.count(DeployedState::Unknown) > 0 {
                ", also those whose end was not seen: it is run there again"
            } else {
                ""
            }
        ));
    }
    Ok(())
}

fn state(deployment: &Deployment) -> &'static str {
    deployment.outcome.map_or("open", DeploymentOutcome::as_str)
}

/// How the turn of a machine ended, in words.
pub(super) fn outcome(node: &DeployedNode) -> String {
    let took = match (node.began_at, node.ended_at) {
        (Some(began), Some(ended)) => {
            let seconds = ended.duration_since(began).as_millis();
            format!(" in {}.{} s", seconds / 1000, seconds % 1000 / 100)
        }
        _ => String::new(),
    };
    let mut text = match node.state {
        DeployedState::Waiting => "no turn".to_owned(),
        DeployedState::Running => "at it".to_owned(),
        DeployedState::Succeeded => format!("done{took}"),
        DeployedState::Skipped => "already right".to_owned(),
        DeployedState::Failed | DeployedState::Unreachable | DeployedState::Unknown => {
            let why = node.error.as_ref().map_or_else(
                || node.exit.as_ref().map(words).unwrap_or_default(),
                |error| error.message.clone(),
            );
            let colon = if why.is_empty() { "" } else { ": " };
            format!("{}{took}{colon}{why}", node.state)
        }
    };
    if let Some(back) = &node.rolled_back {
        let how = if back.succeeded {
            "; taken back"
        } else {
            "; not taken back"
        };
        text.push_str(how);
        text.push_str(": ");
        text.push_str(&back.reason);
    }
    text
}

fn words(exit: &Ended) -> String {
    match exit {
        Ended::Status { code } => format!("status {code}"),
        Ended::Signal { name } => format!("signal {name}"),
    }
}

/// A failure with the last lines of what was said there.
fn explain(out: Out, node: &DeployedNode) {
    output::error_line(&format!("{}: {}", node.name, outcome(node)));
    let said = if node.stderr.trim().is_empty() {
        &node.stdout
    } else {
        &node.stderr
    };
    let lines: Vec<&str> = said.lines().collect();
    for line in lines.iter().skip(lines.len().saturating_sub(TAIL)) {
        out.faint(&format!("    {line}"));
    }
    if let Some(hint) = node.error.as_ref().and_then(|error| error.hint.as_ref()) {
        output::hint(hint);
    }
}
