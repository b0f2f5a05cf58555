//! Checks requests and answers against the official service models.
//!
//! The models are data of AWS, in botocore's form. They are not part of the project; they are
//! looked for beside the checkout, or where `FLEETWRIGHT_TEST_AWS_MODELS` says. Without them
//! nothing is checked, and tests that need them say so.

mod body;
mod description;
mod form;
mod json;
mod rest;
mod scalar;
#[cfg(test)]
mod tests;

use std::fmt;
use std::path::{Path as FilePath, PathBuf};
use std::sync::OnceLock;

use crate::answer::Answer;
use crate::request::Request;
use description::{Description, Operation, Protocol};
use scalar::Side;

/// Services by the name in their signature, with the name of their model. There is none for SQS.
const SERVICES: [(&str, &str); 8] = [
    ("ec2", "ec2"),
    ("autoscaling", "autoscaling"),
    ("elasticloadbalancing", "elbv2"),
    ("route53", "route53"),
    ("pricing", "pricing"),
    ("sts", "sts"),
    ("servicequotas", "service-quotas"),
    ("ssm", "ssm"),
];

/// Read once in a process: the files do not change, and EC2's takes a while.
static DESCRIPTIONS: [OnceLock<Result<Description, String>>; 8] = [const { OnceLock::new() }; 8];

/// Codes that every service may answer.
const COMMON_ERRORS: [&str; 22] = [
    "AccessDenied",
    "AccessDeniedException",
    "AuthFailure",
    "ExpiredToken",
    "ExpiredTokenException",
    "InternalFailure",
    "InternalServerError",
    "InvalidAction",
    "InvalidClientTokenId",
    "InvalidParameterCombination",
    "InvalidParameterValue",
    "MissingParameter",
    "RequestExpired",
    "RequestLimitExceeded",
    "ServiceUnavailable",
    "SignatureDoesNotMatch",
    "Throttling",
    "ThrottlingException",
    "UnknownOperationException",
    "UnrecognizedClientException",
    "ValidationError",
    "ValidationException",
];

/// The folder with the official service models, if there is one. Without it requests and answers
/// are not checked.
pub fn models() -> Option<PathBuf> {
    let folder = std::env::var_os("FLEETWRIGHT_TEST_AWS_MODELS").map_or_else(
        || FilePath::new(env!("CARGO_MANIFEST_DIR")).join("../../../../shared/specs/aws"),
        PathBuf::from,
    );
    folder.is_dir().then_some(folder)
}

/// What a request has that the model of its service does not allow.
pub(crate) fn check_request(request: &Request) -> Vec<String> {
    checked(request, "request", |description, findings| {
        description.request(request, findings);
    })
}

/// What an answer has that the model of its service does not allow.
pub(crate) fn check_answer(request: &Request, answer: &Answer) -> Vec<String> {
    checked(request, "answer", |description, findings| {
        description.answer(&request.action, answer.status, &answer.body, findings);
    })
}

fn checked(
    request: &Request,
    side: &str,
    check: impl FnOnce(&Description, &mut Findings),
) -> Vec<String> {
    let mut findings = Findings::default();
    match describe(&request.service) {
        None => {}
        Some(Err(error)) => findings.add(&Path::Root, error.clone()),
        Some(Ok(description)) => check(description, &mut findings),
    }
    let (service, action) = (&request.service, &request.action);
    findings
        .found
        .into_iter()
        .map(|found| format!("{service} {action}: {side}: {found}"))
        .collect()
}

/// The description of a service; `None` if there is no model of it.
fn describe(service: &str) -> Option<&'static Result<Description, String>> {
    let index = SERVICES.iter().position(|(name, _)| *name == service)?;
    let folder = models()?;
    let read = || {
        let name = SERVICES[index].1;
        let path = folder.join(format!("{name}.service-2.trimmed.json"));
        let text = std::fs::read_to_string(&path)
            .map_err(|error| format!("the model of `{name}` cannot be read: {error}"))?;
        Description::parse(name, &text)
            .map_err(|error| format!("the model of `{name}` is not understood: {error}"))
    };
    Some(DESCRIPTIONS[index].get_or_init(read))
}

impl Description {
    fn request(&self, request: &Request, findings: &mut Findings) {
        let Some(operation) = self.operations.get(&request.action) else {
            let what = format!("`{}` has no such action", self.name);
            findings.add(&Path::Root, what);
            return;
        };
        match self.protocol {
            Protocol::Ec2 | Protocol::Query => {
                form::check(self, operation, &request.params, findings);
            }
            Protocol::RestXml => rest::check(self, operation, request, findings),
            Protocol::Json => {
                json::check(
                    self,
                    operation.input,
                    &request.body,
                    Side::Request,
                    findings,
                );
            }
        }
    }

    fn answer(&self, action: &str, status: u16, body: &str, findings: &mut Findings) {
        let Some(operation) = self.operations.get(action) else {
            // The request was found to be wrong already.
            return;
        };
        if status >= 400 {
            self.refusal(operation, body, findings);
            return;
        }
        match self.protocol {
            Protocol::Json => json::check(self, operation.output, body, Side::Answer, findings),
            _ => body::check_answer(self, action, operation, body, findings),
        }
    }

    fn refusal(&self, operation: &Operation, body: &str, findings: &mut Findings) {
        let code = match self.protocol {
            Protocol::Json => json::check_refusal(body, findings),
            _ => body::check_refusal(self, body, findings),
        };
        // EC2's model does not list its errors.
        if let Some(code) = code
            && self.protocol != Protocol::Ec2
            && !operation.errors.contains(&code)
            && !COMMON_ERRORS.contains(&code.as_str())
        {
            findings.add(&Path::Root, format!("`{code}` is none of its errors"));
        }
    }
}

/// What was found, in words.
#[derive(Debug, Default)]
struct Findings {
    found: Vec<String>,
}

impl Findings {
    fn add(&mut self, path: &Path<'_>, what: impl fmt::Display) {
        self.found.push(match path {
            Path::Root => what.to_string(),
            _ => format!("`{path}`: {what}"),
        });
    }
}

/// Where the checker is. It is only put into words when something is found: listings are long.
#[derive(Debug, Clone, Copy)]
enum Path<'a> {
    Root,
    Name(&'a Self, &'a str),
    Index(&'a Self, usize),
}

impl fmt::Display for Path<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Path::Root => Ok(()),
            Path::Name(Path::Root, name) => f.write_str(name),
            Path::Name(parent, name) => write!(f, "{parent}.{name}"),
            Path::Index(parent, index) => write!(f, "{parent}[{index}]"),
        }
    }
}
