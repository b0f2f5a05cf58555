//! Health: one report for each machine, counted over runs.
//!
//! ```text
//!  journal (boot result, heartbeats) ─┐
//!  one login, one script ─────────────┼─► Report ─► count (pure) ─► HealthRecord in the journal
//!  catalog (how many GPUs) ───────────┘
//! ```
//!
//! What cannot be found out is `unknown`, counts neither way and is said.

mod gpu;
mod judge;
mod report;
mod script;
mod xid;

use std::collections::BTreeMap;
use std::time::Duration;

use fleetwright_core::{
    Boot, Command, Effect, Error, EventKind, Exit, Health, HealthRecord, HealthState, InstanceType,
    Kind, Life, NoOutput, NodeId, NodeRecord, Result, Target, TargetGroupName,
};
use fleetwright_store::HealthChange;
use futures::StreamExt;
use futures::stream;
use jiff::Timestamp;
use serde::Serialize;

pub use self::report::{Reached, Report, count, is_our_own_fault};
use crate::Engine;

/// Machines looked at at the same time.
const LOOKS: usize = 64;
/// Limit of one look besides the limits of its probes: login, GPUs, the kernel's log.
const LOOK_LIMIT: Duration = Duration::from_secs(45);

/// A machine, and how it is after a look at it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Examined {
    /// The machine.
    pub target: Target,
    /// How it is, and what was counted.
    pub health: HealthRecord,
    /// Whether this look reached it; absent: nobody could look.
    pub reached: Option<bool>,
}

/// What the journal says about machines, beside their health.
struct Known {
    nodes: BTreeMap<NodeId, NodeRecord>,
    heartbeats: BTreeMap<String, Timestamp>,
    types: BTreeMap<String, Vec<InstanceType>>,
}

impl Engine {
    /// Looks at machines once, all at the same time, and counts what is found. There is one answer
    /// for each target, in their order.
    ///
    /// If not one of several answers, that is taken for a fault of our own network: nothing is
    /// counted then, and that is said. A node that is still coming up, or on its way out, is not
    /// looked at.
    ///
    /// # Errors
    /// Only from the journal.
    pub async fn examine(&self, targets: &[Target]) -> Result<Vec<Examined>> {
        let records = self.store.health().await?;
        let known = self.known(targets).await?;
        let looks = stream::iter(targets.iter().enumerate())
            .map(|(index, target)| {
                let known = &known;
                let last = records.get(&target.key());
                async move { (index, self.report_on(target, known, last).await) }
            })
            .buffer_unordered(LOOKS);
        let mut reports: Vec<(usize, Report)> = looks.collect().await;
        reports.sort_by_key(|(index, _)| *index);
        let mut reports: Vec<Report> = reports.into_iter().map(|(_, report)| report).collect();
        if is_our_own_fault(&reports) {
            let all = reports.len();
            for report in &mut reports {
                if let Reached::No(why) = &report.reached {
                    *report = Report::unseen(format!(
                        "not one of {all} machines answers, so it may be the network here: {why}"
                    ));
                }
            }
        }
        let now = self.clock.now();
        let mut all = Vec::with_capacity(targets.len());
        let mut changes = Vec::new();
        for (target, report) in targets.iter().zip(&reports) {
            let before = records.get(&target.key());
            let policy = self.health_policy(target.group.as_ref());
            let fresh = HealthRecord::new(now);
            let health = count(before.unwrap_or(&fresh), report, &policy, now);
            changes.push(HealthChange {
                target: target.key(),
                from: before.map(|record| record.at),
                record: health.clone(),
            });
            all.push(Examined {
                target: target.clone(),
                health,
                reached: match report.reached {
                    Reached::NotLooked => None,
                    Reached::Yes => Some(true),
                    Reached::No(_) => Some(false),
                },
            });
        }
        let written = self.store.put_health(&changes).await?;
        for (examined, _) in all.iter().zip(written).filter(|(_, written)| *written) {
            let before = records.get(&examined.target.key());
            self.note_health(examined, before);
        }
        self.recorder.flush().await?;
        Ok(all)
    }

    /// What is known about the health of machines, without looking: one answer for each target, in
    /// their order.
    ///
    /// # Errors
    /// Only from the journal.
    pub async fn known_health(&self, targets: &[Target]) -> Result<Vec<Examined>> {
        let records = self.store.health().await?;
        let now = self.clock.now();
        Ok(targets
            .iter()
            .map(|target| Examined {
                target: target.clone(),
                health: records
                    .get(&target.key())
                    .cloned()
                    .unwrap_or_else(|| HealthRecord::new(now)),
                reached: None,
            })
            .collect())
    }

    /// Notes a heartbeat of a machine.
    ///
    /// # Errors
    /// Only from the journal.
    pub async fn heartbeat(&self, target: &Target) -> Result<()> {
        let now = self.clock.now();
        self.store.put_heartbeat(&target.key(), now).await
    }

    /// When a machine counts as healthy: what its group says, or the defaults.
    pub fn health_policy(&self, group: Option<&TargetGroupName>) -> Health {
        let found = match group {
            Some(TargetGroupName::Pool(name)) => self.fleet.pools.get(name).map(|g| &g.health),
            Some(TargetGroupName::Targets(name)) => {
                self.fleet.targets.get(name).map(|group| &group.health)
            }
            None => None,
        };
        found.cloned().unwrap_or_default()
    }

    async fn known(&self, targets: &[Target]) -> Result<Known> {
        let nodes: BTreeMap<NodeId, NodeRecord> = self
            .store
            .nodes()
            .await?
            .into_iter()
            .map(|record| (record.id.clone(), record))
            .collect();
        let mut types = BTreeMap::new();
        for target in targets {
            let policy = self.health_policy(target.group.as_ref());
            let Some(node) = &target.node else { continue };
            let counts = policy.gpu.is_some_and(|gpu| gpu.count.is_none());
            if !counts || types.contains_key(node.provider()) {
                continue;
            }
            let catalog = self.providers.get(node.provider());
            let Some(catalog) = catalog.and_then(|provider| provider.catalog()) else {
                continue;
            };
            match catalog.instance_types().await {
                Ok(found) => {
                    types.insert(node.provider().to_owned(), found);
                }
                // Then nobody knows how many GPUs there should be, and the report does without.
                Err(error) => {
                    tracing::warn!(provider = node.provider(), %error, "no catalog");
                    types.insert(node.provider().to_owned(), Vec::new());
                }
            }
        }
        Ok(Known {
            nodes,
            heartbeats: self.store.heartbeats().await?,
            types,
        })
    }

    async fn report_on(
        &self,
        target: &Target,
        known: &Known,
        last: Option<&HealthRecord>,
    ) -> Report {
        let policy = self.health_policy(target.group.as_ref());
        let record = target.node.as_ref().and_then(|id| known.nodes.get(id));
        if let Some(record) = record
            && !record.life.is_ready()
            && record.life != Life::Failed
        {
            return Report::unseen(format!("it is {}", record.life));
        }
        let Some(remote) = &self.remote else {
            return Report::unseen("there is no way to log in from here");
        };
        let probes: Duration = policy.probes.iter().map(|probe| probe.timeout.0).sum();
        let mut command = Command::new("sh -s").with_timeout(LOOK_LIMIT + probes);
        command.stdin = script::script(&policy).into_bytes();
        let mut report = match remote.run(&target.access, &command, &NoOutput).await {
            Ok(output) => {
                let said = String::from_utf8_lossy(&output.stdout);
                let expected = expected_gpus(&policy, record, known);
                let ended = output.exit == (Exit::Status { code: 0 });
                judge::judge(&policy, &said, ended, expected, last)
            }
            Err(error) => unanswered(&error),
        };
        if let Some(NodeRecord {
            boot: Some(Boot::Failed { exit_status, .. }),
            ..
        }) = record
        {
            let how = exit_status.map_or_else(|| "by a signal".into(), |s| format!("status {s}"));
            report.bad.push(format!(
                "its boot script failed ({how}); `fleetwright node` shows the log"
            ));
        }
        let beat = known.heartbeats.get(&target.key()).copied();
        judge::heartbeat_told(&policy, beat, self.clock.now(), &mut report);
        report
    }

    fn note_health(&self, examined: &Examined, before: Option<&HealthRecord>) {
        let from = before.map_or(HealthState::Unknown, |record| record.state);
        let health = &examined.health;
        if from == health.state {
            return;
        }
        let reason = match health.state {
            HealthState::Healthy => format!("{} good reports in a row", health.successes),
            _ => health.reasons.join("; "),
        };
        self.recorder.note(EventKind::HealthChanged {
            target: examined.target.name.clone(),
            node: examined.target.node.clone(),
            from,
            to: health.state,
            reason,
        });
    }
}

/// How many GPUs should be there: what the policy says, or what the instance type has.
fn expected_gpus(policy: &Health, record: Option<&NodeRecord>, known: &Known) -> Option<u32> {
    let gpu = policy.gpu.as_ref()?;
    gpu.count.or_else(|| {
        let record = record?;
        known
            .types
            .get(record.id.provider())?
            .iter()
            .find(|found| found.name == record.instance_type)
            .map(|found| found.gpus)
    })
}

/// What follows from an error: a machine that was never reached is out of reach; one on which the
/// script did not come to its end was reached, and nothing else is known.
fn unanswered(error: &Error) -> Report {
    let why = error.report().to_string();
    if error.kind() == Kind::Timeout && error.effect() == Effect::Unknown {
        return Report {
            reached: Reached::Yes,
            unknown: vec![format!("it was reached, but the look did not end: {why}")],
            ..Report::default()
        };
    }
    if matches!(
        error.kind(),
        Kind::Config | Kind::Unexpected | Kind::Invalid
    ) {
        return Report::unseen(why);
    }
    Report {
        reached: Reached::No(why),
        ..Report::default()
    }
}
