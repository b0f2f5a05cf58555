//! Scaling activities: what a group did, and what it could not do.

use jiff::Timestamp;

use super::group::Group;
use super::{not_found, number, reply};
use crate::answer::{Answer, Refusal};
use crate::request::Request;
use crate::rest::query::{page, page_size, stamp};
use crate::world::World;
use crate::xml::Xml;

/// Groups that cannot get what they want try for ever; this many activities are kept.
const KEPT: usize = 2_000;

/// Something that a group did or tried.
#[derive(Debug, Clone)]
pub(super) struct Activity {
    id: String,
    description: String,
    cause: String,
    at: Timestamp,
    /// Why it failed; `None` if it did not.
    failure: Option<String>,
    zone: String,
}

impl Activity {
    /// Something that worked, or that failed for a reason.
    pub(super) fn new(
        world: &mut World,
        description: impl Into<String>,
        cause: &str,
        zone: &str,
        failure: Option<String>,
    ) -> Self {
        let at = world.timestamp();
        let description = description.into();
        Self {
            id: world.new_uuid(""),
            description: match &failure {
                Some(failure) => format!("{description}.  Status Reason: {failure}"),
                None => description,
            },
            cause: format!("At {} {cause}.", stamp(at)),
            at,
            failure,
            zone: zone.to_owned(),
        }
    }

    /// Writes the members of an activity.
    pub(super) fn write(&self, xml: &mut Xml, group: &str) {
        xml.text("ActivityId", &self.id);
        xml.text("AutoScalingGroupName", group);
        xml.text("Description", &self.description);
        xml.text("Cause", &self.cause);
        xml.text("StartTime", stamp(self.at));
        xml.text("EndTime", stamp(self.at));
        let status = match self.failure {
            Some(_) => "Failed",
            None => "Successful",
        };
        xml.text("StatusCode", status);
        xml.optional("StatusMessage", self.failure.as_ref());
        xml.text("Progress", 100);
        let details = serde_json::json!({ "Availability Zone": self.zone });
        xml.text("Details", details);
    }
}

impl Group {
    /// Notes an activity.
    pub(super) fn note(&mut self, activity: Activity) {
        if self.activities.len() >= KEPT {
            self.activities.remove(0);
        }
        self.activities.push(activity);
    }
}

/// `DescribeScalingActivities`: the latest first.
pub(super) fn describe(world: &mut World, request: &Request) -> Result<Answer, Refusal> {
    let params = &request.params;
    let wanted = params.text("AutoScalingGroupName");
    let ids = params.texts("ActivityIds.member");
    let groups = &world.rest.autoscaling.groups;
    if let Some(name) = wanted
        && !groups.contains_key(&(request.region.clone(), name.to_owned()))
    {
        return Err(not_found(name));
    }
    let mut found: Vec<(String, Activity)> = groups
        .iter()
        .filter(|((region, name), _)| {
            *region == request.region && wanted.is_none_or(|wanted| wanted == name)
        })
        .flat_map(|((_, name), group)| {
            let activities = group.activities.iter().rev();
            activities.map(move |activity| (name.clone(), activity.clone()))
        })
        .filter(|(_, activity)| ids.is_empty() || ids.contains(&activity.id))
        .collect();
    found.sort_by_key(|(_, activity)| std::cmp::Reverse(activity.at));
    let asked = number(params, "MaxRecords")?.and_then(|n| usize::try_from(n).ok());
    let size = page_size(world, asked, 100, 100);
    let page = page(found, params.text("NextToken"), size, "InvalidNextToken")?;
    let request_id = world.request_id();
    Ok(reply(&request_id, request, |xml| {
        xml.list(
            "Activities",
            "member",
            &page.items,
            |xml, (name, activity)| {
                activity.write(xml, name);
            },
        );
        xml.optional("NextToken", page.next);
    }))
}
