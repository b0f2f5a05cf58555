//! SQS: queues whose messages hide for a while when they are received.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use serde_json::{Map, Value, json};

use crate::answer::{Answer, Refusal};
use crate::request::Request;
use crate::world::World;

/// A long poll looks again after this long.
const POLL: Duration = Duration::from_millis(20);

/// A receipt belongs to one receiving of one message.
const RECEIPT: &str = "AQEB";

/// What exists in SQS.
#[derive(Debug, Default)]
pub(crate) struct State {
    queues: BTreeMap<(String, String), Queue>,
}

/// A queue.
#[derive(Debug, Clone)]
struct Queue {
    url: String,
    /// How long a message that was received hides, if the receiver does not say.
    visibility: Duration,
    created: Timestamp,
    /// By age.
    messages: BTreeMap<u64, Message>,
}

#[derive(Debug, Clone)]
struct Message {
    id: String,
    body: String,
    sent: Timestamp,
    first_received: Option<Timestamp>,
    visible: Instant,
    receives: u32,
}

/// Adds a queue, and gives its URL at this endpoint.
pub(super) fn add(world: &mut World, region: &str, name: &str, endpoint: &str) -> String {
    let url = format!("{endpoint}/{}/{name}", world.config.account);
    let queue = Queue {
        url: url.clone(),
        visibility: Duration::from_secs(30),
        created: world.timestamp(),
        messages: BTreeMap::new(),
    };
    let key = (region.to_owned(), name.to_owned());
    world.rest.sqs.queues.insert(key, queue);
    url
}

/// Whether a region has a queue.
pub(super) fn has_queue(world: &World, region: &str) -> bool {
    world.rest.sqs.queues.keys().any(|(of, _)| of == region)
}

/// Puts a message into every queue of a region.
pub(super) fn publish(world: &mut World, region: &str, body: &str) {
    let names: Vec<String> = world
        .rest
        .sqs
        .queues
        .keys()
        .filter(|(of, _)| of == region)
        .map(|(_, name)| name.clone())
        .collect();
    for name in names {
        put(world, &(region.to_owned(), name), body.to_owned());
    }
}

/// The answer of SQS.
pub(super) fn answer(world: &mut World, request: &Request) -> Result<Answer, Refusal> {
    let body: Value = serde_json::from_str(&request.body)
        .map_err(|error| Refusal::bad("SerializationException", error.to_string()))?;
    let call = Call {
        region: &request.region,
        body: &body,
    };
    let value = match request.action.as_str() {
        "GetQueueUrl" => call.queue_url(world)?,
        "GetQueueAttributes" => call.attributes(world)?,
        "SendMessage" => call.send(world)?,
        "ReceiveMessage" => {
            let received = call.receive(world)?;
            let limit = call.seconds("WaitTimeSeconds")?.unwrap_or_default();
            let left = limit.saturating_sub(request.waited);
            if received.is_empty() && !left.is_zero() {
                return Ok(Answer::later(POLL.min(left)));
            }
            let mut answer = Map::new();
            if !received.is_empty() {
                answer.insert("Messages".to_owned(), Value::Array(received));
            }
            Value::Object(answer)
        }
        "DeleteMessage" => {
            let handle = call.required("ReceiptHandle")?;
            call.delete(world, handle)?;
            json!({})
        }
        "DeleteMessageBatch" => call.delete_batch(world)?,
        "ChangeMessageVisibility" => call.hide(world)?,
        action => return Err(super::unknown("sqs", action)),
    };
    let mut answer = Answer::json(&value);
    answer.content_type = "application/x-amz-json-1.0";
    Ok(answer)
}

/// A request: its region and its parameters.
struct Call<'a> {
    region: &'a str,
    body: &'a Value,
}

impl Call<'_> {
    fn queue_url(&self, world: &World) -> Result<Value, Refusal> {
        let name = self.required("QueueName")?;
        let key = (self.region.to_owned(), name.to_owned());
        let queue = world.rest.sqs.queues.get(&key).ok_or_else(no_queue)?;
        Ok(json!({ "QueueUrl": queue.url }))
    }

    fn attributes(&self, world: &mut World) -> Result<Value, Refusal> {
        let key = self.key(world)?;
        let now = world.now;
        let account = world.config.account.clone();
        let queue = queue(world, &key)?;
        let visible = queue.messages.values().filter(|m| m.visible <= now).count();
        let hidden = queue.messages.len() - visible;
        let all = [
            ("ApproximateNumberOfMessages", visible.to_string()),
            ("ApproximateNumberOfMessagesNotVisible", hidden.to_string()),
            ("ApproximateNumberOfMessagesDelayed", "0".to_owned()),
            ("CreatedTimestamp", queue.created.as_second().to_string()),
            ("MessageRetentionPeriod", "345600".to_owned()),
            (
                "QueueArn",
                format!("arn:aws:sqs:{}:{account}:{}", key.0, key.1),
            ),
            ("ReceiveMessageWaitTimeSeconds", "0".to_owned()),
            ("VisibilityTimeout", queue.visibility.as_secs().to_string()),
        ];
        let asked: Vec<&str> = self
            .body
            .get("AttributeNames")
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
            .filter_map(Value::as_str)
            .collect();
        let attributes: Map<String, Value> = all
            .into_iter()
            .filter(|(name, _)| asked.contains(name) || asked.contains(&"All"))
            .map(|(name, value)| (name.to_owned(), Value::String(value)))
            .collect();
        Ok(json!({ "Attributes": attributes }))
    }

    fn send(&self, world: &mut World) -> Result<Value, Refusal> {
        let key = self.key(world)?;
        let body = self.required("MessageBody")?.to_owned();
        let id = put(world, &key, body);
        Ok(json!({ "MessageId": id }))
    }

    fn receive(&self, world: &mut World) -> Result<Vec<Value>, Refusal> {
        let key = self.key(world)?;
        let most = self.number("MaxNumberOfMessages")?.unwrap_or(1);
        if !(1..=10).contains(&most) {
            return Err(invalid(format!(
                "Value {most} for parameter MaxNumberOfMessages is invalid. Reason: Must be \
                 between 1 and 10, if provided."
            )));
        }
        let asked = self.seconds("VisibilityTimeout")?;
        let (now, shown) = (world.now, world.timestamp());
        let queue = queue(world, &key)?;
        let hidden = asked.unwrap_or(queue.visibility);
        let mut received = Vec::new();
        for (number, message) in &mut queue.messages {
            if message.visible > now {
                continue;
            }
            message.visible = now + hidden;
            message.receives += 1;
            let first = *message.first_received.get_or_insert(shown);
            received.push(json!({
                "MessageId": message.id,
                "ReceiptHandle": format!("{RECEIPT}{number}-{}", message.receives),
                "Body": message.body,
                "Attributes": {
                    "SentTimestamp": message.sent.as_millisecond().to_string(),
                    "ApproximateReceiveCount": message.receives.to_string(),
                    "ApproximateFirstReceiveTimestamp": first.as_millisecond().to_string(),
                },
            }));
            if u64::try_from(received.len()).is_ok_and(|count| count == most) {
                break;
            }
        }
        Ok(received)
    }

    /// Deletes by receipt. Repeating does nothing; so does a receipt that is not the latest, as
    /// the message may be somebody else's by now.
    fn delete(&self, world: &mut World, handle: &str) -> Result<(), Refusal> {
        let key = self.key(world)?;
        let (number, receives) = read_receipt(handle)?;
        let messages = &mut queue(world, &key)?.messages;
        if messages
            .get(&number)
            .is_some_and(|message| message.receives == receives)
        {
            messages.remove(&number);
        }
        Ok(())
    }

    fn delete_batch(&self, world: &mut World) -> Result<Value, Refusal> {
        let entries = self
            .body
            .get("Entries")
            .and_then(Value::as_array)
            .filter(|entries| !entries.is_empty())
            .ok_or_else(|| {
                Refusal::bad(
                    "EmptyBatchRequest",
                    "There should be at least one DeleteMessageBatchRequestEntry in the request.",
                )
            })?;
        if entries.len() > 10 {
            return Err(Refusal::bad(
                "TooManyEntriesInBatchRequest",
                format!(
                    "Maximum number of entries per request are 10. You have sent {}.",
                    entries.len()
                ),
            ));
        }
        let (mut successful, mut failed) = (Vec::new(), Vec::new());
        for entry in entries {
            let text = |name: &str| entry.get(name).and_then(Value::as_str).unwrap_or_default();
            let id = text("Id");
            match self.delete(world, text("ReceiptHandle")) {
                Ok(()) => successful.push(json!({ "Id": id })),
                Err(refusal) if refusal.code == "ReceiptHandleIsInvalid" => failed.push(json!({
                    "Id": id,
                    "SenderFault": true,
                    "Code": refusal.code,
                    "Message": refusal.message,
                })),
                Err(refusal) => return Err(refusal),
            }
        }
        Ok(json!({ "Successful": successful, "Failed": failed }))
    }

    fn hide(&self, world: &mut World) -> Result<Value, Refusal> {
        let key = self.key(world)?;
        let (number, _) = read_receipt(self.required("ReceiptHandle")?)?;
        let hidden = self.seconds("VisibilityTimeout")?.unwrap_or_default();
        let now = world.now;
        if let Some(message) = queue(world, &key)?.messages.get_mut(&number) {
            message.visible = now + hidden;
        }
        Ok(json!({}))
    }

    /// The queue that the URL names.
    fn key(&self, world: &World) -> Result<(String, String), Refusal> {
        let url = self.required("QueueUrl")?;
        let name = url.rsplit('/').next().unwrap_or_default();
        let key = (self.region.to_owned(), name.to_owned());
        if world.rest.sqs.queues.contains_key(&key) {
            Ok(key)
        } else {
            Err(no_queue())
        }
    }

    fn required(&self, name: &str) -> Result<&str, Refusal> {
        self.body.get(name).and_then(Value::as_str).ok_or_else(|| {
            Refusal::bad(
                "MissingParameter",
                format!("The request must contain the parameter {name}."),
            )
        })
    }

    fn number(&self, name: &str) -> Result<Option<u64>, Refusal> {
        match self.body.get(name) {
            None | Some(Value::Null) => Ok(None),
            Some(value) => value
                .as_u64()
                .map(Some)
                .ok_or_else(|| invalid(format!("Value {value} for parameter {name} is invalid."))),
        }
    }

    fn seconds(&self, name: &str) -> Result<Option<Duration>, Refusal> {
        Ok(self.number(name)?.map(Duration::from_secs))
    }
}

/// Puts a message into a queue, and gives its id.
fn put(world: &mut World, key: &(String, String), body: String) -> String {
    let number = world.next_serial();
    let id = world.new_uuid("");
    let message = Message {
        id: id.clone(),
        body,
        sent: world.timestamp(),
        first_received: None,
        visible: world.now,
        receives: 0,
    };
    if let Some(queue) = world.rest.sqs.queues.get_mut(key) {
        queue.messages.insert(number, message);
    }
    id
}

fn queue<'a>(world: &'a mut World, key: &(String, String)) -> Result<&'a mut Queue, Refusal> {
    world.rest.sqs.queues.get_mut(key).ok_or_else(no_queue)
}

/// The number of the message and of the receiving.
fn read_receipt(handle: &str) -> Result<(u64, u32), Refusal> {
    handle
        .strip_prefix(RECEIPT)
        .and_then(|rest| rest.split_once('-'))
        .and_then(|(number, receives)| Some((number.parse().ok()?, receives.parse().ok()?)))
        .ok_or_else(|| {
            Refusal::bad(
                "ReceiptHandleIsInvalid",
                format!("The input receipt handle \"{handle}\" is not a valid receipt handle."),
            )
        })
}

fn no_queue() -> Refusal {
    Refusal::bad(
        "QueueDoesNotExist",
        "The specified queue does not exist for this wsdl version.",
    )
}

fn invalid(message: String) -> Refusal {
    Refusal::bad("InvalidParameterValue", message)
}
