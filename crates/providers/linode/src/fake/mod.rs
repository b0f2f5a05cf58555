//! A fake of Linode's API: machines that take time, names that are unique, pages, lateness, limits.
//!
//! It stands on [`fleetwright_rest::testing::Server`], which brings the faults and the judge.

mod filter;
mod routes;
mod world;

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use fleetwright_core::{Clock, Labels, keys};
use fleetwright_rest::testing::{Description, Fault, Reply, Request, Server};
use jiff::Timestamp;
use serde_json::Value;

pub use world::Machine;

use crate::tags;
use routes::Asked;
use world::{Balancer, Port, World, Zone};

/// How the fake behaves.
#[derive(Debug, Clone)]
pub struct FakeConfig {
    /// The token that may do everything.
    pub token: String,
    /// A token that may only look.
    pub read_only_token: String,
    /// How long listings do not show what is new, and still show what is gone.
    pub listing_lag: Duration,
    /// How long a machine takes until it runs.
    pub boot: Duration,
    /// How long a machine takes to go.
    pub removal: Duration,
    /// How long a NodeBalancer takes to judge a backend.
    pub check: Duration,
    /// Whether "20 requests per 15 seconds" holds for new machines.
    pub limits: bool,
}

impl Default for FakeConfig {
    fn default() -> Self {
        Self {
            token: "the-token-of-the-tests".to_owned(),
            read_only_token: "the-token-that-only-looks".to_owned(),
            listing_lag: Duration::from_millis(120),
            boot: Duration::from_millis(150),
            removal: Duration::from_millis(100),
            check: Duration::from_millis(50),
            limits: false,
        }
    }
}

/// A running fake. It ends when this is dropped.
pub struct Fake {
    account: Arc<Account>,
    server: Server,
}

struct Account {
    world: Mutex<World>,
    clock: Arc<dyn Clock>,
}

impl Account {
    fn world(&self) -> MutexGuard<'_, World> {
        self.world.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn now(&self) -> Timestamp {
        self.clock.now()
    }
}

impl fleetwright_rest::testing::World for Account {
    fn answer(&self, request: &Request) -> Reply {
        let mut path = request.segments();
        if path
            .first()
            .is_some_and(|version| version.starts_with("v4"))
        {
            path.remove(0);
        }
        let asked = Asked {
            method: request.method(),
            path,
            page: request.query("page"),
            page_size: request.query("page_size"),
            filter: request.header("x-filter"),
            body: request.json(),
            token: request.bearer(),
            now: self.now(),
        };
        let said = self.world().answer(&asked);
        let reply = Reply::json(said.status, &said.body);
        let headers = said.headers.into_iter();
        headers.fold(reply, |reply, (name, value)| reply.with_header(name, value))
    }
}

impl fmt::Debug for Fake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Fake({})", self.server.url())
    }
}

impl Fake {
    /// Starts one, with time from this clock and, if given, the vendor's description as judge.
    ///
    /// # Panics
    /// If no port is to be had.
    pub fn start(
        config: FakeConfig,
        clock: Arc<dyn Clock>,
        description: Option<Arc<Description>>,
    ) -> Self {
        let account = Arc::new(Account {
            world: Mutex::new(World::new(config)),
            clock,
        });
        let world = Arc::clone(&account) as Arc<dyn fleetwright_rest::testing::World>;
        Self {
            account,
            server: Server::start(world, description),
        }
    }

    /// What `endpoint` must be for a provider to use it.
    pub fn endpoint(&self) -> String {
        format!("{}/v4beta", self.server.url())
    }

    /// The server under it, for its record and its violations.
    pub fn server(&self) -> &Server {
        &self.server
    }

    /// The server under it, to let it refuse connections.
    pub fn server_mut(&mut self) -> &mut Server {
        &mut self.server
    }

    /// Orders a fault; the path begins below the version: `/linode/instances`.
    pub fn fault(&self, method: &str, path: &str, order: impl FnOnce(&str, &str) -> Fault) {
        self.server.fault(order(method, &format!("/v4beta{path}")));
    }

    /// Every machine that exists at this instant, without any lag.
    pub fn machines(&self) -> Vec<Machine> {
        let now = self.account.now();
        let world = self.account.world();
        let all = world.machines.values();
        all.filter(|machine| world.exists(machine, now))
            .cloned()
            .collect()
    }

    /// The labels that a machine's tags stand for.
    pub fn labels(machine: &Machine) -> Labels {
        tags::labels(&machine.tags)
    }

    /// The body that a machine was asked for with, without the password and the user data.
    pub fn asked_for(machine: &Machine) -> Value {
        let mut asked = machine.extra.clone();
        if let Some(fields) = asked.as_object_mut() {
            fields.remove("root_pass");
            fields.remove("metadata");
        }
        asked
    }

    /// The password that a machine was asked for with.
    pub fn password(machine: &Machine) -> Option<String> {
        machine.extra["root_pass"].as_str().map(str::to_owned)
    }

    /// Adds machines as Fleetwright would have made them, at once: a world of some size.
    pub fn add_machines(&self, region: &str, count: u32) {
        let managed = format!("{}:{}", keys::MANAGED_BY, keys::MANAGED_BY_VALUE);
        for at in 0..count {
            self.add_machine(region, &format!("many-{at}"), vec![managed.clone()]);
        }
    }

    /// Adds a machine that somebody else made; its id.
    pub fn add_foreign(&self, region: &str, label: &str) -> u64 {
        self.add_machine(region, label, vec!["somebody-else".to_owned()])
    }

    fn add_machine(&self, region: &str, label: &str, tags: Vec<String>) -> u64 {
        let now = self.account.now();
        let mut world = self.account.world();
        let id = world.next_id();
        let [.., a, b] = id.to_be_bytes();
        let machine = Machine {
            id,
            label: label.to_owned(),
            region: region.to_owned(),
            instance_type: "g6-nanode-1".to_owned(),
            image: "linode/debian12".to_owned(),
            tags,
            user_data: None,
            authorized_keys: Vec::new(),
            is_leaving: false,
            public: [203, 0, a, b].into(),
            private: None,
            created: now,
            deleted: None,
            extra: Value::Null,
        };
        world.machines.insert(id, machine);
        id
    }

    /// Ends a machine as a click on "delete" would, at once.
    pub fn kill(&self, id: u64) -> bool {
        self.account.world().machines.remove(&id).is_some()
    }

    /// Gives a machine a job, or takes it away: "Linode busy."
    pub fn set_busy(&self, id: u64, is_busy: bool) {
        let mut world = self.account.world();
        world.busy.retain(|busy| *busy != id);
        if is_busy {
            world.busy.push(id);
        }
    }

    /// From now on the account may have only so many more machines.
    pub fn set_quota(&self, further: Option<u32>) {
        self.account.world().quota = further;
    }

    /// From now on there are only so many more machines to be had.
    pub fn set_capacity(&self, further: Option<u32>) {
        self.account.world().capacity = further;
    }

    /// A region has no more of a plan.
    pub fn sell_out(&self, region: &str, plan: &str) {
        let key = (region.to_owned(), plan.to_owned());
        self.account.world().sold_out.push(key);
    }

    /// The account may not use a region.
    pub fn close(&self, region: &str) {
        self.account.world().closed.push(region.to_owned());
    }

    /// Adds a NodeBalancer that listens on these ports.
    pub fn add_balancer(&self, region: &str, label: &str, ports: &[u16]) {
        let mut world = self.account.world();
        let ports = ports.iter().map(|port| Port {
            id: world.next_id(),
            number: *port,
            backends: Vec::new(),
        });
        let ports = ports.collect();
        let balancer = Balancer {
            id: world.next_id(),
            label: label.to_owned(),
            region: region.to_owned(),
            ports,
        };
        world.balancers.push(balancer);
    }

    /// The backends of a NodeBalancer: port, address, label, mode.
    pub fn backends(&self, balancer: &str) -> Vec<(u16, String, String, String)> {
        let world = self.account.world();
        let named = world
            .balancers
            .iter()
            .filter(|known| known.label == balancer);
        named
            .flat_map(|known| &known.ports)
            .flat_map(|port| {
                port.backends.iter().map(|backend| {
                    let (address, label) = (backend.address.clone(), backend.label.clone());
                    (port.number, address, label, backend.mode.clone())
                })
            })
            .collect()
    }

    /// Changes the backends of a NodeBalancer as somebody else would: label and mode of each.
    pub fn change_backends(&self, balancer: &str, label: &str, mode: &str) {
        let mut world = self.account.world();
        let named = world
            .balancers
            .iter_mut()
            .filter(|known| known.label == balancer);
        for backend in named
            .flat_map(|known| &mut known.ports)
            .flat_map(|port| &mut port.backends)
        {
            label.clone_into(&mut backend.label);
            mode.clone_into(&mut backend.mode);
        }
    }

    /// Adds a domain, `master` or `slave`.
    pub fn add_domain(&self, name: &str, kind: &str) {
        let mut world = self.account.world();
        let zone = Zone {
            id: world.next_id(),
            name: name.to_owned(),
            kind: kind.to_owned(),
            records: Vec::new(),
        };
        world.zones.push(zone);
    }

    /// The records of a domain: kind, name, target, time to live.
    pub fn records(&self, domain: &str) -> Vec<(String, String, String, u64)> {
        let world = self.account.world();
        let named = world.zones.iter().filter(|known| known.name == domain);
        named
            .flat_map(|known| &known.records)
            .map(|r| (r.kind.clone(), r.name.clone(), r.target.clone(), r.ttl_sec))
            .collect()
    }
}
