//! A stateful fake of Lambda's API, judged by the official description in every exchange.
//!
//! ```
//! use fleetwright_lambda::fake::{FakeConfig, LambdaFake};
//!
//! let fake = LambdaFake::start(FakeConfig::default());
//! let endpoint = fake.server().url(); // for `LambdaConfig::endpoint`
//! assert!(fake.instances().is_empty() && endpoint.starts_with("http://"));
//! ```

mod answers;
mod launch;
mod world;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use fleetwright_rest::testing::{Description, Reply, Request, Server, World};

use world::State;

/// How the fake behaves.
#[derive(Debug, Clone)]
pub struct FakeConfig {
    /// The API key that is good.
    pub token: String,
    /// How long listings are late.
    pub listing_lag: Duration,
    /// How long an instance boots.
    pub boot_time: Duration,
    /// How long an instance takes to go.
    pub terminate_time: Duration,
}

impl Default for FakeConfig {
    fn default() -> Self {
        Self {
            token: "secret_fake_0000.key".to_owned(),
            listing_lag: Duration::from_millis(100),
            boot_time: Duration::from_millis(50),
            terminate_time: Duration::from_millis(50),
        }
    }
}

/// An instance as the fake knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FakeInstance {
    /// Its id.
    pub id: String,
    /// Its name; empty if it has none.
    pub name: String,
    /// Its status at this instant.
    pub status: &'static str,
    /// Its region.
    pub region: String,
    /// Its type.
    pub instance_type: String,
    /// Its tags.
    pub tags: BTreeMap<String, String>,
    /// The names of its SSH keys.
    pub ssh_keys: Vec<String>,
    /// The id of its image, if one was named.
    pub image: Option<String>,
    /// Its user data.
    pub user_data: Option<String>,
    /// The ids of its firewall rulesets.
    pub firewall_rulesets: Vec<String>,
}

/// A running fake.
#[derive(Debug)]
pub struct LambdaFake {
    server: Server,
    cloud: Arc<Cloud>,
}

/// Where the description stands below `../shared/specs/`.
pub const DESCRIPTION: &str = "lambda/openapi-1.8.3.json";

#[derive(Debug)]
struct Cloud {
    state: Mutex<State>,
}

impl Cloud {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl World for Cloud {
    fn answer(&self, request: &Request) -> Reply {
        answers::answer(&mut self.state(), request)
    }
}

impl LambdaFake {
    /// Starts one, with a few types, images, a key `ours`, a firewall ruleset `web` and a file
    /// system `data` in `us-east-1`.
    pub fn start(config: FakeConfig) -> Self {
        let cloud = Arc::new(Cloud {
            state: Mutex::new(State::new(config)),
        });
        let world: Arc<dyn World> = Arc::clone(&cloud) as _;
        Self {
            server: Server::start(world, Description::find(DESCRIPTION)),
            cloud,
        }
    }

    /// The server, for faults, exchanges and violations.
    pub fn server(&self) -> &Server {
        &self.server
    }

    /// The same, to refuse connections.
    pub fn server_mut(&mut self) -> &mut Server {
        &mut self.server
    }

    /// Every instance that exists at this instant, ours or not, without lag.
    pub fn instances(&self) -> Vec<FakeInstance> {
        self.cloud.state().existing()
    }

    /// Launches an instance past the API, with these tags.
    pub fn add_instance(&self, region: &str, tags: &[(&str, &str)]) -> String {
        self.cloud.state().add(region, "gpu_1x_a10", tags)
    }

    /// Ends an instance behind the API's back. `false`: there is none.
    pub fn terminate(&self, id: &str) -> bool {
        self.cloud.state().terminate(id)
    }

    /// From now on there are so many further instances of a type to be had in a region.
    pub fn set_capacity(&self, instance_type: &str, region: &str, further: u32) {
        let mut state = self.cloud.state();
        state
            .capacity
            .insert((instance_type.to_owned(), region.to_owned()), further);
    }

    /// From now on the team may have so many further instances.
    pub fn set_quota(&self, further: Option<u32>) {
        self.cloud.state().quota = further;
    }

    /// Whether the account is active.
    pub fn set_active(&self, is_active: bool) {
        self.cloud.state().is_active = is_active;
    }

    /// From now on another API key is good.
    pub fn set_token(&self, token: &str) {
        token.clone_into(&mut self.cloud.state().config.token);
    }

    /// The registered SSH keys: name and public key.
    pub fn ssh_keys(&self) -> Vec<(String, String)> {
        let state = self.cloud.state();
        state
            .ssh_keys
            .iter()
            .map(|key| (key.name.clone(), key.public_key.clone()))
            .collect()
    }
}
