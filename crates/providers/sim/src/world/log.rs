//! The file that the world lives in: lines that are only ever appended, under a lock.
//!
//! ```text
//! <checksum, 16 hexadecimal digits> <JSON>\n
//! ```
//!
//! One operation on the cloud is one line, so that it happens completely or not at all, even if the
//! process is killed while it writes: a line is done when its line break is there, and whoever
//! takes the lock next cuts off what has none. A *complete* line with a wrong checksum was not left
//! by a killed process: then somebody has damaged the file, and nothing is guessed.
//!
//! The lock is held on a second file, which is never replaced, so that the log itself can be
//! rewritten and renamed into place when it has grown. Readers notice by the inode.
//!
//! Nothing is synced to the disk: the world outlives any process, not a power cut.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use fleetwright_core::{Error, Kind, Result};

use super::hash;

/// A log file that several processes share.
#[derive(Debug)]
pub(super) struct Log {
    path: PathBuf,
    lock: PathBuf,
    data: Option<Data>,
}

/// The open log, and how much of it was read.
#[derive(Debug)]
struct Data {
    file: File,
    inode: u64,
    read_to: u64,
}

/// What was new in the log.
#[derive(Debug)]
pub(super) struct News {
    /// The log was read from its beginning: what was known before is void.
    pub(super) restart: bool,
    /// The JSON of the new lines.
    pub(super) lines: Vec<String>,
}

/// The log while nobody else can touch it.
#[derive(Debug)]
pub(super) struct Locked<'a> {
    log: &'a mut Log,
    /// Closing it gives the lock back; so does the end of the process, however it comes.
    _lock: File,
}

const CHECKSUM: usize = 16;

// === impl Log ===

impl Log {
    pub(super) fn new(path: PathBuf) -> Self {
        let mut lock = path.clone().into_os_string();
        lock.push(".lock");
        Self {
            path,
            lock: lock.into(),
            data: None,
        }
    }

    /// Waits until nobody else holds the lock.
    pub(super) fn lock(&mut self) -> Result<Locked<'_>> {
        let file = match open(&self.lock) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let folder = self.path.parent().unwrap_or(Path::new("."));
                std::fs::create_dir_all(folder)
                    .map_err(|e| broken("cannot make the directory", folder, e))?;
                open(&self.lock)
            }
            other => other,
        }
        .map_err(|e| broken("cannot open the lock", &self.lock, e))?;
        file.lock()
            .map_err(|e| broken("cannot take the lock", &self.lock, e))?;
        Ok(Locked {
            log: self,
            _lock: file,
        })
    }

    /// Forgets what was read, so that the next look begins at the beginning.
    pub(super) fn forget(&mut self) {
        self.data = None;
    }
}

// === impl Locked ===

impl Locked<'_> {
    /// Reads what others have appended since the last look, and cuts off a line that a killed
    /// process left unfinished.
    pub(super) fn news(&mut self) -> Result<News> {
        let path = self.log.path.clone();
        let fail = |e| broken("cannot read the world", &path, e);
        let (mut data, restart) = match self.log.data.take() {
            Some(data) if inode(&path).map_err(fail)? == Some(data.inode) => (data, false),
            _ => (Data::open(&path).map_err(fail)?, true),
        };
        let length = data.file.metadata().map_err(fail)?.len();
        if length < data.read_to {
            return Err(damaged(&path, length));
        }
        let unread = usize::try_from(length - data.read_to)
            .map_err(|e| broken("cannot hold the world", &path, io::Error::other(e)))?;
        let mut bytes = vec![0; unread];
        data.file
            .read_exact_at(&mut bytes, data.read_to)
            .map_err(fail)?;
        let mut lines = Vec::new();
        let mut at = 0;
        while let Some(end) = bytes[at..].iter().position(|&byte| byte == b'\n') {
            let offset = data.read_to + u64::try_from(at).unwrap_or(u64::MAX);
            lines.push(content(&bytes[at..at + end]).ok_or_else(|| damaged(&path, offset))?);
            at += end + 1;
        }
        data.read_to += u64::try_from(at).unwrap_or(u64::MAX);
        if data.read_to < length {
            data.file.set_len(data.read_to).map_err(fail)?;
        }
        self.log.data = Some(data);
        Ok(News { restart, lines })
    }

    /// Appends one line. If that fails, the log is as it was before.
    pub(super) fn append(&mut self, json: &str) -> Result<()> {
        let path = &self.log.path;
        let Some(data) = &mut self.log.data else {
            return Err(Error::new(
                Kind::Unexpected,
                "the world was written to before it was read",
            ));
        };
        let line = line(json);
        let fail = |e| broken("cannot write the world", path, e);
        if let Err(error) = data.file.write_all_at(line.as_bytes(), data.read_to) {
            data.file.set_len(data.read_to).map_err(fail)?;
            return Err(fail(error));
        }
        data.read_to += u64::try_from(line.len()).unwrap_or(u64::MAX);
        Ok(())
    }

    /// How long the log is.
    pub(super) fn length(&self) -> u64 {
        self.log.data.as_ref().map_or(0, |data| data.read_to)
    }

    /// Puts a log with this one line in the place of the present one.
    pub(super) fn replace(&mut self, json: &str) -> Result<()> {
        let mut fresh = self.log.path.clone().into_os_string();
        fresh.push(".new");
        let fresh = PathBuf::from(fresh);
        let fail = |e| broken("cannot rewrite the world", &fresh, e);
        let file = open(&fresh).map_err(fail)?;
        file.set_len(0).map_err(fail)?;
        let line = line(json);
        file.write_all_at(line.as_bytes(), 0).map_err(fail)?;
        let inode = file.metadata().map_err(fail)?.ino();
        std::fs::rename(&fresh, &self.log.path).map_err(fail)?;
        self.log.data = Some(Data {
            file,
            inode,
            read_to: u64::try_from(line.len()).unwrap_or(u64::MAX),
        });
        Ok(())
    }
}

impl Data {
    fn open(path: &Path) -> io::Result<Self> {
        let file = open(path)?;
        let inode = file.metadata()?.ino();
        Ok(Self {
            file,
            inode,
            read_to: 0,
        })
    }
}

/// Opens for reading and writing, makes it if need be, for the owner only.
fn open(path: &Path) -> io::Result<File> {
    OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(path)
}

fn inode(path: &Path) -> io::Result<Option<u64>> {
    match std::fs::metadata(path) {
        Ok(metadata) => Ok(Some(metadata.ino())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

fn line(json: &str) -> String {
    format!("{:016x} {json}\n", hash::of_bytes(json.as_bytes()))
}

/// The JSON of a line whose checksum is right.
fn content(line: &[u8]) -> Option<String> {
    let text = std::str::from_utf8(line).ok()?;
    let (checksum, json) = text.split_at_checked(CHECKSUM)?;
    let json = json.strip_prefix(' ')?;
    let expected = u64::from_str_radix(checksum, 16).ok()?;
    (hash::of_bytes(json.as_bytes()) == expected).then(|| json.to_owned())
}

fn broken(what: &str, path: &Path, error: io::Error) -> Error {
    use io::ErrorKind::{IsADirectory, NotADirectory, PermissionDenied, ReadOnlyFilesystem};
    let kind = match error.kind() {
        PermissionDenied | ReadOnlyFilesystem | IsADirectory | NotADirectory => Kind::Config,
        _ => Kind::Unavailable,
    };
    let error = Error::new(kind, format!("{what} `{}`", path.display())).with_source(error);
    match kind {
        Kind::Config => error.with_hint("`world` names a file that can be read and written"),
        _ => error,
    }
}

fn damaged(path: &Path, offset: u64) -> Error {
    Error::new(
        Kind::Config,
        format!("the world `{}` is damaged at byte {offset}", path.display()),
    )
    .with_hint("remove the file to begin with an empty cloud")
}
