//! From pending to gone: boot scripts, reclaims, strangers' hands.

use std::time::Duration;

use fleetwright_core::{
    Boot, Deletion, Interruptions, Kind, Market, Node, NodeSpec, NodeState, Provider, Result, Span,
};
use fleetwright_sim::{SimConfig, SimReclaim};

use crate::support::{Sim, pass, quick, request, request_for, spec};

fn slow() -> SimConfig {
    SimConfig {
        boot_time: Span::seconds(10),
        script_time: Span::seconds(5),
        delete_time: Span::seconds(3),
        ..quick()
    }
}

async fn with_script(sim: &Sim, script: &str) -> Result<Node> {
    let scripted = NodeSpec {
        user_data: Some(script.to_owned()),
        ..spec("web")
    };
    let wanted = request_for(1, scripted);
    Ok(sim.provider.create(&wanted).await?.nodes.remove(0))
}

#[tokio::test(start_paused = true)]
async fn a_node_boots_runs_its_script_and_takes_time_to_go() -> Result<()> {
    let sim = Sim::new(slow());
    let id = with_script(&sim, "#!/bin/sh\ntrue\n").await?.id;
    let mut story = Vec::new();
    for _ in 0..4 {
        let node = sim.provider.get(&id).await?;
        assert_eq!(
            node.addresses.private.is_some(),
            node.state == NodeState::Running
        );
        assert!(node.access.is_none());
        story.push((node.state, node.boot.unwrap()));
        pass(Duration::from_secs(5)).await;
    }
    assert_eq!(
        story,
        [
            (NodeState::Pending, Boot::Running),
            (NodeState::Pending, Boot::Running),
            (NodeState::Running, Boot::Running),
            (NodeState::Running, Boot::Succeeded),
        ]
    );
    assert_eq!(sim.provider.delete(&id).await?, Deletion::Started);
    assert_eq!(sim.provider.delete(&id).await?, Deletion::Started);
    assert_eq!(sim.provider.get(&id).await?.state, NodeState::Deleting);
    pass(Duration::from_secs(3)).await;
    assert_eq!(sim.provider.delete(&id).await?, Deletion::Gone);
    assert_eq!(sim.provider.get(&id).await?.state, NodeState::Deleted);
    Ok(())
}

#[tokio::test]
async fn a_script_ends_with_its_first_exit_line() -> Result<()> {
    let sim = Sim::new(quick());
    for (script, status) in [
        ("#!/bin/sh\nexit 3\nexit 4\n", Some(3)),
        ("#!/bin/sh\n  exit 7  \n", Some(7)),
        ("#!/bin/sh\nexit 0\nexit 4\n", None),
        ("#!/bin/sh\necho exit 5\n", None),
        ("#cloud-config\nruncmd: [true]\n", None),
    ] {
        let boot = with_script(&sim, script).await?.boot.unwrap();
        match (boot, status) {
            (Boot::Succeeded, None) => {}
            (
                Boot::Failed {
                    exit_status,
                    log_tail,
                },
                Some(_),
            ) => {
                assert_eq!(exit_status, status, "{script}");
                assert!(log_tail.contains("exit"), "{log_tail}");
            }
            (boot, _) => panic!("{script}: {boot:?}"),
        }
    }
    Ok(())
}

#[tokio::test]
async fn some_machines_fail_for_no_reason_and_the_same_ones_every_time() -> Result<()> {
    let mut histories = Vec::new();
    for _ in 0..2 {
        let sim = Sim::new(SimConfig {
            boot_failures: 300,
            ..quick()
        });
        let nodes = sim.provider.create(&request(100)).await?.nodes;
        let failed: Vec<bool> = nodes
            .iter()
            .map(|node| matches!(node.boot, Some(Boot::Failed { .. })))
            .collect();
        histories.push(failed);
    }
    let failures = histories[0].iter().filter(|failed| **failed).count();
    assert!((15..45).contains(&failures), "{failures} of 100");
    assert_eq!(histories[0], histories[1]);
    Ok(())
}

#[tokio::test]
async fn a_cloud_that_cannot_know_says_nothing_about_boot_scripts() -> Result<()> {
    let sim = Sim::new(SimConfig {
        reports_boot: false,
        ..quick()
    });
    assert!(!sim.provider.info().reports_boot);
    assert_eq!(with_script(&sim, "exit 1").await?.boot, None);
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn spot_machines_are_taken_back_by_schedule_with_notice() -> Result<()> {
    let sim = Sim::new(SimConfig {
        reclaims: vec![SimReclaim {
            region: Some("sim-east".to_owned()),
            zone: None,
            at: Span::minutes(10),
            notice: Span::minutes(2),
            count: Some(1),
        }],
        ..quick()
    });
    let spot = NodeSpec {
        market: Market::Spot,
        ..spec("web")
    };
    let first = sim
        .provider
        .create(&request_for(2, spot.clone()))
        .await?
        .nodes;
    let on_demand = sim.provider.create(&request(1)).await?.nodes.remove(0);
    assert!(sim.provider.pending().await?.is_empty());
    pass(Duration::from_mins(11)).await;
    // Made after the schedule struck, although the cloud only looks now.
    let late = sim
        .provider
        .create(&request_for(1, spot))
        .await?
        .nodes
        .remove(0);
    let notices = sim.provider.pending().await?;
    assert_eq!(notices.len(), 1, "{notices:?}");
    assert_eq!(notices[0].node, first[0].id, "the oldest");
    let left = notices[0]
        .at
        .unwrap()
        .duration_since(first[0].created_at.unwrap());
    assert_eq!(left.as_mins(), 12);
    assert_eq!(
        sim.provider.get(&first[0].id).await?.state,
        NodeState::Running
    );

    pass(Duration::from_mins(2)).await;
    assert!(sim.provider.pending().await?.is_empty());
    let gone = sim.provider.get(&first[0].id).await?;
    assert_eq!(gone.state, NodeState::Deleted);
    assert!(gone.message.unwrap().starts_with("reclaimed by the cloud"));
    for node in [&first[1], &on_demand, &late] {
        assert_eq!(sim.provider.get(&node.id).await?.state, NodeState::Running);
    }
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn a_reclaim_by_hand_leaves_time_to_move() -> Result<()> {
    let sim = Sim::new(quick());
    let node = sim.provider.create(&request(1)).await?.nodes.remove(0);
    sim.world.reclaim(&node.id, Duration::from_secs(30))?;
    assert_eq!(sim.provider.pending().await?[0].node, node.id);
    // Giving it back in time is the client's good right.
    assert_eq!(sim.provider.delete(&node.id).await?, Deletion::Gone);
    assert!(sim.provider.pending().await?.is_empty());
    Ok(())
}

#[tokio::test]
async fn a_killed_machine_is_gone_and_an_odd_word_is_kept() -> Result<()> {
    let sim = Sim::new(quick());
    let nodes = sim.provider.create(&request(2)).await?.nodes;
    sim.world.kill(&nodes[0].id)?;
    assert_eq!(
        sim.provider.get(&nodes[0].id).await?.state,
        NodeState::Deleted
    );
    sim.world.say_state(&nodes[1].id, Some("hibernating"))?;
    let odd = sim.provider.get(&nodes[1].id).await?;
    assert_eq!(odd.state, NodeState::Unknown("hibernating".to_owned()));
    sim.world.say_state(&nodes[1].id, None)?;
    assert_eq!(
        sim.provider.get(&nodes[1].id).await?.state,
        NodeState::Running
    );
    let stranger = "sim/sim-east/i-000000ff".parse()?;
    assert_eq!(
        sim.world.kill(&stranger).unwrap_err().kind(),
        Kind::NotFound
    );
    Ok(())
}
