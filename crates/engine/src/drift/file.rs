//! What a file holds, and whose it is.

use fleetwright_core::{Expectation, FileCheck, Fingerprint};

use super::answer::Answer;
use super::command::sha256;
use super::judge::Judged;
use super::question::Question;

/// The hash is asked for only if it is compared; a link is followed.
const SCRIPT: &str = r#"
if [ -f "$1" ]; then
    echo 'kind file'
elif [ -d "$1" ]; then
    echo 'kind directory'
else
    echo 'kind other'
fi
if at=$(stat -L -c '%a %U:%G %u:%g' "$1" 2>/dev/null); then
    printf 'stat %s\n' "$at"
else
    echo 'lacks stat'
fi
if [ "$2" = sum ] && [ -f "$1" ]; then
    if [ ! -r "$1" ]; then
        echo unreadable
    elif sum=$(sha256sum <"$1") || sum=$(shasum -a 256 <"$1") || sum=$(openssl dgst -sha256 -r <"$1"); then
        printf 'sha256 %s\n' "${sum%% *}"
    else
        echo unhashed
    fi
fi
echo end
"#;

pub(super) fn question(check: &FileCheck) -> Question {
    let sum = has_content(check) && !check.absent;
    Question::at_path(SCRIPT, &[&check.path, if sum { "sum" } else { "" }])
}

fn has_content(check: &FileCheck) -> bool {
    check.content.is_some() || check.source.is_some() || check.sha256.is_some()
}

pub(super) fn judge(
    check: &FileCheck,
    expectation: &Expectation,
    answer: &Answer,
    limit: u64,
) -> Judged {
    let content = content(check, expectation);
    let expected = expected(check, content.as_deref());
    if has_content(check) && content.is_none() {
        return Judged::unexpected("nobody knows what it should hold".to_owned());
    }
    let words = [
        "absent",
        "dangling",
        "hidden",
        "kind",
        "stat",
        "lacks",
        "sha256",
        "unreadable",
        "unhashed",
    ];
    let answer = match answer.checked(&words, limit) {
        Ok(answer) => answer,
        Err(why) => return Judged::unknown(why, expected),
    };
    let is = |word| answer.value(word).is_some();
    let path = &check.path;
    if is("hidden") {
        let why = format!("a directory above `{path}` cannot be searched");
        return Judged::unknown(why, expected);
    }
    if is("absent") {
        return if check.absent {
            Judged::agrees(expected, "no file".to_owned())
        } else {
            Judged::missing(format!("there is no `{path}`"), expected)
        };
    }
    if check.absent {
        let found = match answer.value("kind") {
            Some("directory") => "a directory",
            Some("file") => "a file",
            _ if is("dangling") => "a link to nothing",
            Some("other") => "something else than a file",
            _ => return Judged::unknown("the node did not say what is there", expected),
        };
        return Judged::differs(format!("there is {found}"), expected, found.to_owned());
    }
    if is("dangling") {
        return Judged::missing(format!("`{path}` is a link to nothing"), expected);
    }
    let parts = compare(check, content.as_deref(), answer);
    let actual = parts.actual.join(", ");
    let actual = if actual.is_empty() {
        "a file".to_owned()
    } else {
        actual
    };
    match (parts.differs.is_empty(), parts.unknown.first()) {
        (false, _) => Judged::differs(parts.differs.join(", "), expected, actual),
        (true, Some(why)) => Judged::unknown(why.clone(), expected),
        (true, None) => Judged::agrees(expected, actual),
    }
}

/// What was compared, in words.
#[derive(Default)]
struct Parts {
    actual: Vec<String>,
    differs: Vec<String>,
    unknown: Vec<String>,
}

fn compare(check: &FileCheck, content: Option<&str>, answer: &Answer) -> Parts {
    let mut parts = Parts::default();
    let kind = answer.value("kind").unwrap_or_default();
    if let Some(wanted) = content {
        match answer.value("sha256") {
            Some(hash) if is_hash(hash) => {
                parts.actual.push(sha256(hash));
                if !hash.eq_ignore_ascii_case(wanted) {
                    parts.differs.push("it holds something else".to_owned());
                }
            }
            _ if kind == "directory" || kind == "other" => {
                let what = if kind == "directory" {
                    "a directory"
                } else {
                    "no regular file"
                };
                parts.actual.push(what.to_owned());
                parts.differs.push(format!("it is {what}"));
            }
            _ if answer.value("unreadable").is_some() => {
                parts.unknown.push("the user cannot read it".to_owned());
            }
            _ => parts
                .unknown
                .push("the node cannot hash it: no `sha256sum`, or reading failed".to_owned()),
        }
    }
    if check.mode.is_none() && check.owner.is_none() {
        return parts;
    }
    let stat: Vec<&str> = answer
        .value("stat")
        .unwrap_or_default()
        .split(' ')
        .collect();
    let [mode, names, numbers] = stat[..] else {
        parts
            .unknown
            .push("the node does not tell mode and owner: no `stat`".to_owned());
        return parts;
    };
    if let Some(wanted) = &check.mode {
        parts.actual.push(format!("mode {}", padded(mode)));
        if octal(mode).is_none() || octal(mode) != octal(wanted) {
            parts.differs.push(format!(
                "mode {} instead of {}",
                padded(mode),
                padded(wanted)
            ));
        }
    }
    if let Some(wanted) = &check.owner {
        parts.actual.push(format!("owner {names}"));
        if !is_owner(wanted, names, numbers) {
            parts
                .differs
                .push(format!("owner {names} instead of {wanted}"));
        }
    }
    parts
}

fn is_hash(text: &str) -> bool {
    text.len() == 64 && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

fn octal(mode: &str) -> Option<u32> {
    u32::from_str_radix(mode, 8).ok()
}

/// As people write it: four digits.
fn padded(mode: &str) -> String {
    match octal(mode) {
        Some(mode) => format!("{mode:04o}"),
        None => mode.to_owned(),
    }
}

/// Whether `user` or `user:group` is meant by one of the two pairs: names, or numbers.
fn is_owner(wanted: &str, names: &str, numbers: &str) -> bool {
    let split = |text| match str::split_once(text, ':') {
        Some((user, group)) => (user, Some(group)),
        None => (text, None),
    };
    let (user, group) = split(wanted);
    let (name, group_name) = split(names);
    let (number, group_number) = split(numbers);
    (user == name || user == number)
        && group.is_none_or(|group| Some(group) == group_name || Some(group) == group_number)
}

/// The SHA-256 of the expected content, if one is expected and known.
fn content(check: &FileCheck, expectation: &Expectation) -> Option<String> {
    match expectation {
        Expectation::Content(hash) => Some(hash.to_ascii_lowercase()),
        _ => match (&check.sha256, &check.content) {
            (Some(hash), _) => Some(hash.to_ascii_lowercase()),
            (None, Some(text)) => Some(Fingerprint::of_bytes(text.as_bytes()).as_str().to_owned()),
            (None, None) => None,
        },
    }
}

fn expected(check: &FileCheck, content: Option<&str>) -> String {
    if check.absent {
        return "no file".to_owned();
    }
    let parts: Vec<String> = [
        content.map(sha256),
        check
            .mode
            .as_deref()
            .map(|mode| format!("mode {}", padded(mode))),
        check.owner.as_deref().map(|owner| format!("owner {owner}")),
    ]
    .into_iter()
    .flatten()
    .collect();
    if parts.is_empty() {
        return "a file".to_owned();
    }
    parts.join(", ")
}

#[cfg(test)]
mod tests {
    use fleetwright_core::Verdict;

    use super::*;

    const FOO: &str = "2c26b46b68ffc68ff99b453c1d30413413422d706483bfa0f98a5e886266e7ae";

    fn check() -> FileCheck {
        FileCheck {
            path: "/etc/motd".into(),
            content: Some("foo".into()),
            mode: Some("0644".into()),
            owner: Some("root:0".into()),
            ..FileCheck::default()
        }
    }

    fn judged(check: &FileCheck, lines: &[&str]) -> Judged {
        judge(check, &Expectation::Written, &Answer::said(lines), 60)
    }

    #[test]
    fn everything_that_is_said_of_it_must_hold() {
        let hash = format!("sha256 {FOO}");
        let good = judged(&check(), &["kind file", "stat 644 root:root 0:0", &hash]);
        assert_eq!(good.verdict, Verdict::Agrees);
        assert_eq!(
            good.expected,
            Some(format!("sha256:{FOO}, mode 0644, owner root:0"))
        );
        let stranger = judged(&check(), &["kind file", "stat 4755 www:www 33:33", &hash]);
        assert_eq!(
            stranger.verdict.reason(),
            Some("mode 4755 instead of 0644, owner www:www instead of root:0")
        );
        let folder = judged(&check(), &["kind directory", "stat 644 root:root 0:0"]);
        assert_eq!(folder.verdict.reason(), Some("it is a directory"));
    }

    #[test]
    fn absent_hidden_and_dangling_are_three_things() {
        let missing = judged(&check(), &["absent"]);
        assert!(matches!(missing.verdict, Verdict::Missing { .. }));
        let dangling = judged(&check(), &["dangling"]);
        assert!(matches!(dangling.verdict, Verdict::Missing { .. }));
        let hidden = judged(&check(), &["hidden"]);
        assert!(matches!(hidden.verdict, Verdict::Unknown { .. }));
        let none = FileCheck {
            path: "/etc/nologin".into(),
            absent: true,
            ..FileCheck::default()
        };
        assert_eq!(judged(&none, &["absent"]).verdict, Verdict::Agrees);
        assert!(judged(&none, &["dangling"]).verdict.is_drift());
        assert!(judged(&none, &["kind file"]).verdict.is_drift());
        assert!(!judged(&none, &["hidden"]).verdict.is_drift());
    }

    #[test]
    fn what_cannot_be_read_is_unknown_unless_something_else_differs() {
        let lines = ["kind file", "stat 644 root:root 0:0", "unreadable"];
        let unknown = judged(&check(), &lines);
        assert_eq!(unknown.verdict.reason(), Some("the user cannot read it"));
        assert!(matches!(unknown.verdict, Verdict::Unknown { .. }));
        let lines = ["kind file", "stat 600 root:root 0:0", "unreadable"];
        assert!(judged(&check(), &lines).verdict.is_drift());
        for lines in [
            &["kind file", "lacks stat", "unhashed"][..],
            &["kind file", "stat 644 root:root 0:0", "sha256 xyz"],
            &["kind file"],
            &[],
        ] {
            let judged = judged(&check(), lines);
            assert!(
                matches!(judged.verdict, Verdict::Unknown { .. }),
                "{lines:?}"
            );
        }
    }

    #[test]
    fn a_file_that_is_only_named_must_be_there() {
        let check = FileCheck {
            path: "/etc/hosts".into(),
            ..FileCheck::default()
        };
        let there = judged(&check, &["kind file", "stat 644 root:root 0:0"]);
        assert_eq!(there, Judged::agrees("a file".into(), "a file".into()));
        assert!(judged(&check, &["absent"]).verdict.is_drift());
    }
}
