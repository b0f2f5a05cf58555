//! Deployments: what was brought to which machines, and what became of it on each.
//!
//! Written loosely: what a process has written survives its death, so that a deployment that was
//! killed can be gone on with. Old ones are forgotten, but never the last one of a machine.

use std::path::Path;

use fleetwright_core::{
    DeployedNode, DeployedState, Deployment, DeploymentId, Fingerprint, Result,
};
use jiff::Timestamp;
use sqlx::any::AnyRow;

use crate::Store;
use crate::error::{from_json, to_json};
use crate::transaction::{Transaction, column};

/// Deployments that are kept in full; of older ones only the last word on each machine.
const KEPT: i64 = 200;

/// What was brought to a machine last.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LastDeployed {
    /// By which deployment.
    pub deployment: DeploymentId,
    /// The hash of what was brought.
    pub fingerprint: String,
    /// How that ended.
    pub state: DeployedState,
    /// Whether it was taken back, or that was tried.
    pub taken_back: bool,
}

impl LastDeployed {
    /// Whether the machine has this, and nothing was brought since.
    pub fn is(&self, fingerprint: &Fingerprint) -> bool {
        self.fingerprint == fingerprint.as_str()
            && self.state == DeployedState::Succeeded
            && !self.taken_back
    }
}

impl Store {
    /// Writes a new deployment with all its machines, in their order.
    pub async fn begin_deployment(
        &self,
        deployment: &Deployment,
        nodes: &[DeployedNode],
    ) -> Result<()> {
        let mut transaction = self.loose().await?;
        transaction.put_deployment(deployment).await?;
        for (place, node) in (0_i64..).zip(nodes) {
            transaction
                .put_deployed(deployment, Some(place), node)
                .await?;
        }
        // The last row of a machine says what it has; all else of an old deployment goes.
        transaction
            .run(
                sqlx::query(
                    "DELETE FROM deployment_nodes WHERE deployment NOT IN \
                     (SELECT id FROM deployments ORDER BY began_at DESC LIMIT $1) \
                     AND (began_at IS NULL \
                          OR EXISTS (SELECT 1 FROM deployment_nodes later \
                                     WHERE later.node = deployment_nodes.node \
                                     AND later.began_at > deployment_nodes.began_at))",
                )
                .bind(KEPT),
            )
            .await?;
        transaction
            .run(
                sqlx::query(
                    "DELETE FROM deployments WHERE id NOT IN \
                     (SELECT id FROM deployments ORDER BY began_at DESC LIMIT $1) \
                     AND id NOT IN (SELECT deployment FROM deployment_nodes)",
                )
                .bind(KEPT),
            )
            .await?;
        transaction.commit().await
    }

    /// Writes how a deployment stands.
    pub async fn put_deployment(&self, deployment: &Deployment) -> Result<()> {
        let mut transaction = self.loose().await?;
        transaction.put_deployment(deployment).await?;
        transaction.commit().await
    }

    /// Writes how machines of a deployment stand.
    pub async fn put_deployed(
        &self,
        deployment: &Deployment,
        nodes: &[DeployedNode],
    ) -> Result<()> {
        let mut transaction = self.loose().await?;
        for node in nodes {
            transaction.put_deployed(deployment, None, node).await?;
        }
        transaction.commit().await
    }

    /// One deployment; `None` if there is none of this id, or if it is forgotten.
    pub async fn deployment(&self, id: DeploymentId) -> Result<Option<Deployment>> {
        let rows = self
            .rows(sqlx::query("SELECT value FROM deployments WHERE id = $1").bind(id.to_string()))
            .await?;
        rows.first()
            .map(|row| from_json(self.path(), "deployment", column(self.path(), row, 0)?))
            .transpose()
    }

    /// The latest deployments, newest first.
    pub async fn deployments(&self, limit: u32) -> Result<Vec<Deployment>> {
        let rows = self
            .rows(
                sqlx::query(
                    "SELECT value FROM deployments ORDER BY began_at DESC, id DESC LIMIT $1",
                )
                .bind(i64::from(limit)),
            )
            .await?;
        rows.iter()
            .map(|row| from_json(self.path(), "deployment", column(self.path(), row, 0)?))
            .collect()
    }

    /// The machines of a deployment, in the order in which their turns come.
    pub async fn deployed_nodes(&self, id: DeploymentId) -> Result<Vec<DeployedNode>> {
        let rows = self
            .rows(
                sqlx::query(
                    "SELECT value FROM deployment_nodes WHERE deployment = $1 ORDER BY place",
                )
                .bind(id.to_string()),
            )
            .await?;
        rows.iter()
            .map(|row| {
                from_json(
                    self.path(),
                    "machine of a deployment",
                    column(self.path(), row, 0)?,
                )
            })
            .collect()
    }

    /// What was brought to a machine last; `None` if nothing ever was.
    pub async fn last_deployed(&self, key: &str) -> Result<Option<LastDeployed>> {
        self.last_but(key, String::new()).await
    }

    /// What was brought to a machine last by any other deployment than this one.
    pub async fn last_deployed_before(
        &self,
        key: &str,
        this: DeploymentId,
    ) -> Result<Option<LastDeployed>> {
        self.last_but(key, this.to_string()).await
    }

    async fn last_but(&self, key: &str, but: String) -> Result<Option<LastDeployed>> {
        let rows = self
            .rows(
                sqlx::query(
                    "SELECT deployment, fingerprint, value FROM deployment_nodes \
                     WHERE node = $1 AND began_at IS NOT NULL AND state <> $2 AND state <> $3 \
                     AND deployment <> $4 ORDER BY began_at DESC, deployment DESC LIMIT 1",
                )
                .bind(key)
                // Neither changed anything there.
                .bind(DeployedState::Skipped.as_str())
                .bind(DeployedState::Unreachable.as_str())
                .bind(but),
            )
            .await?;
        rows.first().map(|row| last(self.path(), row)).transpose()
    }

    /// The last deployment before this one that succeeded on a machine and was not taken back.
    pub async fn previous_deployment(
        &self,
        key: &str,
        before: &Deployment,
    ) -> Result<Option<Deployment>> {
        let rows = self
            .rows(
                sqlx::query(
                    "SELECT d.value FROM deployment_nodes n JOIN deployments d \
                     ON d.id = n.deployment WHERE n.node = $1 AND n.deployment <> $2 \
                     AND n.state = $3 AND n.taken_back = 0 AND n.fingerprint <> $4 \
                     ORDER BY n.began_at DESC LIMIT 1",
                )
                .bind(key)
                .bind(before.id.to_string())
                .bind(DeployedState::Succeeded.as_str())
                .bind(before.fingerprint.as_str()),
            )
            .await?;
        rows.first()
            .map(|row| from_json(self.path(), "deployment", column(self.path(), row, 0)?))
            .transpose()
    }
}

impl Transaction<'_> {
    async fn put_deployment(&mut self, deployment: &Deployment) -> Result<()> {
        let json = to_json(deployment)?;
        self.run(
            sqlx::query(
                "INSERT INTO deployments (id, began_at, value) VALUES ($1, $2, $3) \
                 ON CONFLICT (id) DO UPDATE SET value = excluded.value",
            )
            .bind(deployment.id.to_string())
            .bind(deployment.began_at.as_microsecond())
            .bind(json),
        )
        .await?;
        Ok(())
    }

    async fn put_deployed(
        &mut self,
        deployment: &Deployment,
        place: Option<i64>,
        node: &DeployedNode,
    ) -> Result<()> {
        let json = to_json(node)?;
        self.run(
            sqlx::query(
                "INSERT INTO deployment_nodes \
                 (deployment, node, place, fingerprint, state, taken_back, began_at, value) \
                 VALUES ($1, $2, $3, $4, $5, $6, $7, $8) \
                 ON CONFLICT (deployment, node) DO UPDATE SET state = excluded.state, \
                 taken_back = excluded.taken_back, began_at = excluded.began_at, \
                 value = excluded.value",
            )
            .bind(deployment.id.to_string())
            .bind(node.key.as_str())
            .bind(place.unwrap_or(0))
            .bind(deployment.fingerprint.as_str())
            .bind(node.state.as_str())
            .bind(i64::from(node.rolled_back.is_some()))
            .bind(node.began_at.map(Timestamp::as_microsecond))
            .bind(json),
        )
        .await?;
        Ok(())
    }
}

fn last(path: &Path, row: &AnyRow) -> Result<LastDeployed> {
    let id: String = column(path, row, 0)?;
    let node: DeployedNode = from_json(path, "machine of a deployment", column(path, row, 2)?)?;
    Ok(LastDeployed {
        deployment: id.parse()?,
        fingerprint: column(path, row, 1)?,
        state: node.state,
        taken_back: node.rolled_back.is_some(),
    })
}
