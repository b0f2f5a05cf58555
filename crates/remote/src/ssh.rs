//! [`Remote`] over SSH.

use std::env;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use fleetwright_core::{Access, Command, Effect, Error, Kind, Output, OutputSink, Remote, Result};
use russh::Disconnect;
use tokio::time::{Instant, timeout};

use crate::SshOptions;
use crate::algorithms::Algorithms;
use crate::auth::{self, Login};
use crate::exec::{self, Capture, Stop};
use crate::failure::{shown, with_lines};
use crate::identity::Identities;
use crate::route::{Hop, KeyFiles, route};
use crate::session::Session;
use crate::ssh_config::SshConfig;
use crate::trust::{HostFiles, Trust};

/// Runs commands on nodes over SSH.
///
/// Keys, configuration and known hosts are read once and shared by all connections; known hosts
/// are read again when their files change. Each command has a connection of its own. Dropping the
/// future of an operation ends its connection. A command beyond its limit is sent `SIGTERM`, which
/// OpenSSH passes on for all users but root; after that, and after a drop, what runs on the node
/// may go on until it ends by itself.
///
/// Errors have the context `host` (`user@host:port`), `via` where jump hosts are passed, and
/// once a command was to be run `command` and the last lines of `stderr`. Whatever is wrong with
/// the node's host key is a `Conflict`; whatever it finds wrong with our keys is `Auth`.
#[derive(Debug)]
pub struct Ssh {
    files: KeyFiles,
    agent: Option<PathBuf>,
    connect_timeout: Duration,
    trust_unknown: bool,
    config: SshConfig,
    hosts: HostFiles,
    keys: Identities,
    algorithms: Algorithms,
}

// === impl Ssh ===

impl Ssh {
    /// Makes a client. Nothing is connected yet.
    ///
    /// # Errors
    /// `Config` if `ssh_config` has a mistake, or if it or a file of known hosts exists and cannot
    /// be read.
    pub fn new(options: SshOptions) -> Result<Self> {
        let config = match &options.ssh_config {
            Some(path) => {
                let home = options.home.or_else(env::home_dir);
                SshConfig::read(path, home.as_deref())?
            }
            None => SshConfig::default(),
        };
        let agent = if options.use_agent {
            options
                .agent_socket
                .or_else(|| env::var_os("SSH_AUTH_SOCK").map(PathBuf::from))
                .filter(|socket| !socket.as_os_str().is_empty())
        } else {
            None
        };
        let mut paths = options.known_hosts;
        if !options.pinned.as_os_str().is_empty() {
            paths.insert(0, options.pinned);
        }
        let hosts = HostFiles::new(paths);
        hosts.current()?;
        Ok(Self {
            files: KeyFiles {
                own: options.own,
                others: options.identities,
            },
            agent,
            connect_timeout: options.connect_timeout,
            trust_unknown: options.trust_unknown,
            config,
            hosts,
            keys: Identities::default(),
            algorithms: Algorithms::default(),
        })
    }

    /// Logs in, through the jump hosts if there are any, within `limit`.
    async fn log_in(&self, hops: &[Hop], limit: Duration) -> Result<Session> {
        match timeout(limit, self.log_in_through(hops)).await {
            Ok(result) => result,
            Err(_) => Err(
                Error::new(Kind::Timeout, format!("no login within {}", seconds(limit)))
                    // The command was not sent yet.
                    .with_effect(Effect::None)
                    .with_hint("the node may still be booting, or it hangs"),
            ),
        }
    }

    async fn log_in_through(&self, hops: &[Hop]) -> Result<Session> {
        let known = self.hosts.current()?;
        let mut last: Option<Box<Session>> = None;
        for hop in hops {
            let trust = Trust::new(hop, Arc::clone(&known), self.trust_unknown);
            let mut session = Session::open(hop, last, trust, &self.algorithms).await?;
            let agent = self.agent.as_deref();
            match auth::log_in(&mut session.handle, hop, &self.keys, agent).await {
                Login::Accepted => {}
                Login::Refused(error) => {
                    session.close().await;
                    return Err(error);
                }
                Login::Lost(tried) => return Err(lost_login(hop, session, &tried).await),
            }
            last = Some(Box::new(session));
        }
        last.map(|session| *session)
            .ok_or_else(|| Error::new(Kind::Unexpected, "a route without a node"))
    }

    fn route(&self, access: &Access) -> Result<Vec<Hop>> {
        route(access, &self.config, &self.files)
    }
}

#[async_trait]
impl Remote for Ssh {
    async fn reach(&self, access: &Access, limit: Duration) -> Result<()> {
        let hops = self.route(access)?;
        let session = self
            .log_in(&hops, limit.min(self.connect_timeout))
            .await
            .map_err(|error| located(error, &hops))?;
        session.close().await;
        Ok(())
    }

    async fn run(
        &self,
        access: &Access,
        command: &Command,
        sink: &dyn OutputSink,
    ) -> Result<Output> {
        let deadline = Instant::now() + command.timeout;
        let hops = self.route(access)?;
        let located =
            |error: Error| located(error, &hops).with_context("command", shown(&command.line));
        let session = self
            .log_in(&hops, command.timeout.min(self.connect_timeout))
            .await
            .map_err(located)?;
        let mut capture = Capture::new(command.keep, sink);
        let result = exec::execute(&session, command, deadline, &mut capture).await;
        let label = hops.last().map(Hop::label).unwrap_or_default();
        let error = match result {
            Ok(exit) => {
                session.close().await;
                return Ok(capture.into_output(exit));
            }
            Err(Stop::Refused(error)) => {
                session.close().await;
                error
            }
            Err(Stop::Deadline) => {
                session.close().await;
                Error::new(
                    Kind::Timeout,
                    format!(
                        "`{}` did not end within {} on `{label}`",
                        shown(&command.line),
                        seconds(command.timeout)
                    ),
                )
                .with_effect(Effect::Unknown)
            }
            Err(Stop::Lost { was_sent }) => {
                let end = session.into_end().await;
                let (what, effect) = if was_sent {
                    ("was lost while the command ran", Effect::Unknown)
                } else {
                    ("was lost before the command ran", Effect::None)
                };
                Error::new(
                    Kind::Unavailable,
                    format!("the connection to `{label}` {what}: {}", end.message),
                )
                .with_effect(effect)
            }
        };
        Err(with_lines(located(error), "stderr", &capture.into_stderr()))
    }
}

/// The error for a connection that ended during the login.
async fn lost_login(hop: &Hop, session: Session, tried: &[String]) -> Error {
    let end = session.into_end().await;
    let label = hop.label();
    // OpenSSH counts attempts, and then says `Too many authentication failures`.
    let is_refusal = matches!(end.code, Some(Disconnect::NoMoreAuthMethodsAvailable))
        || end.message.contains("authentication failures");
    if is_refusal {
        Error::new(
            Kind::Auth,
            format!("`{label}` lets us try no further key: {}", tried.join(", ")),
        )
        .with_hint(
            "name the right key first, or set `IdentitiesOnly yes` so that the agent offers only it",
        )
        .with_source(end.message)
    } else {
        Error::new(
            Kind::Unavailable,
            format!("`{label}` ended the connection during the login"),
        )
        .with_source(end.message)
    }
}

/// Says which node an error is about.
fn located(error: Error, hops: &[Hop]) -> Error {
    let Some((node, jumps)) = hops.split_last() else {
        return error;
    };
    let error = error.with_context("host", node.label());
    if jumps.is_empty() {
        error
    } else {
        let via: Vec<String> = jumps.iter().map(Hop::label).collect();
        error.with_context("via", via.join(", "))
    }
}

/// A duration for people: `10s`, `1.5s`.
pub(crate) fn seconds(duration: Duration) -> String {
    format!("{}s", duration.as_secs_f64())
}
