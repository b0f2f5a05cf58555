//! The files of a node: the one thing that the provider and the node's process share.
//!
//! ```text
//! <root>/<id>/         0700
//!   node.json          what was asked for; written before the directory gets its name
//!   host_key           0600, ed25519, OpenSSH format
//!   authorized_keys    who may log in; read at every login
//!   user-data          0600, if there is any
//!   lock               held by the process for as long as it lives
//!   pid  port          written by the process; the port means that it was up once
//!   failure            why the process could not come up
//!   ended              the process has gone and left no process behind
//!   deleting           the node is on its way out and must not be started
//!   node.log           what the process itself has to say
//!   home/              HOME of every command
//!     .fleetwright/boot.log  boot.json
//! ```

use std::fs::{self, DirBuilder, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use fleetwright_core::{Boot, Fingerprint, Labels, Token};
use jiff::Timestamp;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

/// What was asked for: the part of a node that never changes.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Record {
    /// The call that made it.
    pub(crate) token: Token,
    /// Which of the machines of that call.
    pub(crate) ordinal: u32,
    /// What the token is bound to.
    pub(crate) parameters: Fingerprint,
    /// Name of the machine.
    pub(crate) name: String,
    /// Name of the instance type.
    pub(crate) instance_type: String,
    /// Its labels.
    pub(crate) labels: Labels,
    /// When its directory was made.
    pub(crate) created_at: Timestamp,
    /// Who logs in.
    pub(crate) user: String,
    /// The public half of `host_key`.
    pub(crate) host_key: String,
}

/// The directory of a node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct NodeDir(PathBuf);

// === impl NodeDir ===

impl NodeDir {
    pub(crate) fn new(path: PathBuf) -> Self {
        Self(path)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    pub(crate) fn home(&self) -> PathBuf {
        self.0.join("home")
    }

    pub(crate) fn record_file(&self) -> PathBuf {
        self.0.join("node.json")
    }

    pub(crate) fn host_key(&self) -> PathBuf {
        self.0.join("host_key")
    }

    pub(crate) fn authorized_keys(&self) -> PathBuf {
        self.0.join("authorized_keys")
    }

    pub(crate) fn user_data(&self) -> PathBuf {
        self.0.join("user-data")
    }

    pub(crate) fn lock(&self) -> PathBuf {
        self.0.join("lock")
    }

    pub(crate) fn log(&self) -> PathBuf {
        self.0.join("node.log")
    }

    pub(crate) fn boot_log(&self) -> PathBuf {
        self.home().join(".fleetwright/boot.log")
    }

    fn boot_file(&self) -> PathBuf {
        self.home().join(".fleetwright/boot.json")
    }

    fn deleting_file(&self) -> PathBuf {
        self.0.join("deleting")
    }

    /// What was asked for.
    pub(crate) fn record(&self) -> io::Result<Record> {
        let text = fs::read(self.record_file())?;
        serde_json::from_slice(&text).map_err(io::Error::other)
    }

    /// The port of its SSH server; `None`: it was never up.
    pub(crate) fn port(&self) -> io::Result<Option<u16>> {
        read_json(&self.0.join("port"))
    }

    pub(crate) fn write_port(&self, port: u16) -> io::Result<()> {
        write_atomically(&self.0.join("port"), port.to_string().as_bytes())
    }

    /// For people and tools. We ask the lock instead: a number in a file may be somebody else's.
    pub(crate) fn write_pid(&self) -> io::Result<()> {
        write_atomically(
            &self.0.join("pid"),
            std::process::id().to_string().as_bytes(),
        )
    }

    /// What became of the boot scripts; `None`: they have not begun.
    pub(crate) fn boot(&self) -> io::Result<Option<Boot>> {
        read_json(&self.boot_file())
    }

    pub(crate) fn write_boot(&self, boot: &Boot) -> io::Result<()> {
        let json = serde_json::to_vec(boot).map_err(io::Error::other)?;
        write_atomically(&self.boot_file(), &json)
    }

    /// Why its process could not come up.
    pub(crate) fn failure(&self) -> io::Result<Option<String>> {
        match fs::read_to_string(self.0.join("failure")) {
            Ok(text) => Ok(Some(text)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    pub(crate) fn write_failure(&self, why: &str) -> io::Result<()> {
        write_atomically(&self.0.join("failure"), why.as_bytes())
    }

    /// Whether its process said that it left nothing behind.
    pub(crate) fn has_ended(&self) -> io::Result<bool> {
        fs::exists(self.0.join("ended"))
    }

    pub(crate) fn write_ended(&self) -> io::Result<()> {
        write_atomically(&self.0.join("ended"), b"")
    }

    /// Whether it is on its way out.
    pub(crate) fn is_deleting(&self) -> io::Result<bool> {
        fs::exists(self.deleting_file())
    }

    /// From now on no process starts for it.
    pub(crate) fn mark_deleting(&self) -> io::Result<()> {
        write_new(&self.deleting_file(), b"", 0o600)
    }
}

/// Makes a directory that only this user may enter.
pub(crate) fn make_private_dir(path: &Path) -> io::Result<()> {
    DirBuilder::new().mode(0o700).create(path)
}

/// Writes a file with these permissions, whatever the mask of the process is.
pub(crate) fn write_new(path: &Path, bytes: &[u8], mode: u32) -> io::Result<()> {
    let mut file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(mode)
        .open(path)?;
    file.set_permissions(std::os::unix::fs::PermissionsExt::from_mode(mode))?;
    file.write_all(bytes)
}

/// Readers see the old file or the new one, never a part.
fn write_atomically(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let new = path.with_extension("new");
    write_new(&new, bytes, 0o600)?;
    fs::rename(new, path)
}

fn read_json<T: DeserializeOwned>(path: &Path) -> io::Result<Option<T>> {
    match fs::read(path) {
        Ok(text) => serde_json::from_slice(&text)
            .map(Some)
            .map_err(io::Error::other),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}
