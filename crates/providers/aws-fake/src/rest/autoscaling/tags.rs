//! Tags of groups, some of which new instances get.

use std::collections::BTreeMap;

use super::{done, invalid, required};
use crate::answer::{Answer, Refusal};
use crate::params::Params;
use crate::request::Request;
use crate::world::World;

/// Reads tags, with whether instances get them.
pub(super) fn read(params: &Params) -> Result<BTreeMap<String, (String, bool)>, Refusal> {
    params
        .list("Tags.member")
        .into_iter()
        .map(|tag| {
            let key = required(tag, "Key")?;
            if key.starts_with("aws:") {
                return Err(invalid(
                    "Only a user can create tags. The prefix 'aws:' is reserved for system use",
                ));
            }
            let value = tag.text("Value").unwrap_or_default();
            let propagates = tag.flag("PropagateAtLaunch");
            Ok((key.to_owned(), (value.to_owned(), propagates)))
        })
        .collect()
}

/// `CreateOrUpdateTags`.
pub(super) fn put(world: &mut World, request: &Request) -> Result<Answer, Refusal> {
    let groups = &mut world.rest.autoscaling.groups;
    for tag in request.params.list("Tags.member") {
        let name = required(tag, "ResourceId")?;
        let key = (request.region.clone(), name.to_owned());
        let group = groups.get_mut(&key).ok_or_else(|| super::not_found(name))?;
        let value = tag.text("Value").unwrap_or_default().to_owned();
        let propagates = tag.flag("PropagateAtLaunch");
        group
            .tags
            .insert(required(tag, "Key")?.to_owned(), (value, propagates));
    }
    Ok(done(world, request))
}

/// `DeleteTags`.
pub(super) fn delete(world: &mut World, request: &Request) -> Result<Answer, Refusal> {
    let groups = &mut world.rest.autoscaling.groups;
    for tag in request.params.list("Tags.member") {
        let name = required(tag, "ResourceId")?;
        let key = (request.region.clone(), name.to_owned());
        let group = groups.get_mut(&key).ok_or_else(|| super::not_found(name))?;
        group.tags.remove(required(tag, "Key")?);
    }
    Ok(done(world, request))
}
