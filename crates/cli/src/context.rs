//! What a command works with. The session (journal, providers, engine) is opened when it is first
//! needed.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use fleetwright::{Loaded, NodeProgram, Origin, Overrides, Paths, Session, SessionOptions};
use fleetwright_core::{Access, Clock, Error, Event, Kind, NodeRecord, Remote, Result};
use fleetwright_engine::{Engine, Listener, SystemClock};
use fleetwright_remote::pin_host_keys;
use fleetwright_store::Store;
use jiff::Timestamp;
use tokio::sync::OnceCell;

use crate::args::Global;
use crate::output::{Out, in_order};
use crate::progress::Progress;

/// The hidden word that makes this program a local node.
pub(crate) const NODE_COMMAND: &str = "__local-node";
/// How much memory the allocator takes in advance. A local node's memory is limited, and what is
/// taken in advance counts (<https://microsoft.github.io/mimalloc/environment.html>).
const NO_RESERVE: &str = "MIMALLOC_ARENA_RESERVE";

/// Configuration, paths and, when it is needed, the session.
pub(crate) struct Context {
    pub(crate) out: Out,
    pub(crate) loaded: Loaded,
    pub(crate) paths: Paths,
    options: SessionOptions,
    progress: Arc<Switch>,
    session: OnceCell<Session>,
}

/// Progress that begins with the first use of the engine and ends before the result is printed.
#[derive(Default)]
struct Switch(Mutex<Option<Progress>>);

impl Listener for Switch {
    fn hear(&self, event: &Event) {
        if let Some(progress) = &*self.0.lock().unwrap_or_else(PoisonError::into_inner) {
            progress.hear(event);
        }
    }
}

impl Context {
    /// Reads the configuration and checks it. Nothing is written.
    pub(crate) fn load(global: &Global, out: Out) -> Result<Self> {
        Self::load_with(global, out, Vec::new())
    }

    /// The same, with others who hear about events.
    pub(crate) fn load_with(
        global: &Global,
        out: Out,
        listeners: Vec<Arc<dyn Listener>>,
    ) -> Result<Self> {
        let directory = std::env::current_dir().map_err(|error| {
            Error::new(Kind::Config, "the current directory cannot be read").with_source(error)
        })?;
        let progress = Arc::new(Switch::default());
        let mut options = SessionOptions::new(directory, node_program()?);
        options.overrides = Overrides {
            config: global.config.clone(),
            state_dir: global.state_dir.clone(),
            fleet: global.fleet.clone(),
        };
        options.listeners = listeners;
        options.listeners.push(progress.clone());
        let loaded = options.validate()?;
        let paths = Paths::new(
            &loaded.config,
            &options.overrides,
            &options.environment,
            &options.directory,
        )?;
        Ok(Self {
            out,
            loaded,
            paths,
            options,
            progress,
            session: OnceCell::new(),
        })
    }

    /// How a session would be opened in this directory.
    pub(crate) fn session_options() -> Result<SessionOptions> {
        let directory = std::env::current_dir().map_err(|error| {
            Error::new(Kind::Config, "the current directory cannot be read").with_source(error)
        })?;
        Ok(SessionOptions::new(directory, node_program()?))
    }

    async fn session(&self) -> Result<&Session> {
        self.session
            .get_or_try_init(|| Session::open(self.options.clone()))
            .await
    }

    /// The journal.
    pub(crate) async fn store(&self) -> Result<Store> {
        Ok(self.session().await?.store().clone())
    }

    /// Commands on nodes.
    pub(crate) async fn remote(&self) -> Result<Arc<dyn Remote>> {
        Ok(self.session().await?.remote().clone())
    }

    /// The engine. From here on progress is shown.
    pub(crate) async fn engine(&self) -> Result<Engine> {
        let engine = self.session().await?.engine().clone();
        self.begin_progress();
        Ok(engine)
    }

    /// The engine, without any progress on the screen.
    pub(crate) async fn quiet_engine(&self) -> Result<Engine> {
        Ok(self.session().await?.engine().clone())
    }

    /// A further session, with the configuration as it is by now.
    pub(crate) async fn reopen(&self) -> Result<Session> {
        Session::open(self.options.clone()).await
    }

    /// Shows progress, from here to [`end_progress`](Self::end_progress).
    pub(crate) fn begin_progress(&self) {
        if !self.out.quiet {
            self.progress
                .0
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .get_or_insert_with(Progress::new);
        }
    }

    /// Closes the journal, if it was opened: a closed one opens faster.
    pub(crate) async fn close(&self) {
        if let Some(session) = self.session.get() {
            session.close().await;
        }
    }

    /// The nodes that the journal knows, in the order of their pools and names.
    pub(crate) async fn nodes(&self, gone: bool) -> Result<Vec<NodeRecord>> {
        let store = self.store().await?;
        let mut records = if gone {
            store.nodes_with_gone().await?
        } else {
            store.nodes().await?
        };
        sort(&mut records);
        Ok(records)
    }

    /// Takes the progress from the screen, for a question or the result.
    pub(crate) fn end_progress(&self) {
        self.progress
            .0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
    }

    /// Says what is worked with, if nobody asked for it by name.
    pub(crate) fn say_origin(&self) {
        if self.loaded.origin == Origin::BuiltIn {
            self.out.faint(
                "no fleetwright.toml found: using the built-in fleet, three nodes on this machine \
                 (`fleetwright init` writes a file to start from)",
            );
        }
    }

    /// Where the configuration came from, in words.
    pub(crate) fn source(&self) -> String {
        self.loaded.origin.to_string()
    }

    /// The time.
    pub(crate) fn now() -> Timestamp {
        SystemClock.now()
    }

    /// The node with this name or id, or the only one whose name or id begins or ends like this.
    pub(crate) async fn find_node(&self, wanted: &str, gone: bool) -> Result<NodeRecord> {
        let mut records = self.nodes(gone).await?;
        if let Some(at) = records
            .iter()
            .position(|r| r.name == wanted || r.id.as_str() == wanted)
        {
            return Ok(records.swap_remove(at));
        }
        let alike = |text: &str| text.starts_with(wanted) || text.ends_with(wanted);
        records.retain(|record| alike(&record.name) || alike(record.id.as_str()));
        match records.len() {
            0 => Err(
                Error::new(Kind::NotFound, format!("no node is named `{wanted}`"))
                    .with_hint("`fleetwright nodes` lists them all"),
            ),
            1 => Ok(records.swap_remove(0)),
            _ => {
                let names: Vec<&str> = records.iter().map(|record| record.name.as_str()).collect();
                Err(
                    Error::new(Kind::Invalid, format!("`{wanted}` may be several nodes"))
                        .with_hint(format!("name one of: {}", names.join(", "))),
                )
            }
        }
    }

    /// Checks that there is a pool of this name, in the configuration or among the nodes.
    pub(crate) async fn check_pool(&self, name: &str) -> Result<()> {
        let pools = &self.loaded.config.pools;
        let left = self.nodes(false).await?;
        if pools.contains_key(name) || left.iter().any(|record| record.pool == name) {
            return Ok(());
        }
        let known: Vec<&str> = pools.keys().map(String::as_str).collect();
        Err(
            Error::new(Kind::NotFound, format!("no pool is named `{name}`"))
                .with_hint(format!("the pools are: {}", known.join(", "))),
        )
    }

    /// Why nobody can log in to a node.
    pub(crate) fn no_access(&self, record: &NodeRecord) -> Error {
        let entry = self.loaded.config.providers.get(record.id.provider());
        if entry.is_some_and(|entry| entry.kind == "sim") {
            return Error::new(
                Kind::Unsupported,
                format!(
                    "`{}` is a simulated node: there is nothing to log in to",
                    record.name
                ),
            );
        }
        Error::new(
            Kind::Unavailable,
            format!("`{}` has no address yet", record.name),
        )
        .with_hint("`fleetwright status` asks the provider again")
    }

    /// Writes the host keys that the provider told into our known_hosts, for the system's `ssh`.
    pub(crate) fn pin(&self, access: &Access) -> Result<()> {
        pin_host_keys(
            &self.paths.known_hosts(),
            &access.host,
            access.port,
            &access.host_keys,
        )
    }
}

/// Puts nodes in the order of their pools and names.
pub(crate) fn sort(records: &mut [NodeRecord]) {
    records.sort_by(|a, b| (&a.pool, in_order(&a.name)).cmp(&(&b.pool, in_order(&b.name))));
}

/// This program, as a local node.
fn node_program() -> Result<NodeProgram> {
    let path: PathBuf = std::env::current_exe().map_err(|error| {
        Error::new(Kind::Config, "the path of this program cannot be found").with_source(error)
    })?;
    Ok(NodeProgram {
        path,
        args: vec![NODE_COMMAND.to_owned()],
        env: vec![(NO_RESERVE.to_owned(), "0".to_owned())],
    })
}

/// Who holds the lease, for whoever finds it taken.
pub(crate) fn holder(command: &str) -> String {
    format!("`fleetwright {command}`, process {}", std::process::id())
}
