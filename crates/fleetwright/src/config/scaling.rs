//! Checks what a pool says about its scaling.

use std::collections::BTreeSet;

use fleetwright_core::{Pool, Scaling, ScalingPolicy, Span, check_name};

use super::source::Problem;
use super::suggest;

/// Longest window and look-ahead of a trend: the reckoning is exact up to here.
const LONGEST_TREND: Span = Span::minutes(31 * 24 * 60);
/// Shortest pause between two decisions.
const SHORTEST: Span = Span::seconds(1);

/// What is wrong, with the keys below the pool's table.
pub(super) fn problems(pool: &Pool) -> Vec<(String, Problem)> {
    let Some(scaling) = &pool.scaling else {
        return Vec::new();
    };
    let mut found = Found(Vec::new());
    found.pool(pool);
    found.policy(&scaling.policy, "scaling.policy");
    found.signals(scaling);
    found.pace(scaling);
    found.0
}

struct Found(Vec<(String, Problem)>);

impl Found {
    fn report(&mut self, key: impl Into<String>, problem: Problem) {
        self.0.push((key.into(), problem));
    }

    fn pool(&mut self, pool: &Pool) {
        if pool.max.is_none() {
            self.report(
                "scaling",
                Problem::new("a pool that is scaled needs `max`").with_hint(
                    "a signal may be wrong: `max` says how many machines that can cost at most",
                ),
            );
        }
        if pool.limits.idle_after.is_some() {
            self.report(
                "limits.idle_after",
                Problem::new("`idle_after` and `scaling` contradict each other")
                    .with_hint("the one would remove nodes that the other makes again"),
            );
        }
    }

    fn policy(&mut self, policy: &ScalingPolicy, key: &str) {
        match policy {
            ScalingPolicy::Reactive(policy) => {
                let key = format!("{key}.reactive");
                self.signal(&policy.signal, &key);
                if policy.below >= policy.above {
                    self.report(
                        format!("{key}.below"),
                        Problem::new(format!(
                            "`below` is {}, and `above` is not more: {}",
                            policy.below, policy.above
                        ))
                        .with_hint("leave room between them, or the pool never comes to rest"),
                    );
                }
                for (name, step) in [("up", policy.up), ("down", policy.down)] {
                    if step == 0 {
                        self.zero(format!("{key}.{name}"), "at least 1");
                    }
                }
            }
            ScalingPolicy::Queue(policy) => {
                let key = format!("{key}.queue");
                self.signal(&policy.signal, &key);
                self.per_node(policy.per_node.as_micros(), &key);
            }
            ScalingPolicy::Schedule(policy) => {
                if policy.entries.is_empty() {
                    self.report(
                        format!("{key}.schedule.entries"),
                        Problem::new("a schedule needs an entry"),
                    );
                }
            }
            ScalingPolicy::Predictive(policy) => {
                let key = format!("{key}.predictive");
                self.signal(&policy.signal, &key);
                self.per_node(policy.per_node.as_micros(), &key);
                if policy.window.0.is_zero() {
                    self.zero(format!("{key}.window"), "more than 0s");
                }
                for (name, span) in [("window", policy.window), ("ahead", policy.ahead)] {
                    if span > LONGEST_TREND {
                        let problem = Problem::new(format!("`{name}` must be at most 744h"));
                        self.report(format!("{key}.{name}"), problem);
                    }
                }
            }
            ScalingPolicy::Composite(policy) => {
                let key = format!("{key}.composite.of");
                if policy.of.is_empty() {
                    self.report(&key, Problem::new("a composite needs a policy"));
                }
                for (at, inner) in policy.of.iter().enumerate() {
                    self.policy(inner, &format!("{key}[{at}]"));
                }
            }
        }
    }

    fn signal(&mut self, name: &str, key: &str) {
        if let Err(error) = check_name("signal", name) {
            self.report(format!("{key}.signal"), Problem::from_error(&error));
        }
    }

    fn per_node(&mut self, micros: u64, key: &str) {
        if micros == 0 {
            self.zero(format!("{key}.per_node"), "more than 0");
        }
    }

    fn zero(&mut self, key: String, least: &str) {
        let name = key.rsplit('.').next().unwrap_or(&key).to_owned();
        self.report(key, Problem::new(format!("`{name}` must be {least}")));
    }

    fn signals(&mut self, scaling: &Scaling) {
        let used: BTreeSet<&str> = scaling.policy.signals();
        for (name, config) in &scaling.signals {
            let key = format!("scaling.signals.{name}");
            if !used.contains(name.as_str()) {
                self.report(
                    &key,
                    Problem {
                        hint: suggest::hint(
                            name,
                            "signals that the policy looks at",
                            used.iter().copied(),
                        ),
                        ..Problem::new(format!("the policy does not look at the signal `{name}`"))
                    },
                );
            }
            if config.prometheus.is_some() && config.nodes.is_some() {
                self.report(
                    &key,
                    Problem::new("a signal comes from one place")
                        .with_hint("leave `prometheus` or `nodes` away"),
                );
            }
            if let Some(query) = &config.prometheus {
                if let Err(error) = fleetwright_prometheus::check_url(&query.url) {
                    self.report(format!("{key}.prometheus.url"), Problem::from_error(&error));
                }
                if query.query.trim().is_empty() {
                    self.report(
                        format!("{key}.prometheus.query"),
                        Problem::new("the query is empty"),
                    );
                }
            }
        }
    }

    fn pace(&mut self, scaling: &Scaling) {
        if scaling.every < SHORTEST {
            self.zero("scaling.every".to_owned(), "at least 1s");
        }
        if scaling.stale_after.0.is_zero() {
            self.zero("scaling.stale_after".to_owned(), "more than 0s");
        }
        let steps = [("up", scaling.max_step.up), ("down", scaling.max_step.down)];
        for (name, _) in steps.iter().filter(|(_, step)| *step == Some(0)) {
            self.zero(format!("scaling.max_step.{name}"), "at least 1");
        }
    }
}
