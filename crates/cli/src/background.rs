//! The process in the background that keeps the limits of nodes: started, found again, asked for.
//!
//! ```text
//!  up ──► limits.wanted ──► `fleetwright __limits` (a session of its own)
//!                                 │ holds the lease `limits` as long as it lives
//!  any later command ── wanted, and nobody holds the lease? ──► starts it again
//!                                 │
//!                   nothing left to watch: removes limits.wanted and ends
//! ```
//! The file says what is meant to be, the lease says what is. A process that was killed leaves the
//! file, so the next command knows.

use std::fs::{self, File, OpenOptions};
use std::io::{Read, Seek, SeekFrom};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::process::{self, Stdio};
use std::time::Duration;

use fleetwright::Origin;
use fleetwright_core::{Clock, Error, Kind, Result};
use fleetwright_engine::{Engine, SystemClock};
use fleetwright_store::Store;
use jiff::Timestamp;
use serde::Serialize;

use crate::context::Context;

/// The hidden word that makes this program keep limits.
pub(crate) const COMMAND: &str = "__limits";
/// The lease that it holds as long as it lives.
pub(crate) const LEASE: &str = "limits";
/// How long a new process may take until it holds the lease.
const START_LIMIT: Duration = Duration::from_secs(20);
/// How often it is looked at meanwhile.
const START_PAUSE: Duration = Duration::from_millis(10);
/// A log that is longer is put aside when a process starts.
const LOG_LIMIT: u64 = 1 << 20;
/// As much of the end of a log is shown in an error.
const LOG_TAIL: u64 = 2_000;

/// Whether limits are kept.
#[derive(Debug, Serialize)]
pub(crate) struct State {
    /// Whether they must be.
    pub(crate) wanted: bool,
    /// Whether a process is at it.
    pub(crate) running: bool,
    /// Which, in words.
    pub(crate) holder: Option<String>,
    /// Since when.
    pub(crate) since: Option<Timestamp>,
    /// Its log.
    pub(crate) log: PathBuf,
}

/// Looks whether limits are kept.
pub(crate) async fn state(context: &Context) -> Result<State> {
    let held = context.store().await?.holder(LEASE).await?;
    Ok(State {
        wanted: context.paths.limits_wanted().exists(),
        running: held.is_some(),
        since: held.as_ref().map(|held| held.since),
        holder: held.map(|held| held.holder),
        log: context.paths.limits_log(),
    })
}

/// Sees to it that the limits are kept from now on, whatever becomes of this command.
///
/// # Errors
/// If the process does not come up, with the end of its log.
pub(crate) async fn ensure(context: &Context) -> Result<()> {
    let store = context.store().await?;
    // Written anew each time: one that is about to end sees that it is wanted again.
    let wanted = context.paths.limits_wanted();
    let mark = format!("{} {}\n", process::id(), SystemClock.now());
    fs::write(&wanted, mark).map_err(|error| unwritable(&wanted, error))?;
    start(context, &store).await
}

/// Before nodes are made and after: if one of them may run out of time, somebody must notice.
///
/// # Errors
/// As [`ensure`]: machines whose limits nobody keeps are not made.
pub(crate) async fn keep_limits(context: &Context, engine: &Engine) -> Result<()> {
    if engine.needs_watch(&engine.store().nodes().await?) {
        ensure(context).await?;
    }
    Ok(())
}

/// Starts the process again if it is wanted and has died. Costs a look at a file if not.
pub(crate) async fn revive(context: &Context) -> Result<()> {
    if !context.paths.limits_wanted().exists() {
        return Ok(());
    }
    let store = context.store().await?;
    start(context, &store).await
}

async fn start(context: &Context, store: &Store) -> Result<()> {
    if store.holder(LEASE).await?.is_some() {
        return Ok(());
    }
    let log_path = context.paths.limits_log();
    let log = open_log(&log_path)?;
    let begin = log.metadata().map_or(0, |found| found.len());
    let mut child = command(context, log)?.spawn().map_err(|error| {
        Error::new(
            Kind::Unexpected,
            "the process that keeps the limits cannot be started",
        )
        .with_source(error)
    })?;
    let mut waited = Duration::ZERO;
    loop {
        if store.holder(LEASE).await?.is_some() {
            return Ok(());
        }
        let ended = child.try_wait().map_err(|error| {
            Error::new(
                Kind::Unexpected,
                "the process that keeps the limits cannot be asked",
            )
            .with_source(error)
        })?;
        // One that found another at work, or nothing to do, ends well.
        if let Some(status) = ended {
            if status.success() {
                return Ok(());
            }
            return Err(Error::new(
                Kind::Unexpected,
                format!("the process that keeps the limits of nodes ended with {status}"),
            )
            .with_context("log", tail(&log_path, begin))
            .with_hint(format!("its log is `{}`", log_path.display())));
        }
        if waited >= START_LIMIT {
            return Err(Error::new(
                Kind::Timeout,
                "the process that keeps the limits of nodes does not come up",
            )
            .with_hint(format!("its log is `{}`", log_path.display())));
        }
        SystemClock.sleep(START_PAUSE).await;
        waited += START_PAUSE;
    }
}

/// The command that works on the same fleet as this one, wherever it is started.
fn command(context: &Context, log: File) -> Result<process::Command> {
    let program = std::env::current_exe().map_err(|error| {
        Error::new(Kind::Config, "the path of this program cannot be found").with_source(error)
    })?;
    let mut command = process::Command::new(program);
    command.arg(COMMAND);
    if let Origin::File(path) = &context.loaded.origin {
        command.arg("--config").arg(absolute(path)?);
    }
    command
        .arg("--state-dir")
        .arg(absolute(context.paths.state())?)
        .arg("--fleet")
        .arg(&context.loaded.config.fleet);
    let errors = log
        .try_clone()
        .map_err(|error| unwritable(&context.paths.limits_log(), error))?;
    command.stdin(Stdio::null()).stdout(log).stderr(errors);
    Ok(command)
}

fn absolute(path: &Path) -> Result<PathBuf> {
    std::path::absolute(path).map_err(|error| {
        Error::new(
            Kind::Config,
            format!("`{}` has no absolute path", path.display()),
        )
        .with_source(error)
    })
}

fn open_log(path: &Path) -> Result<File> {
    if fs::metadata(path).is_ok_and(|found| found.len() > LOG_LIMIT) {
        let old = path.with_extension("log.1");
        fs::rename(path, old).map_err(|error| unwritable(path, error))?;
    }
    OpenOptions::new()
        .create(true)
        .append(true)
        .mode(0o600)
        .open(path)
        .map_err(|error| unwritable(path, error))
}

/// The end of what a log has got since it was `begin` long.
fn tail(path: &Path, begin: u64) -> String {
    let read = || -> std::io::Result<String> {
        let mut file = File::open(path)?;
        let length = file.metadata()?.len();
        file.seek(SeekFrom::Start(begin.max(length.saturating_sub(LOG_TAIL))))?;
        let mut text = Vec::new();
        file.read_to_end(&mut text)?;
        Ok(String::from_utf8_lossy(&text).into_owned())
    };
    read().unwrap_or_else(|error| format!("it cannot be read: {error}"))
}

fn unwritable(path: &Path, error: std::io::Error) -> Error {
    Error::new(
        Kind::Config,
        format!("`{}` cannot be written", path.display()),
    )
    .with_source(error)
}
