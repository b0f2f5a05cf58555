//! The script that measures: one for each node and round, for all of its probes, over one login.
//!
//! It is read from standard input by the node's `sh`, writes nothing on the node, and keeps to what
//! POSIX and busybox have. Each probe is a process group of its own with a limit of its own, so
//! that one that hangs costs the others nothing but that time.
//!
//! Starting processes is most of what a measurement costs a node, so a command of which only the
//! status counts is started as it is, with nothing around it but `timeout`.
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
    /// Whether only the status of the command that is the first argument is asked for.
    is_status: bool,
}

impl Question {
    /// A script with its arguments.
    pub(super) fn of(script: &str, arguments: &[&str]) -> Self {
        Self {
            script: script.to_owned(),
            arguments: arguments.iter().map(|&word| word.to_owned()).collect(),
            is_status: false,
        }
    }

    /// A script for the status of the command that is its first argument.
    pub(super) fn of_status(script: &str, arguments: &[&str]) -> Self {
        Self {
            is_status: true,
            ..Self::of(script, arguments)
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

/// The longest that a probe may take in seconds: the status of a command may be asked for twice.
pub(super) fn longest(probe: &Probe) -> u64 {
    let times = if Question::new(&probe.check).is_status {
        2
    } else {
        1
    };
    limit(probe).saturating_mul(times)
}

/// The script for all probes of a node, in their order.
pub(super) fn script<'a>(probes: impl IntoIterator<Item = &'a Probe>) -> String {
    let mut text = String::from(PRELUDE);
    for (index, probe) in probes.into_iter().enumerate() {
        let Question {
            script,
            arguments,
            is_status,
        } = Question::new(&probe.check);
        let function = if is_status { "ends" } else { "measure" };
        // `probe` is the name of the inner shell.
        let words = [
            function.to_owned(),
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
    text.push_str("printf '%sdone\\n' \"$said\"\nexit 0\n");
    text
}

/// A probe, and the watch over it where there is one, are groups that can be ended as a whole: by
/// `setsid`, and by the `timeout` of coreutils, which makes one too. busybox' makes none and is not
/// taken. Without a group only the first process of a probe is ended; whatever that leaves behind
/// keeps nobody waiting, because the reader hangs up after `done`.
///
/// `ends` trusts a status only if nothing is left of the group and it is none of `timeout` itself
/// (125, 126). Otherwise the command is asked again in the way that leaves no doubt. What was killed
/// after its limit is not: those of its group may still be dying.
///
/// What `ends` has found is printed with what comes next: each piece of output is a packet and a turn
/// for everybody on the way. Nothing found waits for another probe.
const PRELUDE: &str = r#"
said='measure 1
'
own=
bound=
before=$IFS
IFS=:
for folder in $PATH; do
    if [ -x "$folder/timeout" ]; then
        if [ ! -L "$folder/timeout" ] && [ ! -e "$folder/busybox" ]; then
            bound=yes
        elif ! command -v busybox >/dev/null 2>&1 && ! command -v toybox >/dev/null 2>&1; then
            bound=yes
        fi
        break
    fi
done
IFS=$before
if [ -z "$bound" ] && command -v setsid >/dev/null 2>&1; then own=setsid; fi
flush() {
    if [ -n "$said" ]; then printf '%s' "$said"; fi
    said=
}
measure() {
    flush
    index=$1
    limit=$2
    shift 2
    echo "probe $index"
    if [ -n "$bound" ]; then
        timeout -s KILL "$limit" sh -c "$@" </dev/null 2>/dev/null &
        work=$!
        wait "$work"
        code=$?
        kill -KILL "-$work" 2>/dev/null
    else
        $own sh -c "$@" </dev/null 2>/dev/null &
        work=$!
        $own sh -c 'sleep "$1"; kill -KILL "-$2" "$2"' watch "$limit" "$work" </dev/null >/dev/null 2>&1 &
        watch=$!
        wait "$work"
        code=$?
        kill -KILL "-$watch" "$watch" 2>/dev/null
        wait "$watch" 2>/dev/null
    fi
    printf '\nended %s %s\n' "$index" "$code"
}
ends() {
    [ "$1" = 0 ] || flush
    if [ -z "$bound" ] || ! read -r from rest 2>/dev/null </proc/uptime; then
        measure "$@"
        return
    fi
    timeout -s KILL "$2" sh -c "$5" </dev/null >/dev/null 2>&1 &
    work=$!
    wait "$work"
    code=$?
    if kill -KILL "-$work" 2>/dev/null; then left=yes; else left=; fi
    read -r to rest 2>/dev/null </proc/uptime
    if [ "$code" = 137 ] && [ $((${to%.*} - ${from%.*})) -ge "$2" ]; then
        said="${said}probe $1
ended $1 137
"
    elif [ -n "$left" ] || [ "$code" = 125 ] || [ "$code" = 126 ]; then
        measure "$@"
    else
        said="${said}probe $1
status $code
end
ended $1 0
"
    fi
}
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
