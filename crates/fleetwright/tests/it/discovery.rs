//! Where the configuration is found, and what wins over what.

use std::fs;
use std::path::{Path, PathBuf};

use fleetwright::config::{Loaded, Origin, Overrides, render};
use fleetwright::core::{Kind, Result};
use fleetwright::{Environment, env};

struct Place {
    folder: tempfile::TempDir,
    variables: Vec<(&'static str, String)>,
    overrides: Overrides,
}

impl Place {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let home = folder.path().join("home").display().to_string();
        Self {
            folder,
            variables: vec![(env::HOME, home)],
            overrides: Overrides::default(),
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Writes a configuration whose fleet has this name.
    fn write(&self, name: &str, fleet: &str) -> PathBuf {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        let text = format!("fleet = '{fleet}'\nowner = 'file'\n[providers.a]\nkind = 'local'\n");
        fs::write(&path, text).unwrap();
        path
    }

    fn load(&self) -> Result<Loaded> {
        let environment: Environment = self.variables.iter().cloned().collect();
        Loaded::load(&self.overrides, &environment, self.folder.path())
    }

    fn fleet(&self) -> String {
        self.load().unwrap().config.fleet
    }
}

#[test]
fn the_more_explicit_place_wins() {
    let mut place = Place::new();
    let loaded = place.load().unwrap();
    assert_eq!(loaded.origin, Origin::BuiltIn);
    assert_eq!(
        loaded.to_string(),
        "fleet `default` from the built-in configuration"
    );

    place.write("home/.config/fleetwright/fleetwright.toml", "user");
    assert_eq!(place.fleet(), "user");

    let here = place.write("fleetwright.toml", "here");
    let loaded = place.load().unwrap();
    assert_eq!(loaded.config.fleet, "here");
    assert_eq!(loaded.origin, Origin::File(here));

    place.write("variable.toml", "variable");
    place.variables.push((env::CONFIG, "variable.toml".into()));
    assert_eq!(place.fleet(), "variable");

    place.overrides.config = Some(place.write("flag.toml", "flag"));
    assert_eq!(place.fleet(), "flag");
}

#[test]
fn the_users_file_is_looked_for_where_xdg_says() {
    let mut place = Place::new();
    place.write("xdg/fleetwright/fleetwright.toml", "xdg");
    let xdg = place.path("xdg").display().to_string();
    place.variables.push((env::XDG_CONFIG_HOME, xdg));
    assert_eq!(place.fleet(), "xdg");
}

#[test]
fn environment_wins_over_file_and_flag_over_environment() {
    let mut place = Place::new();
    place.write("fleetwright.toml", "file");
    place.variables.push((env::FLEET, "variable".into()));
    place.variables.push((env::OWNER, "ada".into()));
    place.variables.push((env::STORE, "j.db".into()));
    let config = place.load().unwrap().config;
    assert_eq!(
        (config.fleet.as_str(), config.owner.as_deref()),
        ("variable", Some("ada"))
    );
    assert_eq!(config.store.path, Some(place.path("j.db")));
    place.overrides.fleet = Some("flag".into());
    assert_eq!(place.fleet(), "flag");
}

#[test]
fn a_bad_name_in_the_environment_names_the_variable() {
    let mut place = Place::new();
    place.variables.push((env::FLEET, "My Fleet".into()));
    let error = place.load().unwrap_err();
    assert_eq!(error.kind(), Kind::Config);
    assert_eq!(
        error.to_string(),
        "`My Fleet` cannot be the name of a fleet"
    );
    assert!(
        error
            .context()
            .any(|context| context == ("variable", env::FLEET))
    );
}

#[test]
fn a_file_that_was_named_must_be_there() {
    let mut place = Place::new();
    place.variables.push((env::CONFIG, "none.toml".into()));
    let by_variable = render(&place.load().unwrap_err()).unwrap();
    place.overrides.config = Some("gone.toml".into());
    let by_flag = render(&place.load().unwrap_err()).unwrap();
    let folder = place.folder.path().display().to_string();
    insta::assert_snapshot!(format!("{by_variable}\n{by_flag}").replace(&folder, "<folder>"));
}

#[test]
fn a_file_that_cannot_be_read_is_not_passed_over() {
    let place = Place::new();
    fs::create_dir(place.path("fleetwright.toml")).unwrap();
    let error = place.load().unwrap_err();
    assert!(error.to_string().contains("cannot be read"), "{error}");

    let place = Place::new();
    fs::write(place.path("fleetwright.toml"), b"fleet = '\xff'\n").unwrap();
    let error = place.load().unwrap_err();
    assert_eq!(error.to_string(), "the file is not UTF-8 text");
    assert!(
        error.context().any(|context| context == ("column", "10")),
        "{error:?}"
    );
}

#[test]
fn paths_in_a_file_start_at_the_file() {
    let place = Place::new();
    let folder = place.path("conf");
    fs::create_dir(&folder).unwrap();
    fs::write(folder.join("boot.sh"), "#!/bin/sh\ntrue\n").unwrap();
    fs::write(folder.join("key"), "k").unwrap();
    let text = "\
[providers.a]
kind = 'local'
[pools.web]
desired = 1
user_data_file = 'boot.sh'
[store]
path = 'journal.db'
[ssh]
identities = ['key', '~/other']
";
    fs::create_dir(place.path("home")).unwrap();
    fs::write(place.path("home/other"), "k").unwrap();
    fs::write(folder.join("f.toml"), text).unwrap();
    let place = Place {
        overrides: Overrides {
            config: Some(Path::new("conf/f.toml").into()),
            ..Overrides::default()
        },
        ..place
    };
    let config = place.load().unwrap().config;
    assert_eq!(
        config.pools["web"].user_data.as_deref(),
        Some("#!/bin/sh\ntrue\n")
    );
    assert_eq!(config.store.path, Some(folder.join("journal.db")));
    assert_eq!(
        config.ssh.identities,
        [folder.join("key"), place.path("home/other")]
    );
}
