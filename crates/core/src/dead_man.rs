//! The dead-man timer: a node powers itself off if nobody has renewed it for a while.
//!
//! It is the last line against a machine that costs money and that nobody remembers: it works when
//! the journal is lost, the laptop is closed and the cloud's API does not answer. Whoever looks
//! after the fleet renews the timer over SSH; a node that nobody logs in to counts down.
//!
//! ```text
//!  user data of the pool ─┐
//!                         ├─► what the node gets: starts the timer, then does what the pool says
//!  the timer (POSIX sh) ──┘
//! ```
//! The timer counts its own sleep and reads no clock, so a clock that is set does not end a node.
//! It needs neither systemd nor cron. Where there is a folder of cloud-init for scripts of every
//! boot, it starts again with the machine; elsewhere it ends with the first reboot.
//! <https://cloudinit.readthedocs.io/en/latest/reference/modules.html#scripts-per-boot>

use crate::{Error, Kind, Pool, Result, Span};

/// Shortest time of a timer: a login must have the time to come.
const SHORTEST: u64 = 1;

/// Renews the timer of the node that it runs on; does nothing on a node without one.
pub const DEAD_MAN_RENEWAL: &str = "\
d=/var/lib/fleetwright/dead-man; \
if [ -n \"${FLEETWRIGHT_NODE_DIR:-}\" ]; then d=$HOME/.fleetwright/dead-man; fi; \
if [ -d \"$d\" ]; then : >\"$d/renewed\"; fi";

impl Pool {
    /// What a node of this pool does at its first boot: the pool's user data, and before that the
    /// start of the dead-man timer, if there is one.
    ///
    /// # Errors
    /// `Invalid` if the timer cannot be put into the user data.
    pub fn first_boot(&self) -> Result<Option<String>> {
        match self.limits.dead_man {
            None => Ok(self.user_data.clone()),
            Some(limit) => with_dead_man(self.user_data.as_deref(), limit).map(Some),
        }
    }
}

/// User data that starts the timer and then does what `user_data` says, whatever form that has.
///
/// # Errors
/// `Invalid` if it is neither a script nor cloud-config, or if its `runcmd` is no plain list.
pub fn with_dead_man(user_data: Option<&str>, limit: Span) -> Result<String> {
    let start = start(limit);
    match user_data {
        None => Ok(format!("#!/bin/sh\n{start}")),
        Some(script) if script.starts_with("#!") => Ok(wrapped(script, &start)),
        Some(document) if document.starts_with("#cloud-config") => extended(document, &start),
        Some(_) => Err(Error::new(
            Kind::Invalid,
            "user data must begin with `#!` or `#cloud-config`",
        )),
    }
}

/// The part that starts the timer: POSIX sh.
///
/// On a local node "off" is the end of the node's own process.
fn start(limit: Span) -> String {
    let seconds = limit.0.as_secs().max(SHORTEST);
    let tick = (seconds / 20).clamp(1, 60);
    format!(
        r#"d=/var/lib/fleetwright/dead-man
if [ -n "${{FLEETWRIGHT_NODE_DIR:-}}" ]; then d=$HOME/.fleetwright/dead-man; fi
mkdir -p "$d" && chmod 1777 "$d"
cat >"$d/timer" <<'FLEETWRIGHT_TIMER'
#!/bin/sh
# Powers this machine off if nobody has renewed it for {seconds} s.
d=$1
left={seconds}
while [ "$left" -gt 0 ]; do
    sleep {tick}
    if [ -e "$d/renewed" ]; then
        rm -f "$d/renewed"
        left={seconds}
    else
        left=$((left - {tick}))
    fi
done
echo 'nobody renewed this machine for {seconds} s: it powers itself off' >"$d/off"
if [ -n "${{FLEETWRIGHT_NODE_DIR:-}}" ]; then
    kill "$(cat "$FLEETWRIGHT_NODE_DIR/pid")"
else
    poweroff || shutdown -h now || halt -p
fi
FLEETWRIGHT_TIMER
chmod 755 "$d/timer"
if [ -z "${{FLEETWRIGHT_NODE_DIR:-}}" ] && [ -d /var/lib/cloud/scripts/per-boot ]; then
    printf '#!/bin/sh\nnohup sh %s/timer %s >/dev/null 2>&1 </dev/null &\n' "$d" "$d" \
        >/var/lib/cloud/scripts/per-boot/fleetwright-dead-man
    chmod 755 /var/lib/cloud/scripts/per-boot/fleetwright-dead-man
fi
nohup sh "$d/timer" "$d" >/dev/null 2>&1 </dev/null &
"#
    )
}

/// A script that starts the timer and then becomes the pool's own script, whose first line chooses
/// its interpreter.
fn wrapped(script: &str, start: &str) -> String {
    let mut end = String::from("FLEETWRIGHT_USER_DATA");
    while script.lines().any(|line| line == end) {
        end.push('_');
    }
    let newline = if script.ends_with('\n') { "" } else { "\n" };
    format!(
        "#!/bin/sh\n{start}\
         u=$(mktemp -d)/user-data\ncat >\"$u\" <<'{end}'\n{script}{newline}{end}\n\
         chmod 700 \"$u\"\nexec \"$u\"\n"
    )
}

/// A cloud-config document whose first command starts the timer.
fn extended(document: &str, start: &str) -> Result<String> {
    // JSON's strings are YAML's, too.
    let command = serde_json::Value::from(start).to_string();
    let unclear = || {
        Error::new(
            Kind::Invalid,
            "the dead-man timer cannot be put into the `runcmd` of the user data",
        )
        .with_hint("write `runcmd:` on a line of its own, and each command below it after a `- `")
    };
    let mut lines: Vec<&str> = document.lines().collect();
    let is_key = |line: &str| {
        let name = line.split(':').next().unwrap_or("").trim_end();
        matches!(name, "runcmd" | "\"runcmd\"" | "'runcmd'") && line.contains(':')
    };
    let Some(at) = lines.iter().position(|line| is_key(line)) else {
        let newline = if document.ends_with('\n') { "" } else { "\n" };
        return Ok(format!("{document}{newline}runcmd:\n  - {command}\n"));
    };
    let rest = lines[at]
        .split_once(':')
        .map_or("", |(_, rest)| rest.trim());
    if !rest.is_empty() && !rest.starts_with('#') {
        return Err(unclear());
    }
    let first = lines[at + 1..]
        .iter()
        .find(|line| !line.trim().is_empty() && !line.trim_start().starts_with('#'))
        .filter(|line| line.trim_start().starts_with("- "))
        .ok_or_else(unclear)?;
    let indent = &first[..first.len() - first.trim_start().len()];
    let item = format!("{indent}- {command}");
    lines.insert(at + 1, &item);
    Ok(lines.join("\n") + "\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: Span = Span::minutes(30);

    #[test]
    fn the_timer_counts_in_seconds_and_looks_twenty_times() {
        let text = with_dead_man(None, LIMIT).unwrap();
        assert!(text.starts_with("#!/bin/sh\n"), "{text}");
        assert!(
            text.contains("left=1800\n") && text.contains("sleep 60\n"),
            "{text}"
        );
        let text = with_dead_man(None, Span::seconds(2)).unwrap();
        assert!(
            text.contains("left=2\n") && text.contains("sleep 1\n"),
            "{text}"
        );
    }

    #[test]
    fn a_script_of_any_interpreter_keeps_its_first_line() {
        let script = "#!/usr/bin/env python3\nprint('$HOME `x`')";
        let text = with_dead_man(Some(script), LIMIT).unwrap();
        let own = format!("<<'FLEETWRIGHT_USER_DATA'\n{script}\nFLEETWRIGHT_USER_DATA\n");
        assert!(text.contains(&own), "{text}");
        let sly = "#!/bin/sh\nFLEETWRIGHT_USER_DATA\n";
        let text = with_dead_man(Some(sly), LIMIT).unwrap();
        assert!(text.contains("<<'FLEETWRIGHT_USER_DATA_'\n"), "{text}");
    }

    #[test]
    fn cloud_config_gets_one_more_command_in_front() {
        let lines = |text: &str| -> Vec<String> {
            text.lines()
                .map(|line| line.chars().take(14).collect())
                .collect()
        };
        let without = with_dead_man(Some("#cloud-config\npackages: [git]"), LIMIT).unwrap();
        assert_eq!(
            lines(&without),
            [
                "#cloud-config",
                "packages: [git",
                "runcmd:",
                "  - \"d=/var/li"
            ]
        );
        let with = "#cloud-config\nruncmd: # mine\n\n# first\n- echo hi\npackages: [git]\n";
        let with = with_dead_man(Some(with), LIMIT).unwrap();
        assert_eq!(
            lines(&with)[..5],
            [
                "#cloud-config",
                "runcmd: # mine",
                "- \"d=/var/lib/",
                "",
                "# first"
            ]
        );
        for unclear in [
            "#cloud-config\nruncmd: [echo hi]\n",
            "#cloud-config\n\"runcmd\": [echo hi]\n",
            "#cloud-config\nruncmd:\npackages: [git]\n",
            "words",
        ] {
            let error = with_dead_man(Some(unclear), LIMIT).unwrap_err();
            assert_eq!(error.kind(), Kind::Invalid, "{unclear}");
        }
    }

    #[test]
    fn a_pool_without_a_timer_boots_what_it_says() {
        let mut pool = Pool {
            user_data: Some("#!/bin/sh\n".into()),
            ..Pool::default()
        };
        assert_eq!(pool.first_boot().unwrap(), pool.user_data);
        let before = pool.generation();
        pool.limits.dead_man = Some(LIMIT);
        assert_ne!(pool.first_boot().unwrap(), pool.user_data);
        assert_ne!(
            pool.generation(),
            before,
            "its nodes are made of something else"
        );
    }
}
