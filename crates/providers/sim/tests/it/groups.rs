//! Groups that the cloud keeps at their size.

use std::time::Duration;

use fleetwright_core::ability::GroupSpec;
use fleetwright_core::{
    ClaimId, Groups, Kind, NodeSpec, NodeState, Provider, Result, Span, Token, fingerprint,
};
use fleetwright_sim::{SimCapacity, SimConfig};

use crate::support::{Sim, pass, quick, spec};

const REGION: &str = "sim-east";

fn group(desired: u32) -> GroupSpec {
    GroupSpec {
        name: "workers".to_owned(),
        min: 1,
        desired,
        max: 9,
        node: spec("worker"),
    }
}

fn token() -> Token {
    Token::new(ClaimId::new(), 1, &fingerprint("group"))
}

fn cloud() -> Sim {
    Sim::new(SimConfig {
        heal_time: Span::seconds(5),
        ..quick()
    })
}

async fn names(sim: &Sim) -> Result<Vec<String>> {
    let mut names = Vec::new();
    for member in sim.provider.members(REGION, "workers").await? {
        names.push(sim.provider.get(&member.node).await?.name);
    }
    Ok(names)
}

#[tokio::test(start_paused = true)]
async fn a_lost_member_is_replaced_after_a_while_with_a_name_of_its_own() -> Result<()> {
    let sim = cloud();
    sim.provider.create_group(&group(3), &token()).await?;
    assert_eq!(names(&sim).await?, ["worker-0", "worker-1", "worker-2"]);
    let members = sim.provider.members(REGION, "workers").await?;
    sim.world.kill(&members[1].node)?;
    // Deleted behind the group's back: to the group that is a loss as well.
    sim.provider.delete(&members[2].node).await?;
    assert_eq!(names(&sim).await?, ["worker-0"]);
    pass(Duration::from_secs(4)).await;
    assert_eq!(names(&sim).await?, ["worker-0"]);
    pass(Duration::from_secs(1)).await;
    assert_eq!(names(&sim).await?, ["worker-0", "worker-3", "worker-4"]);
    let told = sim.provider.list_groups().await?.remove(0);
    assert_eq!((told.min, told.desired, told.max, told.size), (1, 3, 9, 3));
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn a_group_that_finds_no_capacity_comes_to_its_size_later() -> Result<()> {
    let sim = Sim::new(SimConfig {
        capacity: vec![SimCapacity {
            to: Some(Span::minutes(1)),
            count: 2,
            ..SimCapacity::default()
        }],
        ..quick()
    });
    let made = sim.provider.create_group(&group(5), &token()).await?;
    assert_eq!((made.desired, made.size), (5, 2));
    pass(Duration::from_mins(1)).await;
    assert_eq!(sim.provider.list_groups().await?[0].size, 5);
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn removing_members_takes_exactly_these_and_lowers_the_size() -> Result<()> {
    let sim = cloud();
    sim.provider.create_group(&group(4), &token()).await?;
    let ids: Vec<_> = sim
        .provider
        .members(REGION, "workers")
        .await?
        .into_iter()
        .map(|member| member.node)
        .collect();
    let error = sim
        .provider
        .remove_members(REGION, "workers", &ids)
        .await
        .unwrap_err();
    assert_eq!(error.kind(), Kind::Invalid);
    // Named twice, it is still one.
    let two = [ids[0].clone(), ids[0].clone(), ids[2].clone()];
    sim.provider.remove_members(REGION, "workers", &two).await?;
    sim.provider.remove_members(REGION, "workers", &two).await?;
    pass(Duration::from_mins(1)).await;
    assert_eq!(names(&sim).await?, ["worker-1", "worker-3"]);
    assert_eq!(sim.provider.list_groups().await?[0].desired, 2);

    let wanted = crate::support::request(1);
    let stranger = sim.provider.create(&wanted).await?.nodes.remove(0);
    let error = sim
        .provider
        .remove_members(REGION, "workers", &[stranger.id])
        .await
        .unwrap_err();
    assert_eq!(error.kind(), Kind::Invalid);
    Ok(())
}

#[tokio::test]
async fn a_deleted_group_leaves_its_name_free_and_its_machines_go() -> Result<()> {
    let sim = cloud();
    let first = token();
    sim.provider.create_group(&group(2), &first).await?;
    let taken = sim.provider.create_group(&group(2), &token()).await;
    assert_eq!(taken.unwrap_err().kind(), Kind::Conflict);
    sim.provider.delete_group(REGION, "workers").await?;
    assert!(sim.world.live_nodes()?.is_empty());
    sim.provider.create_group(&group(1), &token()).await?;
    let members = sim.provider.members(REGION, "workers").await?;
    assert_eq!(members.len(), 1);
    assert_eq!(
        (&members[0].state, members[0].healthy),
        (&NodeState::Running, Some(true))
    );
    Ok(())
}

#[tokio::test]
async fn groups_of_one_name_in_two_regions_do_not_meet() -> Result<()> {
    let sim = cloud();
    let west = GroupSpec {
        node: NodeSpec {
            region: "sim-west".to_owned(),
            ..spec("worker")
        },
        ..group(2)
    };
    sim.provider.create_group(&group(3), &token()).await?;
    sim.provider.create_group(&west, &token()).await?;
    sim.provider.delete_group("sim-west", "workers").await?;
    assert_eq!(sim.provider.members(REGION, "workers").await?.len(), 3);
    let gone = sim.provider.members("sim-west", "workers").await;
    assert_eq!(gone.unwrap_err().kind(), Kind::NotFound);
    Ok(())
}
