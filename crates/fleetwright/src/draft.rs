//! A configuration that is just being thought of, and the commented text that becomes of it: pure.

use std::fmt::Write as _;

use fleetwright_core::{HourlyPrice, Market, Span};
use serde_json::Value;

use crate::providers::ProviderCode;

/// One pool on one provider, as a wizard asks for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Draft {
    /// The name of the fleet.
    pub fleet: String,
    /// The kind of the provider, which is also its name.
    pub kind: String,
    /// Further keys of the provider's table.
    pub fields: Vec<Field>,
    /// The pool; absent while only the provider is known.
    pub pool: Option<DraftPool>,
}

/// A key of a provider's table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Field {
    /// The key.
    pub name: String,
    /// What it is, in a sentence.
    pub about: String,
    /// One text, or several.
    pub value: FieldValue,
}

/// The value of a [`Field`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FieldValue {
    /// A string.
    Text(String),
    /// An array of strings.
    Texts(Vec<String>),
}

/// The pool of a [`Draft`].
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DraftPool {
    /// Its name.
    pub name: String,
    /// Machines wanted.
    pub count: u32,
    /// Region.
    pub region: String,
    /// Zone, if it matters.
    pub zone: Option<String>,
    /// Instance type.
    pub instance_type: String,
    /// On-demand or spot.
    pub market: Market,
    /// What one costs at the moment, for a comment.
    pub price: Option<HourlyPrice>,
    /// Image, if not the provider's default.
    pub image: Option<String>,
    /// Public keys that may log in.
    pub ssh_keys: Vec<String>,
    /// Longest runtime.
    pub max_runtime: Option<Span>,
    /// Longest runtime by `extend`.
    pub extend_to: Option<Span>,
    /// How long a node may be unused.
    pub idle_after: Option<Span>,
}

/// What a kind of provider must be told before it can be asked anything.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Needs {
    /// Keys that hold a secret by reference, each with a sentence about it and its default.
    pub secrets: Vec<(String, String, Option<String>)>,
    /// Whether its regions are named by `regions`, an array of strings.
    pub names_regions: bool,
}

/// Reads off a kind's schema what it must be told.
pub fn needs(code: &ProviderCode) -> Needs {
    let schema = (code.schema)();
    let mut needs = Needs::default();
    let Some(properties) = schema.get("properties").and_then(Value::as_object) else {
        return needs;
    };
    for (name, property) in properties {
        if refers_to_secret(property) {
            let about = property.get("description").and_then(Value::as_str);
            let default = property.get("default").and_then(Value::as_str);
            needs.secrets.push((
                name.clone(),
                about
                    .unwrap_or("A secret, by reference.")
                    .replace('\n', " "),
                default.map(str::to_owned),
            ));
        }
        let is_text = |items: &Value| items.get("type").and_then(Value::as_str) == Some("string");
        if name == "regions" && property.get("items").is_some_and(is_text) {
            needs.names_regions = true;
        }
    }
    needs
}

fn refers_to_secret(property: &Value) -> bool {
    let is = |value: &Value| {
        value
            .get("$ref")
            .and_then(Value::as_str)
            .is_some_and(|name| name.ends_with("/SecretRef"))
    };
    let any = |key: &str| {
        property
            .get(key)
            .and_then(Value::as_array)
            .is_some_and(|all| all.iter().any(is))
    };
    is(property) || any("anyOf") || any("allOf")
}

impl Draft {
    /// The text of the file, with comments.
    pub fn text(&self) -> String {
        let mut text = String::from(
            "# Written by `fleetwright init`. `fleetwright validate` checks it, `fleetwright up` makes it so.\n\n\
             # The name of the fleet. State, labels and nodes of different fleets are kept apart.\n",
        );
        line(&mut text, &format!("fleet = {}", quoted(&self.fleet)));
        line(&mut text, &format!("\n[providers.{}]", self.kind));
        line(&mut text, &format!("kind = {}", quoted(&self.kind)));
        for field in &self.fields {
            comment(&mut text, &field.about);
            let value = match &field.value {
                FieldValue::Text(one) => quoted(one),
                FieldValue::Texts(all) => array(all),
            };
            line(&mut text, &format!("{} = {value}", field.name));
        }
        if let Some(pool) = &self.pool {
            self.pool(&mut text, pool);
        }
        text
    }

    fn pool(&self, text: &mut String, pool: &DraftPool) {
        line(text, &format!("\n[pools.{}]", pool.name));
        line(text, "# How many machines are wanted.");
        line(text, &format!("desired = {}", pool.count));
        match pool.price {
            Some(price) => comment(
                text,
                &format!(
                    "Where to ask, in order of preference. One cost {price} when this was written."
                ),
            ),
            None => comment(text, "Where to ask, in order of preference."),
        }
        let mut place = format!(
            "provider = {}, region = {}",
            quoted(&self.kind),
            quoted(&pool.region)
        );
        if let Some(zone) = &pool.zone {
            place = format!("{place}, zone = {}", quoted(zone));
        }
        place = format!("{place}, type = {}", quoted(&pool.instance_type));
        if pool.market != Market::default() {
            place = format!("{place}, market = {}", quoted(pool.market.as_str()));
        }
        line(text, &format!("candidates = [{{ {place} }}]"));
        if let Some(image) = &pool.image {
            comment(text, "Image, in the provider's words.");
            line(text, &format!("image = {}", quoted(image)));
        }
        if !pool.ssh_keys.is_empty() {
            comment(
                text,
                "Public keys that may log in, besides the fleet's own.",
            );
            line(text, &format!("ssh_keys = {}", array(&pool.ssh_keys)));
        }
        comment(
            text,
            "A script (`#!`) or cloud-config document that runs at boot:",
        );
        line(text, "# user_data_file = \"boot.sh\"");
        line(text, &format!("\n[pools.{}.limits]", pool.name));
        let limits = [
            (
                "max_runtime",
                pool.max_runtime,
                "8h",
                "Longest runtime of a node: afterwards it is removed, also when no terminal is open.",
            ),
            (
                "extend_to",
                pool.extend_to,
                "24h",
                "Longest runtime that `fleetwright extend` can give it.",
            ),
            (
                "idle_after",
                pool.idle_after,
                "30m",
                "How long it may be unused: no SSH session, no load, no use of its GPUs.",
            ),
        ];
        for (name, value, example, about) in limits {
            comment(text, about);
            line(
                text,
                &value.map_or_else(
                    || format!("# {name} = \"{example}\""),
                    |span| format!("{name} = {}", quoted(&span.to_string())),
                ),
            );
        }
    }
}

fn line(text: &mut String, line: &str) {
    writeln!(text, "{line}").expect("a string can be written to");
}

fn comment(text: &mut String, about: &str) {
    line(text, &format!("# {about}"));
}

fn quoted(word: &str) -> String {
    toml::Value::String(word.to_owned()).to_string()
}

fn array(words: &[String]) -> String {
    let all: Vec<String> = words.iter().map(|word| quoted(word)).collect();
    format!("[{}]", all.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_word_stays_what_it_is() {
        let draft = Draft {
            fleet: "lab".into(),
            kind: "sim".into(),
            fields: vec![Field {
                name: "note".into(),
                about: "Anything.".into(),
                value: FieldValue::Texts(vec!["a \"b\" \\ c".into(), "d\ne".into()]),
            }],
            pool: Some(DraftPool {
                name: "gpu".into(),
                count: 2,
                region: "r".into(),
                zone: Some("z".into()),
                instance_type: "it's \"big\"".into(),
                market: Market::Spot,
                idle_after: Some(Span::minutes(30)),
                ..DraftPool::default()
            }),
        };
        let text = draft.text();
        let read: toml::Table = text
            .parse()
            .unwrap_or_else(|error| panic!("{error}\n{text}"));
        assert_eq!(
            read["providers"]["sim"]["note"][0].as_str(),
            Some("a \"b\" \\ c")
        );
        let candidate = &read["pools"]["gpu"]["candidates"][0];
        assert_eq!(candidate["type"].as_str(), Some("it's \"big\""));
        assert_eq!(candidate["market"].as_str(), Some("spot"));
        assert_eq!(
            read["pools"]["gpu"]["limits"]
                .as_table()
                .map(toml::Table::len),
            Some(1)
        );
    }
}
