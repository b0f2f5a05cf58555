//! Flexible addresses and links to private networks.

use fleetwright_rest::testing::{Reply, Request};
use serde_json::{Value, json};

use super::answer::{Answer, DATE, invalid, not_found, page, quota};
use super::instances::take;
use super::state::{Address, Server, State};
use crate::zone;

/// An address as it stands in an instance.
pub(super) fn of_server(address: &Address, is_dynamic: bool) -> Value {
    let is_v6 = address.text.contains(':');
    json!({
        "id": address.id,
        "address": address.text,
        "gateway": if is_v6 { "fe80::1" } else { "62.210.0.1" },
        "netmask": if is_v6 { "64" } else { "32" },
        "family": if is_v6 { "inet6" } else { "inet" },
        "dynamic": is_dynamic,
        "provisioning_mode": if is_v6 { "slaac" } else { "dhcp" },
        "tags": address.tags,
        "ipam_id": address.id,
        "state": "attached",
    })
}

fn describe(state: &State, address: &Address) -> Value {
    let owner = &state.config.project;
    let server = address
        .server
        .as_ref()
        .map(|id| json!({ "id": id, "name": "server" }));
    let is_v6 = address.text.contains(':');
    json!({
        "id": address.id,
        "address": address.text,
        "prefix": is_v6.then(|| format!("{}/64", address.text)),
        "reverse": null,
        "server": server,
        "organization": owner,
        "project": owner,
        "tags": address.tags,
        "type": if is_v6 { "routed_ipv6" } else { "routed_ipv4" },
        "state": if address.server.is_some() { "attached" } else { "detached" },
        "ipam_id": address.id,
        "zone": address.zone,
    })
}

pub(super) fn addresses(state: &mut State, request: &Request, zone: &str, path: &[&str]) -> Answer {
    match (request.method(), path) {
        ("GET", ["ips"]) => {
            let here = state.addresses.values();
            let all = here.filter(|address| address.zone == zone).collect();
            Ok(page(state, request, "ips", all, |address| {
                describe(state, address)
            }))
        }
        ("POST", ["ips"]) => reserve(state, request, zone),
        ("DELETE", ["ips", id]) => {
            let known = state.addresses.get(*id);
            if known.is_none_or(|address| address.zone != zone) {
                return Err(not_found("instance_ip", id));
            }
            state.addresses.remove(*id);
            Ok(Reply::empty(204))
        }
        _ => Err(not_found("endpoint", request.path())),
    }
}

fn reserve(state: &mut State, request: &Request, zone: &str) -> Answer {
    let body = request.json();
    let server = body["server"].as_str();
    if let Some(id) = server
        && state.age(zone, id).is_none()
    {
        return Err(not_found("instance_server", id));
    }
    take(&mut state.address_quota).map_err(|()| quota("instance_ip"))?;
    let tags = body["tags"].as_array().into_iter().flatten();
    let address = Address {
        id: state.fresh_id(),
        zone: zone.to_owned(),
        text: state.fresh_address(body["type"] == "routed_ipv6"),
        tags: tags
            .filter_map(|tag| Some(tag.as_str()?.to_owned()))
            .collect(),
        server: server.map(str::to_owned),
    };
    let reply = Reply::json(201, &json!({ "ip": describe(state, &address) }));
    state.addresses.insert(address.id.clone(), address);
    Ok(reply)
}

/// A link of an instance to a private network.
pub(super) fn nic(server: &Server, id: &str, network: &str) -> Value {
    json!({
        "id": id,
        "server_id": server.id,
        "private_network_id": network,
        "mac_address": "02:00:00:00:00:01",
        "state": "available",
        "tags": [],
        "zone": server.zone,
        "ipam_ip_ids": [],
        "creation_date": DATE,
    })
}

pub(super) fn join(state: &mut State, request: &Request, age: u64) -> Answer {
    let body = request.json();
    let network = body["private_network_id"].as_str().unwrap_or("").to_owned();
    let id = state.fresh_id();
    let region = state.networks.get(&network).cloned();
    let server = state
        .servers
        .get_mut(&age)
        .ok_or_else(|| not_found("instance_server", ""))?;
    // A network belongs to one region.
    if region.as_deref() != zone::region_of(&server.zone) {
        return Err(not_found("vpc_private_network", &network));
    }
    if server.nics.iter().any(|(_, known)| *known == network) {
        return Err(invalid(
            "private_network_id",
            "constraint",
            "the server is in this network already",
        ));
    }
    server.nics.push((id.clone(), network.clone()));
    Ok(Reply::json(
        201,
        &json!({ "private_nic": nic(server, &id, &network) }),
    ))
}
