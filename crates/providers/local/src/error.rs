//! The table from what the operating system says to our kinds.

use std::io;
use std::path::Path;

use fleetwright_core::{Error, Kind};

/// Translates an error of the operating system. `action` completes "cannot ...".
pub(crate) fn os(action: &str, error: io::Error) -> Error {
    let (kind, why, hint) = classify(&error);
    let mut translated = Error::new(kind, format!("cannot {action}: {why}"));
    if let Some(hint) = hint {
        translated = translated.with_hint(hint);
    }
    translated.with_source(error)
}

/// The same, about a file or directory.
pub(crate) fn file(action: &str, path: &Path, error: io::Error) -> Error {
    os(&format!("{action} `{}`", path.display()), error)
}

fn classify(error: &io::Error) -> (Kind, String, Option<&'static str>) {
    use io::ErrorKind as E;
    match error.kind() {
        // ENOSPC, EDQUOT.
        E::StorageFull | E::QuotaExceeded => (
            Kind::Unavailable,
            "the disk is full".into(),
            Some("free some space, or set `root` to a directory on another disk"),
        ),
        // EACCES, EPERM.
        E::PermissionDenied => (
            Kind::Permission,
            "permission denied".into(),
            Some("set `root` to a directory that this user may write to"),
        ),
        // EROFS.
        E::ReadOnlyFilesystem => (
            Kind::Config,
            "the file system is read-only".into(),
            Some("set `root` to a directory that can be written to"),
        ),
        // ENOTDIR: something that is not a directory is in the way.
        E::NotADirectory => (
            Kind::Config,
            "a part of the path is not a directory".into(),
            Some("set `root` to a directory"),
        ),
        // EAGAIN of fork, ENOMEM, EBUSY, EINTR: passes when something else ends.
        E::WouldBlock | E::OutOfMemory | E::ResourceBusy | E::Interrupted => (
            Kind::Unavailable,
            "this machine has no resources left for it".into(),
            Some("end other processes, or raise the limits that `ulimit -a` shows"),
        ),
        _ => match error
            .raw_os_error()
            .map(rustix::io::Errno::from_raw_os_error)
        {
            // Open files, of this process or of the machine.
            Some(rustix::io::Errno::MFILE | rustix::io::Errno::NFILE) => (
                Kind::Unavailable,
                "too many files are open".into(),
                Some("raise the limit that `ulimit -n` shows"),
            ),
            _ => (Kind::Unexpected, error.to_string(), None),
        },
    }
}

#[cfg(test)]
mod tests {
    use rustix::io::Errno;

    use super::*;

    #[test]
    fn what_the_system_says_has_a_kind() {
        for (errno, kind) in [
            (Errno::NOSPC, Kind::Unavailable),
            (Errno::DQUOT, Kind::Unavailable),
            (Errno::ACCESS, Kind::Permission),
            (Errno::PERM, Kind::Permission),
            (Errno::ROFS, Kind::Config),
            (Errno::NOTDIR, Kind::Config),
            (Errno::AGAIN, Kind::Unavailable),
            (Errno::NOMEM, Kind::Unavailable),
            (Errno::MFILE, Kind::Unavailable),
            (Errno::IO, Kind::Unexpected),
        ] {
            let error = file("write", Path::new("/x"), errno.into());
            assert_eq!(error.kind(), kind, "{errno:?}");
            assert!(error.to_string().starts_with("cannot write `/x`: "));
        }
    }

    #[test]
    fn a_full_disk_says_so() {
        let error = file("write", Path::new("/x"), Errno::NOSPC.into());
        assert_eq!(error.to_string(), "cannot write `/x`: the disk is full");
        assert!(error.hint().is_some());
    }
}
