//! An empty folder under the target folder, in which a chore runs the command as a user would.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use fleetwright_core::{Error, Kind, Result};

use crate::programs::Programs;
use crate::workspace::Workspace;

/// The folder, and the command beside which nothing of this machine's configuration is seen.
#[derive(Debug)]
pub(crate) struct Scratch {
    folder: PathBuf,
    path: std::ffi::OsString,
}

impl Scratch {
    /// Makes `xtask/<name>` in the target folder, empty.
    pub(crate) fn new(workspace: &Workspace, programs: &Programs, name: &str) -> Result<Self> {
        let folder = workspace.target.join("xtask").join(name);
        match std::fs::remove_dir_all(&folder) {
            Err(e) if e.kind() != std::io::ErrorKind::NotFound => return Err(failed(&folder, e)),
            _ => {}
        }
        std::fs::create_dir_all(&folder).map_err(|e| failed(&folder, e))?;
        let program = programs.path("fleetwright")?;
        let bin = program.parent().unwrap_or(program).to_owned();
        let system = std::env::var_os("PATH").unwrap_or_default();
        let path = std::env::join_paths(std::iter::once(bin).chain(std::env::split_paths(&system)))
            .map_err(|e| Error::new(Kind::Config, "`PATH` cannot be extended").with_source(e))?;
        Ok(Self { folder, path })
    }

    /// Where it is.
    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    /// Writes a file.
    pub(crate) fn write(&self, name: &str, text: &str) -> Result<()> {
        let path = self.folder.join(name);
        std::fs::write(&path, text).map_err(|e| failed(&path, e))
    }

    /// A program that finds `fleetwright` first, has this folder as home, and no terminal.
    pub(crate) fn command(&self, program: impl AsRef<OsStr>) -> Command {
        let mut command = Command::new(program);
        command
            .current_dir(&self.folder)
            .env_clear()
            .env("PATH", &self.path)
            .env("HOME", &self.folder)
            .stdin(Stdio::null());
        command
    }
}

fn failed(path: &Path, error: std::io::Error) -> Error {
    Error::new(
        Kind::Unexpected,
        format!("cannot write `{}`", path.display()),
    )
    .with_source(error)
}
