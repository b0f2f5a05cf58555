//! Queues, and the events that come into them.

use std::time::{Duration, Instant};

use fleetwright_aws_fake::{Fake, Notice};
use serde_json::{Value, json};

use crate::caller::{Client, Reply, eventually, start};

struct Bed {
    fake: Fake,
    client: Client,
    url: String,
}

impl Bed {
    fn new() -> Self {
        let fake = start();
        let url = fake.add_queue("us-east-1", "events");
        let client = Client::new(&fake, "sqs");
        Self { fake, client, url }
    }

    fn call(&self, action: &str, mut body: Value) -> Reply {
        body["QueueUrl"] = json!(self.url);
        self.client.json(&format!("AmazonSQS.{action}"), &body)
    }

    fn receive(&self, body: Value) -> Vec<Value> {
        let value = self.call("ReceiveMessage", body).ok().value();
        value["Messages"].as_array().cloned().unwrap_or_default()
    }

    /// Takes an event of one kind out of the queue.
    fn event(&self, kind: &str) -> Value {
        let mut found = Value::Null;
        eventually(kind, || {
            for message in self.receive(json!({ "MaxNumberOfMessages": 10 })) {
                let event: Value = serde_json::from_str(message["Body"].as_str().unwrap()).unwrap();
                if event["detail-type"] == kind {
                    found = event;
                }
            }
            !found.is_null()
        });
        found
    }
}

#[test]
fn a_message_hides_and_comes_back_until_it_is_deleted() {
    let bed = Bed::new();
    bed.call("SendMessage", json!({ "MessageBody": "hello" }))
        .ok();
    let first = bed.receive(json!({ "VisibilityTimeout": 1 }));
    assert_eq!(first[0]["Body"], "hello");
    assert!(bed.receive(json!({})).is_empty(), "it hides");
    let attributes = bed
        .call("GetQueueAttributes", json!({ "AttributeNames": ["All"] }))
        .ok()
        .value();
    let attributes = &attributes["Attributes"];
    assert_eq!(attributes["ApproximateNumberOfMessages"], "0");
    assert_eq!(attributes["ApproximateNumberOfMessagesNotVisible"], "1");
    let again = bed.receive(json!({ "WaitTimeSeconds": 5 }));
    assert_eq!(again[0]["Attributes"]["ApproximateReceiveCount"], "2");
    let delete = |handle: &Value| bed.call("DeleteMessage", json!({ "ReceiptHandle": handle }));
    delete(&first[0]["ReceiptHandle"]).ok();
    let count = |name: &str| {
        let body = json!({ "AttributeNames": [name] });
        let value = bed.call("GetQueueAttributes", body).ok().value();
        value["Attributes"][name].clone()
    };
    assert_eq!(
        count("ApproximateNumberOfMessagesNotVisible"),
        "1",
        "an old receipt"
    );
    delete(&again[0]["ReceiptHandle"]).ok();
    delete(&again[0]["ReceiptHandle"]).ok();
    assert_eq!(count("ApproximateNumberOfMessagesNotVisible"), "0");
    assert_eq!(
        delete(&json!("nonsense")).refusal().0,
        "ReceiptHandleIsInvalid"
    );
}

#[test]
fn ten_messages_at_most_are_received_and_deleted_at_once() {
    let bed = Bed::new();
    for number in 0..12 {
        bed.call("SendMessage", json!({ "MessageBody": number.to_string() }))
            .ok();
    }
    assert_eq!(bed.receive(json!({})).len(), 1);
    let messages = bed.receive(json!({ "MaxNumberOfMessages": 10 }));
    assert_eq!(messages.len(), 10);
    let mut entries: Vec<Value> = messages
        .iter()
        .enumerate()
        .map(|(index, message)| {
            json!({ "Id": index.to_string(), "ReceiptHandle": message["ReceiptHandle"] })
        })
        .collect();
    entries[9]["ReceiptHandle"] = json!("nonsense");
    let result = bed
        .call("DeleteMessageBatch", json!({ "Entries": entries }))
        .ok()
        .value();
    assert_eq!(result["Successful"].as_array().unwrap().len(), 9);
    assert_eq!(result["Failed"][0]["Id"], "9");
    let too_many = bed.call("ReceiveMessage", json!({ "MaxNumberOfMessages": 11 }));
    assert_eq!(too_many.refusal().0, "InvalidParameterValue");
}

#[test]
fn a_long_poll_ends_when_a_message_comes() {
    let bed = Bed::new();
    let start = Instant::now();
    std::thread::scope(|scope| {
        let waiting = scope.spawn(|| bed.receive(json!({ "WaitTimeSeconds": 20 })));
        crate::caller::pause(Duration::from_millis(100));
        bed.call("SendMessage", json!({ "MessageBody": "late" }))
            .ok();
        assert_eq!(waiting.join().unwrap()[0]["Body"], "late");
    });
    assert!(start.elapsed() < Duration::from_secs(10));
    let start = Instant::now();
    assert!(bed.receive(json!({ "WaitTimeSeconds": 1 })).is_empty());
    assert!(start.elapsed() >= Duration::from_secs(1));
}

#[test]
fn a_queue_is_found_by_name_in_its_region_only() {
    let bed = Bed::new();
    let find = |name: &str| {
        let body = json!({ "QueueName": name });
        bed.client.json("AmazonSQS.GetQueueUrl", &body)
    };
    assert_eq!(find("events").ok().value()["QueueUrl"], json!(bed.url));
    bed.fake.add_queue("eu-west-1", "elsewhere");
    assert_eq!(find("elsewhere").refusal().0, "QueueDoesNotExist");
}

#[test]
fn warnings_come_as_eventbridge_sends_them() {
    let bed = Bed::new();
    let image = bed.fake.images("us-east-1").remove(0);
    let spot = [
        ("MinCount", "1"),
        ("MaxCount", "1"),
        ("ImageId", image.as_str()),
        ("InstanceType", "t3.micro"),
        ("InstanceMarketOptions.MarketType", "spot"),
    ];
    let launched = Client::new(&bed.fake, "ec2")
        .form("RunInstances", &spot)
        .ok();
    let id = launched.texts("instanceId").remove(0);
    assert!(bed.fake.interrupt(&id, Notice::Interruption));
    let event = bed.event("EC2 Spot Instance Interruption Warning");
    assert_eq!(event["source"], "aws.ec2");
    assert_eq!(event["region"], "us-east-1");
    assert_eq!(event["account"], "123456789012");
    assert_eq!(
        event["detail"],
        json!({ "instance-id": id, "instance-action": "terminate" })
    );
    assert!(bed.fake.interrupt(&id, Notice::Rebalance));
    let event = bed.event("EC2 Instance Rebalance Recommendation");
    assert_eq!(event["detail"], json!({ "instance-id": id }));
    assert!(bed.fake.interrupt(&id, Notice::Maintenance));
    let event = bed.event("AWS Health Event");
    assert_eq!(event["source"], "aws.health");
    assert_eq!(event["detail"]["service"], "EC2");
    assert_eq!(event["detail"]["eventTypeCategory"], "scheduledChange");
    assert_eq!(
        event["detail"]["affectedEntities"][0]["entityValue"],
        json!(id)
    );
    let start = event["detail"]["startTime"].as_str().unwrap();
    assert!(start.ends_with(" GMT"), "{start}");
    bed.fake.terminate(&id);
    let event = bed.event("EC2 Instance State-change Notification");
    assert_eq!(event["detail"]["instance-id"], json!(id));
}
