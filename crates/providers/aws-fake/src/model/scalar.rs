//! What can be wrong with a single value.

use jiff::Timestamp;
use serde_json::Value;

use super::description::{Kind, Limits, Shape};

/// Which way a value goes. Answers may break the limits of length and pattern: they describe what
/// callers may send, and AWS itself sends more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Side {
    /// From the caller.
    Request,
    /// To the caller.
    Answer,
}

/// What is wrong with a text as the value of a shape, if anything is.
pub(crate) fn fault(shape: &Shape, text: &str, side: Side) -> Option<String> {
    let not_a = |what: &str| Some(format!("`{text}` is not {what}"));
    match &shape.kind {
        Kind::Text { .. } => text_fault(shape, text, side),
        Kind::Integer(limits) => match text.parse::<i32>() {
            Ok(number) => within(*limits, f64::from(number), text, side),
            Err(_) => not_a("an integer"),
        },
        Kind::Long(limits) => match text.parse::<i64>() {
            Ok(number) => within(*limits, number as f64, text, side),
            Err(_) => not_a("an integer"),
        },
        Kind::Double(limits) => match text.parse::<f64>() {
            Ok(number) => within(*limits, number, text, side),
            Err(_) => not_a("a number"),
        },
        Kind::Boolean if text == "true" || text == "false" => None,
        Kind::Boolean => not_a("a boolean"),
        Kind::Timestamp if text.parse::<Timestamp>().is_ok() => None,
        Kind::Timestamp => not_a("a timestamp"),
        Kind::Blob if is_base64(text) => None,
        Kind::Blob => not_a("base64"),
        Kind::Structure(_) | Kind::List(_) | Kind::Map { .. } => {
            Some(format!("a `{}` is no single value", shape.name))
        }
    }
}

/// What is wrong with a JSON value as the value of a shape that is neither structure, list nor map.
pub(crate) fn json_fault(shape: &Shape, value: &Value, side: Side) -> Option<String> {
    let not_a = |what: &str| Some(format!("`{value}` is not {what}"));
    match &shape.kind {
        Kind::Text { .. } => match value.as_str() {
            Some(text) => text_fault(shape, text, side),
            None => not_a("a string"),
        },
        Kind::Boolean if value.is_boolean() => None,
        Kind::Boolean => not_a("a boolean"),
        // JSON carries points in time as seconds.
        Kind::Timestamp if value.is_number() => None,
        Kind::Timestamp => not_a("a number of seconds"),
        Kind::Blob => match value.as_str() {
            Some(text) => fault(shape, text, side),
            None => not_a("a string"),
        },
        _ if value.is_number() => fault(shape, &value.to_string(), side),
        _ => not_a("a number"),
    }
}

/// What is wrong with the number of entries, if anything is.
pub(crate) fn count_fault(limits: Limits, count: usize) -> Option<String> {
    exceeds(limits, count as f64).map(|limit| format!("{count} entries, {limit}"))
}

fn text_fault(shape: &Shape, text: &str, side: Side) -> Option<String> {
    let Kind::Text {
        values,
        limits,
        pattern,
    } = &shape.kind
    else {
        return None;
    };
    if !values.is_empty() && !values.iter().any(|value| value == text) {
        return Some(format!("`{text}` is no value of `{}`", shape.name));
    }
    if side == Side::Answer {
        return None;
    }
    let length = text.chars().count();
    if let Some(limit) = exceeds(*limits, length as f64) {
        return Some(format!("`{text}` has {length} characters, {limit}"));
    }
    pattern
        .as_ref()
        .filter(|pattern| !pattern.is_match(text))
        .map(|pattern| format!("`{text}` does not match `{pattern}`"))
}

fn within(limits: Limits, number: f64, text: &str, side: Side) -> Option<String> {
    if side == Side::Answer {
        return None;
    }
    exceeds(limits, number).map(|limit| format!("{text} is out of range, {limit}"))
}

/// Which limit a number breaks.
fn exceeds(limits: Limits, number: f64) -> Option<String> {
    match limits {
        Limits { min: Some(min), .. } if number < min => Some(format!("the least is {min}")),
        Limits { max: Some(max), .. } if number > max => Some(format!("the most is {max}")),
        _ => None,
    }
}

fn is_base64(text: &str) -> bool {
    let body = text.trim_end_matches('=');
    text.len().is_multiple_of(4)
        && text.len() - body.len() <= 2
        && body
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || byte == b'+' || byte == b'/')
}
