//! Whatever is mistyped, the reader is told where.

use std::fmt::Write as _;

use fleetwright::config::{Loaded, render};
use fleetwright::core::Kind;
use fleetwright::{Environment, config};

use crate::examples;

/// Every edit at a place: one character less, or one of these more.
const INSERTED: [&str; 8] = ["x", "ü", "\"", "[", "=", "\n", "1", "#"];

#[test]
fn any_typo_in_an_example_is_either_harmless_or_told_with_its_line() {
    let environment = Environment::default();
    let (mut harmless, mut told) = (0_u32, 0_u32);
    let mut unplaced = String::new();
    for (name, text, folder) in examples::all() {
        // A prime number, so that the edits meet all kinds of places.
        for (turn, (at, character)) in text.char_indices().step_by(17).enumerate() {
            let inserted = INSERTED[turn % INSERTED.len()];
            let less = format!("{}{}", &text[..at], &text[at + character.len_utf8()..]);
            let more = format!("{}{inserted}{}", &text[..at], &text[at..]);
            for typo in [less, more] {
                let Err(error) = Loaded::from_text("f.toml", &typo, &environment, &folder) else {
                    harmless += 1;
                    continue;
                };
                told += 1;
                assert_eq!(error.kind(), Kind::Config);
                let shown = render(&error).expect("it comes from a file");
                if !shown.contains("--> f.toml:") {
                    writeln!(unplaced, "{name} at byte {at}:\n{shown}").unwrap();
                }
            }
        }
    }
    assert!(
        told > 200 && harmless > 50,
        "{told} told, {harmless} harmless"
    );
    assert!(unplaced.is_empty(), "{unplaced}");
}

#[test]
fn a_file_with_windows_line_ends_is_read_and_its_errors_have_no_stray_marks() {
    let text = config::BUILT_IN.replace('\n', "\r\n");
    Loaded::from_text("f.toml", &text, &Environment::default(), "/".as_ref()).unwrap();
    let wrong = text.replace("desired = 3", "desired = 'three'");
    let error = Loaded::from_text("f.toml", &wrong, &Environment::default(), "/".as_ref())
        .map(|loaded| loaded.to_string())
        .expect_err("a word is no number");
    let shown = render(&error).unwrap();
    assert!(!shown.contains('\r'), "{shown:?}");
    assert!(
        shown.contains("5 | desired = 'three'\n  |           ^^^^^^^\n"),
        "{shown}"
    );
}
