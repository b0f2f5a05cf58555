//! Record sets: how they are read, compared, ordered and written.

use std::net::{Ipv4Addr, Ipv6Addr};

use crate::markup::Element;
use crate::xml::Xml;

/// Orders records as Route 53 does: by name with the labels reversed, then type, then set.
pub(super) type Key = (Vec<String>, String, String);

/// A record set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Record {
    /// Lower case, with a dot at the end.
    pub(super) name: String,
    pub(super) kind: String,
    pub(super) ttl: Option<u32>,
    pub(super) values: Vec<String>,
    /// Everything else, such as an alias or a weight, as it came and sorted by name.
    rest: Vec<Element<'static>>,
}

impl Record {
    /// The records that every zone has from the beginning.
    pub(super) fn of_new_zone(zone: &str) -> [Self; 2] {
        let server = "ns-1.awsdns-01.org.";
        let soa = format!("{server} awsdns-hostmaster.amazon.com. 1 7200 900 1209600 86400");
        let record = |kind: &str, ttl, value: String| Self {
            name: zone.to_owned(),
            kind: kind.to_owned(),
            ttl: Some(ttl),
            values: vec![value],
            rest: Vec::new(),
        };
        [
            record("NS", 172_800, server.to_owned()),
            record("SOA", 900, soa),
        ]
    }

    /// Reads a `ResourceRecordSet`.
    pub(super) fn read(element: &Element<'_>) -> Self {
        let text = |name: &str| element.child_text(name).unwrap_or_default();
        let values = element
            .child("ResourceRecords")
            .into_iter()
            .flat_map(|records| &records.children)
            .filter_map(|record| record.child_text("Value"))
            .map(ToOwned::to_owned)
            .collect();
        let known = ["Name", "Type", "TTL", "ResourceRecords"];
        let mut rest: Vec<Element<'static>> = element
            .children
            .iter()
            .filter(|child| !known.contains(&child.name.as_str()))
            .cloned()
            .map(Element::into_owned)
            .collect();
        rest.sort_by(|a, b| a.name.cmp(&b.name));
        Self {
            name: canonical(text("Name")),
            kind: text("Type").to_owned(),
            ttl: element.child_text("TTL").and_then(|ttl| ttl.parse().ok()),
            values,
            rest,
        }
    }

    /// Where it stands in its zone.
    pub(super) fn key(&self) -> Key {
        (labels(&self.name), self.kind.clone(), self.set().to_owned())
    }

    /// The set identifier; empty if there is none.
    pub(super) fn set(&self) -> &str {
        self.rest
            .iter()
            .find(|child| child.name == "SetIdentifier")
            .map_or("", |child| &*child.text)
    }

    /// Whether it says the same, in whatever order.
    pub(super) fn says_the_same(&self, other: &Self) -> bool {
        let sorted = |record: &Self| {
            let mut values = record.values.clone();
            values.sort();
            values
        };
        self.ttl == other.ttl && sorted(self) == sorted(other) && self.rest == other.rest
    }

    /// What is wrong with it in a zone, in Route 53's words.
    pub(super) fn fault(&self, zone: &str) -> Option<String> {
        let (name, kind) = (&self.name, &self.kind);
        if name != zone && !name.ends_with(&format!(".{zone}")) {
            return Some(format!(
                "RRSet with DNS name {name} is not permitted in zone {zone}"
            ));
        }
        if kind == "CNAME" && name == zone {
            return Some(format!(
                "RRSet of type CNAME with DNS name {name} is not permitted at apex in zone {zone}"
            ));
        }
        self.values.iter().find_map(|value| {
            let (code, what) = match kind.as_str() {
                "A" if value.parse::<Ipv4Addr>().is_err() => (
                    "ARRDATAIllegalIPv4Address",
                    "Value is not a valid IPv4 address",
                ),
                "AAAA" if value.parse::<Ipv6Addr>().is_err() => (
                    "AAAARRDATAIllegalIPv6Address",
                    "Value is not a valid IPv6 address",
                ),
                "TXT" if !(value.starts_with('"') && value.ends_with('"') && value.len() > 1) => (
                    "InvalidCharacterString",
                    "Value should be enclosed in quotation marks",
                ),
                _ => return None,
            };
            Some(format!(
                "Invalid Resource Record: 'FATAL problem: {code} ({what}) encountered with \
                 '{value}''"
            ))
        })
    }

    /// Whether it has an alias instead of values.
    pub(super) fn is_alias(&self) -> bool {
        self.rest.iter().any(|child| child.name == "AliasTarget")
    }

    /// Writes it.
    pub(super) fn write(&self, xml: &mut Xml) {
        // Route 53 writes what is neither a letter nor a digit in octal; of names that occur
        // here only the asterisk.
        xml.text("Name", self.name.replace('*', "\\052"));
        xml.text("Type", &self.kind);
        for child in &self.rest {
            write(xml, child);
        }
        xml.optional("TTL", self.ttl);
        if !self.values.is_empty() {
            xml.list(
                "ResourceRecords",
                "ResourceRecord",
                &self.values,
                |xml, value| {
                    xml.text("Value", value);
                },
            );
        }
    }
}

/// A name in lower case with a dot at the end.
pub(super) fn canonical(name: &str) -> String {
    let mut name = name.to_lowercase().replace("\\052", "*");
    if !name.ends_with('.') {
        name.push('.');
    }
    name
}

/// The labels of a name, the last first.
pub(super) fn labels(name: &str) -> Vec<String> {
    name.trim_end_matches('.')
        .split('.')
        .rev()
        .map(ToOwned::to_owned)
        .collect()
}

fn write(xml: &mut Xml, element: &Element<'_>) {
    if element.children.is_empty() {
        xml.text(&element.name, &element.text);
    } else {
        xml.within(&element.name, |xml| {
            for child in &element.children {
                write(xml, child);
            }
        });
    }
}
