//! The document that cloud-init reads at a node's first boot: the pool's script or document together
//! with the keys that may log in and the key by which the node proves who it is.
//!
//! ```text
//! cloud-config   ssh_authorized_keys, ssh_keys
//! user data      #!/bin/sh ...  or  #cloud-config ...
//! ```
//! Most clouds know only names of registered keys, and none takes a host key. Both travel as a
//! cloud-config part in front of the pool's own part, as one MIME document.
//! <https://cloudinit.readthedocs.io/en/latest/explanation/format/mime-multipart-archive.html>

use crate::{Error, HostKey, Kind, Result};

/// What keys and the MIME frame may take of a provider's limit for user data, in bytes.
pub const CLOUD_INIT_RESERVE: usize = 2 * 1024;

/// Separates the parts. User data that holds this line is refused.
const BOUNDARY: &str = "==fleetwright==";

/// The document, before any encoding; `None` if there is nothing to say. At most `limit` bytes, of
/// which the pool's own user data may use all but [`CLOUD_INIT_RESERVE`].
///
/// # Errors
/// `Invalid` if it is too long, of no known form, or holds the boundary.
pub fn cloud_init(
    user_data: Option<&str>,
    ssh_keys: &[String],
    host_key: Option<&HostKey>,
    limit: usize,
) -> Result<Option<String>> {
    let own = limit.saturating_sub(CLOUD_INIT_RESERVE);
    if let Some(text) = user_data
        && text.len() > own
    {
        return Err(too_long(text.len(), own));
    }
    let has_keys = !ssh_keys.is_empty() || host_key.is_some();
    let document = match user_data {
        None if !has_keys => return Ok(None),
        None => cloud_config(ssh_keys, host_key),
        Some(text) if !has_keys => text.to_owned(),
        Some(text) => multipart(text, &cloud_config(ssh_keys, host_key))?,
    };
    if document.len() > limit {
        return Err(too_long(document.len(), limit).with_hint(format!(
            "{} keys leave less room; fewer keys or a shorter script help",
            ssh_keys.len()
        )));
    }
    Ok(Some(document))
}

fn cloud_config(ssh_keys: &[String], host_key: Option<&HostKey>) -> String {
    // JSON's strings are YAML's, too.
    let quoted = |text: &str| serde_json::Value::from(text).to_string();
    let mut text = String::from("#cloud-config\n");
    if !ssh_keys.is_empty() {
        text.push_str("ssh_authorized_keys:\n");
    }
    for key in ssh_keys {
        text.push_str("  - ");
        text.push_str(&quoted(key.trim()));
        text.push('\n');
    }
    if let Some(key) = host_key {
        // With a key given, cloud-init makes none of its own.
        // <https://cloudinit.readthedocs.io/en/latest/reference/modules.html#ssh>
        text.push_str("ssh_keys:\n  ed25519_private: ");
        text.push_str(&quoted(key.private.reveal()));
        text.push_str("\n  ed25519_public: ");
        text.push_str(&quoted(&key.public));
        text.push('\n');
    }
    text
}

fn multipart(text: &str, keys: &str) -> Result<String> {
    let kind = if text.starts_with("#!") {
        "text/x-shellscript"
    } else if text.starts_with("#cloud-config") {
        "text/cloud-config"
    } else {
        return Err(Error::new(
            Kind::Invalid,
            "user data must begin with `#!` or `#cloud-config`",
        ));
    };
    if text.contains(BOUNDARY) {
        return Err(Error::new(
            Kind::Invalid,
            format!("user data must not hold `{BOUNDARY}`"),
        ));
    }
    // Lists of both documents are joined, so that keys of the pool's own document stay.
    let merge = "merge_how: 'list(append)+dict(recurse_array)+str()'\n";
    let mut document = format!(
        "Content-Type: multipart/mixed; boundary=\"{BOUNDARY}\"\nMIME-Version: 1.0\n\n\
         --{BOUNDARY}\nContent-Type: text/cloud-config\n\n{keys}{merge}\n\
         --{BOUNDARY}\nContent-Type: {kind}\n\n"
    );
    document.push_str(text);
    if !text.ends_with('\n') {
        document.push('\n');
    }
    document.push_str("--");
    document.push_str(BOUNDARY);
    document.push_str("--\n");
    Ok(document)
}

fn too_long(length: usize, limit: usize) -> Error {
    Error::new(
        Kind::Invalid,
        format!("user data has {length} bytes, and at most {limit} are allowed"),
    )
    .with_hint("put what is long into an image or a bucket, and fetch it in the script")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Secret;

    const KEY: &str = "ssh-ed25519 AAAAC3Nza fleetwright test";
    const LIMIT: usize = 16 * 1024;
    const OWN: usize = LIMIT - CLOUD_INIT_RESERVE;

    fn document(user_data: Option<&str>, keys: &[String]) -> Result<Option<String>> {
        cloud_init(user_data, keys, None, LIMIT)
    }

    fn host_key() -> HostKey {
        HostKey {
            public: "ssh-ed25519 AAAAhost".to_owned(),
            private: Secret::new("-----BEGIN-----\nline \"two\"\n-----END-----\n"),
        }
    }

    #[test]
    fn keys_and_script_travel_as_two_parts() {
        let keys = [KEY.to_owned()];
        let document = document(Some("#!/bin/sh\necho hi"), &keys)
            .unwrap()
            .unwrap();
        assert!(document.starts_with("Content-Type: multipart/mixed;"));
        assert!(document.contains(&format!("  - \"{KEY}\"\n")));
        assert!(document.contains("text/x-shellscript\n\n#!/bin/sh\necho hi\n--==fleetwright==--"));
    }

    #[test]
    fn a_host_key_is_planted_as_one_line_of_yaml() {
        let planted = cloud_init(None, &[], Some(&host_key()), LIMIT);
        assert_eq!(
            planted.unwrap().unwrap(),
            "#cloud-config\nssh_keys:\n  \
             ed25519_private: \"-----BEGIN-----\\nline \\\"two\\\"\\n-----END-----\\n\"\n  \
             ed25519_public: \"ssh-ed25519 AAAAhost\"\n"
        );
        let with_script = cloud_init(Some("#!/bin/sh\n"), &[], Some(&host_key()), LIMIT);
        assert!(with_script.unwrap().unwrap().contains("ed25519_private"));
    }

    #[test]
    fn nothing_to_say_is_nothing_and_a_lone_script_stays_as_it_is() {
        assert_eq!(document(None, &[]).unwrap(), None);
        let alone = document(Some("#!/bin/sh\n"), &[]).unwrap();
        assert_eq!(alone.as_deref(), Some("#!/bin/sh\n"));
        let keys = document(None, &[KEY.to_owned()]).unwrap().unwrap();
        assert!(keys.starts_with("#cloud-config\nssh_authorized_keys:\n"));
    }

    #[test]
    fn what_is_too_long_or_of_no_form_is_refused_before_any_call() {
        let long = format!("#!/bin/sh\n{}", "x".repeat(OWN));
        let fits = &long[..OWN];
        assert!(document(Some(fits), &[KEY.to_owned()]).is_ok());
        for (text, keys) in [
            (long.as_str(), vec![]),
            ("plain words", vec![KEY.to_owned()]),
            ("#!/bin/sh\n# ==fleetwright==", vec![KEY.to_owned()]),
            (fits, vec![KEY.to_owned(); 80]),
        ] {
            assert_eq!(
                document(Some(text), &keys).unwrap_err().kind(),
                Kind::Invalid
            );
        }
    }
}
