//! Whether a node is used: one short script over SSH, and a strict reading of what it says.
//!
//! Whatever cannot be found out counts as use. A node is idle only if every signal that its pool
//! asks for was seen and says so.

use std::time::Duration;

use fleetwright_core::{
    Access, Command, Exit, Idle, IdleSignal, Life, NoOutput, NodeId, NodeRecord,
};
use futures::StreamExt;
use futures::stream;

use crate::Engine;

/// Nodes looked at at the same time.
const LOOKS: usize = 16;
/// Limit of one look: login and script.
const LOOK_LIMIT: Duration = Duration::from_secs(30);

/// What was found out about the use of a node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Use {
    /// Every signal says that nobody uses it; the text says what they were.
    Idle(String),
    /// Somebody uses it, or nobody can tell; the text says why.
    Busy(String),
}

impl Use {
    /// Whether nobody uses it.
    pub const fn is_idle(&self) -> bool {
        matches!(self, Self::Idle(_))
    }

    /// What was seen.
    pub fn why(&self) -> &str {
        match self {
            Self::Idle(why) | Self::Busy(why) => why,
        }
    }
}

impl Engine {
    /// Looks at nodes whose pools limit how long they may be unused.
    pub(crate) async fn look_at_use(&self, records: &[&NodeRecord]) -> Vec<(NodeId, Use)> {
        stream::iter(records.iter().copied())
            .map(|record| async move { (record.id.clone(), self.use_of(record).await) })
            .buffer_unordered(LOOKS)
            .collect()
            .await
    }

    async fn use_of(&self, record: &NodeRecord) -> Use {
        let unknown = |why: &str| Use::Busy(format!("nobody can tell: {why}"));
        let Some(pool) = self.fleet.pools.get(&record.pool) else {
            return unknown("its pool is not in the configuration");
        };
        // A failed node costs as much as a good one, and may be looked into.
        if !record.life.is_ready() && record.life != Life::Failed {
            return Use::Busy(format!("it is {}", record.life));
        }
        let (Some(remote), Some(access)) = (&self.remote, &record.access) else {
            return unknown("it cannot be logged in to");
        };
        let access: &Access = access;
        let mut command = Command::new("sh -s").with_timeout(LOOK_LIMIT);
        command.stdin = script(&pool.idle).into_bytes();
        match remote.run(access, &command, &NoOutput).await {
            Ok(output) if output.exit == (Exit::Status { code: 0 }) => {
                judge(&pool.idle, &String::from_utf8_lossy(&output.stdout))
            }
            Ok(output) => unknown(&format!("the script on it ended with {:?}", output.exit)),
            Err(error) => unknown(&error.report().to_string()),
        }
    }
}

/// The script: for each signal one line, or one for each GPU, `<signal> <value>`. A value that
/// cannot be had is `unknown`.
fn script(idle: &Idle) -> String {
    let mut text = String::from(FUNCTIONS);
    for signal in &idle.signals {
        text.push_str(match signal {
            IdleSignal::Sessions => "sessions\n",
            IdleSignal::Load => "load\n",
            IdleSignal::Gpu => "gpu\n",
        });
    }
    if let Some(probe) = &idle.probe {
        let quoted = probe.replace('\'', r"'\''");
        // Its output is of no interest, and its input is not this script.
        text.push_str("sh -c '");
        text.push_str(&quoted);
        text.push_str("' </dev/null >/dev/null 2>&1; echo \"probe $?\"\n");
    }
    text.push_str("exit 0\n");
    text
}

/// Sessions are the established connections to the port that this very session came in on, less
/// this one: whoever copies files or forwards a port has no terminal and is in no `who`.
const FUNCTIONS: &str = r#"
sessions() {
    set -- ${SSH_CONNECTION:-}
    if [ $# -ne 4 ] || [ ! -r /proc/net/tcp ]; then
        echo 'sessions unknown'
        return
    fi
    here=$(printf ':%04X' "$4")
    there=$(printf ':%04X' "$2")
    all=0
    own=0
    while read -r _ local remote state _; do
        case "$state$local" in
        01*"$here")
            all=$((all + 1))
            case "$remote" in *"$there") own=1 ;; esac
            ;;
        esac
    done <<END
$(cat /proc/net/tcp /proc/net/tcp6 2>/dev/null)
END
    if [ "$own" = 1 ]; then echo "sessions $((all - 1))"; else echo 'sessions unknown'; fi
}
load() {
    if read -r one _ 2>/dev/null </proc/loadavg; then echo "load $one"; else echo 'load unknown'; fi
}
gpu() {
    seen=0
    if command -v nvidia-smi >/dev/null 2>&1; then
        seen=1
        if used=$(nvidia-smi --query-gpu=utilization.gpu --format=csv,noheader,nounits 2>/dev/null </dev/null); then
            echo "$used" | while read -r one; do echo "gpu $one"; done
        else
            echo 'gpu unknown'
        fi
    else
        for device in /sys/bus/pci/devices/*; do
            case "$(cat "$device/vendor" "$device/class" 2>/dev/null | tr '\n' ' ')" in
            '0x10de 0x03'*) seen=1; echo 'gpu unknown' ;;
            esac
        done
    fi
    for counter in /sys/class/drm/card*/device/gpu_busy_percent; do
        if [ -r "$counter" ]; then
            seen=1
            echo "gpu $(cat "$counter" 2>/dev/null)"
        fi
    done
    [ "$seen" = 1 ] || echo 'gpu none'
}
"#;

/// Reads what the script said. Pure.
fn judge(idle: &Idle, said: &str) -> Use {
    let values = |name: &str| -> Vec<&str> {
        said.lines()
            .filter_map(|line| line.strip_prefix(name)?.strip_prefix(' '))
            .map(str::trim)
            .collect()
    };
    let mut seen = Vec::new();
    for signal in &idle.signals {
        let judged = match signal {
            IdleSignal::Sessions => sessions(&values("sessions")),
            IdleSignal::Load => load(&values("load"), idle.max_load_percent),
            IdleSignal::Gpu => gpus(&values("gpu"), idle.max_gpu_percent),
        };
        match judged {
            Ok(text) => seen.push(text),
            Err(busy) => return Use::Busy(busy),
        }
    }
    if idle.probe.is_some() {
        match probe(&values("probe")) {
            Ok(text) => seen.push(text),
            Err(busy) => return Use::Busy(busy),
        }
    }
    if seen.is_empty() {
        return Use::Busy("nobody can tell: no signal is asked for".into());
    }
    Use::Idle(seen.join(", "))
}

/// `Ok`: not used, in words. `Err`: used, or unknown.
type Judged = Result<String, String>;

fn sessions(values: &[&str]) -> Judged {
    match values {
        [one] => match one.parse::<u32>() {
            Ok(0) => Ok("no SSH session".into()),
            Ok(1) => Err("1 SSH session".into()),
            Ok(count) => Err(format!("{count} SSH sessions")),
            Err(_) => Err("nobody can tell how many SSH sessions it has".into()),
        },
        _ => Err("nobody can tell how many SSH sessions it has".into()),
    }
}

fn load(values: &[&str], most: u32) -> Judged {
    let percent = match values {
        [one] => hundredths(one),
        _ => None,
    };
    match percent {
        Some(percent) if percent <= most => Ok(format!("load {percent} %")),
        Some(percent) => Err(format!("load {percent} %")),
        None => Err("nobody can tell its load".into()),
    }
}

/// `0.02` as 2.
fn hundredths(text: &str) -> Option<u32> {
    let (whole, fraction) = text.split_once('.')?;
    let is_number = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
    if !is_number(whole) || !is_number(fraction) {
        return None;
    }
    let digits: u32 = format!("{fraction:0<2}").get(..2)?.parse().ok()?;
    whole
        .parse::<u32>()
        .ok()?
        .checked_mul(100)?
        .checked_add(digits)
}

fn gpus(values: &[&str], most: u32) -> Judged {
    if values == ["none"] {
        return Ok("no GPU".into());
    }
    let mut greatest = None;
    for value in values {
        let Ok(percent) = value.parse::<u32>() else {
            return Err("nobody can tell how its GPUs are used".into());
        };
        greatest = greatest.max(Some(percent));
    }
    match greatest {
        Some(percent) if percent <= most => Ok(format!("GPU {percent} %")),
        Some(percent) => Err(format!("GPU {percent} %")),
        None => Err("nobody can tell how its GPUs are used".into()),
    }
}

fn probe(values: &[&str]) -> Judged {
    match values {
        ["0"] => Ok("the probe says idle".into()),
        ["1"] => Err("the probe says busy".into()),
        [status] => Err(format!(
            "nobody can tell: the probe ended with status {status}"
        )),
        _ => Err("nobody can tell: the probe said nothing".into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judged(said: &str) -> Use {
        judge(&Idle::default(), said)
    }

    #[test]
    fn a_node_is_idle_only_if_every_signal_says_so() {
        let idle = judged("sessions 0\nload 0.20\ngpu 0\ngpu 5\n");
        assert_eq!(idle, Use::Idle("no SSH session, load 20 %, GPU 5 %".into()));
        assert!(judged("sessions 0\nload 0.00\ngpu none\n").is_idle());
        for (said, why) in [
            ("sessions 1\nload 0.00\ngpu none\n", "1 SSH session"),
            ("sessions 0\nload 0.21\ngpu none\n", "load 21 %"),
            ("sessions 0\nload 12.00\ngpu none\n", "load 1200 %"),
            ("sessions 0\nload 0.00\ngpu 0\ngpu 93\n", "GPU 93 %"),
        ] {
            assert_eq!(judged(said), Use::Busy(why.into()), "{said}");
        }
    }

    #[test]
    fn what_is_not_known_counts_as_use() {
        for said in [
            "",
            "sessions unknown\nload 0.00\ngpu none\n",
            "sessions 0\nload unknown\ngpu none\n",
            "sessions 0\nload 0.00\n",
            "sessions 0\nload 0.00\ngpu\n",
            "sessions 0\nload 0.00\ngpu [N/A]\n",
            "sessions 0\nload 0.00\ngpu 0\ngpu unknown\n",
            "sessions -1\nload 0.00\ngpu none\n",
            "sessions 0\nload .5\ngpu none\n",
            "sessions 0\nsessions 0\nload 0.00\ngpu none\n",
        ] {
            assert!(!judged(said).is_idle(), "{said}");
        }
        let nothing = Idle {
            signals: Vec::new(),
            ..Idle::default()
        };
        assert!(!judge(&nothing, "sessions 0").is_idle());
    }

    #[test]
    fn a_probe_decides_besides_the_signals() {
        let idle = Idle {
            probe: Some("test ! -e busy".into()),
            ..Idle::default()
        };
        let with = |status: &str| {
            let said = format!("sessions 0\nload 0.00\ngpu none\nprobe {status}\n");
            judge(&idle, &said).is_idle()
        };
        assert!(with("0"));
        assert!(!with("1") && !with("127") && !with(""));
        assert!(!judge(&idle, "sessions 0\nload 0.00\ngpu none\n").is_idle());
    }

    /// The script runs here as it would on a node; only the login is missing.
    #[test]
    fn the_script_says_something_about_every_signal() {
        let idle = Idle {
            probe: Some("echo 'it is'; exit 1".into()),
            ..Idle::default()
        };
        let output = std::process::Command::new("sh")
            .arg("-c")
            .arg(script(&idle))
            .env_remove("SSH_CONNECTION")
            .output()
            .unwrap();
        let said = String::from_utf8(output.stdout).unwrap();
        assert!(
            output.status.success() && output.stderr.is_empty(),
            "{said}"
        );
        assert!(said.contains("sessions unknown\n"), "{said}");
        assert!(said.contains("\nload "), "{said}");
        assert!(said.contains("\ngpu "), "{said}");
        assert!(said.contains("\nprobe 1\n"), "{said}");
    }
}
