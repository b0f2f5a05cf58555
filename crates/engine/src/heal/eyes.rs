//! Finding and measuring machines with what the engine has.

use std::collections::BTreeMap;

use async_trait::async_trait;
use fleetwright_core::{Health, HealthState, Life, NodeId, Result, Target, TargetGroupName};

use super::sight::HealthVerdict;
use super::upkeep::{Eyes, KnownTargets, Looked};
use crate::{Engine, MeasureOptions, Observation, TargetWish};

/// Looks at all targets of the fleet: their probes, and their health where their group says how that
/// is found out.
#[derive(Debug)]
pub struct EngineEyes(pub Engine);

#[async_trait(?Send)]
impl Eyes for EngineEyes {
    async fn targets(&self, observation: &Observation) -> Result<KnownTargets> {
        let found = self.0.targets(&TargetWish::default()).await?;
        let lives: BTreeMap<&NodeId, Life> = observation
            .records
            .iter()
            .map(|record| (&record.id, record.life))
            .collect();
        // Nodes on their way up or out are somebody else's business, and so are machines that are
        // switched off.
        let is_up = |target: &Target| match target.node.as_ref().and_then(|node| lives.get(node)) {
            Some(life) => life.is_ready(),
            None if matches!(target.group, Some(TargetGroupName::Pool(_))) => false,
            None => found.state(target).is_none_or(|state| state == "running"),
        };
        let mut known = KnownTargets {
            targets: found
                .targets
                .iter()
                .filter(|target| is_up(target))
                .cloned()
                .collect(),
            ..KnownTargets::default()
        };
        for gap in &found.gaps {
            let group = TargetGroupName::Targets(gap.group.clone());
            known
                .blind
                .insert(group, format!("{}: {}", gap.place, gap.error));
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
