//! The wildcards of OpenSSH: `*`, `?`, and `!` in front of a pattern that must not match.
//!
//! Both `ssh_config` and `known_hosts` use them, one separated by spaces, the other by commas.

/// Whether `text` matches `pattern`, in which `*` stands for any text and `?` for one character.
pub(crate) fn matches(pattern: &str, text: &str) -> bool {
    let pattern: Vec<char> = pattern.chars().collect();
    let text: Vec<char> = text.chars().collect();
    // The last `*` seen and the position in the text that it reaches to: backtracking only ever
    // has to go back to that one, so this is quadratic at worst.
    let mut star: Option<(usize, usize)> = None;
    let (mut at, mut from) = (0, 0);
    while from < text.len() {
        match pattern.get(at) {
            Some('*') => {
                star = Some((at, from));
                at += 1;
            }
            Some(&expected) if expected == '?' || expected == text[from] => {
                at += 1;
                from += 1;
            }
            _ => match star {
                Some((position, reached)) => {
                    star = Some((position, reached + 1));
                    at = position + 1;
                    from = reached + 1;
                }
                None => return false,
            },
        }
    }
    pattern[at..].iter().all(|rest| *rest == '*')
}

/// Whether `text` matches one of `patterns` and none of those that begin with `!`.
pub(crate) fn matches_list<'a>(patterns: impl IntoIterator<Item = &'a str>, text: &str) -> bool {
    let mut found = false;
    for pattern in patterns {
        match pattern.strip_prefix('!') {
            Some(negated) if matches(negated, text) => return false,
            Some(_) => {}
            None => found |= matches(pattern, text),
        }
    }
    found
}

/// Whether `text` has a wildcard or a negation.
pub(crate) fn is_pattern(text: &str) -> bool {
    text.starts_with('!') || text.contains(['*', '?'])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wildcards_match_as_in_openssh() {
        for (pattern, text, expected) in [
            ("web", "web", true),
            ("web", "web1", false),
            ("web?", "web1", true),
            ("web?", "web", false),
            ("*", "", true),
            ("*.example.com", "a.b.example.com", true),
            ("*.example.com", "example.com", false),
            ("a*b*c", "aXbYbZc", true),
            ("a*b*c", "aXbYbZ", false),
            ("[10.0.*]:22??", "[10.0.3.4]:2200", true),
            ("", "", true),
            ("", "x", false),
        ] {
            assert_eq!(matches(pattern, text), expected, "{pattern} {text}");
        }
    }

    #[test]
    fn a_negated_pattern_wins_wherever_it_stands() {
        assert!(matches_list(["*", "!db"], "web"));
        assert!(!matches_list(["*", "!db"], "db"));
        assert!(!matches_list(["!db", "*"], "db"));
        assert!(!matches_list(["!db"], "web"));
    }
}
