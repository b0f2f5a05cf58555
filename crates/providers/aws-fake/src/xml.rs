//! Writes XML from top to bottom.

use std::fmt::{Display, Write as _};

/// An XML text under construction.
#[derive(Debug, Default)]
pub(crate) struct Xml {
    out: String,
}

impl Xml {
    /// Begins a document.
    pub(crate) fn document() -> Self {
        Self {
            out: "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n".to_owned(),
        }
    }

    /// Writes an element that contains text.
    pub(crate) fn text(&mut self, name: &str, value: impl Display) {
        self.open(name);
        // Writing to a string cannot fail.
        let start = self.out.len();
        let _: std::fmt::Result = write!(self.out, "{value}");
        if self.out[start..].contains(['<', '>', '&']) || has_control(&self.out[start..]) {
            let raw = self.out.split_off(start);
            escape(&raw, &mut self.out);
        }
        self.close(name);
    }

    /// Writes an element that contains text that needs no escaping, such as an id. Listings consist
    /// of these: looking for what must be escaped would take longer than writing it.
    pub(crate) fn plain(&mut self, name: &str, value: &str) {
        self.open(name);
        self.out.push_str(value);
        self.close(name);
    }

    /// Writes an element that contains text, if there is any.
    pub(crate) fn optional(&mut self, name: &str, value: Option<impl Display>) {
        if let Some(value) = value {
            self.text(name, value);
        }
    }

    /// Writes an element that contains what `inner` writes.
    pub(crate) fn within(&mut self, name: &str, inner: impl FnOnce(&mut Self)) {
        self.open(name);
        inner(self);
        self.close(name);
    }

    /// Writes an element with an XML namespace.
    pub(crate) fn root(&mut self, name: &str, namespace: &str, inner: impl FnOnce(&mut Self)) {
        self.out.push('<');
        self.out.push_str(name);
        self.out.push_str(" xmlns=\"");
        self.out.push_str(namespace);
        self.out.push_str("\">");
        inner(self);
        self.close(name);
    }

    /// Writes a list as EC2 does: `<name><item>…</item></name>`.
    pub(crate) fn items<T>(
        &mut self,
        name: &str,
        items: impl IntoIterator<Item = T>,
        inner: impl FnMut(&mut Self, T),
    ) {
        self.list(name, "item", items, inner);
    }

    /// Writes a list whose entries are called `entry`; `member` in the query protocol.
    pub(crate) fn list<T>(
        &mut self,
        name: &str,
        entry: &str,
        items: impl IntoIterator<Item = T>,
        mut inner: impl FnMut(&mut Self, T),
    ) {
        self.open(name);
        for item in items {
            self.open(entry);
            inner(self, item);
            self.close(entry);
        }
        self.close(name);
    }

    /// The text.
    pub(crate) fn into_text(self) -> String {
        self.out
    }

    fn open(&mut self, name: &str) {
        self.out.push('<');
        self.out.push_str(name);
        self.out.push('>');
    }

    fn close(&mut self, name: &str) {
        self.out.push_str("</");
        self.out.push_str(name);
        self.out.push('>');
    }
}

fn has_control(text: &str) -> bool {
    text.bytes().any(|byte| byte < 0x20)
}

fn escape(raw: &str, out: &mut String) {
    for c in raw.chars() {
        match c {
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '&' => out.push_str("&amp;"),
            // Readers may change bare line breaks; references survive.
            c if c < ' ' => {
                let _: std::fmt::Result = write!(out, "&#{};", u32::from(c));
            }
            c => out.push(c),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_xml_reserves_is_escaped_and_lists_have_items() {
        let mut xml = Xml::default();
        xml.within("a", |xml| {
            xml.text("b", "<&\"'>\n");
            xml.items("c", [1, 2], |xml, n| xml.text("n", n));
        });
        assert_eq!(
            xml.into_text(),
            "<a><b>&lt;&amp;\"'&gt;&#10;</b>\
             <c><item><n>1</n></item><item><n>2</n></item></c></a>"
        );
    }
}
