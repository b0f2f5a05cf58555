//! Where the configuration file is looked for.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use fleetwright_core::Result;
use serde::Serialize;

use super::source::{Problem, Problems, Source};
use super::{BUILT_IN, FILE_NAME, Overrides};
use crate::env::{self, Environment};

/// Where a configuration came from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "from", content = "path", rename_all = "kebab-case")]
pub enum Origin {
    /// A file.
    File(PathBuf),
    /// There was no file: the built-in fleet on this machine.
    BuiltIn,
}

impl Origin {
    /// The folder where relative paths in the configuration start; `current` if there was no file.
    pub fn directory(&self, current: &Path) -> PathBuf {
        match self {
            Self::File(path) => current
                .join(path)
                .parent()
                .map_or_else(|| current.to_owned(), Path::to_owned),
            Self::BuiltIn => current.to_owned(),
        }
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => write!(f, "`{}`", path.display()),
            Self::BuiltIn => f.write_str("the built-in configuration"),
        }
    }
}

/// A configuration that was found and not yet parsed.
pub(crate) struct Found {
    pub(crate) source: Arc<Source>,
    /// Where relative paths in it start.
    pub(crate) directory: PathBuf,
    pub(crate) origin: Origin,
}

/// Looks at the flag, the variable, the current directory and the user's configuration, in this
/// order. A file that was named must exist; else the built-in configuration is the answer.
pub(crate) fn discover(
    overrides: &Overrides,
    environment: &Environment,
    directory: &Path,
) -> Result<Found> {
    if let Some(path) = &overrides.config {
        return read(&environment.expand(path, directory), "named by `--config`");
    }
    if let Some(path) = environment.path(env::CONFIG) {
        let path = environment.expand(&path, directory);
        return read(&path, &format!("named by the variable `{}`", env::CONFIG));
    }
    let user = environment
        .base_directory(env::XDG_CONFIG_HOME, ".config")
        .map(|base| base.join("fleetwright").join(FILE_NAME));
    for path in [Some(directory.join(FILE_NAME)), user]
        .into_iter()
        .flatten()
    {
        // Only "there is none" leads on to the next place: a file that cannot be read must not be
        // passed over in silence.
        match path.symlink_metadata() {
            Ok(_) => return read(&path, "found"),
            Err(error) if is_absent(&error) => {}
            Err(error) => return Err(unreadable(&path, "found", &error).into()),
        }
    }
    Ok(Found {
        source: Arc::new(Source::new("built-in configuration", BUILT_IN)),
        directory: directory.to_owned(),
        origin: Origin::BuiltIn,
    })
}

fn read(path: &Path, how: &str) -> Result<Found> {
    let bytes = std::fs::read(path).map_err(|error| unreadable(path, how, &error))?;
    let text = String::from_utf8(bytes).map_err(|error| {
        let good = error.utf8_error().valid_up_to();
        let lossy = String::from_utf8_lossy(error.as_bytes()).into_owned();
        problems(
            Source::new(path.display().to_string(), lossy),
            Problem {
                span: Some(good..good + 1),
                ..Problem::new("the file is not UTF-8 text")
            },
        )
    })?;
    Ok(Found {
        source: Arc::new(Source::new(path.display().to_string(), text)),
        directory: path.parent().unwrap_or(Path::new("")).to_owned(),
        origin: Origin::File(path.to_owned()),
    })
}

fn is_absent(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
    )
}

fn unreadable(path: &Path, how: &str, error: &io::Error) -> Problems {
    let problem = if is_absent(error) {
        Problem::new(format!(
            "there is no configuration file `{}` ({how})",
            path.display()
        ))
        .with_hint("`fleetwright init` writes one")
    } else {
        Problem::new(format!(
            "the configuration file `{}` ({how}) cannot be read: {error}",
            path.display()
        ))
    };
    problems(Source::new(path.display().to_string(), ""), problem)
}

fn problems(source: Source, problem: Problem) -> Problems {
    Problems::new(&Arc::new(source), vec![problem]).expect("a list of one problem is not empty")
}
