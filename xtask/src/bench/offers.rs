//! Offers: 8 H100s out of a stored catalog of 120,000 offers, as a whole process and inside it.

use fleetwright_core::{Error, Kind, Result};
use serde_json::Value;

use super::process::cost_and_output;
use super::{Row, Section, median};
use crate::programs::Programs;
use crate::scratch::Scratch;
use crate::workspace::{Workspace, output};

/// The clouds that `measure` stores catalogs of.
const FLEET: &str = r#"
[providers.cloud-a]
kind = "sim"

[providers.cloud-b]
kind = "sim"

[providers.cloud-c]
kind = "sim"

[providers.cloud-d]
kind = "sim"
"#;
/// Where the command looks for them.
const FOLDER: &str = ".local/state/fleetwright/default/offers";

pub(super) fn measure(workspace: &Workspace, programs: &Programs, runs: usize) -> Result<Section> {
    let scratch = Scratch::new(workspace, programs, "bench-offers")?;
    scratch.write("fleetwright.toml", FLEET)?;
    let measured = |what: &str| -> Result<Value> {
        let mut command = scratch.command(programs.path("measure")?);
        read(&output(command.args([what, FOLDER]))?)
    };
    let stored = measured("catalog")?;
    let words = ["offers", "--gpu", "H100:8"];
    let mut whole = Vec::new();
    for _ in 0..runs {
        let (cost, text) = cost_and_output(scratch.command("fleetwright").args(words))?;
        if !text.contains("8 x H100 80GB") {
            return Err(Error::new(Kind::Unexpected, "`offers` found nothing"));
        }
        whole.push(cost.cpu);
    }
    let asked = output(scratch.command("fleetwright").args(words).arg("--json"))?;
    let asked = read(&asked)?;
    if asked["of"] != stored["rows"] || asked["sources"][0]["asked"] != false {
        return Err(Error::new(
            Kind::Unexpected,
            "`offers` did not use what is stored",
        ));
    }
    let inside = measured("offers")?;
    let middle = |key: &str| {
        let values = inside[key].as_array().into_iter().flatten();
        median(&mut values.filter_map(Value::as_f64).collect::<Vec<_>>())
    };
    let (process, query) = (median(&mut whole), middle("query_milliseconds"));
    let (everything, scan) = (
        middle("everything_milliseconds"),
        middle("scan_milliseconds"),
    );
    Ok(Section {
        title: "Offers",
        about: format!(
            "`fleetwright offers --gpu H100:8` on stored catalogs of four clouds, {} offers in {:.1} \
             MB, nobody asked: user and system time of the whole process, median of {runs} runs. The \
             query alone is timed in one process, in turns with a plain scan over the same offers \
             that sorts what it finds.",
            stored["rows"],
            stored["bytes"].as_f64().unwrap_or(f64::NAN) / 1e6,
        ),
        rows: vec![
            Row::told("the whole process", format!("{process:.1} ms"))
                .at_most("40 ms", process, 40.0),
            Row::told(
                "reading the catalogs",
                format!("{:.2} ms", middle("read_milliseconds")),
            ),
            Row::told("the query", format!("{query:.3} ms")).at_most("1 ms", query, 1.0),
            Row::told("… by a plain scan", format!("{:.3}", query / scan)),
            Row::told("the cheapest of all offers", format!("{everything:.3} ms"))
                .at_most("1 ms", everything, 1.0),
            Row::told("a plain scan", format!("{scan:.2} ms")),
        ],
    })
}

fn read(text: &str) -> Result<Value> {
    serde_json::from_str(text)
        .map_err(|e| Error::new(Kind::Unexpected, "that is no JSON").with_source(e))
}
