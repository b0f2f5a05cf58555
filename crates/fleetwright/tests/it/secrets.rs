//! Secrets by reference.

use std::fs;
use std::path::Path;
use std::time::Duration;

use fleetwright::core::{Kind, SecretSource as _};
use fleetwright::{Environment, SecretReader, SecretRef};

async fn resolve(text: &str, base: &Path) -> Result<String, String> {
    let environment: Environment = [("TOKEN", "from-env\n"), ("EMPTY", "")]
        .into_iter()
        .collect();
    let reference: SecretRef = text.parse().expect("a reference");
    match SecretReader::new(environment, base).fetch(&reference).await {
        Ok(secret) => Ok(secret.reveal().to_owned()),
        Err(error) => {
            assert_eq!(error.kind(), Kind::Config);
            Err(error.to_string())
        }
    }
}

#[tokio::test]
async fn a_secret_is_found_where_the_reference_points() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("token"), "from-file\n").unwrap();
    for (reference, secret) in [
        ("env:TOKEN", "from-env"),
        ("file:token", "from-file"),
        ("command:cat token; echo", "from-file"),
        ("command:printf '%s:%s' a b", "a:b"),
    ] {
        let found = resolve(reference, folder.path()).await;
        assert_eq!(found.as_deref(), Ok(secret), "{reference}");
    }
}

#[tokio::test]
async fn a_secret_that_is_not_there_is_an_error_that_names_the_reference() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("blank"), " \n").unwrap();
    let mut told = Vec::new();
    for reference in [
        "env:NONE",
        "env:EMPTY",
        "file:none",
        "file:blank",
        "command:echo half-a-secret; echo no such entry >&2; exit 3",
    ] {
        told.push(
            resolve(reference, folder.path())
                .await
                .expect_err(reference),
        );
    }
    insta::assert_snapshot!(told.join("\n"));
}

#[tokio::test]
async fn a_command_that_does_not_end_is_ended_and_nothing_it_said_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let reader = SecretReader::new(Environment::default(), folder.path())
        .with_command_limit(Duration::from_millis(200));
    let reference: SecretRef = "command:cat half; exec sleep 60".parse().unwrap();
    fs::write(folder.path().join("half"), "hunter2").unwrap();
    let error = reader.fetch(&reference).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Config);
    assert!(
        error
            .to_string()
            .ends_with("the command did not end within 200ms"),
        "{error}"
    );
    assert!(!format!("{error:?}").contains("hunter2"), "{error:?}");
}

#[test]
fn what_is_no_reference_may_be_a_secret_and_is_not_repeated() {
    for text in ["hunter2", "env:", "file:", "command:", "vault:x", ""] {
        let error = text.parse::<SecretRef>().unwrap_err();
        assert_eq!(error.to_string(), "a secret must be given by reference");
        assert!(!format!("{error:?}").contains("hunter2"));
    }
}
