//! How a node moves through its life: a pure function of its record and of what was seen.
//!
//! Only the steps that follow from looking are here. Steps that we cause (draining, terminating)
//! are written by the executor.

use std::time::Duration;

use fleetwright_core::{
    Boot, Deletion, Life, Limits, Market, Node, NodeRecord, NodeState, Span,
    ability::{InterruptionKind, MemberHealth},
};
use jiff::Timestamp;

/// What was seen of one node.
#[derive(Debug, Clone, Default)]
pub struct Evidence<'a> {
    /// The node as the provider listed it.
    pub node: Option<&'a Node>,
    /// The provider itself, asked for this very node, said that it is gone.
    pub confirmed_gone: bool,
    /// What a login attempt gave: `None` if none was made.
    pub reached: Option<Result<(), String>>,
    /// Whether the provider's nodes can be logged in to at all.
    pub has_ssh: bool,
    /// Whether the provider tells what became of the boot scripts.
    pub reports_boot: bool,
    /// The balancer's view, if the pool has a balancer and the node is a member.
    pub member: Option<&'a MemberHealth>,
    /// Whether the pool has a balancer.
    pub balanced: bool,
    /// The answer to a repeated delete call, for a node that is terminating.
    pub deletion: Option<Deletion>,
}

/// The record as it should be after what was seen; `None` if nothing changed.
///
/// A node that was not seen keeps its state: only [`Evidence::confirmed_gone`] ends it.
pub fn advance(
    record: &NodeRecord,
    evidence: &Evidence<'_>,
    limits: &Limits,
    now: Timestamp,
) -> Option<NodeRecord> {
    let mut next = record.clone();
    if let Some(node) = evidence.node {
        next.seen_at = Some(now);
        next.access = node.access.clone().or(next.access);
        next.boot = node.boot.clone().or(next.boot);
    }
    // Several steps may be due at once: a node may be running, reachable and done with its boot
    // script when it is first looked at.
    while let Some((life, reason)) = step(&next, evidence, limits, now) {
        next.life = life;
        next.since = now;
        next.reason = reason;
        if life == Life::Gone {
            next.gone_at = Some(now);
        }
    }
    let changed = next.life != record.life
        || next.access != record.access
        || next.boot != record.boot
        || next.reason != record.reason;
    changed.then_some(next)
}

fn step(
    record: &NodeRecord,
    evidence: &Evidence<'_>,
    limits: &Limits,
    now: Timestamp,
) -> Option<(Life, String)> {
    if record.life == Life::Gone {
        return None;
    }
    let deleted = evidence.node.is_some_and(|node| node.state.is_deleted());
    if evidence.confirmed_gone || deleted || evidence.deletion == Some(Deletion::Gone) {
        return Some((Life::Gone, gone_reason(record, evidence.node)));
    }
    if record.life.is_wanted()
        && let Some(reason) = broken(record, evidence.node, limits)
    {
        return Some((Life::Failed, reason));
    }
    let overdue = |limit: Span, what: &str| {
        let late = elapsed(record.since, now) > limit.0;
        late.then(|| (Life::Failed, format!("{what} within {limit}")))
    };
    let runs = matches!(evidence.node, Some(node) if node.state == NodeState::Running);
    match record.life {
        Life::Requested => {
            if runs {
                return Some((Life::Booting, "the provider says it runs".into()));
            }
            overdue(limits.boot, "it was not running")
        }
        Life::Booting => {
            if !evidence.has_ssh && runs {
                return Some((
                    Life::Bootstrapping,
                    "it runs; this provider has no logins".into(),
                ));
            }
            if !evidence.has_ssh {
                return overdue(limits.bootstrap, "it was not running");
            }
            match &evidence.reached {
                Some(Ok(())) => Some((Life::Bootstrapping, "a login worked".into())),
                Some(Err(why)) => overdue(limits.bootstrap, &format!("no login worked ({why})")),
                None => overdue(limits.bootstrap, "no login worked"),
            }
        }
        Life::Bootstrapping => match &record.boot {
            Some(Boot::Succeeded) => Some((Life::Ready, "its boot script succeeded".into())),
            Some(Boot::Failed { exit_status, .. }) => {
                let how = exit_status.map_or_else(
                    || "by a signal".to_owned(),
                    |status| format!("with {status}"),
                );
                Some((Life::Failed, format!("its boot script ended {how}")))
            }
            None if !evidence.reports_boot && runs => Some((
                Life::Ready,
                "reachable; the boot result is not reported".into(),
            )),
            Some(Boot::Running) | None => overdue(limits.bootstrap, "its boot script did not end"),
        },
        Life::Ready if evidence.balanced => match evidence.member {
            Some(MemberHealth::Healthy) => {
                Some((Life::InService, "the balancer says it is healthy".into()))
            }
            Some(MemberHealth::Initial | MemberHealth::Unhealthy) => {
                overdue(limits.in_service, "the balancer did not find it healthy")
            }
            _ => None,
        },
        _ => None,
    }
}

/// Why a node that should be up is beyond repair, if it is.
fn broken(record: &NodeRecord, node: Option<&Node>, limits: &Limits) -> Option<String> {
    let node = node?;
    let what = match node.state {
        NodeState::Failed | NodeState::Stopped | NodeState::Deleting => node.state.as_str(),
        _ => return None,
    };
    let why = node
        .message
        .as_ref()
        .map(|message| format!(": {message}"))
        .unwrap_or_default();
    if let Some(reclaimed) = reclaimed(record) {
        return Some(reclaimed);
    }
    // The one way in which a machine of ours goes down by itself.
    let by_itself = match limits.dead_man {
        Some(limit) if node.state != NodeState::Deleting => format!(
            "; it powers itself off when nobody has renewed its timer for {limit} \
             (`limits.dead_man`)"
        ),
        _ => String::new(),
    };
    Some(format!("the provider says `{what}`{why}{by_itself}"))
}

fn gone_reason(record: &NodeRecord, node: Option<&Node>) -> String {
    if record.life.is_leaving() {
        return record.reason.clone();
    }
    if let Some(reclaimed) = reclaimed(record) {
        return reclaimed;
    }
    match node.and_then(|node| node.message.as_deref()) {
        Some(message) => format!("the provider says it is gone: {message}"),
        None if record.market == Market::Spot => {
            "the provider says it is gone; we did not ask for \
             that, and spot machines can be taken back"
                .into()
        }
        None => "the provider says it is gone; we did not ask for that".into(),
    }
}

/// That a cloud took a machine back, if it had announced that.
fn reclaimed(record: &NodeRecord) -> Option<String> {
    let notice = record.tenure.notice.as_ref()?;
    (notice.kind == InterruptionKind::Reclaim).then(|| {
        format!(
            "reclaimed by the cloud, as it announced at {:.0}",
            notice.told_at
        )
    })
}

/// How long something has lasted; nothing if the clock went backwards.
pub(crate) fn elapsed(since: Timestamp, now: Timestamp) -> Duration {
    crate::guard::since(since, now)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use fleetwright_core::{Addresses, Labels, Tenure};

    use super::*;

    fn record(life: Life) -> NodeRecord {
        NodeRecord {
            id: "sim/a/n1".parse().unwrap(),
            name: "n1".into(),
            pool: "web".into(),
            claim: None,
            token: None,
            life,
            since: Timestamp::UNIX_EPOCH,
            instance_type: "small".into(),
            zone: None,
            market: Market::OnDemand,
            price: None,
            generation: String::new(),
            access: None,
            boot: None,
            labels: Labels::new(),
            created_at: Timestamp::UNIX_EPOCH,
            seen_at: None,
            gone_at: None,
            tenure: Tenure::default(),
            reason: "made".into(),
        }
    }

    fn node(state: NodeState, boot: Option<Boot>) -> Node {
        Node {
            id: "sim/a/n1".parse().unwrap(),
            name: "n1".into(),
            state,
            instance_type: "small".into(),
            zone: None,
            market: Market::OnDemand,
            addresses: Addresses::default(),
            access: None,
            boot,
            labels: Labels::new(),
            created_at: None,
            price: None,
            message: None,
            metadata: BTreeMap::new(),
        }
    }

    fn after(life: Life, evidence: &Evidence<'_>, minutes: u64) -> Life {
        let now = Timestamp::UNIX_EPOCH + Duration::from_mins(minutes);
        advance(&record(life), evidence, &Limits::default(), now).map_or(life, |next| next.life)
    }

    #[test]
    fn a_node_that_is_up_passes_through_all_its_states_at_one_look() {
        let up = node(NodeState::Running, Some(Boot::Succeeded));
        let evidence = Evidence {
            node: Some(&up),
            reached: Some(Ok(())),
            has_ssh: true,
            reports_boot: true,
            ..Evidence::default()
        };
        assert_eq!(after(Life::Requested, &evidence, 0), Life::Ready);
    }

    #[test]
    fn a_failed_boot_script_is_a_failed_node_and_not_a_ready_one() {
        let failed = Boot::Failed {
            exit_status: Some(3),
            log_tail: "no such file".into(),
        };
        let up = node(NodeState::Running, Some(failed));
        let evidence = Evidence {
            node: Some(&up),
            reached: Some(Ok(())),
            has_ssh: true,
            reports_boot: true,
            ..Evidence::default()
        };
        assert_eq!(after(Life::Requested, &evidence, 0), Life::Failed);
    }

    #[test]
    fn a_node_that_was_not_seen_stays_what_it_is() {
        for life in Life::ALL {
            assert_eq!(after(life, &Evidence::default(), 0), life, "{life}");
        }
    }

    #[test]
    fn each_state_on_the_way_up_has_a_limit() {
        let silent = Evidence {
            has_ssh: true,
            reports_boot: true,
            ..Evidence::default()
        };
        assert_eq!(after(Life::Requested, &silent, 11), Life::Failed);
        assert_eq!(after(Life::Booting, &silent, 21), Life::Failed);
        assert_eq!(after(Life::Bootstrapping, &silent, 21), Life::Failed);
        let sick = Evidence {
            balanced: true,
            member: Some(&MemberHealth::Unhealthy),
            ..silent
        };
        assert_eq!(after(Life::Ready, &sick, 9), Life::Ready);
        assert_eq!(after(Life::Ready, &sick, 11), Life::Failed);
    }

    #[test]
    fn an_unknown_state_is_neither_running_nor_gone() {
        let odd = node(NodeState::Unknown("hibernating".into()), None);
        let evidence = Evidence {
            node: Some(&odd),
            ..Evidence::default()
        };
        for life in [
            Life::Requested,
            Life::Booting,
            Life::Bootstrapping,
            Life::Ready,
        ] {
            assert_eq!(
                after(life, &evidence, 0),
                life,
                "without logins and boot results"
            );
        }
    }

    #[test]
    fn a_stopped_or_dead_machine_fails_and_a_confirmed_absence_ends_it() {
        let dead = node(NodeState::Failed, None);
        let evidence = Evidence {
            node: Some(&dead),
            ..Evidence::default()
        };
        assert_eq!(after(Life::Ready, &evidence, 0), Life::Failed);
        assert_eq!(after(Life::Terminating, &evidence, 0), Life::Terminating);
        let gone = Evidence {
            confirmed_gone: true,
            ..Evidence::default()
        };
        assert_eq!(after(Life::Ready, &gone, 0), Life::Gone);
        assert_eq!(after(Life::Failed, &gone, 0), Life::Gone);
    }

    #[test]
    fn a_healthy_member_is_in_service() {
        let evidence = Evidence {
            balanced: true,
            member: Some(&MemberHealth::Healthy),
            ..Evidence::default()
        };
        assert_eq!(after(Life::Ready, &evidence, 0), Life::InService);
    }
}
