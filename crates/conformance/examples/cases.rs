//! Prints the cases of the suite as a page of the reference.

#![expect(clippy::print_stdout, reason = "a program for the terminal")]

use fleetwright_conformance::{Ability, CASES};

const ABILITIES: [Ability; 8] = [
    Ability::Core,
    Ability::Catalog,
    Ability::Groups,
    Ability::Balancers,
    Ability::Dns,
    Ability::Interruptions,
    Ability::Quotas,
    Ability::Requests,
];

fn main() {
    println!(
        "# Conformance\n\n\
         <!-- Written by `cargo xtask generate` from the suite; not by hand. -->\n\n\
         What every provider must do, in this tree or outside it: {} cases. \
         `fleetwright_conformance::suite!` makes one test of each. A case for an optional ability \
         runs for the providers that have it; a case that cannot run says so, and why.",
        CASES.len()
    );
    let mut shown = 0;
    for ability in ABILITIES {
        println!(
            "\n## {}\n\n| Case | What is judged |\n|---|---|",
            ability.as_str()
        );
        for case in CASES.iter().filter(|case| case.ability == ability) {
            println!("| `{}` | {} |", case.name, case.what.replace('|', "\\|"));
            shown += 1;
        }
    }
    assert_eq!(shown, CASES.len(), "an ability is missing in the page");
}
