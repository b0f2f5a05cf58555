//! STS: who is calling, and credentials for a while.

use std::time::Duration;

use super::query::{reply, stamp};
use crate::answer::{Answer, Refusal};
use crate::request::Request;
use crate::world::World;
use crate::xml::Xml;

const NAMESPACE: &str = "https://sts.amazonaws.com/doc/2011-06-15/";

/// The answer of STS.
pub(super) fn answer(world: &mut World, request: &Request) -> Result<Answer, Refusal> {
    let id = world.request_id();
    let account = world.config.account.clone();
    let action = request.action.as_str();
    match action {
        "GetCallerIdentity" => Ok(reply(&id, NAMESPACE, action, |xml| {
            xml.text("Arn", format!("arn:aws:iam::{account}:user/fleetwright"));
            xml.text("UserId", "AIDAEXAMPLEFLEETWRIGHT");
            xml.text("Account", &account);
        })),
        "AssumeRole" => {
            let role = role(request)?;
            let credentials = Credentials::new(world, request)?;
            Ok(reply(&id, NAMESPACE, action, |xml| {
                credentials.write(xml, &account, &role);
            }))
        }
        "AssumeRoleWithWebIdentity" => {
            let role = role(request)?;
            required(request, "WebIdentityToken")?;
            let credentials = Credentials::new(world, request)?;
            Ok(reply(&id, NAMESPACE, action, |xml| {
                credentials.write(xml, &account, &role);
                xml.text("SubjectFromWebIdentityToken", "system:serviceaccount:test");
                xml.text("Provider", "https://oidc.example.com");
                xml.text("Audience", "sts.amazonaws.com");
            }))
        }
        _ => Err(super::unknown("sts", action)),
    }
}

/// Credentials that end.
struct Credentials {
    key: String,
    session: String,
    expires: String,
}

impl Credentials {
    fn new(world: &mut World, request: &Request) -> Result<Self, Refusal> {
        let session = required(request, "RoleSessionName")?.to_owned();
        let seconds = request.params.number("DurationSeconds")?.unwrap_or(3600);
        let now = world.timestamp();
        let expires = now
            .saturating_add(Duration::from_secs(seconds))
            .unwrap_or(now);
        Ok(Self {
            key: format!("ASIA{:016X}", world.next_serial()),
            session,
            expires: stamp(expires),
        })
    }

    fn write(&self, xml: &mut Xml, account: &str, role: &str) {
        let (key, session) = (&self.key, &self.session);
        xml.within("Credentials", |xml| {
            xml.text("AccessKeyId", key);
            xml.text("SecretAccessKey", format!("secret-of-{key}"));
            xml.text("SessionToken", format!("token-of-{key}"));
            xml.text("Expiration", &self.expires);
        });
        xml.within("AssumedRoleUser", |xml| {
            xml.text("AssumedRoleId", format!("AROAEXAMPLEFLEETWRIGHT:{session}"));
            let arn = format!("arn:aws:sts::{account}:assumed-role/{role}/{session}");
            xml.text("Arn", arn);
        });
    }
}

fn role(request: &Request) -> Result<String, Refusal> {
    let arn = required(request, "RoleArn")?;
    let role = arn.rsplit('/').next().unwrap_or_default();
    Ok(role.to_owned())
}

fn required<'a>(request: &'a Request, name: &str) -> Result<&'a str, Refusal> {
    request.params.text(name).ok_or_else(|| {
        let low = name[..1].to_lowercase() + &name[1..];
        Refusal::bad(
            "ValidationError",
            format!(
                "1 validation error detected: Value null at '{low}' failed to satisfy constraint: \
                 Member must not be null"
            ),
        )
    })
}
