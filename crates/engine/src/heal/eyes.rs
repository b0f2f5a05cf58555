//! Finding and measuring machines with what the engine has.

use std::collections::BTreeMap;
use std::time::Duration;

use async_trait::async_trait;
use fleetwright_core::{Result, Target, TargetAddress, TargetGroupName, TargetOrigin};
use futures::StreamExt;
use futures::stream;

use super::sight::HealthVerdict;
use super::upkeep::{Eyes, KnownTargets, Looked};
use crate::{Engine, Observation};

/// Logins at the same time.
const LOGINS: usize = 64;
/// Limit of one login.
const LIMIT: Duration = Duration::from_secs(10);

/// Looks at the nodes of the journal and at the machines that the configuration names.
#[derive(Debug)]
pub struct JournalEyes(pub Engine);

#[async_trait]
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
        Ok(known)
    }

    async fn measure(&self, targets: &[Target]) -> Result<Vec<Looked>> {
        let Some(remote) = &self.0.remote else {
            return Ok(Vec::new());
        };
        let looked = stream::iter(targets.iter().cloned())
            .map(|target| async move {
                let reached = remote.reach(&target.access, LIMIT).await;
                Looked {
                    target,
                    reached: reached.map_err(|error| error.report()),
                    findings: Vec::new(),
                    health: HealthVerdict::Unknown,
                }
            })
            .buffered(LOGINS)
            .collect()
            .await;
        Ok(looked)
    }
}
