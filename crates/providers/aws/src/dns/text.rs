//! Names and texts as Route 53 writes them.
//!
//! "If the domain name includes any characters other than a to z, 0 to 9, - (hyphen), or _
//! (underscore), Route 53 API actions return the characters as escape codes", in octal.
//! <https://docs.aws.amazon.com/Route53/latest/DeveloperGuide/DomainNameFormat.html>
//! "A TXT record contains one or more strings that are enclosed in double quotation marks", each of
//! at most 255 characters.
//! <https://docs.aws.amazon.com/Route53/latest/DeveloperGuide/ResourceRecordTypes.html#TXTFormat>

use std::fmt::Write as _;

/// Most bytes in one string of a text.
const STRING: usize = 255;

/// A name without the trailing dot and without escapes. A dot or backslash inside a label, and
/// bytes that are not UTF-8, stay escaped: the name would mean another one.
pub(super) fn name_from_wire(wire: &str) -> String {
    let name = wire.strip_suffix('.').unwrap_or(wire);
    let mut plain = Vec::with_capacity(name.len());
    let mut rest = name.as_bytes();
    while let Some((&byte, tail)) = rest.split_first() {
        match escaped(rest) {
            Some(code) if code != b'.' && code != b'\\' => {
                plain.push(code.to_ascii_lowercase());
                rest = &rest[4..];
            }
            Some(_) => {
                plain.extend_from_slice(&rest[..4]);
                rest = &rest[4..];
            }
            None => {
                plain.push(byte.to_ascii_lowercase());
                rest = tail;
            }
        }
    }
    String::from_utf8(plain).unwrap_or_else(|_| name.to_ascii_lowercase())
}

/// A name with escapes, as Route 53 gives it back.
pub(super) fn name_to_wire(name: &str) -> String {
    let name = name.strip_suffix('.').unwrap_or(name);
    let mut wire = String::with_capacity(name.len() + 1);
    let mut rest = name.as_bytes();
    while let Some((&byte, tail)) = rest.split_first() {
        let lower = byte.to_ascii_lowercase();
        if lower.is_ascii_lowercase() || lower.is_ascii_digit() || b"-_.".contains(&lower) {
            wire.push(char::from(lower));
        } else if escaped(rest).is_some() {
            // The escape itself; its digits follow as they are.
            wire.push('\\');
        } else {
            octal(&mut wire, byte);
        }
        rest = tail;
    }
    wire.push('.');
    wire
}

/// The text of a value: its strings put together. A value that is no text stays as it is written.
pub(super) fn text_from_wire(wire: &str) -> String {
    strings(wire.as_bytes())
        .and_then(|bytes| String::from_utf8(bytes).ok())
        .unwrap_or_else(|| wire.to_owned())
}

/// A text as strings in quotes. What is not plain ASCII is written in octal.
pub(super) fn text_to_wire(text: &str) -> String {
    let mut wire = String::with_capacity(text.len() + 2);
    let mut strings = text.as_bytes().chunks(STRING);
    // Without any string there is no value.
    let first = strings.next().unwrap_or_default();
    for (at, string) in [first].into_iter().chain(strings).enumerate() {
        wire.push_str(if at == 0 { "\"" } else { " \"" });
        for &byte in string {
            match byte {
                b'"' | b'\\' => {
                    wire.push('\\');
                    wire.push(char::from(byte));
                }
                b' '..=b'~' => wire.push(char::from(byte)),
                _ => octal(&mut wire, byte),
            }
        }
        wire.push('"');
    }
    wire
}

/// The bytes of strings in quotes, separated by spaces; `None` if it is something else.
fn strings(wire: &[u8]) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(wire.len());
    let mut rest = wire;
    while let Some((first, mut tail)) = rest.split_first() {
        rest = match first {
            b' ' | b'\t' => tail,
            b'"' => loop {
                match tail {
                    [b'"', after @ ..] => break after,
                    [b'\\', next, after @ ..] => {
                        if let Some(code) = escaped(tail) {
                            bytes.push(code);
                            tail = &tail[4..];
                        } else {
                            bytes.push(*next);
                            tail = after;
                        }
                    }
                    [byte, after @ ..] => {
                        bytes.push(*byte);
                        tail = after;
                    }
                    [] => return None,
                }
            },
            _ => return None,
        };
    }
    Some(bytes)
}

/// The byte that is written in octal at the beginning.
fn escaped(bytes: &[u8]) -> Option<u8> {
    let [b'\\', digits @ ..] = bytes else {
        return None;
    };
    let digits = digits.get(..3)?;
    if !digits.iter().all(|digit| (b'0'..=b'7').contains(digit)) {
        return None;
    }
    u8::from_str_radix(std::str::from_utf8(digits).ok()?, 8).ok()
}

fn octal(wire: &mut String, byte: u8) {
    write!(wire, "\\{byte:03o}").expect("a String takes all that is written to it");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_lose_their_escapes_and_get_them_back() {
        for (wire, name) in [
            ("www.example.com.", "www.example.com"),
            ("\\052.example.com.", "*.example.com"),
            ("a\\100b.example.com.", "a@b.example.com"),
            ("\\303\\274.example.com.", "ü.example.com"),
            // A dot and a backslash inside a label are not those between labels.
            ("a\\056b.example.com.", "a\\056b.example.com"),
            ("a\\134b.example.com.", "a\\134b.example.com"),
            (
                "_acme-challenge.example.com.",
                "_acme-challenge.example.com",
            ),
        ] {
            assert_eq!(name_from_wire(wire), name);
            assert_eq!(name_to_wire(name), wire);
        }
        assert_eq!(name_to_wire("WWW.Example.com."), "www.example.com.");
    }

    #[test]
    fn bytes_that_are_no_text_stay_escaped() {
        // Latin-1, as in the vendor's example `f\374bar.example.com`.
        let wire = "f\\374bar.example.com.";
        assert_eq!(name_from_wire(wire), "f\\374bar.example.com");
        assert_eq!(name_to_wire("f\\374bar.example.com"), wire);
        assert_eq!(text_from_wire("\"\\374\""), "\"\\374\"");
    }

    #[test]
    fn texts_lose_their_quotes_and_get_them_back() {
        for (wire, text) in [
            (r#""plain""#, "plain"),
            (r#""with space and = and ;""#, "with space and = and ;"),
            (r#""say \"hi\" to C:\\""#, r#"say "hi" to C:\"#),
            (r#""\303\274\011""#, "ü\t"),
            (r#""""#, ""),
        ] {
            assert_eq!(text_from_wire(wire), text);
            assert_eq!(text_to_wire(text), wire);
        }
        assert_eq!(text_from_wire(r#""one" "two""#), "onetwo");
        assert_eq!(text_from_wire("no quotes"), "no quotes");
        assert_eq!(text_from_wire("\"open"), "\"open");
    }

    #[test]
    fn a_long_text_is_split_and_comes_back_whole() {
        let text = "k".repeat(600);
        let wire = text_to_wire(&text);
        let lengths: Vec<usize> = wire.split(' ').map(|string| string.len() - 2).collect();
        assert_eq!(lengths, [255, 255, 90]);
        assert_eq!(text_from_wire(&wire), text);
        let odd = "ü\"\\".repeat(200);
        assert_eq!(text_from_wire(&text_to_wire(&odd)), odd);
    }
}
