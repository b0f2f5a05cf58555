//! Where state lives.
//!
//! ```text
//! <state>/<fleet>/            mode 0700; two fleets share nothing
//!   journal.db                the journal
//!   id_ed25519                the fleet's own key, made on first use
//!   known_hosts               pinned host keys
//!   host_keys.seed            from which the host keys of new nodes follow
//!   nodes/<provider>/         directories of local nodes
//!   sim/<provider>.world      worlds of simulated clouds
//!   offers/<provider>.catalog what providers sell, as it was read last
//!   limits.wanted             there while something must keep the limits of nodes
//!   limits.log                what the process that keeps them has to say
//! ```
//!
//! `<state>` is the flag `--state-dir`, else the variable `FLEETWRIGHT_STATE_DIR`, else
//! `$XDG_STATE_HOME/fleetwright`, else `~/.local/state/fleetwright`.

use std::fs::{self, DirBuilder, OpenOptions, Permissions};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use fleetwright_core::{Error, Kind, Result};

use crate::config::{Config, Overrides};
use crate::env::{self, Environment};

/// The paths of one fleet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Paths {
    state: PathBuf,
    fleet: PathBuf,
    journal: Option<PathBuf>,
    known_hosts: Option<PathBuf>,
}

impl Paths {
    /// Paths below a fleet's directory, wherever that is.
    pub(crate) fn of_fleet(fleet: PathBuf) -> Self {
        Self {
            state: fleet.clone(),
            fleet,
            journal: None,
            known_hosts: None,
        }
    }

    /// Works out the paths without touching the disk. Relative paths start at `directory`.
    ///
    /// # Errors
    /// `Config` if there is no home directory and nothing else says where state lives.
    pub fn new(
        config: &Config,
        overrides: &Overrides,
        environment: &Environment,
        directory: &Path,
    ) -> Result<Self> {
        let named = overrides
            .state_dir
            .clone()
            .or_else(|| environment.path(env::STATE_DIR))
            .map(|path| environment.expand(&path, directory));
        let state = named
            .or_else(|| {
                let base = environment.base_directory(env::XDG_STATE_HOME, ".local/state")?;
                Some(base.join("fleetwright"))
            })
            .ok_or_else(|| {
                Error::new(
                    Kind::Config,
                    "there is no place for state: `HOME` is not set",
                )
                .with_hint(format!("set `{}` or give `--state-dir`", env::STATE_DIR))
            })?;
        Ok(Self {
            fleet: state.join(&config.fleet),
            state,
            journal: config.store.path.clone(),
            known_hosts: config.ssh.known_hosts.clone(),
        })
    }

    /// The state directory, which holds those of all fleets.
    pub fn state(&self) -> &Path {
        &self.state
    }

    /// The directory of this fleet.
    pub fn fleet(&self) -> &Path {
        &self.fleet
    }

    /// The journal's database.
    pub fn journal(&self) -> PathBuf {
        self.journal
            .clone()
            .unwrap_or_else(|| self.fleet.join("journal.db"))
    }

    /// The fleet's private key.
    pub fn identity(&self) -> PathBuf {
        self.fleet.join("id_ed25519")
    }

    /// The seed of the host keys that are planted on new nodes.
    pub fn host_key_seed(&self) -> PathBuf {
        self.fleet.join("host_keys.seed")
    }

    /// The pinned host keys.
    pub fn known_hosts(&self) -> PathBuf {
        self.known_hosts
            .clone()
            .unwrap_or_else(|| self.fleet.join("known_hosts"))
    }

    /// What providers sell, as it was read last.
    pub fn offers(&self) -> PathBuf {
        self.fleet.join("offers")
    }

    /// A file that is there while a process in the background must keep the limits of nodes.
    pub fn limits_wanted(&self) -> PathBuf {
        self.fleet.join("limits.wanted")
    }

    /// The log of that process.
    pub fn limits_log(&self) -> PathBuf {
        self.fleet.join("limits.log")
    }

    /// The directories of the nodes of a local provider.
    pub fn nodes(&self, provider: &str) -> PathBuf {
        self.fleet.join("nodes").join(provider)
    }

    /// The world of a simulated cloud.
    pub fn sim_world(&self, provider: &str) -> PathBuf {
        self.fleet.join("sim").join(format!("{provider}.world"))
    }

    /// Makes the fleet's directory, readable by its owner only, and proves that it can be written
    /// to.
    ///
    /// # Errors
    /// `Config`, naming the path and why.
    pub fn create(&self) -> Result<()> {
        make_private(&self.fleet).map_err(|error| unusable(&self.fleet, error))?;
        // A read-only file system and a full disk show only when something is written.
        let probe = self.fleet.join(format!(".probe-{}", std::process::id()));
        let written = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .open(&probe)
            .and_then(|_| fs::remove_file(&probe));
        written.map_err(|error| unusable(&self.fleet, error))
    }
}

fn make_private(path: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(path)?;
    let found = fs::metadata(path)?;
    if found.mode() & 0o077 != 0 {
        fs::set_permissions(path, Permissions::from_mode(0o700))?;
    }
    Ok(())
}

fn unusable(path: &Path, error: io::Error) -> Error {
    Error::new(
        Kind::Config,
        format!(
            "the state directory `{}` cannot be written to: {error}",
            path.display()
        ),
    )
    .with_context("path", path.display().to_string())
    .with_hint(format!(
        "choose another with `--state-dir` or `{}`",
        env::STATE_DIR
    ))
    .with_source(error)
}
