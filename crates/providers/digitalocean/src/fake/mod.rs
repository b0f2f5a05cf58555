//! A fake of DigitalOcean's API that behaves, stutters and refuses like the real one.
//!
//! ```text
//!  provider ──HTTP──► Server (faults, judge) ──► Cloud ──► State behind one mutex
//!                                                  │         droplets, keys, tags, ...
//!  test ──── Fake: truth, limits, foreign droplets ┘
//! ```
//! Time is the clock's that it is started with: droplets come up, are listed and go away as that
//! clock moves. Every request and every reply is judged by the official description where it stands
//! beside the checkout.

mod abilities;
mod answer;
mod catalog;
mod cloud;
mod domains;
mod droplets;
mod state;

use std::sync::Arc;
use std::time::Duration;

use fleetwright_core::Clock;
use fleetwright_rest::testing::{Description, Server, World};

use cloud::Cloud;
pub use state::Truth;

/// How a fake behaves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FakeSettings {
    /// The token that may do everything.
    pub token: String,
    /// The token that may only read.
    pub read_only_token: String,
    /// How long a new droplet is missing from listings, and a removed one stays in them.
    pub listing_lag: Duration,
    /// How long a droplet is `new`.
    pub boot: Duration,
    /// How long a droplet that is being removed is still there.
    pub removal: Duration,
    /// Most items per page, whatever a request asks for.
    pub page: usize,
    /// Most droplets of the team.
    pub droplet_limit: u64,
    /// Most requests per minute.
    pub per_minute: usize,
    /// Most requests per hour.
    pub per_hour: usize,
}

impl Default for FakeSettings {
    fn default() -> Self {
        Self {
            token: "dop_v1_the-token-of-the-tests".to_owned(),
            read_only_token: "dop_v1_a-token-that-only-reads".to_owned(),
            listing_lag: Duration::from_secs(3),
            boot: Duration::from_secs(20),
            removal: Duration::from_secs(4),
            page: 200,
            droplet_limit: 5_000,
            per_minute: usize::MAX,
            per_hour: usize::MAX,
        }
    }
}

/// A running fake, with what tests may do behind the provider's back.
#[derive(Debug)]
pub struct Fake {
    server: Server,
    cloud: Arc<Cloud>,
}

impl Fake {
    /// Where the description stands below `../shared/specs/`.
    pub const DESCRIPTION: &'static str = "digitalocean/openapi.trimmed.json";

    /// Starts one on a free port.
    ///
    /// # Panics
    /// If no port is to be had.
    pub fn start(settings: FakeSettings, clock: Arc<dyn Clock>) -> Self {
        let cloud = Arc::new(Cloud::new(settings, clock));
        let world: Arc<dyn World> = Arc::clone(&cloud) as Arc<dyn World>;
        let server = Server::start(world, Description::find(Self::DESCRIPTION));
        cloud.state().address = server.url();
        Self { server, cloud }
    }

    /// What `endpoint` says in a configuration that uses it.
    pub fn endpoint(&self) -> String {
        format!("{}/v2", self.server.url())
    }

    /// The server: its faults, its record, its violations.
    pub fn server(&self) -> &Server {
        &self.server
    }

    /// The same, to let it refuse connections.
    pub fn server_mut(&mut self) -> &mut Server {
        &mut self.server
    }

    /// Every droplet that really exists.
    pub fn droplets(&self) -> Vec<Truth> {
        self.cloud.state().truth()
    }

    /// Makes a droplet as somebody else would, with these tags. It runs already.
    pub fn add_droplet(&self, name: &str, region: &str, size: &str, tags: &[&str]) -> u64 {
        self.cloud.state().add_running(name, region, size, tags)
    }

    /// Switches a droplet off. `false`: there is none.
    pub fn switch_off(&self, droplet: u64) -> bool {
        self.cloud.state().switch_off(droplet)
    }

    /// From now on a droplet is given this status, whatever it does.
    pub fn set_status(&self, droplet: u64, status: &str) {
        self.cloud.state().force_status(droplet, status);
    }

    /// Sets how many further droplets the team may have.
    pub fn allow_further(&self, droplets: u64) {
        let mut state = self.cloud.state();
        state.settings.droplet_limit = state.in_use() + droplets;
    }

    /// Sets how many further droplets of any size are to be had in a region.
    pub fn set_stock(&self, region: &str, droplets: Option<u64>) {
        self.cloud.state().set_stock(region, droplets);
    }

    /// Takes a size out of a region's offer, as when it is sold out.
    pub fn sell_out(&self, size: &str, region: &str) {
        self.cloud.state().sell_out(size, region);
    }

    /// The next call that makes several droplets makes only half of them.
    pub fn make_half_of_next(&self) {
        self.cloud.state().halves_next = true;
    }

    /// Adds a load balancer; with a tag, its droplets are those with the tag. Gives its id.
    pub fn add_balancer(&self, name: &str, region: &str, tag: Option<&str>) -> String {
        self.cloud.state().add_balancer(name, region, tag)
    }

    /// Adds a domain.
    pub fn add_domain(&self, name: &str) {
        self.cloud.state().add_domain(name);
    }

    /// Adds a VPC. Gives its id.
    pub fn add_vpc(&self, name: &str, region: &str) -> String {
        self.cloud.state().add_vpc(name, region)
    }

    /// Adds a firewall. Gives its id.
    pub fn add_firewall(&self, name: &str) -> String {
        self.cloud.state().add_firewall(name)
    }

    /// The tags that a firewall guards.
    pub fn firewall_tags(&self, id: &str) -> Vec<String> {
        self.cloud.state().firewall_tags(id)
    }

    /// Adds a project. Gives its id.
    pub fn add_project(&self, name: &str) -> String {
        self.cloud.state().add_project(name)
    }

    /// The droplets of a project.
    pub fn project_droplets(&self, id: &str) -> Vec<u64> {
        self.cloud.state().project_droplets(id)
    }

    /// Adds an image of the team's own. Gives its number.
    pub fn add_image(&self, name: &str, regions: &[&str]) -> u64 {
        self.cloud.state().add_image(name, regions)
    }

    /// How many SSH keys the team has.
    pub fn key_count(&self) -> usize {
        self.cloud.state().keys.len()
    }

    /// Adds a tag in this capitalization, which is canonical from then on.
    pub fn add_tag(&self, name: &str) {
        self.cloud.state().canonical_tag(name);
    }

    /// From now on no tags are shown, as to a token without `tag:read`; or they are again.
    pub fn hide_tags(&self, hides: bool) {
        self.cloud.state().hides_tags = hides;
    }

    /// Sets the status of the account: `active`, `warning` or `locked`.
    pub fn set_account(&self, status: &str, message: &str) {
        self.cloud.state().account = (status.to_owned(), message.to_owned());
    }
}
