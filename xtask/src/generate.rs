//! `cargo xtask generate`: the reference pages, written from the code that they describe.
//!
//! A page is printed by a program of the workspace, from the tables that it works with itself.
//! `--check`, and with it `check-rules`, compares the text with the file, so that a page cannot
//! fall behind.

use std::process::{Command, ExitCode};

use fleetwright_core::{Error, Kind, Result};

use crate::programs::Programs;
use crate::rules::Violation;
use crate::workspace::{Workspace, output};

/// The folder of the generated pages.
const FOLDER: &str = "docs/reference";

/// Pages in that folder that people, tests or other chores write.
const WRITTEN_ELSEWHERE: [&str; 2] = ["docs/reference/benchmarks.md", "docs/reference/json.md"];

/// Each page, the program that prints it, and what it is asked for.
const PAGES: [(&str, &str, &[&str]); 7] = [
    ("cli.md", "fleetwright", &["__reference", "cli"]),
    (
        "exit-codes.md",
        "fleetwright",
        &["__reference", "exit-codes"],
    ),
    ("configuration.md", "reference", &["configuration"]),
    ("environment.md", "reference", &["environment"]),
    ("providers.md", "reference", &["providers"]),
    ("fleetwright.schema.json", "reference", &["schema"]),
    ("conformance.md", "cases", &[]),
];

const COMMAND: &str = "run `cargo xtask generate` and commit what it writes";

/// A file and what it must hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Page {
    /// Its path from the top folder.
    pub(crate) path: String,
    /// Its text.
    pub(crate) text: String,
}

/// Writes the pages, or only compares them.
pub(crate) fn run(workspace: &Workspace, check: bool) -> Result<ExitCode> {
    let programs = Programs::build(workspace)?;
    if check {
        let violations = stale(workspace, &programs)?;
        for violation in &violations {
            println!("{violation}");
        }
        return Ok(if violations.is_empty() {
            println!("{FOLDER} is current");
            ExitCode::SUCCESS
        } else {
            ExitCode::FAILURE
        });
    }
    let mut written = 0;
    for page in pages(&programs)? {
        if workspace.read(&page.path).ok().as_ref() != Some(&page.text) {
            write(workspace, &page)?;
            println!("wrote {}", page.path);
            written += 1;
        }
    }
    println!("{written} pages changed in {FOLDER}");
    Ok(ExitCode::SUCCESS)
}

/// The pages that are not what the code says, and the files that nothing generates.
pub(crate) fn stale(workspace: &Workspace, programs: &Programs) -> Result<Vec<Violation>> {
    let pages = pages(programs)?;
    let files = workspace.files()?;
    Ok(compare(&pages, &files, &|path| workspace.read(path).ok()))
}

fn compare(
    pages: &[Page],
    files: &[String],
    read: &dyn Fn(&str) -> Option<String>,
) -> Vec<Violation> {
    let mut violations = Vec::new();
    for page in pages {
        match read(&page.path) {
            None => violations.push(Violation::new(
                &page.path,
                1,
                "the page is missing",
                COMMAND,
            )),
            Some(text) if text != page.text => {
                let line = first_difference(&text, &page.text);
                violations.push(Violation::new(
                    &page.path,
                    line,
                    "not what the code says",
                    COMMAND,
                ));
            }
            Some(_) => {}
        }
    }
    for file in files
        .iter()
        .filter(|file| file.starts_with(&format!("{FOLDER}/")))
    {
        let is_known = WRITTEN_ELSEWHERE.contains(&file.as_str())
            || pages.iter().any(|page| page.path == *file);
        if !is_known {
            violations.push(Violation::new(
                file,
                1,
                "nothing generates this page",
                format!("remove it, or add it to xtask/src/generate.rs ({FOLDER} is generated)"),
            ));
        }
    }
    violations
}

fn pages(programs: &Programs) -> Result<Vec<Page>> {
    PAGES
        .iter()
        .map(|(name, program, arguments)| {
            // Nothing of this machine may get into a page: no environment, no terminal.
            let mut command = Command::new(programs.path(program)?);
            Ok(Page {
                path: format!("{FOLDER}/{name}"),
                text: output(command.env_clear().args(*arguments))?,
            })
        })
        .collect()
}

fn write(workspace: &Workspace, page: &Page) -> Result<()> {
    let path = workspace.root.join(&page.path);
    let folder = path.parent().unwrap_or(&workspace.root);
    std::fs::create_dir_all(folder)
        .and_then(|()| std::fs::write(&path, &page.text))
        .map_err(|e| {
            Error::new(Kind::Unexpected, format!("cannot write `{}`", page.path)).with_source(e)
        })
}

/// The first line in which two texts differ, from 1.
fn first_difference(one: &str, other: &str) -> usize {
    let same = one
        .lines()
        .zip(other.lines())
        .take_while(|(a, b)| a == b)
        .count();
    same + 1
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(text: &str) -> Page {
        Page {
            path: format!("{FOLDER}/a.md"),
            text: text.into(),
        }
    }

    #[test]
    fn a_page_that_is_missing_old_or_unknown_is_found() {
        let current = |_: &str| Some("a\nb\n".to_owned());
        let pages = [page("a\nb\n")];
        assert_eq!(compare(&pages, &[pages[0].path.clone()], &current), vec![]);

        let missing = compare(&pages, &[], &|_| None);
        assert_eq!(missing[0].what, "the page is missing");

        let old = compare(&[page("a\nc\n")], &[], &current);
        assert_eq!((old.len(), old[0].line), (1, 2));

        let unknown = compare(&[], &[format!("{FOLDER}/b.md")], &current);
        assert_eq!(unknown[0].what, "nothing generates this page");
        assert_eq!(
            compare(&[], &["docs/design/x.md".to_owned()], &current),
            vec![]
        );
    }
}
