//! The JSON Schema of the whole configuration file, from the types that it is read into.
//!
//! Editors complete and check with it; the reference and the explanations of errors are made from
//! it. What a provider's table may hold depends on its `kind`: a `oneOf` with `kind` as its tag.

use fleetwright_core::Pool;
use schemars::JsonSchema;
use serde_json::{Map, Value, json};

use crate::config::TopLevel;
use crate::providers::{KINDS, ProviderKind};

/// The schema of `fleetwright.toml` for the kinds that are compiled in.
pub fn schema() -> Value {
    for_kinds(KINDS)
}

pub(crate) fn for_kinds(kinds: &[ProviderKind]) -> Value {
    let mut whole = top_level_with_tables();
    let mut defs = take_defs(&mut whole);
    let mut pool = pool();
    defs.extend(take_defs(&mut pool));
    insert_user_data_file(&mut pool);
    let mut branches = Vec::new();
    for kind in kinds {
        let Some(code) = &kind.code else { continue };
        let mut table = tidy((code.schema)());
        for (name, definition) in take_defs(&mut table) {
            // The same name must mean the same in every kind; a `$ref` knows no namespaces.
            defs.entry(name).or_insert(definition);
        }
        insert_kind(&mut table, kind);
        branches.push(table);
    }
    defs.insert("Pool".to_owned(), without_meta(pool));
    defs.insert(
        "Provider".to_owned(),
        json!({
            "description": "Where machines come from. What else stands here depends on `kind`.",
            "oneOf": branches,
        }),
    );
    if let Some(properties) = whole.get_mut("properties").and_then(Value::as_object_mut) {
        properties.insert(
            "providers".to_owned(),
            table_of("Provider", "Where machines come from, by name."),
        );
        properties.insert(
            "pools".to_owned(),
            table_of(
                "Pool",
                "Sets of like machines that are kept at a size, by name.",
            ),
        );
        // Corrections come after what they correct.
        if let Some(prices) = properties.shift_remove("prices") {
            properties.insert("prices".to_owned(), prices);
        }
    }
    let mut schema = json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "fleetwright.toml",
        "description": "The configuration of a fleet.",
    });
    if let (Some(schema), Value::Object(whole)) = (schema.as_object_mut(), without_meta(whole)) {
        schema.extend(whole.into_iter().filter(|(key, _)| key != "description"));
        schema.insert("required".to_owned(), json!(["providers"]));
        schema.insert("$defs".to_owned(), Value::Object(defs));
    }
    schema
}

/// The schema of the top level. `providers` and `pools` are in it as anything, for explanations:
/// they are parts of their own.
pub(crate) fn top_level_with_tables() -> Value {
    let mut schema = of::<TopLevel>();
    if let Some(properties) = schema.get_mut("properties").and_then(Value::as_object_mut) {
        properties.insert("providers".to_owned(), Value::Bool(true));
        properties.insert("pools".to_owned(), Value::Bool(true));
    }
    schema
}

/// The schema of a pool's table.
pub(crate) fn pool() -> Value {
    let mut schema = of::<Pool>();
    insert_user_data_file(&mut schema);
    schema
}

/// Takes out what JSON knows and TOML does not: `null`.
pub(crate) fn tidy(mut schema: Value) -> Value {
    drop_null(&mut schema);
    schema
}

fn of<T: JsonSchema>() -> Value {
    tidy(schemars::schema_for!(T).to_value())
}

fn drop_null(schema: &mut Value) {
    match schema {
        Value::Object(map) => {
            if let Some(Value::Array(types)) = map.get_mut("type") {
                types.retain(|name| name != "null");
                if let [only] = types.as_slice() {
                    let only = only.clone();
                    map.insert("type".to_owned(), only);
                }
            }
            if map.get("default").is_some_and(Value::is_null) {
                map.shift_remove("default");
            }
            for key in ["anyOf", "oneOf"] {
                let Some(Value::Array(branches)) = map.get_mut(key) else {
                    continue;
                };
                branches.retain(|branch| branch.get("type") != Some(&json!("null")));
                // `Option<T>` of a referenced type: the reference alone says it.
                if let [Value::Object(only)] = branches.as_slice() {
                    let only = only.clone();
                    map.shift_remove(key);
                    for (name, value) in only {
                        map.entry(name).or_insert(value);
                    }
                }
            }
            map.values_mut().for_each(drop_null);
        }
        Value::Array(items) => items.iter_mut().for_each(drop_null),
        _ => {}
    }
}

fn take_defs(schema: &mut Value) -> Map<String, Value> {
    match schema
        .as_object_mut()
        .and_then(|map| map.shift_remove("$defs"))
    {
        Some(Value::Object(defs)) => defs,
        _ => Map::new(),
    }
}

fn without_meta(mut schema: Value) -> Value {
    if let Some(map) = schema.as_object_mut() {
        map.shift_remove("$schema");
        map.shift_remove("title");
    }
    schema
}

fn insert_user_data_file(pool: &mut Value) {
    if let Some(properties) = pool.get_mut("properties").and_then(Value::as_object_mut) {
        let after = properties.keys().position(|key| key == "user_data");
        properties.shift_insert(
            after.map_or(properties.len(), |at| at + 1),
            "user_data_file".to_owned(),
            json!({
                "type": "string",
                "description": "File that holds the user data, instead of `user_data`. A relative \
                                path starts at the configuration file.",
            }),
        );
    }
}

fn insert_kind(table: &mut Value, kind: &ProviderKind) {
    let taken = std::mem::take(table);
    let mut taken = without_meta(taken);
    if let Some(map) = taken.as_object_mut() {
        let mut properties = Map::new();
        properties.insert(
            "kind".to_owned(),
            json!({ "const": kind.kind, "description": "Which kind of provider this is." }),
        );
        if let Some(Value::Object(own)) = map.shift_remove("properties") {
            properties.extend(own);
        }
        map.insert("title".to_owned(), json!(kind.kind));
        map.insert("description".to_owned(), json!(kind.about));
        map.insert("properties".to_owned(), Value::Object(properties));
        let required = map.entry("required").or_insert_with(|| json!([]));
        if let Some(required) = required.as_array_mut() {
            required.insert(0, json!("kind"));
        }
    }
    *table = taken;
}

fn table_of(definition: &str, about: &str) -> Value {
    json!({
        "type": "object",
        "description": about,
        "propertyNames": { "pattern": "^[a-z]([a-z0-9-]{0,38}[a-z0-9])?$" },
        "additionalProperties": { "$ref": format!("#/$defs/{definition}") },
    })
}
