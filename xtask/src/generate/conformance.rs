//! docs/reference/conformance.md, from the suite's own list of cases.

use fleetwright_conformance::{Ability, CASES};

use super::{Page, table};

const ABILITIES: [Ability; 7] = [
    Ability::Core,
    Ability::Catalog,
    Ability::Groups,
    Ability::Balancers,
    Ability::Dns,
    Ability::Interruptions,
    Ability::Quotas,
];

pub(super) fn page() -> Page {
    let mut body = format!(
        "What every provider must do, in this tree or outside it: {} cases. \
         `fleetwright_conformance::suite!` makes one test of each. A case for an optional ability \
         runs for the providers that have it; a case that cannot run says so, and why.\n",
        CASES.len()
    );
    for ability in ABILITIES {
        let cases: Vec<_> = CASES
            .iter()
            .filter(|case| case.ability == ability)
            .collect();
        if cases.is_empty() {
            continue;
        }
        let rows = cases
            .iter()
            .map(|case| vec![format!("`{}`", case.name), case.what.to_owned()]);
        body += &[
            "
## ",
            ability.as_str(),
            "

",
        ]
        .concat();
        body += &table(&["Case", "What is judged"], rows);
    }
    Page::markdown("conformance", "Conformance", &body)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_case_is_left_out() {
        let text = page().text;
        for case in CASES {
            assert!(
                text.contains(&format!("| `{}` |", case.name)),
                "{}",
                case.name
            );
        }
    }
}
