//! A fleet of two hundred machines on a bad day, in virtual time: they are killed, taken back, drift
//! and fall silent, commands fail, and for some minutes nobody can be reached at all. What must hold
//! at every instant is checked where things are done, and at the end everybody must agree.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use fleetwright_core::{
    Access, Candidate, CaseEnding, Clock, Command, Disruption, Error, EventKind, Exit, Finding,
    HealAction, Healing, Health, Kind, Market, Output, OutputSink, Pool, Probe, Provider, Purpose,
    Remote, Result, Severity, Span, Subject, Target, TargetGroupName, TargetOrigin, Verdict,
};
use fleetwright_engine::{
    Engine, Eyes, Guarded, HealthVerdict, KnownTargets, Looked, Observation, Policy, Recorder,
    Upkeep, UpkeepOptions, allowance,
};
use fleetwright_sim::{SimConfig, SimProvider, World};
use fleetwright_store::Store;
use jiff::Timestamp;
use serde_json::json;

use crate::bed::{assert_reached, fleet, options, quick};
use crate::virtual_clock::VirtualClock;

const WEB: u32 = 120;
const BATCH: u32 = 80;
/// How long a machine must be out of reach before it is replaced.
const LIMIT: Duration = Duration::from_mins(5);
const INTERVAL: Duration = Duration::from_secs(20);
const BOOT: &str = "cat /proc/sys/kernel/random/boot_id";

/// Numbers that are the same for the same seed (SplitMix64).
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (z ^ (z >> 31)) % sides
    }
}

/// What a machine really is like.
#[derive(Debug, Default, Clone)]
struct Machine {
    drifted: bool,
    /// Commands that will fail before one helps; beyond hope if it is great.
    stubborn: u32,
    boot: u32,
    silences: Vec<(Timestamp, Timestamp)>,
}

#[derive(Debug, Default)]
struct Ground {
    machines: BTreeMap<String, Machine>,
    /// Pools by host, as they were last seen.
    pools: BTreeMap<String, String>,
    /// Machines on which a command is at work.
    at_work: BTreeMap<String, String>,
    /// Machines that did not do their work when they were last measured, by pool.
    down: BTreeMap<String, BTreeSet<String>>,
    /// Commands that were begun since, by pool.
    begun: BTreeMap<String, BTreeSet<String>>,
    missing: BTreeMap<String, usize>,
    /// Commands that were run, by word.
    ran: BTreeMap<String, usize>,
    most_at_work: usize,
}

#[derive(Debug, Clone)]
struct Site {
    ground: Arc<Mutex<Ground>>,
    clock: VirtualClock,
    disruption: Disruption,
}

impl Site {
    fn is_silent(&self, host: &str) -> bool {
        let now = self.clock.now();
        let ground = self.ground.lock().unwrap();
        let machine = ground.machines.get(host);
        machine.is_some_and(|m| {
            m.silences
                .iter()
                .any(|(from, to)| *from <= now && now < *to)
        })
    }

    fn silence(&self, host: &str, length: Duration) {
        let now = self.clock.now();
        let mut ground = self.ground.lock().unwrap();
        let machine = ground.machines.entry(host.to_owned()).or_default();
        machine.silences.push((now, now + length));
    }

    /// Whether a machine was out of reach for all of the time before an instant.
    fn was_silent(&self, host: &str, at: Timestamp, length: Duration) -> bool {
        let ground = self.ground.lock().unwrap();
        let mut silences = ground.machines[host].silences.clone();
        silences.sort();
        let mut covered = at - length;
        for (from, to) in silences {
            if from <= covered && to > covered {
                covered = to;
            }
        }
        covered >= at
    }

    fn all_right(&self, hosts: &BTreeSet<String>) -> bool {
        let ground = self.ground.lock().unwrap();
        hosts.iter().all(|host| {
            ground
                .machines
                .get(host)
                .is_none_or(|machine| !machine.drifted)
        }) && hosts.iter().all(|host| {
            let now = self.clock.now();
            ground
                .machines
                .get(host)
                .is_none_or(|m| m.silences.iter().all(|(_, to)| *to <= now))
        })
    }
}

#[async_trait]
impl Eyes for Site {
    async fn targets(&self, observation: &Observation) -> Result<KnownTargets> {
        let ready = observation
            .records
            .iter()
            .filter(|record| record.life.is_ready());
        let targets: Vec<Target> = ready
            .map(|record| Target {
                name: record.name.clone(),
                access: Access {
                    host: record.id.to_string(),
                    port: 22,
                    user: "root".into(),
                    host_keys: Vec::new(),
                },
                group: Some(TargetGroupName::Pool(record.pool.clone())),
                node: Some(record.id.clone()),
                origins: vec![TargetOrigin::Pool {
                    pool: record.pool.clone(),
                }],
                labels: record.labels.clone(),
            })
            .collect();
        let mut ground = self.ground.lock().unwrap();
        for (pool, size) in [("web", WEB), ("batch", BATCH)] {
            let up = targets
                .iter()
                .filter(|t| t.group == Some(TargetGroupName::Pool(pool.into())));
            let missing = usize::try_from(size).unwrap().saturating_sub(up.count());
            ground.missing.insert(pool.into(), missing);
            ground.down.insert(pool.into(), BTreeSet::new());
            ground.begun.insert(pool.into(), BTreeSet::new());
        }
        drop(ground);
        Ok(KnownTargets {
            targets,
            ..KnownTargets::default()
        })
    }

    async fn measure(&self, targets: &[Target]) -> Result<Vec<Looked>> {
        self.clock.sleep(Duration::from_secs(1)).await;
        let now = self.clock.now();
        let looked = targets.iter().cloned().map(|target| {
            let host = target.access.host.clone();
            let silent = self.is_silent(&host);
            let pool = match &target.group {
                Some(TargetGroupName::Pool(pool)) => pool.clone(),
                _ => String::new(),
            };
            let mut ground = self.ground.lock().unwrap();
            let drifted = ground.machines.entry(host.clone()).or_default().drifted;
            ground.pools.insert(host.clone(), pool.clone());
            if silent {
                ground.down.entry(pool).or_default().insert(host);
            }
            let verdict = if drifted {
                Verdict::Differs {
                    reason: "it is `old`, not `new`".into(),
                }
            } else {
                Verdict::Agrees
            };
            let finding = Finding {
                probe: "version".into(),
                severity: Severity::Critical,
                expected: Some("new".into()),
                actual: Some(if drifted { "old" } else { "new" }.into()),
                verdict,
                at: now,
                since: now,
            };
            let lost = || Error::new(Kind::Unavailable, "it does not answer").report();
            Looked {
                target,
                reached: if silent { Err(lost()) } else { Ok(()) },
                findings: if silent { Vec::new() } else { vec![finding] },
                health: HealthVerdict::Unknown,
            }
        });
        Ok(looked.collect())
    }
}

#[async_trait]
impl Remote for Site {
    async fn reach(&self, access: &Access, _: Duration) -> Result<()> {
        match self.is_silent(&access.host) {
            true => Err(Error::new(Kind::Unavailable, "it does not answer")),
            false => Ok(()),
        }
    }

    async fn run(&self, access: &Access, command: &Command, _: &dyn OutputSink) -> Result<Output> {
        let host = access.host.clone();
        self.reach(access, Duration::ZERO).await?;
        if command.line == BOOT {
            let boot = self.ground.lock().unwrap().machines[&host].boot;
            return Ok(said(0, &boot.to_string()));
        }
        {
            let mut ground = self.ground.lock().unwrap();
            let pool = ground.pools[&host].clone();
            *ground.ran.entry(command.line.clone()).or_default() += 1;
            let twice = ground.at_work.insert(host.clone(), pool.clone());
            assert_eq!(twice, None, "two commands at once on {host}");
            // The budget holds at this instant, and did with what was known when it was decided.
            let size = if pool == "web" { WEB } else { BATCH };
            let allowed = allowance(
                &self.disruption,
                usize::try_from(size).unwrap(),
                self.clock.now(),
            );
            let at_work = ground.at_work.values().filter(|own| **own == pool).count();
            assert!(
                at_work <= allowed.nodes,
                "{at_work} of {pool} at work: {}",
                allowed.why
            );
            let down = ground.down[&pool].clone();
            let missing = ground.missing[&pool];
            let begun = ground.begun.entry(pool.clone()).or_default();
            begun.insert(host.clone());
            let disturbed = down.union(begun).count() + missing;
            assert!(
                disturbed <= allowed.nodes || down.contains(&host),
                "{disturbed} of {pool} disturbed: {}",
                allowed.why
            );
            ground.most_at_work = ground.most_at_work.max(at_work);
        }
        self.clock.sleep(Duration::from_secs(5)).await;
        let mut ground = self.ground.lock().unwrap();
        ground.at_work.remove(&host);
        let machine = ground.machines.get_mut(&host).unwrap();
        if command.line == "reboot" {
            machine.boot += 1;
            drop(ground);
            self.silence(&host, Duration::from_secs(50));
            return Err(Error::new(Kind::Unavailable, "the connection is gone"));
        }
        if machine.stubborn > 0 {
            machine.stubborn -= 1;
            return Ok(said(1, ""));
        }
        machine.drifted = false;
        Ok(said(0, ""))
    }
}

fn said(code: u32, text: &str) -> Output {
    Output {
        exit: Exit::Status { code },
        stdout: format!("{text}\n").into_bytes(),
        stderr: Vec::new(),
        truncated: false,
    }
}

fn pool(desired: u32, market: Market) -> Pool {
    let healing: Healing = serde_json::from_value(json!({
        "redeploy": "redeploy",
        "reboot": "reboot",
        "reboot_within": "3m",
        "critical": ["notify", "fix", "redeploy", "reboot", "replace"],
        "unreachable": ["notify", "replace"],
        "limits": { "fix": { "attempts": 2, "back_off": "30s", "cool_down": "1m" } },
    }))
    .unwrap();
    let probe: Probe = serde_json::from_value(json!({
        "name": "version",
        "severity": "critical",
        "check": { "command": { "run": "version", "output": "new" } },
        "fix": "fix",
    }))
    .unwrap();
    Pool {
        desired,
        candidates: vec![Candidate {
            provider: "sim".into(),
            region: Some("sim-east".into()),
            instance_type: Some("sim.small".into()),
            market,
            ..Candidate::default()
        }],
        probes: vec![probe],
        healing,
        health: Health {
            unreachable_for: Span(LIMIT),
            ..Health::default()
        },
        ..Pool::default()
    }
}

struct Day {
    folder: tempfile::TempDir,
    clock: VirtualClock,
    site: Site,
    config: SimConfig,
}

impl Day {
    fn new() -> Self {
        let clock = VirtualClock::new();
        let config = SimConfig {
            boot_time: Span::seconds(40),
            delete_time: Span::seconds(20),
            ..quick()
        };
        Self {
            folder: tempfile::tempdir().unwrap(),
            site: Site {
                ground: Arc::default(),
                clock: clock.clone(),
                disruption: Disruption::default(),
            },
            clock,
            config,
        }
    }

    fn provider(&self) -> SimProvider {
        let clock: Arc<dyn Clock> = Arc::new(self.clock.clone());
        SimProvider::new(
            "sim",
            self.config.clone(),
            self.folder.path().join("world"),
            clock,
        )
        .unwrap()
    }

    fn world(&self) -> World {
        self.provider().world()
    }

    /// An engine as a process of its own would have it.
    async fn engine(&self) -> Engine {
        let store = Store::open(&self.folder.path().join("state/journal.db"))
            .await
            .unwrap();
        let clock: Arc<dyn Clock> = Arc::new(self.clock.clone());
        let recorder = Arc::new(Recorder::new(store.clone(), clock.clone(), Vec::new()));
        let guarded: Arc<dyn Provider> = Arc::new(Guarded::new(
            Arc::new(self.provider()),
            Policy::default(),
            clock.clone(),
            Some(recorder.clone()),
            Some(store.clone()),
        ));
        let fleet = fleet([
            ("web", pool(WEB, Market::OnDemand)),
            ("batch", pool(BATCH, Market::Spot)),
        ]);
        let remote: Arc<dyn Remote> = Arc::new(self.site.clone());
        Engine::new(
            fleet,
            [("sim".to_owned(), guarded)].into(),
            store,
            Some(remote),
            clock,
            recorder,
        )
    }

    fn live(&self) -> BTreeSet<String> {
        self.world()
            .live_nodes()
            .unwrap()
            .iter()
            .map(|node| node.id.to_string())
            .collect()
    }

    /// What goes wrong, for as long as it goes wrong.
    async fn trouble(&self, seed: u64, minutes: u64) {
        let mut dice = Dice(seed);
        let world = self.world();
        let end = self.clock.now() + Duration::from_mins(minutes);
        let mut outage = Some(self.clock.now() + Duration::from_mins(minutes / 2));
        while self.clock.now() < end {
            self.clock
                .sleep_for(Duration::from_secs(2 + dice.roll(8)))
                .await;
            let live: Vec<_> = world.live_nodes().unwrap();
            if live.is_empty() {
                continue;
            }
            let pick = usize::try_from(dice.roll(u64::try_from(live.len()).unwrap())).unwrap();
            let (id, host) = (live[pick].id.clone(), live[pick].id.to_string());
            match dice.roll(100) {
                0..4 => world.kill(&id).unwrap(),
                4..8 if live[pick].market == Market::Spot => {
                    world.reclaim(&id, Duration::from_mins(2)).unwrap();
                }
                8..40 => {
                    let mut ground = self.site.ground.lock().unwrap();
                    let machine = ground.machines.entry(host).or_default();
                    machine.drifted = true;
                    machine.stubborn = match dice.roll(20) {
                        0 => 1000,
                        1..6 => u32::try_from(dice.roll(4)).unwrap(),
                        _ => 0,
                    };
                }
                40..50 => self
                    .site
                    .silence(&host, Duration::from_secs(20 + dice.roll(200))),
                50..52 => self
                    .site
                    .silence(&host, Duration::from_secs(600 + dice.roll(300))),
                _ => {}
            }
            // Once our own network is away: that is no machine's fault.
            if outage.is_some_and(|at| self.clock.now() >= at) {
                outage = None;
                for node in &live {
                    self.site
                        .silence(&node.id.to_string(), LIMIT + Duration::from_mins(2));
                }
            }
        }
    }
}

fn upkeep_options() -> UpkeepOptions {
    UpkeepOptions {
        holder: "a soak".into(),
        report_only: false,
        on: "".parse().unwrap(),
        gap: INTERVAL * 4,
        here: None,
    }
}

/// Runs a bad day and checks everything.
async fn soak(seed: u64, minutes: u64) {
    let day = Day::new();
    let engine = day.engine().await;
    let stores = [engine.store()];
    let up = fleetwright_engine::ConvergeOptions {
        deadline: Duration::from_mins(20),
        ..options(Purpose::Converge)
    };
    let outcome = day.clock.run(&stores, engine.converge(&up)).await.unwrap();
    assert_reached(&outcome);
    let began = day.clock.now();

    let watch = async {
        let mut memory = Upkeep::default();
        let mut calm = 0;
        let calm_from = began + Duration::from_mins(minutes);
        while calm < 3 {
            let round = engine
                .upkeep(&day.site, &mut memory, &upkeep_options())
                .await
                .unwrap();
            assert_eq!(round.busy, None);
            let now = day.clock.now();
            let quiet = round.open.is_empty() && round.passing == 0 && !round.has_progress();
            calm = if now > calm_from && quiet {
                calm + 1
            } else {
                0
            };
            assert!(
                now < calm_from + Duration::from_mins(180),
                "not congruent after hours: {:#?}",
                round.plan.held
            );
            day.clock.sleep_for(INTERVAL).await;
        }
    };
    let both = async { futures::join!(watch, day.trouble(seed, minutes)) };
    day.clock.run(&stores, both).await;

    // All are there, and as they should be.
    let live = day.live();
    assert_eq!(live.len(), usize::try_from(WEB + BATCH).unwrap());
    assert!(day.site.all_right(&live));
    let records = engine.store().nodes().await.unwrap();
    let recorded: BTreeSet<String> = records.iter().map(|record| record.id.to_string()).collect();
    assert_eq!(recorded, live);

    // What the journal tells is what was done.
    let events = engine.store().last_events(100_000, None).await.unwrap();
    let cases = engine.store().cases(Timestamp::UNIX_EPOCH).await.unwrap();
    assert!(cases.iter().all(|case| !case.is_open()));
    let count = |name: &str| {
        events
            .iter()
            .filter(|event| event.what.name() == name)
            .count()
    };
    assert_eq!(count("case-opened"), cases.len());
    assert_eq!(count("case-closed"), cases.len());
    let began_of = |wanted: HealAction| {
        let is_it = |kind: &EventKind| matches!(kind, EventKind::HealBegan { action, .. } if *action == wanted);
        events.iter().filter(|event| is_it(&event.what)).count()
    };
    let ground = day.site.ground.lock().unwrap();
    for (action, word) in [
        (HealAction::Fix, "fix"),
        (HealAction::Redeploy, "redeploy"),
        (HealAction::Reboot, "reboot"),
    ] {
        let ran = ground.ran.get(word).copied().unwrap_or(0);
        // A command that did not get through was begun all the same.
        assert!(
            ran > 0 && ran <= began_of(action),
            "{word}: {ran}, {}",
            began_of(action)
        );
    }
    assert!(ground.most_at_work > 1, "the soak never healed two at once");
    drop(ground);

    // Whoever was replaced had been out of reach for long enough, or nothing else had helped.
    let mut replaced = 0;
    for case in &cases {
        let Some(attempt) = case.attempts_at(HealAction::Replace).next() else {
            continue;
        };
        replaced += 1;
        if case.subject == Subject::Unreachable {
            let silent = day.site.was_silent(&case.key, attempt.began_at, LIMIT);
            assert!(silent, "{} was replaced too early: {case:#?}", case.target);
        } else {
            let order: Vec<HealAction> = case.attempts.iter().map(|one| one.action).collect();
            assert!(order.is_sorted(), "{order:?}");
            assert!(order.contains(&HealAction::Reboot), "{order:?}");
        }
    }
    let ends = |how: CaseEnding| {
        cases
            .iter()
            .filter(|case| case.closed.as_ref().is_some_and(|end| end.how == how))
            .count()
    };
    assert!(
        replaced > 0 && ends(CaseEnding::Healed) > 20,
        "{replaced}, {}",
        ends(CaseEnding::Healed)
    );
    assert!(ends(CaseEnding::Replaced) > 0 && ends(CaseEnding::Recovered) > 0);
}

#[tokio::test]
async fn two_hundred_machines_on_a_bad_day_are_all_right_in_the_end() {
    soak(7, 40).await;
}
