//! Scaleway's own Python package: an independent client for our fake, and where the field names of
//! the contract come from.

use super::{Peer, python};
use crate::workspace::Workspace;

/// A Python that has the package.
const PYTHON: &str = "FLEETWRIGHT_TEST_SCALEWAY_PYTHON";

/// Pinned: the version that `crates/providers/scaleway/contract/generate.py` was run with.
const PACKAGES: [&str; 2] = ["scaleway==2.12.0", "PyYAML==6.0.4"];

/// Finds or installs the package, in an environment of its own.
pub(crate) fn ensure(workspace: &Workspace) -> Peer {
    match python::ensure(&workspace.target.join("peers/scaleway"), &PACKAGES) {
        Ok(python) => Peer::Ready {
            env: vec![(PYTHON, python.to_string_lossy().into_owned())],
        },
        Err(why) => Peer::Skipped { why },
    }
}
