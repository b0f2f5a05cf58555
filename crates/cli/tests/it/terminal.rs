//! A pseudo-terminal with the program in it.

use std::io::{Read, Write};
use std::process::Child;
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::time::Duration;

use pty_process::blocking::Pty;
use rustix::process::Signal;

use crate::bed::{Bed, kill};

/// Longest time that a program may take in all: then it is killed, and whoever reads learns it.
const PATIENCE: Duration = Duration::from_mins(1);

/// A terminal of its own, with the program in it.
pub(crate) struct Terminal {
    /// Gone once the window is closed.
    far_end: Option<Pty>,
    text: String,
    child: Child,
    /// Ends the one who watches the time when it is dropped.
    _watched: Sender<()>,
}

impl Terminal {
    pub(crate) fn new(bed: &Bed, arguments: &[&str]) -> Self {
        let (far_end, end) = pty_process::blocking::open().expect("there are terminals");
        far_end
            .resize(pty_process::Size::new(40, 160))
            .expect("it can be resized");
        let command = bed.command(arguments);
        let variables = command
            .get_envs()
            .filter_map(|(name, value)| Some((name.to_owned(), value?.to_owned())));
        let child = pty_process::blocking::Command::new(command.get_program())
            .args(arguments)
            .env_clear()
            .envs(variables)
            .env("TERM", "xterm")
            .current_dir(bed.path(""))
            .spawn(end)
            .expect("the program can be started");
        let (watched, ended) = channel::<()>();
        let pid = child.id();
        std::thread::spawn(move || {
            if ended.recv_timeout(PATIENCE) == Err(RecvTimeoutError::Timeout) {
                kill(pid, Signal::KILL);
            }
        });
        Self {
            far_end: Some(far_end),
            text: String::new(),
            child,
            _watched: watched,
        }
    }

    /// Waits until a text is shown that was not waited for before the last keys.
    #[track_caller]
    pub(crate) fn wait_for(&mut self, wanted: &str) {
        while !plain(&self.text).contains(wanted) {
            assert!(self.read(), "`{wanted}` is not in: {}", plain(&self.text));
        }
    }

    /// Takes what is shown next; `false` if nothing comes any more.
    fn read(&mut self) -> bool {
        let terminal = self.far_end.as_mut().expect("the terminal is open");
        let mut buffer = [0; 4096];
        let Ok(count @ 1..) = terminal.read(&mut buffer) else {
            return false;
        };
        let bytes = String::from_utf8_lossy(&buffer[..count]).into_owned();
        // Programs ask where the cursor is.
        if bytes.contains("\u{1b}[6n") {
            terminal
                .write_all(b"\x1b[1;1R")
                .expect("it can be written to");
        }
        self.text.push_str(&bytes);
        true
    }

    /// Presses keys. What was shown before is not waited for any more.
    pub(crate) fn types(&mut self, keys: &str) {
        self.text.clear();
        let terminal = self.far_end.as_mut().expect("the terminal is open");
        terminal
            .write_all(keys.as_bytes())
            .expect("it can be written to");
    }

    /// Closes the window: whatever belongs to its session is hung up. Gives the end of the program.
    pub(crate) fn close(&mut self) -> std::process::ExitStatus {
        self.far_end.take();
        self.child.wait().expect("the child can be waited for")
    }

    /// The status that the program ends with.
    pub(crate) fn ends(&mut self) -> Option<i32> {
        // What is shown is taken, so that the program never waits for its reader.
        while self.read() {}
        let ended = self.child.wait().expect("the child can be waited for");
        ended.code()
    }
}

/// A text without what moves the cursor and colors it.
fn plain(text: &str) -> String {
    let mut out = String::new();
    let mut characters = text.chars();
    while let Some(c) = characters.next() {
        if c != '\u{1b}' {
            out.push(c);
            continue;
        }
        if characters.next() == Some('[') {
            for c in characters.by_ref() {
                if c.is_ascii_alphabetic() {
                    break;
                }
            }
        }
    }
    out
}
