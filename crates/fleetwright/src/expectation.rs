//! What is expected of machines, looked up here: built by Nix, printed by a command, read from a
//! file.
//!
//! Nothing is kept from one round to the next. A Nix file refers to others, and a command to
//! anything; only running them again tells whether what they say has changed, and Nix is quick where
//! nothing has.

use std::ffi::OsStr;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use async_trait::async_trait;
use fleetwright_core::{
    Check, Error, Expectation, ExpectationSource, Fingerprint, Kind, NixCheck, NixCompare, Probe,
    Result, Span,
};
use serde::Deserialize;

/// How long a build may take.
const BUILD_LIMIT: Duration = Duration::from_mins(30);
/// Most bytes that a command may print, and that are compared on a machine.
const MOST_OUTPUT: usize = 4 << 20;

/// Looks up what is expected with the programs of this machine.
#[derive(Debug, Clone)]
pub struct ExpectationReader {
    base: PathBuf,
    /// Where programs are searched; absent: as the process does.
    path: Option<PathBuf>,
}

impl ExpectationReader {
    /// For a configuration whose commands run in `base`, the folder of its file.
    pub fn new(base: impl Into<PathBuf>) -> Self {
        Self {
            base: base.into(),
            path: None,
        }
    }

    /// Takes Nix's programs from this folder instead of `PATH`.
    #[must_use]
    pub fn with_programs_in(mut self, folder: impl Into<PathBuf>) -> Self {
        self.path = Some(folder.into());
        self
    }
}

#[async_trait]
impl ExpectationSource for ExpectationReader {
    async fn expectation(&self, probe: &Probe) -> Result<Expectation> {
        match &probe.check {
            Check::Nix(check) => self.nix(check, probe.timeout.0).await,
            Check::Command(check) => match &check.expect_from {
                Some(line) => self.output(line, probe.timeout.0).await,
                None => Ok(Expectation::Written),
            },
            Check::File(check) => match &check.source {
                Some(source) => self.content(source).await,
                None => Ok(Expectation::Written),
            },
            Check::Package(_) => Ok(Expectation::Written),
        }
        .map_err(|error| error.with_context("probe", probe.name.clone()))
    }
}

impl ExpectationReader {
    async fn nix(&self, check: &NixCheck, limit: Duration) -> Result<Expectation> {
        let path = match (&check.path, &check.file, &check.flake) {
            (Some(path), ..) => path.clone(),
            (None, Some(file), _) => self.nix_build(file, check.attribute.as_deref()).await?,
            (None, None, Some(flake)) => self.nix_flake(flake).await?,
            (None, None, None) => {
                return Err(Error::new(
                    Kind::Config,
                    "nothing says which store path is expected",
                ));
            }
        };
        let nar_hash = match check.compare {
            NixCompare::Path => None,
            NixCompare::NarHash => {
                let words = ["--query", "--hash", &path].map(OsStr::new);
                let said = self.run("nix-store", &words, limit).await?;
                Some(one_line("nix-store", &said)?)
            }
        };
        Ok(Expectation::Nix { path, nar_hash })
    }

    async fn nix_build(&self, file: &str, attribute: Option<&str>) -> Result<String> {
        let file = self.base.join(file);
        let mut words = vec![OsStr::new("--no-out-link")];
        if let Some(attribute) = attribute {
            words.extend(["--attr", attribute].map(OsStr::new));
        }
        words.push(file.as_os_str());
        let said = self.run("nix-build", &words, BUILD_LIMIT).await?;
        one_line("nix-build", &said)
    }

    /// `--print-out-paths` came with Nix 2.9; `--json` is older and stayed.
    async fn nix_flake(&self, flake: &str) -> Result<String> {
        let words = [
            "--extra-experimental-features",
            "nix-command flakes",
            "build",
            "--no-link",
            "--json",
            flake,
        ];
        let said = self.run("nix", &words.map(OsStr::new), BUILD_LIMIT).await?;
        let built: Vec<Built> = serde_json::from_slice(&said).map_err(|error| {
            Error::new(Kind::Config, "`nix build --json` said something else").with_source(error)
        })?;
        match &built[..] {
            [Built { outputs }] => outputs.out.clone().ok_or_else(|| {
                Error::new(Kind::Config, format!("`{flake}` has no output `out`"))
                    .with_hint("name a flake output that builds a system or a package")
            }),
            _ => Err(several("nix build")),
        }
    }

    async fn output(&self, line: &str, limit: Duration) -> Result<Expectation> {
        let said = self.run("sh", &["-c", line].map(OsStr::new), limit).await?;
        if said.len() > MOST_OUTPUT {
            return Err(Error::new(
                Kind::Config,
                format!("`{line}` prints more than {} MiB", MOST_OUTPUT >> 20),
            )
            .with_hint("let it print a hash"));
        }
        Ok(Expectation::Output(said.trim_ascii_end().to_vec()))
    }

    async fn content(&self, source: &str) -> Result<Expectation> {
        let path = self.base.join(source);
        let bytes = tokio::fs::read(&path).await.map_err(|error| {
            Error::new(
                Kind::Config,
                format!("the expected file `{}` cannot be read: {error}", path.display()),
            )
            .with_hint("`source` is a file on this machine; a relative path starts at the configuration file")
        })?;
        let hash = Fingerprint::of_bytes(&bytes);
        Ok(Expectation::Content(hash.as_str().to_owned()))
    }

    /// Runs a program here and takes its standard output.
    async fn run(&self, program: &str, words: &[&OsStr], limit: Duration) -> Result<Vec<u8>> {
        let place = match &self.path {
            Some(folder) if program != "sh" => folder.join(program),
            _ => PathBuf::from(program),
        };
        let child = tokio::process::Command::new(place)
            .args(words)
            .current_dir(&self.base)
            .stdin(Stdio::null())
            .kill_on_drop(true)
            .output();
        let line = words.iter().fold(program.to_owned(), |line, word| {
            format!("{line} {}", word.to_string_lossy())
        });
        let output = tokio::time::timeout(limit, child)
            .await
            .map_err(|_| {
                let limit = Span(limit);
                Error::new(
                    Kind::Timeout,
                    format!("`{line}` did not end within {limit}"),
                )
            })?
            .map_err(|error| cannot_run(program, error))?;
        if !output.status.success() {
            let stderr = String::from_utf8_lossy(&output.stderr);
            let lines: Vec<&str> = stderr.trim_end().lines().collect();
            let tail = lines[lines.len().saturating_sub(20)..].join("\n");
            return Err(Error::new(
                Kind::Config,
                format!("`{line}` ended with {}", output.status),
            )
            .with_context("stderr", tail));
        }
        Ok(output.stdout)
    }
}

/// What `nix build --json` prints for each thing built.
#[derive(Deserialize)]
struct Built {
    outputs: Outputs,
}

#[derive(Deserialize)]
struct Outputs {
    out: Option<String>,
}

fn cannot_run(program: &str, error: std::io::Error) -> Error {
    if error.kind() == std::io::ErrorKind::NotFound && program.starts_with("nix") {
        return Error::new(
            Kind::Unsupported,
            format!("Nix is not installed here: there is no `{program}`"),
        )
        .with_hint(
            "install Nix on this machine, or give the expected store path with `path` and compare \
             it by `path`",
        )
        .with_source(error);
    }
    Error::new(Kind::Config, format!("`{program}` cannot be run")).with_source(error)
}

/// The only line that a program printed.
fn one_line(program: &str, said: &[u8]) -> Result<String> {
    let text = String::from_utf8_lossy(said);
    let lines: Vec<&str> = text
        .lines()
        .map(str::trim)
        .filter(|l| !l.is_empty())
        .collect();
    match lines[..] {
        [line] => Ok(line.to_owned()),
        [] => Err(Error::new(
            Kind::Config,
            format!("`{program}` printed nothing"),
        )),
        _ => Err(several(program)),
    }
}

fn several(program: &str) -> Error {
    Error::new(
        Kind::Config,
        format!("`{program}` built several things, and a profile points to one"),
    )
    .with_hint("name the one with `attribute`")
}

#[cfg(test)]
mod tests {
    use fleetwright_core::{CommandCheck, FileCheck, Severity};

    use super::*;

    fn probe(check: Check) -> Probe {
        Probe {
            name: "p".into(),
            severity: Severity::Medium,
            check,
            fix: None,
            timeout: Span::seconds(20),
        }
    }

    async fn of(reader: &ExpectationReader, check: Check) -> Result<Expectation> {
        reader.expectation(&probe(check)).await
    }

    #[tokio::test]
    async fn a_source_that_changes_is_seen_at_once() {
        let folder = tempfile::tempdir().unwrap();
        let reader = ExpectationReader::new(folder.path());
        let file = || {
            Check::File(FileCheck {
                path: "/etc/motd".into(),
                source: Some("motd".into()),
                ..FileCheck::default()
            })
        };
        let command = || {
            Check::Command(CommandCheck {
                run: "cat /etc/motd".into(),
                expect_from: Some("cat motd; echo".into()),
                ..CommandCheck::default()
            })
        };
        let missing = of(&reader, file()).await.unwrap_err();
        assert_eq!(missing.kind(), Kind::Config);
        let failed = of(&reader, command()).await.unwrap_err();
        assert_eq!(failed.kind(), Kind::Config);
        assert!(
            failed
                .context()
                .any(|(name, text)| name == "stderr" && text.contains("motd"))
        );
        for text in ["foo", "bar"] {
            std::fs::write(folder.path().join("motd"), text).unwrap();
            let hash = Fingerprint::of_bytes(text.as_bytes()).as_str().to_owned();
            let content = of(&reader, file()).await.unwrap();
            assert_eq!(content, Expectation::Content(hash));
            let output = of(&reader, command()).await.unwrap();
            assert_eq!(output, Expectation::Output(text.into()));
        }
    }

    #[tokio::test]
    async fn without_nix_nothing_is_made_up() {
        let folder = tempfile::tempdir().unwrap();
        let reader = ExpectationReader::new(folder.path()).with_programs_in(folder.path());
        let all = [
            NixCheck {
                file: Some("system.nix".into()),
                ..NixCheck::default()
            },
            NixCheck {
                flake: Some(".#system".into()),
                ..NixCheck::default()
            },
            NixCheck {
                path: Some("/nix/store/abc-system".into()),
                compare: NixCompare::NarHash,
                ..NixCheck::default()
            },
        ];
        for check in all {
            let error = of(&reader, Check::Nix(check)).await.unwrap_err();
            assert_eq!(error.kind(), Kind::Unsupported);
            assert!(
                error.to_string().starts_with("Nix is not installed here"),
                "{error}"
            );
            assert!(error.hint().is_some());
        }
    }

    #[tokio::test]
    async fn a_command_that_does_not_end_is_an_error() {
        let reader = ExpectationReader::new(std::env::temp_dir());
        let mut probe = probe(Check::Command(CommandCheck {
            expect_from: Some("exec sleep 60".into()),
            ..CommandCheck::default()
        }));
        probe.timeout = Span(Duration::from_millis(100));
        let error = reader.expectation(&probe).await.unwrap_err();
        assert_eq!(error.kind(), Kind::Timeout);
    }
}
