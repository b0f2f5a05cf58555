//! Checks JSON against a shape, in both directions.

use serde_json::Value;

use super::description::{Description, Kind, ShapeId};
use super::scalar::{self, Side};
use super::{Findings, Path};

/// Checks a whole body. An empty body is an empty object.
pub(crate) fn check(
    description: &Description,
    shape: Option<ShapeId>,
    body: &str,
    side: Side,
    findings: &mut Findings,
) {
    let body = if body.is_empty() { "{}" } else { body };
    let value: Value = match serde_json::from_str(body) {
        Ok(value) => value,
        Err(error) => {
            findings.add(&Path::Root, format!("the body is not JSON: {error}"));
            return;
        }
    };
    match shape {
        Some(shape) => Walk { description, side }.value(shape, &value, &Path::Root, findings),
        None if value.as_object().is_some_and(serde_json::Map::is_empty) => {}
        None => findings.add(&Path::Root, "there is a body where none is described"),
    }
}

/// Checks the body of a refusal, and gives its code.
pub(crate) fn check_refusal(body: &str, findings: &mut Findings) -> Option<String> {
    let value: Value = match serde_json::from_str(body) {
        Ok(value) => value,
        Err(error) => {
            findings.add(&Path::Root, format!("the body is not JSON: {error}"));
            return None;
        }
    };
    let code = value.get("__type").and_then(Value::as_str);
    if code.is_none() {
        findings.add(&Path::Root, "a refusal without `__type`");
    }
    code.and_then(|code| code.rsplit('#').next())
        .map(ToOwned::to_owned)
}

struct Walk<'a> {
    description: &'a Description,
    side: Side,
}

impl Walk<'_> {
    fn value(&self, id: ShapeId, value: &Value, path: &Path<'_>, findings: &mut Findings) {
        let shape = self.description.shape(id);
        match (&shape.kind, value) {
            (Kind::Structure(structure), Value::Object(object)) => {
                for (name, value) in object {
                    let path = Path::Name(path, name);
                    match structure.in_answer(name) {
                        Some((_, member)) => self.value(member.shape, value, &path, findings),
                        None => findings.add(&path, "unknown member"),
                    }
                }
                for member in &structure.members {
                    if member.is_required && !object.contains_key(&member.answer_name) {
                        let path = Path::Name(path, &member.answer_name);
                        findings.add(&path, "required, and missing");
                    }
                }
            }
            (Kind::List(list), Value::Array(entries)) => {
                for (index, entry) in entries.iter().enumerate() {
                    self.value(list.member, entry, &Path::Index(path, index), findings);
                }
                if self.side == Side::Request
                    && let Some(fault) = scalar::count_fault(list.limits, entries.len())
                {
                    findings.add(path, fault);
                }
            }
            (Kind::Map { value: shape, .. }, Value::Object(object)) => {
                for (name, value) in object {
                    self.value(*shape, value, &Path::Name(path, name), findings);
                }
            }
            (Kind::Structure(_) | Kind::List(_) | Kind::Map { .. }, _) => {
                findings.add(
                    path,
                    format!("`{value}` stands where `{}` does", shape.name),
                );
            }
            _ => {
                if let Some(fault) = scalar::json_fault(shape, value, self.side) {
                    findings.add(path, fault);
                }
            }
        }
    }
}
