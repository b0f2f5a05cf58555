//! The file on disk: its directory, its mode, its locks.
//!
//! The database file is never opened here once it has content. SQLite's locks on it are POSIX
//! locks, and *closing any* descriptor of a file drops all POSIX locks of the process on it: a
//! look into the file would take the locks away from another [`Store`](crate::Store) of the same
//! process (<https://www.sqlite.org/howtocorrupt.html>, section 2.2).

use std::ffi::OsString;
use std::fmt::Write as _;
use std::fs::{DirBuilder, File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};

use fleetwright_core::{Error, Kind, Result};

use crate::error::{damaged, refused};

/// Makes the directory of the journal, readable for nobody else, if it is missing.
pub(crate) fn make_directory(path: &Path) -> Result<()> {
    let Some(directory) = path.parent().filter(|dir| !dir.as_os_str().is_empty()) else {
        return Ok(());
    };
    if directory.is_dir() {
        return Ok(());
    }
    let mut builder = DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder
        .create(directory)
        .map_err(|e| refused("create the directory", directory, e))
}

/// Whether there is no journal yet: no file, or an empty one.
///
/// # Errors
/// `Config` if it is a directory or too short for a database, or if its directory cannot be
/// looked into.
pub(crate) fn is_missing(path: &Path) -> Result<bool> {
    match path.metadata() {
        Ok(found) if found.is_dir() => Err(Error::new(
            Kind::Config,
            format!("journal `{}` is a directory", path.display()),
        )
        .with_hint("name a file in it")),
        // SQLite takes a file that is shorter than its smallest page for an empty database, and
        // writes over it.
        Ok(found) if (1..512).contains(&found.len()) => Err(damaged(path)),
        Ok(found) => Ok(found.len() == 0),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(true),
        Err(error) => Err(refused("read", path, error)),
    }
}

/// Makes the empty file, readable for nobody else. One that is there is left alone.
///
/// SQLite gives the mode of this file to the files beside it (`-wal`, `-shm`).
pub(crate) fn make_file(path: &Path) -> Result<()> {
    match private().create_new(true).open(path) {
        Ok(_) => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        Err(error) => Err(refused("create", path, error)),
    }
}

/// Opens a lock file beside the journal, without locking it yet.
///
/// It stays when the lock is given up: whoever removed it could remove the one that another
/// process has just locked.
pub(crate) fn open_lock(path: &Path) -> Result<File> {
    private()
        .create(true)
        .truncate(false)
        .open(path)
        .map_err(|e| refused("open the lock file", path, e))
}

/// The path of a file beside the journal.
pub(crate) fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(suffix);
    PathBuf::from(name)
}

/// The one path that all processes agree on, whatever links they came through.
pub(crate) fn canonical(path: &Path) -> Result<PathBuf> {
    path.canonicalize().map_err(|e| refused("read", path, e))
}

/// The address of the file for the database driver. The path is canonical: in an address, a
/// relative one would begin with a host name, and dots would be resolved without regard to links.
pub(crate) fn url(path: &Path) -> Result<String> {
    let text = path.to_str().ok_or_else(|| {
        Error::new(
            Kind::Config,
            format!("the path of journal `{}` is not UTF-8", path.display()),
        )
    })?;
    let mut url = String::from("sqlite://");
    for byte in text.bytes() {
        match byte {
            b'/' | b'-' | b'_' | b'.' | b'0'..=b'9' | b'a'..=b'z' | b'A'..=b'Z' => {
                url.push(char::from(byte));
            }
            _ => write!(url, "%{byte:02X}").expect("writing to a string cannot fail"),
        }
    }
    url.push_str("?mode=rw");
    Ok(url)
}

fn private() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.read(true).write(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options
}
