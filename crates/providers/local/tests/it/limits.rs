//! Limits that hold, and requests that cannot be met.

use std::sync::Arc;

use fleetwright_core::ability::Offering;
use fleetwright_core::{
    Availability, Deletion, Effect, HourlyPrice, Kind, ListRequest, Market, NodeSpec,
    Provider as _, Scope,
};

use crate::support::{World, program, provider_at, request_for};

#[tokio::test]
async fn the_number_of_nodes_holds_over_all_processes_that_share_a_root() {
    let world = World::with_max(4);
    // Each has its own idea of the lock, as separate processes have.
    let providers: Vec<_> = (0..3)
        .map(|_| Arc::new(provider_at(&world.root(), 4, program())))
        .collect();
    let calls = (0..9).map(|n| {
        let (provider, request) = (Arc::clone(&providers[n % 3]), world.request(1));
        async move { provider.create(&request).await }
    });
    let answers = futures::future::join_all(calls).await;
    let made = answers.iter().filter(|answer| answer.is_ok()).count();
    assert_eq!(made, 4);
    for error in answers.into_iter().filter_map(Result::err) {
        assert_eq!(error.kind(), Kind::Quota);
        assert_eq!(error.scope(), Some(Scope::Provider));
        assert_eq!(error.effect(), Effect::None);
    }
    assert_eq!(world.list().await.len(), 4);
}

#[tokio::test]
async fn fifty_nodes_made_at_once_are_fifty_nodes() {
    let world = World::new();
    let calls = (0..50).map(|_| {
        let request = world.request(1);
        let provider = Arc::clone(&world.provider);
        async move { provider.create(&request).await }
    });
    for answer in futures::future::join_all(calls).await {
        answer.unwrap();
    }
    let nodes = world.list().await;
    assert_eq!(nodes.len(), 50);
    let mut ports: Vec<u16> = nodes
        .iter()
        .map(|n| n.access.as_ref().unwrap().port)
        .collect();
    ports.sort_unstable();
    ports.dedup();
    assert_eq!(ports.len(), 50);
}

#[tokio::test]
async fn a_request_that_does_not_fit_gets_what_there_is_and_why() {
    let world = World::with_max(2);
    let request = world.request(3);
    let created = world.provider.create(&request).await.unwrap();
    assert_eq!(created.nodes.len(), 2);
    let shortfall = created.shortfall.unwrap();
    assert_eq!(shortfall.kind(), Kind::Quota);
    assert!(
        shortfall.to_string().contains("at most 2 nodes"),
        "{shortfall}"
    );
    assert!(shortfall.hint().unwrap().contains("`max_nodes`"));
}

#[tokio::test]
async fn a_full_machine_is_sold_out_in_the_catalog() {
    let world = World::with_max(1);
    let catalog = world.provider.catalog().unwrap();
    let availability = async || -> Vec<Availability> {
        let offerings = catalog.offerings().await.unwrap();
        offerings.iter().map(|o| o.availability).collect()
    };
    assert!(
        availability()
            .await
            .iter()
            .all(|a| *a == Availability::Available)
    );
    world.one().await;
    let full = Availability::SoldOut { until: None };
    assert!(availability().await.iter().all(|a| *a == full));
    let quotas = world.provider.quotas().unwrap().quotas().await.unwrap();
    assert_eq!((quotas[0].limit, quotas[0].used), (1, Some(1)));
}

#[tokio::test]
async fn the_catalog_sells_its_types_for_nothing() {
    let world = World::new();
    let catalog = world.provider.catalog().unwrap();
    let types = catalog.instance_types().await.unwrap();
    let offerings: Vec<Offering> = catalog.offerings().await.unwrap();
    assert_eq!(types.len(), offerings.len());
    for (instance_type, offering) in types.iter().zip(&offerings) {
        assert_eq!(instance_type.name, offering.instance_type);
        assert_eq!(offering.price, Some(HourlyPrice::FREE));
        assert_eq!(offering.region, "local");
    }
}

#[tokio::test]
async fn a_type_gives_the_cpus_and_the_memory_that_it_claims() {
    let world = World::new();
    let catalog = world.provider.catalog().unwrap();
    for instance_type in catalog.instance_types().await.unwrap() {
        let spec = NodeSpec {
            instance_type: instance_type.name.clone(),
            ..world.spec()
        };
        let created = world.provider.create(&request_for(1, spec)).await;
        let node = created.unwrap().nodes.remove(0);
        let cpus = world.says(&node, "nproc").await;
        assert_eq!(cpus.trim(), instance_type.vcpus.to_string());
        let kib = world.says(&node, "ulimit -d; ulimit -Hd").await;
        let wanted = format!("{0}\n{0}\n", instance_type.memory_mib * 1024);
        assert_eq!(kib, wanted, "{}", instance_type.name);
    }
}

#[tokio::test]
async fn a_process_that_wants_more_memory_than_its_type_has_does_not_get_it() {
    let world = World::new();
    let node = world.one().await;
    // `tail` keeps what it reads from a pipe: a line of 600 MB does not fit into 512 MiB.
    let line = "head -c 600000000 /dev/zero | tail -n 1 | wc -c";
    let output = world.run(&node, line).await;
    assert_ne!(output.stdout, b"600000000\n", "{output:?}");
    let fits = "head -c 100000000 /dev/zero | tail -n 1 | wc -c";
    assert_eq!(world.says(&node, fits).await, "100000000\n");
}

#[tokio::test]
async fn what_this_machine_cannot_give_is_refused_by_name() {
    let world = World::new();
    let good = world.spec();
    let text = |text: &str| Some(text.to_owned());
    for (spec, kind, named) in [
        (
            NodeSpec {
                region: "mars".into(),
                ..good.clone()
            },
            Kind::Invalid,
            "`mars`",
        ),
        (
            NodeSpec {
                zone: text("a"),
                ..good.clone()
            },
            Kind::Invalid,
            "`a`",
        ),
        (
            NodeSpec {
                image: text("debian"),
                ..good.clone()
            },
            Kind::Invalid,
            "`debian`",
        ),
        (
            NodeSpec {
                instance_type: "huge".into(),
                ..good.clone()
            },
            Kind::Invalid,
            "`huge`",
        ),
        (
            NodeSpec {
                market: Market::Spot,
                ..good.clone()
            },
            Kind::Unsupported,
            "`spot`",
        ),
        (
            NodeSpec {
                ssh_keys: vec!["x".into()],
                ..good.clone()
            },
            Kind::Invalid,
            "SSH key 1",
        ),
        (
            NodeSpec {
                options: [("disk".to_owned(), 1.into())].into_iter().collect(),
                ..good.clone()
            },
            Kind::Invalid,
            "`disk`",
        ),
    ] {
        let error = world
            .provider
            .create(&request_for(1, spec))
            .await
            .unwrap_err();
        assert_eq!(error.kind(), kind, "{error:?}");
        assert_eq!(error.effect(), Effect::None);
        assert!(error.to_string().contains(named), "{error}");
    }
    for count in [0, 51] {
        let error = world
            .provider
            .create(&world.request(count))
            .await
            .unwrap_err();
        assert_eq!(error.kind(), Kind::Invalid, "{error:?}");
    }
    assert!(!world.root().exists());
}

/// A small file system in memory, mounted until dropped.
struct SmallDisk(std::path::PathBuf);

impl SmallDisk {
    /// `None` if this user may not mount, and says so.
    fn mount(at: std::path::PathBuf, size: &str) -> Option<Self> {
        std::fs::create_dir(&at).unwrap();
        let mounted = std::process::Command::new("mount")
            .args(["-t", "tmpfs", "-o", size, "tmpfs"])
            .arg(&at)
            .output();
        if mounted.is_ok_and(|output| output.status.success()) {
            return Some(Self(at));
        }
        println!("skipped: only root can mount a small disk to fill");
        None
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let unmounted = std::process::Command::new("umount").arg(&self.0).status();
        assert!(unmounted.unwrap().success());
    }
}

#[tokio::test]
async fn a_full_disk_makes_no_half_node_and_what_is_there_can_be_deleted() {
    let world = World::new();
    let Some(disk) = SmallDisk::mount(world.scratch().join("disk"), "size=256k") else {
        return;
    };
    let provider = provider_at(&disk.0.join("nodes"), 50, program());
    let created = provider.create(&world.request(50)).await.unwrap();
    let shortfall = created.shortfall.unwrap();
    assert_eq!(shortfall.kind(), Kind::Unavailable);
    assert!(
        shortfall.to_string().ends_with("the disk is full"),
        "{shortfall}"
    );
    let listing = provider.list(&ListRequest::default()).await.unwrap();
    assert!(listing.coverage.gaps().is_empty(), "{:?}", listing.coverage);
    assert_eq!(listing.nodes.len(), created.nodes.len());
    for node in created.nodes {
        assert_eq!(provider.delete(&node.id).await.unwrap(), Deletion::Gone);
    }
    let left = std::fs::read_dir(disk.0.join("nodes")).unwrap();
    let left: Vec<_> = left.map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(
        left.len(),
        2,
        "more than the lock and what is remembered: {left:?}"
    );
}
