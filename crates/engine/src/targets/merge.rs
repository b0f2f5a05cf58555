//! Descriptions of the same machine become one target.

use std::collections::{BTreeMap, HashMap};

use fleetwright_core::{NodeId, Target};

use super::{NoLogin, TargetGap, TargetSet};

/// Targets in the order in which they were first found, with what is said of them.
#[derive(Debug, Default)]
pub(super) struct Merge {
    found: Vec<(Target, Option<String>)>,
    by_endpoint: HashMap<(String, u16), usize>,
    by_node: HashMap<NodeId, usize>,
    unreachable: Vec<NoLogin>,
    pub(super) gaps: Vec<TargetGap>,
}

impl Merge {
    /// Adds a target, or what it tells about one that is there: two descriptions are of the same
    /// machine if they name the same node or the same endpoint. The first one decides how to log
    /// in; host keys, group, node and labels are filled in from later ones.
    pub(super) fn add(&mut self, target: Target, state: Option<String>) {
        let endpoint = target.endpoint();
        let known = target
            .node
            .as_ref()
            .and_then(|node| self.by_node.get(node))
            .or_else(|| self.by_endpoint.get(&endpoint))
            .copied();
        let at = if let Some(at) = known {
            let (there, said) = &mut self.found[at];
            complete(there, target);
            if said.is_none() {
                *said = state;
            }
            at
        } else {
            self.found.push((target, state));
            self.found.len() - 1
        };
        self.by_endpoint.entry(endpoint).or_insert(at);
        if let Some(node) = &self.found[at].0.node {
            self.by_node.entry(node.clone()).or_insert(at);
        }
    }

    pub(super) fn add_unreachable(&mut self, one: NoLogin) {
        let is_known = self.unreachable.iter().any(|known| known.name == one.name)
            || self.found.iter().any(|(target, _)| target.name == one.name);
        if !is_known {
            self.unreachable.push(one);
        }
    }

    /// The one of this name.
    pub(super) fn named(&self, name: &str) -> Option<&(Target, Option<String>)> {
        self.found.iter().find(|(target, _)| {
            target.name == name
                || target
                    .node
                    .as_ref()
                    .is_some_and(|node| node.as_str() == name)
        })
    }

    pub(super) fn unreachable_named(&self, name: &str) -> Option<&NoLogin> {
        self.unreachable.iter().find(|one| one.name == name)
    }

    /// The one that listens there.
    pub(super) fn at(&self, endpoint: &(String, u16)) -> Option<&(Target, Option<String>)> {
        self.by_endpoint.get(endpoint).map(|at| &self.found[*at])
    }

    pub(super) fn into_set(self) -> TargetSet {
        let mut states = BTreeMap::new();
        let mut targets = Vec::with_capacity(self.found.len());
        for (target, state) in self.found {
            if let Some(state) = state {
                states.insert(target.key(), state);
            }
            targets.push(target);
        }
        TargetSet {
            targets,
            unreachable: self.unreachable,
            gaps: self.gaps,
            states,
        }
    }
}

fn complete(there: &mut Target, other: Target) {
    let is_same_server = there.endpoint() == other.endpoint();
    for origin in other.origins {
        if !there.origins.contains(&origin) {
            there.origins.push(origin);
        }
    }
    if there.access.host_keys.is_empty() && is_same_server {
        there.access.host_keys = other.access.host_keys;
    }
    if there.group.is_none() {
        there.group = other.group;
    }
    if there.node.is_none() {
        there.node = other.node;
        // A provider's name says more than an address.
        if there.node.is_some() {
            there.name = other.name;
        }
    }
    for (key, value) in other.labels {
        there.labels.entry(key).or_insert(value);
    }
}

#[cfg(test)]
mod tests {
    use fleetwright_core::{Labels, TargetAddress, TargetGroupName, TargetOrigin};

    use super::*;

    fn target(address: &str, node: Option<&str>, origin: TargetOrigin) -> Target {
        let address: TargetAddress = address.parse().unwrap();
        Target {
            name: address.host.clone(),
            access: address.access(),
            group: None,
            node: node.map(|node| node.parse().unwrap()),
            origins: vec![origin],
            labels: Labels::new(),
        }
    }

    fn file(line: usize) -> TargetOrigin {
        TargetOrigin::File {
            path: "hosts".into(),
            line,
        }
    }

    #[test]
    fn one_machine_found_twice_is_one_target_with_both_origins() {
        let mut all = Merge::default();
        all.add(target("admin@Web1", None, file(1)), None);
        all.add(target("web2", None, file(2)), None);
        let mut listed = target("web1", Some("aws/us/i-1"), TargetOrigin::Given);
        listed.name = "front".into();
        listed.access.host_keys = vec!["ssh-ed25519 A".into()];
        listed.group = Some(TargetGroupName::Targets("edge".into()));
        all.add(listed, Some("running".into()));
        let set = all.into_set();
        assert_eq!(set.targets.len(), 2);
        let first = &set.targets[0];
        assert_eq!(first.origins, [file(1), TargetOrigin::Given]);
        assert_eq!(
            first.access.user, "admin",
            "the first one says how to log in"
        );
        assert_eq!(first.access.host_keys, ["ssh-ed25519 A"]);
        assert_eq!(first.name, "front");
        assert_eq!(set.state(first), Some("running"));
    }

    #[test]
    fn a_node_is_the_same_by_either_of_its_addresses_but_a_host_key_belongs_to_one() {
        let mut all = Merge::default();
        all.add(target("10.0.0.1", Some("aws/us/i-1"), file(1)), None);
        let mut public = target("1.2.3.4", Some("aws/us/i-1"), file(2));
        public.access.host_keys = vec!["ssh-ed25519 A".into()];
        all.add(public, None);
        // By the second address it is still the same one.
        all.add(target("1.2.3.4", None, file(3)), None);
        let set = all.into_set();
        assert_eq!(set.targets.len(), 1);
        assert_eq!(set.targets[0].origins.len(), 3);
        assert_eq!(set.targets[0].access.host, "10.0.0.1");
        assert!(set.targets[0].access.host_keys.is_empty());
    }

    #[test]
    fn two_ports_of_an_address_are_two_machines() {
        let mut all = Merge::default();
        all.add(target("web:1", None, file(1)), None);
        all.add(target("web:2", None, file(2)), None);
        assert_eq!(all.into_set().targets.len(), 2);
    }
}
