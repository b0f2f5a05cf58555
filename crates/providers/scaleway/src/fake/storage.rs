//! Volumes: local ones in the instances' API, block storage in its own.

use fleetwright_rest::testing::{Reply, Request};
use serde_json::{Value, json};

use super::answer::{Answer, DATE, counted, in_use, not_found, page};
use super::state::{State, Volume};

/// A volume as it stands in an instance: of block storage, only the id is told there.
pub(super) fn attached(state: &State, id: &str, volume: &Volume) -> Value {
    if volume.kind == "sbs_volume" {
        return json!({ "boot": false, "volume_type": volume.kind, "id": id, "zone": volume.zone });
    }
    let mut described = describe_local(state, id, volume);
    described["boot"] = false.into();
    described
}

fn describe_local(state: &State, id: &str, volume: &Volume) -> Value {
    let owner = &state.config.project;
    let server = volume
        .server
        .as_ref()
        .map(|id| json!({ "id": id, "name": "server" }));
    json!({
        "id": id,
        "name": "root",
        "volume_type": volume.kind,
        "export_uri": null,
        "organization": owner,
        "project": owner,
        "server": server,
        "size": volume.size,
        "state": "available",
        "creation_date": DATE,
        "modification_date": DATE,
        "tags": volume.tags,
        "zone": volume.zone,
    })
}

fn describe_block(state: &State, id: &str, volume: &Volume) -> Value {
    let reference = |server: &str, status: &str| {
        json!([{
            "id": id,
            "product_resource_type": "instance_server",
            "product_resource_id": server,
            "type": "exclusive",
            "status": status,
            "created_at": DATE,
        }])
    };
    let references = match (&volume.server, volume.detaching) {
        (Some(server), _) => reference(server, "attached"),
        (None, Some(_)) => reference("", "detaching"),
        (None, None) => json!([]),
    };
    json!({
        "id": id,
        "name": "root_sbs_volume_0",
        "type": "sbs_5k",
        "size": volume.size,
        "project_id": state.config.project,
        "references": references,
        "parent_snapshot_id": null,
        "status": if is_busy(volume) { "in_use" } else { "available" },
        "tags": volume.tags,
        "specs": { "perf_iops": 5000, "class": "sbs" },
        "created_at": DATE,
        "updated_at": DATE,
        "last_detached_at": null,
        "zone": volume.zone,
    })
}

fn is_busy(volume: &Volume) -> bool {
    volume.server.is_some() || volume.detaching.is_some()
}

/// Which of the two APIs is asked.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Side {
    Local,
    Block,
}

impl Side {
    fn has(self, volume: &Volume) -> bool {
        (volume.kind == "sbs_volume") == (self == Self::Block)
    }

    fn describe(self, state: &State, id: &str, volume: &Volume) -> Value {
        match self {
            Self::Local => describe_local(state, id, volume),
            Self::Block => describe_block(state, id, volume),
        }
    }
}

pub(super) fn local(state: &mut State, request: &Request, zone: &str, path: &[&str]) -> Answer {
    answer(state, request, zone, path, Side::Local)
}

pub(super) fn block(state: &mut State, request: &Request, zone: &str, path: &[&str]) -> Answer {
    answer(state, request, zone, path, Side::Block)
}

fn answer(state: &mut State, request: &Request, zone: &str, path: &[&str], side: Side) -> Answer {
    let id = match path {
        ["volumes"] if request.method() == "GET" => return Ok(list(state, request, zone, side)),
        ["volumes", id] => *id,
        _ => return Err(not_found("endpoint", request.path())),
    };
    let volume = state.volumes.get_mut(id);
    let volume = volume.filter(|volume| volume.zone == zone && side.has(volume));
    let volume = volume.ok_or_else(|| not_found("instance_volume", id))?;
    match request.method() {
        "PATCH" => {
            let body = request.json();
            if let Some(tags) = body["tags"].as_array() {
                let tags = tags.iter().filter_map(Value::as_str);
                volume.tags = tags.map(str::to_owned).collect();
            }
        }
        "DELETE" if is_busy(volume) => return Err(in_use("the volume is attached")),
        "DELETE" => {
            state.volumes.remove(id);
            return Ok(Reply::empty(204));
        }
        _ => {}
    }
    let described = state
        .volumes
        .get(id)
        .map(|volume| side.describe(state, id, volume));
    Ok(match side {
        Side::Local => Reply::json(200, &json!({ "volume": described })),
        Side::Block => Reply::json(200, &described),
    })
}

fn list(state: &State, request: &Request, zone: &str, side: Side) -> Reply {
    let wanted: Vec<&str> = request
        .queries()
        .iter()
        .filter(|(name, _)| name == "tags")
        .flat_map(|(_, tags)| tags.split(','))
        .collect();
    let all = state
        .volumes
        .iter()
        .filter(|(_, volume)| volume.zone == zone && side.has(volume))
        .filter(|(_, volume)| {
            let has = |tag: &&str| volume.tags.iter().any(|known| known == tag);
            // "Only volumes with one or more matching tags will be returned."
            wanted.is_empty() || wanted.iter().any(has)
        })
        .map(|(id, volume)| side.describe(state, id, volume))
        .collect();
    match side {
        Side::Local => page(state, request, "volumes", all, |volume| volume),
        Side::Block => counted(state, request, "volumes", all),
    }
}
