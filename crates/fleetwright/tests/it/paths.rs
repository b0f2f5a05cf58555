//! Where state lives, and what is said when it cannot.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use fleetwright::config::{BUILT_IN, Loaded, Overrides};
use fleetwright::core::{Kind, Result};
use fleetwright::{Environment, Paths, env};

fn paths(variables: &[(&str, &str)], flag: Option<&Path>) -> Result<Paths> {
    let environment: Environment = variables.iter().copied().collect();
    let config = Loaded::from_text("f.toml", BUILT_IN, &environment, Path::new("/etc"))?.config;
    let overrides = Overrides {
        state_dir: flag.map(Path::to_owned),
        ..Overrides::default()
    };
    Paths::new(&config, &overrides, &environment, Path::new("/here"))
}

#[test]
fn the_more_explicit_state_directory_wins() {
    let home = (env::HOME, "/home/ada");
    let xdg = (env::XDG_STATE_HOME, "/xdg");
    let variable = (env::STATE_DIR, "var");
    for (variables, flag, fleet) in [
        (
            vec![home],
            None,
            "/home/ada/.local/state/fleetwright/default",
        ),
        (vec![home, xdg], None, "/xdg/fleetwright/default"),
        (vec![home, xdg, variable], None, "/here/var/default"),
        (
            vec![home, xdg, variable],
            Some(Path::new("~/flag")),
            "/home/ada/flag/default",
        ),
    ] {
        let paths = paths(&variables, flag).unwrap();
        assert_eq!(paths.fleet(), Path::new(fleet));
        assert_eq!(paths.journal(), Path::new(fleet).join("journal.db"));
        assert_eq!(paths.sim_world("c"), Path::new(fleet).join("sim/c.world"));
    }
}

#[test]
fn without_a_home_there_is_no_place_for_state() {
    let error = paths(&[], None).unwrap_err();
    assert_eq!(error.kind(), Kind::Config);
    assert_eq!(
        error.to_string(),
        "there is no place for state: `HOME` is not set"
    );
    assert_eq!(
        error.hint(),
        Some("set `FLEETWRIGHT_STATE_DIR` or give `--state-dir`")
    );
}

#[test]
fn the_directory_of_a_fleet_is_for_its_owner_only() {
    let folder = tempfile::tempdir().unwrap();
    let paths = paths(&[], Some(&folder.path().join("a/b"))).unwrap();
    paths.create().unwrap();
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(paths.fleet()), 0o700);
    fs::set_permissions(paths.fleet(), fs::Permissions::from_mode(0o755)).unwrap();
    paths.create().unwrap();
    assert_eq!(mode(paths.fleet()), 0o700);
    assert_eq!(
        fs::read_dir(paths.fleet()).unwrap().count(),
        0,
        "the probe is gone"
    );
}

#[test]
fn a_state_directory_that_cannot_be_made_is_named_with_the_reason() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    fs::write(&file, "").unwrap();
    for (state, reason) in [
        (file.as_path(), "Not a directory"),
        (Path::new("/proc/fleetwright"), "No such file or directory"),
    ] {
        let error = paths(&[], Some(state)).unwrap().create().unwrap_err();
        assert_eq!(error.kind(), Kind::Config);
        let text = error.to_string();
        assert!(
            text.contains(&state.join("default").display().to_string()),
            "{text}"
        );
        assert!(text.contains(reason), "{text}");
        assert!(
            error
                .hint()
                .is_some_and(|hint| hint.contains("--state-dir"))
        );
    }
}
