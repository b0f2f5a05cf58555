//! The cloud's refusals: one function per answer, so that kinds and words stand in one place.

use std::time::Duration;

use fleetwright_core::{Effect, Error, Kind, Operation, Scope};

use crate::config::{QuotaUnit, SimQuota};

/// Busy; nothing happened.
pub(crate) fn refused(operation: Operation) -> Error {
    Error::new(
        Kind::Unavailable,
        format!("the cloud is busy and refused `{}`", operation.as_str()),
    )
}

/// No answer. It comes as a time-out or as a cut connection; either way nobody knows.
pub(crate) fn lost(operation: Operation, call: u64) -> Error {
    let operation = operation.as_str();
    if call.is_multiple_of(2) {
        Error::new(Kind::Timeout, format!("no answer to `{operation}`"))
    } else {
        Error::new(
            Kind::Unavailable,
            format!("the connection was cut during `{operation}`"),
        )
        .with_effect(Effect::Unknown)
    }
}

/// An answer that makes no sense.
pub(crate) fn garbage(operation: Operation) -> Error {
    Error::new(
        Kind::Unexpected,
        format!("the answer to `{}` makes no sense", operation.as_str()),
    )
}

/// Too fast.
pub(crate) fn throttled(operation: Operation, retry_after: Duration) -> Error {
    Error::new(
        Kind::RateLimited,
        format!("too many calls of `{}`", operation.as_str()),
    )
    .with_retry_after(retry_after)
}

/// The credentials have expired.
pub(crate) fn auth_expired() -> Error {
    Error::new(Kind::Auth, "the credentials have expired")
        .with_hint("this is a simulated fault: see `faults.auth_expired`")
}

/// The credentials may not do this.
pub(crate) fn forbidden(operation: Operation) -> Error {
    Error::new(
        Kind::Permission,
        format!("the account may not `{}`", operation.as_str()),
    )
    .with_hint("this is a simulated fault: see `faults.forbidden`")
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
