//! Checks XML against a shape: answers of three protocols, and the bodies of Route 53's requests.

use super::description::{Description, Kind, List, Operation, Protocol, ShapeId, Structure};
use super::scalar::{self, Side};
use super::{Findings, Path};
use crate::markup::Element;

/// Checks the body of a request.
pub(crate) fn check_request(
    description: &Description,
    operation: &Operation,
    body: &str,
    findings: &mut Findings,
) {
    let (Some(root), Some(input)) = (&operation.input_root, operation.input) else {
        if !body.is_empty() {
            findings.add(&Path::Root, "there is a body where none is described");
        }
        return;
    };
    let Some(element) = parse(body, findings) else {
        return;
    };
    if &element.name != root {
        findings.add(
            &Path::Name(&Path::Root, &element.name),
            format!("the root is called `{root}`"),
        );
    }
    let walk = Walk {
        description,
        side: Side::Request,
    };
    walk.value(
        input,
        &element,
        &Path::Name(&Path::Root, &element.name),
        findings,
    );
}

/// Checks the body of an answer with a status below 400.
pub(crate) fn check_answer(
    description: &Description,
    action: &str,
    operation: &Operation,
    body: &str,
    findings: &mut Findings,
) {
    let Some(element) = parse(body, findings) else {
        return;
    };
    let walk = Walk {
        description,
        side: Side::Answer,
    };
    let root = match (description.protocol, operation.output) {
        (Protocol::RestXml, Some(id)) => description.shape(id).name.clone(),
        _ => format!("{action}Response"),
    };
    if element.name != root {
        findings.add(
            &Path::Name(&Path::Root, &element.name),
            format!("the root is called `{root}`"),
        );
    }
    check_namespace(description, &element, findings);
    match description.protocol {
        Protocol::Ec2 => walk.ec2(operation, element, findings),
        Protocol::Query => walk.query(operation, &element, findings),
        Protocol::RestXml | Protocol::Json => {
            if let Some(output) = operation.output {
                walk.value(
                    output,
                    &element,
                    &Path::Name(&Path::Root, &element.name),
                    findings,
                );
            }
        }
    }
}

/// Checks the body of a refusal, and gives its code.
pub(crate) fn check_refusal(
    description: &Description,
    body: &str,
    findings: &mut Findings,
) -> Option<String> {
    let root = parse(body, findings)?;
    let (outer, inner, id) = match description.protocol {
        Protocol::Ec2 => ("Response", &["Errors", "Error"][..], "RequestID"),
        _ => ("ErrorResponse", &["Error"][..], "RequestId"),
    };
    let error = inner
        .iter()
        .try_fold(&root, |element, name| element.child(name));
    let code = error.and_then(|error| error.child_text("Code"));
    let message = error.and_then(|error| error.child_text("Message"));
    if root.name != outer || code.is_none() || message.is_none() || root.child(id).is_none() {
        findings.add(
            &Path::Name(&Path::Root, &root.name),
            "not the form of a refusal",
        );
    }
    code.map(ToOwned::to_owned)
}

fn parse<'a>(body: &'a str, findings: &mut Findings) -> Option<Element<'a>> {
    match Element::parse(body) {
        Ok(element) => Some(element),
        Err(error) => {
            findings.add(
                &Path::Root,
                format!("the body is not well-formed XML: {error}"),
            );
            None
        }
    }
}

fn check_namespace(description: &Description, root: &Element<'_>, findings: &mut Findings) {
    let Some(expected) = &description.namespace else {
        return;
    };
    let found = root.namespace.as_deref().unwrap_or_default();
    if found.trim_end_matches('/') != expected.trim_end_matches('/') {
        findings.add(
            &Path::Name(&Path::Root, &root.name),
            format!("the namespace is `{found}` instead of `{expected}`"),
        );
    }
}

struct Walk<'a> {
    description: &'a Description,
    side: Side,
}

impl Walk<'_> {
    /// EC2: the request's id stands beside the members; actions without a result say `return`.
    fn ec2(&self, operation: &Operation, mut root: Element<'_>, findings: &mut Findings) {
        let before = root.children.len();
        root.children.retain(|child| child.name != "requestId");
        if root.children.len() + 1 != before {
            findings.add(
                &Path::Name(&Path::Root, &root.name),
                "there is not one `requestId`",
            );
        }
        if let Some(output) = operation.output {
            let path = Path::Name(&Path::Root, &root.name);
            self.value(output, &root, &path, findings);
            return;
        }
        let is_return = |child: &Element| child.name == "return" && child.text == "true";
        if root.children.len() != 1 || !root.children.iter().all(is_return) {
            let path = Path::Name(&Path::Root, &root.name);
            findings.add(&path, "`<return>true</return>` is missing");
        }
    }

    /// The query protocol: a wrapper with the result, and the metadata.
    fn query(&self, operation: &Operation, root: &Element<'_>, findings: &mut Findings) {
        let wrapper = operation.wrapper.as_deref();
        for child in &root.children {
            let outer = Path::Name(&Path::Root, &root.name);
            let path = Path::Name(&outer, &child.name);
            if Some(child.name.as_str()) == wrapper {
                if let Some(output) = operation.output {
                    self.value(output, child, &path, findings);
                }
            } else if child.name != "ResponseMetadata" {
                findings.add(&path, "unknown element");
            }
        }
        for name in wrapper.into_iter().chain(["ResponseMetadata"]) {
            if root.child(name).is_none() {
                let outer = Path::Name(&Path::Root, &root.name);
                let path = Path::Name(&outer, name);
                findings.add(&path, "required, and missing");
            }
        }
    }

    fn value(&self, id: ShapeId, element: &Element<'_>, path: &Path<'_>, findings: &mut Findings) {
        let shape = self.description.shape(id);
        match &shape.kind {
            Kind::Structure(structure) => self.structure(structure, element, path, findings),
            Kind::List(list) => self.list(list, element, path, findings),
            Kind::Map { key, value } => self.map(*key, *value, element, path, findings),
            _ => {
                for child in &element.children {
                    let path = Path::Name(path, &child.name);
                    findings.add(&path, "unknown element");
                }
                if let Some(fault) = scalar::fault(shape, &element.text, self.side) {
                    findings.add(path, fault);
                }
            }
        }
    }

    fn structure(
        &self,
        structure: &Structure,
        element: &Element<'_>,
        path: &Path<'_>,
        findings: &mut Findings,
    ) {
        expect_no_text(element, path, findings);
        let mut seen = vec![false; structure.members.len()];
        for child in &element.children {
            let path = Path::Name(path, &child.name);
            match structure.in_answer(&child.name) {
                Some((_, member)) if member.location.is_some() => {
                    findings.add(&path, "does not belong into the body");
                }
                Some((index, member)) => {
                    if std::mem::replace(&mut seen[index], true) {
                        findings.add(&path, "stands there twice");
                    }
                    self.value(member.shape, child, &path, findings);
                }
                None => findings.add(&path, "unknown element"),
            }
        }
        for (member, seen) in structure.members.iter().zip(seen) {
            if member.is_required && member.location.is_none() && !seen {
                let path = Path::Name(path, &member.answer_name);
                findings.add(&path, "required, and missing");
            }
        }
    }

    fn list(&self, list: &List, element: &Element<'_>, path: &Path<'_>, findings: &mut Findings) {
        expect_no_text(element, path, findings);
        for (index, child) in element.children.iter().enumerate() {
            let path = Path::Index(path, index);
            if child.name == list.tag {
                self.value(list.member, child, &path, findings);
            } else {
                let what = format!("`{}` instead of `{}`", child.name, list.tag);
                findings.add(&path, what);
            }
        }
        if self.side == Side::Request
            && let Some(fault) = scalar::count_fault(list.limits, element.children.len())
        {
            findings.add(path, fault);
        }
    }

    fn map(
        &self,
        key: ShapeId,
        value: ShapeId,
        element: &Element<'_>,
        path: &Path<'_>,
        findings: &mut Findings,
    ) {
        for entry in &element.children {
            for child in &entry.children {
                let outer = Path::Name(path, &entry.name);
                let path = Path::Name(&outer, &child.name);
                match (entry.name.as_str(), child.name.as_str()) {
                    ("entry", "key") => self.value(key, child, &path, findings),
                    ("entry", "value") => self.value(value, child, &path, findings),
                    _ => findings.add(&path, "unknown element"),
                }
            }
        }
    }
}

fn expect_no_text(element: &Element<'_>, path: &Path<'_>, findings: &mut Findings) {
    let text = element.text.trim();
    if !text.is_empty() {
        findings.add(path, format!("the text `{text}` stands between elements"));
    }
}
