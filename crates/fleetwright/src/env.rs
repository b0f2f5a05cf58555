//! The environment: every variable that is read, and the one way of reading them.
//!
//! [`VARIABLES`] is the documented list. Nothing else in Fleetwright looks at the process's
//! environment, except for `env:` references to secrets, which name their variable themselves.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::path::{Component, Path, PathBuf};

use fleetwright_core::{Error, Kind, Result};

/// The configuration file, if it is not at one of the usual places.
pub const CONFIG: &str = "FLEETWRIGHT_CONFIG";
/// The directory that holds journals, keys and local nodes.
pub const STATE_DIR: &str = "FLEETWRIGHT_STATE_DIR";
/// The name of the fleet.
pub const FLEET: &str = "FLEETWRIGHT_FLEET";
/// Who answers for the nodes.
pub const OWNER: &str = "FLEETWRIGHT_OWNER";
/// The journal's database file.
pub const STORE: &str = "FLEETWRIGHT_STORE";
/// What is logged on stderr.
pub const LOG: &str = "FLEETWRIGHT_LOG";
/// Where the user's configuration lies.
pub const XDG_CONFIG_HOME: &str = "XDG_CONFIG_HOME";
/// Where the user's state lies.
pub const XDG_STATE_HOME: &str = "XDG_STATE_HOME";
/// The user's home directory.
pub const HOME: &str = "HOME";
/// Where the SSH agent listens.
pub const SSH_AUTH_SOCK: &str = "SSH_AUTH_SOCK";
/// No colors, whatever its value.
pub const NO_COLOR: &str = "NO_COLOR";

/// A variable of the documented list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Variable {
    /// Its name.
    pub name: &'static str,
    /// What it does, in a sentence.
    pub about: &'static str,
}

/// Every variable that is read, in the order of the reference.
pub const VARIABLES: [Variable; 11] = [
    Variable {
        name: CONFIG,
        about: "Path of the configuration file.",
    },
    Variable {
        name: STATE_DIR,
        about: "Directory that holds journals, keys and local nodes.",
    },
    Variable {
        name: FLEET,
        about: "Name of the fleet. Wins over `fleet` in the file.",
    },
    Variable {
        name: OWNER,
        about: "Who answers for the nodes. Wins over `owner` in the file.",
    },
    Variable {
        name: STORE,
        about: "Path of the journal's database. Wins over `store.path` in the file.",
    },
    Variable {
        name: LOG,
        about: "What is logged on stderr, e.g. `debug` or `fleetwright_engine=trace`.",
    },
    Variable {
        name: XDG_CONFIG_HOME,
        about: "Where `fleetwright/fleetwright.toml` is looked for. Default: `~/.config`.",
    },
    Variable {
        name: XDG_STATE_HOME,
        about: "Where the directory `fleetwright` is made for state. Default: `~/.local/state`.",
    },
    Variable {
        name: HOME,
        about: "What `~` stands for.",
    },
    Variable {
        name: SSH_AUTH_SOCK,
        about: "Where the SSH agent listens, if `ssh.agent` is on.",
    },
    Variable {
        name: NO_COLOR,
        about: "No colors, whatever its value.",
    },
];

/// Names and values, taken once, so that nothing reads the process's environment behind the back
/// of a test.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Environment {
    values: BTreeMap<OsString, OsString>,
}

impl Environment {
    /// The environment of this process.
    pub fn of_process() -> Self {
        std::env::vars_os().collect()
    }

    /// A variable. One that is set to nothing counts as not set.
    pub fn get(&self, name: &str) -> Option<&OsStr> {
        self.values
            .get(OsStr::new(name))
            .map(OsString::as_os_str)
            .filter(|value| !value.is_empty())
    }

    /// A variable that must be text.
    ///
    /// # Errors
    /// [`Kind::Config`] if it is not UTF-8. The value is not repeated.
    pub fn text(&self, name: &str) -> Result<Option<String>> {
        self.get(name)
            .map(|value| {
                value.to_str().map(str::to_owned).ok_or_else(|| {
                    Error::new(
                        Kind::Config,
                        format!("the variable `{name}` is not UTF-8 text"),
                    )
                })
            })
            .transpose()
    }

    /// A variable that is a path.
    pub fn path(&self, name: &str) -> Option<PathBuf> {
        self.get(name).map(PathBuf::from)
    }

    /// The home directory.
    pub fn home(&self) -> Option<PathBuf> {
        self.path(HOME)
    }

    /// One of the XDG base directories; `below_home` if the variable is not set to an absolute
    /// path, as [the specification](https://specifications.freedesktop.org/basedir-spec/latest/)
    /// says.
    pub fn base_directory(&self, name: &str, below_home: &str) -> Option<PathBuf> {
        self.path(name)
            .filter(|path| path.is_absolute())
            .or_else(|| Some(self.home()?.join(below_home)))
    }

    /// Replaces a leading `~` by the home directory, and lets a relative path start at `base`.
    pub fn expand(&self, path: &Path, base: &Path) -> PathBuf {
        let mut parts = path.components();
        match (parts.next(), self.home()) {
            (Some(Component::Normal(first)), Some(home)) if first == "~" => {
                home.join(parts.as_path())
            }
            _ => base.join(path),
        }
    }
}

impl<N: Into<OsString>, V: Into<OsString>> FromIterator<(N, V)> for Environment {
    fn from_iter<I: IntoIterator<Item = (N, V)>>(values: I) -> Self {
        Self {
            values: values
                .into_iter()
                .map(|(name, value)| (name.into(), value.into()))
                .collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_variable_counts_as_not_set() {
        let environment: Environment = [(CONFIG, ""), (FLEET, "lab")].into_iter().collect();
        assert_eq!(environment.get(CONFIG), None);
        assert_eq!(environment.text(FLEET).unwrap().as_deref(), Some("lab"));
    }

    #[test]
    fn a_tilde_is_home_and_a_relative_path_starts_at_the_base() {
        let environment: Environment = [(HOME, "/home/ada")].into_iter().collect();
        for (path, expanded) in [
            ("~/keys/a", "/home/ada/keys/a"),
            ("~", "/home/ada"),
            ("~other/a", "/etc/fw/~other/a"),
            ("keys/a", "/etc/fw/keys/a"),
            ("/a", "/a"),
        ] {
            assert_eq!(
                environment.expand(Path::new(path), Path::new("/etc/fw")),
                Path::new(expanded)
            );
        }
    }

    #[test]
    fn a_relative_base_directory_is_ignored_as_its_specification_says() {
        let environment: Environment = [(HOME, "/h"), (XDG_STATE_HOME, "rel")]
            .into_iter()
            .collect();
        assert_eq!(
            environment.base_directory(XDG_STATE_HOME, ".local/state"),
            Some("/h/.local/state".into())
        );
    }

    #[test]
    fn the_list_names_every_variable_once() {
        let mut names: Vec<&str> = VARIABLES.iter().map(|variable| variable.name).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), VARIABLES.len());
    }
}
