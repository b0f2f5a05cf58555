//! `reactive`: some machines more above a threshold, some fewer below another.

use fleetwright_core::Reactive;

use super::{Basis, Vote};

/// The comparisons are strict: at exactly a threshold nothing happens.
pub(super) fn vote(policy: &Reactive, basis: &Basis<'_>) -> Vote {
    const NAME: &str = "reactive";
    let signal = &policy.signal;
    let newest = match basis.newest(signal) {
        Ok(newest) => newest,
        Err(why) => return Vote::none(NAME, signal, why),
    };
    let value = newest.value;
    let (wants, reason) = if value > policy.above {
        (
            basis.size.saturating_add(policy.up),
            format!("`{signal}` is {value}, above {}", policy.above),
        )
    } else if value < policy.below {
        (
            basis.size.saturating_sub(policy.down),
            format!("`{signal}` is {value}, below {}", policy.below),
        )
    } else {
        (
            basis.size,
            format!(
                "`{signal}` is {value}, not above {} and not below {}",
                policy.above, policy.below
            ),
        )
    };
    Vote::on(NAME, signal, newest, wants, reason)
}
