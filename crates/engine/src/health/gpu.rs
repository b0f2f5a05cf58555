//! What `nvidia-smi` and the kernel's log say about the GPUs of a machine. Pure.

use fleetwright_core::{GpuHealth, KernelMark};

use super::report::Report;
use super::xid::{self, Meaning, Xid};

/// What the script says about the GPUs, line by line.
#[derive(Debug, Default)]
pub(super) struct GpuSaid<'a> {
    /// How `nvidia-smi` ended; absent: nothing was said.
    pub(super) status: Option<&'a str>,
    /// What it printed.
    pub(super) rows: Vec<&'a str>,
    /// NVIDIA devices on the PCI bus.
    pub(super) devices: Option<u32>,
    /// Which start of the machine it is.
    pub(super) boot_id: Option<&'a str>,
    /// Since when it runs, in microseconds.
    pub(super) uptime: Option<u64>,
    /// Whether the kernel's log could be read.
    pub(super) has_log: bool,
    /// The first line of the kernel's log.
    pub(super) first: Option<&'a str>,
    /// Lines with XID errors.
    pub(super) xids: Vec<&'a str>,
}

/// Exit statuses of `nvidia-smi` that say something about the GPUs, as its manual has them; 124 is
/// that of `timeout`.
const STATUSES: [(&str, &str); 6] = [
    ("8", "a GPU is not connected to its power supply"),
    ("9", "the NVIDIA driver is not loaded"),
    (
        "10",
        "the NVIDIA driver has trouble with interrupts of a GPU",
    ),
    ("14", "the info ROM of a GPU is corrupted"),
    (
        "15",
        "a GPU has fallen off the bus, or cannot be accessed any more",
    ),
    ("124", "`nvidia-smi` does not end"),
];

/// What is asked of each GPU, in this order.
pub(super) const QUERY: &str =
    "index,pci.bus_id,name,temperature.gpu,ecc.errors.uncorrected.volatile.total";

/// Judges what `nvidia-smi` said. `expected` is how many GPUs there should be, if that is known.
pub(super) fn judge_devices(said: &GpuSaid<'_>, expected: Option<u32>, report: &mut Report) {
    match said.status {
        None => report
            .unknown
            .push("nothing was said about its GPUs".to_owned()),
        Some("none") => match (said.devices, expected) {
            (Some(0), Some(expected)) if expected > 0 => {
                report
                    .bad
                    .push(format!("no NVIDIA GPU is there, of {expected}"));
            }
            (Some(0), Some(_)) => {}
            (Some(0), None) => report.unknown.push(
                "no NVIDIA GPU is there, and nobody knows how many there should be: set \
                 `health.gpu.count`"
                    .to_owned(),
            ),
            _ => report.unknown.push(
                "`nvidia-smi` is not installed, so nobody can tell about its GPUs".to_owned(),
            ),
        },
        Some("0") => judge_rows(&said.rows, expected, report),
        Some(status) => {
            let words = said.rows.first().map_or_else(String::new, |row| {
                format!(": {}", row.trim_end_matches('.'))
            });
            match STATUSES.iter().find(|(known, _)| *known == status) {
                Some((_, meaning)) => report.bad.push(format!("{meaning}{words}")),
                None => report
                    .unknown
                    .push(format!("`nvidia-smi` ended with status {status}{words}")),
            }
        }
    }
}

fn judge_rows(rows: &[&str], expected: Option<u32>, report: &mut Report) {
    let mut seen = 0_u32;
    for row in rows {
        let fields: Vec<&str> = row.split(',').map(str::trim).collect();
        let [index, bus, _, temperature, errors] = fields.as_slice() else {
            report.bad.push(format!("`nvidia-smi` says: {row}"));
            continue;
        };
        seen += 1;
        let is_lost = |field: &str| {
            field.contains("ERR!")
                || field.contains("Unknown Error")
                || field.contains("GPU is lost")
                || field.contains("GPU requires reset")
        };
        if let Some(field) = fields.iter().find(|field| is_lost(field)) {
            report
                .bad
                .push(format!("GPU {index} ({bus}) does not answer: {field}"));
            continue;
        }
        if temperature.parse::<i32>().is_err() && !is_absent(temperature) {
            report.unknown.push(format!(
                "GPU {index} ({bus}) has the temperature `{temperature}`"
            ));
        }
        match errors.parse::<u64>() {
            Ok(0) => {}
            Ok(errors) => report.bad.push(format!(
                "GPU {index} ({bus}) has {errors} uncorrected memory errors since its last reset"
            )),
            Err(_) if is_absent(errors) => {}
            Err(_) => report.unknown.push(format!(
                "GPU {index} ({bus}) has `{errors}` uncorrected memory errors"
            )),
        }
    }
    if let Some(expected) = expected
        && seen < expected
    {
        report
            .bad
            .push(format!("{seen} GPUs are there, of {expected}"));
    }
}

/// What a GPU does not have: many have no error correction.
fn is_absent(field: &str) -> bool {
    matches!(field, "[N/A]" | "N/A" | "[Not Supported]")
}

/// Judges the XID errors that came since the last look, and remembers how far the log is read. A
/// fatal one stays until the machine is restarted.
pub(super) fn judge_log(
    said: &GpuSaid<'_>,
    policy: &GpuHealth,
    last: Option<&KernelMark>,
    report: &mut Report,
) {
    let unreadable = |report: &mut Report, why: &str| {
        report
            .unknown
            .push(format!("the kernel's log cannot be read: {why}"));
    };
    // What was fatal before is so still, if it is the same start of the machine.
    let last = last.filter(|last| said.boot_id == Some(last.boot_id.as_str()));
    let mut mark = KernelMark {
        boot_id: said.boot_id.unwrap_or_default().to_owned(),
        ..last.cloned().unwrap_or_default()
    };
    let (Some(_), Some(uptime)) = (said.boot_id, said.uptime) else {
        unreadable(report, "nobody knows since when the machine runs");
        return;
    };
    let first = said.first.and_then(xid::time);
    if !said.has_log {
        unreadable(report, "the login may not (see `dmesg_restrict`)");
    } else if said.first.is_some() && first.is_none() {
        unreadable(report, "its lines have no times");
    } else {
        let has_gap = last.is_some_and(|last| first.is_some_and(|first| first > last.read_until));
        if has_gap {
            report
                .unknown
                .push("the kernel's log has lost lines since the last look".to_owned());
        }
        let mut found: Vec<Xid> = said
            .xids
            .iter()
            .filter_map(|line| xid::read(line))
            .collect();
        found.retain(|xid| {
            last.and_then(|last| last.last_xid)
                .is_none_or(|at| xid.at > at)
        });
        for xid in &found {
            mark.last_xid = mark.last_xid.max(Some(xid.at));
            match xid::meaning(xid.code, policy) {
                Meaning::Ignored => {}
                Meaning::Recoverable => report.bad.push(xid.text.clone()),
                Meaning::Fatal => {
                    mark.fatal.insert(xid.code, xid.text.clone());
                }
            }
        }
        mark.read_until = uptime;
    }
    for text in mark.fatal.values() {
        report
            .bad
            .push(format!("{text} (until the machine is restarted)"));
        report.is_fatal = true;
    }
    report.kernel = Some(mark);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn devices(status: &str, rows: &[&str], expected: Option<u32>) -> (Vec<String>, Vec<String>) {
        let said = GpuSaid {
            status: Some(status),
            rows: rows.to_vec(),
            devices: Some(0),
            ..GpuSaid::default()
        };
        let mut report = Report::default();
        judge_devices(&said, expected, &mut report);
        (report.bad, report.unknown)
    }

    #[test]
    fn rows_of_nvidia_smi_are_judged() {
        let good = "0, 00000000:3B:00.0, NVIDIA A100-SXM4-80GB, 34, 0";
        let no_ecc = "1, 00000000:5E:00.0, NVIDIA L4, 41, [N/A]";
        assert_eq!(devices("0", &[good, no_ecc], Some(2)), (vec![], vec![]));
        assert_eq!(devices("0", &[good], None), (vec![], vec![]));
        let (bad, _) = devices("0", &[good], Some(8));
        assert_eq!(bad, ["1 GPUs are there, of 8"]);
        let (bad, _) = devices("0", &["0, 00000000:3B:00.0, NVIDIA H100, 60, 3"], Some(1));
        assert!(bad[0].contains("3 uncorrected memory errors"), "{bad:?}");
        for lost in [
            "0, 00000000:3B:00.0, NVIDIA H100, ERR!, 0",
            "0, 00000000:3B:00.0, NVIDIA H100, [Unknown Error], [Unknown Error]",
            "0, 00000000:3B:00.0, NVIDIA H100, [GPU is lost], [GPU is lost]",
        ] {
            let (bad, _) = devices("0", &[lost], Some(1));
            assert_eq!(bad.len(), 1, "{lost}");
            assert!(bad[0].contains("does not answer"), "{bad:?}");
        }
        let (bad, unknown) = devices("0", &["0, 00000000:3B:00.0, NVIDIA H100, warm, many"], None);
        assert_eq!((bad.len(), unknown.len()), (0, 2));
    }

    #[test]
    fn the_status_of_nvidia_smi_is_judged() {
        let words = "Unable to determine the device handle for GPU 0000:3B:00.0: GPU is lost.";
        let (bad, _) = devices("15", &[words], None);
        assert!(bad[0].contains("fallen off the bus"), "{bad:?}");
        assert!(bad[0].ends_with("GPU is lost"), "{bad:?}");
        assert_eq!(devices("9", &[], None).0.len(), 1);
        assert_eq!(devices("124", &[], None).0.len(), 1);
        for unknown in ["4", "12", "127", "255"] {
            let (bad, said) = devices(unknown, &[], None);
            assert_eq!((bad.len(), said.len()), (0, 1), "{unknown}");
        }
        assert_eq!(devices("none", &[], Some(8)).0.len(), 1);
        assert_eq!(devices("none", &[], None).1.len(), 1);
    }

    const LOG: [&str; 3] = [
        "[  100.000000] NVRM: Xid (PCI:0000:3b:00): 31, pid=77, name=python, Ch 00000008, MMU Fault",
        "[  200.000000] NVRM: Xid (PCI:0000:3b:00): 38, pid=77, driver firmware error",
        "[  300.000000] NVRM: Xid (PCI:0000:3b:00): 79, pid=77, GPU has fallen off the bus.",
    ];

    fn log<'a>(boot: &'a str, uptime: u64, xids: &[&'a str]) -> GpuSaid<'a> {
        GpuSaid {
            boot_id: Some(boot),
            uptime: Some(uptime * 1_000_000),
            has_log: true,
            first: Some("[    0.000000] Linux version 6.12.0"),
            xids: xids.to_vec(),
            ..GpuSaid::default()
        }
    }

    fn look(said: &GpuSaid<'_>, last: Option<&KernelMark>) -> Report {
        let mut report = Report::default();
        judge_log(said, &GpuHealth::default(), last, &mut report);
        report
    }

    #[test]
    fn only_errors_since_the_last_look_are_new() {
        let first = look(&log("a", 250, &LOG[..2]), None);
        assert_eq!(first.bad.len(), 1, "{first:?}");
        assert!(!first.is_fatal);
        let second = look(&log("a", 260, &LOG[..2]), first.kernel.as_ref());
        assert_eq!(second.bad, Vec::<String>::new());
        let third = look(&log("a", 310, &LOG), second.kernel.as_ref());
        assert!(
            third.is_fatal && third.bad[0].contains("XID 79"),
            "{third:?}"
        );
        // The line may be gone from the log: the GPU is not back for that.
        let fourth = look(&log("a", 900, &[]), third.kernel.as_ref());
        assert!(fourth.is_fatal, "{fourth:?}");
        let restarted = look(&log("b", 10, &[]), fourth.kernel.as_ref());
        assert!(restarted.bad.is_empty() && restarted.unknown.is_empty());
    }

    #[test]
    fn a_log_that_cannot_be_read_is_unknown() {
        let mut said = log("a", 250, &[]);
        said.has_log = false;
        assert_eq!(look(&said, None).unknown.len(), 1);
        said.has_log = true;
        said.first = Some("Linux version 6.12.0");
        assert_eq!(look(&said, None).unknown.len(), 1);
        said.boot_id = None;
        assert_eq!(look(&said, None).unknown.len(), 1);
        // A ring that has turned round since the last look has swallowed something.
        let mark = look(&log("a", 250, &[]), None).kernel;
        let mut said = log("a", 9_000, &[]);
        said.first = Some("[ 8000.000000] audit: backlog limit exceeded");
        assert_eq!(look(&said, mark.as_ref()).unknown.len(), 1);
    }
}
