//! A machine, and how it looks at a given instant.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use fleetwright_core::{
    Addresses, Boot, HourlyPrice, Labels, Market, Node, NodeId, NodeState, Result,
};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{after, hash};

/// Machines that were made at once: everything they share.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Batch {
    pub(crate) made_at: Timestamp,
    pub(crate) region: String,
    /// How many are in which zone, in the order of their ordinals.
    pub(crate) zones: Vec<(String, u32)>,
    /// Base of the names.
    pub(crate) name: String,
    /// Ordinal of the first; absent: the name is complete as it is.
    pub(crate) first_ordinal: Option<u32>,
    pub(crate) instance_type: String,
    pub(crate) market: Market,
    pub(crate) labels: Labels,
    pub(crate) price: Option<HourlyPrice>,
    pub(crate) boot_time: Duration,
    pub(crate) script: Script,
    pub(crate) listing_lag: Duration,
    /// Decides what differs between the machines of a batch.
    pub(crate) seed: u64,
    /// The group that they are members of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) group: Option<String>,
}

/// What becomes of the boot script.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Script {
    /// Whether anybody is told.
    pub(crate) reported: bool,
    pub(crate) takes: Duration,
    /// The status it ends with.
    pub(crate) status: i32,
    /// How many of 1000 fail for no reason.
    pub(crate) failures: u16,
}

/// One machine of a batch.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Machine {
    /// The number of the first machine of its batch.
    pub(crate) batch: u64,
    /// Its place in the batch.
    pub(crate) place: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) end: Option<End>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) notice: Option<Notice>,
    /// What the cloud calls its state instead of the truth.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) word: Option<String>,
}

/// The way out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct End {
    pub(crate) asked_at: Timestamp,
    pub(crate) gone_at: Timestamp,
    pub(crate) why: Why,
}

/// Why a machine went.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Why {
    /// Somebody deleted it.
    Deleted,
    /// It was taken out of its group, which got smaller.
    Removed,
    /// It died.
    Killed,
}

/// A reclaim that was announced.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Notice {
    pub(crate) given_at: Timestamp,
    pub(crate) gone_at: Timestamp,
}

// === impl Batch ===

impl Batch {
    pub(crate) fn count(&self) -> u32 {
        self.zones.iter().map(|(_, count)| count).sum()
    }

    /// The zone of the machine at a place.
    pub(crate) fn zone(&self, place: u32) -> Option<&str> {
        let mut left = place;
        for (zone, count) in &self.zones {
            match left.checked_sub(*count) {
                None => return Some(zone),
                Some(rest) => left = rest,
            }
        }
        None
    }

    /// The name of the machine at a place.
    pub(crate) fn name(&self, place: u32) -> String {
        match self.first_ordinal {
            Some(first) => format!("{}-{}", self.name, first.saturating_add(place)),
            None => self.name.clone(),
        }
    }

    /// The place of the machine that bears a name.
    pub(crate) fn place_of(&self, name: &str) -> Option<u32> {
        let place = match self.first_ordinal {
            Some(first) => {
                let ordinal = name.strip_prefix(&self.name)?.strip_prefix('-')?;
                ordinal.parse::<u32>().ok()?.checked_sub(first)?
            }
            None => 0,
        };
        (place < self.count() && self.name(place) == name).then_some(place)
    }

    fn running_at(&self) -> Timestamp {
        after(self.made_at, self.boot_time)
    }

    /// What became of the boot script of one machine.
    fn boot(&self, number: u64, now: Timestamp) -> Boot {
        let script = &self.script;
        if now < after(self.running_at(), script.takes) {
            return Boot::Running;
        }
        let failed = |status: i32, log_tail: String| Boot::Failed {
            exit_status: Some(status),
            log_tail,
        };
        if script.status != 0 {
            let log_tail = format!("the boot script ended with `exit {}`\n", script.status);
            return failed(script.status, log_tail);
        }
        if hash::chosen(self.seed, "boot", number, script.failures) {
            return failed(1, "simulated boot failure\n".to_owned());
        }
        Boot::Succeeded
    }
}

// === impl Machine ===

impl Machine {
    pub(super) fn new(batch: u64, place: u32) -> Self {
        Self {
            batch,
            place,
            end: None,
            notice: None,
            word: None,
        }
    }

    /// When it is gone, if its end is settled.
    pub(crate) fn gone_at(&self) -> Option<Timestamp> {
        let end = self.end.map(|end| end.gone_at);
        let reclaim = self.notice.map(|notice| notice.gone_at);
        end.into_iter().chain(reclaim).min()
    }

    pub(crate) fn is_gone(&self, now: Timestamp) -> bool {
        self.gone_at().is_some_and(|gone_at| gone_at <= now)
    }

    /// Whether it is there and nobody wants it away.
    pub(crate) fn is_staying(&self, now: Timestamp) -> bool {
        self.end.is_none() && !self.is_gone(now)
    }

    /// Whether it counts as lost for its group, which will replace it.
    pub(crate) fn lost_at(&self) -> Option<Timestamp> {
        match self.end {
            Some(end) if end.why == Why::Removed => None,
            Some(end) => Some(end.asked_at),
            None => self.notice.map(|notice| notice.gone_at),
        }
    }

    pub(crate) fn state(&self, batch: &Batch, now: Timestamp) -> NodeState {
        if self.is_gone(now) {
            NodeState::Deleted
        } else if self.end.is_some() {
            NodeState::Deleting
        } else if let Some(word) = &self.word {
            NodeState::Unknown(word.clone())
        } else if now < batch.running_at() {
            NodeState::Pending
        } else {
            NodeState::Running
        }
    }

    /// The truth about it.
    pub(crate) fn node(
        &self,
        number: u64,
        batch: &Batch,
        provider: &str,
        now: Timestamp,
    ) -> Result<Node> {
        let state = self.state(batch, now);
        let up = batch.running_at() <= now;
        let message = self.notice.map(|notice| {
            if notice.gone_at <= now {
                format!("reclaimed by the cloud at {}", notice.gone_at)
            } else {
                format!("the cloud reclaims it at {}", notice.gone_at)
            }
        });
        Ok(Node {
            id: NodeId::new(provider, &batch.region, &native(number))?,
            name: batch.name(self.place),
            state,
            instance_type: batch.instance_type.clone(),
            zone: batch.zone(self.place).map(str::to_owned),
            market: batch.market,
            addresses: Addresses {
                public: None,
                private: up.then(|| address(number)),
            },
            access: None,
            boot: batch.script.reported.then(|| batch.boot(number, now)),
            labels: batch.labels.clone(),
            created_at: Some(batch.made_at),
            price: batch.price,
            message,
            metadata: BTreeMap::new(),
        })
    }

    /// How it looks from outside: a new machine may not be seen yet, and one that leaves may still
    /// look as if nothing had happened. `None`: not seen.
    pub(crate) fn seen(
        &self,
        number: u64,
        batch: &Batch,
        provider: &str,
        now: Timestamp,
    ) -> Result<Option<Node>> {
        let lag = |purpose| lag(batch.seed, purpose, number, batch.listing_lag);
        if now < after(batch.made_at, lag("appears")) {
            return Ok(None);
        }
        let leaves = self.end.map(|end| end.asked_at).or_else(|| {
            self.notice
                .map(|notice| notice.gone_at)
                .filter(|&at| at <= now)
        });
        if leaves.is_some_and(|leaves| now < after(leaves, lag("leaves"))) {
            let before = Self {
                end: None,
                notice: None,
                ..self.clone()
            };
            return before.node(number, batch, provider, now).map(Some);
        }
        self.node(number, batch, provider, now).map(Some)
    }
}

// === impl Script ===

impl Script {
    /// The status that a script ends with: that of its first line `exit <n>`, or 0.
    pub(crate) fn status_of(user_data: &str) -> i32 {
        user_data
            .lines()
            .filter_map(|line| line.trim().strip_prefix("exit "))
            .find_map(|status| status.trim().parse().ok())
            .unwrap_or(0)
    }
}

/// What the cloud calls a machine.
pub(crate) fn native(number: u64) -> String {
    format!("i-{number:08x}")
}

/// The number of a machine, if that is the name of one.
pub(crate) fn number_of(native_id: &str) -> Option<u64> {
    let number = u64::from_str_radix(native_id.strip_prefix("i-")?, 16).ok()?;
    (native(number) == native_id).then_some(number)
}

fn address(number: u64) -> IpAddr {
    let [.., a, b, c] = number.to_be_bytes();
    IpAddr::V4(Ipv4Addr::new(10, a, b, c))
}

/// How late one machine is, within what is allowed.
fn lag(seed: u64, purpose: &str, number: u64, most: Duration) -> Duration {
    most / 1000 * u32::try_from(hash::of(seed, purpose, number) % 1000).unwrap_or(0)
}
