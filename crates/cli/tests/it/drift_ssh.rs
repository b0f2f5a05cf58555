//! `drift` over real OpenSSH servers: 200 addresses, some of them dead, hanging or somebody else.

use std::fs;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use serde_json::Value;

use crate::bed::{Bed, Ran, eventually, pause};

/// Addresses that one server listens on at most.
const ADDRESSES: usize = 16;

/// Servers on `127.0.N.M`, all on one port each; they end with this.
struct Servers {
    children: Vec<Child>,
    /// Address and port of each node.
    places: Vec<(String, u16)>,
}

impl Servers {
    /// So many nodes, with host keys and authorized keys in this folder.
    fn start(program: &Path, folder: &Path, nodes: usize) -> Self {
        let mut servers = Self {
            children: Vec::new(),
            places: Vec::new(),
        };
        let mut group = 0;
        while servers.places.len() < nodes {
            let addresses: Vec<String> = (1..=ADDRESSES.min(nodes - servers.places.len()))
                .map(|n| format!("127.0.{}.{n}", 60 + group))
                .collect();
            let port = servers.spawn(program, folder, group, &addresses);
            servers
                .places
                .extend(addresses.into_iter().map(|address| (address, port)));
            group += 1;
        }
        servers
    }

    fn spawn(&mut self, program: &Path, folder: &Path, group: usize, addresses: &[String]) -> u16 {
        for _ in 0..5 {
            let port = TcpListener::bind((addresses[0].as_str(), 0))
                .and_then(|listener| listener.local_addr())
                .expect("loopback has ports")
                .port();
            let listen: Vec<String> = addresses
                .iter()
                .map(|address| format!("ListenAddress {address}:{port}\n"))
                .collect();
            let shown = folder.display();
            let config = folder.join(format!("sshd_config_{group}"));
            let text = format!(
                "{}HostKey {shown}/host\nAuthorizedKeysFile {shown}/authorized_keys\n\
                 PidFile none\nUsePAM no\nStrictModes no\nPasswordAuthentication no\n\
                 KbdInteractiveAuthentication no\nPermitRootLogin yes\nMaxStartups 500:30:1000\n\
                 PermitUserRC no\nPrintMotd no\nPrintLastLog no\nSetEnv SHLVL=2\nUseDNS no\n\
                 LogLevel VERBOSE\n",
                listen.concat()
            );
            fs::write(&config, text).expect("it is writable");
            let log = folder.join(format!("log_{group}"));
            let file = fs::File::create(&log).expect("it is writable");
            let mut child = Command::new(program)
                .args(["-D", "-e", "-f"])
                .arg(&config)
                .stdin(Stdio::null())
                .stdout(Stdio::null())
                .stderr(file)
                .spawn()
                .expect("sshd can be started");
            let said = || fs::read_to_string(&log).unwrap_or_default();
            let taken = || said().contains("Address already in use");
            eventually("the server listens", || {
                taken() || said().matches("Server listening on").count() == addresses.len()
            });
            if !taken() {
                self.children.push(child);
                return port;
            }
            // Another process took the port between our look and its use.
            drop(child.kill());
            drop(child.wait());
        }
        panic!("no free port");
    }

    fn signal(&self, server: usize, name: &str) {
        let pid = self.children[server].id().to_string();
        let status = Command::new("kill")
            .args([&format!("-{name}"), &pid])
            .status();
        assert!(status.is_ok_and(|status| status.success()));
    }
}

impl Drop for Servers {
    fn drop(&mut self) {
        for child in &mut self.children {
            drop(child.kill());
            drop(child.wait());
        }
    }
}

fn sshd() -> Option<PathBuf> {
    // Set by the task that installs it; else where Debian has it.
    let path = std::env::var_os("FLEETWRIGHT_TEST_SSHD")
        .map_or_else(|| PathBuf::from("/usr/sbin/sshd"), PathBuf::from);
    if path.exists() {
        return Some(path);
    }
    println!("skipped: no sshd (Debian package `openssh-server`)");
    None
}

fn output(command: &mut Command) -> String {
    let ran: Ran = command
        .stdin(Stdio::null())
        .output()
        .expect("the program can be started")
        .into();
    assert_eq!(ran.status, Some(0), "{}", ran.stderr);
    ran.stdout.trim().to_owned()
}

fn key(path: &Path) -> String {
    output(
        Command::new("ssh-keygen")
            .args(["-q", "-t", "ed25519", "-N", "", "-f"])
            .arg(path),
    );
    fs::read_to_string(path.with_extension("pub"))
        .expect("it was made")
        .trim()
        .to_owned()
}

#[test]
fn two_hundred_servers_are_measured_and_bad_ones_spoil_no_other() {
    let Some(program) = sshd() else { return };
    let bed = Bed::new("");
    let folder = bed.path("servers");
    fs::create_dir(&folder).expect("it is writable");
    let user = output(Command::new("id").arg("-un"));
    if user == "root" {
        // Debian's service makes it; a private sshd has to.
        fs::create_dir_all("/run/sshd").expect("root may make it");
    }
    let host = key(&folder.join("host"));
    let id = key(&folder.join("id"));
    fs::write(folder.join("authorized_keys"), format!("{id}\n")).expect("it is writable");
    let servers = Servers::start(&program, &folder, 200);

    let stranger = key(&folder.join("stranger"));
    let mut known = Vec::new();
    for (index, (address, port)) in servers.places.iter().enumerate() {
        // The last but one is not who we think it is.
        let key = if index == 198 { &stranger } else { &host };
        known.push(format!("[{address}]:{port} {key}\n"));
    }
    fs::create_dir(bed.path(".ssh")).expect("it is writable");
    fs::write(bed.path(".ssh/known_hosts"), known.concat()).expect("it is writable");
    let hosts: Vec<String> = servers
        .places
        .iter()
        .enumerate()
        .map(|(index, (address, port))| match index {
            // Nobody listens there.
            199 => format!("\"{user}@{address}:1\""),
            _ => format!("\"{user}@{address}:{port}\""),
        })
        .collect();
    // Nodes differ by the address that they were called by.
    bed.configure(&format!(
        "fleet = \"test\"\n[providers.here]\nkind = \"local\"\n\
         [ssh]\nidentities = [\"servers/id\"]\nagent = false\nconnect_timeout = \"20s\"\n\
         [targets.edge]\nhosts = [{hosts}]\n\
         [[targets.edge.probes]]\nname = \"place\"\nseverity = \"low\"\n\
         check.command = {{ run = \"\"\"\nset -- $SSH_CONNECTION\ncase $3 in\n\
         127.0.60.3) echo elsewhere ;;\n127.0.60.4) exec sleep 60 ;;\n*) echo edge ;;\nesac\n\"\"\", \
         output = \"edge\" }}\ntimeout = \"2s\"\n\
         [[targets.edge.probes]]\nname = \"big\"\n\
         check.command = {{ run = \"head -c 1048576 /dev/zero\", sha256 = \"{zeros}\" }}\n\
         [[targets.edge.probes]]\nname = \"hosts\"\ncheck.file = {{ path = \"/etc/passwd\", owner = \"root:root\" }}\n",
        hosts = hosts.join(", "),
        zeros = "30e14955ebf1352266dc2ff8067e68104607e750abb9d3b36582b8af909fcb58",
    ));
    let ran = bed.must(26, &["drift", "--json", "--parallel", "32"]);
    let report: Value = serde_json::from_str(&ran.stdout).expect("stdout is JSON");
    let summary = &report["summary"];
    let numbers =
        ["nodes", "congruent", "drift", "unknown", "unreachable"].map(|key| &summary[key]);
    assert_eq!(numbers, [200, 196, 1, 1, 2], "{}", ran.stderr);
    let nodes = report["nodes"].as_array().expect("a list");
    let at = |index: usize| {
        let host = hosts[index].trim_matches('"');
        nodes
            .iter()
            .find(|node| node["address"] == host)
            .expect("each is there once")
    };
    assert_eq!(at(2)["findings"][0]["actual"], "elsewhere");
    assert_eq!(at(2)["severity"], "low");
    assert_eq!(
        at(3)["findings"][0]["verdict"]["reason"],
        "it did not end within 2s"
    );
    assert_eq!(at(3)["findings"][1]["verdict"]["is"], "agrees");
    assert_eq!(at(198)["error"]["kind"], "conflict");
    assert_eq!(at(199)["error"]["kind"], "unavailable");
    assert_eq!(at(198)["findings"], Value::Array(Vec::new()));

    // A whole server hangs: its nodes are out of reach, and what is known of them is kept.
    servers.signal(3, "STOP");
    let text = fs::read_to_string(bed.path("fleetwright.toml")).expect("the bed has one");
    bed.configure(&text.replace("connect_timeout = \"20s\"", "connect_timeout = \"3s\""));
    let named: Vec<&str> = (48..66)
        .map(|index| hosts[index].trim_matches('"'))
        .collect();
    let ran = bed.must(27, &["drift", "--json", "-t", &named.join(",")]);
    servers.signal(3, "CONT");
    let second: Value = serde_json::from_str(&ran.stdout).expect("stdout is JSON");
    assert_eq!(second["summary"]["unreachable"], 16);
    assert_eq!(second["summary"]["congruent"], 2);
    // Those that wait for an answer may come in late.
    pause(Duration::from_millis(100));
    let ran = bed.must(0, &["drift", "--json", "-t", &named.join(",")]);
    let third: Value = serde_json::from_str(&ran.stdout).expect("stdout is JSON");
    assert_eq!(third["summary"]["congruent"], 18);
    let nodes = third["nodes"].as_array().expect("a list");
    let again = nodes
        .iter()
        .find(|node| node["address"] == named[0])
        .expect("it is there");
    let since = |node: &Value| node["findings"][0]["since"].clone();
    assert_eq!(
        since(again),
        since(at(48)),
        "a gap makes no verdict younger"
    );
    assert_ne!(
        again["since"],
        at(48)["since"],
        "but it can be reached only since then"
    );
}
