//! The cloud's refusals: one function per answer, so that kinds and words stand in one place.

use std::time::Duration;

use fleetwright_core::{Effect, Error, Kind, Operation, Scope};

use crate::config::{QuotaUnit, SimQuota};

/// Refused for a reason that a test or the seed made up; nothing happened.
pub(crate) fn refused(operation: Operation, kind: Kind) -> Error {
    let name = operation.as_str();
    match kind {
        Kind::Unavailable => Error::new(kind, format!("the cloud is busy and refused `{name}`")),
        Kind::Timeout => Error::new(kind, format!("no answer to `{name}`")),
        Kind::RateLimited => throttled(operation, Duration::from_secs(1)),
        Kind::Auth => Error::new(kind, "the credentials have expired"),
        Kind::Permission => Error::new(kind, format!("the account may not `{name}`")),
        Kind::Unexpected => Error::new(kind, format!("the answer to `{name}` makes no sense")),
        _ => Error::new(kind, format!("the cloud refused `{name}` with `{kind}`")),
    }
    .with_context("cause", "simulated fault")
}

/// It happened, but the caller is not told.
pub(crate) fn lost(operation: Operation, kind: Kind) -> Error {
    let name = operation.as_str();
    match kind {
        Kind::Unavailable => Error::new(kind, format!("the connection was cut during `{name}`")),
        _ => refused(operation, kind),
    }
    .with_effect(Effect::Unknown)
}

/// Too fast.
pub(crate) fn throttled(operation: Operation, retry_after: Duration) -> Error {
    Error::new(
        Kind::RateLimited,
        format!("too many calls of `{}`", operation.as_str()),
    )
    .with_retry_after(retry_after)
}

/// A region whose listing is broken.
pub(crate) fn listing_broken(region: &str) -> Error {
    Error::new(
        Kind::Unavailable,
        format!("region `{region}` cannot be listed"),
    )
    .with_context("region", region)
}

/// No machine to be had.
pub(crate) fn sold_out(
    region: &str,
    zone: Option<&str>,
    instance_type: &str,
    hints: &[String],
) -> Error {
    let (place, scope) = match zone {
        Some(zone) => (zone, Scope::Zone),
        None => (region, Scope::Region),
    };
    let error = Error::new(
        Kind::Capacity,
        format!("not enough `{instance_type}` capacity in `{place}`"),
    )
    .with_scope(scope)
    .with_context("region", region);
    match hints {
        [] => error,
        zones => error.with_hint(format!("there is some in `{}`", zones.join("`, `"))),
    }
}

/// The account may have no more.
pub(crate) fn over_quota(quota: &SimQuota) -> Error {
    let unit = unit_name(quota.unit);
    match &quota.region {
        Some(region) => Error::new(
            Kind::Quota,
            format!("the account may have {} {unit} in `{region}`", quota.limit),
        )
        .with_scope(Scope::Region)
        .with_context("region", region),
        None => Error::new(
            Kind::Quota,
            format!("the account may have {} {unit}", quota.limit),
        )
        .with_scope(Scope::Provider),
    }
}

/// The account may have no more, whatever its quota says.
pub(crate) fn over_quota_by_order() -> Error {
    Error::new(Kind::Quota, "the account may have no more").with_scope(Scope::Provider)
}

/// The name of what a quota counts.
pub(crate) fn unit_name(unit: QuotaUnit) -> &'static str {
    match unit {
        QuotaUnit::Nodes => "nodes",
        QuotaUnit::Vcpus => "vcpus",
        QuotaUnit::Gpus => "gpus",
    }
}

/// A request that asks for something that does not exist or may not be.
pub(crate) fn invalid(message: impl Into<String>) -> Error {
    Error::new(Kind::Invalid, message)
}

/// Something that is not there.
pub(crate) fn not_found(message: impl Into<String>) -> Error {
    Error::new(Kind::NotFound, message)
}

/// Something that contradicts what is there.
pub(crate) fn conflict(message: impl Into<String>) -> Error {
    Error::new(Kind::Conflict, message)
}
