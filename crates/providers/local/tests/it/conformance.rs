//! The suite that every provider passes, on real processes.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use fleetwright_conformance::{Fault, Point, Subject};
use fleetwright_core::{
    Balancers, Catalog, Checked, CreateRequest, Created, Deletion, Dns, Error, Groups,
    Interruptions, Kind, ListRequest, Listing, Market, Node, NodeId, NodeSpec, NodeState,
    Operation, Provider, ProviderInfo, Quotas, Requests, Result, keys,
};
use serde_json::Value;

use crate::support::{World, program, provider_at, request_for, runs};

/// A root of its own, and a provider that a hook may replace by one with another limit.
struct Local {
    world: World,
    provider: Mutex<Arc<dyn Provider>>,
    lost: Arc<Mutex<Vec<Fault>>>,
}

/// The provider behind a caller that loses answers: the call really takes its effect. (Other
/// faults cannot be made from outside, and are judged by the tests of the error table.)
#[derive(Debug)]
struct Forgetful {
    provider: Arc<dyn Provider>,
    lost: Arc<Mutex<Vec<Fault>>>,
}

impl Forgetful {
    fn answer<T>(&self, operation: Operation, answer: Result<T>) -> Result<T> {
        let mut lost = self.lost.lock().unwrap();
        let Some(index) = lost.iter().position(|fault| fault.operation == operation) else {
            return answer;
        };
        lost[index].times -= 1;
        if lost[index].times == 0 {
            lost.remove(index);
        }
        answer.and(Err(Error::new(Kind::Timeout, "the answer was lost")))
    }
}

#[async_trait]
impl Provider for Forgetful {
    fn info(&self) -> &ProviderInfo {
        self.provider.info()
    }

    async fn check(&self) -> Result<Checked> {
        self.provider.check().await
    }

    async fn create(&self, request: &CreateRequest) -> Result<Created> {
        self.answer(Operation::Create, self.provider.create(request).await)
    }

    async fn list(&self, request: &ListRequest) -> Result<Listing> {
        self.provider.list(request).await
    }

    async fn get(&self, id: &NodeId) -> Result<Node> {
        self.provider.get(id).await
    }

    async fn delete(&self, id: &NodeId) -> Result<Deletion> {
        self.answer(Operation::Delete, self.provider.delete(id).await)
    }

    fn catalog(&self) -> Option<&dyn Catalog> {
        self.provider.catalog()
    }

    fn groups(&self) -> Option<&dyn Groups> {
        self.provider.groups()
    }

    fn balancers(&self) -> Option<&dyn Balancers> {
        self.provider.balancers()
    }

    fn dns(&self) -> Option<&dyn Dns> {
        self.provider.dns()
    }

    fn interruptions(&self) -> Option<&dyn Interruptions> {
        self.provider.interruptions()
    }

    fn quotas(&self) -> Option<&dyn Quotas> {
        self.provider.quotas()
    }

    fn requests(&self) -> Option<&dyn Requests> {
        self.provider.requests()
    }
}

impl Local {
    fn fresh() -> Self {
        let world = World::new();
        let lost = Arc::new(Mutex::new(Vec::new()));
        let provider = Mutex::new(Self::forgetful(&world, 50, &lost));
        Self {
            world,
            provider,
            lost,
        }
    }

    fn forgetful(world: &World, max: u32, lost: &Arc<Mutex<Vec<Fault>>>) -> Arc<dyn Provider> {
        Arc::new(Forgetful {
            provider: Arc::new(provider_at(&world.root(), max, program())),
            lost: Arc::clone(lost),
        })
    }
}

#[async_trait]
impl Subject for Local {
    fn provider(&self) -> Arc<dyn Provider> {
        Arc::clone(&self.provider.lock().unwrap())
    }

    fn spec(&self) -> NodeSpec {
        NodeSpec {
            labels: fleetwright_core::Labels::new(),
            ..self.world.spec()
        }
    }

    async fn settle(&self, wanted: Duration) {
        tokio::time::sleep(wanted).await;
    }

    /// What the directories say, read as plain JSON.
    async fn truth(&self) -> Vec<Node> {
        let Ok(entries) = std::fs::read_dir(self.world.root()) else {
            return Vec::new();
        };
        let mut nodes = Vec::new();
        for entry in entries {
            let path = entry.unwrap().path();
            let native = path.file_name().unwrap().to_str().unwrap().to_owned();
            let Ok(text) = std::fs::read(path.join("node.json")) else {
                continue;
            };
            if native.starts_with('.') {
                continue;
            }
            let record: Value = serde_json::from_slice(&text).unwrap();
            let deleting = path.join("deleting").exists();
            nodes.push(Node {
                id: NodeId::new("here", "local", &native).unwrap(),
                name: record["name"].as_str().unwrap().to_owned(),
                state: if deleting {
                    NodeState::Deleting
                } else {
                    NodeState::Running
                },
                instance_type: record["instance_type"].as_str().unwrap().to_owned(),
                zone: None,
                market: Market::OnDemand,
                addresses: fleetwright_core::Addresses::default(),
                access: None,
                boot: None,
                labels: serde_json::from_value(record["labels"].clone()).unwrap(),
                created_at: None,
                price: None,
                message: None,
                metadata: BTreeMap::new(),
            });
        }
        nodes
    }

    fn room(&self) -> u32 {
        50
    }

    async fn make_foreign(&self) -> Option<NodeId> {
        let mut spec = self.world.spec();
        spec.labels.remove(keys::MANAGED_BY);
        let request = request_for(1, spec);
        let created = self.world.provider.create(&request).await.unwrap();
        Some(created.nodes[0].id.clone())
    }

    async fn inject(&self, fault: &Fault) -> bool {
        let can = fault.point == Point::After
            && fault.kind == Kind::Timeout
            && matches!(fault.operation, Operation::Create | Operation::Delete);
        if can {
            self.lost.lock().unwrap().push(fault.clone());
        }
        can
    }

    async fn limit(&self, kind: Kind, further: u32) -> bool {
        if kind != Kind::Quota {
            return false;
        }
        let there = u32::try_from(self.truth().await.len()).unwrap();
        let limited = Self::forgetful(&self.world, there + further, &self.lost);
        *self.provider.lock().unwrap() = limited;
        true
    }

    async fn kill(&self, node: &NodeId) -> bool {
        let file = self.world.root().join(node.native()).join("pid");
        let pid: u32 = std::fs::read_to_string(file).unwrap().parse().unwrap();
        let killed = std::process::Command::new("kill")
            .args(["-KILL", &pid.to_string()])
            .status();
        assert!(killed.unwrap().success());
        // Nothing survives this signal, so there is nothing to give up on.
        while runs(pid) {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        true
    }
}

fleetwright_conformance::suite!(subject = Local::fresh());
