//! Instances: what they are, what is shown of them, and how to find them quickly.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::{Duration, Instant};

use jiff::Timestamp;

use super::{Event, World};
use crate::{ec2, rest};

/// The state of an instance, in EC2's words.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum State {
    /// It boots.
    Pending,
    /// It runs.
    Running,
    /// It is on its way out.
    ShuttingDown,
    /// It is gone, and still shown for a while.
    Terminated,
}

impl State {
    /// The name on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Running => "running",
            Self::ShuttingDown => "shutting-down",
            Self::Terminated => "terminated",
        }
    }

    /// The number on the wire.
    pub fn code(self) -> u8 {
        match self {
            Self::Pending => 0,
            Self::Running => 16,
            Self::ShuttingDown => 32,
            Self::Terminated => 48,
        }
    }

    /// Whether it still costs money.
    pub fn is_alive(self) -> bool {
        matches!(self, Self::Pending | Self::Running)
    }
}

/// How an instance is paid.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Lifecycle {
    /// At the list price.
    OnDemand,
    /// At the spot price, until AWS wants it back.
    Spot,
}

impl Lifecycle {
    /// The name on the wire, in fleets.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::OnDemand => "on-demand",
            Self::Spot => "spot",
        }
    }
}

/// One instance as it truly is, without any lag.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Instance {
    /// Its id.
    pub id: String,
    /// Its region.
    pub region: String,
    /// Its zone.
    pub zone: String,
    /// Its subnet.
    pub subnet: String,
    /// Its instance type.
    pub instance_type: String,
    /// Its image.
    pub image: String,
    /// Its state.
    pub state: State,
    /// Why it ended: the code and the message of `stateReason`.
    pub state_reason: Option<(String, String)>,
    /// Its tags.
    pub tags: BTreeMap<String, String>,
    /// How it is paid.
    pub lifecycle: Lifecycle,
    /// The reservation that it was launched in.
    pub reservation: String,
    /// Its number within the reservation.
    pub launch_index: u32,
    /// When it was launched.
    pub launched: Timestamp,
    /// The client token that it was launched with.
    pub client_token: Option<String>,
    /// Its address within the VPC.
    pub private_ip: String,
    /// Its public address, if it has one.
    pub public_ip: Option<String>,
    /// Its key pair.
    pub key_name: Option<String>,
    /// The ids of its security groups.
    pub security_groups: Vec<String>,
    /// The name or ARN of its IAM instance profile.
    pub profile: Option<String>,
    /// Its user data, as it was sent (base64).
    pub user_data: Option<String>,
    /// Whether IMDSv2 is required.
    pub requires_token: bool,
    /// The size of its root volume in GiB, if it was asked for.
    pub root_gib: Option<u32>,
    /// The fleet that it belongs to.
    pub fleet: Option<String>,
    /// The spot fleet request that it belongs to.
    pub spot_fleet: Option<String>,
    /// The Auto Scaling group that it belongs to.
    pub group: Option<String>,
}

/// Why an instance ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ending {
    /// Somebody terminated it.
    User,
    /// A fleet, a spot fleet or a group terminated it.
    Owner,
    /// AWS took a spot instance back.
    Interrupted,
}

impl Ending {
    fn reason(self) -> (String, String) {
        let (code, message) = match self {
            Self::User | Self::Owner => (
                "Client.UserInitiatedShutdown",
                "Client.UserInitiatedShutdown: User initiated shutdown",
            ),
            Self::Interrupted => (
                "Server.SpotInstanceTermination",
                "Server.SpotInstanceTermination: Spot instance termination",
            ),
        };
        (code.to_owned(), message.to_owned())
    }
}

/// An instance with its past, from which the lagging view is made.
#[derive(Debug, Clone)]
pub(crate) struct Record {
    /// The truth.
    pub(crate) instance: Instance,
    /// When it was launched, as it is written.
    pub(crate) launched: String,
    /// The states it went through.
    pub(crate) history: Vec<(Instant, State)>,
}

impl Record {
    /// The state that is shown at `now` if news need `lag`; `None` if it is not shown yet.
    pub(crate) fn shown(&self, now: Instant, lag: Duration) -> Option<State> {
        self.history
            .iter()
            .rev()
            .find(|(at, _)| *at + lag <= now)
            .map(|(_, state)| *state)
    }
}

/// The instances of a region, with an index by tag.
#[derive(Debug, Default)]
pub(crate) struct Instances {
    shown: BTreeMap<String, Record>,
    gone: BTreeMap<String, Record>,
    tagged: HashMap<(String, String), BTreeSet<String>>,
}

impl Instances {
    /// Adds a new one.
    pub(crate) fn add(&mut self, record: Record) {
        let id = record.instance.id.clone();
        for (key, value) in &record.instance.tags {
            self.index(key, value, &id);
        }
        self.shown.insert(id, record);
    }

    /// One that is not forgotten.
    pub(crate) fn find(&self, id: &str) -> Option<&Record> {
        self.shown.get(id)
    }

    /// One, forgotten or not.
    pub(crate) fn find_any(&self, id: &str) -> Option<&Record> {
        self.shown.get(id).or_else(|| self.gone.get(id))
    }

    /// One that is not forgotten, to change it. Tags are changed by `tag` and `untag`.
    pub(crate) fn find_mut(&mut self, id: &str) -> Option<&mut Record> {
        self.shown.get_mut(id)
    }

    /// Those that are not forgotten, by age, beginning behind `after`.
    pub(crate) fn behind<'a>(
        &'a self,
        after: Option<&str>,
    ) -> impl Iterator<Item = &'a Record> + use<'a> {
        use std::ops::Bound;
        let start = after.map_or(Bound::Unbounded, |id| Bound::Excluded(id.to_owned()));
        self.shown
            .range((start, Bound::Unbounded))
            .map(|(_, record)| record)
    }

    /// All, the forgotten ones included.
    pub(crate) fn all(&self) -> impl Iterator<Item = &Record> {
        self.gone.values().chain(self.shown.values())
    }

    /// The ids of those with a tag.
    pub(crate) fn tagged(&self, key: &str, value: &str) -> Option<&BTreeSet<String>> {
        self.tagged.get(&(key.to_owned(), value.to_owned()))
    }

    /// Sets a tag.
    pub(crate) fn tag(&mut self, id: &str, key: &str, value: &str) {
        self.untag(id, key, None);
        if let Some(record) = self.shown.get_mut(id) {
            let tags = &mut record.instance.tags;
            tags.insert(key.to_owned(), value.to_owned());
            self.index(key, value, id);
        }
    }

    /// Removes a tag; if a value is named, only if it has that value.
    pub(crate) fn untag(&mut self, id: &str, key: &str, value: Option<&str>) {
        let Some(record) = self.shown.get_mut(id) else {
            return;
        };
        let tags = &mut record.instance.tags;
        if value.is_some_and(|value| tags.get(key).is_none_or(|has| has != value)) {
            return;
        }
        if let Some(old) = tags.remove(key)
            && let Some(ids) = self.tagged.get_mut(&(key.to_owned(), old))
        {
            ids.remove(id);
        }
    }

    /// Shows one no longer.
    pub(crate) fn forget(&mut self, id: &str) {
        if let Some((id, record)) = self.shown.remove_entry(id) {
            for (key, value) in &record.instance.tags {
                if let Some(ids) = self.tagged.get_mut(&(key.clone(), value.clone())) {
                    ids.remove(&id);
                }
            }
            self.gone.insert(id, record);
        }
    }

    fn index(&mut self, key: &str, value: &str, id: &str) {
        self.tagged
            .entry((key.to_owned(), value.to_owned()))
            .or_default()
            .insert(id.to_owned());
    }
}

impl World {
    /// Terminates an instance and tells its owners. Repeating does nothing. `false` if there is no
    /// such instance, or it is forgotten.
    pub(crate) fn end(&mut self, region: &str, id: &str, ending: Ending) -> bool {
        let now = self.now;
        let Some(record) = self
            .regions
            .get_mut(region)
            .and_then(|region| region.instances.find_mut(id))
        else {
            return false;
        };
        if !record.instance.state.is_alive() {
            return true;
        }
        record.instance.state = State::ShuttingDown;
        record.instance.state_reason = Some(ending.reason());
        record.history.push((now, State::ShuttingDown));
        let (shutdown, shown) = (self.config.shutdown_time, self.config.terminated_for);
        let key = (region.to_owned(), id.to_owned());
        self.schedule(shutdown, Event::Terminated(key.0.clone(), key.1.clone()));
        let lag = self.config.listing_lag;
        self.schedule(shutdown + lag + shown, Event::Forgotten(key.0, key.1));
        ec2::instance_ended(self, region, id, ending);
        rest::instance_ended(self, region, id, ending);
        true
    }

    /// Moves an instance from one state to the next, if it is still in the first.
    pub(crate) fn change(&mut self, region: &str, id: &str, from: State, to: State) {
        let now = self.now;
        if let Some(record) = self
            .regions
            .get_mut(region)
            .and_then(|region| region.instances.find_mut(id))
            && record.instance.state == from
        {
            record.instance.state = to;
            record.history.push((now, to));
            rest::instance_changed(self, region, id, to);
        }
    }

    /// The region of an instance that is not forgotten.
    pub(crate) fn region_of(&self, id: &str) -> Option<String> {
        self.regions
            .values()
            .find(|region| region.instances.find(id).is_some())
            .map(|region| region.name.clone())
    }
}
