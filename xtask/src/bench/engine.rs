//! Planning, memory and a whole `up`: what the engine's example `measure` says about itself.

use std::path::Path;

use fleetwright_core::{Error, Kind, Result};
use serde_json::Value;

use super::{Row, Section, median};
use crate::programs::Programs;
use crate::scratch::Scratch;
use crate::workspace::{Workspace, output};

pub(super) fn plan(workspace: &Workspace, programs: &Programs) -> Result<Section> {
    let large = Large::make(workspace, programs, "bench-plan")?;
    let told = large.ask("plan")?;
    let mut times: Vec<f64> = told["milliseconds"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(Value::as_f64)
        .collect();
    let middle = median(&mut times);
    let row = Row::told(
        format!("{} nodes in {} pools", told["nodes"], told["pools"]),
        format!("{middle:.1} ms"),
    );
    let scratch = Scratch::new(workspace, programs, "bench-decide")?;
    let many = ask(programs.path("measure")?, &scratch, &["decide", "1000"])?;
    let mut decided: Vec<f64> = many["milliseconds"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(Value::as_f64)
        .collect();
    let decided = Row::told(
        format!(
            "choosing offers for {} pools among 2,880 offers",
            many["pools"]
        ),
        format!("{:.1} ms", median(&mut decided)),
    );
    Ok(Section {
        title: "Planning",
        about: format!(
            "The planner alone, median of {} runs on one observation. Every second pool wants 20 \
             nodes more, the others 20 fewer: {} steps.",
            times.len(),
            told["steps"]
        ),
        rows: vec![row.at_most("100 ms", middle, 100.0), decided],
    })
}

pub(super) fn memory(workspace: &Workspace, programs: &Programs) -> Result<Section> {
    let large = Large::make(workspace, programs, "bench-memory")?;
    let told = large.ask("look")?;
    let row = |what: &str, from: &Value| -> Result<Row> {
        let bytes = number(from, "peak_kib")? * 1024.0;
        let shown = format!("{:.0} MB", bytes / 1e6);
        Ok(Row::told(what, shown).at_most("100 MB", bytes, 100e6))
    };
    Ok(Section {
        title: "Memory",
        about: format!(
            "Peak resident memory of the process with {} nodes in 50 pools (`VmHWM`); the simulated \
             cloud is in the same process and counted too.",
            told["nodes"]
        ),
        rows: vec![
            row("observe and plan", &told)?,
            row("the whole `up` that made them", &large.made)?,
        ],
    })
}

pub(super) fn up(workspace: &Workspace, programs: &Programs, runs: usize) -> Result<Section> {
    let mut rows = Vec::new();
    for batch in [1000, 50] {
        let (mut times, mut last) = (Vec::new(), Value::Null);
        for _ in 0..runs {
            let scratch = Scratch::new(workspace, programs, "bench-up")?;
            let words = ["up", ".", &batch.to_string()];
            last = ask(programs.path("measure")?, &scratch, &words)?;
            times.push(number(&last, "milliseconds")?);
        }
        let (middle, floor) = (median(&mut times), number(&last, "floor_milliseconds")?);
        let calls: Vec<String> = last["calls"]
            .as_object()
            .into_iter()
            .flatten()
            .map(|(operation, count)| format!("{count} {operation}"))
            .collect();
        rows.push(
            Row::told(
                format!("{} nodes, {batch} per create call", last["nodes"]),
                format!("{:.2} s", middle / 1e3),
            )
            .at_most(format!("1.15 × {:.2} s", floor / 1e3), middle, floor * 1.15),
        );
        rows.push(Row::told(
            "… by the floor",
            format!("{:.3}", middle / floor),
        ));
        rows.push(Row::told("… calls", calls.join(", ")));
        rows.push(Row::told("… calls refused", last["throttled"].to_string()));
        rows.push(Row::told(
            "… of the floor, waiting for buckets",
            format!("{:.2} s", number(&last, "waiting_milliseconds")? / 1e3),
        ));
    }
    Ok(Section {
        title: "A whole `up`",
        about: format!(
            "1,000 simulated nodes in one region of two, 80 ms per call, 2 s to boot, token \
             buckets with EC2's documented sizes; journal on disk; median of {runs} runs in real \
             time. The floor is what no program can undercut: one look (list and catalog at once, \
             80 ms), waiting until the buckets let the last create call pass, the half of that \
             call before the machines exist (40 ms), their boot (2 s), and the half of the list \
             after it has seen them run (40 ms). Listings are counted per region and page, catalog \
             calls per question."
        ),
        rows,
    })
}

/// A fleet of 10,000 nodes in a folder of its own.
struct Large<'a> {
    programs: &'a Programs,
    scratch: Scratch,
    /// What making it took.
    made: Value,
}

impl<'a> Large<'a> {
    fn make(workspace: &Workspace, programs: &'a Programs, name: &str) -> Result<Self> {
        let scratch = Scratch::new(workspace, programs, name)?;
        let made = ask(programs.path("measure")?, &scratch, &["fill", "."])?;
        if made["nodes"] != 10_000 {
            return Err(Error::new(Kind::Unexpected, "there are not 10,000 nodes"));
        }
        Ok(Self {
            programs,
            scratch,
            made,
        })
    }

    fn ask(&self, what: &str) -> Result<Value> {
        ask(self.programs.path("measure")?, &self.scratch, &[what, "."])
    }
}

fn ask(program: &Path, scratch: &Scratch, words: &[&str]) -> Result<Value> {
    let said = output(scratch.command(program).args(words))?;
    serde_json::from_str(&said)
        .map_err(|e| Error::new(Kind::Unexpected, "`measure` does not say JSON").with_source(e))
}

fn number(from: &Value, key: &str) -> Result<f64> {
    from[key]
        .as_f64()
        .ok_or_else(|| Error::new(Kind::Unexpected, format!("`measure` does not say `{key}`")))
}
