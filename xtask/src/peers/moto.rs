//! moto: an independent EC2 that runs offline, and `boto3`, an independent client.
//!
//! ```text
//!  moto_server.py ──► the shared server     FLEETWRIGHT_TEST_MOTO, for the whole run
//!       ▲        └──► a server of one's own for whoever connects to FLEETWRIGHT_TEST_MOTO_STARTER
//!       └─ held by `Server`; it ends, with all servers, when that is dropped or this process dies
//! ```
//! moto needs seconds to load. So it is loaded once, and each server is a fork of that.

use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use super::{Peer, python};
use crate::workspace::Workspace;

/// URL of the server that all tests share. State is kept per account.
const SHARED: &str = "FLEETWRIGHT_TEST_MOTO";
/// Address to connect to for a server of one's own: one line, its URL, comes back, and it runs
/// until the connection is closed.
const STARTER: &str = "FLEETWRIGHT_TEST_MOTO_STARTER";
/// A Python that has `boto3`.
const PYTHON: &str = "FLEETWRIGHT_TEST_PYTHON";

/// Pinned. `moto[server]` would bring three times as much, for services that no test uses.
const PACKAGES: [&str; 5] = [
    "moto==5.2.5",
    "flask==3.1.3",
    "flask-cors==6.0.5",
    "PyYAML==6.0.4",
    "boto3==1.44.8",
];

/// The program that starts servers.
const PROGRAM: &str = include_str!("moto_server.py");

/// Finds or installs the packages and starts the shared server.
pub(crate) fn ensure(workspace: &Workspace) -> (Peer, Option<Server>) {
    match start(workspace) {
        Ok(server) => {
            let text = |path: &Path| path.to_string_lossy().into_owned();
            let env = vec![
                (SHARED, server.url.clone()),
                (STARTER, server.starter.clone()),
                (PYTHON, text(&server.python)),
            ];
            (Peer::Ready { env }, Some(server))
        }
        Err(why) => (Peer::Skipped { why }, None),
    }
}

/// A Python that has `boto3`, installed if it is not there.
///
/// # Errors
/// In words, as [`python::ensure`].
pub(crate) fn python(workspace: &Workspace) -> Result<PathBuf, String> {
    python::ensure(&workspace.target.join("peers/python"), &PACKAGES)
}

/// A running moto. It ends when this is dropped.
#[derive(Debug)]
pub(crate) struct Server {
    url: String,
    starter: String,
    python: PathBuf,
    process: Child,
    /// While it is open, the shared server runs.
    _connection: BufReader<TcpStream>,
}

impl Drop for Server {
    fn drop(&mut self) {
        // Its end is what it waits for on its standard input; killing only makes sure.
        drop(self.process.stdin.take());
        if let Err(error) = self.process.kill().and_then(|()| self.process.wait()) {
            eprintln!("peers: moto may still run: {error}");
        }
    }
}

fn start(workspace: &Workspace) -> Result<Server, String> {
    let python = python(workspace)?;
    let log = workspace.target.join("peers/moto.log");
    let program = workspace.target.join("peers/moto_server.py");
    let failed = |what: &str, error| format!("{what}: {error}; its output is in {}", log.display());
    std::fs::write(&program, PROGRAM).map_err(|e| failed("cannot write the program", e))?;
    let output = File::create(&log).map_err(|e| failed("cannot write its output", e))?;
    let mut process = Command::new(&python)
        .arg(&program)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(output)
        .spawn()
        .map_err(|e| failed("cannot start it", e))?;
    let told = process.stdout.take().map(BufReader::new).map(line);
    let started = match told {
        Some(Ok(address)) => TcpStream::connect(&address)
            .map(BufReader::new)
            .and_then(|mut connection| Ok((line(&mut connection)?, address, connection))),
        Some(Err(error)) => Err(error),
        None => Err(std::io::ErrorKind::BrokenPipe.into()),
    };
    match started {
        Ok((url, address, connection)) => Ok(Server {
            url,
            starter: address,
            python,
            process,
            _connection: connection,
        }),
        Err(error) => {
            let ended = process.kill().and_then(|()| process.wait());
            let more = ended.err().map_or_else(String::new, |e| format!(" ({e})"));
            Err(failed("it did not start", error) + &more)
        }
    }
}

/// One line, without its end. A text that ends before its line does is an error.
fn line(mut from: impl BufRead) -> std::io::Result<String> {
    let mut text = String::new();
    from.by_ref().take(256).read_line(&mut text)?;
    match text.strip_suffix('\n') {
        Some(line) if !line.is_empty() => Ok(line.to_owned()),
        _ => Err(std::io::Error::new(
            std::io::ErrorKind::UnexpectedEof,
            format!("`{text}` instead of an address"),
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_a_whole_line() {
        assert_eq!(line(&b"127.0.0.1:80\nmore"[..]).unwrap(), "127.0.0.1:80");
        assert!(line(&b""[..]).is_err());
        assert!(line(&b"\n"[..]).is_err());
        assert!(line(&b"127.0.0.1:8"[..]).is_err());
    }

    #[test]
    fn every_package_is_pinned() {
        for package in PACKAGES {
            assert!(
                package.split_once("==").is_some_and(|(_, v)| !v.is_empty()),
                "{package}"
            );
        }
    }

    #[test]
    fn the_server_ends_when_nobody_holds_it() {
        let mut process = Command::new("sleep")
            .arg("60")
            .stdin(Stdio::piped())
            .spawn()
            .unwrap();
        let id = process.id();
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let connection = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        assert!(process.try_wait().unwrap().is_none());
        drop(Server {
            url: String::new(),
            starter: String::new(),
            python: PathBuf::new(),
            process,
            _connection: BufReader::new(connection),
        });
        assert!(!Path::new(&format!("/proc/{id}")).exists());
        let (mut other_end, _) = listener.accept().unwrap();
        assert_eq!(
            other_end.read(&mut [0; 1]).unwrap(),
            0,
            "the connection is closed"
        );
    }
}
