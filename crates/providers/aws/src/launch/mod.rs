//! Making machines, four ways, each exactly once per token.
//!
//! | way | what AWS remembers the token by |
//! |---|---|
//! | `run`, `fleet` | `ClientToken` |
//! | `group` | the group's name, which holds the token |
//! | `spot-fleet` | nothing: requests are listed by tag before one is made |

mod awaited;
mod fleet;
mod group;
mod run;
mod spot_fleet;
mod template;

use aws_sdk_ec2::types::{ResourceType, Tag, TagSpecification};
use fleetwright_core::{CreateRequest, Created, Error, Kind, Result, cloud_init};

use crate::api::RegionApi;
use crate::node;
use crate::options::{AwsOptions, Launch};
use crate::provider::AwsProvider;
use crate::subnet::Place;

pub(crate) use group::GroupPlan;
pub(crate) use template::{template_name, template_of};

/// Longest user data, in bytes: "User data is limited to 16 KB, in raw form, before it is
/// base64-encoded." <https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/user-data.html>
pub(crate) const USER_DATA: usize = 16 * 1024;

/// Carries the hash of a request on what AWS keeps by itself, so that a token that comes with
/// other parameters is noticed where AWS does not compare them.
pub(crate) const PARAMETERS: &str = "fleetwright-parameters";

/// A create request with everything looked up that its call needs.
pub(crate) struct Wish<'a> {
    pub(crate) request: &'a CreateRequest,
    pub(crate) options: AwsOptions,
    /// The image's id; absent only where a launch template of the user's own says it.
    pub(crate) image: Option<String>,
    /// Where; never empty. One place for `run`.
    pub(crate) places: Vec<Place>,
    /// User data in base64.
    pub(crate) user_data: Option<String>,
    /// Labels and name, for machines and their volumes.
    pub(crate) tags: Vec<Tag>,
}

impl AwsProvider {
    pub(crate) async fn launch(&self, request: &CreateRequest) -> Result<Created> {
        self.checked(request)?;
        let api = self.api().region(&request.spec.region).await?;
        let wish = self.wish(api, request).await?;
        match wish.options.launch {
            Launch::Run => self.run(api, &wish).await,
            Launch::Fleet => self.fleet(api, &wish).await,
            Launch::SpotFleet => self.spot_fleet(api, &wish).await,
            Launch::Group => self.group(api, &wish).await,
        }
    }

    /// Checks what can be checked without a call.
    pub(crate) fn checked(&self, request: &CreateRequest) -> Result<()> {
        if request.count == 0 || request.count > self.batch() {
            return Err(Error::new(
                Kind::Invalid,
                format!(
                    "{} machines in one call; 1 to {} are possible",
                    request.count,
                    self.batch()
                ),
            ));
        }
        Ok(())
    }

    /// Checks a request and looks up what its call needs.
    pub(crate) async fn wish<'a>(
        &self,
        api: &RegionApi,
        request: &'a CreateRequest,
    ) -> Result<Wish<'a>> {
        let options = AwsOptions::read(&request.spec.options)?;
        let document = cloud_init(
            request.spec.user_data.as_deref(),
            &request.spec.ssh_keys,
            request.host_key.as_ref(),
            USER_DATA,
        )?;
        let tags = tags(request)?;
        self.knows_zone(request)?;
        let spec = &request.spec;
        let words = spec.image.as_deref().or(options.image.as_deref());
        let image = match (words, &options.launch_template) {
            (None, Some(_)) => None,
            _ => Some(self.image(api, words, &spec.instance_type).await?),
        };
        let zone = spec.zone.as_deref();
        let places = match options.launch {
            Launch::Run => vec![self.place(api, &options.subnets, zone).await?],
            _ => self.places(api, &options.subnets, zone).await?,
        };
        Ok(Wish {
            request,
            image,
            places,
            user_data: document.map(aws_smithy_types::base64::encode),
            tags,
            options,
        })
    }

    /// A zone begins with the name of its region.
    fn knows_zone(&self, request: &CreateRequest) -> Result<()> {
        self.api().knows(&request.spec.region)?;
        match &request.spec.zone {
            Some(zone) if !zone.starts_with(request.spec.region.as_str()) => Err(Error::new(
                Kind::Invalid,
                format!("zone `{zone}` is not in region `{}`", request.spec.region),
            )),
            _ => Ok(()),
        }
    }
}

impl Wish<'_> {
    /// The types that will do: the offer's first.
    pub(crate) fn types(&self) -> Vec<&str> {
        let mut types = vec![self.request.spec.instance_type.as_str()];
        for further in &self.options.types {
            if !types.contains(&further.as_str()) {
                types.push(further);
            }
        }
        types
    }

    /// Tags for machines and what comes with them.
    pub(crate) fn tag_specifications(&self, resources: &[ResourceType]) -> Vec<TagSpecification> {
        resources
            .iter()
            .map(|resource| {
                TagSpecification::builder()
                    .resource_type(resource.clone())
                    .set_tags(Some(self.tags.clone()))
                    .build()
            })
            .collect()
    }

    /// Tags for what makes the machines: a fleet, a group. No name, but the request's hash.
    pub(crate) fn keeper_tags(&self) -> Vec<Tag> {
        let mut tags: Vec<Tag> = self
            .tags
            .iter()
            .filter(|tag| tag.key() != Some(node::NAME))
            .cloned()
            .collect();
        tags.push(tag(PARAMETERS, self.request.parameters().short()));
        tags
    }

    /// Machines asked for, as the SDK counts.
    pub(crate) fn count(&self) -> i32 {
        i32::try_from(self.request.count).unwrap_or(i32::MAX)
    }
}

pub(crate) fn tag(key: &str, value: &str) -> Tag {
    Tag::builder().key(key).value(value).build()
}

/// Labels as tags, within AWS's rules: "Maximum number of tags per resource – 50. Maximum key
/// length – 128. Maximum value length – 256. The aws: prefix is reserved."
/// <https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/Using_Tags.html#tag-restrictions>
fn tags(request: &CreateRequest) -> Result<Vec<Tag>> {
    let labels = &request.spec.labels;
    // One for the name, one for the request's hash.
    if labels.len() > 48 {
        return Err(Error::new(
            Kind::Invalid,
            format!(
                "{} labels; AWS takes 50 tags, two of which are used",
                labels.len()
            ),
        ));
    }
    let mut tags = vec![tag(node::NAME, &request.spec.name)];
    for (key, value) in labels {
        let reserved = key.to_ascii_lowercase().starts_with("aws:") || key == node::NAME;
        if key.is_empty() || key.chars().count() > 128 || value.chars().count() > 256 || reserved {
            return Err(Error::new(
                Kind::Invalid,
                format!("AWS does not take the label `{key}`"),
            )
            .with_hint(
                "keys have 1 to 128 characters, values up to 256; `Name` and `aws:` are taken",
            ));
        }
        tags.push(tag(key, value));
    }
    Ok(tags)
}

/// How far back a keeper's history is read, in seconds.
const HISTORY: i64 = 15 * 60;

/// An event of a fleet's history as an error. Its type is a code such as
/// `spotInstanceCountLimitExceeded`, its description the cause.
/// <https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_EventInformation.html>
fn complaint(action: &'static str, told: &aws_sdk_ec2::types::EventInformation) -> Error {
    let words = told.event_description().unwrap_or_default();
    let code = told.event_sub_type().unwrap_or_default();
    let known = match code {
        "spotInstanceCountLimitExceeded" | "spotFleetRequestConfigurationInvalid" => {
            if code.ends_with("Invalid") {
                "InvalidParameterValue"
            } else {
                "MaxSpotInstanceCountExceeded"
            }
        }
        "allLaunchSpecsTemporarilyBlacklisted"
        | "launchSpecTemporarilyBlacklisted"
        | "insufficientCapacity" => "InsufficientInstanceCapacity",
        "iamFleetRoleInvalid" => "UnauthorizedOperation",
        _ => capacity_words(words).unwrap_or("InsufficientInstanceCapacity"),
    };
    crate::error::reported(action, known, words)
}

/// The code behind the words with which fleets and groups tell of a launch that failed.
fn capacity_words(words: &str) -> Option<&'static str> {
    let words = words.to_ascii_lowercase();
    let any = |parts: &[&str]| parts.iter().any(|part| words.contains(part));
    if any(&[
        "vcpu limit",
        "vcpucapacity",
        "vcpulimitexceeded",
        "instancelimitexceeded",
    ]) {
        Some("VcpuLimitExceeded")
    } else if any(&["sufficient", "capacity"]) {
        Some("InsufficientInstanceCapacity")
    } else if any(&["not authorized", "unauthorized"]) {
        Some("UnauthorizedOperation")
    } else if any(&["invalid", "does not exist", "not supported"]) {
        Some("InvalidParameterValue")
    } else {
        None
    }
}
