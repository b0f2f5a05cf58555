//! The documents: those that every checkout has, links that lead somewhere, examples that work.

use std::collections::BTreeSet;
use std::path::{Component, Path, PathBuf};

use fleetwright_core::{Error, Kind, Result};

use crate::markdown::{Block, blocks};
use crate::rules::Violation;
use crate::scratch::Scratch;

const DOCUMENTS: [&str; 6] = [
    "README.md",
    "CONTRIBUTING.md",
    "CHANGELOG.md",
    "SCOPE.md",
    "SECURITY.md",
    "LICENSE",
];

/// Checks that the documents are there and that the changelog takes entries. `read` gives the
/// text of a file, or `None` if there is none.
pub(crate) fn check(read: &dyn Fn(&str) -> Option<String>) -> Vec<Violation> {
    let mut violations = Vec::new();
    for path in DOCUMENTS {
        let Some(text) = read(path) else {
            violations.push(Violation::new(
                path,
                1,
                "the document is missing",
                "write it",
            ));
            continue;
        };
        if path == "CHANGELOG.md" && !text.lines().any(|line| line.trim() == "## [Unreleased]") {
            violations.push(Violation::new(
                path,
                1,
                "no section `## [Unreleased]`",
                "add it above the last release",
            ));
        }
    }
    violations
}

/// Checks that every relative link of a Markdown file leads to a file or folder of the project.
pub(crate) fn links(path: &str, text: &str, files: &BTreeSet<String>) -> Vec<Violation> {
    let folder = Path::new(path).parent().unwrap_or(Path::new(""));
    let mut violations = Vec::new();
    let mut fenced = false;
    for (at, line) in text.lines().enumerate() {
        if line.trim_start().starts_with("```") {
            fenced = !fenced;
        }
        if fenced {
            continue;
        }
        for target in targets(line) {
            let resolved = resolve(folder, target);
            let exists = resolved.as_ref().is_some_and(|target| {
                files.contains(target)
                    || files
                        .iter()
                        .any(|file| file.starts_with(&format!("{target}/")))
            });
            if !exists {
                violations.push(Violation::new(
                    path,
                    at + 1,
                    format!("the link to `{target}` leads nowhere"),
                    "mend or remove it",
                ));
            }
        }
    }
    violations
}

/// Checks that every TOML block of a Markdown file is a configuration that the command accepts.
/// Files that one names are those that the document shows.
pub(crate) fn configurations(path: &str, text: &str, scratch: &Scratch) -> Result<Vec<Violation>> {
    let blocks = blocks(text);
    for block in &blocks {
        if let Some(file) = &block.file {
            scratch.write(file, &block.text)?;
        }
    }
    refused(path, &blocks, &|toml| validate(scratch, toml))
}

/// One violation for each TOML block that `read` says something against.
fn refused(
    path: &str,
    blocks: &[Block],
    read: &dyn Fn(&str) -> Result<Option<String>>,
) -> Result<Vec<Violation>> {
    let mut violations = Vec::new();
    for block in blocks.iter().filter(|block| block.language == "toml") {
        if let Some(refusal) = read(&block.text)? {
            violations.push(Violation::new(
                path,
                block.line,
                format!("the example is refused: {refusal}"),
                "mend the example",
            ));
        }
    }
    Ok(violations)
}

/// What `fleetwright validate` says against a configuration; `None` if nothing.
fn validate(scratch: &Scratch, toml: &str) -> Result<Option<String>> {
    const NAME: &str = "example.toml";
    scratch.write(NAME, toml)?;
    let done = scratch
        .command("fleetwright")
        .args(["validate", "--config", NAME])
        .output()
        .map_err(|e| Error::new(Kind::NotFound, "cannot start `fleetwright`").with_source(e))?;
    if done.status.success() {
        return Ok(None);
    }
    let said = String::from_utf8_lossy(&done.stderr);
    let lines: Vec<_> = said.lines().map(str::trim).collect();
    Ok(Some(lines.join(" ")))
}

/// The relative targets of the links in a line, without their fragments.
fn targets(line: &str) -> impl Iterator<Item = &str> {
    line.match_indices("](").filter_map(|(at, opening)| {
        let rest = &line[at + opening.len()..];
        let target = &rest[..rest.find(')')?];
        let target = target.split('#').next().unwrap_or(target);
        let is_relative = !target.is_empty() && !target.contains(':');
        is_relative.then_some(target)
    })
}

/// The path from the top folder; `None` if it leads out of the project.
fn resolve(folder: &Path, target: &str) -> Option<String> {
    let mut resolved = PathBuf::new();
    for part in folder.join(target).components() {
        match part {
            Component::Normal(name) => resolved.push(name),
            Component::CurDir => {}
            Component::ParentDir if resolved.pop() => {}
            _ => return None,
        }
    }
    Some(resolved.to_string_lossy().into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn documents_must_exist_and_the_changelog_must_take_entries() {
        let good = |_: &str| Some("# Title\n\n## [Unreleased]\n".to_owned());
        assert_eq!(check(&good), vec![]);
        let empty = |_: &str| Some("# Title\n".to_owned());
        assert_eq!(check(&empty).len(), 1);
        assert_eq!(check(&|_| None).len(), DOCUMENTS.len());
    }

    #[test]
    fn a_refused_example_is_found_with_its_line() {
        let read = |toml: &str| Ok(toml.contains("wanted").then(|| "unknown key".to_owned()));
        let check = |text: &str| refused("a.md", &blocks(text), &read).unwrap();
        assert_eq!(check("text\n```toml\ndesired = 3\n```\n"), vec![]);
        let refused = check("text\n```toml fleetwright.toml\nwanted = 3\n```\n");
        assert_eq!((refused.len(), refused[0].line), (1, 3));
        assert_eq!(check("```text\nwanted\n```\n"), vec![]);
    }

    #[test]
    fn links_lead_to_files_and_folders_of_the_project() {
        let files = BTreeSet::from(["docs/a/b.md".to_owned(), "c.md".to_owned()]);
        let found = |text: &str| links("docs/a/x.md", text, &files).len();
        for good in [
            "[b](b.md)",
            "[c](../../c.md#part)",
            "[a](../a)",
            "[web](https://example.com/x)",
            "[here](#part)",
            "```\n[x](missing.md)\n```",
        ] {
            assert_eq!(found(good), 0, "{good}");
        }
        for bad in ["[x](missing.md)", "[b](a/b.md)", "[out](../../../c.md)"] {
            assert_eq!(found(bad), 1, "{bad}");
        }
        let all = links("docs/a/x.md", "ok\n[b](b.md) [x](y.md)\n", &files);
        assert_eq!((all.len(), all[0].line), (1, 2));
    }
}
