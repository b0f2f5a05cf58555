//! Planning: one observation in, one list of steps with reasons out. Pure.
//!
//! What the planner cannot see it does not touch: a step that concerns a place whose listing
//! failed is withheld, and said to be. Machines in such a place still count, so nothing is made
//! twice because a cloud did not answer.

mod cost;
mod relief;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use fleetwright_core::ability::{Member, MemberHealth};
use fleetwright_core::{
    Action, Boot, Brake, Claim, Life, Limits, Node, NodeId, NodeRecord, Plan, Pool, Purpose, Step,
    Withheld, keys,
};

use self::cost::Costs;
use crate::interruption::is_doomed;
use crate::life::elapsed;
use crate::tenure::{is_idle_too_long, is_over};
use crate::{Fleet, Observation, Selection, select_offers};

/// Offers that a create step carries at most.
const MOST_OFFERS: usize = 32;

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
    let mut planner = Planner {
        fleet,
        observation,
        options,
        nodes: observation.nodes_by_id(),
        members: members(observation),
        steps: Vec::new(),
        withheld: Vec::new(),
        removals: 0,
    };
    let limited = matches!(purpose, Purpose::Expire { .. });
    if let Purpose::Relieve { nodes } = &purpose {
        planner.resolve_claims_beside(nodes);
    } else {
        planner.resolve_claims(limited);
        planner.adopt_orphans(limited);
    }
    match &purpose {
        Purpose::Converge => planner.converge(),
        Purpose::Remove { nodes } => planner.remove(nodes.as_deref()),
        Purpose::Expire { idle } => planner.expire(idle),
        Purpose::Relieve { nodes } => planner.relieve(nodes),
    }
    let live = observation
        .records
        .iter()
        .filter(|record| record.life.is_wanted())
        .count();
    let brake = match purpose {
        Purpose::Remove { .. } | Purpose::Expire { .. } | Purpose::Relieve { .. } => None,
        Purpose::Converge => planner.brake(live),
    };
    let costs = Costs::of(&observation.records, &planner.steps);
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
    /// Open claims come first. `limited`: only those for pools whose nodes run out of time.
    fn resolve_claims(&mut self, limited: bool) {
        for claim in &self.observation.claims {
            let pool = self.fleet.pools.get(&claim.pool);
            if limited && pool.is_none_or(|pool| !pool.limits.ends_nodes()) {
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

    /// Our nodes without a record get one. `limited`: only those whose label tells an end.
    fn adopt_orphans(&mut self, limited: bool) {
        for node in self.observation.orphans() {
            if limited && node.label(keys::EXPIRY).is_none() {
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

    fn converge(&mut self) {
        let mut by_pool: BTreeMap<&str, Vec<&'a NodeRecord>> = BTreeMap::new();
        for record in &self.observation.records {
            by_pool.entry(&record.pool).or_default().push(record);
        }
        let mut pending: HashMap<&str, u32> = HashMap::new();
        for claim in &self.observation.claims {
            *pending.entry(&claim.pool).or_default() += self.missing(claim);
        }
        // Once they are adopted they count: nothing is made in their stead.
        let mut orphans: HashMap<&str, usize> = HashMap::new();
        for node in self.observation.orphans() {
            *orphans
                .entry(node.label(keys::POOL).unwrap_or_default())
                .or_default() += 1;
        }
        for (name, records) in &by_pool {
            if !self.fleet.pools.contains_key(*name) {
                let reason = format!("pool `{name}` is not in the configuration");
                for record in records {
                    self.delete(record, &reason);
                }
            }
        }
        for (name, pool) in &self.fleet.pools {
            let records = by_pool.remove(name.as_str()).unwrap_or_default();
            let pending = pending.get(name.as_str()).copied().unwrap_or(0);
            let orphans = orphans.get(name.as_str()).copied().unwrap_or(0);
            self.converge_pool(name, pool, &records, pending, orphans);
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
        orphans: usize,
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
            } else if record.life.is_wanted() && is_doomed(record, Some(pool)).is_some() {
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
        let with_orphans = have + orphans;
        if have > desired {
            let reason = format!(
                "pool `{name}` has {} and wants {desired}",
                plural(have, "node")
            );
            let all = kept.into_iter().chain(wanted.iter().copied()).collect();
            let surplus = pick_surplus(all, have - desired, generation.short());
            for record in &surplus {
                self.delete(record, &reason);
            }
            let leaving: HashSet<&NodeId> = surplus.iter().map(|record| &record.id).collect();
            wanted.retain(|record| !leaving.contains(&record.id));
        } else if with_orphans < desired {
            let besides = besides(ended, doomed.len());
            self.create(name, pool, desired - with_orphans, with_orphans, &besides);
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

    fn create(&mut self, name: &str, pool: &Pool, count: usize, have: usize, besides: &str) {
        if let Err(error) = pool.first_boot() {
            let subject = format!("pool {name}");
            let what = format!("create {count}");
            self.withhold(&subject, &what, &error.report().to_string());
            return;
        }
        let Selection {
            mut offers,
            excluded,
        } = select_offers(pool, &self.observation.providers, &self.observation.marks);
        if offers.is_empty() {
            let mut why: Vec<String> = excluded
                .iter()
                .map(|e| format!("{}: {}", e.what, e.why))
                .collect();
            why.dedup();
            let more = why.len().saturating_sub(4);
            why.truncate(4);
            if more > 0 {
                why.push(format!("and {more} more"));
            }
            let reason = if why.is_empty() {
                "nothing is on offer".into()
            } else {
                why.join("; ")
            };
            self.withheld.push(Withheld {
                subject: format!("pool {name}"),
                what: format!("create {count}"),
                reason: format!("no offer is left: {reason}"),
            });
            return;
        }
        offers.truncate(MOST_OFFERS);
        let spec = self.fleet.node_spec(name, pool, &self.observation.journal);
        let reason = format!(
            "pool `{name}` has {}{besides} and wants {}",
            plural(have, "node"),
            self.observation.wanted(name, pool)
        );
        self.steps.push(Step {
            action: Action::Create {
                pool: name.to_owned(),
                count: u32::try_from(count).unwrap_or(u32::MAX),
                offers,
                spec: Box::new(spec),
            },
            reason,
        });
    }

    fn register(&mut self, balancer: &str, wanted: &[&'a NodeRecord]) {
        for record in wanted.iter().filter(|record| record.life.is_ready()) {
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
fn besides(ended: usize, doomed: usize) -> String {
    let kinds = [
        (ended, "whose time is over"),
        (doomed, "that the cloud takes away"),
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
