//! The account, the catalog, keys, images, tags, networks, firewalls, projects, load balancers.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use fleetwright_rest::testing::{Reply, Request};
use serde_json::{Value, json};

use super::answer::{not_found, page, unprocessable};
use super::catalog::{Kind, REGIONS};
use super::droplets::{second, text, texts};
use super::state::{Balancer, Firewall, Key, Network, Picture, Project, State};

pub(super) fn answer(state: &mut State, request: &Request, path: &[&str]) -> Reply {
    match (request.method(), path) {
        ("GET", ["account"]) => account(state),
        ("POST", ["account", "keys"]) => add_key(state, &request.json()),
        ("GET", ["account", "keys", id]) => {
            let id = id.replace("%3A", ":");
            match state.keys.iter().find(|key| key.fingerprint == id) {
                Some(key) => Reply::json(200, &json!({ "ssh_key": key.json() })),
                None => not_found(),
            }
        }
        ("GET", ["sizes"]) => {
            let items: Vec<Value> = state.kinds.iter().map(Kind::json).collect();
            state.page(request, "sizes", &items)
        }
        ("GET", ["regions"]) => {
            let items: Vec<Value> = REGIONS
                .iter()
                .map(|(slug, ..)| state.region(slug))
                .collect();
            state.page(request, "regions", &items)
        }
        ("GET", ["images"]) => {
            let is_private = request.query("private") == Some("true");
            let items: Vec<Value> = state
                .images
                .iter()
                .filter(|image| !is_private || image.slug.is_none())
                .map(Picture::json)
                .collect();
            state.page(request, "images", &items)
        }
        ("GET", ["images", wanted]) => {
            let is_it =
                |image: &&Picture| image.slug == Some(*wanted) || image.id.to_string() == **wanted;
            match state.images.iter().find(is_it) {
                Some(image) => Reply::json(200, &json!({ "image": image.json() })),
                None => not_found(),
            }
        }
        ("GET", ["vpcs"]) => {
            let items: Vec<Value> = state.networks.iter().map(Network::json).collect();
            state.page(request, "vpcs", &items)
        }
        ("GET", ["firewalls"]) => {
            let items: Vec<Value> = state.firewalls.iter().map(Firewall::json).collect();
            state.page(request, "firewalls", &items)
        }
        ("POST", ["firewalls", id, "tags"]) => tag_firewall(state, id, &request.json()),
        ("POST", ["tags"]) => {
            let name = text(&request.json()["name"]).unwrap_or_default();
            let name = state.canonical_tag(&name);
            Reply::json(201, &json!({ "tag": { "name": name } }))
        }
        (method @ ("POST" | "DELETE"), ["tags", tag, "resources"]) => {
            tag_droplets(state, tag, &request.json(), method == "POST")
        }
        ("GET", ["projects"]) => {
            let items: Vec<Value> = state.projects.iter().map(Project::json).collect();
            state.page(request, "projects", &items)
        }
        ("POST", ["projects", id, "resources"]) => assign(state, id, &request.json()),
        ("GET", ["load_balancers"]) => {
            let items: Vec<Value> = state
                .balancers
                .iter()
                .map(|balancer| state.balancer_json(balancer))
                .collect();
            state.page(request, "load_balancers", &items)
        }
        (method @ ("POST" | "DELETE"), ["load_balancers", id, "droplets"]) => {
            change_balancer(state, id, &request.json(), method == "POST")
        }
        _ => not_found(),
    }
}

fn account(state: &State) -> Reply {
    let (status, message) = &state.account;
    Reply::json(
        200,
        &json!({ "account": {
            "droplet_limit": state.settings.droplet_limit,
            "floating_ip_limit": 5,
            "email": "sammy@example.com",
            "name": "Sammy",
            "uuid": "b6fr89dbf6d9156cace5f3c78dc9851d957381ef",
            "email_verified": true,
            "status": status,
            "status_message": message,
            "team": { "uuid": "5df3e3004a17e242b7c20ca6c9fc25b701a47ece", "name": "My Team" },
        }}),
    )
}

fn add_key(state: &mut State, body: &Value) -> Reply {
    let line = text(&body["public_key"]).unwrap_or_default();
    let blob = line.split_whitespace().nth(1).unwrap_or_default();
    let Some(bytes) = STANDARD.decode(blob).ok().filter(|bytes| !bytes.is_empty()) else {
        return unprocessable("Key invalid, key should be of the format `type key [comment]`");
    };
    let hex = format!("{:x}", md5::compute(bytes));
    let pairs: Vec<&str> = (0..16).map(|at| &hex[at * 2..at * 2 + 2]).collect();
    let fingerprint = pairs.join(":");
    if state.keys.iter().any(|key| key.fingerprint == fingerprint) {
        return unprocessable("SSH Key is already in use on your account");
    }
    let key = Key {
        id: state.number(),
        fingerprint,
        name: text(&body["name"]).unwrap_or_default(),
        line,
    };
    let answer = json!({ "ssh_key": key.json() });
    state.keys.push(key);
    Reply::json(201, &answer)
}

fn tag_firewall(state: &mut State, id: &str, body: &Value) -> Reply {
    let tags = texts(&body["tags"]);
    if tags.iter().any(|tag| !state.tags.contains(tag)) {
        return not_found();
    }
    match state.firewalls.iter_mut().find(|known| known.id == id) {
        Some(firewall) => {
            firewall.tags.extend(tags);
            Reply::empty(204)
        }
        None => not_found(),
    }
}

fn tag_droplets(state: &mut State, tag: &str, body: &Value, adds: bool) -> Reply {
    let tag = tag.replace("%3A", ":");
    if !state.tags.contains(&tag) {
        return not_found();
    }
    for resource in body["resources"].as_array().into_iter().flatten() {
        let id = text(&resource["resource_id"]).and_then(|id| id.parse().ok());
        let Some(machine) = id.and_then(|id: u64| state.machines.get_mut(&id)) else {
            return not_found();
        };
        machine.truth.tags.retain(|known| *known != tag);
        if adds {
            machine.truth.tags.push(tag.clone());
        }
    }
    Reply::empty(204)
}

fn assign(state: &mut State, id: &str, body: &Value) -> Reply {
    let now = state.now;
    let present: Vec<u64> = state.present().map(|one| one.truth.id).collect();
    if !state.projects.iter().any(|project| project.id == id) {
        return not_found();
    }
    let mut answers = Vec::new();
    for urn in texts(&body["resources"]) {
        let droplet = urn
            .strip_prefix("do:droplet:")
            .and_then(|id| id.parse().ok())
            .filter(|id| present.contains(id));
        let Some(droplet) = droplet else {
            return not_found();
        };
        let mut status = "assigned";
        for project in &mut state.projects {
            if project.id != id {
                project.droplets.remove(&droplet);
            } else if !project.droplets.insert(droplet) {
                status = "already_assigned";
            }
        }
        answers.push(json!({
            "urn": urn,
            "assigned_at": second(now),
            "links": { "self": format!("{}/v2/droplets/{droplet}", state.address) },
            "status": status,
        }));
    }
    Reply::json(200, &json!({ "resources": answers }))
}

fn change_balancer(state: &mut State, id: &str, body: &Value, adds: bool) -> Reply {
    let ids: Vec<u64> = body["droplet_ids"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(Value::as_u64)
        .collect();
    let Some(at) = state.balancers.iter().position(|known| known.id == id) else {
        return not_found();
    };
    let region = &state.balancers[at].region;
    let are_there = ids.iter().all(|id| {
        let machine = state.machines.get(id);
        machine.is_some_and(|one| !one.is_gone(state.now) && one.truth.region == *region)
    });
    if !are_there {
        return unprocessable("droplet does not exist or is not in the region of the balancer");
    }
    let balancer = &mut state.balancers[at];
    if balancer.tag.is_some() {
        return unprocessable("cannot add droplets to a load balancer with a tag");
    }
    for id in ids {
        if adds {
            balancer.droplets.insert(id);
        } else {
            balancer.droplets.remove(&id);
        }
    }
    Reply::empty(204)
}

impl State {
    fn page(&self, request: &Request, key: &str, items: &[Value]) -> Reply {
        page(request, &self.address, self.settings.page, key, items)
    }

    pub(super) fn image_of(&self, wanted: &Value) -> Value {
        let image = self.images.iter().find(|image| {
            image.slug == wanted.as_str() && image.slug.is_some()
                || Some(image.id) == wanted.as_u64()
        });
        image.map(Picture::json).unwrap_or_default()
    }

    fn balancer_json(&self, balancer: &Balancer) -> Value {
        let members: Vec<u64> = match &balancer.tag {
            None => balancer.droplets.iter().copied().collect(),
            Some(tag) => self
                .present()
                .filter(|one| one.truth.tags.contains(tag))
                .map(|one| one.truth.id)
                .collect(),
        };
        let mut answer = json!({
            "id": balancer.id,
            "name": balancer.name,
            "ip": "104.131.186.241",
            "size_unit": 1,
            "status": "active",
            "created_at": second(self.now),
            "forwarding_rules": [{
                "entry_protocol": "http", "entry_port": 80,
                "target_protocol": "http", "target_port": 80,
                "certificate_id": "", "tls_passthrough": false,
            }],
            "region": self.region(&balancer.region),
            "droplet_ids": members,
        });
        if let Some(tag) = &balancer.tag {
            answer["tag"] = json!(tag);
        }
        answer
    }

    pub(super) fn add_balancer(&mut self, name: &str, region: &str, tag: Option<&str>) -> String {
        let id = self.uuid();
        let tag = tag.map(|tag| self.canonical_tag(tag));
        self.balancers.push(Balancer {
            id: id.clone(),
            name: name.to_owned(),
            region: region.to_owned(),
            tag,
            droplets: std::collections::BTreeSet::new(),
        });
        id
    }

    pub(super) fn add_vpc(&mut self, name: &str, region: &str) -> String {
        let id = self.uuid();
        self.networks.push(Network {
            id: id.clone(),
            name: name.to_owned(),
            region: region.to_owned(),
        });
        id
    }

    pub(super) fn add_firewall(&mut self, name: &str) -> String {
        let id = self.uuid();
        self.firewalls.push(Firewall {
            id: id.clone(),
            name: name.to_owned(),
            tags: Vec::new(),
        });
        id
    }

    pub(super) fn firewall_tags(&self, id: &str) -> Vec<String> {
        let firewall = self.firewalls.iter().find(|known| known.id == id);
        firewall.map(|known| known.tags.clone()).unwrap_or_default()
    }

    pub(super) fn add_project(&mut self, name: &str) -> String {
        let id = self.uuid();
        self.projects.push(Project {
            id: id.clone(),
            name: name.to_owned(),
            droplets: std::collections::BTreeSet::new(),
        });
        id
    }

    pub(super) fn project_droplets(&self, id: &str) -> Vec<u64> {
        let project = self.projects.iter().find(|known| known.id == id);
        let droplets = project.map(|known| known.droplets.iter().copied().collect());
        droplets.unwrap_or_default()
    }

    pub(super) fn add_image(&mut self, name: &str, regions: &[&str]) -> u64 {
        let id = self.number();
        self.images.push(Picture {
            id,
            name: name.to_owned(),
            slug: None,
            regions: regions.iter().map(|region| (*region).to_owned()).collect(),
            // Each is newer than the one before.
            created_at: self.now + jiff::SignedDuration::from_secs(i64::try_from(id).unwrap_or(0)),
        });
        id
    }
}

impl Key {
    fn json(&self) -> Value {
        json!({
            "id": self.id, "fingerprint": self.fingerprint,
            "public_key": self.line, "name": self.name,
        })
    }
}

impl Picture {
    fn json(&self) -> Value {
        json!({
            "id": self.id,
            "name": self.name,
            "type": if self.slug.is_some() { "base" } else { "snapshot" },
            "distribution": "Ubuntu",
            "slug": self.slug,
            "public": self.slug.is_some(),
            "regions": self.regions,
            "created_at": second(self.created_at),
            "min_disk_size": 10,
            "size_gigabytes": 2.36,
            "description": "",
            "tags": [],
            "status": "available",
            "error_message": "",
        })
    }
}

impl Network {
    fn json(&self) -> Value {
        json!({
            "id": self.id,
            "urn": format!("do:vpc:{}", self.id),
            "name": self.name,
            "description": "",
            "region": self.region,
            "ip_range": "10.10.10.0/24",
            "default": false,
            "created_at": "2020-03-13T19:20:47Z",
        })
    }
}

impl Firewall {
    fn json(&self) -> Value {
        json!({
            "id": self.id,
            "name": self.name,
            "status": "succeeded",
            "created_at": "2020-05-23T21:24:00Z",
            "pending_changes": [],
            "droplet_ids": [],
            "tags": self.tags,
            "inbound_rules": [{
                "protocol": "tcp", "ports": "22", "sources": { "addresses": ["0.0.0.0/0"] },
            }],
            "outbound_rules": null,
        })
    }
}

impl Project {
    fn json(&self) -> Value {
        json!({
            "id": self.id,
            "owner_uuid": "99525febec065ca37b2ffe4f852fd2b2581895e7",
            "owner_id": 258_992,
            "name": self.name,
            "description": "",
            "purpose": "Service or API",
            "environment": "Production",
            "created_at": "2018-09-27T20:10:35Z",
            "updated_at": "2018-09-27T20:10:35Z",
            "is_default": false,
        })
    }
}
