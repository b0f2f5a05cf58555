//! What there is in the world, and the changes that make it up.
//!
//! The state is the sum of the [`Change`]s in the log and of nothing else, so that every process
//! that reads the log knows the same. What depends on the time of day (booting, visibility,
//! deletion) is not stored: it follows from instants that are fixed when a thing begins.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use fleetwright_core::ability::DnsRecord;
use fleetwright_core::{ErrorReport, Fingerprint, Operation};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::calls::{Call, CallCount};
use super::faults::Injection;
use super::machine::{Batch, End, Machine, Notice};
use crate::config::{SimCapacity, SimQuota};

/// The version of the format: newer ones are refused.
pub(super) const VERSION: u32 = 1;

/// How long deleted machines and tokens are remembered when the log is rewritten.
const MEMORY: Duration = Duration::from_hours(24);
/// How many calls are remembered one by one.
const CALLS: usize = 4096;

/// Everything there is.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct State {
    pub(crate) version: u32,
    /// When the world began; schedules count from here.
    pub(crate) began: Timestamp,
    /// The latest instant at which anything happened: time never goes back.
    pub(crate) time: Timestamp,
    /// Reclaims scheduled before this instant are done.
    pub(crate) swept: Timestamp,
    /// Calls made so far.
    pub(crate) calls: u64,
    /// Number of the latest machine.
    pub(crate) last_machine: u64,
    /// By the number of their first machine.
    pub(crate) batches: BTreeMap<u64, Batch>,
    pub(crate) machines: BTreeMap<u64, Machine>,
    pub(crate) tokens: BTreeMap<String, Bound>,
    /// What is left in each token bucket.
    pub(crate) buckets: BTreeMap<String, Level>,
    /// By `region/name`.
    pub(crate) groups: BTreeMap<String, GroupState>,
    /// Members by machine, per balancer.
    pub(crate) balancers: BTreeMap<String, BTreeMap<u64, Registration>>,
    /// Records by zone.
    pub(crate) dns: BTreeMap<String, Vec<DnsRecord>>,
    pub(crate) injections: Vec<Injection>,
    /// Regions whose listing was broken from outside.
    pub(crate) broken: BTreeSet<String>,
    /// Scarcity that was made from outside.
    pub(crate) capacity: Vec<SimCapacity>,
    /// Quotas that were set from outside.
    pub(crate) quota: Vec<SimQuota>,
    pub(crate) recent: VecDeque<Call>,
    pub(crate) counts: BTreeMap<Operation, CallCount>,
}

/// What a token stands for: the first answer to it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Bound {
    pub(crate) parameters: Fingerprint,
    pub(crate) at: Timestamp,
    pub(crate) first: u64,
    pub(crate) count: u64,
    pub(crate) shortfall: Option<ErrorReport>,
    pub(crate) zone_hints: Vec<String>,
}

/// What is left in a bucket, in nanosecond-parts of a token: see `buckets`.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(crate) struct Level {
    pub(crate) parts: u64,
    pub(crate) at: Timestamp,
}

/// A group.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct GroupState {
    pub(crate) name: String,
    pub(crate) region: String,
    pub(crate) min: u32,
    pub(crate) desired: u32,
    pub(crate) max: u32,
    pub(crate) token: String,
    /// What its next member will be; the number of members made so far is its next ordinal.
    pub(crate) template: Batch,
}

/// A machine behind a balancer.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(crate) struct Registration {
    /// From when on the balancer has an opinion.
    pub(crate) judged_at: Timestamp,
    /// When it leaves the list, once it is being taken out.
    pub(crate) leaves_at: Option<Timestamp>,
}

/// One step of history.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Change {
    /// Everything up to here.
    Snapshot(Box<State>),
    /// The first line of every log.
    Began { version: u32, at: Timestamp },
    /// Somebody asked something.
    Called(Call),
    /// Machines were made; the first gets the number after the latest.
    Made(Box<Batch>),
    /// A machine's way out.
    Ended { machine: u64, end: End },
    /// A machine was given notice.
    Noticed { machine: u64, notice: Notice },
    /// The cloud uses a word for the machine's state that nobody knows.
    Said { machine: u64, word: Option<String> },
    /// Scheduled reclaims up to this instant are done.
    Swept { to: Timestamp },
    /// A token got its answer.
    Answered { token: String, bound: Bound },
    /// Tokens were taken from a bucket.
    Drew { bucket: String, level: Level },
    /// A group is now like this.
    Group(Box<GroupState>),
    /// A group is no more.
    Ungrouped { key: String },
    /// A balancer's member is now like this, or gone.
    Member {
        balancer: String,
        machine: u64,
        registration: Option<Registration>,
    },
    /// The records of a zone are now these.
    Records {
        zone: String,
        records: Vec<DnsRecord>,
    },
    /// Faults are waiting for calls.
    Injections(Vec<Injection>),
    /// The listing of a region breaks, or is whole again.
    Listing { region: String, broken: bool },
    /// What is scarce, besides the configuration.
    Capacity(Vec<SimCapacity>),
    /// Which quotas hold, besides the configuration.
    Quota(Vec<SimQuota>),
}

/// A snapshot, for writing without a copy.
#[derive(Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Written<'a> {
    Snapshot(&'a State),
}

impl State {
    /// Takes a step.
    pub(crate) fn apply(&mut self, change: Change) {
        match change {
            Change::Snapshot(state) => *self = *state,
            Change::Began { version, at } => {
                self.version = version;
                self.began = at;
                self.time = at;
                self.swept = at;
            }
            Change::Called(call) => self.remember(call),
            Change::Made(batch) => self.make(*batch),
            Change::Ended { machine, end } => {
                if let Some(machine) = self.machines.get_mut(&machine) {
                    machine.end = Some(end);
                }
            }
            Change::Noticed { machine, notice } => {
                if let Some(machine) = self.machines.get_mut(&machine) {
                    machine.notice = Some(notice);
                }
            }
            Change::Said { machine, word } => {
                if let Some(machine) = self.machines.get_mut(&machine) {
                    machine.word = word;
                }
            }
            Change::Swept { to } => self.swept = to,
            Change::Answered { token, bound } => {
                self.tokens.insert(token, bound);
            }
            Change::Drew { bucket, level } => {
                self.buckets.insert(bucket, level);
            }
            Change::Group(group) => {
                self.groups
                    .insert(GroupState::key(&group.region, &group.name), *group);
            }
            Change::Ungrouped { key } => {
                self.groups.remove(&key);
            }
            Change::Member {
                balancer,
                machine,
                registration,
            } => {
                let members = self.balancers.entry(balancer).or_default();
                match registration {
                    Some(registration) => members.insert(machine, registration),
                    None => members.remove(&machine),
                };
            }
            Change::Records { zone, records } => {
                self.dns.insert(zone, records);
            }
            Change::Injections(injections) => self.injections = injections,
            Change::Listing { region, broken } => {
                if broken {
                    self.broken.insert(region);
                } else {
                    self.broken.remove(&region);
                }
            }
            Change::Capacity(rules) => self.capacity = rules,
            Change::Quota(quota) => self.quota = quota,
        }
    }

    fn remember(&mut self, call: Call) {
        self.calls += 1;
        self.time = self.time.max(call.at);
        self.counts.entry(call.operation).or_default().add(&call);
        if call.injected
            && let Some(at) =
                Injection::next(&self.injections, call.operation, call.region.as_deref())
            && self.injections[at].use_up()
        {
            self.injections.remove(at);
        }
        self.recent.push_back(call);
        if self.recent.len() > CALLS {
            self.recent.pop_front();
        }
    }

    fn make(&mut self, batch: Batch) {
        let first = self.last_machine + 1;
        self.time = self.time.max(batch.made_at);
        for ordinal in 0..batch.count() {
            self.last_machine += 1;
            self.machines
                .insert(self.last_machine, Machine::new(first, ordinal));
        }
        self.batches.insert(first, batch);
    }

    /// A machine with what it shares with its batch.
    pub(crate) fn machine(&self, number: u64) -> Option<(&Machine, &Batch)> {
        let machine = self.machines.get(&number)?;
        Some((machine, self.batches.get(&machine.batch)?))
    }

    /// All machines with a number above this, in order.
    pub(crate) fn machines_after(
        &self,
        number: u64,
    ) -> impl Iterator<Item = (u64, &Machine, &Batch)> {
        self.machines
            .range(number.saturating_add(1)..)
            .filter_map(|(&number, machine)| {
                Some((number, machine, self.batches.get(&machine.batch)?))
            })
    }

    /// All machines that are not gone.
    pub(crate) fn live(&self, now: Timestamp) -> impl Iterator<Item = (u64, &Machine, &Batch)> {
        self.machines_after(0)
            .filter(move |(_, machine, _)| !machine.is_gone(now))
    }

    /// Drops what nobody will ask for any more.
    pub(super) fn purge(&mut self) {
        let now = self.time;
        let old = |at: Timestamp| now.duration_since(at).unsigned_abs() > MEMORY && at < now;
        self.machines
            .retain(|_, machine| !machine.gone_at().is_some_and(old));
        self.tokens
            .retain(|_, bound| !old(bound.at) || self.machines.contains_key(&bound.first));
        let used: BTreeSet<u64> = self
            .machines
            .values()
            .map(|machine| machine.batch)
            .collect();
        self.batches.retain(|first, _| used.contains(first));
        let machines = &self.machines;
        for members in self.balancers.values_mut() {
            members.retain(|number, registration| {
                machines.contains_key(number) && !registration.leaves_at.is_some_and(old)
            });
        }
    }
}

impl GroupState {
    /// What a group is found by.
    pub(crate) fn key(region: &str, name: &str) -> String {
        format!("{region}/{name}")
    }
}
