//! Running programs and counting the processor time they take.

use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use fleetwright_core::{Error, Kind, Result};
use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeValLike;

use crate::workspace::output;

/// Pause between two looks at the memory.
const LOOK: Duration = Duration::from_millis(100);
/// Bytes in a page of memory.
const PAGE: u64 = 4_096;

/// What a program and all that it waited for took.
#[derive(Debug, Clone, Copy)]
pub(super) struct Cost {
    /// User and system time, in milliseconds.
    pub(super) cpu: f64,
    /// From start to end, in milliseconds.
    pub(super) wall: f64,
}

/// Runs a program to its end.
///
/// # Errors
/// As [`output`].
pub(super) fn cost(command: &mut Command) -> Result<Cost> {
    cost_and_output(command).map(|(cost, _)| cost)
}

/// The same, with what it wrote to standard output.
pub(super) fn cost_and_output(command: &mut Command) -> Result<(Cost, String)> {
    let before = children()?;
    let started = std::time::Instant::now();
    let text = output(command)?;
    let wall = started.elapsed().as_secs_f64() * 1e3;
    let cpu = children()? - before;
    Ok((Cost { cpu, wall }, text))
}

/// What a program took, what it said, and how much memory it had.
#[derive(Debug, Clone)]
pub(super) struct Watched {
    pub(super) cost: Cost,
    /// What it wrote to standard output.
    pub(super) text: String,
    /// The greatest sum of the resident memory of the program and its descendants, in MB.
    pub(super) memory: f64,
}

/// Runs a program to its end and looks at its memory meanwhile.
pub(super) fn watched(command: &mut Command) -> Result<Watched> {
    let ended = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let watcher = scope.spawn(|| {
            let mut most = 0;
            while !ended.load(Ordering::Relaxed) {
                most = most.max(resident_of_descendants());
                #[expect(
                    clippy::disallowed_methods,
                    reason = "this thread only looks at the memory from time to time"
                )]
                std::thread::sleep(LOOK);
            }
            most
        });
        let outcome = cost_and_output(command);
        ended.store(true, Ordering::Relaxed);
        let pages = watcher
            .join()
            .map_err(|_| Error::new(Kind::Unexpected, "the look at the memory was cut off"))?;
        let (cost, text) = outcome?;
        let memory = (pages * PAGE) as f64 / 1e6;
        Ok(Watched { cost, text, memory })
    })
}

/// Resident pages of all descendants of this process, without SSH servers and their sessions: those
/// are no part of a contestant.
fn resident_of_descendants() -> u64 {
    let mut processes = Vec::new();
    for entry in std::fs::read_dir("/proc").into_iter().flatten().flatten() {
        let name = entry.file_name();
        let Some(id) = name.to_str().and_then(|name| name.parse::<u32>().ok()) else {
            continue;
        };
        let stat = std::fs::read_to_string(entry.path().join("stat")).unwrap_or_default();
        let Some((name, fields)) = stat.rsplit_once(')') else {
            continue;
        };
        let fields: Vec<&str> = fields.split_whitespace().collect();
        // The parent is field 4, the resident pages are field 24.
        let parent = fields.get(1).and_then(|field| field.parse::<u32>().ok());
        let pages = fields.get(21).and_then(|field| field.parse::<u64>().ok());
        if let (Some(parent), Some(pages)) = (parent, pages) {
            processes.push((id, parent, pages, name.contains("(sshd")));
        }
    }
    let mut family = std::collections::BTreeSet::from([std::process::id()]);
    let mut sum = 0;
    // A child may have a smaller number than its parent, so it takes some rounds.
    loop {
        let before = family.len();
        processes.retain(|(id, parent, pages, is_server)| {
            let is_descendant = family.contains(parent) && !is_server;
            if is_descendant {
                family.insert(*id);
                sum += pages;
            }
            !is_descendant
        });
        if family.len() == before {
            return sum;
        }
    }
}

/// Processor time of all children that have ended, in milliseconds. No other
/// thread starts any, so between two looks only the child ended that was waited for.
fn children() -> Result<f64> {
    let usage = getrusage(UsageWho::RUSAGE_CHILDREN).map_err(|e| {
        Error::new(
            Kind::Unsupported,
            "the system does not count processor time",
        )
        .with_source(e)
    })?;
    let micros = usage.user_time().num_microseconds() + usage.system_time().num_microseconds();
    Ok(micros as f64 / 1e3)
}

/// Processor time so far, in milliseconds, of the threads of every running process that has this
/// path among its arguments. What threads and children took that have ended is not counted.
pub(super) fn running(path: &Path) -> Result<f64> {
    let failed = |e| Error::new(Kind::Unsupported, "cannot read `/proc`").with_source(e);
    let mut nanos = 0_u64;
    for entry in std::fs::read_dir("/proc").map_err(failed)? {
        let process = entry.map_err(failed)?.path();
        // A process or thread that ends meanwhile is none of those that are looked for.
        let Ok(words) = std::fs::read(process.join("cmdline")) else {
            continue;
        };
        if !String::from_utf8_lossy(&words).contains(&*path.to_string_lossy()) {
            continue;
        }
        let Ok(threads) = std::fs::read_dir(process.join("task")) else {
            continue;
        };
        for thread in threads.flatten() {
            if let Ok(stat) = std::fs::read_to_string(thread.path().join("schedstat")) {
                nanos += nanos_of(&stat);
            }
        }
    }
    Ok(nanos as f64 / 1e6)
}

/// The time on a processor in a line of `/proc/<pid>/task/<tid>/schedstat`.
fn nanos_of(schedstat: &str) -> u64 {
    let first = schedstat.split_whitespace().next();
    first.and_then(|word| word.parse().ok()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_time_of_a_child_is_counted() {
        let busy = "i=0; while [ $i -lt 100000 ]; do i=$((i+1)); done";
        let spent = cost(Command::new("sh").args(["-c", busy])).unwrap();
        assert!(spent.cpu > 5.0, "{spent:?}");
        assert!(spent.wall > 0.0, "{spent:?}");
    }

    #[test]
    fn the_time_on_the_processor_comes_first() {
        assert_eq!(nanos_of("90943609 76504959 320\n"), 90_943_609);
        assert_eq!(nanos_of(""), 0);
    }
}
