//! `predictive`: the straight line that fits best through the values of a window, followed ahead.
//!
//! In whole numbers throughout: millionths and seconds, 128 bits wide. So the same values give the
//! same size everywhere.

use std::time::Duration;

use fleetwright_core::{Predictive, Quantity, Sample, Span};

use super::{Basis, Vote, nodes};
use crate::life::elapsed;

/// Values that a line needs at least.
const FEWEST: usize = 3;

pub(super) fn vote(policy: &Predictive, basis: &Basis<'_>) -> Vote {
    const NAME: &str = "predictive";
    let signal = &policy.signal;
    let newest = match basis.newest(signal) {
        Ok(newest) => newest,
        Err(why) => return Vote::none(NAME, signal, why),
    };
    let samples: Vec<Sample> = basis
        .readings
        .get(signal)
        .map(|reading| reading.samples.as_slice())
        .unwrap_or_default()
        .iter()
        .filter(|sample| sample.at <= basis.now && elapsed(sample.at, basis.now) <= policy.window.0)
        .copied()
        .collect();
    if samples.len() < FEWEST {
        let why = format!(
            "the signal `{signal}` has {} values of the last {}, too few for a trend",
            samples.len(),
            policy.window
        );
        return Vote::none(NAME, signal, why);
    }
    let at = basis
        .now
        .as_second()
        .saturating_add(seconds(policy.ahead.0));
    let Some(predicted) = predict(&samples, at) else {
        let why = format!("the values of the signal `{signal}` give no trend");
        return Vote::none(NAME, signal, why);
    };
    // What is there needs its machines, whatever is to come.
    let wants = policy.per_node.ceiling_of(predicted.max(newest.value));
    let reason = format!(
        "`{signal}` is {} and will be {predicted} in {}, by {} values of the last {}, at {} for \
         each node: {}",
        newest.value,
        policy.ahead,
        samples.len(),
        Span(Duration::from_secs(policy.window.0.as_secs())),
        policy.per_node,
        nodes(wants)
    );
    Vote::on(NAME, signal, newest, wants, reason)
}

fn seconds(duration: Duration) -> i64 {
    i64::try_from(duration.as_secs()).unwrap_or(i64::MAX)
}

/// The value at an instant of the line that has the least squares of distances. Never below zero.
/// `None` if all values are of the same second, or if the numbers are too great.
///
/// With x counted from that instant the value is where the line crosses x = 0:
/// `(Σy·Σx² − Σx·Σxy) / (n·Σx² − (Σx)²)`.
fn predict(samples: &[Sample], at: i64) -> Option<Quantity> {
    let n = i128::try_from(samples.len()).ok()?;
    let (mut sx, mut sy, mut sxx, mut sxy) = (0_i128, 0_i128, 0_i128, 0_i128);
    for sample in samples {
        let x = i128::from(sample.at.as_second()) - i128::from(at);
        let y = i128::from(sample.value.as_micros());
        sx = sx.checked_add(x)?;
        sy = sy.checked_add(y)?;
        sxx = sxx.checked_add(x.checked_mul(x)?)?;
        sxy = sxy.checked_add(x.checked_mul(y)?)?;
    }
    let below = n.checked_mul(sxx)?.checked_sub(sx.checked_mul(sx)?)?;
    if below == 0 {
        return None;
    }
    let above = sy.checked_mul(sxx)?.checked_sub(sx.checked_mul(sxy)?)?;
    let micros = u64::try_from((above / below).max(0)).ok()?;
    Quantity::from_micros(micros)
}
