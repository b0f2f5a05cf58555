//! Which tests failed and with which last words: read from nextest's JUnit report, so that the end
//! of a long log says it.
//!
//! The format: <https://nexte.st/docs/machine-readable/junit/>.

use std::fs;
use std::path::Path;

use quick_xml::events::{BytesStart, Event};
use quick_xml::reader::Reader;

/// Where nextest writes its report, below the target folder. `.config/nextest.toml` says the name.
pub(crate) const REPORT: &str = "nextest/default/junit.xml";

/// Most lines that are shown of one test.
const LINES: usize = 12;
/// Most tests that are shown with their last words.
const SHOWN: usize = 8;

/// A test that did not pass.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Failure {
    /// Crate and name.
    pub(crate) name: String,
    /// What it wrote.
    pub(crate) output: String,
}

/// The failures that a report tells about. No report, or one that is not XML: none, because the
/// log above has them all the same.
pub(crate) fn read(path: &Path) -> Vec<Failure> {
    fs::read_to_string(path).map_or_else(|_| Vec::new(), |text| parse(&text))
}

/// The failures in the order of the report.
fn parse(report: &str) -> Vec<Failure> {
    let mut reader = Reader::from_str(report);
    let mut failures = Vec::new();
    let mut test = Failure::default();
    let mut failed = false;
    let mut collects = false;
    loop {
        match reader.read_event() {
            Ok(Event::Start(start)) => match start.name().as_ref() {
                b"testcase" => {
                    test = Failure {
                        name: name(&start),
                        output: String::new(),
                    };
                    failed = false;
                }
                b"failure" | b"error" => {
                    failed = true;
                    collects = true;
                }
                // The reason is taken from all of the output; without one the output is all there is.
                b"system-out" | b"system-err" => collects = test.output.trim().is_empty(),
                _ => collects = false,
            },
            Ok(Event::Empty(start)) => {
                failed |= matches!(start.name().as_ref(), b"failure" | b"error");
            }
            Ok(Event::Text(words)) if collects => {
                test.output
                    .push_str(&words.xml_content().unwrap_or_default());
            }
            Ok(Event::GeneralRef(reference)) if collects => {
                let resolved = reference.decode().unwrap_or_default();
                test.output.push_str(
                    quick_xml::escape::resolve_predefined_entity(&resolved).unwrap_or(" "),
                );
            }
            Ok(Event::CData(data)) if collects => {
                test.output.push_str(&String::from_utf8_lossy(&data));
            }
            Ok(Event::End(end)) => {
                collects = false;
                if end.name().as_ref() == b"testcase" && failed {
                    failures.push(std::mem::take(&mut test));
                    failed = false;
                }
            }
            Ok(Event::Eof) | Err(_) => return failures,
            Ok(_) => {}
        }
    }
}

fn name(start: &BytesStart<'_>) -> String {
    let value = |key: &str| {
        start
            .try_get_attribute(key)
            .ok()
            .flatten()
            .and_then(|found| {
                found
                    .unescape_value()
                    .ok()
                    .map(std::borrow::Cow::into_owned)
            })
            .unwrap_or_default()
    };
    format!("{} {}", value("classname"), value("name"))
}

/// The failures for the end of a log: all names, and the last words of the first ones.
pub(crate) fn shown(failures: &[Failure]) -> Vec<String> {
    let mut lines = Vec::new();
    for failure in failures.iter().take(SHOWN) {
        lines.push(format!("  failed   {}", failure.name));
        let words: Vec<&str> = failure
            .output
            .lines()
            .map(str::trim_end)
            .take_while(|line| line.trim() != "stack backtrace:")
            .filter(|line| !line.trim().is_empty() && !is_noise(line))
            .collect();
        let skipped = words.len().saturating_sub(LINES);
        lines.extend(words[skipped..].iter().map(|line| {
            let line: String = line.chars().take(400).collect();
            format!("    | {line}")
        }));
    }
    for failure in failures.iter().skip(SHOWN) {
        lines.push(format!("  failed   {}", failure.name));
    }
    lines
}

/// What the test harness says of every failed test.
fn is_noise(line: &str) -> bool {
    let line = line.trim();
    line.starts_with("note: run with `RUST_BACKTRACE")
        || line.starts_with("test result: FAILED")
        || line == "failures:"
        || line.starts_with("running 1 test")
}

#[cfg(test)]
mod tests {
    use super::*;

    const REPORT: &str = r#"<?xml version="1.0" encoding="UTF-8"?>
<testsuites name="nextest-run" tests="3" failures="2" errors="0">
    <testsuite name="engine::it" tests="3" failures="2">
        <testcase name="a::good" classname="engine::it" time="0.1"></testcase>
        <testcase name="a::bad" classname="engine::it" time="0.1">
            <failure type="test failure with exit code 101">thread 'a::bad' panicked at x.rs:1:2:
assertion failed: 1 &lt; 0
stack backtrace:
   0: deep</failure>
            <system-out>running 1 test</system-out>
        </testcase>
        <testcase name="a::slow" classname="engine::it" time="600">
            <failure type="test timeout"/>
            <system-out>running 1 test
said &amp; done</system-out>
        </testcase>
    </testsuite>
</testsuites>"#;

    #[test]
    fn a_report_gives_the_failed_tests_with_their_last_words() {
        let failures = parse(REPORT);
        let names: Vec<&str> = failures.iter().map(|f| f.name.as_str()).collect();
        assert_eq!(names, ["engine::it a::bad", "engine::it a::slow"]);
        let shown = shown(&failures).join("\n");
        assert!(shown.contains("    | assertion failed: 1 < 0"), "{shown}");
        assert!(shown.contains("said & done"), "{shown}");
        assert!(!shown.contains("running 1 test"), "{shown}");
        assert!(!shown.contains("deep"), "{shown}");
    }

    #[test]
    fn only_the_end_of_much_output_is_shown() {
        let failure = Failure {
            name: "x".into(),
            output: (0..100)
                .map(|n| format!("line {n}"))
                .collect::<Vec<_>>()
                .join("\n"),
        };
        let shown = shown(&[failure]);
        assert_eq!(shown.len(), LINES + 1);
        assert_eq!(shown[LINES], "    | line 99");
    }

    #[test]
    fn what_is_no_report_has_no_failures() {
        assert_eq!(parse("<testsuites><testcase name='x'"), []);
        assert_eq!(read(Path::new("no such file")), []);
    }
}
