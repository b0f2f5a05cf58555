//! What a node says to the script, read as it comes, and strictly.
//!
//! Nothing here trusts the node: lines, bytes and numbers are bounded, and a section with anything
//! that is not understood counts as nothing.

use std::sync::{Mutex, PoisonError};

use fleetwright_core::{OutputSink, Stream};
use tokio::sync::Notify;

/// Most bytes of a command's output.
pub(super) const MOST_BYTES: usize = 4 << 20;
/// Longest line that is read; longer ones are cut, and what is cut is not understood.
const MOST_LINE: usize = 16 << 10;
/// Most lines of one probe besides the bytes of its output.
const MOST_LINES: usize = 64;

/// What a node said about one probe.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Answer {
    /// Lines, without `end`.
    lines: Vec<String>,
    /// The output of a command.
    pub(super) bytes: Vec<u8>,
    /// Whether it came to its end.
    is_whole: bool,
    /// The status of its shell, if that has ended.
    code: Option<u32>,
    /// Why it cannot be taken, if so.
    bad: Option<String>,
}

impl Answer {
    /// Itself, if it is whole, every line begins with one of these words, and no word comes twice.
    ///
    /// # Errors
    /// In words: why nobody knows.
    pub(super) fn checked(&self, words: &[&str], limit: u64) -> Result<&Self, String> {
        let answer = self.checked_many(words, limit)?;
        match words.iter().find(|word| self.values(word).count() > 1) {
            Some(word) => Err(format!("the node said `{word}` twice")),
            None => Ok(answer),
        }
    }

    /// The same, where words may come several times.
    pub(super) fn checked_many(&self, words: &[&str], limit: u64) -> Result<&Self, String> {
        if let Some(bad) = &self.bad {
            return Err(bad.clone());
        }
        match (self.is_whole, self.code) {
            (true, Some(0)) => {}
            // The status of a process that SIGKILL ended: ours.
            (false, Some(137)) => return Err(format!("it did not end within {limit}s")),
            (_, Some(code)) => {
                return Err(format!("the measurement broke off with status {code}"));
            }
            (_, None) => return Err("the connection ended before it was measured".to_owned()),
        }
        for line in &self.lines {
            let word = line.split(' ').next().unwrap_or_default();
            if !words.contains(&word) {
                return Err(not_understood(line));
            }
        }
        Ok(self)
    }

    /// The values of lines with this word; empty texts for lines without a value.
    pub(super) fn values<'a>(&'a self, word: &str) -> impl Iterator<Item = &'a str> {
        self.lines.iter().filter_map(move |line| after(line, word))
    }

    /// The value of the only line with this word.
    pub(super) fn value(&self, word: &str) -> Option<&str> {
        self.lines.iter().find_map(|line| after(line, word))
    }

    fn spoil(&mut self, why: String) {
        self.bad.get_or_insert(why);
    }

    fn take_bytes(&mut self, line: &str) {
        for word in line.split_ascii_whitespace() {
            match u8::from_str_radix(word, 16) {
                Ok(byte) if word.len() == 2 => self.bytes.push(byte),
                _ => return self.spoil(not_understood(line)),
            }
        }
        if self.bytes.len() > MOST_BYTES {
            self.bytes = Vec::new();
            self.spoil(format!("it printed more than {} MiB", MOST_BYTES >> 20));
        }
    }

    fn take_line(&mut self, line: &str) {
        if self.lines.len() >= MOST_LINES {
            return self.spoil(not_understood(line));
        }
        if line == "end" {
            self.is_whole = true;
        } else {
            self.lines.push(line.to_owned());
        }
    }

    /// An answer as a script gives it, for tests of what is made of it.
    #[cfg(test)]
    pub(super) fn said(lines: &[&str]) -> Self {
        let mut answer = Self {
            is_whole: true,
            code: Some(0),
            ..Self::default()
        };
        for line in lines {
            answer.take_line(line);
        }
        answer
    }
}

/// What follows a word and a space; an empty text if nothing follows.
fn after<'a>(line: &'a str, word: &str) -> Option<&'a str> {
    let rest = line.strip_prefix(word)?;
    if rest.is_empty() {
        Some("")
    } else {
        rest.strip_prefix(' ')
    }
}

fn not_understood(line: &str) -> String {
    let line: String = line.chars().take(80).collect();
    format!("the node said something that is not understood: `{line}`")
}

/// What a node says, as it comes.
#[derive(Debug)]
pub(super) struct Transcript {
    state: Mutex<State>,
    done: Notify,
}

#[derive(Debug)]
struct State {
    /// The line that is not yet whole.
    line: Vec<u8>,
    is_cut: bool,
    has_begun: bool,
    is_done: bool,
    answers: Vec<Answer>,
    /// Whose lines come.
    current: Option<usize>,
}

impl Transcript {
    /// For so many probes.
    pub(super) fn new(probes: usize) -> Self {
        Self {
            state: Mutex::new(State {
                line: Vec::new(),
                is_cut: false,
                has_begun: false,
                is_done: false,
                answers: vec![Answer::default(); probes],
                current: None,
            }),
            done: Notify::new(),
        }
    }

    /// Waits for the last line.
    pub(super) async fn finished(&self) {
        self.done.notified().await;
    }

    /// Whether the script began to run, and what was said about each probe.
    pub(super) fn into_answers(self) -> (bool, Vec<Answer>) {
        let state = self
            .state
            .into_inner()
            .unwrap_or_else(PoisonError::into_inner);
        (state.has_begun, state.answers)
    }
}

impl OutputSink for Transcript {
    fn write(&self, stream: Stream, bytes: &[u8]) {
        if stream == Stream::Stderr {
            return;
        }
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        for part in bytes.split_inclusive(|byte| *byte == b'\n') {
            state.take(part);
        }
        if state.is_done {
            self.done.notify_one();
        }
    }
}

impl State {
    /// Takes a line or a part of one.
    fn take(&mut self, part: &[u8]) {
        let (text, ends) = match part.split_last() {
            Some((b'\n', text)) => (text, true),
            _ => (part, false),
        };
        let room = MOST_LINE.saturating_sub(self.line.len());
        self.is_cut |= text.len() > room;
        self.line.extend(text.iter().take(room));
        if !ends {
            return;
        }
        let line = String::from_utf8_lossy(&std::mem::take(&mut self.line)).into_owned();
        if std::mem::take(&mut self.is_cut) {
            if let Some(answer) = self.current() {
                answer.spoil(not_understood(&line));
            }
        } else {
            self.take_line(&line);
        }
    }

    fn current(&mut self) -> Option<&mut Answer> {
        self.answers.get_mut(self.current?)
    }

    fn take_line(&mut self, line: &str) {
        if !self.has_begun {
            self.has_begun = line == "measure 1";
            return;
        }
        if self.is_done || line.is_empty() {
            return;
        }
        if line.starts_with(' ') {
            if let Some(answer) = self.current() {
                answer.take_bytes(line);
            }
            return;
        }
        let words: Vec<&str> = line.split(' ').collect();
        match words[..] {
            ["done"] if self.current.is_none() => self.is_done = true,
            ["probe", index] if self.current.is_none() => self.current = index.parse().ok(),
            ["ended", index, code] if index.parse().ok() == self.current => {
                if let Some(answer) = self.current() {
                    answer.code = code.parse().ok();
                }
                self.current = None;
            }
            _ => {
                if let Some(answer) = self.current() {
                    answer.take_line(line);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answers(probes: usize, pieces: &[&[u8]]) -> (bool, Vec<Answer>) {
        let transcript = Transcript::new(probes);
        for piece in pieces {
            transcript.write(Stream::Stdout, piece);
        }
        transcript.into_answers()
    }

    #[test]
    fn it_is_read_however_it_is_cut_and_noise_before_it_is_dropped() {
        let text = b"Welcome!\nprobe 7\nmeasure 1\nprobe 0\nkey a value\nend\n\nended 0 0\n\
                     probe 1\n 66 6f\n 6f\nstatus 3\nend\n\nended 1 0\ndone\n";
        let whole = answers(2, &[text]);
        let bytes: Vec<&[u8]> = text.chunks(1).collect();
        assert_eq!(answers(2, &bytes), whole);
        let (has_begun, answers) = whole;
        assert!(has_begun);
        let first = answers[0].checked(&["key"], 1).unwrap();
        assert_eq!(first.value("key"), Some("a value"));
        let second = answers[1].checked(&["status"], 1).unwrap();
        assert_eq!(
            (&*second.bytes, second.value("status")),
            (&b"foo"[..], Some("3"))
        );
    }

    #[test]
    fn what_is_not_whole_or_not_understood_is_not_taken() {
        let begin = b"measure 1\nprobe 0\n";
        for (said, why) in [
            (
                &b"key a\n"[..],
                "the connection ended before it was measured",
            ),
            (b"key a\n\nended 0 137\n", "it did not end within 9s"),
            (
                b"key a\n\nended 0 2\n",
                "the measurement broke off with status 2",
            ),
            (
                b"other\nend\n\nended 0 0\n",
                "the node said something that is not understood: `other`",
            ),
            (
                b"key a\nkey b\nend\n\nended 0 0\n",
                "the node said `key` twice",
            ),
            (
                b" 6g\nend\n\nended 0 0\n",
                "the node said something that is not understood: ` 6g`",
            ),
        ] {
            let (_, answers) = answers(1, &[begin, said]);
            assert_eq!(answers[0].checked(&["key"], 9), Err(why.to_owned()));
        }
        let (has_begun, _) = answers(1, &[b"sh: not found\n"]);
        assert!(!has_begun);
    }

    #[test]
    fn too_much_is_dropped_and_that_is_said() {
        let line = format!(" {}\n", "41 ".repeat(4096));
        let mut text = b"measure 1\nprobe 0\n".to_vec();
        for _ in 0..=(MOST_BYTES / 4096) {
            text.extend_from_slice(line.as_bytes());
        }
        text.extend_from_slice(b"status 0\nend\n\nended 0 0\n");
        let (_, all) = answers(1, &[&text]);
        assert!(all[0].bytes.len() < 8192, "nothing of it is kept");
        let why = all[0].checked(&["status"], 1).unwrap_err();
        assert_eq!(why, "it printed more than 4 MiB");
        let long = vec![b'x'; MOST_LINE + 1];
        let (_, all) = answers(
            1,
            &[b"measure 1\nprobe 0\nkey ", &long, b"\nend\n\nended 0 0\n"],
        );
        assert!(all[0].checked(&["key"], 1).is_err());
    }
}
