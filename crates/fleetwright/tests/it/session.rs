//! A session from a configuration to nodes, and what is found wrong once providers are built.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::time::Duration;

use fleetwright::config::render;
use fleetwright::core::{Error, Kind, Life, Purpose};
use fleetwright::{Environment, NodeProgram, Session, SessionOptions, env};
use fleetwright_engine::{Approval, ConvergeOptions, PlanOptions, Standing};

struct Home(tempfile::TempDir);

impl Home {
    fn new(config: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("fleetwright.toml"), config).unwrap();
        Self(folder)
    }

    fn options(&self) -> SessionOptions {
        let folder = self.0.path();
        let program = NodeProgram {
            path: folder.join("no-such-program"),
            args: Vec::new(),
            env: Vec::new(),
        };
        let mut options = SessionOptions::new(folder.to_owned(), program);
        let state = folder.join("state").display().to_string();
        let home = folder.display().to_string();
        options.environment = Environment::from_iter([(env::STATE_DIR, state), (env::HOME, home)]);
        options
    }

    fn refused(&self) -> Error {
        self.options()
            .validate()
            .map(|loaded| loaded.to_string())
            .expect_err("the configuration must be refused")
    }

    fn shown(&self) -> String {
        let folder = self.0.path().display().to_string();
        render(&self.refused())
            .expect("the error points into the file")
            .replace(&folder, "<folder>")
    }
}

const CLOUD: &str = "\
fleet = 'lab'
[providers.cloud]
kind = 'sim'
latency = '1ms'
boot_time = '0s'
script_time = '0s'
delete_time = '0s'
[pools.web]
desired = 3
candidates = [{ provider = 'cloud', region = 'sim-east', type = 'sim.small' }]
";

fn run(purpose: Purpose) -> ConvergeOptions {
    ConvergeOptions {
        purpose,
        deadline: Duration::from_secs(30),
        approval: Approval::Everything,
        plan: PlanOptions::default(),
        holder: "test".to_owned(),
    }
}

#[tokio::test]
async fn a_file_becomes_nodes_and_a_second_session_sees_them() {
    let home = Home::new(CLOUD);
    let session = Session::open(home.options()).await.unwrap();
    let outcome = session
        .engine()
        .converge(&run(Purpose::Converge))
        .await
        .unwrap();
    assert!(matches!(outcome.standing, Standing::Reached), "{outcome:?}");
    session.close().await;

    let again = Session::open(home.options()).await.unwrap();
    let nodes = again.store().nodes().await.unwrap();
    let lives: Vec<Life> = nodes.iter().map(|node| node.life).collect();
    assert_eq!(lives, [Life::Ready; 3]);
    let outcome = again
        .engine()
        .converge(&run(Purpose::Converge))
        .await
        .unwrap();
    assert!(outcome.plan.is_empty(), "{:?}", outcome.plan);
    again.close().await;
}

#[tokio::test]
async fn two_fleets_share_neither_key_nor_journal() {
    let home = Home::new(CLOUD);
    let lab = Session::open(home.options()).await.unwrap();
    let again = Session::open(home.options()).await.unwrap();
    assert_eq!(lab.public_key(), again.public_key(), "the key is made once");
    assert_eq!(lab.store().journal(), again.store().journal());

    let mut options = home.options();
    options.overrides.fleet = Some("other".to_owned());
    let other = Session::open(options).await.unwrap();
    assert_ne!(lab.public_key(), other.public_key());
    assert_ne!(lab.store().journal(), other.store().journal());
    assert_ne!(lab.paths().fleet(), other.paths().fleet());

    for session in [lab, again, other] {
        let mode = |path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(session.paths().identity()), 0o600);
        assert_eq!(mode(session.paths().journal()), 0o600);
        session.close().await;
    }
}

#[test]
fn validating_writes_nothing() {
    let home = Home::new(CLOUD);
    home.options().validate().unwrap();
    let names: Vec<_> = fs::read_dir(home.0.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect();
    assert_eq!(names, ["fleetwright.toml"]);
}

#[tokio::test]
async fn a_state_directory_that_is_a_file_is_named() {
    let home = Home::new(CLOUD);
    fs::write(home.0.path().join("state"), "").unwrap();
    let error = Session::open(home.options())
        .await
        .expect_err("it is a file");
    assert_eq!(error.kind(), Kind::Config);
    assert!(error.to_string().contains("state/lab"), "{error}");
}

#[test]
fn what_providers_cannot_do_is_told_with_its_place() {
    let home = Home::new(
        "\
[providers.cloud]
kind = 'sim'
user_data_limit = 20
[providers.here]
kind = 'local'

[pools.web]
desired = 1
candidates = [{ provider = 'cloud', region = 'sim-eats' }]
user_data = '#!/bin/sh\\n# more than twenty bytes'

[pools.worker]
desired = 1
candidates = [{ provider = 'here' }]
balancer = 'web'
",
    );
    insta::assert_snapshot!(home.shown());
}

#[test]
fn a_file_of_user_data_that_is_too_long_is_pointed_at() {
    let home = Home::new(
        "\
[providers.cloud]
kind = 'sim'
user_data_limit = 20
[pools.web]
desired = 1
user_data_file = 'boot.sh'
",
    );
    fs::write(
        home.0.path().join("boot.sh"),
        "#!/bin/sh\necho more than twenty\n",
    )
    .unwrap();
    insta::assert_snapshot!(home.shown());
}
