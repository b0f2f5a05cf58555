//! The one script that is run for a report: POSIX shell, reads only, and says something about all
//! that was asked for. What it cannot find out it says to be `unknown`.

use fleetwright_core::Health;

use super::gpu::QUERY;

/// The last line: without it the output is not complete.
pub(super) const END: &str = "end";

/// The script for a policy.
pub(super) fn script(policy: &Health) -> String {
    let mut lines = Vec::new();
    if let Some(path) = &policy.heartbeat_file {
        lines.push(format!("heartbeat {}", quoted(path)));
    }
    for (index, probe) in policy.probes.iter().enumerate() {
        let seconds = probe.timeout.0.as_secs().max(1);
        let command = quoted(&probe.command);
        lines.push(format!("probe {index} {seconds} {command}"));
    }
    if policy.gpu.is_some() {
        lines.push(format!("gpus {QUERY}\nkernel"));
    }
    lines.push(format!("echo {END}\nexit 0\n"));
    format!("{FUNCTIONS}{}", lines.join("\n"))
}

fn quoted(word: &str) -> String {
    format!("'{}'", word.replace('\'', r"'\''"))
}

/// A probe's output is of interest for its last line only. `timeout` is part of coreutils and of
/// BusyBox; without it the limit of the whole look holds.
const FUNCTIONS: &str = r#"
within() {
    if command -v timeout >/dev/null 2>&1; then
        timeout "$@"
    else
        shift
        "$@"
    fi
}
one_line() {
    printf '%s' "$1" | tr '\r\n\t' '   ' | tail -c 200
}
probe() {
    said=$(within "$2" sh -c "$3" </dev/null 2>&1)
    status=$?
    echo "probe $1 $status $(one_line "$said")"
}
heartbeat() {
    if [ ! -e "$1" ]; then
        echo 'heartbeat none'
    elif then=$(stat -c %Y "$1" 2>/dev/null) && now=$(date +%s); then
        echo "heartbeat $((now - then))"
    else
        echo 'heartbeat unknown'
    fi
}
gpus() {
    devices=0
    for device in /sys/bus/pci/devices/*; do
        case "$(cat "$device/vendor" "$device/class" 2>/dev/null | tr '\n' ' ')" in
        '0x10de 0x03'*) devices=$((devices + 1)) ;;
        esac
    done
    echo "gpu-devices $devices"
    if ! command -v nvidia-smi >/dev/null 2>&1; then
        echo 'gpu-status none'
        return
    fi
    said=$(within 20 nvidia-smi --query-gpu="$1" --format=csv,noheader </dev/null 2>&1)
    echo "gpu-status $?"
    printf '%s\n' "$said" | head -n 64 | cut -c 1-300 | sed 's/^/gpu /'
}
kernel() {
    if read -r boot 2>/dev/null </proc/sys/kernel/random/boot_id; then echo "boot $boot"; fi
    if read -r up _ 2>/dev/null </proc/uptime; then echo "uptime $up"; fi
    if log=$(dmesg 2>/dev/null </dev/null) && [ -n "$log" ]; then
        echo 'kernel dmesg'
    elif log=$(sudo -n dmesg 2>/dev/null </dev/null) && [ -n "$log" ]; then
        echo 'kernel sudo'
    elif log=$(journalctl -k -b -q --no-pager -o short-monotonic 2>/dev/null </dev/null) \
        && [ -n "$log" ]; then
        echo 'kernel journal'
    else
        echo 'kernel unknown'
        return
    fi
    printf '%s\n' "$log" | head -n 1 | cut -c 1-300 | sed 's/^/first /'
    printf '%s\n' "$log" | grep -F 'NVRM: Xid (' | tail -n 200 | cut -c 1-300 | sed 's/^/xid /'
}
"#;

#[cfg(test)]
mod tests {
    use fleetwright_core::{GpuHealth, HealthProbe, Span};

    use super::*;

    fn run(policy: &Health, path: &str) -> String {
        let output = std::process::Command::new("/bin/sh")
            .arg("-c")
            .arg(script(policy))
            .env("PATH", path)
            .output()
            .unwrap();
        let said = String::from_utf8(output.stdout).unwrap();
        let trouble = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(
            output.status.success() && trouble.is_empty(),
            "{said}\n{trouble}"
        );
        assert!(said.ends_with("end\n"), "{said}");
        said
    }

    const PATH: &str = "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin";

    fn probe(command: &str) -> HealthProbe {
        HealthProbe {
            name: "it".into(),
            command: command.into(),
            timeout: Span::seconds(1),
        }
    }

    /// The script runs here as it would on a machine; only the login is missing.
    #[test]
    fn probes_have_a_status_a_last_word_and_a_limit() {
        let policy = Health {
            probes: vec![
                probe("true"),
                probe("echo 'it'\\''s\nbroken' >&2; exit 3"),
                probe("exec sleep 60"),
                probe("cat; kill -9 $$"),
            ],
            ..Health::default()
        };
        let said = run(&policy, PATH);
        let lines: Vec<&str> = said.lines().map(str::trim_end).collect();
        assert_eq!(lines[0], "probe 0 0");
        assert_eq!(lines[1], "probe 1 3 it's broken");
        assert_eq!(lines[2], "probe 2 124");
        assert!(lines[3].starts_with("probe 3 137"), "{said}");
    }

    #[test]
    fn the_age_of_a_heartbeat_file_is_measured_on_the_machine() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("it's alive");
        let policy = Health {
            heartbeat_file: Some(file.to_str().unwrap().to_owned()),
            ..Health::default()
        };
        assert!(run(&policy, PATH).contains("heartbeat none\n"));
        std::fs::write(&file, "").unwrap();
        let said = run(&policy, PATH);
        let age: i64 = said
            .lines()
            .find_map(|line| line.strip_prefix("heartbeat "))
            .unwrap()
            .parse()
            .unwrap();
        assert!((0..60).contains(&age), "{said}");
    }

    /// `nvidia-smi` and `dmesg` as their manuals describe them, in front of the others.
    #[cfg(unix)]
    #[test]
    fn gpus_and_the_kernels_log_are_read() {
        use std::os::unix::fs::PermissionsExt as _;
        let folder = tempfile::tempdir().unwrap();
        for (name, body) in [
            (
                "nvidia-smi",
                "case \"$*\" in *--query-gpu=index,pci.bus_id,name,*--format=csv,noheader) ;; *) exit \
                 2 ;; esac\necho '0, 00000000:3B:00.0, NVIDIA H100 80GB HBM3, 34, 0'\nexit 0",
            ),
            (
                "dmesg",
                "echo '[    0.000000] Linux version 6.12.0'\necho '[ 5.000001] NVRM: Xid \
                 (PCI:0000:3b:00): 79, GPU has fallen off the bus.'",
            ),
        ] {
            let path = folder.path().join(name);
            std::fs::write(&path, format!("#!/bin/sh\n{body}\n")).unwrap();
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
        }
        let policy = Health {
            gpu: Some(GpuHealth::default()),
            ..Health::default()
        };
        let path = format!("{}:{PATH}", folder.path().display());
        let said = run(&policy, &path);
        for line in [
            "gpu-status 0\n",
            "gpu 0, 00000000:3B:00.0, NVIDIA H100 80GB HBM3, 34, 0\n",
            "\nuptime ",
            "kernel dmesg\n",
            "first [    0.000000] Linux version 6.12.0\n",
            "xid [ 5.000001] NVRM: Xid (PCI:0000:3b:00): 79, GPU has fallen off the bus.\n",
        ] {
            assert!(said.contains(line), "{line:?} in {said}");
        }
    }
}
