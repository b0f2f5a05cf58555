//! A Nix profile: where it points to, and whether that is what Nix built.

use fleetwright_core::{Expectation, NixCheck, NixCompare};

use super::answer::Answer;
use super::judge::Judged;
use super::question::Question;

/// The profile of a NixOS machine.
const SYSTEM: &str = "/nix/var/nix/profiles/system";

/// `--query --hash` reads Nix's database and notices no change on disk; `--verify-path` hashes the
/// content again (<https://nixos.org/manual/nix/stable/command-ref/nix-store/verify-path>). A
/// system is mostly links to other paths, so those are verified with it.
const SCRIPT: &str = r#"
PATH=$PATH:/run/current-system/sw/bin:/nix/var/nix/profiles/default/bin:${HOME:-}/.nix-profile/bin
export PATH
path=$(readlink -f "$1")
printf 'path %s\n' "$path"
if [ -n "$2$3" ] && ! command -v nix-store >/dev/null 2>&1; then
    echo 'lacks nix-store'
    echo end
    exit 0
fi
if [ "$2" = hash ]; then
    if hash=$(nix-store --query --hash "$path" 2>/dev/null); then
        printf 'hash %s\n' "$hash"
    else
        echo unhashed
    fi
fi
if [ "$3" = verify ]; then
    all=$(nix-store --query --requisites "$path" 2>/dev/null)
    if [ -z "$all" ]; then
        echo unverified
    elif said=$(printf '%s\n' "$all" | xargs nix-store --verify-path 2>&1); then
        echo verified
    else
        case $said in
        *' was modified!'*)
            changed=$(printf '%s\n' "$said" | sed -n "s/.*path '\([^']*\)' was modified!.*/\1/p" | sed -n 1p)
            printf 'changed %s\n' "$changed"
            ;;
        *) echo unverified ;;
        esac
    fi
fi
echo end
"#;

pub(super) fn question(check: &NixCheck) -> Question {
    let hash = if check.compare == NixCompare::NarHash {
        "hash"
    } else {
        ""
    };
    let verify = if check.verify { "verify" } else { "" };
    Question::at_path(SCRIPT, &[profile(check), hash, verify])
}

fn profile(check: &NixCheck) -> &str {
    check.profile.as_deref().unwrap_or(SYSTEM)
}

pub(super) fn judge(
    check: &NixCheck,
    expectation: &Expectation,
    answer: &Answer,
    limit: u64,
) -> Judged {
    let expected = match (expectation, check.compare, &check.path) {
        (Expectation::Nix { path, .. }, NixCompare::Path, _) => path.clone(),
        (
            Expectation::Nix {
                nar_hash: Some(hash),
                ..
            },
            NixCompare::NarHash,
            _,
        ) => hash.clone(),
        (Expectation::Written, NixCompare::Path, Some(path)) => path.clone(),
        _ => return Judged::unexpected("nobody knows which store path is expected".to_owned()),
    };
    let words = [
        "absent",
        "dangling",
        "hidden",
        "path",
        "lacks",
        "hash",
        "unhashed",
        "verified",
        "unverified",
        "changed",
    ];
    let answer = match answer.checked(&words, limit) {
        Ok(answer) => answer,
        Err(why) => return Judged::unknown(why, expected),
    };
    let is = |word| answer.value(word).is_some();
    let profile = profile(check);
    if is("hidden") {
        let why = format!("a directory above `{profile}` cannot be searched");
        return Judged::unknown(why, expected);
    }
    if is("absent") {
        return Judged::missing(format!("there is no profile `{profile}`"), expected);
    }
    if is("dangling") {
        return Judged::missing(
            format!("the profile `{profile}` points to nothing"),
            expected,
        );
    }
    let Some(path) = answer.value("path").filter(|path| !path.is_empty()) else {
        let why = format!("the node did not say where `{profile}` points to");
        return Judged::unknown(why, expected);
    };
    let actual = match check.compare {
        NixCompare::Path => path,
        NixCompare::NarHash => match answer.value("hash").filter(|hash| !hash.is_empty()) {
            Some(hash) => hash,
            None if is("lacks") => {
                return Judged::unknown("the node has no `nix-store`", expected);
            }
            None => {
                let why = format!("Nix on the node does not know `{path}`");
                return Judged::unknown(why, expected);
            }
        },
    };
    if actual != expected {
        let reason = match check.compare {
            NixCompare::Path => "the profile points to another store path".to_owned(),
            NixCompare::NarHash => format!("`{path}` has another content"),
        };
        return Judged::differs(reason, expected, actual.to_owned());
    }
    if check.verify {
        if let Some(changed) = answer.value("changed") {
            let reason = format!("somebody has changed `{changed}` in the store");
            return Judged::differs(reason, expected, format!("{actual}, changed"));
        }
        if is("lacks") {
            return Judged::unknown("the node has no `nix-store` to verify it", expected);
        }
        if !is("verified") {
            let why = format!("Nix on the node cannot verify `{path}`");
            return Judged::unknown(why, expected);
        }
    }
    Judged::agrees(expected, actual.to_owned())
}

#[cfg(test)]
mod tests {
    use fleetwright_core::Verdict;

    use super::*;

    const GOOD: &str = "/nix/store/abc-system";

    fn check(compare: NixCompare, verify: bool) -> NixCheck {
        NixCheck {
            path: Some(GOOD.into()),
            compare,
            verify,
            ..NixCheck::default()
        }
    }

    fn by_path(verify: bool, lines: &[&str]) -> Judged {
        let check = check(NixCompare::Path, verify);
        judge(&check, &Expectation::Written, &Answer::said(lines), 60)
    }

    #[test]
    fn the_store_path_is_compared() {
        let path = format!("path {GOOD}");
        let good = by_path(false, &[&path]);
        assert_eq!(good, Judged::agrees(GOOD.into(), GOOD.into()));
        assert!(
            by_path(false, &["path /nix/store/old-system"])
                .verdict
                .is_drift()
        );
        for lines in [&["absent"][..], &["dangling"]] {
            let verdict = by_path(false, lines).verdict;
            assert!(matches!(verdict, Verdict::Missing { .. }), "{lines:?}");
        }
        for lines in [&["hidden"][..], &["path "], &[]] {
            let verdict = by_path(false, lines).verdict;
            assert!(matches!(verdict, Verdict::Unknown { .. }), "{lines:?}");
        }
    }

    #[test]
    fn a_right_path_with_a_changed_content_differs() {
        let path = format!("path {GOOD}");
        assert_eq!(by_path(true, &[&path, "verified"]).verdict, Verdict::Agrees);
        let changed = by_path(true, &[&path, "changed /nix/store/xyz-shell"]);
        assert_eq!(
            changed.verdict.reason(),
            Some("somebody has changed `/nix/store/xyz-shell` in the store")
        );
        assert!(changed.verdict.is_drift());
        for line in ["unverified", "lacks nix-store"] {
            let verdict = by_path(true, &[&path, line]).verdict;
            assert!(matches!(verdict, Verdict::Unknown { .. }), "{line}");
        }
        // A wrong path is wrong, whether it can be verified or not.
        assert!(
            by_path(true, &["path /nix/store/old", "unverified"])
                .verdict
                .is_drift()
        );
    }

    #[test]
    fn hashes_are_compared_across_stores_and_never_guessed() {
        let check = check(NixCompare::NarHash, false);
        let known = Expectation::Nix {
            path: GOOD.into(),
            nar_hash: Some("sha256:aaa".into()),
        };
        let judged = |expectation: &Expectation, lines: &[&str]| {
            judge(&check, expectation, &Answer::said(lines), 60).verdict
        };
        let here = "path /other/store/def-system";
        assert_eq!(judged(&known, &[here, "hash sha256:aaa"]), Verdict::Agrees);
        assert!(judged(&known, &[here, "hash sha256:bbb"]).is_drift());
        for line in ["unhashed", "lacks nix-store", "hash "] {
            let verdict = judged(&known, &[here, line]);
            assert!(matches!(verdict, Verdict::Unknown { .. }), "{line}");
        }
        let verdict = judged(&Expectation::Written, &[here, "hash sha256:aaa"]);
        assert!(matches!(verdict, Verdict::Unknown { .. }));
    }
}
