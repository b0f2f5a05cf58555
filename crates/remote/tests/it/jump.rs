//! Through other hosts: `ProxyJump`.

use std::fmt::Write as _;
use std::fs;

use fleetwright_core::{Effect, Kind};
use fleetwright_remote::{Ssh, SshOptions};

use crate::peer::{Sshd, free_port, refused, run, user};

/// A client that goes to `server` through the jump hosts as `config` says. The jump hosts let the
/// server's key in and are known.
fn client(server: &Sshd, jumps: &[&Sshd], config: &str) -> Ssh {
    let mut known_hosts = String::new();
    for jump in jumps {
        let admitted = fs::read(server.path("authorized_keys")).unwrap();
        fs::write(jump.path("authorized_keys"), admitted).unwrap();
        writeln!(known_hosts, "[127.0.0.1]:{} {}", jump.port, jump.host_key()).unwrap();
    }
    fs::write(server.path("known_hosts"), known_hosts).unwrap();
    fs::write(server.path("config"), config).unwrap();
    Ssh::new(SshOptions {
        known_hosts: vec![server.path("known_hosts")],
        ssh_config: Some(server.path("config")),
        ..server.options()
    })
    .unwrap()
}

#[tokio::test]
async fn a_node_behind_one_and_behind_two_jump_hosts_is_reached() {
    let Some(node) = Sshd::with(&["127.0.0.2"], "").await else {
        return;
    };
    let Some(near) = Sshd::start().await else {
        return;
    };
    let Some(far) = Sshd::start().await else {
        return;
    };
    let user = user();
    let config = format!(
        "Host near\n HostName 127.0.0.1\n Port {}\n User {user}\n\
         Host far\n HostName 127.0.0.1\n Port {}\n User {user}\n\
         Host 127.0.0.2\n ProxyJump near\n\
         Host localhost\n HostName 127.0.0.2\n ProxyJump near,{user}@far\n",
        near.port, far.port
    );
    let client = client(&node, &[&near, &far], &config);
    let says = "echo $SSH_CONNECTION; head -c 300000 /dev/zero | wc -c";

    let output = run(&client, &node.access_at("127.0.0.2"), says).await;
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(
        text.contains(&format!(" 127.0.0.2 {}\n300000\n", node.port)),
        "{text}"
    );
    assert_eq!(near.log().matches("Accepted publickey").count(), 1);
    assert_eq!(far.log().matches("Accepted publickey").count(), 0);

    let output = run(&client, &node.access_at("localhost"), says).await;
    assert!(output.exit.is_success());
    assert_eq!(near.log().matches("Accepted publickey").count(), 2);
    assert_eq!(far.log().matches("Accepted publickey").count(), 1);
    assert_eq!(node.log().matches("Accepted publickey").count(), 2);
}

#[tokio::test]
async fn a_jump_host_has_to_be_the_right_one_too() {
    let Some(node) = Sshd::with(&["127.0.0.2"], "").await else {
        return;
    };
    let Some(jump) = Sshd::start().await else {
        return;
    };
    let config = format!(
        "Host 127.0.0.2\n ProxyJump {}@127.0.0.1:{}\n",
        user(),
        jump.port
    );
    let client = client(&node, &[], &config);
    let error = refused(&client, &node.access_at("127.0.0.2")).await;
    assert_eq!(error.kind(), Kind::Conflict);
    let start = format!("the host key of `127.0.0.1:{}` is not known", jump.port);
    assert!(error.to_string().starts_with(&start), "{error}");
    let context: Vec<_> = error.context().collect();
    assert_eq!(
        context[0],
        ("host", &*format!("{}@127.0.0.2:{}", user(), node.port))
    );
    assert_eq!(
        context[1],
        ("via", &*format!("{}@127.0.0.1:{}", user(), jump.port))
    );
}

#[tokio::test]
async fn what_the_jump_host_cannot_reach_or_does_not_allow_is_told_apart() {
    let Some(jump) = Sshd::start().await else {
        return;
    };
    let Some(strict) = Sshd::with(&["127.0.0.1"], "AllowTcpForwarding no").await else {
        return;
    };
    let config = format!(
        "Host 127.0.0.2\n ProxyJump {user}@127.0.0.1:{}\nHost 127.0.0.3\n ProxyJump {user}@127.0.0.1:{}\n",
        jump.port,
        strict.port,
        user = user()
    );
    let client = client(&jump, &[&jump, &strict], &config);
    let mut access = jump.access_at("127.0.0.2");
    access.port = free_port("127.0.0.2");
    let error = refused(&client, &access).await;
    assert_eq!(error.kind(), Kind::Unavailable);
    assert_eq!(error.effect(), Effect::None);
    assert_eq!(
        error.to_string(),
        format!("the jump host cannot reach `127.0.0.2:{}`", access.port)
    );

    let error = refused(&client, &jump.access_at("127.0.0.3")).await;
    assert_eq!(error.kind(), Kind::Permission, "{error:?}");
}

#[tokio::test]
async fn a_circle_of_jump_hosts_is_an_error_and_so_is_a_proxy_command() {
    let folder = tempfile::TempDir::new().unwrap();
    let file = folder.path().join("config");
    fs::write(
        &file,
        "Host direct\n ProxyCommand nc %h %p\nHost *\n ProxyJump gate\n",
    )
    .unwrap();
    let client = Ssh::new(SshOptions {
        ssh_config: Some(file),
        use_agent: false,
        ..SshOptions::default()
    })
    .unwrap();
    let access = |host: &str| fleetwright_core::Access {
        host: host.to_owned(),
        port: 22,
        user: "me".to_owned(),
        host_keys: Vec::new(),
    };
    let error = refused(&client, &access("web")).await;
    assert_eq!(error.kind(), Kind::Config);
    assert!(error.to_string().contains("in a circle"), "{error}");
    let error = refused(&client, &access("direct")).await;
    assert_eq!(error.kind(), Kind::Unsupported);
}
