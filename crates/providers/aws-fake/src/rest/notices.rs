//! What EventBridge puts into the queues of a region: warnings and changes of state.
//!
//! The shapes are those of <https://docs.aws.amazon.com/eventbridge/latest/ref/events.html>.

use std::time::Duration;

use jiff::Timestamp;
use jiff::fmt::rfc2822::DateTimePrinter;
use serde_json::{Value, json};

use super::sqs;
use crate::world::World;
use crate::world::instance::State;
use crate::world::notice::Notice;

/// Scheduled maintenance begins this much later.
const AHEAD: Duration = Duration::from_hours(24 * 14);

/// AWS warns of an instance.
pub(super) fn warn(world: &mut World, region: &str, id: &str, notice: Notice) {
    let zone = zone_of(world, region, id);
    // The ARN in these two events has a zone where others have a region and an account.
    let in_zone = format!("arn:aws:ec2:{zone}:instance/{id}");
    match notice {
        Notice::Interruption => {
            let detail = json!({ "instance-id": id, "instance-action": "terminate" });
            let kind = "EC2 Spot Instance Interruption Warning";
            publish(world, region, "aws.ec2", kind, &in_zone, &detail);
        }
        Notice::Rebalance => {
            let detail = json!({ "instance-id": id });
            let kind = "EC2 Instance Rebalance Recommendation";
            publish(world, region, "aws.ec2", kind, &in_zone, &detail);
        }
        Notice::Maintenance => {
            let detail = maintenance(world, region, id);
            publish(world, region, "aws.health", "AWS Health Event", id, &detail);
        }
    }
}

/// An instance went from one state to the next.
pub(super) fn instance_changed(world: &mut World, region: &str, id: &str, to: State) {
    let account = &world.config.account;
    let arn = format!("arn:aws:ec2:{region}:{account}:instance/{id}");
    let detail = json!({ "instance-id": id, "state": to.as_str() });
    let kind = "EC2 Instance State-change Notification";
    publish(world, region, "aws.ec2", kind, &arn, &detail);
}

fn publish(
    world: &mut World,
    region: &str,
    source: &str,
    kind: &str,
    resource: &str,
    detail: &Value,
) {
    if !sqs::has_queue(world, region) {
        return;
    }
    let event = json!({
        "version": "0",
        "id": world.new_uuid(""),
        "detail-type": kind,
        "source": source,
        "account": world.config.account,
        "time": format!("{:.0}", world.timestamp()),
        "region": region,
        "resources": [resource],
        "detail": detail,
    });
    sqs::publish(world, region, &event.to_string());
}

/// <https://docs.aws.amazon.com/health/latest/ug/aws-health-events-eventbridge-schema.html>
fn maintenance(world: &mut World, region: &str, id: &str) -> Value {
    let code = "AWS_EC2_INSTANCE_RETIREMENT_SCHEDULED";
    let serial = world.next_serial();
    let now = world.timestamp();
    let start = now.saturating_add(AHEAD).unwrap_or(now);
    json!({
        "eventArn": format!("arn:aws:health:{region}::event/EC2/{code}/{code}_{serial:08x}"),
        "service": "EC2",
        "eventTypeCode": code,
        "eventTypeCategory": "scheduledChange",
        "eventScopeCode": "ACCOUNT_SPECIFIC",
        "communicationId": format!("{serial:032x}"),
        "startTime": http_date(start),
        "endTime": http_date(start),
        "lastUpdatedTime": http_date(now),
        "statusCode": "upcoming",
        "eventRegion": region,
        "eventDescription": [{
            "language": "en_US",
            "latestDescription": format!(
                "EC2 has detected degradation of the underlying hardware hosting your Amazon EC2 \
                 instance {id}. The instance is scheduled for retirement."
            ),
        }],
        "affectedEntities": [{ "entityValue": id, "status": "PENDING" }],
        "affectedAccount": world.config.account,
        "page": "1",
        "totalPages": "1",
    })
}

/// `Sat, 05 Jun 2027 15:10:09 GMT`, as AWS Health writes it.
fn http_date(at: Timestamp) -> String {
    let mut text = String::new();
    // It fails for years before 0 and after 9999 only.
    let printed = DateTimePrinter::new().print_timestamp_rfc9110(&at, &mut text);
    printed.map_or_else(|_| at.to_string(), |()| text)
}

fn zone_of(world: &World, region: &str, id: &str) -> String {
    world
        .regions
        .get(region)
        .and_then(|region| region.instances.find(id))
        .map_or_else(|| region.to_owned(), |record| record.instance.zone.clone())
}
