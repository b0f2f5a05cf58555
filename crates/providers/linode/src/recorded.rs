//! Recorded sessions with the real API, read without loss of what we use.
//!
//! They stand beside the checkout, in `../shared/specs/linode/recorded`. Where they are missing,
//! the tests say so and pass.

use std::collections::BTreeMap;
use std::path::PathBuf;

use fleetwright_core::NodeState;
use serde::Deserialize;
use serde_json::Value;

use crate::config::LinodeConfig;
use crate::wire::{
    AccountAvailability, Backend, Collection, Domain, Image, Linode, Listener, NodeBalancer, Plan,
    PlanAvailability, Record, Refusal, Region,
};
use crate::{catalog, node};

#[derive(Deserialize)]
struct Session {
    interactions: Vec<Exchange>,
}

#[derive(Deserialize)]
struct Exchange {
    request: Request,
    response: Response,
}

#[derive(Deserialize)]
struct Request {
    method: String,
    url: String,
}

#[derive(Deserialize)]
struct Response {
    body: String,
    code: u16,
}

/// Every exchange: method, path without numbers and query, status, body.
fn exchanges() -> Option<Vec<(String, u16, Value)>> {
    let folder =
        PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../../shared/specs/linode/recorded");
    let Ok(files) = std::fs::read_dir(&folder) else {
        fleetwright_rest::testing::skipped(&format!(
            "no recorded sessions at {}",
            folder.display()
        ));
        return None;
    };
    let mut all = Vec::new();
    for file in files {
        let path = file.unwrap().path();
        if path.extension().is_none_or(|ending| ending != "yaml") {
            continue;
        }
        let text = std::fs::read_to_string(&path).unwrap();
        let session: Session = serde_yaml_ng::from_str(&text).unwrap();
        for Exchange { request, response } in session.interactions {
            let path = request.url.split_once("/v4beta/").unwrap().1;
            let path = path.split('?').next().unwrap();
            let parts = path.split('/').map(|part| {
                let is_number = part.bytes().all(|byte| byte.is_ascii_digit());
                if is_number { "N" } else { part }
            });
            let call = format!("{} {}", request.method, parts.collect::<Vec<_>>().join("/"));
            let body = serde_json::from_str(&response.body).unwrap();
            all.push((call, response.code, body));
        }
    }
    Some(all)
}

/// The items of a collection, or the one item, each with what it was read from.
fn read<T: for<'a> Deserialize<'a>>(body: &Value) -> Vec<(T, Value)> {
    let items = match body.get("data") {
        Some(Value::Array(all)) => all.clone(),
        _ => vec![body.clone()],
    };
    let one = |item: Value| (serde_json::from_value(item.clone()).unwrap(), item);
    items.into_iter().map(one).collect()
}

#[test]
fn recorded_sessions_are_read_without_loss_of_what_we_use() {
    let Some(all) = exchanges() else { return };
    let mut read_of: BTreeMap<&str, usize> = BTreeMap::new();
    for (call, code, body) in &all {
        if *code != 200 {
            continue;
        }
        if body.get("data").is_some() {
            let page: Collection<Value> = serde_json::from_value(body.clone()).unwrap();
            assert_eq!(page.pages, body["pages"]);
            assert_eq!(page.results, body["results"]);
        }
        let kind = match &**call {
            "GET linode/instances" | "POST linode/instances" | "GET linode/instances/N" => {
                for (linode, from) in read::<Linode>(body) {
                    check_linode(&linode, &from);
                }
                "instance"
            }
            "GET linode/types" => {
                for (plan, from) in read::<Plan>(body) {
                    check_plan(&plan, &from);
                }
                "type"
            }
            "GET regions" => {
                for (region, from) in read::<Region>(body) {
                    assert_eq!(region.id, from["id"]);
                    assert_eq!(region.status, from["status"]);
                    assert_eq!(Value::from(region.capabilities), from["capabilities"]);
                }
                "region"
            }
            "GET regions/availability" => {
                for (a, from) in read::<PlanAvailability>(body) {
                    assert_eq!(Value::from(a.plan), from["plan"]);
                    assert_eq!((Value::from(a.region), a.available), {
                        (from["region"].clone(), from["available"] == true)
                    });
                }
                "availability"
            }
            "GET account/availability" | "GET account/availability/us-east" => {
                for (a, from) in read::<AccountAvailability>(body) {
                    assert_eq!(Value::from(a.region), from["region"]);
                    assert_eq!(Value::from(a.unavailable), from["unavailable"]);
                }
                "account"
            }
            "GET images" => {
                for (image, from) in read::<Image>(body) {
                    assert_eq!(image.id, from["id"]);
                    assert_eq!(image.label, from["label"]);
                    assert_eq!(Value::from(image.status), from["status"]);
                    assert_eq!(Value::from(image.capabilities), from["capabilities"]);
                    assert_eq!(image.deprecated, from["deprecated"] == true);
                }
                "image"
            }
            "GET nodebalancers" | "POST nodebalancers" => {
                for (balancer, from) in read::<NodeBalancer>(body) {
                    assert_eq!(balancer.id, from["id"]);
                    assert_eq!(Value::from(balancer.label), from["label"]);
                    assert_eq!(balancer.region, from["region"]);
                }
                "balancer"
            }
            "GET nodebalancers/N/configs" | "POST nodebalancers/N/configs" => {
                for (port, from) in read::<Listener>(body) {
                    assert_eq!((Value::from(port.id), port.port), {
                        let port = u16::try_from(from["port"].as_u64().unwrap());
                        (from["id"].clone(), port.unwrap())
                    });
                }
                "port"
            }
            "GET nodebalancers/N/configs/N/nodes" | "POST nodebalancers/N/configs/N/nodes" => {
                for (backend, from) in read::<Backend>(body) {
                    assert_eq!(backend.id, from["id"]);
                    assert_eq!(backend.address, from["address"]);
                    assert_eq!(backend.label, from["label"]);
                    assert_eq!((&*backend.status, &*backend.mode), {
                        (
                            from["status"].as_str().unwrap(),
                            from["mode"].as_str().unwrap(),
                        )
                    });
                }
                "backend"
            }
            "GET domains" | "POST domains" => {
                for (domain, from) in read::<Domain>(body) {
                    assert_eq!(domain.name, from["domain"]);
                    assert_eq!(domain.kind, from["type"]);
                    assert_eq!(domain.ttl_sec, from["ttl_sec"]);
                }
                "domain"
            }
            "GET domains/N/records" | "POST domains/N/records" => {
                for (record, from) in read::<Record>(body) {
                    assert_eq!(record.kind, from["type"]);
                    assert_eq!(record.name, from["name"]);
                    assert_eq!(record.target, from["target"]);
                    assert_eq!(record.ttl_sec, from["ttl_sec"]);
                }
                "record"
            }
            _ => continue,
        };
        *read_of.entry(kind).or_default() += 1;
    }
    let kinds: Vec<&str> = read_of.keys().copied().collect();
    let expected = [
        "account",
        "availability",
        "backend",
        "balancer",
        "domain",
        "image",
        "instance",
        "port",
        "record",
        "region",
        "type",
    ];
    assert_eq!(kinds, expected, "every kind of answer was recorded");
}

fn check_linode(linode: &Linode, from: &Value) {
    assert_eq!(linode.id, from["id"]);
    assert_eq!(linode.label, from["label"]);
    assert_eq!(linode.region, from["region"]);
    assert_eq!(Value::from(linode.instance_type.clone()), from["type"]);
    assert_eq!(Value::from(linode.image.clone()), from["image"]);
    assert_eq!(Value::from(linode.tags.clone()), from["tags"]);
    assert_eq!(Value::from(linode.ipv4.clone()), from["ipv4"]);
    let now = "2018-01-02T03:05:00Z".parse().unwrap();
    let node = node::node("linode", &LinodeConfig::default(), linode, now).unwrap();
    assert!(
        !matches!(node.state, NodeState::Unknown(_)),
        "`{}` is a status that we know",
        linode.status
    );
    assert_eq!(node.created_at.unwrap().to_string(), "2018-01-02T03:04:05Z");
    assert!(node.access.is_some(), "{from}");
}

fn check_plan(plan: &Plan, from: &Value) {
    assert_eq!(plan.id, from["id"]);
    assert_eq!(plan.vcpus, from["vcpus"]);
    assert_eq!(plan.memory, from["memory"]);
    assert_eq!(plan.gpus, from["gpus"]);
    assert_eq!(plan.class, from["class"]);
    let (found, price) = catalog::judged(plan, "nowhere-special");
    let micros = price.unwrap().unwrap().micros_per_hour;
    let hourly = from["price"]["hourly"].as_f64().unwrap();
    assert_eq!(format!("{:.4}", hourly * 1e6), format!("{micros}.0000"));
    if plan.gpus > 0 {
        assert!(
            found.gpu_memory_mib.is_some(),
            "{} has no known GPU",
            plan.id
        );
    }
}

#[test]
fn recorded_refusals_have_their_reasons() {
    let Some(all) = exchanges() else { return };
    let mut reasons: BTreeMap<String, usize> = BTreeMap::new();
    for (_, code, body) in all {
        if code == 200 {
            continue;
        }
        let refusal: Refusal = serde_json::from_value(body).unwrap();
        for reason in refusal.errors {
            *reasons.entry(reason.reason).or_default() += 1;
        }
    }
    assert_eq!(reasons.get("Linode busy."), Some(&17));
    assert_eq!(reasons.get("Not found"), Some(&2));
}
