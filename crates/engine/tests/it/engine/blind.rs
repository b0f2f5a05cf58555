//! A region that cannot be listed: nothing in it is touched, and the reason is told.

use fleetwright_core::{NodeId, Purpose};
use fleetwright_engine::{Fleet, PlanOptions, Standing};

use crate::bed::{Bed, assert_reached, converge, fleet, pool, quick, remove_all, withheld};

fn two_pools(east: u32, west: u32) -> Fleet {
    fleet([
        ("east", pool(east, &["sim-east"])),
        ("west", pool(west, &["sim-west"])),
    ])
}

/// Two nodes in each region, one more in the west that the journal does not know, one in the west
/// that has died; then the listing of the west breaks.
async fn half_blind() -> Bed {
    let bed = Bed::new(quick());
    let engine = bed.engine(two_pools(2, 2)).await;
    assert_reached(&converge(&engine).await);
    let labels = Bed::labels(&engine, "west");
    let dead = bed.live_in("sim-west").pop_first().unwrap();
    bed.world.add_node("sim-west", "orphan", labels).unwrap();
    bed.world.kill(&dead).unwrap();
    bed.world.break_listing("sim-west").unwrap();
    bed
}

const WHY: &str = "region `sim-west` cannot be listed";

#[tokio::test]
async fn up_makes_nothing_where_it_cannot_see() {
    let bed = half_blind().await;
    let west = bed.live_in("sim-west");
    let engine = bed.engine(two_pools(3, 4)).await;
    let outcome = converge(&engine).await;
    assert!(
        matches!(outcome.standing, Standing::Incomplete),
        "{outcome:#?}"
    );
    assert_eq!(bed.live_in("sim-east").len(), 3, "the east is not affected");
    assert_eq!(bed.live_in("sim-west"), west);
    let withheld = withheld(&outcome.plan);
    assert_eq!(withheld.len(), 1, "{withheld:#?}");
    assert!(
        withheld[0].starts_with("pool west: create 2: no offer is left: "),
        "{withheld:#?}"
    );
    assert!(withheld[0].contains(WHY), "{withheld:#?}");
}

#[tokio::test]
async fn up_removes_nothing_where_it_cannot_see() {
    let bed = half_blind().await;
    let west = bed.live_in("sim-west");
    let engine = bed.engine(two_pools(2, 0)).await;
    let outcome = converge(&engine).await;
    assert!(
        matches!(outcome.standing, Standing::Incomplete),
        "{outcome:#?}"
    );
    assert_eq!(bed.live_in("sim-west"), west);
    let withheld = withheld(&outcome.plan);
    assert_eq!(withheld.len(), 2, "{withheld:#?}");
    for line in &withheld {
        assert!(
            line.contains("delete sim/sim-west/") && line.ends_with(WHY),
            "{line}"
        );
    }
}

#[tokio::test]
async fn down_leaves_what_it_cannot_see_and_says_so() {
    let bed = half_blind().await;
    let west = bed.live_in("sim-west");
    let engine = bed.engine(two_pools(2, 2)).await;
    let outcome = remove_all(&engine).await;
    assert!(
        matches!(outcome.standing, Standing::Incomplete),
        "{outcome:#?}"
    );
    assert_eq!(
        bed.live(),
        west,
        "all of the east is gone, nothing of the west"
    );
    assert_eq!(withheld(&outcome.plan).len(), 2);
    let recorded: Vec<NodeId> = outcome
        .observation
        .records
        .into_iter()
        .map(|r| r.id)
        .collect();
    assert_eq!(
        recorded.len(),
        2,
        "both records stay, that of the dead node too"
    );
    assert!(recorded.iter().all(|id| id.region() == "sim-west"));

    // With the listing healed the rest goes, the node without a record included.
    bed.world.heal_listing("sim-west").unwrap();
    assert_reached(&remove_all(&engine).await);
    assert!(bed.live().is_empty());
}

#[tokio::test]
async fn a_plan_adopts_and_forgets_nothing_where_it_cannot_see() {
    let bed = half_blind().await;
    let engine = bed.engine(two_pools(2, 2)).await;
    let options = PlanOptions::default();
    let (plan, observation) = engine.plan(Purpose::Converge, &options).await.unwrap();
    assert!(plan.is_empty(), "{plan:#?}");
    assert_eq!(observation.records.len(), 4);
    assert_eq!(observation.gaps().len(), 1);
}

#[tokio::test]
async fn an_audit_names_the_region_and_says_nothing_about_it() {
    let bed = half_blind().await;
    let engine = bed.engine(two_pools(2, 2)).await;
    let audit = engine.audit().await.unwrap();
    assert_eq!(audit.unseen.len(), 1);
    assert!(
        audit.unseen[0].starts_with("sim/sim-west: "),
        "{:?}",
        audit.unseen
    );
    assert!(audit.ghosts.is_empty() && audit.orphans.is_empty());
    assert!(!audit.is_clean());
    assert_eq!((audit.listed, audit.recorded), (2, 4));

    bed.world.heal_listing("sim-west").unwrap();
    let audit = engine.audit().await.unwrap();
    assert!(audit.unseen.is_empty());
    assert_eq!((audit.ghosts.len(), audit.orphans.len()), (1, 1));
}
