//! Several simulated clouds at once, each with its own trouble, in virtual time.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use fleetwright_core::{
    Action, ApiLimit, Candidate, ClaimId, Clock, CreateRequest, Kind, LimitUnit, ListRequest,
    Market, NodeRecord, NodeSpec, Operation, Pool, Provider, Purpose, Span, Token, fingerprint,
};
use fleetwright_engine::{Engine, Guarded, PlanOptions, Policy, Recorder, Standing};
use fleetwright_sim::{SimCapacity, SimConfig, SimFaults, SimProvider, SimRegion, World};
use fleetwright_store::Store;
use futures::join;
use tempfile::TempDir;

use crate::bed::{fleet, options};
use crate::virtual_clock::VirtualClock;

const GPU: &str = "sim.h100x8";
/// Create calls per minute at the cloud that throttles.
const PER_MINUTE: u32 = 15;

/// Three clouds in trouble, and the time that passes in them.
struct Sky {
    folder: TempDir,
    clock: VirtualClock,
    clouds: BTreeMap<&'static str, SimConfig>,
}

impl Sky {
    fn new(clouds: impl IntoIterator<Item = (&'static str, SimConfig)>) -> Self {
        Self {
            folder: tempfile::tempdir().unwrap(),
            clock: VirtualClock::new(),
            clouds: clouds.into_iter().collect(),
        }
    }

    fn provider(&self, name: &str) -> SimProvider {
        let world = self.folder.path().join(name);
        let clock: Arc<dyn Clock> = Arc::new(self.clock.clone());
        SimProvider::new(name, self.clouds[name].clone(), world, clock).unwrap()
    }

    fn world(&self, name: &str) -> World {
        self.provider(name).world()
    }

    async fn store(&self) -> Store {
        let path: PathBuf = self.folder.path().join("state/journal.db");
        Store::open(&path).await.unwrap()
    }

    /// An engine as a process of its own would have it: guards and connections of its own.
    async fn engine(&self, pool: Pool) -> Engine {
        let store = self.store().await;
        let clock: Arc<dyn Clock> = Arc::new(self.clock.clone());
        let recorder = Arc::new(Recorder::new(store.clone(), clock.clone(), Vec::new()));
        let guarded = |name: &&'static str| {
            let guarded: Arc<dyn Provider> = Arc::new(Guarded::new(
                Arc::new(self.provider(name)),
                Policy::default(),
                clock.clone(),
                Some(recorder.clone()),
                Some(store.clone()),
            ));
            ((*name).to_owned(), guarded)
        };
        let providers = self.clouds.keys().map(guarded).collect();
        Engine::new(
            fleet([("gpu", pool)]),
            providers,
            store,
            None,
            clock,
            recorder,
        )
    }

    async fn converge(&self, engine: &Engine) -> fleetwright_engine::Outcome {
        let options = fleetwright_engine::ConvergeOptions {
            deadline: Duration::from_mins(30),
            ..options(Purpose::Converge)
        };
        let work = engine.converge(&options);
        self.clock.run(&[engine.store()], work).await.unwrap()
    }

    /// Create calls that a region received, and how many machines it made.
    fn bought(&self, cloud: &str, region: &str) -> (usize, usize) {
        let world = self.world(cloud);
        let calls = world.calls().unwrap();
        let is_create = |call: &&fleetwright_sim::Call| {
            call.operation == Operation::Create && call.region.as_deref() == Some(region)
        };
        let nodes = world.live_nodes().unwrap();
        let made = nodes.iter().filter(|node| node.id.region() == region);
        (calls.iter().filter(is_create).count(), made.count())
    }
}

fn candidate(provider: &str, region: &str) -> Candidate {
    Candidate {
        provider: provider.into(),
        region: Some(region.into()),
        instance_type: Some(GPU.into()),
        ..Candidate::default()
    }
}

fn pool(desired: u32, places: &[(&str, &str)]) -> Pool {
    Pool {
        desired,
        candidates: places
            .iter()
            .map(|(provider, region)| candidate(provider, region))
            .collect(),
        ..Pool::default()
    }
}

fn cloud(regions: &[&str]) -> SimConfig {
    let region = |name: &&str| SimRegion::new(name, &[&format!("{name}-a")]);
    SimConfig {
        regions: regions.iter().map(region).collect(),
        ..SimConfig::default()
    }
}

fn sold_out(region: &str, minutes: u64) -> SimCapacity {
    SimCapacity {
        region: Some(region.into()),
        to: Some(Span(Duration::from_mins(minutes))),
        ..SimCapacity::default()
    }
}

/// Somebody else uses up the account's burst of create calls, in a region of no interest.
async fn somebody_else_creates(provider: &SimProvider, region: &str) {
    loop {
        let spec = NodeSpec {
            name: "foreign".into(),
            instance_type: "sim.small".into(),
            image: None,
            region: region.into(),
            zone: None,
            market: Market::OnDemand,
            ssh_keys: Vec::new(),
            user_data: None,
            labels: fleetwright_core::Labels::new(),
            options: serde_json::Map::new(),
        };
        let request = CreateRequest {
            count: 1,
            token: Token::new(ClaimId::new(), 1, &fingerprint(&spec)),
            spec,
            replay: false,
            host_key: None,
        };
        if let Err(error) = provider.create(&request).await {
            assert_eq!(error.kind(), Kind::RateLimited);
            return;
        }
    }
}

/// One cloud is sold out for an hour in its first region, one throttles and has 40 machines, one is
/// down; the sold-out cloud has another region that is fine.
fn trouble() -> Sky {
    let short = SimConfig {
        capacity: vec![sold_out("short-1", 60)],
        ..cloud(&["short-1", "short-2"])
    };
    let slow = SimConfig {
        batch: 1,
        latency: Span(Duration::from_millis(80)),
        capacity: vec![SimCapacity {
            region: Some("slow-1".into()),
            count: 40,
            ..SimCapacity::default()
        }],
        api_limits: vec![ApiLimit {
            family: "create".into(),
            operations: vec![Operation::Create],
            unit: LimitUnit::Calls,
            burst: 20,
            per_minute: PER_MINUTE,
            per_region: false,
        }],
        ..cloud(&["slow-1", "slow-2"])
    };
    let down = SimConfig {
        faults: SimFaults {
            refused: 1000,
            ..SimFaults::default()
        },
        ..cloud(&["down-1"])
    };
    Sky::new([("short", short), ("slow", slow), ("down", down)])
}

const ORDER: [(&str, &str); 4] = [
    ("short", "short-1"),
    ("slow", "slow-1"),
    ("down", "down-1"),
    ("short", "short-2"),
];

#[tokio::test]
async fn a_hundred_gpu_nodes_come_from_what_is_left_of_three_clouds_in_trouble() {
    let sky = trouble();
    let slow = sky.provider("slow");
    sky.clock
        .run(&[], somebody_else_creates(&slow, "slow-2"))
        .await;
    let began = sky.clock.now();
    let throttled_before = sky.world("slow").throttled().unwrap();

    // The second process looks after a minute, while the first is still at work.
    let first = sky.engine(pool(100, &ORDER)).await;
    let second = sky.engine(pool(110, &ORDER)).await;
    let meanwhile = async {
        sky.clock.sleep_for(Duration::from_mins(1)).await;
        let calls = sky.world("down").calls().unwrap().len();
        let any = PlanOptions::default();
        let (plan, _) = second.plan(Purpose::Converge, &any).await.unwrap();
        let asked = sky.world("down").calls().unwrap().len() - calls;
        (plan, asked)
    };
    let run = options(Purpose::Converge);
    let run = fleetwright_engine::ConvergeOptions {
        deadline: Duration::from_mins(30),
        ..run
    };
    let both = async { join!(first.converge(&run), meanwhile) };
    let stores = [first.store(), second.store()];
    let (outcome, (plan, asked)) = Box::pin(sky.clock.run(&stores, both)).await;
    let outcome = outcome.unwrap();

    // All of them, in the order of the candidates: as many as each can give.
    assert_eq!(outcome.executed.created, 100, "{outcome:#?}");
    assert_eq!(sky.bought("short", "short-1"), (1, 0), "asked once");
    assert_eq!(sky.bought("slow", "slow-1").1, 40);
    assert_eq!(sky.bought("down", "down-1"), (0, 0), "unseen, so not used");
    assert_eq!(sky.bought("short", "short-2").1, 60);

    // Its bucket was not as full as documented: a few calls found that out, and no more after the
    // first minute, at the full rate.
    let calls = sky.world("slow").calls().unwrap();
    let minute = began + Duration::from_mins(1);
    let creates: Vec<_> = calls
        .iter()
        .filter(|call| call.operation == Operation::Create && call.at >= began)
        .collect();
    let throttled = sky.world("slow").throttled().unwrap() - throttled_before;
    assert!(
        (1..=8).contains(&throttled),
        "{throttled} throttling answers"
    );
    let late: Vec<_> = creates.iter().filter(|call| call.at >= minute).collect();
    assert!(
        late.iter()
            .all(|call| call.outcome != fleetwright_sim::Outcome::Refused(Kind::RateLimited)),
        "{late:#?}"
    );
    let end = late.last().unwrap().at;
    let millis = u64::try_from(end.duration_since(minute).as_millis()).unwrap();
    let allowed = millis * u64::from(PER_MINUTE) / 60_000;
    let made = u64::try_from(late.len()).unwrap();
    assert!(allowed > 20, "there is something to measure: {allowed}");
    assert!(made * 10 > allowed * 9, "{made} of {allowed}");

    // The second process does not plan with the marked place, nor ask the cloud that is down.
    let offers: Vec<_> = plan
        .steps
        .iter()
        .filter_map(|step| match &step.action {
            Action::Create { offers, .. } => Some(offers),
            _ => None,
        })
        .flatten()
        .collect();
    assert!(!offers.is_empty());
    assert!(
        offers.iter().all(|offer| offer.region != "short-1"),
        "{offers:#?}"
    );
    assert!(
        asked <= 1,
        "{asked} calls to a cloud that is known to be down"
    );

    // Nor does it ask the marked places when it makes nodes: neither the one that is sold out nor
    // the one whose 40 machines are used up.
    let before = (
        sky.bought("short", "short-1").0,
        sky.bought("slow", "slow-1").0,
    );
    let outcome = sky.converge(&second).await;
    assert_eq!(outcome.executed.created, 10, "{outcome:#?}");
    let after = (
        sky.bought("short", "short-1").0,
        sky.bought("slow", "slow-1").0,
    );
    assert_eq!(before, after);
    assert_eq!(sky.bought("short", "short-2").1, 70);
}

#[tokio::test]
async fn a_cloud_that_is_down_is_asked_by_one_probe_at_a_time_over_all_processes() {
    let sky = trouble();
    let engines = [
        sky.engine(pool(1, &ORDER)).await,
        sky.engine(pool(1, &ORDER)).await,
        sky.engine(pool(1, &ORDER)).await,
    ];
    let stores: Vec<&Store> = engines.iter().map(Engine::store).collect();
    let everywhere = ListRequest::default();
    let look = async |engine: &Engine| {
        for _ in 0..60 {
            let listing = engine.providers()["down"].list(&everywhere).await;
            assert!(listing.is_err());
            sky.clock.sleep_for(Duration::from_secs(1)).await;
        }
    };
    let all = async { join!(look(&engines[0]), look(&engines[1]), look(&engines[2])) };
    sky.clock.run(&stores, all).await;
    let calls = sky.world("down").calls().unwrap().len();
    // Eight failures open it, and those that were under way with them. Then one probe after 15 s,
    // 30 s, 60 s and so on, for all three together.
    assert!(calls <= 8 + 2 + 3, "{calls} calls in a minute");
    let breakers = engines[2].breakers("down").await.unwrap();
    assert_eq!(breakers.len(), 1);
    assert!(
        breakers[0].open && breakers[0].failures >= 8,
        "{breakers:?}"
    );
}

/// Asks for one more node than there are, whenever a mark is over; says when the cloud was asked.
async fn asked_at(sky: &Sky, engine: &Engine, minutes: u64) -> Vec<i64> {
    let began = sky.clock.now();
    for _ in 0..minutes * 2 {
        sky.converge(engine).await;
        sky.clock.advance(Duration::from_secs(30));
    }
    let calls = sky.world("short").calls().unwrap();
    calls
        .iter()
        .filter(|call| call.operation == Operation::Create && call.at >= began)
        .map(|call| call.at.duration_since(began).as_secs() / 60)
        .collect()
}

#[tokio::test]
async fn how_long_a_place_is_left_alone_is_learned_from_how_long_it_was_short() {
    let short = SimConfig {
        capacity: vec![sold_out("short-1", 60)],
        ..cloud(&["short-1"])
    };
    let sky = Sky::new([("short", short)]);
    let engine = sky.engine(pool(1, &[("short", "short-1")])).await;
    let asked = asked_at(&sky, &engine, 90).await;
    // At first as if shortages lasted three minutes, then half as long again each time.
    assert!(asked.len() <= 10, "{asked:?}");
    assert_eq!(asked[..2], [0, 3], "{asked:?}");
    assert!(*asked.last().unwrap() >= 60, "it is found: {asked:?}");
    let learned = engine.lifetimes().await.unwrap();
    assert!(learned[0].lifetime_seconds > 30 * 60, "{learned:?}");

    // The next shortage, and another process: it waits for that long from the start.
    sky.world("short")
        .set_capacity(vec![SimCapacity {
            region: Some("short-1".into()),
            count: 1,
            ..SimCapacity::default()
        }])
        .unwrap();
    let other = sky.engine(pool(2, &[("short", "short-1")])).await;
    let asked = asked_at(&sky, &other, 29).await;
    assert_eq!(asked, [0], "a constant of three minutes would ask again");
}

#[tokio::test]
async fn a_spot_machine_that_was_taken_back_marks_its_place() {
    let sky = Sky::new([("short", cloud(&["short-1"]))]);
    let spot = Pool {
        candidates: vec![Candidate {
            market: Market::Spot,
            ..candidate("short", "short-1")
        }],
        ..pool(1, &[])
    };
    let engine = sky.engine(spot).await;
    let outcome = sky.converge(&engine).await;
    assert!(matches!(outcome.standing, Standing::Reached));
    let record = outcome.observation.records[0].clone();
    let bought = NodeRecord {
        market: Market::OnDemand,
        ..record.clone()
    };
    let marked = engine.mark_reclaimed(&bought, "maintenance").await.unwrap();
    assert_eq!(marked, None);
    let mark = engine
        .mark_reclaimed(&record, "notice of two minutes")
        .await
        .unwrap()
        .unwrap();
    assert_eq!(mark.zone.as_deref(), Some("short-1-a"));
    let shortages = engine.shortages().await.unwrap();
    assert_eq!(shortages.len(), 1);
    assert!(
        shortages[0].error.message.contains("taken back"),
        "{shortages:?}"
    );
    // And can be forgotten, by place.
    let clear = async |filter: &str| {
        let filter = filter.parse().unwrap();
        engine.clear_capacity(&filter, false).await
    };
    assert_eq!(clear("region=elsewhere").await.unwrap(), 0);
    assert_eq!(clear("pool=gpu").await.unwrap_err().kind(), Kind::Invalid);
    assert_eq!(clear("region=short-*,market=spot").await.unwrap(), 1);
    assert_eq!(engine.shortages().await.unwrap(), []);
}
