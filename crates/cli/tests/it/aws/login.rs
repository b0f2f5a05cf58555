//! The first login to a new node: to the node that we made, or not at all.
//!
//! Behind each instance of the fake runs a real `sshd`, on the instance's own address, with what
//! cloud-init would find in the instance's user data.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write as _;
use std::net::TcpListener;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use fleetwright_aws_fake::{Fake, FakeConfig, Instance};
use tempfile::TempDir;

use super::{configuration, credentials, pool};
use crate::bed::{Bed, pause};

fn sshd() -> Option<PathBuf> {
    let path = std::env::var_os("FLEETWRIGHT_TEST_SSHD")
        .map_or_else(|| PathBuf::from("/usr/sbin/sshd"), PathBuf::from);
    if path.exists() {
        return Some(path);
    }
    println!("skipped: no sshd (Debian package `openssh-server`)");
    None
}

fn output_of(program: &str, arguments: &[&str], input: &str) -> String {
    let mut child = Command::new(program)
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("a program of every system");
    let mut stdin = child.stdin.take().expect("it is piped");
    stdin.write_all(input.as_bytes()).expect("it reads");
    drop(stdin);
    let output = child.wait_with_output().expect("it ends");
    assert!(output.status.success(), "{program} {arguments:?}");
    String::from_utf8(output.stdout).expect("it is text")
}

/// What cloud-init would do with the user data, and a `sshd` on the instance's address.
struct Machine {
    child: Child,
    folder: TempDir,
}

impl Drop for Machine {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// The value of a key in the cloud-config, written as a string of JSON.
fn value(document: &str, key: &str) -> Option<String> {
    let line = document
        .lines()
        .find_map(|line| line.trim().strip_prefix(key))?;
    serde_json::from_str(line.trim()).ok()
}

impl Machine {
    fn boot(program: &PathBuf, instance: &Instance, port: u16) -> Self {
        let data = instance.user_data.as_deref().expect("it carries keys");
        let document = output_of("base64", &["-d"], data);
        let folder = tempfile::tempdir().expect("a folder");
        let file = |name: &str, text: &str| {
            let path = folder.path().join(name);
            fs::write(&path, text).expect("it is writable");
            path.display().to_string()
        };
        let private = value(&document, "ed25519_private:").expect("a host key is planted");
        let host_key = file("host_key", &private);
        output_of("chmod", &["600", &host_key], "");
        let login = value(&document, "- ").expect("a key may log in");
        let authorized = file("authorized_keys", &format!("{login}\n"));
        Self::serve(program, instance, port, folder, &host_key, &authorized)
    }

    fn serve(
        program: &PathBuf,
        instance: &Instance,
        port: u16,
        folder: TempDir,
        host_key: &str,
        authorized: &str,
    ) -> Self {
        let address = instance.public_ip.as_deref().expect("it has an address");
        let child = Command::new(program)
            .args(["-D", "-e", "-f", "/dev/null"])
            .args(["-o", &format!("ListenAddress={address}:{port}")])
            .args(["-o", &format!("HostKey={host_key}")])
            .args(["-o", &format!("AuthorizedKeysFile={authorized}")])
            .args([
                "-o",
                "StrictModes=no",
                "-o",
                "UsePAM=no",
                "-o",
                "PidFile=none",
            ])
            .stderr(Stdio::null())
            .spawn()
            .expect("sshd starts");
        Self { child, folder }
    }
}

#[test]
fn the_first_login_is_to_the_node_that_was_made_and_to_no_other() {
    let Some(program) = sshd() else {
        return;
    };
    let fake = Fake::start(FakeConfig::default()).expect("a port of this machine is free");
    let port = TcpListener::bind("127.0.0.1:0")
        .and_then(|listener| listener.local_addr())
        .expect("a port is free")
        .port();
    let user = output_of("id", &["-un"], "");
    let text = configuration(&fake.endpoint(), &pool("web", "us-east-1", 2, "{}")).replace(
        "ssh = false",
        &format!("ssh_port = {port}\nssh_user = \"{}\"", user.trim()),
    );
    let bed = credentials(Bed::new(&text));

    let is_over = AtomicBool::new(false);
    let machines = std::thread::scope(|scope| {
        let data_center = scope.spawn(|| {
            let mut machines: BTreeMap<String, Machine> = BTreeMap::new();
            while !is_over.load(Ordering::Relaxed) {
                for instance in fake.instances() {
                    machines
                        .entry(instance.id.clone())
                        .or_insert_with(|| Machine::boot(&program, &instance, port));
                }
                pause(Duration::from_millis(20));
            }
            machines
        });
        bed.must(0, &["up", "--yes", "--timeout", "60s"]);
        let ran = bed.must(0, &["exec", "--", "echo hello from $SSH_CONNECTION"]);
        assert_eq!(
            ran.stdout.matches("hello from").count(),
            2,
            "{}",
            ran.stdout
        );
        is_over.store(true, Ordering::Relaxed);
        data_center.join().expect("the machines ran")
    });

    // The private halves are on the nodes, and nowhere in the journal.
    let mut journal = fs::read(bed.state().join("journal.db")).expect("the journal is there");
    journal.extend(fs::read(bed.state().join("journal.db-wal")).unwrap_or_default());
    let holds = |needle: &[u8]| journal.windows(needle.len()).any(|part| part == needle);
    assert!(!holds(b"OPENSSH PRIVATE KEY"));
    assert!(holds(b"ssh-ed25519 "), "the public halves are");

    // Somebody else answers at the address of a node.
    let instance = fake.instances().remove(0);
    let mut machines = machines;
    let gone = machines.remove(&instance.id).expect("it ran");
    let authorized = fs::read_to_string(gone.folder.path().join("authorized_keys"));
    drop(gone);
    let folder = tempfile::tempdir().expect("a folder");
    let other = folder.path().join("other").display().to_string();
    output_of(
        "ssh-keygen",
        &["-q", "-t", "ed25519", "-N", "", "-f", &other],
        "",
    );
    let list = folder.path().join("authorized_keys");
    fs::write(&list, authorized.expect("it was written")).expect("it is writable");
    let list = list.display().to_string();
    let _impostor = Machine::serve(&program, &instance, port, folder, &other, &list);
    pause(Duration::from_millis(300));
    let ran = bed.run(&["exec", "--", "echo hello"]);
    assert_ne!(ran.status, Some(0), "{}", ran.stdout);
    assert_eq!(ran.stdout.matches("hello").count(), 1, "{}", ran.stdout);
    assert!(ran.stderr.contains("host key"), "{}", ran.stderr);
}
