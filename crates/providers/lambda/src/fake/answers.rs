//! Which request is answered how.

use fleetwright_rest::testing::{Reply, Request};
use serde_json::{Map, Value, json};

use super::launch::launch;
use super::world::{
    Instance, SshKey, State, file_systems, images, instance_type, region, rulesets, type_names,
};

/// Answers a request and takes its effect.
pub(super) fn answer(state: &mut State, request: &Request) -> Reply {
    if request.bearer() != Some(&state.config.token) {
        return refuse(
            401,
            "global/invalid-api-key",
            "API key was invalid, expired, or deleted.",
            "Check your API key or create a new one, then try again.",
        );
    }
    if !state.is_active {
        return refuse(
            403,
            "global/account-inactive",
            "Your account is inactive.",
            "Make sure you have verified your email address and have a valid payment method.",
        );
    }
    let body = request.json();
    match (request.method(), request.segments().as_slice()) {
        ("GET", ["api", "v1", "instances"]) => {
            let all: Vec<Value> = state.listed().map(|one| instance(state, one)).collect();
            data(&all)
        }
        ("GET", ["api", "v1", "instances", id]) => match state.find(id) {
            Some(found) => data(&instance(state, found)),
            None => no_instance(),
        },
        ("GET", ["api", "v1", "instance-types"]) => data(&types(state)),
        ("POST", ["api", "v1", "instance-operations", "launch"]) => match launch(state, &body) {
            Ok(id) => data(&json!({ "instance_ids": [id] })),
            Err(reply) => reply,
        },
        ("POST", ["api", "v1", "instance-operations", "terminate"]) => terminate(state, &body),
        ("GET", ["api", "v1", "ssh-keys"]) => {
            let all: Vec<Value> = state.ssh_keys.iter().map(ssh_key).collect();
            data(&all)
        }
        ("POST", ["api", "v1", "ssh-keys"]) => add_ssh_key(state, &body),
        ("GET", ["api", "v1", "images"]) => data(&images()),
        ("GET", ["api", "v1", "firewall-rulesets"]) => data(&rulesets()),
        ("GET", ["api", "v1", "file-systems"]) => data(&file_systems()),
        _ => Reply::text(404, "text/html", "<html>not found</html>"),
    }
}

fn data(value: &impl serde::Serialize) -> Reply {
    Reply::json(200, &json!({ "data": value })).with_header("x-request-id", "fake-request")
}

/// A refusal in Lambda's words.
pub(super) fn refuse(status: u16, code: &str, message: &str, suggestion: &str) -> Reply {
    let mut said = json!({ "code": code, "message": message });
    if !suggestion.is_empty() {
        said["suggestion"] = suggestion.into();
    }
    Reply::json(status, &json!({ "error": said })).with_header("x-request-id", "fake-request")
}

fn no_instance() -> Reply {
    refuse(
        404,
        "global/object-does-not-exist",
        "Specified instance does not exist.",
        "",
    )
}

fn terminate(state: &mut State, body: &Value) -> Reply {
    let ids: Vec<&str> = body["instance_ids"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .collect();
    if ids.iter().any(|id| state.find(id).is_none()) {
        return no_instance();
    }
    let mut ended = Vec::new();
    for id in ids {
        state.terminate(id);
        ended.extend(state.find(id).map(|found| instance(state, found)));
    }
    data(&json!({ "terminated_instances": ended }))
}

fn add_ssh_key(state: &mut State, body: &Value) -> Reply {
    let name = body["name"].as_str().unwrap_or_default();
    if state.ssh_keys.iter().any(|key| key.name == name) {
        return refuse(
            400,
            "global/invalid-parameters",
            "Invalid request data.",
            "An SSH key of this name exists.",
        );
    }
    let id = state.id();
    let key = SshKey {
        id,
        name: name.to_owned(),
        public_key: body["public_key"].as_str().unwrap_or_default().to_owned(),
    };
    let shown = ssh_key(&key);
    state.ssh_keys.push(key);
    data(&shown)
}

fn ssh_key(key: &SshKey) -> Value {
    json!({ "id": key.id, "name": key.name, "public_key": key.public_key })
}

fn types(state: &State) -> Value {
    let mut types = Map::new();
    for name in type_names() {
        let with: Vec<Value> = super::world::REGIONS
            .iter()
            .filter(|(place, _)| state.left(name, place) > 0)
            .map(|(place, _)| region(place))
            .collect();
        let item = json!({
            "instance_type": instance_type(name),
            "regions_with_capacity_available": with,
        });
        types.insert(name.to_owned(), item);
    }
    Value::Object(types)
}

fn instance(state: &State, from: &Instance) -> Value {
    let shown = &from.shown;
    let status = state.status(from);
    let can = |possible: bool| {
        if possible {
            json!({ "available": true })
        } else {
            json!({
                "available": false,
                "reason_code": "vm-has-not-launched",
                "reason_description": "The instance is not up.",
            })
        }
    };
    let is_up = status == "active";
    let mut value = json!({
        "id": shown.id,
        "name": shown.name,
        "status": status,
        "ssh_key_names": shown.ssh_keys,
        "file_system_names": from.file_systems,
        "region": region(&shown.region),
        "instance_type": instance_type(&shown.instance_type),
        "actions": {
            "migrate": can(is_up),
            "rebuild": can(is_up),
            "restart": can(is_up),
            "cold_reboot": can(is_up),
            "terminate": can(true),
        },
        "tags": shown
            .tags
            .iter()
            .map(|(key, value)| json!({ "key": key, "value": value }))
            .collect::<Vec<_>>(),
        "firewall_rulesets": shown
            .firewall_rulesets
            .iter()
            .map(|id| json!({ "id": id }))
            .collect::<Vec<_>>(),
    });
    if is_up {
        value["ip"] = "127.0.0.1".into();
        value["private_ip"] = "10.0.2.100".into();
        value["jupyter_token"] = "03b7d30d9d3e4d8fa41657bc0d478c1b".into();
    }
    if let Some(name) = &from.hostname {
        value["hostname"] = name.as_str().into();
    }
    if !from.mounts.is_empty() {
        value["file_system_mounts"] = from
            .mounts
            .iter()
            .map(|(point, id)| json!({ "mount_point": point, "file_system_id": id }))
            .collect();
    }
    value
}
