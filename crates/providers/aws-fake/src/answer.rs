//! What goes back over the wire: an answer, or a refusal that each protocol words in its own way.

use std::time::Duration;

use crate::xml::Xml;

/// A complete answer.
#[derive(Debug, Clone)]
pub(crate) struct Answer {
    /// The HTTP status.
    pub(crate) status: u16,
    /// The content type.
    pub(crate) content_type: &'static str,
    /// Further headers.
    pub(crate) headers: Vec<(&'static str, String)>,
    /// The body.
    pub(crate) body: String,
    /// Not an answer yet: the server asks again after this long. For long polls.
    pub(crate) wait: Option<Duration>,
    /// How many machines the call asked for; 0 if it asked for none.
    pub(crate) machines: u32,
}

impl Answer {
    /// An XML body with status 200.
    pub(crate) fn xml(xml: Xml) -> Self {
        Self {
            status: 200,
            content_type: "text/xml;charset=UTF-8",
            headers: Vec::new(),
            body: xml.into_text(),
            wait: None,
            machines: 0,
        }
    }

    /// A JSON body with status 200.
    pub(crate) fn json(value: &serde_json::Value) -> Self {
        Self {
            status: 200,
            content_type: "application/x-amz-json-1.1",
            headers: Vec::new(),
            body: value.to_string(),
            wait: None,
            machines: 0,
        }
    }

    /// Nothing yet: the same request is dispatched again after `wait`.
    pub(crate) fn later(wait: Duration) -> Self {
        Self {
            wait: Some(wait),
            ..Self::xml(Xml::default())
        }
    }

    /// The same answer, noting how many machines were asked for.
    pub(crate) fn for_machines(mut self, machines: u32) -> Self {
        self.machines = machines;
        self
    }

    /// The same answer with another status.
    pub(crate) fn with_status(mut self, status: u16) -> Self {
        self.status = status;
        self
    }
}

/// A refusal. Its words depend on the protocol of the service, see `dispatch`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Refusal {
    /// The HTTP status.
    pub(crate) status: u16,
    /// The vendor's code.
    pub(crate) code: String,
    /// The vendor's sentence.
    pub(crate) message: String,
}

impl Refusal {
    /// A refusal with any status.
    pub(crate) fn new(status: u16, code: &str, message: impl Into<String>) -> Self {
        Self {
            status,
            code: code.to_owned(),
            message: message.into(),
        }
    }

    /// A refusal with status 400.
    pub(crate) fn bad(code: &str, message: impl Into<String>) -> Self {
        Self::new(400, code, message)
    }
}
