//! The parameters of the query protocol, as a tree: `Filter.1.Value.2=x` is a path of names.

use std::collections::BTreeMap;
use std::str::FromStr;

use crate::answer::Refusal;

/// A tree of parameters. A path is dotted: `Placement.AvailabilityZone`, `Tags.member`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Params {
    value: Option<String>,
    children: BTreeMap<String, Self>,
}

impl Params {
    /// Reads a form body or a query string.
    pub(crate) fn parse(form: &str) -> Self {
        let mut root = Self::default();
        for pair in form.split('&').filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            root.set(&decode(name), decode(value));
        }
        root
    }

    /// Sets the value at a path.
    pub(crate) fn set(&mut self, path: &str, value: String) {
        let mut node = self;
        for name in path.split('.') {
            node = node.children.entry(name.to_owned()).or_default();
        }
        node.value = Some(value);
    }

    /// The tree below a path.
    pub(crate) fn group(&self, path: &str) -> Option<&Self> {
        path.split('.')
            .try_fold(self, |node, name| node.children.get(name))
    }

    /// The tree below a path; an empty one if there is none.
    pub(crate) fn group_or_empty(&self, path: &str) -> Self {
        self.group(path).cloned().unwrap_or_default()
    }

    /// The value of this node itself, if it has one.
    pub(crate) fn value(&self) -> Option<&str> {
        self.value.as_deref()
    }

    /// The names and trees directly below this node.
    pub(crate) fn children(&self) -> impl Iterator<Item = (&str, &Self)> {
        self.children
            .iter()
            .map(|(name, child)| (name.as_str(), child))
    }

    /// The text at a path.
    pub(crate) fn text(&self, path: &str) -> Option<&str> {
        self.group(path)?.value.as_deref()
    }

    /// The text at a path, owned.
    pub(crate) fn owned(&self, path: &str) -> Option<String> {
        self.text(path).map(ToOwned::to_owned)
    }

    /// The text at a path, or `MissingParameter`.
    pub(crate) fn required(&self, path: &str) -> Result<&str, Refusal> {
        self.text(path).ok_or_else(|| {
            Refusal::bad(
                "MissingParameter",
                format!("The request must contain the parameter {path}"),
            )
        })
    }

    /// The number at a path, or `InvalidParameterValue` if it is none.
    pub(crate) fn number<T: FromStr>(&self, path: &str) -> Result<Option<T>, Refusal> {
        let Some(text) = self.text(path) else {
            return Ok(None);
        };
        text.parse().map(Some).map_err(|_| {
            Refusal::bad(
                "InvalidParameterValue",
                format!("Invalid value '{text}' for {path}"),
            )
        })
    }

    /// Whether a path says `true`.
    pub(crate) fn flag(&self, path: &str) -> bool {
        self.text(path) == Some("true")
    }

    /// The numbered entries at a path, in order.
    pub(crate) fn list(&self, path: &str) -> Vec<&Self> {
        let mut entries: Vec<(u32, &Self)> = self
            .group(path)
            .into_iter()
            .flat_map(|node| &node.children)
            .filter_map(|(name, child)| Some((name.parse().ok()?, child)))
            .collect();
        entries.sort_by_key(|(number, _)| *number);
        entries.into_iter().map(|(_, child)| child).collect()
    }

    /// The texts of the numbered entries at a path, in order.
    pub(crate) fn texts(&self, path: &str) -> Vec<String> {
        self.list(path)
            .into_iter()
            .filter_map(|entry| entry.value.clone())
            .collect()
    }

    /// The same tree without some of its top names; for comparing two requests.
    pub(crate) fn without(&self, names: &[&str]) -> Self {
        let mut rest = self.clone();
        rest.children
            .retain(|name, _| !names.contains(&name.as_str()));
        rest
    }

    /// Puts the trees of `over` above this one: what `over` says wins, top name by top name.
    pub(crate) fn overlaid(&self, over: &Self) -> Self {
        let mut all = self.clone();
        for (name, child) in &over.children {
            all.children.insert(name.clone(), child.clone());
        }
        all
    }

    /// Every path that has a value, dotted, with its value.
    pub(crate) fn flat(&self) -> Vec<(String, String)> {
        fn walk(node: &Params, path: &str, out: &mut Vec<(String, String)>) {
            if let Some(value) = &node.value {
                out.push((path.to_owned(), value.clone()));
            }
            for (name, child) in &node.children {
                let below = if path.is_empty() {
                    name.clone()
                } else {
                    format!("{path}.{name}")
                };
                walk(child, &below, out);
            }
        }
        let mut out = Vec::new();
        walk(self, "", &mut out);
        out
    }
}

/// Undoes percent encoding and `+`.
pub(crate) fn decode(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let hex = |i: usize| {
            let digit = char::from(*bytes.get(i)?).to_digit(16)?;
            u8::try_from(digit).ok()
        };
        match (bytes[at], hex(at + 1), hex(at + 2)) {
            (b'%', Some(high), Some(low)) => {
                out.push(high * 16 + low);
                at += 3;
            }
            (b'+', ..) => {
                out.push(b' ');
                at += 1;
            }
            (byte, ..) => {
                out.push(byte);
                at += 1;
            }
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_form_becomes_a_tree_with_lists_in_numeric_order() {
        let params = Params::parse("A.B=x%20y%2Bz&L.10=ten&L.9=nine&F.1.Name=n&F.1.Value.1=v+w&E=");
        assert_eq!(params.text("A.B"), Some("x y+z"));
        assert_eq!(params.texts("L"), ["nine", "ten"]);
        assert_eq!(params.list("F")[0].texts("Value"), ["v w"]);
        assert_eq!(params.text("E"), Some(""));
        assert_eq!(params.text("Missing"), None);
        assert!(params.without(&["E"]) != params);
        assert_eq!(params.flat().len(), 6);
    }
}
