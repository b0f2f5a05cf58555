//! What there is in the account: machines, NodeBalancers, domains, and how much may be had.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::FakeConfig;

/// A machine as it really is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Machine {
    /// Its id.
    pub id: u64,
    /// Its name.
    pub label: String,
    /// Where it is.
    pub region: String,
    /// Its plan.
    pub instance_type: String,
    /// Its image.
    pub image: String,
    /// Its tags.
    pub tags: Vec<String>,
    /// Its user data, decoded.
    pub user_data: Option<Vec<u8>>,
    /// The public keys that may log in.
    pub authorized_keys: Vec<String>,
    /// Whether it is on its way out.
    pub is_leaving: bool,
    pub(super) public: Ipv4Addr,
    pub(super) private: Option<Ipv4Addr>,
    pub(super) created: Timestamp,
    pub(super) deleted: Option<Timestamp>,
    pub(super) extra: Value,
}

/// A NodeBalancer with its ports.
#[derive(Debug, Clone)]
pub(super) struct Balancer {
    pub(super) id: u64,
    pub(super) label: String,
    pub(super) region: String,
    pub(super) ports: Vec<Port>,
}

#[derive(Debug, Clone)]
pub(super) struct Port {
    pub(super) id: u64,
    pub(super) number: u16,
    pub(super) backends: Vec<Backend>,
}

#[derive(Debug, Clone)]
pub(super) struct Backend {
    pub(super) id: u64,
    pub(super) address: String,
    pub(super) label: String,
    pub(super) mode: String,
    pub(super) since: Timestamp,
}

#[derive(Debug, Clone)]
pub(super) struct Zone {
    pub(super) id: u64,
    pub(super) name: String,
    pub(super) kind: String,
    pub(super) records: Vec<Record>,
}

#[derive(Debug, Clone)]
pub(super) struct Record {
    pub(super) id: u64,
    pub(super) kind: String,
    pub(super) name: String,
    pub(super) target: String,
    pub(super) ttl_sec: u64,
}

#[derive(Debug)]
pub(super) struct World {
    pub(super) config: FakeConfig,
    pub(super) machines: BTreeMap<u64, Machine>,
    pub(super) balancers: Vec<Balancer>,
    pub(super) zones: Vec<Zone>,
    /// Machines that may still be had; absent: as many as one likes.
    pub(super) quota: Option<u32>,
    pub(super) capacity: Option<u32>,
    /// Plans that a region has no more of.
    pub(super) sold_out: Vec<(String, String)>,
    /// Regions that the account may not use.
    pub(super) closed: Vec<String>,
    /// Machines with a job, of which Linode says that they are busy.
    pub(super) busy: Vec<u64>,
    /// When machines were asked for, for the limit on that.
    pub(super) asked: Vec<Timestamp>,
    last_id: u64,
}

impl World {
    pub(super) fn new(config: FakeConfig) -> Self {
        Self {
            config,
            machines: BTreeMap::new(),
            balancers: Vec::new(),
            zones: Vec::new(),
            quota: None,
            capacity: None,
            sold_out: Vec::new(),
            closed: Vec::new(),
            busy: Vec::new(),
            asked: Vec::new(),
            last_id: 40_000_000,
        }
    }

    pub(super) fn next_id(&mut self) -> u64 {
        self.last_id += 1;
        self.last_id
    }

    /// Lets what is done be done: deleted machines go when their time has come, and are kept for
    /// as long as listings may still show them.
    pub(super) fn advance(&mut self, now: Timestamp) {
        let keep = signed(self.config.removal) + signed(self.config.listing_lag);
        self.machines.retain(|_, machine| {
            machine
                .deleted
                .is_none_or(|at| now.duration_since(at) < keep)
        });
    }

    /// Whether a machine exists at this instant.
    pub(super) fn exists(&self, machine: &Machine, now: Timestamp) -> bool {
        machine
            .deleted
            .is_none_or(|at| now.duration_since(at) < signed(self.config.removal))
    }

    pub(super) fn machine(&self, id: u64, now: Timestamp) -> Option<&Machine> {
        self.machines
            .get(&id)
            .filter(|machine| self.exists(machine, now))
    }

    /// Whether a listing shows it: late when it is new, and for too long when it is gone.
    pub(super) fn is_listed(&self, machine: &Machine, now: Timestamp) -> bool {
        now.duration_since(machine.created) >= signed(self.config.listing_lag)
    }

    pub(super) fn status(&self, machine: &Machine, now: Timestamp) -> &'static str {
        let age = now.duration_since(machine.created);
        let boot = signed(self.config.boot);
        if machine.deleted.is_some() {
            "deleting"
        } else if age < boot / 3 {
            "provisioning"
        } else if age < boot / 2 {
            "offline"
        } else if age < boot {
            "booting"
        } else {
            "running"
        }
    }

    pub(super) fn show(&self, machine: &Machine, now: Timestamp) -> Value {
        let plan = plans()
            .into_iter()
            .find(|p| p["id"] == *machine.instance_type);
        let plan = plan.unwrap_or_default();
        let mut addresses = vec![machine.public.to_string()];
        addresses.extend(machine.private.map(|private| private.to_string()));
        json!({
            "id": machine.id,
            "label": machine.label,
            "group": "",
            "status": self.status(machine, now),
            "created": written(machine.created),
            "updated": written(machine.created),
            "type": machine.instance_type,
            "ipv4": addresses,
            "ipv6": format!("2001:db8::{:x}:{:x}/128", machine.id >> 16, machine.id & 0xffff),
            "image": machine.image,
            "region": machine.region,
            "specs": {
                "disk": plan["disk"], "memory": plan["memory"], "vcpus": plan["vcpus"],
                "gpus": plan["gpus"], "transfer": plan["transfer"],
            },
            "alerts": {
                "cpu": 90, "network_in": 10, "network_out": 10, "transfer_quota": 80, "io": 10000,
            },
            "backups": {
                "enabled": machine.extra["backups_enabled"] == true, "available": false,
                "schedule": { "day": null, "window": null }, "last_successful": null,
            },
            "hypervisor": "kvm",
            "watchdog_enabled": true,
            "tags": machine.tags,
            "host_uuid": "3a3ddd59d9a78bb8de041391075df44de62bfec8",
            "has_user_data": machine.user_data.is_some(),
        })
    }

    /// What checks say of a backend: first nothing, then whether a running machine answers.
    pub(super) fn backend_status(&self, backend: &Backend, now: Timestamp) -> &'static str {
        if now.duration_since(backend.since) < signed(self.config.check) {
            return "Unknown";
        }
        let host = backend.address.split(':').next().unwrap_or("");
        let up = self.machines.values().any(|machine| {
            machine
                .private
                .is_some_and(|private| private.to_string() == host)
                && self.status(machine, now) == "running"
        });
        if up { "UP" } else { "DOWN" }
    }
}

/// A time as Linode writes it: UTC, without saying so, to the second.
pub(super) fn written(at: Timestamp) -> String {
    at.strftime("%Y-%m-%dT%H:%M:%S").to_string()
}

pub(super) fn signed(duration: Duration) -> SignedDuration {
    SignedDuration::try_from(duration).unwrap_or(SignedDuration::MAX)
}

/// The plans, with prices as recorded from the real API.
pub(super) fn plans() -> Vec<Value> {
    let plan = |id: &str, label: &str, class: &str, size: [u64; 4], hourly: f64, monthly: f64| {
        let [vcpus, memory, gpus, disk] = size;
        json!({
            "id": id, "label": label, "class": class, "vcpus": vcpus, "memory": memory,
            "gpus": gpus, "disk": disk, "transfer": 4000, "network_out": 4000, "successor": null,
            "price": { "hourly": hourly, "monthly": monthly },
            "region_prices": [{ "id": "br-gru", "hourly": 0.0105, "monthly": 7.0 }],
            "addons": { "backups": {
                "price": { "hourly": 0.003, "monthly": 2.0 },
                "region_prices": [{ "id": "br-gru", "hourly": 0.004, "monthly": 2.8 }],
            } },
        })
    };
    vec![
        plan(
            "g6-nanode-1",
            "Nanode 1GB",
            "nanode",
            [1, 1024, 0, 25_600],
            0.0075,
            5.0,
        ),
        plan(
            "g6-standard-2",
            "Linode 4GB",
            "standard",
            [2, 4096, 0, 81_920],
            0.036,
            24.0,
        ),
        plan(
            "g6-dedicated-8",
            "Dedicated 16GB",
            "dedicated",
            [8, 16_384, 0, 327_680],
            0.216,
            144.0,
        ),
        plan(
            "g1-gpu-rtx6000-1",
            "Dedicated 32GB + RTX6000 GPU x1",
            "gpu",
            [8, 32_768, 1, 655_360],
            1.5,
            1_000.0,
        ),
    ]
}

/// The regions with what they can do.
pub(super) fn regions() -> Vec<Value> {
    let region = |id: &str, label: &str, country: &str, more: &[&str]| {
        let mut capabilities = vec!["Linodes", "NodeBalancers", "Cloud Firewall", "VPCs"];
        capabilities.extend(more);
        json!({
            "id": id, "label": label, "country": country, "capabilities": capabilities,
            "status": "ok", "site_type": "core",
            "resolvers": { "ipv4": "192.0.2.53", "ipv6": "2001:db8::53" },
        })
    };
    vec![
        region("us-east", "Newark, NJ", "us", &["Metadata", "GPU Linodes"]),
        region("eu-west", "London, UK", "uk", &["Metadata"]),
        region("br-gru", "Sao Paulo, BR", "br", &["Premium Plans"]),
    ]
}

/// The images.
pub(super) fn images() -> Vec<Value> {
    let image =
        |id: &str, label: &str, is_public: bool, status: &str, cloud_init: bool, day: u8| {
            let capabilities: &[&str] = if cloud_init { &["cloud-init"] } else { &[] };
            json!({
                "id": id, "label": label, "description": null, "is_public": is_public,
                "created": format!("2026-01-{day:02}T00:00:00"),
                "updated": format!("2026-01-{day:02}T00:00:00"),
                "created_by": if is_public { "linode" } else { "fleet" },
                "deprecated": false, "status": status, "size": 1500, "type": "manual",
                "eol": null, "expiry": null, "vendor": "Debian", "capabilities": capabilities,
            })
        };
    vec![
        image("linode/debian12", "Debian 12", true, "available", true, 1),
        image(
            "linode/slackware15.0",
            "Slackware 15.0",
            true,
            "available",
            false,
            1,
        ),
        image("private/100", "golden", false, "available", true, 2),
        image("private/101", "golden", false, "available", true, 3),
        image("private/102", "golden", false, "creating", true, 4),
    ]
}
