//! From a TOML document to a [`Config`]: serde judges, the schema explains.
//!
//! The document is cut into parts (the top level, each provider, each pool), because the type of a
//! provider's table depends on its `kind`. Each part is deserialized; a part that is refused is
//! walked with its schema for everything that is wrong with it. Parts that are good are then
//! checked for what they mean, so that one run reports both.

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use fleetwright_core::{Budget, Pool, PriceRule, TargetGroup, Webhook};
use schemars::JsonSchema;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use toml::Spanned;
use toml::de::{DeTable, DeValue, ValueDeserializer};

use super::check;
use super::shape::{Shape, join, with_article};
use super::source::{Problem, Problems, Source};
use super::suggest;
use super::syntax;
use super::{Config, ProviderEntry, Safety, SshSettings, StoreSettings};
use crate::env::Environment;
use crate::providers::ProviderKind;
use crate::{reference, schema};

type Node<'i> = Spanned<DeValue<'i>>;

/// The top level without `providers` and `pools`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct TopLevel {
    /// The name of the fleet: state, labels and nodes of different fleets are kept apart.
    fleet: String,
    /// Who answers for the nodes. Put on each as a label.
    owner: Option<String>,
    /// Machines that are looked after without being made by us: `[targets.<name>]`.
    targets: BTreeMap<String, TargetGroup>,
    /// Who is told about incidents.
    notifications: Vec<Webhook>,
    /// What keeps a mistake small.
    safety: Safety,
    /// Most that the machines of all pools may cost together.
    budget: Option<Budget>,
    /// The journal.
    store: StoreSettings,
    /// How nodes are logged in to.
    ssh: SshSettings,
    /// Your own prices: discounts, contract rates, committed machines. The first rule that matches an
    /// offer holds.
    prices: Vec<PriceRule>,
}

impl Default for TopLevel {
    fn default() -> Self {
        Self {
            fleet: "default".to_owned(),
            owner: None,
            targets: BTreeMap::new(),
            notifications: Vec::new(),
            safety: Safety::default(),
            budget: None,
            store: StoreSettings::default(),
            ssh: SshSettings::default(),
            prices: Vec::new(),
        }
    }
}

/// Where each key of a document stands.
#[derive(Debug, Clone, Default)]
pub(crate) struct Places {
    values: BTreeMap<String, Range<usize>>,
    keys: BTreeMap<String, Range<usize>>,
}

impl Places {
    fn of(table: &DeTable<'_>) -> Self {
        let mut places = Self::default();
        places.visit_table(table, "");
        places
    }

    fn visit_table(&mut self, table: &DeTable<'_>, above: &str) {
        for (name, value) in table {
            let key = join(above, name.get_ref());
            self.keys.insert(key.clone(), name.span());
            self.visit(value, &key);
        }
    }

    fn visit(&mut self, value: &Node<'_>, key: &str) {
        self.values.insert(key.to_owned(), value.span());
        match value.get_ref() {
            DeValue::Table(table) => self.visit_table(table, key),
            DeValue::Array(items) => {
                for (at, item) in items.iter().enumerate() {
                    self.visit(item, &format!("{key}[{at}]"));
                }
            }
            _ => {}
        }
    }

    /// The value of a key, or of the nearest key above it that is there.
    pub(crate) fn nearest(&self, key: &str) -> Option<Range<usize>> {
        let mut key = key;
        loop {
            if let Some(span) = self.values.get(key) {
                return Some(span.clone());
            }
            key = &key[..key.rfind(['.', '['])?];
        }
    }

    /// Whether the key is there.
    pub(crate) fn has(&self, key: &str) -> bool {
        self.values.contains_key(key)
    }

    /// The key itself, where it is written.
    pub(crate) fn name(&self, key: &str) -> Option<Range<usize>> {
        self.keys.get(key).cloned()
    }
}

/// Reads a document.
pub(crate) fn parse(
    source: &Arc<Source>,
    directory: &Path,
    environment: &Environment,
    kinds: &[ProviderKind],
) -> Result<(Config, Places), Problems> {
    let root = syntax::parse(source)?;
    let places = Places::of(root.get_ref());
    let mut reader = Reader {
        text: source.text(),
        directory,
        environment,
        kinds,
        problems: Vec::new(),
    };
    let (mut config, provider_names) = reader.document(root);
    let mut problems = reader.problems;
    problems.extend(check::meaning(
        &mut config,
        &provider_names,
        &places,
        directory,
        environment,
    ));
    match Problems::new(source, problems) {
        Some(problems) => Err(problems),
        None => Ok((config, places)),
    }
}

struct Reader<'a> {
    text: &'a str,
    directory: &'a Path,
    environment: &'a Environment,
    kinds: &'a [ProviderKind],
    problems: Vec<Problem>,
}

impl Reader<'_> {
    /// Reads every part. A part that is wrong is missing in the result, or has its defaults there;
    /// the names of providers are complete, so that nothing else calls them unknown.
    fn document(&mut self, root: Spanned<DeTable<'_>>) -> (Config, Vec<String>) {
        let whole = root.span();
        let mut root = root.into_inner();
        let mut providers = BTreeMap::new();
        let mut names = Vec::new();
        for (name, value) in self.tables(&mut root, "providers") {
            let key = join("providers", &name);
            if let Some(entry) = self.provider(&name, value, &key) {
                providers.insert(name.clone(), entry);
            }
            names.push(name);
        }
        let mut pools = BTreeMap::new();
        for (name, value) in self.tables(&mut root, "pools") {
            let key = join("pools", &name);
            if let Some(pool) = self.pool(value, &key) {
                pools.insert(name, pool);
            }
        }
        let rest = Spanned::new(whole, DeValue::Table(root));
        let top: TopLevel = self
            .part(&rest, "", schema::top_level_with_tables)
            .unwrap_or_default();
        let config = Config {
            fleet: top.fleet,
            owner: top.owner,
            providers,
            pools,
            targets: top.targets,
            notifications: top.notifications,
            safety: top.safety,
            budget: top.budget,
            store: top.store,
            ssh: top.ssh,
            prices: top.prices,
        };
        (config, names)
    }

    /// Takes a table of tables out of the document.
    fn tables<'i>(&mut self, root: &mut DeTable<'i>, key: &str) -> Vec<(String, Node<'i>)> {
        let Some(found) = root.remove(key) else {
            return Vec::new();
        };
        let span = found.span();
        match found.into_inner() {
            DeValue::Table(table) => table
                .into_iter()
                .map(|(name, value)| (name.into_inner().into_owned(), value))
                .collect(),
            other => {
                self.problems.push(
                    Problem::new(format!(
                        "`{key}` must be a table, not {}",
                        with_article(other.type_str())
                    ))
                    .with_hint(format!("write `[{key}.<name>]`"))
                    .at(key, span),
                );
                Vec::new()
            }
        }
    }

    /// Deserializes a part; if it is refused, says everything that is wrong with it, and tries
    /// again without that, so that the rest can be checked for its meaning.
    fn part<T: DeserializeOwned>(
        &mut self,
        value: &Node<'_>,
        key: &str,
        schema: fn() -> Value,
    ) -> Option<T> {
        match T::deserialize(ValueDeserializer::from(value.clone())) {
            Ok(part) => Some(part),
            Err(error) => {
                let spans = self.explain(value, key, &schema(), &error);
                let mut rest = value.clone();
                prune(&mut rest, &spans);
                T::deserialize(ValueDeserializer::from(rest)).ok()
            }
        }
    }

    fn explain(
        &mut self,
        value: &Node<'_>,
        key: &str,
        schema: &Value,
        error: &toml::de::Error,
    ) -> Vec<Range<usize>> {
        let kinds = self.kinds;
        let belongs = |name: &str| reference::table_of(name, kinds);
        let mut shape = Shape::new(self.text, &belongs);
        shape.check(schema, schema, value, key);
        let mut found = shape.into_problems();
        if found.is_empty() {
            let span = error.span().unwrap_or_else(|| value.span());
            found.push(Problem::new(error.message()).at(key, span));
        }
        let spans = found
            .iter()
            .filter_map(|problem| problem.span.clone())
            .collect();
        self.problems.append(&mut found);
        spans
    }

    /// Reads the table of a provider, by its kind.
    fn provider(&mut self, name: &str, mut value: Node<'_>, key: &str) -> Option<ProviderEntry> {
        let whole = value.span();
        let known = || {
            let names: Vec<String> = self.kinds.iter().map(|k| format!("`{}`", k.kind)).collect();
            format!("known kinds: {}", names.join(", "))
        };
        let DeValue::Table(table) = value.get_mut() else {
            let message = format!(
                "`{key}` must be a table, not {}",
                with_article(value.get_ref().type_str())
            );
            let hint = format!("write `[{key}]` and below it `kind = \"...\"`");
            self.problems
                .push(Problem::new(message).with_hint(hint).at(key, whole));
            return None;
        };
        let kind_key = join(key, "kind");
        let Some(kind) = table.remove("kind") else {
            let message = format!("`{key}` needs the key `kind`");
            let problem = Problem::new(message).with_hint(known());
            self.problems.push(problem.at(kind_key, whole));
            return None;
        };
        let span = kind.span();
        let Some(written) = kind.get_ref().as_str() else {
            let message = format!(
                "`{kind_key}` must be a string, not {}",
                with_article(kind.get_ref().type_str())
            );
            let problem = Problem::new(message).with_hint(known());
            self.problems.push(problem.at(kind_key, span));
            return None;
        };
        let Some(found) = self.kinds.iter().find(|k| k.kind == written) else {
            let names = self.kinds.iter().map(|k| k.kind);
            let hint = match suggest::closest(written, names) {
                Some(meant) => format!("did you mean `{meant}`? {}", known()),
                None => known(),
            };
            let problem = Problem::new(format!("unknown provider kind `{written}`"));
            self.problems
                .push(problem.with_hint(hint).at(kind_key, span));
            return None;
        };
        let Some(code) = &found.code else {
            let problem = Problem::new(format!(
                "the provider kind `{written}` exists, but this program was built without it"
            ))
            .with_hint(format!(
                "build with `--features fleetwright/{}`",
                found.feature
            ));
            self.problems.push(problem.at(kind_key, span));
            return None;
        };
        let absolute = |path: &Path| self.environment.expand(path, self.directory);
        match (code.parse)(ValueDeserializer::from(value.clone()), &absolute) {
            Ok(config) => {
                if let Err(error) = config.check() {
                    let (below, span) = named_key(&error.to_string(), &value, key);
                    self.problems
                        .push(Problem::from_error(&error).at(below, span));
                    return None;
                }
                Some(ProviderEntry {
                    name: name.to_owned(),
                    kind: found.kind,
                    config,
                })
            }
            Err(error) => {
                self.explain(&value, key, &schema::tidy((code.schema)()), &error);
                None
            }
        }
    }

    /// Reads the table of a pool, with its `user_data_file`.
    fn pool(&mut self, mut value: Node<'_>, key: &str) -> Option<Pool> {
        let file = match value.get_mut() {
            DeValue::Table(table) => table.remove("user_data_file"),
            _ => None,
        };
        let pool: Option<Pool> = self.part(&value, key, schema::pool);
        let Some(file) = file else {
            return pool;
        };
        let file_key = join(key, "user_data_file");
        let problem = match file.get_ref().as_str() {
            None => Problem::new(format!(
                "`{file_key}` must be a string, not {}",
                with_article(file.get_ref().type_str())
            )),
            Some(_) if pool.as_ref().is_some_and(|pool| pool.user_data.is_some()) => {
                Problem::new("user data is given twice")
                    .with_hint("keep either `user_data` or `user_data_file`")
            }
            Some(path) => {
                let path = self.environment.expand(Path::new(path), self.directory);
                match std::fs::read_to_string(&path) {
                    Ok(text) => {
                        return pool.map(|pool| Pool {
                            user_data: Some(text),
                            ..pool
                        });
                    }
                    Err(error) => Problem::new(format!(
                        "the user data file `{}` cannot be read: {error}",
                        path.display()
                    ))
                    .with_hint("a relative path starts at the configuration file"),
                }
            }
        };
        self.problems.push(problem.at(file_key, file.span()));
        pool
    }
}

/// Takes out of a table whatever stands at one of these places.
fn prune(value: &mut Node<'_>, spans: &[Range<usize>]) {
    match value.get_mut() {
        DeValue::Table(table) => {
            let is_wrong = |key: &Spanned<_>, value: &Node<'_>| {
                spans.contains(&key.span()) || spans.contains(&value.span())
            };
            let wrong: Vec<String> = table
                .iter()
                .filter(|(key, value)| is_wrong(key, value))
                .map(|(key, _)| key.get_ref().to_string())
                .collect();
            for key in wrong {
                table.remove(key.as_str());
            }
            table.iter_mut().for_each(|(_, value)| prune(value, spans));
        }
        DeValue::Array(items) => items.iter_mut().for_each(|item| prune(item, spans)),
        _ => {}
    }
}

/// The key that a message names first in backticks, if the table has it; else the table.
fn named_key(message: &str, value: &Node<'_>, key: &str) -> (String, Range<usize>) {
    let named = message.split('`').nth(1).and_then(|word| {
        let value = value.get_ref().get(word)?;
        Some((join(key, word), value.span()))
    });
    named.unwrap_or_else(|| (key.to_owned(), value.span()))
}
