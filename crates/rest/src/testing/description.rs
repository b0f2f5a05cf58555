//! An official OpenAPI description as judge of requests and replies.

use std::collections::HashMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use jsonschema::Validator;
use serde_json::{Value, json};

use super::schema::{Way, resolve, strict};
use super::{Reply, Request};

/// An OpenAPI description, 3.0 or 3.1.
pub struct Description {
    root: Value,
    /// Paths of the servers' addresses, longest first: requests begin with one of them.
    bases: Vec<String>,
    prose: Prose,
    validators: Mutex<HashMap<String, Arc<Validator>>>,
}

/// What a description says in its prose and not in its tables, for every operation.
#[derive(Debug, Clone, Copy, Default)]
pub struct Prose {
    /// Query parameters, such as those of paging.
    pub query: &'static [&'static str],
    /// Whether statuses from 400 up are answered that no operation lists. Their bodies are not
    /// judged then.
    pub errors: bool,
}

/// An operation that a request names, with the values of its path's parameters.
struct Found<'a> {
    template: &'a str,
    item: &'a Value,
    operation: &'a Value,
    values: Vec<(&'a str, String)>,
}

/// Says on standard error what a test did not judge, and why.
#[expect(clippy::print_stderr, reason = "tests say what they did not judge")]
pub fn skipped(why: &str) {
    eprintln!("skipped: {why}");
}

impl Description {
    /// The description at this path below `../shared/specs/` beside the checkout, for example
    /// `lambda/openapi-1.8.3.json`; another folder is named by `FLEETWRIGHT_SPECS`. `None`, said on
    /// standard error, if it is not there.
    ///
    /// # Panics
    /// If it is there and no OpenAPI description.
    pub fn find(path: &str) -> Option<Arc<Self>> {
        Self::find_with(path, Prose::default())
    }

    /// The same, for a description whose prose says more than its tables.
    ///
    /// # Panics
    /// As [`find`](Self::find).
    pub fn find_with(path: &str, prose: Prose) -> Option<Arc<Self>> {
        let file = Self::file(path);
        let Ok(text) = std::fs::read_to_string(&file) else {
            skipped(&format!("no description at {}", file.display()));
            return None;
        };
        let root = serde_json::from_str(&text).expect("a description is JSON");
        Some(Arc::new(Self {
            prose,
            ..Self::from_value(root)
        }))
    }

    /// Where something below `../shared/specs/` stands, whether it is there or not: for recorded
    /// sessions.
    pub fn file(path: &str) -> PathBuf {
        let folder = std::env::var_os("FLEETWRIGHT_SPECS").map_or_else(
            || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/specs"),
            PathBuf::from,
        );
        folder.join(path)
    }

    /// A description that was read already.
    pub fn from_value(root: Value) -> Self {
        let mut bases: Vec<String> = root["servers"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(|server| server["url"].as_str())
            .map(|address| {
                let path = url::Url::parse(address).map(|url| url.path().to_owned());
                // An address may be relative, and then it is a path.
                let path = path.unwrap_or_else(|_| address.to_owned());
                path.trim_end_matches('/').to_owned()
            })
            .collect();
        bases.push(String::new());
        bases.sort_by_key(|base| std::cmp::Reverse(base.len()));
        bases.dedup();
        Self {
            root,
            bases,
            prose: Prose::default(),
            validators: Mutex::default(),
        }
    }

    /// The description itself.
    pub(super) fn root(&self) -> &Value {
        &self.root
    }

    /// Whether statuses from 400 up are described in prose only.
    pub(super) fn has_errors_in_prose(&self) -> bool {
        self.prose.errors
    }

    /// Method and path of the operation that a request names; its own path if there is none.
    pub(super) fn label(&self, request: &Request) -> String {
        let found = self.find_operation(request);
        let path = found.map_or(request.path(), |found| found.template);
        format!("{} {path}", request.method())
    }

    /// The path of a request without that of the server's address, as the description writes it.
    pub(super) fn below_base<'a>(&self, request: &'a Request) -> &'a str {
        let mut bases = self.bases.iter();
        bases
            .find_map(|base| {
                let rest = request.path().strip_prefix(base.as_str())?;
                rest.starts_with('/').then_some(rest)
            })
            .unwrap_or(request.path())
    }

    /// What a request says that the description does not allow.
    pub fn judge_request(&self, request: &Request) -> Vec<String> {
        let label = format!("{} {}", request.method(), request.path());
        let Some(found) = self.find_operation(request) else {
            return vec![format!("{label}: no such method and path is documented")];
        };
        let label = format!("{} {}", request.method(), found.template);
        let mut violations = Vec::new();
        self.judge_parameters(&found, request, &mut violations);
        self.judge_body(&found, request, &mut violations);
        violations
            .into_iter()
            .map(|violation| format!("{label}: request {violation}"))
            .collect()
    }

    /// What a reply to a request says that the description does not allow.
    pub fn judge_reply(&self, request: &Request, reply: &Reply) -> Vec<String> {
        // A path that is not documented was said when the request was judged.
        let Some(found) = self.find_operation(request) else {
            return Vec::new();
        };
        let label = format!("{} {}", request.method(), found.template);
        let responses = &found.operation["responses"];
        let status = reply.status.to_string();
        let class = format!("{}XX", reply.status / 100);
        let response = [status.as_str(), class.as_str(), "default"]
            .iter()
            .find_map(|key| Some((*key, responses.get(*key)?)));
        let Some((key, response)) = response else {
            if self.prose.errors && reply.status >= 400 {
                return Vec::new();
            }
            return vec![format!("{label}: status {status} is not documented")];
        };
        let response = resolve(&self.root, response);
        let place = format!("{label} {key} reply");
        self.judge_content(
            &response["content"],
            &reply.media_type,
            &reply.body,
            Way::Reply,
            &place,
        )
        .into_iter()
        .map(|violation| format!("{label}: reply {status} {violation}"))
        .collect()
    }

    /// The operation that a request names. Where several templates fit, the one with the most
    /// plain segments.
    fn find_operation<'a>(&'a self, request: &Request) -> Option<Found<'a>> {
        let method = request.method().to_lowercase();
        let paths = self.root["paths"].as_object()?;
        let mut best: Option<(usize, Found<'a>)> = None;
        for base in &self.bases {
            let Some(path) = request.path().strip_prefix(base.as_str()) else {
                continue;
            };
            for (template, item) in paths {
                let item = resolve(&self.root, item);
                let Some(values) = fit(template, path) else {
                    continue;
                };
                let Some(operation) = item.get(&method) else {
                    continue;
                };
                let plain = template.split('/').count() - values.len();
                if best.as_ref().is_none_or(|(most, _)| plain > *most) {
                    let found = Found {
                        template,
                        item,
                        operation,
                        values,
                    };
                    best = Some((plain, found));
                }
            }
            if best.is_some() {
                break;
            }
        }
        best.map(|(_, found)| found)
    }

    fn judge_parameters(&self, found: &Found<'_>, request: &Request, out: &mut Vec<String>) {
        let parameters: Vec<&Value> = [&found.item["parameters"], &found.operation["parameters"]]
            .into_iter()
            .filter_map(Value::as_array)
            .flatten()
            .map(|parameter| resolve(&self.root, parameter))
            .collect();
        let named = |place: &str, name: &str| {
            parameters
                .iter()
                // An operation's own parameter stands after the path's, and wins.
                .rfind(|parameter| {
                    parameter["in"] == place
                        && parameter["name"]
                            .as_str()
                            // `tags[]` is the same list, written as forms do.
                            .is_some_and(|known| known == name)
                })
                .copied()
        };
        for (name, value) in &found.values {
            if let Some(parameter) = named("path", name) {
                self.judge_text(found, parameter, &[value], out);
            }
        }
        let mut judged: Vec<&str> = Vec::new();
        for (name, _) in request.queries() {
            if judged.contains(&name.as_str()) {
                continue;
            }
            judged.push(name);
            let values: Vec<&String> = request
                .queries()
                .iter()
                .filter(|(other, _)| other == name)
                .map(|(_, value)| value)
                .collect();
            match named("query", name) {
                Some(parameter) => self.judge_text(found, parameter, &values, out),
                None if self.prose.query.contains(&name.as_str()) => {}
                None => out.push(format!("query parameter `{name}` is not documented")),
            }
        }
        for parameter in &parameters {
            let name = parameter["name"].as_str().unwrap_or("");
            if parameter["in"] == "query"
                && parameter["required"] == Value::Bool(true)
                && request.query(name).is_none()
            {
                out.push(format!("query parameter `{name}` is missing"));
            }
        }
    }

    /// A parameter is text on the wire: it fits if one way of reading it does.
    fn judge_text(
        &self,
        found: &Found<'_>,
        parameter: &Value,
        texts: &[&String],
        out: &mut Vec<String>,
    ) {
        let name = parameter["name"].as_str().unwrap_or("");
        let place = format!("{} parameter {name}", found.template);
        let readings = readings(texts);
        let Some(validator) = self.validator(&place, &parameter["schema"], Way::Request, out)
        else {
            return;
        };
        if !readings.iter().any(|reading| validator.is_valid(reading)) {
            let words = readings
                .first()
                .and_then(|reading| validator.iter_errors(reading).next())
                .map(|error| error.to_string())
                .unwrap_or_default();
            out.push(format!("parameter `{name}`: {words}"));
        }
    }

    fn judge_body(&self, found: &Found<'_>, request: &Request, out: &mut Vec<String>) {
        let wanted = resolve(&self.root, &found.operation["requestBody"]);
        if request.body().is_empty() {
            if wanted["required"] == Value::Bool(true) {
                out.push("body is missing".to_owned());
            }
            return;
        }
        let media_type = request.header("content-type").unwrap_or("");
        let place = format!("{} {} request", request.method(), found.template);
        out.extend(self.judge_content(
            &wanted["content"],
            media_type,
            request.body(),
            Way::Request,
            &place,
        ));
    }

    fn judge_content(
        &self,
        content: &Value,
        media_type: &str,
        body: &[u8],
        way: Way,
        place: &str,
    ) -> Vec<String> {
        let documented = content.as_object().filter(|types| !types.is_empty());
        let Some(documented) = documented else {
            return if body.is_empty() {
                Vec::new()
            } else {
                vec!["body is not documented".to_owned()]
            };
        };
        let plain = media_type.split(';').next().unwrap_or("").trim();
        let Some(content) = documented.get(plain).or_else(|| documented.get("*/*")) else {
            return vec![format!("media type `{plain}` is not documented")];
        };
        if !plain.ends_with("json") {
            return Vec::new();
        }
        let value: Value = match serde_json::from_slice(body) {
            Ok(value) => value,
            Err(error) => return vec![format!("body is no JSON: {error}")],
        };
        let mut out = Vec::new();
        if let Some(validator) = self.validator(place, &content["schema"], way, &mut out) {
            out.extend(
                validator
                    .iter_errors(&value)
                    .take(8)
                    .map(|error| format!("body at `{}`: {}", error.instance_path(), brief(&error))),
            );
        }
        out
    }

    /// The validator of a schema, made once for each place.
    fn validator(
        &self,
        place: &str,
        schema: &Value,
        way: Way,
        out: &mut Vec<String>,
    ) -> Option<Arc<Validator>> {
        let mut known = self
            .validators
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if let Some(validator) = known.get(place) {
            return Some(Arc::clone(validator));
        }
        let schema = if schema.is_null() {
            json!({})
        } else {
            strict(&self.root, schema, way)
        };
        match jsonschema::draft202012::new(&schema) {
            Ok(validator) => {
                let validator = Arc::new(validator);
                known.insert(place.to_owned(), Arc::clone(&validator));
                Some(validator)
            }
            Err(error) => {
                out.push(format!("cannot be judged, its schema is wrong: {error}"));
                None
            }
        }
    }
}

impl fmt::Debug for Description {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let info = &self.root["info"];
        write!(f, "Description({} {})", info["title"], info["version"])
    }
}

/// The values of a template's parameters, if the path has its form.
fn fit<'a>(template: &'a str, path: &str) -> Option<Vec<(&'a str, String)>> {
    let template = template.split('?').next().unwrap_or(template);
    let (wanted, has) = (template.split('/'), path.split('/'));
    if wanted.clone().count() != has.clone().count() {
        return None;
    }
    let mut values = Vec::new();
    for (want, part) in wanted.zip(has) {
        match want.strip_prefix('{').and_then(|w| w.strip_suffix('}')) {
            Some(name) if !part.is_empty() => {
                let form = format!("v={}", part.replace('+', "%2B"));
                let value = url::form_urlencoded::parse(form.as_bytes())
                    .next()
                    .map(|(_, value)| value.into_owned());
                values.push((name, value.unwrap_or_default()));
            }
            None if want == part => {}
            _ => return None,
        }
    }
    Some(values)
}

/// What a text on the wire may stand for: itself, a number, a truth, or a list of those.
fn readings(texts: &[&String]) -> Vec<Value> {
    let one = |text: &str| {
        let mut readings = vec![Value::from(text)];
        if let Ok(number) = text.parse::<i64>() {
            readings.insert(0, number.into());
        } else if let Ok(number) = text.parse::<f64>() {
            readings.insert(0, number.into());
        } else if let Ok(truth) = text.parse::<bool>() {
            readings.insert(0, truth.into());
        }
        readings
    };
    let mut all = Vec::new();
    if let [text] = texts {
        all.extend(one(text));
        let parts: Vec<&str> = text.split(',').collect();
        all.push(parts.iter().map(|part| one(part).swap_remove(0)).collect());
        all.push(parts.iter().map(|part| Value::from(*part)).collect());
    } else {
        all.push(texts.iter().map(|text| one(text).swap_remove(0)).collect());
        all.push(
            texts
                .iter()
                .map(|text| Value::from(text.as_str()))
                .collect(),
        );
    }
    all
}

/// The words of an error, without a long value.
fn brief(error: &jsonschema::ValidationError<'_>) -> String {
    let words = error.to_string();
    match words.char_indices().nth(400) {
        None => words,
        Some((end, _)) => {
            let tail: String = words.chars().rev().take(150).collect();
            let tail: String = tail.chars().rev().collect();
            format!("{}…{tail}", &words[..end])
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;

    fn description() -> Description {
        Description::from_value(json!({
            "openapi": "3.0.0",
            "servers": [{ "url": "https://api.example.com/v1" }],
            "paths": {
                "/servers": {
                    "get": {
                        "parameters": [
                            { "in": "query", "name": "page", "schema": { "type": "integer", "minimum": 1 } },
                            { "in": "query", "name": "tag", "schema": { "type": "array", "items": { "type": "string" } } },
                        ],
                        "responses": { "200": { "content": { "application/json": { "schema": {
                            "type": "object", "properties": { "servers": { "type": "array", "items": {
                                "type": "object", "properties": { "id": { "type": "integer" } } } } },
                        }}}}},
                    },
                    "post": {
                        "requestBody": { "required": true, "content": { "application/json": { "schema": {
                            "type": "object", "required": ["name"], "properties": { "name": { "type": "string" } },
                        }}}},
                        "responses": { "204": { "description": "done" } },
                    },
                },
                "/servers/{id}": { "get": {
                    "parameters": [{ "in": "path", "name": "id", "required": true, "schema": { "type": "integer" } }],
                    "responses": { "default": { "content": { "application/json": { "schema": {} } } } },
                }},
            },
        }))
    }

    fn request(method: &str, target: &str, body: &Value) -> Request {
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let body = if body.is_null() {
            String::new()
        } else {
            body.to_string()
        };
        Request {
            method: method.to_owned(),
            path: path.to_owned(),
            query: url::form_urlencoded::parse(query.as_bytes())
                .into_owned()
                .collect(),
            headers: vec![("content-type".to_owned(), "application/json".to_owned())],
            body: body.into(),
            at: Instant::now(),
        }
    }

    #[test]
    fn what_is_not_documented_in_a_request_is_a_violation() {
        let description = description();
        let none = Value::Null;
        for (method, target, body, word) in [
            ("GET", "/v1/servers", &none, None),
            ("GET", "/v1/servers?page=2&tag=a&tag=b", &none, None),
            ("GET", "/v1/servers/7", &none, None),
            ("POST", "/v1/servers", &json!({ "name": "n" }), None),
            ("GET", "/v1/server", &none, Some("no such method and path")),
            ("PUT", "/v1/servers", &none, Some("no such method and path")),
            (
                "GET",
                "/v1/servers?sort=x",
                &none,
                Some("`sort` is not documented"),
            ),
            ("GET", "/v1/servers?page=0", &none, Some("minimum")),
            ("GET", "/v1/servers?page=x", &none, Some("not of type")),
            ("GET", "/v1/servers/x", &none, Some("not of type")),
            ("POST", "/v1/servers", &none, Some("body is missing")),
            ("POST", "/v1/servers", &json!({}), Some("required property")),
            (
                "POST",
                "/v1/servers",
                &json!({ "name": "n", "x": 1 }),
                Some("'x'"),
            ),
            (
                "GET",
                "/v1/servers",
                &json!({ "x": 1 }),
                Some("body is not documented"),
            ),
        ] {
            let violations = description.judge_request(&request(method, target, body));
            match word {
                None => assert!(violations.is_empty(), "{method} {target}: {violations:?}"),
                Some(word) => assert!(
                    violations.len() == 1 && violations[0].contains(word),
                    "{method} {target} {body}: {violations:?}"
                ),
            }
        }
    }

    #[test]
    fn what_is_not_documented_in_a_reply_is_a_violation() {
        let description = description();
        let get = request("GET", "/v1/servers", &Value::Null);
        let post = request("POST", "/v1/servers", &json!({ "name": "n" }));
        let servers = |server: Value| Reply::json(200, &json!({ "servers": [server] }));
        for (request, reply, word) in [
            (&get, servers(json!({ "id": 1 })), None),
            (&get, servers(json!({ "id": 1, "x": 1 })), Some("'x'")),
            (&get, servers(json!({ "id": "1" })), Some("not of type")),
            (
                &get,
                Reply::json(404, &json!({})),
                Some("status 404 is not documented"),
            ),
            (
                &get,
                Reply::text(200, "text/html", "x"),
                Some("media type `text/html`"),
            ),
            (&post, Reply::empty(204), None),
            (
                &post,
                Reply::json(204, &json!({})),
                Some("body is not documented"),
            ),
        ] {
            let violations = description.judge_reply(request, &reply);
            match word {
                None => assert!(violations.is_empty(), "{violations:?}"),
                Some(word) => assert!(
                    violations.len() == 1 && violations[0].contains(word),
                    "{reply:?}: {violations:?}"
                ),
            }
        }
    }

    /// Whatever stands beside the checkout can be judged by: each of its schemas is one.
    #[test]
    fn every_schema_of_the_official_descriptions_can_judge() {
        for path in [
            "digitalocean/openapi.trimmed.json",
            "hetzner/openapi.json",
            "lambda/openapi-1.8.3.json",
            "linode/openapi-4.151.1.trimmed.json",
        ] {
            let Some(description) = Description::find(path) else {
                continue;
            };
            let mut wrong = Vec::new();
            let paths = description.root["paths"].as_object().unwrap();
            for (template, item) in paths {
                for (method, operation) in item.as_object().unwrap() {
                    let body = resolve(&description.root, &operation["requestBody"]);
                    let schema = &body["content"]["application/json"]["schema"];
                    let place = format!("{method} {template} request");
                    description.validator(&place, schema, Way::Request, &mut wrong);
                    for (status, response) in
                        operation["responses"].as_object().into_iter().flatten()
                    {
                        let response = resolve(&description.root, response);
                        let schema = &response["content"]["application/json"]["schema"];
                        let place = format!("{method} {template} {status}");
                        description.validator(&place, schema, Way::Reply, &mut wrong);
                    }
                }
            }
            assert!(wrong.is_empty(), "{path}: {wrong:#?}");
            let judges = description.validators.lock().unwrap().len();
            assert!(judges > 40, "{path} has only {judges} judges");
        }
    }
}
