//! An independent EC2: moto, with boto3 as the judge of what there is.

use std::io::{BufRead as _, BufReader};
use std::net::TcpStream;
use std::path::Path;
use std::process::Command;

use serde_json::Value;

use super::{configuration, credentials};
use crate::bed::{Bed, strings};

const REGIONS: [&str; 2] = ["us-east-1", "eu-west-1"];

/// A moto of its own; it runs as long as the connection is open.
struct Moto {
    url: String,
    python: String,
    _connection: BufReader<TcpStream>,
}

impl Moto {
    /// `None` where there is none: `cargo xtask test` brings one.
    fn start() -> Option<Self> {
        let starter = std::env::var("FLEETWRIGHT_TEST_MOTO_STARTER").ok()?;
        let python = std::env::var("FLEETWRIGHT_TEST_PYTHON").ok()?;
        let connection = TcpStream::connect(starter).expect("moto's starter listens");
        let mut connection = BufReader::new(connection);
        let mut url = String::new();
        connection.read_line(&mut url).expect("moto answers");
        Some(Self {
            url: url.trim().to_owned(),
            python,
            _connection: connection,
        })
    }

    /// What boto3 says.
    fn boto3(&self, arguments: &[&str]) -> Value {
        let script = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("../providers/aws/tests/data/boto3_judge.py");
        let output = Command::new(&self.python)
            .arg(script)
            .args(arguments)
            .env("AWS_ENDPOINT_URL", &self.url)
            .env("AWS_ACCESS_KEY_ID", "AKIAIOSFODNN7EXAMPLE")
            .env("AWS_SECRET_ACCESS_KEY", "a-secret-of-the-tests")
            .output()
            .expect("python can be started");
        assert!(
            output.status.success(),
            "{arguments:?}: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        serde_json::from_slice(&output.stdout).expect("the judge prints JSON")
    }

    fn alive(&self) -> Vec<String> {
        let seen = self.boto3(&["instances", REGIONS[0], REGIONS[1]]);
        let all = seen.as_array().expect("it is a list").iter();
        all.filter(|instance| instance["state"] != "shutting-down")
            .map(|instance| instance["id"].as_str().expect("an id is a text").to_owned())
            .collect()
    }
}

/// One pool per machine and call, because moto starts `MinCount` machines instead of `MaxCount`:
/// ten pools of one machine in each region.
fn pools() -> String {
    let pool = |at: usize| {
        let region = REGIONS[at % 2];
        format!(
            "[pools.p{at}]\ndesired = 1\n\
             candidates = [{{ provider = \"cloud\", region = \"{region}\", type = \"t3.micro\" }}]\n"
        )
    };
    (0..20).map(pool).collect()
}

#[test]
fn twenty_nodes_in_two_regions_live_and_die_as_boto3_sees_it() {
    let Some(moto) = Moto::start() else {
        println!("skipped: no moto (`cargo xtask test` brings one)");
        return;
    };
    let stranger = moto.boto3(&["run", "us-east-1", "Name=by-hand"]);
    let stranger = stranger.as_str().expect("an id is a text").to_owned();
    let bed = credentials(Bed::new(&configuration(&moto.url, &pools())));

    bed.must(0, &["up", "--yes", "--timeout", "120s"]);
    assert_eq!(moto.alive().len(), 21, "twenty of ours and one by hand");
    let nodes = bed.json(&["nodes"]);
    let ids = strings(&nodes["nodes"], "id");
    assert_eq!(ids.len(), 20);
    assert!(
        !ids.iter().any(|id| id.ends_with(&stranger)),
        "what was made by hand is not ours"
    );
    let status = bed.must(0, &["status"]);
    assert!(status.stdout.contains("p19"), "{}", status.stdout);
    bed.must(0, &["audit"]);

    // One goes by somebody's hand: it is noticed and replaced.
    let (region, native) = {
        let mut parts = ids[0].split('/').skip(1);
        let region = parts.next().expect("an id has a region");
        (
            region.to_owned(),
            parts.next().expect("an id has a native part").to_owned(),
        )
    };
    moto.boto3(&["terminate", &region, &native]);
    let up = bed.must(0, &["up", "--yes", "--timeout", "120s"]);
    let alive = moto.alive();
    assert_eq!(alive.len(), 21, "{}", up.stderr);
    assert!(!alive.contains(&native));

    bed.must(0, &["down", "--yes", "--timeout", "120s"]);
    assert_eq!(
        moto.alive(),
        [stranger],
        "only what was made by hand is left"
    );
}
