//! Money in whole runs: budgets hold whoever asks, and prices are what was promised.

use std::time::Duration;

use fleetwright_core::{
    Budget, BudgetAction, BudgetOutcome, Candidate, Clock, EventKind, HourlyPrice, Kind, Life,
    NodeRecord, Operation, Pool, Purpose,
};
use fleetwright_engine::{
    CostQuery, Engine, Fleet, PlanOptions, Standing, SystemClock, budget_lines,
};
use fleetwright_sim::{Fault, Injection, SimCapacity, SimConfig};

use crate::bed::{
    Bed, assert_reached, converge, fleet, options, pool, quick, remove_all, withheld,
};

/// What a `sim.small` costs, and so many of them.
fn small(machines: u32) -> HourlyPrice {
    quick().types[0].price.times(machines)
}

fn per_hour(machines: u32, action: BudgetAction) -> Budget {
    Budget {
        per_hour: Some(small(machines).to_string()),
        action,
        ..Budget::default()
    }
}

/// Pools of small machines in the east, and a budget for so many machines in all.
fn shared(pools: &[(&'static str, u32)], machines: u32) -> Fleet {
    let pools = pools
        .iter()
        .map(|(name, desired)| (*name, pool(*desired, &["sim-east"])));
    Fleet {
        budget: Some(per_hour(machines, BudgetAction::Shrink)),
        ..fleet(pools)
    }
}

async fn outcomes(engine: &Engine) -> Vec<(Option<String>, BudgetOutcome)> {
    let events = engine.store().last_events(100, None).await.unwrap();
    let outcomes = events.into_iter().filter_map(|event| match event.what {
        EventKind::BudgetReached { pool, outcome, .. } => Some((pool, outcome)),
        _ => None,
    });
    outcomes.collect()
}

#[tokio::test]
async fn each_action_does_what_it_says() {
    for (action, made, outcome) in [
        (BudgetAction::Block, 0, BudgetOutcome::Blocked),
        (BudgetAction::Shrink, 3, BudgetOutcome::Shrunk),
        (BudgetAction::Warn, 5, BudgetOutcome::Warned),
    ] {
        let bed = Bed::new(quick());
        let web = Pool {
            budget: Some(per_hour(3, action)),
            ..pool(5, &["sim-east"])
        };
        let engine = bed.engine(fleet([("web", web)])).await;
        let run = converge(&engine).await;
        assert_eq!(bed.live().len(), made, "{action}");
        assert_eq!(
            run.plan.money.withholds(),
            action != BudgetAction::Warn,
            "{action}"
        );
        let reached = matches!(run.standing, Standing::Reached);
        assert_eq!(
            reached,
            action == BudgetAction::Warn,
            "{action}: {:?}",
            run.standing
        );
        let told = outcomes(&engine).await;
        assert!(
            told.contains(&(Some("web".into()), outcome)),
            "{action}: {told:?}"
        );
        // A second run makes nothing more.
        converge(&engine).await;
        assert_eq!(bed.live().len(), made, "{action}");
    }
}

#[tokio::test]
async fn of_two_processes_at_once_only_one_gets_through_the_budget() {
    let bed = Bed::new(quick());
    let one = bed.engine(shared(&[("api", 3)], 4)).await;
    let two = bed.engine(shared(&[("api", 3), ("web", 3)], 4)).await;
    for _ in 0..3 {
        let purpose = options(Purpose::Converge);
        let (first, second) = tokio::join!(one.converge(&purpose), two.converge(&purpose));
        for answer in [first, second] {
            if let Err(error) = answer {
                assert_eq!(error.kind(), Kind::Conflict, "{error:?}");
            }
        }
        assert!(bed.live().len() <= 4, "{:?}", bed.live());
    }
    converge(&two).await;
    assert_eq!(bed.live().len(), 4);
}

#[tokio::test]
async fn machines_of_a_claim_without_an_answer_count_for_whoever_comes_next() {
    let bed = Bed::new(quick());
    for (fault, times) in [
        (Fault::After(Kind::Timeout), 1),
        (Fault::Before(Kind::Timeout), 9_999),
    ] {
        let injection = Injection::new(Operation::Create, fault).times(times);
        bed.world.inject(injection.in_region("sim-east")).unwrap();
    }
    let mut short = options(Purpose::Converge);
    short.deadline = Duration::from_millis(200);
    let first = bed.engine(shared(&[("api", 3)], 4)).await;
    first.converge(&short).await.unwrap();
    assert_eq!(first.store().open_claims().await.unwrap().len(), 1);

    // The cloud still does not answer in the east. Another process wants more in the west.
    let mut wish = shared(&[("api", 3)], 4);
    wish.pools.insert("web".into(), pool(3, &["sim-west"]));
    let second = bed.engine(wish).await;
    let run = second.converge(&short).await.unwrap();
    assert!(run.plan.money.withholds(), "{:?}", run.plan);
    assert_eq!(bed.live_in("sim-west").len(), 1);

    let report = second.cost(CostQuery::default()).await.unwrap();
    assert_eq!(report.in_flight.machines, 3);
    assert_eq!(report.in_flight.per_hour, [small(3)]);
    assert_eq!(report.total.per_hour, [small(1)]);
    assert_eq!(report.budgets[0].now.micros, small(4).micros_per_hour);
}

#[tokio::test]
async fn when_the_cheap_is_sold_out_the_dear_is_not_taken() {
    let bed = Bed::new(quick());
    let sold_out = SimCapacity {
        instance_type: Some("sim.small".into()),
        ..SimCapacity::default()
    };
    bed.world.set_capacity(vec![sold_out]).unwrap();
    let candidate = |name: &str| Candidate {
        provider: "sim".into(),
        region: Some("sim-east".into()),
        instance_type: Some(name.into()),
        ..Candidate::default()
    };
    let web = |budget| Pool {
        desired: 2,
        candidates: vec![candidate("sim.small"), candidate("sim.large")],
        budget,
        ..Pool::default()
    };
    let engine = bed
        .engine(fleet([(
            "web",
            web(Some(per_hour(3, BudgetAction::Shrink))),
        )]))
        .await;
    let run = converge(&engine).await;
    assert!(matches!(run.standing, Standing::Incomplete), "{run:?}");
    assert!(bed.live().is_empty());
    let withheld = withheld(&run.plan);
    assert!(
        withheld[0].contains("the budget of pool `web`"),
        "{withheld:?}"
    );
    // Without the budget it would have been.
    assert_reached(&converge(&bed.engine(fleet([("web", web(None))])).await).await);
}

#[tokio::test]
async fn a_removal_makes_room_and_the_same_run_uses_it() {
    let bed = Bed::new(quick());
    let engine = bed.engine(shared(&[("api", 2)], 2)).await;
    assert_reached(&converge(&engine).await);
    let engine = bed.engine(shared(&[("web", 2)], 2)).await;
    let mut all = options(Purpose::Converge);
    all.plan.max_removal_percent = Some(100);
    assert_reached(&engine.converge(&all).await.unwrap());
    let records = engine.store().nodes().await.unwrap();
    assert!(records.iter().all(|record| record.pool == "web"));
    assert_eq!(records.len(), 2);
}

/// A record of a node of pool `web` that ran for an hour and is gone.
fn gone(template: &NodeRecord, price: HourlyPrice) -> NodeRecord {
    let now = SystemClock.now();
    NodeRecord {
        id: "sim/sim-east/i-of-before".parse().unwrap(),
        price: Some(price),
        life: Life::Gone,
        created_at: now - Duration::from_mins(1),
        gone_at: Some(now),
        ..template.clone()
    }
}

async fn write(engine: &Engine, record: NodeRecord) {
    let store = engine.store();
    let now = SystemClock.now();
    let lease = store
        .acquire("reconcile", "a test", now, Duration::from_mins(1))
        .await
        .unwrap();
    store.put_nodes(&lease, &[record], &[]).await.unwrap();
    store.release(lease).await.unwrap();
}

#[tokio::test]
async fn a_stored_plan_that_has_outgrown_its_budget_is_stale() {
    let bed = Bed::new(quick());
    let wish = |desired| {
        let mut wish = fleet([("web", pool(desired, &["sim-east"]))]);
        wish.budget = Some(Budget {
            per_month: Some("$100000".into()),
            ..Budget::default()
        });
        wish
    };
    let engine = bed.engine(wish(1)).await;
    assert_reached(&converge(&engine).await);
    let template = engine.store().nodes().await.unwrap().remove(0);
    let engine = bed.engine(wish(2)).await;
    let (plan, observation) = engine
        .plan(Purpose::Converge, &PlanOptions::default())
        .await
        .unwrap();
    assert!(!plan.is_empty());
    let before = budget_lines(engine.fleet(), &observation).remove(0);

    // Somebody spends 200,000 in a minute.
    let dear = HourlyPrice::usd_micros(200_000 * 60 * 1_000_000);
    write(&engine, gone(&template, dear)).await;
    let error = engine
        .apply(&plan, &options(Purpose::Converge))
        .await
        .unwrap_err();
    assert_eq!(error.kind(), Kind::Conflict);
    assert!(
        error.to_string().contains("does not fit into the budgets"),
        "{error}"
    );
    assert_eq!(bed.live().len(), 1, "nothing was made");

    let observation = engine.observe().await.unwrap();
    let after = budget_lines(engine.fleet(), &observation).remove(0);
    // It may have been last month for a part of that minute.
    let spent = after.now.micros - before.now.micros;
    assert!(spent > 0 && after.spent > before.spent, "{after:?}");
    assert_eq!(
        after.is_exceeded(),
        spent > 100_000 * 1_000_000,
        "{after:?}"
    );
}

#[tokio::test]
async fn the_price_is_the_one_that_was_promised_and_another_one_is_told() {
    let mut bed = Bed::new(quick());
    let web = Pool {
        max_price: Some("$0.05/h".into()),
        ..pool(1, &["sim-east"])
    };
    let wish = fleet([("web", web)]);
    let engine = bed.engine(wish.clone()).await;
    let (plan, _) = engine
        .plan(Purpose::Converge, &PlanOptions::default())
        .await
        .unwrap();
    // Between plan and execution the cloud doubles its prices.
    let mut dearer = SimConfig { ..quick() };
    for sold in &mut dearer.types {
        sold.price = sold.price.times(2);
    }
    bed.reconfigure(dearer);
    let engine = bed.engine(wish).await;
    assert_reached(
        &engine
            .apply(&plan, &options(Purpose::Converge))
            .await
            .unwrap(),
    );
    let records = engine.store().nodes().await.unwrap();
    assert_eq!(records[0].price, Some(small(1)));
    let events = engine.store().last_events(100, None).await.unwrap();
    let told: Vec<_> = events
        .into_iter()
        .filter_map(|event| match event.what {
            EventKind::PriceDiffers {
                promised,
                reported,
                above,
                ..
            } => Some((promised, reported, above)),
            _ => None,
        })
        .collect();
    let cap = Some("$0.05/h".parse().unwrap());
    assert_eq!(told, [(small(1), small(2), cap)]);
}

#[tokio::test]
async fn an_orphan_gets_the_price_that_its_cloud_tells_and_is_counted() {
    let bed = Bed::new(quick());
    let engine = bed.engine(shared(&[("web", 3)], 2)).await;
    let labels = Bed::labels(&engine, "web");
    bed.world
        .add_node("sim-east", "lost-and-found", labels)
        .unwrap();
    converge(&engine).await;
    assert_eq!(bed.live().len(), 2, "it was counted before it had a record");
    let report = engine.cost(CostQuery::default()).await.unwrap();
    assert_eq!(report.total.per_hour, [small(2)]);
    remove_all(&engine).await;
    let report = engine.cost(CostQuery::default()).await.unwrap();
    assert_eq!((report.total.present, report.total.nodes), (0, 2));
    assert!(report.total.per_hour.is_empty());
}
