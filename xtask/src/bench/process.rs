//! Running programs and counting the processor time they take.

use std::path::Path;
use std::process::Command;

use fleetwright_core::{Error, Kind, Result};
use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeValLike;

use crate::workspace::output;

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
    let before = children()?;
    let started = std::time::Instant::now();
    output(command)?;
    let wall = started.elapsed().as_secs_f64() * 1e3;
    Ok(Cost {
        cpu: children()? - before,
        wall,
    })
}

/// Processor time of all children that have ended, in milliseconds. This process has one thread,
/// so between two looks only the child ended that was waited for.
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

/// Processor time so far, in milliseconds, of every running process that has this path among its
/// arguments, and of the children that it waited for. Each is known to 10 ms only.
pub(super) fn running(path: &Path) -> Result<f64> {
    let failed = |e| Error::new(Kind::Unsupported, "cannot read `/proc`").with_source(e);
    let mut ticks = 0_u64;
    for entry in std::fs::read_dir("/proc").map_err(failed)? {
        let process = entry.map_err(failed)?.path();
        // A process that ends meanwhile is none of those that are looked for.
        let Ok(words) = std::fs::read(process.join("cmdline")) else {
            continue;
        };
        if !String::from_utf8_lossy(&words).contains(&*path.to_string_lossy()) {
            continue;
        }
        if let Ok(stat) = std::fs::read_to_string(process.join("stat")) {
            ticks += ticks_of(&stat);
        }
    }
    Ok(ticks as f64 * 10.0)
}

/// The four times in a line of `/proc/<pid>/stat`: user and system, own and of children.
fn ticks_of(stat: &str) -> u64 {
    let after_name = stat.rsplit_once(')').map_or("", |(_, rest)| rest);
    after_name
        .split_whitespace()
        .skip(11)
        .take(4)
        .filter_map(|word| word.parse::<u64>().ok())
        .sum()
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
    fn a_name_with_spaces_and_brackets_does_not_shift_the_fields() {
        let stat = "7 (a) b) S 1 2 3 4 5 6 7 8 9 10 100 20 3 1 99 99";
        assert_eq!(ticks_of(stat), 124);
        assert_eq!(ticks_of(""), 0);
    }
}
