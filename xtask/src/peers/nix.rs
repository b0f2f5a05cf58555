//! Nix: builds what is expected of a machine, and says whether that is what the machine has.

use std::path::Path;

use super::Peer;
use super::apt::{Apt, find_program};

/// The folder with `nix`, `nix-build` and `nix-store`.
const FOLDER: &str = "FLEETWRIGHT_TEST_NIX";

/// Debian's package; it has no daemon and needs none, because every test has a store of its own.
const PACKAGE: &str = "nix-bin";

/// Finds it, or installs it.
pub(crate) fn ensure(apt: &mut Apt) -> Peer {
    if find_program("nix-store").is_none()
        && let Err(why) = apt.install(&[PACKAGE])
    {
        return Peer::Skipped {
            why: format!("{PACKAGE} not installed: {why}"),
        };
    }
    let program = find_program("nix-store");
    match program.as_deref().and_then(Path::parent) {
        Some(folder) => Peer::Ready {
            env: vec![(FOLDER, folder.to_string_lossy().into_owned())],
        },
        None => Peer::Skipped {
            why: "the package is installed, but `nix-store` cannot be found".to_owned(),
        },
    }
}
