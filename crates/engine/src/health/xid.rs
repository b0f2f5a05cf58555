//! XID errors: what NVIDIA's driver writes into the kernel's log when a GPU fails.
//!
//! `[ 1234.567890] NVRM: Xid (PCI:0000:3b:00): 79, pid='<unknown>', GPU has fallen off the bus.`
//!
//! The form of the lines, and what the codes mean:
//! <https://docs.nvidia.com/deploy/xid-errors/analyzing-xid-catalog.html>.

use fleetwright_core::GpuHealth;

/// An XID error.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Xid {
    /// When, in microseconds since the machine was started.
    pub(super) at: u64,
    /// Its code.
    pub(super) code: u32,
    /// What the kernel said, from `Xid` on.
    pub(super) text: String,
}

/// What a code means for the machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Meaning {
    /// The GPU does not work until it is reset, the machine is restarted or the card is replaced.
    Fatal,
    /// A bad report like any other.
    Recoverable,
    /// The fault of a program, or only for information.
    Ignored,
}

/// Resolutions in the catalog: reset the GPU, restart the machine, look into the hardware.
///
/// 46 the GPU stopped processing; 48 a double bit error; 54 the auxiliary power is not connected;
/// 62 the micro-controller halted; 64 a row could not be remapped; 74 an NVLink error; 79 fallen
/// off the bus; 95 an uncontained memory error; 109 a context switch timed out; 110 a security
/// fault; 119 and 120 the GSP does not answer or failed; 136 link training failed; 140 an unrecovered
/// memory error; 143 it cannot be initialized.
const FATAL: [u32; 15] = [
    46, 48, 54, 62, 64, 74, 79, 95, 109, 110, 119, 120, 136, 140, 143,
];

/// Resolutions in the catalog: restart the program, check the program, or none at all.
///
/// 8, 11, 13, 31, 32, 43, 45, 68 and 69 are faults of programs or follow from their end; 63 a row
/// was remapped, 92 a high rate of corrected errors, 94 a memory error that was contained in one
/// program, 121 a corrected error of the C2C link.
const IGNORED: [u32; 13] = [8, 11, 13, 31, 32, 43, 45, 63, 68, 69, 92, 94, 121];

/// What a code means. What the user says counts first; a code that is in no list is a bad report
/// like any other.
pub(super) fn meaning(code: u32, policy: &GpuHealth) -> Meaning {
    if policy.ignored.contains(&code) {
        Meaning::Ignored
    } else if policy.fatal.contains(&code) {
        Meaning::Fatal
    } else if policy.recoverable.contains(&code) {
        Meaning::Recoverable
    } else if FATAL.contains(&code) {
        Meaning::Fatal
    } else if IGNORED.contains(&code) {
        Meaning::Ignored
    } else {
        Meaning::Recoverable
    }
}

/// Reads a line of the kernel's log; `None` if it is no XID error.
pub(super) fn read(line: &str) -> Option<Xid> {
    let at = time(line)?;
    let (_, text) = line.split_once("NVRM: Xid (")?;
    let (device, after) = text.split_once("):")?;
    let digits: String = after
        .trim_start()
        .chars()
        .take_while(char::is_ascii_digit)
        .collect();
    let said = after.trim_start().strip_prefix(digits.as_str())?;
    let said = said.trim_start_matches([',', ' ']).trim_end();
    let code = digits.parse().ok()?;
    Some(Xid {
        at,
        code,
        text: format!("XID {code} on {device}: {said}"),
    })
}

/// The time at the beginning of a line, `[ 1234.567890]`, in microseconds.
pub(super) fn time(line: &str) -> Option<u64> {
    let (time, _) = line.trim_start().strip_prefix('[')?.split_once(']')?;
    micros(time.trim())
}

/// `1234.567890` in millionths.
pub(super) fn micros(text: &str) -> Option<u64> {
    let (whole, fraction) = text.split_once('.')?;
    let is_number = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
    if !is_number(whole) || !is_number(fraction) {
        return None;
    }
    let fraction: u64 = format!("{fraction:0<6}").get(..6)?.parse().ok()?;
    whole
        .parse::<u64>()
        .ok()?
        .checked_mul(1_000_000)?
        .checked_add(fraction)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_both_logs_are_read() {
        for (line, at, code, text) in [
            (
                "[  512.000123] NVRM: Xid (PCI:0000:3b:00): 79, pid='<unknown>', name=<unknown>, GPU \
                 has fallen off the bus.",
                512_000_123,
                79,
                "XID 79 on PCI:0000:3b:00: pid='<unknown>', name=<unknown>, GPU has fallen off the \
                 bus.",
            ),
            (
                "[98.5] node7 kernel: NVRM: Xid (PCI:0000:c6:00): 94, Contained: CE User Channel",
                98_500_000,
                94,
                "XID 94 on PCI:0000:c6:00: Contained: CE User Channel",
            ),
            (
                "[1.000000] NVRM: Xid (0000:03:00): 8, Channel 0000000a",
                1_000_000,
                8,
                "XID 8 on 0000:03:00: Channel 0000000a",
            ),
        ] {
            let xid = read(line).unwrap();
            assert_eq!((xid.at, xid.code, xid.text.as_str()), (at, code, text));
        }
        for line in [
            "",
            "NVRM: Xid (PCI:0000:3b:00): 79, no time",
            "[ 1.5] NVRM: loading NVIDIA UNIX x86_64 Kernel Module",
            "[ 1.5] NVRM: Xid (PCI:0000:3b:00): many",
            "[ 1.5] NVRM: Xid (PCI:0000:3b:00",
            "[soon] NVRM: Xid (PCI:0000:3b:00): 79, x",
        ] {
            assert_eq!(read(line), None, "{line}");
        }
    }

    #[test]
    fn what_the_user_says_counts_first() {
        let policy = GpuHealth {
            fatal: vec![94, 13],
            recoverable: vec![79],
            ignored: vec![48, 13],
            ..GpuHealth::default()
        };
        assert_eq!(meaning(94, &policy), Meaning::Fatal);
        assert_eq!(meaning(79, &policy), Meaning::Recoverable);
        assert_eq!(meaning(48, &policy), Meaning::Ignored);
        assert_eq!(meaning(13, &policy), Meaning::Ignored);
        let plain = GpuHealth::default();
        assert_eq!(meaning(79, &plain), Meaning::Fatal);
        assert_eq!(meaning(31, &plain), Meaning::Ignored);
        assert_eq!(meaning(9_999, &plain), Meaning::Recoverable);
        assert!(FATAL.iter().all(|code| !IGNORED.contains(code)));
    }
}
