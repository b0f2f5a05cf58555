//! The script, run here by every shell there is as it would be on a node; only the login is
//! missing.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use fleetwright_core::{
    Check, CommandCheck, Expectation, FileCheck, NixCheck, OutputSink as _, PackageCheck, Probe,
    Severity, Span, Stream, Verdict,
};

use super::answer::Transcript;
use super::judge::{Judged, judge};
use super::question::{limit, script};

fn probe(check: Check) -> Probe {
    Probe {
        name: "p".into(),
        severity: Severity::Medium,
        check,
        fix: None,
        timeout: Span::seconds(20),
    }
}

/// Each shell with the search path of this machine, and with one that lacks `timeout`.
fn shells_and_paths(without_timeout: &Path) -> Vec<(Vec<&'static str>, Option<&Path>)> {
    let paths = [None, Some(without_timeout)];
    shells()
        .into_iter()
        .flat_map(|shell| paths.map(|path| (shell.clone(), path)))
        .collect()
}

fn command(run: &str) -> CommandCheck {
    CommandCheck {
        run: run.into(),
        ..CommandCheck::default()
    }
}

/// The shells that there are here: what a node may have as `sh`.
fn shells() -> Vec<Vec<&'static str>> {
    let all = [
        &["sh"][..],
        &["dash"],
        &["bash", "--posix"],
        &["busybox", "sh"],
    ];
    let is_there = |shell: &&[&str]| {
        let tried = Command::new(shell[0])
            .args(&shell[1..])
            .args(["-c", "exit 0"])
            .output();
        tried.is_ok_and(|output| output.status.success())
    };
    all.into_iter()
        .filter(is_there)
        .map(<[&str]>::to_vec)
        .collect()
}

/// Runs the script as a node would; only the login is missing.
fn run(shell: &[&str], probes: &[Probe]) -> Vec<Judged> {
    run_in(shell, probes, None)
}

/// The same with another search path.
fn run_in(shell: &[&str], probes: &[Probe], path: Option<&Path>) -> Vec<Judged> {
    let mut command = Command::new(which(shell[0]));
    if let Some(path) = path {
        command.env("PATH", path);
    }
    let mut child = command
        .args(&shell[1..])
        .arg("-s")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut input = child.stdin.take().unwrap();
    input.write_all(script(probes).as_bytes()).unwrap();
    drop(input);
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{shell:?}");
    let transcript = Transcript::new(probes.len());
    transcript.write(Stream::Stdout, &output.stdout);
    let (has_begun, answers) = transcript.into_answers();
    assert!(has_begun, "{shell:?}");
    let judged = |(probe, answer): (&Probe, _)| {
        judge(&probe.check, &Expectation::Written, answer, limit(probe))
    };
    probes.iter().zip(&answers).map(judged).collect()
}

/// Where a program is, whatever the search path of what is started will be.
fn which(program: &str) -> PathBuf {
    let path = std::env::var_os("PATH").unwrap();
    std::env::split_paths(&path)
        .map(|folder| folder.join(program))
        .find(|file| file.is_file())
        .unwrap()
}

/// A search path with everything there is here but these.
fn without(programs: &[&str]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let path = std::env::var_os("PATH").unwrap();
    for entry in std::env::split_paths(&path)
        .filter_map(|folder| std::fs::read_dir(folder).ok())
        .flatten()
        .flatten()
    {
        let name = entry.file_name();
        if programs.iter().all(|program| *program != name) {
            // Of several programs with one name the first counts.
            let _ = std::os::unix::fs::symlink(entry.path(), folder.path().join(name));
        }
    }
    folder
}

fn verdicts(shell: &[&str], probes: &[Probe]) -> Vec<&'static str> {
    let all = run(shell, probes);
    all.iter().map(|judged| judged.verdict.as_str()).collect()
}

#[test]
fn commands_are_measured_whatever_they_print() {
    let path = without(&["timeout"]);
    let big = "head -c 1048576 /dev/zero";
    let zeros = fleetwright_core::Fingerprint::of_bytes(&vec![0; 1 << 20]);
    let probes = [
        probe(Check::Command(CommandCheck {
            output: Some("it's \"so\"".into()),
            ..command("printf \"it's \\\"so\\\"\n\n\"")
        })),
        probe(Check::Command(CommandCheck {
            sha256: Some(zeros.as_str().to_owned()),
            ..command(big)
        })),
        probe(Check::Command(CommandCheck {
            output: Some("0".into()),
            ..command(&format!("{big}; exit 0"))
        })),
        // Lines of ours, at the beginning of a line.
        probe(Check::Command(CommandCheck {
            output: Some("\nended 3 0\ndone".into()),
            ..command("printf '\\nended 3 0\\ndone\\n'; echo status 9 >&2")
        })),
        probe(Check::Command(command("exit 3"))),
        probe(Check::Command(command("kill -TERM $$"))),
        probe(Check::Command(command("no-such-program-here"))),
        // It gets no input, least of all this script.
        probe(Check::Command(CommandCheck {
            output: Some("0".into()),
            ..command("wc -c | tr -d ' '")
        })),
    ];
    for (shell, path) in shells_and_paths(path.path()) {
        let all = run_in(&shell, &probes, path);
        let verdicts: Vec<&str> = all.iter().map(|judged| judged.verdict.as_str()).collect();
        let wanted = [
            "agrees", "agrees", "differs", "agrees", "differs", "differs", "missing", "agrees",
        ];
        assert_eq!(verdicts, wanted, "{shell:?} {path:?} {all:#?}");
        assert_eq!(
            all[5].verdict.reason(),
            Some("it ended with status 143 instead of 0")
        );
    }
}

#[test]
fn a_probe_that_hangs_spoils_no_other_and_leaves_nothing_running() {
    let path = without(&["timeout"]);
    let folder = tempfile::tempdir().unwrap();
    let mark = folder.path().join("running");
    let shown = mark.display();
    let mut hangs = probe(Check::Command(command(&format!(
        "tail -f /dev/null {shown} & tail -f /dev/null {shown}"
    ))));
    hangs.timeout = Span::seconds(1);
    std::fs::write(&mark, "").unwrap();
    let mut leaves = probe(Check::Command(command(&format!(
        "tail -f {shown} & exit 0"
    ))));
    leaves.timeout = Span::seconds(1);
    let after = probe(Check::Command(command("true")));
    for (shell, path) in shells_and_paths(path.path()) {
        let probes = [hangs.clone(), leaves.clone(), after.clone()];
        let all = run_in(&shell, &probes, path);
        assert_eq!(
            all[0].verdict,
            Verdict::Unknown {
                reason: "it did not end within 1s".into()
            },
            "{shell:?}"
        );
        assert_eq!(all[1].verdict.as_str(), "unknown", "{shell:?}");
        assert_eq!(all[2].verdict, Verdict::Agrees, "{shell:?}");
        assert_eq!(with_argument(&mark), 0, "{shell:?}");
    }
}

#[test]
fn what_a_status_may_mean_is_told_apart() {
    let path = without(&["timeout"]);
    let folder = tempfile::tempdir().unwrap();
    let count = folder.path().join("count");
    let counted = |then: &str| format!("echo >> '{}'; {then}", count.display());
    let times = || {
        let lines = std::fs::read_to_string(&count).unwrap_or_default();
        std::fs::write(&count, "").unwrap();
        lines.lines().count()
    };
    for (shell, path) in shells_and_paths(path.path()) {
        let status = |run: &str, seconds| {
            let mut probe = probe(Check::Command(command(run)));
            probe.timeout = Span::seconds(seconds);
            let judged = run_in(&shell, &[probe], path).remove(0);
            judged.verdict.reason().map(str::to_owned)
        };
        let ended = |status: u32| Some(format!("it ended with status {status} instead of 0"));
        assert_eq!(status(&counted("true"), 20), None);
        assert_eq!(times(), 1, "{shell:?} {path:?}");
        // Killed by somebody else, and by us.
        assert_eq!(status("kill -KILL $$", 20), ended(137), "{shell:?}");
        let late = status("exec sleep 20", 1);
        assert_eq!(late.as_deref(), Some("it did not end within 1s"));
        let late = status(&counted("sleep 20 & sleep 20"), 1);
        assert_eq!(late.as_deref(), Some("it did not end within 1s"));
        assert_eq!(times(), 1, "{shell:?} {path:?}");
        // These may be words of `timeout` itself, so the command is asked again.
        for code in [124, 125, 126] {
            let said = status(&counted(&format!("exit {code}")), 20);
            assert_eq!(said, ended(code), "{shell:?} {path:?}");
            let again = usize::from(path.is_none() && code != 124);
            assert_eq!(times(), 1 + again, "{code} {shell:?} {path:?}");
        }
    }
}

/// Processes that have this path among their arguments.
fn with_argument(path: &Path) -> usize {
    let needle = path.as_os_str().as_encoded_bytes();
    let holds = |line: Vec<u8>| line.windows(needle.len()).any(|part| part == needle);
    std::fs::read_dir("/proc")
        .unwrap()
        .flatten()
        .filter_map(|entry| std::fs::read(entry.path().join("cmdline")).ok())
        .filter(|line| holds(line.clone()))
        .count()
}

#[test]
fn files_are_looked_at_through_links() {
    use std::os::unix::fs::{PermissionsExt as _, symlink};
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name).display().to_string();
    std::fs::write(at("it's a file"), "foo").unwrap();
    let mode = std::fs::Permissions::from_mode(0o640);
    std::fs::set_permissions(at("it's a file"), mode).unwrap();
    symlink("it's a file", at("link")).unwrap();
    symlink("nothing", at("dangling")).unwrap();
    symlink("loop", at("loop")).unwrap();
    let file = |name: &str, content: Option<&str>| FileCheck {
        path: at(name),
        content: content.map(str::to_owned),
        ..FileCheck::default()
    };
    let probes = [
        probe(Check::File(file("it's a file", Some("foo")))),
        probe(Check::File(FileCheck {
            mode: Some("640".into()),
            ..file("link", Some("foo"))
        })),
        probe(Check::File(FileCheck {
            mode: Some("0644".into()),
            ..file("link", Some("foo"))
        })),
        probe(Check::File(file("link", Some("bar")))),
        probe(Check::File(file("nothing/at/all", Some("foo")))),
        probe(Check::File(file("dangling", None))),
        probe(Check::File(FileCheck {
            absent: true,
            ..file("nothing", None)
        })),
        probe(Check::File(FileCheck {
            absent: true,
            ..file("dangling", None)
        })),
        probe(Check::File(file("", Some("foo")))),
        // Below a file nothing can be; where a loop leads nobody knows.
        probe(Check::File(file("link/below", None))),
        probe(Check::File(file("loop", None))),
    ];
    for shell in shells() {
        let wanted = [
            "agrees", "agrees", "differs", "differs", "missing", "missing", "agrees", "differs",
            "differs", "missing", "unknown",
        ];
        assert_eq!(verdicts(&shell, &probes), wanted, "{shell:?}");
    }
}

#[test]
fn packages_are_found_where_there_is_a_database() {
    if Command::new("dpkg-query")
        .arg("--version")
        .output()
        .is_err()
    {
        // Then there is no database either that could be asked.
        return;
    }
    let package = |name: &str, version: Option<&str>| {
        probe(Check::Package(PackageCheck {
            name: name.into(),
            version: version.map(str::to_owned),
            absent: false,
        }))
    };
    let probes = [
        package("dpkg", None),
        package("dpkg", Some("1.*")),
        package("dpkg", Some("0.*")),
        package("no-such-package", None),
    ];
    for shell in shells() {
        let wanted = ["agrees", "agrees", "differs", "missing"];
        assert_eq!(verdicts(&shell, &probes), wanted, "{shell:?}");
    }
}

#[test]
fn a_node_without_a_profile_has_nothing_and_one_without_nix_is_unknown() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name).display().to_string();
    std::fs::create_dir(at("store")).unwrap();
    std::os::unix::fs::symlink(at("store"), at("system")).unwrap();
    let nix = |profile: &str, verify| {
        probe(Check::Nix(NixCheck {
            path: Some(
                std::fs::canonicalize(at("store"))
                    .unwrap()
                    .display()
                    .to_string(),
            ),
            profile: Some(at(profile)),
            verify,
            ..NixCheck::default()
        }))
    };
    let probes = [
        nix("none", false),
        nix("system", false),
        nix("system", true),
    ];
    for shell in shells() {
        let wanted = ["missing", "agrees", "unknown"];
        assert_eq!(verdicts(&shell, &probes), wanted, "{shell:?}");
    }
}
