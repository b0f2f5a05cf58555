//! Making nodes, exactly once.
//!
//! ```text
//!  check ─► lock the root ─► for each ordinal: there already? ─► else room? ─► write, rename
//!                                   │                                            │
//!                                   └──── start its process if none ever ran ◄───┘
//! ```
//! The id of a machine follows from token and ordinal, and a directory gets its name by one
//! rename. So a call that is killed anywhere leaves either nothing, or a node that the same call
//! finds again and, if need be, starts. A node that was deleted is remembered: the same call
//! reports it as deleted and does not make it anew.

use std::fs::File;
use std::io;
use std::path::Path;
use std::process::{Command, Stdio};

use fleetwright_core::{CreateRequest, Error, Kind, Market, Node, Result, Scope};
use jiff::Timestamp;
use russh::keys::ssh_key::LineEnding;
use russh::keys::{Algorithm, PrivateKey, PublicKey};

use crate::node::state::{NodeDir, Record, make_private_dir, write_new};
use crate::node::{DIR_VARIABLE, PASSED_ON};
use crate::observe::{deleted, needs_start};
use crate::provider::NodeProgram;
use crate::root::{Root, RootLock, native_id};
use crate::user_data::UserData;
use crate::{REGION, catalog, error, process};

/// Most machines per call.
pub(crate) const BATCH: u32 = 50;

/// What a call made or found.
#[derive(Debug, Default)]
pub(crate) struct Made {
    /// The native ids of the nodes that are there.
    pub(crate) there: Vec<String>,
    /// Those that were deleted since an earlier call.
    pub(crate) deleted: Vec<Node>,
    /// Why there are fewer than asked for.
    pub(crate) shortfall: Option<Error>,
}

/// Everything that a call needs besides the lock.
#[derive(Debug, Clone)]
pub(crate) struct Making {
    pub(crate) provider: String,
    pub(crate) root: Root,
    pub(crate) program: NodeProgram,
    pub(crate) max_nodes: u32,
    pub(crate) request: CreateRequest,
    pub(crate) now: Timestamp,
}

/// Checks a request before anything is made.
///
/// # Errors
/// `Invalid` or `Unsupported`, naming the part.
pub(crate) fn check(request: &CreateRequest) -> Result<()> {
    let spec = &request.spec;
    let invalid = |message: String| Err(Error::new(Kind::Invalid, message));
    if request.count == 0 || request.count > BATCH {
        return invalid(format!(
            "{} machines in one call, and 1 to {BATCH} are allowed",
            request.count
        ));
    }
    if spec.region != REGION {
        return Err(unknown_region(&spec.region));
    }
    if let Some(zone) = &spec.zone {
        return invalid(format!(
            "there is no zone `{zone}`: local nodes have no zones"
        ));
    }
    if let Some(image) = &spec.image {
        return invalid(format!(
            "there is no image `{image}`: local nodes run on this machine's own system"
        ));
    }
    if spec.market != Market::OnDemand {
        return Err(Error::new(
            Kind::Unsupported,
            format!("local nodes are not sold on the market `{}`", spec.market),
        ));
    }
    if let Some(option) = spec.options.keys().next() {
        return invalid(format!("local nodes have no option `{option}`"));
    }
    catalog::check_type(&spec.instance_type)?;
    for (index, key) in spec.ssh_keys.iter().enumerate() {
        // The text is not shown: it may be a private key by mistake.
        if let Err(e) = PublicKey::from_openssh(key.trim()) {
            return Err(Error::new(
                Kind::Invalid,
                format!(
                    "SSH key {} is not a public key in OpenSSH's format",
                    index + 1
                ),
            )
            .with_hint("it reads like `ssh-ed25519 AAAA...`, as in a file that ends in `.pub`")
            .with_source(e));
        }
    }
    if let Some(user_data) = &spec.user_data {
        UserData::parse(user_data)?;
    }
    Ok(())
}

/// There is only one region.
pub(crate) fn unknown_region(region: &str) -> Error {
    Error::new(
        Kind::Invalid,
        format!("there is no region `{region}` for local nodes"),
    )
    .with_hint(format!("the only region is `{REGION}`: this machine"))
}

// === impl Making ===

impl Making {
    /// Makes what is missing and starts what never ran. Blocks.
    pub(crate) fn make(&self, lock: &RootLock) -> Result<Made> {
        // First, because what was taken out must be remembered before we look for it.
        self.root
            .clear(lock, self.now)
            .map_err(|e| error::file("clear up", self.root.path(), e))?;
        let mut made = Made::default();
        let mut missing = Vec::new();
        for ordinal in 0..self.request.count {
            let native = native_id(&self.request.token, ordinal);
            let path = self.root.path().join(&native);
            let cannot = |e| error::file("read the node in", &path, e);
            let dir = NodeDir::new(path.clone());
            if path.try_exists().map_err(cannot)? {
                self.check_same(&native, &dir.record().map_err(cannot)?)?;
                made.there.push(native);
            } else if let Some(record) = self.root.buried(&native).map_err(cannot)? {
                self.check_same(&native, &record)?;
                made.deleted.push(deleted(&self.provider, &native, record)?);
            } else {
                missing.push((ordinal, native));
            }
        }
        for native in &made.there {
            let dir = NodeDir::new(self.root.path().join(native));
            let start =
                needs_start(&dir).map_err(|e| error::file("read the node in", dir.path(), e))?;
            if start {
                // It exists, so the call may have had its effect.
                self.start(&dir)
                    .map_err(|e| e.with_effect(fleetwright_core::Effect::Unknown))?;
            }
        }
        let mut room = self.max_nodes.saturating_sub(self.root.count()?);
        for (ordinal, native) in missing {
            let step = if room == 0 {
                Err(self.no_room())
            } else {
                self.make_one(lock, ordinal, &native)
            };
            match step {
                Ok(()) => {
                    room -= 1;
                    made.there.push(native);
                }
                Err(e) if made.there.is_empty() && made.deleted.is_empty() => return Err(e),
                Err(e) => {
                    made.shortfall = Some(e);
                    break;
                }
            }
        }
        Ok(made)
    }

    fn check_same(&self, native: &str, record: &Record) -> Result<()> {
        if record.token == self.request.token && record.parameters == self.request.parameters() {
            return Ok(());
        }
        Err(Error::new(
            Kind::Conflict,
            format!(
                "the token `{}` was used before with other parameters",
                self.request.token
            ),
        )
        .with_context("node", native))
    }

    fn no_room(&self) -> Error {
        Error::new(
            Kind::Quota,
            format!(
                "`{}` may have at most {} nodes on this machine, and has them",
                self.provider, self.max_nodes
            ),
        )
        .with_scope(Scope::Provider)
        .with_hint("delete nodes, or raise `max_nodes` of the provider")
    }

    fn make_one(&self, lock: &RootLock, ordinal: u32, native: &str) -> Result<()> {
        let cannot = |e| error::file("make a node in", self.root.path(), e);
        let dir = self
            .root
            .add(lock, native, |dir| self.fill(dir, ordinal))
            .map_err(cannot)?;
        self.start(&dir).inspect_err(|_| {
            // Nothing runs in it and nobody else can have seen it, because we hold the lock. What
            // stays is started by a replay; the error that is reported says more than this one.
            let _left_for_a_replay = self.root.withdraw(lock, native);
        })
    }

    /// Writes everything that a node is, but does not start it.
    fn fill(&self, dir: &NodeDir, ordinal: u32) -> io::Result<()> {
        let spec = &self.request.spec;
        let name = self.request.machine_name(ordinal);
        let mut key = PrivateKey::random(&mut russh::keys::key::safe_rng(), Algorithm::Ed25519)
            .map_err(io::Error::other)?;
        key.set_comment(name.as_str());
        let private = key.to_openssh(LineEnding::LF).map_err(io::Error::other)?;
        let mut public = key.public_key().clone();
        public.set_comment("");
        let record = Record {
            token: self.request.token.clone(),
            ordinal,
            parameters: self.request.parameters(),
            name,
            instance_type: spec.instance_type.clone(),
            labels: spec.labels.clone(),
            created_at: self.now,
            user: process::user_name(),
            host_key: public.to_openssh().map_err(io::Error::other)?,
        };
        let mut keys = String::new();
        for key in &spec.ssh_keys {
            keys.push_str(key.trim());
            keys.push('\n');
        }
        make_private_dir(&dir.home())?;
        make_private_dir(&dir.home().join(".fleetwright"))?;
        write_new(&dir.lock(), b"", 0o600)?;
        write_new(&dir.log(), b"", 0o600)?;
        write_new(&dir.host_key(), private.as_bytes(), 0o600)?;
        write_new(&dir.authorized_keys(), keys.as_bytes(), 0o600)?;
        if let Some(user_data) = &spec.user_data {
            write_new(&dir.user_data(), user_data.as_bytes(), 0o600)?;
        }
        let json = serde_json::to_vec_pretty(&record).map_err(io::Error::other)?;
        write_new(&dir.record_file(), &json, 0o600)
    }

    /// Starts a node's process. Returns once the program runs; it comes up by itself.
    fn start(&self, dir: &NodeDir) -> Result<()> {
        let cannot = |e: io::Error| {
            let path = self.program.path.as_path();
            match e.kind() {
                io::ErrorKind::NotFound => missing_program(path),
                _ => error::file("start the node program", path, e),
            }
        };
        let path = dir.path().canonicalize().map_err(cannot)?;
        let log = || File::options().append(true).create(true).open(dir.log());
        let mut command = Command::new(&self.program.path);
        command
            .args(&self.program.args)
            .arg(&path)
            .env_clear()
            .env("HOME", path.join("home"))
            .env(DIR_VARIABLE, &path)
            .envs(self.program.env.iter().map(|(name, value)| (name, value)))
            .current_dir(dir.home())
            .stdin(Stdio::null())
            .stdout(log().map_err(cannot)?)
            .stderr(log().map_err(cannot)?);
        for name in PASSED_ON.into_iter().chain(["PATH", "SHELL"]) {
            if let Some(value) = std::env::var_os(name) {
                command.env(name, value);
            }
        }
        // Dropping the child leaves it running; the runtime sees to it that no zombie stays.
        tokio::process::Command::from(command)
            .spawn()
            .map(drop)
            .map_err(cannot)
    }
}

fn missing_program(path: &Path) -> Error {
    Error::new(
        Kind::Config,
        format!("the node program `{}` is not there", path.display()),
    )
    .with_hint("it may have been moved or replaced since this process was started")
}
