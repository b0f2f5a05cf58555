//! The provider itself: what the trait asks for, in terms of the other modules.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use fleetwright_core::ability::Quota;
use fleetwright_core::{
    Balancers, Billing, Catalog, Checked, Clock, CreateRequest, Created, Deletion, Dns, Effect,
    Error, Gap, Groups, Idempotency, Interruptions, Kind, ListRequest, Listing, Node, NodeId,
    NodeState, Provider, ProviderInfo, Quotas, Requests, Result,
};
use tokio::sync::Mutex;

use crate::create::{self, BATCH, Making};
use crate::observe::look;
use crate::root::Root;
use crate::{KIND, LocalConfig, REGION, delete, error, process, user_data};

/// How long a create call waits for its nodes to come up before it says what it sees.
const COME_UP: Duration = Duration::from_secs(5);

/// The program that a node is.
///
/// It is started with `args` and the node's directory as the last argument, and must call
/// [`node::main`](crate::node::main) with that directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeProgram {
    /// The program's file.
    pub path: PathBuf,
    /// What to pass before the directory.
    pub args: Vec<String>,
    /// What its environment has besides; commands on the node do not see it.
    pub env: Vec<(String, String)>,
}

/// This machine as a source of nodes.
///
/// - **Exactly once** by deterministic names: see [`Idempotency::DeterministicName`]. A node that
///   was deleted is remembered for 30 days; a replay of its create call reports it as
///   `Deleted` and makes no second one.
/// - **Limits that hold**: `max_nodes` is counted under a lock of the operating system over all
///   processes that use the same root; beyond it, `Quota`.
/// - Needs a tokio runtime with time, I/O and the blocking pool.
#[derive(Debug)]
pub struct LocalProvider {
    info: ProviderInfo,
    root: Root,
    program: NodeProgram,
    max_nodes: u32,
    clock: Arc<dyn Clock>,
    /// Calls of this process queue here, not at the file.
    making: Mutex<()>,
}

// === impl LocalProvider ===

impl LocalProvider {
    /// A provider of this name whose nodes are in `config.root`, or in `root` if the
    /// configuration does not say. Touches nothing yet.
    ///
    /// # Errors
    /// [`Kind::Config`] if the configuration cannot work.
    pub fn new(
        name: &str,
        config: LocalConfig,
        root: PathBuf,
        program: NodeProgram,
        clock: Arc<dyn Clock>,
    ) -> Result<Self> {
        fleetwright_core::check_name("provider", name)?;
        config.check()?;
        let root = config.root.unwrap_or(root);
        let root =
            std::path::absolute(&root).map_err(|e| error::file("find the directory", &root, e))?;
        Ok(Self {
            info: ProviderInfo {
                name: name.to_owned(),
                kind: KIND.to_owned(),
                account: root.display().to_string(),
                regions: vec![REGION.to_owned()],
                idempotency: Idempotency::DeterministicName,
                listing_lag: Duration::ZERO,
                batch: BATCH,
                user_data_limit: user_data::LIMIT,
                reports_boot: true,
                has_ssh: true,
                // Time on this machine costs nothing.
                billing: Billing::per_second(0),
                plants_host_keys: false,
                limits: Vec::new(),
            },
            root: Root::new(root),
            program,
            max_nodes: config.max_nodes,
            clock,
            making: Mutex::new(()),
        })
    }

    pub(crate) fn root(&self) -> &Root {
        &self.root
    }

    pub(crate) fn max_nodes(&self) -> u32 {
        self.max_nodes
    }

    fn look(&self, native: &str) -> Result<Option<Node>> {
        match self.root.node(native) {
            Some(dir) => look(&self.info.name, native, &dir, self.clock.now()),
            None => Ok(None),
        }
    }

    /// An id of another provider or region is a mistake of the caller, and nothing is said about
    /// the node that it names.
    fn native<'a>(&self, id: &'a NodeId) -> Result<&'a str> {
        if id.provider() != self.info.name || id.region() != REGION {
            return Err(Error::new(
                Kind::Invalid,
                format!("`{id}` is not a node of `{}/{REGION}`", self.info.name),
            ));
        }
        Ok(id.native())
    }

    /// The nodes as soon as they are up, or as they are when time is out.
    async fn come_up(&self, natives: &[String]) -> Result<Vec<Node>> {
        let pause = Duration::from_millis(5);
        let mut waited = Duration::ZERO;
        loop {
            let mut nodes = Vec::with_capacity(natives.len());
            for native in natives {
                nodes.push(self.look(native)?.ok_or_else(|| {
                    Error::new(
                        Kind::Conflict,
                        format!("node `{native}` was deleted while it was made"),
                    )
                })?);
            }
            let starting = nodes.iter().any(|node| node.state == NodeState::Pending);
            if !starting || waited >= COME_UP {
                return Ok(nodes);
            }
            self.clock.sleep(pause).await;
            waited += pause;
        }
    }
}

#[async_trait]
impl Provider for LocalProvider {
    fn info(&self) -> &ProviderInfo {
        &self.info
    }

    async fn check(&self) -> Result<Checked> {
        self.root.prepare()?;
        let lock = self.root.lock(&*self.clock).await?;
        let probe = self.root.path().join(".new-probe");
        std::fs::write(&probe, "probe")
            .and_then(|()| std::fs::remove_file(&probe))
            .map_err(|e| error::file("write to", self.root.path(), e))?;
        drop(lock);
        let count = self.root.count()?;
        Ok(Checked {
            identity: Some(process::user_name()),
            notes: vec![format!(
                "{count} of {} nodes in `{}`",
                self.max_nodes,
                self.root.path().display()
            )],
        })
    }

    async fn create(&self, request: &CreateRequest) -> Result<Created> {
        create::check(request)?;
        let made = {
            let _turn = self.making.lock().await;
            self.root.prepare()?;
            let lock = self.root.lock(&*self.clock).await?;
            let making = Making {
                provider: self.info.name.clone(),
                root: self.root.clone(),
                program: self.program.clone(),
                max_nodes: self.max_nodes,
                request: request.clone(),
                now: self.clock.now(),
            };
            // Runs to its end even if this future is dropped.
            tokio::task::spawn_blocking(move || {
                let made = making.make(&lock);
                drop(lock);
                made
            })
            .await
            .map_err(|e| {
                Error::new(Kind::Unexpected, "making the nodes was broken off").with_source(e)
            })??
        };
        let mut nodes = self
            .come_up(&made.there)
            .await
            .map_err(|e| e.with_effect(Effect::Unknown))?;
        nodes.extend(made.deleted);
        nodes.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(match made.shortfall {
            None => Created::all(nodes),
            Some(shortfall) => Created::partial(nodes, shortfall),
        })
    }

    async fn list(&self, request: &ListRequest) -> Result<Listing> {
        let mut gaps = Vec::new();
        if let Some(regions) = &request.regions {
            for unknown in regions.iter().filter(|region| *region != REGION) {
                gaps.push(Gap {
                    region: Some(unknown.clone()),
                    error: create::unknown_region(unknown).report(),
                });
            }
            if !regions.iter().any(|region| region == REGION) {
                return match gaps.into_iter().next() {
                    Some(gap) => Err(gap.error.into()),
                    None => Ok(Listing::complete(Vec::new())),
                };
            }
        }
        // Trash is no node: if it cannot be removed now, the listing is as true as with it gone,
        // and the next call tries again.
        let _tried_again = self.root.empty_trash(None, self.clock.now());
        let mut nodes = Vec::new();
        for native in self.root.names()? {
            let seen = match self.root.node(&native) {
                Some(dir) => look(&self.info.name, &native, &dir, self.clock.now()),
                None => Err(Error::new(
                    Kind::Unexpected,
                    format!(
                        "`{native}` in `{}` cannot be the name of a node",
                        self.root.path().display()
                    ),
                )
                .with_hint("if this is not a node, move it out of the root")),
            };
            match seen {
                Ok(Some(node)) => {
                    let ours = request.foreign || node.is_managed();
                    let labeled = request
                        .labels
                        .iter()
                        .all(|(key, value)| node.labels.get(key) == Some(value));
                    if ours && labeled {
                        nodes.push(node);
                    }
                }
                Ok(None) => {}
                Err(error) => gaps.push(Gap {
                    region: Some(REGION.to_owned()),
                    error: error.report(),
                }),
            }
        }
        Ok(Listing::with_gaps(nodes, gaps))
    }

    async fn get(&self, id: &NodeId) -> Result<Node> {
        self.look(self.native(id)?)?
            .ok_or_else(|| Error::new(Kind::NotFound, format!("there is no node `{id}`")))
    }

    async fn delete(&self, id: &NodeId) -> Result<Deletion> {
        let native = self.native(id)?;
        if let Some(dir) = self.root.node(native) {
            delete::delete(&self.root, native, &dir, &*self.clock).await?;
        }
        Ok(Deletion::Gone)
    }

    fn catalog(&self) -> Option<&dyn Catalog> {
        Some(self)
    }

    fn groups(&self) -> Option<&dyn Groups> {
        None
    }

    fn balancers(&self) -> Option<&dyn Balancers> {
        None
    }

    fn dns(&self) -> Option<&dyn Dns> {
        None
    }

    fn interruptions(&self) -> Option<&dyn Interruptions> {
        None
    }

    fn quotas(&self) -> Option<&dyn Quotas> {
        Some(self)
    }

    fn requests(&self) -> Option<&dyn Requests> {
        None
    }
}

#[async_trait]
impl Quotas for LocalProvider {
    async fn quotas(&self) -> Result<Vec<Quota>> {
        Ok(vec![Quota {
            name: "max_nodes".to_owned(),
            region: Some(REGION.to_owned()),
            limit: self.max_nodes.into(),
            used: Some(self.root.count()?.into()),
            unit: "nodes".to_owned(),
            family: None,
        }])
    }
}
