//! Who is told what.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{SecretRef, Severity, Span};

/// A place that is told about incidents, by HTTP.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Webhook {
    /// Its name, for messages.
    pub name: String,
    /// Where it is posted to. A reference, since such addresses often hold a secret.
    pub url: SecretRef,
    /// The key of the signature. Absent: not signed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret: Option<SecretRef>,
    /// What the body looks like.
    #[serde(default)]
    pub format: WebhookFormat,
    /// Which events, by name or with `*`: `drift-*`. Absent: all incidents.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub events: Vec<String>,
    /// Only incidents of at least this severity.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min_severity: Option<Severity>,
    /// Limit of one attempt.
    #[serde(default = "ten_seconds")]
    pub timeout: Span,
}

const fn ten_seconds() -> Span {
    Span::seconds(10)
}

/// What the body of a notification looks like.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum WebhookFormat {
    /// The incident, as JSON.
    #[default]
    Json,
    /// A message as Slack, Mattermost and others take it.
    Slack,
}
