//! The programs of the workspace that chores ask: the command, and the examples that print pages.
//!
//! They are built in one call that selects the whole workspace, every provider and, by
//! `--examples`, the dependencies of tests too. So cargo sees the same features as in the `cargo clippy` of `.ci/run`
//! and in the tests, and compiles no library twice.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use fleetwright_core::{Error, Kind, Result};
use serde_json::Value;

use crate::workspace::{EVERYTHING, Workspace, output};

/// Package and target of the programs that most benchmarks measure.
pub(crate) const OURS: &[[&str; 2]] = &[
    ["--package=fleetwright-cli", "--bin=fleetwright"],
    ["--package=fleetwright-engine", "--example=measure"],
];

/// The same for the benchmark of AWS. They need the SDK, which takes long to build.
pub(crate) const AWS: &[[&str; 2]] = &[
    ["--package=fleetwright-aws", "--example=measure_aws"],
    ["--package=fleetwright-aws-fake", "--example=bench_fake"],
];

/// The same for the benchmark of SSH.
pub(crate) const MINIMAL: &[[&str; 2]] =
    &[["--package=fleetwright-remote", "--example=minimal_client"]];

/// Where the built programs are.
#[derive(Debug, Clone)]
pub(crate) struct Programs(BTreeMap<String, PathBuf>);

impl Programs {
    /// Builds the command and the examples.
    pub(crate) fn build(workspace: &Workspace) -> Result<Self> {
        let mut command = workspace.cargo(["build"]);
        command.args(EVERYTHING).args([
            "--bin=fleetwright",
            "--examples",
            "--message-format=json-render-diagnostics",
        ]);
        Ok(Self(executables(&output(&mut command)?)))
    }

    /// Builds what is measured, as users build it: each with its own features only.
    pub(crate) fn build_release(workspace: &Workspace, wanted: &[[&str; 2]]) -> Result<Self> {
        let mut all = BTreeMap::new();
        for selected in wanted {
            let mut command = workspace.cargo(["build", "--release"]);
            command
                .args(selected)
                .arg("--message-format=json-render-diagnostics");
            all.extend(executables(&output(&mut command)?));
        }
        Ok(Self(all))
    }

    /// These programs, and instead of those that are in both, the others.
    pub(crate) fn replaced_by(mut self, others: Self) -> Self {
        self.0.extend(others.0);
        self
    }

    /// The program of that name.
    ///
    /// # Errors
    /// `Unexpected` if cargo did not build one.
    pub(crate) fn path(&self, name: &str) -> Result<&Path> {
        self.0.get(name).map(PathBuf::as_path).ok_or_else(|| {
            Error::new(
                Kind::Unexpected,
                format!("cargo does not say where `{name}` is"),
            )
        })
    }
}

/// Name and path of each program in what cargo says about a build.
fn executables(messages: &str) -> BTreeMap<String, PathBuf> {
    messages
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok())
        .filter_map(|message| {
            let name = message["target"]["name"].as_str()?;
            Some((name.to_owned(), message["executable"].as_str()?.into()))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_is_found_and_the_library_of_the_same_name_is_not() {
        let messages = "{\"target\":{\"name\":\"fleetwright\"},\"executable\":null}\nnoise\n\
                        {\"target\":{\"name\":\"other\"},\"executable\":\"/x/other\"}\n\
                        {\"target\":{\"name\":\"fleetwright\"},\"executable\":\"/x/fleetwright\"}\n\
                        {\"target\":{\"name\":\"fleetwright\"},\"executable\":null}\n";
        let programs = Programs(executables(messages));
        assert_eq!(
            programs.path("fleetwright").unwrap(),
            Path::new("/x/fleetwright")
        );
        assert_eq!(
            programs.path("missing").unwrap_err().kind(),
            Kind::Unexpected
        );
    }
}
