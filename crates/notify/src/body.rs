//! What is sent: JSON of ours, or a message as Slack and Mattermost take it. Both are bounded.

use fleetwright_core::{Error, Kind, Message, Result, WebhookFormat};
use serde_json::{Value, json};

/// Most characters of a text. Slack cuts at 40,000
/// (<https://docs.slack.dev/changelog/2018-truncating-really-long-messages>); nobody reads as many.
const TEXT_LIMIT: usize = 2_000;

/// The body of a message.
pub(crate) fn of(message: &Message, format: WebhookFormat) -> Result<Value> {
    match format {
        WebhookFormat::Json => {
            let mut message = message.clone();
            message.text = cut(&message.text);
            if let Some(incident) = &mut message.incident {
                incident.message = cut(&incident.message);
            }
            serde_json::to_value(&message).map_err(|error| {
                Error::new(Kind::Unexpected, "a notification cannot be written as JSON")
                    .with_source(error)
            })
        }
        WebhookFormat::Slack => {
            let sign = match &message.incident {
                None => ":information_source:",
                Some(incident) if incident.is_resolved() => ":white_check_mark:",
                Some(_) => ":rotating_light:",
            };
            let severity = match &message.incident {
                Some(incident) if !incident.is_resolved() => format!(" ({})", incident.severity),
                _ => String::new(),
            };
            let text = escaped(&cut(&message.text));
            let fleet = escaped(&message.fleet);
            Ok(json!({ "text": format!("{sign} *{fleet}*{severity} {text}") }))
        }
    }
}

fn cut(text: &str) -> String {
    if text.chars().count() <= TEXT_LIMIT {
        return text.to_owned();
    }
    let mut short: String = text.chars().take(TEXT_LIMIT - 1).collect();
    short.push('…');
    short
}

/// The three characters that mean something to Slack
/// (<https://docs.slack.dev/messaging/formatting-message-text#escaping>).
fn escaped(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
}
