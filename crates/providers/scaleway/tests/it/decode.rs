//! Recorded real sessions: they decode without loss of what is used, and the contract knows all of
//! their fields.

use std::collections::BTreeSet;
use std::sync::Arc;

use fleetwright_core::ability::Offering;
use fleetwright_core::{
    Catalog as _, Currency, Error, ListRequest, Node, NodeState, Provider as _, Secret, Span,
};
use fleetwright_rest::testing::{Description, Reply, Request, Server, World};
use fleetwright_rest::{Call, Client, Credential, Settings};
use fleetwright_scaleway::{ScalewayConfig, fake};
use serde_json::{Value, json};

use crate::support;

/// One exchange of a recorded session.
struct Recorded {
    method: String,
    path: String,
    query: Vec<(String, String)>,
    sent: String,
    status: u16,
    body: String,
}

/// Every exchange of every session; empty, and said so, where they are not beside the checkout.
fn recorded() -> Vec<Recorded> {
    let folder = Description::file("scaleway/recorded");
    let Ok(entries) = std::fs::read_dir(&folder) else {
        println!("skipped: no recorded sessions at {}", folder.display());
        return Vec::new();
    };
    let mut all = Vec::new();
    for entry in entries {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|extension| extension != "yaml") {
            continue;
        }
        let text = std::fs::read_to_string(&path).unwrap();
        let session: Value = serde_yaml_ng::from_str(&text).unwrap();
        for exchange in session["interactions"].as_array().unwrap() {
            let (sent, got) = (&exchange["request"], &exchange["response"]);
            let address = sent["url"].as_str().unwrap();
            let address = address.strip_prefix("https://api.scaleway.com").unwrap();
            all.push(Recorded {
                method: sent["method"].as_str().unwrap().to_owned(),
                path: address.split('?').next().unwrap().to_owned(),
                query: address
                    .split_once('?')
                    .into_iter()
                    .flat_map(|(_, query)| query.split('&'))
                    .filter_map(|pair| pair.split_once('='))
                    .map(|(name, value)| (name.to_owned(), value.to_owned()))
                    .collect(),
                sent: sent["body"].as_str().unwrap_or("").to_owned(),
                status: got["code"].as_u64().unwrap().try_into().unwrap(),
                body: got["body"].as_str().unwrap_or("").to_owned(),
            });
        }
    }
    all
}

/// Answers each list of instances with what was recorded, whatever is asked.
struct Played(Vec<(String, Value)>);

impl World for Played {
    fn answer(&self, request: &Request) -> Reply {
        let known = self.0.iter().find(|(path, _)| path == request.path());
        let body = known.map_or_else(|| json!({ "servers": [] }), |(_, body)| body.clone());
        let total = match &body["servers"] {
            Value::Array(items) => items.len(),
            Value::Object(items) => items.len(),
            _ => 0,
        };
        Reply::json(200, &body).with_header("x-total-count", total)
    }
}

fn provider_on(server: &Server, regions: &[&str]) -> fleetwright_scaleway::ScalewayProvider {
    support::with_config(ScalewayConfig {
        regions: regions.iter().map(|&region| region.to_owned()).collect(),
        endpoint: server.url(),
        project_id: "105bdce1-64c0-48ab-899d-868455867ecf".to_owned(),
        listing_lag: Span::seconds(0),
        ..ScalewayConfig::default()
    })
}

fn play(answers: Vec<(String, Value)>) -> Server {
    Server::start(Arc::new(Played(answers)), None)
}

#[tokio::test]
async fn recorded_instances_keep_what_is_used() {
    let all = recorded();
    let lists: Vec<(String, Value)> = all
        .iter()
        .filter(|one| one.method == "GET" && one.path.ends_with("/servers"))
        .filter(|one| one.path.starts_with("/instance/") && !one.path.contains("/products/"))
        .map(|one| (one.path.clone(), serde_json::from_str(&one.body).unwrap()))
        .collect();
    if lists.is_empty() {
        return;
    }
    let server = play(lists.clone());
    let regions = ["fr-par", "nl-ams", "pl-waw", "it-mil"];
    let listing = provider_on(&server, &regions)
        .list(&ListRequest {
            foreign: true,
            ..ListRequest::default()
        })
        .await
        .unwrap();
    assert!(listing.coverage.gaps().is_empty(), "{:?}", listing.coverage);
    let raw: Vec<&Value> = lists
        .iter()
        .flat_map(|(_, body)| body["servers"].as_array().unwrap())
        .collect();
    assert_eq!(listing.nodes.len(), raw.len());
    assert!(raw.len() >= 12, "{} instances were recorded", raw.len());
    for raw in raw {
        let text = |name: &str| raw[name].as_str().unwrap();
        let native = format!("{}/{}", text("zone"), text("id"));
        let mut nodes = listing.nodes.iter();
        let node: &Node = nodes.find(|node| node.id.native() == native).unwrap();
        assert_eq!(node.name, text("name"));
        assert_eq!(node.instance_type, text("commercial_type"));
        assert_eq!(node.zone.as_deref(), Some(text("zone")));
        assert!(node.created_at.is_some());
        assert!(!matches!(node.state, NodeState::Unknown(_)), "{node:?}");
        let tags: BTreeSet<&str> = raw["tags"]
            .as_array()
            .unwrap()
            .iter()
            .map(|tag| tag.as_str().unwrap())
            .collect();
        assert_eq!(
            node.labels.len(),
            tags.len(),
            "{tags:?} became {:?}",
            node.labels
        );
        let first = raw["public_ips"][0]["address"].as_str();
        let address = node.addresses.public.map(|address| address.to_string());
        assert_eq!(address.as_deref(), first, "{native}");
    }
}

#[tokio::test]
async fn recorded_types_keep_gpus_and_prices() {
    let mut types = serde_json::Map::new();
    for one in recorded() {
        if one.path.ends_with("/products/servers") {
            let body: Value = serde_json::from_str(&one.body).unwrap();
            types.extend(body["servers"].as_object().unwrap().clone());
        }
    }
    if types.is_empty() {
        return;
    }
    assert_eq!(types.len(), 75);
    let path = "/instance/v1/zones/fr-par-1/products/servers";
    let stocks: serde_json::Map<String, Value> = types
        .keys()
        .zip(
            ["available", "scarce", "shortage", "a word of tomorrow"]
                .into_iter()
                .cycle(),
        )
        .map(|(name, word)| (name.clone(), json!({ "availability": word })))
        .collect();
    let server = play(vec![
        (path.to_owned(), json!({ "servers": types })),
        (format!("{path}/availability"), json!({ "servers": stocks })),
    ]);
    let provider = provider_on(&server, &["fr-par"]);
    let known = provider.instance_types().await.unwrap();
    assert_eq!(known.len(), types.len());
    let render = known.iter().find(|known| known.name == "RENDER-S").unwrap();
    assert_eq!(render.gpus, 1);
    assert_eq!(render.gpu_model.as_deref(), Some("NVIDIA P100"));
    assert_eq!(render.gpu_memory_mib, Some(16 * 1024));
    assert_eq!((render.vcpus, render.memory_mib), (10, 42 * 1024));
    let offerings = provider.offerings().await.unwrap();
    let offering = |name: &str| -> &Offering {
        offerings
            .iter()
            .find(|one| one.instance_type == name)
            .unwrap()
    };
    for (name, raw) in &types {
        if raw["end_of_service"] == true {
            continue;
        }
        let price = offering(name).price.unwrap();
        assert_eq!(price.currency, Currency::Eur);
        // The vendor's figures have at most six decimals, and none of them is lost.
        let shown = price.to_string();
        let shown = shown.trim_start_matches('€').trim_end_matches("/h");
        let (ours, theirs): (f64, f64) = (
            shown.parse().unwrap(),
            raw["hourly_price"].as_f64().unwrap(),
        );
        assert!(
            (ours - theirs).abs() < 1e-9,
            "{name}: {ours} instead of {theirs}"
        );
    }
    assert_eq!(offering("DEV1-S").price.unwrap().micros_per_hour, 13_680);
}

/// Answers a request with what was recorded for it; the header says which it is.
struct Replayed(Vec<Recorded>);

impl World for Replayed {
    fn answer(&self, request: &Request) -> Reply {
        let at: usize = request.header("x-number").unwrap().parse().unwrap();
        let one = &self.0[at];
        let is_json = serde_json::from_str::<Value>(&one.body).is_ok_and(|body| body.is_object());
        match &*one.body {
            "" => Reply::empty(one.status),
            body if is_json => Reply::text(one.status, "application/json", body),
            body => Reply::text(one.status, "text/plain", body),
        }
    }
}

#[tokio::test]
async fn the_contract_allows_every_recorded_request_and_reply() {
    let all = recorded();
    if all.is_empty() {
        return;
    }
    let calls: Vec<Call> = all
        .iter()
        .enumerate()
        .map(|(at, one)| {
            let segments: Vec<&str> = one
                .path
                .split('/')
                .filter(|part| !part.is_empty())
                .collect();
            let mut call = match &*one.method {
                "GET" => Call::get(&segments),
                "POST" => Call::post(&segments),
                "PATCH" => Call::patch(&segments),
                _ => Call::delete(&segments),
            };
            for (name, value) in &one.query {
                call = call.query(name, value.clone());
            }
            if !one.sent.is_empty() {
                call = match serde_json::from_str::<Value>(&one.sent) {
                    Ok(body) if body.is_object() => call.json(&body).unwrap(),
                    _ => call.text(one.sent.clone()),
                };
            }
            call.header("x-number", at.to_string())
        })
        .collect();
    let number = all.len();
    let judge = Some(Arc::new(fake::contract()));
    let server = Server::start(Arc::new(Replayed(all)), judge);
    let client = Client::new(
        Settings::new(server.url(), |refusal| refusal.by_status(refusal.text())),
        Credential::bearer(Secret::new("recorded")),
        Arc::new(support::RealClock),
    )
    .unwrap();
    for call in calls {
        // A recorded refusal is an error here, and judged all the same.
        let _: Result<_, Error> = client.send(call).await;
    }
    assert_eq!(server.exchanges().len(), number);
    let (unused, wrong): (Vec<String>, Vec<String>) = server
        .violations()
        .into_iter()
        .partition(|violation| violation.contains("no such method and path"));
    // One request was recorded because it is wrong.
    let wrong: Vec<String> = wrong
        .into_iter()
        .filter(|violation| !violation.contains("\"commercial_type\" is a required property"))
        .collect();
    assert_eq!(wrong, [] as [String; 0]);
    // What we do not use is not in the contract: snapshots, images, rules, containers.
    assert!(unused.len() < number / 2, "{unused:#?}");
}
