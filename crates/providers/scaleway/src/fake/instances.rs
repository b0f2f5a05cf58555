//! Instances: born powered off, with a root volume; powered on, terminated, deleted.

use std::collections::BTreeMap;

use fleetwright_rest::testing::{Reply, Request};
use serde_json::{Map, Value, json};

use super::answer::{
    Answer, DATE, invalid, not_found, not_usable, out_of_stock, page, quota, transient,
};
use super::products;
use super::state::{Address, Power, Server, State, Volume};
use crate::provider::USER_DATA;

pub(super) fn answer(state: &mut State, request: &Request, zone: &str, path: &[&str]) -> Answer {
    match (request.method(), path) {
        ("GET", ["servers"]) => Ok(list(state, request, zone)),
        ("POST", ["servers"]) => create(state, request, zone),
        (method, ["servers", id, rest @ ..]) => {
            let age = state
                .age(zone, id)
                .ok_or_else(|| not_found("instance_server", id))?;
            match (method, rest) {
                ("GET", []) => Ok(one(state, age, 200)),
                ("DELETE", []) => delete(state, age),
                ("POST", ["action"]) => act(state, request, age),
                ("POST", ["private_nics"]) => super::networks::join(state, request, age),
                ("POST", ["detach-volume"]) => detach(state, request, age),
                ("PATCH", ["user_data", key]) => set_user_data(state, request, age, key),
                ("GET", ["user_data"]) => Ok(user_data_keys(state, age)),
                ("GET", ["user_data", key]) => user_data(state, age, key),
                _ => Err(not_found("endpoint", request.path())),
            }
        }
        _ => Err(not_found("endpoint", request.path())),
    }
}

fn server(state: &mut State, age: u64) -> &mut Server {
    state
        .servers
        .get_mut(&age)
        .expect("its age was just looked up, on this one thread")
}

// === reading ===

fn list(state: &State, request: &Request, zone: &str) -> Reply {
    let lag = state.config.listing_lag;
    let visible = state
        .servers
        .values()
        .filter(|server| lag.is_zero() || server.made_at + lag <= state.now);
    let ghosts = state.ghosts.iter().map(|(server, _)| server);
    let wanted: Vec<&str> = request
        .query("tags")
        .map(|tags| tags.split(',').collect())
        .unwrap_or_default();
    let project = request.query("project").unwrap_or(&state.config.project);
    let mut all: Vec<&Server> = visible
        .chain(ghosts)
        .filter(|server| server.zone == zone && project == state.config.project)
        .filter(|server| {
            let mut wanted = wanted.iter();
            wanted.all(|tag| server.tags.iter().any(|known| known == tag))
        })
        .collect();
    if request.query("order") != Some("creation_date_asc") {
        all.reverse();
    }
    page(state, request, "servers", all, |server| {
        describe(state, server)
    })
}

fn one(state: &State, age: u64, status: u16) -> Reply {
    let server = state
        .servers
        .get(&age)
        .map(|server| describe(state, server));
    Reply::json(status, &json!({ "server": server }))
}

pub(super) fn describe(state: &State, server: &Server) -> Value {
    let owner = &state.config.project;
    let mine = |volume: &Volume| volume.server.as_ref() == Some(&server.id);
    let volumes: Map<String, Value> = state
        .volumes
        .iter()
        .filter(|(_, volume)| mine(volume))
        .enumerate()
        .map(|(slot, (id, volume))| {
            (
                slot.to_string(),
                super::storage::attached(state, id, volume),
            )
        })
        .collect();
    let ips: Vec<Value> = state
        .addresses_of(server)
        .into_iter()
        .map(|(address, is_dynamic)| super::networks::of_server(address, is_dynamic))
        .collect();
    let actions: &[&str] = match server.power {
        Power::Stopped => &["poweron", "backup"],
        Power::Running => &["poweroff", "terminate", "reboot", "stop_in_place", "backup"],
        Power::Standby => &["poweron", "poweroff", "terminate"],
        Power::Starting(_) | Power::Terminating(_) => &[],
    };
    let group = |id: &Option<String>, name: &str| json!({ "id": id.as_deref().unwrap_or("5881315f-2400-43a0-ac75-08adf6cb8c12"), "name": name });
    let placement = server.placement_group.as_ref().map(|id| {
        json!({
            "id": id, "name": "placement", "organization": owner, "project": owner, "tags": [],
            "policy_mode": "optional", "policy_type": "max_availability",
            "policy_respected": true, "zone": server.zone,
        })
    });
    let nics = server.nics.iter();
    let nics: Vec<Value> = nics
        .map(|(id, network)| super::networks::nic(server, id, network))
        .collect();
    json!({
        "id": server.id,
        "name": server.name,
        "arch": products::image(&server.zone, &server.image).map_or("x86_64", |(_, _, arch)| arch),
        "commercial_type": server.instance_type,
        "boot_type": "local",
        "organization": owner,
        "project": owner,
        "hostname": server.name,
        "image": products::describe_image(&server.zone, &server.image),
        "volumes": volumes,
        "tags": server.tags,
        "state": server.power.word(),
        "protected": server.is_protected,
        "state_detail": if matches!(server.power, Power::Starting(_)) { "provisioning node" } else { "" },
        "public_ip": ips.first(),
        "public_ips": ips,
        "mac_address": "de:00:00:c6:ec:c7",
        "routed_ip_enabled": true,
        "ipv6": null,
        "extra_networks": [],
        "dynamic_ip_required": server.wants_dynamic,
        "enable_ipv6": false,
        "private_ip": null,
        "creation_date": DATE,
        "modification_date": DATE,
        "bootscript": null,
        "security_group": group(&server.security_group, "Default security group"),
        "location": null,
        "maintenances": [],
        "allowed_actions": actions,
        "placement_group": placement,
        "private_nics": nics,
        "zone": server.zone,
        "filesystems": [],
        "end_of_service": false,
    })
}

// === making ===

fn create(state: &mut State, request: &Request, zone: &str) -> Answer {
    let body = request.json();
    let text = |name: &str| body[name].as_str().map(str::to_owned);
    let required = |name: &str| {
        text(name).ok_or_else(|| invalid(name, "required", "required key not provided"))
    };
    let (kind, image) = (required("commercial_type")?, required("image")?);
    if text("project").as_ref() != Some(&state.config.project) {
        return Err(not_found(
            "account_project",
            &text("project").unwrap_or_default(),
        ));
    }
    let product = products::find(zone, &kind).ok_or_else(|| {
        let help = format!("`{kind}` is none of {}", products::names(zone));
        invalid("commercial_type", "constraint", &help)
    })?;
    let (_, volume, arch) =
        products::image(zone, &image).ok_or_else(|| not_found("instance_image", &image))?;
    if arch != product.arch {
        let help = format!("`{kind}` is {}, the image {arch}", product.arch);
        return Err(invalid("image", "constraint", &help));
    }
    for (key, wanted) in [
        ("security_group", "security"),
        ("placement_group", "placement"),
    ] {
        let Some(id) = text(key) else { continue };
        let group = state.groups.get(&id);
        if !group.is_some_and(|(at, kind)| at == zone && *kind == wanted) {
            return Err(not_found(&format!("instance_{key}"), &id));
        }
    }
    let root = &body["volumes"]["0"];
    let is_local = match root["volume_type"].as_str() {
        None => volume == "instance_local",
        Some(named) => named == "l_ssd",
    };
    let volume = if is_local { "l_ssd" } else { "sbs_volume" };
    if volume == "l_ssd" && !product.is_local {
        let help = format!("`{kind}` has no local storage");
        return Err(invalid("volumes.0.volume_type", "constraint", &help));
    }
    take(&mut state.quota).map_err(|()| quota("instance_server"))?;
    if !state.has_late_stock {
        take(&mut state.stock).map_err(|()| out_of_stock(&kind))?;
    }
    let (id, age) = (state.fresh_id(), state.serial());
    let disk = Volume {
        zone: zone.to_owned(),
        kind: volume,
        size: root["size"].as_u64().unwrap_or(10_000_000_000),
        tags: Vec::new(),
        server: Some(id.clone()),
        detaching: None,
    };
    let disk_id = state.fresh_id();
    state.volumes.insert(disk_id, disk);
    let tags = body["tags"].as_array().into_iter().flatten();
    let server = Server {
        id,
        zone: zone.to_owned(),
        name: text("name").unwrap_or_else(|| "srv".to_owned()),
        instance_type: product.name,
        image,
        tags: tags
            .filter_map(|tag| Some(tag.as_str()?.to_owned()))
            .collect(),
        power: Power::Stopped,
        is_protected: body["protected"] == true,
        wants_dynamic: body["dynamic_ip_required"] != false,
        dynamic: None,
        security_group: text("security_group"),
        placement_group: text("placement_group"),
        user_data: BTreeMap::new(),
        nics: Vec::new(),
        made_at: state.now,
    };
    state.servers.insert(age, server);
    Ok(one(state, age, 201))
}

/// One of a limited number.
pub(super) fn take(left: &mut Option<u32>) -> Result<(), ()> {
    match left {
        None => Ok(()),
        Some(0) => Err(()),
        Some(number) => {
            *number -= 1;
            Ok(())
        }
    }
}

fn set_user_data(state: &mut State, request: &Request, age: u64, key: &str) -> Answer {
    if request.body().len() > USER_DATA {
        return Err(invalid(key, "constraint", "the value is too long"));
    }
    let text = request.body().to_vec();
    server(state, age).user_data.insert(key.to_owned(), text);
    Ok(Reply::empty(204))
}

fn user_data_keys(state: &mut State, age: u64) -> Reply {
    let keys: Vec<&String> = server(state, age).user_data.keys().collect();
    Reply::json(200, &json!({ "user_data": keys }))
}

fn user_data(state: &mut State, age: u64, key: &str) -> Answer {
    match server(state, age).user_data.get(key) {
        Some(bytes) => Ok(Reply::text(
            200,
            "text/plain",
            String::from_utf8_lossy(bytes).into_owned(),
        )),
        None => Err(not_found("instance_user_data", key)),
    }
}

// === actions ===

fn act(state: &mut State, request: &Request, age: u64) -> Answer {
    let action = request.json()["action"].as_str().unwrap_or("").to_owned();
    let (id, power) = {
        let server = server(state, age);
        (server.id.clone(), server.power)
    };
    match (&*action, power) {
        (_, Power::Starting(_) | Power::Terminating(_)) => {
            return Err(transient("instance_server", &id, power.word()));
        }
        ("poweron", Power::Stopped | Power::Standby) => power_on(state, age)?,
        ("terminate", Power::Running | Power::Standby) => {
            if server(state, age).is_protected {
                return Err(not_usable(
                    "instance_server",
                    &id,
                    "the server is protected",
                ));
            }
            let end = state.now + state.config.stop_time;
            server(state, age).power = Power::Terminating(end);
        }
        ("poweroff", Power::Running | Power::Standby) => {
            let server = server(state, age);
            server.power = Power::Stopped;
            server.dynamic = None;
        }
        _ => {
            let help = format!("`{action}` is not possible in the state `{}`", power.word());
            return Err(not_usable("instance_server", &id, &help));
        }
    }
    let here = format!("/servers/{id}/action");
    let task = json!({
        "id": state.fresh_id(),
        "description": format!("server_{action}"),
        "status": "pending",
        "progress": 0,
        "href_from": here,
        "href_result": format!("/servers/{id}"),
        "started_at": DATE,
        "terminated_at": null,
        "zone": server(state, age).zone,
    });
    Ok(Reply::json(202, &json!({ "task": task })))
}

fn power_on(state: &mut State, age: u64) -> Result<(), Reply> {
    let (id, kind, zone) = {
        let server = server(state, age);
        (server.id.clone(), server.instance_type, server.zone.clone())
    };
    let mut volumes = state.volumes.values();
    if !volumes.any(|volume| volume.server.as_ref() == Some(&id)) {
        return Err(not_usable(
            "instance_server",
            &id,
            "the server has no volume",
        ));
    }
    if state.has_late_stock {
        take(&mut state.stock).map_err(|()| out_of_stock(kind))?;
    }
    let up = state.now + state.config.boot_time;
    let address = Address {
        id: state.fresh_id(),
        zone,
        text: state.fresh_address(false),
        tags: Vec::new(),
        server: Some(id),
    };
    let server = server(state, age);
    server.power = Power::Starting(up);
    server.dynamic = server.wants_dynamic.then_some(address);
    Ok(())
}

fn delete(state: &mut State, age: u64) -> Answer {
    let server = server(state, age);
    if server.power != Power::Stopped || server.is_protected {
        let help = format!("the server is `{}`", server.power.word());
        return Err(not_usable("instance_server", &server.id, &help));
    }
    // Its volumes stay, as the recorded sessions show.
    state.bury(age, false);
    Ok(Reply::empty(204))
}

fn detach(state: &mut State, request: &Request, age: u64) -> Answer {
    let body = request.json();
    let id = body["volume_id"].as_str().unwrap_or("");
    let owner = server(state, age).id.clone();
    let until = state.now + state.config.detach_time;
    let volume = state.volumes.get_mut(id);
    let volume = volume.filter(|volume| volume.server.as_ref() == Some(&owner));
    let volume = volume.ok_or_else(|| not_found("instance_volume", id))?;
    volume.server = None;
    if volume.kind == "sbs_volume" {
        volume.detaching = Some(until);
    }
    Ok(one(state, age, 200))
}
