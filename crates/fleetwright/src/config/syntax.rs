//! From text to a table with places, and every syntax error in words.

use std::ops::Range;
use std::sync::Arc;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::source::{Problem, Problems, Source};

/// Parses the text as TOML.
pub(crate) fn parse(source: &Arc<Source>) -> Result<Spanned<DeTable<'_>>, Problems> {
    let (table, errors) = DeTable::parse_recoverable(source.text());
    let problems = explain(source, table.get_ref(), &errors);
    match Problems::new(source, problems) {
        None => Ok(table),
        Some(problems) => Err(problems),
    }
}

fn explain(source: &Source, table: &DeTable<'_>, errors: &[toml::de::Error]) -> Vec<Problem> {
    let text = source.text();
    let mut problems = Vec::new();
    // A table that is opened twice makes each of its keys a duplicate too: only the header counts.
    let mut reopened: Option<Range<usize>> = None;
    for error in errors {
        let end = text.len();
        let span = error.span().unwrap_or(end..end);
        if error.message() != "duplicate key" {
            problems.push(Problem {
                span: Some(span),
                ..Problem::new(error.message())
            });
            continue;
        }
        if reopened
            .as_ref()
            .is_some_and(|body| body.contains(&span.start))
        {
            continue;
        }
        let name = text.get(span.clone()).unwrap_or("");
        let is_header = line_before(text, span.start).starts_with('[');
        let what = if is_header { "table" } else { "key" };
        if is_header {
            let rest = text.get(span.end..).unwrap_or("");
            let body = rest.find("\n[").unwrap_or(rest.len());
            reopened = Some(span.end..span.end + body);
        }
        let first = if is_header {
            earlier_header(text, span.start)
        } else {
            earlier(table, name.trim_matches(['"', '\'']), span.start)
        };
        problems.push(Problem {
            hint: first.map(|at| format!("the first is in line {}", source.position(at).0)),
            span: Some(span),
            ..Problem::new(format!("the {what} `{name}` is defined twice"))
        });
    }
    problems
}

fn line_before(text: &str, at: usize) -> &str {
    let before = text.get(..at).unwrap_or("");
    before.rsplit('\n').next().unwrap_or("").trim_start()
}

/// The line before a place that opens the same table as the line there.
fn earlier_header(text: &str, at: usize) -> Option<usize> {
    let start = text.get(..at)?.rfind('\n')? + 1;
    let header = text[start..].lines().next()?.trim();
    let mut from = 0;
    text[..start].split_inclusive('\n').find_map(|line| {
        let found = (line.trim() == header).then_some(from);
        from += line.len();
        found
    })
}

/// The last key of this name before a place.
fn earlier(table: &DeTable<'_>, name: &str, before: usize) -> Option<usize> {
    let mut found = None;
    for (key, value) in table {
        let at = key.span().start;
        if key.get_ref() == name && at < before {
            found = found.max(Some(at));
        }
        found = found.max(earlier_in(value.get_ref(), name, before));
    }
    found
}

fn earlier_in(value: &DeValue<'_>, name: &str, before: usize) -> Option<usize> {
    match value {
        DeValue::Table(table) => earlier(table, name, before),
        DeValue::Array(items) => items
            .iter()
            .filter_map(|item| earlier_in(item.get_ref(), name, before))
            .max(),
        _ => None,
    }
}
