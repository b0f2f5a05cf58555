//! The state: droplets and what belongs to a team.

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::FakeSettings;
use super::catalog::{Kind, kinds, region};

/// A droplet as it really is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Truth {
    /// Its number.
    pub id: u64,
    /// Its name.
    pub name: String,
    /// Its region.
    pub region: String,
    /// Its size.
    pub size: String,
    /// Its tags.
    pub tags: Vec<String>,
    /// Its status.
    pub status: String,
    /// The user data that it was made with.
    pub user_data: Option<String>,
    /// The fingerprints of the keys that it was made with.
    pub ssh_keys: Vec<String>,
    /// Its VPC.
    pub vpc: Option<String>,
    /// The image that it was made from, as the request said.
    pub image: Value,
}

/// A droplet.
#[derive(Debug, Clone)]
pub(super) struct Machine {
    pub(super) truth: Truth,
    pub(super) made_at: Timestamp,
    pub(super) runs_from: Timestamp,
    /// When its removal was asked for, and when it is over.
    pub(super) leaving: Option<(Timestamp, Timestamp)>,
    /// A status that is not derived from time.
    pub(super) forced: Option<String>,
}

pub(super) struct Balancer {
    pub(super) id: String,
    pub(super) name: String,
    pub(super) region: String,
    pub(super) tag: Option<String>,
    pub(super) droplets: BTreeSet<u64>,
}

pub(super) struct Network {
    pub(super) id: String,
    pub(super) name: String,
    pub(super) region: String,
}

pub(super) struct Firewall {
    pub(super) id: String,
    pub(super) name: String,
    pub(super) tags: Vec<String>,
}

pub(super) struct Project {
    pub(super) id: String,
    pub(super) name: String,
    pub(super) droplets: BTreeSet<u64>,
}

pub(super) struct Picture {
    pub(super) id: u64,
    pub(super) name: String,
    pub(super) slug: Option<&'static str>,
    pub(super) regions: Vec<String>,
    pub(super) created_at: Timestamp,
}

pub(super) struct Record {
    pub(super) id: u64,
    pub(super) kind: String,
    pub(super) name: String,
    pub(super) data: String,
    pub(super) ttl: u64,
}

pub(super) struct Key {
    pub(super) id: u64,
    pub(super) fingerprint: String,
    pub(super) name: String,
    pub(super) line: String,
}

pub(super) struct State {
    pub(super) settings: FakeSettings,
    pub(super) address: String,
    pub(super) now: Timestamp,
    pub(super) calls: Vec<Timestamp>,
    pub(super) kinds: Vec<Kind>,
    pub(super) stock: BTreeMap<String, u64>,
    pub(super) halves_next: bool,
    pub(super) hides_tags: bool,
    pub(super) account: (String, String),
    pub(super) machines: BTreeMap<u64, Machine>,
    pub(super) keys: Vec<Key>,
    /// In their canonical capitalization.
    pub(super) tags: BTreeSet<String>,
    pub(super) images: Vec<Picture>,
    pub(super) balancers: Vec<Balancer>,
    pub(super) networks: Vec<Network>,
    pub(super) firewalls: Vec<Firewall>,
    pub(super) projects: Vec<Project>,
    pub(super) domains: BTreeMap<String, Vec<Record>>,
    last: u64,
}

const EVERYWHERE: [&str; 4] = ["nyc3", "fra1", "tor1", "sfo1"];

impl State {
    pub(super) fn new(settings: FakeSettings, now: Timestamp) -> Self {
        let image = |id, name: &str, slug| Picture {
            id,
            name: name.to_owned(),
            slug: Some(slug),
            regions: EVERYWHERE.map(str::to_owned).to_vec(),
            created_at: now,
        };
        Self {
            settings,
            address: String::new(),
            now,
            calls: Vec::new(),
            kinds: kinds(),
            stock: BTreeMap::new(),
            halves_next: false,
            hides_tags: false,
            account: ("active".to_owned(), String::new()),
            machines: BTreeMap::new(),
            keys: Vec::new(),
            tags: BTreeSet::new(),
            images: vec![
                image(155_133_621, "24.04 (LTS) x64", "ubuntu-24-04-x64"),
                image(166_407_044, "AI/ML Ready H100x1", "gpu-h100x1-base"),
            ],
            balancers: Vec::new(),
            networks: Vec::new(),
            firewalls: Vec::new(),
            projects: Vec::new(),
            domains: BTreeMap::new(),
            last: 500_000_000,
        }
    }

    /// Lets time pass: what is being removed goes when its time has come.
    pub(super) fn turn_to(&mut self, now: Timestamp) {
        self.now = now.max(self.now);
        let lag = span(self.settings.listing_lag);
        let now = self.now;
        let gone: BTreeSet<u64> = self
            .machines
            .iter()
            .filter(|(_, machine)| machine.is_gone(now))
            .map(|(id, _)| *id)
            .collect();
        for balancer in &mut self.balancers {
            balancer.droplets.retain(|id| !gone.contains(id));
        }
        for project in &mut self.projects {
            project.droplets.retain(|id| !gone.contains(id));
        }
        self.machines
            .retain(|_, machine| machine.leaving.is_none_or(|(_, end)| now < end + lag));
    }

    pub(super) fn number(&mut self) -> u64 {
        self.last += 1;
        self.last
    }

    pub(super) fn uuid(&mut self) -> String {
        format!("7c2d1f3a-0000-4000-8000-{:012x}", self.number())
    }

    /// Droplets that exist.
    pub(super) fn present(&self) -> impl Iterator<Item = &Machine> {
        let now = self.now;
        self.machines.values().filter(move |one| !one.is_gone(now))
    }

    pub(super) fn in_use(&self) -> u64 {
        u64::try_from(self.present().count()).unwrap_or(u64::MAX)
    }

    pub(super) fn kind(&self, slug: &str) -> Option<&Kind> {
        self.kinds.iter().find(|kind| kind.slug == slug)
    }

    pub(super) fn truth(&self) -> Vec<Truth> {
        self.present()
            .map(|machine| Truth {
                status: machine.status(self.now),
                ..machine.truth.clone()
            })
            .collect()
    }

    /// The tag in its canonical capitalization, which is that of whoever used it first.
    pub(super) fn canonical_tag(&mut self, name: &str) -> String {
        let known = self.tags.iter().find(|tag| tag.eq_ignore_ascii_case(name));
        if let Some(known) = known {
            return known.clone();
        }
        self.tags.insert(name.to_owned());
        name.to_owned()
    }

    pub(super) fn add(&mut self, mut truth: Truth) -> u64 {
        truth.id = self.number();
        truth.tags = truth
            .tags
            .iter()
            .map(|tag| self.canonical_tag(tag))
            .collect();
        if let Some(left) = self.stock.get_mut(&truth.region) {
            *left = left.saturating_sub(1);
        }
        let id = truth.id;
        let machine = Machine {
            truth,
            made_at: self.now,
            runs_from: self.now + span(self.settings.boot),
            leaving: None,
            forced: None,
        };
        self.machines.insert(id, machine);
        id
    }

    pub(super) fn add_running(
        &mut self,
        name: &str,
        region: &str,
        size: &str,
        tags: &[&str],
    ) -> u64 {
        let id = self.add(Truth {
            id: 0,
            name: name.to_owned(),
            region: region.to_owned(),
            size: size.to_owned(),
            tags: tags.iter().map(|tag| (*tag).to_owned()).collect(),
            status: String::new(),
            user_data: None,
            ssh_keys: Vec::new(),
            vpc: None,
            image: json!("ubuntu-24-04-x64"),
        });
        if let Some(machine) = self.machines.get_mut(&id) {
            machine.made_at -= span(self.settings.listing_lag);
            machine.runs_from = machine.made_at;
        }
        id
    }

    pub(super) fn switch_off(&mut self, id: u64) -> bool {
        self.force_status(id, "off");
        self.machines.contains_key(&id)
    }

    pub(super) fn force_status(&mut self, id: u64, status: &str) {
        if let Some(machine) = self.machines.get_mut(&id) {
            machine.forced = Some(status.to_owned());
        }
    }

    pub(super) fn set_stock(&mut self, region: &str, droplets: Option<u64>) {
        match droplets {
            Some(droplets) => self.stock.insert(region.to_owned(), droplets),
            None => self.stock.remove(region),
        };
    }

    pub(super) fn sell_out(&mut self, size: &str, region: &str) {
        for kind in &mut self.kinds {
            if kind.slug == size {
                kind.regions.retain(|known| *known != region);
            }
        }
    }

    pub(super) fn region(&self, slug: &str) -> Value {
        region(slug, &self.kinds)
    }
}

impl Machine {
    pub(super) fn is_gone(&self, now: Timestamp) -> bool {
        self.leaving.is_some_and(|(_, end)| end <= now)
    }

    pub(super) fn status(&self, now: Timestamp) -> String {
        match &self.forced {
            Some(status) => status.clone(),
            None if now < self.runs_from => "new".to_owned(),
            None => "active".to_owned(),
        }
    }

    /// Whether a listing shows it: late when it is new, and late when it is gone.
    pub(super) fn is_listed(&self, now: Timestamp, settings: &FakeSettings) -> bool {
        self.made_at + span(settings.listing_lag) <= now
    }
}

pub(super) fn span(duration: std::time::Duration) -> SignedDuration {
    SignedDuration::try_from(duration).unwrap_or(SignedDuration::MAX)
}
