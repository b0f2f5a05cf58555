//! Text of every kind: no marks of unfinished work, no paths and hosts of one machine.
//!
//! A clone must work anywhere, so nothing may point into somebody's home, checkout or network.

use crate::rules::Violation;

/// Marks that say "not done". Written in pieces, so that this file does not hold them.
const MARKS: [(&str, &str); 3] = [
    (
        concat!("FIX", "ME"),
        "mend it, or say what is left out in SCOPE.md",
    ),
    (
        concat!("TO", "DO"),
        "do it, or say what is left out in SCOPE.md",
    ),
    (
        concat!("place", "holder"),
        "name what it stands for; nothing unfinished lands",
    ),
];

/// Folders that exist only on some machine.
const FOLDERS: [&str; 2] = [concat!("/wo", "rk/"), concat!("/tmp/bash", "_jobs")];

/// Ends of host names that mean something in one network only.
const PRIVATE_ENDS: [&str; 4] = [".internal", ".lan", ".corp", ".intranet"];

/// Hosts that look private and are part of a vendor's public contract.
const PUBLIC_HOSTS: [&str; 1] = ["metadata.google.internal"];

/// Whether a file is text that we write.
pub(crate) fn is_checked(path: &str) -> bool {
    let ends = [
        ".rs",
        ".md",
        ".toml",
        ".sql",
        ".sh",
        ".json",
        ".yml",
        ".yaml",
        ".txt",
        ".py",
        ".html",
        "Cargo.lock",
    ];
    path.starts_with(".ci/") || ends.iter().any(|end| path.ends_with(end))
}

/// Checks one file. `root` is the path of this checkout.
pub(crate) fn check(path: &str, text: &str, root: &str) -> Vec<Violation> {
    let mut violations = Vec::new();
    let mut add = |line: usize, what: String, fix: &str| {
        violations.push(Violation::new(path, line, what, fix));
    };
    let is_lock = path == "Cargo.lock";
    for (at, line) in text.lines().enumerate() {
        let number = at + 1;
        if is_lock {
            if let Some(source) = foreign_source(line) {
                add(
                    number,
                    format!("`{source}` is no public registry"),
                    "use crates.io",
                );
            }
            continue;
        }
        for (mark, fix) in MARKS {
            if has_mark(line, mark) {
                add(number, format!("`{mark}`"), fix);
            }
        }
        for folder in FOLDERS.into_iter().chain(own_folder(root)) {
            if has_path(line, folder) {
                add(
                    number,
                    format!("`{folder}` exists on one machine only"),
                    "write a relative path",
                );
            }
        }
        for host in hosts(line).filter(|host| is_private(host)) {
            add(
                number,
                format!("`{host}` is known in one network only"),
                "use a public address",
            );
        }
        if path.ends_with(".cargo/config.toml") && line.trim_start().starts_with("[source") {
            add(
                number,
                "a replaced package source".to_owned(),
                "leave mirrors to each machine",
            );
        }
    }
    violations
}

/// The path of the checkout, if it is telling enough to be looked for.
fn own_folder(root: &str) -> Option<&str> {
    (root.matches('/').count() >= 2).then_some(root)
}

/// Upper-case marks must match as whole words; others in any case.
fn has_mark(line: &str, mark: &str) -> bool {
    if mark.chars().any(char::is_lowercase) {
        return line.to_lowercase().contains(mark);
    }
    let in_word = |c: char| c.is_alphanumeric() || c == '_';
    line.match_indices(mark).any(|(at, _)| {
        !line[..at].ends_with(in_word) && !line[at + mark.len()..].starts_with(in_word)
    })
}

/// Whether an absolute path begins here; `src/work/` is not one.
fn has_path(line: &str, folder: &str) -> bool {
    line.match_indices(folder).any(|(at, _)| {
        !line[..at]
            .ends_with(|c: char| c.is_alphanumeric() || matches!(c, '_' | '-' | '.' | '}' | '>'))
    })
}

/// The source of a locked package that is not crates.io.
fn foreign_source(line: &str) -> Option<&str> {
    line.strip_prefix("source = \"")
        .map(|rest| rest.trim_end_matches('"'))
        .filter(|source| *source != "registry+https://github.com/rust-lang/crates.io-index")
}

/// The hosts of the addresses in a line, with their ports.
fn hosts(line: &str) -> impl Iterator<Item = &str> {
    line.match_indices("://").map(|(at, separator)| {
        let rest = &line[at + separator.len()..];
        let end = rest
            .find(|c: char| !(c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | ':')))
            .unwrap_or(rest.len());
        &rest[..end]
    })
}

fn is_private(host: &str) -> bool {
    let (name, port) = host.split_once(':').unwrap_or((host, ""));
    if PUBLIC_HOSTS.contains(&name) {
        return false;
    }
    let bare_with_port = !name.is_empty()
        && !name.contains('.')
        && name != "localhost"
        && port.starts_with(|c: char| c.is_ascii_digit());
    bare_with_port || PRIVATE_ENDS.iter().any(|end| name.ends_with(end))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(path: &str, text: &str) -> Vec<String> {
        check(path, text, "/some/checkout")
            .iter()
            .map(ToString::to_string)
            .collect()
    }

    #[test]
    fn each_mark_is_found_with_its_line() {
        for (mark, _) in MARKS {
            let found = found("docs/a.md", &format!("fine\nhere {mark}: later\n"));
            assert_eq!(found.len(), 1, "{mark}");
            assert!(found[0].starts_with("docs/a.md:2: "), "{found:?}");
        }
        assert_eq!(
            found("docs/a.md", concat!("METO", "DOS, auto", "do\n")).len(),
            0
        );
    }

    #[test]
    fn paths_of_one_machine_are_found() {
        let (work, other) = (FOLDERS[0], "/some/checkout/crates");
        for text in [format!("see {work}x"), format!("`{other}`")] {
            assert_eq!(found("a.rs", &text).len(), 1, "{text}");
        }
        for text in [format!("src{work}x"), "/some/other".to_owned()] {
            assert_eq!(found("a.rs", &text).len(), 0, "{text}");
        }
    }

    #[test]
    fn hosts_of_one_network_are_found() {
        for bad in ["mirror:8080/x", "crates.corp/x", "a.lan"] {
            let address = ["http", "://", bad].concat();
            assert_eq!(found("a.toml", &address).len(), 1, "{address}");
        }
        for good in [
            "https://docs.rs/x",
            "http://localhost:80",
            "http://127.0.0.1:{port}",
            "http://metadata.google.internal/x",
            "http://{host}:80",
            "sqlite::memory: a://b",
        ] {
            assert_eq!(found("a.toml", good).len(), 0, "{good}");
        }
    }

    #[test]
    fn a_locked_package_comes_from_the_public_registry() {
        let good = "source = \"registry+https://github.com/rust-lang/crates.io-index\"\n";
        assert_eq!(found("Cargo.lock", good).len(), 0);
        let bad = "source = \"registry+https://mirror.example/index\"\n";
        assert_eq!(found("Cargo.lock", bad).len(), 1);
        assert_eq!(found(".cargo/config.toml", "[source.crates-io]\n").len(), 1);
    }
}
