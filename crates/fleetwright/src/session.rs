//! Everything opened and tied together: what a command, a server or a program works with.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use fleetwright_core::{
    Clock, HostKeys, Messenger, Prices, Provider, Remote, Result, SecretSource, SignalSource,
};
use fleetwright_engine::{
    Engine, Fleet, Guarded, Listener, Planting, Policy, Recorder, Safety, Shelf, SystemClock,
};
use fleetwright_notify::WebhookMessenger;
use fleetwright_prometheus::Prometheus;
use fleetwright_remote::{HostKeySeed, Ssh, SshOptions, generate_identity};
use fleetwright_store::Store;

use crate::config::{Config, Loaded, Overrides};
use crate::env::{self, Environment};
use crate::expectation::ExpectationReader;
use crate::paths::Paths;
use crate::providers::{self, BuildContext, NodeProgram, Providers};
use crate::secret::SecretReader;

/// What a session is opened with.
#[derive(Clone)]
pub struct SessionOptions {
    /// Flags.
    pub overrides: Overrides,
    /// The environment.
    pub environment: Environment,
    /// Where relative paths start.
    pub directory: PathBuf,
    /// The program that a local node runs as.
    pub node_program: NodeProgram,
    /// Who hears about events as they happen.
    pub listeners: Vec<Arc<dyn Listener>>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// How patient the guard is. Its seed is replaced, so that two processes do not jitter alike.
    pub policy: Policy,
}

/// A fleet, ready to be worked with.
#[derive(Debug)]
pub struct Session {
    loaded: Loaded,
    paths: Paths,
    engine: Engine,
    remote: Arc<dyn Remote>,
    public_key: String,
}

// === impl SessionOptions ===

impl SessionOptions {
    /// Options with the environment of this process, no flags, no listeners and the system's
    /// clock.
    pub fn new(directory: PathBuf, node_program: NodeProgram) -> Self {
        Self {
            overrides: Overrides::default(),
            environment: Environment::of_process(),
            directory,
            node_program,
            listeners: Vec::new(),
            clock: Arc::new(SystemClock),
            policy: Policy::default(),
        }
    }

    /// Reads the configuration and checks it against its providers, without opening or writing
    /// anything.
    ///
    /// # Errors
    /// `Config`; see [`Loaded::load`] and [`Loaded::check_providers`].
    pub fn validate(&self) -> Result<Loaded> {
        self.build().map(|built| built.loaded)
    }

    /// Reads a configuration from a text, builds its providers and checks it against them, without
    /// opening or writing anything.
    ///
    /// # Errors
    /// As [`validate`](Self::validate).
    pub fn try_text(&self, name: &str, text: &str) -> Result<(Loaded, Providers)> {
        let loaded = Loaded::from_text(name, text, &self.environment, &self.directory)?;
        let built = self.build_loaded(loaded)?;
        Ok((built.loaded, built.providers))
    }

    fn build(&self) -> Result<Built> {
        let loaded = Loaded::load(&self.overrides, &self.environment, &self.directory)?;
        self.build_loaded(loaded)
    }

    fn build_loaded(&self, loaded: Loaded) -> Result<Built> {
        let paths = Paths::new(
            &loaded.config,
            &self.overrides,
            &self.environment,
            &self.directory,
        )?;
        let context = BuildContext {
            paths: paths.clone(),
            clock: Arc::clone(&self.clock),
            secrets: Arc::new(SecretReader::new(
                self.environment.clone(),
                loaded.origin.directory(&self.directory),
            )),
            node_program: self.node_program.clone(),
        };
        let providers = providers::build_all(&loaded.config.providers, &context)?;
        loaded.check_providers(&providers)?;
        let sources = sources(&loaded.config, &context.secrets, &self.clock)?;
        let messengers = messengers(&loaded.config, &context.secrets, &self.clock);
        Ok(Built {
            loaded,
            paths,
            providers,
            sources,
            messengers,
        })
    }
}

impl fmt::Debug for SessionOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Without the environment: it may hold secrets.
        f.debug_struct("SessionOptions")
            .field("overrides", &self.overrides)
            .field("directory", &self.directory)
            .field("node_program", &self.node_program)
            .field("listeners", &self.listeners.len())
            .finish_non_exhaustive()
    }
}

/// What there is before anything is written.
struct Built {
    loaded: Loaded,
    paths: Paths,
    providers: Providers,
    sources: Sources,
    messengers: Messengers,
}

/// Who is told about incidents, by name.
type Messengers = BTreeMap<String, Arc<dyn Messenger>>;

/// Where signals are read, by pool and name.
type Sources = BTreeMap<(String, String), Arc<dyn SignalSource>>;

// === impl Session ===

impl Session {
    /// Reads the configuration, makes the state directory and the fleet's key if they are missing,
    /// opens the journal, and puts every provider behind the guard. No provider is called.
    ///
    /// # Errors
    /// `Config` if something is wrong with the configuration, the state directory or the journal;
    /// `Unavailable` if the disk is full.
    pub async fn open(options: SessionOptions) -> Result<Self> {
        let Built {
            loaded,
            paths,
            providers,
            sources,
            messengers,
        } = options.build()?;
        paths.create()?;
        let comment = format!("fleetwright {}", loaded.config.fleet);
        let public_key = generate_identity(&paths.identity(), &comment)?;
        let remote: Arc<dyn Remote> = Arc::new(Ssh::new(ssh_options(
            &loaded.config,
            &paths,
            &options.environment,
        ))?);
        let store = Store::open(&paths.journal()).await?;
        let clock = options.clock;
        let recorder = Arc::new(Recorder::new(
            store.clone(),
            Arc::clone(&clock),
            options.listeners,
        ));
        let policy = Policy {
            seed: uuid::Uuid::new_v4().as_u64_pair().0,
            ..options.policy
        };
        let plants = providers.values().any(|p| p.info().plants_host_keys);
        let host_keys: Option<Arc<dyn HostKeys>> = if plants {
            Some(Arc::new(HostKeySeed::open(&paths.host_key_seed())?))
        } else {
            None
        };
        let guarded = providers
            .into_iter()
            .map(|(name, provider)| {
                let provider = match &host_keys {
                    Some(keys) if provider.info().plants_host_keys => {
                        Arc::new(Planting::new(provider, Arc::clone(keys), store.journal()))
                    }
                    _ => provider,
                };
                let guarded: Arc<dyn Provider> = Arc::new(Guarded::new(
                    provider,
                    policy.clone(),
                    Arc::clone(&clock),
                    Some(Arc::clone(&recorder)),
                    Some(store.clone()),
                ));
                (name, guarded)
            })
            .collect();
        let base = loaded.origin.directory(&options.directory);
        let expectations = Arc::new(ExpectationReader::new(base));
        let prices = Prices::new(loaded.config.prices.clone())?;
        let engine = Engine::new(
            fleet(&loaded.config, &public_key),
            guarded,
            store,
            Some(Arc::clone(&remote)),
            clock,
            recorder,
        )
        .with_prices(prices)
        .with_shelf(Shelf::new(paths.offers()))
        .with_sources(sources)
        .with_expectations(expectations)
        .with_messengers(messengers);
        Ok(Self {
            loaded,
            paths,
            engine,
            remote,
            public_key,
        })
    }

    /// The configuration and where it came from.
    pub fn loaded(&self) -> &Loaded {
        &self.loaded
    }

    /// What the configuration says.
    pub fn config(&self) -> &Config {
        &self.loaded.config
    }

    /// Where state lives.
    pub fn paths(&self) -> &Paths {
        &self.paths
    }

    /// The engine: observe, plan, execute.
    pub fn engine(&self) -> &Engine {
        &self.engine
    }

    /// The journal.
    pub fn store(&self) -> &Store {
        self.engine.store()
    }

    /// Commands on nodes.
    pub fn remote(&self) -> &Arc<dyn Remote> {
        &self.remote
    }

    /// The fleet's public key, as a line for `authorized_keys`.
    pub fn public_key(&self) -> &str {
        &self.public_key
    }

    /// Closes the journal. What is not closed is safe too; a closed one opens faster.
    pub async fn close(&self) {
        self.store().close().await;
    }
}

/// The signals that Prometheus is asked for.
fn sources(
    config: &Config,
    secrets: &Arc<dyn SecretSource>,
    clock: &Arc<dyn Clock>,
) -> Result<Sources> {
    let mut sources = Sources::new();
    for (pool, scaling) in config
        .pools
        .iter()
        .filter_map(|(name, pool)| Some((name, pool.scaling.as_ref()?)))
    {
        for (signal, found) in &scaling.signals {
            if let Some(query) = &found.prometheus {
                let source = Prometheus::new(query, Arc::clone(secrets), Arc::clone(clock))?;
                sources.insert((pool.clone(), signal.clone()), Arc::new(source));
            }
        }
    }
    Ok(sources)
}

/// The webhooks that are told about incidents.
fn messengers(
    config: &Config,
    secrets: &Arc<dyn SecretSource>,
    clock: &Arc<dyn Clock>,
) -> Messengers {
    let mut messengers = Messengers::new();
    for webhook in &config.notifications {
        let messenger = WebhookMessenger::new(webhook, Arc::clone(secrets), Arc::clone(clock));
        messengers.insert(webhook.name.clone(), Arc::new(messenger));
    }
    messengers
}

fn fleet(config: &Config, public_key: &str) -> Fleet {
    Fleet {
        name: config.fleet.clone(),
        owner: config.owner.clone(),
        pools: config.pools.clone(),
        targets: config.targets.clone(),
        notifications: config.notifications.clone(),
        ssh_keys: vec![public_key.to_owned()],
        safety: Safety {
            max_removal_percent: config.safety.max_removal_percent,
            age_floor: config.safety.age_floor.0,
        },
        budget: config.budget.clone(),
        spot_caps: spot_caps(config),
    }
}

/// Where each provider wants the cap on what a spot machine may cost, if it takes one.
fn spot_caps(config: &Config) -> BTreeMap<String, String> {
    let entries = config.providers.iter();
    entries
        .filter_map(|(name, entry)| Some((name.clone(), entry.config.spot_cap()?.to_owned())))
        .collect()
}

/// The fleet's own key, the configured ones, and what the system's `ssh` would use.
fn ssh_options(config: &Config, paths: &Paths, environment: &Environment) -> SshOptions {
    let socket = environment.path(env::SSH_AUTH_SOCK);
    let options = SshOptions {
        own: Some(paths.identity()),
        identities: config.ssh.identities.clone(),
        // Without a socket of ours the client would look at the process's environment.
        use_agent: config.ssh.agent && socket.is_some(),
        agent_socket: socket,
        pinned: paths.known_hosts(),
        connect_timeout: config.ssh.connect_timeout.0,
        ..SshOptions::default()
    };
    match environment.home() {
        Some(home) => options.with_user_files(&home),
        None => options,
    }
}
