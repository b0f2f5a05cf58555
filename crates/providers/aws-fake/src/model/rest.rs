//! Checks requests of Route 53, whose parameters are in the path, the query string and the body.

use super::description::{Description, Kind, Member, Operation};
use super::scalar::{self, Side};
use super::{Findings, Path, body};
use crate::params::decode;
use crate::request::Request;

/// Checks a request.
pub(crate) fn check(
    description: &Description,
    operation: &Operation,
    request: &Request,
    findings: &mut Findings,
) {
    if request.method != operation.method {
        let what = format!("`{}` instead of `{}`", request.method, operation.method);
        findings.add(&Path::Root, what);
    }
    let members: &[Member] = match operation.input.map(|id| &description.shape(id).kind) {
        Some(Kind::Structure(structure)) => &structure.members,
        _ => &[],
    };
    let outside = Outside {
        description,
        members,
    };
    outside.labels(&operation.uri, &request.path, findings);
    outside.query(request, findings);
    body::check_request(description, operation, &request.body, findings);
}

/// The members that are outside of the body.
struct Outside<'a> {
    description: &'a Description,
    members: &'a [Member],
}

impl Outside<'_> {
    fn labels(&self, uri: &str, path: &str, findings: &mut Findings) {
        let wanted: Vec<&str> = uri.trim_end_matches('/').split('/').collect();
        let found: Vec<&str> = path.trim_end_matches('/').split('/').collect();
        let differs = |(wanted, found): (&&str, &&str)| {
            !wanted.starts_with('{') && wanted != found || found.is_empty() != wanted.is_empty()
        };
        if wanted.len() != found.len() || wanted.iter().zip(&found).any(differs) {
            findings.add(&Path::Root, format!("the path `{path}` is not `{uri}`"));
            return;
        }
        for (wanted, found) in wanted.iter().zip(&found) {
            let label = wanted.trim_start_matches('{').trim_end_matches('}');
            if label != *wanted
                && let Some(member) = self.member("uri", label)
            {
                self.value(member, &decode(found), findings);
            }
        }
    }

    fn query(&self, request: &Request, findings: &mut Findings) {
        let query = request.query.flat();
        for (name, value) in &query {
            match self.member("querystring", name) {
                Some(member) => self.value(member, value, findings),
                None => findings.add(&Path::Name(&Path::Root, name), "unknown parameter"),
            }
        }
        for member in self.members {
            let name = &member.request_name;
            let is_missing = member.location.as_deref() == Some("querystring")
                && member.is_required
                && !query.iter().any(|(found, _)| found == name);
            if is_missing {
                findings.add(&Path::Name(&Path::Root, name), "required, and missing");
            }
        }
    }

    fn member(&self, location: &str, name: &str) -> Option<&Member> {
        self.members.iter().find(|member| {
            member.location.as_deref() == Some(location) && member.request_name == name
        })
    }

    fn value(&self, member: &Member, value: &str, findings: &mut Findings) {
        let shape = self.description.shape(member.shape);
        if let Some(fault) = scalar::fault(shape, value, Side::Request) {
            findings.add(&Path::Name(&Path::Root, &member.request_name), fault);
        }
    }
}
