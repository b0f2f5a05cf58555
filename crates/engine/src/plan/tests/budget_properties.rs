//! What holds for budgets, whatever the world looks like. The sums are done again here, in the
//! simplest way.

use fleetwright_core::{Action, BudgetAction, NodeRecord, Plan};
use proptest::prelude::*;

use super::script::{World, id};

const POOLS: [&str; 2] = ["api", "web"];
/// Hours until the end of the month in these worlds.
const HOURS: u64 = 720;

#[derive(Debug, Clone)]
struct SomeBudget {
    per_hour: Option<u64>,
    per_month: Option<u64>,
    action: &'static str,
}

fn some_budget() -> impl Strategy<Value = Option<SomeBudget>> {
    let action = prop::sample::select(&["block", "shrink", "warn"][..]);
    let limits = (prop::option::of(1_u64..30), prop::option::of(1_u64..20_000));
    prop::option::of(
        (limits, action).prop_map(|((per_hour, per_month), action)| SomeBudget {
            // One of them there must be.
            per_hour: per_hour.or_else(|| per_month.is_none().then_some(7)),
            per_month,
            action,
        }),
    )
}

prop_compose! {
    fn some_world()(
        desired in prop::array::uniform2(0_u32..9),
        budgets in prop::array::uniform3(some_budget()),
        prices in prop::collection::vec(prop::option::of(0_u64..9), 1..5),
        nodes in prop::collection::vec((0..2_usize, prop::option::weighted(0.95, 0_u64..6)), 0..5),
        claimed in prop::array::uniform2(0_u32..3),
        claim_price in prop::option::weighted(0.9, 1_u64..4),
        spent in prop::array::uniform2(0_u64..3_000),
        runtime in prop::option::of(1_u64..40),
    ) -> World {
        let mut world = World::new();
        world.line("provider sim east");
        for (at, price) in prices.iter().enumerate() {
            let price = price.map_or_else(String::new, |price| format!("${price}"));
            world.line(&format!("offer sim/east type-{at} {price}"));
        }
        let runtime = runtime.map_or_else(String::new, |hours| format!("runtime={hours}h"));
        for (pool, desired) in POOLS.iter().zip(desired) {
            world.line(&format!("pool {pool} {desired} {runtime}"));
        }
        for (whose, budget) in ["api", "web", "*"].iter().zip(budgets) {
            let Some(budget) = budget else { continue };
            let hour = budget.per_hour.map_or_else(String::new, |sum| format!("per-hour=${sum}"));
            let month = budget.per_month.map_or_else(String::new, |sum| format!("per-month=${sum}"));
            world.line(&format!("budget {whose} {hour} {month} action={}", budget.action));
        }
        for (at, (pool, price)) in nodes.iter().enumerate() {
            let price = price.map_or_else(String::new, |price| format!("${price}"));
            world.line(&format!("node {} {} ready {price}", id("east", at), POOLS[*pool]));
        }
        let claim_price = claim_price.map_or_else(String::new, |price| format!("${price}"));
        for (at, (pool, count)) in POOLS.iter().zip(claimed).enumerate() {
            if count > 0 {
                world.line(&format!("claim {} {pool} {count} sim/east {claim_price}", at + 1));
            }
        }
        for (pool, sum) in POOLS.iter().zip(spent) {
            world.line(&format!("paid {pool} ${sum}"));
        }
        world
    }
}

/// What counts for a budget, in millionths: per hour, and until the end of the month. `None` if
/// there is something without a price.
#[derive(Debug, Clone, Copy, Default)]
struct Counted {
    hour: u64,
    month: u64,
}

/// Everything that counts for a pool, or for all of them, before the plan.
fn counted(world: &World, pool: Option<&str>) -> Option<Counted> {
    let is_mine = |name: &str| pool.is_none_or(|pool| pool == name);
    let mut sum = Counted::default();
    let records = world.observation.records.iter();
    for record in records.filter(|record| is_mine(&record.pool)) {
        let NodeRecord { price, .. } = record;
        let price = (*price)?.micros_per_hour;
        sum.hour += price;
        // Each is an hour old.
        sum.month += price * (HOURS + 1);
    }
    for claim in world
        .observation
        .claims
        .iter()
        .filter(|claim| is_mine(&claim.pool))
    {
        let price = claim.offer.price?.micros_per_hour * u64::from(claim.request.count);
        sum.hour += price;
        // Asked for five minutes ago.
        sum.month += price * HOURS + price * 300 / 3_600;
    }
    for (_, sums) in world
        .observation
        .spent
        .by_pool
        .iter()
        .filter(|(name, _)| is_mine(name))
    {
        sum.month += sums.iter().map(|sum| sum.micros).sum::<u64>();
    }
    Some(sum)
}

/// Whose budget, its action, and what it allows per hour and per month, in millionths.
type Asked = (Option<String>, BudgetAction, Option<u64>, Option<u64>);

/// The budgets that a pool's machines count for.
fn limits(world: &World, pool: &str) -> Vec<Asked> {
    let own = world.fleet.pools[pool].budget.as_ref();
    let all = world.fleet.budget.as_ref();
    let both = [(Some(pool.to_owned()), own), (None, all)];
    both.into_iter()
        .filter_map(|(whose, budget)| {
            let budget = budget?;
            let sum = |text: &Option<String>| {
                let text = text.as_ref()?.strip_prefix('$')?;
                Some(text.parse::<u64>().unwrap() * 1_000_000)
            };
            Some((
                whose,
                budget.action,
                sum(&budget.per_hour),
                sum(&budget.per_month),
            ))
        })
        .collect()
}

/// Hours that a new machine of a pool is charged for this month.
fn hours(world: &World, pool: &str) -> u64 {
    let runtime = world.fleet.pools[pool].limits.max_runtime;
    runtime.map_or(HOURS, |span| span.0.as_secs() / 3_600)
}

/// Whether machines at a price fit into a limit, besides what counts already.
fn fits(
    world: &World,
    pool: &str,
    count: u64,
    price: u64,
    before: Counted,
    limit: (Option<u64>, Option<u64>),
) -> bool {
    let hour = limit
        .0
        .is_none_or(|limit| before.hour + count * price <= limit);
    let months = count * price * hours(world, pool);
    price == 0 || (hour && limit.1.is_none_or(|limit| before.month + months <= limit))
}

/// What the plan makes: pool, count, and the prices of the offers that may be taken.
fn made(plan: &Plan) -> Vec<(String, u64, Vec<Option<u64>>)> {
    let steps = plan.steps.iter().filter_map(|step| match &step.action {
        Action::Create {
            pool,
            count,
            offers,
            ..
        } => {
            let prices = offers
                .iter()
                .map(|offer| offer.price.map(|price| price.micros_per_hour));
            Some((pool.clone(), u64::from(*count), prices.collect()))
        }
        _ => None,
    });
    steps.collect()
}

/// Adds what the plan made for the pools before this one.
fn with_earlier(
    world: &World,
    plan: &Plan,
    whose: Option<&str>,
    until: &str,
    mut sum: Counted,
) -> Counted {
    for (pool, count, prices) in made(plan) {
        if pool.as_str() >= until || whose.is_some_and(|whose| whose != pool) {
            continue;
        }
        let dearest = prices.iter().flatten().max().copied().unwrap_or(0);
        sum.hour += count * dearest;
        sum.month += count * dearest * hours(world, &pool);
    }
    sum
}

proptest! {
    #![proptest_config(ProptestConfig {
        failure_persistence: None,
        cases: 512,
        ..ProptestConfig::default()
    })]

    #[test]
    fn no_plan_can_lead_above_a_budget_that_blocks_or_shrinks(world in some_world()) {
        let plan = world.plan();
        for (pool, count, prices) in made(&plan) {
            for (whose, action, hour, month) in limits(&world, &pool) {
                if action == BudgetAction::Warn {
                    continue;
                }
                let before = counted(&world, whose.as_deref());
                for price in &prices {
                    // What costs nothing is no matter of money; unknown is not nothing.
                    let price = price.expect("an offer without a price under a budget");
                    if price == 0 {
                        continue;
                    }
                    let before = before.expect("something of unknown price, and more was made");
                    let before = with_earlier(&world, &plan, whose.as_deref(), &pool, before);
                    prop_assert!(
                        fits(&world, &pool, count, price, before, (hour, month)),
                        "{count} at {price} in {pool}: {before:?} of {hour:?}, {month:?}"
                    );
                }
            }
        }
    }

    #[test]
    fn where_budgets_only_shrink_one_more_would_not_fit(world in some_world()) {
        let plan = world.plan();
        for pool in POOLS {
            let limits = limits(&world, pool);
            if limits.iter().any(|(_, action, ..)| *action == BudgetAction::Block) {
                continue;
            }
            let hard = || limits.iter().filter(|(_, action, ..)| *action == BudgetAction::Shrink);
            let verdict = plan.money.verdicts.iter().find(|v| v.pool == pool && v.admitted < v.wanted);
            let Some(verdict) = verdict else { continue };
            prop_assert!(hard().count() > 0);
            let more = u64::from(verdict.admitted) + 1;
            let catalog = world.observation.providers["sim"].catalog.as_ref().unwrap();
            for offering in &catalog.offerings {
                let Some(price) = offering.price.map(|price| price.micros_per_hour) else {
                    continue;
                };
                let all_fit = hard().all(|(whose, _, hour, month)| {
                    let Some(before) = counted(&world, whose.as_deref()) else {
                        return price == 0;
                    };
                    let before = with_earlier(&world, &plan, whose.as_deref(), pool, before);
                    fits(&world, pool, more, price, before, (*hour, *month))
                });
                prop_assert!(!all_fit, "{more} at {price} would fit in {pool}");
            }
        }
    }

    #[test]
    fn a_budget_that_only_warns_changes_nothing_but_what_is_said(world in some_world()) {
        let mut warned = world;
        let budgets = warned.fleet.pools.values_mut().map(|pool| &mut pool.budget);
        for budget in budgets.chain([&mut warned.fleet.budget]).flatten() {
            budget.action = BudgetAction::Warn;
        }
        let said = warned.plan();
        for pool in warned.fleet.pools.values_mut() {
            pool.budget = None;
        }
        warned.fleet.budget = None;
        let silent = warned.plan();
        prop_assert_eq!(&said.steps, &silent.steps);
        prop_assert_eq!(&said.withheld, &silent.withheld);
    }
}
