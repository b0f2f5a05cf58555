//! What clouds announce to do to nodes, and what follows from it.
//!
//! ```text
//!  notice ─► record ─► successor at once ─► (drain command) ─► node leaves when others serve,
//!               │                                              or when its time runs out
//!               └──► mark on the offer: not there again, for a while
//! ```
//! A notice is told once, however often the cloud repeats it. A source of notices that does not
//! answer is no reason for anything but a warning.

use std::collections::BTreeMap;
use std::time::Duration;

use fleetwright_core::ability::{Interruption, InterruptionKind};
use fleetwright_core::{
    Command, Error, Event, EventKind, Exit, Kind, Market, NoOutput, NodeRecord, Notice, Pool,
    Rebalance, Result, Scope,
};
use fleetwright_store::{Lease, Mark};
use futures::StreamExt;
use futures::stream;
use jiff::Timestamp;

use crate::capacity::mark_of;
use crate::life::elapsed;
use crate::{Engine, Observation};

/// How long an offer is left alone after the cloud took a machine of it back.
const RECLAIMED: Duration = Duration::from_mins(3);
/// Time of a notice that does not say when: the shortest that a cloud promises for spot machines
/// with a notice of two minutes.
/// <https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/spot-instance-termination-notices.html>
const UNSAID: Duration = Duration::from_mins(2);
/// Nodes on which the drain command is looked after at the same time.
const DRAINS: usize = 16;
/// Limit of one look after it.
const DRAIN_LIMIT: Duration = Duration::from_secs(20);

/// Why a node is to be replaced because of what its cloud has announced; `None` if it is not.
pub(crate) fn is_doomed(record: &NodeRecord, pool: Option<&Pool>) -> Option<String> {
    let notice = record.tenure.notice.as_ref()?;
    let replaces = match notice.kind {
        InterruptionKind::Reclaim => true,
        InterruptionKind::Rebalance => {
            pool.is_some_and(|pool| pool.interruptions.rebalance == Rebalance::Replace)
        }
        InterruptionKind::Maintenance => false,
    };
    replaces.then(|| match notice.at {
        Some(at) => format!("{} at {at:.0}", notice.kind.in_words()),
        None => notice.kind.in_words().to_owned(),
    })
}

/// Whether a node that will be taken away must leave now, even if nobody serves in its place.
///
/// Half of the time that the cloud gave is for the successor, the other half for leaving the
/// balancer, and for that at most the pool's `limits.drain`.
pub(crate) fn is_pressing(notice: &Notice, pool: Option<&Pool>, now: Timestamp) -> bool {
    if notice.kind != InterruptionKind::Reclaim {
        return false;
    }
    let end = notice.at.unwrap_or_else(|| notice.told_at + UNSAID);
    let drain = pool.map_or(UNSAID, |pool| pool.limits.drain.0);
    let lead = drain.min(elapsed(notice.told_at, end) / 2);
    elapsed(now, end) <= lead
}

/// Whether the drain command of a pool has still to end on a node.
pub(crate) fn is_draining(record: &NodeRecord, pool: Option<&Pool>) -> bool {
    let commanded = pool.is_some_and(|pool| pool.interruptions.drain_command.is_some());
    let notice = record.tenure.notice.as_ref();
    commanded && record.access.is_some() && notice.is_some_and(|notice| !notice.drained)
}

/// The notice that a record gets because of what was told; `None` if it knows that already.
fn news(record: &NodeRecord, told: &Interruption, now: Timestamp) -> Option<Notice> {
    if record.life.is_leaving() {
        return None;
    }
    let fresh = Notice {
        kind: told.kind,
        at: told.at,
        told_at: now,
        drained: false,
    };
    let weight = |kind: InterruptionKind| match kind {
        InterruptionKind::Maintenance => 0,
        InterruptionKind::Rebalance => 1,
        InterruptionKind::Reclaim => 2,
    };
    match &record.tenure.notice {
        None => Some(fresh),
        // A command that has run for the lighter one does not run again.
        Some(known) if weight(told.kind) > weight(known.kind) => Some(Notice {
            drained: known.drained,
            ..fresh
        }),
        // The same notice, now with a time, or with another one.
        Some(known) if known.kind == told.kind && told.at.is_some() && told.at != known.at => {
            Some(Notice {
                at: told.at,
                ..known.clone()
            })
        }
        Some(_) => None,
    }
}

/// The marks on the offers of machines that are taken back, for the plan that is made with them:
/// not there again. What lasts is written by [`Engine::mark_all_reclaimed`].
pub(crate) fn reclaim_marks(noticed: &[NodeRecord], now: Timestamp) -> Vec<Mark> {
    let reclaimed = noticed.iter().filter(|record| is_reclaimed(record));
    let marks = reclaimed.map(|record| {
        let message = format!("the cloud takes `{}` back", record.name);
        let error = Error::new(Kind::Capacity, message).with_scope(Scope::Zone);
        mark_of(record, now + RECLAIMED, error.report())
    });
    marks.collect()
}

/// Whether the cloud of a node has announced to take it back. Maintenance, and advice to move, are
/// something else.
pub(crate) fn is_reclaimed(record: &NodeRecord) -> bool {
    let notice = record.tenure.notice.as_ref();
    notice.is_some_and(|notice| notice.kind == InterruptionKind::Reclaim)
}

/// Writes what was announced into the records of an observation. Gives those that changed.
pub(crate) fn take_notice(
    observation: &mut Observation,
    notices: BTreeMap<String, Result<Vec<Interruption>>>,
) -> Vec<NodeRecord> {
    let mut told: BTreeMap<_, Vec<Interruption>> = BTreeMap::new();
    for (provider, answer) in notices {
        match answer {
            Ok(all) => {
                for one in all {
                    told.entry(one.node.clone()).or_default().push(one);
                }
            }
            Err(error) => {
                observation.deaf.insert(provider, error.report());
            }
        }
    }
    let now = observation.at;
    let mut changed = Vec::new();
    for record in &mut observation.records {
        let before = record.tenure.notice.clone();
        for one in told.get(&record.id).into_iter().flatten() {
            if let Some(notice) = news(record, one, now) {
                record.tenure.notice = Some(notice);
            }
        }
        if record.tenure.notice != before {
            changed.push(record.clone());
        }
    }
    changed
}

impl Engine {
    /// Asks the providers that have spot machines of ours what they have announced.
    pub(crate) async fn notices(
        &self,
        records: &[NodeRecord],
    ) -> BTreeMap<String, Result<Vec<Interruption>>> {
        let asked = self.providers.iter().filter_map(|(name, provider)| {
            let concerned = records.iter().any(|record| {
                record.market == Market::Spot
                    && record.id.provider() == name
                    && !record.life.is_leaving()
            });
            let source = provider.interruptions().filter(|_| concerned)?;
            Some(async move { (name.clone(), source.pending().await) })
        });
        futures::future::join_all(asked).await.into_iter().collect()
    }

    /// Tells what was announced.
    pub(crate) fn notice_events(&self, noticed: &[NodeRecord]) -> Vec<Event> {
        let told = noticed.iter().filter_map(|record| {
            let notice = record.tenure.notice.as_ref()?;
            Some(self.recorder.event(EventKind::InterruptionNoticed {
                node: record.id.clone(),
                name: record.name.clone(),
                kind: notice.kind,
                at: notice.at,
            }))
        });
        told.collect()
    }

    /// Writes down that the offers of machines that are taken back are sold out, for as long as such
    /// shortages are known to last.
    pub(crate) async fn mark_all_reclaimed(&self, noticed: &[NodeRecord]) -> Result<()> {
        for record in noticed.iter().filter(|record| is_reclaimed(record)) {
            self.mark_reclaimed(record, "its cloud has announced it")
                .await?;
        }
        Ok(())
    }

    /// Starts the drain commands on nodes that will be taken away, and looks whether those that were
    /// started have ended. What cannot be found out is asked again.
    pub(crate) async fn look_after_drains(
        &self,
        lease: &Lease,
        observation: &mut Observation,
    ) -> Result<()> {
        let Some(remote) = &self.remote else {
            return Ok(());
        };
        let due = observation.records.iter().filter_map(|record| {
            let pool = self.fleet.pools.get(&record.pool)?;
            let command = pool.interruptions.drain_command.as_deref()?;
            let wanted = record.life.is_wanted()
                && is_doomed(record, Some(pool)).is_some()
                && is_draining(record, Some(pool));
            let access = record.access.as_ref().filter(|_| wanted)?;
            let notice = record.tenure.notice.as_ref()?;
            Some((record.id.clone(), access, script(command, notice)))
        });
        let answers: Vec<_> = stream::iter(due)
            .map(|(id, access, script)| async move {
                let mut command = Command::new("sh -s").with_timeout(DRAIN_LIMIT);
                command.stdin = script.into_bytes();
                let answer = remote.run(access, &command, &NoOutput).await;
                (id, answer)
            })
            .buffer_unordered(DRAINS)
            .collect()
            .await;
        let mut changed = Vec::new();
        let mut events = Vec::new();
        for (id, answer) in answers {
            let status = match answer {
                Ok(output) if output.exit == (Exit::Status { code: 0 }) => {
                    let said = String::from_utf8_lossy(&output.stdout).trim().to_owned();
                    said.parse::<u32>().ok()
                }
                Ok(_) => None,
                Err(error) => {
                    tracing::warn!(node = %id, %error, "the drain command cannot be looked after");
                    None
                }
            };
            let record = observation.records.iter_mut().find(|r| r.id == id);
            if let (Some(status), Some(record)) = (status, record) {
                if let Some(notice) = &mut record.tenure.notice {
                    notice.drained = true;
                }
                events.push(self.recorder.event(EventKind::DrainCommandEnded {
                    node: record.id.clone(),
                    name: record.name.clone(),
                    reason: format!("its drain command ended with status {status}"),
                }));
                changed.push(record.clone());
            }
        }
        if !changed.is_empty() {
            self.store.put_nodes(lease, &changed, &events).await?;
            self.recorder.announce(&events);
        }
        Ok(())
    }
}

/// Starts the command, unless that was done, and prints its exit status if it has ended.
///
/// The folder is made in one step, so two who come at once start it once.
fn script(command: &str, notice: &Notice) -> String {
    let deadline = notice
        .at
        .map_or_else(String::new, |at| at.as_second().to_string());
    let quoted = command.replace('\'', r"'\''");
    format!(
        r#"d=$HOME/.fleetwright-drain
if mkdir "$d" 2>/dev/null; then
    (
        FLEETWRIGHT_DEADLINE='{deadline}' sh -c '{quoted}' >"$d/log" 2>&1
        echo $? >"$d/part" && mv "$d/part" "$d/status"
    ) </dev/null >/dev/null 2>&1 &
fi
cat "$d/status" 2>/dev/null || echo running
"#
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The script runs here as it would on a node; only the login is missing.
    #[test]
    fn the_drain_command_is_started_once_and_its_status_is_told_when_it_has_ended() {
        let home = tempfile::tempdir().unwrap();
        let notice = Notice {
            kind: InterruptionKind::Reclaim,
            at: Some(Timestamp::from_second(1_700_000_000).unwrap()),
            told_at: Timestamp::UNIX_EPOCH,
            drained: false,
        };
        // Waits until it is told to go on.
        let command = "echo \"it's $FLEETWRIGHT_DEADLINE\"; echo x >>runs; cat go; exit 3";
        let fifo = home.path().join("go");
        let run = |script: &str| {
            let output = std::process::Command::new("sh")
                .args(["-c", script])
                .current_dir(home.path())
                .env("HOME", home.path())
                .output()
                .unwrap();
            assert!(output.status.success() && output.stderr.is_empty());
            String::from_utf8(output.stdout).unwrap()
        };
        run("mkfifo go");
        let script = script(command, &notice);
        assert_eq!(run(&script), "running\n");
        assert_eq!(run(&script), "running\n");
        std::fs::write(&fifo, "").unwrap();
        let told = run(
            "while ! [ -e .fleetwright-drain/status ]; do sleep 0.01; done; cat .fleetwright-drain/log runs",
        );
        assert_eq!(told, "it's 1700000000\nx\n");
        assert_eq!(run(&script), "3\n");
    }
}
