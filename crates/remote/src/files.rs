//! Files that several processes write at once: whole or not at all.
//!
//! Everything is written to a temporary neighbor, flushed to disk and then moved into place, so a
//! reader never sees half a file and a crash leaves the old one.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, ErrorKind, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use fleetwright_core::{Error, Kind};

/// Makes the file at `path` have exactly these bytes and this mode.
pub(crate) fn replace(path: &Path, bytes: &[u8], mode: u32) -> io::Result<()> {
    let temporary = Temporary::write(path, bytes, mode)?;
    fs::rename(&temporary.0, path)
}

/// Makes the file at `path` unless there is one already; says whether it did.
pub(crate) fn create(path: &Path, bytes: &[u8], mode: u32) -> io::Result<bool> {
    let temporary = Temporary::write(path, bytes, mode)?;
    // A hard link, unlike a rename, fails if the name is taken: of two processes one wins.
    match fs::hard_link(&temporary.0, path) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(false),
        Err(error) => Err(error),
    }
}

/// Makes the folder that `path` is in, readable by its owner alone.
pub(crate) fn create_parent(path: &Path) -> io::Result<()> {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => {
            DirBuilder::new().recursive(true).mode(0o700).create(parent)
        }
        _ => Ok(()),
    }
}

/// Waits for the exclusive right to change `path`; it ends when the result is dropped.
pub(crate) fn lock(path: &Path) -> io::Result<File> {
    let file = OpenOptions::new()
        .create(true)
        .write(true)
        .truncate(false)
        .mode(0o600)
        .open(beside(path, "lock"))?;
    file.lock()?;
    Ok(file)
}

/// The text of a file; `None` if there is none.
pub(crate) fn read(path: &Path) -> Result<Option<String>, Error> {
    match fs::read(path) {
        // Both kinds of file read here are ASCII apart from comments; a stray byte in a comment
        // must not make the rest unusable.
        Ok(bytes) => Ok(Some(String::from_utf8_lossy(&bytes).into_owned())),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(failed("read", path, error)),
    }
}

/// The error for a file that could not be read or written.
pub(crate) fn failed(verb: &str, path: &Path, error: io::Error) -> Error {
    Error::new(Kind::Config, format!("cannot {verb} `{}`", path.display())).with_source(error)
}

/// A file that goes away when dropped, unless it was renamed.
struct Temporary(PathBuf);

impl Temporary {
    fn write(path: &Path, bytes: &[u8], mode: u32) -> io::Result<Self> {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let unique = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = beside(path, &format!("{}-{unique}.tmp", std::process::id()));
        // A crashed process may have left one of this name.
        match fs::remove_file(&name) {
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let mut file = OpenOptions::new()
            .create_new(true)
            .write(true)
            .mode(mode)
            .open(&name)?;
        let temporary = Self(name);
        file.write_all(bytes)?;
        file.sync_all()?;
        Ok(temporary)
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        match fs::remove_file(&self.0) {
            Err(error) if error.kind() != ErrorKind::NotFound => {
                tracing::warn!(path = %self.0.display(), %error, "a temporary file stays behind");
            }
            _ => {}
        }
    }
}

/// `path` with a further ending.
fn beside(path: &Path, ending: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".");
    name.push(ending);
    PathBuf::from(name)
}
