//! The vendor's description as judge: the official OpenAPI file of 2023, brought up to date with
//! the list of operations that ships with the vendor's own command, of 2026.
//!
//! The list knows methods, paths, arguments and fields of answers, with types, but neither lengths
//! nor patterns. So what the older file says stays, and what it lacks is added: whole operations
//! (`/profile`, `/regions/availability`, …) and newer fields (`metadata.user_data`, `firewall_id`).

use std::sync::{Arc, OnceLock};

use fleetwright_rest::testing::Description;
use serde_json::{Value, json};

const OPENAPI: &str = "linode/openapi-4.151.1.trimmed.json";
const OPERATIONS: &str = "linode/linode-cli-5.69.0-operations.json";

/// Beginnings of the paths that are brought up to date: what the provider has to do with.
const USED: [&str; 8] = [
    "/account/availability",
    "/domains",
    "/images",
    "/linode/instances",
    "/linode/types",
    "/nodebalancers",
    "/profile",
    "/regions",
];

/// The judge; `None`, said on standard output, where the files are not beside the checkout.
pub(crate) fn official() -> Option<Arc<Description>> {
    static KNOWN: OnceLock<Option<Arc<Description>>> = OnceLock::new();
    KNOWN.get_or_init(read).clone()
}

fn read() -> Option<Arc<Description>> {
    let [openapi, operations] = [OPENAPI, OPERATIONS].map(|path| {
        let text = std::fs::read_to_string(Description::file(path)).ok()?;
        Some(serde_json::from_str::<Value>(&text).expect("a description is JSON"))
    });
    let (Some(mut root), Some(operations)) = (openapi, operations) else {
        #[expect(clippy::print_stdout, reason = "tests say what they did not judge")]
        {
            println!(
                "skipped: no description at {}",
                Description::file("linode").display()
            );
        }
        return None;
    };
    corrected(&mut root);
    for operation in operations.as_object().expect("operations by name").values() {
        let path = operation["path"].as_str().unwrap_or("");
        if USED
            .iter()
            .any(|used| path.starts_with(&format!("/{{apiVersion}}{used}")))
        {
            add_operation(&mut root, operation);
        }
    }
    Some(Arc::new(Description::from_value(root)))
}

/// What the description gets wrong, as its own words and the recorded sessions show.
fn corrected(root: &mut Value) {
    formats(root);
    let schemas = &mut root["components"]["schemas"];
    // `(?!--|__|..)` forbids any two characters where `\.\.` is meant: no label of the three
    // characters that it asks for would pass, and no recorded one does.
    schemas["Linode"]["properties"]["label"]["pattern"] =
        json!(r"^[a-zA-Z]((?!--|__|\.\.)[a-zA-Z0-9\-_.])+$");
    // "'null' if there was no previous backup."
    schemas["Linode"]["properties"]["backups"]["properties"]["last_successful"]["nullable"] =
        json!(true);
    // `\A` and `\Z` are Python's.
    let domain = &mut schemas["Domain"]["properties"]["domain"]["pattern"];
    let text = domain.as_str().unwrap_or("");
    *domain = json!(text.replace(r"\A", "^").replace(r"\Z", "$"));
    // "Omit or enter an empty string (`""`) to apply to the entire Domain", says the same field.
    schemas["DomainRecord"]["properties"]["name"]["minLength"] = json!(0);
    // "`None` for private Images", in JSON.
    schemas["Image"]["properties"]["eol"]["nullable"] = json!(true);
    // JavaScript's slashes do not belong to the pattern.
    schemas["LinodeConfigInterface"]["properties"]["label"]["pattern"] = json!("[a-z0-9-]+");
    // Interfaces in VPCs came later: the command's list has `interfaces.subnet_id` and
    // `interfaces.ipv4.nat_1_1`, which only such interfaces have.
    schemas["LinodeConfigInterface"]["properties"]["purpose"]["enum"] =
        json!(["public", "vlan", "vpc"]);
    // The description says `unknown`; recorded is `Unknown`.
    schemas["NodeBalancerNode"]["properties"]["status"]["enum"] =
        json!(["unknown", "Unknown", "UP", "DOWN"]);
}

/// Formats that the description names and Linode does not keep to. Its own examples and the recorded
/// sessions have `2018-01-02T03:04:05`, in UTC without saying so, and 40 hexadecimal digits as
/// `host_uuid`.
fn formats(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            let pattern = match fields.get("format").and_then(Value::as_str) {
                Some("date-time") => Some(r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ?$"),
                Some("uuid") => Some("^([0-9a-f]{40}|[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12})$"),
                _ => None,
            };
            if let Some(pattern) = pattern {
                fields.remove("format");
                fields.insert("pattern".to_owned(), json!(pattern));
            }
            fields.values_mut().for_each(formats);
        }
        Value::Array(items) => items.iter_mut().for_each(formats),
        _ => {}
    }
}

fn add_operation(root: &mut Value, operation: &Value) {
    let text = |key: &str| operation[key].as_str().expect("an operation has it");
    let path = text("path").trim_start_matches("/{apiVersion}").to_owned();
    let method = text("method").to_owned();
    if root["paths"][&path][&method].is_null() {
        root["paths"][&path][&method] = fresh(&path, &method);
    }
    let at = format!("/paths/{}/{method}", path.replace('/', "~1"));
    let mut arguments = Vec::new();
    if method != "get" && method != "delete" {
        let schema = format!("{at}/requestBody/content/application~1json/schema");
        for argument in list(&operation["args"]) {
            let name = argument["path"].as_str().unwrap_or("");
            arguments.push(name.to_owned());
            if argument["read_only"] != true {
                add(root, &schema, name, &of_type(argument));
            }
        }
    }
    let schema = format!("{at}/responses/200/content/application~1json/schema");
    let item = match find(root, &schema, "data") {
        Some(data) if method == "get" => format!("{data}/items"),
        _ => schema,
    };
    for field in list(&operation["response"]) {
        let name = field["name"].as_str().unwrap_or("");
        let mut of_type = of_type(field);
        // Nothing else may say `nullable`; what has no type may be null anyway.
        if of_type["type"].is_string() {
            of_type["nullable"] = json!(true);
        }
        of_type["readOnly"] = json!(!arguments.iter().any(|argument| argument == name));
        add(root, &item, name, &of_type);
    }
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

/// An operation that the older description lacks.
fn fresh(path: &str, method: &str) -> Value {
    let names = path
        .split('/')
        .filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'));
    let parameters: Vec<Value> = names
        .map(|name| json!({ "name": name, "in": "path", "required": true, "schema": {} }))
        .collect();
    let item = json!({ "type": "object", "properties": {} });
    let is_collection = method == "get" && !path.ends_with('}') && path != "/profile";
    let answer = if is_collection {
        json!({ "type": "object", "properties": {
            "data": { "type": "array", "items": item },
            "page": { "type": "integer" },
            "pages": { "type": "integer" },
            "results": { "type": "integer" },
        }})
    } else {
        item.clone()
    };
    let error = json!({ "$ref": "#/components/responses/ErrorResponse" });
    json!({
        "parameters": parameters,
        "requestBody": { "content": { "application/json": { "schema": item } } },
        "responses": {
            "200": { "content": { "application/json": { "schema": answer } } },
            "default": error,
        },
    })
}

fn of_type(field: &Value) -> Value {
    match field["datatype"].as_str() {
        Some("array") => json!({ "type": "array" }),
        Some(plain @ ("string" | "integer" | "number" | "boolean")) => json!({ "type": plain }),
        _ => json!({}),
    }
}

/// Adds a field, such as `metadata.user_data`, unless the schema at this pointer has it already.
fn add(root: &mut Value, pointer: &str, name: &str, schema: &Value) {
    let Some(open) = object(root, pointer) else {
        return;
    };
    let (first, rest) = match name.split_once('.') {
        Some((first, rest)) => (first, Some(rest)),
        None => (name, None),
    };
    match (find(root, pointer, first), rest) {
        (Some(_), None) => {}
        (Some(inner), Some(rest)) => {
            let inner = followed(root, &inner).unwrap_or_default();
            let branches = list(&root.pointer(&inner).expect("it was found")["anyOf"]).len();
            for at in 0..branches {
                let branch = items(root, &format!("{inner}/anyOf/{at}"));
                add(root, &branch, rest, schema);
            }
            if branches == 0 {
                add(root, &items(root, &inner), rest, schema);
            }
        }
        (None, None) => {
            let object = root.pointer_mut(&open).expect("it was found");
            object["properties"][first] = schema.clone();
        }
        (None, Some(rest)) => {
            // The list does not tell an object from a list of objects.
            let place = &mut root.pointer_mut(&open).expect("it was found")["properties"][first];
            *place = json!({
                "anyOf": [
                    { "type": "object", "nullable": true, "properties": {} },
                    {
                        "type": "array",
                        "nullable": true,
                        "items": { "type": "object", "properties": {} },
                    },
                ],
                "readOnly": schema["readOnly"] == true,
            });
            for branch in ["0", "1/items"] {
                let inner = format!("{open}/properties/{first}/anyOf/{branch}");
                add(root, &inner, rest, schema);
            }
        }
    }
}

/// The pointer to what stands there, references followed.
fn followed(root: &Value, pointer: &str) -> Option<String> {
    let mut pointer = pointer.to_owned();
    while let Some(reference) = root.pointer(&pointer)?["$ref"].as_str() {
        reference.trim_start_matches('#').clone_into(&mut pointer);
    }
    Some(pointer)
}

/// The pointer to the items of a list, or to the thing itself.
fn items(root: &Value, pointer: &str) -> String {
    let pointer = followed(root, pointer).unwrap_or_default();
    let is_list = root
        .pointer(&pointer)
        .is_some_and(|schema| schema["items"].is_object());
    if is_list {
        format!("{pointer}/items")
    } else {
        pointer
    }
}

/// The pointer to a property of this schema, or of one that it is made of.
fn find(root: &Value, pointer: &str, name: &str) -> Option<String> {
    let pointer = followed(root, pointer)?;
    let schema = root.pointer(&pointer)?;
    if !schema["properties"][name].is_null() {
        return Some(format!("{pointer}/properties/{name}"));
    }
    let parts = |key: &'static str| {
        let number = list(&schema[key]).len();
        (0..number).map(move |at| format!("{key}/{at}"))
    };
    let mut all = parts("allOf").chain(parts("anyOf"));
    all.find_map(|part| find(root, &items(root, &format!("{pointer}/{part}")), name))
}

/// The pointer to the object of this schema that a property can be added to.
fn object(root: &Value, pointer: &str) -> Option<String> {
    let pointer = followed(root, pointer)?;
    let schema = root.pointer(&pointer)?;
    if schema["properties"].is_object() {
        return Some(pointer);
    }
    let parts = (0..list(&schema["allOf"]).len()).rev();
    parts
        .map(|at| format!("{pointer}/allOf/{at}"))
        .find_map(|part| object(root, &part))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn newer_fields_and_paths_are_added_and_older_rules_stay() {
        let mut root = json!({
            "components": { "schemas": { "Thing": { "properties": {
                "label": { "type": "string", "maxLength": 3 },
                "parts": { "type": "array", "items": { "properties": { "id": {} } } },
            }}}},
            "paths": { "/things": { "post": {
                "requestBody": { "content": { "application/json": { "schema": {
                    "allOf": [{ "$ref": "#/components/schemas/Thing" }],
                }}}},
                "responses": { "200": { "content": { "application/json": { "schema": {
                    "$ref": "#/components/schemas/Thing",
                }}}}},
            }}},
        });
        let field = |path: &str, datatype: &str| json!({ "path": path, "datatype": datatype });
        add_operation(
            &mut root,
            &json!({
                "method": "post", "path": "/{apiVersion}/things", "response": [],
                "args": [
                    field("label", "string"), field("metadata.text", "string"),
                    field("parts.size", "integer"),
                ],
            }),
        );
        let properties = &root["components"]["schemas"]["Thing"]["properties"];
        assert_eq!(properties["label"]["maxLength"], 3);
        assert_eq!(
            properties["parts"]["items"]["properties"]["size"]["type"],
            "integer"
        );
        let text = &properties["metadata"]["anyOf"][0]["properties"]["text"];
        assert_eq!(text["type"], "string");
        let other = json!({
            "method": "get", "path": "/{apiVersion}/others", "args": [],
            "response": [{ "name": "id", "datatype": "integer" }],
        });
        add_operation(&mut root, &other);
        let schema = &root["paths"]["/others"]["get"]["responses"]["200"]["content"];
        let item = &schema["application/json"]["schema"]["properties"]["data"]["items"];
        assert_eq!(item["properties"]["id"]["type"], "integer");
    }
}
