//! The state of the fake: what exists in each region, and what is due to happen.
//!
//! Nothing runs in the background. Every look at the world first lets happen what was due by then,
//! in order, each at its own time.

pub(crate) mod capacity;
pub(crate) mod instance;
pub(crate) mod launch;
pub(crate) mod notice;
pub(crate) mod region;

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use jiff::Timestamp;

use crate::config::FakeConfig;
use crate::faults::Faults;
use crate::request::Call;
use crate::{ec2, rest};
use instance::State;
use region::Region;

/// Everything that the fake knows.
#[derive(Debug)]
pub(crate) struct World {
    /// How it behaves.
    pub(crate) config: FakeConfig,
    /// The time up to which everything has happened.
    pub(crate) now: Instant,
    /// The regions by name.
    pub(crate) regions: BTreeMap<String, Region>,
    /// Faults that tests ordered.
    pub(crate) faults: Faults,
    /// What was called.
    pub(crate) calls: Vec<Call>,
    /// How many instances the describing actions have looked at.
    pub(crate) looked_at: u64,
    /// The state of the services beside EC2.
    pub(crate) rest: rest::State,
    born: (Instant, Timestamp),
    serial: u64,
    due: BTreeMap<(Instant, u64), Event>,
}

/// Something that happens later.
#[derive(Debug, Clone)]
pub(crate) enum Event {
    /// An instance has booted.
    Running(String, String),
    /// An instance has shut down.
    Terminated(String, String),
    /// A terminated instance is not shown any more.
    Forgotten(String, String),
    /// The warning of an interruption has run out.
    Reclaimed(String, String),
    /// A fleet looks at what it has and what it wants.
    Fleet(String, String),
    /// A spot fleet looks at what it has and what it wants.
    SpotFleet(String, String),
    /// Something of the services beside EC2.
    Rest(rest::Event),
}

impl World {
    /// An empty world.
    pub(crate) fn new(config: FakeConfig) -> Self {
        let now = Instant::now();
        #[expect(
            clippy::disallowed_methods,
            reason = "the fake lives in real time, whatever the tests do with theirs"
        )]
        let shown = Timestamp::now();
        let regions = config
            .regions
            .iter()
            .enumerate()
            .map(|(index, name)| (name.clone(), Region::new(name, index)))
            .collect();
        Self {
            config,
            now,
            regions,
            faults: Faults::default(),
            calls: Vec::new(),
            looked_at: 0,
            rest: rest::State::default(),
            born: (now, shown),
            serial: 0,
            due: BTreeMap::new(),
        }
    }

    /// Lets happen what is due by `now`. Time does not run backward.
    pub(crate) fn advance(&mut self, now: Instant) {
        while let Some(entry) = self.due.first_entry() {
            let (at, _) = *entry.key();
            if at > now {
                break;
            }
            let event = entry.remove();
            self.now = self.now.max(at);
            self.happen(event);
        }
        self.now = self.now.max(now);
    }

    /// Orders an event for later.
    pub(crate) fn schedule(&mut self, after: Duration, event: Event) {
        let serial = self.next_serial();
        self.due.insert((self.now + after, serial), event);
    }

    /// The wall-clock time of the beginning.
    pub(crate) fn born(&self) -> Timestamp {
        self.born.1
    }

    /// The wall-clock time of `now`.
    pub(crate) fn timestamp(&self) -> Timestamp {
        self.timestamp_of(self.now)
    }

    /// The wall-clock time of an instant.
    pub(crate) fn timestamp_of(&self, at: Instant) -> Timestamp {
        let since = at.saturating_duration_since(self.born.0);
        self.born.1.saturating_add(since).unwrap_or(self.born.1)
    }

    /// A number that was never given out before.
    pub(crate) fn next_serial(&mut self) -> u64 {
        self.serial += 1;
        self.serial
    }

    /// A new id such as `i-0000000000000002a`; ids sort by age.
    pub(crate) fn new_id(&mut self, prefix: &str) -> String {
        let serial = self.next_serial();
        format!("{prefix}-{serial:017x}")
    }

    /// A new request id.
    pub(crate) fn request_id(&mut self) -> String {
        let serial = self.next_serial();
        format!("59dbff89-35bd-4eac-99ed-{serial:012x}")
    }

    /// A new id in the form of a UUID behind a prefix, as fleets have.
    pub(crate) fn new_uuid(&mut self, prefix: &str) -> String {
        let serial = self.next_serial();
        format!("{prefix}73fbd2ce-aa30-494c-8788-{serial:012x}")
    }

    fn happen(&mut self, event: Event) {
        match event {
            Event::Running(region, id) => self.change(&region, &id, State::Pending, State::Running),
            Event::Terminated(region, id) => {
                self.change(&region, &id, State::ShuttingDown, State::Terminated);
            }
            Event::Forgotten(region, id) => {
                if let Some(region) = self.regions.get_mut(&region) {
                    region.instances.forget(&id);
                }
            }
            Event::Reclaimed(region, id) => {
                self.end(&region, &id, instance::Ending::Interrupted);
            }
            Event::Fleet(region, id) => ec2::fleet_due(self, &region, &id),
            Event::SpotFleet(region, id) => ec2::spot_fleet_due(self, &region, &id),
            Event::Rest(event) => rest::due(self, event),
        }
    }
}
