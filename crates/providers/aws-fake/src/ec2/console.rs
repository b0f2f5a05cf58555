//! GetConsoleOutput, with the host keys as cloud-init prints them, and DescribeInstanceAttribute.

use super::describe::named;
use super::reply;
use super::show::moment;
use crate::answer::{Answer, Refusal};
use crate::request::Request;
use crate::world::World;
use crate::world::instance::State;

pub(super) fn console_output(world: &mut World, request: &Request) -> Result<Answer, Refusal> {
    let request_id = world.request_id();
    let now = moment(world.timestamp());
    let id = request.params.required("InstanceId")?.to_owned();
    let region = world.region(&request.region)?;
    let records = named(world, region, std::slice::from_ref(&id))?;
    // Before it has booted there is nothing to show.
    let text = records
        .first()
        .filter(|record| record.instance.state == State::Running)
        .map(|record| printed(&record.instance.id, &record.instance.private_ip));
    Ok(reply(&request_id, "GetConsoleOutput", |xml| {
        xml.text("instanceId", &id);
        xml.text("timestamp", now);
        xml.optional("output", text.map(|text| base64(text.as_bytes())));
    }))
}

fn printed(id: &str, address: &str) -> String {
    let host = format!("root@ip-{}", address.replace('.', "-"));
    let key = host_key(id);
    format!(
        "[    0.000000] Linux version 6.1.0\r\n\
         ci-info: no authorized SSH keys fingerprints found for user ec2-user.\r\n\
         -----BEGIN SSH HOST KEY FINGERPRINTS-----\r\n\
         256 SHA256:{} {host} (ED25519)\r\n\
         -----END SSH HOST KEY FINGERPRINTS-----\r\n\
         -----BEGIN SSH HOST KEY KEYS-----\r\n\
         {key} {host}\r\n\
         -----END SSH HOST KEY KEYS-----\r\n\
         Cloud-init v. 22.2.2 finished at Thu, 01 Jan 2026 00:00:00 +0000. Datasource \
         DataSourceEc2.  Up 12.00 seconds\r\n",
        base64(id.as_bytes()).trim_end_matches('=')
    )
}

/// A public key in OpenSSH's format. Nobody has the private half: it is made of the instance's id.
fn host_key(id: &str) -> String {
    const KIND: &[u8] = b"ssh-ed25519";
    let mut blob = vec![0, 0, 0, 11];
    blob.extend_from_slice(KIND);
    blob.extend_from_slice(&[0, 0, 0, 32]);
    blob.extend(id.bytes().cycle().take(32));
    format!("ssh-ed25519 {}", base64(&blob))
}

/// Base64 with padding.
pub(crate) fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut out = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for chunk in bytes.chunks(3) {
        let byte = |at: usize| usize::from(chunk.get(at).copied().unwrap_or(0));
        let group = byte(0) << 16 | byte(1) << 8 | byte(2);
        for digit in 0..4 {
            if digit <= chunk.len() {
                out.push(char::from(DIGITS[group >> (18 - 6 * digit) & 63]));
            } else {
                out.push('=');
            }
        }
    }
    out
}

pub(super) fn describe_attribute(world: &mut World, request: &Request) -> Result<Answer, Refusal> {
    let request_id = world.request_id();
    let id = request.params.required("InstanceId")?.to_owned();
    let attribute = request.params.required("Attribute")?;
    let region = world.region(&request.region)?;
    let records = named(world, region, std::slice::from_ref(&id))?;
    let instance = records.first().map(|record| &record.instance);
    let value = match attribute {
        "userData" => instance.and_then(|instance| instance.user_data.clone()),
        "instanceType" => instance.map(|instance| instance.instance_type.clone()),
        "disableApiTermination" => Some("false".to_owned()),
        other => {
            return Err(Refusal::bad(
                "InvalidParameterValue",
                format!("Value ({other}) for parameter attribute is invalid."),
            ));
        }
    };
    Ok(reply(&request_id, "DescribeInstanceAttribute", |xml| {
        xml.text("instanceId", &id);
        xml.within(attribute, |xml| xml.optional("value", value));
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_is_padded() {
        for (plain, encoded) in [
            ("", ""),
            ("f", "Zg=="),
            ("fo", "Zm8="),
            ("foo", "Zm9v"),
            ("foobar", "Zm9vYmFy"),
        ] {
            assert_eq!(base64(plain.as_bytes()), encoded);
        }
    }
}
