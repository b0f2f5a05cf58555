//! User data: the pool's script or document together with the keys that may log in.
//!
//! EC2 takes the names of key pairs, not keys. So the keys travel as a cloud-config part in front
//! of the pool's own part, as one MIME document; no key pair is made in the account.
//! <https://cloudinit.readthedocs.io/en/latest/explanation/format/mime-multipart-archive.html>

use fleetwright_core::{Error, Kind, Result, user_data_with_keys};

/// Longest user data, in bytes before base64: "User data is limited to 16 KB, in raw form, before
/// it is base64-encoded." <https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/user-data.html>
const MOST: usize = 16 * 1024;

/// What the pool may use of it; the rest is for keys and the MIME frame.
pub(crate) const LIMIT: usize = MOST - 2 * 1024;

/// The document to send, before base64; `None` if there is nothing to say.
///
/// # Errors
/// `Invalid` if it is too long, of no known form, or holds the boundary.
pub(crate) fn document(user_data: Option<&str>, keys: &[String]) -> Result<Option<String>> {
    if let Some(text) = user_data
        && text.len() > LIMIT
    {
        return Err(too_long(text.len(), LIMIT));
    }
    let Some(document) = user_data_with_keys(user_data, keys)? else {
        return Ok(None);
    };
    if document.len() > MOST {
        return Err(too_long(document.len(), MOST).with_hint(format!(
            "{} keys leave less room; fewer keys or a shorter script help",
            keys.len()
        )));
    }
    Ok(Some(document))
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

    const KEY: &str = "ssh-ed25519 AAAAC3Nza fleetwright test";

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
    fn nothing_to_say_is_nothing_and_a_lone_script_stays_as_it_is() {
        assert_eq!(document(None, &[]).unwrap(), None);
        let alone = document(Some("#!/bin/sh\n"), &[]).unwrap();
        assert_eq!(alone.as_deref(), Some("#!/bin/sh\n"));
        let keys = document(None, &[KEY.to_owned()]).unwrap().unwrap();
        assert!(keys.starts_with("#cloud-config\nssh_authorized_keys:\n"));
    }

    #[test]
    fn what_is_too_long_or_of_no_form_is_refused_before_any_call() {
        let long = format!("#!/bin/sh\n{}", "x".repeat(LIMIT));
        let fits = &long[..LIMIT];
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
