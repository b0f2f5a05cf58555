//! `deploy`: the same thing brought to many machines, carefully.

mod progress;
mod shown;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::{Args, ValueHint};
use fleetwright_core::{
    DeploymentId, DeploymentOutcome, Error, Kind, Portion, Result, Rollback, RolloutPolicy, Span,
};
use fleetwright_engine::{DeployOptions, DeployWish, TargetSet};

use self::progress::DeployProgress;
use super::targets::Targeting;
use crate::context::{Context, holder};
use crate::exit::Exit;

/// Deployments that an abbreviated id is looked for in.
const RECENT: u32 = 200;

#[derive(Debug, Args)]
pub(crate) struct Deploy {
    #[command(flatten)]
    pub(crate) targeting: Targeting,
    /// The command, given to the shell of each machine; words are joined with spaces
    #[arg(value_name = "COMMAND")]
    pub(crate) command: Vec<String>,
    /// Put a file or the content of a directory there first; may be given several times
    #[arg(long, value_name = "FROM:TO", value_parser = push)]
    pub(crate) push: Vec<(PathBuf, String)>,
    /// Run this script there, before the command if there is one
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(crate) script: Option<PathBuf>,
    /// A command that must succeed on a machine before it counts as done
    #[arg(long, value_name = "COMMAND")]
    pub(crate) check: Option<String>,
    /// So many machines go first, alone, and all of them must succeed: `1`, `5%`
    #[arg(long, value_name = "PORTION")]
    pub(crate) canary: Option<Portion>,
    /// So many machines in each batch after that; all, if it is not given
    #[arg(long, value_name = "PORTION")]
    pub(crate) batch: Option<Portion>,
    /// How long to wait after the canary and after each batch
    #[arg(long, default_value = "0s", value_name = "DURATION")]
    pub(crate) pause: Span,
    /// Machines at the same time
    #[arg(long, short, default_value_t = 32, value_parser = clap::value_parser!(u16).range(1..))]
    pub(crate) parallel: u16,
    /// So many failures are borne; with one more nothing new is begun. Any number, if it is not
    /// given
    #[arg(long, value_name = "PORTION")]
    pub(crate) max_fail: Option<Portion>,
    /// What to run where it failed; `previous` is the command that last succeeded there
    #[arg(long, value_name = "COMMAND")]
    pub(crate) rollback: Option<String>,
    /// If any machine fails, take it back on the others too
    #[arg(long, requires = "rollback")]
    pub(crate) rollback_all: bool,
    /// How often a machine that cannot be connected to is tried again
    #[arg(long, default_value_t = 2, value_name = "NUMBER")]
    pub(crate) retries: u8,
    /// Limit for each step on each machine: connect, log in and run
    #[arg(long, default_value = "10m", value_name = "DURATION")]
    pub(crate) timeout: Span,
    /// Limit for all machines together: those whose turn has not come by then have none
    #[arg(long, value_name = "DURATION")]
    pub(crate) total: Option<Span>,
    /// Also run it where the same was run already
    #[arg(long)]
    pub(crate) force: bool,
    /// Go on with a deployment on all machines that are not right: with the last one that is not
    /// complete, if no id is given
    #[arg(
        long,
        value_name = "ID",
        num_args = 0..=1,
        conflicts_with_all = [
            "command", "push", "script", "check", "canary", "batch", "pause", "max_fail",
            "rollback", "rollback_all", "given", "on", "parallel", "retries", "timeout",
        ]
    )]
    #[expect(
        clippy::option_option,
        reason = "so clap tells `--resume` from `--resume ID` and from neither"
    )]
    pub(crate) resume: Option<Option<String>>,
    /// List the latest deployments instead
    #[arg(long, conflicts_with_all = ["resume", "command", "show"])]
    pub(crate) list: bool,
    /// Show a deployment with what became of each machine, instead
    #[arg(long, value_name = "ID", conflicts_with_all = ["resume", "command"])]
    pub(crate) show: Option<String>,
}

/// `from:to`.
fn push(text: &str) -> Result<(PathBuf, String), String> {
    match text.rsplit_once(':') {
        Some((from, to)) if !from.is_empty() && !to.is_empty() => {
            Ok((PathBuf::from(from), to.to_owned()))
        }
        _ => Err("write `<file or directory>:<where it is put>`".to_owned()),
    }
}

pub(super) async fn run(context: &Context, args: &Deploy) -> Result<Exit> {
    if args.list {
        return shown::list(context).await;
    }
    if let Some(id) = &args.show {
        let id = find(context, id).await?;
        return shown::show(context, id).await;
    }
    let options = DeployOptions {
        holder: holder("deploy"),
        force: args.force,
        total: args.total.map(|total| total.0),
        sink: Arc::new(DeployProgress::new(context.out)),
    };
    let engine = context.quiet_engine().await?;
    let (deployed, set) = if let Some(id) = &args.resume {
        let id = match id {
            Some(id) => Some(find(context, id).await?),
            None => None,
        };
        (
            engine.resume_deployment(id, &options).await?,
            TargetSet::default(),
        )
    } else {
        context.say_origin();
        let wish = wish(args)?;
        let set = args.targeting.find(context).await?;
        (engine.deploy(wish, &set.targets, &options).await?, set)
    };
    // The lines of machines go from the screen before the result.
    drop(options);
    shown::result(context, &deployed, &set)?;
    Ok(match deployed.deployment.outcome {
        Some(DeploymentOutcome::Succeeded) if !set.unreachable.is_empty() => Exit::RemoteFailed,
        Some(DeploymentOutcome::Succeeded) if !set.gaps.is_empty() => Exit::Incomplete,
        Some(DeploymentOutcome::Succeeded) => Exit::Done,
        Some(DeploymentOutcome::Failed) => Exit::RemoteFailed,
        Some(DeploymentOutcome::Stopped) | None => Exit::Incomplete,
    })
}

fn wish(args: &Deploy) -> Result<DeployWish> {
    let command = args.command.join(" ");
    let absolute = |path: &Path| {
        std::path::absolute(path).map_err(|error| {
            Error::new(Kind::Invalid, format!("`{}` is no path", path.display())).with_source(error)
        })
    };
    let mut pushes = Vec::new();
    for (from, to) in &args.push {
        pushes.push((absolute(from)?, to.clone()));
    }
    Ok(DeployWish {
        pushes,
        script: args.script.as_deref().map(absolute).transpose()?,
        command: Some(command).filter(|command| !command.trim().is_empty()),
        check: args.check.clone(),
        rollback: args.rollback.as_deref().map(|text| match text {
            "previous" => Rollback::Previous,
            command => Rollback::Command(command.to_owned()),
        }),
        rollback_all: args.rollback_all,
        rollout: RolloutPolicy {
            canary: args.canary,
            batch: args.batch,
            parallel: u32::from(args.parallel),
            max_fail: args.max_fail,
            pause: args.pause,
        },
        timeout: args.timeout,
        retries: u32::from(args.retries),
    })
}

/// The deployment with this id, or the only recent one whose id begins or ends like this.
async fn find(context: &Context, wanted: &str) -> Result<DeploymentId> {
    if let Ok(id) = wanted.parse() {
        return Ok(id);
    }
    let all = context.store().await?.deployments(RECENT).await?;
    let alike: Vec<DeploymentId> = all
        .iter()
        .map(|one| one.id)
        .filter(|id| {
            let text = id.to_string();
            text.starts_with(wanted) || text.ends_with(wanted)
        })
        .collect();
    match alike.as_slice() {
        [one] => Ok(*one),
        [] => Err(
            Error::new(Kind::NotFound, format!("there is no deployment `{wanted}`"))
                .with_hint("`fleetwright deploy --list` shows them"),
        ),
        _ => Err(Error::new(
            Kind::Invalid,
            format!("`{wanted}` may be several deployments"),
        )
        .with_hint("`fleetwright deploy --list` shows them")),
    }
}
