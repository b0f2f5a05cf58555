//! Checks the parameters of a form against the shape of a request.

use super::description::{Description, Kind, List, Operation, Protocol, ShapeId, Structure};
use super::scalar::{self, Side};
use super::{Findings, Path};
use crate::params::Params;

/// Checks the parameters of a request in EC2's protocol or the query protocol.
pub(crate) fn check(
    description: &Description,
    operation: &Operation,
    params: &Params,
    findings: &mut Findings,
) {
    let version = params.text("Version").unwrap_or_default();
    if version != description.version {
        findings.add(
            &Path::Name(&Path::Root, "Version"),
            format!("`{version}` instead of `{}`", description.version),
        );
    }
    let walk = Walk { description };
    let none = Structure::default();
    let structure = match operation.input.map(|id| &description.shape(id).kind) {
        Some(Kind::Structure(structure)) => structure,
        _ => &none,
    };
    let params = params.without(&["Action", "Version"]);
    walk.structure(structure, &params, &Path::Root, findings);
}

struct Walk<'a> {
    description: &'a Description,
}

impl Walk<'_> {
    fn value(&self, id: ShapeId, node: &Params, path: &Path<'_>, findings: &mut Findings) {
        let shape = self.description.shape(id);
        match &shape.kind {
            Kind::Structure(structure) => {
                if let Some(text) = node.value() {
                    findings.add(path, format!("`{text}` stands where `{}` does", shape.name));
                }
                self.structure(structure, node, path, findings);
            }
            Kind::List(list) => self.list(list, node, path, findings),
            Kind::Map { key, value } => self.map(*key, *value, node, path, findings),
            _ => {
                for (name, _) in node.children() {
                    findings.add(&Path::Name(path, name), "unknown parameter");
                }
                match node.value() {
                    Some(text) => {
                        if let Some(fault) = scalar::fault(shape, text, Side::Request) {
                            findings.add(path, fault);
                        }
                    }
                    None => findings.add(path, "no value"),
                }
            }
        }
    }

    fn structure(
        &self,
        structure: &Structure,
        node: &Params,
        path: &Path<'_>,
        findings: &mut Findings,
    ) {
        for (name, child) in node.children() {
            let path = Path::Name(path, name);
            match structure.in_request(name) {
                Some((_, member)) => self.value(member.shape, child, &path, findings),
                None => findings.add(&path, "unknown parameter"),
            }
        }
        for member in &structure.members {
            let name = &member.request_name;
            if member.is_required && node.group(name).is_none() {
                findings.add(&Path::Name(path, name), "required, and missing");
            }
        }
    }

    fn list(&self, list: &List, node: &Params, path: &Path<'_>, findings: &mut Findings) {
        if self.description.protocol == Protocol::Ec2 {
            self.entries(list, node, path, findings);
            return;
        }
        // In the query protocol a list without entries is a bare name without a value.
        let is_empty = node.value() == Some("") && node.children().next().is_none();
        if is_empty {
            return;
        }
        for (name, child) in node.children() {
            let path = Path::Name(path, name);
            if name == list.tag {
                self.entries(list, child, &path, findings);
            } else {
                findings.add(&path, format!("entries are called `{}`", list.tag));
            }
        }
    }

    fn entries(&self, list: &List, node: &Params, path: &Path<'_>, findings: &mut Findings) {
        if let Some(text) = node.value() {
            findings.add(path, format!("`{text}` stands where a list does"));
        }
        let mut numbers = Vec::new();
        for (name, child) in node.children() {
            let path = Path::Name(path, name);
            match name.parse::<usize>() {
                Ok(number) => {
                    numbers.push(number);
                    self.value(list.member, child, &path, findings);
                }
                Err(_) => findings.add(&path, "entries of a list have numbers"),
            }
        }
        numbers.sort_unstable();
        if !numbers.iter().copied().eq(1..=numbers.len()) {
            findings.add(path, "entries are not numbered from 1 without gaps");
        }
        if let Some(fault) = scalar::count_fault(list.limits, numbers.len()) {
            findings.add(path, fault);
        }
    }

    fn map(
        &self,
        key: ShapeId,
        value: ShapeId,
        node: &Params,
        path: &Path<'_>,
        findings: &mut Findings,
    ) {
        for entry in node.list("entry") {
            for (name, child) in entry.children() {
                let path = Path::Name(path, name);
                match name {
                    "key" => self.value(key, child, &path, findings),
                    "value" => self.value(value, child, &path, findings),
                    _ => findings.add(&path, "unknown parameter"),
                }
            }
        }
    }
}
