//! One command on a node: its process, and what goes to and fro.
//!
//! ```text
//!   channel ──Data──► backlog ──► stdin ┐           window of the client
//!                                       process     holds the output back
//!   channel ◄──────── stdout, stderr ◄──┘
//! ```
//! Messages of the channel are always taken at once, because window adjustments for the output
//! come on the same connection: a command that reads slowly must not stop them, or `cat` with
//! a large input would wait for itself. The input that piles up meanwhile is counted in
//! [`Backlog`], by which the connection is slowed down.

use std::collections::VecDeque;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use russh::server::{Handle, Msg};
use russh::{Channel, ChannelMsg, ChannelReadHalf, ChannelWriteHalf, Sig};
use rustix::process::{Pid, Signal, WaitStatus, kill_process_group};
use rustix::termios::{Winsize, tcsetwinsize};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::process::{ChildStderr, ChildStdin, ChildStdout};
use tokio::sync::oneshot;

use super::Node;

/// Most bytes in one message: the packet size that OpenSSH uses.
const CHUNK: usize = 32 * 1024;

/// How long a command has to end by itself after its channel was closed.
const GRACE: Duration = Duration::from_secs(1);

/// What to run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Wanted {
    /// This line, by `/bin/sh`.
    Line(Vec<u8>),
    /// The user's login shell.
    Shell,
}

/// A terminal that the client asked for.
#[derive(Debug, Clone)]
pub(super) struct Terminal {
    /// Value of `TERM`.
    pub(super) name: String,
    /// Its size.
    pub(super) size: Winsize,
}

/// How much input waits for a command, in bytes.
#[derive(Debug, Clone, Default)]
pub(super) struct Backlog(Arc<AtomicUsize>);

/// A command that was started, and the channel that it belongs to.
pub(super) struct Session {
    read: ChannelReadHalf,
    write: ChannelWriteHalf<Msg>,
    backlog: Backlog,
    process: Process,
}

/// A process and its ends.
struct Process {
    group: Pid,
    ended: oneshot::Receiver<WaitStatus>,
    input: Option<Box<dyn AsyncWrite + Send + Unpin>>,
    stdout: Box<dyn AsyncRead + Send + Unpin>,
    stderr: Option<Box<dyn AsyncRead + Send + Unpin>>,
    /// The terminal, to change its size.
    screen: Option<OwnedFd>,
    /// Kept until the process has ended, because dropping it sooner makes the runtime wait for
    /// the process, too.
    _child: Option<tokio::process::Child>,
}

// === impl Backlog ===

impl Backlog {
    /// How long to wait before more input is read: not at all while it is small, and for ever
    /// longer after. Never so long that the connection stands still.
    pub(super) fn delay(&self) -> Duration {
        const MIB: usize = 1 << 20;
        match self.0.load(Ordering::Relaxed) / MIB {
            0..4 => Duration::ZERO,
            4..16 => Duration::from_millis(20),
            16..64 => Duration::from_millis(200),
            _ => Duration::from_secs(2),
        }
    }

    fn add(&self, bytes: usize) {
        self.0.fetch_add(bytes, Ordering::Relaxed);
    }

    fn remove(&self, bytes: usize) {
        self.0.fetch_sub(bytes, Ordering::Relaxed);
    }
}

// === impl Session ===

impl Session {
    /// Starts the process.
    pub(super) fn start(
        node: &Node,
        channel: Channel<Msg>,
        wanted: &Wanted,
        terminal: Option<&Terminal>,
        variables: &[(String, String)],
        backlog: Backlog,
    ) -> io::Result<Self> {
        let process = match terminal {
            None => Process::with_pipes(node, wanted, variables)?,
            Some(terminal) => Process::with_terminal(node, wanted, terminal, variables)?,
        };
        let (read, write) = channel.split();
        Ok(Self {
            read,
            write,
            backlog,
            process,
        })
    }

    /// Moves input and output until the process has ended and everything that it said was sent.
    pub(super) async fn attend(self, handle: Handle) {
        let Self {
            mut read,
            write,
            backlog,
            process,
        } = self;
        let Process {
            group,
            mut ended,
            mut input,
            stdout,
            stderr,
            screen,
            _child,
        } = process;
        let output = async {
            let errors = async {
                if let Some(stderr) = stderr {
                    pump(stderr, &write, Some(1)).await;
                }
            };
            tokio::join!(pump(stdout, &write, None), errors);
        };
        tokio::pin!(output);
        let mut waiting: VecDeque<u8> = VecDeque::new();
        let (mut open, mut input_over, mut output_over) = (true, false, false);
        let mut status = None;
        // Armed when the channel closes, or when only a terminal's last words are missing.
        let last_moment = tokio::time::sleep(Duration::ZERO);
        tokio::pin!(last_moment);
        let mut armed = false;

        while status.is_none() || !output_over {
            let can_write = input.is_some() && !waiting.is_empty();
            tokio::select! {
                biased;
                end = &mut ended, if status.is_none() => {
                    // Without a sender the node itself is ending.
                    status = Some(end.ok());
                    if screen.is_some() && !output_over {
                        last_moment.as_mut().reset(tokio::time::Instant::now() + GRACE);
                        armed = true;
                    }
                }
                () = &mut last_moment, if armed => {
                    armed = false;
                    output_over = true;
                    if status.is_none() {
                        signal_group(group, Signal::KILL);
                    }
                }
                message = read.wait(), if open => match message {
                    Some(ChannelMsg::Data { data }) => {
                        if input.is_some() {
                            backlog.add(data.len());
                            waiting.extend(data.iter());
                        }
                    }
                    Some(ChannelMsg::Eof) => {
                        input_over = true;
                        if screen.is_some() {
                            // The end-of-file character (^D): a terminal has no other end.
                            backlog.add(1);
                            waiting.push_back(4);
                        }
                    }
                    Some(ChannelMsg::Signal { signal }) => {
                        if status.is_none() && let Some(signal) = from_ssh(&signal) {
                            signal_group(group, signal);
                        }
                    }
                    Some(ChannelMsg::WindowChange { col_width, row_height, pix_width, pix_height }) => {
                        if let Some(screen) = &screen {
                            // A terminal whose process has gone has no size; that is no fault.
                            let _gone = tcsetwinsize(screen, window(col_width, row_height, pix_width, pix_height));
                        }
                    }
                    Some(ChannelMsg::Close) | None => {
                        open = false;
                        output_over = true;
                        input = None;
                        if status.is_none() {
                            signal_group(group, Signal::HUP);
                            signal_group(group, Signal::TERM);
                            last_moment.as_mut().reset(tokio::time::Instant::now() + GRACE);
                            armed = true;
                        }
                    }
                    Some(_) => {}
                },
                written = write_some(&mut input, &waiting), if can_write => {
                    if let Ok(bytes) = written {
                        waiting.drain(..bytes);
                        backlog.remove(bytes);
                    } else {
                        // The process reads no more; as with a pipe, it is for it to say why.
                        backlog.remove(waiting.len());
                        waiting.clear();
                        input = None;
                    }
                },
                () = &mut output, if !output_over => output_over = true,
            }
            if input_over && waiting.is_empty() && screen.is_none() {
                input = None;
            }
        }
        backlog.remove(waiting.len());
        farewell(&write, &handle, status.flatten()).await;
    }
}

/// Tells the client how the command ended. A client that has left need not be told.
async fn farewell(write: &ChannelWriteHalf<Msg>, handle: &Handle, status: Option<WaitStatus>) {
    let id = write.id();
    if let Some(status) = status {
        let code = status
            .exit_status()
            .and_then(|code| u32::try_from(code).ok());
        let _left = if let Some(code) = code {
            handle.exit_status_request(id, code).await
        } else {
            let signal = to_ssh(status.terminating_signal().unwrap_or(0));
            handle
                .exit_signal_request(id, signal, false, String::new(), String::new())
                .await
        };
    }
    let _left = write.eof().await;
    let _left = write.close().await;
}

/// Sends what a process says, as far as the client has room for it.
async fn pump(
    mut from: Box<dyn AsyncRead + Send + Unpin>,
    to: &ChannelWriteHalf<Msg>,
    stream: Option<u32>,
) {
    loop {
        let mut chunk = vec![0; CHUNK];
        // The reading end of a terminal fails when its last process ends: that is its end of file.
        let Ok(bytes @ 1..) = from.read(&mut chunk).await else {
            return;
        };
        chunk.truncate(bytes);
        let sent = match stream {
            None => to.data_bytes(chunk).await,
            Some(stream) => to.extended_data_bytes(stream, chunk).await,
        };
        if sent.is_err() {
            return;
        }
    }
}

async fn write_some(
    input: &mut Option<Box<dyn AsyncWrite + Send + Unpin>>,
    waiting: &VecDeque<u8>,
) -> io::Result<usize> {
    match input {
        Some(input) => input.write(waiting.as_slices().0).await,
        None => Ok(0),
    }
}

/// A group whose processes have all gone takes no signal, and needs none.
fn signal_group(group: Pid, signal: Signal) {
    let _gone = kill_process_group(group, signal);
}

// === impl Process ===

impl Process {
    fn with_pipes(
        node: &Node,
        wanted: &Wanted,
        variables: &[(String, String)],
    ) -> io::Result<Self> {
        let (program, arguments, name) = node.command_line(wanted);
        let mut command = std::process::Command::new(program);
        if let Some(name) = name {
            command.arg0(name);
        }
        let mut child = command
            .args(arguments)
            .env_clear()
            .envs(node.environment())
            .envs(variables.iter().cloned())
            .current_dir(node.dir.home())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0)
            .spawn()?;
        let (group, ended) = node.children.watch(child.id())?;
        let missing = || io::Error::other("a pipe is missing");
        let stdin = ChildStdin::from_std(child.stdin.take().ok_or_else(missing)?)?;
        let stdout = ChildStdout::from_std(child.stdout.take().ok_or_else(missing)?)?;
        let stderr = ChildStderr::from_std(child.stderr.take().ok_or_else(missing)?)?;
        Ok(Self {
            group,
            ended,
            input: Some(Box::new(stdin)),
            stdout: Box::new(stdout),
            stderr: Some(Box::new(stderr)),
            screen: None,
            _child: None,
        })
    }

    fn with_terminal(
        node: &Node,
        wanted: &Wanted,
        terminal: &Terminal,
        variables: &[(String, String)],
    ) -> io::Result<Self> {
        let (program, arguments, name) = node.command_line(wanted);
        let (pty, far_end) = pty_process::open().map_err(io::Error::other)?;
        tcsetwinsize(&pty, terminal.size)?;
        let mut command = pty_process::Command::new(program)
            .args(arguments)
            .env_clear()
            .envs(node.environment())
            .envs(variables.iter().cloned())
            .env("TERM", &terminal.name)
            .current_dir(node.dir.home());
        if let Some(name) = name {
            command = command.arg0(name);
        }
        // It becomes the leader of a session, and so of a group of the same number.
        let child = command.spawn(far_end).map_err(io::Error::other)?;
        let pid = child
            .id()
            .ok_or_else(|| io::Error::other("the process has no pid"))?;
        let (group, ended) = node.children.watch(pid)?;
        let screen = rustix::io::fcntl_dupfd_cloexec(&pty, 0)?;
        let (read, write) = pty.into_split();
        Ok(Self {
            group,
            ended,
            input: Some(Box::new(write)),
            stdout: Box::new(read),
            stderr: None,
            screen: Some(screen),
            _child: Some(child),
        })
    }
}

// === helpers ===

/// The size of a terminal, as the system wants it.
pub(super) fn window(columns: u32, rows: u32, width: u32, height: u32) -> Winsize {
    let short = |number: u32| u16::try_from(number).unwrap_or(u16::MAX);
    Winsize {
        ws_row: short(rows),
        ws_col: short(columns),
        ws_xpixel: short(width),
        ws_ypixel: short(height),
    }
}

/// Signals and their names in SSH (RFC 4254, 6.10), without those that it has no name for.
const SIGNALS: [(Signal, Sig); 12] = [
    (Signal::ABORT, Sig::ABRT),
    (Signal::ALARM, Sig::ALRM),
    (Signal::FPE, Sig::FPE),
    (Signal::HUP, Sig::HUP),
    (Signal::ILL, Sig::ILL),
    (Signal::INT, Sig::INT),
    (Signal::KILL, Sig::KILL),
    (Signal::PIPE, Sig::PIPE),
    (Signal::QUIT, Sig::QUIT),
    (Signal::SEGV, Sig::SEGV),
    (Signal::TERM, Sig::TERM),
    (Signal::USR1, Sig::USR1),
];

fn from_ssh(name: &Sig) -> Option<Signal> {
    SIGNALS
        .iter()
        .find(|(_, known)| std::mem::discriminant(known) == std::mem::discriminant(name))
        .map(|(signal, _)| *signal)
}

fn to_ssh(number: i32) -> Sig {
    SIGNALS
        .iter()
        .find(|(signal, _)| signal.as_raw() == number)
        .map_or_else(
            // RFC 4254 leaves other names to the form `name@domain`.
            || Sig::Custom(format!("{number}@fleetwright")),
            |(_, name)| name.clone(),
        )
}

/// The name of the login shell's first argument: a dash tells it that it is one.
pub(super) fn login_name(shell: &std::path::Path) -> PathBuf {
    let name = shell.file_name().unwrap_or(shell.as_os_str());
    let mut dashed = std::ffi::OsString::from("-");
    dashed.push(name);
    dashed.into()
}
