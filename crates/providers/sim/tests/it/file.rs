//! The file: shared, never half-written, never guessed at.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use fleetwright_core::ability::{DnsRecord, RecordKind};
use fleetwright_core::{Dns, Kind, ListRequest, Operation, Provider, Result};
use fleetwright_sim::{Fault, Injection, SimConfig};

use crate::support::{Sim, ids, quick, request};

#[tokio::test]
async fn two_providers_on_one_file_see_one_cloud() -> Result<()> {
    let sim = Sim::new(quick());
    let other = sim.other(quick());
    let mut made = sim.provider.create(&request(2)).await?.nodes;
    made.extend(other.create(&request(3)).await?.nodes);
    for provider in [&sim.provider, &other] {
        let listed = provider.list(&ListRequest::default()).await?.nodes;
        assert_eq!(ids(&listed), ids(&made));
    }
    other.delete(&made[0].id).await?;
    assert!(sim.provider.get(&made[0].id).await?.state.is_deleted());
    // A fault ordered here strikes there.
    sim.world
        .inject(Injection::new(Operation::Check, Fault::Before(Kind::Auth)))?;
    assert_eq!(other.check().await.unwrap_err().kind(), Kind::Auth);
    sim.provider.check().await?;
    Ok(())
}

#[tokio::test]
async fn a_line_cut_anywhere_by_a_killed_writer_never_happened() -> Result<()> {
    let sim = Sim::new(quick());
    sim.provider.create(&request(2)).await?;
    let whole_before = fs::read(sim.world.path()).unwrap();
    sim.provider.create(&request(3)).await?;
    let whole_after = fs::read(sim.world.path()).unwrap();
    for cut in whole_before.len()..whole_after.len() {
        fs::write(sim.world.path(), &whole_after[..cut]).unwrap();
        let reader = sim.other(quick());
        assert_eq!(reader.world().nodes()?.len(), 2, "cut at {cut}");
        assert_eq!(
            fs::read(sim.world.path()).unwrap(),
            whole_before,
            "cut at {cut}"
        );
    }
    let writer = sim.other(quick());
    writer.create(&request(4)).await?;
    assert_eq!(sim.other(quick()).world().nodes()?.len(), 6);
    Ok(())
}

#[tokio::test]
async fn a_reader_that_was_there_before_the_cut_goes_on_as_well() -> Result<()> {
    let sim = Sim::new(quick());
    sim.provider.create(&request(2)).await?;
    let mut torn = fs::read(sim.world.path()).unwrap();
    torn.extend_from_slice(b"0123456789abcdef [{\"called\":{\"opera");
    fs::write(sim.world.path(), torn).unwrap();
    sim.provider.create(&request(1)).await?;
    assert_eq!(sim.other(quick()).world().nodes()?.len(), 3);
    Ok(())
}

#[tokio::test]
async fn a_damaged_file_is_refused_with_the_place_and_not_guessed_at() -> Result<()> {
    let sim = Sim::new(quick());
    sim.provider.create(&request(2)).await?;
    let good = fs::read(sim.world.path()).unwrap();
    for at in [0, 20, good.len() - 3] {
        let mut bad = good.clone();
        bad[at] ^= 1;
        fs::write(sim.world.path(), &bad).unwrap();
        let reader = sim.other(quick());
        let error = reader.check().await.unwrap_err();
        assert_eq!(error.kind(), Kind::Config, "damaged at {at}");
        assert!(error.to_string().contains("is damaged at byte"), "{error}");
        assert!(error.hint().unwrap().contains("remove the file"));
        assert_eq!(fs::read(sim.world.path()).unwrap(), bad, "left as it is");
        fs::write(sim.world.path(), &good).unwrap();
        reader.check().await?;
        fs::write(sim.world.path(), &good).unwrap();
    }
    Ok(())
}

#[tokio::test]
async fn a_world_of_a_newer_version_is_refused() -> Result<()> {
    let sim = Sim::new(quick());
    sim.provider.check().await?;
    let text = fs::read_to_string(sim.world.path()).unwrap();
    let json = text.lines().next().unwrap()[17..].replace("\"version\":1", "\"version\":2");
    let checksum = json.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    fs::write(sim.world.path(), format!("{checksum:016x} {json}\n")).unwrap();
    let error = sim.other(quick()).check().await.unwrap_err();
    assert_eq!(error.kind(), Kind::Config);
    assert_eq!(
        error.to_string(),
        "the world has format 2, newer than 1, which is known here"
    );
    Ok(())
}

#[tokio::test]
async fn a_long_log_is_rewritten_and_every_reader_follows() -> Result<()> {
    let sim = Sim::new(quick());
    let other = sim.other(quick());
    let made = sim.provider.create(&request(50)).await?.nodes;
    other.delete(&made[0].id).await?;
    let (mut longest, mut rewritten) = (0, 0);
    for ttl_seconds in 1..=600 {
        sim.provider.upsert("sim.test", &large(ttl_seconds)).await?;
        let length = fs::metadata(sim.world.path()).unwrap().len();
        rewritten += usize::from(length < longest);
        longest = length;
    }
    assert!(
        rewritten >= 2,
        "rewritten {rewritten} times, {longest} bytes"
    );
    for world in [&sim.world, &other.world(), &sim.other(quick()).world()] {
        assert_eq!(world.live_nodes()?.len(), 49);
        assert_eq!(world.call_counts()?[&Operation::Change].made, 600);
    }
    assert_eq!(other.list_records("sim.test").await?[0].ttl_seconds, 600);
    other.create(&request(1)).await?;
    assert_eq!(sim.world.live_nodes()?.len(), 50);
    Ok(())
}

#[tokio::test]
async fn a_log_that_cannot_be_rewritten_just_grows() -> Result<()> {
    let sim = Sim::new(quick());
    sim.provider.check().await?;
    // Where the new log would be written, there is something else.
    let mut obstacle = sim.world.path().as_os_str().to_owned();
    obstacle.push(".new");
    fs::create_dir(&obstacle).unwrap();
    for ttl_seconds in 1..=300 {
        sim.provider.upsert("sim.test", &large(ttl_seconds)).await?;
    }
    assert!(fs::metadata(sim.world.path()).unwrap().len() > 1 << 20);
    let reader = sim.other(quick());
    assert_eq!(reader.list_records("sim.test").await?[0].ttl_seconds, 300);
    Ok(())
}

/// A record of five KiB: written again and again, it fills the log but not the state.
fn large(ttl_seconds: u32) -> DnsRecord {
    DnsRecord {
        name: "large.sim.test".to_owned(),
        kind: RecordKind::Txt,
        values: (0..20).map(|n| format!("{n:0>250}")).collect(),
        ttl_seconds,
    }
}

#[tokio::test]
async fn a_removed_file_is_an_empty_cloud() -> Result<()> {
    let sim = Sim::new(quick());
    sim.provider.create(&request(2)).await?;
    fs::remove_file(sim.world.path()).unwrap();
    let listing = sim.provider.list(&ListRequest::default()).await?;
    assert!(listing.nodes.is_empty());
    assert_eq!(sim.provider.create(&request(1)).await?.nodes.len(), 1);
    Ok(())
}

#[tokio::test]
async fn the_file_is_for_its_owner_only_and_holds_no_user_data() -> Result<()> {
    let sim = Sim::new(quick());
    let mut wanted = request(1);
    wanted.spec.user_data = Some("#!/bin/sh\necho hunter2\n".to_owned());
    sim.provider.create(&wanted).await?;
    let mode = fs::metadata(sim.world.path()).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    assert!(
        !fs::read_to_string(sim.world.path())
            .unwrap()
            .contains("hunter2")
    );
    assert!(!format!("{:?}", sim.provider).contains("nodes"));
    Ok(())
}

#[tokio::test]
async fn a_world_that_cannot_be_a_file_is_a_mistake_in_the_configuration() {
    let sim = Sim::new(quick());
    let folder = sim.folder.path().to_owned();
    fs::write(folder.join("file"), "").unwrap();
    for path in [folder.clone(), folder.join("file/world")] {
        let provider = sim.other(SimConfig {
            world: Some(path.clone()),
            ..quick()
        });
        let error = provider.check().await.unwrap_err();
        assert_eq!(error.kind(), Kind::Config, "{}: {error}", path.display());
        assert!(error.hint().is_some());
    }
}
