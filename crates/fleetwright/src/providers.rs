//! The one table of provider kinds.
//!
//! A new kind of cloud is a crate, a line in the list at the end of this file, and a line in the
//! manifest beside it. A kind whose feature is off stays in the table without code, so that a
//! configuration that names it is told what is missing.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use fleetwright_core::{AccountConfig, AccountContext, Clock, Provider, Result, SecretSource};
use serde_json::{Map, Value};
use toml::de::ValueDeserializer;

use crate::assortment::Assortment;
use crate::config::ProviderEntry;
use crate::paths::Paths;

/// A kind of provider.
#[derive(Debug, Clone, Copy)]
pub struct ProviderKind {
    /// What `kind` says in the configuration.
    pub kind: &'static str,
    /// What it is, in a sentence.
    pub about: &'static str,
    /// The Cargo feature that compiles it in.
    pub feature: &'static str,
    /// How it is read and built; absent if this program was built without it.
    pub code: Option<ProviderCode>,
}

/// How the configuration of a kind is described and read.
#[derive(Debug, Clone, Copy)]
pub struct ProviderCode {
    /// The JSON Schema of its table, without `kind`.
    pub schema: fn() -> Value,
    /// Reads its table, from which `kind` was taken out.
    pub parse: ParseProvider,
}

/// Reads a provider's table; the second argument makes the paths in it absolute.
pub type ParseProvider = fn(
    ValueDeserializer<'_>,
    &dyn Fn(&Path) -> PathBuf,
) -> Result<Arc<dyn ProviderConfig>, toml::de::Error>;

/// The configuration of one provider: it knows how to check itself and how to build the provider.
pub trait ProviderConfig: Debug + Send + Sync {
    /// Checks what the types cannot say. If the message begins with a key in backticks, the reader
    /// is shown that key.
    ///
    /// # Errors
    /// `Config`.
    fn check(&self) -> Result<()>;

    /// Checks the `options` of a pool that may be made here. If the message begins with a key in
    /// backticks, the reader is shown that key.
    ///
    /// # Errors
    /// `Config` or `Invalid`.
    fn check_options(&self, options: &Map<String, Value>) -> Result<()>;

    /// What is on sale, as far as that is known without asking anybody. Absent: nothing is known.
    fn assortment(&self) -> Option<Assortment> {
        None
    }

    /// The option of a pool that caps what a spot machine may cost, in US dollars per hour, such as
    /// `0.12`. Absent: the provider takes no cap.
    fn spot_cap(&self) -> Option<&'static str> {
        None
    }

    /// Replaces each path by what `absolute` makes of it.
    fn resolve_paths(&mut self, absolute: &dyn Fn(&Path) -> PathBuf);

    /// Builds the provider, without calling it.
    ///
    /// # Errors
    /// `Config`.
    fn build(&self, name: &str, context: &BuildContext) -> Result<Arc<dyn Provider>>;
}

/// What providers are built with.
#[derive(Debug, Clone)]
pub struct BuildContext {
    /// Where state lives.
    pub paths: Paths,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Where secrets are fetched from.
    pub secrets: Arc<dyn SecretSource>,
    /// The program that a local node runs as.
    pub node_program: NodeProgram,
}

/// A program and the arguments that make it a local node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeProgram {
    /// The executable.
    pub path: PathBuf,
    /// Arguments before those that the provider adds.
    pub args: Vec<String>,
    /// What its environment has besides; commands on the node do not see it.
    pub env: Vec<(String, String)>,
}

/// Providers by name.
pub type Providers = BTreeMap<String, Arc<dyn Provider>>;

/// Builds every provider of a configuration.
///
/// # Errors
/// `Config`, with the name of the provider as context.
pub fn build_all(
    entries: &BTreeMap<String, ProviderEntry>,
    context: &BuildContext,
) -> Result<Providers> {
    entries
        .iter()
        .map(|(name, entry)| {
            let provider = entry
                .config
                .build(name, context)
                .map_err(|error| error.with_context("provider", name.clone()))?;
            Ok((name.clone(), provider))
        })
        .collect()
}

// === aws ===

#[cfg(feature = "aws")]
impl ProviderConfig for fleetwright_aws::AwsConfig {
    fn check(&self) -> Result<()> {
        // The inherent method, not this one.
        Self::check(self)
    }

    fn resolve_paths(&mut self, _absolute: &dyn Fn(&Path) -> PathBuf) {}

    fn check_options(&self, options: &Map<String, Value>) -> Result<()> {
        fleetwright_aws::AwsOptions::read(options).map(drop)
    }

    fn spot_cap(&self) -> Option<&'static str> {
        Some("max_spot_price")
    }

    fn build(&self, name: &str, context: &BuildContext) -> Result<Arc<dyn Provider>> {
        let clock = Arc::clone(&context.clock);
        let provider = fleetwright_aws::AwsProvider::new(name, self.clone(), clock)?;
        Ok(Arc::new(provider))
    }
}

// === local ===

#[cfg(feature = "local")]
impl ProviderConfig for fleetwright_local::LocalConfig {
    fn check(&self) -> Result<()> {
        // The inherent method, not this one.
        Self::check(self)
    }

    fn resolve_paths(&mut self, absolute: &dyn Fn(&Path) -> PathBuf) {
        if let Some(root) = &mut self.root {
            *root = absolute(root);
        }
    }

    fn check_options(&self, options: &Map<String, Value>) -> Result<()> {
        no_options("local", options)
    }

    fn assortment(&self) -> Option<Assortment> {
        Some(Assortment {
            types: fleetwright_local::types(),
            offerings: fleetwright_local::offerings(),
            // Nodes run on this machine's own system.
            images: Some(Vec::new()),
        })
    }

    fn build(&self, name: &str, context: &BuildContext) -> Result<Arc<dyn Provider>> {
        let program = fleetwright_local::NodeProgram {
            path: context.node_program.path.clone(),
            args: context.node_program.args.clone(),
            env: context.node_program.env.clone(),
        };
        let provider = fleetwright_local::LocalProvider::new(
            name,
            self.clone(),
            context.paths.nodes(name),
            program,
            Arc::clone(&context.clock),
        )?;
        Ok(Arc::new(provider))
    }
}

// === sim ===

#[cfg(feature = "sim")]
impl ProviderConfig for fleetwright_sim::SimConfig {
    fn check(&self) -> Result<()> {
        self.validate()
    }

    fn resolve_paths(&mut self, absolute: &dyn Fn(&Path) -> PathBuf) {
        if let Some(world) = &mut self.world {
            *world = absolute(world);
        }
    }

    fn check_options(&self, options: &Map<String, Value>) -> Result<()> {
        no_options("sim", options)
    }

    fn assortment(&self) -> Option<Assortment> {
        Some(Assortment {
            types: self
                .types
                .iter()
                .map(fleetwright_sim::SimType::instance_type)
                .collect(),
            offerings: self.offerings(),
            images: None,
        })
    }

    fn build(&self, name: &str, context: &BuildContext) -> Result<Arc<dyn Provider>> {
        let provider = fleetwright_sim::SimProvider::new(
            name,
            self.clone(),
            context.paths.sim_world(name),
            Arc::clone(&context.clock),
        )?;
        Ok(Arc::new(provider))
    }
}

// === what all kinds share ===

/// For kinds that have no options.
#[cfg(any(feature = "local", feature = "sim"))]
fn no_options(kind: &str, options: &Map<String, Value>) -> Result<()> {
    match options.keys().next() {
        None => Ok(()),
        Some(key) => Err(fleetwright_core::Error::new(
            fleetwright_core::Kind::Config,
            format!("`{key}` is no option of the provider kind `{kind}`, which has none"),
        )),
    }
}

/// The code of a kind that says itself how it is built.
#[cfg(any(feature = "aws", feature = "local", feature = "sim"))]
const fn code<C>() -> ProviderCode
where
    C: ProviderConfig + serde::de::DeserializeOwned + schemars::JsonSchema + 'static,
{
    ProviderCode {
        schema: || schemars::schema_for!(C).to_value(),
        parse: |table, absolute| {
            let mut config = C::deserialize(table)?;
            config.resolve_paths(absolute);
            Ok(Arc::new(config))
        },
    }
}

/// The code of a kind whose configuration is that of a cloud account.
#[allow(
    dead_code,
    reason = "a program may be built without any cloud, and then nothing calls it"
)]
const fn account<C>() -> ProviderCode
where
    C: AccountConfig + serde::de::DeserializeOwned + schemars::JsonSchema + 'static,
{
    ProviderCode {
        schema: || schemars::schema_for!(C).to_value(),
        parse: |table, _absolute| Ok(Arc::new(Account(C::deserialize(table)?))),
    }
}

/// A cloud account as one of the kinds. It has no paths of its own: those of `file:` references
/// belong to the source of secrets.
#[derive(Debug)]
struct Account<C>(C);

impl<C: AccountConfig> ProviderConfig for Account<C> {
    fn check(&self) -> Result<()> {
        self.0.check()
    }

    fn check_options(&self, options: &Map<String, Value>) -> Result<()> {
        self.0.check_options(options)
    }

    fn resolve_paths(&mut self, _absolute: &dyn Fn(&Path) -> PathBuf) {}

    fn build(&self, name: &str, context: &BuildContext) -> Result<Arc<dyn Provider>> {
        let context = AccountContext {
            clock: Arc::clone(&context.clock),
            secrets: Arc::clone(&context.secrets),
        };
        self.0.build(name, &context)
    }
}

/// Makes the table out of one line per kind: name, which is also that of its feature, code, and
/// what it is. Without a macro, each kind would need its lines twice: compiled in, and not.
macro_rules! kinds {
    ($($kind:literal => $code:expr, $about:literal;)+) => {
        /// Every kind that exists, compiled in or not, in alphabetical order.
        pub const KINDS: &[ProviderKind] = &[$(ProviderKind {
            kind: $kind,
            about: $about,
            feature: $kind,
            code: {
                #[cfg(feature = $kind)]
                {
                    Some($code)
                }
                #[cfg(not(feature = $kind))]
                {
                    None
                }
            },
        }),+];
    };
}

kinds! {
    "aws" => code::<fleetwright_aws::AwsConfig>(), "EC2 instances, fleets and Auto Scaling groups, with balancers, DNS and notices.";
    "digitalocean" => account::<digitalocean::DigitalOceanConfig>(), "Droplets of DigitalOcean, with load balancers and domains.";
    "hetzner" => account::<hetzner::HetznerConfig>(), "Servers of Hetzner Cloud.";
    "lambda" => account::<lambda::LambdaConfig>(), "GPU instances of Lambda Cloud.";
    "linode" => account::<linode::LinodeConfig>(), "Instances of Linode (Akamai), with NodeBalancers and domains.";
    "local" => code::<fleetwright_local::LocalConfig>(), "Processes on this machine, each with its own SSH server. Needs no account.";
    "scaleway" => account::<scaleway::ScalewayConfig>(), "Instances of Scaleway, with load balancers and DNS zones.";
    "sim" => code::<fleetwright_sim::SimConfig>(), "A simulated cloud with prices, limits, scarcity and faults, for tests and demos.";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(feature = "aws")]
    #[test]
    fn the_option_that_caps_spot_prices_is_one_that_the_kind_takes() {
        let config: Box<dyn ProviderConfig> =
            Box::new(serde_json::from_str::<fleetwright_aws::AwsConfig>("{}").unwrap());
        let option = config.spot_cap().unwrap();
        let options = Map::from_iter([(option.to_owned(), Value::from("0.12"))]);
        config.check_options(&options).unwrap();
        let options = Map::from_iter([(option.to_owned(), Value::from("dear"))]);
        config.check_options(&options).unwrap_err();
    }

    #[test]
    fn the_table_is_sorted_and_names_each_kind_once() {
        let kinds: Vec<&str> = KINDS.iter().map(|kind| kind.kind).collect();
        assert!(kinds.is_sorted_by(|a, b| a < b), "{kinds:?}");
    }
}
