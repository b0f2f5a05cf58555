//! Launch templates and their versions.

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::filters::{Filters, Page, tag_values, write_tags};
use super::reply;
use super::run::check_tags;
use super::show::moment;
use crate::answer::{Answer, Refusal};
use crate::params::Params;
use crate::request::Request;
use crate::world::World;
use crate::world::launch::check_base64;
use crate::world::region::Region;
use crate::xml::Xml;

/// A launch template.
#[derive(Debug, Clone)]
pub(crate) struct Template {
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) created: Timestamp,
    pub(crate) tags: BTreeMap<String, String>,
    /// The data of each version; the first is version 1.
    pub(crate) versions: Vec<Params>,
}

/// A version of a template that was looked up.
#[derive(Debug, Clone)]
pub(crate) struct Resolved {
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) version: usize,
    pub(crate) data: Params,
}

/// Looks up `LaunchTemplateId` or `LaunchTemplateName`, with `Version`.
pub(crate) fn resolve(world: &World, region: &str, choice: &Params) -> Result<Resolved, Refusal> {
    let template = find(world.region(region)?, choice)?;
    let latest = template.versions.len();
    let version = match choice.text("Version") {
        None | Some("" | "$Default") => 1,
        Some("$Latest") => latest,
        Some(number) => number.parse().unwrap_or(0),
    };
    let data = version
        .checked_sub(1)
        .and_then(|index| template.versions.get(index))
        .ok_or_else(|| {
            Refusal::bad(
                "InvalidLaunchTemplateId.VersionNotFound",
                format!(
                    "Could not find the specified version for the launch template with ID {}.",
                    template.id
                ),
            )
        })?;
    Ok(Resolved {
        id: template.id.clone(),
        name: template.name.clone(),
        version,
        data: data.clone(),
    })
}

fn find<'a>(region: &'a Region, choice: &Params) -> Result<&'a Template, Refusal> {
    let templates = &region.ec2.templates;
    match (
        choice.text("LaunchTemplateId"),
        choice.text("LaunchTemplateName"),
    ) {
        (Some(_), Some(_)) => Err(Refusal::bad(
            "InvalidParameterCombination",
            "You may not specify both the launch template name and ID",
        )),
        (Some(id), None) => {
            if !id.starts_with("lt-") {
                return Err(Refusal::bad(
                    "InvalidLaunchTemplateId.Malformed",
                    format!("Invalid id: \"{id}\" (expecting \"lt-...\")"),
                ));
            }
            templates.get(id).ok_or_else(|| {
                Refusal::bad(
                    "InvalidLaunchTemplateId.NotFound",
                    format!(
                        "The specified launch template, with template ID {id}, does not exist."
                    ),
                )
            })
        }
        (None, Some(name)) => templates
            .values()
            .find(|template| template.name == name)
            .ok_or_else(|| {
                Refusal::bad(
                    "InvalidLaunchTemplateName.NotFoundException",
                    format!(
                        "The specified launch template, with template name {name}, does not exist."
                    ),
                )
            }),
        (None, None) => Err(Refusal::bad(
            "MissingParameter",
            "The request must contain the parameter LaunchTemplateId or LaunchTemplateName",
        )),
    }
}

pub(super) fn create(world: &mut World, request: &Request) -> Result<Answer, Refusal> {
    const ACTION: &str = "CreateLaunchTemplate";
    let params = &request.params;
    let name = params.required("LaunchTemplateName")?;
    check_name(name)?;
    let data = params.group("LaunchTemplateData").ok_or_else(|| {
        Refusal::bad(
            "MissingParameter",
            "The request must contain the parameter LaunchTemplateData",
        )
    })?;
    let allowed = [
        "instance",
        "volume",
        "network-interface",
        "elastic-gpu",
        "spot-instances-request",
    ];
    check_tags(data, "TagSpecification", &allowed)?;
    check_tags(params, "TagSpecification", &["launch-template"])?;
    if let Some(user_data) = data.text("UserData") {
        check_base64(user_data)?;
    }
    let token = params.text("ClientToken");
    let region = world.region(&request.region)?;
    if let Some(id) = region.remembered(ACTION, token, params)? {
        let state = &region.ec2;
        let template = state
            .templates
            .get(&id)
            .or(state.deleted_templates.get(&id));
        let template = template.cloned();
        return one(world, ACTION, template.as_ref());
    }
    if region.ec2.templates.values().any(|t| t.name == name) {
        return Err(Refusal::bad(
            "InvalidLaunchTemplateName.AlreadyExistsException",
            "Launch template name already in use.",
        ));
    }
    let template = Template {
        id: world.new_id("lt"),
        name: name.to_owned(),
        created: world.timestamp(),
        tags: super::own_tags(params, "launch-template"),
        versions: vec![data.clone()],
    };
    let region = world.region_mut(&request.region)?;
    region.remember(ACTION, token, params, &template.id);
    region
        .ec2
        .templates
        .insert(template.id.clone(), template.clone());
    one(world, ACTION, Some(&template))
}

/// <https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_CreateLaunchTemplate.html>
fn check_name(name: &str) -> Result<(), Refusal> {
    let is_allowed = |c: char| c.is_ascii_alphanumeric() || "().-/_".contains(c);
    if (3..=128).contains(&name.len()) && name.chars().all(is_allowed) {
        return Ok(());
    }
    Err(Refusal::bad(
        "InvalidLaunchTemplateName.MalformedException",
        "A launch template name must be between 3 and 128 characters, and may contain letters, \
         numbers, and the characters - ( ) . / _",
    ))
}

pub(super) fn create_version(world: &mut World, request: &Request) -> Result<Answer, Refusal> {
    const ACTION: &str = "CreateLaunchTemplateVersion";
    let params = &request.params;
    let data = params.group_or_empty("LaunchTemplateData");
    let token = params.text("ClientToken");
    let region = world.region_mut(&request.region)?;
    let template = find(region, params)?.clone();
    let remembered = region.remembered(ACTION, token, params)?;
    let version = match remembered.and_then(|version| version.parse().ok()) {
        Some(version) => version,
        None => template.versions.len() + 1,
    };
    if version > template.versions.len() {
        let source = match params.number::<usize>("SourceVersion")? {
            None => Params::default(),
            Some(number) => number
                .checked_sub(1)
                .and_then(|index| template.versions.get(index))
                .cloned()
                .unwrap_or_default(),
        };
        if let Some(template) = region.ec2.templates.get_mut(&template.id) {
            template.versions.push(source.overlaid(&data));
        }
        region.remember(ACTION, token, params, &version.to_string());
    }
    let template = region.ec2.templates.get(&template.id).cloned();
    let id = world.request_id();
    Ok(reply(&id, ACTION, |xml| {
        if let Some(template) = &template {
            xml.within("launchTemplateVersion", |xml| {
                write_version(xml, template, version);
            });
        }
    }))
}

pub(super) fn delete(world: &mut World, request: &Request) -> Result<Answer, Refusal> {
    let region = world.region_mut(&request.region)?;
    let template = find(region, &request.params)?.clone();
    region.ec2.templates.remove(&template.id);
    let id = template.id.clone();
    region.ec2.deleted_templates.insert(id, template.clone());
    one(world, "DeleteLaunchTemplate", Some(&template))
}

pub(super) fn describe(world: &mut World, request: &Request) -> Result<Answer, Refusal> {
    let params = &request.params;
    let id = world.request_id();
    let page = Page::read(params, (1, 200), world.config.page_size)?;
    let filters = Filters::read(params)?;
    let region = world.region(&request.region)?;
    for (list, key) in [
        ("LaunchTemplateId", "LaunchTemplateId"),
        ("LaunchTemplateName", "LaunchTemplateName"),
    ] {
        for wanted in params.texts(list) {
            let mut choice = Params::default();
            choice.set(key, wanted);
            // EC2 says so for all of them together, with the same code.
            find(region, &choice)?;
        }
    }
    let ids = params.texts("LaunchTemplateId");
    let names = params.texts("LaunchTemplateName");
    let mut found = Vec::new();
    for template in region.ec2.templates.values() {
        let is_named = (ids.is_empty() && names.is_empty())
            || ids.contains(&template.id)
            || names.contains(&template.name);
        let is_hit = filters.pass(&|name| match name {
            "launch-template-name" => Some(vec![template.name.as_str()]),
            "create-time" => Some(Vec::new()),
            _ => tag_values(name, &template.tags),
        })?;
        if is_named && is_hit {
            found.push(template);
        }
    }
    let (found, next) = page.cut(found, |template| template.id.clone());
    Ok(reply(&id, "DescribeLaunchTemplates", |xml| {
        xml.items("launchTemplates", found, |xml, template| {
            write_template(xml, world, template);
        });
        xml.optional("nextToken", next);
    }))
}

pub(super) fn describe_versions(world: &mut World, request: &Request) -> Result<Answer, Refusal> {
    let id = world.request_id();
    let region = world.region(&request.region)?;
    let template = find(region, &request.params)?;
    let wanted = request.params.texts("LaunchTemplateVersion");
    let latest = template.versions.len();
    let is_wanted = |version: usize| {
        wanted.is_empty()
            || wanted.contains(&version.to_string())
            || (version == latest && wanted.iter().any(|text| text == "$Latest"))
            || (version == 1 && wanted.iter().any(|text| text == "$Default"))
    };
    let versions = (1..=latest).rev().filter(|version| is_wanted(*version));
    Ok(reply(&id, "DescribeLaunchTemplateVersions", |xml| {
        xml.items("launchTemplateVersionSet", versions, |xml, version| {
            write_version(xml, template, version);
        });
    }))
}

fn one(world: &mut World, action: &str, template: Option<&Template>) -> Result<Answer, Refusal> {
    let id = world.request_id();
    let template = template
        .ok_or_else(|| Refusal::new(500, "InternalError", "the launch template has vanished"))?;
    Ok(reply(&id, action, |xml| {
        xml.within("launchTemplate", |xml| write_template(xml, world, template));
    }))
}

fn write_template(xml: &mut Xml, world: &World, template: &Template) {
    xml.text("launchTemplateId", &template.id);
    xml.text("launchTemplateName", &template.name);
    xml.text("createTime", moment(template.created));
    let account = &world.config.account;
    xml.text("createdBy", format!("arn:aws:iam::{account}:root"));
    xml.text("defaultVersionNumber", 1);
    xml.text("latestVersionNumber", template.versions.len());
    write_tags(xml, &template.tags);
}

/// A version, with the parts of its data that callers look at.
fn write_version(xml: &mut Xml, template: &Template, version: usize) {
    xml.text("launchTemplateId", &template.id);
    xml.text("launchTemplateName", &template.name);
    xml.text("versionNumber", version);
    xml.text("createTime", moment(template.created));
    xml.text("defaultVersion", version == 1);
    let data = version
        .checked_sub(1)
        .and_then(|index| template.versions.get(index));
    let Some(data) = data else {
        return;
    };
    xml.within("launchTemplateData", |xml| {
        for (name, element) in [
            ("ImageId", "imageId"),
            ("InstanceType", "instanceType"),
            ("KeyName", "keyName"),
            ("UserData", "userData"),
        ] {
            xml.optional(element, data.text(name));
        }
        let specs = data.list("TagSpecification");
        xml.items("tagSpecificationSet", specs, |xml, spec| {
            xml.optional("resourceType", spec.text("ResourceType"));
            xml.items("tagSet", spec.list("Tag"), |xml, tag| {
                xml.optional("key", tag.text("Key"));
                xml.optional("value", tag.text("Value"));
            });
        });
        let groups = data.texts("SecurityGroupId");
        xml.items("securityGroupIdSet", groups, |_, _| {});
    });
}
