//! Listings that lag, break half-way or break altogether.

use std::time::Duration;

use fleetwright_core::{
    Coverage, Kind, Labels, ListRequest, NodeSpec, NodeState, Operation, Provider, Result, Span,
};
use fleetwright_sim::{Fault, Injection, SimConfig};

use crate::support::{Sim, ids, pass, quick, request, request_for, spec};

fn everything() -> ListRequest {
    ListRequest::default()
}

#[tokio::test(start_paused = true)]
async fn new_nodes_appear_one_by_one_within_the_lag() -> Result<()> {
    let sim = Sim::new(SimConfig {
        listing_lag: Span::seconds(10),
        ..quick()
    });
    let made = sim.provider.create(&request(20)).await?.nodes;
    let mut seen = Vec::new();
    for _ in 0..=10 {
        let listing = sim.provider.list(&everything()).await?;
        assert_eq!(
            listing.coverage,
            Coverage::Complete,
            "late, and unaware of it"
        );
        let mut found = 0;
        for node in &made {
            found += usize::from(sim.provider.get(&node.id).await.is_ok());
        }
        assert_eq!(found, listing.nodes.len(), "a lookup is as late as a list");
        seen.push(found);
        pass(Duration::from_secs(1)).await;
    }
    assert!(
        seen.is_sorted() && seen[0] < 20 && seen[5] > seen[0],
        "{seen:?}"
    );
    assert_eq!(seen[10], 20);
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn deleted_nodes_look_alive_within_the_lag() -> Result<()> {
    let sim = Sim::new(SimConfig {
        listing_lag: Span::seconds(10),
        ..quick()
    });
    let made = sim.provider.create(&request(20)).await?.nodes;
    pass(Duration::from_secs(10)).await;
    for node in &made {
        sim.provider.delete(&node.id).await?;
    }
    assert!(sim.world.live_nodes()?.is_empty());
    let ghosts = sim.provider.list(&everything()).await?.nodes;
    assert!(!ghosts.is_empty());
    assert!(ghosts.iter().all(|node| node.state == NodeState::Running));
    pass(Duration::from_secs(10)).await;
    assert!(sim.provider.list(&everything()).await?.nodes.is_empty());
    let told = sim.provider.get(&made[0].id).await?;
    assert_eq!(told.state, NodeState::Deleted);
    Ok(())
}

#[tokio::test]
async fn a_listing_that_breaks_at_its_third_page_keeps_the_first_two_and_says_so() -> Result<()> {
    let sim = Sim::new(SimConfig {
        page_size: 2,
        ..quick()
    });
    let made = sim.provider.create(&request(7)).await?.nodes;
    let west = NodeSpec {
        region: "sim-west".to_owned(),
        ..spec("web")
    };
    sim.provider.create(&request_for(1, west)).await?;
    let broken = Injection::new(Operation::List, Fault::Before(Kind::Timeout))
        .in_region("sim-east")
        .after(2);
    sim.world.inject(broken)?;
    let listing = sim.provider.list(&everything()).await?;
    let east: Vec<_> = listing
        .nodes
        .iter()
        .filter(|node| node.id.region() == "sim-east")
        .cloned()
        .collect();
    assert_eq!(ids(&east), ids(&made[..4]));
    assert_eq!(listing.nodes.len(), 5);
    assert!(!listing.coverage.covers("sim-east") && listing.coverage.covers("sim-west"));
    assert_eq!(listing.coverage.gaps()[0].error.kind, Kind::Timeout);

    let calls = sim.world.call_counts()?[&Operation::List].made;
    let whole = sim.provider.list(&everything()).await?;
    assert_eq!(whole.nodes.len(), 8);
    let pages = sim.world.call_counts()?[&Operation::List].made - calls;
    assert_eq!(pages, 4 + 1, "seven nodes in pages of two, and one");
    Ok(())
}

#[tokio::test]
async fn a_region_broken_by_configuration_or_by_hand_is_a_gap_and_alone_an_error() -> Result<()> {
    let by_configuration = Sim::new(SimConfig {
        broken_listings: vec!["sim-west".to_owned()],
        ..quick()
    });
    let by_hand = Sim::new(quick());
    by_hand.world.break_listing("sim-west")?;
    for sim in [&by_configuration, &by_hand] {
        let listing = sim.provider.list(&everything()).await?;
        assert!(listing.coverage.covers("sim-east") && !listing.coverage.covers("sim-west"));
        let alone = ListRequest {
            regions: Some(vec!["sim-west".to_owned()]),
            ..everything()
        };
        let error = sim.provider.list(&alone).await.unwrap_err();
        assert_eq!(error.kind(), Kind::Unavailable);
    }
    by_hand.world.heal_listing("sim-west")?;
    let healed = by_hand.provider.list(&everything()).await?;
    assert_eq!(healed.coverage, Coverage::Complete);
    Ok(())
}

#[tokio::test]
async fn ten_thousand_nodes_are_listed_whole_from_a_small_file() -> Result<()> {
    let sim = Sim::new(quick());
    for _ in 0..10 {
        sim.provider.create(&request(1000)).await?;
    }
    let listing = sim.provider.list(&everything()).await?;
    assert_eq!(listing.nodes.len(), 10_000);
    assert_eq!(ids(&listing.nodes).len(), 10_000);
    assert_eq!(listing.coverage, Coverage::Complete);
    // Machines of a batch share what they have in common, in the file as in memory.
    let bytes = std::fs::metadata(sim.world.path()).unwrap().len();
    assert!(bytes < 64 * 1024, "{bytes} bytes");
    let addresses: std::collections::BTreeSet<_> = listing
        .nodes
        .iter()
        .map(|node| node.addresses.private.unwrap())
        .collect();
    assert_eq!(addresses.len(), 10_000);
    Ok(())
}

#[tokio::test]
async fn foreign_nodes_show_only_on_request() -> Result<()> {
    let sim = Sim::new(quick());
    let stranger = sim.world.add_node("sim-west", "stranger", Labels::new())?;
    assert!(sim.provider.list(&everything()).await?.nodes.is_empty());
    let all = ListRequest {
        foreign: true,
        ..everything()
    };
    let listing = sim.provider.list(&all).await?;
    assert_eq!(listing.nodes[0].id, stranger);
    assert_eq!(listing.nodes[0].name, "stranger");
    Ok(())
}
