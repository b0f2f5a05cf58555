//! A request as the services see it: who is meant, what is asked, with which parameters.

use std::time::{Duration, Instant};

use crate::params::Params;
use crate::rest;

/// One call as the fake saw it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Call {
    /// The service of the signature, for example `ec2`.
    pub service: String,
    /// The region of the signature.
    pub region: String,
    /// The action, for example `RunInstances`.
    pub action: String,
    /// When it arrived.
    pub at: Instant,
    /// The HTTP status that was sent; 0 if the connection was cut.
    pub status: u16,
    /// How many machines it asked for; 0 if it asked for none.
    pub machines: u32,
    /// The names of its filters, for example `tag:team`.
    pub filters: Vec<String>,
}

/// A parsed request.
#[derive(Debug, Clone)]
pub(crate) struct Request {
    /// The service of the signature's scope: `ec2`, `autoscaling`, `elasticloadbalancing`,
    /// `route53`, `sqs`, `sts`, `ssm`, `pricing`, `servicequotas`.
    pub(crate) service: String,
    /// The region of the signature's scope.
    pub(crate) region: String,
    /// The action.
    pub(crate) action: String,
    /// The HTTP method.
    pub(crate) method: String,
    /// The path, without the query.
    pub(crate) path: String,
    /// The parameters of the query string.
    pub(crate) query: Params,
    /// The parameters of a form body; empty for other bodies.
    pub(crate) params: Params,
    /// The body as it came.
    pub(crate) body: String,
    /// When it arrived.
    pub(crate) at: Instant,
    /// How long a long poll has waited by now.
    pub(crate) waited: Duration,
}

impl Request {
    /// Reads a request. `header` finds a header by its lower-case name.
    pub(crate) fn parse(
        method: &str,
        target: &str,
        header: &dyn Fn(&str) -> Option<String>,
        body: String,
    ) -> Self {
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let is_form = header("content-type")
            .is_none_or(|kind| kind.starts_with("application/x-www-form-urlencoded"));
        let params = if is_form && method == "POST" {
            Params::parse(&body)
        } else {
            Params::default()
        };
        let query = Params::parse(query);
        let scope = header("authorization").unwrap_or_default();
        let (region, service) = scope_of(&scope);
        let json_target = header("x-amz-target");
        let action = json_target
            .as_deref()
            .and_then(|target| target.rsplit('.').next())
            .or_else(|| params.text("Action"))
            .or_else(|| query.text("Action"))
            .map_or_else(|| rest::action_of(method, path), ToOwned::to_owned);
        Self {
            // Nobody signs AssumeRoleWithWebIdentity: it is how one becomes somebody.
            service: if service.is_empty() { "sts" } else { service }.to_owned(),
            region: region.to_owned(),
            action,
            method: method.to_owned(),
            path: path.to_owned(),
            query,
            params,
            body,
            at: Instant::now(),
            waited: Duration::ZERO,
        }
    }
}

/// Region and service of `AWS4-HMAC-SHA256 Credential=KEY/date/region/service/aws4_request,…`.
fn scope_of(authorization: &str) -> (&str, &str) {
    let scope = authorization
        .split_once("Credential=")
        .map_or("", |(_, rest)| rest.split([',', ' ']).next().unwrap_or(""));
    let mut parts = scope.split('/');
    let region = parts.nth(2).unwrap_or("");
    let service = parts.next().unwrap_or("");
    (region, service)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn service_and_region_come_from_the_signature() {
        let header = |name: &str| {
            (name == "authorization").then(|| {
                "AWS4-HMAC-SHA256 Credential=AKID/20260101/eu-west-1/ec2/aws4_request, \
                 SignedHeaders=host, Signature=0"
                    .to_owned()
            })
        };
        let request = Request::parse("POST", "/", &header, "Action=RunInstances".to_owned());
        assert_eq!(request.region, "eu-west-1");
        assert_eq!(
            (request.service.as_str(), request.action.as_str()),
            ("ec2", "RunInstances")
        );
    }
}
