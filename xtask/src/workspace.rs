//! The checkout: where it is, which crates and files it has, how its tools are started.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use fleetwright_core::{Error, Kind, Result};
use serde_json::Value;

/// Selects every crate and every provider. All chores and `.ci/run` select the same, so that
/// cargo compiles nothing twice.
pub(crate) const EVERYTHING: [&str; 2] = ["--workspace", ALL_PROVIDERS];

/// Gives the command every provider, also those that take long to build.
pub(crate) const ALL_PROVIDERS: &str = "--features=fleetwright-cli/full";

/// The checkout that this program belongs to.
#[derive(Debug)]
pub(crate) struct Workspace {
    /// Its top folder.
    pub(crate) root: PathBuf,
    /// Where cargo puts what it builds, and chores what they need.
    pub(crate) target: PathBuf,
    /// Its crates, with the dependencies that they declare.
    pub(crate) packages: Vec<Package>,
}

/// A crate of ours.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Package {
    /// Its name.
    pub(crate) name: String,
    /// Its manifest, relative to the top folder.
    pub(crate) manifest: String,
    /// What it declares, of every kind.
    pub(crate) dependencies: Vec<Dependency>,
}

/// A declared dependency.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Dependency {
    /// The name of the crate it is.
    pub(crate) name: String,
    /// Whether only tests and benchmarks have it.
    pub(crate) dev: bool,
}

impl Workspace {
    /// Reads `cargo metadata` of the checkout that this program was started from.
    pub(crate) fn load() -> Result<Self> {
        let manifest = std::env::var_os("CARGO_MANIFEST_DIR").ok_or_else(|| {
            Error::new(Kind::Config, "the checkout is not known")
                .with_hint("start it as `cargo xtask`")
        })?;
        let root = Path::new(&manifest)
            .parent()
            .ok_or_else(|| Error::new(Kind::Config, "`xtask` has no parent folder"))?
            .to_owned();
        let mut command = Command::new(cargo());
        command.args(["metadata", "--format-version=1", "--no-deps"]);
        let metadata = serde_json::from_str(&output(command.current_dir(&root))?)
            .map_err(|e| unexpected("`cargo metadata` is not JSON").with_source(e))?;
        let packages = packages(&metadata, &root)?;
        let target = text(&metadata, "target_directory")?.into();
        Ok(Self {
            root,
            target,
            packages,
        })
    }

    /// The text of a file, by its path from the top folder.
    pub(crate) fn read(&self, path: &str) -> Result<String> {
        std::fs::read_to_string(self.root.join(path))
            .map_err(|e| Error::new(Kind::NotFound, format!("cannot read `{path}`")).with_source(e))
    }

    /// Every file that belongs to the project: those that git knows and those it would add.
    pub(crate) fn files(&self) -> Result<Vec<String>> {
        let mut command = Command::new("git");
        command.args([
            "ls-files",
            "-z",
            "--cached",
            "--others",
            "--exclude-standard",
        ]);
        let listed = output(command.current_dir(&self.root))?;
        let mut files: Vec<String> = listed
            .split('\0')
            .filter(|path| !path.is_empty() && self.root.join(path).is_file())
            .map(str::to_owned)
            .collect();
        files.sort();
        files.dedup();
        Ok(files)
    }

    /// A command of cargo in the top folder, without a terminal to ask questions on.
    ///
    /// It does not see what the cargo that started us has said about this crate: ring is built
    /// anew whenever that changes, and half of the workspace with it.
    pub(crate) fn cargo<S: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = S>) -> Command {
        let mut command = Command::new(cargo());
        command
            .args(args)
            .current_dir(&self.root)
            .stdin(Stdio::null());
        for (name, _) in std::env::vars_os() {
            if name.to_str().is_some_and(is_about_this_crate) {
                command.env_remove(name);
            }
        }
        command
    }
}

/// Whether `cargo run` has set a variable to tell us about ourselves.
fn is_about_this_crate(name: &str) -> bool {
    [
        "CARGO_PKG_",
        "CARGO_MANIFEST_",
        "CARGO_BIN_",
        "CARGO_CRATE_",
    ]
    .iter()
    .any(|start| name.starts_with(start))
}

/// The cargo that started us.
fn cargo() -> PathBuf {
    std::env::var_os("CARGO").map_or_else(|| "cargo".into(), PathBuf::from)
}

/// Runs a command to its end and gives what it wrote to standard output.
///
/// # Errors
/// `NotFound` if it cannot be started; `Unexpected`, with its standard error, if it fails.
pub(crate) fn output(command: &mut Command) -> Result<String> {
    let words: Vec<_> = std::iter::once(command.get_program())
        .chain(command.get_args())
        .map(OsStr::to_string_lossy)
        .collect();
    let shown = words.join(" ");
    let done = command.stdin(Stdio::null()).output().map_err(|e| {
        Error::new(Kind::NotFound, format!("cannot start `{shown}`")).with_source(e)
    })?;
    if !done.status.success() {
        let said = String::from_utf8_lossy(&done.stderr).trim().to_owned();
        return Err(unexpected(format!("`{shown}` ended with {}", done.status)).with_source(said));
    }
    String::from_utf8(done.stdout)
        .map_err(|e| unexpected(format!("`{shown}` did not write UTF-8")).with_source(e))
}

fn unexpected(message: impl Into<String>) -> Error {
    Error::new(Kind::Unexpected, message)
}

/// A text in `cargo metadata`.
fn text(value: &Value, key: &str) -> Result<String> {
    value[key]
        .as_str()
        .map(str::to_owned)
        .ok_or_else(|| unexpected(format!("`cargo metadata` has no `{key}`")))
}

/// Picks what the rules look at out of `cargo metadata`.
fn packages(metadata: &Value, root: &Path) -> Result<Vec<Package>> {
    let list = |value: &Value, key: &str| {
        value[key]
            .as_array()
            .cloned()
            .ok_or_else(|| unexpected(format!("`cargo metadata` has no `{key}`")))
    };
    list(metadata, "packages")?
        .iter()
        .map(|package| {
            let manifest = text(package, "manifest_path")?;
            let relative = Path::new(&manifest)
                .strip_prefix(root)
                .map_err(|e| unexpected(format!("`{manifest}` is outside")).with_source(e))?;
            let dependencies = list(package, "dependencies")?
                .iter()
                .map(|dependency| {
                    Ok(Dependency {
                        name: text(dependency, "name")?,
                        dev: dependency["kind"].as_str() == Some("dev"),
                    })
                })
                .collect::<Result<_>>()?;
            Ok(Package {
                name: text(package, "name")?,
                manifest: relative.to_string_lossy().into_owned(),
                dependencies,
            })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn metadata_gives_names_manifests_and_kinds() {
        let metadata = json!({"packages": [{
            "name": "a",
            "manifest_path": "/top/crates/a/Cargo.toml",
            "dependencies": [
                {"name": "tokio", "kind": null},
                {"name": "insta", "kind": "dev"},
            ],
        }]});
        let found = packages(&metadata, Path::new("/top")).unwrap();
        assert_eq!(found[0].manifest, "crates/a/Cargo.toml");
        let kinds: Vec<_> = found[0]
            .dependencies
            .iter()
            .map(|d| (d.name.as_str(), d.dev))
            .collect();
        assert_eq!(kinds, [("tokio", false), ("insta", true)]);
    }

    #[test]
    fn metadata_in_another_shape_is_an_error_and_not_an_empty_workspace() {
        assert!(packages(&json!({}), Path::new("/top")).is_err());
        assert!(packages(&json!({"packages": [{"name": "a"}]}), Path::new("/top")).is_err());
    }

    #[test]
    fn cargo_does_not_hear_about_this_crate_but_about_its_settings() {
        for name in ["CARGO_PKG_NAME", "CARGO_MANIFEST_DIR", "CARGO_BIN_NAME"] {
            assert!(is_about_this_crate(name), "{name}");
        }
        for name in [
            "CARGO",
            "CARGO_HOME",
            "CARGO_TERM_COLOR",
            "CARGO_BUILD_JOBS",
        ] {
            assert!(!is_about_this_crate(name), "{name}");
        }
    }

    #[test]
    fn a_command_that_fails_says_why() {
        let error = output(Command::new("sh").args(["-c", "echo broken >&2; exit 3"])).unwrap_err();
        assert!(error.report().to_string().ends_with("broken"), "{error:?}");
        assert_eq!(
            output(&mut Command::new("/nonexistent/tool"))
                .unwrap_err()
                .kind(),
            Kind::NotFound
        );
    }
}
