//! What the engine costs: the part of `cargo xtask bench` that happens inside one process.
//!
//! ```text
//!  measure fill <folder>    makes 10,000 simulated nodes in 50 pools: a journal and a cloud
//!  measure look <folder>    observes and plans them in a fresh process; peak memory
//!  measure plan <folder>    times the planner alone on what was observed
//!  measure decide <pools>   times the planner on so many pools, three clouds and every strategy
//!  measure sizes            times the decisions on the sizes of 1,000 pools by their policies
//!  measure up <folder> <n>  1,000 nodes, 80 ms per call, EC2's buckets, n machines per create call
//!  measure catalog <folder>   stores catalogs with 120,000 offers there
//!  measure offers <folder>    times reading and asking them, against a plain scan
//! ```
//! Each prints one JSON object. The simulated cloud is part of the process, and its memory and
//! time are counted too.

#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "its output is its purpose"
)]

#[path = "measure/offers.rs"]
mod offers;
#[path = "measure/sizes.rs"]
mod sizes;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use fleetwright_core::{
    Action, Billing, Clock, Coverage, Error, HourlyPrice, Idempotency, Kind, LimitUnit, Operation,
    Pool, Provider, ProviderInfo, Purpose, Result, Span,
};
use fleetwright_engine::{
    Approval, CatalogView, ConvergeOptions, Engine, Fleet, Guarded, Observation, PlanOptions,
    Policy, Recorder, Seen, Standing, SystemClock, plan,
};
use fleetwright_sim::{SimConfig, SimProvider, SimRegion, SimType, World};
use fleetwright_store::Store;
use serde_json::{Value, json};

const POOLS: u32 = 50;
const NODES_PER_POOL: u32 = 200;
/// Nodes of the timed `up`.
const FLEET: u32 = 1000;
const LATENCY: Duration = Duration::from_millis(80);
const BOOT: Duration = Duration::from_secs(2);

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
        ["fill", folder] => fill(Path::new(folder)).await,
        ["look", folder] => look(Path::new(folder)).await,
        ["plan", folder] => time_plan(Path::new(folder)).await,
        ["decide", pools] => {
            let pools = pools
                .parse()
                .map_err(|e| Error::new(Kind::Invalid, "no number").with_source(e))?;
            time_decisions(pools)
        }
        ["sizes"] => sizes::time(),
        ["up", folder, batch] => {
            let batch = batch
                .parse()
                .map_err(|e| Error::new(Kind::Invalid, "no number").with_source(e))?;
            up(Path::new(folder), batch).await
        }
        ["catalog", folder] => offers::fill(Path::new(folder)),
        ["offers", folder] => offers::ask(Path::new(folder)),
        _ => Err(Error::new(
            Kind::Invalid,
            "one of: `fill <folder>`, `look <folder>`, `plan <folder>`, `decide <pools>`, `sizes`, \
             `up <folder> <batch>`, `catalog <folder>`, `offers <folder>`",
        )),
    }
}

// === the large fleet ===

async fn fill(folder: &Path) -> Result<Value> {
    let (engine, _) = open(folder, idle_cloud(), large_fleet(0)?).await?;
    let started = Instant::now();
    let outcome = engine.converge(&options()).await?;
    let seconds = started.elapsed().as_secs_f64();
    reached(&outcome.standing)?;
    engine.store().close().await;
    Ok(json!({
        "nodes": outcome.observation.records.len(),
        "seconds": seconds,
        "peak_kib": peak_kib()?,
    }))
}

async fn look(folder: &Path) -> Result<Value> {
    let (engine, _) = open(folder, idle_cloud(), large_fleet(20)?).await?;
    let empty_kib = peak_kib()?;
    let started = Instant::now();
    let (plan, observation) = engine
        .plan(Purpose::Converge, &PlanOptions::default())
        .await?;
    Ok(json!({
        "nodes": observation.records.len(),
        "steps": plan.steps.len(),
        "milliseconds": started.elapsed().as_secs_f64() * 1e3,
        "before_kib": empty_kib,
        "peak_kib": peak_kib()?,
    }))
}

/// Every second pool wants 20 nodes more than there are, the others 20 fewer.
async fn time_plan(folder: &Path) -> Result<Value> {
    let fleet = large_fleet(20)?;
    let (engine, _) = open(folder, idle_cloud(), fleet.clone()).await?;
    let observation = engine.observe_with_catalogs().await?;
    let mut milliseconds = Vec::new();
    let mut steps = 0;
    for _ in 0..30 {
        let started = Instant::now();
        let made = plan(
            &fleet,
            &observation,
            Purpose::Converge,
            &PlanOptions::default(),
        );
        milliseconds.push(started.elapsed().as_secs_f64() * 1e3);
        steps = made.steps.len();
    }
    Ok(json!({
        "nodes": observation.records.len(),
        "pools": fleet.pools.len(),
        "steps": steps,
        "milliseconds": milliseconds,
    }))
}

/// Pools of every strategy, in turn, each short of eight machines; three clouds with four regions
/// of three zones each and 40 types on both markets: 2,880 offerings.
fn time_decisions(pools: u32) -> Result<Value> {
    let strategies = [
        json!("priority"),
        json!("cost"),
        json!(["availability", "cost"]),
        json!("round-robin"),
        json!([{ "spread": "zones", "max_skew": 1 }, "cost"]),
    ];
    let mut fleet = Fleet {
        name: "measured".to_owned(),
        ..Fleet::default()
    };
    for (at, strategy) in (0..pools).zip(strategies.iter().cycle()) {
        let wanted = json!({
            "desired": 8,
            "strategy": strategy,
            "requirements": { "vcpus": 8, "regions": ["eu-*", "us-1"] },
            "max_price": "$2.00/h",
        });
        let pool: Pool = serde_json::from_value(wanted)
            .map_err(|e| Error::new(Kind::Unexpected, "that is no pool").with_source(e))?;
        fleet.pools.insert(format!("pool-{at:04}"), pool);
    }
    let observation = Observation {
        providers: ["one", "two", "three"].map(cloud).into_iter().collect(),
        ..Observation::default()
    };
    let mut milliseconds = Vec::new();
    let (mut steps, mut machines) = (0, 0);
    for _ in 0..10 {
        let started = Instant::now();
        let made = plan(
            &fleet,
            &observation,
            Purpose::Converge,
            &PlanOptions::default(),
        );
        milliseconds.push(started.elapsed().as_secs_f64() * 1e3);
        steps = made.steps.len();
        let counts = made.steps.iter().map(|step| match &step.action {
            Action::Create { count, .. } => *count,
            _ => 0,
        });
        machines = counts.sum();
    }
    if machines != pools * 8 {
        return Err(Error::new(Kind::Unexpected, "not every pool has its plan"));
    }
    Ok(json!({
        "pools": pools,
        "steps": steps,
        "milliseconds": milliseconds,
    }))
}

/// A cloud that was looked at, with its catalog.
fn cloud(name: &str) -> (String, Seen) {
    let config = SimConfig {
        regions: ["eu-1", "eu-2", "us-1", "us-2"]
            .map(|region| {
                let zones = ["a", "b", "c"].map(|zone| format!("{region}{zone}"));
                let zones: Vec<&str> = zones.iter().map(String::as_str).collect();
                SimRegion::new(region, &zones)
            })
            .into(),
        types: (1..=40_u32)
            .map(|size| SimType {
                name: format!("type-{size:02}"),
                vcpus: size,
                memory_mib: u64::from(size) * 4096,
                architecture: "x86_64".to_owned(),
                gpus: 0,
                gpu_model: None,
                gpu_memory_mib: None,
                regions: Vec::new(),
                price: HourlyPrice::usd_micros(u64::from(size) * 60_000),
                spot_price: None,
            })
            .collect(),
        ..SimConfig::default()
    };
    let types = config.types.iter().map(SimType::instance_type).collect();
    let info = ProviderInfo {
        name: name.to_owned(),
        kind: "sim".to_owned(),
        account: name.to_owned(),
        regions: config
            .regions
            .iter()
            .map(|region| region.name.clone())
            .collect(),
        idempotency: Idempotency::NativeToken,
        listing_lag: Duration::ZERO,
        batch: 100,
        user_data_limit: 16_384,
        reports_boot: true,
        has_ssh: false,
        billing: Billing::per_second(0),
        plants_host_keys: false,
        limits: Vec::new(),
    };
    let seen = Seen {
        catalog: Some(CatalogView::new(types, config.offerings())),
        ..Seen::new(info, Vec::new(), Coverage::Complete)
    };
    (name.to_owned(), seen)
}

/// A cloud that answers at once and boots at once.
fn idle_cloud() -> SimConfig {
    SimConfig {
        latency: Span(Duration::ZERO),
        boot_time: Span(Duration::ZERO),
        ..SimConfig::default()
    }
}

fn large_fleet(change: u32) -> Result<Fleet> {
    let pools = (0..POOLS).map(|at| {
        let desired = if at % 2 == 0 {
            NODES_PER_POOL + change
        } else {
            NODES_PER_POOL - change
        };
        (format!("pool-{at:02}"), desired)
    });
    fleet(pools)
}

// === the timed `up` ===

async fn up(folder: &Path, batch: u32) -> Result<Value> {
    let config = SimConfig {
        latency: Span(LATENCY),
        boot_time: Span(BOOT),
        batch,
        api_limits: SimConfig::ec2_limits(),
        ..SimConfig::default()
    };
    let floor = floor(&config);
    let wanted = fleet([("web".to_owned(), FLEET)].into_iter())?;
    let (engine, world) = open(folder, config, wanted).await?;
    let started = Instant::now();
    let outcome = engine.converge(&options()).await?;
    let took = started.elapsed();
    reached(&outcome.standing)?;
    let live = world.live_nodes()?.len();
    let mut calls = BTreeMap::new();
    for (operation, count) in world.call_counts()? {
        calls.insert(operation.as_str(), count.made);
    }
    Ok(json!({
        "nodes": live,
        "batch": batch,
        "milliseconds": took.as_secs_f64() * 1e3,
        "floor_milliseconds": floor.whole.as_secs_f64() * 1e3,
        "calls": calls,
        "throttled": world.throttled()?,
        "waiting_milliseconds": floor.waiting.as_secs_f64() * 1e3,
    }))
}

/// What cannot be undercut.
struct Floor {
    whole: Duration,
    /// The part of it that is waiting for buckets.
    waiting: Duration,
}

/// The least time that any program needs, one thing after the other: a look (list and catalog at
/// once), because nobody may buy before looking; waiting until the buckets let the last create
/// call pass; that call; the boot; and the list that shows the machines running. Machines are made
/// in the middle of their call, so its second half runs into the boot; and a list shows what is
/// true in its middle, so its first half does, too.
fn floor(config: &SimConfig) -> Floor {
    let creates = FLEET.div_ceil(config.batch);
    let mut waiting = Duration::ZERO;
    for limit in &config.api_limits {
        if !limit.operations.contains(&Operation::Create) {
            continue;
        }
        let tokens = match limit.unit {
            LimitUnit::Calls => creates,
            LimitUnit::Machines => FLEET,
        };
        let beyond = tokens.saturating_sub(limit.burst);
        waiting = waiting.max(Duration::from_mins(1) * beyond / limit.per_minute);
    }
    // The look, the first half of the create call, the second half of the list.
    Floor {
        whole: LATENCY + waiting + LATENCY / 2 + BOOT + LATENCY / 2,
        waiting,
    }
}

// === what both need ===

async fn open(folder: &Path, config: SimConfig, fleet: Fleet) -> Result<(Engine, World)> {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let cloud: PathBuf = folder.join("world");
    let sim = SimProvider::new("sim", config, cloud, Arc::clone(&clock))?;
    let world = sim.world();
    let store = Store::open(&folder.join("journal.db")).await?;
    let recorder = Arc::new(Recorder::new(store.clone(), Arc::clone(&clock), Vec::new()));
    let guarded: Arc<dyn Provider> = Arc::new(Guarded::new(
        Arc::new(sim),
        Policy::default(),
        Arc::clone(&clock),
        Some(Arc::clone(&recorder)),
        Some(store.clone()),
    ));
    let providers = BTreeMap::from([("sim".to_owned(), guarded)]);
    let engine = Engine::new(fleet, providers, store, None, clock, recorder);
    Ok((engine, world))
}

fn fleet(pools: impl Iterator<Item = (String, u32)>) -> Result<Fleet> {
    let pool = |desired: u32| -> Result<Pool> {
        let wanted = json!({
            "desired": desired,
            "candidates": [{ "provider": "sim", "region": "sim-east", "type": "sim.small" }],
        });
        serde_json::from_value(wanted)
            .map_err(|e| Error::new(Kind::Unexpected, "that is no pool").with_source(e))
    };
    Ok(Fleet {
        name: "measured".to_owned(),
        pools: pools
            .map(|(name, desired)| Ok((name, pool(desired)?)))
            .collect::<Result<_>>()?,
        ..Fleet::default()
    })
}

fn options() -> ConvergeOptions {
    ConvergeOptions {
        purpose: Purpose::Converge,
        deadline: Duration::from_mins(10),
        approval: Approval::Everything,
        plan: PlanOptions::default(),
        holder: "measure".to_owned(),
    }
}

fn reached(standing: &Standing) -> Result<()> {
    match standing {
        Standing::Reached => Ok(()),
        other => Err(Error::new(
            Kind::Unexpected,
            format!("the fleet did not come up: {other:?}"),
        )),
    }
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
