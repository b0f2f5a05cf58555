//! What holds for every plan, whatever the world looks like.

use std::collections::{BTreeMap, HashSet};

use fleetwright_core::{Action, Life, Purpose, keys};
use proptest::prelude::*;

use super::script::{World, id};

#[derive(Debug, Clone)]
struct SomeNode {
    pool: usize,
    region: &'static str,
    life: Life,
    old: bool,
    boot_failed: bool,
    deleting: bool,
    /// It belongs to the open claim of its pool.
    claimed: bool,
}

const POOLS: [&str; 3] = ["api", "web", "removed"];

fn some_node() -> impl Strategy<Value = SomeNode> {
    let life = prop::sample::select(&Life::ALL[..8]);
    let region = prop::sample::select(&["east", "west"][..]);
    (0..3_usize, region, life, any::<[bool; 4]>()).prop_map(|(pool, region, life, flags)| {
        let [old, boot_failed, deleting, claimed] = flags;
        SomeNode {
            pool,
            region,
            life,
            old,
            boot_failed,
            deleting,
            claimed,
        }
    })
}

prop_compose! {
    fn some_world()(
        desired in prop::array::uniform2(0_u32..8),
        nodes in prop::collection::vec(some_node(), 0..16),
        claimed in prop::array::uniform3(0_u32..4),
        orphans in 0_usize..3,
        blind in prop::sample::select(&["", "sim/east", "sim/west", "sim"][..]),
        has_offers in any::<bool>(),
        replace_failed in any::<bool>(),
        removing in any::<bool>(),
    ) -> World {
        let mut world = World::new();
        world.line("provider sim east west");
        if !blind.is_empty() {
            world.line(&format!("blind {blind}"));
        }
        if has_offers {
            world.line("offer sim/east small $1");
            world.line("offer sim/west small $2");
        }
        for (pool, desired) in POOLS.iter().zip(desired) {
            world.line(&format!("pool {pool} {desired}"));
        }
        for (at, (pool, count)) in POOLS.iter().zip(claimed).enumerate() {
            if count > 0 {
                world.line(&format!("claim {} {pool} {count} sim/east", at + 1));
            }
        }
        for (at, node) in nodes.iter().enumerate() {
            let mut line = format!("node {} {} {}", id(node.region, at), POOLS[node.pool], node.life);
            let words = [
                (node.old, " old".to_owned()),
                (node.boot_failed, " boot-failed".to_owned()),
                (node.deleting, " deleting".to_owned()),
                (node.claimed && claimed[node.pool] > 0, format!(" claim={}", node.pool + 1)),
            ];
            for (_, word) in words.iter().filter(|(is, _)| *is) {
                line.push_str(word);
            }
            world.line(&line);
        }
        for at in 0..orphans {
            // What cannot be listed cannot be seen to be without a record.
            if world.observation.blind_spot("sim", "west").is_none() {
                world.line(&format!("orphan {} web", id("west", 100 + at)));
            }
        }
        if replace_failed {
            world.line("option replace-failed");
        }
        if removing {
            world.line("remove all");
        }
        world
    }
}

impl std::fmt::Debug for World {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("World")
            .field("pools", &self.fleet.pools)
            .field("observation", &self.observation)
            .field("purpose", &self.purpose)
            .finish_non_exhaustive()
    }
}

/// Machines of a pool that count before the plan: there, kept although failed, or asked for.
fn have(world: &World, name: &str) -> usize {
    let generation = world.fleet.pools[name].generation();
    let mine = || world.observation.records.iter().filter(|r| r.pool == name);
    let counts = |life: Life, kept: bool| life.is_wanted() || (life == Life::Failed && kept);
    let there = mine().filter(|r| {
        let same = r.generation == generation.short() && !world.options.replace_failed;
        counts(r.life, r.boot.is_some() && same)
    });
    let claims = world
        .observation
        .claims
        .iter()
        .filter(|claim| claim.pool == name);
    let coming = claims.map(|claim| {
        let known = mine()
            .filter(|r| r.token.as_ref() == Some(claim.token()))
            .count();
        usize::try_from(claim.request.count)
            .unwrap()
            .saturating_sub(known)
    });
    there.count() + coming.sum::<usize>()
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn pools_are_filled_up_exactly_and_never_beyond(world in some_world()) {
        let plan = world.plan();
        let mut created: BTreeMap<&str, usize> = BTreeMap::new();
        for step in &plan.steps {
            if let Action::Create { pool, count, .. } = &step.action {
                *created.entry(pool).or_default() += usize::try_from(*count).unwrap();
            }
        }
        if world.purpose != Purpose::Converge {
            prop_assert!(created.is_empty(), "nothing is filled up while all is removed");
            return Ok(());
        }
        prop_assert!(created.keys().all(|pool| world.fleet.pools.contains_key(*pool)));
        let on_sale = world.observation.providers["sim"].catalog.is_some()
            && (world.observation.blind_spot("sim", "east").is_none()
                || world.observation.blind_spot("sim", "west").is_none());
        for (name, pool) in &world.fleet.pools {
            let desired = usize::try_from(pool.desired).unwrap();
            let orphans = world.observation.orphans();
            let adopted = orphans.iter().filter(|node| node.label(keys::POOL) == Some(name));
            let missing = desired.saturating_sub(have(&world, name) + adopted.count());
            let expected = if on_sale { missing } else { 0 };
            prop_assert_eq!(created.get(name.as_str()).copied().unwrap_or(0), expected, "{}", name);
        }
    }

    #[test]
    fn no_step_touches_a_blind_spot_and_what_it_would_do_is_withheld(world in some_world()) {
        let plan = world.plan();
        let blind = |region: &str| world.observation.blind_spot("sim", region).is_some();
        for step in &plan.steps {
            match &step.action {
                Action::Create { offers, .. } => {
                    prop_assert!(offers.iter().all(|offer| !blind(&offer.region)));
                }
                Action::Resolve { region, .. } => prop_assert!(!blind(region)),
                other => prop_assert!(other.node().is_some_and(|node| !blind(node.region()))),
            }
        }
        if blind("east") && !world.observation.claims.is_empty() {
            prop_assert!(plan.withheld.iter().any(|withheld| withheld.subject.starts_with("claim")));
        }
    }

    #[test]
    fn the_same_world_gives_the_same_plan(world in some_world()) {
        prop_assert_eq!(world.plan(), world.plan());
    }

    #[test]
    fn a_node_is_in_one_step_at_most_and_never_removed_beyond_the_surplus(world in some_world()) {
        let plan = world.plan();
        let mut seen = HashSet::new();
        let mut removed: BTreeMap<&str, usize> = BTreeMap::new();
        for node in plan.steps.iter().filter_map(|step| step.action.node()) {
            prop_assert!(seen.insert(node), "{} twice", node);
            if let Some(record) = world.observation.records.iter().find(|r| r.id == *node)
                && record.life.is_wanted()
            {
                *removed.entry(&record.pool).or_default() += 1;
            }
        }
        if world.purpose == Purpose::Converge {
            for (name, pool) in &world.fleet.pools {
                let desired = usize::try_from(pool.desired).unwrap();
                let surplus = have(&world, name).saturating_sub(desired);
                prop_assert!(removed.get(name.as_str()).copied().unwrap_or(0) <= surplus, "{}", name);
            }
        }
    }

    #[test]
    fn a_plan_survives_being_stored(world in some_world()) {
        let plan = world.plan();
        let json = serde_json::to_string(&plan).unwrap();
        prop_assert_eq!(serde_json::from_str::<fleetwright_core::Plan>(&json).unwrap(), plan);
    }
}
