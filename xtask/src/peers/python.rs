//! Python packages in an environment of our own under the target folder.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::apt::find_program;
use crate::workspace::output;

/// Says which packages an environment has, and of which Python; written when it is complete.
const STAMP: &str = "fleetwright-packages.txt";

/// Makes the environment, unless it is there already, and gives its `python`.
///
/// # Errors
/// In words: why it cannot be had, and what would help.
pub(crate) fn ensure(folder: &Path, packages: &[&str]) -> Result<PathBuf, String> {
    if find_program("python3").is_none() {
        return Err("`python3` is not installed".to_owned());
    }
    let version = said(Command::new("python3").arg("--version"))?;
    let stamp = stamp(&version, packages);
    let path = folder.join(STAMP);
    let python = folder.join("bin/python");
    if std::fs::read_to_string(&path).is_ok_and(|text| text == stamp) && python.exists() {
        return Ok(python);
    }
    println!("peers: pip install {}", packages.join(" "));
    let mut make = Command::new("python3");
    make.args(["-m", "venv", "--clear"]).arg(folder);
    said(&mut make).map_err(|why| {
        format!("{why}; on Debian, install `python3-venv`, which brings what `venv` needs")
    })?;
    // What is never loaded need not be compiled.
    let mut install = Command::new(&python);
    install
        .args(["-m", "pip", "install", "--quiet", "--no-input"])
        .args(["--no-compile", "--disable-pip-version-check"])
        .args(packages);
    said(&mut install)?;
    std::fs::write(&path, stamp).map_err(|e| format!("cannot write `{}`: {e}", path.display()))?;
    Ok(python)
}

/// What an environment with these packages says about itself.
fn stamp(version: &str, packages: &[&str]) -> String {
    format!("{}\n{}\n", version.trim(), packages.join("\n"))
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
    fn another_package_or_another_python_makes_another_environment() {
        let first = stamp("Python 3.11.2\n", &["moto==5.2.5"]);
        assert_eq!(first, "Python 3.11.2\nmoto==5.2.5\n");
        assert_ne!(first, stamp("Python 3.13.1", &["moto==5.2.5"]));
        assert_ne!(first, stamp("Python 3.11.2", &["moto==5.2.6"]));
    }

    #[test]
    fn a_complete_environment_is_used_as_it_is() {
        let folder = std::env::temp_dir().join(format!("xtask-python-{}", std::process::id()));
        let python = folder.join("bin/python");
        std::fs::create_dir_all(folder.join("bin")).unwrap();
        std::fs::write(&python, "").unwrap();
        let version = said(Command::new("python3").arg("--version")).unwrap();
        std::fs::write(folder.join(STAMP), stamp(&version, &["no-such-package==1"])).unwrap();
        // Installing it would fail.
        assert_eq!(ensure(&folder, &["no-such-package==1"]), Ok(python));
        std::fs::remove_dir_all(&folder).unwrap();
    }

    #[test]
    fn a_program_that_fails_says_why_in_one_line() {
        let why = said(Command::new("sh").args(["-c", "echo a >&2; echo b >&2; exit 1"]));
        assert!(why.unwrap_err().ends_with(": b"));
    }
}
