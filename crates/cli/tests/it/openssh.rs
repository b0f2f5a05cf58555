//! Real OpenSSH servers on many addresses of this machine, without privileges.

use std::fs;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use crate::bed::{Bed, Ran, eventually};

/// Addresses that one server listens on at most.
const ADDRESSES: usize = 16;

/// Machines at `127.0.60.1` and so on, all with the same host key; they end with this.
pub(crate) struct Servers {
    children: Vec<Child>,
    /// Address and port of each machine.
    pub(crate) places: Vec<(String, u16)>,
    /// The user that is let in, with the key `servers/id` in the folder of the test.
    pub(crate) user: String,
    /// The public host key of all of them.
    pub(crate) host_key: String,
}

impl Servers {
    /// So many machines, with their keys in the folder `servers` of this bed. Nothing if there is no
    /// `sshd`.
    pub(crate) fn start(bed: &Bed, machines: usize) -> Option<Self> {
        let program = sshd()?;
        let folder = bed.path("servers");
        fs::create_dir(&folder).expect("it is writable");
        let user = output(Command::new("id").arg("-un"));
        if user == "root" {
            // Debian's service makes it; a private sshd has to.
            fs::create_dir_all("/run/sshd").expect("root may make it");
        }
        let host_key = new_key(&folder.join("host"));
        let id = new_key(&folder.join("id"));
        fs::write(folder.join("authorized_keys"), format!("{id}\n")).expect("it is writable");
        let mut servers = Self {
            children: Vec::new(),
            places: Vec::new(),
            user,
            host_key,
        };
        let mut group = 0;
        while servers.places.len() < machines {
            let addresses: Vec<String> = (1..=ADDRESSES.min(machines - servers.places.len()))
                .map(|n| format!("127.0.{}.{n}", 60 + group))
                .collect();
            let port = servers.spawn(&program, &folder, group, &addresses);
            servers
                .places
                .extend(addresses.into_iter().map(|address| (address, port)));
            group += 1;
        }
        Some(servers)
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

    /// How one logs in to a machine: `user@address:port`.
    pub(crate) fn login(&self, index: usize) -> String {
        let (address, port) = &self.places[index];
        format!("{}@{address}:{port}", self.user)
    }

    /// Has the user of this bed know each machine by the key that is said for it, if any is.
    pub(crate) fn are_known(&self, bed: &Bed, key: impl Fn(usize) -> Option<String>) {
        let lines = self.places.iter().enumerate();
        let lines: Vec<String> = lines
            .filter_map(|(index, (address, port))| {
                Some(format!("[{address}]:{port} {}\n", key(index)?))
            })
            .collect();
        fs::create_dir(bed.path(".ssh")).expect("it is writable");
        fs::write(bed.path(".ssh/known_hosts"), lines.concat()).expect("it is writable");
    }

    /// Sends a signal to the server with this number, which has 16 machines.
    pub(crate) fn signal(&self, server: usize, name: &str) {
        let pid = self.children[server].id().to_string();
        output(Command::new("kill").args([&format!("-{name}"), &pid]));
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

/// Makes a key pair and returns its public half.
pub(crate) fn new_key(path: &Path) -> String {
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
