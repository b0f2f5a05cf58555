//! Domains and their records.

use fleetwright_rest::testing::{Reply, Request};
use serde_json::{Value, json};

use super::answer::{not_found, page, unprocessable};
use super::droplets::text;
use super::state::{Record, State};

pub(super) fn answer(state: &mut State, request: &Request, path: &[&str]) -> Reply {
    let most = state.settings.page;
    let address = state.address.clone();
    match (request.method(), path) {
        ("GET", []) => {
            let items: Vec<Value> = state
                .domains
                .keys()
                .map(|name| json!({ "name": name, "ttl": 1_800, "zone_file": "$ORIGIN" }))
                .collect();
            page(request, &address, most, "domains", &items)
        }
        (method, [domain, "records", rest @ ..]) if state.domains.contains_key(*domain) => {
            match (method, rest) {
                ("GET", []) => list(state, request, domain),
                ("POST", []) => write(state, domain, None, &request.json()),
                ("PUT", [id]) => write(state, domain, id.parse().ok(), &request.json()),
                ("DELETE", [id]) => {
                    let id: Option<u64> = id.parse().ok();
                    let records = state.domains.get_mut(*domain);
                    let before = records.as_ref().map_or(0, |records| records.len());
                    let after = records.map_or(0, |records| {
                        records.retain(|record| Some(record.id) != id);
                        records.len()
                    });
                    if after < before {
                        Reply::empty(204)
                    } else {
                        not_found()
                    }
                }
                _ => not_found(),
            }
        }
        _ => not_found(),
    }
}

fn list(state: &State, request: &Request, domain: &str) -> Reply {
    let full = |record: &Record| match record.name.as_str() {
        "@" => domain.to_owned(),
        name => format!("{name}.{domain}"),
    };
    let items: Vec<Value> = state.domains[domain]
        .iter()
        .filter(|one| request.query("type").is_none_or(|kind| kind == one.kind))
        .filter(|one| request.query("name").is_none_or(|name| name == full(one)))
        .map(json)
        .collect();
    page(
        request,
        &state.address,
        state.settings.page,
        "domain_records",
        &items,
    )
}

fn write(state: &mut State, domain: &str, id: Option<u64>, body: &Value) -> Reply {
    let kind = text(&body["type"]).unwrap_or_default();
    let name = text(&body["name"]).unwrap_or_default();
    let given = text(&body["data"]).unwrap_or_default();
    let ttl = body["ttl"].as_u64().unwrap_or(1_800);
    if given.is_empty() {
        return unprocessable("Data can't be blank");
    }
    if ttl < 30 {
        return unprocessable("Ttl must be greater than or equal to 30");
    }
    if kind == "CNAME" && given != "@" && !given.ends_with('.') {
        return unprocessable("Data needs to end with a dot (.)");
    }
    let is_ip = match kind.as_str() {
        "A" => given.parse::<std::net::Ipv4Addr>().is_ok(),
        "AAAA" => given.parse::<std::net::Ipv6Addr>().is_ok(),
        _ => true,
    };
    if !is_ip {
        return unprocessable("Data needs to be a valid IP address");
    }
    let number = state.number();
    let Some(records) = state.domains.get_mut(domain) else {
        return not_found();
    };
    let others = records.iter().filter(|one| Some(one.id) != id);
    let has_alias = others
        .clone()
        .any(|one| one.name == name && one.kind == "CNAME");
    if has_alias || (kind == "CNAME" && others.clone().any(|one| one.name == name)) {
        return unprocessable("CNAME records cannot share a name with other records");
    }
    let twin = others
        .clone()
        .any(|one| one.name == name && one.kind == kind && one.data == given);
    if twin {
        return unprocessable("Record already exists");
    }
    // A full alias comes back without its dot.
    let data = match kind.as_str() {
        "CNAME" => given.trim_end_matches('.').to_owned(),
        _ => given,
    };
    let record = Record {
        id: id.unwrap_or(number),
        kind,
        name,
        data,
        ttl,
    };
    let answer = json!({ "domain_record": json(&record) });
    match id {
        None => {
            records.push(record);
            Reply::json(201, &answer)
        }
        Some(id) => match records.iter_mut().find(|one| one.id == id) {
            Some(known) => {
                *known = record;
                Reply::json(200, &answer)
            }
            None => not_found(),
        },
    }
}

fn json(record: &Record) -> Value {
    json!({
        "id": record.id,
        "type": record.kind,
        "name": record.name,
        "data": record.data,
        "priority": null,
        "port": null,
        "ttl": record.ttl,
        "weight": null,
        "flags": null,
        "tag": null,
    })
}

impl State {
    pub(super) fn add_domain(&mut self, name: &str) {
        let servers = ["ns1", "ns2", "ns3"].map(|server| Record {
            id: self.number(),
            kind: "NS".to_owned(),
            name: "@".to_owned(),
            data: format!("{server}.digitalocean.com"),
            ttl: 1_800,
        });
        self.domains.insert(name.to_owned(), servers.into());
    }
}
