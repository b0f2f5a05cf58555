//! Labels as tags: a Linode has bare words, we have names with values.
//!
//! ```text
//!   managed-by = fleetwright            managed-by:fleetwright
//!   fleetwright-pool = web              fw-pool:web
//!   fleetwright-claim = <46 letters>    fwc:<46 letters>                exactly 50
//!   note = <63 letters>                 fwl.1a2b3c4d.0.2:note:aaaa…     in pieces
//!                                       fwl.1a2b3c4d.1.2:aaaa…
//! ```
//! A tag has 3 to 50 characters ("Length must be 3-50 characters"), and capitals do not count: a
//! tag comes back as whoever used it first wrote it
//! (<https://github.com/linode/terraform-provider-linode/pull/1307>). So everything but `a-z 0-9 . _ -` is written
//! as `%xx`, and what comes back is read in lower case.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use fleetwright_core::{Error, Kind, Labels, Result, fingerprint, keys};

const SHORTEST: usize = 3;
const LONGEST: usize = 50;
/// Beginning of the tags that hold a piece of a long label.
const PIECE: &str = "fwl.";
/// What is left of a tag for the piece, after `fwl.<8>.<1>.<1>:`.
const ROOM: usize = LONGEST - PIECE.len() - 8 - 1 - 1 - 1 - 1 - 1;
/// Pieces are counted by one hexadecimal digit.
const MOST_PIECES: usize = 15;

const OURS: &str = "fleetwright-";
const SHORT: &str = "fw-";
const CLAIM: &str = "fwc";

/// The tags of these labels.
///
/// # Errors
/// `Invalid` if a label is too long even for pieces.
pub(crate) fn tags(labels: &Labels) -> Result<Vec<String>> {
    let mut all = Vec::with_capacity(labels.len());
    for (key, value) in labels {
        all.extend(label_tags(key, value)?);
    }
    Ok(all)
}

/// The tags of one label: one, or several pieces.
pub(crate) fn label_tags(key: &str, value: &str) -> Result<Vec<String>> {
    let written = match key.strip_prefix(OURS) {
        _ if key == keys::CLAIM => CLAIM.to_owned(),
        Some(rest) if !rest.is_empty() => format!("{SHORT}{}", escaped(rest)),
        _ => escaped(key),
    };
    // Ours are told from others by their first letters, so others never begin with them.
    let misleading = !key.starts_with(OURS)
        && (written.starts_with(SHORT) || written.starts_with(PIECE) || written == CLAIM);
    let text = format!("{written}:{}", escaped(value));
    if !misleading && (SHORTEST..=LONGEST).contains(&text.len()) {
        return Ok(vec![text]);
    }
    let text = format!("{}:{}", escaped(key), escaped(value));
    let pieces: Vec<&str> = pieces_of(&text);
    if pieces.len() > MOST_PIECES {
        return Err(Error::new(
            Kind::Invalid,
            format!("the label `{key}` is too long for Linode's tags"),
        )
        .with_hint(format!(
            "key and value together may have {} characters",
            ROOM * MOST_PIECES - 1
        )));
    }
    let hash = fingerprint(&text);
    Ok(pieces
        .iter()
        .enumerate()
        .map(|(at, piece)| format!("{PIECE}{}.{at:x}.{:x}:{piece}", hash.short(), pieces.len()))
        .collect())
}

/// The labels that these tags stand for. A tag that is none of ours is a label of its own, without
/// a value unless it reads like `key:value`.
pub(crate) fn labels<S: AsRef<str>>(tags: &[S]) -> Labels {
    let mut labels = Labels::new();
    let mut pieces: BTreeMap<String, Vec<(u32, String)>> = BTreeMap::new();
    for tag in tags {
        let tag = tag.as_ref();
        let lower = tag.to_ascii_lowercase();
        if let Some((hash, at, piece)) = piece(&lower) {
            pieces.entry(hash).or_default().push((at, piece));
        } else {
            let (key, value) = label(&lower).unwrap_or_else(|| (tag.to_owned(), String::new()));
            labels.insert(key, value);
        }
    }
    for (hash, mut found) in pieces {
        found.sort_unstable();
        let text: String = found.iter().map(|(_, piece)| piece.as_str()).collect();
        let whole = fingerprint(&text).short() == hash;
        match text.split_once(':').filter(|_| whole) {
            Some((key, value)) if unescaped(key).is_some() && unescaped(value).is_some() => {
                let [key, value] = [key, value].map(|part| unescaped(part).unwrap_or_default());
                labels.insert(key, value);
            }
            // Somebody took a piece away: what is left stays visible.
            _ => labels.extend(
                found
                    .into_iter()
                    .map(|(at, piece)| (format!("{PIECE}{hash}.{at:x}"), piece)),
            ),
        }
    }
    labels
}

/// A tag that holds a whole label.
fn label(tag: &str) -> Option<(String, String)> {
    let (key, value) = tag.split_once(':')?;
    let (key, value) = (unescaped(key)?, unescaped(value)?);
    if key == CLAIM {
        return Some((keys::CLAIM.to_owned(), value));
    }
    Some(match key.strip_prefix(SHORT) {
        Some(rest) => (format!("{OURS}{rest}"), value),
        None => (key, value),
    })
}

/// A tag that holds a piece: hash, position, text.
fn piece(tag: &str) -> Option<(String, u32, String)> {
    let (head, text) = tag.strip_prefix(PIECE)?.split_once(':')?;
    let mut head = head.split('.');
    let (hash, at, _of) = (head.next()?, head.next()?, head.next()?);
    let at = u32::from_str_radix(at, 16).ok()?;
    (hash.len() == 8 && head.next().is_none()).then(|| (hash.to_owned(), at, text.to_owned()))
}

fn pieces_of(text: &str) -> Vec<&str> {
    // Only ASCII is in it, so every cut is between letters.
    let cuts = (0..text.len()).step_by(ROOM);
    cuts.map(|from| &text[from..text.len().min(from + ROOM)])
        .collect()
}

fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"._-".contains(&byte) {
            out.push(char::from(byte));
        } else {
            write!(out, "%{byte:02x}").expect("writing to a string cannot fail");
        }
    }
    out
}

fn unescaped(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte != b'%' {
            bytes.push(byte);
            continue;
        }
        let digit = |byte: Option<u8>| char::from(byte?).to_digit(16);
        let (high, low) = (digit(rest.next())?, digit(rest.next())?);
        bytes.push(u8::try_from(high * 16 + low).ok()?);
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(pairs: &[(&str, &str)]) -> Labels {
        let own = |(key, value): &(&str, &str)| ((*key).to_owned(), (*value).to_owned());
        pairs.iter().map(own).collect()
    }

    #[test]
    fn every_label_survives_as_tags_of_3_to_50_characters() {
        let long = "a".repeat(63);
        let token = "0123456789abcdef0123456789abcdef-999-0123abcd0";
        assert_eq!(token.len(), 46);
        let all = of(&[
            (keys::MANAGED_BY, keys::MANAGED_BY_VALUE),
            (keys::CLAIM, token),
            (keys::JOURNAL, "01890f3e-7c1c-7000-8000-000000000000"),
            (keys::POOL, &"p".repeat(40)),
            (keys::FLEET, &"f".repeat(40)),
            (keys::GENERATION, "0a1b2c3d"),
            (&long, &long),
            ("a", ""),
            ("", ""),
            ("Team", "ML & Größe"),
            ("with:colon", "and:more"),
            ("fw-pool", "not ours"),
            ("fwc", "neither"),
            ("fwl.deadbeef.0.1", "nor this"),
            ("percent", "%41"),
        ]);
        let tags = tags(&all).unwrap();
        for tag in &tags {
            assert!((SHORTEST..=LONGEST).contains(&tag.len()), "{tag}");
            assert!(tag.is_ascii() && *tag == tag.to_lowercase(), "{tag}");
        }
        assert!(tags.contains(&format!("fwc:{token}")), "{tags:?}");
        assert!(tags.contains(&"managed-by:fleetwright".to_owned()));
        assert_eq!(labels(&tags), all);
        // In any order, and in capitals.
        let shouted: Vec<String> = tags.iter().rev().map(|tag| tag.to_uppercase()).collect();
        assert_eq!(labels(&shouted), all);
    }

    #[test]
    fn tags_of_others_stay_visible() {
        let found = labels(&[
            "web",
            "Prod",
            "env:prod",
            "fwl.00000000.1.2:rest",
            "bad:%zz",
        ]);
        let expected = of(&[
            ("web", ""),
            ("Prod", ""),
            ("env", "prod"),
            ("fwl.00000000.1", "rest"),
            ("bad:%zz", ""),
        ]);
        assert_eq!(found, expected);
    }

    #[test]
    fn a_label_that_fits_nowhere_is_refused() {
        let error = label_tags("note", &"x".repeat(700)).unwrap_err();
        assert_eq!(error.kind(), Kind::Invalid);
        assert!(error.to_string().contains("`note`"), "{error}");
    }
}
