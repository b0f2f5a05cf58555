//! The reference of the configuration, written from its schema.

use std::fmt::Write as _;

use serde_json::Value;

use crate::env::VARIABLES;
use crate::providers::{KINDS, ProviderKind};
use crate::schema;

/// A key of the configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// The header of the table it stands in, e.g. `[[pools.<name>.candidates]]`; empty for the top
    /// level.
    pub table: String,
    /// The kind of provider whose table this is.
    pub kind: Option<String>,
    /// Its name.
    pub key: String,
    /// What its value is, in words.
    pub value: String,
    /// What it is if it is left out; absent if there is nothing then.
    pub default: Option<String>,
    /// Whether it must be given.
    pub is_required: bool,
    /// What it does.
    pub about: String,
}

/// Providers, what they can do and the limits they keep to: `docs/reference/providers.md`.
///
/// # Errors
/// `Config` if a kind that this program was built with cannot be built with the least that it must
/// be told.
pub fn providers() -> fleetwright_core::Result<String> {
    crate::providers_page::markdown()
}

/// Every key, in the order of the reference.
pub fn rows() -> Vec<Row> {
    rows_for(KINDS)
}

/// The reference as Markdown: `docs/reference/configuration.md`.
pub fn markdown() -> String {
    let mut out = String::from(
        "# Configuration\n\n\
         <!-- Written by `cargo xtask generate` from the types; not by hand. -->\n\n\
         One file, `fleetwright.toml`. It is looked for at `--config`, `FLEETWRIGHT_CONFIG`, in \
         the current directory and at `~/.config/fleetwright/fleetwright.toml`, in this order. \
         Without a file, a fleet of three local nodes is used. Later wins: defaults, file, \
         environment, flags.\n\n\
         `fleetwright.schema.json` beside this page lets editors complete and check the file.\n",
    );
    let rows = rows();
    let mut at = 0;
    while let Some(first) = rows.get(at) {
        let section: Vec<&Row> = rows[at..]
            .iter()
            .take_while(|row| row.table == first.table && row.kind == first.kind)
            .collect();
        write_section(&mut out, first, &section);
        at += section.len();
    }
    out.push_str("\nVariables that win over the file: [environment](environment.md).\n");
    out
}

/// The list of environment variables as Markdown: `docs/reference/environment.md`.
pub fn environment() -> String {
    let mut out = String::from(
        "# Environment\n\n\
         <!-- Written by `cargo xtask generate` from the code; not by hand. -->\n\n\
         Every variable that is read. What the environment says wins over the configuration file \
         and loses against flags. A variable that is set to nothing counts as not set. References \
         to secrets (`env:NAME`) name further variables themselves.\n\n\
         | variable | meaning |\n|---|---|\n",
    );
    for variable in VARIABLES {
        push(
            &mut out,
            format_args!("| `{}` | {} |\n", variable.name, variable.about),
        );
    }
    out
}

fn write_section(out: &mut String, first: &Row, section: &[&Row]) {
    match (first.table.as_str(), &first.kind) {
        ("", _) => out.push_str("\n## Top level\n\n"),
        (table, None) => push(out, format_args!("\n## `{table}`\n\n")),
        (table, Some(kind)) => push(out, format_args!("\n## `{table}` of kind `{kind}`\n\n")),
    }
    let about = KINDS
        .iter()
        .find(|kind| first.key == "kind" && first.kind.as_deref() == Some(kind.kind));
    if let Some(kind) = about {
        push(out, format_args!("{}\n\n", kind.about));
    }
    out.push_str("| key | value | default | meaning |\n|---|---|---|---|\n");
    for row in section {
        let default = match (&row.default, row.is_required) {
            (_, true) => "required".to_owned(),
            (Some(default), _) => format!("`{default}`"),
            (None, _) => String::new(),
        };
        let about = row.about.replace('|', "\\|").replace('\n', " ");
        push(
            out,
            format_args!("| `{}` | {} | {default} | {about} |\n", row.key, row.value),
        );
    }
}

fn push(out: &mut String, text: std::fmt::Arguments<'_>) {
    out.write_fmt(text)
        .expect("writing to a string cannot fail");
}

/// The table in which a key is known, for hints about keys in the wrong place.
pub(crate) fn table_of(key: &str, kinds: &[ProviderKind]) -> Option<String> {
    rows_for(kinds)
        .into_iter()
        .find(|row| row.key == key)
        .map(|row| {
            if row.table.is_empty() {
                "the top level".to_owned()
            } else {
                format!("`{}`", row.table)
            }
        })
}

fn rows_for(kinds: &[ProviderKind]) -> Vec<Row> {
    let root = schema::for_kinds(kinds);
    let mut walk = Walk {
        root: &root,
        rows: Vec::new(),
    };
    walk.table(&root, "", None);
    walk.rows
}

struct Walk<'s> {
    root: &'s Value,
    rows: Vec<Row>,
}

impl<'s> Walk<'s> {
    /// Lists the keys of a table, then those of the tables below it.
    fn table(&mut self, schema: &'s Value, path: &str, kind: Option<&str>) {
        let schema = self.resolve(schema);
        if let Some(branches) = schema.get("oneOf").and_then(Value::as_array) {
            for branch in branches {
                let constant = branch.pointer("/properties/kind/const");
                self.table(branch, path, constant.and_then(Value::as_str));
            }
            return;
        }
        let Some(properties) = schema.get("properties").and_then(Value::as_object) else {
            return;
        };
        let required: Vec<&str> = schema
            .get("required")
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
            .filter_map(Value::as_str)
            .collect();
        for (key, property) in properties {
            let row = Row {
                table: header(path),
                kind: kind.map(str::to_owned),
                key: key.clone(),
                value: self.value(property),
                default: property
                    .get("default")
                    .filter(|default| !is_nothing(default))
                    .map(in_toml),
                is_required: required.contains(&key.as_str()),
                about: self.about(property),
            };
            self.rows.push(row);
        }
        for (key, property) in properties {
            let below = if path.is_empty() {
                key.clone()
            } else {
                format!("{path}.{key}")
            };
            let schema = self.resolve(property);
            if let Some(items) = schema.get("items") {
                self.table(items, &format!("{below}[]"), kind);
            } else if let Some(each) = schema.get("additionalProperties").filter(|s| s.is_object())
            {
                self.table(each, &format!("{below}.<name>"), kind);
            } else if schema.get("properties").is_some() {
                self.table(schema, &below, kind);
            }
        }
    }

    fn resolve(&self, schema: &'s Value) -> &'s Value {
        schema
            .get("$ref")
            .and_then(Value::as_str)
            .and_then(|path| self.root.pointer(path.strip_prefix('#')?))
            .unwrap_or(schema)
    }

    fn about(&self, property: &'s Value) -> String {
        let own = property.get("description");
        own.or_else(|| self.resolve(property).get("description"))
            .and_then(Value::as_str)
            .unwrap_or("")
            .to_owned()
    }

    /// What a value is, in words.
    fn value(&self, property: &'s Value) -> String {
        if let Some(name) = property.get("$ref").and_then(Value::as_str)
            && name.ends_with("/Duration")
        {
            return "duration".to_owned();
        }
        let schema = self.resolve(property);
        if let Some(constant) = schema.get("const").and_then(Value::as_str) {
            return format!("`\"{constant}\"`");
        }
        let words = |list: &'s Value, name: &str| -> Option<String> {
            let words: Option<Vec<String>> = list
                .as_array()?
                .iter()
                .map(|item| match name {
                    "" => item.as_str(),
                    name => item.get(name)?.as_str(),
                })
                .map(|word| word.map(|word| format!("`\"{word}\"`")))
                .collect();
            Some(words?.join(", "))
        };
        let choices = schema
            .get("oneOf")
            .and_then(|list| words(list, "const"))
            .or_else(|| schema.get("enum").and_then(|list| words(list, "")));
        if let Some(choices) = choices {
            return choices;
        }
        if let Some(branches) = schema.get("anyOf").and_then(Value::as_array) {
            let of = |branch: &'s Value| match branch.get("type").and_then(Value::as_str) {
                Some("array") => "list of these".to_owned(),
                _ => self.value(branch),
            };
            return branches.iter().map(of).collect::<Vec<_>>().join(", ");
        }
        match schema.get("type").and_then(Value::as_str) {
            Some("object") => "table".to_owned(),
            Some("array") => match schema.get("items") {
                Some(items) => format!("list of {}", plural(&self.value(items))),
                None => "list".to_owned(),
            },
            Some("boolean") => "`true`, `false`".to_owned(),
            Some(other) => other.to_owned(),
            None => "any".to_owned(),
        }
    }
}

/// A path as the header that opens the table in a file.
fn header(path: &str) -> String {
    match path.strip_suffix("[]") {
        _ if path.is_empty() => String::new(),
        Some(list) => format!("[[{}]]", list.replace("[]", "")),
        None => format!("[{}]", path.replace("[]", "")),
    }
}

fn plural(word: &str) -> String {
    match word {
        "string" | "integer" | "table" | "duration" | "number" => format!("{word}s"),
        other => other.to_owned(),
    }
}

/// Whether a default says no more than that there is nothing.
fn is_nothing(default: &Value) -> bool {
    match default {
        Value::Array(items) => items.is_empty(),
        // A table's own keys have their own defaults.
        Value::Null | Value::Object(_) => true,
        _ => false,
    }
}

/// A default as it would be written in the file; long lists are cut.
fn in_toml(value: &Value) -> String {
    match value {
        Value::Array(items) if items.iter().any(|item| !item.is_string()) => {
            format!("{} entries", items.len())
        }
        other => other.to_string(),
    }
}
