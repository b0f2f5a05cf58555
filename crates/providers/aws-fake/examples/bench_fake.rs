//! The fake as a process that tells about itself: the server of `cargo xtask bench aws`.
//!
//! ```text
//!  bench_fake <latency ms> <listing lag ms> [buckets]
//!
//!  {"endpoint": "http://…", "image": "ami-…"}       the first line that it prints
//!  state   ──► {"instances": …, "calls": {…}, "leftovers": […]}
//!  alive N ──► waits until at least N instances are alive, then the same
//! ```
//! It ends when its standard input does.

#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "its output is its purpose"
)]

use std::collections::BTreeMap;
use std::io::BufRead as _;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use fleetwright_aws_fake::{Fake, FakeConfig};
use serde_json::json;

const REGION: &str = "us-east-1";
/// How long `alive` waits.
const PATIENCE: Duration = Duration::from_mins(2);

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    match run(&words) {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("error: {message}");
            ExitCode::FAILURE
        }
    }
}

fn run(words: &[String]) -> Result<(), String> {
    let [latency, lag, rest @ ..] = words else {
        return Err("what is needed: <latency ms> <listing lag ms> [buckets]".to_owned());
    };
    let fake = Fake::start(FakeConfig {
        regions: vec![REGION.to_owned()],
        latency: milliseconds(latency)?,
        listing_lag: milliseconds(lag)?,
        buckets: rest.iter().any(|word| word == "buckets"),
        ..FakeConfig::default()
    })
    .map_err(|e| e.to_string())?;
    let image = fake.images(REGION).into_iter().next();
    println!("{}", json!({ "endpoint": fake.endpoint(), "image": image }));
    for line in std::io::stdin().lock().lines() {
        let line = line.map_err(|e| e.to_string())?;
        match line.split_whitespace().collect::<Vec<_>>()[..] {
            ["state"] => {}
            ["alive", wanted] => wait(&fake, number(wanted)?)?,
            _ => return Err(format!("`{line}` is neither `state` nor `alive N`")),
        }
        println!("{}", state(&fake));
    }
    Ok(())
}

fn wait(fake: &Fake, wanted: u64) -> Result<(), String> {
    let started = Instant::now();
    while (fake.instances().len() as u64) < wanted {
        if started.elapsed() > PATIENCE {
            return Err(format!("there are never {wanted} instances"));
        }
        #[expect(
            clippy::disallowed_methods,
            reason = "this thread has nothing else to do, and the fake has one of its own"
        )]
        std::thread::sleep(Duration::from_millis(1));
    }
    Ok(())
}

fn state(fake: &Fake) -> serde_json::Value {
    let mut calls: BTreeMap<String, usize> = BTreeMap::new();
    for call in fake.calls() {
        *calls.entry(call.action).or_default() += 1;
    }
    json!({
        "instances": fake.instances().len(),
        "calls": calls,
        "leftovers": fake.leftovers(),
    })
}

fn milliseconds(text: &str) -> Result<Duration, String> {
    number(text).map(Duration::from_millis)
}

fn number(text: &str) -> Result<u64, String> {
    text.parse().map_err(|_| format!("`{text}` is no number"))
}
