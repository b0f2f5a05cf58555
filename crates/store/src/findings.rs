//! Findings: what was last measured on each machine, and since when it is so.
//!
//! A machine is known by where its SSH server listens. Another machine at the same place, by its
//! name, begins anew. A machine that is not reached keeps its findings: nobody knows better.

use std::path::Path;
use std::time::Duration;

use fleetwright_core::{Finding, Result};
use jiff::Timestamp;
use sqlx::AssertSqlSafe;
use sqlx::any::AnyRow;

use crate::Store;
use crate::error::{from_json, to_json, unreadable};
use crate::transaction::{Transaction, column};

/// How long a machine is remembered that is not measured any more.
const KEPT: Duration = Duration::from_hours(24 * 30);

/// Rows in a statement: each statement is a turn of the thread that writes, but its parameters are
/// looked for one by one, so that many cost more than their number.
const AT_ONCE: usize = 50;

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
        for some in all.chunks(AT_ONCE) {
            put_reaches(&mut transaction, some).await?;
            forget_findings(&mut transaction, some).await?;
        }
        let findings: Vec<(&Measurement, &Finding)> = all
            .iter()
            .filter(|one| one.reached)
            .flat_map(|one| one.findings.iter().map(move |finding| (one, finding)))
            .collect();
        for some in findings.chunks(AT_ONCE) {
            put_findings(&mut transaction, some).await?;
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

async fn put_reaches(transaction: &mut Transaction<'_>, all: &[Measurement]) -> Result<()> {
    let text = format!(
        "INSERT INTO reaches (host, port, machine, reached, since, at) VALUES {} \
         ON CONFLICT (host, port) DO UPDATE SET machine = excluded.machine, \
         reached = excluded.reached, since = excluded.since, at = excluded.at",
        parameters(all.len(), 6, 1)
    );
    let mut query = sqlx::query(AssertSqlSafe(text));
    for one in all {
        query = query
            .bind(one.host.as_str())
            .bind(i64::from(one.port))
            .bind(one.machine.as_str())
            .bind(i64::from(one.reached))
            .bind(one.since.as_microsecond())
            .bind(one.at.as_microsecond());
    }
    transaction.run(query).await.map(drop)
}

/// Of machines that were reached everything; of others what is known of another machine at their
/// place, because that is nothing about them.
async fn forget_findings(transaction: &mut Transaction<'_>, all: &[Measurement]) -> Result<()> {
    let (reached, others): (Vec<&Measurement>, Vec<&Measurement>) =
        all.iter().partition(|one| one.reached);
    if !reached.is_empty() {
        let places = parameters(reached.len(), 2, 1);
        let text = format!("DELETE FROM findings WHERE (host, port) IN (VALUES {places})");
        let mut query = sqlx::query(AssertSqlSafe(text));
        for one in reached {
            query = query.bind(one.host.as_str()).bind(i64::from(one.port));
        }
        transaction.run(query).await?;
    }
    if !others.is_empty() {
        let places = parameters(others.len(), 2, 1);
        let machines = parameters(others.len(), 3, 1 + 2 * others.len());
        let text = format!(
            "DELETE FROM findings WHERE (host, port) IN (VALUES {places}) \
             AND (host, port, machine) NOT IN (VALUES {machines})"
        );
        let mut query = sqlx::query(AssertSqlSafe(text));
        for one in &others {
            query = query.bind(one.host.as_str()).bind(i64::from(one.port));
        }
        for one in &others {
            query = query
                .bind(one.host.as_str())
                .bind(i64::from(one.port))
                .bind(one.machine.as_str());
        }
        transaction.run(query).await?;
    }
    Ok(())
}

async fn put_findings(
    transaction: &mut Transaction<'_>,
    all: &[(&Measurement, &Finding)],
) -> Result<()> {
    let text = format!(
        "INSERT INTO findings (host, port, probe, machine, belongs, at, value) VALUES {} \
         ON CONFLICT (host, port, probe) DO UPDATE SET machine = excluded.machine, \
         belongs = excluded.belongs, at = excluded.at, value = excluded.value",
        parameters(all.len(), 7, 1)
    );
    let mut query = sqlx::query(AssertSqlSafe(text));
    for (one, finding) in all {
        query = query
            .bind(one.host.as_str())
            .bind(i64::from(one.port))
            .bind(finding.probe.as_str())
            .bind(one.machine.as_str())
            .bind(one.belongs.as_str())
            .bind(finding.at.as_microsecond())
            .bind(to_json(finding)?);
    }
    transaction.run(query).await.map(drop)
}

/// `($1, $2), ($3, $4)`: parameters for so many rows, counted from `first`.
fn parameters(rows: usize, columns: usize, first: usize) -> String {
    let row = |row: usize| {
        let start = first + row * columns;
        let all: Vec<String> = (start..start + columns).map(|n| format!("${n}")).collect();
        format!("({})", all.join(", "))
    };
    (0..rows).map(row).collect::<Vec<_>>().join(", ")
}

fn port(path: &Path, row: &AnyRow) -> Result<u16> {
    let port: i64 = column(path, row, 1)?;
    u16::try_from(port).map_err(|e| unreadable(path, "port", port, e))
}

fn instant(path: &Path, row: &AnyRow, index: usize) -> Result<Timestamp> {
    let micros: i64 = column(path, row, index)?;
    Timestamp::from_microsecond(micros).map_err(|e| unreadable(path, "instant", micros, e))
}
