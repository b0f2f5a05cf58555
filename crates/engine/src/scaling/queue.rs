//! `queue`: as many machines as there is work for.

use fleetwright_core::Queue;

use super::{Basis, Vote, nodes};

pub(super) fn vote(policy: &Queue, basis: &Basis<'_>) -> Vote {
    const NAME: &str = "queue";
    let signal = &policy.signal;
    let newest = match basis.newest(signal) {
        Ok(newest) => newest,
        Err(why) => return Vote::none(NAME, signal, why),
    };
    let wants = policy.per_node.ceiling_of(newest.value);
    let reason = format!(
        "`{signal}` is {}, at {} for each node: {}",
        newest.value,
        policy.per_node,
        nodes(wants)
    );
    Vote::on(NAME, signal, newest, wants, reason)
}
