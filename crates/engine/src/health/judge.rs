//! A strict reading of what the script says. Pure.

use fleetwright_core::{Health, HealthRecord, Span};
use jiff::Timestamp;

use super::gpu::{self, GpuSaid};
use super::report::{Reached, Report};
use super::script::END;
use super::xid::micros;

/// Judges what the script said. `ended` says whether it ended well, `expected` how many GPUs should
/// be there if that is known, `last` what was known before.
pub(super) fn judge(
    policy: &Health,
    said: &str,
    ended: bool,
    expected: Option<u32>,
    last: Option<&HealthRecord>,
) -> Report {
    let mut report = Report {
        reached: Reached::Yes,
        ..Report::default()
    };
    if !ended || said.lines().next_back() != Some(END) {
        report
            .unknown
            .push("the script on it did not come to its end".to_owned());
        return report;
    }
    if policy.heartbeat_file.is_some() {
        heartbeat_file(policy, said, &mut report);
    }
    for (index, probe) in policy.probes.iter().enumerate() {
        let prefix = format!("probe {index} ");
        let found = said.lines().find_map(|line| line.strip_prefix(&prefix));
        let (status, words) = found.map_or(("", ""), |found| {
            found.split_once(' ').unwrap_or((found, ""))
        });
        let words = match words.trim() {
            "" => String::new(),
            words => format!(": {words}"),
        };
        let name = &probe.name;
        match status {
            "0" => {}
            "124" => report.bad.push(format!(
                "probe `{name}` did not end within {}{words}",
                probe.timeout
            )),
            status if status.parse::<u8>().is_ok() => report
                .bad
                .push(format!("probe `{name}` ended with status {status}{words}")),
            _ => report.unknown.push(format!("probe `{name}` said nothing")),
        }
    }
    if let Some(gpu) = &policy.gpu {
        let gpu_said = gpu_said(said);
        gpu::judge_devices(&gpu_said, expected, &mut report);
        let mark = last.and_then(|last| last.kernel.as_ref());
        gpu::judge_log(&gpu_said, gpu, mark, &mut report);
    }
    report
}

/// Judges a heartbeat that `fleetwright heartbeat` told, if the policy asks for one.
pub(super) fn heartbeat_told(
    policy: &Health,
    beat: Option<Timestamp>,
    now: Timestamp,
    report: &mut Report,
) {
    let Some(interval) = policy.heartbeat else {
        return;
    };
    if policy.heartbeat_file.is_some() || report.reached == Reached::NotLooked {
        return;
    }
    match beat {
        None => report
            .unknown
            .push("it has never sent a heartbeat".to_owned()),
        Some(beat) => {
            let age = u64::try_from(now.duration_since(beat).as_secs()).unwrap_or(0);
            judge_age(interval, age, report);
        }
    }
}

fn heartbeat_file(policy: &Health, said: &str, report: &mut Report) {
    let (Some(file), Some(interval)) = (&policy.heartbeat_file, policy.heartbeat) else {
        return;
    };
    let age = said
        .lines()
        .find_map(|line| line.strip_prefix("heartbeat "));
    match age {
        Some("none") => report.unknown.push(format!(
            "it has never sent a heartbeat: there is no `{file}`"
        )),
        // A file from the future: the clock was set back. It is not old, at least.
        Some(age) if age.starts_with('-') => {}
        Some(age) => match age.parse() {
            Ok(age) => judge_age(interval, age, report),
            Err(_) => report
                .unknown
                .push(format!("nobody can tell the age of `{file}`")),
        },
        None => report
            .unknown
            .push(format!("nobody can tell the age of `{file}`")),
    }
}

/// After twice the interval one is missing for sure.
fn judge_age(interval: Span, age: u64, report: &mut Report) {
    if age > interval.0.as_secs().saturating_mul(2) {
        report.bad.push(format!(
            "its last heartbeat is {} old; one is due every {interval}",
            Span::seconds(age)
        ));
    }
}

fn gpu_said(said: &str) -> GpuSaid<'_> {
    let mut found = GpuSaid::default();
    for line in said.lines() {
        let Some((word, rest)) = line.split_once(' ') else {
            continue;
        };
        match word {
            "gpu-status" => found.status = Some(rest),
            "gpu-devices" => found.devices = rest.parse().ok(),
            "gpu" => found.rows.push(rest),
            "boot" => found.boot_id = Some(rest),
            "uptime" => found.uptime = micros(rest),
            "kernel" => found.has_log = rest != "unknown",
            "first" => found.first = Some(rest),
            "xid" => found.xids.push(rest),
            _ => {}
        }
    }
    found.rows.retain(|row| !row.is_empty());
    found
}

#[cfg(test)]
mod tests {
    use fleetwright_core::{GpuHealth, HealthProbe};

    use super::*;

    fn policy() -> Health {
        let probe = |name: &str| HealthProbe {
            name: name.into(),
            command: "true".into(),
            timeout: Span::seconds(5),
        };
        Health {
            probes: vec![probe("web"), probe("disk")],
            heartbeat: Some(Span::minutes(1)),
            heartbeat_file: Some("/run/alive".into()),
            ..Health::default()
        }
    }

    fn said(text: &str) -> Report {
        judge(&policy(), text, true, None, None)
    }

    #[test]
    fn every_probe_must_say_something() {
        let good = said("heartbeat 3\nprobe 0 0 \nprobe 1 0 fine\nend\n");
        assert_eq!((good.bad.len(), good.unknown.len()), (0, 0), "{good:?}");
        assert_eq!(good.reached, Reached::Yes);
        let bad = said("heartbeat 3\nprobe 0 7 no route\nprobe 1 124 \nend\n");
        assert_eq!(
            bad.bad,
            [
                "probe `web` ended with status 7: no route",
                "probe `disk` did not end within 5s"
            ]
        );
        for unclear in [
            "",
            "heartbeat 3\nprobe 0 0 \nprobe 1 0 \n",
            "heartbeat 3\nprobe 0 0 \nend\n",
            "heartbeat 3\nprobe 0 0 \nprobe 1 x\nend\n",
            "heartbeat unknown\nprobe 0 0 \nprobe 1 0 \nend\n",
            "heartbeat none\nprobe 0 0 \nprobe 1 0 \nend\n",
            "probe 0 0 \nprobe 1 0 \nend\n",
        ] {
            let report = said(unclear);
            assert!(report.bad.is_empty(), "{unclear}: {report:?}");
            assert_eq!(report.unknown.len(), 1, "{unclear}: {report:?}");
        }
        assert_eq!(
            judge(&policy(), "end\n", false, None, None).unknown.len(),
            1
        );
    }

    #[test]
    fn a_heartbeat_is_missing_after_twice_its_interval() {
        let of = |age: u64| said(&format!("heartbeat {age}\nprobe 0 0 \nprobe 1 0 \nend\n"));
        assert!(of(120).bad.is_empty());
        assert_eq!(
            of(121).bad,
            ["its last heartbeat is 2m 1s old; one is due every 1m"]
        );
        let policy = Health {
            heartbeat: Some(Span::minutes(1)),
            ..Health::default()
        };
        let now: Timestamp = "2026-11-25T12:00:00Z".parse().unwrap();
        let told = |beat: Option<&str>| {
            let mut report = Report {
                reached: Reached::Yes,
                ..Report::default()
            };
            let beat = beat.map(|beat| beat.parse().unwrap());
            heartbeat_told(&policy, beat, now, &mut report);
            (report.bad.len(), report.unknown.len())
        };
        assert_eq!(told(None), (0, 1));
        assert_eq!(told(Some("2026-11-25T11:58:00Z")), (0, 0));
        assert_eq!(told(Some("2026-11-25T11:57:59Z")), (1, 0));
    }

    #[test]
    fn a_report_about_gpus_is_complete_or_says_what_is_missing() {
        let policy = Health {
            gpu: Some(GpuHealth::default()),
            ..Health::default()
        };
        let text = "gpu-devices 1\ngpu-status 0\ngpu 0, 00000000:3B:00.0, NVIDIA L4, 40, 0\n\
                    boot 5f0f\nuptime 900.12\nkernel dmesg\nfirst [ 0.000000] Linux\nend\n";
        let good = judge(&policy, text, true, Some(1), None);
        assert_eq!((good.bad.len(), good.unknown.len()), (0, 0), "{good:?}");
        assert!(good.kernel.is_some());
        let denied = "gpu-devices 1\ngpu-status 0\ngpu 0, 00000000:3B:00.0, NVIDIA L4, 40, 0\n\
                      boot 5f0f\nuptime 900.12\nkernel unknown\nend\n";
        assert_eq!(judge(&policy, denied, true, Some(1), None).unknown.len(), 1);
        assert_eq!(
            judge(&policy, "end\n", true, Some(1), None).unknown.len(),
            2
        );
    }
}
