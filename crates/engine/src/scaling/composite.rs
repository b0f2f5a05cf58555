//! `composite`: one size out of several policies'.
//!
//! A policy that cannot tell stands for the present size: a maximum does not fall below it, a
//! minimum does not rise above it. If none can tell, the composite cannot either.

use fleetwright_core::{Combine, Composite};

use super::{Basis, Vote, nodes};

pub(super) fn vote(policy: &Composite, basis: &Basis<'_>) -> Vote {
    let of: Vec<Vote> = policy
        .of
        .iter()
        .map(|inner| super::vote(inner, basis))
        .collect();
    let sizes: Vec<u32> = of
        .iter()
        .map(|vote| vote.wants.unwrap_or(basis.size))
        .collect();
    let knows = of.iter().any(|vote| vote.wants.is_some());
    let (word, combined) = match policy.combine {
        Combine::Max => ("the greatest", sizes.iter().max().copied()),
        Combine::Min => ("the least", sizes.iter().min().copied()),
        Combine::Average => ("the average", average(&sizes)),
    };
    let wants = combined.filter(|_| knows);
    let each: Vec<String> = of
        .iter()
        .map(|vote| match vote.wants {
            Some(size) => format!("{} for {}", nodes(size), vote.reason),
            None => format!("{} as before, because {}", nodes(basis.size), vote.reason),
        })
        .collect();
    let reason = match wants {
        Some(size) => format!("{} is {word} of: {}", nodes(size), each.join(", ")),
        None => format!("no inner policy can tell: {}", each.join(", ")),
    };
    Vote {
        policy: "composite",
        signal: None,
        value: None,
        measured_at: None,
        wants,
        reason,
        of,
    }
}

/// Rounded up: rather a machine too many than one too few.
fn average(sizes: &[u32]) -> Option<u32> {
    let sum: u64 = sizes.iter().copied().map(u64::from).sum();
    let count = u64::try_from(sizes.len()).ok().filter(|count| *count > 0)?;
    u32::try_from(sum.div_ceil(count)).ok()
}
