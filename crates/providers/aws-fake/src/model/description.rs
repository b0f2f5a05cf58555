//! An official service model, in the JSON form that botocore has, read into shapes.

use std::collections::{BTreeMap, HashMap};

use regex::Regex;
use serde_json::{Map, Value};

/// How requests and answers look on the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Protocol {
    /// Forms with flat lists, XML answers; only EC2.
    Ec2,
    /// Forms with `.member.` lists, XML answers in a wrapper.
    Query,
    /// Paths, query strings and XML bodies; only Route 53.
    RestXml,
    /// JSON both ways.
    Json,
}

/// A service: its operations and shapes.
#[derive(Debug)]
pub(crate) struct Description {
    /// The name of its file, for example `ec2`.
    pub(crate) name: String,
    /// Its protocol.
    pub(crate) protocol: Protocol,
    /// Its version, for example `2016-11-15`.
    pub(crate) version: String,
    /// Its XML namespace, if it has one for all operations.
    pub(crate) namespace: Option<String>,
    /// Its operations by name.
    pub(crate) operations: BTreeMap<String, Operation>,
    shapes: Vec<Shape>,
}

/// One operation.
#[derive(Debug)]
pub(crate) struct Operation {
    /// The HTTP method.
    pub(crate) method: String,
    /// The path, with labels such as `{Id}`.
    pub(crate) uri: String,
    /// The shape of the request.
    pub(crate) input: Option<ShapeId>,
    /// The root element of the request's body, if it is XML.
    pub(crate) input_root: Option<String>,
    /// The shape of the answer.
    pub(crate) output: Option<ShapeId>,
    /// The element around the answer in the query protocol.
    pub(crate) wrapper: Option<String>,
    /// The codes of its own errors.
    pub(crate) errors: Vec<String>,
}

/// Where a shape stands in its description.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ShapeId(usize);

/// A named shape.
#[derive(Debug)]
pub(crate) struct Shape {
    /// Its name.
    pub(crate) name: String,
    /// What it is.
    pub(crate) kind: Kind,
}

/// What a shape is.
#[derive(Debug)]
pub(crate) enum Kind {
    /// Named members.
    Structure(Structure),
    /// Entries of one shape.
    List(List),
    /// Entries by key.
    Map {
        /// The shape of the keys.
        key: ShapeId,
        /// The shape of the values.
        value: ShapeId,
    },
    /// Text; its length is limited.
    Text {
        /// The permitted values; empty if any is.
        values: Vec<String>,
        /// The limits of the length, in characters.
        limits: Limits,
        /// What the whole text matches.
        pattern: Option<Regex>,
    },
    /// A 32-bit number.
    Integer(Limits),
    /// A 64-bit number.
    Long(Limits),
    /// A number with a fraction.
    Double(Limits),
    /// `true` or `false`.
    Boolean,
    /// A point in time.
    Timestamp,
    /// Bytes, base64 on the wire.
    Blob,
}

/// The members of a structure.
#[derive(Debug, Default)]
pub(crate) struct Structure {
    /// The members, in the order of the model.
    pub(crate) members: Vec<Member>,
    requested: HashMap<String, usize>,
    answered: HashMap<String, usize>,
}

/// One member of a structure.
#[derive(Debug)]
pub(crate) struct Member {
    /// Its name in requests.
    pub(crate) request_name: String,
    /// Its name in answers.
    pub(crate) answer_name: String,
    /// Its shape.
    pub(crate) shape: ShapeId,
    /// Where it is, if not in the body: `uri`, `querystring`, `header`.
    pub(crate) location: Option<String>,
    /// Whether it must be there.
    pub(crate) is_required: bool,
}

/// A list.
#[derive(Debug)]
pub(crate) struct List {
    /// The shape of its entries.
    pub(crate) member: ShapeId,
    /// The name of an entry on the wire.
    pub(crate) tag: String,
    /// The limits of the number of entries.
    pub(crate) limits: Limits,
}

/// The least and the most that is permitted.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Limits {
    /// The least.
    pub(crate) min: Option<f64>,
    /// The most.
    pub(crate) max: Option<f64>,
}

impl Description {
    /// Reads a model. The error says what is wrong with it.
    pub(crate) fn parse(name: &str, text: &str) -> Result<Self, String> {
        let model: Value = serde_json::from_str(text).map_err(|error| error.to_string())?;
        let metadata = object(&model, "metadata")?;
        let protocol = match text_of(metadata, "protocol")? {
            "ec2" => Protocol::Ec2,
            "query" => Protocol::Query,
            "rest-xml" => Protocol::RestXml,
            "json" => Protocol::Json,
            other => return Err(format!("the protocol `{other}` is not known")),
        };
        let shapes = object(&model, "shapes")?;
        let reader = Reader {
            protocol,
            ids: shapes
                .keys()
                .enumerate()
                .map(|(index, name)| (name.as_str(), ShapeId(index)))
                .collect(),
            shapes,
        };
        let operations = object(&model, "operations")?
            .iter()
            .map(|(name, value)| Ok((name.clone(), reader.operation(value)?)))
            .collect::<Result<_, String>>()?;
        let shapes = shapes
            .iter()
            .map(|(name, value)| reader.shape(name, value))
            .collect::<Result<_, String>>()?;
        Ok(Self {
            name: name.to_owned(),
            protocol,
            version: text_of(metadata, "apiVersion")?.to_owned(),
            namespace: metadata
                .get("xmlNamespace")
                .and_then(Value::as_str)
                .map(ToOwned::to_owned),
            operations,
            shapes,
        })
    }

    /// A shape of this description.
    pub(crate) fn shape(&self, id: ShapeId) -> &Shape {
        &self.shapes[id.0]
    }
}

impl Structure {
    /// The member with this name in requests, and its number.
    pub(crate) fn in_request(&self, name: &str) -> Option<(usize, &Member)> {
        let index = *self.requested.get(name)?;
        Some((index, &self.members[index]))
    }

    /// The member with this name in answers, and its number.
    pub(crate) fn in_answer(&self, name: &str) -> Option<(usize, &Member)> {
        let index = *self.answered.get(name)?;
        Some((index, &self.members[index]))
    }
}

/// What is needed while a model is read.
struct Reader<'a> {
    protocol: Protocol,
    ids: HashMap<&'a str, ShapeId>,
    shapes: &'a Map<String, Value>,
}

impl Reader<'_> {
    fn operation(&self, value: &Value) -> Result<Operation, String> {
        let http = object(value, "http")?;
        let reference = |key: &str| {
            value
                .get(key)
                .map(|reference| self.reference(reference))
                .transpose()
        };
        let beside = |key: &str, name: &str| {
            let text = value.get(key)?.get(name)?.as_str()?;
            Some(text.to_owned())
        };
        let errors = value
            .get("errors")
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
            .filter_map(|reference| reference.get("shape")?.as_str())
            .map(|name| self.error_code(name))
            .collect();
        Ok(Operation {
            method: text_of(http, "method")?.to_owned(),
            uri: text_of(http, "requestUri")?.to_owned(),
            input: reference("input")?,
            input_root: beside("input", "locationName"),
            output: reference("output")?,
            wrapper: beside("output", "resultWrapper"),
            errors,
        })
    }

    /// The code of an error shape on the wire: its own, or its name.
    fn error_code(&self, shape: &str) -> String {
        self.shapes
            .get(shape)
            .and_then(|shape| shape.get("error")?.get("code")?.as_str())
            .unwrap_or(shape)
            .to_owned()
    }

    fn shape(&self, name: &str, value: &Value) -> Result<Shape, String> {
        let kind = match value.get("type").and_then(Value::as_str) {
            Some("structure") => Kind::Structure(self.structure(value)?),
            Some("list") => Kind::List(self.list(value)?),
            Some("map") => Kind::Map {
                key: self.reference(&value["key"])?,
                value: self.reference(&value["value"])?,
            },
            Some("string" | "character") => Kind::Text {
                values: texts(value, "enum"),
                limits: limits(value),
                pattern: pattern(value),
            },
            Some("integer") => Kind::Integer(limits(value)),
            Some("long") => Kind::Long(limits(value)),
            Some("double" | "float") => Kind::Double(limits(value)),
            Some("boolean") => Kind::Boolean,
            Some("timestamp") => Kind::Timestamp,
            Some("blob") => Kind::Blob,
            other => return Err(format!("the shape `{name}` has the type {other:?}")),
        };
        Ok(Shape {
            name: name.to_owned(),
            kind,
        })
    }

    fn structure(&self, value: &Value) -> Result<Structure, String> {
        let required = texts(value, "required");
        let mut structure = Structure::default();
        for (name, value) in object(value, "members")? {
            let location_name = value.get("locationName").and_then(Value::as_str);
            let query_name = value.get("queryName").and_then(Value::as_str);
            let answer_name = location_name.unwrap_or(name);
            let request_name = match (self.protocol, query_name) {
                (Protocol::Ec2, Some(name)) => name.to_owned(),
                (Protocol::Ec2, None) => capitalized(answer_name),
                _ => answer_name.to_owned(),
            };
            let index = structure.members.len();
            structure.requested.insert(request_name.clone(), index);
            structure.answered.insert(answer_name.to_owned(), index);
            structure.members.push(Member {
                request_name,
                answer_name: answer_name.to_owned(),
                shape: self.reference(value)?,
                location: value
                    .get("location")
                    .and_then(Value::as_str)
                    .map(ToOwned::to_owned),
                is_required: required.contains(name),
            });
        }
        Ok(structure)
    }

    fn list(&self, value: &Value) -> Result<List, String> {
        if value.get("flattened").is_some() {
            return Err("flattened lists are not known to the checker".to_owned());
        }
        let member = &value["member"];
        let tag = member.get("locationName").and_then(Value::as_str);
        Ok(List {
            member: self.reference(member)?,
            tag: tag.unwrap_or("member").to_owned(),
            limits: limits(value),
        })
    }

    fn reference(&self, value: &Value) -> Result<ShapeId, String> {
        let name = value
            .get("shape")
            .and_then(Value::as_str)
            .ok_or_else(|| format!("`{value}` names no shape"))?;
        self.ids
            .get(name)
            .copied()
            .ok_or_else(|| format!("the shape `{name}` is missing"))
    }
}

fn object<'a>(value: &'a Value, key: &str) -> Result<&'a Map<String, Value>, String> {
    value
        .get(key)
        .and_then(Value::as_object)
        .ok_or_else(|| format!("`{key}` is missing"))
}

fn text_of<'a>(value: &'a Map<String, Value>, key: &str) -> Result<&'a str, String> {
    value
        .get(key)
        .and_then(Value::as_str)
        .ok_or_else(|| format!("`{key}` is missing"))
}

fn texts(value: &Value, key: &str) -> Vec<String> {
    value
        .get(key)
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .map(ToOwned::to_owned)
        .collect()
}

fn limits(value: &Value) -> Limits {
    let limit = |key: &str| value.get(key).and_then(Value::as_f64);
    Limits {
        min: limit("min"),
        max: limit("max"),
    }
}

/// The pattern, for the whole text. Some patterns look ahead or back, which the engine cannot do;
/// none of them belongs to a member that is used here.
fn pattern(value: &Value) -> Option<Regex> {
    let pattern = value.get("pattern")?.as_str()?;
    // The models write what lies beyond U+FFFF as the two halves that Java has.
    let pattern = pattern.replace(r"\uD800\uDC00-\uDBFF\uDFFF", r"\x{10000}-\x{10FFFF}");
    Regex::new(&format!("^(?:{pattern})$")).ok()
}

fn capitalized(name: &str) -> String {
    let mut chars = name.chars();
    chars.next().map_or_else(String::new, |first| {
        first.to_uppercase().chain(chars).collect()
    })
}
