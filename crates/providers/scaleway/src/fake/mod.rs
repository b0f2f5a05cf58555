//! A stateful fake of Scaleway's API, judged by the contract.
//!
//! ```text
//!  provider ──HTTP──► Server ──► contract/openapi.json judges every request and every reply
//!                       └──► Cloud ──► instances · storage · load balancers · DNS
//! ```
//! The contract is a table of the vendor's field names and types, put together from the official
//! Python package and from recorded sessions by `contract/generate.py`.
//!
//! ```
//! use fleetwright_scaleway::fake::{FakeConfig, ScalewayFake};
//!
//! let fake = ScalewayFake::start(FakeConfig::default());
//! assert!(fake.machines().is_empty());
//! fake.server().assert_no_violations();
//! ```

mod answer;
mod balancers;
mod dns;
mod instances;
mod networks;
mod products;
mod state;
mod storage;

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use fleetwright_rest::testing::{Description, Reply, Request, Server, World};

use state::State;

/// The vendor's field names and types: see `contract/generate.py`.
const CONTRACT: &str = include_str!("../../contract/openapi.json");

/// The contract as a judge of requests and replies.
pub fn contract() -> Description {
    let root = serde_json::from_str(CONTRACT).expect("the contract is written by a program");
    Description::from_value(root)
}

/// How the fake behaves.
#[derive(Debug, Clone)]
pub struct FakeConfig {
    /// The secret key that may do everything.
    pub secret_key: String,
    /// The secret key that may only read.
    pub read_only_key: String,
    /// The project that the keys are for.
    pub project: String,
    /// Most items per page.
    pub page: usize,
    /// How long a new instance is missing from lists, and a deleted one stays.
    pub listing_lag: Duration,
    /// From `poweron` to `running`.
    pub boot_time: Duration,
    /// From `terminate` to the end.
    pub stop_time: Duration,
    /// How long block storage takes to be detached.
    pub detach_time: Duration,
    /// From registration to the first health check.
    pub check_time: Duration,
}

impl Default for FakeConfig {
    fn default() -> Self {
        Self {
            secret_key: "7f6b1c2e-5a0d-4f7c-9b1e-0c5d8f3a2b61".to_owned(),
            read_only_key: "0a9d3c44-1b7e-4d52-8f0a-6e1c2b3d4f50".to_owned(),
            project: "105bdce1-64c0-48ab-899d-868455867ecf".to_owned(),
            page: 100,
            listing_lag: Duration::ZERO,
            boot_time: Duration::from_millis(50),
            stop_time: Duration::from_millis(50),
            detach_time: Duration::from_millis(30),
            check_time: Duration::from_millis(30),
        }
    }
}

/// A running fake.
pub struct ScalewayFake {
    server: Server,
    cloud: Arc<Cloud>,
}

/// An instance as it really is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Machine {
    /// Its id.
    pub id: String,
    /// Its zone.
    pub zone: String,
    /// Its name.
    pub name: String,
    /// Its type.
    pub instance_type: String,
    /// Its tags.
    pub tags: Vec<String>,
    /// Its state, in the vendor's words.
    pub state: &'static str,
    /// What was set as `cloud-init`.
    pub user_data: Option<String>,
    /// Its private networks.
    pub networks: Vec<String>,
    /// Its volumes, by kind.
    pub volumes: Vec<String>,
    /// Its security group, if one was named.
    pub security_group: Option<String>,
    /// Its placement group.
    pub placement_group: Option<String>,
    /// Its public addresses.
    pub addresses: Vec<String>,
}

/// The vendor's side: state, and what it answers.
struct Cloud {
    state: Mutex<State>,
}

impl World for Cloud {
    fn answer(&self, request: &Request) -> Reply {
        let mut state = self.state();
        state.advance(request.at());
        answer::answer(&mut state, request)
    }
}

impl Cloud {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

// === impl ScalewayFake ===

impl ScalewayFake {
    /// Starts one on a free port.
    ///
    /// # Panics
    /// If no port is to be had: then no test can run.
    pub fn start(config: FakeConfig) -> Self {
        let cloud = Arc::new(Cloud {
            state: Mutex::new(State::new(config)),
        });
        let world = Arc::clone(&cloud) as Arc<dyn World>;
        Self {
            server: Server::start(world, Some(Arc::new(contract()))),
            cloud,
        }
    }

    /// Its wire: address, faults, exchanges and what violated the contract.
    pub fn server(&self) -> &Server {
        &self.server
    }

    /// Its wire, to refuse connections.
    pub fn server_mut(&mut self) -> &mut Server {
        &mut self.server
    }

    fn state(&self) -> MutexGuard<'_, State> {
        let mut state = self.cloud.state();
        state.advance(Instant::now());
        state
    }

    /// Every instance that exists, without the lag of lists.
    pub fn machines(&self) -> Vec<Machine> {
        self.state().machines()
    }

    /// What costs money and belongs to no instance: `ip <id>`, `l_ssd <id>`, `sbs_volume <id>`.
    pub fn left_behind(&self) -> Vec<String> {
        self.state().left_behind()
    }

    /// An instance that Fleetwright did not make, running.
    pub fn add_foreign(&self, zone: &str) -> String {
        self.state().add_foreign(zone)
    }

    /// Ends an instance from within: the guest halts, and the instance is on standby.
    pub fn halt(&self, id: &str) -> bool {
        self.state().halt(id)
    }

    /// From now on only so many further instances are in stock; `None`: enough.
    pub fn set_stock(&self, further: Option<u32>) {
        self.state().stock = further;
    }

    /// Whether an empty stock is noticed when an instance is powered on, and not before.
    pub fn set_late_stock(&self, is_late: bool) {
        self.state().has_late_stock = is_late;
    }

    /// Only so many further instances may be had; `None`: enough.
    pub fn set_quota(&self, further: Option<u32>) {
        self.state().quota = further;
    }

    /// Only so many further flexible addresses may be had; `None`: enough.
    pub fn set_address_quota(&self, further: Option<u32>) {
        self.state().address_quota = further;
    }

    /// Protects an instance from deletion, or no longer.
    pub fn protect(&self, id: &str, is_protected: bool) {
        self.state().protect(id, is_protected);
    }

    /// Makes a private network in a region.
    pub fn add_network(&self, region: &str) -> String {
        self.state().add_network(region)
    }

    /// Makes a security group in a zone.
    pub fn add_security_group(&self, zone: &str) -> String {
        self.state().add_group(zone, "security")
    }

    /// Makes a placement group in a zone.
    pub fn add_placement_group(&self, zone: &str) -> String {
        self.state().add_group(zone, "placement")
    }

    /// Makes a load balancer with a backend.
    pub fn add_balancer(&self, zone: &str, name: &str, backend: &str) {
        self.state().add_balancer(zone, name, backend);
    }

    /// Adds an address to the first backend of this name, as somebody else would.
    pub fn add_to_pool(&self, backend: &str, address: &str) {
        self.state().add_to_pool(backend, address);
    }

    /// Makes a DNS zone with a record of a kind that Fleetwright does not write.
    pub fn add_dns_zone(&self, domain: &str) {
        self.state().add_dns_zone(domain);
    }
}

impl fmt::Debug for ScalewayFake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Fake")
            .field("server", &self.server)
            .finish_non_exhaustive()
    }
}
