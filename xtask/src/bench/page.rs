//! docs/reference/benchmarks.md: the machine, the numbers, and how to get them again.

use std::fmt::Write;
use std::process::Command;

use fleetwright_core::{Error, Kind, Result};

use super::Section;
use crate::workspace::output;

/// The page, from the top folder.
pub(super) const PATH: &str = "docs/reference/benchmarks.md";

/// What was measured on.
#[derive(Debug)]
pub(super) struct Machine {
    pub(super) date: String,
    pub(super) processor: String,
    pub(super) cores: usize,
    pub(super) kernel: String,
    pub(super) compiler: String,
    /// Processes that wanted to run, on average over a minute.
    pub(super) load: String,
}

impl Machine {
    pub(super) fn look() -> Result<Self> {
        let cores = std::thread::available_parallelism()
            .map_err(|e| unknown("processors").with_source(e))?;
        let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
        Ok(Self {
            date: output(Command::new("date").args(["-u", "+%Y-%m-%d"]))?
                .trim()
                .to_owned(),
            processor: processor(&read("/proc/cpuinfo")?)?,
            cores: cores.get(),
            kernel: read("/proc/sys/kernel/osrelease")?.trim().to_owned(),
            compiler: output(Command::new(rustc).arg("--version"))?
                .trim()
                .to_owned(),
            load: first_word(&read("/proc/loadavg")?),
        })
    }
}

/// The text of the page: the measured sections anew, the others as they were, in their order.
pub(super) fn text(old: &str, machine: &Machine, sections: &[Section]) -> String {
    let mut page = String::from(
        "# Benchmarks\n\n\
         What was promised, measured. Written by `cargo xtask bench --write`; run \
         `cargo xtask bench` to get the numbers of your machine (Linux, with OpenSSH and Python; \
         a quarter of an hour, much of it for the release build), `cargo xtask bench --quick exec` for \
         one of them with fewer repetitions. It ends with status 1 if a goal is missed. What is \
         compared is measured in one run, in turns. Not part of CI: other machines, and neighbors \
         on the same one, give other numbers. Ratios travel better than times.\n\n",
    );
    let facts = [
        ("Processor", &machine.processor),
        ("Cores", &machine.cores.to_string()),
        ("Kernel", &machine.kernel),
        ("Compiler", &machine.compiler),
    ];
    page.push_str("| Machine | |\n|---|---|\n");
    for (name, value) in facts {
        line(&mut page, &[name, value]);
    }
    let mut all: Vec<(String, String)> = (old.split("\n## ").skip(1))
        .filter_map(|part| {
            let (title, body) = part.split_once('\n')?;
            Some((title.to_owned(), body.to_owned()))
        })
        .collect();
    for section in sections {
        let body = body(machine, section);
        match all.iter_mut().find(|(title, _)| title == section.title) {
            Some(found) => found.1 = body,
            None => all.push((section.title.to_owned(), body)),
        }
    }
    for (title, body) in all {
        // Writing to a text cannot fail.
        let _ = write!(page, "\n## {title}\n{body}");
    }
    page
}

fn body(machine: &Machine, section: &Section) -> String {
    let mut text = format!(
        "\n{}\n\nMeasured on {}; load at the end: {}.\n\n",
        section.about, machine.date, machine.load
    );
    text.push_str("| What | Measured | Goal | Measured by goal | |\n|---|---|---|---|---|\n");
    for row in &section.rows {
        match &row.goal {
            None => line(&mut text, &[&row.what, &row.measured, "", "", ""]),
            Some(goal) => {
                let share = format!("{:.2}", goal.share);
                let cells = [&row.what, &row.measured, &goal.text, &share, goal.verdict()];
                line(&mut text, &cells);
            }
        }
    }
    text
}

fn line(page: &mut String, cells: &[&str]) {
    page.push('|');
    for cell in cells {
        if !cell.is_empty() {
            page.push(' ');
            page.push_str(cell);
            page.push(' ');
        }
        page.push('|');
    }
    page.push('\n');
}

fn read(path: &str) -> Result<String> {
    std::fs::read_to_string(path).map_err(|e| unknown(path).with_source(e))
}

fn processor(cpuinfo: &str) -> Result<String> {
    cpuinfo
        .lines()
        .filter(|line| line.starts_with("model name"))
        .find_map(|line| Some(line.split_once(':')?.1.trim().to_owned()))
        .ok_or_else(|| unknown("the processor's name"))
}

fn first_word(text: &str) -> String {
    text.split_whitespace()
        .next()
        .unwrap_or_default()
        .to_owned()
}

fn unknown(what: &str) -> Error {
    Error::new(
        Kind::Unsupported,
        format!("this machine does not tell: {what}"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::Row;

    #[test]
    fn the_page_shows_machine_numbers_goals_and_what_was_missed() {
        let machine = Machine {
            date: "2026-01-02".into(),
            processor: "Some CPU".into(),
            cores: 2,
            kernel: "6.1".into(),
            compiler: "rustc 1".into(),
            load: "0.1".into(),
        };
        let section = Section {
            title: "Start",
            about: "How.".into(),
            rows: vec![
                Row::told("nothing", "1 ms"),
                Row::told("ours", "9 ms").at_most("8 ms", 9.0, 8.0),
            ],
        };
        let old = "# Benchmarks\n\nx\n\n## Start\n\nOld.\n\n## Other\n\nAs it was.\n";
        let page = text(old, &machine, &[section]);
        assert!(page.contains("| Processor | Some CPU |\n"), "{page}");
        let table = "## Start\n\nHow.\n\nMeasured on 2026-01-02; load at the end: 0.1.\n\n| What | Measured | Goal | Measured by goal | |\n\
                     |---|---|---|---|---|\n| nothing | 1 ms ||||\n\
                     | ours | 9 ms | 8 ms | 1.12 | MISSED |\n\n## Other\n\nAs it was.\n";
        assert!(page.ends_with(table), "{page}");
    }

    #[test]
    fn the_first_processor_gives_the_name() {
        let name = processor("processor: 0\nmodel name\t: X 1\nmodel name\t: Y\n").unwrap();
        assert_eq!(name, "X 1");
        assert!(processor("nothing").is_err());
    }
}
