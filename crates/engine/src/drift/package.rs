//! Which version of a package is installed, by `dpkg-query` or `rpm`.

use fleetwright_core::{PackageCheck, glob};

use super::answer::Answer;
use super::judge::Judged;
use super::question::Question;

/// Where both programs are, one of them has an empty database, so both are asked. A package of
/// several architectures has a line for each.
const SCRIPT: &str = r#"
LC_ALL=C
export LC_ALL
if command -v dpkg-query >/dev/null 2>&1; then
    said=$(dpkg-query -W -f 'dpkg ${db:Status-Status} ${Version}\n' "$1" 2>/dev/null)
    code=$?
    case $code in
    0) printf '%s\n' "$said" ;;
    1) echo 'dpkg none' ;;
    *) echo "failed dpkg-query $code" ;;
    esac
fi
if command -v rpm >/dev/null 2>&1; then
    said=$(rpm -q --qf 'rpm installed %{EVR}\n' "$1" 2>/dev/null)
    code=$?
    case "$code $said" in
    '0 '*) printf '%s\n' "$said" ;;
    *'is not installed'*) echo 'rpm none' ;;
    *) echo "failed rpm $code" ;;
    esac
fi
echo end
"#;

pub(super) fn question(check: &PackageCheck) -> Question {
    Question::of(SCRIPT, &[&check.name])
}

pub(super) fn judge(check: &PackageCheck, answer: &Answer, limit: u64) -> Judged {
    let expected = match (&check.version, check.absent) {
        (_, true) => "not installed".to_owned(),
        (Some(version), _) => version.clone(),
        (None, _) => "installed".to_owned(),
    };
    let (versions, has_database) = match read(answer, limit) {
        Ok(read) => read,
        Err(why) => return Judged::unknown(why, expected),
    };
    if !has_database {
        let why = "the node has neither `dpkg-query` nor `rpm`";
        return Judged::unknown(why, expected);
    }
    if versions.is_empty() {
        return if check.absent {
            Judged::agrees(expected, "not installed".to_owned())
        } else {
            Judged::missing(format!("`{}` is not installed", check.name), expected)
        };
    }
    let actual = versions.join(", ");
    if check.absent {
        return Judged::differs("it is installed", expected, actual);
    }
    match &check.version {
        Some(wanted) if !versions.iter().any(|version| glob(wanted, version)) => {
            Judged::differs("another version is installed", expected, actual)
        }
        _ => Judged::agrees(expected, actual),
    }
}

/// The installed versions, and whether there is a database of packages at all.
fn read(answer: &Answer, limit: u64) -> Result<(Vec<String>, bool), String> {
    let answer = answer.checked_many(&["dpkg", "rpm", "failed"], limit)?;
    if let Some(program) = answer.value("failed") {
        return Err(format!(
            "the database of packages cannot be read: `{program}`"
        ));
    }
    let mut versions = Vec::new();
    let mut has_database = false;
    for value in answer.values("dpkg").chain(answer.values("rpm")) {
        has_database = true;
        let (state, version) = value.split_once(' ').unwrap_or((value, ""));
        match state {
            "installed" if !version.is_empty() => versions.push(version.to_owned()),
            // Removed, with or without what it was configured with.
            "none" | "not-installed" | "config-files" => {}
            // Half-way states: unpacked, half-configured, triggers-pending and so on.
            other => return Err(format!("the package is in the state `{other}`")),
        }
    }
    versions.dedup();
    Ok((versions, has_database))
}

#[cfg(test)]
mod tests {
    use fleetwright_core::Verdict;

    use super::*;

    fn judged(version: Option<&str>, lines: &[&str]) -> Judged {
        let check = PackageCheck {
            name: "nginx".into(),
            version: version.map(str::to_owned),
            absent: false,
        };
        judge(&check, &Answer::said(lines), 60)
    }

    #[test]
    fn a_version_may_be_a_pattern() {
        let lines = ["dpkg installed 1.22.1-9+deb12u1"];
        assert_eq!(judged(None, &lines).verdict, Verdict::Agrees);
        assert_eq!(judged(Some("1.22.*"), &lines).verdict, Verdict::Agrees);
        let other = judged(Some("1.24.*"), &lines);
        assert_eq!(
            other,
            Judged::differs(
                "another version is installed",
                "1.24.*".into(),
                "1.22.1-9+deb12u1".into()
            )
        );
        let both = judged(Some("2:*"), &["dpkg none", "rpm installed 2:1.0-3.el9"]);
        assert_eq!(both.verdict, Verdict::Agrees);
    }

    #[test]
    fn removed_is_missing_and_no_database_is_unknown() {
        for lines in [
            &["dpkg none"][..],
            &["dpkg config-files 1.2"],
            &["dpkg none", "rpm none"],
        ] {
            let missing = judged(None, lines);
            assert!(
                matches!(missing.verdict, Verdict::Missing { .. }),
                "{lines:?}"
            );
        }
        for lines in [
            &[][..],
            &["failed dpkg-query 2"],
            &["dpkg none", "failed rpm 1"],
            &["dpkg half-configured 1.2"],
            &["dpkg"],
        ] {
            let unknown = judged(None, lines);
            assert!(
                matches!(unknown.verdict, Verdict::Unknown { .. }),
                "{lines:?}"
            );
        }
    }

    #[test]
    fn what_must_not_be_installed_differs_if_it_is() {
        let check = PackageCheck {
            name: "telnetd".into(),
            version: None,
            absent: true,
        };
        let judged = |lines: &[&str]| judge(&check, &Answer::said(lines), 60).verdict;
        assert_eq!(judged(&["dpkg none"]), Verdict::Agrees);
        assert!(judged(&["dpkg installed 1"]).is_drift());
        assert!(matches!(judged(&[]), Verdict::Unknown { .. }));
    }
}
