//! Reads XML into a tree.

use std::borrow::Cow;

use quick_xml::Reader;
use quick_xml::events::{BytesStart, Event};

/// An element with what is in it. It borrows from the document where it can: listings are long.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Element<'a> {
    /// Its name, without a namespace prefix.
    pub(crate) name: String,
    /// The default XML namespace, if it is the root and declares one.
    pub(crate) namespace: Option<String>,
    /// The text directly in it.
    pub(crate) text: Cow<'a, str>,
    /// The elements directly in it.
    pub(crate) children: Vec<Self>,
}

impl<'a> Element<'a> {
    /// Reads a document. The error says why it is not well-formed.
    pub(crate) fn parse(document: &'a str) -> Result<Self, String> {
        let mut reader = Reader::from_str(document);
        reader.config_mut().expand_empty_elements = true;
        let mut open: Vec<Self> = Vec::new();
        let mut root = None;
        loop {
            match reader.read_event().map_err(|error| error.to_string())? {
                Event::Start(start) => {
                    if root.is_some() {
                        return Err("there is a second root".to_owned());
                    }
                    open.push(Self::begin(&start, open.is_empty())?);
                }
                Event::End(_) => {
                    let Some(done) = open.pop() else {
                        return Err("an element ends that did not begin".to_owned());
                    };
                    match open.last_mut() {
                        Some(parent) => parent.children.push(done),
                        None => root = Some(done),
                    }
                }
                Event::Text(text) => {
                    let text = text.decode().map_err(|error| error.to_string())?;
                    add(&mut open, text)?;
                }
                Event::CData(text) => {
                    let text = text.decode().map_err(|error| error.to_string())?;
                    add(&mut open, text)?;
                }
                Event::GeneralRef(reference) => {
                    let name = reference.decode().map_err(|error| error.to_string())?;
                    let text = quick_xml::escape::unescape(&format!("&{name};"))
                        .map_err(|error| error.to_string())?
                        .into_owned();
                    add(&mut open, Cow::Owned(text))?;
                }
                Event::Eof => break,
                // Empty elements come as a beginning and an end.
                Event::Empty(_)
                | Event::Comment(_)
                | Event::Decl(_)
                | Event::PI(_)
                | Event::DocType(_) => {}
            }
        }
        match (root, open.pop()) {
            (_, Some(element)) => Err(format!("`{}` does not end", element.name)),
            (None, None) => Err("there is no element".to_owned()),
            (Some(root), None) => Ok(root),
        }
    }

    /// The first child with this name.
    pub(crate) fn child(&self, name: &str) -> Option<&Self> {
        self.children.iter().find(|child| child.name == name)
    }

    /// The text of the first child with this name.
    pub(crate) fn child_text(&self, name: &str) -> Option<&str> {
        self.child(name).map(|child| child.text.as_ref())
    }

    /// The same, borrowing from nothing.
    pub(crate) fn into_owned(self) -> Element<'static> {
        Element {
            name: self.name,
            namespace: self.namespace,
            text: Cow::Owned(self.text.into_owned()),
            children: self.children.into_iter().map(Element::into_owned).collect(),
        }
    }

    fn begin(start: &BytesStart<'_>, is_root: bool) -> Result<Self, String> {
        let local = start.local_name();
        let name = std::str::from_utf8(local.into_inner()).map_err(|error| error.to_string())?;
        let mut namespace = None;
        for attribute in start.attributes().take_while(|_| is_root) {
            let attribute = attribute.map_err(|error| error.to_string())?;
            if attribute.key.into_inner() == b"xmlns" {
                let value = attribute
                    .unescape_value()
                    .map_err(|error| error.to_string())?;
                namespace = Some(value.into_owned());
            }
        }
        Ok(Self {
            name: name.to_owned(),
            namespace,
            text: Cow::Borrowed(""),
            children: Vec::new(),
        })
    }
}

fn add<'a>(open: &mut [Element<'a>], text: Cow<'a, str>) -> Result<(), String> {
    match open.last_mut() {
        Some(element) if element.text.is_empty() => element.text = text,
        Some(element) => element.text.to_mut().push_str(&text),
        None if text.trim().is_empty() => {}
        None => return Err("there is text outside of the root".to_owned()),
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entities_are_resolved_and_prefixes_dropped() {
        let root = Element::parse(
            "<?xml version=\"1.0\"?>\n<a xmlns=\"urn:x\"><n:b>1 &lt; 2&#10;</n:b><c/></a>\n",
        )
        .unwrap();
        assert_eq!(root.namespace.as_deref(), Some("urn:x"));
        assert_eq!(root.child_text("b"), Some("1 < 2\n"));
        assert_eq!(root.child_text("c"), Some(""));
        assert_eq!(root.child("d"), None);
    }

    #[test]
    fn what_is_not_well_formed_is_an_error() {
        for document in [
            "",
            "<a>",
            "<a></b>",
            "<a/><b/>",
            "x<a/>",
            "<a>&nonsense;</a>",
        ] {
            assert!(Element::parse(document).is_err(), "{document}");
        }
    }
}
