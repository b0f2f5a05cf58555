//! What fleets and spot fleets have in common: a target, choices of machines, and members.
//!
//! A pool fills itself choice by choice, in the order of its allocation strategy. Units are counted
//! by weight: one machine may be worth several.

use std::cmp::Ordering;
use std::collections::BTreeMap;

use jiff::Timestamp;

use super::templates::Resolved;
use crate::answer::Refusal;
use crate::catalog;
use crate::params::Params;
use crate::world::Event;
use crate::world::World;
use crate::world::instance::{Ending, Lifecycle};
use crate::world::launch::Order;

/// Whether a pool is a fleet or a spot fleet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Family {
    /// CreateFleet.
    Fleet,
    /// RequestSpotFleet.
    SpotFleet,
}

/// How a pool works.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Once, while the caller waits.
    Instant,
    /// Once, later.
    Request,
    /// For ever, replacing what ends.
    Maintain,
}

/// Where a pool is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Phase {
    /// Accepted, nothing done.
    Submitted,
    /// At work.
    Active,
    /// Deleted; its machines go on.
    EndedRunning,
    /// Deleted; its machines end.
    EndedTerminating,
    /// Deleted, without machines.
    Ended,
}

/// The order in which choices are tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Strategy {
    /// By price for each unit.
    LowestPrice,
    /// By priority, the smallest number first.
    Prioritized,
    /// By what is left, then by price.
    Capacity,
    /// Evenly over all.
    Diversified,
}

/// A fleet or spot fleet.
#[derive(Debug, Clone)]
pub(crate) struct Pool {
    pub(crate) id: String,
    pub(crate) family: Family,
    pub(crate) kind: Kind,
    pub(crate) phase: Phase,
    pub(crate) created: Timestamp,
    pub(crate) tags: BTreeMap<String, String>,
    /// The request as it came.
    pub(crate) params: Params,
    pub(crate) choices: Vec<Choice>,
    pub(crate) target: Target,
    /// Whether machines above a lowered target are terminated.
    pub(crate) ends_excess: bool,
    pub(crate) spot_strategy: Strategy,
    pub(crate) on_demand_strategy: Strategy,
    pub(crate) members: Vec<Member>,
    /// What the last attempt to fill said, by choice.
    pub(crate) errors: Vec<(usize, Lifecycle, Refusal)>,
    pub(crate) history: Vec<Happened>,
    /// Whether it will look at itself because a member ended.
    pub(crate) is_alarmed: bool,
}

/// How many units a pool wants.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Target {
    pub(crate) on_demand: u32,
    pub(crate) spot: u32,
    pub(crate) default: Lifecycle,
}

/// One kind of machine that a pool may launch.
#[derive(Debug, Clone)]
pub(crate) struct Choice {
    /// The launch template; absent for launch specifications.
    pub(crate) template: Option<Resolved>,
    /// The override as it came.
    pub(crate) over: Params,
    pub(crate) order: Order,
    pub(crate) weight: f64,
    pub(crate) priority: f64,
    /// Replaced by a later one; its members stay.
    pub(crate) is_retired: bool,
}

/// A machine of a pool.
#[derive(Debug, Clone)]
pub(crate) struct Member {
    pub(crate) id: String,
    pub(crate) choice: usize,
    pub(crate) lifecycle: Lifecycle,
}

/// An entry of a pool's history.
#[derive(Debug, Clone)]
pub(crate) struct Happened {
    pub(crate) at: Timestamp,
    /// `instanceChange`, `fleetRequestChange` or `error`.
    pub(crate) kind: &'static str,
    pub(crate) subtype: String,
    pub(crate) description: String,
    pub(crate) instance: Option<String>,
}

impl Pool {
    /// Whether it still wants machines.
    pub(crate) fn is_at_work(&self) -> bool {
        matches!(self.phase, Phase::Submitted | Phase::Active)
    }

    /// The event that makes it look at itself.
    pub(crate) fn event(&self, region: &str) -> Event {
        let (region, id) = (region.to_owned(), self.id.clone());
        match self.family {
            Family::Fleet => Event::Fleet(region, id),
            Family::SpotFleet => Event::SpotFleet(region, id),
        }
    }

    fn wanted(&self, lifecycle: Lifecycle) -> f64 {
        f64::from(match lifecycle {
            Lifecycle::Spot => self.target.spot,
            Lifecycle::OnDemand => self.target.on_demand,
        })
    }
}

impl World {
    /// A pool.
    pub(crate) fn pool(&self, region: &str, family: Family, id: &str) -> Option<&Pool> {
        let state = &self.regions.get(region)?.ec2;
        match family {
            Family::Fleet => state.fleets.get(id),
            Family::SpotFleet => state.spot_fleets.get(id),
        }
    }

    /// A pool, to change it.
    pub(crate) fn pool_mut(&mut self, region: &str, family: Family, id: &str) -> Option<&mut Pool> {
        let state = &mut self.regions.get_mut(region)?.ec2;
        match family {
            Family::Fleet => state.fleets.get_mut(id),
            Family::SpotFleet => state.spot_fleets.get_mut(id),
        }
    }

    /// The members of a pool that are alive.
    pub(crate) fn living<'a>(&self, region: &str, pool: &'a Pool) -> Vec<&'a Member> {
        let is_alive = |member: &&Member| {
            let record = self.regions.get(region)?.instances.find(&member.id)?;
            Some(record.instance.state.is_alive())
        };
        pool.members
            .iter()
            .filter(|member| is_alive(member) == Some(true))
            .collect()
    }

    /// How many units of a pool are alive.
    pub(crate) fn fulfilled(&self, region: &str, pool: &Pool, lifecycle: Option<Lifecycle>) -> f64 {
        self.living(region, pool)
            .into_iter()
            .filter(|member| lifecycle.is_none_or(|wanted| member.lifecycle == wanted))
            // `sum` begins with a negative zero, which would be written as `-0`.
            .fold(0.0, |sum, member| sum + pool.choices[member.choice].weight)
    }

    /// Launches what a pool lacks, and notes what was refused. Says whether all is there.
    pub(crate) fn fill(&mut self, region: &str, family: Family, id: &str) -> bool {
        let mut is_complete = true;
        if let Some(pool) = self.pool_mut(region, family, id) {
            pool.errors.clear();
        }
        for lifecycle in [Lifecycle::OnDemand, Lifecycle::Spot] {
            let Some(pool) = self.pool(region, family, id) else {
                return false;
            };
            let mut missing =
                pool.wanted(lifecycle) - self.fulfilled(region, pool, Some(lifecycle));
            if missing <= 0.0 {
                continue;
            }
            let pool = pool.clone();
            let ranked = self.ranked(region, &pool, lifecycle);
            let is_even = strategy(&pool, lifecycle) == Strategy::Diversified;
            for (number, index) in ranked.iter().enumerate() {
                let remaining = u32::try_from(ranked.len() - number).unwrap_or(1);
                let share = missing / f64::from(if is_even { remaining } else { 1 });
                missing -= self.launch_choice(region, &pool, *index, lifecycle, share);
                if missing <= 0.0 {
                    break;
                }
            }
            // What some choices could not give, those that were not refused give.
            for index in ranked {
                let now = self.pool(region, family, id);
                let is_refused = now.is_none_or(|pool| {
                    let refused = |error: &(usize, Lifecycle, Refusal)| {
                        error.0 == index && error.1 == lifecycle
                    };
                    pool.errors.iter().any(refused)
                });
                if missing > 0.0 && !is_refused {
                    missing -= self.launch_choice(region, &pool, index, lifecycle, missing);
                }
            }
            is_complete &= missing <= 0.0;
        }
        is_complete
    }

    /// Launches up to `units` of one choice; returns how many units came.
    fn launch_choice(
        &mut self,
        region: &str,
        pool: &Pool,
        index: usize,
        lifecycle: Lifecycle,
        units: f64,
    ) -> f64 {
        let choice = &pool.choices[index];
        let mut order = choice.order.clone();
        order.is_spot = lifecycle == Lifecycle::Spot;
        if !order.is_spot {
            order.most = None;
        }
        match pool.family {
            Family::Fleet => order.fleet = Some(pool.id.clone()),
            Family::SpotFleet => order.spot_fleet = Some(pool.id.clone()),
        }
        let mut came = 0.0;
        while came < units {
            let count = machines((units - came) / choice.weight);
            let outcome = self.launch(region, &order, 1, count);
            let now = self.timestamp();
            let Some(pool) = self.pool_mut(region, pool.family, &pool.id) else {
                break;
            };
            match outcome {
                Ok(launched) => {
                    for id in launched.ids {
                        came += choice.weight;
                        pool.history.push(Happened {
                            at: now,
                            kind: "instanceChange",
                            subtype: "launched".to_owned(),
                            description: format!(
                                "{{\"instanceType\":\"{}\"}}",
                                order.instance_type
                            ),
                            instance: Some(id.clone()),
                        });
                        pool.members.push(Member {
                            id,
                            choice: index,
                            lifecycle,
                        });
                    }
                }
                Err(refusal) => {
                    pool.history.push(Happened {
                        at: now,
                        kind: "error",
                        subtype: refusal.code.clone(),
                        description: refusal.message.clone(),
                        instance: None,
                    });
                    pool.errors.push((index, lifecycle, refusal));
                    break;
                }
            }
        }
        came
    }

    /// The choices of a pool in the order in which they are tried.
    fn ranked(&self, region: &str, pool: &Pool, lifecycle: Lifecycle) -> Vec<usize> {
        let price = |choice: &Choice| {
            let Some(kind) = catalog::instance_type(&choice.order.instance_type) else {
                return f64::MAX;
            };
            let zone = self.zone_of(region, choice).unwrap_or_default();
            let price = match lifecycle {
                Lifecycle::Spot => kind.spot_price(&zone),
                Lifecycle::OnDemand => kind.price,
            };
            price as f64 / choice.weight
        };
        let left = |choice: &Choice| {
            let zone = self.zone_of(region, choice).unwrap_or_default();
            let capacity = self.regions.get(region).map(|region| &region.capacity);
            capacity.map_or(0, |capacity| {
                capacity.left(&zone, &choice.order.instance_type)
            })
        };
        let mut order: Vec<usize> = (0..pool.choices.len())
            .filter(|index| !pool.choices[*index].is_retired)
            .collect();
        order.sort_by(|a, b| {
            let (a, b) = (&pool.choices[*a], &pool.choices[*b]);
            let by_price = || price(a).total_cmp(&price(b));
            match strategy(pool, lifecycle) {
                Strategy::LowestPrice => by_price(),
                Strategy::Prioritized => a.priority.total_cmp(&b.priority),
                Strategy::Capacity => left(b).cmp(&left(a)).then_with(by_price),
                Strategy::Diversified => Ordering::Equal,
            }
        });
        order
    }

    fn zone_of(&self, region: &str, choice: &Choice) -> Option<String> {
        let region = self.regions.get(region)?;
        let subnet = choice.order.subnet.as_deref();
        subnet
            .and_then(|subnet| region.zone_of_subnet(subnet))
            .map(|zone| zone.name.clone())
            .or_else(|| choice.order.zone.clone())
    }

    /// A pool looks at what it has and what it wants. A pool that maintains comes back while
    /// something is missing.
    pub(crate) fn pool_due(&mut self, region: &str, family: Family, id: &str) {
        let Some(pool) = self.pool_mut(region, family, id) else {
            return;
        };
        pool.is_alarmed = false;
        let is_new = pool.phase == Phase::Submitted;
        match pool.phase {
            Phase::EndedTerminating | Phase::EndedRunning => {
                let pool = pool.clone();
                if self.living(region, &pool).is_empty()
                    && let Some(pool) = self.pool_mut(region, family, id)
                {
                    pool.phase = Phase::Ended;
                }
                return;
            }
            Phase::Ended => return,
            Phase::Submitted | Phase::Active => pool.phase = Phase::Active,
        }
        let kind = pool.kind;
        if !is_new && kind != Kind::Maintain {
            return;
        }
        let is_complete = self.fill(region, family, id);
        if kind != Kind::Maintain {
            return;
        }
        self.end_excess(region, family, id);
        if !is_complete && let Some(pool) = self.pool(region, family, id) {
            let event = pool.event(region);
            let pause = self.config.async_delay.max(RETRY);
            self.schedule(pause, event);
        }
    }

    /// Terminates members above the target, if the pool does that. The oldest go, which is as
    /// arbitrary as what AWS does.
    fn end_excess(&mut self, region: &str, family: Family, id: &str) {
        let Some(pool) = self.pool(region, family, id).cloned() else {
            return;
        };
        if !pool.ends_excess {
            return;
        }
        for lifecycle in [Lifecycle::OnDemand, Lifecycle::Spot] {
            let mut excess =
                self.fulfilled(region, &pool, Some(lifecycle)) - pool.wanted(lifecycle);
            let members: Vec<(String, f64)> = self
                .living(region, &pool)
                .into_iter()
                .filter(|member| member.lifecycle == lifecycle)
                .map(|member| (member.id.clone(), pool.choices[member.choice].weight))
                .collect();
            for (member, weight) in members {
                if weight > excess {
                    continue;
                }
                excess -= weight;
                self.end(region, &member, Ending::Owner);
            }
        }
    }

    /// Ends a pool, with its machines or without. Returns the phase before, or `None` if it has
    /// ended already.
    pub(crate) fn end_pool(
        &mut self,
        region: &str,
        family: Family,
        id: &str,
        with_machines: bool,
    ) -> Option<Phase> {
        let pool = self.pool_mut(region, family, id)?;
        let before = pool.phase;
        let may_end = pool.is_at_work() || (with_machines && before == Phase::EndedRunning);
        if !may_end {
            return None;
        }
        pool.phase = if with_machines {
            Phase::EndedTerminating
        } else {
            Phase::EndedRunning
        };
        let pool = pool.clone();
        if with_machines {
            let living: Vec<String> = self
                .living(region, &pool)
                .into_iter()
                .map(|member| member.id.clone())
                .collect();
            for member in living {
                self.end(region, &member, Ending::Owner);
            }
            let event = pool.event(region);
            self.schedule(self.config.shutdown_time, event);
        }
        Some(before)
    }

    /// An instance began to shut down: its pool, if it maintains, looks again.
    pub(crate) fn member_ended(&mut self, region: &str, id: &str, ending: Ending) {
        let Some(instance) = self
            .regions
            .get(region)
            .and_then(|region| region.instances.find(id))
            .map(|record| &record.instance)
        else {
            return;
        };
        let owner = match (&instance.fleet, &instance.spot_fleet) {
            (Some(fleet), _) => (Family::Fleet, fleet.clone()),
            (None, Some(fleet)) => (Family::SpotFleet, fleet.clone()),
            (None, None) => return,
        };
        let (now, delay) = (self.timestamp(), self.config.async_delay);
        let Some(pool) = self.pool_mut(region, owner.0, &owner.1) else {
            return;
        };
        let subtype = match ending {
            Ending::Interrupted => "terminated_notified",
            Ending::User | Ending::Owner => "terminated",
        };
        pool.history.push(Happened {
            at: now,
            kind: "instanceChange",
            subtype: subtype.to_owned(),
            description: String::new(),
            instance: Some(id.to_owned()),
        });
        if !pool.is_alarmed {
            pool.is_alarmed = true;
            let event = pool.event(region);
            self.schedule(delay, event);
        }
    }
}

/// How long a pool that lacks something waits at least before it tries again.
const RETRY: std::time::Duration = std::time::Duration::from_millis(200);

fn strategy(pool: &Pool, lifecycle: Lifecycle) -> Strategy {
    match lifecycle {
        Lifecycle::Spot => pool.spot_strategy,
        Lifecycle::OnDemand => pool.on_demand_strategy,
    }
}

/// The machines for so many units, rounded up; at least one.
fn machines(units: f64) -> u32 {
    let rounded = units.ceil();
    if rounded <= 1.0 {
        return 1;
    }
    // Written out and read back: there is no checked conversion from floats.
    format!("{rounded:.0}").parse().unwrap_or(u32::MAX)
}
