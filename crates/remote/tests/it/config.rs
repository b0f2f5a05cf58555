//! `ssh_config`, judged by `ssh -G`.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use fleetwright_core::Kind;
use fleetwright_remote::ssh_config::{Jump, ResolvedHost, SshConfig};
use tempfile::TempDir;

use crate::peer::{output_of, skipped, user};

/// Configurations with the hosts to ask for.
const CASES: [(&str, &[&str]); 16] = [
    ("", &["web", "10.0.0.1"]),
    (
        "Host web\n HostName 10.0.0.7\n User root\n Port 2200\n",
        &["web", "web2"],
    ),
    (
        "Host web*\n User a\nHost *\n User b\n Port 23\n",
        &["web1", "db"],
    ),
    ("Host * !db\n User a\nHost db\n User c\n", &["web", "db"]),
    ("User first\nHost *\n User second\n", &["any"]),
    (
        "host=web\n hostname = %h.example.com\n port=24\n",
        &["web", "WEB"],
    ),
    ("Host web\n HostName WEB.Example.COM\n", &["web"]),
    (
        "Host web\n IdentityFile /keys/a\n IdentityFile \"/keys/with blank\"\nHost *\n IdentityFile /keys/%r-%h-%p-%n%%\n",
        &["web", "db"],
    ),
    (
        "Host web\n ProxyJump gate\nHost *\n ProxyJump none\n",
        &["web", "db"],
    ),
    ("Host web\n ProxyJump me@gate:2022,other\n", &["web"]),
    ("Host web\n ProxyJump ssh://me@gate:2022\n", &["web"]),
    (
        "Host a b c\n User abc # comment\n# comment\n\n\tPort 25\nHost ?\n User one\n",
        &["b", "d", "ee"],
    ),
    ("Match all\n User everybody\n", &["web"]),
    (
        "Host web\n HostName web.internal\nMatch host *.internal\n User inside\nMatch originalhost db,web\n Port 26\nMatch user nobody-at-all\n Port 27\n",
        &["web", "db", "x"],
    ),
    (
        "Host 10.0.0.?\n Port 28\nHost 10.*\n User net\n",
        &["10.0.0.1", "10.1.1.1"],
    ),
    (
        "Host web\n IdentitiesOnly yes\n ServerAliveInterval 3\n Compression yes\n SendEnv LANG\n",
        &["web", "db"],
    ),
];

/// What `ssh -G` says, by keyword.
fn real(file: &Path, host: &str) -> BTreeMap<String, Vec<String>> {
    let text = output_of("ssh", &["-G", "-F", file.to_str().unwrap(), host]);
    let mut values: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for line in text.lines() {
        let (keyword, value) = line.split_once(' ').unwrap_or((line, ""));
        values
            .entry(keyword.to_owned())
            .or_default()
            .push(value.to_owned());
    }
    values
}

fn jump_text(jump: &Jump) -> String {
    let user = jump
        .user
        .as_ref()
        .map(|user| format!("{user}@"))
        .unwrap_or_default();
    let port = jump.port.map(|port| format!(":{port}")).unwrap_or_default();
    format!("{user}{}{port}", jump.host)
}

/// Replaces what `ssh` leaves for the moment of use.
fn expanded(file: &str, resolved: &ResolvedHost, host: &str, me: &str) -> String {
    file.replace("%h", &resolved.host_name)
        .replace("%n", host)
        .replace("%p", &resolved.port.unwrap_or(22).to_string())
        .replace("%r", resolved.user.as_deref().unwrap_or(me))
        .replace("%%", "%")
}

fn assert_same(file: &Path, host: &str, me: &str) {
    let real = real(file, host);
    let ours = SshConfig::read(file, Some(Path::new("/home/somebody")))
        .unwrap()
        .resolve(host, None, None)
        .unwrap();
    let config = fs::read_to_string(file).unwrap();
    let one = |keyword: &str| real[keyword][0].as_str();
    assert_eq!(
        ours.host_name,
        one("hostname"),
        "hostname of {host} in:\n{config}"
    );
    assert_eq!(
        ours.user.as_deref().unwrap_or(me),
        one("user"),
        "user of {host} in:\n{config}"
    );
    assert_eq!(
        ours.port.unwrap_or(22).to_string(),
        one("port"),
        "port of {host} in:\n{config}"
    );
    assert_eq!(
        if ours.identities_only { "yes" } else { "no" },
        one("identitiesonly"),
        "identitiesonly of {host} in:\n{config}"
    );
    let jumps: Vec<String> = ours.proxy_jump.iter().map(jump_text).collect();
    let real_jumps = real.get("proxyjump").map_or("", |jumps| jumps[0].as_str());
    assert_eq!(
        jumps.join(","),
        real_jumps.replace("ssh://", ""),
        "proxyjump of {host} in:\n{config}"
    );
    let files: Vec<String> = ours
        .identity_files
        .iter()
        .map(|file| file.display().to_string())
        .collect();
    let real_files: Vec<String> = real["identityfile"]
        .iter()
        // Without any `IdentityFile` it lists its defaults, which we leave to the caller.
        .filter(|file| !file.starts_with("~/.ssh/id_"))
        .map(|file| expanded(file, &ours, host, me))
        .collect();
    assert_eq!(files, real_files, "identityfile of {host} in:\n{config}");
}

/// Whether `ssh` is in `PATH`; says why a test does nothing without it.
fn has_client() -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&path).any(|folder| folder.join("ssh").is_file());
    if !found {
        skipped("no ssh (Debian package `openssh-client`)");
    }
    found
}

#[test]
fn hosts_are_resolved_as_ssh_resolves_them() {
    if !has_client() {
        return;
    }
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("config");
    let me = user();
    let mut compared = 0;
    for (config, hosts) in CASES {
        fs::write(&file, config).unwrap();
        for host in hosts {
            assert_same(&file, host, &me);
            compared += 1;
        }
    }
    assert_eq!(compared, 29);
}

#[test]
fn included_files_are_read_in_order_and_under_their_condition() {
    if !has_client() {
        return;
    }
    let folder = TempDir::new().unwrap();
    let shown = folder.path().display();
    let file = folder.path().join("config");
    fs::create_dir(folder.path().join("config.d")).unwrap();
    fs::write(
        folder.path().join("config.d/10-a.conf"),
        "Host web\n User from-a\nHost *\n Port 31\n",
    )
    .unwrap();
    fs::write(
        folder.path().join("config.d/20-b.conf"),
        "Host *\n User from-b\n",
    )
    .unwrap();
    fs::write(folder.path().join("config.d/ignored"), "User wrong\n").unwrap();
    fs::write(
        folder.path().join("only-db"),
        "Port 32\nHost web\n User never\n",
    )
    .unwrap();
    // Absolute, because `ssh` looks for relative ones in the real `~/.ssh`.
    fs::write(
        &file,
        format!(
            "Host db\n Include {shown}/only-db\n User behind\nHost *\n HostName %h.net\nInclude {shown}/config.d/*.conf\nInclude {shown}/missing\n"
        ),
    )
    .unwrap();
    let me = user();
    for host in ["web", "db", "x"] {
        assert_same(&file, host, &me);
    }
}

#[test]
fn relative_includes_are_beside_the_file_and_a_circle_is_refused() {
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("config");
    fs::write(&file, "Include more\nHost *\n User late\n").unwrap();
    fs::write(
        folder.path().join("more"),
        "User early\nIdentityFile ~/keys/a\n",
    )
    .unwrap();
    let config = SshConfig::read(&file, Some(Path::new("/home/somebody"))).unwrap();
    let resolved = config.resolve("web", None, None).unwrap();
    assert_eq!(resolved.user.as_deref(), Some("early"));
    assert_eq!(
        resolved.identity_files,
        [Path::new("/home/somebody/keys/a")]
    );

    fs::write(folder.path().join("more"), "Include more\n").unwrap();
    let error = SshConfig::read(&file, None).unwrap_err();
    assert_eq!(error.kind(), Kind::Config);
    assert!(
        error.to_string().contains("nested more than 16 deep"),
        "{error}"
    );
}

#[test]
fn mistakes_are_reported_with_file_and_line() {
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("config");
    for (config, message) in [
        ("Host web\n Port many\n", "line 2: `many` is not a port"),
        ("Port 0\n", "line 1: `0` is not a port"),
        ("Port 65536\n", "line 1: `65536` is not a port"),
        ("\n\nUser\n", "line 3: `user` has no value"),
        ("Host \"web\n", "line 1: a quote is not closed"),
        (
            "IdentitiesOnly maybe\n",
            "line 1: `maybe` is neither `yes` nor `no`",
        ),
    ] {
        fs::write(&file, config).unwrap();
        let error = SshConfig::read(&file, None).unwrap_err();
        assert_eq!(error.kind(), Kind::Config);
        assert_eq!(error.to_string(), format!("`{}` {message}", file.display()));
    }
}

#[test]
fn a_missing_file_is_an_empty_configuration() {
    let config = SshConfig::read(Path::new("/nonexistent/config"), None).unwrap();
    let resolved = config.resolve("Web", None, None).unwrap();
    assert_eq!(resolved.host_name, "web");
    assert_eq!(resolved.port, None);
}
