//! Progress of a deployment on stderr: a line for each machine that is at it, and one for each that
//! is done. Without a terminal only the latter.

use std::collections::HashMap;
use std::io::IsTerminal;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use fleetwright_core::{DeployedNode, DeployedState, Deployment, Error, Stream};
use fleetwright_engine::DeploySink;
use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use jiff::Timestamp;

use super::shown::outcome;
use crate::output::{Out, count};

/// Lines of machines that are shown at most; the rest is at it unseen.
const LINES: usize = 40;

/// Follows a deployment for people.
pub(super) struct DeployProgress {
    out: Out,
    lines: Option<Lines>,
}

struct Lines {
    all: MultiProgress,
    total: ProgressBar,
    running: Mutex<HashMap<String, ProgressBar>>,
}

impl DeployProgress {
    /// Lines on a terminal, nothing if it shall be quiet.
    pub(super) fn new(out: Out) -> Self {
        let lines = (!out.quiet && std::io::stderr().is_terminal()).then(|| {
            let all = MultiProgress::new();
            let total = all.add(ProgressBar::new(0));
            if let Ok(style) =
                ProgressStyle::with_template("{bar:24} {pos} of {len} {msg} {elapsed:.dim}")
            {
                total.set_style(style);
            }
            Lines {
                all,
                total,
                running: Mutex::default(),
            }
        });
        Self { out, lines }
    }

    fn line(&self, text: &str) {
        match &self.lines {
            Some(lines) => {
                // A terminal that went away is noticed by the result.
                let _ = lines.all.println(text);
            }
            None => self.out.note(text),
        }
    }

    fn with_bar(&self, name: &str, change: impl FnOnce(&ProgressBar)) {
        if let Some(lines) = &self.lines {
            let running = lines.running.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(bar) = running.get(name) {
                change(bar);
            }
        }
    }
}

impl Drop for DeployProgress {
    fn drop(&mut self) {
        if let Some(lines) = &self.lines {
            let running = lines.running.lock().unwrap_or_else(PoisonError::into_inner);
            for bar in running.values() {
                bar.finish_and_clear();
            }
            lines.total.finish_and_clear();
        }
    }
}

impl DeploySink for DeployProgress {
    fn began(&self, deployment: &Deployment, machines: usize) {
        self.line(&format!(
            "deployment {}: {} to do",
            deployment.id,
            count(machines, "machine")
        ));
        if let Some(lines) = &self.lines {
            lines
                .total
                .set_length(u64::try_from(machines).unwrap_or(u64::MAX));
        }
    }

    fn turn_began(&self, node: &DeployedNode) {
        let Some(lines) = &self.lines else {
            return;
        };
        let mut running = lines.running.lock().unwrap_or_else(PoisonError::into_inner);
        if running.len() >= LINES {
            return;
        }
        let bar = lines.all.add(ProgressBar::new_spinner());
        if let Ok(style) =
            ProgressStyle::with_template("{spinner} {prefix} {elapsed:.dim} {wide_msg:.dim}")
        {
            bar.set_style(style);
        }
        bar.set_prefix(node.name.clone());
        bar.enable_steady_tick(Duration::from_millis(120));
        running.insert(node.name.clone(), bar);
    }

    fn retried(&self, node: &str, attempt: u32, error: &Error) {
        self.line(&format!("  . {node}: attempt {attempt} failed: {error}"));
    }

    fn write(&self, node: &str, _: Stream, bytes: &[u8]) {
        self.with_bar(node, |bar| {
            let text = String::from_utf8_lossy(bytes);
            if let Some(line) = text.lines().rev().find(|line| !line.trim().is_empty()) {
                let plain: String = line.chars().filter(|c| !c.is_control()).collect();
                bar.set_message(plain);
            }
        });
    }

    fn turn_ended(&self, node: &DeployedNode) {
        if let Some(lines) = &self.lines {
            let mut running = lines.running.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(bar) = running.remove(&node.name) {
                bar.finish_and_clear();
            }
            drop(running);
            lines.total.inc(1);
        }
        let sign = match node.state {
            DeployedState::Succeeded => '+',
            DeployedState::Skipped => '=',
            DeployedState::Unknown => '?',
            _ => '!',
        };
        self.line(&format!("  {sign} {}: {}", node.name, outcome(node)));
    }

    fn paused(&self, until: Timestamp) {
        match &self.lines {
            Some(lines) => lines.total.set_message(format!("pause until {until:.0}")),
            None => self.out.note(&format!("  . pause until {until:.0}")),
        }
    }
}
