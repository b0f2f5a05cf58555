//! What EventBridge says about instances, read from the bodies of messages.
//!
//! Events: <https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-events-structure.html>,
//! of EC2: <https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/spot-instance-termination-notices.html>,
//! of AWS Health: <https://docs.aws.amazon.com/health/latest/ug/aws-health-events-eventbridge-schema.html>.

use fleetwright_core::ability::InterruptionKind;
use jiff::fmt::rfc2822::DateTimeParser;
use jiff::{SignedDuration, Timestamp};
use serde::Deserialize;
use serde_json::Value;

/// "issued two minutes before Amazon EC2 stops or terminates your Spot Instance"
const WARNING: SignedDuration = SignedDuration::from_mins(2);
/// How long what was said is in force after its time: what it announced may take a while, and
/// other processes shall hear of it too.
const GRACE: SignedDuration = SignedDuration::from_mins(5);
/// How long a recommendation to move away is news.
const REBALANCE: SignedDuration = SignedDuration::from_hours(1);
/// How long maintenance without a time is in force: as long as a queue can keep a message.
const UNDATED: SignedDuration = SignedDuration::from_hours(14 * 24);

/// What a message says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Message {
    /// Something is going to happen to instances.
    Notices(Vec<Notice>),
    /// An instance stops or ends: what was going to happen to it has happened.
    Ended {
        region: String,
        instance: String,
        at: Timestamp,
    },
    /// An instance changed, which is no news.
    Changed,
    /// Another event, which is of no use until then.
    Other { until: Timestamp },
}

/// Something is going to happen to one instance.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Notice {
    pub(super) region: String,
    pub(super) instance: String,
    pub(super) kind: InterruptionKind,
    pub(super) at: Option<Timestamp>,
    pub(super) said: Timestamp,
    pub(super) until: Timestamp,
    /// What it is part of, so that what is said later replaces it; empty if its kind says it.
    pub(super) about: String,
    /// The vendor has taken it back.
    pub(super) withdrawn: bool,
}

#[derive(Deserialize)]
struct Event {
    #[serde(rename = "detail-type")]
    detail_type: String,
    time: Timestamp,
    region: String,
    #[serde(default)]
    resources: Vec<String>,
    detail: Value,
}

#[derive(Deserialize)]
struct OfInstance {
    #[serde(rename = "instance-id")]
    instance: String,
    #[serde(rename = "instance-action")]
    action: Option<String>,
    state: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct OfHealth {
    service: String,
    event_type_category: String,
    #[serde(default)]
    event_arn: String,
    status_code: Option<String>,
    event_region: Option<String>,
    start_time: Option<String>,
    end_time: Option<String>,
    #[serde(default)]
    affected_entities: Vec<Entity>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Entity {
    entity_value: String,
}

/// Reads the body of a message.
///
/// # Errors
/// In words, if it is no event, or one that lacks what its kind always has.
pub(super) fn read(body: &str) -> Result<Message, String> {
    let event: Event = serde_json::from_str(body).map_err(|error| error.to_string())?;
    match event.detail_type.as_str() {
        "EC2 Spot Instance Interruption Warning" => {
            let detail: OfInstance = detail(&event)?;
            // "you do not receive a two-minute warning because the hibernation process begins
            // immediately"
            let ahead = match detail.action.as_deref() {
                Some("hibernate") => SignedDuration::ZERO,
                _ => WARNING,
            };
            let at = later(event.time, ahead);
            let notice = notice(&event, detail.instance, InterruptionKind::Reclaim, Some(at));
            Ok(Message::Notices(vec![notice]))
        }
        "EC2 Instance Rebalance Recommendation" => {
            let detail: OfInstance = detail(&event)?;
            let notice = notice(&event, detail.instance, InterruptionKind::Rebalance, None);
            Ok(Message::Notices(vec![notice]))
        }
        "EC2 Instance State-change Notification" => {
            let detail: OfInstance = detail(&event)?;
            match detail.state.as_deref() {
                Some("stopping" | "stopped" | "shutting-down" | "terminated") => {
                    Ok(Message::Ended {
                        region: event.region,
                        instance: detail.instance,
                        at: event.time,
                    })
                }
                Some(_) => Ok(Message::Changed),
                None => Err("the change of a state has no state".to_owned()),
            }
        }
        "AWS Health Event" => {
            let detail: OfHealth = detail(&event)?;
            if detail.service == "EC2" && detail.event_type_category == "scheduledChange" {
                return maintenance(&event, &detail);
            }
            Ok(other(&event))
        }
        _ => Ok(other(&event)),
    }
}

fn detail<'e, T: Deserialize<'e>>(event: &'e Event) -> Result<T, String> {
    T::deserialize(&event.detail).map_err(|error| error.to_string())
}

fn notice(
    event: &Event,
    instance: String,
    kind: InterruptionKind,
    at: Option<Timestamp>,
) -> Notice {
    let until = match (kind, at) {
        (InterruptionKind::Rebalance, _) => later(event.time, REBALANCE),
        (_, Some(at)) => later(at, GRACE),
        (_, None) => later(event.time, UNDATED),
    };
    Notice {
        region: event.region.clone(),
        instance,
        kind,
        at,
        said: event.time,
        until,
        about: String::new(),
        withdrawn: false,
    }
}

fn other(event: &Event) -> Message {
    Message::Other {
        until: later(event.time, GRACE),
    }
}

fn maintenance(event: &Event, detail: &OfHealth) -> Result<Message, String> {
    let at = detail.start_time.as_deref().map(time).transpose()?;
    let end = detail.end_time.as_deref().map(time).transpose()?;
    let named = detail
        .affected_entities
        .iter()
        .map(|entity| &entity.entity_value);
    // "Describes the list of affected resources, if any": some events name them there only.
    let named: Vec<&String> = if detail.affected_entities.is_empty() {
        event.resources.iter().collect()
    } else {
        named.collect()
    };
    // Ids or ARNs; besides instances there are volumes, hosts and reservations.
    let instances = named
        .into_iter()
        .map(|name| name.rsplit('/').next().unwrap_or(name))
        .filter(|name| name.starts_with("i-"));
    let notices: Vec<Notice> = instances
        .map(|instance| {
            let kind = InterruptionKind::Maintenance;
            let mut notice = notice(event, instance.to_owned(), kind, at);
            if let Some(region) = &detail.event_region {
                notice.region.clone_from(region);
            }
            notice.about.clone_from(&detail.event_arn);
            // It goes on until its end, if that was said.
            notice.until = notice
                .until
                .max(end.map_or(notice.until, |end| later(end, GRACE)));
            if detail.status_code.as_deref() == Some("closed") {
                notice.withdrawn = true;
                notice.until = later(event.time, GRACE);
            }
            notice
        })
        .collect();
    if notices.is_empty() {
        return Ok(other(event));
    }
    Ok(Message::Notices(notices))
}

/// `Sat, 05 Jun 2016 15:10:09 GMT`; the day of the week is not to be relied on.
fn time(text: &str) -> Result<Timestamp, String> {
    DateTimeParser::new()
        .relaxed_weekday(true)
        .parse_timestamp(text)
        .or_else(|_| text.parse())
        .map_err(|error| format!("`{text}` is not a time: {error}"))
}

fn later(at: Timestamp, by: SignedDuration) -> Timestamp {
    at.saturating_add(by).unwrap_or(Timestamp::MAX)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const SAID: &str = "2027-03-01T12:00:00Z";

    fn event(detail_type: &str, detail: &Value) -> Value {
        json!({
            "version": "0",
            "id": "12345678-1234-1234-1234-123456789012",
            "detail-type": detail_type,
            "source": "aws.ec2",
            "account": "123456789012",
            "time": SAID,
            "region": "us-east-2",
            "resources": ["arn:aws:ec2:us-east-2a:instance/i-1234567890abcdef0"],
            "detail": detail,
        })
    }

    fn read(event: &Value) -> Result<Message, String> {
        super::read(&event.to_string())
    }

    fn notices(event: &Value) -> Vec<Notice> {
        match read(event).unwrap() {
            Message::Notices(notices) => notices,
            other => panic!("{other:?}"),
        }
    }

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    #[test]
    fn a_spot_warning_says_when_the_instance_goes() {
        for (action, gone, until) in [
            ("terminate", "2027-03-01T12:02:00Z", "2027-03-01T12:07:00Z"),
            ("stop", "2027-03-01T12:02:00Z", "2027-03-01T12:07:00Z"),
            ("hibernate", "2027-03-01T12:00:00Z", "2027-03-01T12:05:00Z"),
        ] {
            let detail = json!({ "instance-id": "i-1234567890abcdef0", "instance-action": action });
            let read = notices(&event("EC2 Spot Instance Interruption Warning", &detail));
            let [notice] = &read[..] else {
                panic!("{read:?}")
            };
            assert_eq!(notice.kind, InterruptionKind::Reclaim);
            assert_eq!(notice.instance, "i-1234567890abcdef0");
            assert_eq!(notice.region, "us-east-2");
            assert_eq!(
                (notice.at, notice.until),
                (Some(at(gone)), at(until)),
                "{action}"
            );
        }
    }

    #[test]
    fn a_recommendation_has_no_time_and_is_news_for_an_hour() {
        let detail = json!({ "instance-id": "i-1234567890abcdef0" });
        let read = notices(&event("EC2 Instance Rebalance Recommendation", &detail));
        assert_eq!(read[0].kind, InterruptionKind::Rebalance);
        assert_eq!(
            (read[0].at, read[0].until),
            (None, at("2027-03-01T13:00:00Z"))
        );
    }

    #[test]
    fn an_instance_that_ends_is_told_from_one_that_begins() {
        for (state, ends) in [
            ("pending", false),
            ("running", false),
            ("stopping", true),
            ("stopped", true),
            ("shutting-down", true),
            ("terminated", true),
        ] {
            let detail = json!({ "instance-id": "i-1234567890abcdef0", "state": state });
            let read = read(&event("EC2 Instance State-change Notification", &detail)).unwrap();
            assert_eq!(matches!(read, Message::Ended { .. }), ends, "{state}");
            assert_eq!(read == Message::Changed, !ends, "{state}");
        }
    }

    fn health(change: impl FnOnce(&mut Value)) -> Value {
        let mut detail = json!({
            "eventArn": "arn:aws:health:us-west-2::event/EC2/AWS_EC2_INSTANCE_RETIREMENT_SCHEDULED/x",
            "service": "EC2",
            "eventTypeCode": "AWS_EC2_INSTANCE_RETIREMENT_SCHEDULED",
            "eventTypeCategory": "scheduledChange",
            // The vendor's samples name the wrong day of the week.
            "startTime": "Sat, 5 Mar 2027 15:10:09 GMT",
            "statusCode": "upcoming",
            "eventRegion": "us-west-2",
            "affectedEntities": [
                { "entityValue": "i-00000000000000001" },
                { "entityValue": "arn:aws:ec2:us-west-2:123456789012:instance/i-00000000000000002" },
                { "entityValue": "vol-00000000000000003" },
            ],
        });
        change(&mut detail);
        event("AWS Health Event", &detail)
    }

    #[test]
    fn scheduled_maintenance_names_instances_and_its_beginning() {
        let read = notices(&health(|_| {}));
        let instances: Vec<&str> = read.iter().map(|notice| &*notice.instance).collect();
        assert_eq!(instances, ["i-00000000000000001", "i-00000000000000002"]);
        assert_eq!(read[0].kind, InterruptionKind::Maintenance);
        assert_eq!(read[0].region, "us-west-2");
        assert_eq!(read[0].at, Some(at("2027-03-05T15:10:09Z")));
        assert_eq!(read[0].until, at("2027-03-05T15:15:09Z"));
        let long = notices(&health(|d| {
            d["endTime"] = json!("Fri, 05 Mar 2027 17:10:09 GMT");
        }));
        assert_eq!(long[0].until, at("2027-03-05T17:15:09Z"));
        let undated = notices(&health(|d| d["startTime"] = Value::Null));
        assert_eq!(
            (undated[0].at, undated[0].until),
            (None, at("2027-03-15T12:00:00Z"))
        );
        let by_resource = notices(&health(|d| d["affectedEntities"] = json!([])));
        assert_eq!(by_resource[0].instance, "i-1234567890abcdef0");
    }

    #[test]
    fn maintenance_that_is_called_off_replaces_what_was_said_before() {
        let first = notices(&health(|_| {}));
        let mut event = health(|d| d["statusCode"] = json!("closed"));
        event["time"] = json!("2027-03-02T00:00:00Z");
        let closed = notices(&event);
        assert!(closed[0].withdrawn && !first[0].withdrawn);
        assert!(closed[0].said > first[0].said);
        assert_eq!(
            (&closed[0].about, &closed[0].instance),
            (&first[0].about, &first[0].instance)
        );
        assert_eq!(closed[0].until, at("2027-03-02T00:05:00Z"));
    }

    #[test]
    fn other_events_are_read_and_of_no_use() {
        let until = at("2027-03-01T12:05:00Z");
        for event in [
            health(|d| d["service"] = json!("RDS")),
            health(|d| d["eventTypeCategory"] = json!("issue")),
            event("EC2 AMI State Change", &json!({ "ImageId": "ami-1" })),
        ] {
            assert_eq!(read(&event), Ok(Message::Other { until }));
        }
    }

    #[test]
    fn what_is_no_event_is_an_error() {
        let mut odd = event("EC2 Instance Rebalance Recommendation", &json!({}));
        assert!(read(&odd).is_err());
        odd["time"] = json!("soon");
        assert!(read(&odd).is_err());
        assert!(super::read("hello").is_err());
        assert!(read(&health(|d| d["startTime"] = json!("next week"))).is_err());
        let state = event(
            "EC2 Instance State-change Notification",
            &json!({ "instance-id": "i-1" }),
        );
        assert!(read(&state).is_err());
    }
}
