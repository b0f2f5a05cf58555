//! Notices: who is told about which incident, and the way there.
//!
//! ```text
//!  tell ─► deliveries in the journal ("to be sent") ─► send_due ─► Messenger ─► marked as sent
//! ```
//!
//! A message is written down before it is sent and marked afterwards. A run that is killed in
//! between sends it again, with the same id: at least once, and whoever receives it can tell.

use std::collections::HashSet;
use std::time::Duration;

use fleetwright_core::{Error, EventKind, Incident, Kind, Message, Result, Webhook, glob};
use fleetwright_store::Delivery;
use futures::StreamExt;
use futures::stream;
use jiff::Timestamp;
use serde::Serialize;
use uuid::Uuid;

use crate::Engine;

/// Messages sent at the same time.
const SENDS: usize = 8;
/// Pause after the first attempt that failed; it doubles with each further one.
const FIRST_PAUSE: Duration = Duration::from_secs(2);
/// Longest pause of our own accord.
const LONGEST_PAUSE: Duration = Duration::from_mins(10);
/// A message older than this is given up.
const GIVE_UP: Duration = Duration::from_hours(24);
/// How much longer than its limit an attempt may take until another process takes it over.
const GRACE: Duration = Duration::from_secs(20);

/// What came of sending.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Sent {
    /// Messages that were taken.
    pub delivered: usize,
    /// Messages that were not taken and will be tried again.
    pub put_off: Vec<Undelivered>,
    /// Messages that are given up.
    pub lost: Vec<Undelivered>,
}

/// A message that was not taken.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Undelivered {
    /// Name of the webhook.
    pub webhook: String,
    /// Which message.
    pub id: Uuid,
    /// What it is about: `drift-opened`.
    pub event: String,
    /// Why it was not taken.
    pub trouble: String,
    /// When it is tried again; absent: never.
    pub due_at: Option<Timestamp>,
}

/// Whether a webhook is told about an incident as it is now.
pub fn concerns(webhook: &Webhook, incident: &Incident) -> bool {
    let event = incident.event();
    let is_chosen =
        webhook.events.is_empty() || webhook.events.iter().any(|pattern| glob(pattern, &event));
    is_chosen
        && webhook
            .min_severity
            .is_none_or(|least| incident.severity >= least)
}

/// Pause before the next attempt, after so many that failed. Messages that failed together do not
/// all come back together: up to a quarter is taken from their ids.
fn pause(attempts: u32, id: Uuid, asked: Option<Duration>) -> Duration {
    let doublings = attempts.saturating_sub(1).min(16);
    let plain = FIRST_PAUSE
        .saturating_mul(1 << doublings)
        .min(LONGEST_PAUSE);
    let spread = plain.mul_f64(f64::from(id.as_bytes()[15]) / 1024.0);
    (plain + spread).max(asked.unwrap_or_default())
}

/// Whether another attempt may help.
const fn may_pass(kind: Kind) -> bool {
    matches!(kind, Kind::Unavailable | Kind::Timeout | Kind::RateLimited)
}

impl Engine {
    /// Writes down who is to be told about these incidents, as they are now. Each webhook is told
    /// once that an incident is there and once that it is over, however often this is called: hand
    /// in all that are open, each time. Says how many messages are new. Nothing is sent yet.
    ///
    /// # Errors
    /// Only from the journal.
    pub async fn tell(&self, incidents: &[Incident]) -> Result<u64> {
        let mut messages = Vec::new();
        for incident in incidents {
            let hooks = self.fleet.notifications.iter();
            for webhook in hooks.filter(|webhook| concerns(webhook, incident)) {
                messages.push((webhook.name.clone(), self.message(Some(incident))));
            }
        }
        self.store.put_deliveries(&messages).await
    }

    /// Sends what is due, and what becomes due within `patience`; with no patience each message is
    /// tried once.
    ///
    /// # Errors
    /// Only from the journal. What a receiver refuses is in the answer.
    pub async fn send_due(&self, patience: Duration) -> Result<Sent> {
        let deadline = self.clock.now() + patience;
        let mut sent = Sent::default();
        loop {
            let now = self.clock.now();
            let open = self.store.open_deliveries().await?;
            let unopened: HashSet<(&str, Uuid)> = open
                .iter()
                .filter_map(|delivery| opens(delivery).map(|id| (delivery.webhook.as_str(), id)))
                .collect();
            // That something is over is of no interest to whom nobody told that it began.
            let free: Vec<&Delivery> = open
                .iter()
                .filter(|delivery| {
                    closes(delivery)
                        .is_none_or(|id| !unopened.contains(&(delivery.webhook.as_str(), id)))
                })
                .collect();
            let due: Vec<&Delivery> = free
                .iter()
                .copied()
                .filter(|delivery| delivery.due_at <= now)
                .collect();
            if due.is_empty() {
                match free.iter().map(|delivery| delivery.due_at).min() {
                    Some(next) if next <= deadline => {
                        let wait = next.duration_since(now);
                        let wait = Duration::try_from(wait).unwrap_or_default();
                        self.clock.sleep(wait).await;
                        continue;
                    }
                    _ => break,
                }
            }
            let mut answers = stream::iter(due)
                .map(|delivery| self.send_one(delivery))
                .buffer_unordered(SENDS);
            while let Some(answer) = answers.next().await {
                match answer? {
                    Attempted::Elsewhere => {}
                    Attempted::Delivered => sent.delivered += 1,
                    Attempted::PutOff(one) => sent.put_off.push(one),
                    Attempted::Lost(one) => sent.lost.push(one),
                }
            }
        }
        // Only the last word about each.
        let open: HashSet<Uuid> = self
            .store
            .open_deliveries()
            .await?
            .iter()
            .map(|delivery| delivery.message.id)
            .collect();
        let mut told = HashSet::new();
        let put_off = std::mem::take(&mut sent.put_off);
        for one in put_off.into_iter().rev() {
            if open.contains(&one.id) && told.insert(one.id) {
                sent.put_off.insert(0, one);
            }
        }
        self.recorder.flush().await?;
        Ok(sent)
    }

    /// Sends a message that says that it is a test to webhooks, by name; to all if none is named.
    /// Nothing of it is written down.
    ///
    /// # Errors
    /// `NotFound` if there is no webhook of that name, or none at all.
    pub async fn test_notifications(
        &self,
        name: Option<&str>,
    ) -> Result<Vec<(String, Result<()>)>> {
        let names = self.fleet.notifications.iter().map(|hook| &hook.name);
        let chosen: Vec<&String> = names
            .filter(|known| name.is_none_or(|name| name == **known))
            .collect();
        if chosen.is_empty() {
            let what = match name {
                Some(name) => format!("no notification is named `{name}`"),
                None => "the configuration has no notifications".to_owned(),
            };
            return Err(Error::new(Kind::NotFound, what)
                .with_hint("they are configured by `[[notifications]]`"));
        }
        let mut results = Vec::new();
        for name in chosen {
            let result = match self.messengers.get(name) {
                Some(messenger) => messenger.send(&self.message(None), self.clock.now()).await,
                None => Err(unreachable_webhook(name)),
            };
            results.push((name.clone(), result));
        }
        Ok(results)
    }

    fn message(&self, incident: Option<&Incident>) -> Message {
        Message {
            id: Uuid::new_v4(),
            event: incident.map_or_else(|| "test".to_owned(), Incident::event),
            at: self.clock.now(),
            fleet: self.fleet.name.clone(),
            text: incident.map_or_else(
                || format!("this is a test of the fleet {}", self.fleet.name),
                Incident::line,
            ),
            incident: incident.cloned(),
        }
    }

    async fn send_one(&self, delivery: &Delivery) -> Result<Attempted> {
        let message = &delivery.message;
        let hooks = &self.fleet.notifications;
        let webhook = hooks.iter().find(|hook| hook.name == delivery.webhook);
        let (Some(webhook), Some(messenger)) = (webhook, self.messengers.get(&delivery.webhook))
        else {
            return self
                .lose(delivery, &unreachable_webhook(&delivery.webhook))
                .await;
        };
        let now = self.clock.now();
        let until = now + webhook.timeout.0 + GRACE;
        if !self.store.take_delivery(delivery, until).await? {
            return Ok(Attempted::Elsewhere);
        }
        let error = match messenger.send(message, now).await {
            Ok(()) => {
                let at = self.clock.now();
                self.store.end_delivery(message.id, at, None).await?;
                return Ok(Attempted::Delivered);
            }
            Err(error) => error,
        };
        let now = self.clock.now();
        let age = Duration::try_from(now.duration_since(message.at)).unwrap_or_default();
        if !may_pass(error.kind()) || age > GIVE_UP {
            return self.lose(delivery, &error).await;
        }
        let due = now + pause(delivery.attempts + 1, message.id, error.retry_after());
        let trouble = error.report().to_string();
        self.store
            .put_off_delivery(message.id, due, &trouble)
            .await?;
        Ok(Attempted::PutOff(undelivered(delivery, trouble, Some(due))))
    }

    async fn lose(&self, delivery: &Delivery, error: &Error) -> Result<Attempted> {
        let trouble = error.report().to_string();
        let at = self.clock.now();
        self.store
            .end_delivery(delivery.message.id, at, Some(&trouble))
            .await?;
        self.recorder.note(EventKind::NotificationLost {
            webhook: delivery.webhook.clone(),
            about: delivery.message.event.clone(),
            error: error.report(),
        });
        Ok(Attempted::Lost(undelivered(delivery, trouble, None)))
    }
}

/// What came of one attempt.
enum Attempted {
    /// Another process is at it.
    Elsewhere,
    Delivered,
    PutOff(Undelivered),
    Lost(Undelivered),
}

fn undelivered(delivery: &Delivery, trouble: String, due_at: Option<Timestamp>) -> Undelivered {
    Undelivered {
        webhook: delivery.webhook.clone(),
        id: delivery.message.id,
        event: delivery.message.event.clone(),
        trouble,
        due_at,
    }
}

/// The incident whose beginning it tells.
fn opens(delivery: &Delivery) -> Option<Uuid> {
    let incident = delivery.message.incident.as_ref()?;
    (!incident.is_resolved()).then_some(incident.id)
}

/// The incident whose end it tells.
fn closes(delivery: &Delivery) -> Option<Uuid> {
    let incident = delivery.message.incident.as_ref()?;
    incident.is_resolved().then_some(incident.id)
}

fn unreachable_webhook(name: &str) -> Error {
    Error::new(
        Kind::Config,
        format!("the notification `{name}` is not configured any more"),
    )
}

#[cfg(test)]
mod tests {
    use fleetwright_core::{IncidentKind, SecretRef, Severity, Span, WebhookFormat};

    use super::*;

    fn incident(severity: Severity, over: bool) -> Incident {
        let at: Timestamp = "2026-11-25T12:00:00Z".parse().unwrap();
        Incident {
            id: Uuid::from_u128(7),
            kind: IncidentKind::Drift,
            target: "web-1".into(),
            group: None,
            node: None,
            subject: "nginx".into(),
            severity,
            opened_at: at,
            resolved_at: over.then_some(at),
            message: "it differs".into(),
        }
    }

    fn webhook(events: &[&str], least: Option<Severity>) -> Webhook {
        Webhook {
            name: "ops".into(),
            url: SecretRef::Env("URL".into()),
            secret: None,
            format: WebhookFormat::Json,
            events: events.iter().map(|&event| event.to_owned()).collect(),
            min_severity: least,
            timeout: Span::seconds(10),
        }
    }

    #[test]
    fn a_webhook_is_told_what_it_asked_for() {
        use Severity::{Critical, High, Low};
        for (events, least, severity, over, told) in [
            (&[][..], None, Low, false, true),
            (&[], None, Low, true, true),
            (&["drift-*"], None, Low, true, true),
            (&["*-opened"], None, Low, false, true),
            (&["*-opened"], None, Low, true, false),
            (&["unreachable-*"], None, Critical, false, false),
            (&["unreachable-*", "drift-opened"], None, Low, false, true),
            (&[], Some(High), Low, false, false),
            (&[], Some(High), High, false, true),
            (&[], Some(High), Critical, true, true),
        ] {
            let webhook = webhook(events, least);
            let incident = incident(severity, over);
            assert_eq!(
                concerns(&webhook, &incident),
                told,
                "{events:?} {least:?} {severity} {over}"
            );
        }
    }

    #[test]
    fn pauses_grow_and_keep_to_what_was_asked_for() {
        let id = Uuid::from_u128(0);
        let seconds: Vec<u64> = (1..12).map(|n| pause(n, id, None).as_secs()).collect();
        assert_eq!(seconds, [2, 4, 8, 16, 32, 64, 128, 256, 512, 600, 600]);
        let asked = Some(Duration::from_secs(90));
        assert_eq!(pause(1, id, asked), Duration::from_secs(90));
        assert_eq!(pause(12, id, asked), LONGEST_PAUSE);
        let other = pause(1, Uuid::from_u128(u128::MAX), None);
        assert!(other > FIRST_PAUSE && other < FIRST_PAUSE.mul_f64(1.25));
    }
}
