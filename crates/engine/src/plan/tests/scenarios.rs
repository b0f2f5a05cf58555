//! The scenarios in `tests/scenarios/plan`: a world as a text, and below it the plan for it.
//!
//! ```text
//! # What this shows, in a sentence or more.
//! provider sim east
//! ...
//! ==
//! create 3 in pool web: ...
//! ```
//! The words are explained in [`script`](super::script). `FLEETWRIGHT_REWRITE=1` writes the plans
//! of today below the worlds; look at the difference before you commit it.

use std::fs;
use std::path::{Path, PathBuf};

use super::plan_of;

/// The line between a scenario and what comes of it.
const LINE: &str = "==\n";

/// A file with a scenario.
pub(crate) struct Scenario {
    path: PathBuf,
    pub(crate) world: String,
    expected: String,
}

/// All scenarios of a folder, by name.
pub(crate) fn scenarios(folder: &str) -> Vec<Scenario> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/scenarios")
        .join(folder);
    let mut paths: Vec<PathBuf> = fs::read_dir(&folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    paths.sort();
    let read = |path: PathBuf| {
        let text = fs::read_to_string(&path).unwrap();
        let (world, expected) = match text.split_once(LINE) {
            Some((world, expected)) => (world.to_owned(), expected.to_owned()),
            None => (text, String::new()),
        };
        Scenario {
            path,
            world,
            expected,
        }
    };
    let all: Vec<Scenario> = paths.into_iter().map(read).collect();
    assert!(
        !all.is_empty(),
        "there are no scenarios in {}",
        folder.display()
    );
    all
}

impl Scenario {
    /// Its lines, without comments.
    pub(crate) fn lines(&self) -> String {
        let lines = self.world.lines().map(str::trim);
        let said: Vec<&str> = lines.filter(|line| !line.starts_with('#')).collect();
        said.join("\n")
    }

    /// What differs from what is written in the file, if something does. Rewrites it on request.
    pub(crate) fn differs(&self, told: &str) -> Option<String> {
        if self.expected == told {
            return None;
        }
        let rewrite = std::env::var_os("FLEETWRIGHT_REWRITE").is_some();
        if rewrite {
            let world = self.world.trim_end();
            fs::write(&self.path, format!("{world}\n{LINE}{told}")).unwrap();
            return None;
        }
        Some(format!(
            "{}\n--- expected\n{}--- what comes of it now\n{told}",
            self.path.display(),
            self.expected
        ))
    }
}

#[test]
fn every_scenario_has_the_plan_that_is_written_below_it() {
    let all = scenarios("plan");
    let wrong: Vec<String> = all
        .iter()
        .filter_map(|scenario| scenario.differs(&plan_of(&scenario.lines())))
        .collect();
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}
