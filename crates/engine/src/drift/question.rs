//! The script that measures: one for each node and round, for all of its probes, over one login.
//!
//! It is read from standard input by the node's `sh`, writes nothing on the node, and keeps to what
//! POSIX and busybox have. Each probe is a process group of its own with a limit of its own, so
//! that one that hangs costs the others nothing but that time.
//!
//! ```text
//! measure 1             everything before this line is noise of the login
//! probe 0
//! <key> <value>         what the probe found; bytes of a command's output begin with a space
//! end                   it came to its end
//! ended 0 0             number and exit status
//! done
//! ```

use std::time::Duration;

use fleetwright_core::{Check, Probe};

use super::{command, file, nix, package};

/// A script for one probe, with its arguments. What it prints ends with the line `end`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Question {
    script: String,
    arguments: Vec<String>,
}

impl Question {
    /// A script with its arguments.
    pub(super) fn of(script: &str, arguments: &[&str]) -> Self {
        Self {
            script: script.to_owned(),
            arguments: arguments.iter().map(|&word| word.to_owned()).collect(),
        }
    }

    /// A script about the path that is its first argument, run only if something is there.
    pub(super) fn at_path(script: &str, arguments: &[&str]) -> Self {
        Self::of(&format!("{LOOK}{script}"), arguments)
    }

    pub(super) fn new(check: &Check) -> Self {
        match check {
            Check::Nix(check) => nix::question(check),
            Check::Command(check) => command::question(check),
            Check::File(check) => file::question(check),
            Check::Package(check) => package::question(check),
        }
    }
}

/// The limit of a probe in whole seconds, as `sleep` takes it everywhere.
pub(super) fn limit(probe: &Probe) -> u64 {
    let limit = probe.timeout.0;
    let whole = limit.as_secs();
    (whole + u64::from(limit > Duration::from_secs(whole))).max(1)
}

/// The script for all probes of a node, in their order.
pub(super) fn script<'a>(probes: impl IntoIterator<Item = &'a Probe>) -> String {
    let mut text = String::from(PRELUDE);
    for (index, probe) in probes.into_iter().enumerate() {
        let Question { script, arguments } = Question::new(&probe.check);
        text.push_str(&format!("measure {index} {} ", limit(probe)));
        text.push_str(&quoted(&script));
        // The name of the inner shell.
        text.push_str(" probe");
        for argument in arguments {
            text.push(' ');
            text.push_str(&quoted(&argument));
        }
        text.push('\n');
    }
    text.push_str("echo done\nexit 0\n");
    text
}

/// With `setsid` a probe and the watch over it are groups that can be ended as a whole. Without it
/// only the first process of a probe is; whatever that leaves behind keeps nobody waiting, because
/// the reader hangs up after `done`.
const PRELUDE: &str = r#"
if command -v setsid >/dev/null 2>&1; then own=setsid; else own=; fi
measure() {
    index=$1
    limit=$2
    shift 2
    echo "probe $index"
    $own sh -c "$@" </dev/null 2>/dev/null &
    work=$!
    $own sh -c 'sleep "$1"; kill -KILL "-$2" "$2"' watch "$limit" "$work" </dev/null >/dev/null 2>&1 &
    watch=$!
    wait "$work"
    code=$?
    kill -KILL "-$watch" "$watch" 2>/dev/null
    wait "$watch" 2>/dev/null
    printf '\nended %s %s\n' "$index" "$code"
}
echo 'measure 1'
"#;

/// The beginning of scripts that look at a path `$1`: says `absent`, `dangling` or `hidden` and ends,
/// unless something is there. Absence is told only if it is certain: the way there can be searched
/// up to where it ends.
const LOOK: &str = r#"
LC_ALL=C
export LC_ALL
is_certain() {
    above=$1
    below=$1
    while [ ! -e "$above" ]; do
        below=$above
        above=${above%/*}
        [ -n "$above" ] || above=/
    done
    [ "$below" = "$1" ] || [ ! -L "$below" ] || return 1
    [ ! -d "$above" ] || [ -x "$above" ]
}
if [ ! -e "$1" ]; then
    if [ -L "$1" ]; then
        to=$(readlink -f "$1" 2>/dev/null)
        if [ -n "$to" ] && is_certain "$to"; then echo dangling; else echo hidden; fi
    elif is_certain "$1"; then
        echo absent
    else
        echo hidden
    fi
    echo end
    exit 0
fi
"#;

/// A text as one word of the shell.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;
    use std::path::Path;
    use std::process::{Command, Stdio};

    use fleetwright_core::{
        CommandCheck, Expectation, FileCheck, NixCheck, OutputSink as _, PackageCheck, Severity,
        Span, Stream, Verdict,
    };

    use super::super::answer::Transcript;
    use super::super::judge::{Judged, judge};
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
        let mut child = Command::new(shell[0])
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

    fn verdicts(shell: &[&str], probes: &[Probe]) -> Vec<&'static str> {
        let all = run(shell, probes);
        all.iter().map(|judged| judged.verdict.as_str()).collect()
    }

    #[test]
    fn commands_are_measured_whatever_they_print() {
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
            // Lines of ours, at the beginning of a line.
            probe(Check::Command(CommandCheck {
                output: Some("\nended 2 0\ndone".into()),
                ..command("printf '\\nended 2 0\\ndone\\n'; echo status 9 >&2")
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
        for shell in shells() {
            let all = run(&shell, &probes);
            let verdicts: Vec<&str> = all.iter().map(|judged| judged.verdict.as_str()).collect();
            let wanted = [
                "agrees", "agrees", "agrees", "differs", "differs", "missing", "agrees",
            ];
            assert_eq!(verdicts, wanted, "{shell:?} {all:#?}");
            assert_eq!(
                all[4].verdict.reason(),
                Some("it ended with status 143 instead of 0")
            );
        }
    }

    #[test]
    fn a_probe_that_hangs_spoils_no_other_and_leaves_nothing_running() {
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
        for shell in shells() {
            let probes = [hangs.clone(), leaves.clone(), after.clone()];
            let all = run(&shell, &probes);
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
                "agrees", "agrees", "differs", "differs", "missing", "missing", "agrees",
                "differs", "differs", "missing", "unknown",
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
            println!("skipped: there is no `dpkg-query` on this machine");
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
}
