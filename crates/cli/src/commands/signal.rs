//! `signal`: values that pools are scaled by, pushed and shown.

use std::collections::BTreeMap;
use std::io::Read;

use clap::{Args, Subcommand};
use fleetwright_core::{Error, Kind, Result, Sample, Scaling, check_name};
use fleetwright_store::{SignalState, SignalValue};
use jiff::{SignedDuration, Timestamp};
use serde::Serialize;

use super::scale::configured;
use crate::context::Context;
use crate::exit::Exit;
use crate::output::{self, count, runtime};

/// A clock elsewhere may be ahead of ours by so much.
const AHEAD: SignedDuration = SignedDuration::from_secs(60);

#[derive(Debug, Args)]
pub(crate) struct Signal {
    #[command(subcommand)]
    pub(crate) action: Action,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Action {
    /// Write a value of a signal, or many from standard input
    #[command(after_help = "\
Example:
  fleetwright signal push gpu-queue 42 --pool train
  squeue -h | wc -l | xargs fleetwright signal push jobs --pool train
  printf 'gpu-queue 42\\nload 0.7 2026-11-24T12:00:00Z\\n' | fleetwright signal push - --pool train

A value is a number from 0 to 1000000000000; `NaN`, negative and infinite ones are refused (status
4). Of many, all are written or none.")]
    Push(Push),
    /// List the signals with their newest values, or the values of one
    #[command(after_help = "\
Example:
  fleetwright signal list
  fleetwright signal list gpu-queue --pool train --json")]
    List(List),
}

#[derive(Debug, Args)]
pub(crate) struct Push {
    /// Name of the signal; `-` to read lines `<signal> <value> [<time>]` from standard input
    pub(crate) name: String,
    /// The value
    #[arg(allow_hyphen_values = true)]
    pub(crate) value: Option<String>,
    /// The pool; not needed if only one has a policy
    #[arg(long, value_name = "POOL")]
    pub(crate) pool: Option<String>,
    /// When it was measured, e.g. `2026-11-24T12:00:00Z`; now, if it is not given
    #[arg(long, value_name = "TIME", requires = "value")]
    pub(crate) at: Option<Timestamp>,
}

#[derive(Debug, Args)]
pub(crate) struct List {
    /// Only this signal, with all its values
    pub(crate) name: Option<String>,
    /// Only signals of this pool
    #[arg(long, value_name = "POOL")]
    pub(crate) pool: Option<String>,
}

#[derive(Serialize)]
struct Pushed {
    pool: String,
    pushed: usize,
}

#[derive(Serialize)]
struct Listed {
    signals: Vec<Row>,
}

/// A signal that has values, or that a policy looks at.
#[derive(Serialize)]
struct Row {
    pool: String,
    name: String,
    /// `pushed`, `prometheus` or `nodes`.
    source: &'static str,
    /// Whether the pool's policy looks at it.
    used: bool,
    /// Its newest value.
    newest: Option<Sample>,
    /// How many values there are.
    count: i64,
}

#[derive(Serialize)]
struct History {
    pool: String,
    name: String,
    values: Vec<Sample>,
}

pub(super) async fn run(context: &Context, args: &Signal) -> Result<Exit> {
    match &args.action {
        Action::Push(args) => push(context, args).await,
        Action::List(args) => match &args.name {
            Some(name) => values(context, args, name).await,
            None => list(context, args).await,
        },
    }
}

async fn push(context: &Context, args: &Push) -> Result<Exit> {
    let pool = chosen(context, args.pool.as_deref())?;
    let now = Context::now();
    let pushed = if args.name == "-" {
        if args.value.is_some() {
            return Err(Error::new(
                Kind::Invalid,
                "values come from standard input or from the arguments, not from both",
            )
            .with_hint("name the signal, or leave the value away"));
        }
        from_lines(&pool, &read_stdin()?, now)?
    } else {
        let value = args.value.as_deref().ok_or_else(|| {
            Error::new(
                Kind::Invalid,
                format!("which value does the signal `{}` have?", args.name),
            )
            .with_hint("write `fleetwright signal push <signal> <value>`")
        })?;
        vec![signal_value(&pool, &args.name, value, args.at, now)?]
    };
    context.store().await?.put_signals(&pushed).await?;
    if context.out.json {
        output::json(&Pushed {
            pool: pool.clone(),
            pushed: pushed.len(),
        })?;
    }
    let scaling = context.loaded.config.pools[&pool].scaling.as_ref();
    let mut told: Vec<&str> = pushed
        .iter()
        .map(|value| value.name.as_str())
        .filter(|name| !is_used(scaling, name))
        .collect();
    told.sort_unstable();
    told.dedup();
    for name in told {
        context.out.note(&format!(
            "note: the policy of pool `{pool}` does not look at the signal `{name}`{}",
            meant(scaling, name)
        ));
    }
    context
        .out
        .note(&format!("{} pushed", count(pushed.len(), "value")));
    Ok(Exit::Done)
}

/// The pool that is named, or the only one with a policy.
fn chosen(context: &Context, named: Option<&str>) -> Result<String> {
    if let Some(name) = named {
        configured(context, name)?;
        return Ok(name.to_owned());
    }
    let pools = &context.loaded.config.pools;
    let mut scaled = pools.iter().filter(|(_, pool)| pool.scaling.is_some());
    match (scaled.next(), scaled.next()) {
        (Some((name, _)), None) => Ok(name.clone()),
        _ => Err(Error::new(Kind::Invalid, "of which pool is this a signal?")
            .with_hint("name it with `--pool <pool>`")),
    }
}

fn read_stdin() -> Result<String> {
    let mut text = String::new();
    std::io::stdin()
        .read_to_string(&mut text)
        .map_err(|error| {
            Error::new(Kind::Invalid, "standard input cannot be read").with_source(error)
        })?;
    Ok(text)
}

fn from_lines(pool: &str, text: &str, now: Timestamp) -> Result<Vec<SignalValue>> {
    let mut values = Vec::new();
    for (at, line) in text.lines().enumerate() {
        let words: Vec<&str> = line.split_whitespace().collect();
        let read = match words.as_slice() {
            [] => continue,
            [name, value] => signal_value(pool, name, value, None, now),
            [name, value, time] => time
                .parse()
                .map_err(|error| {
                    Error::new(Kind::Invalid, format!("`{time}` is not a time"))
                        .with_hint("write it as `2026-11-24T12:00:00Z`")
                        .with_source(error)
                })
                .and_then(|time| signal_value(pool, name, value, Some(time), now)),
            _ => Err(Error::new(
                Kind::Invalid,
                format!("`{line}` is not a value of a signal"),
            )
            .with_hint("each line is `<signal> <value>` or `<signal> <value> <time>`")),
        };
        values.push(read.map_err(|error| error.with_context("line", (at + 1).to_string()))?);
    }
    if values.is_empty() {
        return Err(Error::new(Kind::Invalid, "standard input holds no value")
            .with_hint("each line is `<signal> <value>` or `<signal> <value> <time>`"));
    }
    Ok(values)
}

fn signal_value(
    pool: &str,
    name: &str,
    value: &str,
    at: Option<Timestamp>,
    now: Timestamp,
) -> Result<SignalValue> {
    check_name("signal", name)?;
    let at = at.unwrap_or(now);
    if at.duration_since(now) > AHEAD {
        return Err(Error::new(
            Kind::Invalid,
            format!("`{at}` is still to come: nothing can have been measured then"),
        ));
    }
    Ok(SignalValue {
        pool: pool.to_owned(),
        name: name.to_owned(),
        sample: Sample {
            at,
            value: value.parse()?,
        },
    })
}

fn is_used(scaling: Option<&Scaling>, name: &str) -> bool {
    scaling.is_some_and(|scaling| scaling.policy.signals().contains(name))
}

/// What the name was probably meant to be.
fn meant(scaling: Option<&Scaling>, name: &str) -> String {
    let known = scaling.map(|scaling| scaling.policy.signals());
    known
        .iter()
        .flatten()
        .find(|known| strsim::damerau_levenshtein(known, name) <= 2)
        .map_or_else(String::new, |known| format!("; did you mean `{known}`?"))
}

async fn list(context: &Context, args: &List) -> Result<Exit> {
    if let Some(pool) = &args.pool {
        configured(context, pool)?;
    }
    let known = context.store().await?.signals().await?;
    let mut rows = rows(context, known);
    rows.retain(|row| args.pool.as_ref().is_none_or(|pool| row.pool == *pool));
    if context.out.json {
        output::json(&Listed { signals: rows })?;
        return Ok(Exit::Done);
    }
    if rows.is_empty() {
        context.out.note("there are no signals");
        return Ok(Exit::Done);
    }
    let now = Context::now();
    let cells = rows
        .iter()
        .map(|row| {
            let (value, age) = row.newest.map_or_else(
                || ("-".to_owned(), "-".to_owned()),
                |sample| (sample.value.to_string(), age(sample.at, now)),
            );
            let used = if row.used { "yes" } else { "no" };
            vec![
                row.pool.clone(),
                row.name.clone(),
                value,
                age,
                row.count.to_string(),
                row.source.to_owned(),
                used.to_owned(),
            ]
        })
        .collect();
    output::table(
        &["POOL", "SIGNAL", "VALUE", "AGE", "VALUES", "SOURCE", "USED"],
        cells,
    )?;
    Ok(Exit::Done)
}

/// What has values, and what a policy looks at.
fn rows(context: &Context, known: Vec<SignalState>) -> Vec<Row> {
    let pools = &context.loaded.config.pools;
    let scaling = |pool: &str| pools.get(pool).and_then(|pool| pool.scaling.as_ref());
    let mut rows: BTreeMap<(String, String), Row> = BTreeMap::new();
    let wanted = pools.iter().flat_map(|(pool, config)| {
        let names = config.scaling.iter().flat_map(|s| s.policy.signals());
        names.map(move |name| (pool.clone(), name.to_owned(), None, 0))
    });
    let known = known
        .into_iter()
        .map(|state| (state.pool, state.name, Some(state.newest), state.count));
    for (pool, name, newest, count) in wanted.chain(known) {
        let scaling = scaling(&pool);
        let config = scaling.and_then(|scaling| scaling.signals.get(&name));
        let source = match config {
            Some(config) if config.nodes.is_some() => "nodes",
            Some(config) if config.prometheus.is_some() => "prometheus",
            _ => "pushed",
        };
        let used = is_used(scaling, &name);
        let row = Row {
            pool: pool.clone(),
            name: name.clone(),
            source,
            used,
            newest,
            count,
        };
        rows.insert((pool, name), row);
    }
    rows.into_values().collect()
}

async fn values(context: &Context, args: &List, name: &str) -> Result<Exit> {
    let pool = chosen(context, args.pool.as_deref())?;
    let store = context.store().await?;
    let values = store.signal(&pool, name, Timestamp::MIN).await?;
    if values.is_empty() {
        return Err(Error::new(
            Kind::NotFound,
            format!("pool `{pool}` has no value of the signal `{name}`"),
        )
        .with_hint("`fleetwright signal list` lists the signals"));
    }
    if context.out.json {
        let name = name.to_owned();
        output::json(&History { pool, name, values })?;
        return Ok(Exit::Done);
    }
    let rows = values
        .iter()
        .map(|sample| vec![format!("{:.0}", sample.at), sample.value.to_string()])
        .collect();
    output::table(&["TIME", "VALUE"], rows)?;
    Ok(Exit::Done)
}

fn age(at: Timestamp, now: Timestamp) -> String {
    runtime(u64::try_from(now.duration_since(at).as_secs()).unwrap_or(0))
}
