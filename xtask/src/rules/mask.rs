//! Rust source with comments and literals blanked out, so that rules see code only.

/// The same text, line for line, with every comment, string and character literal replaced by
/// spaces. Quotes go too: what is left is code.
pub(crate) fn code_only(text: &str) -> String {
    let chars: Vec<char> = text.chars().collect();
    let mut out = String::with_capacity(text.len());
    let mut at = 0;
    while at < chars.len() {
        let end = literal_end(&chars, at);
        if end == at {
            out.push(chars[at]);
            at += 1;
            continue;
        }
        for c in &chars[at..end] {
            out.push(if *c == '\n' { '\n' } else { ' ' });
        }
        at = end;
    }
    out
}

/// For each line of masked code: whether it is inside a `#[cfg(test)]` module.
pub(crate) fn test_lines(code: &str) -> Vec<bool> {
    let mut inside = Vec::new();
    let (mut pending, mut depth) = (false, 0_usize);
    for line in code.lines() {
        if depth == 0 && line.trim_start().starts_with("#[cfg(test)]") {
            pending = true;
        }
        let mut is_test = pending || depth > 0;
        if pending || depth > 0 {
            for c in line.chars() {
                match c {
                    '{' => {
                        depth += 1;
                        pending = false;
                    }
                    '}' => depth = depth.saturating_sub(1),
                    ';' if depth == 0 => pending = false,
                    _ => {}
                }
            }
            is_test = true;
        }
        inside.push(is_test);
    }
    inside
}

/// Where the comment or literal that begins at `at` ends; `at` itself if none begins there.
fn literal_end(chars: &[char], at: usize) -> usize {
    let next = |offset: usize| chars.get(at + offset).copied();
    match chars[at] {
        '/' if next(1) == Some('/') => chars[at..]
            .iter()
            .position(|c| *c == '\n')
            .map_or(chars.len(), |length| at + length),
        '/' if next(1) == Some('*') => block_comment_end(chars, at),
        '"' => string_end(chars, at + 1),
        'r' | 'b' | 'c' if !follows_word(chars, at) => prefixed_end(chars, at),
        '\'' => char_end(chars, at),
        _ => at,
    }
}

fn follows_word(chars: &[char], at: usize) -> bool {
    at > 0 && (chars[at - 1].is_alphanumeric() || chars[at - 1] == '_')
}

/// Block comments nest.
fn block_comment_end(chars: &[char], at: usize) -> usize {
    let (mut depth, mut i) = (0_usize, at);
    while i < chars.len() {
        match (chars[i], chars.get(i + 1)) {
            ('/', Some('*')) => {
                depth += 1;
                i += 2;
            }
            ('*', Some('/')) => {
                depth -= 1;
                i += 2;
                if depth == 0 {
                    return i;
                }
            }
            _ => i += 1,
        }
    }
    chars.len()
}

/// The end of a string whose first character stands at `i`.
fn string_end(chars: &[char], mut i: usize) -> usize {
    while i < chars.len() {
        match chars[i] {
            '\\' => i += 2,
            '"' => return i + 1,
            _ => i += 1,
        }
    }
    chars.len()
}

/// `r"…"`, `r#"…"#`, `b"…"`, `br#"…"#`, `c"…"`, `b'…'`.
fn prefixed_end(chars: &[char], at: usize) -> usize {
    let mut i = at;
    let mut raw = false;
    while let Some(c @ ('r' | 'b' | 'c')) = chars.get(i).copied() {
        raw |= c == 'r';
        i += 1;
        if i - at == 2 {
            break;
        }
    }
    let hashes = chars[i..].iter().take_while(|c| **c == '#').count();
    match chars.get(i + hashes) {
        Some('"') if raw => {
            let mut end = i + hashes + 1;
            while end < chars.len() {
                let closes = chars[end] == '"'
                    && chars[end + 1..]
                        .iter()
                        .take(hashes)
                        .filter(|c| **c == '#')
                        .count()
                        == hashes;
                if closes {
                    return end + 1 + hashes;
                }
                end += 1;
            }
            chars.len()
        }
        Some('"') if hashes == 0 => string_end(chars, i + 1),
        Some('\'') if hashes == 0 && i - at == 1 && chars[at] == 'b' => char_end(chars, i),
        _ => at,
    }
}

/// A character literal; a lifetime is none.
fn char_end(chars: &[char], at: usize) -> usize {
    match (chars.get(at + 1), chars.get(at + 2)) {
        (Some('\\'), Some(_)) => chars[at + 3..]
            .iter()
            .position(|c| *c == '\'')
            .map_or(at, |length| at + 3 + length + 1),
        (Some(_), Some('\'')) => at + 3,
        _ => at,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_and_literals_vanish_and_code_stays() {
        for (source, expected) in [
            ("a // b\nc", "a c"),
            ("a /* x /* y */ z */ b", "a b"),
            (r#"f("a \" b") + 1"#, "f( ) + 1"),
            (r##"r#"a " b"# ;"##, ";"),
            ("let c = '\"'; d", "let c = ; d"),
            ("let c = '\\''; d", "let c = ; d"),
            ("fn f<'a>(x: &'a str)", "fn f<'a>(x: &'a str)"),
            ("b'x' + b\"y\" + crab", "+ + crab"),
            ("r#type + 1", "r#type + 1"),
            ("/// println!(\"x\")\ny", "y"),
        ] {
            let masked = code_only(source);
            let words: Vec<_> = masked.split_whitespace().collect();
            assert_eq!(words.join(" "), expected, "{source}");
            assert_eq!(masked.chars().count(), source.chars().count(), "{source}");
            assert_eq!(masked.lines().count(), source.lines().count(), "{source}");
        }
    }

    #[test]
    fn a_test_module_is_found_and_its_end_too() {
        let code = "fn a() {}\n#[cfg(test)]\nmod tests {\n    fn b() { x }\n}\nfn c() {}\n";
        assert_eq!(test_lines(code), [false, true, true, true, true, false]);
    }

    #[test]
    fn a_test_module_in_its_own_file_covers_only_its_line() {
        let code = "#[cfg(test)]\nmod tests;\nfn c() { d }\n";
        assert_eq!(test_lines(code), [true, true, false]);
    }
}
