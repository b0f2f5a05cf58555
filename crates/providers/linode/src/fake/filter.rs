//! `X-Filter`, as far as anybody here uses it.
//! <https://techdocs.akamai.com/linode-api/reference/filtering-and-sorting>

use std::cmp::Ordering;

use serde_json::Value;

/// A filter with its order.
pub(super) struct Filter {
    condition: Value,
    order_by: Option<String>,
    descending: bool,
}

impl Filter {
    /// Reads a filter that may speak about these fields.
    ///
    /// # Errors
    /// The reason that Linode would give.
    pub(super) fn read(text: Option<&str>, fields: &[&str]) -> Result<Self, String> {
        let mut condition = match text {
            None => Value::Object(serde_json::Map::new()),
            Some(text) => serde_json::from_str(text).map_err(|_| "Invalid JSON".to_owned())?,
        };
        let object = condition.as_object_mut().ok_or("Invalid filter")?;
        let word = |value: Option<Value>| value.and_then(|v| v.as_str().map(str::to_owned));
        let order_by = word(object.shift_remove("+order_by"));
        let descending = word(object.shift_remove("+order")).as_deref() == Some("desc");
        check(&condition, fields)?;
        if let Some(field) = &order_by {
            known(field, fields)?;
        }
        Ok(Self {
            condition,
            order_by,
            descending,
        })
    }

    /// The items that match, in order.
    pub(super) fn apply(&self, mut items: Vec<Value>) -> Vec<Value> {
        items.retain(|item| matches(&self.condition, item));
        if let Some(field) = &self.order_by {
            items.sort_by(|a, b| compare(&a[field], &b[field]));
            if self.descending {
                items.reverse();
            }
        }
        items
    }
}

fn known(field: &str, fields: &[&str]) -> Result<(), String> {
    if fields.contains(&field) {
        return Ok(());
    }
    Err(format!("Cannot filter on {field}"))
}

fn check(condition: &Value, fields: &[&str]) -> Result<(), String> {
    for (key, value) in condition.as_object().ok_or("Invalid filter")? {
        match (key.as_str(), value) {
            ("+and" | "+or", Value::Array(all)) => {
                all.iter().try_for_each(|one| check(one, fields))?;
            }
            (operator, _) if operator.starts_with('+') => {
                return Err(format!("Invalid operator {operator}"));
            }
            (field, Value::Object(operators)) => {
                known(field, fields)?;
                let odd = operators.keys().find(|operator| {
                    !["+gt", "+gte", "+lt", "+lte", "+neq", "+contains"].contains(&&***operator)
                });
                if let Some(odd) = odd {
                    return Err(format!("Invalid operator {odd}"));
                }
            }
            (field, _) => known(field, fields)?,
        }
    }
    Ok(())
}

fn matches(condition: &Value, item: &Value) -> bool {
    let Some(terms) = condition.as_object() else {
        return false;
    };
    terms
        .iter()
        .all(|(key, value)| match (key.as_str(), value) {
            ("+and", Value::Array(all)) => all.iter().all(|one| matches(one, item)),
            ("+or", Value::Array(all)) => all.iter().any(|one| matches(one, item)),
            (field, Value::Object(operators)) => operators
                .iter()
                .all(|(operator, value)| holds(operator, &item[field], value)),
            (field, value) => is(&item[field], value),
        })
}

/// A list matches if one of its members does. Capitals do not count.
fn is(has: &Value, wanted: &Value) -> bool {
    match has {
        Value::Array(all) => all.iter().any(|one| is(one, wanted)),
        Value::String(text) => wanted
            .as_str()
            .is_some_and(|wanted| wanted.eq_ignore_ascii_case(text)),
        other => other == wanted,
    }
}

fn holds(operator: &str, has: &Value, wanted: &Value) -> bool {
    let order = compare(has, wanted);
    match operator {
        "+gt" => order == Ordering::Greater,
        "+gte" => order != Ordering::Less,
        "+lt" => order == Ordering::Less,
        "+lte" => order != Ordering::Greater,
        "+neq" => !is(has, wanted),
        _ => has
            .as_str()
            .zip(wanted.as_str())
            .is_some_and(|(has, part)| has.contains(part)),
    }
}

fn compare(a: &Value, b: &Value) -> Ordering {
    match (a.as_u64(), b.as_u64()) {
        (Some(a), Some(b)) => a.cmp(&b),
        _ => a.to_string().cmp(&b.to_string()),
    }
}
