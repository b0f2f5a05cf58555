//! Findings: what was last measured on each machine, and since when it is so.
//!
//! A machine is known by where its SSH server listens. Another machine at the same place, by its
//! name, begins anew. A machine that is not reached keeps its findings: nobody knows better.

use std::path::Path;
use std::time::Duration;

use fleetwright_core::{Finding, Result};
use jiff::Timestamp;
use sqlx::any::AnyRow;

use crate::Store;
use crate::error::{from_json, to_json, unreadable};
use crate::transaction::column;

/// How long a machine is remembered that is not measured any more.
const KEPT: Duration = Duration::from_hours(24 * 30);

/// What was last measured on a machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Measurement {
    /// Host name or address, in lower case.
    pub host: String,
    /// TCP port.
    pub port: u16,
    /// The name of the machine.
    pub machine: String,
    /// What it belongs to, as `pools.<name>` or `targets.<name>`; empty if to nothing.
    pub belongs: String,
    /// Whether it could be reached.
    pub reached: bool,
    /// Since when that is so.
    pub since: Timestamp,
    /// When it was last tried.
    pub at: Timestamp,
    /// What was found when it was last reached, by probe.
    pub findings: Vec<Finding>,
}

impl Store {
    /// The machines that were measured, by host and port.
    pub async fn measurements(&self) -> Result<Vec<Measurement>> {
        let path = self.path();
        let rows = self
            .rows(sqlx::query(
                "SELECT host, port, machine, reached, since, at FROM reaches ORDER BY host, port",
            ))
            .await?;
        let mut all = rows
            .iter()
            .map(|row| {
                Ok(Measurement {
                    host: column(path, row, 0)?,
                    port: port(path, row)?,
                    machine: column(path, row, 2)?,
                    belongs: String::new(),
                    reached: column::<i64>(path, row, 3)? != 0,
                    since: instant(path, row, 4)?,
                    at: instant(path, row, 5)?,
                    findings: Vec::new(),
                })
            })
            .collect::<Result<Vec<Measurement>>>()?;
        let rows = self
            .rows(sqlx::query(
                "SELECT host, port, belongs, value FROM findings ORDER BY host, port, probe",
            ))
            .await?;
        for row in &rows {
            let host: &str = column(path, row, 0)?;
            let port = port(path, row)?;
            let place = all.binary_search_by(|one| (&*one.host, one.port).cmp(&(host, port)));
            if let Some(one) = place.ok().and_then(|at| all.get_mut(at)) {
                one.belongs = column(path, row, 2)?;
                one.findings
                    .push(from_json(path, "finding", column(path, row, 3)?)?);
            }
        }
        Ok(all)
    }

    /// Writes what was measured now, all or none. The findings of a machine that was reached take
    /// the place of all earlier ones, so that a probe that is no more leaves nothing behind; those
    /// of one that was not reached stay as they are. Machines that nobody has measured for 30 days
    /// are forgotten.
    ///
    /// Written loosely: the last ones may be lost with the machine, not with the process.
    pub async fn put_measurements(&self, all: &[Measurement]) -> Result<()> {
        let Some(now) = all.iter().map(|one| one.at).max() else {
            return Ok(());
        };
        let before = now.checked_sub(KEPT).unwrap_or_default().as_microsecond();
        let mut transaction = self.loose().await?;
        for one in all {
            let (host, port) = (one.host.as_str(), i64::from(one.port));
            transaction
                .run(
                    sqlx::query(
                        "INSERT INTO reaches (host, port, machine, reached, since, at) \
                         VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (host, port) DO UPDATE SET \
                         machine = excluded.machine, reached = excluded.reached, \
                         since = excluded.since, at = excluded.at",
                    )
                    .bind(host)
                    .bind(port)
                    .bind(one.machine.as_str())
                    .bind(i64::from(one.reached))
                    .bind(one.since.as_microsecond())
                    .bind(one.at.as_microsecond()),
                )
                .await?;
            // What is known of another machine at this place is nothing about this one.
            let gone = if one.reached {
                "DELETE FROM findings WHERE host = $1 AND port = $2"
            } else {
                "DELETE FROM findings WHERE host = $1 AND port = $2 AND machine <> $3"
            };
            let mut forget = sqlx::query(gone).bind(host).bind(port);
            if !one.reached {
                forget = forget.bind(one.machine.as_str());
            }
            transaction.run(forget).await?;
            if !one.reached {
                continue;
            }
            for finding in &one.findings {
                let json = to_json(finding)?;
                transaction
                    .run(
                        sqlx::query(
                            "INSERT INTO findings \
                             (host, port, probe, machine, belongs, at, value) \
                             VALUES ($1, $2, $3, $4, $5, $6, $7) \
                             ON CONFLICT (host, port, probe) DO UPDATE SET \
                             machine = excluded.machine, belongs = excluded.belongs, \
                             at = excluded.at, value = excluded.value",
                        )
                        .bind(host)
                        .bind(port)
                        .bind(finding.probe.as_str())
                        .bind(one.machine.as_str())
                        .bind(one.belongs.as_str())
                        .bind(finding.at.as_microsecond())
                        .bind(json),
                    )
                    .await?;
            }
        }
        for table in [
            "DELETE FROM findings WHERE EXISTS (SELECT 1 FROM reaches WHERE \
             reaches.host = findings.host AND reaches.port = findings.port AND reaches.at < $1)",
            "DELETE FROM reaches WHERE at < $1",
        ] {
            transaction.run(sqlx::query(table).bind(before)).await?;
        }
        transaction.commit().await
    }
}

fn port(path: &Path, row: &AnyRow) -> Result<u16> {
    let port: i64 = column(path, row, 1)?;
    u16::try_from(port).map_err(|e| unreadable(path, "port", port, e))
}

fn instant(path: &Path, row: &AnyRow, index: usize) -> Result<Timestamp> {
    let micros: i64 = column(path, row, index)?;
    Timestamp::from_microsecond(micros).map_err(|e| unreadable(path, "instant", micros, e))
}
