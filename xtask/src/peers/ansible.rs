//! Ansible: reads the inventory that `fleetwright inventory` writes, and logs in with it.

use std::path::PathBuf;

use super::{Peer, python};
use crate::workspace::Workspace;

/// The folder with `ansible-inventory` and `ansible`.
const FOLDER: &str = "FLEETWRIGHT_TEST_ANSIBLE";

/// Pinned, so that a new version of it breaks nothing unseen.
const PACKAGES: [&str; 1] = ["ansible-core==2.19.14"];

/// Finds or installs it, in an environment of its own.
pub(crate) fn ensure(workspace: &Workspace) -> Peer {
    match folder(workspace) {
        Ok(folder) => Peer::Ready {
            env: vec![(FOLDER, folder.to_string_lossy().into_owned())],
        },
        Err(why) => Peer::Skipped { why },
    }
}

/// The folder with its programs.
///
/// # Errors
/// In words: why it cannot be had, and what would help.
pub(crate) fn folder(workspace: &Workspace) -> Result<PathBuf, String> {
    let python = python::ensure(&workspace.target.join("peers/ansible"), &PACKAGES)?;
    Ok(python.parent().unwrap_or(&workspace.target).to_owned())
}
