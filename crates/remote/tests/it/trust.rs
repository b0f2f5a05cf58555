//! Whether the server is the one we mean.

use std::fs;
use std::time::Duration;

use fleetwright_core::{Access, Effect, Error, Kind, Remote as _};
use fleetwright_remote::{HostKey, Ssh, generate_identity, pin_host_keys};

use crate::peer::{Sshd, output_of, refused, run};

/// Access without a pinned key, and a client that reads the given text as known hosts.
fn with_known_hosts(server: &Sshd, text: &str) -> (Ssh, Access) {
    let file = server.path("known_hosts");
    fs::write(&file, text).unwrap();
    let mut options = server.options();
    options.known_hosts = vec![file];
    let mut access = server.access();
    access.host_keys.clear();
    (Ssh::new(options).unwrap(), access)
}

fn other_key(server: &Sshd) -> String {
    generate_identity(&server.path("other"), "other").unwrap()
}

fn fingerprint(key: &str) -> String {
    HostKey::parse(key).unwrap().fingerprint()
}

fn assert_wrong_key(error: &Error, server: &Sshd, expected: &str) {
    assert_eq!(error.kind(), Kind::Conflict, "{error:?}");
    assert_eq!(error.effect(), Effect::None);
    assert_eq!(
        error.to_string(),
        format!(
            "the host key of `127.0.0.1:{}` is the wrong one: expected `{}`, presented `{}`",
            server.port,
            fingerprint(expected),
            fingerprint(&server.host_key())
        )
    );
    assert!(error.hint().is_some());
}

#[tokio::test]
async fn a_wrong_pinned_key_is_a_conflict_that_names_both_fingerprints() {
    let Some(server) = Sshd::start().await else {
        return;
    };
    let other = other_key(&server);
    // That the server's key stands in known hosts does not help: the pinned one decides.
    let line = format!("[127.0.0.1]:{} {}\n", server.port, server.host_key());
    let (client, mut access) = with_known_hosts(&server, &line);
    access.host_keys = vec![other.clone()];
    assert_wrong_key(&refused(&client, &access).await, &server, &other);
    let reached = client.reach(&access, Duration::from_secs(20)).await;
    assert_wrong_key(&reached.unwrap_err(), &server, &other);
    assert!(!server.log().contains("Accepted publickey"));
}

#[tokio::test]
async fn one_right_key_among_the_pinned_ones_is_enough() {
    let Some(server) = Sshd::start().await else {
        return;
    };
    let mut access = server.access();
    access.host_keys = vec![other_key(&server), server.host_key()];
    run(&server.client(), &access, "true").await;
}

#[tokio::test]
async fn without_a_pinned_key_known_hosts_decide() {
    let Some(server) = Sshd::start().await else {
        return;
    };
    let name = format!("[127.0.0.1]:{}", server.port);

    let (client, access) = with_known_hosts(&server, &format!("{name} {}\n", server.host_key()));
    run(&client, &access, "true").await;

    let other = other_key(&server);
    let (client, access) = with_known_hosts(&server, &format!("{name} {other}\n"));
    assert_wrong_key(&refused(&client, &access).await, &server, &other);

    let (client, access) = with_known_hosts(&server, "");
    let error = refused(&client, &access).await;
    assert_eq!(error.kind(), Kind::Conflict);
    assert_eq!(
        error.to_string(),
        format!(
            "the host key of `127.0.0.1:{}` is not known: it presents `{}`",
            server.port,
            fingerprint(&server.host_key())
        )
    );
    assert!(!server.log().contains("Accepted publickey for nobody"));
}

#[tokio::test]
async fn names_hashed_by_ssh_keygen_are_found() {
    let Some(server) = Sshd::start().await else {
        return;
    };
    let file = server.path("hashed");
    fs::write(
        &file,
        format!("[127.0.0.1]:{} {}\n", server.port, server.host_key()),
    )
    .unwrap();
    output_of("ssh-keygen", &["-q", "-H", "-f", file.to_str().unwrap()]);
    let text = fs::read_to_string(&file).unwrap();
    assert!(text.starts_with("|1|"), "{text}");
    let (client, access) = with_known_hosts(&server, &text);
    run(&client, &access, "true").await;
}

#[tokio::test]
async fn the_server_is_asked_for_the_kind_of_key_that_is_known() {
    let kinds = ["ecdsa", "rsa"];
    let Some(server) = Sshd::with_keys(&["127.0.0.1"], "", &kinds).await else {
        return;
    };
    for kind in kinds {
        let mut access = server.access();
        access.host_keys = vec![server.host_key_of(kind)];
        run(&server.client(), &access, "true").await;
    }
}

#[tokio::test]
async fn a_revoked_key_is_refused_even_if_it_is_pinned() {
    let Some(server) = Sshd::start().await else {
        return;
    };
    let (client, mut access) = with_known_hosts(
        &server,
        &format!("# bad\n@revoked * {}\n", server.host_key()),
    );
    access.host_keys = vec![server.host_key()];
    let error = refused(&client, &access).await;
    assert_eq!(error.kind(), Kind::Conflict);
    let end = format!(
        "is revoked in `{}` line 2",
        server.path("known_hosts").display()
    );
    assert!(error.to_string().ends_with(&end), "{error}");
}

#[tokio::test]
async fn an_unknown_server_is_trusted_only_if_asked_and_a_changed_one_never() {
    let Some(server) = Sshd::start().await else {
        return;
    };
    let mut options = server.options();
    options.trust_unknown = true;
    let mut access = server.access();
    access.host_keys.clear();
    run(&Ssh::new(options.clone()).unwrap(), &access, "true").await;

    let other = other_key(&server);
    access.host_keys = vec![other.clone()];
    let error = refused(&Ssh::new(options).unwrap(), &access).await;
    assert_wrong_key(&error, &server, &other);
}

#[tokio::test]
async fn a_key_pinned_later_is_noticed_by_a_client_that_runs_already() {
    let Some(server) = Sshd::start().await else {
        return;
    };
    let mut options = server.options();
    options.pinned = server.path("pinned");
    let client = Ssh::new(options).unwrap();
    let mut access = server.access();
    access.host_keys.clear();
    assert_eq!(refused(&client, &access).await.kind(), Kind::Conflict);
    let keys = [server.host_key()];
    pin_host_keys(&server.path("pinned"), "127.0.0.1", server.port, &keys).unwrap();
    run(&client, &access, "true").await;
}

#[tokio::test]
async fn a_pinned_key_that_is_no_key_is_said_before_anything_is_sent() {
    let Some(server) = Sshd::start().await else {
        return;
    };
    let mut access = server.access();
    access.host_keys = vec!["ssh-ed25519 nonsense".to_owned()];
    let error = refused(&server.client(), &access).await;
    assert_eq!(error.kind(), Kind::Invalid);
    assert_eq!(
        error.to_string(),
        "`ssh-ed25519 nonsense` is not a public key"
    );
}
