//! Compares a TOML value with a JSON Schema and says everything that does not fit, in words.
//!
//! The structs that the file is deserialized into are the judge; their errors stop at the first
//! thing they meet. This module explains: it walks the schema that was generated from the same
//! structs and reports *all* misfits, each with its place and a suggestion. It knows the part of
//! JSON Schema that `schemars` writes for configuration structs; what it does not know it lets
//! pass, and then the judge's own words are used.

use fleetwright_core::{SecretRef, Span};
use serde_json::{Map, Value};
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::source::Problem;
use super::suggest;

/// Walks values and collects what is wrong with them.
pub(crate) struct Shape<'a> {
    text: &'a str,
    /// Says where a key belongs that was found where it does not.
    belongs: &'a dyn Fn(&str) -> Option<String>,
    problems: Vec<Problem>,
}

type Node<'i> = Spanned<DeValue<'i>>;

impl<'a> Shape<'a> {
    /// Starts on the text of a file. `belongs` tells the table in which a key is known, if any.
    pub(crate) fn new(text: &'a str, belongs: &'a dyn Fn(&str) -> Option<String>) -> Self {
        Self {
            text,
            belongs,
            problems: Vec::new(),
        }
    }

    /// What was found.
    pub(crate) fn into_problems(self) -> Vec<Problem> {
        self.problems
    }

    /// Checks a value. `root` holds the `$defs` that `schema` refers to.
    pub(crate) fn check(&mut self, root: &Value, schema: &Value, value: &Node<'_>, key: &str) {
        let (name, schema) = resolve(root, schema);
        if let Some(branches) = branches(schema) {
            return self.check_branches(root, name, branches, value, key);
        }
        let types = types(schema);
        if !types.is_empty() && !types.iter().any(|wanted| is_a(value.get_ref(), wanted)) {
            return self.wrong_type(name, types[0], value, key);
        }
        if let Some(choices) = schema.get("enum").and_then(Value::as_array) {
            let choices: Vec<&str> = choices.iter().filter_map(Value::as_str).collect();
            self.check_choice(&choices, value, key);
        }
        match value.get_ref() {
            DeValue::Table(table) => self.check_table(root, schema, table, value, key),
            DeValue::Array(items) => {
                if let Some(wanted) = schema.get("items") {
                    for (at, item) in items.iter().enumerate() {
                        self.check(root, wanted, item, &format!("{key}[{at}]"));
                    }
                }
            }
            DeValue::Integer(_) => self.check_bounds(schema, value, key),
            DeValue::String(text) => self.check_text(name, text, value, key),
            DeValue::Float(_) | DeValue::Boolean(_) | DeValue::Datetime(_) => {}
        }
    }

    fn check_table(
        &mut self,
        root: &Value,
        schema: &Value,
        table: &DeTable<'_>,
        whole: &Node<'_>,
        key: &str,
    ) {
        let none = Map::new();
        // Keys that a misspelled one was meant to be are not missing too.
        let mut meant = Vec::new();
        let properties = schema
            .get("properties")
            .and_then(Value::as_object)
            .unwrap_or(&none);
        let others = schema.get("additionalProperties");
        for (name, value) in table {
            let below = join(key, name.get_ref());
            match properties.get(name.get_ref().as_ref()).or(others) {
                Some(Value::Bool(false)) => {
                    meant.extend(self.unknown_key(name, properties, key));
                }
                Some(wanted) => self.check(root, wanted, value, &below),
                None => {}
            }
        }
        let required = schema.get("required").and_then(Value::as_array);
        for name in required.into_iter().flatten().filter_map(Value::as_str) {
            if !table.contains_key(name) && !meant.contains(&name) {
                self.missing_key(name, properties.get(name), whole, key);
            }
        }
    }

    /// Reports a key that the table does not have; returns the one it was probably meant to be.
    fn unknown_key<'k>(
        &mut self,
        name: &Spanned<toml::de::DeString<'_>>,
        known: &'k Map<String, Value>,
        key: &str,
    ) -> Option<&'k str> {
        let written = name.get_ref();
        let known = || known.keys().map(String::as_str);
        let place = if key.is_empty() {
            String::new()
        } else {
            format!(" in `{key}`")
        };
        let meant = suggest::closest(written, known());
        let hint = match (meant, (self.belongs)(written)) {
            (Some(meant), _) => Some(format!("did you mean `{meant}`?")),
            (None, Some(table)) => Some(format!("`{written}` is a key of {table}")),
            (None, None) => suggest::hint(written, "known keys", known()),
        };
        self.problems.push(Problem {
            hint,
            ..Problem::new(format!("unknown key `{written}`{place}"))
                .at(join(key, written), name.span())
        });
        meant
    }

    fn missing_key(&mut self, name: &str, schema: Option<&Value>, whole: &Node<'_>, key: &str) {
        let about = schema
            .and_then(|schema| schema.get("description"))
            .and_then(Value::as_str)
            .map(|text| format!("`{name}`: {}", first_sentence(text)));
        self.problems.push(Problem {
            hint: about,
            ..Problem::new(format!("`{key}` needs the key `{name}`"))
                .at(join(key, name), whole.span())
        });
    }

    fn wrong_type(&mut self, name: Option<&str>, wanted: &str, value: &Node<'_>, key: &str) {
        let raw = self.text.get(value.span()).unwrap_or("");
        let hint = match (name, wanted, value.get_ref()) {
            (Some("Duration"), _, DeValue::Integer(number)) => {
                Some(format!("write a unit and quotes: `\"{number}s\"`"))
            }
            (_, "string", DeValue::Integer(_) | DeValue::Float(_) | DeValue::Boolean(_)) => {
                Some(format!("write it in quotes: `\"{raw}\"`"))
            }
            (_, "integer", DeValue::String(text)) if text.parse::<i64>().is_ok() => {
                Some(format!("write it without quotes: `{text}`"))
            }
            (_, "boolean", DeValue::String(text)) if text == "true" || text == "false" => {
                Some(format!("write it without quotes: `{text}`"))
            }
            (_, "array", DeValue::String(_) | DeValue::Integer(_)) => {
                Some(format!("write it in brackets: `[{raw}]`"))
            }
            _ => None,
        };
        self.problems.push(Problem {
            hint,
            is_secret: name == Some("SecretRef"),
            ..Problem::new(format!(
                "`{key}` must be {}, not {}",
                with_article(wanted),
                with_article(value.get_ref().type_str())
            ))
            .at(key, value.span())
        });
    }

    fn check_bounds(&mut self, schema: &Value, value: &Node<'_>, key: &str) {
        let Some(number) = integer(value.get_ref()) else {
            return;
        };
        let bound = |name| schema.get(name).and_then(Value::as_i64).map(i128::from);
        let format = schema.get("format").and_then(Value::as_str);
        let least = bound("minimum");
        let most = bound("maximum").or_else(|| greatest(format?));
        let message = match (least, most) {
            (Some(least), _) if number < least => format!("`{key}` must be at least {least}"),
            (_, Some(most)) if number > most => format!("`{key}` must be at most {most}"),
            _ => return,
        };
        self.problems
            .push(Problem::new(message).at(key, value.span()));
    }

    /// Texts that the schema knows only by name.
    fn check_text(&mut self, name: Option<&str>, text: &str, value: &Node<'_>, key: &str) {
        let (error, is_secret) = match name {
            Some("Duration") => (text.parse::<Span>().err(), false),
            Some("SecretRef") => (text.parse::<SecretRef>().err(), true),
            _ => return,
        };
        if let Some(error) = error {
            self.problems.push(Problem {
                is_secret,
                ..Problem::from_error(&error).at(key, value.span())
            });
        }
    }

    fn check_choice(&mut self, choices: &[&str], value: &Node<'_>, key: &str) {
        let DeValue::String(written) = value.get_ref() else {
            return self.wrong_type(None, "string", value, key);
        };
        if !choices.contains(&written.as_ref()) {
            self.problems.push(Problem {
                hint: suggest::hint(written, "known values", choices.iter().copied()),
                ..Problem::new(format!("`{written}` is not a value of `{key}`"))
                    .at(key, value.span())
            });
        }
    }

    /// One of some words. Of strategies there are few: all are listed, however near a guess is.
    fn check_words(&mut self, name: Option<&str>, words: &[&str], value: &Node<'_>, key: &str) {
        let before = self.problems.len();
        self.check_choice(words, value, key);
        if name == Some("StrategyName") {
            let list: Vec<String> = words.iter().map(|word| format!("`{word}`")).collect();
            let list = format!("known strategies: {}", list.join(", "));
            for problem in &mut self.problems[before..] {
                problem.hint = match problem.hint.take() {
                    Some(hint) if hint.starts_with("did you mean") => {
                        Some(format!("{hint} {list}"))
                    }
                    _ => Some(list.clone()),
                };
            }
        }
    }

    /// `oneOf` and `anyOf`: a list of words, values told apart by their type, or tables told apart
    /// by a tag. Anything else passes.
    fn check_branches(
        &mut self,
        root: &Value,
        name: Option<&str>,
        branches: &[Value],
        value: &Node<'_>,
        key: &str,
    ) {
        let words: Vec<&str> = branches
            .iter()
            .filter_map(|branch| branch.get("const")?.as_str())
            .collect();
        if words.len() == branches.len() {
            return self.check_words(name, &words, value, key);
        }
        // Branches of different types: whoever writes a string means the one that is a string.
        let typed: Vec<(&Value, &str)> = branches
            .iter()
            .filter_map(|branch| Some((branch, type_of(resolve(root, branch).1)?)))
            .collect();
        let differ = (1..typed.len()).all(|at| typed[..at].iter().all(|one| one.1 != typed[at].1));
        if differ && typed.len() == branches.len() && tag_of(branches).is_none() {
            let meant = typed
                .iter()
                .find(|(_, wanted)| is_a(value.get_ref(), wanted));
            return match (meant, typed.first()) {
                (Some((branch, _)), _) => self.check(root, branch, value, key),
                (None, Some((_, wanted))) => self.wrong_type(None, wanted, value, key),
                (None, None) => {}
            };
        }
        let Some(tag) = tag_of(branches) else {
            if let [only] = branches {
                self.check(root, only, value, key);
            }
            return;
        };
        let DeValue::Table(table) = value.get_ref() else {
            return self.wrong_type(None, "object", value, key);
        };
        let Some(chosen) = table.get(tag) else {
            return self.missing_key(tag, None, value, key);
        };
        let found = branches.iter().find(|branch| {
            tag_value(branch, tag).is_some_and(|word| chosen.get_ref().as_str() == Some(word))
        });
        if let Some(branch) = found {
            return self.check(root, branch, value, key);
        }
        let words: Vec<&str> = branches
            .iter()
            .filter_map(|branch| tag_value(branch, tag))
            .collect();
        self.check_choice(&words, chosen, &join(key, tag));
    }
}

/// `key` below `above`, as it is written in TOML.
pub(crate) fn join(above: &str, key: &str) -> String {
    let is_bare = !key.is_empty()
        && key
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '-');
    let key = if is_bare {
        key.to_owned()
    } else {
        format!("{key:?}")
    };
    if above.is_empty() {
        key
    } else {
        format!("{above}.{key}")
    }
}

/// Follows `$ref`; also says the name of the definition.
fn resolve<'s>(root: &'s Value, schema: &'s Value) -> (Option<&'s str>, &'s Value) {
    let Some(name) = schema
        .get("$ref")
        .and_then(Value::as_str)
        .and_then(|path| path.strip_prefix("#/$defs/"))
    else {
        return (None, schema);
    };
    match root.get("$defs").and_then(|defs| defs.get(name)) {
        Some(found) => (Some(name), resolve(root, found).1),
        None => (Some(name), schema),
    }
}

fn branches(schema: &Value) -> Option<&[Value]> {
    ["oneOf", "anyOf"]
        .iter()
        .find_map(|key| schema.get(key)?.as_array())
        .map(Vec::as_slice)
}

/// The property that is a constant in every branch.
fn tag_of(branches: &[Value]) -> Option<&str> {
    let first = branches.first()?.get("properties")?.as_object()?;
    first.keys().map(String::as_str).find(|key| {
        branches
            .iter()
            .all(|branch| tag_value(branch, key).is_some())
    })
}

fn tag_value<'s>(branch: &'s Value, tag: &str) -> Option<&'s str> {
    branch.get("properties")?.get(tag)?.get("const")?.as_str()
}

fn types(schema: &Value) -> Vec<&str> {
    match schema.get("type") {
        Some(Value::String(one)) => vec![one],
        Some(Value::Array(several)) => several
            .iter()
            .filter_map(Value::as_str)
            .filter(|name| *name != "null")
            .collect(),
        _ => Vec::new(),
    }
}

/// The one type of a schema: a list of words is a string.
fn type_of(schema: &Value) -> Option<&str> {
    if let Some(branches) = branches(schema) {
        let is_word = |branch: &Value| branch.get("const").is_some_and(Value::is_string);
        return branches.iter().all(is_word).then_some("string");
    }
    match types(schema).as_slice() {
        [one] => Some(one),
        _ => None,
    }
}

fn is_a(value: &DeValue<'_>, wanted: &str) -> bool {
    match wanted {
        "object" => value.is_table(),
        "array" => value.is_array(),
        "string" => value.is_str(),
        "integer" => value.is_integer(),
        "number" => value.is_integer() || value.is_float(),
        "boolean" => value.is_bool(),
        _ => true,
    }
}

fn integer(value: &DeValue<'_>) -> Option<i128> {
    let number = value.as_integer()?;
    i128::from_str_radix(number.as_str(), number.radix()).ok()
}

/// The greatest value of an integer type, for the types whose bounds the schema leaves out.
fn greatest(format: &str) -> Option<i128> {
    Some(match format {
        "uint8" => u8::MAX.into(),
        "uint16" => u16::MAX.into(),
        "uint32" => u32::MAX.into(),
        "int32" => i32::MAX.into(),
        // TOML itself ends here.
        "uint64" | "int64" | "uint" | "int" => i64::MAX.into(),
        _ => return None,
    })
}

pub(crate) fn with_article(type_name: &str) -> &'static str {
    match type_name {
        "object" | "table" => "a table",
        "array" => "an array",
        "string" => "a string",
        "integer" => "an integer",
        "number" | "float" => "a number",
        "boolean" => "`true` or `false`",
        "datetime" => "a date",
        _ => "another type",
    }
}

/// The first sentence of a description, as a fragment without its full stop.
fn first_sentence(text: &str) -> String {
    let text = text.replace('\n', " ");
    let end = text
        .match_indices(". ")
        .map(|(at, _)| at)
        .find(|at| !text[..*at].ends_with("e.g"));
    text[..end.unwrap_or(text.len())]
        .trim_end_matches('.')
        .to_owned()
}
