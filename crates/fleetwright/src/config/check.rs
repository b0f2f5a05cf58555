//! Checks what a configuration means: names, references, values that are texts to the schema.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use fleetwright_core::{
    Budget, Candidate, GpuWish, HourlyPrice, Pool, PriceRule, Probe, Provider, Requirements,
    Strategy, check_name, keys,
};

use super::parse::Places;
use super::shape::join;
use super::source::Problem;
use super::{Config, care, probes, scaling, suggest, targets};
use crate::env::Environment;

/// Longest label key or value that every cloud accepts.
const LABEL_LIMIT: usize = 63;

/// Finds everything that is wrong, and makes the paths in `config` absolute on the way.
pub(crate) fn meaning(
    config: &mut Config,
    provider_names: &[String],
    places: &Places,
    directory: &Path,
    environment: &Environment,
) -> Vec<Problem> {
    let mut check = Check {
        places,
        problems: Vec::new(),
    };
    check.top_level(config);
    check.budget(config.budget.as_ref(), "budget");
    check.names(config, provider_names);
    check.prices(&config.prices, provider_names);
    for (key, problem) in targets::problems(config, provider_names, directory, environment) {
        check.report(&key, problem);
    }
    for (name, pool) in &config.pools {
        let key = join("pools", name);
        check.pool(pool, &key, provider_names);
        check.budget(pool.budget.as_ref(), &join(&key, "budget"));
        check.probes(&pool.probes, &key);
    }
    for (name, group) in &config.targets {
        check.probes(&group.probes, &join("targets", name));
    }
    for (name, group) in &config.targets {
        for (below, problem) in care::problems(&group.health, &group.hooks) {
            check.report(&format!("targets.{name}.{below}"), problem);
        }
    }
    for (key, problem) in care::notification_problems(&config.notifications) {
        check.report(&key, problem);
    }
    let expand = |path: &mut PathBuf| *path = environment.expand(path, directory);
    config.store.path.iter_mut().for_each(expand);
    config.ssh.known_hosts.iter_mut().for_each(expand);
    config.ssh.identities.iter_mut().for_each(expand);
    check.identities(&config.ssh.identities);
    check.problems
}

struct Check<'a> {
    places: &'a Places,
    problems: Vec<Problem>,
}

impl Check<'_> {
    fn report(&mut self, key: &str, problem: Problem) {
        let span = self.places.nearest(key);
        self.problems.push(Problem {
            key: Some(key.to_owned()),
            span,
            ..problem
        });
    }

    fn top_level(&mut self, config: &Config) {
        if let Err(error) = check_name("fleet", &config.fleet) {
            self.report("fleet", Problem::from_error(&error));
        }
        if let Some(Err(problem)) = config.owner.as_deref().map(label_value) {
            self.report("owner", problem);
        }
        if config.safety.max_removal_percent > 100 {
            let key = "safety.max_removal_percent";
            self.report(key, Problem::new(format!("`{key}` must be at most 100")));
        }
        if config.ssh.connect_timeout.0.is_zero() {
            let key = "ssh.connect_timeout";
            self.report(key, Problem::new(format!("`{key}` must be more than 0s")));
        }
    }

    fn names(&mut self, config: &Config, provider_names: &[String]) {
        let providers = provider_names
            .iter()
            .map(|name| ("provider", "providers", name));
        let pools = config.pools.keys().map(|name| ("pool", "pools", name));
        for (what, table, name) in providers.chain(pools) {
            if let Err(error) = check_name(what, name) {
                let key = join(table, name);
                let span = self.places.name(&key);
                self.problems.push(Problem {
                    key: Some(key),
                    span,
                    ..Problem::from_error(&error)
                });
            }
        }
        // Targets alone need nobody who makes machines.
        if provider_names.is_empty() && (config.targets.is_empty() || !config.pools.is_empty()) {
            let problem = Problem::new("no provider is configured")
                .with_hint("add `[providers.local]` and below it `kind = \"local\"`");
            self.report("providers", problem);
        }
    }

    fn prices(&mut self, rules: &[PriceRule], provider_names: &[String]) {
        for (at, rule) in rules.iter().enumerate() {
            let key = format!("prices[{at}]");
            if let Some(name) = rule
                .provider
                .as_ref()
                .filter(|n| !provider_names.contains(n))
            {
                let known = provider_names.iter().map(String::as_str);
                self.report(
                    &join(&key, "provider"),
                    Problem {
                        hint: suggest::hint(name, "configured providers", known),
                        ..Problem::new(format!("no provider is named `{name}`"))
                    },
                );
            }
            if let Some((below, error)) = rule.problem() {
                let key = if below.is_empty() {
                    key
                } else {
                    join(&key, below)
                };
                self.report(&key, Problem::from_error(&error));
            }
        }
    }

    fn pool(&mut self, pool: &Pool, key: &str, provider_names: &[String]) {
        for (at, candidate) in pool.candidates.iter().enumerate() {
            if !provider_names.contains(&candidate.provider) {
                let known = provider_names.iter().map(String::as_str);
                self.report(
                    &format!("{key}.candidates[{at}].provider"),
                    Problem {
                        hint: suggest::hint(&candidate.provider, "configured providers", known),
                        ..Problem::new(format!("no provider is named `{}`", candidate.provider))
                    },
                );
            }
        }
        self.size(pool, key);
        self.choice(pool, key);
        if let Some(Err(error)) = pool
            .requirements
            .gpu_model
            .as_deref()
            .map(str::parse::<GpuWish>)
        {
            self.report(
                &format!("{key}.requirements.gpu_model"),
                Problem::from_error(&error),
            );
        }
        if let Some(Err(error)) = pool.max_price.as_deref().map(str::parse::<HourlyPrice>) {
            self.report(&join(key, "max_price"), Problem::from_error(&error));
        }
        if let Some(Err(problem)) = pool.user_data.as_deref().map(user_data) {
            let inline = join(key, "user_data");
            let file = join(key, "user_data_file");
            let key = if self.places.has(&file) { file } else { inline };
            self.report(&key, problem);
        }
        for (at, line) in pool.ssh_keys.iter().enumerate() {
            if let Err(problem) = public_key(line) {
                self.report(&format!("{key}.ssh_keys[{at}]"), problem);
            }
        }
        for (name, value) in &pool.labels {
            let label = join(&join(key, "labels"), name);
            if let Err(problem) = label_key(name) {
                let span = self.places.name(&label);
                self.problems.push(Problem {
                    key: Some(label),
                    span,
                    ..problem
                });
            } else if let Err(problem) = label_value(value) {
                self.report(&label, problem);
            }
        }
        self.tenure(pool, key);
        for (below, problem) in care::problems(&pool.health, &pool.hooks) {
            self.report(&format!("{key}.{below}"), problem);
        }
        for (below, problem) in scaling::problems(pool) {
            self.report(&format!("{key}.{below}"), problem);
        }
        let limits = [
            ("boot", Some(pool.limits.boot)),
            ("bootstrap", Some(pool.limits.bootstrap)),
            ("in_service", Some(pool.limits.in_service)),
            ("terminate", Some(pool.limits.terminate)),
            ("max_runtime", pool.limits.max_runtime),
            ("idle_after", pool.limits.idle_after),
            ("dead_man", pool.limits.dead_man),
        ];
        for (name, limit) in limits {
            if limit.is_some_and(|limit| limit.0.is_zero()) {
                let key = join(&join(key, "limits"), name);
                self.report(&key, Problem::new(format!("`{key}` must be more than 0s")));
            }
        }
    }

    fn probes(&mut self, probes: &[Probe], key: &str) {
        for (below, problem) in probes::problems(probes) {
            self.report(&format!("{key}.{below}"), problem);
        }
    }

    fn budget(&mut self, budget: Option<&Budget>, key: &str) {
        for (below, error) in budget.into_iter().flat_map(Budget::problems) {
            let key = match below {
                "" => key.to_owned(),
                below => join(key, below),
            };
            self.report(&key, Problem::from_error(&error));
        }
    }

    fn size(&mut self, pool: &Pool, key: &str) {
        let Pool {
            desired, min, max, ..
        } = *pool;
        if let (Some(min), Some(max)) = (min, max)
            && min > max
        {
            let problem = Problem::new(format!("`min` is {min}, and `max` is less: {max}"))
                .with_hint("`min` and `max` bound what scaling decides");
            self.report(&join(key, "min"), problem);
            return;
        }
        if let Some(min) = min.filter(|min| *min > desired) {
            let problem = Problem::new(format!("`desired` is {desired}, and `min` is more: {min}"));
            self.report(&join(key, "desired"), problem);
        }
        if let Some(max) = max.filter(|max| *max < desired) {
            let problem = Problem::new(format!("`desired` is {desired}, and `max` is less: {max}"));
            self.report(&join(key, "desired"), problem);
        }
    }

    /// Strategies, markets, requirements and candidates that contradict themselves.
    fn choice(&mut self, pool: &Pool, key: &str) {
        if let Some(problem) = pool.strategy.problem() {
            self.report(&join(key, "strategy"), Problem::new(problem));
        }
        if let Some((least, most)) = pool.requirements.contradiction() {
            let problem = Problem::new(format!("`{least}` is more than `{most}`"));
            self.report(&format!("{key}.requirements.{least}"), problem);
        }
        if let Some(markets) = &pool.markets
            && markets.spot_percent > 100
        {
            let key = format!("{key}.markets.spot_percent");
            self.report(&key, Problem::new(format!("`{key}` must be at most 100")));
        }
        for (at, candidate) in pool.candidates.iter().enumerate() {
            let place = format!("{key}.candidates[{at}]");
            if candidate.zone.is_some() && !candidate.zones.is_empty() {
                let problem = Problem::new("zones are given twice")
                    .with_hint("keep either `zone` or `zones`");
                self.report(&join(&place, "zones"), problem);
            }
            let market = join(&place, "market");
            if pool.markets.is_some() && self.places.has(&market) {
                let problem = Problem::new("the markets of this pool are divided by `markets`")
                    .with_hint("leave `market` out, or take `markets` away");
                self.report(&market, problem);
            }
        }
        let all_last = |c: &Candidate| c.weight == Some(0);
        let rotates = pool.strategy.contains(|one| one == Strategy::RoundRobin);
        if rotates && !pool.candidates.is_empty() && pool.candidates.iter().all(all_last) {
            let problem = Problem::new("no candidate has a weight, so none ever has its turn")
                .with_hint("give one a `weight` above 0");
            self.report(&format!("{key}.candidates[0].weight"), problem);
        }
    }

    fn tenure(&mut self, pool: &Pool, key: &str) {
        let limits = &pool.limits;
        if let (Some(most), Some(cap)) = (limits.max_runtime, limits.extend_to)
            && cap < most
        {
            let problem = Problem::new(format!(
                "`extend_to` is {cap}, and `max_runtime` is more: {most}"
            ))
            .with_hint("`extend_to` counts from when a node was made, as `max_runtime` does");
            self.report(&format!("{key}.limits.extend_to"), problem);
        }
        let of_a_form = pool
            .user_data
            .as_deref()
            .is_none_or(|text| user_data(text).is_ok());
        if let (true, Err(error)) = (of_a_form, pool.first_boot()) {
            self.report(
                &format!("{key}.limits.dead_man"),
                Problem::from_error(&error),
            );
        }
        if limits.idle_after.is_some() && pool.idle.signals.is_empty() && pool.idle.probe.is_none()
        {
            let problem = Problem::new("nothing says whether a node is used")
                .with_hint("name signals (`sessions`, `load`, `gpu`) or a `probe`");
            self.report(&format!("{key}.idle.signals"), problem);
        }
    }

    /// Files that are named must be there; which keys they hold is found out when they are used.
    fn identities(&mut self, paths: &[PathBuf]) {
        for (at, path) in paths.iter().enumerate() {
            if let Err(error) = path.metadata() {
                let problem = Problem::new(format!(
                    "the private key `{}` cannot be read: {error}",
                    path.display()
                ));
                self.report(&format!("ssh.identities[{at}]"), problem);
            }
        }
    }
}

fn user_data(text: &str) -> Result<(), Problem> {
    if text.starts_with("#!") || text.starts_with("#cloud-config") {
        return Ok(());
    }
    Err(
        Problem::new("user data must be a script or a cloud-config document")
            .with_hint("begin it with `#!/bin/sh` or `#cloud-config`"),
    )
}

fn public_key(line: &str) -> Result<(), Problem> {
    let mut parts = line.split_whitespace();
    let kind = parts.next().unwrap_or("");
    let is_key = ["ssh-", "ecdsa-", "sk-"]
        .iter()
        .any(|prefix| kind.starts_with(prefix))
        && parts.next().is_some_and(|body| body.starts_with("AAAA"));
    if is_key && !line.contains('\n') {
        return Ok(());
    }
    let is_private = line.contains("PRIVATE KEY");
    let problem = if is_private {
        Problem::new("this is a private key; a public one is wanted")
    } else {
        Problem::new("this is not a public key in OpenSSH's format")
    };
    Err(Problem {
        is_secret: is_private,
        ..problem.with_hint("put the one line of a `.pub` file here: `ssh-ed25519 AAAA...`")
    })
}

/// Checks the value of a label against what every cloud accepts.
pub(crate) fn label_value(value: &str) -> Result<(), Problem> {
    if value.len() <= LABEL_LIMIT && value.chars().all(is_label_character) {
        return Ok(());
    }
    Err(
        Problem::new(format!("`{value}` cannot be the value of a label"))
            .with_hint("use at most 63 lower-case letters, digits, dashes and underscores"),
    )
}

fn label_key(key: &str) -> Result<(), Problem> {
    if key == keys::MANAGED_BY || key.starts_with("fleetwright") {
        return Err(
            Problem::new(format!("the label `{key}` belongs to Fleetwright"))
                .with_hint("choose another name"),
        );
    }
    let is_good = key.len() <= LABEL_LIMIT
        && key.starts_with(|c: char| c.is_ascii_lowercase())
        && key.chars().all(is_label_character);
    if is_good {
        return Ok(());
    }
    Err(Problem::new(format!("`{key}` cannot be the name of a label")).with_hint(
        "use at most 63 lower-case letters, digits, dashes and underscores, beginning with a letter",
    ))
}

fn is_label_character(c: char) -> bool {
    c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-' || c == '_'
}

/// Two providers that look at the same machines: each would see what the other has made.
fn shared_regions(providers: &BTreeMap<String, Arc<dyn Provider>>) -> Vec<Problem> {
    let mut problems = Vec::new();
    for (at, (name, provider)) in providers.iter().enumerate() {
        let info = provider.info();
        let shared = providers.iter().take(at).find_map(|(other, earlier)| {
            let earlier = earlier.info();
            let is_same = earlier.kind == info.kind && earlier.account == info.account;
            let mut regions = info.regions.iter();
            let region = regions.find(|region| is_same && earlier.regions.contains(region))?;
            Some((other, region))
        });
        if let Some((other, region)) = shared {
            problems.push(Problem {
                key: Some(join(&join("providers", name), "regions")),
                ..Problem::new(format!(
                    "the providers `{other}` and `{name}` use the region `{region}` of the same \
                     account: each would see the nodes of the other"
                ))
                .with_hint(
                    "one provider is enough for one account; if these are two, their `account` or \
                     project must say so",
                )
            });
        }
    }
    problems
}

/// Checks pools against what the built providers say about themselves. The problems carry keys;
/// the caller knows their places.
pub(crate) fn against_providers(
    config: &Config,
    providers: &BTreeMap<String, Arc<dyn Provider>>,
    places: &Places,
) -> Vec<Problem> {
    let mut problems = shared_regions(providers);
    for (name, pool) in &config.pools {
        let key = join("pools", name);
        let mut report = |key: String, problem: Problem| {
            problems.push(Problem {
                key: Some(key),
                ..problem
            });
        };
        for (at, candidate) in pool.candidates.iter().enumerate() {
            let Some(provider) = providers.get(&candidate.provider) else {
                continue;
            };
            let regions = &provider.info().regions;
            if let Some(region) = candidate.region.as_ref().filter(|r| !regions.contains(r)) {
                report(
                    format!("{key}.candidates[{at}].region"),
                    Problem {
                        hint: suggest::hint(
                            region,
                            "its regions",
                            regions.iter().map(String::as_str),
                        ),
                        ..Problem::new(format!(
                            "the provider `{}` has no region `{region}`",
                            candidate.provider
                        ))
                    },
                );
            }
        }
        for (at, candidate) in pool.candidates.iter().enumerate() {
            let place = format!("{key}.candidates[{at}]");
            let Some(entry) = config.providers.get(&candidate.provider) else {
                continue;
            };
            let Some(assortment) = entry.config.assortment() else {
                continue;
            };
            let known = providers.get(&candidate.provider).is_none_or(|provider| {
                let regions = &provider.info().regions;
                candidate
                    .region
                    .as_ref()
                    .is_none_or(|r| regions.contains(r))
            });
            // What is sold in a region that there is not is no further question.
            if known
                && let Some(found) =
                    assortment.mismatch(&candidate.provider, candidate, &pool.requirements)
            {
                report(join(&place, found.key), found.into_problem());
            }
            if let Some(image) = &pool.image
                && let Some(found) = assortment.wrong_image(&candidate.provider, image)
            {
                report(join(&key, "image"), found.into_problem());
            }
        }
        // Without candidates a pool may land on any provider.
        let used: Vec<&dyn Provider> = providers
            .iter()
            .filter(|(name, _)| {
                pool.candidates.is_empty() || pool.candidates.iter().any(|c| &c.provider == *name)
            })
            .map(|(_, provider)| &**provider)
            .collect();
        for (at, pattern) in pool.requirements.regions.iter().enumerate() {
            let one = Requirements {
                regions: vec![pattern.clone()],
                ..Requirements::default()
            };
            let mut regions: Vec<&str> = used
                .iter()
                .flat_map(|provider| provider.info().regions.iter().map(String::as_str))
                .collect();
            regions.sort_unstable();
            regions.dedup();
            if !regions.is_empty() && !regions.iter().any(|region| one.takes_region(region)) {
                report(
                    format!("{key}.requirements.regions[{at}]"),
                    Problem {
                        hint: suggest::hint(pattern, "their regions", regions.iter().copied()),
                        ..Problem::new(format!(
                            "no region of the pool's providers is meant by `{pattern}`"
                        ))
                    },
                );
            }
        }
        // Inline or from a file: the reader is shown the key that is there.
        let user_data = join(&key, "user_data");
        let user_data = if places.has(&user_data) {
            user_data
        } else {
            join(&key, "user_data_file")
        };
        let length = match pool.first_boot() {
            Ok(text) => text.as_ref().map_or(0, String::len),
            // Told elsewhere.
            Err(_) => 0,
        };
        if let Some(provider) = used.iter().find(|p| p.info().user_data_limit < length) {
            let info = provider.info();
            report(
                user_data,
                Problem::new(format!(
                    "the user data has {length} bytes; the provider `{}` takes at most {}",
                    info.name, info.user_data_limit
                ))
                .with_hint("let a short script fetch the rest"),
            );
        }
        for provider in &used {
            let Some(entry) = config.providers.get(&provider.info().name) else {
                continue;
            };
            if let Err(error) = entry.config.check_options(&pool.options) {
                let named = error.to_string();
                let below = named
                    .split('`')
                    .nth(1)
                    .filter(|word| pool.options.contains_key(*word));
                let options = join(&key, "options");
                report(
                    below.map_or_else(|| options.clone(), |word| join(&options, word)),
                    Problem::from_error(&error),
                );
            }
        }
        let silent = used.iter().find(|p| !p.info().has_ssh);
        if let (Some(_), Some(provider)) = (pool.limits.idle_after, silent) {
            report(
                join(&join(&key, "limits"), "idle_after"),
                Problem::new(format!(
                    "nobody can tell whether nodes of the provider `{}` are used: they cannot be \
                     logged in to",
                    provider.info().name
                ))
                .with_hint("limit them by `max_runtime`"),
            );
        }
        let on_nodes = pool.scaling.iter().flat_map(|scaling| &scaling.signals);
        let on_nodes = on_nodes.filter(|(_, config)| config.nodes.is_some());
        if let (Some(provider), Some((signal, _))) = (silent, on_nodes.into_iter().next()) {
            report(
                format!("{key}.scaling.signals.{signal}.nodes"),
                Problem::new(format!(
                    "nodes of the provider `{}` cannot be logged in to: nobody can tell their load",
                    provider.info().name
                )),
            );
        }
        if let (Some(_), Some(provider)) = (pool.limits.dead_man, silent) {
            report(
                join(&join(&key, "limits"), "dead_man"),
                Problem::new(format!(
                    "nobody can renew the timer of nodes of the provider `{}`: they cannot be \
                     logged in to",
                    provider.info().name
                ))
                .with_hint("limit them by `max_runtime`"),
            );
        }
        let without = used.iter().find(|p| p.balancers().is_none());
        if let (Some(balancer), Some(provider)) = (&pool.balancer, without) {
            report(
                join(&key, "balancer"),
                Problem::new(format!(
                    "nodes of the provider `{}` cannot be registered with `{balancer}`: it has no \
                     load balancers",
                    provider.info().name
                )),
            );
        }
    }
    problems
}
