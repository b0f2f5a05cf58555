//! Runs the fake until it is killed, for trying by hand and for benchmarks.
//!
//! ```text
//! fleetwright-aws-fake [--port N] [--instances N] [--region NAME]... [--latency MILLISECONDS]
//!                      [--buckets] [--checks]
//! ```
//!
//! It prints its endpoint, then waits. `--instances` starts with that many, all in the first
//! region.

use std::io::Write as _;
use std::process::ExitCode;
use std::time::Duration;

use fleetwright_aws_fake::{Fake, FakeConfig};

fn main() -> ExitCode {
    let outcome = read(std::env::args().skip(1)).and_then(|wanted| run(&wanted));
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            // If stderr is closed there is nobody left to tell.
            let _: std::io::Result<()> = writeln!(std::io::stderr(), "{message}");
            ExitCode::FAILURE
        }
    }
}

#[derive(Debug, Default)]
struct Wanted {
    port: u16,
    instances: u32,
    config: FakeConfig,
}

fn read(mut arguments: impl Iterator<Item = String>) -> Result<Wanted, String> {
    let mut wanted = Wanted::default();
    // Nobody asks a running program for violations; `--checks` prices them in for measurements.
    wanted.config.checks = false;
    let mut regions = Vec::new();
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "--buckets" => {
                wanted.config.buckets = true;
                continue;
            }
            "--checks" => {
                wanted.config.checks = true;
                continue;
            }
            _ => {}
        }
        let value = arguments
            .next()
            .ok_or_else(|| format!("`{argument}` needs a value"))?;
        let no_number = |_| format!("`{value}` is not a number that `{argument}` can take");
        match argument.as_str() {
            "--port" => wanted.port = value.parse().map_err(no_number)?,
            "--instances" => wanted.instances = value.parse().map_err(no_number)?,
            "--latency" => {
                wanted.config.latency = Duration::from_millis(value.parse().map_err(no_number)?);
            }
            "--region" => regions.push(value),
            _ => return Err(format!("unknown argument `{argument}`")),
        }
    }
    if !regions.is_empty() {
        wanted.config.regions = regions;
    }
    Ok(wanted)
}

fn run(wanted: &Wanted) -> Result<(), String> {
    let fake = Fake::start_at(wanted.port, wanted.config.clone()).map_err(|e| e.to_string())?;
    if let Some(region) = wanted.config.regions.first() {
        for number in 0..wanted.instances {
            let name = format!("node-{number}");
            fake.add_instance(region, &[("Name", &name), ("filled", "true")])
                .ok_or("the region refuses the instances")?;
        }
    }
    let mut stdout = std::io::stdout();
    writeln!(stdout, "{}", fake.endpoint())
        .and_then(|()| stdout.flush())
        .map_err(|e| e.to_string())?;
    loop {
        std::thread::park();
    }
}
