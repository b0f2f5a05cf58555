//! Host keys of new nodes: sent with the request, known afterwards, stored nowhere.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use fleetwright_core::{
    Access, Addresses, Balancers, Catalog, Checked, CreateRequest, Created, Deletion, Dns, Groups,
    HostKey, HostKeys, Interruptions, Labels, ListRequest, Listing, Market, Node, NodeId,
    NodeState, Provider, ProviderInfo, Quotas, Requests, Result, Secret, Token, keys,
};
use fleetwright_engine::Planting;

use super::fake::{Setting, Stage, node, request};

/// Keys that show their token.
#[derive(Debug)]
struct Speaking;

impl HostKeys for Speaking {
    fn host_key(&self, token: &Token) -> Result<HostKey> {
        Ok(HostKey {
            public: format!("ssh-ed25519 {token}"),
            private: Secret::new(format!("private {token}")),
        })
    }
}

/// A cloud whose nodes have an address and no known host key; it keeps what it was sent.
#[derive(Debug)]
struct Cloud {
    info: ProviderInfo,
    sent: Mutex<Vec<CreateRequest>>,
    nodes: Vec<Node>,
}

fn reachable(mut node: Node, host_keys: &[&str]) -> Node {
    node.access = Some(Access {
        host: "192.0.2.1".to_owned(),
        port: 22,
        user: "admin".to_owned(),
        host_keys: host_keys.iter().map(|&key| key.to_owned()).collect(),
    });
    node
}

#[async_trait]
impl Provider for Cloud {
    fn info(&self) -> &ProviderInfo {
        &self.info
    }
    async fn check(&self) -> Result<Checked> {
        Ok(Checked::default())
    }
    async fn create(&self, request: &CreateRequest) -> Result<Created> {
        self.sent.lock().unwrap().push(request.clone());
        Ok(Created::all(self.nodes.clone()))
    }
    async fn list(&self, _: &ListRequest) -> Result<Listing> {
        Ok(Listing::complete(self.nodes.clone()))
    }
    async fn get(&self, _: &NodeId) -> Result<Node> {
        Ok(self.nodes[0].clone())
    }
    async fn delete(&self, _: &NodeId) -> Result<Deletion> {
        Ok(Deletion::Gone)
    }
    fn catalog(&self) -> Option<&dyn Catalog> {
        None
    }
    fn groups(&self) -> Option<&dyn Groups> {
        None
    }
    fn balancers(&self) -> Option<&dyn Balancers> {
        None
    }
    fn dns(&self) -> Option<&dyn Dns> {
        None
    }
    fn interruptions(&self) -> Option<&dyn Interruptions> {
        None
    }
    fn quotas(&self) -> Option<&dyn Quotas> {
        None
    }
    fn requests(&self) -> Option<&dyn Requests> {
        None
    }
}

fn labeled(journal: &str, token: &str) -> Node {
    let mut node = Node {
        id: node("north"),
        name: "web-0".into(),
        state: NodeState::Running,
        instance_type: "small".into(),
        zone: None,
        market: Market::OnDemand,
        addresses: Addresses::default(),
        access: None,
        boot: None,
        labels: Labels::new(),
        created_at: None,
        price: None,
        message: None,
        metadata: BTreeMap::new(),
    };
    node.labels.insert(keys::JOURNAL.into(), journal.into());
    node.labels.insert(keys::CLAIM.into(), token.into());
    node
}

fn keys_of(node: &Node) -> Vec<String> {
    let access = node.access.as_ref();
    access
        .map(|access| access.host_keys.clone())
        .unwrap_or_default()
}

#[tokio::test]
async fn a_request_carries_the_key_of_its_token_and_its_nodes_are_known_by_it() {
    let info = Stage::new(Setting::default()).guarded.info().clone();
    let cloud = Arc::new(Cloud {
        info,
        sent: Mutex::default(),
        nodes: vec![
            reachable(labeled("ours", "t-1"), &[]),
            reachable(labeled("ours", "t-2"), &["ssh-ed25519 told-by-the-cloud"]),
            reachable(labeled("another", "t-3"), &[]),
            labeled("ours", "t-4"),
        ],
    });
    let planting = Planting::new(cloud.clone(), Arc::new(Speaking), "ours");
    let wanted = [
        vec!["ssh-ed25519 t-1".to_owned()],
        vec!["ssh-ed25519 told-by-the-cloud".to_owned()],
        vec![],
        vec![],
    ];

    let request = request();
    let created = planting.create(&request).await.unwrap();
    let sent = cloud.sent.lock().unwrap()[0].clone();
    let key = sent.host_key.clone().unwrap();
    assert_eq!(key.public, format!("ssh-ed25519 {}", request.token));
    assert_eq!(
        created.nodes.iter().map(keys_of).collect::<Vec<_>>(),
        wanted
    );
    let listed = planting.list(&ListRequest::default()).await.unwrap();
    assert_eq!(listed.nodes.iter().map(keys_of).collect::<Vec<_>>(), wanted);
    let got = planting.get(&listed.nodes[0].id).await.unwrap();
    assert_eq!(keys_of(&got), wanted[0]);

    // What is stored and shown of a request says nothing of its key.
    assert_eq!(sent.parameters(), request.parameters());
    let stored = serde_json::to_string(&sent).unwrap();
    assert_eq!(stored, serde_json::to_string(&request).unwrap());
    assert!(!format!("{sent:?}").contains("private "));
}
