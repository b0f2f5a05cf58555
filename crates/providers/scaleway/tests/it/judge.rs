//! A second judge: the vendor's own Python package on our fake, beside our provider.
//!
//! What it decodes, and what it sees, was not written by us.

use std::path::Path;
use std::process::Command;

use fleetwright_core::ability::{DnsRecord, RecordKind};
use fleetwright_core::{Balancers as _, Deletion, Dns as _, Provider as _};
use fleetwright_rest::testing::Description;
use fleetwright_scaleway::fake::{FakeConfig, ScalewayFake};
use serde_json::{Value, json};

use crate::support::{self, REGION, ZONE, request};

/// A Python that has the package; the test run says where.
fn python() -> Option<String> {
    let python = std::env::var("FLEETWRIGHT_TEST_SCALEWAY_PYTHON").ok();
    if python.is_none() {
        println!("skipped: no Python with the package `scaleway`");
    }
    python
}

fn file(path: &str) -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

fn run(command: &mut Command) -> Vec<u8> {
    let output = command.env("NO_PROXY", "127.0.0.1").output().unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{stderr}");
    output.stdout
}

fn judge(python: &str, fake: &ScalewayFake, what: &str) -> Value {
    let known = FakeConfig::default();
    let said = run(Command::new(python)
        .arg(file("tests/data/sdk_judge.py"))
        .args([&fake.server().url(), &known.secret_key, &known.project])
        .args([what, ZONE]));
    serde_json::from_slice(&said).unwrap()
}

/// Replies only: the package sends an empty object with every `GET`, which no contract has.
fn no_reply_is_wrong(fake: &ScalewayFake) {
    let mut violations = fake.server().violations();
    violations.retain(|violation| violation.contains(": reply "));
    assert_eq!(violations, [] as [String; 0]);
}

#[tokio::test]
async fn the_package_sees_the_machines_that_we_say_there_are() {
    let Some(python) = python() else { return };
    let fake = support::fake();
    fake.add_balancer(ZONE, "front", "web");
    fake.add_dns_zone("example.com");
    let provider = support::provider(&fake);
    let (network, group) = (fake.add_network(REGION), fake.add_security_group(ZONE));
    let mut spec = support::spec();
    spec.user_data = Some("#cloud-config\nruncmd: [true]\n".to_owned());
    spec.options = support::options(&json!({
        "public_address": "flexible-both", "volume": "block", "security_group": group,
        "private_networks": [network],
    }));
    let order = request(spec, 7);
    let created = provider.create(&order).await.unwrap();
    let node = &created.nodes[0];
    provider.register("front/web", &node.id).await.unwrap();
    let record = DnsRecord {
        name: "www.example.com".to_owned(),
        kind: RecordKind::Cname,
        values: vec!["target.example.org".to_owned()],
        ttl_seconds: 300,
    };
    provider.upsert("example.com", &record).await.unwrap();
    support::settle().await;

    let seen = judge(&python, &fake, "look");
    // More than a page of them.
    let servers = seen["servers"].as_array().unwrap();
    assert_eq!(servers.len(), 7);
    for node in &created.nodes {
        let native = node.id.native().rsplit('/').next().unwrap();
        let server = servers.iter().find(|one| one["id"] == native).unwrap();
        assert_eq!(server["name"], *node.name);
        assert_eq!(server["type"], *node.instance_type);
        assert_eq!(server["project"], FakeConfig::default().project);
        assert_eq!(server["volumes"], json!(["sbs_volume"]));
        assert_eq!(server["dynamic"], json!([false, false]));
        assert_eq!(server["networks"], json!([network]));
        assert_eq!(server["security_group"], json!(group));
        assert_eq!(
            server["user_data"],
            json!({ "cloud-init": order.spec.user_data })
        );
        for (key, value) in &node.labels {
            let tag = json!(format!("{key}={value}"));
            assert!(
                server["tags"].as_array().unwrap().contains(&tag),
                "{server}"
            );
        }
    }
    assert_eq!(seen["ips"].as_array().unwrap().len(), 14);
    assert_eq!(seen["block"].as_array().unwrap().len(), 7);
    assert_eq!(seen["volumes"], json!([]));
    let l4 = json!([8, 48_u64 << 30, 1, "L4", 0.75, "x86_64", "available"]);
    assert_eq!(seen["types"]["L4-1-24G"], l4);
    let pool = seen["balancers"][0]["pool"].as_array().unwrap();
    let listed = provider.get(&node.id).await.unwrap();
    let address = listed.addresses.public.unwrap().to_string();
    assert_eq!(pool, &[json!(address)]);
    let cname = json!(["www", "CNAME", "target.example.org.", 300]);
    let records = seen["zones"]["example.com"].as_array().unwrap();
    assert!(records.contains(&cname), "{records:?}");

    for node in &created.nodes {
        let mut tries = 0;
        while !matches!(provider.delete(&node.id).await, Ok(Deletion::Gone)) {
            tries += 1;
            assert!(tries < 1_000);
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
    }
    support::settle().await;
    let seen = judge(&python, &fake, "look");
    for kind in ["servers", "volumes", "block", "ips"] {
        assert_eq!(seen[kind], json!([]), "{kind} are left");
    }
    no_reply_is_wrong(&fake);
}

#[tokio::test]
async fn the_package_can_live_on_the_fake() {
    let Some(python) = python() else { return };
    // Its lists show at once what is there: the package does not wait for them.
    let fake = support::slow_fake(|_| {});
    fake.add_foreign(ZONE);
    let seen = judge(&python, &fake, "walk");
    let states: Vec<&str> = seen["states"]
        .as_array()
        .unwrap()
        .iter()
        .map(|state| state.as_str().unwrap())
        .collect();
    assert_eq!(states.first(), Some(&"stopped"));
    assert!(states.contains(&"running"), "{states:?}");
    assert_eq!(states.last(), Some(&"gone"));
    assert_eq!(seen["task"], "pending");
    assert_eq!(seen["found"], json!([seen["id"]]));
    assert_eq!(seen["running"]["addresses"], json!([seen["address"]]));
    assert_eq!(seen["running"]["volumes"], json!(["l_ssd"]));
    assert_eq!(seen["left"], 0);
    assert_eq!(fake.left_behind(), [] as [String; 0]);
    no_reply_is_wrong(&fake);
}

/// The contract is what its program writes from package and recordings, and nobody's wish.
#[test]
fn the_contract_is_generated() {
    let Some(python) = python() else { return };
    let recorded = Description::file("scaleway/recorded");
    if !recorded.exists() {
        println!("skipped: no recorded sessions at {}", recorded.display());
        return;
    }
    let written = run(Command::new(python)
        .arg(file("contract/generate.py"))
        .arg(recorded));
    let committed = std::fs::read(file("contract/openapi.json")).unwrap();
    assert!(
        written == committed,
        "run `contract/generate.py` again and look at what changed"
    );
}
