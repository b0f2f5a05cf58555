//! DNS zones and their records, changed by batches.

use fleetwright_rest::testing::{Reply, Request};
use serde_json::{Value, json};

use super::answer::{Answer, counted, invalid, not_found};
use super::state::State;

/// A zone.
pub(super) struct Zone {
    domain: String,
    records: Vec<Record>,
}

#[derive(Debug, Clone)]
struct Record {
    id: String,
    name: String,
    kind: String,
    data: String,
    ttl: u64,
    priority: u64,
}

impl State {
    pub(super) fn add_dns_zone(&mut self, domain: &str) {
        let record = Record {
            id: self.fresh_id(),
            name: String::new(),
            kind: "MX".to_owned(),
            data: "mail.example.net.".to_owned(),
            ttl: 3600,
            priority: 10,
        };
        self.zones.push(Zone {
            domain: domain.to_owned(),
            records: vec![record],
        });
    }
}

pub(super) fn answer(state: &mut State, request: &Request, path: &[&str]) -> Answer {
    let find = |state: &State, name: &str| {
        let mut zones = state.zones.iter();
        zones
            .position(|zone| zone.domain == name)
            .ok_or_else(|| not_found("domain_dns_zone", name))
    };
    match (request.method(), path) {
        ("GET", []) => {
            let zones = state.zones.iter();
            let all = zones.map(|zone| describe_zone(state, zone)).collect();
            Ok(counted(state, request, "dns_zones", all))
        }
        ("GET", [zone, "records"]) => {
            let at = find(state, zone)?;
            let all = state.zones[at].records.iter().map(describe).collect();
            Ok(counted(state, request, "records", all))
        }
        ("PATCH", [zone, "records"]) => {
            let at = find(state, zone)?;
            change(state, request, at)
        }
        _ => Err(not_found("endpoint", request.path())),
    }
}

fn describe_zone(state: &State, zone: &Zone) -> Value {
    let servers = ["ns0.dom.scw.cloud", "ns1.dom.scw.cloud"];
    json!({
        "domain": zone.domain,
        "subdomain": "",
        "ns": servers,
        "ns_default": servers,
        "ns_master": [],
        "status": "active",
        "message": null,
        "updated_at": null,
        "project_id": state.config.project,
        "linked_products": [],
    })
}

fn describe(record: &Record) -> Value {
    json!({
        "id": record.id,
        "data": record.data,
        "name": record.name,
        "priority": record.priority,
        "ttl": record.ttl,
        "type": record.kind,
        "comment": null,
        "geo_ip_config": null,
        "http_service_config": null,
        "weighted_config": null,
        "view_config": null,
    })
}

/// All changes, or none.
fn change(state: &mut State, request: &Request, at: usize) -> Answer {
    let body = request.json();
    let mut records = state.zones[at].records.clone();
    for change in body["changes"].as_array().into_iter().flatten() {
        let (set, delete) = (&change["set"], &change["delete"]);
        let target = if set.is_null() { delete } else { set };
        let fields = &target["id_fields"];
        let before = records.len();
        records.retain(|record| {
            let same = fields["name"] == record.name
                && fields["type"]
                    .as_str()
                    .is_some_and(|kind| kind.eq_ignore_ascii_case(&record.kind));
            !same
        });
        if set.is_null() && records.len() == before {
            return Err(not_found(
                "domain_record",
                fields["name"].as_str().unwrap_or(""),
            ));
        }
        for record in set["records"].as_array().into_iter().flatten() {
            let ttl = record["ttl"].as_u64().unwrap_or(0);
            if ttl < 60 {
                return Err(invalid("ttl", "constraint", "must be at least 60"));
            }
            let text = |name: &str| record[name].as_str().unwrap_or("").to_owned();
            let kind = text("type").to_uppercase();
            if kind == "CNAME" && !text("data").ends_with('.') {
                return Err(invalid(
                    "data",
                    "format",
                    "a name that ends with a dot is wanted",
                ));
            }
            records.push(Record {
                id: state.fresh_id(),
                name: text("name"),
                kind,
                data: text("data"),
                ttl,
                priority: record["priority"].as_u64().unwrap_or(0),
            });
        }
    }
    let reply: Vec<Value> = records.iter().map(describe).collect();
    state.zones[at].records = records;
    let all = body["return_all_records"] == true;
    Ok(Reply::json(
        200,
        &json!({ "records": if all { reply } else { Vec::new() } }),
    ))
}
