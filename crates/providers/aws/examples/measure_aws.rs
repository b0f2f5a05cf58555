//! What this provider costs: one of the contestants of `cargo xtask bench aws`.
//!
//! ```text
//!  measure_aws list <endpoint>                    lists whatever there is, strangers too
//!  measure_aws create <endpoint> <image> <count>  makes so many machines in one zone
//! ```
//! Prints one JSON object. Credentials come from the environment.

#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "its output is its purpose"
)]

use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use fleetwright_aws::{AwsConfig, AwsProvider};
use fleetwright_core::{
    ClaimId, Clock, Coverage, CreateRequest, Error, Kind, Labels, ListRequest, Market, NodeSpec,
    Provider, Result, Token,
};
use jiff::Timestamp;
use serde_json::{Map, Value, json};

const REGION: &str = "us-east-1";

/// That of the command.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let measured = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|e| Error::new(Kind::Unexpected, "the runtime cannot be started").with_source(e))
        .and_then(|runtime| runtime.block_on(run(&words)));
    match measured {
        Ok(value) => {
            println!("{value}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("error: {}", error.report());
            ExitCode::FAILURE
        }
    }
}

async fn run(words: &[&str]) -> Result<Value> {
    match words {
        ["list", endpoint] => list(&provider(endpoint)?).await,
        ["create", endpoint, image, count] => {
            let count = count
                .parse()
                .map_err(|e| Error::new(Kind::Invalid, "no number").with_source(e))?;
            create(&provider(endpoint)?, image, count).await
        }
        _ => Err(Error::new(
            Kind::Invalid,
            "one of: `list <endpoint>`, `create <endpoint> <image> <count>`",
        )),
    }
}

fn provider(endpoint: &str) -> Result<AwsProvider> {
    let config = AwsConfig {
        regions: vec![REGION.to_owned()],
        endpoint: Some(endpoint.to_owned()),
        ..AwsConfig::default()
    };
    AwsProvider::new("aws", config, Arc::new(RealClock))
}

async fn list(provider: &AwsProvider) -> Result<Value> {
    let everything = ListRequest {
        foreign: true,
        ..ListRequest::default()
    };
    let started = Instant::now();
    let listing = provider.list(&everything).await?;
    let took = started.elapsed();
    if listing.coverage != Coverage::Complete {
        return Err(Error::new(Kind::Unexpected, "the listing is not complete"));
    }
    told(listing.nodes.len(), took)
}

async fn create(provider: &AwsProvider, image: &str, count: u32) -> Result<Value> {
    let mut request = CreateRequest {
        count,
        spec: NodeSpec {
            name: "measured".to_owned(),
            instance_type: "t3.micro".to_owned(),
            image: Some(image.to_owned()),
            region: REGION.to_owned(),
            zone: Some(format!("{REGION}a")),
            market: Market::OnDemand,
            ssh_keys: Vec::new(),
            user_data: None,
            labels: Labels::new(),
            options: Map::new(),
        },
        token: Token::from_stored(String::new()),
        replay: false,
        host_key: None,
    };
    request.token = Token::new(ClaimId::new(), 0, &request.parameters());
    let started = Instant::now();
    let created = provider.create(&request).await?;
    told(created.nodes.len(), started.elapsed())
}

fn told(nodes: usize, took: Duration) -> Result<Value> {
    Ok(json!({
        "nodes": nodes,
        "milliseconds": took.as_secs_f64() * 1e3,
        "peak_kib": peak_kib()?,
    }))
}

/// The most memory that this process ever had, as the kernel counts it.
fn peak_kib() -> Result<u64> {
    let unknown = |what: &str| Error::new(Kind::Unsupported, format!("peak memory: {what}"));
    let status = std::fs::read_to_string("/proc/self/status")
        .map_err(|e| unknown("no `/proc/self/status`").with_source(e))?;
    status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))
        .and_then(|rest| rest.trim().trim_end_matches(" kB").trim().parse().ok())
        .ok_or_else(|| unknown("no `VmHWM`"))
}

/// Real time: it is what is measured.
#[derive(Debug)]
struct RealClock;

#[async_trait]
impl Clock for RealClock {
    #[expect(
        clippy::disallowed_methods,
        reason = "this is the clock that is handed in"
    )]
    fn now(&self) -> Timestamp {
        Timestamp::now()
    }

    async fn sleep(&self, duration: Duration) {
        tokio::time::sleep(duration).await;
    }
}
