//! `targets`: the machines that are logged in to, from wherever they are known.

use clap::Args;
use fleetwright_core::{Error, Filter, Kind, Result, Target, TargetOrigin};
use fleetwright_engine::{NoLogin, TargetGap, TargetSet, TargetWish};
use serde::Serialize;

use crate::context::Context;
use crate::exit::Exit;
use crate::output::{self, Out, count};

/// Which machines.
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct Targeting {
    /// Only these: `user@host:port`, names of nodes or targets, or `@file` with an address a line;
    /// may be given several times
    #[arg(
        long = "target",
        short = 't',
        value_name = "TARGET",
        value_delimiter = ','
    )]
    pub(crate) given: Vec<String>,
    /// Only those that match, e.g. `group=targets.edge,label.team=ml`
    #[arg(long, value_name = "FILTER")]
    pub(crate) on: Option<Filter>,
}

#[derive(Debug, Args)]
pub(crate) struct Targets {
    #[command(flatten)]
    pub(crate) targeting: Targeting,
    /// Also run the `welcome` command of its group on each machine that has not had it
    #[arg(long)]
    pub(crate) welcome: bool,
}

#[derive(Serialize)]
struct Report<'a> {
    targets: Vec<Line<'a>>,
    /// Machines that nobody can log in to, with the reason.
    unreachable: &'a [NoLogin],
    /// Places that could not be looked at.
    gaps: &'a [TargetGap],
}

#[derive(Serialize)]
struct Line<'a> {
    name: &'a str,
    /// `user@host:port`.
    address: String,
    group: Option<String>,
    node: Option<String>,
    /// What the journal or the provider said last; absent where nobody does.
    state: Option<&'a str>,
    origins: &'a [TargetOrigin],
    labels: &'a fleetwright_core::Labels,
}

impl Targeting {
    /// What to look for.
    ///
    /// # Errors
    /// `Invalid` if the filter speaks of what is not known of targets.
    pub(crate) fn wish(&self) -> Result<TargetWish> {
        let filter = self.on.clone().unwrap_or_default();
        let odd = filter.terms().iter().find(|term| {
            term.key().starts_with("metadata.") || matches!(term.key(), "zone" | "type" | "market")
        });
        if let Some(term) = odd {
            return Err(Error::new(
                Kind::Invalid,
                format!("`{}` is not known of targets", term.key()),
            )
            .with_hint(
                "a target has `name`, `address`, `group`, `origin`, `state`, `pool`, `provider`, \
                 `region`, `id` and `label.<key>`",
            ));
        }
        Ok(TargetWish {
            given: self.given.clone(),
            filter,
        })
    }

    /// Finds the machines; none at all is an error that says why.
    pub(crate) async fn find(&self, context: &Context) -> Result<TargetSet> {
        let wish = self.wish()?;
        let set = context.quiet_engine().await?.targets(&wish).await?;
        tell_gaps(context.out, &set.gaps);
        if !set.targets.is_empty() {
            return Ok(set);
        }
        if let Some(one) = set.unreachable.first() {
            return Err(Error::new(
                Kind::Unavailable,
                format!("nobody can log in to `{}`: {}", one.name, one.reason),
            )
            .with_hint("`fleetwright targets` lists them all"));
        }
        let (what, hint) = if wish.filter.is_empty() {
            (
                "there are no targets".to_owned(),
                "name one with `-t`, write `[targets.<name>]`, or make nodes: `fleetwright up`",
            )
        } else {
            (
                format!("no target matches `{}`", wish.filter),
                "`fleetwright targets` lists them all",
            )
        };
        Err(Error::new(Kind::NotFound, what).with_hint(hint))
    }
}

pub(super) async fn run(context: &Context, args: &Targets) -> Result<Exit> {
    context.say_origin();
    let wish = args.targeting.wish()?;
    let engine = context.engine().await?;
    let set = engine.targets(&wish).await?;
    let welcomes = if args.welcome {
        engine.welcome(&set.targets).await?
    } else {
        fleetwright_engine::Welcomes::default()
    };
    context.end_progress();
    tell_gaps(context.out, &set.gaps);
    if context.out.json {
        output::json(&Report {
            targets: set
                .targets
                .iter()
                .map(|target| line(&set, target))
                .collect(),
            unreachable: &set.unreachable,
            gaps: &set.gaps,
        })?;
    } else {
        let mut rows: Vec<Vec<String>> = set.targets.iter().map(|one| row(&set, one)).collect();
        rows.extend(set.unreachable.iter().map(|one| {
            vec![
                one.name.clone(),
                "-".to_owned(),
                "-".to_owned(),
                one.origin.to_string(),
                one.reason.clone(),
            ]
        }));
        if rows.is_empty() {
            context.out.note("no targets");
        } else {
            output::table(&["NAME", "ADDRESS", "GROUP", "ORIGINS", "STATE"], rows)?;
            context.out.note(&count(set.targets.len(), "target"));
        }
    }
    Ok(if welcomes.failed > 0 {
        Exit::RemoteFailed
    } else if set.gaps.is_empty() {
        Exit::Done
    } else {
        Exit::Incomplete
    })
}

/// Says which places could not be looked at.
pub(super) fn tell_gaps(out: Out, gaps: &[TargetGap]) {
    for gap in gaps {
        output::error_line(&format!(
            "not seen: {} for targets.{}: {}",
            gap.place, gap.group, gap.error
        ));
        if let Some(hint) = &gap.error.hint {
            output::hint(hint);
        }
    }
    if !gaps.is_empty() {
        out.faint("what was found there before is kept");
    }
}

/// `user@host:port`.
pub(super) fn address(target: &Target) -> String {
    fleetwright_core::TargetAddress {
        user: target.access.user.clone(),
        host: target.access.host.clone(),
        port: target.access.port,
    }
    .to_string()
}

fn line<'a>(set: &'a TargetSet, target: &'a Target) -> Line<'a> {
    Line {
        name: &target.name,
        address: address(target),
        group: target.group_label(),
        node: target.node.as_ref().map(ToString::to_string),
        state: set.state(target),
        origins: &target.origins,
        labels: &target.labels,
    }
}

fn row(set: &TargetSet, target: &Target) -> Vec<String> {
    let origins: Vec<String> = target.origins.iter().map(ToString::to_string).collect();
    vec![
        target.name.clone(),
        address(target),
        target.group_label().unwrap_or_else(|| "-".to_owned()),
        origins.join(", "),
        set.state(target).unwrap_or("-").to_owned(),
    ]
}
