//! The first minutes of a node: its user data, with log and exit status kept.
//!
//! Logins are served meanwhile. The scripts run once: a node's process runs once. As cloud-init
//! does, all commands of `runcmd` run, also after one has failed; the first failure counts.

use std::fmt::Write as _;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Command, Stdio};

use fleetwright_core::Boot;
use jiff::Timestamp;

use super::Node;
use super::state::{NodeDir, Record, write_new};
use crate::user_data::{BootCommand, CloudConfig, NewFile, UserData};

/// How much of the log goes into the result.
const TAIL_LINES: usize = 20;
const TAIL_BYTES: u64 = 8192;

/// Runs the user data and keeps the result.
pub(super) async fn run(node: &Node) -> io::Result<()> {
    node.dir.write_boot(&Boot::Running)?;
    let log = OpenOptions::new()
        .create(true)
        .append(true)
        .open(node.dir.boot_log())?;
    let mut boot = Booting { node, log };
    let user_data = match fs::read_to_string(node.dir.user_data()) {
        Ok(text) => Some(text),
        Err(error) if error.kind() == io::ErrorKind::NotFound => None,
        Err(error) => return Err(error),
    };
    boot.say(&headline(&node.record, user_data.as_deref()))?;
    let end = match user_data {
        None => End::Succeeded,
        Some(text) => match UserData::parse(&text) {
            Ok(UserData::Script) => boot.script(&text).await?,
            Ok(UserData::CloudConfig(config)) => boot.cloud_config(&config).await?,
            Err(error) => {
                boot.say(&error.report().to_string())?;
                End::Failed(None)
            }
        },
    };
    let result = match end {
        End::Succeeded => Boot::Succeeded,
        End::Failed(exit_status) => Boot::Failed {
            exit_status,
            log_tail: log_tail(&node.dir)?,
        },
    };
    node.dir.write_boot(&result)
}

/// Keeps an error that is the node's and not the script's, such as a full disk.
pub(super) fn give_up(node: &Node, error: &io::Error) {
    let why = format!("the boot was given up: {error}");
    node.log(&why);
    let kept = node.dir.write_boot(&Boot::Failed {
        exit_status: None,
        log_tail: why,
    });
    if let Err(error) = kept {
        node.log(&format!(
            "the result of the boot cannot be written: {error}"
        ));
    }
}

/// How a boot ended.
enum End {
    Succeeded,
    /// With the first exit status that was not 0; absent: by a signal, or it never ran.
    Failed(Option<i32>),
}

/// A boot at work.
struct Booting<'a> {
    node: &'a Node,
    log: File,
}

// === impl Booting ===

impl Booting<'_> {
    /// The script becomes a file, so that its first line chooses the interpreter.
    async fn script(&mut self, text: &str) -> io::Result<End> {
        let path = self.node.dir.home().join(".fleetwright/user-data");
        write_new(&path, text.as_bytes(), 0o700)?;
        self.command("the user data", Command::new(&path)).await
    }

    async fn cloud_config(&mut self, config: &CloudConfig) -> io::Result<End> {
        let mut end = End::Succeeded;
        for file in &config.files {
            if let Err(error) = write_file(&self.node.dir.home(), file) {
                self.say(&format!("cannot write `{}`: {error}", file.path.display()))?;
                end = End::Failed(None);
            }
        }
        for wanted in &config.commands {
            let command = match wanted {
                BootCommand::Line(line) => {
                    let mut shell = Command::new("/bin/sh");
                    shell.arg("-c").arg(line);
                    shell
                }
                BootCommand::Words(words) => {
                    let mut words = words.iter();
                    let mut program = Command::new(words.next().map_or("", String::as_str));
                    program.args(words);
                    program
                }
            };
            let this = self
                .command(&format!("`{}`", wanted.shown()), command)
                .await?;
            if matches!(end, End::Succeeded) {
                end = this;
            }
        }
        Ok(end)
    }

    /// Runs one command to its end, its output appended to the log.
    async fn command(&mut self, what: &str, mut command: Command) -> io::Result<End> {
        command
            .env_clear()
            .envs(self.node.environment())
            .current_dir(self.node.dir.home())
            .stdin(Stdio::null())
            .stdout(self.log.try_clone()?)
            .stderr(self.log.try_clone()?)
            .process_group(0);
        let child = match spawn(&mut command).await {
            Ok(child) => child,
            Err(error) => {
                self.say(&format!("cannot run {what}: {error}"))?;
                // What a shell reports for a program that is not there.
                return Ok(End::Failed(Some(127)));
            }
        };
        let (_, ended) = self.node.children.watch(child.id())?;
        let status = ended.await.map_err(io::Error::other)?;
        match status.exit_status() {
            Some(0) => Ok(End::Succeeded),
            Some(code) => {
                self.say(&format!("{what} ended with status {code}"))?;
                Ok(End::Failed(Some(code)))
            }
            None => {
                let signal = status.terminating_signal().unwrap_or(0);
                self.say(&format!("{what} was ended by signal {signal}"))?;
                Ok(End::Failed(None))
            }
        }
    }

    fn say(&mut self, line: &str) -> io::Result<()> {
        writeln!(self.log, "fleetwright: {line}")
    }
}

/// A script that was written a moment ago may still be open for writing in a process that was
/// forked meanwhile (`ETXTBSY`); that passes when it executes its own program.
async fn spawn(command: &mut Command) -> io::Result<std::process::Child> {
    let mut tries = 0;
    loop {
        match command.spawn() {
            Err(error) if error.kind() == io::ErrorKind::ExecutableFileBusy && tries < 50 => {
                tries += 1;
                tokio::time::sleep(std::time::Duration::from_millis(10)).await;
            }
            other => return other,
        }
    }
}

fn write_file(home: &Path, file: &NewFile) -> io::Result<()> {
    let path = home.join(&file.path);
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent)?;
    }
    write_new(&path, &file.content, file.mode)
}

#[expect(
    clippy::disallowed_methods,
    reason = "a log line of a process of its own, with the real time in it"
)]
fn headline(record: &Record, user_data: Option<&str>) -> String {
    let mut line = format!(
        "{} booted `{}`, type `{}`",
        Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ"),
        record.name,
        record.instance_type
    );
    match user_data {
        None => line.push_str(", no user data"),
        Some(text) => write!(line, ", user data of {} bytes", text.len())
            .expect("writing to a string cannot fail"),
    }
    line
}

/// The last lines of the boot log.
pub(crate) fn log_tail(dir: &NodeDir) -> io::Result<String> {
    let mut log = match File::open(dir.boot_log()) {
        Ok(log) => log,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(String::new()),
        Err(error) => return Err(error),
    };
    let length = log.metadata()?.len();
    log.seek(SeekFrom::Start(length.saturating_sub(TAIL_BYTES)))?;
    let mut bytes = Vec::new();
    log.take(TAIL_BYTES).read_to_end(&mut bytes)?;
    let text = String::from_utf8_lossy(&bytes);
    let lines: Vec<&str> = text.lines().collect();
    Ok(lines[lines.len().saturating_sub(TAIL_LINES)..].join("\n"))
}
