//! What holds for every choice among offers, whatever the pool and whatever is on sale.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use fleetwright_core::{Action, Offer, Plan, Strategy as Choice, Turn};
use proptest::prelude::*;

use super::script::World;

/// Strategies, one at least of which is written into every random world.
const STRATEGIES: [&str; 11] = [
    "priority",
    "cost",
    "availability",
    "round-robin",
    "spread:zones",
    "spread:regions:2",
    "spread:providers",
    "availability,cost",
    "availability,round-robin",
    "round-robin,spread:zones",
    "spread:providers,spread:zones:2,cost",
];

#[derive(Debug, Clone)]
struct Sold {
    provider: usize,
    region: usize,
    zone: usize,
    kind: usize,
    spot: bool,
    cents: Option<u32>,
    availability: usize,
    marked: bool,
    spent: bool,
}

fn sold() -> impl Strategy<Value = Sold> {
    let place = (0..3_usize, 0..4_usize, 0..3_usize, 0..2_usize);
    let rest = (
        any::<bool>(),
        prop::option::of(1_u32..9),
        0..8_usize,
        0..4_u8,
        any::<bool>(),
    );
    (place, rest).prop_map(|(place, rest)| {
        let (provider, region, zone, kind) = place;
        let (spot, cents, availability, marked, spent) = rest;
        Sold {
            provider,
            region,
            zone,
            kind,
            spot,
            cents,
            availability,
            marked: marked == 0,
            spent,
        }
    })
}

const PROVIDERS: [&str; 3] = ["aws", "gcp", "oci"];
const REGIONS: [&str; 4] = ["eu-1", "eu-2", "us-1", "us-2"];
const ZONES: [&str; 3] = ["a", "b", "c"];
const KINDS: [&str; 2] = ["small", "large"];

prop_compose! {
    /// Three clouds with four regions each, a pool that is short, and anything on sale.
    fn some_world()(
        all in prop::collection::vec(sold(), 0..24),
        desired in 0_u32..40,
        bounds in prop::option::of((0_u32..20, 0_u32..20)),
        size in prop::option::of(0_u32..60),
        strategy in prop::sample::select(&STRATEGIES[..]),
        candidates in prop::collection::vec((0..3_usize, prop::option::of(0..4_usize), 0_u32..4), 0..4),
        cap in prop::option::of(1_u32..9),
        markets in prop::option::of((0_u32..5, 0_u32..=100, any::<bool>())),
        nodes in prop::collection::vec((0..3_usize, 0..4_usize, 0..3_usize, any::<bool>()), 0..12),
        blind in prop::option::of((0..3_usize, 0..4_usize)),
    ) -> World {
        let mut world = World::new();
        for provider in PROVIDERS {
            world.line(&format!("provider {provider} {}", REGIONS.join(" ")));
        }
        let mut seen = BTreeSet::new();
        for one in &all {
            let place = format!(
                "{}/{}/{}", PROVIDERS[one.provider], REGIONS[one.region], ZONES[one.zone],
            );
            let market = if one.spot { " spot" } else { "" };
            let what = format!("{place} {}{market}", KINDS[one.kind]);
            if !seen.insert(what.clone()) {
                continue;
            }
            let price = one.cents.map(|cents| format!(" $0.0{cents}")).unwrap_or_default();
            let told = match one.availability {
                0 => " sold-out",
                1 => " available",
                _ => "",
            };
            world.line(&format!("offer {what}{price}{told}"));
            if one.marked {
                world.line(&format!("mark {what}"));
            }
            if one.spent {
                world.line(&format!("spent {what}"));
            }
        }
        let mut line = format!("pool web {desired} by={strategy}");
        if let Some((a, b)) = bounds {
            write!(line, " min={} most={}", a.min(b), a.max(b)).unwrap();
        }
        if let Some(cents) = cap {
            write!(line, " max=$0.0{cents}/h").unwrap();
        }
        if let Some((base, percent, wait)) = markets {
            let wait = if wait { " wait" } else { "" };
            write!(line, " spot={percent} base={base}{wait}").unwrap();
        }
        world.line(&line);
        if let Some(size) = size {
            world.line(&format!("size web {size}"));
        }
        for (provider, region, weight) in &candidates {
            let region = region.map(|at| format!("/{}", REGIONS[at])).unwrap_or_default();
            world.line(&format!("candidate web {}{region} weight={weight}", PROVIDERS[*provider]));
        }
        if let Some((provider, region)) = blind {
            world.line(&format!("blind {}/{}", PROVIDERS[provider], REGIONS[region]));
        }
        for (at, (provider, region, zone, spot)) in nodes.iter().enumerate() {
            let spot = if *spot { " spot" } else { "" };
            world.line(&format!(
                "node {}/{}/n{at} web ready zone={}{spot}",
                PROVIDERS[*provider], REGIONS[*region], ZONES[*zone],
            ));
        }
        world
    }
}

/// The create steps of a plan.
fn creates(plan: &Plan) -> Vec<(u32, &[Offer], Option<&Turn>)> {
    let steps = plan.steps.iter();
    steps
        .filter_map(|step| match &step.action {
            Action::Create {
                count,
                offers,
                turn,
                ..
            } => Some((*count, offers.as_slice(), turn.as_ref())),
            _ => None,
        })
        .collect()
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_pool_is_never_above_its_most_nor_short_of_its_least_while_there_is_an_offer(
        world in some_world()
    ) {
        let pool = &world.fleet.pools["web"];
        let wanted = world.observation.wanted("web", pool);
        prop_assert!(wanted <= pool.max.unwrap_or(u32::MAX));
        prop_assert!(wanted >= pool.min.unwrap_or(0));
        let plan = world.plan();
        let made: u32 = creates(&plan).iter().map(|(count, ..)| count).sum();
        let have = u32::try_from(world.observation.records.len()).unwrap();
        prop_assert!(have + made <= wanted.max(have));
        if plan.withheld.is_empty() {
            prop_assert_eq!(have + made, wanted.max(have));
        }
    }

    #[test]
    fn nothing_that_is_sold_out_unseen_or_too_dear_is_ever_asked_for(world in some_world()) {
        let plan = world.plan();
        let pool = &world.fleet.pools["web"];
        let cap = pool.max_price.as_ref().map(|text| text.parse().unwrap());
        for (count, offers, _) in creates(&plan) {
            prop_assert!(count > 0 && !offers.is_empty());
            for offer in offers {
                prop_assert!(!world.observation.marks.iter().any(|mark| mark.covers(offer)));
                prop_assert!(world.observation.blind_spot(&offer.provider, &offer.region).is_none());
                if let Some(cap) = cap {
                    prop_assert!(offer.price.is_some_and(|price| price <= cap));
                }
            }
        }
    }

    #[test]
    fn what_is_lately_sold_out_comes_after_what_is_not(world in some_world()) {
        let pool = &world.fleet.pools["web"];
        if pool.strategy.as_slice().first() != Some(&Choice::Availability) || pool.markets.is_some() {
            return Ok(());
        }
        let plan = world.plan();
        for (_, offers, _) in creates(&plan) {
            let refused = |offer: &Offer| offer.reason.contains("sold out lately");
            let first = offers.iter().position(refused).unwrap_or(offers.len());
            prop_assert!(offers[first..].iter().all(refused), "{:?}", offers);
        }
    }

    #[test]
    fn every_candidate_with_a_weight_gets_its_share(
        weights in prop::collection::vec(1_u32..5, 1..5),
        rounds in 1_u32..4,
        runs in 1_usize..6,
    ) {
        // A machine at a time, or several, in as many runs: the turns go on where they stood.
        let all: u32 = weights.iter().sum();
        let mut world = World::new();
        world.line("provider sim a b c d e");
        let each = all * rounds;
        world.line(&format!("pool web {each} by=round-robin"));
        for (region, weight) in ["a", "b", "c", "d", "e"].iter().zip(&weights) {
            world.line(&format!("offer sim/{region} small $0.01"));
            world.line(&format!("candidate web sim/{region} small weight={weight}"));
        }
        let mut got: BTreeMap<String, u32> = BTreeMap::new();
        for _ in 0..runs {
            let plan = world.plan();
            for (count, offers, turn) in creates(&plan) {
                *got.entry(offers[0].region.clone()).or_default() += count;
                let turns = world.observation.turns.entry("web".into()).or_default();
                for (seat, change) in turn.expect("it is somebody's turn").credits(count) {
                    *turns.entry(seat.to_owned()).or_default() += change;
                }
            }
        }
        let runs = u32::try_from(runs).unwrap();
        for (region, weight) in ["a", "b", "c", "d", "e"].iter().zip(&weights) {
            prop_assert_eq!(got.get(*region).copied(), Some(weight * rounds * runs), "{}", region);
        }
    }

    #[test]
    fn single_machines_in_many_runs_go_round_as_many_machines_in_one_run_do(
        weights in prop::collection::vec(1_u32..4, 2..4),
    ) {
        let all: u32 = weights.iter().sum();
        let world = |desired: u32| {
            let mut world = World::new();
            world.line("provider sim a b c d");
            world.line(&format!("pool web {desired} by=round-robin"));
            for (region, weight) in ["a", "b", "c", "d"].iter().zip(&weights) {
                world.line(&format!("offer sim/{region} small $0.01"));
                world.line(&format!("candidate web sim/{region} small weight={weight}"));
            }
            world
        };
        let mut one = world(1);
        let mut order = Vec::new();
        for _ in 0..all {
            let plan = one.plan();
            let (count, offers, turn) = creates(&plan)[0];
            order.push(offers[0].region.clone());
            let turns = one.observation.turns.entry("web".into()).or_default();
            for (seat, change) in turn.expect("it is somebody's turn").credits(count) {
                *turns.entry(seat.to_owned()).or_default() += change;
            }
        }
        let at_once = world(all).plan();
        for (count, offers, _) in creates(&at_once) {
            let times = order.iter().filter(|region| **region == offers[0].region).count();
            prop_assert_eq!(u32::try_from(times).unwrap(), count);
        }
        // Nobody waits for a whole round while another goes twice without need.
        let first: BTreeSet<&String> = order.iter().collect();
        prop_assert_eq!(first.len(), weights.len());
    }

    #[test]
    fn a_spread_is_never_more_uneven_than_allowed_when_it_begins_even(
        zones in 1_usize..5,
        desired in 0_u32..30,
        skew in 1_u32..4,
    ) {
        let mut world = World::new();
        world.line("provider sim east");
        for zone in ["a", "b", "c", "d"].iter().take(zones) {
            world.line(&format!("offer sim/east/{zone} small $0.01"));
        }
        world.line(&format!("pool web {desired} by=spread:zones:{skew},cost"));
        let plan = world.plan();
        let mut counts = vec![0; zones];
        for (count, offers, _) in creates(&plan) {
            let zone = offers[0].zone.as_deref().unwrap();
            counts[["a", "b", "c", "d"].iter().position(|z| *z == zone).unwrap()] += count;
        }
        let (least, most) = (counts.iter().min().unwrap(), counts.iter().max().unwrap());
        prop_assert!(most - least <= skew, "{:?}", counts);
        prop_assert_eq!(counts.iter().sum::<u32>(), desired);
    }

    #[test]
    fn the_same_world_gives_the_same_choice(world in some_world()) {
        prop_assert_eq!(world.plan(), world.plan());
    }
}
