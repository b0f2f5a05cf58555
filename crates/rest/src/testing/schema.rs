//! OpenAPI schemas made into strict JSON Schemas.
//!
//! What differs from JSON Schema 2020-12 is translated (`nullable`, boolean `exclusiveMinimum`),
//! and every object that lists its properties refuses all others. Through `allOf` and references,
//! that is said once at the outside, by `unevaluatedProperties`: so each referenced schema comes in
//! two forms, closed for where it stands alone, and open for where it is a part.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

/// Which way a body goes: requests do not hold what is `readOnly`, answers not what is `writeOnly`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Way {
    /// To the vendor.
    Request,
    /// From the vendor.
    Reply,
}

/// Whether an object refuses what it does not list, or leaves that to the schema around it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    Closed,
    Open,
}

/// The strict JSON Schema of a schema that stands in `root`, with everything that it refers to.
pub(super) fn strict(root: &Value, schema: &Value, way: Way) -> Value {
    let mut translation = Translation {
        root,
        way,
        defs: BTreeMap::new(),
        pending: Vec::new(),
    };
    let outer = translation.schema(schema, Form::Closed);
    while let Some((name, pointer, form)) = translation.pending.pop() {
        let target = root
            .pointer(&pointer)
            .cloned()
            .unwrap_or(Value::Bool(false));
        let translated = translation.schema(&target, form);
        translation.defs.insert(name, translated);
    }
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "allOf": [outer],
        "$defs": translation.defs,
    })
}

/// Follows references until something stands there. References in a circle end at the last.
pub(super) fn resolve<'a>(root: &'a Value, mut value: &'a Value) -> &'a Value {
    for _ in 0..16 {
        let Some(target) = value
            .get("$ref")
            .and_then(Value::as_str)
            .and_then(|reference| root.pointer(reference.strip_prefix('#')?))
        else {
            return value;
        };
        value = target;
    }
    value
}

struct Translation<'a> {
    root: &'a Value,
    way: Way,
    defs: BTreeMap<String, Value>,
    pending: Vec<(String, String, Form)>,
}

impl Translation<'_> {
    fn schema(&mut self, schema: &Value, form: Form) -> Value {
        let Value::Object(fields) = schema else {
            return schema.clone();
        };
        if let Some(reference) = fields.get("$ref").and_then(Value::as_str) {
            // In 3.0 nothing beside a reference counts; in 3.1, only descriptions stand there.
            return self.reference(reference, form);
        }
        let mut out = Map::new();
        for key in KEPT {
            if let Some(value) = fields.get(*key) {
                out.insert((*key).to_owned(), value.clone());
            }
        }
        exclusive(fields, &mut out);
        if let Some(pattern) = fields
            .get("pattern")
            .and_then(Value::as_str)
            .and_then(pattern)
        {
            out.insert("pattern".to_owned(), pattern.into());
        }
        for key in ["items", "not", "additionalProperties", "propertyNames"] {
            if let Some(inner) = fields.get(key) {
                out.insert(key.to_owned(), self.schema(inner, Form::Closed));
            }
        }
        if let Some(Value::Array(items)) = fields.get("prefixItems") {
            let items = items.iter().map(|item| self.schema(item, Form::Closed));
            out.insert("prefixItems".to_owned(), items.collect());
        }
        self.properties(fields, &mut out);
        let has_own = out.contains_key("properties");
        let is_closed_by_itself = fields.contains_key("additionalProperties");
        // Alternatives are closed each by itself, unless something beside them adds to them.
        let alternative = match form {
            Form::Closed if !has_own && !fields.contains_key("allOf") => Form::Closed,
            _ => Form::Open,
        };
        let mut has_alternatives = false;
        for key in ["oneOf", "anyOf"] {
            if let Some(Value::Array(branches)) = fields.get(key) {
                has_alternatives = true;
                let branches: Vec<Value> = branches
                    .iter()
                    .map(|branch| self.schema(branch, alternative))
                    .collect();
                // Descriptions say `oneOf` where several fit: at least one must.
                out.insert("anyOf".to_owned(), branches.into());
            }
        }
        let has_parts = if let Some(Value::Array(parts)) = fields.get("allOf") {
            let parts: Vec<Value> = parts
                .iter()
                .map(|part| self.schema(part, Form::Open))
                .collect();
            out.insert("allOf".to_owned(), parts.into());
            true
        } else {
            false
        };
        let lists = has_own || has_parts || (has_alternatives && alternative == Form::Open);
        if form == Form::Closed && lists && !is_closed_by_itself {
            out.insert("unevaluatedProperties".to_owned(), Value::Bool(false));
        }
        if fields.get("nullable") == Some(&Value::Bool(true)) {
            return json!({ "anyOf": [{ "type": "null" }, out] });
        }
        Value::Object(out)
    }

    fn properties(&mut self, fields: &Map<String, Value>, out: &mut Map<String, Value>) {
        let mut hidden = Vec::new();
        if let Some(Value::Object(properties)) = fields.get("properties") {
            let mut kept = Map::new();
            for (name, property) in properties {
                if self.is_hidden(property) {
                    hidden.push(name.as_str());
                    if self.way == Way::Reply {
                        continue;
                    }
                    kept.insert(name.clone(), Value::Bool(false));
                } else {
                    kept.insert(name.clone(), self.schema(property, Form::Closed));
                }
            }
            out.insert("properties".to_owned(), Value::Object(kept));
        }
        if let Some(Value::Array(required)) = fields.get("required") {
            let required: Vec<Value> = required
                .iter()
                .filter(|name| name.as_str().is_none_or(|name| !hidden.contains(&name)))
                .cloned()
                .collect();
            out.insert("required".to_owned(), required.into());
        }
    }

    fn is_hidden(&self, property: &Value) -> bool {
        let key = match self.way {
            Way::Request => "readOnly",
            Way::Reply => "writeOnly",
        };
        let is_marked = |value: &Value| value.get(key) == Some(&Value::Bool(true));
        is_marked(property) || is_marked(resolve(self.root, property))
    }

    fn reference(&mut self, reference: &str, form: Form) -> Value {
        let Some(pointer) = reference.strip_prefix('#') else {
            // Another file: descriptions are bundled, so this names nothing.
            return Value::Bool(false);
        };
        let mut name: String = pointer
            .chars()
            .map(|c| if c.is_ascii_alphanumeric() { c } else { '_' })
            .collect();
        if form == Form::Open {
            name.push_str("-open");
        }
        if !self.defs.contains_key(&name) {
            self.defs.insert(name.clone(), Value::Bool(true));
            self.pending.push((name.clone(), pointer.to_owned(), form));
        }
        json!({ "$ref": format!("#/$defs/{name}") })
    }
}

/// Keywords that mean the same on both sides. `format` is not judged: descriptions use their own.
const KEPT: &[&str] = &[
    "type",
    "enum",
    "const",
    "minLength",
    "maxLength",
    "minimum",
    "maximum",
    "multipleOf",
    "minItems",
    "maxItems",
    "uniqueItems",
    "minProperties",
    "maxProperties",
];

/// A pattern as JSON Schema has it. Descriptions also hold those of other dialects; what cannot be
/// read in any way is left out.
fn pattern(text: &str) -> Option<String> {
    let anchored = text
        .replace("\\A", "^")
        .replace("\\Z", "$")
        .replace("\\z", "$");
    let dashed = anchored.replace("-_]", "_-]");
    [text.to_owned(), anchored, dashed]
        .into_iter()
        .find(|pattern| jsonschema::validator_for(&json!({ "pattern": pattern })).is_ok())
}

/// In 3.0 a flag beside `minimum`; in 3.1 a number of its own.
fn exclusive(fields: &Map<String, Value>, out: &mut Map<String, Value>) {
    for (flag, bound) in [
        ("exclusiveMinimum", "minimum"),
        ("exclusiveMaximum", "maximum"),
    ] {
        match fields.get(flag) {
            Some(Value::Bool(true)) => {
                if let Some(value) = out.remove(bound) {
                    out.insert(flag.to_owned(), value);
                }
            }
            Some(number @ Value::Number(_)) => {
                out.insert(flag.to_owned(), number.clone());
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judge(root: &Value, way: Way, value: &Value) -> bool {
        let schema = strict(root, &root["start"], way);
        let validator = jsonschema::validator_for(&schema).expect("a schema");
        validator.is_valid(value)
    }

    #[test]
    fn undocumented_fields_are_refused_through_references_and_parts() {
        let root = json!({
            "start": { "allOf": [
                { "$ref": "#/base" },
                { "type": "object", "properties": { "inner": { "$ref": "#/base" } } },
            ]},
            "base": { "type": "object", "required": ["id"], "properties": {
                "id": { "type": "integer" },
                "free": { "type": "object" },
                "map": { "type": "object", "additionalProperties": { "type": "string" } },
            }},
        });
        for (value, is_valid) in [
            (json!({ "id": 1, "inner": { "id": 2 } }), true),
            (
                json!({ "id": 1, "free": { "any": 1 }, "map": { "a": "b" } }),
                true,
            ),
            (json!({ "id": 1, "map": { "a": 2 } }), false),
            (json!({ "id": 1, "more": 2 }), false),
            (json!({ "id": 1, "inner": { "id": 2, "more": 3 } }), false),
            (json!({ "inner": { "id": 2 } }), false),
            (json!({ "id": "1" }), false),
        ] {
            assert_eq!(judge(&root, Way::Reply, &value), is_valid, "{value}");
        }
    }

    #[test]
    fn alternatives_are_closed_and_several_may_fit() {
        let root = json!({
            "start": { "oneOf": [{ "$ref": "#/a" }, { "$ref": "#/b" }, { "type": "string" }] },
            "a": { "type": "object", "properties": { "x": { "type": "integer" } } },
            "b": { "type": "object", "properties": {
                "x": { "type": "integer" },
                "y": { "type": "integer" },
            }},
        });
        for (value, is_valid) in [
            (json!({ "x": 1 }), true),
            (json!({ "x": 1, "y": 2 }), true),
            (json!({ "z": 1 }), false),
            (json!("text"), true),
            (json!(1), false),
        ] {
            assert_eq!(judge(&root, Way::Reply, &value), is_valid, "{value}");
        }
    }

    #[test]
    fn what_an_old_description_says_in_its_own_way_is_understood() {
        let root = json!({
            "start": { "type": "object", "properties": {
                "none": { "type": "string", "nullable": true, "enum": ["a"] },
                "more": { "type": "integer", "minimum": 1, "exclusiveMinimum": true },
                "part": { "nullable": true, "allOf": [{ "$ref": "#/part" }] },
            }},
            "part": { "type": "object", "properties": { "x": {} } },
        });
        for (value, is_valid) in [
            (json!({ "none": null }), true),
            (json!({ "none": "a" }), true),
            (json!({ "none": "b" }), false),
            (json!({ "more": 1 }), false),
            (json!({ "more": 2 }), true),
            (json!({ "part": null }), true),
            (json!({ "part": { "y": 1 } }), false),
        ] {
            assert_eq!(judge(&root, Way::Reply, &value), is_valid, "{value}");
        }
    }

    #[test]
    fn fields_of_the_other_way_are_neither_wanted_nor_taken() {
        let root = json!({
            "start": { "type": "object", "required": ["id", "name", "password"], "properties": {
                "id": { "type": "integer", "readOnly": true },
                "name": { "type": "string" },
                "password": { "type": "string", "writeOnly": true },
            }},
        });
        let sent = json!({ "name": "n", "password": "p" });
        let given = json!({ "id": 1, "name": "n" });
        assert!(judge(&root, Way::Request, &sent) && judge(&root, Way::Reply, &given));
        assert!(!judge(&root, Way::Request, &given) && !judge(&root, Way::Reply, &sent));
    }
}
