//! Faults at the wire, ordered by tests: what happens to which call.

use std::time::Duration;

/// One order: the next calls of an action fail in some way.
#[derive(Debug, Clone)]
pub struct Failure {
    /// The action, for example `RunInstances`; several are joined by `|`; `*` for any.
    pub action: String,
    /// Only calls to this region; any if absent.
    pub region: Option<String>,
    /// How many matching calls pass first.
    pub skip: u32,
    /// How many matching calls then fail; `u32::MAX` for all.
    pub times: u32,
    /// What happens to them.
    pub how: How,
}

impl Failure {
    /// The next call of `action`, once, in any region.
    pub fn once(action: &str, how: How) -> Self {
        Self {
            action: action.to_owned(),
            region: None,
            skip: 0,
            times: 1,
            how,
        }
    }

    /// Every call of `action`, in any region.
    pub fn always(action: &str, how: How) -> Self {
        Self {
            times: u32::MAX,
            ..Self::once(action, how)
        }
    }
}

/// What happens to a call that fails.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum How {
    /// No effect; the service says no, in its own words.
    Refuse {
        /// The HTTP status.
        status: u16,
        /// The vendor's code.
        code: String,
        /// The vendor's sentence.
        message: String,
    },
    /// No effect; the connection is closed without an answer.
    CloseBefore,
    /// The effect takes place; the connection is closed without an answer.
    CloseAfter,
    /// The effect takes place; the connection is closed in the middle of the body.
    HalfBody,
    /// No effect; a proxy answers with a page of HTML.
    Html {
        /// The HTTP status.
        status: u16,
    },
    /// The effect takes place at once, the answer comes this much later.
    Delay(Duration),
    /// The effect takes place; the answer is neither XML nor JSON.
    Garbage,
}

/// The orders that are not used up.
#[derive(Debug, Default)]
pub(crate) struct Faults {
    orders: Vec<Failure>,
}

impl Faults {
    /// Adds an order.
    pub(crate) fn add(&mut self, failure: Failure) {
        self.orders.push(failure);
    }

    /// Forgets all orders.
    pub(crate) fn clear(&mut self) {
        self.orders.clear();
    }

    /// What happens to this call; uses the order up.
    pub(crate) fn take(&mut self, action: &str, region: &str) -> Option<How> {
        let mut found = None;
        for order in &mut self.orders {
            let is_meant = order
                .action
                .split('|')
                .any(|meant| meant == "*" || meant == action)
                && order.region.as_deref().is_none_or(|r| r == region)
                && order.times > 0;
            if !is_meant {
                continue;
            }
            if order.skip > 0 {
                order.skip -= 1;
                continue;
            }
            if order.times != u32::MAX {
                order.times -= 1;
            }
            found = Some(order.how.clone());
            break;
        }
        self.orders.retain(|order| order.times > 0);
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_order_skips_and_is_used_up() {
        let mut faults = Faults::default();
        faults.add(Failure {
            region: Some("r".to_owned()),
            skip: 1,
            times: 2,
            ..Failure::once("Run", How::CloseBefore)
        });
        let mut hits = |action: &str, region: &str| faults.take(action, region).is_some();
        assert!(!hits("Other", "r"));
        assert!(!hits("Run", "elsewhere"));
        assert!(!hits("Run", "r"), "the first passes");
        assert!(hits("Run", "r") && hits("Run", "r"));
        assert!(!hits("Run", "r"), "used up");
    }
}
