//! What the tests share: a world in a scratch directory, and requests.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use fleetwright_core::{
    ClaimId, CreateRequest, Labels, Market, Node, NodeId, NodeSpec, Span, Token, fingerprint, keys,
};
use fleetwright_sim::{SimConfig, SimProvider, TokioClock, World};
use serde_json::Map;

/// A provider with a world of its own.
pub(crate) struct Sim {
    pub(crate) provider: SimProvider,
    pub(crate) world: World,
    pub(crate) folder: tempfile::TempDir,
}

impl Sim {
    /// A cloud without latency, otherwise as configured.
    pub(crate) fn new(config: SimConfig) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let provider = open(&folder, config);
        Self {
            world: provider.world(),
            provider,
            folder,
        }
    }

    /// Another provider on the same world, as another process would have it.
    pub(crate) fn other(&self, config: SimConfig) -> SimProvider {
        open(&self.folder, config)
    }
}

fn open(folder: &tempfile::TempDir, config: SimConfig) -> SimProvider {
    let path = folder.path().join("state/world");
    SimProvider::new("sim", config, path, Arc::new(TokioClock::new())).unwrap()
}

/// Instant answers, nodes that are up at once: for tests that are about something else.
pub(crate) fn quick() -> SimConfig {
    SimConfig {
        latency: Span::seconds(0),
        boot_time: Span::seconds(0),
        script_time: Span::seconds(0),
        delete_time: Span::seconds(0),
        ..SimConfig::default()
    }
}

pub(crate) fn spec(name: &str) -> NodeSpec {
    NodeSpec {
        name: name.to_owned(),
        instance_type: "sim.small".to_owned(),
        image: None,
        region: "sim-east".to_owned(),
        zone: None,
        market: Market::OnDemand,
        ssh_keys: Vec::new(),
        user_data: None,
        labels: Labels::from([(
            keys::MANAGED_BY.to_owned(),
            keys::MANAGED_BY_VALUE.to_owned(),
        )]),
        options: Map::new(),
    }
}

pub(crate) fn request_for(count: u32, spec: NodeSpec) -> CreateRequest {
    let token = Token::new(ClaimId::new(), 1, &fingerprint(&(count, &spec)));
    CreateRequest {
        count,
        spec,
        token,
        replay: false,
        host_key: None,
    }
}

pub(crate) fn request(count: u32) -> CreateRequest {
    request_for(count, spec("web"))
}

pub(crate) fn again(request: &CreateRequest) -> CreateRequest {
    CreateRequest {
        replay: true,
        ..request.clone()
    }
}

/// Lets time pass on the virtual clock.
pub(crate) async fn pass(duration: Duration) {
    tokio::time::sleep(duration).await;
}

pub(crate) fn ids(nodes: &[Node]) -> BTreeSet<NodeId> {
    nodes.iter().map(|node| node.id.clone()).collect()
}
