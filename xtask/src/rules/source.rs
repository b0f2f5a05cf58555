//! Rust files: length, module docs, printing, lint exceptions, marks of unfinished work.

use crate::rules::Violation;
use crate::rules::mask::{code_only, test_lines};

/// Longest file. A file tells one story.
const MAX_LINES: usize = 800;

/// Only these folders may print: the command, this tool, and the suite, which speaks inside tests.
const PRINTING: [&str; 3] = ["crates/cli/", "crates/conformance/", "xtask/"];

/// Checks one Rust file.
pub(crate) fn check(path: &str, text: &str) -> Vec<Violation> {
    let code = code_only(text);
    let mut violations = Vec::new();
    let length = text.lines().count();
    if length > MAX_LINES {
        violations.push(Violation::new(
            path,
            MAX_LINES + 1,
            format!("{length} lines"),
            format!("split it by subject; {MAX_LINES} is the limit"),
        ));
    }
    if !text.trim_start().starts_with("//!") {
        violations.push(Violation::new(
            path,
            1,
            "no module documentation",
            "begin the file with `//!`: what it is for and why",
        ));
    }
    violations.extend(unfinished(path, &code));
    violations.extend(printing(path, &code));
    violations.extend(exceptions(path, &code));
    violations
}

/// Macros and attributes that mark what is not done.
fn unfinished(path: &str, code: &str) -> Vec<Violation> {
    let marks = [
        ("todo!", "do it or leave it out"),
        ("unimplemented!", "do it or leave it out"),
        ("#[ignore", "mend the test or remove it"),
    ];
    let mut violations = Vec::new();
    for (at, line) in code.lines().enumerate() {
        for (mark, fix) in marks {
            if has_word(line, mark) {
                violations.push(Violation::new(path, at + 1, format!("`{mark}`"), fix));
            }
        }
    }
    violations
}

/// Printing outside the command. Tests, what is only there for them (`testing`), examples and build
/// scripts speak to their own readers.
fn printing(path: &str, code: &str) -> Vec<Violation> {
    let exempt = PRINTING.iter().any(|folder| path.starts_with(folder))
        || ["/tests/", "/testing/", "/examples/", "/benches/"]
            .iter()
            .any(|folder| path.contains(folder))
        || path.starts_with("examples/")
        || path.ends_with("/build.rs");
    if exempt {
        return Vec::new();
    }
    let in_test = test_lines(code);
    let mut violations = Vec::new();
    for (at, line) in code.lines().enumerate() {
        let printer = ["println!", "eprintln!", "print!", "eprint!", "dbg!"]
            .into_iter()
            .find(|printer| has_word(line, printer));
        if let Some(printer) = printer.filter(|_| !in_test[at]) {
            violations.push(Violation::new(
                path,
                at + 1,
                format!("`{printer}` outside the command"),
                "return the text, or log it with `tracing`",
            ));
        }
    }
    violations
}

/// `#[expect(…)]` and `#[allow(…)]` without a reason.
fn exceptions(path: &str, code: &str) -> Vec<Violation> {
    let mut violations = Vec::new();
    for opening in ["[expect(", "[allow("] {
        let mut from = 0;
        while let Some(found) = code[from..].find(opening) {
            let start = from + found;
            let body = &code[start..];
            let end = body.find(']').unwrap_or(body.len());
            if !body[..end].contains("reason =") && !body[..end].contains("reason=") {
                violations.push(Violation::new(
                    path,
                    code[..start].matches('\n').count() + 1,
                    format!("`#{opening}…)]` without a reason"),
                    "add `reason = \"…\"`",
                ));
            }
            from = start + end;
        }
    }
    violations
}

/// Whether `word` stands in the line and is not the end of a longer word.
fn has_word(line: &str, word: &str) -> bool {
    line.match_indices(word)
        .any(|(at, _)| !line[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_'))
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = "crates/core/src/a.rs";

    fn found(path: &str, text: &str) -> Vec<String> {
        check(path, text).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_good_file_passes() {
        let text = "//! Why.\n\n/// `println!` is only mentioned.\nfn a() { b(\"todo!()\") }\n\
                    #[expect(dead_code, reason = \"x\")]\nfn c() {}\n\
                    #[cfg(test)]\nmod tests {\n    fn d() { println!(\"counts\"); }\n}\n";
        assert_eq!(found(FILE, text), Vec::<String>::new());
    }

    #[test]
    fn each_mark_of_unfinished_work_is_found_with_its_line() {
        for code in [
            "todo!()",
            "unimplemented!(\"x\")",
            "#[ignore = \"slow\"]",
            "#[ignore]",
        ] {
            let found = found(FILE, &format!("//! Why.\n\n{code}\n"));
            assert_eq!(found.len(), 1, "{code}");
            assert!(
                found[0].starts_with("crates/core/src/a.rs:3: "),
                "{found:?}"
            );
        }
        assert_eq!(found(FILE, "//! Why.\nmytodo!();\n").len(), 0);
    }

    #[test]
    fn printing_is_for_the_command_only() {
        let text = "//! Why.\nfn a() { eprintln!(\"x\"); }\n";
        assert!(found(FILE, text)[0].contains(":2: `eprintln!` outside the command"));
        for free in [
            "crates/cli/src/a.rs",
            "xtask/src/a.rs",
            "crates/engine/tests/it/a.rs",
        ] {
            assert_eq!(found(free, text).len(), 0, "{free}");
        }
    }

    #[test]
    fn long_files_and_files_without_a_module_doc_are_found() {
        let long = format!("//! Why.\n{}", "\n".repeat(800));
        assert_eq!(found(FILE, &long).len(), 1);
        assert_eq!(found(FILE, &long[..long.len() - 1]).len(), 0);
        assert!(found(FILE, "fn a() {}\n")[0].contains(":1: no module documentation"));
    }

    #[test]
    fn an_exception_from_a_lint_needs_its_reason() {
        for attribute in ["#[allow(dead_code)]", "#![expect(\n    dead_code,\n)]"] {
            let found = found(FILE, &format!("//! Why.\n{attribute}\nfn a() {{}}\n"));
            assert_eq!(found.len(), 1, "{attribute}");
            assert!(found[0].contains(":2: "), "{found:?}");
        }
        let several = "//! Why.\n#[allow(\n    dead_code,\n    reason = \"kept\"\n)]\nfn a() {}\n";
        assert_eq!(found(FILE, several).len(), 0);
    }
}
