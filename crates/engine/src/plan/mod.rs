//! Planning: one observation in, one list of steps with reasons out. Pure.
//!
//! What the planner cannot see it does not touch: a step that concerns a place whose listing
//! failed is withheld, and said to be. Machines in such a place still count, so nothing is made
//! twice because a cloud did not answer.

mod cost;
mod create;
mod mix;
mod rates;
mod relief;
#[cfg(test)]
pub(crate) mod tests;

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use fleetwright_core::ability::{Member, MemberHealth};
use fleetwright_core::{
    Action, Boot, Brake, BudgetVerdict, Claim, Life, Limits, Node, NodeId, NodeRecord, Plan,
    PlanMoney, Pool, Purpose, Step, Withheld, keys,
};

use self::cost::Costs;
use self::create::Gap;
use crate::budget::Ledger;
use crate::interruption::is_doomed;
use crate::life::elapsed;
use crate::tenure::{is_idle_too_long, is_over};
use crate::{Fleet, Observation, Seen};

/// What a plan may do beyond the ordinary.
#[derive(Debug, Clone, Default)]
pub struct PlanOptions {
    /// Also replace nodes whose boot script failed and has not changed since.
    pub replace_failed: bool,
    /// Another share than the configured one that may be removed at once, in percent.
    pub max_removal_percent: Option<u8>,
    /// Nodes whose deletion the provider has accepted from this very run. While it says that it is
    /// at work on them it is not asked again. What a run before this one has asked for is: nobody
    /// knows whether it was heard.
    pub accepted: BTreeSet<NodeId>,
}

/// Makes a plan.
pub fn plan(
    fleet: &Fleet,
    observation: &Observation,
    purpose: Purpose,
    options: &PlanOptions,
) -> Plan {
    let billing = |provider: &str| observation.billing(provider);
    let mut planner = Planner {
        ledger: Ledger::new(fleet, observation, &billing),
        verdicts: Vec::new(),
        replaced: match &purpose {
            Purpose::Upkeep { replace, .. } => replace.iter().cloned().collect(),
            _ => HashSet::new(),
        },
        fleet,
        observation,
        options,
        nodes: observation.nodes_by_id(),
        members: members(observation),
        steps: Vec::new(),
        withheld: Vec::new(),
        removals: 0,
        providers: Cow::Borrowed(&observation.providers),
        taken: observation.taken.clone(),
    };
    if let Purpose::Relieve { nodes } = &purpose {
        planner.resolve_claims_beside(nodes);
    } else if !matches!(purpose, Purpose::Balance { .. }) {
        planner.resolve_claims(&purpose);
        planner.adopt_orphans(&purpose);
    }
    match &purpose {
        Purpose::Converge => planner.converge(None),
        Purpose::Scale { pools, .. } => planner.converge(Some(pools)),
        Purpose::Upkeep { pools, .. } => planner.keep_up(pools),
        Purpose::Remove { nodes } => planner.remove(nodes.as_deref()),
        Purpose::Expire { idle } => planner.expire(idle),
        Purpose::Relieve { nodes } => planner.relieve(nodes),
        Purpose::Balance { nodes } => planner.balance(nodes),
    }
    let live = observation
        .records
        .iter()
        .filter(|record| record.life.is_wanted())
        .count();
    let brake = match purpose {
        Purpose::Remove { .. }
        | Purpose::Expire { .. }
        | Purpose::Relieve { .. }
        | Purpose::Balance { .. } => None,
        Purpose::Converge | Purpose::Scale { .. } | Purpose::Upkeep { .. } => planner.brake(live),
    };
    let costs = Costs::of(&observation.records, &planner.steps);
    let money = PlanMoney {
        budgets: planner.ledger.lines(),
        verdicts: planner.verdicts,
        ..costs.money
    };
    Plan {
        version: Plan::VERSION,
        fleet: fleet.name.clone(),
        purpose,
        made_at: observation.at,
        basis: observation.basis(fleet),
        steps: planner.steps,
        withheld: planner.withheld,
        brake,
        cost_now: costs.now,
        cost_after: costs.after,
        money,
    }
}

/// Chooses which of a pool's nodes go when it has too many: those that are of least use.
///
/// Not ready before ready, older generation before present, younger before older.
pub fn pick_surplus<'a>(
    mut records: Vec<&'a NodeRecord>,
    count: usize,
    generation: &str,
) -> Vec<&'a NodeRecord> {
    records.sort_by_key(|record| {
        (
            record.life != Life::Failed,
            record.life.is_ready(),
            record.generation == generation,
            std::cmp::Reverse(record.created_at),
            record.id.clone(),
        )
    });
    records.truncate(count);
    records
}

struct Planner<'a> {
    fleet: &'a Fleet,
    observation: &'a Observation,
    options: &'a PlanOptions,
    nodes: HashMap<&'a NodeId, &'a Node>,
    members: HashMap<(&'a str, &'a str, &'a NodeId), &'a MemberHealth>,
    steps: Vec<Step>,
    withheld: Vec<Withheld>,
    removals: usize,
    /// What each provider showed, at the prices that are left.
    providers: Cow<'a, BTreeMap<String, Seen>>,
    /// How many machines have taken each rate, those of the plan included.
    taken: Vec<u32>,
    ledger: Ledger<'a>,
    verdicts: Vec<BudgetVerdict>,
    /// Nodes that others are to take the place of.
    replaced: HashSet<NodeId>,
}

/// Members by provider, balancer and node.
fn members(observation: &Observation) -> HashMap<(&str, &str, &NodeId), &MemberHealth> {
    let mut all = HashMap::new();
    for (provider, seen) in &observation.providers {
        for (balancer, members) in &seen.balancers {
            for Member { node, health } in members.iter().flatten() {
                all.insert((provider.as_str(), balancer.as_str(), node), health);
            }
        }
    }
    all
}

impl<'a> Planner<'a> {
    /// Open claims come first: those of the pools that this is about.
    fn resolve_claims(&mut self, purpose: &Purpose) {
        for claim in &self.observation.claims {
            let pool = self.fleet.pools.get(&claim.pool);
            let concerned = match purpose {
                Purpose::Expire { .. } => pool.is_some_and(|pool| pool.limits.ends_nodes()),
                Purpose::Scale { pools, .. } | Purpose::Upkeep { pools, .. } => {
                    pools.contains(&claim.pool)
                }
                Purpose::Converge | Purpose::Remove { .. } => true,
                Purpose::Relieve { .. } | Purpose::Balance { .. } => false,
            };
            if !concerned {
                continue;
            }
            self.resolve_claim(claim);
        }
    }

    fn resolve_claim(&mut self, claim: &Claim) {
        let action = Action::Resolve {
            claim: claim.id,
            attempt: claim.attempt,
            provider: claim.provider().to_owned(),
            region: claim.region().to_owned(),
        };
        let reason = format!(
            "{} for pool `{}` asked for at {}, and the answer is not known",
            plural(
                usize::try_from(claim.request.count).unwrap_or(usize::MAX),
                "machine"
            ),
            claim.pool,
            claim.sent_at,
        );
        let subject = format!("claim {}/{}", claim.id, claim.attempt);
        self.push(claim.provider(), claim.region(), &subject, action, reason);
    }

    /// Our nodes without a record get one; if only some of them are concerned, these.
    fn adopt_orphans(&mut self, purpose: &Purpose) {
        for node in self.observation.orphans() {
            let concerned = match purpose {
                Purpose::Expire { .. } => node.label(keys::EXPIRY).is_some(),
                Purpose::Scale { pools, .. } | Purpose::Upkeep { pools, .. } => node
                    .label(keys::POOL)
                    .is_some_and(|pool| pools.contains(pool)),
                Purpose::Converge | Purpose::Remove { .. } => true,
                Purpose::Relieve { .. } | Purpose::Balance { .. } => false,
            };
            if !concerned {
                continue;
            }
            let age = node
                .created_at
                .map(|made| elapsed(made, self.observation.at));
            if age.is_some_and(|age| age < self.fleet.safety.age_floor) {
                self.withheld.push(Withheld {
                    subject: node.id.to_string(),
                    what: "adopt it".into(),
                    reason: format!(
                        "it has no record, and is younger than {} s",
                        self.fleet.safety.age_floor.as_secs()
                    ),
                });
                continue;
            }
            let pool = node.label(keys::POOL).unwrap_or_default().to_owned();
            let action = Action::Adopt {
                node: Box::new(node.clone()),
                pool,
            };
            let reason = "it carries our journal's label and has no record".to_owned();
            let subject = node.id.to_string();
            self.push(
                node.id.provider(),
                node.id.region(),
                &subject,
                action,
                reason,
            );
        }
    }

    /// Every pool at its size; or only some, and of these only those whose size was decided on:
    /// somebody may have given that up meanwhile.
    fn converge(&mut self, only: Option<&BTreeSet<String>>) {
        self.converge_pools(only, false);
    }

    /// These pools at their sizes, whoever decided on them.
    fn keep_up(&mut self, pools: &BTreeSet<String>) {
        self.converge_pools(Some(pools), true);
    }

    fn converge_pools(&mut self, only: Option<&BTreeSet<String>>, is_kept: bool) {
        let mut by_pool: BTreeMap<&str, Vec<&'a NodeRecord>> = BTreeMap::new();
        for record in &self.observation.records {
            by_pool.entry(&record.pool).or_default().push(record);
        }
        let mut pending: HashMap<&str, u32> = HashMap::new();
        for claim in &self.observation.claims {
            *pending.entry(&claim.pool).or_default() += self.missing(claim);
        }
        // Once they are adopted they count: nothing is made in their stead.
        let mut orphans: HashMap<&str, Vec<&'a Node>> = HashMap::new();
        for node in self.observation.orphans() {
            orphans
                .entry(node.label(keys::POOL).unwrap_or_default())
                .or_default()
                .push(node);
        }
        for (name, records) in &by_pool {
            if only.is_none() && !self.fleet.pools.contains_key(*name) {
                let reason = format!("pool `{name}` is not in the configuration");
                for record in records {
                    self.delete(record, &reason);
                }
            }
        }
        for (name, pool) in &self.fleet.pools {
            let is_decided = is_kept || self.observation.agreed.contains_key(name);
            if only.is_some_and(|only| !is_decided || !only.contains(name)) {
                continue;
            }
            let records = by_pool.remove(name.as_str()).unwrap_or_default();
            let pending = pending.get(name.as_str()).copied().unwrap_or(0);
            let orphans = orphans.remove(name.as_str()).unwrap_or_default();
            self.converge_pool(name, pool, &records, pending, &orphans);
        }
    }

    /// Machines of an open claim that the journal does not know yet.
    fn missing(&self, claim: &Claim) -> u32 {
        let known = self
            .observation
            .records
            .iter()
            .filter(|record| record.token.as_ref() == Some(claim.token()))
            .count();
        claim
            .request
            .count
            .saturating_sub(u32::try_from(known).unwrap_or(u32::MAX))
    }

    fn converge_pool(
        &mut self,
        name: &str,
        pool: &'a Pool,
        records: &[&'a NodeRecord],
        pending: u32,
        orphans: &[&'a Node],
    ) {
        let generation = pool.generation();
        let mut wanted = Vec::new();
        let mut kept = Vec::new();
        let mut doomed = Vec::new();
        let mut ended = 0;
        for record in records {
            if !record.life.is_leaving()
                && let Some(reason) = is_over(record, self.observation.at)
            {
                self.end(record, &reason);
                ended += 1;
            } else if record.life.is_wanted() && self.is_leaving(record, pool).is_some() {
                doomed.push(*record);
            } else if record.life.is_wanted() {
                wanted.push(*record);
            } else if record.life == Life::Failed && self.keeps_failed(record, generation.short()) {
                kept.push(*record);
            } else if record.life == Life::Failed {
                self.delete(record, &format!("it failed: {}", record.reason));
            } else {
                self.finish_leaving(record, pool);
            }
        }
        let desired = usize::try_from(self.observation.wanted(name, pool)).unwrap_or(usize::MAX);
        let coming = usize::try_from(pending).unwrap_or(usize::MAX);
        let have = wanted.len() + kept.len() + coming;
        let with_orphans = have + orphans.len();
        if have > desired {
            let reason = format!(
                "pool `{name}` has {} and wants {desired}",
                plural(have, "node")
            );
            // Those that nothing new is started on are missed least.
            let all = kept.into_iter().chain(wanted.iter().copied());
            let (cordoned, rest): (Vec<_>, Vec<_>) =
                all.partition(|record| self.observation.cordoned.contains(&record.id));
            let mut surplus = pick_surplus(cordoned, have - desired, generation.short());
            let left = have - desired - surplus.len();
            surplus.extend(mix::pick(pool, rest, left, desired, generation.short()));
            let removals = self.removals;
            for record in &surplus {
                self.delete(record, &reason);
            }
            // Whoever lets a pool be scaled has agreed to the steps that this may take.
            let agreed = self.observation.agreed.get(name).copied().unwrap_or(0);
            self.removals = removals + (self.removals - removals).saturating_sub(agreed);
            let leaving: HashSet<&NodeId> = surplus.iter().map(|record| &record.id).collect();
            wanted.retain(|record| !leaving.contains(&record.id));
        } else if with_orphans < desired {
            let recorded = wanted.iter().chain(&kept).copied();
            let placed = self.placed(name, pool, recorded, orphans);
            let is_replaced = |record: &&&NodeRecord| is_doomed(record, Some(pool)).is_none();
            let replaced = doomed.iter().filter(is_replaced).count();
            let gap = Gap {
                missing: desired - with_orphans,
                have: with_orphans,
                ended,
                doomed: doomed.len() - replaced,
                replaced,
                wanted: desired,
            };
            self.create(name, pool, gap, placed);
        }
        self.release(pool, desired, &wanted, doomed);
        if let Some(balancer) = &pool.balancer {
            self.register(balancer, &wanted);
        }
    }

    /// A node whose boot script failed is kept to be looked at, and counts, as long as making it
    /// again would fail again: until the pool's definition changes or the user asks for it.
    fn keeps_failed(&self, record: &NodeRecord, generation: &str) -> bool {
        matches!(record.boot, Some(Boot::Failed { .. }))
            && record.generation == generation
            && !self.options.replace_failed
    }

    /// A removal that an earlier run began.
    fn finish_leaving(&mut self, record: &'a NodeRecord, pool: &Pool) {
        let mut reason = format!("its removal has begun: {}", record.reason);
        let limit = if record.life == Life::Draining {
            pool.limits.drain
        } else {
            pool.limits.terminate
        };
        if elapsed(record.since, self.observation.at) > limit.0 {
            reason = format!("it is {} for more than {limit}", record.life);
        }
        self.delete(record, &reason);
    }

    fn register(&mut self, balancer: &str, wanted: &[&'a NodeRecord]) {
        let is_open = |record: &NodeRecord| !self.observation.cordoned.contains(&record.id);
        let ready = wanted.iter().filter(|record| record.life.is_ready());
        for record in ready.filter(|record| is_open(record)) {
            let provider = record.id.provider();
            let seen = self.observation.providers.get(provider);
            match seen.and_then(|seen| seen.balancers.get(balancer)) {
                Some(Ok(_)) => {}
                Some(Err(why)) => {
                    self.withhold(&record.id.to_string(), "register it", why);
                    continue;
                }
                None => {
                    let why = format!("provider `{provider}` has no balancer `{balancer}`");
                    self.withhold(&record.id.to_string(), "register it", &why);
                    continue;
                }
            }
            if !self.members.contains_key(&(provider, balancer, &record.id)) {
                let action = Action::Register {
                    node: record.id.clone(),
                    balancer: balancer.to_owned(),
                };
                let subject = record.id.to_string();
                let reason = "it is ready and not behind the balancer".to_owned();
                self.push(provider, record.id.region(), &subject, action, reason);
            }
        }
    }

    fn remove(&mut self, nodes: Option<&[NodeId]>) {
        let only: Option<HashSet<&NodeId>> = nodes.map(|nodes| nodes.iter().collect());
        for record in &self.observation.records {
            if only.as_ref().is_none_or(|only| only.contains(&record.id)) {
                let reason = if record.life.is_leaving() {
                    "its removal has begun".to_owned()
                } else {
                    "its removal was asked for".to_owned()
                };
                self.delete(record, &reason);
            }
        }
    }

    /// What has run out of time goes, whatever goes already goes on, and nothing is made.
    fn expire(&mut self, idle: &[NodeId]) {
        let now = self.observation.at;
        let idle: HashSet<&NodeId> = idle.iter().collect();
        for record in &self.observation.records {
            let pool = self.fleet.pools.get(&record.pool);
            let unused = || {
                idle.contains(&record.id)
                    .then(|| is_idle_too_long(record, pool, now))
                    .flatten()
            };
            if record.life.is_leaving() {
                let reason = format!("its removal has begun: {}", record.reason);
                self.delete(record, &reason);
            } else if let Some(reason) = is_over(record, now).or_else(unused) {
                self.delete(record, &reason);
            }
        }
    }

    /// Removes a node whose time is over. That was agreed on when it was asked for, so it does not
    /// count for the brake.
    fn end(&mut self, record: &'a NodeRecord, reason: &str) {
        let removals = self.removals;
        self.delete(record, reason);
        self.removals = removals;
    }

    /// Takes cordoned nodes from their balancers, and puts those that are not behind them.
    fn balance(&mut self, nodes: &BTreeSet<NodeId>) {
        for record in &self.observation.records {
            let pool = self.fleet.pools.get(&record.pool);
            let balancer = pool.and_then(|pool| pool.balancer.as_deref());
            let is_meant = nodes.contains(&record.id) && !record.life.is_leaving();
            let (Some(balancer), true) = (balancer, is_meant) else {
                continue;
            };
            if !self.observation.cordoned.contains(&record.id) {
                self.register(balancer, &[record]);
                continue;
            }
            let (provider, region) = (record.id.provider(), record.id.region());
            let health = self.members.get(&(provider, balancer, &record.id));
            if health.is_some_and(|health| **health != MemberHealth::Draining) {
                let action = Action::Drain {
                    node: record.id.clone(),
                    balancer: balancer.to_owned(),
                };
                let reason = "it is cordoned".to_owned();
                self.push(provider, region, record.id.as_str(), action, reason);
            }
        }
    }

    /// The next step on a node's way out: first it leaves its balancer, and when that has let go of
    /// it (or the time for that is over) it is deleted.
    fn delete(&mut self, record: &'a NodeRecord, reason: &str) {
        let (provider, region) = (record.id.provider(), record.id.region());
        let pool = self.fleet.pools.get(&record.pool);
        let limits = pool.map_or_else(Limits::default, |pool| pool.limits.clone());
        let waited = elapsed(record.since, self.observation.at);
        let node = self.nodes.get(&record.id);
        // The provider has our word and is at it. If it takes too long it is asked again.
        if record.life == Life::Terminating
            && self.options.accepted.contains(&record.id)
            && node.is_some_and(|node| node.state.is_leaving())
            && waited <= limits.terminate.0
        {
            return;
        }
        let alive = node.is_some_and(|node| !node.state.is_leaving());
        let member = pool
            .and_then(|pool| pool.balancer.as_deref())
            .and_then(|balancer| {
                let health = self.members.get(&(provider, balancer, &record.id))?;
                Some((balancer.to_owned(), *health == &MemberHealth::Draining))
            });
        let overdue = record.life == Life::Draining && waited > limits.drain.0;
        let action = match member {
            Some((_, true)) if alive && !overdue => return,
            Some((balancer, false)) if alive && !overdue => Action::Drain {
                node: record.id.clone(),
                balancer,
            },
            _ => Action::Delete {
                node: record.id.clone(),
            },
        };
        let before = self.steps.len();
        self.push(
            provider,
            region,
            &record.id.to_string(),
            action,
            reason.to_owned(),
        );
        if self.steps.len() > before && record.life.is_wanted() {
            self.removals += 1;
        }
    }

    /// Adds a step, or withholds it if the place was not seen.
    fn push(
        &mut self,
        provider: &str,
        region: &str,
        subject: &str,
        action: Action,
        reason: String,
    ) {
        match self.observation.blind_spot(provider, region) {
            Some(why) => self.withhold(subject, &action.to_string(), &why),
            None => self.steps.push(Step { action, reason }),
        }
    }

    fn withhold(&mut self, subject: &str, what: &str, reason: &str) {
        self.withheld.push(Withheld {
            subject: subject.to_owned(),
            what: what.to_owned(),
            reason: reason.to_owned(),
        });
    }

    fn brake(&self, live: usize) -> Option<Brake> {
        let percent = self
            .options
            .max_removal_percent
            .unwrap_or(self.fleet.safety.max_removal_percent);
        // One node may always go: a share of a small fleet rounds down to none.
        let allowed = (live * usize::from(percent) / 100).max(1);
        (self.removals > allowed).then_some(Brake {
            removals: self.removals,
            of: live,
            allowed_percent: percent,
        })
    }
}

/// What a pool has besides the nodes that count.
fn besides(ended: usize, doomed: usize, replaced: usize) -> String {
    let kinds = [
        (ended, "whose time is over"),
        (doomed, "that the cloud takes away"),
        (replaced, "in whose place others come"),
    ];
    let told: Vec<String> = kinds
        .iter()
        .filter(|(count, _)| *count > 0)
        .map(|(count, what)| format!(" besides {count} {what}"))
        .collect();
    told.concat()
}

/// `1 node`, `2 nodes`.
fn plural(number: usize, noun: &str) -> String {
    let ending = if number == 1 { "" } else { "s" };
    format!("{number} {noun}{ending}")
}
