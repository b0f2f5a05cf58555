//! One command in one session: input in, output out, and how it ended.

use std::pin::pin;
use std::time::Duration;

use fleetwright_core::{Command, Error, Exit, Kind, Output, OutputSink, Stream};
use futures::FutureExt as _;
use russh::{ChannelMsg, Sig};
use tokio::time::{Instant, sleep_until, timeout};

use crate::session::Session;

/// The number that SSH gives to standard error.
const STDERR: u32 = 1;
/// How long handing over a last message may take when the time is up.
const LAST_WORD: Duration = Duration::from_millis(250);

/// Why there is no exit status.
pub(crate) enum Stop {
    /// The server did not want to run it.
    Refused(Error),
    /// The connection broke.
    Lost {
        /// Whether the command may have started.
        was_sent: bool,
    },
    /// The time was up. The command was told to terminate.
    Deadline,
}

/// Runs `command` until it ends or `deadline` passes.
pub(crate) async fn execute(
    session: &Session,
    command: &Command,
    deadline: Instant,
    capture: &mut Capture<'_>,
) -> Result<Exit, Stop> {
    let mut time_is_up = pin!(sleep_until(deadline));
    let channel = tokio::select! {
        opened = session.handle.channel_open_session() => match opened {
            Ok(channel) => channel,
            Err(russh::Error::ChannelOpenFailure(reason)) => {
                return Err(Stop::Refused(Error::new(
                    Kind::Unavailable,
                    format!("the node opens no session for a command: {reason:?}"),
                )));
            }
            Err(_) => return Err(Stop::Lost { was_sent: false }),
        },
        () = &mut time_is_up => return Err(Stop::Deadline),
    };
    let (mut from, to) = channel.split();
    // Input follows at once, without waiting for the answer to the request: one round trip less.
    let feed = async {
        to.exec(true, command.line.as_bytes()).await?;
        if !command.stdin.is_empty() {
            to.data(command.stdin.as_slice()).await?;
        }
        to.eof().await
    };
    let mut feed = pin!(feed.fuse());
    let mut is_fed = false;
    let mut exit = None;
    loop {
        tokio::select! {
            message = from.wait() => match message {
                Some(ChannelMsg::Data { data }) => capture.take(Stream::Stdout, &data),
                Some(ChannelMsg::ExtendedData { data, ext: STDERR }) => {
                    capture.take(Stream::Stderr, &data);
                }
                Some(ChannelMsg::ExitStatus { exit_status }) => {
                    exit = Some(Exit::Status { code: exit_status });
                }
                Some(ChannelMsg::ExitSignal { signal_name, .. }) => {
                    exit = Some(Exit::Signal { name: name(signal_name) });
                }
                Some(ChannelMsg::Failure) => {
                    return Err(Stop::Refused(Error::new(
                        Kind::Unsupported,
                        "the node runs no commands for us",
                    )));
                }
                Some(ChannelMsg::Close) | None => {
                    return exit.ok_or(Stop::Lost { was_sent: true });
                }
                Some(_) => {}
            },
            // A command may end without reading its input, and a broken connection shows on the
            // other side: the result of feeding decides nothing.
            result = &mut feed, if !is_fed => {
                if let Err(error) = result {
                    tracing::debug!(%error, "the input was not taken");
                }
                is_fed = true;
            }
            () = &mut time_is_up => {
                // As good as we can: a server may ignore it, and OpenSSH does for root.
                if timeout(LAST_WORD, to.signal(Sig::TERM)).await.is_err() {
                    tracing::debug!("the command could not be told to terminate");
                }
                return Err(Stop::Deadline);
            }
        }
    }
}

fn name(signal: Sig) -> String {
    let name = match signal {
        Sig::ABRT => "ABRT",
        Sig::ALRM => "ALRM",
        Sig::FPE => "FPE",
        Sig::HUP => "HUP",
        Sig::ILL => "ILL",
        Sig::INT => "INT",
        Sig::KILL => "KILL",
        Sig::PIPE => "PIPE",
        Sig::QUIT => "QUIT",
        Sig::SEGV => "SEGV",
        Sig::TERM => "TERM",
        Sig::USR1 => "USR1",
        Sig::Custom(name) => return name,
    };
    name.to_owned()
}

/// What a command said: all of it to the sink, the end of it kept.
pub(crate) struct Capture<'a> {
    sink: &'a dyn OutputSink,
    stdout: Tail,
    stderr: Tail,
}

impl<'a> Capture<'a> {
    pub(crate) fn new(keep: usize, sink: &'a dyn OutputSink) -> Self {
        Self {
            sink,
            stdout: Tail::new(keep),
            stderr: Tail::new(keep),
        }
    }

    pub(crate) fn into_output(self, exit: Exit) -> Output {
        let truncated = self.stdout.is_cut || self.stderr.is_cut;
        Output {
            exit,
            stdout: self.stdout.into_bytes(),
            stderr: self.stderr.into_bytes(),
            truncated,
        }
    }

    pub(crate) fn into_stderr(self) -> Vec<u8> {
        self.stderr.into_bytes()
    }

    fn take(&mut self, stream: Stream, bytes: &[u8]) {
        self.sink.write(stream, bytes);
        match stream {
            Stream::Stdout => self.stdout.push(bytes),
            Stream::Stderr => self.stderr.push(bytes),
        }
    }
}

/// The last bytes of a stream.
struct Tail {
    keep: usize,
    bytes: Vec<u8>,
    is_cut: bool,
}

impl Tail {
    fn new(keep: usize) -> Self {
        Self {
            keep,
            bytes: Vec::new(),
            is_cut: false,
        }
    }

    fn push(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
        // Cutting moves what stays, so it is done rarely: each byte moves twice at most.
        if self.bytes.len() > self.keep.saturating_mul(2).max(1 << 16) {
            self.cut();
        }
    }

    fn cut(&mut self) {
        let surplus = self.bytes.len().saturating_sub(self.keep);
        if surplus > 0 {
            self.bytes.drain(..surplus);
            self.is_cut = true;
        }
    }

    fn into_bytes(mut self) -> Vec<u8> {
        self.cut();
        self.bytes
    }
}

#[cfg(test)]
mod tests {
    use fleetwright_core::NoOutput;

    use super::*;

    #[test]
    fn only_the_end_is_kept_and_that_is_said() {
        let mut capture = Capture::new(5, &NoOutput);
        for chunk in [b"abc".as_slice(), b"defg", &vec![b'x'; 70_000], b"12345"] {
            capture.take(Stream::Stdout, chunk);
        }
        capture.take(Stream::Stderr, b"12345");
        let output = capture.into_output(Exit::Status { code: 0 });
        assert_eq!(output.stdout, b"12345");
        assert_eq!(output.stderr, b"12345");
        assert!(output.truncated);
    }

    #[test]
    fn what_fits_exactly_is_whole() {
        let mut capture = Capture::new(5, &NoOutput);
        capture.take(Stream::Stdout, b"12345");
        let output = capture.into_output(Exit::Status { code: 0 });
        assert_eq!(output.stdout, b"12345");
        assert!(!output.truncated);
    }
}
