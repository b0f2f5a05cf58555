//! TerminateInstances: all or none, and as often as one likes.

use super::describe::{not_found, well_formed};
use super::reply;
use super::show::write_state;
use crate::answer::{Answer, Refusal};
use crate::request::Request;
use crate::world::World;
use crate::world::instance::{Ending, State};

pub(super) fn terminate_instances(world: &mut World, request: &Request) -> Result<Answer, Refusal> {
    let ids = request.params.texts("InstanceId");
    if ids.is_empty() {
        request.params.required("InstanceId")?;
    }
    well_formed(&ids)?;
    let region = world.region(&request.region)?;
    let state = |id: &String| Some(region.instances.find(id)?.instance.state);
    let missing: Vec<&str> = ids
        .iter()
        .filter(|id| state(id).is_none())
        .map(String::as_str)
        .collect();
    // One wrong id refuses all.
    if !missing.is_empty() {
        return Err(not_found(&missing));
    }
    let before: Vec<(String, State)> = ids
        .iter()
        .filter_map(|id| Some((id.clone(), state(id)?)))
        .collect();
    for id in &ids {
        world.end(&request.region, id, Ending::User);
    }
    let id = world.request_id();
    Ok(reply(&id, "TerminateInstances", |xml| {
        xml.items("instancesSet", before, |xml, (id, before)| {
            let after = if before.is_alive() {
                State::ShuttingDown
            } else {
                before
            };
            xml.text("instanceId", id);
            write_state(xml, "currentState", after);
            write_state(xml, "previousState", before);
        });
    }))
}
