//! Who we are: key files, the agent, and what a refusal says.

use std::fs;
use std::path::Path;
use std::process::{Command as Process, Stdio};

use fleetwright_core::{Access, Effect, Kind};
use fleetwright_remote::{Ssh, SshOptions, generate_identity, pin_host_keys, ssh_command_line};
use russh::keys::PrivateKey;

use crate::peer::{Agent, Sshd, output_of, refused, run, user};

/// Makes a key with `ssh-keygen` and lets it in.
fn admit(server: &Sshd, name: &str, kind: &str, passphrase: &str) -> std::path::PathBuf {
    let path = server.path(name);
    let file = path.to_str().unwrap();
    let make = || {
        output_of(
            "ssh-keygen",
            &["-q", "-t", kind, "-N", passphrase, "-f", file],
        )
    };
    make();
    // The number of one ECDSA key in 256 begins with a zero byte. OpenSSH leaves that out, and the
    // library that reads keys refuses what is left (ssh-key 0.7.0-rc.11, `EcdsaPrivateKey::decode`),
    // so there another key is made.
    if kind == "ecdsa" && PrivateKey::read_openssh_file(&path).is_err() {
        fs::remove_file(&path).unwrap();
        make();
    }
    let public = fs::read_to_string(server.path(&format!("{name}.pub"))).unwrap();
    let admitted = server.path("authorized_keys");
    let before = fs::read_to_string(&admitted).unwrap();
    fs::write(&admitted, before + &public).unwrap();
    path
}

#[tokio::test]
async fn keys_of_every_usual_kind_are_accepted() {
    let Some(server) = Sshd::start().await else {
        return;
    };
    for kind in ["ed25519", "ecdsa", "rsa"] {
        let mut options = server.options();
        options.identities = vec![admit(&server, &format!("my_{kind}"), kind, "")];
        run(&Ssh::new(options).unwrap(), &server.access(), "true").await;
    }
}

#[tokio::test]
async fn a_key_in_the_old_pem_format_is_accepted() {
    let Some(server) = Sshd::start().await else {
        return;
    };
    let path = admit(&server, "pem", "rsa", "");
    let file = path.to_str().unwrap();
    output_of(
        "ssh-keygen",
        &["-q", "-p", "-m", "PEM", "-N", "", "-f", file],
    );
    assert!(
        fs::read_to_string(&path)
            .unwrap()
            .contains("BEGIN RSA PRIVATE KEY")
    );
    let mut options = server.options();
    options.identities = vec![path];
    run(&Ssh::new(options).unwrap(), &server.access(), "true").await;
}

#[tokio::test]
async fn a_refusal_names_every_key_that_was_tried_and_where() {
    let Some(server) = Sshd::start().await else {
        return;
    };
    let wrong = server.path("wrong");
    generate_identity(&wrong, "wrong").unwrap();
    let broken = server.path("broken");
    fs::write(&broken, "not a key").unwrap();
    let missing = server.path("missing");
    let mut options = server.options();
    options.identities = vec![missing.clone(), broken.clone(), wrong.clone()];
    let error = refused(&Ssh::new(options).unwrap(), &server.access()).await;
    assert_eq!(error.kind(), Kind::Auth);
    assert_eq!(error.effect(), Effect::None);
    assert_eq!(
        error.to_string(),
        format!(
            "`{}@127.0.0.1:{}` accepts none of our keys: `{}` (missing), `{}` (Could not read key), \
             `{}` (refused)",
            user(),
            server.port,
            missing.display(),
            broken.display(),
            wrong.display()
        )
    );
    assert!(
        error
            .hint()
            .is_some_and(|hint| hint.contains("authorized_keys"))
    );
}

#[tokio::test]
async fn without_any_key_the_error_says_so() {
    let Some(server) = Sshd::start().await else {
        return;
    };
    let mut options = server.options();
    options.identities.clear();
    let error = refused(&Ssh::new(options).unwrap(), &server.access()).await;
    assert_eq!(error.kind(), Kind::Auth);
    assert!(
        error
            .to_string()
            .starts_with("there is no key to log in to"),
        "{error}"
    );
}

#[tokio::test]
async fn what_ssh_finds_in_a_home_is_used() {
    let Some(server) = Sshd::start().await else {
        return;
    };
    let home = server.path("home");
    fs::create_dir_all(home.join(".ssh/keys")).unwrap();
    fs::copy(server.identity(), home.join(".ssh/keys/fleet")).unwrap();
    generate_identity(&home.join(".ssh/id_ed25519"), "not admitted").unwrap();
    fs::write(
        home.join(".ssh/known_hosts"),
        format!("[127.0.0.1]:{} {}\n", server.port, server.host_key()),
    )
    .unwrap();
    fs::write(
        home.join(".ssh/config"),
        format!(
            "Host node\n HostName 127.0.0.1\n Port {}\n User {}\n IdentityFile ~/.ssh/keys/fleet\n",
            server.port,
            user()
        ),
    )
    .unwrap();
    let options = SshOptions {
        use_agent: false,
        ..SshOptions::default()
    };
    let client = Ssh::new(options.with_user_files(&home)).unwrap();
    // Neither user nor port: the configuration says them.
    let access = Access {
        host: "node".to_owned(),
        port: 0,
        user: String::new(),
        host_keys: Vec::new(),
    };
    run(&client, &access, "true").await;
}

#[tokio::test]
async fn a_protected_key_needs_the_agent_and_works_with_it() {
    let Some(server) = Sshd::start().await else {
        return;
    };
    let path = admit(&server, "protected", "ed25519", "open sesame");
    let mut options = server.options();
    options.identities = vec![path.clone()];
    let error = refused(&Ssh::new(options.clone()).unwrap(), &server.access()).await;
    assert_eq!(error.kind(), Kind::Auth);
    let expected = format!("`{}` (protected by a passphrase)", path.display());
    assert!(error.to_string().ends_with(&expected), "{error}");
    assert!(
        error
            .hint()
            .is_some_and(|hint| hint.starts_with("`ssh-add "))
    );

    let agent = Agent::start().await;
    options.use_agent = true;
    options.agent_socket = Some(agent.socket.clone());
    let client = Ssh::new(options).unwrap();
    let error = refused(&client, &server.access()).await;
    assert!(error.to_string().ends_with(&expected), "{error}");
    agent.add(&path, "open sesame");
    run(&client, &server.access(), "true").await;
}

#[tokio::test]
async fn the_agent_alone_is_enough_and_named_keys_come_first() {
    let Some(server) = Sshd::with(&["127.0.0.1"], "MaxAuthTries 3").await else {
        return;
    };
    let agent = Agent::start().await;
    let mut options = server.options();
    options.identities.clear();
    options.use_agent = true;
    options.agent_socket = Some(agent.socket.clone());
    let right = admit(&server, "right", "rsa", "");
    for number in 0..4 {
        let path = server.path(&format!("wrong{number}"));
        generate_identity(&path, "wrong").unwrap();
        agent.add(&path, "");
    }
    agent.add(&right, "");
    // The server loses patience before the right key's turn.
    let error = refused(&Ssh::new(options.clone()).unwrap(), &server.access()).await;
    assert_eq!(error.kind(), Kind::Auth, "{error:?}");
    assert!(
        error.to_string().contains("lets us try no further key"),
        "{error}"
    );
    // With its public half named, it goes first.
    let public = server.path("named");
    fs::copy(server.path("right.pub"), public.with_extension("pub")).unwrap();
    options.identities = vec![public];
    run(&Ssh::new(options).unwrap(), &server.access(), "true").await;
}

#[tokio::test]
async fn an_agent_that_is_not_there_is_named() {
    let Some(server) = Sshd::start().await else {
        return;
    };
    let mut options = server.options();
    options.identities.clear();
    options.use_agent = true;
    options.agent_socket = Some(server.path("nowhere"));
    let error = refused(&Ssh::new(options).unwrap(), &server.access()).await;
    assert_eq!(error.kind(), Kind::Auth);
    let named = format!("the agent at `{}`", server.path("nowhere").display());
    assert!(error.to_string().contains(&named), "{error}");
}

#[tokio::test]
async fn a_server_that_wants_more_than_a_key_is_told_apart() {
    let extra = "PasswordAuthentication yes\nAuthenticationMethods publickey,password";
    let Some(server) = Sshd::with(&["127.0.0.1"], extra).await else {
        return;
    };
    let error = refused(&server.client(), &server.access()).await;
    assert_eq!(error.kind(), Kind::Auth);
    assert!(
        error
            .to_string()
            .ends_with("but wants more than a key: password"),
        "{error}"
    );
}

#[tokio::test]
async fn the_real_ssh_logs_in_with_the_generated_identity_and_the_printed_command() {
    let Some(server) = Sshd::start().await else {
        return;
    };
    let folder = server.path("a folder, 100% \"odd\"");
    let known_hosts = folder.join("known hosts");
    let access = server.access();
    pin_host_keys(&known_hosts, &access.host, access.port, &access.host_keys).unwrap();
    let identity = folder.join("id");
    fs::copy(server.identity(), &identity).unwrap();
    let plain = server.identity();

    let ssh = |identity: &Path, known_hosts: &Path| {
        let words = ssh_command_line(&access, Some(identity), known_hosts);
        Process::new(&words[0])
            // The user's own configuration must not help.
            .args(["-F", "/dev/null"])
            .args(&words[1..])
            .arg("echo in; exit 5")
            .env_remove("SSH_AUTH_SOCK")
            .stdin(Stdio::null())
            .output()
            .unwrap()
    };
    for identity in [&plain, &identity] {
        let output = ssh(identity, &known_hosts);
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(5), "{stderr}");
        assert_eq!(output.stdout, b"in\n");
    }

    let output = ssh(&plain, &server.path("empty"));
    assert_eq!(output.status.code(), Some(255));
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(stderr.contains("Host key verification failed"), "{stderr}");
}
