//! What a node's directory and the lock in it say about the node.

use std::collections::BTreeMap;
use std::io;
use std::net::{IpAddr, Ipv4Addr};

use fleetwright_core::{
    Access, Addresses, Boot, HourlyPrice, Market, Node, NodeId, NodeState, Result,
};
use jiff::{SignedDuration, Timestamp};

use crate::error;
use crate::node::boot::log_tail;
use crate::node::state::{NodeDir, Record};
use crate::process::{Holder, holder};
use crate::{REGION, process};

/// How long a process may take to come up before we say that it will not.
const STARTING: SignedDuration = SignedDuration::from_secs(10);

/// Looks at a node; `None` if there is no such directory.
///
/// # Errors
/// If something is there that cannot be read as a node.
pub(crate) fn look(
    provider: &str,
    native: &str,
    dir: &NodeDir,
    now: Timestamp,
) -> Result<Option<Node>> {
    let read = || -> io::Result<(Record, Sight, Option<Boot>)> {
        let record = dir.record()?;
        let sight = see(dir, &record, now)?;
        let mut boot = dir.boot()?;
        if boot == Some(Boot::Running) && sight.state == NodeState::Failed {
            boot = Some(Boot::Failed {
                exit_status: None,
                log_tail: log_tail(dir)?,
            });
        }
        Ok((record, sight, boot))
    };
    match read() {
        Ok((record, sight, boot)) => {
            let id = NodeId::new(provider, REGION, native)?;
            Ok(Some(node(id, record, sight, boot)))
        }
        Err(e) => match dir.path().try_exists() {
            // It was taken out while we looked.
            Ok(false) => Ok(None),
            _ => Err(error::file("read the node in", dir.path(), e)
                .with_hint("if this is not a node, move it out of the root")),
        },
    }
}

/// A node that was deleted, as a replay of its create call reports it.
pub(crate) fn deleted(provider: &str, native: &str, record: Record) -> Result<Node> {
    let sight = Sight {
        state: NodeState::Deleted,
        port: None,
        message: None,
    };
    let id = NodeId::new(provider, REGION, native)?;
    Ok(node(id, record, sight, None))
}

struct Sight {
    state: NodeState,
    port: Option<u16>,
    message: Option<String>,
}

fn see(dir: &NodeDir, record: &Record, now: Timestamp) -> io::Result<Sight> {
    let sight = |state, message: Option<&str>| Sight {
        state,
        port: None,
        message: message.map(str::to_owned),
    };
    if dir.is_deleting()? {
        return Ok(sight(NodeState::Deleting, None));
    }
    // In this order: a process that comes up in between is seen as not up yet, not as dead.
    let port = dir.port()?;
    let alive = process::holder(&dir.lock())? != Holder::Nobody;
    Ok(match (alive, port) {
        (true, Some(port)) => Sight {
            state: NodeState::Running,
            port: Some(port),
            message: None,
        },
        (true, None) => sight(NodeState::Pending, None),
        (false, Some(_)) => sight(NodeState::Failed, Some("its process ended")),
        (false, None) => {
            if let Some(why) = dir.failure()? {
                sight(NodeState::Failed, Some(&why))
            } else if now.duration_since(record.created_at) < STARTING {
                sight(NodeState::Pending, None)
            } else {
                sight(
                    NodeState::Failed,
                    Some("its process was never started, or ended before it was up"),
                )
            }
        }
    })
}

/// Whether a create call must still start its process.
pub(crate) fn needs_start(dir: &NodeDir) -> io::Result<bool> {
    Ok(!dir.is_deleting()?
        && dir.port()?.is_none()
        && dir.failure()?.is_none()
        && holder(&dir.lock())? == Holder::Nobody)
}

fn node(id: NodeId, record: Record, sight: Sight, boot: Option<Boot>) -> Node {
    let localhost = IpAddr::V4(Ipv4Addr::LOCALHOST);
    Node {
        id,
        name: record.name,
        state: sight.state,
        instance_type: record.instance_type,
        zone: None,
        market: Market::OnDemand,
        addresses: Addresses {
            public: None,
            private: sight.port.map(|_| localhost),
        },
        access: sight.port.map(|port| Access {
            host: localhost.to_string(),
            port,
            user: record.user,
            host_keys: vec![record.host_key],
        }),
        boot,
        labels: record.labels,
        created_at: Some(record.created_at),
        price: Some(HourlyPrice::FREE),
        message: sight.message,
        metadata: BTreeMap::new(),
    }
}
