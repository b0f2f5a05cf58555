//! `fleetwright.toml`: what it may say, where it is found, and how it is read.
//!
//! ```text
//!  discover ─► Source ─► syntax ─► parse (serde judges, schema explains) ─► check ─► Loaded
//!                           └──────────────┴── Problems ──┴────────┘
//! ```
//!
//! Values come from four places, later ones win: defaults, the file, the environment
//! ([`crate::env`]), flags ([`Overrides`]). Everything wrong with a file is reported at once, each
//! with its line, column, key and a suggestion: [`Problems`].

mod brakes;
mod care;
mod check;
mod discover;
mod parse;
mod probes;
mod scaling;
mod shape;
mod source;
pub mod suggest;
mod syntax;
mod targets;

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use fleetwright_core::{
    Budget, Pool, PriceRule, Provider, Result, Span, TargetGroup, Webhook, check_name,
};
use schemars::JsonSchema;
use serde::Deserialize;

use crate::env::{self, Environment};
use crate::providers::{self, ProviderConfig, ProviderKind};

pub use discover::Origin;
pub use source::{Problem, Problems, Source, render};

pub(crate) use parse::TopLevel;
pub use suggest::closest;
pub(crate) use suggest::hint as hint_for;

use discover::Found;
use parse::Places;

/// The name of the configuration file.
pub const FILE_NAME: &str = "fleetwright.toml";

/// The configuration that is used when there is no file: three nodes on this machine.
pub const BUILT_IN: &str = "\
[providers.local]
kind = \"local\"

[pools.local]
desired = 3
candidates = [{ provider = \"local\", type = \"small\" }]
";

/// Everything that a configuration says, with defaults filled in.
#[derive(Debug, Clone)]
pub struct Config {
    /// The name of the fleet.
    pub fleet: String,
    /// Who answers for the nodes: the value of a label on each.
    pub owner: Option<String>,
    /// Where machines come from, by name.
    pub providers: BTreeMap<String, ProviderEntry>,
    /// What is wanted, by name.
    pub pools: BTreeMap<String, Pool>,
    /// Machines that are looked after without being made by us, by name.
    pub targets: BTreeMap<String, TargetGroup>,
    /// Who is told about incidents.
    pub notifications: Vec<Webhook>,
    /// What keeps a mistake small.
    pub safety: Safety,
    /// Most that the machines of all pools may cost together.
    pub budget: Option<Budget>,
    /// The journal.
    pub store: StoreSettings,
    /// How nodes are logged in to.
    pub ssh: SshSettings,
    /// What the user knows better than a price list. The first rule that matches an offer holds.
    pub prices: Vec<PriceRule>,
}

/// A `[providers.<name>]` table.
#[derive(Debug, Clone)]
pub struct ProviderEntry {
    /// Its name.
    pub name: String,
    /// Its kind.
    pub kind: &'static str,
    /// The fields of that kind.
    pub config: Arc<dyn ProviderConfig>,
}

/// What keeps a mistake small.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Safety {
    /// A plan that would remove more than this share of the nodes is reported, not executed. In
    /// percent.
    #[schemars(range(max = 100))]
    pub max_removal_percent: u8,
    /// A node without a record is left alone until it is at least this old: its record may be on
    /// its way.
    pub age_floor: Span,
}

impl Default for Safety {
    fn default() -> Self {
        Self {
            max_removal_percent: 30,
            age_floor: Span::seconds(30),
        }
    }
}

/// The journal.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct StoreSettings {
    /// The database file. Absent: `journal.db` in the fleet's state directory. A relative path
    /// starts at the configuration file.
    pub path: Option<PathBuf>,
}

/// How nodes are logged in to.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct SshSettings {
    /// Private keys to try, besides the fleet's own: after it on nodes that the fleet has made, before
    /// it elsewhere. Relative paths start at the configuration file.
    pub identities: Vec<PathBuf>,
    /// Whether the keys of the SSH agent are tried too.
    pub agent: bool,
    /// Where host keys are pinned. Absent: `known_hosts` in the fleet's state directory.
    pub known_hosts: Option<PathBuf>,
    /// Limit for connecting and logging in.
    pub connect_timeout: Span,
}

impl Default for SshSettings {
    fn default() -> Self {
        Self {
            identities: Vec::new(),
            agent: true,
            known_hosts: None,
            connect_timeout: Span::seconds(10),
        }
    }
}

/// What flags of the command line, or a program, put above file and environment.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Overrides {
    /// The configuration file. Must exist.
    pub config: Option<PathBuf>,
    /// The state directory.
    pub state_dir: Option<PathBuf>,
    /// The name of the fleet.
    pub fleet: Option<String>,
}

/// A configuration, where it came from, and where in it each key stands.
#[derive(Debug, Clone)]
pub struct Loaded {
    /// What it says.
    pub config: Config,
    /// Where it came from.
    pub origin: Origin,
    source: Arc<Source>,
    places: Places,
}

impl Loaded {
    /// Finds and reads the configuration. Relative paths in flags and environment start at
    /// `directory`, usually the current one.
    ///
    /// # Errors
    /// `Config`. If a file is to blame, [`render`] shows every problem with its line.
    pub fn load(
        overrides: &Overrides,
        environment: &Environment,
        directory: &Path,
    ) -> Result<Self> {
        let found = discover::discover(overrides, environment, directory)?;
        let mut loaded = Self::read(found, environment, providers::KINDS)?;
        loaded.apply(overrides, environment, directory)?;
        Ok(loaded)
    }

    /// Reads a configuration from a text. `name` is what messages call it by; relative paths in it
    /// start at `directory`. Neither flags nor variables are looked at.
    ///
    /// # Errors
    /// As [`load`](Self::load).
    pub fn from_text(
        name: &str,
        text: &str,
        environment: &Environment,
        directory: &Path,
    ) -> Result<Self> {
        let found = Found {
            source: Arc::new(Source::new(name, text)),
            directory: directory.to_owned(),
            origin: Origin::File(directory.join(name)),
        };
        Self::read(found, environment, providers::KINDS)
    }

    fn read(found: Found, environment: &Environment, kinds: &[ProviderKind]) -> Result<Self> {
        let Found {
            source,
            directory,
            origin,
        } = found;
        let (config, places) = parse::parse(&source, &directory, environment, kinds)?;
        Ok(Self {
            config,
            origin,
            source,
            places,
        })
    }

    /// Puts environment and flags above what the file says.
    fn apply(
        &mut self,
        overrides: &Overrides,
        environment: &Environment,
        directory: &Path,
    ) -> Result<()> {
        let config = &mut self.config;
        if let Some(fleet) = environment.text(env::FLEET)? {
            check_name("fleet", &fleet).map_err(|e| e.with_context("variable", env::FLEET))?;
            config.fleet = fleet;
        }
        if let Some(fleet) = &overrides.fleet {
            check_name("fleet", fleet)?;
            config.fleet.clone_from(fleet);
        }
        if let Some(owner) = environment.text(env::OWNER)? {
            check::label_value(&owner)
                .map_err(|problem| problem.into_error().with_context("variable", env::OWNER))?;
            config.owner = Some(owner);
        }
        if let Some(path) = environment.path(env::STORE) {
            config.store.path = Some(environment.expand(&path, directory));
        }
        Ok(())
    }

    /// Checks the pools against the providers that were built: regions, balancers, the length of
    /// user data.
    ///
    /// # Errors
    /// `Config`, with all problems, each with its place in the file.
    pub fn check_providers(&self, providers: &BTreeMap<String, Arc<dyn Provider>>) -> Result<()> {
        let mut problems = check::against_providers(&self.config, providers, &self.places);
        for problem in &mut problems {
            problem.span = problem
                .key
                .as_ref()
                .and_then(|key| self.places.nearest(key));
        }
        match Problems::new(&self.source, problems) {
            Some(problems) => Err(problems.into()),
            None => Ok(()),
        }
    }
}

impl fmt::Display for Loaded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "fleet `{}` from {}", self.config.fleet, self.origin)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kind_that_was_not_compiled_in_says_how_to_get_it() {
        let kinds = [ProviderKind {
            kind: "moon",
            about: "Far away.",
            feature: "moonshot",
            code: None,
        }];
        let found = Found {
            source: Arc::new(Source::new("f.toml", "[providers.a]\nkind = 'moon'\n")),
            directory: PathBuf::new(),
            origin: Origin::BuiltIn,
        };
        let error = Loaded::read(found, &Environment::default(), &kinds)
            .map(|loaded| loaded.to_string())
            .expect_err("there is no code for it");
        assert_eq!(
            error.to_string(),
            "the provider kind `moon` exists, but this program was built without it"
        );
        assert_eq!(
            error.hint(),
            Some("build with `--features fleetwright/moonshot`")
        );
    }
}
