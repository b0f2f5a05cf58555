//! Killed with SIGKILL once half of the nodes exist, and run again: how many are there then?

use std::path::Path;
use std::process::{Command, Stdio};

use fleetwright_core::{Error, Kind, Result};

use super::fake::{BOTO3, Fake, credentials, number};
use super::{Row, Section};
use crate::programs::Programs;
use crate::scratch::Scratch;
use crate::workspace::{Workspace, output};

/// Nodes wanted.
const SIZES: [u32; 3] = [10, 100, 1_000];
/// What the fake takes for a call, and how long it does not show what is new.
const LATENCY: &str = "80";
const LAG: &str = "500";

pub(super) fn measure(
    workspace: &Workspace,
    programs: &Programs,
    python: &Path,
) -> Result<Section> {
    let scratch = Scratch::new(workspace, programs, "bench-aws-killed")?;
    let mut rows = Vec::new();
    for size in SIZES {
        let have = ours(workspace, programs, size)?;
        // Fewer are as wrong as more.
        let off = (have - f64::from(size)).abs();
        rows.push(
            Row::told(
                format!("`fleetwright up`, {size} wanted"),
                format!("{have:.0} nodes"),
            )
            .at_most(format!("{size}"), f64::from(size) + off, f64::from(size)),
        );
        for (name, way) in [
            ("boto3, run again", "again"),
            ("boto3, its tag listed, then what is missing", "missing"),
        ] {
            let have = boto3(&scratch, programs, python, way, size)?;
            rows.push(Row::told(format!("… {name}"), format!("{have:.0} nodes")));
        }
    }
    Ok(Section {
        title: "AWS: killed and run again",
        about: format!(
            "On our fake, {LATENCY} ms per call, new instances listed after {LAG} ms. SIGKILL as \
             soon as half of the nodes exist, then the same command again at once. boto3 with one \
             call per node and 32 threads, as scripts do it. Counted by the fake. The command is the \
             one that tests use."
        ),
        rows,
    })
}

/// The nodes after our command was killed and run again.
fn ours(workspace: &Workspace, programs: &Programs, wanted: u32) -> Result<f64> {
    // A journal of its own for each size.
    let scratch = Scratch::new(workspace, programs, "bench-aws-killed-up")?;
    let fake = Fake::start(&scratch, programs, LATENCY, LAG, false)?;
    let (endpoint, image) = (&fake.endpoint, &fake.image);
    let fleet = format!(
        r#"
[providers.aws]
kind = "aws"
regions = ["us-east-1"]
endpoint = "{endpoint}"
ssh = false
listing_lag = "{LAG}ms"

[pools.web]
desired = {wanted}
image = "{image}"
candidates = [{{ provider = "aws", region = "us-east-1", zone = "us-east-1a", type = "t3.micro" }}]
"#
    );
    scratch.write("fleetwright.toml", &fleet)?;
    let up = || {
        let mut command = scratch.command("fleetwright");
        command.args(["up", "--yes"]);
        credentials(&mut command);
        command
    };
    kill_and_repeat(fake, up, wanted)
}

fn boto3(
    scratch: &Scratch,
    programs: &Programs,
    python: &Path,
    way: &str,
    wanted: u32,
) -> Result<f64> {
    let fake = Fake::start(scratch, programs, LATENCY, LAG, false)?;
    let (endpoint, image) = (fake.endpoint.clone(), fake.image.clone());
    let script = || {
        let mut command = scratch.command(python);
        command.args(["-c", BOTO3, way, &image, &wanted.to_string(), "32"]);
        command.env("AWS_ENDPOINT_URL", &endpoint);
        credentials(&mut command);
        command
    };
    kill_and_repeat(fake, script, wanted)
}

/// Starts a command, kills it once half of the nodes exist, runs it to its end, and counts.
fn kill_and_repeat(mut fake: Fake, command: impl Fn() -> Command, wanted: u32) -> Result<f64> {
    let mut first = command()
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .map_err(|e| Error::new(Kind::NotFound, "cannot start a contestant").with_source(e))?;
    let half = fake.ask(&format!("alive {}", wanted.div_ceil(2)));
    // SIGKILL, also if the fake has waited for nothing.
    first
        .kill()
        .and_then(|()| first.wait())
        .map_err(|e| Error::new(Kind::Unexpected, "it cannot be killed").with_source(e))?;
    half?;
    output(&mut command())?;
    number(&fake.ask("state")?, "instances")
}
