//! How much processor time a command takes that has little to do.

use fleetwright_core::{Error, Kind, Result};

use super::process::cost;
use super::{Row, Section, median};
use crate::programs::Programs;
use crate::scratch::Scratch;
use crate::workspace::{Workspace, output};

const FLEET: &str = r#"
[providers.sim]
kind = "sim"
latency = "0s"
boot_time = "0s"

[pools.web]
desired = 1000
candidates = [{ provider = "sim", type = "sim.small" }]
"#;

pub(super) fn measure(workspace: &Workspace, programs: &Programs, runs: usize) -> Result<Section> {
    let scratch = Scratch::new(workspace, programs, "bench-start")?;
    scratch.write("nothing.rs", "fn main() {}\n")?;
    let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let mut compiler = std::process::Command::new(rustc);
    compiler.args(["-O", "nothing.rs", "-o", "nothing"]);
    output(compiler.current_dir(scratch.folder()))?;
    scratch.write("fleetwright.toml", FLEET)?;
    output(scratch.command("fleetwright").args(["up", "--yes"]))?;
    let listed = output(scratch.command("fleetwright").args(["nodes", "--json"]))?;
    let listed: serde_json::Value = serde_json::from_str(&listed)
        .map_err(|e| Error::new(Kind::Unexpected, "`nodes` is not JSON").with_source(e))?;
    if listed["nodes"].as_array().map(Vec::len) != Some(1000) {
        return Err(Error::new(Kind::Unexpected, "there are not 1,000 nodes"));
    }

    let nothing = scratch.folder().join("nothing");
    let (mut nothings, mut versions, mut lists) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..runs {
        nothings.push(cost(&mut scratch.command(&nothing))?.cpu);
        versions.push(cost(scratch.command("fleetwright").arg("--version"))?.cpu);
        lists.push(cost(scratch.command("fleetwright").arg("nodes"))?.cpu);
    }
    let row = |what: &str, values: &mut [f64]| {
        let middle = median(values);
        (Row::told(what, format!("{middle:.1} ms")), middle)
    };
    let (nothing, _) = row("a Rust program that does nothing", &mut nothings);
    let (version, version_ms) = row("`fleetwright --version`", &mut versions);
    let (list, list_ms) = row("`fleetwright nodes`, 1,000 nodes stored", &mut lists);
    Ok(Section {
        title: "Process start",
        about: format!(
            "User and system time of the process, median of {runs} runs in turns, output to a pipe."
        ),
        rows: vec![
            nothing,
            version.at_most("8 ms", version_ms, 8.0),
            list.at_most("25 ms", list_ms, 25.0),
        ],
    })
}
