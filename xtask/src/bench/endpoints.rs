//! A thousand SSH servers on this machine: some real `sshd` processes, each on 16 addresses.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use fleetwright_core::{Error, Kind, Result};

use crate::peers::find_sshd;
use crate::workspace::output;

/// Most addresses that one `sshd` listens on: `MAX_LISTEN_SOCKS` in its source.
const ADDRESSES: usize = 16;
/// How long they may take to come up.
const PATIENCE: Duration = Duration::from_secs(30);
/// Clock ticks in a second, in which `/proc/<pid>/stat` counts: `USER_HZ` is 100 on Linux.
const TICK_MILLISECONDS: f64 = 10.0;

/// Servers that end when this is dropped, with what is needed to log in to them.
pub(super) struct Endpoints {
    servers: Vec<Child>,
    folder: PathBuf,
    pub(super) user: String,
    pub(super) port: u16,
    pub(super) addresses: Vec<String>,
    /// Their only host key, in OpenSSH's format.
    pub(super) host_key: String,
}

impl Endpoints {
    /// Starts as many servers as `count` addresses need, with their files in `folder`.
    pub(super) fn start(folder: &Path, count: usize) -> Result<Self> {
        let program = find_sshd().ok_or_else(|| {
            Error::new(Kind::NotFound, "there is no `sshd` on this machine")
                .with_hint("install the package `openssh-server`")
        })?;
        for name in ["host_key", "id"] {
            let mut keygen = Command::new("ssh-keygen");
            keygen.args(["-q", "-t", "ed25519", "-N", "", "-f"]);
            output(keygen.arg(folder.join(name)))?;
        }
        let public = read(&folder.join("id.pub"))?;
        write(&folder.join("authorized_keys"), &public)?;
        let host_key = read(&folder.join("host_key.pub"))?.trim().to_owned();
        let addresses: Vec<String> = (0..count)
            .map(|at| format!("127.1.{}.{}", at / ADDRESSES + 1, at % ADDRESSES + 1))
            .collect();
        let mut all = Self {
            servers: Vec::new(),
            folder: folder.to_owned(),
            user: output(Command::new("id").arg("-un"))?.trim().to_owned(),
            port: free_port(&addresses[0])?,
            addresses,
            host_key,
        };
        let groups: Vec<Vec<String>> = all.addresses.chunks(ADDRESSES).map(<[_]>::to_vec).collect();
        for (number, group) in groups.iter().enumerate() {
            all.serve(&program, number, group)?;
        }
        all.wait()?;
        Ok(all)
    }

    fn serve(&mut self, program: &Path, number: usize, addresses: &[String]) -> Result<()> {
        let folder = self.folder.display();
        // A shell under sshd reads its start files, unless it takes itself for an inner one.
        let mut config = format!(
            "HostKey {folder}/host_key\nAuthorizedKeysFile {folder}/authorized_keys\nPidFile none\n\
             UsePAM no\nStrictModes no\nPasswordAuthentication no\nKbdInteractiveAuthentication no\n\
             PermitRootLogin yes\nMaxStartups 500:30:1000\nPermitUserRC no\nPrintMotd no\n\
             PrintLastLog no\nUseDNS no\nSetEnv SHLVL=2\nLogLevel ERROR\n"
        );
        for address in addresses {
            // Writing to a text cannot fail.
            let _ = writeln!(config, "ListenAddress {address}:{}", self.port);
        }
        let path = self.folder.join(format!("sshd_{number}"));
        write(&path, &config)?;
        let child = Command::new(program)
            .args(["-D", "-e", "-f"])
            .arg(&path)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .map_err(|e| Error::new(Kind::NotFound, "`sshd` cannot be started").with_source(e))?;
        self.servers.push(child);
        Ok(())
    }

    fn wait(&mut self) -> Result<()> {
        let started = Instant::now();
        for address in &self.addresses {
            while std::net::TcpStream::connect((address.as_str(), self.port)).is_err() {
                if started.elapsed() > PATIENCE {
                    let message = format!("no `sshd` on {address}:{}", self.port);
                    return Err(Error::new(Kind::Timeout, message));
                }
                #[expect(
                    clippy::disallowed_methods,
                    reason = "there is no event to wait for: another program begins to listen"
                )]
                std::thread::sleep(Duration::from_millis(10));
            }
        }
        Ok(())
    }

    /// Processor time that the servers and all their sessions have taken so far, in milliseconds.
    pub(super) fn cpu(&self) -> f64 {
        let stats = self.servers.iter().filter_map(|server| {
            let stat = std::fs::read_to_string(format!("/proc/{}/stat", server.id())).ok()?;
            ticks(&stat)
        });
        stats.sum::<u64>() as f64 * TICK_MILLISECONDS
    }
}

impl Drop for Endpoints {
    fn drop(&mut self) {
        for server in &mut self.servers {
            // Both fail if it has ended by itself.
            let _ = server.kill();
            let _ = server.wait();
        }
    }
}

/// User and system time of a process and of the children that it has waited for.
/// <https://man7.org/linux/man-pages/man5/proc_pid_stat.5.html>
fn ticks(stat: &str) -> Option<u64> {
    // The name may hold anything, and ends with the last parenthesis; the times are fields 14 to 17.
    let (_, fields) = stat.rsplit_once(')')?;
    let times = fields.split_whitespace().skip(11).take(4);
    times.map(|field| field.parse::<u64>().ok()).sum()
}

fn free_port(address: &str) -> Result<u16> {
    std::net::TcpListener::bind((address, 0))
        .and_then(|listener| listener.local_addr())
        .map(|bound| bound.port())
        .map_err(|e| Error::new(Kind::Unsupported, "there is no free port").with_source(e))
}

fn read(path: &Path) -> Result<String> {
    std::fs::read_to_string(path).map_err(|e| {
        Error::new(
            Kind::Unexpected,
            format!("cannot read `{}`", path.display()),
        )
        .with_source(e)
    })
}

fn write(path: &Path, text: &str) -> Result<()> {
    std::fs::write(path, text).map_err(|e| {
        Error::new(
            Kind::Unexpected,
            format!("cannot write `{}`", path.display()),
        )
        .with_source(e)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_behind_any_name() {
        let stat = "4711 (a) b) S 1 2 3 4 5 6 7 8 9 10 100 20 3000 400 20 0 1";
        assert_eq!(ticks(stat), Some(3_520));
        assert_eq!(ticks("nothing"), None);
    }
}
