//! The documents that every checkout has.

use crate::rules::Violation;

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
}
