//! The state of the fake: what exists, and what time makes of it.

use std::collections::BTreeMap;
use std::time::Instant;

use uuid::Uuid;

use super::balancers::LoadBalancer;
use super::dns::Zone;
use super::{FakeConfig, Machine};

/// Everything there is.
pub(super) struct State {
    pub(super) config: FakeConfig,
    pub(super) now: Instant,
    /// By age.
    pub(super) servers: BTreeMap<u64, Server>,
    /// Instances that are gone and still in lists.
    pub(super) ghosts: Vec<(Server, Instant)>,
    pub(super) volumes: BTreeMap<String, Volume>,
    pub(super) addresses: BTreeMap<String, Address>,
    /// Private networks, with their region.
    pub(super) networks: BTreeMap<String, String>,
    /// Security and placement groups, with zone and kind.
    pub(super) groups: BTreeMap<String, (String, &'static str)>,
    pub(super) balancers: Vec<LoadBalancer>,
    pub(super) zones: Vec<Zone>,
    pub(super) stock: Option<u32>,
    pub(super) has_late_stock: bool,
    pub(super) quota: Option<u32>,
    pub(super) address_quota: Option<u32>,
    serial: u64,
}

/// An instance.
#[derive(Debug, Clone)]
pub(super) struct Server {
    pub(super) id: String,
    pub(super) zone: String,
    pub(super) name: String,
    pub(super) instance_type: &'static str,
    pub(super) image: String,
    pub(super) tags: Vec<String>,
    pub(super) power: Power,
    pub(super) is_protected: bool,
    pub(super) wants_dynamic: bool,
    /// The address that comes with power.
    pub(super) dynamic: Option<Address>,
    pub(super) security_group: Option<String>,
    pub(super) placement_group: Option<String>,
    pub(super) user_data: BTreeMap<String, Vec<u8>>,
    /// Links to private networks: id and network.
    pub(super) nics: Vec<(String, String)>,
    pub(super) made_at: Instant,
}

/// What an instance is at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Power {
    Stopped,
    /// Up at this instant.
    Starting(Instant),
    Running,
    /// The guest has halted; the slot is kept.
    Standby,
    /// Gone at this instant.
    Terminating(Instant),
}

/// A volume.
#[derive(Debug, Clone)]
pub(super) struct Volume {
    pub(super) zone: String,
    /// `l_ssd`, `sbs_volume`, `scratch`.
    pub(super) kind: &'static str,
    pub(super) size: u64,
    pub(super) tags: Vec<String>,
    /// The instance that it is attached to.
    pub(super) server: Option<String>,
    /// Until when it is being detached.
    pub(super) detaching: Option<Instant>,
}

/// A public address.
#[derive(Debug, Clone)]
pub(super) struct Address {
    pub(super) id: String,
    pub(super) zone: String,
    pub(super) text: String,
    pub(super) tags: Vec<String>,
    pub(super) server: Option<String>,
}

impl Power {
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Stopped => "stopped",
            Self::Starting(_) => "starting",
            Self::Running => "running",
            Self::Standby => "stopped in place",
            Self::Terminating(_) => "stopping",
        }
    }
}

// === impl State ===

impl State {
    pub(super) fn new(config: FakeConfig) -> Self {
        Self {
            config,
            now: Instant::now(),
            servers: BTreeMap::new(),
            ghosts: Vec::new(),
            volumes: BTreeMap::new(),
            addresses: BTreeMap::new(),
            networks: BTreeMap::new(),
            groups: BTreeMap::new(),
            balancers: Vec::new(),
            zones: Vec::new(),
            stock: None,
            has_late_stock: false,
            quota: None,
            address_quota: None,
            serial: 0,
        }
    }

    /// Lets time come up to this instant.
    pub(super) fn advance(&mut self, now: Instant) {
        self.now = self.now.max(now);
        let now = self.now;
        let mut gone = Vec::new();
        for (age, server) in &mut self.servers {
            match server.power {
                Power::Starting(at) if at <= now => server.power = Power::Running,
                Power::Terminating(at) if at <= now => gone.push(*age),
                _ => {}
            }
        }
        for age in gone {
            // "deletion of `l_ssd` and `scratch` volumes types, `sbs_volume` will only be detached"
            self.bury(age, true);
        }
        for volume in self.volumes.values_mut() {
            if volume.detaching.is_some_and(|at| at <= now) {
                volume.detaching = None;
            }
        }
        self.ghosts.retain(|(_, until)| *until > now);
    }

    /// Takes an instance out; its local volumes go with it, or stay behind.
    pub(super) fn bury(&mut self, age: u64, takes_local: bool) {
        let Some(server) = self.servers.remove(&age) else {
            return;
        };
        let detached = self.now + self.config.detach_time;
        self.volumes.retain(|_, volume| {
            if volume.server.as_ref() != Some(&server.id) {
                return true;
            }
            volume.server = None;
            if volume.kind == "sbs_volume" {
                volume.detaching = Some(detached);
            }
            volume.kind == "sbs_volume" || (volume.kind == "l_ssd" && !takes_local)
        });
        for address in self.addresses.values_mut() {
            if address.server.as_ref() == Some(&server.id) {
                address.server = None;
            }
        }
        let until = self.now + self.config.listing_lag;
        self.ghosts.push((server, until));
    }

    pub(super) fn serial(&mut self) -> u64 {
        self.serial += 1;
        self.serial
    }

    pub(super) fn fresh_id(&mut self) -> String {
        let serial = u128::from(self.serial());
        Uuid::from_u128((0xFA4E_0000_0000_4000_8000 << 48) | serial).to_string()
    }

    /// An address that no other has: documentation ranges, and the vendor's beyond those.
    pub(super) fn fresh_address(&mut self, is_v6: bool) -> String {
        let serial = self.serial();
        if is_v6 {
            format!("2001:db8::{serial:x}")
        } else {
            format!(
                "51.{}.{}.{}",
                serial >> 16 & 0xFF,
                serial >> 8 & 0xFF,
                serial & 0xFF
            )
        }
    }

    /// The age of an instance by zone and id.
    pub(super) fn age(&self, zone: &str, id: &str) -> Option<u64> {
        let mut all = self.servers.iter();
        all.find(|(_, server)| server.zone == zone && server.id == id)
            .map(|(age, _)| *age)
    }

    /// The public addresses of an instance: flexible ones, or else the dynamic one.
    pub(super) fn addresses_of<'a>(&'a self, server: &'a Server) -> Vec<(&'a Address, bool)> {
        let flexible = self.addresses.values();
        let mut all: Vec<(&Address, bool)> = flexible
            .filter(|address| address.server.as_ref() == Some(&server.id))
            .map(|address| (address, false))
            .collect();
        if all.is_empty() {
            all.extend(server.dynamic.iter().map(|address| (address, true)));
        }
        all
    }
}

// === what tests see and do ===

impl State {
    pub(super) fn machines(&self) -> Vec<Machine> {
        let volumes = |id: &str| {
            let mine = self.volumes.values();
            mine.filter(|volume| volume.server.as_deref() == Some(id))
                .map(|volume| volume.kind.to_owned())
                .collect()
        };
        self.servers
            .values()
            .map(|server| Machine {
                id: server.id.clone(),
                zone: server.zone.clone(),
                name: server.name.clone(),
                instance_type: server.instance_type.to_owned(),
                tags: server.tags.clone(),
                state: server.power.word(),
                user_data: server
                    .user_data
                    .get("cloud-init")
                    .map(|bytes| String::from_utf8_lossy(bytes).into_owned()),
                networks: server
                    .nics
                    .iter()
                    .map(|(_, network)| network.clone())
                    .collect(),
                volumes: volumes(&server.id),
                security_group: server.security_group.clone(),
                placement_group: server.placement_group.clone(),
                addresses: self
                    .addresses_of(server)
                    .into_iter()
                    .map(|(address, _)| address.text.clone())
                    .collect(),
            })
            .collect()
    }

    pub(super) fn left_behind(&self) -> Vec<String> {
        let volumes = self
            .volumes
            .iter()
            .filter(|(_, volume)| volume.server.is_none());
        let addresses = self
            .addresses
            .values()
            .filter(|address| address.server.is_none());
        volumes
            .map(|(id, volume)| format!("{} {id}", volume.kind))
            .chain(addresses.map(|address| format!("ip {}", address.id)))
            .collect()
    }

    pub(super) fn add_foreign(&mut self, zone: &str) -> String {
        let id = self.fresh_id();
        let age = self.serial();
        let server = Server {
            id: id.clone(),
            zone: zone.to_owned(),
            name: "srv-of-somebody-else".to_owned(),
            instance_type: "DEV1-S",
            image: super::products::image_id(zone, "ubuntu_noble", "instance_local"),
            tags: vec!["foo".to_owned()],
            power: Power::Running,
            is_protected: false,
            wants_dynamic: false,
            dynamic: None,
            security_group: None,
            placement_group: None,
            user_data: BTreeMap::new(),
            nics: Vec::new(),
            made_at: self.now,
        };
        self.servers.insert(age, server);
        id
    }

    fn find(&mut self, id: &str) -> Option<&mut Server> {
        self.servers.values_mut().find(|server| server.id == id)
    }

    pub(super) fn halt(&mut self, id: &str) -> bool {
        let server = self.find(id);
        server.map(|server| server.power = Power::Standby).is_some()
    }

    pub(super) fn protect(&mut self, id: &str, is_protected: bool) {
        if let Some(server) = self.find(id) {
            server.is_protected = is_protected;
        }
    }

    pub(super) fn add_network(&mut self, region: &str) -> String {
        let id = self.fresh_id();
        self.networks.insert(id.clone(), region.to_owned());
        id
    }

    pub(super) fn add_group(&mut self, zone: &str, kind: &'static str) -> String {
        let id = self.fresh_id();
        self.groups.insert(id.clone(), (zone.to_owned(), kind));
        id
    }
}
