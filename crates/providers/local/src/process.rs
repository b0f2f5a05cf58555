//! Which process is a node's, whether it lives, and how it is ended.
//!
//! A node's process holds a POSIX record lock on `<dir>/lock`. The kernel drops that lock when
//! the process ends, however it ends, gives it to no child, and names the holder's pid when asked
//! (`F_GETLK`), without disturbing it. So a recycled pid cannot be taken for a node, and nothing
//! has to be believed that was written to a file.
//!
//! Signals go through a pidfd that was opened *before* the holder was asked for again: what is
//! signaled is what holds the lock.

use std::fs::{File, OpenOptions};
use std::io;
use std::path::Path;

use rustix::fs::{FlockOperation, fcntl_lock};
use rustix::process::{Flock, FlockType, Pid, Signal, fcntl_getlk};

/// Who holds a lock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Holder {
    /// Nobody: the process is gone, or not there yet.
    Nobody,
    /// This process.
    Process(Pid),
    /// A process whose pid cannot be seen from here: in another pid namespace, such as a
    /// container that shares the directory.
    Unseen,
}

/// Asks who holds a lock. A lock file that is not there is held by nobody.
pub(crate) fn holder(lock: &Path) -> io::Result<Holder> {
    let file = match File::open(lock) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Holder::Nobody),
        Err(error) => return Err(error),
    };
    // Asking about a read lock is enough: the node's lock excludes it.
    let answer = fcntl_getlk(&file, &Flock::from(FlockType::ReadLock))?;
    Ok(match answer {
        None => Holder::Nobody,
        Some(Flock { pid: Some(pid), .. }) => Holder::Process(pid),
        Some(Flock { pid: None, .. }) => Holder::Unseen,
    })
}

/// Takes a lock for the life of this process; `None` if another process has it.
///
/// The file must stay open, and must not be opened a second time by this process: closing any
/// descriptor of it gives a POSIX lock up.
pub(crate) fn hold(lock: &Path) -> io::Result<Option<File>> {
    let file = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .open(lock)?;
    match fcntl_lock(&file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(Some(file)),
        Err(rustix::io::Errno::AGAIN | rustix::io::Errno::ACCESS) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// The process that holds a lock, pinned: the number may be given to another, this cannot.
#[derive(Debug)]
pub(crate) struct Pinned {
    pid: Pid,
    #[cfg(target_os = "linux")]
    fd: std::os::fd::OwnedFd,
}

// === impl Pinned ===

impl Pinned {
    /// Pins the holder of a lock; `None` if nobody holds it (any more).
    ///
    /// # Errors
    /// Also if the holder cannot be seen from here.
    pub(crate) fn holder_of(lock: &Path) -> io::Result<Option<Self>> {
        loop {
            let pid = match holder(lock)? {
                Holder::Nobody => return Ok(None),
                Holder::Process(pid) => pid,
                Holder::Unseen => {
                    return Err(io::Error::new(
                        io::ErrorKind::PermissionDenied,
                        "its process runs in another pid namespace",
                    ));
                }
            };
            if let Some(pinned) = Self::process(pid)?
                && holder(lock)? == Holder::Process(pid)
            {
                return Ok(Some(pinned));
            }
        }
    }

    #[cfg(target_os = "linux")]
    fn process(pid: Pid) -> io::Result<Option<Self>> {
        match rustix::process::pidfd_open(pid, rustix::process::PidfdFlags::empty()) {
            Ok(fd) => Ok(Some(Self { pid, fd })),
            Err(rustix::io::Errno::SRCH) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    #[cfg(not(target_os = "linux"))]
    fn process(pid: Pid) -> io::Result<Option<Self>> {
        Ok(Some(Self { pid }))
    }

    pub(crate) fn pid(&self) -> Pid {
        self.pid
    }

    /// Sends a signal; a process that has ended takes none, and that is fine.
    pub(crate) fn signal(&self, signal: Signal) -> io::Result<()> {
        #[cfg(target_os = "linux")]
        let sent = rustix::process::pidfd_send_signal(&self.fd, signal);
        #[cfg(not(target_os = "linux"))]
        let sent = rustix::process::kill_process(self.pid, signal);
        match sent {
            Ok(()) | Err(rustix::io::Errno::SRCH) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// Whether it has ended: it runs no more, though its parent may not have looked yet.
    pub(crate) fn has_ended(&self) -> io::Result<bool> {
        #[cfg(target_os = "linux")]
        {
            use rustix::event::{PollFd, PollFlags, Timespec, poll};
            let now = Timespec {
                tv_sec: 0,
                tv_nsec: 0,
            };
            Ok(poll(&mut [PollFd::new(&self.fd, PollFlags::IN)], Some(&now))? > 0)
        }
        #[cfg(not(target_os = "linux"))]
        Ok(rustix::process::test_kill_process(self.pid).is_err())
    }
}

/// Sends a signal to every process whose environment has this variable with this value, except
/// this one. Returns how many there were. Processes of other users are not seen.
#[cfg(target_os = "linux")]
pub(crate) fn signal_marked(name: &str, value: &Path, signal: Signal) -> io::Result<usize> {
    use std::os::unix::ffi::OsStrExt as _;

    let mark = [name.as_bytes(), b"=", value.as_os_str().as_bytes()].concat();
    let has_mark = |pid: Pid| {
        std::fs::read(format!("/proc/{}/environ", pid.as_raw_nonzero()))
            .is_ok_and(|environment| environment.split(|byte| *byte == 0).any(|e| e == mark))
    };
    let mut found = 0;
    for pid in all_processes()? {
        let is_me = u32::try_from(pid.as_raw_nonzero().get()) == Ok(std::process::id());
        if is_me || !has_mark(pid) {
            continue;
        }
        if let Some(process) = Pinned::process(pid)?
            && has_mark(pid)
        {
            found += 1;
            process.signal(signal)?;
        }
    }
    Ok(found)
}

/// Without `/proc` nobody can be found by their environment.
#[cfg(not(target_os = "linux"))]
pub(crate) fn signal_marked(_: &str, _: &Path, _: Signal) -> io::Result<usize> {
    Ok(0)
}

/// Sends signals to every process below this one, at any depth.
#[cfg(target_os = "linux")]
pub(crate) fn signal_descendants(signals: &[Signal]) -> io::Result<()> {
    let mut parents = Vec::new();
    for pid in all_processes()? {
        if let Some(parent) = parent_of(pid) {
            parents.push((pid, parent));
        }
    }
    let mut family = vec![rustix::process::getpid()];
    let mut next = 0;
    while let Some(ancestor) = family.get(next).copied() {
        family.extend(parents.iter().filter(|p| p.1 == ancestor).map(|p| p.0));
        next += 1;
    }
    for pid in family.into_iter().skip(1) {
        let parent = parent_of(pid);
        if let Some(process) = Pinned::process(pid)?
            && parent.is_some()
            && parent_of(pid) == parent
        {
            for signal in signals {
                process.signal(*signal)?;
            }
        }
    }
    Ok(())
}

/// Without `/proc`: the processes of our own group; commands in groups of their own are ended by
/// the hang-up of their channel.
#[cfg(not(target_os = "linux"))]
pub(crate) fn signal_descendants(_: &[Signal]) -> io::Result<()> {
    Ok(())
}

#[cfg(target_os = "linux")]
fn all_processes() -> io::Result<Vec<Pid>> {
    let mut pids = Vec::new();
    for entry in std::fs::read_dir("/proc")? {
        let name = entry?.file_name();
        if let Some(pid) = name.to_str().and_then(|name| name.parse().ok()) {
            pids.extend(Pid::from_raw(pid));
        }
    }
    Ok(pids)
}

/// The parent of a process; `None` if the process is gone.
#[cfg(target_os = "linux")]
fn parent_of(pid: Pid) -> Option<Pid> {
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", pid.as_raw_nonzero())).ok()?;
    // `pid (name) state ppid ...`; the name may hold anything, parentheses too.
    let parent = stat.rsplit_once(')')?.1.split_whitespace().nth(1)?;
    Pid::from_raw(parent.parse().ok()?)
}

/// The name of the user that this process runs as.
pub(crate) fn user_name() -> String {
    let uid = rustix::process::getuid().as_raw().to_string();
    let known = std::fs::read_to_string("/etc/passwd").ok();
    known
        .iter()
        .flat_map(|text| text.lines())
        .find_map(|line| {
            let mut fields = line.split(':');
            let name = fields.next()?;
            (fields.nth(1)? == uid).then(|| name.to_owned())
        })
        .or_else(|| std::env::var("USER").ok())
        .unwrap_or(uid)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lock_that_nobody_holds_has_no_holder() {
        let dir = tempfile::tempdir().unwrap();
        let lock = dir.path().join("lock");
        assert_eq!(holder(&lock).unwrap(), Holder::Nobody);
        std::fs::write(&lock, "").unwrap();
        assert_eq!(holder(&lock).unwrap(), Holder::Nobody);
        assert!(Pinned::holder_of(&lock).unwrap().is_none());
    }

    #[test]
    fn the_user_has_a_name() {
        assert!(!user_name().is_empty());
    }
}
