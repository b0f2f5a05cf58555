//! Ansible's dynamic inventory: groups by pool, provider, region, zone, type, market and label.
//!
//! The format: <https://docs.ansible.com/ansible/latest/dev_guide/developing_inventory.html>. With
//! `_meta` Ansible asks once for all hosts instead of once for each.

use std::collections::BTreeMap;
use std::path::Path;

use fleetwright_core::keys;
use fleetwright_remote::ssh_trust_options;
use serde_json::{Map, Value, json};

use super::{Host, plain};
use crate::output::quote;

/// All hosts, in their groups and with their variables.
pub(super) fn list(hosts: &[Host<'_>], identity: &Path, known_hosts: &Path) -> Value {
    let mut groups: BTreeMap<String, Vec<&str>> = BTreeMap::new();
    let mut all = Map::new();
    for host in hosts {
        let name = host.record.name.as_str();
        let by_fact = host
            .facts()
            .into_iter()
            .map(|(fact, value)| format!("{fact}_{}", plain(value)));
        let by_label =
            own_labels(host).map(|(key, value)| format!("label_{}_{}", plain(key), plain(value)));
        for group in by_fact.chain(by_label) {
            groups.entry(group).or_default().push(name);
        }
        all.insert(name.to_owned(), variables(host, identity, known_hosts));
    }
    let names: Vec<&str> = hosts.iter().map(|host| host.record.name.as_str()).collect();
    let mut inventory = Map::new();
    inventory.insert("_meta".into(), json!({ "hostvars": all }));
    // Named in `all` besides, so that a fleet without a node in any group is still an inventory.
    inventory.insert(
        "all".into(),
        json!({ "hosts": names, "children": groups.keys().collect::<Vec<_>>() }),
    );
    for (group, names) in groups {
        inventory.insert(group, json!({ "hosts": names }));
    }
    Value::Object(inventory)
}

/// The variables of a host.
pub(super) fn variables(host: &Host<'_>, identity: &Path, known_hosts: &Path) -> Value {
    let (record, access) = (host.record, host.access);
    let mut options = vec!["-o".to_owned(), "IdentitiesOnly=yes".to_owned()];
    options.extend(ssh_trust_options(known_hosts));
    let options: Vec<String> = options.iter().map(|word| quote(word)).collect();
    let mut variables = Map::new();
    let mut add = |name: &str, value: Value| {
        variables.insert(name.to_owned(), value);
    };
    add("ansible_host", json!(access.host));
    if access.port != 0 {
        add("ansible_port", json!(access.port));
    }
    if !access.user.is_empty() {
        add("ansible_user", json!(access.user));
    }
    add("ansible_ssh_private_key_file", json!(identity));
    add("ansible_ssh_common_args", json!(options.join(" ")));
    add("fleetwright_id", json!(record.id.as_str()));
    add("fleetwright_state", json!(record.life.as_str()));
    for (fact, value) in host.facts() {
        add(&format!("fleetwright_{fact}"), json!(value));
    }
    let labels: BTreeMap<&str, &str> = own_labels(host).collect();
    add("fleetwright_labels", json!(labels));
    Value::Object(variables)
}

/// The user's labels: ours are in the facts, or of no use outside.
fn own_labels<'a>(host: &Host<'a>) -> impl Iterator<Item = (&'a str, &'a str)> + use<'a> {
    host.record
        .labels
        .iter()
        .map(|(key, value)| (key.as_str(), value.as_str()))
        .filter(|(key, _)| *key != keys::MANAGED_BY && !key.starts_with("fleetwright"))
}
