//! docs/reference/environment.md, from the facade's list of variables.

use fleetwright::env::VARIABLES;

use super::{Page, table};

pub(super) fn page() -> Page {
    let rows = VARIABLES
        .iter()
        .map(|variable| vec![format!("`{}`", variable.name), variable.about.to_owned()]);
    let body = format!(
        "Every variable that is read. What the environment says wins over the configuration file \
         and loses against flags. A variable that is set to nothing counts as not set. References \
         to secrets (`env:NAME`) name further variables themselves.\n\n{}",
        table(&["Variable", "Meaning"], rows)
    );
    Page::markdown("environment", "Environment", &body)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_variable_has_a_row() {
        let text = page().text;
        for variable in VARIABLES {
            assert!(
                text.contains(&format!("| `{}` | ", variable.name)),
                "{}",
                variable.name
            );
        }
    }
}
