//! Debian packages, where apt is there and may be used without a question.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::workspace::output;

/// Installs packages; updates the lists once per run.
#[derive(Debug, Default)]
pub(crate) struct Apt {
    updated: bool,
}

impl Apt {
    /// Installs packages without their recommendations.
    ///
    /// # Errors
    /// In words: why it could not be done.
    pub(crate) fn install(&mut self, packages: &[&str]) -> Result<(), String> {
        if find_program("apt-get").is_none() {
            return Err("this machine has no `apt-get`".to_owned());
        }
        let sudo = needs_sudo()?;
        if !self.updated {
            println!("peers: apt-get update");
            run(sudo, &["update", "--quiet"])?;
            self.updated = true;
        }
        println!("peers: apt-get install {}", packages.join(" "));
        let mut args = vec!["install", "--quiet", "--yes", "--no-install-recommends"];
        args.extend(packages);
        run(sudo, &args)
    }
}

fn run(sudo: bool, args: &[&str]) -> Result<(), String> {
    let mut command = if sudo {
        let mut command = Command::new("sudo");
        command.args([
            "--non-interactive",
            "env",
            "DEBIAN_FRONTEND=noninteractive",
            "apt-get",
        ]);
        command
    } else {
        let mut command = Command::new("apt-get");
        command.env("DEBIAN_FRONTEND", "noninteractive");
        command
    };
    output(command.args(args))
        .map(drop)
        .map_err(|error| last_line(&error.report().to_string()))
}

/// Whether `sudo` must be put in front; an error if we are not root and it would ask.
fn needs_sudo() -> Result<bool, String> {
    let user = output(Command::new("id").arg("-u")).map_err(|error| error.to_string())?;
    if user.trim() == "0" {
        return Ok(false);
    }
    output(Command::new("sudo").args(["--non-interactive", "true"]))
        .map(|_| true)
        .map_err(|_| "not root, and `sudo` would ask for a password".to_owned())
}

fn last_line(text: &str) -> String {
    text.lines().last().unwrap_or(text).trim().to_owned()
}

/// Looks for a program in `PATH` and where Debian keeps daemons.
pub(crate) fn find_program(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .chain(["/usr/sbin", "/usr/local/sbin", "/sbin"].map(PathBuf::from))
        .map(|folder| folder.join(name))
        .find(|program| is_executable(program))
}

fn is_executable(path: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt as _;
    path.metadata()
        .is_ok_and(|found| found.is_file() && found.permissions().mode() & 0o111 != 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn programs_are_found_by_name_and_must_be_executable() {
        assert!(find_program("sh").is_some_and(|path| path.is_absolute()));
        assert_eq!(find_program("no-such-program-anywhere"), None);
        assert!(!is_executable(Path::new("/etc/passwd")));
    }

    #[test]
    fn the_last_line_of_a_long_answer_is_kept() {
        assert_eq!(
            last_line("a\nb\nE: no such package\n"),
            "E: no such package"
        );
        assert_eq!(last_line(""), "");
    }
}
