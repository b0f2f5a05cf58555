//! User data together with the keys that may log in, for clouds that take too few keys by name.

use crate::{Error, Kind, Result};

/// Separates the parts. User data that holds this line is refused.
const BOUNDARY: &str = "==fleetwright==";

/// The document to send so that cloud-init lets these keys in and then does what `user_data` says;
/// `None` if there is nothing to say. Without keys, the text stays as it is.
///
/// The keys travel as a cloud-config part in front of the text's own part, as one MIME document.
/// <https://cloudinit.readthedocs.io/en/latest/explanation/format/mime-multipart-archive.html>
///
/// # Errors
/// `Invalid` if there are keys and the text begins with neither `#!` nor `#cloud-config`, or holds
/// the boundary.
pub fn user_data_with_keys(user_data: Option<&str>, keys: &[String]) -> Result<Option<String>> {
    match (user_data, keys) {
        (None, []) => Ok(None),
        (Some(text), []) => Ok(Some(text.to_owned())),
        (None, keys) => Ok(Some(cloud_config(keys))),
        (Some(text), keys) => multipart(text, keys).map(Some),
    }
}

fn cloud_config(keys: &[String]) -> String {
    let mut text = String::from("#cloud-config\nssh_authorized_keys:\n");
    for key in keys {
        // JSON's strings are YAML's, too.
        text.push_str("  - ");
        text.push_str(&serde_json::Value::from(key.trim()).to_string());
        text.push('\n');
    }
    text
}

fn multipart(text: &str, keys: &[String]) -> Result<String> {
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
    let keys = cloud_config(keys);
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_and_text_travel_as_two_parts_and_either_alone_as_it_is() {
        let keys = ["ssh-ed25519 AAAAC3Nza me".to_owned()];
        let both = user_data_with_keys(Some("#!/bin/sh\necho hi"), &keys).unwrap();
        let both = both.unwrap();
        assert!(both.starts_with("Content-Type: multipart/mixed;"));
        assert!(both.contains("  - \"ssh-ed25519 AAAAC3Nza me\"\n"));
        assert!(both.contains("text/x-shellscript\n\n#!/bin/sh\necho hi\n--==fleetwright==--"));
        assert_eq!(user_data_with_keys(None, &[]).unwrap(), None);
        let alone = user_data_with_keys(Some("anything"), &[]).unwrap();
        assert_eq!(alone.as_deref(), Some("anything"));
        let alone = user_data_with_keys(None, &keys).unwrap().unwrap();
        assert!(alone.starts_with("#cloud-config\nssh_authorized_keys:\n"));
        for text in ["plain words", "#!/bin/sh\n# ==fleetwright=="] {
            let error = user_data_with_keys(Some(text), &keys).unwrap_err();
            assert_eq!(error.kind(), Kind::Invalid);
        }
    }
}
