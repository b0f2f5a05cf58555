//! What was measured on machines.

use fleetwright_core::{Finding, Severity, Verdict};
use fleetwright_store::Measurement;

use crate::support::{Scratch, at};

fn finding(probe: &str, second: i64) -> Finding {
    Finding {
        probe: probe.into(),
        severity: Severity::High,
        expected: Some("a".into()),
        actual: None,
        verdict: Verdict::Missing {
            reason: "nothing there".into(),
        },
        at: at(second * 1_000_000),
        since: at(7),
    }
}

fn measured(machine: &str, port: u16, second: i64, probes: &[&str]) -> Measurement {
    Measurement {
        host: "10.0.0.1".into(),
        port,
        machine: machine.into(),
        belongs: "pools.web".into(),
        reached: true,
        since: micros(0),
        at: micros(second * 1_000_000),
        findings: probes.iter().map(|probe| finding(probe, second)).collect(),
    }
}

/// An instant as columns keep it.
fn micros(of: i64) -> jiff::Timestamp {
    jiff::Timestamp::from_microsecond(at(of).as_microsecond()).unwrap()
}

fn probes(one: &Measurement) -> Vec<&str> {
    one.findings
        .iter()
        .map(|finding| finding.probe.as_str())
        .collect()
}

#[tokio::test]
async fn findings_come_back_whole_and_those_of_probes_that_are_no_more_go() {
    let scratch = Scratch::new();
    let (one, two) = (scratch.open().await, scratch.open().await);
    let both = [
        measured("web-1", 22, 1, &["a", "b"]),
        measured("web-2", 23, 1, &["a"]),
    ];
    one.put_measurements(&both).await.unwrap();
    assert_eq!(two.measurements().await.unwrap(), both);
    let next = measured("web-1", 22, 2, &["b", "c"]);
    two.put_measurements(std::slice::from_ref(&next))
        .await
        .unwrap();
    let all = one.measurements().await.unwrap();
    assert_eq!(all, [next, both[1].clone()]);
}

#[tokio::test]
async fn a_machine_out_of_reach_keeps_its_findings_and_another_in_its_place_does_not() {
    let scratch = Scratch::new();
    let store = scratch.open().await;
    store
        .put_measurements(&[measured("web-1", 22, 1, &["a"])])
        .await
        .unwrap();
    let away = Measurement {
        reached: false,
        ..measured("web-1", 22, 2, &[])
    };
    store
        .put_measurements(std::slice::from_ref(&away))
        .await
        .unwrap();
    let all = store.measurements().await.unwrap();
    assert!(!all[0].reached && all[0].at == away.at);
    assert_eq!(probes(&all[0]), ["a"], "nobody knows better");
    let other = Measurement {
        machine: "web-9".into(),
        ..away
    };
    store.put_measurements(&[other]).await.unwrap();
    let all = store.measurements().await.unwrap();
    assert_eq!((&*all[0].machine, all[0].findings.len()), ("web-9", 0));
}

#[tokio::test]
async fn machines_that_nobody_measures_are_forgotten_after_a_while() {
    const DAY: i64 = 86_400;
    let scratch = Scratch::new();
    let store = scratch.open().await;
    store
        .put_measurements(&[
            measured("old", 1, 0, &["a"]),
            measured("kept", 2, 2 * DAY, &["a"]),
        ])
        .await
        .unwrap();
    store
        .put_measurements(&[measured("new", 3, 31 * DAY, &["a"])])
        .await
        .unwrap();
    let all = store.measurements().await.unwrap();
    let names: Vec<&str> = all.iter().map(|one| one.machine.as_str()).collect();
    assert_eq!(names, ["kept", "new"]);
    assert!(all.iter().all(|one| probes(one) == ["a"]));
    store.put_measurements(&[]).await.unwrap();
}

/// More than one statement takes, of all kinds, written together.
#[tokio::test]
async fn many_machines_are_written_like_one() {
    let scratch = Scratch::new();
    let store = scratch.open().await;
    let ports = 1..=333_u16;
    let first: Vec<Measurement> = ports
        .clone()
        .map(|port| measured("web", port, 1, &["a", "b"]))
        .collect();
    store.put_measurements(&first).await.unwrap();
    assert_eq!(store.measurements().await.unwrap(), first);
    let second: Vec<Measurement> = ports
        .map(|port| match port % 3 {
            0 => measured("web", port, 2, &["b", "c"]),
            1 => Measurement {
                reached: false,
                ..measured("web", port, 2, &[])
            },
            _ => Measurement {
                reached: false,
                ..measured("another", port, 2, &[])
            },
        })
        .collect();
    store.put_measurements(&second).await.unwrap();
    let all = store.measurements().await.unwrap();
    assert_eq!(all.len(), 333);
    for one in all {
        let expected: &[&str] = match one.port % 3 {
            0 => &["b", "c"],
            1 => &["a", "b"],
            _ => &[],
        };
        assert_eq!(probes(&one), expected, "{}", one.port);
        assert_eq!(one.reached, one.port % 3 == 0);
        assert_eq!(one.at, micros(2_000_000));
    }
}
