//! What there is not: machines, vCPUs of the account, calls per second.

use std::collections::BTreeMap;
use std::time::Instant;

/// How many further machines there are, by zone and type. Without a limit there are any number.
/// What is terminated does not come back: a test says when there is more.
#[derive(Debug, Default)]
pub(crate) struct Capacity {
    limits: BTreeMap<(Option<String>, Option<String>), u32>,
}

impl Capacity {
    /// Limits a zone (or all) and a type (or all), or lifts that limit.
    pub(crate) fn set(&mut self, zone: Option<&str>, kind: Option<&str>, further: Option<u32>) {
        let key = (zone.map(ToOwned::to_owned), kind.map(ToOwned::to_owned));
        match further {
            Some(further) => self.limits.insert(key, further),
            None => self.limits.remove(&key),
        };
    }

    /// How many machines of a type a zone still has: the tightest limit that applies.
    pub(crate) fn left(&self, zone: &str, kind: &str) -> u32 {
        self.limits
            .iter()
            .filter(|(key, _)| applies(key, zone, kind))
            .map(|(_, left)| *left)
            .min()
            .unwrap_or(u32::MAX)
    }

    /// Takes machines away.
    pub(crate) fn take(&mut self, zone: &str, kind: &str, count: u32) {
        for (key, left) in &mut self.limits {
            if applies(key, zone, kind) {
                *left = left.saturating_sub(count);
            }
        }
    }
}

fn applies(key: &(Option<String>, Option<String>), zone: &str, kind: &str) -> bool {
    key.0.as_deref().is_none_or(|z| z == zone) && key.1.as_deref().is_none_or(|t| t == kind)
}

/// How many vCPUs the account may have in a region, for each family of types.
#[derive(Debug, Default)]
pub(crate) struct Quota {
    /// On demand; without a limit if absent.
    pub(crate) on_demand: Option<u32>,
    /// Spot; without a limit if absent.
    pub(crate) spot: Option<u32>,
}

/// The token buckets of a region.
///
/// <https://docs.aws.amazon.com/ec2/latest/devguide/ec2-api-throttling.html>
#[derive(Debug, Default)]
pub(crate) struct Buckets {
    levels: BTreeMap<&'static str, (f64, Instant)>,
}

/// A bucket: its name, how many tokens it holds, how many come in per second.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bucket {
    name: &'static str,
    burst: f64,
    refill: f64,
}

/// One token for each machine that RunInstances and CreateFleet launch.
pub(crate) const MACHINES: Bucket = bucket("machines", 1000.0, 2.0);

const fn bucket(name: &'static str, burst: f64, refill: f64) -> Bucket {
    Bucket {
        name,
        burst,
        refill,
    }
}

/// The bucket that a call of an action takes one token from.
pub(crate) fn bucket_of(action: &str) -> Bucket {
    match action {
        "RunInstances" => bucket("RunInstances", 5.0, 2.0),
        "TerminateInstances" => bucket("TerminateInstances", 100.0, 5.0),
        "CreateTags" => bucket("CreateTags", 100.0, 10.0),
        "DeleteTags" => bucket("DeleteTags", 100.0, 10.0),
        _ if action.starts_with("Describe") || action.starts_with("Get") => {
            bucket("reads", 100.0, 20.0)
        }
        _ => bucket("changes", 50.0, 5.0),
    }
}

impl Buckets {
    /// Takes tokens, or says no and takes none. `scale` multiplies the refill.
    pub(crate) fn take(&mut self, bucket: Bucket, tokens: f64, scale: f64, now: Instant) -> bool {
        let (level, at) = self
            .levels
            .entry(bucket.name)
            .or_insert((bucket.burst, now));
        let seconds = now.saturating_duration_since(*at).as_secs_f64();
        *level = (*level + seconds * bucket.refill * scale).min(bucket.burst);
        *at = now;
        let is_enough = *level >= tokens;
        if is_enough {
            *level -= tokens;
        }
        is_enough
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn the_tightest_limit_counts_and_all_go_down() {
        let mut capacity = Capacity::default();
        assert_eq!(capacity.left("a", "t"), u32::MAX);
        capacity.set(None, Some("t"), Some(5));
        capacity.set(Some("a"), Some("t"), Some(2));
        assert_eq!((capacity.left("a", "t"), capacity.left("b", "t")), (2, 5));
        capacity.take("a", "t", 2);
        assert_eq!((capacity.left("a", "t"), capacity.left("b", "t")), (0, 3));
        capacity.set(Some("a"), Some("t"), None);
        assert_eq!(capacity.left("a", "t"), 3);
    }

    #[test]
    fn a_bucket_gives_its_burst_and_then_what_flows_in() {
        let mut buckets = Buckets::default();
        let start = Instant::now();
        let run = bucket_of("RunInstances");
        let granted = (0..10)
            .filter(|_| buckets.take(run, 1.0, 1.0, start))
            .count();
        assert_eq!(granted, 5);
        let later = start + Duration::from_secs(1);
        let granted = (0..10)
            .filter(|_| buckets.take(run, 1.0, 1.0, later))
            .count();
        assert_eq!(granted, 2);
    }
}
