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

mod apt;
mod openssh;

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
}

/// Looks for every peer, one after the other: they share the package manager.
pub(crate) fn ensure_all() -> Vec<Ensured> {
    let mut apt = apt::Apt::default();
    vec![Ensured {
        name: "openssh (sshd and ssh)",
        peer: openssh::ensure(&mut apt),
    }]
}
