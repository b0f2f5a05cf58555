//! One error for every operation: what kind, did it happen, what helps.
//!
//! Two questions are kept apart. *Did it happen?* is the [`Effect`]. *What helps?* is the
//! [`Remedy`], which follows from the [`Kind`] alone. Providers translate vendor answers into a
//! kind in one table; nobody above them looks at vendor codes.

use std::borrow::Cow;
use std::error::Error as StdError;
use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// A result whose error is [`Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What went wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// The configuration of Fleetwright itself is wrong.
    Config,
    /// The request is malformed or asks for something that does not exist.
    Invalid,
    /// The credentials are missing, wrong or expired. Never failed over.
    Auth,
    /// The credentials are good but may not do this.
    Permission,
    /// The thing asked for is not there.
    NotFound,
    /// The state of the world contradicts the request: stale plan, name taken, token reused.
    Conflict,
    /// The account may not have more of this.
    Quota,
    /// The cloud has no machine of this kind to give at the moment.
    Capacity,
    /// Too many requests; see [`Error::retry_after`].
    RateLimited,
    /// The other side is down, busy or not reachable.
    Unavailable,
    /// No answer within the time allowed.
    Timeout,
    /// Our own circuit breaker is open: the provider was not asked.
    Suspended,
    /// This provider or node cannot do that.
    Unsupported,
    /// An answer that nobody foresaw, or a defect of ours.
    Unexpected,
}

/// What helps against an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Remedy {
    /// The same call may succeed later.
    RetryHere,
    /// The same call will keep failing for now; another offer may succeed.
    TryElsewhere,
    /// Nothing automatic helps.
    GiveUp,
}

/// Whether the operation may have taken effect although it failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Effect {
    /// It certainly did not happen.
    None,
    /// It may have happened: the answer was lost or cannot be trusted.
    Unknown,
}

/// How far a capacity or quota error reaches.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Scope {
    /// Only the zone that was asked.
    Zone,
    /// The whole region.
    Region,
    /// The whole provider account.
    Provider,
}

impl Kind {
    /// All kinds, in the order of the table in the reference.
    pub const ALL: [Self; 14] = [
        Self::Config,
        Self::Invalid,
        Self::Auth,
        Self::Permission,
        Self::NotFound,
        Self::Conflict,
        Self::Quota,
        Self::Capacity,
        Self::RateLimited,
        Self::Unavailable,
        Self::Timeout,
        Self::Suspended,
        Self::Unsupported,
        Self::Unexpected,
    ];

    /// What helps against errors of this kind.
    pub const fn remedy(self) -> Remedy {
        match self {
            Self::RateLimited | Self::Unavailable | Self::Timeout => Remedy::RetryHere,
            Self::Capacity | Self::Quota | Self::Suspended => Remedy::TryElsewhere,
            Self::Config
            | Self::Invalid
            | Self::Auth
            | Self::Permission
            | Self::NotFound
            | Self::Conflict
            | Self::Unsupported
            | Self::Unexpected => Remedy::GiveUp,
        }
    }

    /// The status the HTTP API answers with and the status the command exits with.
    ///
    /// Exit status 2 is left to the argument parser; 20 and up belong to outcomes that are not
    /// errors (see the CLI reference).
    const fn codes(self) -> (u16, u8) {
        match self {
            Self::Unexpected => (500, 1),
            Self::Config => (422, 3),
            Self::Invalid => (400, 4),
            Self::Auth => (401, 5),
            Self::Permission => (403, 6),
            Self::NotFound => (404, 7),
            Self::Conflict => (409, 8),
            Self::Quota => (422, 9),
            Self::Capacity => (503, 10),
            Self::RateLimited => (429, 11),
            Self::Unavailable => (502, 12),
            Self::Timeout => (504, 13),
            Self::Suspended => (503, 14),
            Self::Unsupported => (501, 15),
        }
    }

    /// HTTP status of this kind in the management API.
    pub const fn http_status(self) -> u16 {
        self.codes().0
    }

    /// Exit status of this kind on the command line.
    pub const fn exit_code(self) -> u8 {
        self.codes().1
    }

    /// The stable, lower-case name used in `--json` and in the journal.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Config => "config",
            Self::Invalid => "invalid",
            Self::Auth => "auth",
            Self::Permission => "permission",
            Self::NotFound => "not-found",
            Self::Conflict => "conflict",
            Self::Quota => "quota",
            Self::Capacity => "capacity",
            Self::RateLimited => "rate-limited",
            Self::Unavailable => "unavailable",
            Self::Timeout => "timeout",
            Self::Suspended => "suspended",
            Self::Unsupported => "unsupported",
            Self::Unexpected => "unexpected",
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// An error with its kind, effect and context.
///
/// `Display` is a lower-case fragment without the source; [`Error::report`] has everything.
///
/// ```
/// use fleetwright_core::{Effect, Error, Kind};
///
/// let error = Error::new(Kind::Timeout, "no answer to `create` after 30s")
///     .with_effect(Effect::Unknown)
///     .with_context("provider", "aws-east");
/// assert_eq!(error.to_string(), "no answer to `create` after 30s");
/// assert_eq!(error.kind().exit_code(), 13);
/// ```
pub struct Error(Box<Inner>);

struct Inner {
    kind: Kind,
    effect: Effect,
    scope: Option<Scope>,
    retry_after: Option<Duration>,
    message: String,
    hint: Option<String>,
    context: Vec<(Cow<'static, str>, String)>,
    source: Option<Box<dyn StdError + Send + Sync>>,
}

// === impl Error ===

impl Error {
    /// The context under which a capacity error names zones that do have capacity, joined by `, `:
    /// a hint that may be wrong, and decays.
    pub const ZONES: &'static str = "zones-with-capacity";

    /// The context under which a capacity error says that a request for several machines was
    /// refused as a whole, so that fewer may well be had: see [`Self::refused_whole`].
    pub const WHOLE: &'static str = "refused-whole";

    /// The context of a `rate-limited` error whose call was not sent, because an earlier answer's
    /// headers had announced that it would be refused. Its value names the bucket. Nobody called
    /// too fast then: the guard holds all processes back, and does not take its rate for too high.
    pub const ANNOUNCED: &'static str = "announced-limit";

    /// Makes an error. The effect starts as [`Effect::None`], except for timeouts and unexpected
    /// answers, where nobody can know.
    pub fn new(kind: Kind, message: impl Into<String>) -> Self {
        let effect = match kind {
            Kind::Timeout | Kind::Unexpected => Effect::Unknown,
            _ => Effect::None,
        };
        Self(Box::new(Inner {
            kind,
            effect,
            scope: None,
            retry_after: None,
            message: message.into(),
            hint: None,
            context: Vec::new(),
            source: None,
        }))
    }

    /// Says whether the operation may have happened.
    #[must_use]
    pub fn with_effect(mut self, effect: Effect) -> Self {
        self.0.effect = effect;
        self
    }

    /// Says how far a capacity or quota error reaches.
    #[must_use]
    pub fn with_scope(mut self, scope: Scope) -> Self {
        self.0.scope = Some(scope);
        self
    }

    /// Carries the vendor's wish for when to come back.
    #[must_use]
    pub fn with_retry_after(mut self, after: Duration) -> Self {
        self.0.retry_after = Some(after);
        self
    }

    /// Adds a name and value to the context, e.g. `region`, `request-id`.
    #[must_use]
    pub fn with_context(
        mut self,
        name: impl Into<Cow<'static, str>>,
        value: impl Into<String>,
    ) -> Self {
        self.0.context.push((name.into(), value.into()));
        self
    }

    /// Says what the reader can do about it.
    #[must_use]
    pub fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.0.hint = Some(hint.into());
        self
    }

    /// Keeps the error that caused this one.
    #[must_use]
    pub fn with_source(mut self, source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        self.0.source = Some(source.into());
        self
    }

    /// What went wrong.
    pub fn kind(&self) -> Kind {
        self.0.kind
    }

    /// Whether it may have happened all the same.
    pub fn effect(&self) -> Effect {
        self.0.effect
    }

    /// How far it reaches, for capacity and quota.
    pub fn scope(&self) -> Option<Scope> {
        self.0.scope
    }

    /// When the other side wants to be asked again.
    pub fn retry_after(&self) -> Option<Duration> {
        self.0.retry_after
    }

    /// What the reader can do about it.
    pub fn hint(&self) -> Option<&str> {
        self.0.hint.as_deref()
    }

    /// Names and values that say where it happened, in the order they were added.
    pub fn context(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0
            .context
            .iter()
            .map(|(name, value)| (name.as_ref(), value.as_str()))
    }

    /// Says that a cloud that gives all or nothing has refused the whole of a request. Without it a
    /// capacity error means that not a single machine was to be had.
    #[must_use]
    pub fn refused_whole(self, machines: u32) -> Self {
        self.with_context(Self::WHOLE, machines.to_string())
    }

    /// Whether fewer machines may be had where these were refused.
    pub fn is_refused_whole(&self) -> bool {
        self.kind() == Kind::Capacity && self.context().any(|(name, _)| name == Self::WHOLE)
    }

    /// Everything, in a form that can be stored and sent.
    pub fn report(&self) -> ErrorReport {
        let mut causes = Vec::new();
        let mut cause = StdError::source(self);
        while let Some(error) = cause {
            causes.push(error.to_string());
            cause = error.source();
        }
        ErrorReport {
            kind: self.kind(),
            effect: self.effect(),
            scope: self.scope(),
            message: self.0.message.clone(),
            context: self
                .context()
                .map(|(n, v)| (n.to_owned(), v.to_owned()))
                .collect(),
            causes,
            hint: self.0.hint.clone(),
            retry_after_ms: self
                .retry_after()
                .map(|after| u64::try_from(after.as_millis()).unwrap_or(u64::MAX)),
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.message)
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.report(), f)
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.0
            .source
            .as_ref()
            .map(|source| &**source as &(dyn StdError + 'static))
    }
}

/// An [`Error`] as data: for `--json`, for the journal, and to keep one error for many nodes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ErrorReport {
    /// What went wrong.
    pub kind: Kind,
    /// Whether it may have happened all the same.
    pub effect: Effect,
    /// How far a capacity or quota error reaches.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scope: Option<Scope>,
    /// The fragment that `Display` prints.
    pub message: String,
    /// Where it happened.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub context: Vec<(String, String)>,
    /// The messages of the sources, outermost first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub causes: Vec<String>,
    /// What the reader can do about it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
    /// When to ask again, in milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_after_ms: Option<u64>,
}

impl fmt::Display for ErrorReport {
    /// One line: message and causes, joined by colons.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)?;
        for cause in &self.causes {
            write!(f, ": {cause}")?;
        }
        Ok(())
    }
}

impl From<ErrorReport> for Error {
    fn from(report: ErrorReport) -> Self {
        let mut error = Self::new(report.kind, report.message).with_effect(report.effect);
        error.0.scope = report.scope;
        error.0.hint = report.hint;
        error.0.retry_after = report.retry_after_ms.map(Duration::from_millis);
        error.0.context = report
            .context
            .into_iter()
            .map(|(n, v)| (Cow::Owned(n), v))
            .collect();
        if !report.causes.is_empty() {
            error.0.source = Some(report.causes.join(": ").into());
        }
        error
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_has_its_own_exit_code_below_20() {
        let mut codes: Vec<u8> = Kind::ALL.iter().map(|kind| kind.exit_code()).collect();
        codes.sort_unstable();
        codes.dedup();
        assert_eq!(codes.len(), Kind::ALL.len());
        assert!(
            codes
                .iter()
                .all(|code| (1..20).contains(code) && *code != 2)
        );
    }

    #[test]
    fn the_name_of_a_kind_is_the_one_that_serde_writes() {
        for kind in Kind::ALL {
            assert_eq!(serde_json::to_value(kind).unwrap(), kind.as_str());
        }
    }

    #[test]
    fn a_report_survives_the_way_back() {
        let error = Error::new(Kind::Capacity, "no g5 in zone a")
            .with_scope(Scope::Zone)
            .with_context("zone", "a")
            .with_source("vendor says no")
            .with_hint("try zone b");
        let report = error.report();
        assert_eq!(Error::from(report.clone()).report(), report);
        assert_eq!(report.to_string(), "no g5 in zone a: vendor says no");
    }
}
