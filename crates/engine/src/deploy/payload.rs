//! Files that are brought to machines: read once, packed as `tar`, and told by their hash.
//!
//! The archive is the same for the same content: sorted, without times and owners. So a second run
//! sees whether anything changed.

use std::fmt::Write as _;
use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use fleetwright_core::{Command, DeployedFile, DeploymentSpec, Error, Kind, Result};
use sha2::{Digest, Sha256};

use super::archive::Archive;

/// Most bytes of one archive: it is held in memory, once for every machine that runs.
const MOST: usize = 64 << 20;

/// What is run on each machine, step by step.
#[derive(Debug)]
pub(super) struct Payload {
    /// Pushes in their order, then the script, then the command.
    pub(super) steps: Vec<Command>,
}

impl Payload {
    /// Reads the files of a specification and fills in their hashes.
    pub(super) fn read(spec: &mut DeploymentSpec) -> Result<Self> {
        let mut steps = Vec::new();
        for push in &mut spec.pushes {
            let (archive, target) = pack(push)?;
            push.hash = digest(&archive);
            let mut command = Command::new(format!(
                "mkdir -p -- {0} && tar -x -m -o -f - -C {0}",
                quoted(&target)
            ));
            command.stdin = archive;
            steps.push(command);
        }
        if let Some(script) = &mut spec.script {
            let text = fs::read(&script.from).map_err(|error| failed(&script.from, error))?;
            script.hash = digest(&text);
            // A connection that breaks ends the input early: half a script must not be run.
            let mut command = Command::new(format!(
                "f=$(mktemp) || exit 1; trap 'rm -f \"$f\"' EXIT; cat > \"$f\" && \
                 if [ \"$(wc -c < \"$f\")\" -ne {} ]; then echo 'the script came in part' >&2; \
                 exit 1; fi && chmod 700 \"$f\" && \"$f\" < /dev/null",
                text.len()
            ));
            command.stdin = text;
            steps.push(command);
        }
        steps.extend(spec.command.iter().map(Command::new));
        for step in &mut steps {
            step.timeout = spec.timeout.0;
        }
        Ok(Self { steps })
    }

    /// Reads the files of a deployment that goes on.
    ///
    /// # Errors
    /// `Conflict` if one of them is not what it was when the deployment began.
    pub(super) fn read_again(spec: &DeploymentSpec) -> Result<Self> {
        let mut now = spec.clone();
        let payload = Self::read(&mut now)?;
        let then = spec.pushes.iter().chain(&spec.script);
        for (then, now) in then.zip(now.pushes.iter().chain(&now.script)) {
            if then.hash != now.hash {
                return Err(Error::new(
                    Kind::Conflict,
                    format!("`{}` has changed since the deployment began", then.from),
                )
                .with_hint("begin a new deployment, or bring the old content back"));
            }
        }
        Ok(payload)
    }
}

/// A file or directory as an archive, and the directory that it is unpacked in.
fn pack(push: &DeployedFile) -> Result<(Vec<u8>, String)> {
    let from = Path::new(&push.from);
    let kind = fs::metadata(from).map_err(|error| failed(&push.from, error))?;
    let mut archive = Archive::new(MOST);
    if kind.is_dir() {
        add_directory(&mut archive, from, "")?;
        return Ok((archive.finish(), push.to.clone()));
    }
    let own_name = from.file_name().map(|name| name.to_string_lossy());
    let (directory, name) = match push.to.rsplit_once('/') {
        Some((directory, "")) => (directory, own_name.as_deref().unwrap_or("file")),
        Some((directory, name)) => (directory, name),
        None => (".", push.to.as_str()),
    };
    let directory = if directory.is_empty() { "/" } else { directory };
    add_file(&mut archive, from, name)?;
    Ok((archive.finish(), directory.to_owned()))
}

fn add_directory(archive: &mut Archive, directory: &Path, below: &str) -> Result<()> {
    let shown = directory.display().to_string();
    let mut entries = fs::read_dir(directory)
        .and_then(Iterator::collect::<io::Result<Vec<_>>>)
        .map_err(|error| failed(&shown, error))?;
    entries.sort_by_key(fs::DirEntry::file_name);
    for entry in entries {
        let path = entry.path();
        let shown = path.display().to_string();
        let name = entry
            .file_name()
            .into_string()
            .map_err(|_| Error::new(Kind::Invalid, format!("the name of `{shown}` is no UTF-8")))?;
        let name = format!("{below}{name}");
        let kind = entry.file_type().map_err(|error| failed(&shown, error))?;
        if kind.is_symlink() {
            let to = fs::read_link(&path).map_err(|error| failed(&shown, error))?;
            archive.link(&name, &to.to_string_lossy())?;
        } else if kind.is_dir() {
            archive.directory(&name, mode(&path)?)?;
            add_directory(archive, &path, &format!("{name}/"))?;
        } else if kind.is_file() {
            add_file(archive, &path, &name)?;
        } else {
            return Err(Error::new(
                Kind::Invalid,
                format!("`{shown}` is neither a file nor a directory nor a link"),
            ));
        }
    }
    Ok(())
}

fn add_file(archive: &mut Archive, path: &Path, name: &str) -> Result<()> {
    let content = fs::read(path).map_err(|error| failed(&path.display().to_string(), error))?;
    archive.file(name, mode(path)?, &content)
}

fn mode(path: &Path) -> Result<u32> {
    let data = fs::metadata(path).map_err(|error| failed(&path.display().to_string(), error))?;
    Ok(data.permissions().mode() & 0o777)
}

fn failed(path: &str, error: io::Error) -> Error {
    Error::new(Kind::Invalid, format!("`{path}` cannot be read")).with_source(error)
}

fn digest(bytes: &[u8]) -> String {
    let mut hex = String::with_capacity(64);
    for byte in Sha256::digest(bytes) {
        write!(hex, "{byte:02x}").expect("writing to a string cannot fail");
    }
    hex
}

/// A word for a shell, whatever is in it.
fn quoted(word: &str) -> String {
    format!("'{}'", word.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use fleetwright_core::{RolloutPolicy, Span};

    use super::*;

    fn spec(pushes: &[(&Path, &str)]) -> DeploymentSpec {
        DeploymentSpec {
            pushes: pushes
                .iter()
                .map(|(from, to)| DeployedFile {
                    from: from.display().to_string(),
                    to: (*to).to_owned(),
                    hash: String::new(),
                })
                .collect(),
            script: None,
            command: None,
            check: None,
            rollback: None,
            rollback_all: false,
            rollout: RolloutPolicy::default(),
            timeout: Span::minutes(1),
            retries: 0,
        }
    }

    /// Runs a step on this machine as a node would.
    fn run(step: &Command) -> std::process::Output {
        use std::io::Write as _;
        use std::process::{Command as Process, Stdio};
        let mut child = Process::new("sh")
            .args(["-c", &step.line])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        child.stdin.take().unwrap().write_all(&step.stdin).unwrap();
        child.wait_with_output().unwrap()
    }

    #[test]
    fn what_is_pushed_arrives_as_it_was() {
        let folder = tempfile::tempdir().unwrap();
        let (from, to) = (folder.path().join("from"), folder.path().join("it's there"));
        let long = "d".repeat(90) + "/" + &"e".repeat(90) + "/" + &"f".repeat(90);
        fs::create_dir_all(from.join(&long)).unwrap();
        fs::write(from.join(&long).join("deep"), "deep").unwrap();
        fs::write(from.join("run"), vec![7_u8; 1_000_000]).unwrap();
        fs::set_permissions(from.join("run"), fs::Permissions::from_mode(0o750)).unwrap();
        std::os::unix::fs::symlink("run", from.join("link")).unwrap();
        fs::write(from.join("empty"), "").unwrap();
        let file = to.join("etc/other");
        let mut spec = spec(&[
            (&from, to.to_str().unwrap()),
            (&from.join("run"), file.to_str().unwrap()),
        ]);
        let payload = Payload::read(&mut spec).unwrap();
        for step in &payload.steps {
            let output = run(step);
            assert!(output.status.success(), "{output:?}");
        }
        assert_eq!(fs::read(to.join("run")).unwrap(), vec![7_u8; 1_000_000]);
        assert_eq!(mode(&to.join("run")).unwrap(), 0o750);
        assert_eq!(fs::read(to.join(&long).join("deep")).unwrap(), b"deep");
        assert_eq!(fs::read(to.join("empty")).unwrap(), b"");
        assert_eq!(fs::read_link(to.join("link")).unwrap(), Path::new("run"));
        assert_eq!(fs::read(&file).unwrap().len(), 1_000_000);
    }

    #[test]
    fn the_hash_is_of_the_content_and_a_change_is_noticed() {
        let folder = tempfile::tempdir().unwrap();
        let from = folder.path().join("from");
        fs::create_dir(&from).unwrap();
        fs::write(from.join("b"), "b").unwrap();
        fs::write(from.join("a"), "a").unwrap();
        let mut first = spec(&[(&from, "/there")]);
        Payload::read(&mut first).unwrap();
        // Written again: another time, the same content.
        fs::write(from.join("a"), "a").unwrap();
        Payload::read_again(&first).unwrap();
        fs::write(from.join("a"), "c").unwrap();
        let error = Payload::read_again(&first).unwrap_err();
        assert_eq!(error.kind(), Kind::Conflict);
    }

    #[test]
    fn a_script_runs_with_its_own_interpreter_and_never_in_part() {
        let folder = tempfile::tempdir().unwrap();
        let script = folder.path().join("script");
        fs::write(
            &script,
            "#!/usr/bin/env -S sh -e\necho one\nfalse\necho two\n",
        )
        .unwrap();
        let mut spec = spec(&[]);
        spec.script = Some(DeployedFile {
            from: script.display().to_string(),
            to: String::new(),
            hash: String::new(),
        });
        let mut payload = Payload::read(&mut spec).unwrap();
        let output = run(&payload.steps[0]);
        assert_eq!(output.status.code(), Some(1));
        assert_eq!(output.stdout, b"one\n");
        payload.steps[0].stdin.truncate(40);
        let output = run(&payload.steps[0]);
        assert_eq!(output.status.code(), Some(1));
        assert_eq!(output.stdout, b"");
        assert_eq!(output.stderr, b"the script came in part\n");
    }
}
