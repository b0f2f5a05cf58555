//! The directory of all nodes: names, counting, and what is hidden in it.
//!
//! ```text
//! <root>/
//!   n-4f2a9c01d3e7/      a node; its name follows from token and ordinal
//!   .lock                held while nodes are made or taken out
//!   .new-<id>/           a node that is being written; becomes <id> by rename
//!   .trash-<id>-<x>/     a node that is being removed
//!   .deleted/<id>        its `node.json`: its token is spent, a replay does not bring it back
//! ```
//! Deleting writes nothing, it only renames: so it works on a full disk, too.
//!
//! Every directory that is not hidden is a node and counts. Reading needs no lock.

use std::fs::{self, DirBuilder, File, TryLockError};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use fleetwright_core::{Clock, Error, Kind, Result, Token, fingerprint};
use jiff::{SignedDuration, Timestamp};
use uuid::Uuid;

use crate::error;
use crate::node::state::{NodeDir, Record, make_private_dir};

const NEW: &str = ".new-";
const TRASH: &str = ".trash-";
const DELETED: &str = ".deleted";

/// How long another process may hold the lock before a call gives up.
const LOCK_LIMIT: Duration = Duration::from_secs(30);

/// How long a spent token is remembered. No claim stays open for nearly as long.
const REMEMBERED: SignedDuration = SignedDuration::from_hours(30 * 24);

/// The directory of all nodes.
#[derive(Debug, Clone)]
pub(crate) struct Root(PathBuf);

/// The right to make nodes and take them out, until dropped.
#[derive(Debug)]
pub(crate) struct RootLock(File);

/// The native id of a machine: the same for every call with this token.
pub(crate) fn native_id(token: &Token, ordinal: u32) -> String {
    let hash = fingerprint(&(token, ordinal));
    format!("n-{}", &hash.as_str()[..12])
}

// === impl Root ===

impl Root {
    pub(crate) fn new(path: PathBuf) -> Self {
        Self(path)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    /// The directory of a node; `None` if no node can be called that.
    pub(crate) fn node(&self, native: &str) -> Option<NodeDir> {
        let plain = native
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.'));
        let fits = (1..=100).contains(&native.len()) && !native.starts_with('.');
        (plain && fits).then(|| NodeDir::new(self.0.join(native)))
    }

    /// Makes the directories if they are not there.
    pub(crate) fn prepare(&self) -> Result<()> {
        for dir in [&self.0, &self.0.join(DELETED)] {
            DirBuilder::new()
                .recursive(true)
                .mode(0o700)
                .create(dir)
                .map_err(|e| match e.kind() {
                    // Something of that name is there that is not a directory.
                    io::ErrorKind::AlreadyExists => {
                        error::file("use", dir, io::ErrorKind::NotADirectory.into())
                    }
                    _ => error::file("make the directory", dir, e),
                })?;
        }
        Ok(())
    }

    /// The names of all nodes; of a root that is not there, none.
    pub(crate) fn names(&self) -> Result<Vec<String>> {
        let cannot = |e| error::file("read the directory", &self.0, e);
        let entries = match fs::read_dir(&self.0) {
            Ok(entries) => entries,
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(e) => return Err(cannot(e)),
        };
        let mut names = Vec::new();
        for entry in entries {
            let entry = entry.map_err(cannot)?;
            let name = entry.file_name().to_string_lossy().into_owned();
            if !name.starts_with('.') && entry.file_type().map_err(cannot)?.is_dir() {
                names.push(name);
            }
        }
        names.sort_unstable();
        Ok(names)
    }

    /// How many nodes there are.
    pub(crate) fn count(&self) -> Result<u32> {
        Ok(u32::try_from(self.names()?.len()).unwrap_or(u32::MAX))
    }

    /// Waits for the lock. The root must be there.
    pub(crate) async fn lock(&self, clock: &dyn Clock) -> Result<RootLock> {
        let path = self.0.join(".lock");
        let cannot = |e| error::file("lock", &path, e);
        let file = File::options()
            .write(true)
            .create(true)
            .truncate(false)
            .open(&path)
            .map_err(cannot)?;
        let mut waited = Duration::ZERO;
        let pause = Duration::from_millis(5);
        loop {
            match file.try_lock() {
                Ok(()) => return Ok(RootLock(file)),
                Err(TryLockError::Error(e)) => return Err(cannot(e)),
                Err(TryLockError::WouldBlock) if waited >= LOCK_LIMIT => {
                    return Err(Error::new(
                        Kind::Unavailable,
                        format!(
                            "another process has held `{}` for {} s",
                            path.display(),
                            LOCK_LIMIT.as_secs()
                        ),
                    )
                    .with_hint("end the other `fleetwright` process if it hangs"));
                }
                Err(TryLockError::WouldBlock) => {
                    clock.sleep(pause).await;
                    waited += pause;
                }
            }
        }
    }

    /// Writes a node under a hidden name and gives it its name at once. There is no node half
    /// written, and no second one of the same name.
    pub(crate) fn add(
        &self,
        _: &RootLock,
        native: &str,
        fill: impl FnOnce(&NodeDir) -> io::Result<()>,
    ) -> io::Result<NodeDir> {
        let new = self.0.join(format!("{NEW}{native}"));
        // Of a call that was killed: nobody else writes while we hold the lock.
        remove_tree(&new)?;
        let done = make_private_dir(&new)
            .and_then(|()| fill(&NodeDir::new(new.clone())))
            .and_then(|()| {
                let path = self.0.join(native);
                fs::rename(&new, &path)?;
                Ok(NodeDir::new(path))
            });
        if let Err(error) = done {
            // The first error says more than the second.
            let _left_for_the_next_call = remove_tree(&new);
            return Err(error);
        }
        done
    }

    /// Takes a node back that was added a moment ago, as if it had never been.
    pub(crate) fn withdraw(&self, _: &RootLock, native: &str) -> io::Result<()> {
        let new = self.0.join(format!("{NEW}{native}"));
        fs::rename(self.0.join(native), &new)?;
        remove_tree(&new)
    }

    /// Takes a node out; from now on it does not exist. One that does not is fine.
    pub(crate) fn take_out(&self, _: &RootLock, native: &str) -> io::Result<()> {
        let trash = self
            .0
            .join(format!("{TRASH}{native}-{}", Uuid::new_v4().simple()));
        match fs::rename(self.0.join(native), &trash) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }

    /// Removes what was taken out: one node, or all. Remembers each.
    pub(crate) fn empty_trash(&self, native: Option<&str>, now: Timestamp) -> io::Result<()> {
        for (path, name) in self.hidden(TRASH)? {
            // What stands after the last dash is unique and holds none.
            let Some((id, _)) = name[TRASH.len()..].rsplit_once('-') else {
                continue;
            };
            if native.is_none_or(|native| native == id) {
                self.bury(&path, id, now)?;
                remove_tree(&path)?;
            }
        }
        Ok(())
    }

    /// Removes what killed calls left, of every kind, and forgets deletions of long ago.
    pub(crate) fn clear(&self, _: &RootLock, now: Timestamp) -> io::Result<()> {
        // Nobody else writes while we hold the lock.
        for (path, _) in self.hidden(NEW)? {
            remove_tree(&path)?;
        }
        self.empty_trash(None, now)?;
        for entry in fs::read_dir(self.0.join(DELETED))? {
            let entry = entry?;
            let buried = Timestamp::try_from(entry.metadata()?.modified()?);
            if buried.is_ok_and(|buried| now.duration_since(buried) > REMEMBERED) {
                fs::remove_file(entry.path())?;
            }
        }
        Ok(())
    }

    /// What was asked for, if this node was deleted lately.
    pub(crate) fn buried(&self, native: &str) -> io::Result<Option<Record>> {
        match fs::read(self.0.join(DELETED).join(native)) {
            Ok(json) => serde_json::from_slice(&json)
                .map(Some)
                .map_err(io::Error::other),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn bury(&self, trash: &Path, native: &str, now: Timestamp) -> io::Result<()> {
        let record = NodeDir::new(trash.to_owned()).record_file();
        let file = match File::options().append(true).open(&record) {
            // Buried before, by a call that was killed while it removed the rest.
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            other => other?,
        };
        file.set_modified(now.into())?;
        match fs::rename(&record, self.0.join(DELETED).join(native)) {
            // Another process was faster; unless the place for it is missing.
            Err(error) if error.kind() == io::ErrorKind::NotFound && !record.try_exists()? => {
                Ok(())
            }
            other => other,
        }
    }

    fn hidden(&self, prefix: &str) -> io::Result<Vec<(PathBuf, String)>> {
        let entries = match fs::read_dir(&self.0) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(error),
        };
        let mut found = Vec::new();
        for entry in entries {
            let entry = entry?;
            let name = entry.file_name().to_string_lossy().into_owned();
            if name.starts_with(prefix) {
                found.push((entry.path(), name));
            }
        }
        Ok(found)
    }
}

impl Drop for RootLock {
    fn drop(&mut self) {
        // Closing gives the lock up, but a process that was forked a moment ago may hold a copy
        // of the descriptor until it executes its program. If this fails, closing does it.
        let _closing_does_it = self.0.unlock();
    }
}

/// Removes a directory and everything below, also what was made read-only; or a file. What is
/// gone is fine.
pub(crate) fn remove_tree(path: &Path) -> io::Result<()> {
    let gone = |result: io::Result<()>| match result {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    };
    match gone(fs::remove_dir_all(path)) {
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
            open_up(path)?;
            gone(fs::remove_dir_all(path))
        }
        Err(error) if error.kind() == io::ErrorKind::NotADirectory => gone(fs::remove_file(path)),
        // Another process removes it, too.
        Err(error) if error.kind() == io::ErrorKind::DirectoryNotEmpty => {
            gone(fs::remove_dir_all(path))
        }
        other => other,
    }
}

fn open_up(path: &Path) -> io::Result<()> {
    fs::set_permissions(path, fs::Permissions::from_mode(0o700))?;
    for entry in fs::read_dir(path)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            open_up(&entry.path())?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_id_leads_out_of_the_root() {
        let root = Root::new("/r".into());
        for bad in [
            "",
            ".",
            "..",
            "../x",
            "a/b",
            "/etc",
            ".trash-a",
            ".deleted",
            "a/",
            "./a",
            "a\0",
            "é",
            &"x".repeat(101),
        ] {
            assert!(root.node(bad).is_none(), "{bad}");
        }
        assert_eq!(root.node("n-1").unwrap().path(), Path::new("/r/n-1"));
    }

    #[test]
    fn the_id_of_a_machine_follows_from_token_and_ordinal() {
        let token = Token::from_stored("t-1");
        assert_eq!(native_id(&token, 0), native_id(&token, 0));
        assert_ne!(native_id(&token, 0), native_id(&token, 1));
        assert_ne!(
            native_id(&token, 0),
            native_id(&Token::from_stored("t-2"), 0)
        );
        // A change here orphans the nodes of every open claim in the field.
        assert_eq!(native_id(&token, 0), "n-fa474e8358e7");
    }

    #[test]
    fn a_tree_that_was_made_read_only_is_removed() {
        let dir = tempfile::tempdir().unwrap();
        let tree = dir.path().join("tree");
        fs::create_dir_all(tree.join("a/b")).unwrap();
        fs::write(tree.join("a/b/file"), "x").unwrap();
        for part in ["a/b", "a"] {
            fs::set_permissions(tree.join(part), fs::Permissions::from_mode(0o500)).unwrap();
        }
        remove_tree(&tree).unwrap();
        assert!(!tree.exists());
        remove_tree(&tree).unwrap();
    }
}
