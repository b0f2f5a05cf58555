//! The fakes of the clouds, with what the table of mistakes must know of each.

use std::sync::Arc;
use std::time::Duration;

use fleetwright_digitalocean::fake as digitalocean;
use fleetwright_engine::SystemClock;
use fleetwright_hetzner::fake as hetzner;
use fleetwright_lambda::fake as lambda;
use fleetwright_linode::fake as linode;
use fleetwright_rest::testing::{Fault, Reply, Server, Trouble};
use fleetwright_scaleway::fake as scaleway;
use serde_json::{Value, json};

/// How long listings are late: not long, and configured.
const LAG: Duration = Duration::from_millis(20);

/// What is sold, and what is not.
pub(crate) struct Shop {
    /// Two regions.
    pub(crate) regions: [&'static str; 2],
    /// A type that both have.
    pub(crate) kind: &'static str,
    /// The same with a mistake.
    pub(crate) misspelled: &'static str,
    /// A type with GPUs and the region that does not sell it.
    pub(crate) gpu: Option<(&'static str, &'static str)>,
    /// An image that is only to be had in the second region.
    pub(crate) foreign_image: Option<String>,
    /// Options that name a firewall that there is not, and the word that must be told.
    pub(crate) no_such_firewall: Option<(&'static str, &'static str)>,
}

/// A cloud that a newcomer uses.
pub(crate) trait Cloud {
    fn kind(&self) -> &'static str;
    /// The variable that the token is taken from by default, and the good token.
    fn token(&self) -> (&'static str, String);
    /// A token that may look but not change.
    fn read_only(&self) -> Option<String>;
    fn endpoint(&self) -> String;
    /// Further lines of the provider.
    fn further(&self) -> String {
        String::new()
    }
    fn shop(&self) -> Shop;
    fn server(&self) -> &Server;
    fn machines(&self) -> usize;
    fn no_quota(&self);
    fn no_stock(&self);
    /// Lets the next attempts to make a machine be told that its name is taken.
    fn name_taken(&self);
}

/// All of them, by the name of their kind.
pub(crate) fn open(kind: &str) -> Box<dyn Cloud> {
    match kind {
        "digitalocean" => Box::new(DigitalOcean::start()),
        "hetzner" => Box::new(Hetzner(hetzner::HetznerFake::start())),
        "lambda" => Box::new(Lambda(lambda::LambdaFake::start(lambda::FakeConfig {
            listing_lag: LAG,
            ..lambda::FakeConfig::default()
        }))),
        "linode" => Box::new(Linode(linode::Fake::start(
            linode::FakeConfig {
                listing_lag: LAG,
                ..linode::FakeConfig::default()
            },
            Arc::new(SystemClock),
            None,
        ))),
        "scaleway" => Box::new(Scaleway(scaleway::ScalewayFake::start(
            scaleway::FakeConfig::default(),
        ))),
        other => panic!("no fake of `{other}`"),
    }
}

fn always(server: &Server, path: &str, status: u16, body: &Value) {
    let reply = Trouble::Refuse(Reply::json(status, body));
    server.fault(Fault::new("POST", path, reply).always());
}

// === DigitalOcean ===

struct DigitalOcean {
    fake: digitalocean::Fake,
    settings: digitalocean::FakeSettings,
    golden: u64,
}

impl DigitalOcean {
    fn start() -> Self {
        let settings = digitalocean::FakeSettings {
            listing_lag: LAG,
            boot: LAG,
            removal: LAG,
            ..digitalocean::FakeSettings::default()
        };
        let fake = digitalocean::Fake::start(settings.clone(), Arc::new(SystemClock));
        fake.add_firewall("ssh-only");
        let golden = fake.add_image("golden", &["fra1"]);
        Self {
            fake,
            settings,
            golden,
        }
    }
}

impl Cloud for DigitalOcean {
    fn kind(&self) -> &'static str {
        "digitalocean"
    }

    fn token(&self) -> (&'static str, String) {
        ("DIGITALOCEAN_TOKEN", self.settings.token.clone())
    }

    fn read_only(&self) -> Option<String> {
        Some(self.settings.read_only_token.clone())
    }

    fn endpoint(&self) -> String {
        self.fake.endpoint()
    }

    fn shop(&self) -> Shop {
        Shop {
            regions: ["nyc3", "fra1"],
            kind: "s-1vcpu-1gb",
            misspelled: "s-1cpu-1gb",
            gpu: Some(("gpu-h100x8-640gb", "nyc3")),
            foreign_image: Some(self.golden.to_string()),
            no_such_firewall: Some(("firewalls = [\"ssh-olny\"]", "ssh-olny")),
        }
    }

    fn server(&self) -> &Server {
        self.fake.server()
    }

    fn machines(&self) -> usize {
        self.fake.droplets().len()
    }

    fn no_quota(&self) {
        self.fake.allow_further(0);
    }

    fn no_stock(&self) {
        self.fake.set_stock("nyc3", Some(0));
    }

    fn name_taken(&self) {
        let body = json!({ "id": "conflict", "message": "The name is already in use." });
        always(self.server(), "/v2/droplets", 409, &body);
    }
}

// === Hetzner ===

struct Hetzner(hetzner::HetznerFake);

impl Cloud for Hetzner {
    fn kind(&self) -> &'static str {
        "hetzner"
    }

    fn token(&self) -> (&'static str, String) {
        ("HCLOUD_TOKEN", hetzner::TOKEN.to_owned())
    }

    fn read_only(&self) -> Option<String> {
        let body = json!({ "error": {
            "code": "token_readonly", "message": "the token is only allowed to perform GET requests",
        }});
        always(self.server(), "/v1/servers", 403, &body);
        Some(hetzner::TOKEN.to_owned())
    }

    fn endpoint(&self) -> String {
        self.0.endpoint()
    }

    fn shop(&self) -> Shop {
        Shop {
            regions: ["fsn1", "nbg1"],
            kind: "cx22",
            misspelled: "cx23",
            gpu: None,
            foreign_image: None,
            no_such_firewall: None,
        }
    }

    fn server(&self) -> &Server {
        self.0.server()
    }

    fn machines(&self) -> usize {
        self.0.machines().len()
    }

    fn no_quota(&self) {
        self.0.set_quota(0);
    }

    fn no_stock(&self) {
        self.0.set_capacity(0);
    }

    fn name_taken(&self) {
        let body = json!({ "error": {
            "code": "uniqueness_error", "message": "server name is already used",
        }});
        always(self.server(), "/v1/servers", 409, &body);
    }
}

// === Lambda ===

struct Lambda(lambda::LambdaFake);

impl Cloud for Lambda {
    fn kind(&self) -> &'static str {
        "lambda"
    }

    fn token(&self) -> (&'static str, String) {
        ("LAMBDA_API_KEY", lambda::FakeConfig::default().token)
    }

    fn read_only(&self) -> Option<String> {
        None
    }

    fn endpoint(&self) -> String {
        self.server().url()
    }

    fn shop(&self) -> Shop {
        self.0.set_capacity("gpu_8x_a100", "us-east-1", 0);
        Shop {
            regions: ["us-east-1", "us-west-1"],
            kind: "gpu_1x_a10",
            misspelled: "gpu_1x_a100",
            gpu: Some(("gpu_8x_a100", "us-east-1")),
            // The first image of the second region.
            foreign_image: Some("43336648-096d-4cba-9aa2-f9bb77276101".to_owned()),
            no_such_firewall: Some(("firewall_rulesets = [\"wbe\"]", "wbe")),
        }
    }

    fn server(&self) -> &Server {
        self.0.server()
    }

    fn machines(&self) -> usize {
        self.0.instances().len()
    }

    fn no_quota(&self) {
        self.0.set_quota(Some(0));
    }

    fn no_stock(&self) {
        self.0.set_capacity("gpu_1x_a10", "us-east-1", 0);
    }

    fn name_taken(&self) {
        let body = json!({ "error": {
            "code": "global/duplicate", "message": "The name is already in use.",
            "suggestion": "Use another name.",
        }});
        let path = "/api/v1/instance-operations/launch";
        always(self.server(), path, 400, &body);
    }
}

// === Linode ===

struct Linode(linode::Fake);

impl Cloud for Linode {
    fn kind(&self) -> &'static str {
        "linode"
    }

    fn token(&self) -> (&'static str, String) {
        ("LINODE_TOKEN", linode::FakeConfig::default().token)
    }

    fn read_only(&self) -> Option<String> {
        Some(linode::FakeConfig::default().read_only_token)
    }

    fn endpoint(&self) -> String {
        self.0.endpoint()
    }

    fn shop(&self) -> Shop {
        Shop {
            regions: ["eu-west", "us-east"],
            kind: "g6-nanode-1",
            misspelled: "g6-nano-1",
            gpu: Some(("g1-gpu-rtx6000-1", "eu-west")),
            foreign_image: None,
            no_such_firewall: None,
        }
    }

    fn server(&self) -> &Server {
        self.0.server()
    }

    fn machines(&self) -> usize {
        self.0.machines().len()
    }

    fn no_quota(&self) {
        self.0.set_quota(Some(0));
    }

    fn no_stock(&self) {
        self.0.set_capacity(Some(0));
    }

    fn name_taken(&self) {
        let body = json!({ "errors": [
            { "field": "label", "reason": "Label must be unique among your linodes" },
        ]});
        always(self.server(), "/v4beta/linode/instances", 400, &body);
    }
}

// === Scaleway ===

struct Scaleway(scaleway::ScalewayFake);

impl Cloud for Scaleway {
    fn kind(&self) -> &'static str {
        "scaleway"
    }

    fn token(&self) -> (&'static str, String) {
        ("SCW_SECRET_KEY", scaleway::FakeConfig::default().secret_key)
    }

    fn read_only(&self) -> Option<String> {
        Some(scaleway::FakeConfig::default().read_only_key)
    }

    fn endpoint(&self) -> String {
        self.server().url()
    }

    fn further(&self) -> String {
        format!(
            "project_id = \"{}\"\n",
            scaleway::FakeConfig::default().project
        )
    }

    fn shop(&self) -> Shop {
        Shop {
            regions: ["nl-ams", "fr-par"],
            kind: "DEV1-S",
            misspelled: "DEV1-X",
            gpu: Some(("L4-1-24G", "nl-ams")),
            foreign_image: Some("11111111-2222-3333-4444-555555555555".to_owned()),
            no_such_firewall: Some((
                "security_group = \"66666666-7777-8888-9999-000000000000\"",
                "66666666-7777-8888-9999-000000000000",
            )),
        }
    }

    fn server(&self) -> &Server {
        self.0.server()
    }

    fn machines(&self) -> usize {
        self.0.machines().len()
    }

    fn no_quota(&self) {
        self.0.set_quota(Some(0));
    }

    fn no_stock(&self) {
        self.0.set_stock(Some(0));
    }

    fn name_taken(&self) {
        let body = json!({ "message": "name already in use", "type": "conflict" });
        always(self.server(), "/instance/v1/zones/*/servers", 409, &body);
    }
}
