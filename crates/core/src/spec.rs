//! What is asked of a provider, and what it gave.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::{ClaimId, Error, Fingerprint, Labels, Node, Result, Scope, Secret, fingerprint};

/// How a machine is bought.
#[derive(
    Debug,
    Clone,
    Copy,
    Default,
    PartialEq,
    Eq,
    Hash,
    PartialOrd,
    Ord,
    Serialize,
    Deserialize,
    JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum Market {
    /// At the list price, until it is given back.
    #[default]
    OnDemand,
    /// Cheaper, and the cloud may take it back.
    Spot,
}

impl Market {
    /// The name used in JSON, configuration and tables.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::OnDemand => "on-demand",
            Self::Spot => "spot",
        }
    }
}

impl fmt::Display for Market {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// Everything a provider must know to make a machine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeSpec {
    /// Base of the name. One machine of several gets `-<ordinal>` appended:
    /// [`CreateRequest::machine_name`].
    pub name: String,
    /// The provider's name of the instance type.
    pub instance_type: String,
    /// Image, in the provider's words; absent: the provider's default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image: Option<String>,
    /// Region.
    pub region: String,
    /// Zone; absent: the provider chooses.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub zone: Option<String>,
    /// On-demand or spot.
    #[serde(default)]
    pub market: Market,
    /// Public keys that may log in, in OpenSSH's format.
    #[serde(default)]
    pub ssh_keys: Vec<String>,
    /// A script (`#!`) or a cloud-config document (`#cloud-config`), before any encoding.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user_data: Option<String>,
    /// Labels to put on the machine, ours included.
    #[serde(default)]
    pub labels: Labels,
    /// Options of this provider, checked against its schema when the configuration is read.
    #[serde(default)]
    pub options: Map<String, Value>,
}

/// What makes a repeated create call the same call: derived from the claim, its attempt and the
/// parameters, so other parameters can never share a token.
///
/// At most 46 characters of `[a-z0-9-]`: a valid client token on AWS (64), a valid label value
/// everywhere (Linode tags end at 50).
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Token(String);

impl Token {
    /// The token of one attempt of a claim.
    pub fn new(claim: ClaimId, attempt: u32, parameters: &Fingerprint) -> Self {
        Self(format!(
            "{}-{attempt}-{}",
            claim.as_uuid().simple(),
            parameters.short()
        ))
    }

    /// Takes a token from where it was stored: the journal or a label.
    pub fn from_stored(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

/// A request for machines (never for weighted units).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CreateRequest {
    /// How many machines. At least 1, at most `ProviderInfo::batch`.
    pub count: u32,
    /// What each of them is.
    pub spec: NodeSpec,
    /// The identity of this request.
    pub token: Token,
    /// Whether the request may have been sent before. Providers without native tokens list the
    /// machines that carry the token first, and make only what is missing.
    pub replay: bool,
    /// The host key that the machines shall have. It belongs to the token and is never stored or
    /// shown: whoever sends the request derives it again.
    #[serde(skip)]
    pub host_key: Option<HostKey>,
}

/// A key pair by which a machine proves who it is at its first login.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostKey {
    /// The public half in OpenSSH's format, without a comment: `ssh-ed25519 AAAA…`.
    pub public: String,
    /// The private half in OpenSSH's format.
    pub private: Secret,
}

/// Makes host keys: for the same token always the same, so that a repeated request is the same
/// request, and a node's key is known without having been stored.
pub trait HostKeys: fmt::Debug + Send + Sync {
    /// The key of the machines that this token makes.
    ///
    /// # Errors
    /// `Unexpected` if no key can be made.
    fn host_key(&self, token: &Token) -> Result<HostKey>;
}

impl CreateRequest {
    /// The name of one of the machines, counted from 0.
    pub fn machine_name(&self, ordinal: u32) -> String {
        format!("{}-{ordinal}", self.spec.name)
    }

    /// The hash of everything but the token: what a token is bound to.
    pub fn parameters(&self) -> Fingerprint {
        fingerprint(&(self.count, &self.spec))
    }
}

/// What came of a [`CreateRequest`]. Fewer machines than asked for are a value, not an error.
#[derive(Debug)]
pub struct Created {
    /// The machines that exist because of this token, including those of an earlier call with it.
    pub nodes: Vec<Node>,
    /// Why there are fewer than asked for. `Some` if and only if `nodes` is short.
    pub shortfall: Option<Error>,
    /// Zones that the provider named as having capacity; a hint that decays.
    pub zone_hints: Vec<String>,
}

impl Created {
    /// All that was asked for.
    pub fn all(nodes: Vec<Node>) -> Self {
        Self {
            nodes,
            shortfall: None,
            zone_hints: Vec::new(),
        }
    }

    /// Only a part, and why.
    pub fn partial(nodes: Vec<Node>, shortfall: Error) -> Self {
        Self {
            nodes,
            shortfall: Some(shortfall),
            zone_hints: Vec::new(),
        }
    }

    /// How far the reason of the shortfall reaches; the zone if it does not say.
    pub fn shortfall_scope(&self) -> Option<Scope> {
        self.shortfall
            .as_ref()
            .map(|error| error.scope().unwrap_or(Scope::Zone))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_bound_to_claim_attempt_and_parameters_and_fits_every_cloud() {
        let (claim, other) = (ClaimId::new(), ClaimId::new());
        let (a, b) = (fingerprint("a"), fingerprint("b"));
        let token = Token::new(claim, 1, &a);
        assert_eq!(token, Token::new(claim, 1, &a));
        for different in [
            Token::new(other, 1, &a),
            Token::new(claim, 2, &a),
            Token::new(claim, 1, &b),
        ] {
            assert_ne!(token, different);
        }
        let longest = Token::new(claim, 999, &a);
        assert!(longest.as_str().len() <= 46, "{longest}");
        assert!(
            longest
                .as_str()
                .chars()
                .all(|c| c.is_ascii_alphanumeric() || c == '-')
        );
    }
}
