//! Claims: what was asked for is made once, whatever became of the answer.

use std::time::Duration;

use fleetwright_core::{Clock, Idempotency, Kind, Operation, Purpose};
use fleetwright_engine::{Standing, SystemClock};
use fleetwright_sim::{Fault, Injection, SimCapacity, SimConfig};

use crate::bed::{Bed, assert_reached, converge, fleet, millis, one_pool, options, pool, quick};

/// How many create calls a region got.
fn creates(bed: &Bed, region: &str) -> usize {
    let calls = bed.world.calls().unwrap();
    calls
        .iter()
        .filter(|call| call.operation == Operation::Create)
        .filter(|call| call.region.as_deref() == Some(region))
        .count()
}

#[tokio::test]
async fn sold_out_leads_to_the_next_offer_and_is_remembered_by_all() {
    let bed = Bed::new(quick());
    let sold_out = SimCapacity {
        region: Some("sim-east".into()),
        ..SimCapacity::default()
    };
    bed.world.set_capacity(vec![sold_out]).unwrap();
    let wish = |desired| fleet([("web", pool(desired, &["sim-east", "sim-west"]))]);

    let engine = bed.engine(wish(2)).await;
    let outcome = converge(&engine).await;
    assert_reached(&outcome);
    assert!(
        outcome.executed.failures.is_empty(),
        "{:?}",
        outcome.executed.failures
    );
    assert_eq!(bed.live_in("sim-west").len(), 2);
    let marks = engine.store().marks(SystemClock.now()).await.unwrap();
    assert!(!marks.is_empty());
    assert!(
        marks
            .iter()
            .all(|mark| mark.region.as_deref() == Some("sim-east"))
    );
    let tried = creates(&bed, "sim-east");
    assert!(tried > 0);

    assert_reached(&converge(&bed.engine(wish(3)).await).await);
    assert_eq!(bed.live_in("sim-west").len(), 3);
    assert_eq!(creates(&bed, "sim-east"), tried, "nobody asks there again");
}

#[tokio::test]
async fn a_part_here_and_the_rest_there() {
    let bed = Bed::new(quick());
    let scarce = SimCapacity {
        region: Some("sim-east".into()),
        count: 1,
        ..SimCapacity::default()
    };
    bed.world.set_capacity(vec![scarce]).unwrap();
    let wish = fleet([("web", pool(3, &["sim-east", "sim-west"]))]);
    assert_reached(&converge(&bed.engine(wish).await).await);
    assert_eq!(bed.live_in("sim-east").len(), 1);
    assert_eq!(bed.live_in("sim-west").len(), 2);
}

#[tokio::test]
async fn a_lost_answer_leaves_the_claim_open_and_a_later_run_counts_what_it_made() {
    for idempotency in [
        Idempotency::NativeToken,
        Idempotency::DeterministicName,
        Idempotency::LabelThenList,
    ] {
        let config = SimConfig {
            idempotency,
            listing_lag: millis(40),
            ..quick()
        };
        let bed = Bed::new(config);
        // The first try takes effect, and then nothing gets through any more.
        for (fault, times) in [
            (Fault::After(Kind::Timeout), 1),
            (Fault::Before(Kind::Timeout), 9999),
        ] {
            let injection = Injection::new(Operation::Create, fault).times(times);
            bed.world.inject(injection).unwrap();
        }
        let engine = bed.engine(one_pool(3)).await;
        let mut short = options(Purpose::Converge);
        short.deadline = Duration::from_millis(300);
        let outcome = engine.converge(&short).await.unwrap();
        assert!(
            matches!(outcome.standing, Standing::TimedOut),
            "{outcome:#?}"
        );
        assert_eq!(engine.store().open_claims().await.unwrap().len(), 1);
        assert!((1..=3).contains(&bed.live().len()), "{idempotency:?}");

        bed.world.clear_injections().unwrap();
        let engine = bed.engine(one_pool(3)).await;
        let outcome = converge(&engine).await;
        assert_reached(&outcome);
        assert_eq!(outcome.executed.resolved, 1);
        assert_eq!(bed.live().len(), 3, "{idempotency:?}");
        tokio::time::sleep(Duration::from_millis(50)).await;
        let audit = engine.audit().await.unwrap();
        assert!(audit.is_clean(), "{audit:#?}");
    }
}

#[tokio::test]
async fn a_pool_that_is_not_wanted_any_more_gets_nothing_from_its_open_claim() {
    let bed = Bed::new(quick());
    let lost = Injection::new(Operation::Create, Fault::Before(Kind::Timeout)).times(10_000);
    bed.world.inject(lost).unwrap();
    let mut short = options(Purpose::Converge);
    short.deadline = Duration::from_millis(200);
    let engine = bed.engine(one_pool(3)).await;
    engine.converge(&short).await.unwrap();
    assert_eq!(engine.store().open_claims().await.unwrap().len(), 1);
    bed.world.clear_injections().unwrap();

    let made = creates(&bed, "sim-east");
    let engine = bed.engine(fleet([])).await;
    assert_reached(&converge(&engine).await);
    assert!(engine.store().open_claims().await.unwrap().is_empty());
    assert_eq!(
        creates(&bed, "sim-east"),
        made,
        "it was searched for, not repeated"
    );
    assert!(bed.live().is_empty());
}
