//! Filters of the describing actions, and pages.

use crate::answer::Refusal;
use crate::params::Params;
use crate::xml::Xml;

/// The filters of a request: all of them must match, each by one of its values.
#[derive(Debug, Default)]
pub(crate) struct Filters {
    all: Vec<(String, Vec<String>)>,
}

impl Filters {
    /// Reads `Filter.N.Name` and `Filter.N.Value.M`.
    pub(crate) fn read(params: &Params) -> Result<Self, Refusal> {
        let mut all = Vec::new();
        for filter in params.list("Filter") {
            let name = filter.required("Name")?.to_owned();
            let values = filter.texts("Value");
            if values.is_empty() {
                return Err(Refusal::bad(
                    "InvalidParameterValue",
                    format!("The filter '{name}' has no values"),
                ));
            }
            all.push((name, values));
        }
        Ok(Self { all })
    }

    /// Whether something passes. `values` gives its values for the name of a filter, or `None` if
    /// there is no such filter, which is refused.
    pub(crate) fn pass<'a>(
        &self,
        values: &dyn Fn(&str) -> Option<Vec<&'a str>>,
    ) -> Result<bool, Refusal> {
        for (name, patterns) in &self.all {
            let Some(values) = values(name) else {
                return Err(Refusal::bad(
                    "InvalidParameterValue",
                    format!("The filter '{name}' is invalid"),
                ));
            };
            let is_hit = patterns
                .iter()
                .any(|pattern| values.iter().any(|value| matches(pattern, value)));
            if !is_hit {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// The key and values of the first filter on a tag that has no wildcards.
    pub(crate) fn exact_tag(&self) -> Option<(&str, &[String])> {
        self.all.iter().find_map(|(name, values)| {
            let key = name.strip_prefix("tag:")?;
            let is_exact = !values.iter().any(|value| value.contains(['*', '?', '\\']));
            is_exact.then_some((key, values.as_slice()))
        })
    }
}

/// The values of a filter on tags; `None` if the filter is about something else.
pub(crate) fn tag_values<'a>(
    name: &str,
    tags: impl IntoIterator<Item = (&'a String, &'a String)>,
) -> Option<Vec<&'a str>> {
    let mut tags = tags.into_iter();
    match name {
        "tag-key" => Some(tags.map(|(key, _)| key.as_str()).collect()),
        "tag-value" => Some(tags.map(|(_, value)| value.as_str()).collect()),
        _ => {
            let wanted = name.strip_prefix("tag:")?;
            let found = tags.find(|(key, _)| *key == wanted);
            Some(found.map(|(_, value)| value.as_str()).into_iter().collect())
        }
    }
}

/// Whether a text matches a pattern: `*` is any text, `?` any character, `\` takes the next one
/// literally.
fn matches(pattern: &str, text: &str) -> bool {
    fn from(pattern: &[char], text: &[char]) -> bool {
        match pattern {
            [] => text.is_empty(),
            ['*', rest @ ..] => (0..=text.len()).any(|at| from(rest, &text[at..])),
            ['?', rest @ ..] => !text.is_empty() && from(rest, &text[1..]),
            ['\\', c, rest @ ..] | [c, rest @ ..] => {
                text.first() == Some(c) && from(rest, &text[1..])
            }
        }
    }
    if !pattern.contains(['*', '?', '\\']) {
        return pattern == text;
    }
    let pattern: Vec<char> = pattern.chars().collect();
    let text: Vec<char> = text.chars().collect();
    from(&pattern, &text)
}

/// Where a page begins and how long it is.
#[derive(Debug)]
pub(crate) struct Page {
    /// How many entries at most.
    pub(crate) limit: usize,
    /// The last key of the page before.
    pub(crate) after: Option<String>,
}

impl Page {
    /// Reads `MaxResults`, which must be within `range`, and `NextToken`.
    pub(crate) fn read(
        params: &Params,
        range: (u32, u32),
        cap: Option<u32>,
    ) -> Result<Self, Refusal> {
        let wanted: Option<u32> = params.number("MaxResults")?;
        if let Some(wanted) = wanted
            && !(range.0..=range.1).contains(&wanted)
        {
            return Err(Refusal::bad(
                "InvalidParameterValue",
                format!(
                    "Value ( {wanted} ) for parameter maxResults is invalid. Expecting a value \
                     between {} and {}.",
                    range.0, range.1
                ),
            ));
        }
        let limit = wanted.unwrap_or(range.1).min(cap.unwrap_or(u32::MAX));
        let after = match params.text("NextToken") {
            None | Some("") => None,
            Some(token) => Some(
                token
                    .strip_prefix(TOKEN)
                    .ok_or_else(|| {
                        Refusal::bad(
                            "InvalidNextToken",
                            "The token that you provided is not valid.",
                        )
                    })?
                    .to_owned(),
            ),
        };
        Ok(Self {
            limit: usize::try_from(limit).unwrap_or(usize::MAX),
            after,
        })
    }

    /// The entries of this page out of all, sorted by `key`, and the token of the next.
    pub(crate) fn cut<T>(
        &self,
        all: Vec<T>,
        key: impl Fn(&T) -> String,
    ) -> (Vec<T>, Option<String>) {
        let mut rest: Vec<T> = match &self.after {
            None => all,
            Some(after) => all.into_iter().filter(|item| key(item) > *after).collect(),
        };
        rest.sort_by_cached_key(&key);
        let is_more = rest.len() > self.limit;
        rest.truncate(self.limit);
        let last = rest.last().map(&key);
        (rest, last.filter(|_| is_more).map(|key| token(&key)))
    }
}

const TOKEN: &str = "eyJ2IjoiMiJ9";

/// The token of the page that begins behind a key.
pub(crate) fn token(key: &str) -> String {
    format!("{TOKEN}{key}")
}

/// Writes a set of tags.
pub(crate) fn write_tags<'a>(
    xml: &mut Xml,
    tags: impl IntoIterator<Item = (&'a String, &'a String)>,
) {
    xml.items("tagSet", tags, |xml, (key, value)| {
        xml.text("key", key);
        xml.text("value", value);
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wildcards_match_as_in_ec2() {
        for (pattern, text, expected) in [
            ("a*", "abc", true),
            ("a*c", "abbc", true),
            ("a?c", "abc", true),
            ("a?c", "ac", false),
            ("*", "", true),
            (r"a\*", "a*", true),
            (r"a\*", "ab", false),
            ("abc", "abc", true),
            ("abc", "abcd", false),
        ] {
            assert_eq!(matches(pattern, text), expected, "{pattern} {text}");
        }
    }

    #[test]
    fn pages_follow_each_other_without_gaps() {
        let all: Vec<String> = (0..7).map(|n| format!("k{n}")).collect();
        let mut params = Params::parse("MaxResults=5");
        let mut seen = Vec::new();
        loop {
            let page = Page::read(&params, (5, 1000), Some(3)).unwrap();
            let (items, next) = page.cut(all.clone(), Clone::clone);
            assert!(items.len() <= 3);
            seen.extend(items);
            let Some(next) = next else { break };
            params.set("NextToken", next);
        }
        assert_eq!(seen, all);
    }
}
