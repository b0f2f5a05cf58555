//! A private `sshd`, and keys to log in with.

use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command as Process, Stdio};
use std::time::{Duration, Instant};

use fleetwright_core::{Access, Command, Output, OutputSink, Remote as _, Stream};
use fleetwright_remote::{Ssh, SshOptions, generate_identity};
use tempfile::TempDir;

/// Says that a test does nothing, and why.
#[expect(clippy::print_stdout, reason = "the test runner collects these lines")]
pub(crate) fn skipped(reason: &str) {
    println!("skipped: {reason}");
}

/// The path of `sshd`; says why a test does nothing without it.
pub(crate) fn sshd() -> Option<PathBuf> {
    // Set by the task that installs it; else where Debian has it.
    let path = std::env::var_os("FLEETWRIGHT_TEST_SSHD")
        .map_or_else(|| PathBuf::from("/usr/sbin/sshd"), PathBuf::from);
    if path.exists() {
        return Some(path);
    }
    skipped("no sshd (Debian package `openssh-server`)");
    None
}

/// Waits until `done`, looking often.
pub(crate) async fn eventually(what: &str, mut done: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while !done() {
        assert!(Instant::now() < deadline, "not within 20s: {what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// Runs a program to its end and gives its standard output.
pub(crate) fn output_of(program: &str, arguments: &[&str]) -> String {
    let output = Process::new(program)
        .args(arguments)
        .stdin(Stdio::null())
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{program} {arguments:?}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout).unwrap()
}

/// The user whom `sshd` lets in: the one who runs the tests.
pub(crate) fn user() -> String {
    output_of("id", &["-un"]).trim().to_owned()
}

/// A running `sshd` with its own folder; ends when dropped.
pub(crate) struct Sshd {
    pub(crate) folder: TempDir,
    pub(crate) port: u16,
    child: Child,
}

impl Sshd {
    /// On 127.0.0.1, for the key that [`identity`](Self::identity) has.
    pub(crate) async fn start() -> Option<Self> {
        Self::with(&["127.0.0.1"], "").await
    }

    /// On these addresses, all with the same port, with further lines of configuration.
    pub(crate) async fn with(addresses: &[&str], extra: &str) -> Option<Self> {
        Self::with_keys(addresses, extra, &[]).await
    }

    /// With host keys of further kinds, whose making takes its time.
    pub(crate) async fn with_keys(addresses: &[&str], extra: &str, kinds: &[&str]) -> Option<Self> {
        let program = sshd()?;
        if user() == "root" {
            // Debian's service makes it; a private sshd has to.
            fs::create_dir_all("/run/sshd").unwrap();
        }
        let folder = TempDir::new().unwrap();
        let path = folder.path();
        generate_identity(&path.join("host_ed25519"), "host").unwrap();
        let public = generate_identity(&path.join("id"), "test").unwrap();
        fs::write(path.join("authorized_keys"), public + "\n").unwrap();
        let mut lines = vec![extra.to_owned()];
        lines.push(format!("HostKey {}/host_ed25519", path.display()));
        for kind in kinds {
            let file = format!("{}/host_{kind}", path.display());
            output_of("ssh-keygen", &["-q", "-t", kind, "-N", "", "-f", &file]);
            lines.push(format!("HostKey {file}"));
        }
        // Another process may take the port between our look and its use: then try another.
        for _ in 0..5 {
            let port = free_port(addresses[0]);
            let mut child = spawn(&program, path, addresses, port, &lines);
            if is_up(&mut child, path, addresses.len()).await {
                return Some(Self {
                    folder,
                    port,
                    child,
                });
            }
            // It ended by itself, or listens on some addresses only.
            drop(child.kill());
            child.wait().unwrap();
            let log = fs::read_to_string(path.join("log")).unwrap();
            assert!(log.contains("Address already in use"), "{log}");
        }
        panic!("no free port");
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The private key that it lets in.
    pub(crate) fn identity(&self) -> PathBuf {
        self.path("id")
    }

    /// Its Ed25519 host key, in OpenSSH's format.
    pub(crate) fn host_key(&self) -> String {
        self.host_key_of("ed25519")
    }

    pub(crate) fn host_key_of(&self, kind: &str) -> String {
        let text = fs::read_to_string(self.path(&format!("host_{kind}.pub"))).unwrap();
        text.trim().to_owned()
    }

    /// Access to it with its host key pinned.
    pub(crate) fn access(&self) -> Access {
        self.access_at("127.0.0.1")
    }

    pub(crate) fn access_at(&self, address: &str) -> Access {
        Access {
            host: address.to_owned(),
            port: self.port,
            user: user(),
            host_keys: vec![self.host_key()],
        }
    }

    /// Options with its key and nothing of the user's own.
    pub(crate) fn options(&self) -> SshOptions {
        SshOptions {
            identities: vec![self.identity()],
            use_agent: false,
            ..SshOptions::default()
        }
    }

    pub(crate) fn client(&self) -> Ssh {
        Ssh::new(self.options()).unwrap()
    }

    pub(crate) fn log(&self) -> String {
        fs::read_to_string(self.path("log")).unwrap()
    }

    /// Sends a signal to the listening process.
    pub(crate) fn signal(&self, name: &str) {
        output_of("kill", &[&format!("-{name}"), &self.child.id().to_string()]);
    }

    /// The processes of its sessions.
    pub(crate) fn sessions(&self) -> Vec<u32> {
        descendants(self.child.id())
    }
}

impl Drop for Sshd {
    fn drop(&mut self) {
        let sessions = self.sessions();
        // Both fail if the process is gone, which is what we want.
        drop(self.child.kill());
        drop(self.child.wait());
        for session in sessions {
            drop(
                Process::new("kill")
                    .args(["-KILL", &session.to_string()])
                    .stderr(Stdio::null())
                    .status(),
            );
        }
    }
}

fn spawn(
    program: &Path,
    folder: &Path,
    addresses: &[&str],
    port: u16,
    further: &[String],
) -> Child {
    let listen: Vec<String> = addresses
        .iter()
        .map(|address| format!("ListenAddress {address}:{port}"))
        .collect();
    let config = format!(
        "{}\n{}\nAuthorizedKeysFile {}/authorized_keys\nPidFile none\nUsePAM no\nStrictModes no\n\
         PasswordAuthentication no\nKbdInteractiveAuthentication no\nPermitRootLogin yes\n\
         MaxStartups 500:30:1000\nPermitUserRC no\nPrintMotd no\nPrintLastLog no\n\
         SetEnv SHLVL=2\nLogLevel VERBOSE\nUseDNS no\n",
        listen.join("\n"),
        further.join("\n"),
        folder.display()
    );
    let file = folder.join("sshd_config");
    fs::write(&file, config).unwrap();
    let log = fs::File::create(folder.join("log")).unwrap();
    Process::new(program)
        .args(["-D", "-e", "-f"])
        .arg(&file)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(log)
        .spawn()
        .unwrap()
}

/// Waits until a server listens on all its addresses; says whether it does.
async fn is_up(child: &mut Child, folder: &Path, addresses: usize) -> bool {
    let deadline = Instant::now() + Duration::from_secs(20);
    while Instant::now() < deadline {
        let has_ended = child.try_wait().unwrap().is_some();
        let log = fs::read_to_string(folder.join("log")).unwrap();
        if has_ended || log.contains("Address already in use") {
            return false;
        }
        if log.matches("Server listening on").count() == addresses {
            return true;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    false
}

pub(crate) fn free_port(address: &str) -> u16 {
    TcpListener::bind((address, 0))
        .and_then(|listener| listener.local_addr())
        .unwrap()
        .port()
}

/// All processes below one, nearest first.
fn descendants(parent: u32) -> Vec<u32> {
    let mut found = Vec::new();
    for entry in fs::read_dir("/proc").unwrap().flatten() {
        let Some(pid) = entry
            .file_name()
            .to_str()
            .and_then(|name| name.parse::<u32>().ok())
        else {
            continue;
        };
        // A process may end while we look.
        let stat = fs::read_to_string(entry.path().join("stat")).unwrap_or_default();
        let fields = stat.rsplit_once(") ").map(|(_, fields)| fields.to_owned());
        let Some(fields) = fields else { continue };
        let mut fields = fields.split(' ');
        let (state, above) = (fields.next(), fields.next());
        if state != Some("Z") && above == Some(&parent.to_string()) {
            found.push(pid);
        }
    }
    for child in found.clone() {
        found.extend(descendants(child));
    }
    found
}

/// An `ssh-agent` of its own; ends when dropped.
pub(crate) struct Agent {
    child: Child,
    pub(crate) socket: PathBuf,
    _folder: TempDir,
}

impl Agent {
    pub(crate) async fn start() -> Self {
        let folder = TempDir::new().unwrap();
        let socket = folder.path().join("agent");
        let child = Process::new("ssh-agent")
            .args(["-D", "-a"])
            .arg(&socket)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        let agent = Self {
            child,
            socket,
            _folder: folder,
        };
        eventually("the agent listens", || agent.socket.exists()).await;
        agent
    }

    /// Loads a key, with its passphrase if it has one.
    pub(crate) fn add(&self, key: &Path, passphrase: &str) {
        let folder = TempDir::new().unwrap();
        let ask = folder.path().join("ask");
        fs::write(&ask, format!("#!/bin/sh\necho '{passphrase}'\n")).unwrap();
        fs::set_permissions(&ask, fs::Permissions::from_mode(0o700)).unwrap();
        let status = Process::new("ssh-add")
            .arg(key)
            .env("SSH_AUTH_SOCK", &self.socket)
            .env("SSH_ASKPASS", &ask)
            .env("SSH_ASKPASS_REQUIRE", "force")
            .stdin(Stdio::null())
            .stderr(Stdio::null())
            .status()
            .unwrap();
        assert!(status.success());
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// Collects everything.
#[derive(Default)]
pub(crate) struct Collected(pub(crate) std::sync::Mutex<(Vec<u8>, Vec<u8>)>);

impl OutputSink for Collected {
    fn write(&self, stream: Stream, bytes: &[u8]) {
        let mut both = self.0.lock().unwrap();
        match stream {
            Stream::Stdout => both.0.extend_from_slice(bytes),
            Stream::Stderr => both.1.extend_from_slice(bytes),
        }
    }
}

/// A command with the limit that tests have.
pub(crate) fn command(line: impl Into<String>) -> Command {
    Command::new(line).with_timeout(Duration::from_secs(20))
}

/// Runs a line that must not fail to run.
pub(crate) async fn run(client: &Ssh, access: &Access, line: &str) -> Output {
    let result = client
        .run(access, &command(line), &fleetwright_core::NoOutput)
        .await;
    match result {
        Ok(output) => output,
        Err(error) => panic!("{error:?}"),
    }
}

/// Runs a line on a way that must fail.
pub(crate) async fn refused(client: &Ssh, access: &Access) -> fleetwright_core::Error {
    client
        .run(access, &command("true"), &fleetwright_core::NoOutput)
        .await
        .expect_err("it must not log in")
}
