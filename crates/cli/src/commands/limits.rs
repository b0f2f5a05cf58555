//! `__limits`: keeps the limits of nodes in the background, until there are none left.
//!
//! Started by [`crate::background`], one for each fleet. What it says goes to its log.

use std::fs;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use fleetwright::{Origin, Session};
use fleetwright_core::{Clock, Error, Event, Kind, Result};
use fleetwright_engine::{BACKGROUND, Listener, SystemClock, Watch};

use jiff::Timestamp;

use crate::background::LEASE;
use crate::context::Context;
use crate::exit::Exit;
use crate::output;
use crate::progress::line;

/// How long the lease is good for; it is held by being alive.
const TTL: Duration = Duration::from_mins(10);
/// Pause after an error of the journal or the configuration.
const PAUSE: Duration = Duration::from_secs(5);
/// Nobody ends within so many seconds of being wanted: the command that wants it has not begun yet.
const GRACE: i64 = 4;
/// Longest pause between two looks at the files.
const LOOK: Duration = Duration::from_secs(5);

pub(super) async fn run(context: &Context) -> Result<Exit> {
    // Out of the session of the terminal, so that its end is not ours. One that leads a group
    // already was started by hand, and stays where it is.
    match rustix::process::setsid() {
        Ok(_) | Err(rustix::io::Errno::PERM) => {}
        Err(error) => {
            return Err(
                Error::new(Kind::Unexpected, "no session of its own can be had").with_source(error),
            );
        }
    }
    let holder = format!("{BACKGROUND}, process {}", std::process::id());
    let store = context.store().await?;
    let lease = match store.acquire(LEASE, &holder, SystemClock.now(), TTL).await {
        Ok(lease) => lease,
        // Another is at it.
        Err(error) if error.kind() == Kind::Conflict => return Ok(Exit::Done),
        Err(error) => return Err(error),
    };
    say(&format!(
        "{holder}: keeps the limits of fleet `{}`",
        context.loaded.config.fleet
    ));
    let ended = keep(context, &holder).await;
    store.release(lease).await?;
    say(&format!("{holder}: ends"));
    ended.map(|()| Exit::Done)
}

/// Rounds until there is nothing left to watch.
async fn keep(context: &Context, holder: &str) -> Result<()> {
    let wanted = context.paths.limits_wanted();
    let mut engine = context.quiet_engine().await?;
    let mut renewed: Option<Session> = None;
    let mut version = version(context);
    let mut watch = Watch::default();
    loop {
        // Whoever wants it to go on writes this file anew.
        let Ok(before) = fs::read(&wanted) else {
            say("nobody wants limits to be kept any more");
            return Ok(());
        };
        let pause = match engine.watch(&mut watch, holder).await {
            Ok(round) => {
                for trouble in &round.troubles {
                    say(trouble);
                }
                if round.is_over() && is_old(&before) && fs::read(&wanted).ok() == Some(before) {
                    say("no node with a limit is left");
                    return fs::remove_file(&wanted).map_err(|error| {
                        let message = format!("`{}` cannot be removed", wanted.display());
                        Error::new(Kind::Config, message).with_source(error)
                    });
                }
                round.pause
            }
            Err(error) => {
                // The state directory is gone, and with it everything to be watched.
                if !wanted.exists() {
                    return Ok(());
                }
                output::explain(&error);
                PAUSE
            }
        };
        // Not without looking into the files now and then.
        SystemClock.sleep(pause.min(LOOK)).await;
        let now = self::version(context);
        if now != version {
            version = now;
            match context.reopen().await {
                Ok(session) => {
                    say("the configuration has changed");
                    engine = session.engine().clone();
                    if let Some(old) = renewed.replace(session) {
                        old.close().await;
                    }
                }
                // What was agreed on before goes on until the file is good again.
                Err(error) => output::explain(&error),
            }
        }
    }
}

/// Whether whoever wanted limits to be kept has had the time to begin.
fn is_old(mark: &[u8]) -> bool {
    let written = std::str::from_utf8(mark)
        .ok()
        .and_then(|text| text.split_whitespace().nth(1)?.parse::<Timestamp>().ok());
    written.is_none_or(|at| SystemClock.now().duration_since(at).as_secs() >= GRACE)
}

/// What changes when the configuration file does.
fn version(context: &Context) -> Option<(SystemTime, u64)> {
    let Origin::File(path) = &context.loaded.origin else {
        return None;
    };
    let found = fs::metadata(path).ok()?;
    Some((found.modified().ok()?, found.len()))
}

/// A line in the log.
fn say(text: &str) {
    anstream::eprintln!("{:.0} {text}", SystemClock.now());
}

/// Writes events into the log.
pub(crate) struct Log;

impl Listener for Log {
    fn hear(&self, event: &Event) {
        if let Some(text) = line(&event.what) {
            say(text.trim_start());
        }
    }
}

/// The listeners of this command.
pub(crate) fn listeners() -> Vec<Arc<dyn Listener>> {
    vec![Arc::new(Log)]
}
