//! A launch: what is checked, in which words it is refused, and what it makes.

use std::collections::BTreeMap;
use std::time::Instant;

use fleetwright_rest::testing::Reply;
use serde_json::Value;

use super::FakeInstance;
use super::answers::refuse;
use super::world::{Instance, State, file_systems, images, instance_type, rulesets};

/// Launches one instance and gives its id, or the refusal.
pub(super) fn launch(state: &mut State, body: &Value) -> Result<String, Reply> {
    let text = |key: &str| body[key].as_str().unwrap_or_default().to_owned();
    let (region, kind) = (text("region_name"), text("instance_type_name"));
    if instance_type(&kind).is_none() {
        return Err(missing("The instance type was not found."));
    }
    let ssh_keys = texts(&body["ssh_key_names"]);
    if ssh_keys.len() != 1 {
        return Err(invalid("Exactly one SSH key must be specified."));
    }
    let is_known = |name: &String| state.ssh_keys.iter().any(|key| key.name == *name);
    if !ssh_keys.iter().all(is_known) {
        return Err(missing("The SSH key was not found."));
    }
    let image = body["image"]["id"].as_str().map(str::to_owned);
    if let Some(id) = &image
        && !images().iter().any(|one| has(one, id, &region))
    {
        return Err(missing("The image was not found in the region."));
    }
    let firewall_rulesets = field(&body["firewall_rulesets"], "id");
    let is_ruleset = |id: &String| rulesets().iter().any(|one| has(one, id, &region));
    if !firewall_rulesets.iter().all(is_ruleset) {
        return Err(missing("The firewall ruleset was not found."));
    }
    let mounts = mounts(body);
    let mut names = texts(&body["file_system_names"]);
    for system in file_systems() {
        let id = system["id"].as_str().unwrap_or_default();
        let name = system["name"].as_str().unwrap_or_default();
        let is_mounted = mounts.iter().any(|(_, mounted)| mounted == id);
        if !is_mounted && !names.iter().any(|wanted| wanted == name) {
            continue;
        }
        if system["region"]["name"] != *region {
            let code = "instance-operations/launch/file-system-in-wrong-region";
            return Err(refuse(400, code, "The filesystem is elsewhere.", ""));
        }
        if is_mounted {
            names.push(name.to_owned());
        }
    }
    let user_data = body["user_data"].as_str().map(str::to_owned);
    if user_data
        .as_ref()
        .is_some_and(|text| text.len() > 1_000_000)
    {
        return Err(invalid("User data cannot exceed 1MB in size."));
    }
    take(state, &kind, &region)?;
    let id = state.id();
    state.instances.push(Instance {
        shown: FakeInstance {
            id: id.clone(),
            name: text("name"),
            status: "booting",
            region,
            instance_type: kind,
            tags: tags(&body["tags"]),
            ssh_keys,
            image,
            user_data,
            firewall_rulesets,
        },
        hostname: body["hostname"].as_str().map(str::to_owned),
        mounts,
        file_systems: names,
        made: Instant::now(),
        ended: None,
    });
    Ok(id)
}

/// Takes one machine from quota and capacity.
fn take(state: &mut State, kind: &str, region: &str) -> Result<(), Reply> {
    if state.quota == Some(0) {
        return Err(refuse(
            400,
            "global/quota-exceeded",
            "Quota exceeded.",
            "Contact Support to increase your quota.",
        ));
    }
    if state.left(kind, region) == 0 {
        return Err(refuse(
            400,
            "instance-operations/launch/insufficient-capacity",
            "Not enough capacity to fulfill launch request.",
            "",
        ));
    }
    state.quota = state.quota.map(|left| left - 1);
    let key = (kind.to_owned(), region.to_owned());
    if let Some(left) = state.capacity.get_mut(&key) {
        *left -= 1;
    }
    Ok(())
}

fn missing(message: &str) -> Reply {
    refuse(
        404,
        "global/object-does-not-exist",
        message,
        "Check the names in your request.",
    )
}

fn invalid(suggestion: &str) -> Reply {
    let code = "global/invalid-parameters";
    refuse(400, code, "Invalid request data.", suggestion)
}

fn has(one: &Value, id: &str, region: &str) -> bool {
    one["id"] == *id && one["region"]["name"] == *region
}

fn texts(list: &Value) -> Vec<String> {
    let all = list.as_array().into_iter().flatten();
    all.filter_map(|one| Some(one.as_str()?.to_owned()))
        .collect()
}

fn field(list: &Value, name: &str) -> Vec<String> {
    let all = list.as_array().into_iter().flatten();
    all.filter_map(|one| Some(one[name].as_str()?.to_owned()))
        .collect()
}

fn mounts(body: &Value) -> Vec<(String, String)> {
    let list = &body["file_system_mounts"];
    field(list, "mount_point")
        .into_iter()
        .zip(field(list, "file_system_id"))
        .collect()
}

fn tags(list: &Value) -> BTreeMap<String, String> {
    field(list, "key")
        .into_iter()
        .zip(field(list, "value"))
        .collect()
}
