//! A place of its own for each test: state directory, configuration, and the program to run in it.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::Arc;
use std::time::Duration;

use fleetwright_sim::{SimConfig, SimProvider, TokioClock, World};
use serde_json::Value;
use tempfile::TempDir;

/// The fleet that tests use.
pub(crate) const FLEET: &str = "test";

/// A directory with a configuration and a state directory.
pub(crate) struct Bed {
    directory: TempDir,
    environment: Vec<(&'static str, String)>,
}

/// What a command printed and how it ended.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) status: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Bed {
    pub(crate) fn new(config: &str) -> Self {
        let directory = tempfile::tempdir().expect("a temporary directory can be made");
        std::fs::write(directory.path().join("fleetwright.toml"), config).expect("it is writable");
        Self {
            directory,
            environment: Vec::new(),
        }
    }

    /// A variable that the program gets besides.
    pub(crate) fn with(mut self, name: &'static str, value: &str) -> Self {
        self.environment.push((name, value.to_owned()));
        self
    }

    /// A simulated cloud with one pool, or as many as `pools` says.
    pub(crate) fn sim(config: &SimConfig, pools: &str) -> Self {
        let bed = Self::new("");
        let provider = toml::to_string(config).expect("the configuration can be written");
        let provider = provider.replace("[[", "[[providers.cloud.");
        let provider = provider.replace("\n[", "\n[providers.cloud.");
        let provider = provider.replace("[providers.cloud.[providers.cloud.", "[[providers.cloud.");
        let text =
            format!("fleet = \"{FLEET}\"\n[providers.cloud]\nkind = \"sim\"\n{provider}\n{pools}");
        bed.configure(&text);
        bed
    }

    pub(crate) fn configure(&self, text: &str) {
        std::fs::write(self.path("fleetwright.toml"), text).expect("it is writable");
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    pub(crate) fn state(&self) -> PathBuf {
        self.path("state").join(FLEET)
    }

    /// The program, with this bed as its world and nothing else of the environment.
    pub(crate) fn command<S: AsRef<OsStr>>(&self, arguments: &[S]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_fleetwright"));
        command
            .args(arguments)
            .current_dir(self.directory.path())
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("HOME", self.directory.path())
            .env("FLEETWRIGHT_STATE_DIR", self.path("state"))
            .envs(self.environment.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null());
        command
    }

    pub(crate) fn run(&self, arguments: &[&str]) -> Ran {
        let output = self
            .command(arguments)
            .output()
            .expect("the program can be started");
        output.into()
    }

    /// Runs a command that must succeed and answer with JSON.
    pub(crate) fn json(&self, arguments: &[&str]) -> Value {
        let mut all = arguments.to_vec();
        all.push("--json");
        let ran = self.run(&all);
        assert_eq!(
            ran.status,
            Some(0),
            "{arguments:?}: {}\n{}",
            ran.stderr,
            ran.stdout
        );
        serde_json::from_str(&ran.stdout).expect("stdout is JSON")
    }

    /// The simulated cloud seen from the other side.
    pub(crate) fn world(&self, config: &SimConfig) -> World {
        let file = self.state().join("sim/cloud.world");
        SimProvider::new("cloud", config.clone(), file, Arc::new(TokioClock::new()))
            .expect("the configuration is good")
            .world()
    }
}

impl From<Output> for Ran {
    fn from(output: Output) -> Self {
        Self {
            status: output.status.code(),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }
}

/// Waits for real time to pass.
#[expect(
    clippy::disallowed_methods,
    reason = "other processes live in real time"
)]
pub(crate) fn pause(duration: Duration) {
    std::thread::sleep(duration);
}

/// Looks again and again until something holds, at most for ten seconds.
pub(crate) fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    for _ in 0..1_000 {
        if holds() {
            return;
        }
        pause(Duration::from_millis(10));
    }
    panic!("it did not come true within ten seconds: {what}");
}

/// Whether a process with this argument runs.
pub(crate) fn processes_with(argument: &Path) -> Vec<u32> {
    let needle = argument.as_os_str().as_encoded_bytes();
    let mut found = Vec::new();
    for entry in std::fs::read_dir("/proc").into_iter().flatten().flatten() {
        let Some(pid) = entry
            .file_name()
            .to_str()
            .and_then(|name| name.parse().ok())
        else {
            continue;
        };
        let line = std::fs::read(entry.path().join("cmdline")).unwrap_or_default();
        if line.windows(needle.len()).any(|window| window == needle) {
            found.push(pid);
        }
    }
    found
}

impl Bed {
    /// Real nodes on this machine: one pool of this size.
    pub(crate) fn local(desired: u32) -> Self {
        Self::new(&local(desired))
    }

    /// A command that must end with this status.
    pub(crate) fn must(&self, status: i32, arguments: &[&str]) -> Ran {
        let ran = self.run(arguments);
        assert_eq!(
            ran.status,
            Some(status),
            "{arguments:?}\nstdout: {}\nstderr: {}",
            ran.stdout,
            ran.stderr
        );
        ran
    }

    /// The names of the nodes that the journal knows, in order.
    pub(crate) fn names(&self) -> Vec<String> {
        strings(&self.json(&["nodes"])["nodes"], "name")
    }

    /// The process of a local node, by what its directory says.
    pub(crate) fn process_of(&self, name: &str) -> u32 {
        let nodes = self.json(&["node", name]);
        let id = nodes["node"]["id"].as_str().expect("a node has an id");
        let native = id.rsplit('/').next().expect("an id has a native part");
        let found = processes_with(Path::new(native));
        assert_eq!(found.len(), 1, "processes of {id}: {found:?}");
        found[0]
    }
}

impl Drop for Bed {
    /// A test that failed leaves no process behind.
    fn drop(&mut self) {
        for pid in processes_with(&self.path("state")) {
            kill(pid, rustix::process::Signal::KILL);
        }
    }
}

/// A configuration with one pool of real nodes on this machine.
pub(crate) fn local(desired: u32) -> String {
    format!(
        "fleet = \"{FLEET}\"\n[providers.here]\nkind = \"local\"\n[pools.web]\ndesired = {desired}\n\
         candidates = [{{ provider = \"here\", type = \"small\" }}]\n"
    )
}

/// Sends a signal to a process; one that ended meanwhile is fine.
pub(crate) fn kill(pid: u32, signal: rustix::process::Signal) {
    let pid = i32::try_from(pid)
        .ok()
        .and_then(rustix::process::Pid::from_raw)
        .expect("it is the number of a process");
    match rustix::process::kill_process(pid, signal) {
        Ok(()) | Err(rustix::io::Errno::SRCH) => {}
        Err(error) => panic!("{pid:?} cannot be signalled: {error}"),
    }
}

/// One field of each element of an array.
pub(crate) fn strings(array: &Value, field: &str) -> Vec<String> {
    array
        .as_array()
        .expect("it is an array")
        .iter()
        .map(|value| value[field].as_str().expect("it is a text").to_owned())
        .collect()
}
