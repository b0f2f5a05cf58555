//! The published schema and the parser must agree on what is good.

use std::path::Path;

use fleetwright::config::Loaded;
use fleetwright::{Environment, schema};
use serde_json::{Value, json};

use crate::examples;

fn validator() -> jsonschema::Validator {
    jsonschema::validator_for(&schema::schema()).expect("the schema itself is valid")
}

fn as_json(text: &str) -> Value {
    let value: toml::Value = toml::from_str(text).expect("valid TOML");
    serde_json::to_value(value).expect("TOML without dates is JSON")
}

#[test]
fn the_schema_accepts_every_example() {
    let validator = validator();
    for (name, text, _) in examples::all() {
        let errors: Vec<String> = validator
            .iter_errors(&as_json(&text))
            .map(|error| format!("{}: {error}", error.instance_path()))
            .collect();
        assert!(errors.is_empty(), "{name}: {errors:#?}");
    }
}

#[test]
fn what_the_parser_refuses_for_its_form_the_schema_refuses_too() {
    let validator = validator();
    let good = "[providers.here]\nkind = 'local'\n[pools.web]\ndesired = 1\n";
    assert!(validator.is_valid(&as_json(good)));
    for bad in [
        "flet = 'a'\n[providers.here]\nkind = 'local'\n",
        "fleet = 3\n[providers.here]\nkind = 'local'\n",
        "fleet = 'a'\n",
        "[providers.here]\nmax_nodes = 3\n",
        "[providers.here]\nkind = 'gcp'\n",
        "[providers.here]\nkind = 'local'\nmax_node = 3\n",
        "[providers.here]\nkind = 'local'\nmax_nodes = 'x'\n",
        "[providers.here]\nkind = 'local'\nlatency = '1s'\n",
        "[providers.Here]\nkind = 'local'\n",
        "[providers.here]\nkind = 'local'\n[pools.web]\nimage = 'x'\n",
        "[providers.here]\nkind = 'local'\n[pools.web]\ndesired = -1\n",
        "[providers.here]\nkind = 'local'\n[pools.web]\ndesired = 1\nstrategy = 'x'\n",
        "[providers.here]\nkind = 'local'\n[pools.web]\ndesired = 1\ntype = 'small'\n",
        "[providers.here]\nkind = 'local'\n[pools.web]\ndesired = 1\ncandidates = [{}]\n",
        "[providers.here]\nkind = 'local'\n[pools.web]\ndesired = 1\nlimits = { boot = 9 }\n",
        "[safety]\nmax_removal_percent = 120\n[providers.here]\nkind = 'local'\n",
    ] {
        let parsed = Loaded::from_text("f.toml", bad, &Environment::default(), Path::new("."));
        assert!(parsed.is_err(), "the parser takes {bad}");
        assert!(!validator.is_valid(&as_json(bad)), "the schema takes {bad}");
    }
}

#[test]
fn the_tables_of_providers_are_told_apart_by_kind() {
    let schema = schema::schema();
    let branches = schema
        .pointer("/$defs/Provider/oneOf")
        .and_then(Value::as_array)
        .expect("one branch per kind");
    let kinds: Vec<&Value> = branches
        .iter()
        .filter_map(|branch| branch.pointer("/properties/kind/const"))
        .collect();
    let compiled_in: Vec<_> = fleetwright::providers::KINDS
        .iter()
        .filter(|kind| kind.code.is_some())
        .map(|kind| json!(kind.kind))
        .collect();
    assert_eq!(kinds, compiled_in.iter().collect::<Vec<_>>());
}

#[test]
fn every_key_has_a_description_for_the_editor_to_show() {
    for row in fleetwright::reference::rows() {
        assert!(
            !row.about.is_empty(),
            "{}.{} says nothing",
            row.table,
            row.key
        );
    }
}

#[test]
fn no_part_of_the_schema_is_null_because_toml_has_none() {
    let text = schema::schema().to_string();
    assert!(!text.contains("null"), "{text}");
}
