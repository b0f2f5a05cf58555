//! Droplets: made, listed, looked at, removed.

use fleetwright_rest::testing::{Reply, Request};
use serde_json::{Value, json};

use super::answer::{error, not_found, page, unprocessable};
use super::catalog::REGIONS;
use super::state::{Machine, State, Truth, span};

pub(super) fn answer(state: &mut State, request: &Request, path: &[&str]) -> Reply {
    match (request.method(), path) {
        ("GET", []) => list(state, request),
        ("POST", []) => create(state, request),
        (method, [id, rest @ ..]) => {
            let known = id.parse().ok().filter(|id| {
                let machine = state.machines.get(id);
                machine.is_some_and(|machine| !machine.is_gone(state.now))
            });
            let Some(id) = known else {
                return not_found();
            };
            match (method, rest) {
                ("GET", []) => {
                    let droplet = state.machines.get(&id).map(|one| state.droplet(one));
                    Reply::json(200, &json!({ "droplet": droplet }))
                }
                ("DELETE", []) => delete(state, id),
                ("GET", ["actions"]) => actions(state, request, id),
                _ => not_found(),
            }
        }
        _ => not_found(),
    }
}

/// "By default, only non-GPU Droplets are returned."
fn list(state: &State, request: &Request) -> Reply {
    let kind = request.query("type");
    let tag = request.query("tag_name");
    if kind.is_some() && tag.is_some() {
        return error(
            400,
            "bad_request",
            "type can not be combined with tag_name.",
        );
    }
    let wants_gpus = kind == Some("gpus");
    let items: Vec<Value> = state
        .machines
        .values()
        .filter(|one| one.is_listed(state.now, &state.settings))
        .filter(|one| {
            let kind = state.kind(&one.truth.size);
            kind.is_some_and(super::catalog::Kind::has_gpu) == wants_gpus
        })
        .filter(|one| tag.is_none_or(|tag| one.truth.tags.iter().any(|known| known == tag)))
        .map(|one| state.droplet(one))
        .collect();
    page(
        request,
        &state.address,
        state.settings.page,
        "droplets",
        &items,
    )
}

fn create(state: &mut State, request: &Request) -> Reply {
    let body = request.json();
    let is_multiple = body["names"].is_array();
    let mut names: Vec<String> = match &body["names"] {
        Value::Array(names) => names.iter().filter_map(text).collect(),
        _ => text(&body["name"]).into_iter().collect(),
    };
    if let Err(refusal) = state.takes(&body, &names) {
        return refusal;
    }
    if std::mem::take(&mut state.halves_next) {
        names.truncate(names.len() / 2);
    }
    let mut droplets = Vec::new();
    for name in names {
        let id = state.add(Truth {
            id: 0,
            name,
            region: text(&body["region"]).unwrap_or_default(),
            size: text(&body["size"]).unwrap_or_default(),
            tags: texts(&body["tags"]),
            status: String::new(),
            user_data: text(&body["user_data"]),
            ssh_keys: texts(&body["ssh_keys"]),
            vpc: text(&body["vpc_uuid"]),
            image: body["image"].clone(),
        });
        if let Some(machine) = state.machines.get(&id) {
            droplets.push(state.droplet(machine));
        }
    }
    let links = json!({ "actions": [{
        "id": 7_515, "rel": "create", "href": format!("{}/v2/actions/7515", state.address),
    }]});
    if is_multiple {
        return Reply::json(202, &json!({ "droplets": droplets, "links": links }));
    }
    Reply::json(202, &json!({ "droplet": droplets.first(), "links": links }))
}

fn delete(state: &mut State, id: u64) -> Reply {
    let (now, end) = (state.now, state.now + span(state.settings.removal));
    let Some(machine) = state.machines.get_mut(&id) else {
        return not_found();
    };
    if machine.leaving.is_some() {
        return unprocessable("Droplet already has a pending event.");
    }
    machine.leaving = Some((now, end));
    Reply::empty(204)
}

fn actions(state: &State, request: &Request, id: u64) -> Reply {
    let Some(machine) = state.machines.get(&id) else {
        return not_found();
    };
    let action = |number: u64, kind: &str, at: jiff::Timestamp, is_done: bool| {
        json!({
            "id": id * 10 + number,
            "status": if is_done { "completed" } else { "in-progress" },
            "type": kind,
            "started_at": second(at),
            "completed_at": is_done.then(|| second(at)),
            "resource_id": id,
            "resource_type": "droplet",
            "region": state.region(&machine.truth.region),
            "region_slug": machine.truth.region,
        })
    };
    let mut items = Vec::new();
    if let Some((at, _)) = machine.leaving {
        items.push(action(2, "destroy", at, false));
    }
    let runs = machine.runs_from <= state.now;
    items.push(action(1, "create", machine.made_at, runs));
    page(
        request,
        &state.address,
        state.settings.page,
        "actions",
        &items,
    )
}

impl State {
    /// Whether droplets of these names would be made, in the order in which refusals come.
    fn takes(&self, body: &Value, names: &[String]) -> Result<(), Reply> {
        let refuse = |message: &str| Err(unprocessable(message));
        if names.is_empty() || names.len() > 10 {
            return refuse("You can only create up to 10 Droplets at a time.");
        }
        let plain = |c: char| c.is_ascii_alphanumeric() || c == '.' || c == '-';
        let is_name = |name: &String| {
            !name.is_empty() && name.chars().all(plain) && !name.ends_with(['-', '.'])
        };
        if !names.iter().all(is_name) {
            return refuse(
                "Name Only valid hostname characters are allowed. (a-z, A-Z, 0-9, . and -)",
            );
        }
        let region = text(&body["region"]).unwrap_or_default();
        let size = text(&body["size"]).unwrap_or_default();
        let Some((_, is_open, _)) = REGIONS.iter().find(|(slug, ..)| *slug == region) else {
            return refuse("You specified an invalid region for Droplet creation.");
        };
        let Some(kind) = self.kind(&size) else {
            return refuse("You specified an invalid size for Droplet creation.");
        };
        let image = match &body["image"] {
            Value::Number(id) => self.images.iter().find(|i| Some(i.id) == id.as_u64()),
            other => self.images.iter().find(|i| i.slug == other.as_str()),
        };
        let Some(image) = image else {
            return refuse("You specified an invalid image for Droplet creation.");
        };
        if !image.regions.contains(&region) {
            return refuse("The image is not available in the selected region.");
        }
        if let Some(key) = texts(&body["ssh_keys"])
            .iter()
            .find(|key| !self.keys.iter().any(|known| known.fingerprint == **key))
        {
            return refuse(&format!(
                "{key} are invalid key identifiers for Droplet creation."
            ));
        }
        let tag = |c: char| c.is_ascii_alphanumeric() || "_-:".contains(c);
        let is_tag = |name: &String| !name.is_empty() && name.len() <= 255 && name.chars().all(tag);
        if !texts(&body["tags"]).iter().all(is_tag) {
            return refuse(
                "Tag names may only contain letters, numbers, colons, dashes, and underscores.",
            );
        }
        if text(&body["user_data"]).is_some_and(|data| data.len() > 64 << 10) {
            return refuse("User data must be less than 64 KiB.");
        }
        if let Some(vpc) = text(&body["vpc_uuid"])
            && !self
                .networks
                .iter()
                .any(|known| known.id == vpc && known.region == region)
        {
            return refuse("The VPC does not exist in the selected region.");
        }
        if !is_open {
            return refuse("Region is not available");
        }
        let wanted = u64::try_from(names.len()).unwrap_or(u64::MAX);
        let is_short = self.stock.get(&region).is_some_and(|left| *left < wanted);
        if is_short || !kind.regions.contains(&&*region) {
            return refuse("Size is not available in this region.");
        }
        if self.in_use() + wanted > self.settings.droplet_limit {
            return refuse("creating this/these droplet(s) will exceed your droplet limit");
        }
        Ok(())
    }

    /// A droplet in full.
    pub(super) fn droplet(&self, machine: &Machine) -> Value {
        let truth = &machine.truth;
        let status = machine.status(self.now);
        let kind = self.kind(&truth.size);
        let has_address = status != "new";
        let low = truth.id % 250 + 2;
        let high = truth.id / 250 % 250;
        let v4 = if has_address {
            json!([
                { "ip_address": format!("10.108.{high}.{low}"), "netmask": "255.255.240.0",
                  "gateway": "nil", "type": "private" },
                { "ip_address": format!("203.{high}.113.{low}"), "netmask": "255.255.240.0",
                  "gateway": "203.0.113.1", "type": "public" },
            ])
        } else {
            json!([])
        };
        let mut droplet = json!({
            "id": truth.id,
            "name": truth.name,
            "memory": kind.map(super::catalog::Kind::memory),
            "vcpus": kind.map(super::catalog::Kind::vcpus),
            "disk": kind.map(super::catalog::Kind::disk),
            "locked": status == "new" || machine.leaving.is_some(),
            "status": status,
            "kernel": null,
            "created_at": second(machine.made_at),
            "features": ["droplet_agent", "private_networking"],
            "backup_ids": [],
            "next_backup_window": null,
            "snapshot_ids": [],
            "image": self.image_of(&truth.image),
            "volume_ids": [],
            "size": kind.map(super::catalog::Kind::json),
            "size_slug": truth.size,
            "networks": { "v4": v4, "v6": [] },
            "region": self.region(&truth.region),
            "tags": if self.hides_tags { &[] } else { &*truth.tags },
            "vpc_uuid": truth.vpc.as_deref().unwrap_or("760e09ef-dc84-11e8-981e-3cfdfeaae000"),
        });
        if let Some(gpu) = kind.and_then(super::catalog::Kind::gpu_info) {
            droplet["gpu_info"] = gpu;
        }
        droplet
    }
}

/// Times are in whole seconds.
pub(super) fn second(at: jiff::Timestamp) -> String {
    at.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

pub(super) fn text(value: &Value) -> Option<String> {
    value.as_str().map(str::to_owned)
}

pub(super) fn texts(value: &Value) -> Vec<String> {
    value
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(text)
        .collect()
}
