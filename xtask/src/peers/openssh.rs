//! OpenSSH: the system's own `sshd` and `ssh`, to judge our client and our nodes by.

use std::path::Path;

use super::Peer;
use super::apt::{Apt, find_program};

/// Where tests find the server, which is usually not in `PATH`. The client is.
const SSHD: &str = "FLEETWRIGHT_TEST_SSHD";

/// Debian's package of each program.
const PACKAGES: [(&str, &str); 2] = [("sshd", "openssh-server"), ("ssh", "openssh-client")];

/// Finds both programs, or installs what is missing.
pub(crate) fn ensure(apt: &mut Apt) -> Peer {
    let missing: Vec<&str> = PACKAGES
        .iter()
        .filter(|(program, _)| find_program(program).is_none())
        .map(|(_, package)| *package)
        .collect();
    if missing.contains(&"openssh-server") && would_open_a_port() {
        return Peer::Skipped {
            why: "`sshd` is not installed, and installing it here would start it as a network \
                  service; install `openssh-server` yourself, or set `CI=true`"
                .to_owned(),
        };
    }
    if !missing.is_empty()
        && let Err(why) = apt.install(&missing)
    {
        return Peer::Skipped {
            why: format!("{} not installed: {why}", missing.join(" and ")),
        };
    }
    let (Some(sshd), Some(_)) = (find_program("sshd"), find_program("ssh")) else {
        return Peer::Skipped {
            why: "the packages are installed, but `sshd` or `ssh` cannot be found".to_owned(),
        };
    };
    if let Err(why) = prepare() {
        return Peer::Skipped { why };
    }
    Peer::Ready {
        env: vec![(SSHD, sshd.to_string_lossy().into_owned())],
    }
}

/// Debian starts a service when its package is installed. In a container nothing does; on a
/// developer's machine, an SSH server on port 22 would come as a surprise.
fn would_open_a_port() -> bool {
    Path::new("/run/systemd/system").is_dir() && std::env::var_os("CI").is_none()
}

/// As root, sshd wants its empty folder; the service makes it at start, and we start none.
fn prepare() -> Result<(), String> {
    let folder = Path::new("/run/sshd");
    if folder.is_dir() {
        return Ok(());
    }
    match std::fs::create_dir(folder) {
        Ok(()) => Ok(()),
        // Not root: then sshd does not separate privileges and does not look for the folder.
        Err(error) if error.kind() == std::io::ErrorKind::PermissionDenied => Ok(()),
        Err(error) => Err(format!(
            "cannot make `/run/sshd`, which sshd needs as root: {error}"
        )),
    }
}
