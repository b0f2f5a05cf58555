//! Removing nodes, so that nothing is left: no process, no directory.
//!
//! ```text
//!  mark ─► end its process ─► end what it left behind ─► lock: take out ─► remember, remove
//! ```
//! A call that is killed anywhere is finished by the next one. The mark comes first, so that no
//! create call starts the node again; taking it out is one rename, so that no half of a node is
//! ever seen.

use std::io;
use std::time::Duration;

use fleetwright_core::{Clock, Error, Kind, Result};
use rustix::process::Signal;

use crate::error;
use crate::node::DIR_VARIABLE;
use crate::node::state::NodeDir;
use crate::process::{self, Pinned};
use crate::root::Root;

/// How long a node's process has to end its commands and itself.
const GRACE: Duration = Duration::from_secs(2);

/// How long a killed process may take to be gone.
const KILL_LIMIT: Duration = Duration::from_secs(5);

const PAUSE: Duration = Duration::from_millis(5);

/// Removes a node and everything of it.
pub(crate) async fn delete(
    root: &Root,
    native: &str,
    dir: &NodeDir,
    clock: &dyn Clock,
) -> Result<()> {
    if is_there(dir)? {
        let cannot = |e| error::file("end the processes of the node in", dir.path(), e);
        dir.mark_deleting()
            .or_else(gone_meanwhile)
            .map_err(|e| error::file("mark the node in", dir.path(), e))?;
        end_process(dir, clock).await?;
        if !dir.has_ended().map_err(cannot)? {
            end_leftovers(dir, clock).await?;
        }
        // Under the lock, so that no create call is half-way between looking and starting.
        let lock = root.lock(clock).await?;
        root.take_out(&lock, native)
            .map_err(|e| error::file("remove the node in", dir.path(), e))?;
        drop(lock);
    }
    // Also what a deletion left that was killed just here.
    root.empty_trash(Some(native), clock.now())
        .map_err(|e| error::file("remove the node from", root.path(), e))
}

/// Whether there is a node to delete. What does not look like one of ours is not touched.
fn is_there(dir: &NodeDir) -> Result<bool> {
    match dir.record() {
        Ok(_) => Ok(true),
        Err(e) => match dir.path().try_exists() {
            Ok(false) => Ok(false),
            _ => Err(error::file("read the node in", dir.path(), e)
                .with_hint("it is left as it is; remove it by hand if it is not needed")),
        },
    }
}

async fn end_process(dir: &NodeDir, clock: &dyn Clock) -> Result<()> {
    let cannot = |e| error::file("end the process of the node in", dir.path(), e);
    for (signal, limit) in [(Signal::TERM, GRACE), (Signal::KILL, KILL_LIMIT)] {
        let Some(process) = Pinned::holder_of(&dir.lock()).map_err(cannot)? else {
            return Ok(());
        };
        process.signal(signal).map_err(cannot)?;
        let mut waited = Duration::ZERO;
        while waited < limit {
            if process.has_ended().map_err(cannot)? {
                break;
            }
            clock.sleep(PAUSE).await;
            waited += PAUSE;
        }
    }
    match Pinned::holder_of(&dir.lock()).map_err(cannot)? {
        None => Ok(()),
        Some(process) => Err(Error::new(
            Kind::Unavailable,
            format!(
                "process {} of the node in `{}` does not end",
                process.pid().as_raw_nonzero(),
                dir.path().display()
            ),
        )),
    }
}

/// Kills what a node's process could not end because it was itself killed.
async fn end_leftovers(dir: &NodeDir, clock: &dyn Clock) -> Result<()> {
    let cannot = |e| error::file("end what runs in", dir.path(), e);
    let path = match dir.path().canonicalize() {
        Ok(path) => path,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(cannot(error)),
    };
    let mut waited = Duration::ZERO;
    while waited < KILL_LIMIT {
        let found = process::signal_marked(DIR_VARIABLE, &path, Signal::KILL).map_err(cannot)?;
        if found == 0 {
            return Ok(());
        }
        clock.sleep(PAUSE).await;
        waited += PAUSE;
    }
    Err(Error::new(
        Kind::Unavailable,
        format!("processes of the node in `{}` do not end", path.display()),
    ))
}

fn gone_meanwhile(error: io::Error) -> io::Result<()> {
    if error.kind() == io::ErrorKind::NotFound {
        return Ok(());
    }
    Err(error)
}
