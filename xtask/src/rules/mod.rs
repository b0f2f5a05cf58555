//! `cargo xtask check-rules`: what compilers and linters do not check.
//!
//! | file | rules |
//! |---|---|
//! | `walls` | who may depend on whom |
//! | `manifests` | reasons beside dependencies, none unused, lints inherited |
//! | `source` | length, module docs, printing, reasons of lint exceptions, marks of unfinished work |
//! | `text` | words and addresses that belong to nobody else's machine, in every text file |
//! | `documents` | those that must exist, the changelog, links, examples |
//!
//! Every rule is a function from text to violations, so that each is shown to fail by a test.

mod documents;
mod manifests;
mod mask;
mod source;
mod text;
mod walls;

use std::collections::BTreeSet;
use std::fmt;
use std::path::Path;
use std::process::ExitCode;

use fleetwright_core::Result;

use crate::generate;
use crate::programs::Programs;
use crate::scratch::Scratch;
use crate::workspace::Workspace;

/// A rule that is broken somewhere.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Violation {
    /// The file, from the top folder.
    pub(crate) path: String,
    /// The line, from 1.
    pub(crate) line: usize,
    /// What is wrong.
    pub(crate) what: String,
    /// What to do about it.
    pub(crate) fix: String,
}

impl Violation {
    pub(crate) fn new(
        path: impl Into<String>,
        line: usize,
        what: impl Into<String>,
        fix: impl Into<String>,
    ) -> Self {
        Self {
            path: path.into(),
            line,
            what: what.into(),
            fix: fix.into(),
        }
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}:{}: {}; {}",
            self.path, self.line, self.what, self.fix
        )
    }
}

/// Checks everything and prints one line per violation.
pub(crate) fn run(workspace: &Workspace) -> Result<ExitCode> {
    let mut violations = Vec::new();
    let manifest = |package: &crate::workspace::Package| workspace.read(&package.manifest);
    let mut members = Vec::new();
    for package in &workspace.packages {
        members.push((package, manifest(package)?));
    }
    violations.extend(walls::check(&members));
    violations.extend(manifests::check(&workspace.read("Cargo.toml")?, &members)?);

    let files = workspace.files()?;
    let known: BTreeSet<String> = files.iter().cloned().collect();
    let root = workspace.root.to_string_lossy();
    let programs = Programs::build(workspace)?;
    for path in &files {
        if Path::new(path).extension().is_some_and(|end| end == "rs") {
            violations.extend(source::check(path, &workspace.read(path)?));
        }
        if text::is_checked(path) {
            violations.extend(text::check(path, &workspace.read(path)?, &root));
        }
        if Path::new(path).extension().is_some_and(|end| end == "md") {
            let text = workspace.read(path)?;
            violations.extend(documents::links(path, &text, &known));
            let scratch = Scratch::new(workspace, &programs, "snippets")?;
            violations.extend(documents::configurations(path, &text, &scratch)?);
        }
    }
    violations.extend(documents::check(&|path| workspace.read(path).ok()));
    violations.extend(generate::stale(workspace, &programs)?);

    violations.sort();
    for violation in &violations {
        println!("{violation}");
    }
    let (crates, count) = (workspace.packages.len(), files.len());
    match violations.len() {
        0 => {
            println!("rules hold: {crates} crates, {count} files");
            Ok(ExitCode::SUCCESS)
        }
        broken => {
            eprintln!("{broken} violations in {crates} crates, {count} files");
            Ok(ExitCode::FAILURE)
        }
    }
}
