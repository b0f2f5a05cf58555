//! Health, heartbeats, cordons and deliveries: what several processes write about the same machines.

use fleetwright_core::{
    Cordon, CordonPhase, Event, EventKind, HealthRecord, HealthState, Incident, IncidentKind,
    Message, Severity,
};
use fleetwright_store::HealthChange;
use uuid::Uuid;

use crate::support::{Scratch, at};

fn record(micros: i64, failures: u32) -> HealthRecord {
    HealthRecord {
        failures,
        state: HealthState::Unhealthy,
        reasons: vec!["it hurts".into()],
        ..HealthRecord::new(at(micros))
    }
}

fn change(from: Option<i64>, record: HealthRecord) -> HealthChange {
    HealthChange {
        target: "cloud/north/n1".into(),
        from: from.map(at),
        record,
    }
}

#[tokio::test]
async fn of_two_reports_on_the_same_record_one_counts() {
    let scratch = Scratch::new();
    let (one, two) = (scratch.open().await, scratch.open().await);
    assert!(one.health().await.unwrap().is_empty());
    let first = change(None, record(10, 1));
    assert_eq!(
        one.put_health(std::slice::from_ref(&first)).await.unwrap(),
        [true]
    );
    assert_eq!(two.put_health(&[first]).await.unwrap(), [false]);
    let second = change(Some(10), record(20, 2));
    assert_eq!(
        two.put_health(std::slice::from_ref(&second)).await.unwrap(),
        [true]
    );
    assert_eq!(
        one.put_health(&[change(Some(10), record(25, 2))])
            .await
            .unwrap(),
        [false]
    );
    let kept = one.health().await.unwrap();
    assert_eq!(kept["cloud/north/n1"], second.record);
    assert!(two.forget_health("cloud/north/n1").await.unwrap());
    assert!(!two.forget_health("cloud/north/n1").await.unwrap());
    assert!(one.health().await.unwrap().is_empty());
}

#[tokio::test]
async fn an_older_heartbeat_changes_nothing() {
    let store = Scratch::new();
    let store = store.open().await;
    for micros in [20, 10, 30, 25] {
        store.put_heartbeat("a", at(micros)).await.unwrap();
    }
    let kept = store.heartbeats().await.unwrap();
    assert_eq!(kept["a"].as_microsecond(), at(30).as_microsecond());
}

fn cordon(phase: CordonPhase, micros: i64) -> Cordon {
    Cordon {
        key: "cloud/north/n1".into(),
        target: "web-1".into(),
        node: Some("cloud/north/n1".parse().unwrap()),
        group: None,
        phase,
        since: at(0),
        phase_since: at(micros),
        reason: "a fan is loud".into(),
        trouble: None,
    }
}

fn told(phase: Option<CordonPhase>) -> [Event; 1] {
    [Event {
        sequence: 0,
        at: at(0),
        what: EventKind::CordonChanged {
            target: "web-1".into(),
            node: None,
            phase,
            reason: "a test".into(),
        },
    }]
}

#[tokio::test]
async fn of_two_processes_at_a_cordon_one_comes_too_late_and_tells_nothing() {
    let scratch = Scratch::new();
    let (one, two) = (scratch.open().await, scratch.open().await);
    let (cordoning, cordoned) = (
        cordon(CordonPhase::Cordoning, 10),
        cordon(CordonPhase::Cordoned, 20),
    );
    assert!(one.put_cordon(&cordoning, None, &[]).await.unwrap());
    assert!(!two.put_cordon(&cordoning, None, &told(None)).await.unwrap());
    let tell = told(Some(CordonPhase::Cordoned));
    assert!(
        two.put_cordon(&cordoned, Some(at(10)), &tell)
            .await
            .unwrap()
    );
    assert!(
        !one.put_cordon(&cordoned, Some(at(10)), &tell)
            .await
            .unwrap()
    );
    assert_eq!(
        one.cordons().await.unwrap(),
        std::slice::from_ref(&cordoned)
    );
    assert_eq!(
        two.cordon(&cordoned.key).await.unwrap(),
        Some(cordoned.clone())
    );
    assert!(
        !one.end_cordon(&cordoned.key, at(10), &told(None))
            .await
            .unwrap()
    );
    assert!(
        one.end_cordon(&cordoned.key, at(20), &told(None))
            .await
            .unwrap()
    );
    assert!(
        !two.end_cordon(&cordoned.key, at(20), &told(None))
            .await
            .unwrap()
    );
    assert_eq!(two.cordon(&cordoned.key).await.unwrap(), None);
    assert_eq!(one.last_events(9, None).await.unwrap().len(), 2);
}

fn message(incident: u128, over: bool) -> Message {
    let incident = Incident {
        id: Uuid::from_u128(incident),
        kind: IncidentKind::Unhealthy,
        target: "web-1".into(),
        group: None,
        node: None,
        subject: String::new(),
        severity: Severity::High,
        opened_at: at(0),
        resolved_at: over.then(|| at(5)),
        message: "it hurts".into(),
    };
    Message {
        id: Uuid::new_v4(),
        event: incident.event(),
        at: at(10),
        fleet: "demo".into(),
        text: incident.line(),
        incident: Some(incident),
    }
}

#[tokio::test]
async fn a_message_is_written_once_for_each_webhook_incident_and_event() {
    let store = Scratch::new();
    let store = store.open().await;
    let ops = |incident, over| ("ops".to_owned(), message(incident, over));
    assert_eq!(
        store
            .put_deliveries(&[ops(1, false), ops(2, false)])
            .await
            .unwrap(),
        2
    );
    assert_eq!(store.put_deliveries(&[ops(1, false)]).await.unwrap(), 0);
    let more = [ops(1, true), ("chat".to_owned(), message(1, false))];
    assert_eq!(store.put_deliveries(&more).await.unwrap(), 2);
    assert_eq!(store.open_deliveries().await.unwrap().len(), 4);
}

#[tokio::test]
async fn of_two_senders_one_takes_a_message_and_if_it_dies_another_does() {
    let scratch = Scratch::new();
    let (one, two) = (scratch.open().await, scratch.open().await);
    one.put_deliveries(&[("ops".to_owned(), message(1, false))])
        .await
        .unwrap();
    let seen = one.open_deliveries().await.unwrap().remove(0);
    assert!(one.take_delivery(&seen, at(100)).await.unwrap());
    assert!(!two.take_delivery(&seen, at(100)).await.unwrap());
    // The first one was killed: the message is due again when its time is over, with its id.
    let again = two.open_deliveries().await.unwrap().remove(0);
    assert_eq!(again.due_at.as_microsecond(), at(100).as_microsecond());
    assert_eq!((again.attempts, again.message.id), (1, seen.message.id));
    assert!(two.take_delivery(&again, at(200)).await.unwrap());
    two.put_off_delivery(again.message.id, at(300), "no answer")
        .await
        .unwrap();
    let third = one.open_deliveries().await.unwrap().remove(0);
    assert_eq!(
        (third.attempts, third.trouble.as_deref()),
        (2, Some("no answer"))
    );
    one.end_delivery(third.message.id, at(310), None)
        .await
        .unwrap();
    // What has ended stays so.
    two.put_off_delivery(third.message.id, at(400), "late")
        .await
        .unwrap();
    two.end_delivery(third.message.id, at(400), Some("late"))
        .await
        .unwrap();
    assert!(one.open_deliveries().await.unwrap().is_empty());
    let last = one.last_deliveries(5).await.unwrap().remove(0);
    assert!(last.delivered && last.trouble.is_none(), "{last:?}");
}
