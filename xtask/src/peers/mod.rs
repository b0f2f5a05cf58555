//! Peers: real programs that tests are judged against.
//!
//! Each is one file with one function, `ensure`, that finds its programs or installs them and
//! says which environment tests need to find them, or why it cannot be had here. A test that
//! needs a peer reads that environment; without it, it ends at once and says so.
//!
//! ```text
//!  ensure() ──► Ready { env }    handed to the test run
//!          └──► Skipped { why }  counted and shown at the end
//! ```
//! A peer that is a server runs as long as its `Ensured` is held.

pub(crate) mod ansible;
mod apt;
pub(crate) mod moto;
mod openssh;
mod prism;
pub(crate) mod python;
mod scaleway;

use std::path::PathBuf;

use crate::workspace::Workspace;

/// What came of looking for a peer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Peer {
    /// It can be used.
    Ready {
        /// Names and values that the test run gets.
        env: Vec<(&'static str, String)>,
    },
    /// It cannot.
    Skipped {
        /// Why, and what would help.
        why: String,
    },
}

/// A peer with its name, as the summary shows it.
#[derive(Debug)]
pub(crate) struct Ensured {
    /// Its name.
    pub(crate) name: &'static str,
    /// What came of it.
    pub(crate) peer: Peer,
    /// The server that was started for it, if it is one.
    pub(crate) _server: Option<moto::Server>,
}

/// The system's `sshd`, which is usually not in `PATH`.
pub(crate) fn find_sshd() -> Option<PathBuf> {
    apt::find_program("sshd")
}

/// Looks for every peer, one after the other: they share the package manager.
pub(crate) fn ensure_all(workspace: &Workspace) -> Vec<Ensured> {
    let mut apt = apt::Apt::default();
    let openssh = Ensured {
        name: "openssh (sshd and ssh)",
        peer: openssh::ensure(&mut apt),
        _server: None,
    };
    let (peer, server) = moto::ensure(workspace);
    let moto = Ensured {
        name: "moto (and boto3)",
        peer,
        _server: server,
    };
    let scaleway = Ensured {
        name: "scaleway (the vendor's Python package)",
        peer: scaleway::ensure(workspace),
        _server: None,
    };
    let ansible = Ensured {
        name: "ansible (ansible-core)",
        peer: ansible::ensure(workspace),
        _server: None,
    };
    let prism = Ensured {
        name: "prism (a second judge of API descriptions)",
        peer: prism::ensure(workspace),
        _server: None,
    };
    vec![openssh, moto, scaleway, ansible, prism]
}
