//! Clouds that answer by a script.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use fleetwright_core::ability::Offering;
use fleetwright_core::{
    Addresses, Balancers, Catalog, Checked, CreateRequest, Created, Deletion, Dns, Effect, Error,
    Groups, InstanceType, Interruptions, Kind, ListRequest, Listing, Node, NodeId, NodeState,
    Provider, ProviderInfo, Quotas, Requests, Result, Scope,
};

use crate::Seen;

/// What all clouds of a scenario share: their rules, and what happened.
#[derive(Debug, Clone, Default)]
pub(super) struct Sky(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    rules: Vec<Rule>,
    calls: Vec<String>,
    nodes: Vec<Node>,
}

#[derive(Debug)]
struct Rule {
    place: String,
    what: Answer,
    /// Calls that it is still good for.
    times: u32,
}

#[derive(Debug)]
enum Answer {
    Refuse {
        kind: Kind,
        scope: Option<Scope>,
        unknown: bool,
    },
    Stock {
        left: u32,
        whole: bool,
    },
}

#[derive(Debug)]
pub(super) struct Cloud {
    info: ProviderInfo,
    types: Vec<InstanceType>,
    offerings: Vec<Offering>,
    sky: Sky,
}

impl Sky {
    /// Takes a line of a scenario.
    pub(super) fn rule(&self, line: &str) {
        let words: Vec<&str> = line.split_whitespace().collect();
        let value = |key: &str| words.iter().find_map(|word| word.strip_prefix(key));
        let what = match words[0] {
            "stock" => Answer::Stock {
                left: words[2].parse().unwrap(),
                whole: words.contains(&"whole"),
            },
            _ => Answer::Refuse {
                kind: serde_json::from_value(words[2].into()).unwrap(),
                scope: value("scope=").map(|word| serde_json::from_value(word.into()).unwrap()),
                unknown: words.contains(&"unknown"),
            },
        };
        self.0.lock().unwrap().rules.push(Rule {
            place: words[1].into(),
            what,
            times: value("times=").map_or(u32::MAX, |text| text.parse().unwrap()),
        });
    }

    /// The calls since this was last asked, by place.
    pub(super) fn calls(&self) -> Vec<String> {
        let mut calls = std::mem::take(&mut self.0.lock().unwrap().calls);
        calls.sort_by(|a, b| {
            let place = |call: &str| call.split(" for ").next().unwrap_or_default().to_owned();
            place(a).cmp(&place(b))
        });
        calls
    }
}

impl Cloud {
    pub(super) fn new(seen: &Seen, sky: Sky) -> Self {
        let catalog = seen.catalog.clone().unwrap_or_default();
        Self {
            info: seen.info.clone(),
            types: catalog.types,
            offerings: catalog.offerings,
            sky,
        }
    }

    fn node(&self, request: &CreateRequest, ordinal: u32) -> Node {
        let spec = &request.spec;
        let name = request.machine_name(ordinal);
        Node {
            id: NodeId::new(&self.info.name, &spec.region, &name).unwrap(),
            name,
            state: NodeState::Running,
            instance_type: spec.instance_type.clone(),
            zone: spec.zone.clone(),
            market: spec.market,
            addresses: Addresses::default(),
            access: None,
            boot: None,
            labels: spec.labels.clone(),
            created_at: None,
            price: None,
            message: None,
            metadata: BTreeMap::new(),
        }
    }
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
        let mut state = self.sky.0.lock().unwrap();
        let state = &mut *state;
        let spec = &request.spec;
        let zone = spec
            .zone
            .as_ref()
            .map(|zone| format!("/{zone}"))
            .unwrap_or_default();
        let place = format!("{}/{}{zone}", self.info.name, spec.region);
        let call = format!(
            "{place} {} {} is asked for {}",
            spec.instance_type, spec.market, request.count
        );
        let there = |rule: &&mut Rule| {
            let under = place.strip_prefix(&rule.place);
            rule.times > 0 && under.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        };
        let sold_out = || Error::new(Kind::Capacity, "no capacity").with_scope(Scope::Zone);
        let mut give = request.count;
        let mut whole_or_none = false;
        if let Some(rule) = state.rules.iter_mut().find(there) {
            rule.times -= 1;
            match &mut rule.what {
                Answer::Refuse {
                    kind,
                    scope,
                    unknown,
                } => {
                    let effect = if *unknown {
                        Effect::Unknown
                    } else {
                        Effect::None
                    };
                    let mut error =
                        Error::new(*kind, format!("scripted {kind}")).with_effect(effect);
                    if let Some(scope) = scope {
                        error = error.with_scope(*scope);
                    }
                    let told = if *unknown { "no answer" } else { "refused" };
                    state.calls.push(format!("{call}: {told}, {kind}"));
                    return Err(error);
                }
                Answer::Stock { left, whole } => {
                    whole_or_none = *whole;
                    give = if *whole && *left < request.count {
                        0
                    } else {
                        request.count.min(*left)
                    };
                    *left -= give;
                }
            }
        }
        state.calls.push(format!("{call}: {give} given"));
        let nodes: Vec<Node> = (0..give).map(|at| self.node(request, at)).collect();
        state.nodes.extend(nodes.iter().cloned());
        match (give, whole_or_none) {
            (given, _) if given == request.count => Ok(Created::all(nodes)),
            (0, true) if request.count > 1 => Err(sold_out().refused_whole(request.count)),
            (0, _) => Err(sold_out()),
            (_, _) => Ok(Created::partial(nodes, sold_out())),
        }
    }

    async fn list(&self, _: &ListRequest) -> Result<Listing> {
        let mut nodes = self.sky.0.lock().unwrap().nodes.clone();
        nodes.retain(|node| node.id.provider() == self.info.name);
        Ok(Listing::complete(nodes))
    }

    async fn get(&self, id: &NodeId) -> Result<Node> {
        Err(Error::new(Kind::NotFound, format!("there is no `{id}`")))
    }

    async fn delete(&self, _: &NodeId) -> Result<Deletion> {
        Ok(Deletion::Gone)
    }

    fn catalog(&self) -> Option<&dyn Catalog> {
        Some(self)
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

#[async_trait]
impl Catalog for Cloud {
    async fn instance_types(&self) -> Result<Vec<InstanceType>> {
        Ok(self.types.clone())
    }

    async fn offerings(&self) -> Result<Vec<Offering>> {
        Ok(self.offerings.clone())
    }
}
