//! Prism: a proxy that others wrote, which holds requests and answers against an official API
//! description. Tests start it themselves, once per provider: it needs some seconds.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::Peer;
use super::apt::find_program;
use crate::workspace::{Workspace, output};

/// Its program, a file of JavaScript that `node` runs.
const PROGRAM: &str = "FLEETWRIGHT_TEST_PRISM";

/// Pinned: the newest that runs on Node 18 and 20.
const PACKAGE: &str = "@stoplight/prism-cli@5.14.2";

/// The oldest major version of Node that the package supports.
const NODE: u32 = 18;

/// Says which package a folder has; written when it is complete.
const STAMP: &str = "fleetwright-package.txt";

/// Finds or installs the package, in a folder of its own.
pub(crate) fn ensure(workspace: &Workspace) -> Peer {
    match install(&workspace.target.join("peers/prism")) {
        Ok(program) => Peer::Ready {
            env: vec![(PROGRAM, program.to_string_lossy().into_owned())],
        },
        Err(why) => Peer::Skipped { why },
    }
}

fn install(folder: &Path) -> Result<PathBuf, String> {
    for program in ["node", "npm"] {
        if find_program(program).is_none() {
            return Err(format!("`{program}` is not installed"));
        }
    }
    let version = said(Command::new("node").arg("--version"))?;
    if major(&version).is_none_or(|major| major < NODE) {
        let version = version.trim();
        return Err(format!(
            "it needs Node {NODE} or newer, and this is {version}"
        ));
    }
    let program = folder.join("node_modules/@stoplight/prism-cli/dist/index.js");
    let stamp = folder.join(STAMP);
    if std::fs::read_to_string(&stamp).is_ok_and(|text| text == PACKAGE) && program.exists() {
        return Ok(program);
    }
    println!("peers: npm install {PACKAGE}");
    let failed = |what: &Path, error| format!("cannot write `{}`: {error}", what.display());
    std::fs::create_dir_all(folder).map_err(|error| failed(folder, error))?;
    let mut install = Command::new("npm");
    install
        .arg("install")
        .arg("--prefix")
        .arg(folder)
        // Nothing of it needs to be built, and what it would run at its installation we do not know.
        .args(["--ignore-scripts", "--no-audit", "--no-fund", "--no-save"])
        .args(["--loglevel=error", PACKAGE]);
    said(&mut install)?;
    if !program.exists() {
        return Err(format!("the package has no `{}`", program.display()));
    }
    std::fs::write(&stamp, PACKAGE).map_err(|error| failed(&stamp, error))?;
    Ok(program)
}

/// `v20.20.2` is 20.
fn major(version: &str) -> Option<u32> {
    let version = version.trim().strip_prefix('v')?;
    version.split('.').next()?.parse().ok()
}

fn said(command: &mut Command) -> Result<String, String> {
    output(command).map_err(|error| {
        let text = error.report().to_string();
        let last = text.lines().last().unwrap_or_default().trim();
        format!("{error}: {last}")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_package_is_pinned_and_a_version_of_node_understood() {
        let version = PACKAGE.rsplit('@').next().unwrap();
        assert_eq!(version.split('.').count(), 3, "{version}");
        assert_eq!(major("v20.20.2\n"), Some(20));
        assert_eq!(major("20.20.2"), None);
        assert_eq!(major("v"), None);
    }

    #[test]
    fn a_complete_folder_is_used_as_it_is() {
        if find_program("npm").is_none() {
            return;
        }
        let folder = std::env::temp_dir().join(format!("xtask-prism-{}", std::process::id()));
        let program = folder.join("node_modules/@stoplight/prism-cli/dist/index.js");
        std::fs::create_dir_all(program.parent().unwrap()).unwrap();
        std::fs::write(&program, "").unwrap();
        std::fs::write(folder.join(STAMP), PACKAGE).unwrap();
        assert_eq!(install(&folder), Ok(program));
        std::fs::remove_dir_all(&folder).unwrap();
    }
}
