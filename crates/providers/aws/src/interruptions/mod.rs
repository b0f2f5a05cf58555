//! Notices from an SQS queue that EventBridge feeds.
//! <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/Welcome.html>
//!
//! The queue is the memory. A message that announces something stays in it until that is over, so
//! that every process hears of it: several may share the queue, and one may end at any moment. So
//! nothing can be lost by deleting. In particular:
//!
//! * A process looks through the queue at every call and also keeps what it has seen, since SQS does
//!   not promise to show every message at every look.
//! * Fewer than ten messages are looked at without hiding them from others. Behind ten or more one
//!   comes only by hiding what was seen, which is done for two seconds.
//! * Deleted is what is over by whoever sees it: five minutes after what was announced, or once EC2
//!   says that the instance has ended; changes of an instance's state, which announce nothing, at
//!   once; other events five minutes after they were sent. A recommendation is over after an hour.
//! * What cannot be read stays where it is, and is warned of once.
//! * A look ends after a hundred calls, which is a thousand messages; the next one goes on.
//!
//! What this asks of the queue: it is for these events alone; it keeps messages as long as
//! maintenance is announced ahead (14 days is SQS's most); and it has no dead-letter queue, or one
//! with a high count of receives, since messages are received many times on purpose.
//!
//! Instances of other regions, and instances that are not Fleetwright's, have no notices here.

mod notice;

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::mem::{Discriminant, discriminant};

use async_trait::async_trait;
use aws_sdk_sqs::types::{DeleteMessageBatchRequestEntry, Message as Received};
use fleetwright_core::ability::{Interruption, InterruptionKind};
use fleetwright_core::{Error, Interruptions, Kind, NodeId, NodeState, Result, keys};
use jiff::Timestamp;
use notice::{Message, Notice};

use crate::api::RegionApi;
use crate::error::At;
use crate::provider::AwsProvider;

/// Messages per call, to receive and to delete; SQS's most.
const BATCH: usize = 10;
/// Most calls to receive in one look.
const CALLS: usize = 100;
/// How many seconds messages are hidden to get behind them.
const HIDDEN: i32 = 2;
/// Most instances in a question.
const INSTANCES: usize = 1_000;

/// What was seen in the queue. Locked over a whole look on purpose: a second look at the same time
/// would find hidden what the first has received and not told yet.
pub(crate) type Seen = tokio::sync::Mutex<Memory>;

/// Messages that are not over, by id.
#[derive(Debug, Default)]
pub(crate) struct Memory {
    messages: BTreeMap<String, Said>,
    /// Unreadable ones that were warned of.
    unreadable: HashSet<String>,
}

#[async_trait]
impl Interruptions for AwsProvider {
    async fn pending(&self) -> Result<Vec<Interruption>> {
        let mut memory = self.seen_notices().lock().await;
        let (api, queue) = self.queue().await?;
        let mut receipts = HashMap::new();
        self.look_through(api, &queue, &mut memory, &mut receipts)
            .await?;
        let instances = self.concerned(&memory).await?;
        let over = memory.clear(self.clock().now(), &instances);
        let ours = |notice: &&Notice| {
            let key = (notice.region.clone(), notice.instance.clone());
            instances.get(&key) == Some(&Instance::Ours)
        };
        let pending = memory.in_force().filter(ours).map(|notice| {
            Ok(Interruption {
                node: NodeId::new(self.name(), &notice.region, &notice.instance)?,
                kind: notice.kind,
                at: notice.at,
            })
        });
        let pending: Result<Vec<Interruption>> = pending.collect();
        receipts.retain(|id, _| over.contains(id));
        self.delete(api, &queue, receipts).await?;
        pending
    }
}

impl AwsProvider {
    /// The queue's region and URL.
    async fn queue(&self) -> Result<(&RegionApi, String)> {
        let config = self.config();
        let queue = config.interruption_queue.as_deref().ok_or_else(|| {
            Error::new(
                Kind::Unsupported,
                "this provider has no `interruption_queue`",
            )
        })?;
        let first = config.regions.first().map_or("", String::as_str);
        if queue.contains("://") {
            let region = region_of(queue).unwrap_or(first);
            return Ok((self.api().region(region).await?, queue.to_owned()));
        }
        let api = self.api().region(first).await?;
        let key = format!("queue/{queue}");
        if let Some(url) = self.remembered(&key) {
            return Ok((api, url));
        }
        let at = At::new("GetQueueUrl", first);
        let answer = api.sqs.get_queue_url().queue_name(queue).send().await;
        let answer = answer.map_err(|error| at.error(error))?;
        let url = answer.queue_url.ok_or_else(|| at.lacking("queue URL"))?;
        self.remember(key, url.clone());
        Ok((api, url))
    }

    /// Receives all messages and remembers at once what they say, so that nothing is forgotten if
    /// the look breaks off. `receipts` takes what it needs to delete each.
    async fn look_through(
        &self,
        api: &RegionApi,
        queue: &str,
        memory: &mut Memory,
        receipts: &mut HashMap<String, String>,
    ) -> Result<()> {
        let at = At::new("ReceiveMessage", &api.region);
        let mut hidden: HashSet<String> = HashSet::new();
        for _ in 0..CALLS {
            let hide = receipts.len() >= BATCH;
            let answer = api
                .sqs
                .receive_message()
                .queue_url(queue)
                .max_number_of_messages(10)
                .wait_time_seconds(0)
                .visibility_timeout(if hide { HIDDEN } else { 0 })
                .send()
                .await
                .map_err(|error| at.error(error))?;
            let mut is_news = false;
            for message in answer.messages() {
                let (id, receipt) = (message.message_id(), message.receipt_handle());
                let id = id.ok_or_else(|| at.lacking("message id"))?;
                let receipt = receipt.ok_or_else(|| at.lacking("receipt"))?;
                is_news |= !receipts.contains_key(id) || (hide && !hidden.contains(id));
                if hide {
                    hidden.insert(id.to_owned());
                }
                if receipts.insert(id.to_owned(), receipt.to_owned()).is_none() {
                    memory.note(id, message);
                }
            }
            if !is_news {
                return Ok(());
            }
        }
        Ok(())
    }

    /// What EC2 says about the instances that there are notices of, in configured regions.
    async fn concerned(&self, memory: &Memory) -> Result<HashMap<(String, String), Instance>> {
        let mut asked: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
        for notice in memory.in_force() {
            // One that cannot be an instance would spoil the question for all others.
            let id = NodeId::new(self.name(), &notice.region, &notice.instance);
            if id.is_ok_and(|id| self.own(&id).is_ok()) {
                let of_region = asked.entry(&notice.region).or_default();
                of_region.insert(&notice.instance);
            }
        }
        let mut known = HashMap::new();
        for (region, ids) in asked {
            let api = self.api().region(region).await?;
            let ids: Vec<String> = ids.into_iter().map(str::to_owned).collect();
            for some in ids.chunks(INSTANCES) {
                for instance in self.describe_now(api, some).await? {
                    let node = self.node(region, &instance)?;
                    let ours = node.labels.get(keys::MANAGED_BY);
                    let judged = match node.state {
                        NodeState::Pending | NodeState::Running | NodeState::Unknown(_) => {
                            if ours.is_some_and(|by| by == keys::MANAGED_BY_VALUE) {
                                Instance::Ours
                            } else {
                                Instance::Foreign
                            }
                        }
                        _ => Instance::Ended,
                    };
                    known.insert((region.to_owned(), node.id.native().to_owned()), judged);
                }
            }
        }
        Ok(known)
    }

    /// Deletes messages by their receipts. One that stays is seen and deleted again.
    async fn delete(
        &self,
        api: &RegionApi,
        queue: &str,
        receipts: HashMap<String, String>,
    ) -> Result<()> {
        let at = At::new("DeleteMessageBatch", &api.region);
        let receipts: Vec<(String, String)> = receipts.into_iter().collect();
        for some in receipts.chunks(BATCH) {
            let entries: Result<Vec<_>, _> = some
                .iter()
                .map(|(id, receipt)| {
                    DeleteMessageBatchRequestEntry::builder()
                        .id(id)
                        .receipt_handle(receipt)
                        .build()
                })
                .collect();
            let entries = entries.map_err(|error| {
                Error::new(Kind::Unexpected, "messages cannot be named").with_source(error)
            })?;
            let answer = api
                .sqs
                .delete_message_batch()
                .queue_url(queue)
                .set_entries(Some(entries))
                .send()
                .await
                .map_err(|error| at.error(error))?;
            for failed in answer.failed() {
                tracing::warn!(
                    message = failed.id(),
                    code = failed.code(),
                    "a message that is over stays in the queue for now"
                );
            }
        }
        Ok(())
    }
}

/// What an instance is to us.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Instance {
    Ours,
    Foreign,
    Ended,
}

/// What one thing is about: of two with the same, the later counts.
type Subject = (String, String, Discriminant<InterruptionKind>, String);

/// What a message says that is not over.
#[derive(Debug, Default)]
struct Said {
    notices: Vec<Notice>,
    /// Until when it stays in the queue although it says nothing to us.
    kept_until: Option<Timestamp>,
}

impl Memory {
    /// Remembers what a message says.
    fn note(&mut self, id: &str, received: &Received) {
        let said = match notice::read(received.body().unwrap_or_default()) {
            Ok(Message::Notices(notices)) => Said {
                notices,
                ..Said::default()
            },
            Ok(Message::Ended {
                region,
                instance,
                at,
            }) => {
                for said in self.messages.values_mut() {
                    said.notices.retain(|notice| {
                        (&notice.region, &notice.instance) != (&region, &instance)
                            || notice.said > at
                    });
                }
                Said::default()
            }
            Ok(Message::Changed) => Said::default(),
            Ok(Message::Other { until }) => Said {
                kept_until: Some(until),
                ..Said::default()
            },
            Err(why) => {
                if self.unreadable.insert(id.to_owned()) {
                    tracing::warn!(message = id, why, "a message in the queue cannot be read");
                }
                return;
            }
        };
        self.messages.insert(id.to_owned(), said);
    }

    fn in_force(&self) -> impl Iterator<Item = &Notice> {
        let all = self.messages.values().flat_map(|said| &said.notices);
        all.filter(|notice| !notice.withdrawn)
    }

    /// Forgets what is over and gives the messages that say nothing else.
    fn clear(
        &mut self,
        now: Timestamp,
        instances: &HashMap<(String, String), Instance>,
    ) -> HashSet<String> {
        let mut newest: HashMap<Subject, Timestamp> = HashMap::new();
        for notice in self.messages.values().flat_map(|said| &said.notices) {
            let said = newest.entry(subject(notice)).or_insert(notice.said);
            *said = notice.said.max(*said);
        }
        let mut over = HashSet::new();
        self.messages.retain(|id, said| {
            said.notices.retain(|notice| {
                let instance = (notice.region.clone(), notice.instance.clone());
                notice.until > now
                    && newest.get(&subject(notice)) == Some(&notice.said)
                    && instances.get(&instance) != Some(&Instance::Ended)
            });
            let stays = !said.notices.is_empty() || said.kept_until.is_some_and(|at| at > now);
            if !stays {
                over.insert(id.clone());
            }
            stays
        });
        over
    }
}

fn subject(notice: &Notice) -> Subject {
    (
        notice.region.clone(),
        notice.instance.clone(),
        discriminant(&notice.kind),
        notice.about.clone(),
    )
}

/// The region in a queue's URL: `sqs.REGION.amazonaws.com`, with `sqs-fips`, as a VPC endpoint or,
/// long ago, as `REGION.queue.amazonaws.com`. `None` if it is another address.
fn region_of(url: &str) -> Option<&str> {
    let (_, rest) = url.split_once("://")?;
    let host = rest.split(['/', ':']).next()?;
    let labels: Vec<&str> = host.split('.').collect();
    let place = |name: &str| labels.iter().position(|label| *label == name);
    let region = match (place("sqs").or(place("sqs-fips")), place("queue")) {
        (Some(at), _) => labels.get(at + 1)?,
        (None, Some(at)) => labels.get(at.checked_sub(1)?)?,
        (None, None) => return None,
    };
    Some(region).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(kind: &str, time: &str, detail: &str) -> Received {
        let body = format!(
            r#"{{"detail-type":"{kind}","time":"{time}","region":"us-east-1","detail":{detail}}}"#
        );
        Received::builder().body(body).build()
    }

    fn rebalance(time: &str) -> Received {
        let detail = r#"{"instance-id":"i-0123456789abcdef0"}"#;
        event("EC2 Instance Rebalance Recommendation", time, detail)
    }

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn over(memory: &mut Memory, now: &str, judged: Option<Instance>) -> Vec<String> {
        let key = ("us-east-1".to_owned(), "i-0123456789abcdef0".to_owned());
        let instances = judged.map(|judged| (key, judged)).into_iter().collect();
        let mut over: Vec<String> = memory.clear(at(now), &instances).into_iter().collect();
        over.sort_unstable();
        over
    }

    const NONE: [String; 0] = [];

    #[test]
    fn a_notice_stays_until_its_time_is_over() {
        for judged in [None, Some(Instance::Ours), Some(Instance::Foreign)] {
            let mut memory = Memory::default();
            memory.note("m", &rebalance("2027-03-01T12:00:00Z"));
            assert_eq!(over(&mut memory, "2027-03-01T12:59:59Z", judged), NONE);
            assert_eq!(memory.in_force().count(), 1);
            assert_eq!(over(&mut memory, "2027-03-01T13:00:00Z", judged), ["m"]);
            assert_eq!(memory.in_force().count(), 0);
        }
    }

    #[test]
    fn a_notice_is_over_when_its_instance_has_ended() {
        let mut memory = Memory::default();
        memory.note("m", &rebalance("2027-03-01T12:00:00Z"));
        let ended = Some(Instance::Ended);
        assert_eq!(over(&mut memory, "2027-03-01T12:00:01Z", ended), ["m"]);
        memory.note("m", &rebalance("2027-03-01T12:00:00Z"));
        let detail = r#"{"instance-id":"i-0123456789abcdef0","state":"shutting-down"}"#;
        let change = "EC2 Instance State-change Notification";
        memory.note("n", &event(change, "2027-03-01T12:01:00Z", detail));
        assert_eq!(memory.in_force().count(), 0);
        assert_eq!(over(&mut memory, "2027-03-01T12:01:01Z", None), ["m", "n"]);
    }

    #[test]
    fn what_is_said_again_counts_once_and_what_cannot_be_read_stays() {
        let mut memory = Memory::default();
        memory.note("m", &rebalance("2027-03-01T12:00:00Z"));
        memory.note("n", &rebalance("2027-03-01T12:30:00Z"));
        memory.note("odd", &Received::builder().body("hello").build());
        memory.note(
            "other",
            &event("EC2 AMI State Change", "2027-03-01T12:30:00Z", "{}"),
        );
        assert_eq!(over(&mut memory, "2027-03-01T12:31:00Z", None), ["m"]);
        assert_eq!(memory.in_force().count(), 1);
        assert_eq!(over(&mut memory, "2027-03-01T12:35:00Z", None), ["other"]);
        assert!(memory.unreadable.contains("odd"));
    }

    #[test]
    fn the_region_is_read_from_the_queue_s_url() {
        for (url, region) in [
            (
                "https://sqs.eu-west-1.amazonaws.com/123456789012/q",
                Some("eu-west-1"),
            ),
            (
                "https://sqs-fips.us-gov-west-1.amazonaws.com/1/q",
                Some("us-gov-west-1"),
            ),
            (
                "https://vpce-1.sqs.us-east-1.vpce.amazonaws.com/1/q",
                Some("us-east-1"),
            ),
            (
                "https://eu-west-1.queue.amazonaws.com/1/q",
                Some("eu-west-1"),
            ),
            ("http://127.0.0.1:5000/123456789012/q", None),
        ] {
            assert_eq!(region_of(url), region, "{url}");
        }
    }
}
