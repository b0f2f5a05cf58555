//! Finding and measuring machines with what the engine has.

use std::collections::BTreeMap;

use async_trait::async_trait;
use fleetwright_core::{
    Health, HealthState, Result, Target, TargetAddress, TargetGroupName, TargetOrigin,
};

use super::sight::HealthVerdict;
use super::upkeep::{Eyes, KnownTargets, Looked};
use crate::{Engine, MeasureOptions, Observation};

/// Looks at the nodes of the journal and at the machines that the configuration names: their probes,
/// and their health where their group says how that is found out.
#[derive(Debug)]
pub struct JournalEyes(pub Engine);

#[async_trait(?Send)]
impl Eyes for JournalEyes {
    async fn targets(&self, observation: &Observation) -> Result<KnownTargets> {
        let mut known = KnownTargets::default();
        for record in observation.records.iter().filter(|r| r.life.is_ready()) {
            let Some(access) = &record.access else {
                continue;
            };
            known.targets.push(Target {
                name: record.name.clone(),
                access: access.clone(),
                group: Some(TargetGroupName::Pool(record.pool.clone())),
                node: Some(record.id.clone()),
                origins: vec![TargetOrigin::Pool {
                    pool: record.pool.clone(),
                }],
                labels: record.labels.clone(),
            });
        }
        for (name, group) in &self.0.fleet().targets {
            for host in &group.hosts {
                let address: TargetAddress = host.parse()?;
                known.targets.push(Target {
                    name: host.clone(),
                    access: address.access(),
                    group: Some(TargetGroupName::Targets(name.clone())),
                    node: None,
                    origins: vec![TargetOrigin::Configured {
                        group: name.clone(),
                    }],
                    labels: BTreeMap::default(),
                });
            }
        }
        for cordon in self.0.cordons().await? {
            known
                .absent
                .insert(cordon.target, format!("it is cordoned: {}", cordon.reason));
        }
        Ok(known)
    }

    async fn measure(&self, targets: &[Target]) -> Result<Vec<Looked>> {
        let engine = &self.0;
        let expectations = engine.expectations(targets).await;
        let options = MeasureOptions::default();
        let measured = engine.measure(targets, &expectations, &options).await?;
        let examined: Vec<Target> = measured
            .iter()
            .filter(|one| one.reached.is_ok())
            .map(|one| one.target.clone())
            .filter(|target| is_examined(&engine.health_policy(target.group.as_ref())))
            .collect();
        let mut health: BTreeMap<String, HealthVerdict> = BTreeMap::new();
        for one in engine.examine(&examined).await? {
            let verdict = match one.health.state {
                HealthState::Healthy => HealthVerdict::Healthy,
                HealthState::Unhealthy if one.reached == Some(true) => HealthVerdict::Unhealthy {
                    reason: one.health.reasons.join("; "),
                },
                _ => HealthVerdict::Unknown,
            };
            health.insert(one.target.key(), verdict);
        }
        let looked = measured.into_iter().map(|one| Looked {
            health: health.remove(&one.target.key()).unwrap_or_default(),
            target: one.target,
            reached: one.reached,
            findings: one.findings,
        });
        Ok(looked.collect())
    }
}

/// Whether more than a login tells whether a machine is healthy.
fn is_examined(policy: &Health) -> bool {
    !policy.probes.is_empty() || policy.heartbeat.is_some() || policy.gpu.is_some()
}
