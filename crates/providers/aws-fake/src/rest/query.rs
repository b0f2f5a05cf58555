//! What the services with the query protocol have in common: the form of answers, and pages.

use std::fmt::Display;

use jiff::Timestamp;

use crate::answer::{Answer, Refusal};
use crate::params::Params;
use crate::world::World;
use crate::xml::Xml;

/// An answer with a result in its wrapper. `id` is the request's.
pub(super) fn reply(
    id: &str,
    namespace: &str,
    action: &str,
    inner: impl FnOnce(&mut Xml),
) -> Answer {
    envelope(id, namespace, action, |xml| {
        xml.within(&format!("{action}Result"), inner);
    })
}

/// An answer of an action that has no result.
pub(super) fn done(id: &str, namespace: &str, action: &str) -> Answer {
    envelope(id, namespace, action, |_| {})
}

fn envelope(id: &str, namespace: &str, action: &str, inner: impl FnOnce(&mut Xml)) -> Answer {
    let mut xml = Xml::document();
    xml.root(&format!("{action}Response"), namespace, |xml| {
        inner(xml);
        xml.within("ResponseMetadata", |xml| xml.text("RequestId", id));
    });
    Answer::xml(xml)
}

/// A point in time as AWS writes it.
pub(super) fn stamp(at: Timestamp) -> String {
    format!("{at:.3}")
}

/// Writes a list of texts.
pub(super) fn texts<T: Display>(xml: &mut Xml, name: &str, items: impl IntoIterator<Item = T>) {
    xml.within(name, |xml| {
        for item in items {
            xml.text("member", item);
        }
    });
}

/// Writes parameters back as they came, in the form that answers have.
pub(super) fn echo(xml: &mut Xml, name: &str, params: &Params) {
    match params.value() {
        Some(value) => xml.text(name, value),
        None => xml.within(name, |xml| echo_inner(xml, params)),
    }
}

fn echo_inner(xml: &mut Xml, params: &Params) {
    for (name, child) in params.children() {
        if name == "member" {
            for entry in params.list("member") {
                echo(xml, "member", entry);
            }
        } else {
            echo(xml, name, child);
        }
    }
}

/// A page of a listing, and where the next one begins.
#[derive(Debug)]
pub(super) struct Page<T> {
    /// What is on the page.
    pub(super) items: Vec<T>,
    /// The token of the next page, if there is one.
    pub(super) next: Option<String>,
}

/// How many entries a page has: what was asked for, up to `most`, or `usual`; never more than the
/// fake is set to.
pub(super) fn page_size(world: &World, asked: Option<usize>, usual: usize, most: usize) -> usize {
    let size = asked.unwrap_or(usual).min(most).max(1);
    match world.config.page_size {
        Some(limit) => size.min(usize::try_from(limit).unwrap_or(size)).max(1),
        None => size,
    }
}

/// Cuts a page out of a listing. A token is the number of the first entry; `code` is what is
/// answered to one that was never given out.
pub(super) fn page<T>(
    items: Vec<T>,
    token: Option<&str>,
    size: usize,
    code: &str,
) -> Result<Page<T>, Refusal> {
    let start = match token.filter(|token| !token.is_empty()) {
        None => 0,
        Some(token) => token
            .strip_prefix("page")
            .and_then(|number| number.parse::<usize>().ok())
            .ok_or_else(|| Refusal::bad(code, format!("The token '{token}' is invalid.")))?,
    };
    let end = start.saturating_add(size);
    let next = (items.len() > end).then(|| format!("page{end}"));
    Ok(Page {
        items: items.into_iter().skip(start).take(size).collect(),
        next,
    })
}
