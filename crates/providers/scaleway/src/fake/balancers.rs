//! Load balancers with one backend each, and what they think of its addresses.

use std::time::Instant;

use fleetwright_rest::testing::{Reply, Request};
use serde_json::{Value, json};

use super::answer::{Answer, DATE, counted, not_found};
use super::state::{Power, State};
use crate::zone;

/// A load balancer with its backend.
pub(super) struct LoadBalancer {
    id: String,
    zone: String,
    name: String,
    address: String,
    backend: String,
    backend_name: String,
    /// Addresses, and since when they are there.
    pool: Vec<(String, Instant)>,
}

impl State {
    pub(super) fn add_balancer(&mut self, zone: &str, name: &str, backend: &str) {
        let balancer = LoadBalancer {
            id: self.fresh_id(),
            zone: zone.to_owned(),
            name: name.to_owned(),
            address: self.fresh_address(false),
            backend: self.fresh_id(),
            backend_name: backend.to_owned(),
            pool: Vec::new(),
        };
        self.balancers.push(balancer);
    }

    pub(super) fn add_to_pool(&mut self, backend: &str, address: &str) {
        let now = self.now;
        let mut balancers = self.balancers.iter_mut();
        if let Some(balancer) = balancers.find(|balancer| balancer.backend_name == backend) {
            balancer.pool.push((address.to_owned(), now));
        }
    }
}

pub(super) fn answer(state: &mut State, request: &Request, zone: &str, path: &[&str]) -> Answer {
    let find = |state: &State, id: &str, is_backend: bool| {
        let mut all = state.balancers.iter();
        all.position(|balancer| {
            let own = if is_backend {
                &balancer.backend
            } else {
                &balancer.id
            };
            own == id && balancer.zone == zone
        })
        .ok_or_else(|| not_found(if is_backend { "backend" } else { "lb" }, id))
    };
    match (request.method(), path) {
        ("GET", ["lbs"]) => {
            let here = state
                .balancers
                .iter()
                .filter(|balancer| balancer.zone == zone);
            let all = here.map(|balancer| describe(state, balancer)).collect();
            Ok(counted(state, request, "lbs", all))
        }
        ("GET", ["lbs", id, "backends"]) => {
            let at = find(state, id, false)?;
            let all = vec![backend(state, &state.balancers[at])];
            Ok(counted(state, request, "backends", all))
        }
        ("GET", ["lbs", id, "backend-stats"]) => {
            let at = find(state, id, false)?;
            let all = stats(state, &state.balancers[at]);
            Ok(counted(state, request, "backend_servers_stats", all))
        }
        (method @ ("POST" | "DELETE"), ["backends", id, "servers"]) => {
            let at = find(state, id, true)?;
            let body = request.json();
            let addresses = body["server_ip"].as_array().into_iter().flatten();
            let addresses: Vec<&str> = addresses.filter_map(Value::as_str).collect();
            let now = state.now;
            let pool = &mut state.balancers[at].pool;
            pool.retain(|(known, _)| method == "POST" || !addresses.contains(&known.as_str()));
            if method == "POST" {
                for address in addresses {
                    if !pool.iter().any(|(known, _)| known == address) {
                        pool.push((address.to_owned(), now));
                    }
                }
            }
            Ok(Reply::json(200, &backend(state, &state.balancers[at])))
        }
        _ => Err(not_found("endpoint", request.path())),
    }
}

fn describe(state: &State, balancer: &LoadBalancer) -> Value {
    let owner = &state.config.project;
    json!({
        "id": balancer.id,
        "name": balancer.name,
        "description": "",
        "status": "ready",
        "instances": [],
        "organization_id": owner,
        "project_id": owner,
        "ip": [{
            "id": balancer.id, "ip_address": balancer.address, "organization_id": owner,
            "project_id": owner, "lb_id": balancer.id, "reverse": "", "tags": [],
            "region": zone::region_of(&balancer.zone), "zone": balancer.zone,
        }],
        "tags": [],
        "frontend_count": 1,
        "backend_count": 1,
        "type": "lb-s",
        "subscriber": null,
        "ssl_compatibility_level": "ssl_compatibility_level_intermediate",
        "created_at": DATE,
        "updated_at": DATE,
        "private_network_count": 0,
        "route_count": 0,
        "region": zone::region_of(&balancer.zone),
        "zone": balancer.zone,
    })
}

fn backend(state: &State, balancer: &LoadBalancer) -> Value {
    let pool: Vec<&String> = balancer.pool.iter().map(|(address, _)| address).collect();
    json!({
        "id": balancer.backend,
        "name": balancer.backend_name,
        "forward_protocol": "http",
        "forward_port": 80,
        "forward_port_algorithm": "roundrobin",
        "sticky_sessions": "none",
        "sticky_sessions_cookie_name": "",
        "health_check": null,
        "pool": pool,
        "lb": describe(state, balancer),
        "send_proxy_v2": false,
        "timeout_server": "300s",
        "timeout_connect": "5s",
        "timeout_tunnel": "900s",
        "on_marked_down_action": "on_marked_down_action_none",
        "proxy_protocol": "proxy_protocol_none",
        "created_at": DATE,
        "updated_at": DATE,
        "failover_host": null,
        "ssl_bridging": false,
        "ignore_ssl_server_verify": false,
    })
}

/// A load balancer has two instances, each with an opinion of its own.
fn stats(state: &State, balancer: &LoadBalancer) -> Vec<Value> {
    let mut all = Vec::new();
    for instance in ["main", "standby"] {
        for (address, since) in &balancer.pool {
            let is_up = state.servers.values().any(|server| {
                server.power == Power::Running
                    && state
                        .addresses_of(server)
                        .iter()
                        .any(|(known, _)| known.text == *address)
            });
            let check = if *since + state.config.check_time > state.now {
                "neutral"
            } else if is_up {
                "passed"
            } else {
                "failed"
            };
            all.push(json!({
                "instance_id": instance,
                "backend_id": balancer.backend,
                "ip": address,
                "server_state": "running",
                "server_state_changed_at": DATE,
                "last_health_check_status": check,
            }));
        }
    }
    all
}
