//! CreateTags, DeleteTags and DescribeTags, for instances and launch templates.

use std::collections::BTreeMap;

use super::describe::named;
use super::filters::{Filters, Page};
use super::reply;
use super::run::check_tag;
use crate::answer::{Answer, Refusal};
use crate::request::Request;
use crate::world::World;

pub(super) fn create_tags(world: &mut World, request: &Request) -> Result<Answer, Refusal> {
    let resources = known_resources(world, request)?;
    let mut tags = Vec::new();
    for tag in request.params.list("Tag") {
        let key = tag.required("Key")?.to_owned();
        let value = tag.text("Value").unwrap_or_default().to_owned();
        check_tag(&key, &value)?;
        tags.push((key, value));
    }
    let region = world.region_mut(&request.region)?;
    for resource in &resources {
        for (key, value) in &tags {
            region.instances.tag(resource, key, value);
            if let Some(tags) = region.ec2.tags_of(resource) {
                tags.insert(key.clone(), value.clone());
            }
        }
    }
    Ok(done(world, "CreateTags"))
}

pub(super) fn delete_tags(world: &mut World, request: &Request) -> Result<Answer, Refusal> {
    let resources = known_resources(world, request)?;
    let tags = request.params.list("Tag");
    let region = world.region_mut(&request.region)?;
    for resource in &resources {
        for tag in &tags {
            let key = tag.required("Key")?;
            let value = tag.text("Value");
            region.instances.untag(resource, key, value);
            if let Some(tags) = region.ec2.tags_of(resource)
                && value.is_none_or(|value| tags.get(key).is_some_and(|has| has == value))
            {
                tags.remove(key);
            }
        }
    }
    Ok(done(world, "DeleteTags"))
}

pub(super) fn describe_tags(world: &mut World, request: &Request) -> Result<Answer, Refusal> {
    let id = world.request_id();
    let page = Page::read(&request.params, (5, 1000), world.config.page_size)?;
    let filters = Filters::read(&request.params)?;
    let region = world.region(&request.region)?;
    let mut rows = Vec::new();
    let (now, lag) = (world.now, world.config.listing_lag);
    let instances = region
        .instances
        .behind(None)
        .filter(|record| record.shown(now, lag).is_some())
        .map(|record| {
            (
                "instance",
                record.instance.id.as_str(),
                &record.instance.tags,
            )
        });
    for (kind, resource, tags) in instances.chain(region.ec2.tagged()) {
        for (key, value) in tags {
            let is_hit = filters.pass(&|name| match name {
                "resource-id" => Some(vec![resource]),
                "resource-type" => Some(vec![kind]),
                "key" => Some(vec![key]),
                "value" => Some(vec![value]),
                _ => {
                    let wanted = name.strip_prefix("tag:")?;
                    Some(
                        (wanted == key)
                            .then_some(value.as_str())
                            .into_iter()
                            .collect(),
                    )
                }
            })?;
            if is_hit {
                rows.push((resource, kind, key, value));
            }
        }
    }
    rows.sort();
    let (rows, next) = page.cut(rows, |row| format!("{}/{}", row.0, row.2));
    Ok(reply(&id, "DescribeTags", |xml| {
        xml.items("tagSet", rows, |xml, (resource, kind, key, value)| {
            xml.text("resourceId", resource);
            xml.text("resourceType", kind);
            xml.text("key", key);
            xml.text("value", value);
        });
        xml.optional("nextToken", next);
    }))
}

/// The resources of a request; a refusal if one does not exist.
fn known_resources(world: &mut World, request: &Request) -> Result<Vec<String>, Refusal> {
    let resources = request.params.texts("ResourceId");
    if resources.is_empty() {
        request.params.required("ResourceId")?;
    }
    let (others, instances): (Vec<_>, Vec<_>) = resources
        .iter()
        .cloned()
        .partition(|id| !id.starts_with("i-"));
    let region = world.region(&request.region)?;
    named(world, region, &instances)?;
    let region = world.region_mut(&request.region)?;
    for other in others {
        let has_tags: Option<&mut BTreeMap<String, String>> = region.ec2.tags_of(&other);
        if has_tags.is_none() {
            return Err(Refusal::bad(
                "InvalidID",
                format!("The ID '{other}' is not valid"),
            ));
        }
    }
    Ok(resources)
}

fn done(world: &mut World, action: &str) -> Answer {
    let id = world.request_id();
    reply(&id, action, |xml| xml.text("return", true))
}
