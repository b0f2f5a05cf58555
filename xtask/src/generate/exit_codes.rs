//! docs/reference/exit-codes.md, from the table of kinds in `fleetwright_core`.

use fleetwright_core::{Kind, Remedy};

use super::{Page, table};

pub(super) fn page() -> Page {
    let mut kinds = Kind::ALL;
    kinds.sort_by_key(|kind| kind.exit_code());
    let rows = kinds.into_iter().map(|kind| {
        vec![
            kind.exit_code().to_string(),
            format!("`{kind}`"),
            kind.http_status().to_string(),
            meaning(kind).to_owned(),
            remedy(kind.remedy()).to_owned(),
        ]
    });
    let body = format!(
        "The command ends with 0 if it did what was asked, with 2 if its arguments are wrong, and \
         otherwise with the status of the kind of error that stopped it. The kind is also the \
         field `kind` of an error in `--json` output and in the journal.\n\n{}",
        table(
            &[
                "Exit status",
                "Kind",
                "HTTP status",
                "Meaning",
                "What is done about it"
            ],
            rows
        )
    );
    Page::markdown("exit-codes", "Exit codes", &body)
}

/// The match is exhaustive, so that a new kind needs its sentence.
const fn meaning(kind: Kind) -> &'static str {
    match kind {
        Kind::Config => "The configuration is wrong.",
        Kind::Invalid => "The request is malformed or asks for something that does not exist.",
        Kind::Auth => "The credentials are missing, wrong or expired.",
        Kind::Permission => "The credentials are good but may not do this.",
        Kind::NotFound => "The thing asked for is not there.",
        Kind::Conflict => {
            "The state of the world contradicts the request: stale plan, name taken, token reused, \
             other host key."
        }
        Kind::Quota => "The account may not have more of this.",
        Kind::Capacity => "The cloud has no such machine to give at the moment.",
        Kind::RateLimited => "Too many requests.",
        Kind::Unavailable => "The other side is down, busy or not reachable.",
        Kind::Timeout => "No answer within the time allowed; it may have happened all the same.",
        Kind::Suspended => {
            "The provider failed too often and is left alone for a while; it was not asked."
        }
        Kind::Unsupported => "This provider or node cannot do that.",
        Kind::Unexpected => "An answer that nobody foresaw, or a defect of Fleetwright.",
    }
}

const fn remedy(remedy: Remedy) -> &'static str {
    match remedy {
        Remedy::RetryHere => "The same call is tried again.",
        Remedy::TryElsewhere => "The next offer is taken.",
        Remedy::GiveUp => "Nothing automatic helps.",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_has_a_row_in_order_of_its_status() {
        let text = page().text;
        let rows: Vec<&str> = text.lines().filter(|line| line.contains("| `")).collect();
        assert_eq!(rows.len(), Kind::ALL.len());
        assert!(
            rows[0].starts_with("| 1 | `unexpected` | 500 |"),
            "{}",
            rows[0]
        );
        assert!(
            rows[13].starts_with("| 15 | `unsupported` | 501 |"),
            "{}",
            rows[13]
        );
    }
}
