//! "Did you mean".

/// The known word that is closest to what was written, if it is close enough to be meant.
pub fn closest<'a>(written: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let written = written.to_lowercase();
    known
        .into_iter()
        .map(|word| (strsim::damerau_levenshtein(&written, word), word))
        // A third of the word may be wrong, but at least one character of it.
        .filter(|(distance, word)| *distance <= (word.chars().count() / 3).max(1))
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, word)| word)
}

/// A hint for a word that is not among the known ones: the closest, else all of them.
///
/// `what` is the plural that the list is introduced with, e.g. `known keys`.
pub fn hint<'a>(
    written: &str,
    what: &str,
    known: impl IntoIterator<Item = &'a str>,
) -> Option<String> {
    let known: Vec<&str> = known.into_iter().collect();
    if known.is_empty() {
        return None;
    }
    let list = known
        .iter()
        .map(|word| format!("`{word}`"))
        .collect::<Vec<_>>()
        .join(", ");
    Some(match closest(written, known.iter().copied()) {
        Some(meant) => format!("did you mean `{meant}`?"),
        None => format!("{what}: {list}"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_of_the_finger_is_understood_and_a_guess_is_not() {
        let known = ["desired", "labels", "limits", "local", "sim"];
        for (written, meant) in [
            ("desird", Some("desired")),
            ("Desired", Some("desired")),
            ("lables", Some("labels")),
            ("locl", Some("local")),
            ("simm", Some("sim")),
            ("aws", None),
            ("count", None),
        ] {
            assert_eq!(closest(written, known), meant, "{written}");
        }
        assert_eq!(
            hint("aws", "known kinds", ["local", "sim"]).as_deref(),
            Some("known kinds: `local`, `sim`")
        );
    }
}
