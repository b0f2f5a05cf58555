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
        // `probe` is the name of the inner shell.
        let words = [
            "measure".to_owned(),
            index.to_string(),
            limit(probe).to_string(),
            quoted(&script),
            "probe".to_owned(),
        ];
        text.push_str(&words.join(" "));
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
