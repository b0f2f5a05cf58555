//! What a command says.

use fleetwright_core::{CommandCheck, Expectation, Fingerprint};

use super::answer::Answer;
use super::judge::Judged;
use super::question::Question;

/// Longest output that is shown as it is.
const SHOWN: usize = 200;
/// What a shell ends with if it does not find the command.
const NOT_FOUND: &str = "127";

/// If only a hash is compared, it is made on the node, where there is a program for it. Otherwise
/// the bytes come in hexadecimal digits, so that any output passes whole and none can be taken for
/// a line of ours. Whatever the command leaves running has none of our outputs but the pipe.
const SCRIPT: &str = r#"
if [ "$2" = sum ] && command -v sha256sum >/dev/null 2>&1; then
    take() {
        sum=$(sha256sum)
        printf 'sha256 %s\n' "${sum%% *}"
    }
elif command -v od >/dev/null 2>&1; then
    take() { od -A n -v -t x1; }
else
    echo 'lacks od'
    echo end
    exit 0
fi
{
    status=$(
        {
            {
                sh -c "$1" 3>&- 4>&-
                echo "$?" >&3
            } | take >&4 3>&- 4>&-
        } 3>&1
    )
} 4>&1
echo "status $status"
echo end
"#;

pub(super) fn question(check: &CommandCheck) -> Question {
    let is_status = check.sha256.is_none() && check.output.is_none() && check.expect_from.is_none();
    if is_status {
        return Question::of_status(SCRIPT, &[&check.run, ""]);
    }
    let sum = if check.sha256.is_some() { "sum" } else { "" };
    Question::of(SCRIPT, &[&check.run, sum])
}

pub(super) fn judge(
    check: &CommandCheck,
    expectation: &Expectation,
    answer: &Answer,
    limit: u64,
) -> Judged {
    let expected = expected(check, expectation);
    let answer = match answer.checked(&["status", "lacks", "sha256"], limit) {
        Ok(answer) => answer,
        Err(why) => return Judged::unknown(why, expected),
    };
    if let Some(tool) = answer.value("lacks") {
        return Judged::unknown(format!("the node has no `{tool}`"), expected);
    }
    let Some((word, status)) = answer
        .value("status")
        .and_then(|word| Some((word, word.parse::<u32>().ok()?)))
    else {
        return Judged::unknown("the node did not say how the command ended", expected);
    };
    if status != check.status {
        if word == NOT_FOUND {
            return Judged::missing("a command in it is not there", expected);
        }
        let reason = format!("it ended with status {status} instead of {}", check.status);
        return Judged::differs(reason, expected, format!("status {status}"));
    }
    let said = &answer.bytes;
    let (agrees, actual) = if let Some(hash) = &check.sha256 {
        let actual = match answer.value("sha256") {
            Some(there) if is_hash(there) => there.to_ascii_lowercase(),
            Some(_) => return Judged::unknown("the node cannot hash the output", expected),
            None => Fingerprint::of_bytes(said).as_str().to_owned(),
        };
        (actual.eq_ignore_ascii_case(hash), sha256(&actual))
    } else if let Some(wanted) = wanted(check, expectation) {
        (trimmed(said) == wanted, shown(said))
    } else {
        (true, format!("status {status}"))
    };
    if agrees {
        Judged::agrees(expected, actual)
    } else {
        Judged::differs("it says something else", expected, actual)
    }
}

/// The expected output, if there is one to compare with.
fn wanted<'a>(check: &'a CommandCheck, expectation: &'a Expectation) -> Option<&'a [u8]> {
    match (expectation, &check.output) {
        (Expectation::Output(output), _) => Some(trimmed(output)),
        (_, Some(output)) => Some(trimmed(output.as_bytes())),
        _ => None,
    }
}

fn expected(check: &CommandCheck, expectation: &Expectation) -> String {
    if let Some(hash) = &check.sha256 {
        return sha256(&hash.to_ascii_lowercase());
    }
    match wanted(check, expectation) {
        Some(output) => shown(output),
        None => format!("status {}", check.status),
    }
}

fn trimmed(output: &[u8]) -> &[u8] {
    output.trim_ascii_end()
}

/// A short text as it is, anything else by its hash.
fn shown(output: &[u8]) -> String {
    let output = trimmed(output);
    match std::str::from_utf8(output) {
        Ok("") => "no output".to_owned(),
        Ok(text) if text.len() <= SHOWN && !text.chars().any(|c| c.is_control() && c != '\n') => {
            text.to_owned()
        }
        _ => {
            let hash = Fingerprint::of_bytes(output);
            format!("{} of {} bytes", sha256(hash.as_str()), output.len())
        }
    }
}

/// Whether these are the digits of a SHA-256.
pub(super) fn is_hash(text: &str) -> bool {
    text.len() == 64 && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

pub(super) fn sha256(digits: &str) -> String {
    format!("sha256:{digits}")
}

#[cfg(test)]
mod tests {
    use fleetwright_core::Verdict;

    use super::*;

    fn judged(check: &CommandCheck, lines: &[&str], bytes: &[u8]) -> Judged {
        let mut answer = Answer::said(lines);
        answer.bytes = bytes.to_vec();
        judge(check, &Expectation::Written, &answer, 60)
    }

    #[test]
    fn the_status_decides_first_then_the_output() {
        let check = CommandCheck {
            run: "version".into(),
            output: Some("1.2 ".into()),
            ..CommandCheck::default()
        };
        let good = judged(&check, &["status 0"], b"1.2\n\n");
        assert_eq!(good, Judged::agrees("1.2".into(), "1.2".into()));
        let other = judged(&check, &["status 0"], b"1.3\n");
        let wanted = Judged::differs("it says something else", "1.2".into(), "1.3".into());
        assert_eq!(other, wanted);
        let failed = judged(&check, &["status 1"], b"1.2\n");
        assert_eq!(
            failed.verdict.reason(),
            Some("it ended with status 1 instead of 0")
        );
        let none = judged(&check, &["status 127"], b"");
        assert!(matches!(none.verdict, Verdict::Missing { .. }));
        for lines in [&["lacks od"][..], &["status"], &["status x"], &[]] {
            let unknown = judged(&check, lines, b"1.2\n");
            assert!(!unknown.verdict.is_drift() && unknown.verdict != Verdict::Agrees);
        }
    }

    #[test]
    fn without_an_expected_output_only_the_status_counts() {
        let check = CommandCheck {
            status: 3,
            ..CommandCheck::default()
        };
        assert_eq!(judged(&check, &["status 3"], b"x").verdict, Verdict::Agrees);
        let other = judged(&check, &["status 0"], b"x");
        assert_eq!(other.expected.as_deref(), Some("status 3"));
        assert_eq!(other.actual.as_deref(), Some("status 0"));
    }

    #[test]
    fn bytes_that_are_no_text_are_told_by_their_hash() {
        let all: Vec<u8> = (0..=255).collect();
        let check = CommandCheck {
            sha256: Some(Fingerprint::of_bytes(&all).as_str().to_ascii_uppercase()),
            ..CommandCheck::default()
        };
        assert_eq!(judged(&check, &["status 0"], &all).verdict, Verdict::Agrees);
        let other = judged(&check, &["status 0"], b"\n");
        assert!(other.verdict.is_drift());
        let there = format!("sha256 {}", Fingerprint::of_bytes(&all));
        let there = judged(&check, &["status 0", &there], b"");
        assert_eq!(
            there.verdict,
            Verdict::Agrees,
            "the node may have hashed it"
        );
        let unknown = judged(&check, &["status 0", "sha256 "], b"");
        assert!(matches!(unknown.verdict, Verdict::Unknown { .. }));
        assert!(shown(&all).starts_with("sha256:") && shown(&all).ends_with(" of 256 bytes"));
        assert!(
            shown(b"a\x1b[31m").starts_with("sha256:"),
            "no colors of others"
        );
    }
}
