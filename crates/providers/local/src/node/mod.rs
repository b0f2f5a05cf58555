//! The process of a node: an SSH server, its commands, and its boot scripts.
//!
//! It is started by the provider with the node's directory as its only argument, leaves the
//! session of whoever started it, and stays until it is told to go (`SIGTERM`). It runs at most
//! once per directory: what ended is not brought back to life behind anybody's back.

pub(crate) mod boot;
mod children;
mod session;
mod ssh;
pub(crate) mod state;

use std::ffi::OsString;
use std::fs::File;
use std::io::{self, Write as _};
use std::net::Ipv4Addr;
use std::os::unix::ffi::OsStringExt as _;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use russh::keys::PrivateKey;
use rustix::process::Signal;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::task::TaskTracker;

use crate::{catalog, process};
use children::Children;
use session::{Wanted, login_name};
use state::{NodeDir, Record};

/// The environment variable that holds the directory of the node a process belongs to. By it,
/// leftovers of a node whose own process was killed are found.
pub(crate) const DIR_VARIABLE: &str = "FLEETWRIGHT_NODE_DIR";

/// The environment variable that holds the id of the node a command runs on.
pub(crate) const ID_VARIABLE: &str = "FLEETWRIGHT_NODE";

/// Search path of a node whose creator had none.
const DEFAULT_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// How long commands have to end by themselves when the node ends.
const GRACE: Duration = Duration::from_millis(800);

/// How long killed processes may take to be gone.
const KILL_LIMIT: Duration = Duration::from_secs(2);

/// Runs a node in the foreground until it is told to go.
///
/// `args` hold one item: the node's directory. Builds its own runtime, so it must be called
/// outside of one. What went wrong is in the node's directory.
pub fn main(args: impl Iterator<Item = OsString>) -> ExitCode {
    let args: Vec<OsString> = args.collect();
    let [path] = args.as_slice() else {
        let usage = "a local node takes one argument: its directory\n";
        // Without a place to say it, the exit status must do.
        let _unsaid = io::stderr().write_all(usage.as_bytes());
        return ExitCode::from(2);
    };
    let dir = NodeDir::new(PathBuf::from(path));
    match live(&dir) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let said = dir.write_failure(&format!("its process could not come up: {error}"));
            let place = said.map_or_else(
                |e| format!(" (and not written down: {e})"),
                |()| String::new(),
            );
            let line = format!("{error}{place}\n");
            let _unsaid = io::stderr().write_all(line.as_bytes());
            ExitCode::FAILURE
        }
    }
}

fn live(dir: &NodeDir) -> io::Result<()> {
    detach()?;
    // Held to the end; never opened again by this process.
    let Some(_lock) = process::hold(&dir.lock())? else {
        // Another process is this node: two create calls met. Fine.
        return Ok(());
    };
    // Only now: whoever marks the node first and then looks at the lock is either seen here, or
    // sees us.
    if dir.is_deleting()? || dir.port()?.is_some() {
        return Ok(());
    }
    dir.write_pid()?;
    let record = dir.record()?;
    catalog::confine(&record)?;
    let host_key = PrivateKey::read_openssh_file(dir.host_key()).map_err(io::Error::other)?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(run(Arc::new(Node::new(dir.clone(), record)), host_key))
}

/// Leaves the terminal and the session of whoever started us, and adopts what our commands leave
/// behind.
fn detach() -> io::Result<()> {
    match rustix::process::setsid() {
        // Already the leader of a group: started by hand, from a shell.
        Ok(_) | Err(rustix::io::Errno::PERM) => {}
        Err(error) => return Err(error.into()),
    }
    #[cfg(target_os = "linux")]
    rustix::process::set_child_subreaper(Some(rustix::process::getpid()))?;
    Ok(())
}

async fn run(node: Arc<Node>, host_key: PrivateKey) -> io::Result<()> {
    // All of them before the port is known, so that nothing comes too early.
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut child = signal(SignalKind::child())?;
    // Caught and not looked at: a node does not end with a terminal.
    let _hang_up = signal(SignalKind::hangup())?;
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    node.dir.write_port(listener.local_addr()?.port())?;

    {
        let server = ssh::serve(Arc::clone(&node), Arc::new(ssh::config(host_key)), listener);
        let boot = async {
            if let Err(error) = boot::run(&node).await {
                boot::give_up(&node, &error);
            }
            std::future::pending::<()>().await;
        };
        tokio::pin!(server, boot);
        loop {
            tokio::select! {
                _ = terminate.recv() => break,
                _ = interrupt.recv() => break,
                _ = child.recv() => { node.children.reap()?; }
                () = &mut server => break,
                () = &mut boot => {}
            }
        }
    }
    end_commands(&node, &mut child).await?;
    node.dir.write_ended()
}

/// Ends every process below this one: first with a word, then without.
async fn end_commands(node: &Node, child: &mut tokio::signal::unix::Signal) -> io::Result<()> {
    if node.children.reap()? {
        process::signal_descendants(&[Signal::HUP, Signal::TERM, Signal::CONT])?;
    }
    let limit = tokio::time::sleep(GRACE);
    tokio::pin!(limit);
    while node.children.reap()? {
        tokio::select! {
            _ = child.recv() => {}
            () = &mut limit => break,
        }
    }
    let limit = tokio::time::sleep(KILL_LIMIT);
    tokio::pin!(limit);
    while node.children.reap()? {
        // Again each time: what dies may have children that become ours.
        process::signal_descendants(&[Signal::KILL])?;
        tokio::select! {
            _ = child.recv() => {}
            () = tokio::time::sleep(Duration::from_millis(50)) => {}
            () = &mut limit => break,
        }
    }
    if node.children.reap()? {
        return Err(io::Error::other("a process of the node does not end"));
    }
    Ok(())
}

/// What everything in a node's process knows.
pub(crate) struct Node {
    pub(crate) dir: NodeDir,
    pub(crate) record: Record,
    children: Children,
    sessions: TaskTracker,
    path: OsString,
    shell: PathBuf,
}

// === impl Node ===

impl Node {
    fn new(dir: NodeDir, record: Record) -> Self {
        let path = std::env::var_os("PATH").unwrap_or_else(|| DEFAULT_PATH.into());
        let shell = std::env::var_os("SHELL")
            .filter(|shell| !shell.is_empty())
            .unwrap_or_else(|| "/bin/sh".into());
        Self {
            dir,
            record,
            children: Children::default(),
            sessions: TaskTracker::new(),
            path,
            shell: shell.into(),
        }
    }

    /// The environment of every command.
    fn environment(&self) -> Vec<(&'static str, OsString)> {
        let mut variables = vec![
            ("HOME", self.dir.home().into_os_string()),
            ("USER", self.record.user.clone().into()),
            ("LOGNAME", self.record.user.clone().into()),
            ("SHELL", self.shell.clone().into_os_string()),
            ("PATH", self.path.clone()),
            (DIR_VARIABLE, self.dir.path().as_os_str().to_owned()),
        ];
        if let Some(id) = self.dir.path().file_name() {
            variables.push((ID_VARIABLE, id.to_owned()));
        }
        for name in PASSED_ON {
            if let Some(value) = std::env::var_os(name) {
                variables.push((name, value));
            }
        }
        variables
    }

    /// Program, arguments and, for a login shell, the name it is called by.
    fn command_line(&self, wanted: &Wanted) -> (PathBuf, Vec<OsString>, Option<PathBuf>) {
        match wanted {
            Wanted::Line(line) => (
                "/bin/sh".into(),
                vec!["-c".into(), OsString::from_vec(line.clone())],
                None,
            ),
            Wanted::Shell => (
                self.shell.clone(),
                Vec::new(),
                Some(login_name(&self.shell)),
            ),
        }
    }

    /// A line for `node.log`.
    fn log(&self, line: &str) {
        // A log that cannot be written must not end the node.
        let _unwritten = File::options()
            .append(true)
            .create(true)
            .open(self.dir.log())
            .and_then(|mut log| writeln!(log, "{line}"));
    }
}

/// What a node takes over from the environment of whoever made it; nothing else, so that no
/// credential reaches a command.
pub(crate) const PASSED_ON: [&str; 2] = ["LANG", "TZ"];
