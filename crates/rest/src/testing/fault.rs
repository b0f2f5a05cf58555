//! Faults at the wire, ordered by tests: what happens to which call.

use std::time::Duration;

use super::{Reply, Request};

/// An order: calls of a method and path fail in some way.
#[derive(Debug, Clone)]
pub struct Fault {
    method: String,
    path: String,
    query: Option<(String, String)>,
    skip: u32,
    times: u32,
    trouble: Trouble,
}

/// What happens to a call.
///
/// *Before* means that the world does not see the call; *after*, that it takes effect first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Trouble {
    /// Before: the connection is reset.
    ResetBefore,
    /// After: the connection is reset, and there is no answer.
    ResetAfter,
    /// Before: nothing is answered for so long, then the call is served as usual.
    DelayBefore(Duration),
    /// After: the answer comes so much later.
    DelayAfter(Duration),
    /// Before: this is answered. For refusals in the vendor's words.
    Refuse(Reply),
    /// After: this is answered instead.
    Replace(Reply),
    /// After: the connection is reset in the middle of the body.
    Truncate,
    /// After: a body that is neither JSON nor text, with the status of the answer.
    Garbage,
    /// After: a page of HTML with status 200, as a captive portal gives.
    Html,
}

impl Trouble {
    /// Before: `429 Too Many Requests`, with `Retry-After` in seconds if given.
    pub fn too_many(retry_after: Option<u64>) -> Self {
        let reply = Reply::json(429, &serde_json::json!({ "message": "too many requests" }));
        Self::Refuse(match retry_after {
            Some(seconds) => reply.with_header("retry-after", seconds),
            None => reply,
        })
    }

    /// Before: this status with a page of HTML, as a gateway gives.
    pub fn gateway(status: u16) -> Self {
        Self::Refuse(page(status))
    }

    /// After: this status with a page of HTML, as a gateway gives that lost the answer.
    pub fn gateway_after(status: u16) -> Self {
        Self::Replace(page(status))
    }

    /// Whether the world sees the call.
    pub fn has_effect(&self) -> bool {
        !matches!(self, Self::ResetBefore | Self::Refuse(_))
    }
}

fn page(status: u16) -> Reply {
    let text = format!("<html><body><h1>{status}</h1><p>gateway</p></body></html>");
    Reply::text(status, "text/html", text)
}

impl Fault {
    /// The next call of this method (`*` for any) to this path fails. In the path, `*` stands for
    /// any one segment, and `**` at its end for any further ones. The path is the one on the wire,
    /// with the base address's own.
    pub fn new(method: &str, path: &str, trouble: Trouble) -> Self {
        Self {
            method: method.to_owned(),
            path: path.to_owned(),
            query: None,
            skip: 0,
            times: 1,
            trouble,
        }
    }

    /// Only calls with this query parameter.
    #[must_use]
    #[expect(
        clippy::needless_pass_by_value,
        reason = "numbers and texts are given as they are"
    )]
    pub fn with_query(mut self, name: &str, value: impl ToString) -> Self {
        self.query = Some((name.to_owned(), value.to_string()));
        self
    }

    /// So many matching calls pass first.
    #[must_use]
    pub fn after(mut self, calls: u32) -> Self {
        self.skip = calls;
        self
    }

    /// So many matching calls fail. Without it: one.
    #[must_use]
    pub fn times(mut self, calls: u32) -> Self {
        self.times = calls;
        self
    }

    /// Every matching call fails.
    #[must_use]
    pub fn always(self) -> Self {
        self.times(u32::MAX)
    }

    fn matches(&self, request: &Request) -> bool {
        let has_query = self
            .query
            .as_ref()
            .is_none_or(|(name, value)| request.query(name) == Some(value));
        (self.method == "*" || self.method == request.method)
            && has_query
            && path_matches(&self.path, &request.path)
    }
}

fn path_matches(pattern: &str, path: &str) -> bool {
    let mut wanted = pattern.split('/').filter(|part| !part.is_empty());
    let mut has = path.split('/').filter(|part| !part.is_empty());
    loop {
        match (wanted.next(), has.next()) {
            (None, None) | (Some("**"), _) => return true,
            (Some(want), Some(part)) if want == "*" || want == part => {}
            _ => return false,
        }
    }
}

/// The orders that are not used up.
#[derive(Debug, Default)]
pub(super) struct Faults(Vec<Fault>);

impl Faults {
    pub(super) fn add(&mut self, fault: Fault) {
        self.0.push(fault);
    }

    pub(super) fn clear(&mut self) {
        self.0.clear();
    }

    /// What happens to this call; uses the order up. The order that was given first goes first.
    pub(super) fn take(&mut self, request: &Request) -> Option<Trouble> {
        let mut found = None;
        for fault in &mut self.0 {
            if fault.times == 0 || !fault.matches(request) {
                continue;
            }
            if fault.skip > 0 {
                fault.skip -= 1;
                continue;
            }
            if fault.times != u32::MAX {
                fault.times -= 1;
            }
            found = Some(fault.trouble.clone());
            break;
        }
        self.0.retain(|fault| fault.times > 0);
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_is_one_segment_and_two_are_the_rest() {
        for (pattern, path, is_match) in [
            ("/v1/servers", "/v1/servers", true),
            ("/v1/servers", "/v1/servers/7", false),
            ("/v1/servers/*", "/v1/servers/7", true),
            ("/v1/servers/*", "/v1/servers", false),
            ("/v1/*/7", "/v1/servers/7", true),
            ("/v1/**", "/v1/servers/7/actions", true),
            ("/**", "/", true),
            ("/v1/**", "/v2/servers", false),
        ] {
            assert_eq!(path_matches(pattern, path), is_match, "{pattern} {path}");
        }
    }
}
