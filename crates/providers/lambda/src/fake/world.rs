//! What there is in the fake cloud.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::{FakeConfig, FakeInstance};

/// The regions of the fake, with their places.
pub(super) const REGIONS: [(&str, &str); 3] = [
    ("us-east-1", "Virginia, USA"),
    ("us-west-1", "California, USA"),
    ("europe-central-1", "Germany"),
];

/// Name, description of the GPU, cents, vCPUs, GiB of memory, GPUs.
const TYPES: [(&str, &str, u64, u32, u64, u32); 5] = [
    ("gpu_1x_a10", "A10 (24 GB PCIe)", 75, 30, 200, 1),
    ("gpu_1x_gh200", "GH200 (96 GB)", 149, 64, 432, 1),
    ("gpu_1x_h100_sxm5", "H100 (80 GB SXM5)", 329, 26, 225, 1),
    ("gpu_8x_a100", "A100 (40 GB SXM4)", 1032, 124, 1800, 8),
    ("gpu_8x_h100_sxm5", "H100 (80 GB SXM5)", 2392, 208, 1800, 8),
];

/// Everything.
#[derive(Debug)]
pub(super) struct State {
    pub(super) config: FakeConfig,
    pub(super) instances: Vec<Instance>,
    pub(super) ssh_keys: Vec<SshKey>,
    /// What is left of a type in a region; absent: enough.
    pub(super) capacity: BTreeMap<(String, String), u32>,
    pub(super) quota: Option<u32>,
    pub(super) is_active: bool,
    count: u64,
}

/// A registered key.
#[derive(Debug, Clone)]
pub(super) struct SshKey {
    pub(super) id: String,
    pub(super) name: String,
    pub(super) public_key: String,
}

/// An instance with its times.
#[derive(Debug, Clone)]
pub(super) struct Instance {
    pub(super) shown: FakeInstance,
    pub(super) hostname: Option<String>,
    pub(super) mounts: Vec<(String, String)>,
    pub(super) file_systems: Vec<String>,
    pub(super) made: Instant,
    pub(super) ended: Option<Instant>,
}

impl State {
    pub(super) fn new(config: FakeConfig) -> Self {
        let mut state = Self {
            config,
            instances: Vec::new(),
            ssh_keys: Vec::new(),
            capacity: BTreeMap::new(),
            quota: None,
            is_active: true,
            count: 0,
        };
        let id = state.id();
        state.ssh_keys.push(SshKey {
            id,
            name: "ours".to_owned(),
            public_key: "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIOurs ours".to_owned(),
        });
        state
    }

    /// An id as Lambda gives them: 32 hexadecimal digits.
    pub(super) fn id(&mut self) -> String {
        self.count += 1;
        format!("{:016x}{:016x}", 0x0920_582c_7ff0_4139_u64, self.count)
    }

    pub(super) fn existing(&self) -> Vec<FakeInstance> {
        self.instances
            .iter()
            .filter(|instance| !self.is_gone(instance, Duration::ZERO))
            .map(|instance| FakeInstance {
                status: self.status(instance),
                ..instance.shown.clone()
            })
            .collect()
    }

    pub(super) fn status(&self, instance: &Instance) -> &'static str {
        match instance.ended {
            Some(_) if self.is_gone(instance, Duration::ZERO) => "terminated",
            Some(_) => "terminating",
            None if instance.made.elapsed() < self.config.boot_time => "booting",
            None => "active",
        }
    }

    /// Whether it is gone for those who see it so much later.
    pub(super) fn is_gone(&self, instance: &Instance, lag: Duration) -> bool {
        let time = self.config.terminate_time + lag;
        instance.ended.is_some_and(|ended| ended.elapsed() >= time)
    }

    /// What a listing shows: neither the newest nor that the oldest are gone.
    pub(super) fn listed(&self) -> impl Iterator<Item = &Instance> {
        let lag = self.config.listing_lag;
        self.instances
            .iter()
            .filter(move |one| one.made.elapsed() >= lag && !self.is_gone(one, lag))
    }

    pub(super) fn find(&self, id: &str) -> Option<&Instance> {
        let is_it = |one: &&Instance| one.shown.id == id && !self.is_gone(one, Duration::ZERO);
        self.instances.iter().find(is_it)
    }

    pub(super) fn terminate(&mut self, id: &str) -> bool {
        let is_it = |one: &&mut Instance| one.shown.id == id;
        let Some(found) = self.instances.iter_mut().find(is_it) else {
            return false;
        };
        found.ended.get_or_insert_with(Instant::now);
        true
    }

    pub(super) fn add(&mut self, region: &str, kind: &str, tags: &[(&str, &str)]) -> String {
        let id = self.id();
        let made = Instant::now();
        self.instances.push(Instance {
            shown: FakeInstance {
                id: id.clone(),
                name: "stranger".to_owned(),
                status: "booting",
                region: region.to_owned(),
                instance_type: kind.to_owned(),
                tags: tags
                    .iter()
                    .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
                    .collect(),
                ssh_keys: vec!["ours".to_owned()],
                image: None,
                user_data: None,
                firewall_rulesets: Vec::new(),
            },
            hostname: None,
            mounts: Vec::new(),
            file_systems: Vec::new(),
            made: made.checked_sub(self.config.listing_lag).unwrap_or(made),
            ended: None,
        });
        id
    }

    /// How many of a type are left in a region.
    pub(super) fn left(&self, kind: &str, region: &str) -> u32 {
        let key = (kind.to_owned(), region.to_owned());
        self.capacity.get(&key).copied().unwrap_or(u32::MAX)
    }
}

/// A region as the API shows it.
pub(super) fn region(name: &str) -> Value {
    let place = REGIONS.iter().find(|(known, _)| *known == name);
    json!({ "name": name, "description": place.map_or("somewhere", |(_, place)| place) })
}

/// A type as the API shows it; `None` if there is none of this name.
pub(super) fn instance_type(name: &str) -> Option<Value> {
    let (name, gpu, cents, vcpus, memory, gpus) = TYPES.iter().find(|kind| kind.0 == name)?;
    Some(json!({
        "name": name,
        "description": format!("{gpus}x {gpu}"),
        "gpu_description": gpu,
        "price_cents_per_hour": cents,
        "specs": { "vcpus": vcpus, "memory_gib": memory, "storage_gib": 1400, "gpus": gpus },
    }))
}

/// The names of all types.
pub(super) fn type_names() -> impl Iterator<Item = &'static str> {
    TYPES.iter().map(|kind| kind.0)
}

/// The images: one family in each region.
pub(super) fn images() -> Vec<Value> {
    let mut images = Vec::new();
    for (at, (name, _)) in REGIONS.iter().enumerate() {
        for (family, number) in [("lambda-stack-24-04", 1), ("ubuntu-lts", 2)] {
            images.push(json!({
                "id": format!("43336648-096d-4cba-9aa2-f9bb77276{at}{number:02}"),
                "created_time": "2026-05-01T12:00:00Z",
                "updated_time": "2026-05-02T12:00:00Z",
                "name": format!("{family}.0{number}"),
                "description": family,
                "family": family,
                "version": format!("24.04.0{number}"),
                "architecture": "x86_64",
                "region": region(name),
            }));
        }
    }
    images
}

/// The firewall rulesets.
pub(super) fn rulesets() -> Vec<Value> {
    vec![json!({
        "id": "c4d291f47f9d436fa39f58493ce3b50d",
        "name": "web",
        "region": region("us-east-1"),
        "rules": [{
            "protocol": "tcp",
            "port_range": [443, 443],
            "source_network": "0.0.0.0/0",
            "description": "TLS from anywhere",
        }],
        "created": "2026-05-01T12:00:00Z",
        "instance_ids": [],
    })]
}

/// The file systems.
pub(super) fn file_systems() -> Vec<Value> {
    vec![json!({
        "id": "398578a2336b49079e74043f0bd2cfe8",
        "name": "data",
        "mount_point": "/lambda/nfs/data",
        "created": "2026-05-01T12:00:00Z",
        "created_by": {
            "id": "3da5a70a57a7422ea8a7203f98b2198b",
            "email": "me@example.com",
            "status": "active",
        },
        "is_in_use": false,
        "region": region("us-east-1"),
        "bytes_used": 0,
    })]
}
