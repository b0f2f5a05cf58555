//! Every process below a node, and the one place that waits for them.
//!
//! The node is the subreaper of its commands: a daemon that one of them leaves behind becomes the
//! node's child, and is ended with the node. So `wait` gives statuses of processes that nobody
//! here started, and no second party may wait: whoever starts a process asks to be told.

use std::collections::HashMap;
use std::io;
use std::sync::{Mutex, MutexGuard, PoisonError};

use rustix::process::{Pid, WaitOptions, WaitStatus, wait};
use tokio::sync::oneshot;

/// The processes that somebody wants to hear about.
#[derive(Debug, Default)]
pub(super) struct Children {
    waiting: Mutex<HashMap<Pid, oneshot::Sender<WaitStatus>>>,
}

// === impl Children ===

impl Children {
    /// Will be told how a process ends that was started just now, without an `await` in between:
    /// the runtime has one thread, so [`reap`](Self::reap) cannot have come first.
    pub(super) fn watch(&self, pid: u32) -> io::Result<(Pid, oneshot::Receiver<WaitStatus>)> {
        let pid = i32::try_from(pid)
            .ok()
            .and_then(Pid::from_raw)
            .ok_or_else(|| io::Error::other(format!("{pid} is not a process")))?;
        let (tell, told) = oneshot::channel();
        self.waiting().insert(pid, tell);
        Ok((pid, told))
    }

    /// Takes note of every child that has ended. Says whether any child is left.
    pub(super) fn reap(&self) -> io::Result<bool> {
        loop {
            match wait(WaitOptions::NOHANG) {
                Ok(Some((pid, status))) => {
                    if let Some(tell) = self.waiting().remove(&pid) {
                        // Whoever asked may have left; then nobody needs to know.
                        let _unheard = tell.send(status);
                    }
                }
                Ok(None) => return Ok(true),
                Err(rustix::io::Errno::CHILD) => return Ok(false),
                Err(rustix::io::Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }

    fn waiting(&self) -> MutexGuard<'_, HashMap<Pid, oneshot::Sender<WaitStatus>>> {
        // Each use leaves the map whole.
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
