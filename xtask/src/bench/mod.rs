//! `cargo xtask bench`: what was promised, measured on this machine.
//!
//! | file | what |
//! |---|---|
//! | `start` | how much processor time a command takes that has little to do |
//! | `engine` | planning, memory and a whole `up`, by the engine's example `measure` |
//! | `offers` | asking a stored catalog, as a whole process and inside it |
//! | `exec` | commands on nodes, against OpenSSH's client |
//! | `ssh`, `endpoints` | probing a thousand SSH servers, against everybody |
//! | `aws`, `killed` | AWS, against boto3 on the same server |
//! | `canned`, `fake` | the servers for that |
//! | `process` | how processor time is counted |
//! | `page` | docs/reference/benchmarks.md |
//!
//! Whatever is compared is measured in one run, in turns. Not part of CI: other machines, and
//! neighbors on the same one, give other numbers.

mod aws;
mod canned;
mod endpoints;
mod engine;
mod exec;
mod fake;
mod killed;
mod offers;
mod page;
mod process;
mod ssh;
mod start;

use std::process::ExitCode;

use clap::{Args, ValueEnum};
use fleetwright_core::{Error, Kind, Result};

use crate::peers::moto;
use crate::programs::{AWS, MINIMAL, OURS, Programs};
use crate::workspace::Workspace;

/// What is measured and how.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// Fewer repetitions.
    #[arg(long)]
    quick: bool,
    /// Write what was measured into docs/reference/benchmarks.md.
    #[arg(long, conflicts_with = "quick")]
    write: bool,
    /// Only these.
    #[arg(value_name = "NAME")]
    only: Vec<Name>,
}

/// The benchmarks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Name {
    /// Processor time of commands that have little to do.
    Start,
    /// The planner alone.
    Plan,
    /// A whole `up` against the limits of a cloud.
    Up,
    /// Peak memory of a large fleet.
    Memory,
    /// Asking a stored catalog of 120,000 offers.
    Offers,
    /// A command on many nodes, against OpenSSH.
    Exec,
    /// Probing a thousand SSH servers, against OpenSSH, parallel-ssh and Ansible.
    Ssh,
    /// Listing, creating and being killed on AWS, against boto3. Builds the SDK, which takes long.
    Aws,
}

/// A benchmark's part of the report.
struct Section {
    title: &'static str,
    /// What was done, for whoever wants to judge the numbers.
    about: String,
    rows: Vec<Row>,
}

/// A number.
struct Row {
    what: String,
    measured: String,
    /// What was promised; absent for what is only there to compare with.
    goal: Option<Goal>,
}

/// What was promised, and how much of it was used.
struct Goal {
    text: String,
    /// Measured value by allowed value: the goal is met up to 1.
    share: f64,
}

impl Row {
    /// A number to compare with.
    fn told(what: impl Into<String>, measured: impl Into<String>) -> Self {
        Self {
            what: what.into(),
            measured: measured.into(),
            goal: None,
        }
    }

    /// A number that must not be above another.
    fn at_most(mut self, text: impl Into<String>, measured: f64, allowed: f64) -> Self {
        self.goal = Some(Goal {
            text: text.into(),
            share: measured / allowed,
        });
        self
    }
}

impl Goal {
    fn is_met(&self) -> bool {
        self.share <= 1.0
    }

    fn verdict(&self) -> &'static str {
        if self.is_met() { "met" } else { "MISSED" }
    }
}

/// Measures, prints, and fails if a goal is missed.
pub(crate) fn run(workspace: &Workspace, options: &Options) -> Result<ExitCode> {
    let mut names = Name::value_variants().to_vec();
    names.retain(|name| options.only.is_empty() || options.only.contains(name));
    println!("building the release");
    // Whoever wants only AWS need not wait for the others.
    let ours = if names == [Name::Aws] { &[] } else { OURS };
    let programs = Programs::build_release(workspace, ours)?;
    let quick = options.quick;
    let runs = |quickly, thoroughly| if quick { quickly } else { thoroughly };
    let mut sections = Vec::new();
    // Shown as they come: some take minutes.
    let mut add = |section: Section| {
        print(&section);
        sections.push(section);
    };
    for name in names {
        match name {
            Name::Start => add(start::measure(workspace, &programs, runs(10, 50))?),
            Name::Plan => add(engine::plan(workspace, &programs)?),
            Name::Up => add(engine::up(workspace, &programs, runs(1, 5))?),
            Name::Memory => add(engine::memory(workspace, &programs)?),
            Name::Offers => add(offers::measure(workspace, &programs, runs(5, 30))?),
            Name::Exec => add(exec::measure(workspace, &programs, runs(2, 7))?),
            Name::Ssh => add(against_everybody(workspace, &programs, runs(1, 5))?),
            Name::Aws => against_boto3(workspace, runs(2, 7), &mut add)?,
        }
    }
    let goals = || sections.iter().flat_map(|s| &s.rows).flat_map(|r| &r.goal);
    let (all, met) = (
        goals().count(),
        goals().filter(|goal| goal.is_met()).count(),
    );
    println!("\n{met} of {all} goals met");
    if options.write {
        let path = workspace.root.join(page::PATH);
        // Without a page every section is new.
        let old = std::fs::read_to_string(&path).unwrap_or_default();
        std::fs::write(&path, page::text(&old, &page::Machine::look()?, &sections)).map_err(
            |e| {
                Error::new(Kind::Unexpected, format!("cannot write `{}`", page::PATH))
                    .with_source(e)
            },
        )?;
        println!("wrote {}", page::PATH);
    }
    Ok(if met == all {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// The section on SSH, whose minimal client is built for it.
fn against_everybody(workspace: &Workspace, programs: &Programs, runs: usize) -> Result<Section> {
    let minimal = Programs::build_release(workspace, MINIMAL)?;
    ssh::measure(workspace, &programs.clone().replaced_by(minimal), runs)
}

/// The sections on AWS. The command is the one that tests use: it has every provider.
fn against_boto3(workspace: &Workspace, runs: usize, add: &mut dyn FnMut(Section)) -> Result<()> {
    let python = moto::python(workspace).map_err(|why| {
        Error::new(
            Kind::NotFound,
            "there is no Python with boto3 to compare with",
        )
        .with_source(why)
    })?;
    let released = Programs::build_release(workspace, AWS)?;
    let programs = Programs::build(workspace)?.replaced_by(released);
    add(aws::list(workspace, &programs, &python, runs)?);
    add(aws::create(workspace, &programs, &python, runs)?);
    add(killed::measure(workspace, &programs, &python)?);
    Ok(())
}

fn print(section: &Section) {
    println!("\n{}", section.title);
    for row in &section.rows {
        let goal = row.goal.as_ref().map_or_else(String::new, |goal| {
            format!("  {} ({:.2} of {})", goal.verdict(), goal.share, goal.text)
        });
        println!("  {:<48} {:>10}{goal}", row.what, row.measured);
    }
}

/// The middle one, or the mean of the two in the middle; not a number if there is none.
fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    let half = values.len() / 2;
    match (values.get(half), values.len() % 2) {
        (None, _) => f64::NAN,
        (Some(middle), 1) => *middle,
        (Some(upper), _) => f64::midpoint(values[half - 1], *upper),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_goal_is_met_up_to_its_very_value() {
        let goal = |measured| {
            Row::told("a", "b")
                .at_most("10", measured, 10.0)
                .goal
                .unwrap()
        };
        assert!(goal(10.0).is_met());
        assert!(!goal(10.1).is_met());
        assert!(!goal(f64::NAN).is_met());
    }

    #[test]
    fn the_median_is_in_the_middle() {
        assert!((median(&mut [3.0, 1.0, 2.0]) - 2.0).abs() < 1e-9);
        assert!((median(&mut [4.0, 1.0, 2.0, 3.0]) - 2.5).abs() < 1e-9);
        assert!(median(&mut []).is_nan());
    }
}
