//! Putting rivals in order: a key from each strategy, one strategy within the other.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use fleetwright_core::{Availability, Domain, Market, Offer, Pool, Strategy};
use jiff::Timestamp;

use super::Situation;
use super::gather::Rival;
use super::words;

/// How long a machine that was made shows that there is capacity.
const FRESH: Duration = Duration::from_mins(30);

/// How sure it is that an offer can be had.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Hope {
    /// The provider says so.
    Told,
    /// A machine was made there lately, and none refused since.
    Made,
    /// Nobody has said.
    Unknown,
    /// It was sold out lately.
    Refused,
}

/// The rivals of one choice, and what moves with each machine that is placed.
pub(super) struct Table<'a> {
    pub(super) pool: &'a Pool,
    /// In the order that is left where all strategies see no difference.
    pub(super) rivals: Vec<Rival>,
    pub(super) hopes: Vec<Hope>,
    /// For each strategy and rival a key that never changes; empty for those that take turns.
    fixed: Vec<Vec<i64>>,
    pub(super) seats: Seats,
    spreads: Vec<Option<Places>>,
}

/// Who comes first.
pub(super) struct Choice {
    pub(super) rival: usize,
    /// The seats that took part, if turns are taken.
    pub(super) seats: Option<Vec<usize>>,
}

/// Who takes turns.
#[derive(Default)]
pub(super) struct Seats {
    /// The seat of each rival.
    pub(super) of: Vec<usize>,
    pub(super) names: Vec<String>,
    pub(super) weights: Vec<i64>,
    credits: Vec<i64>,
}

/// What nodes are spread over.
struct Places {
    /// The place of each rival.
    of: Vec<usize>,
    /// Nodes that are there.
    counts: Vec<u32>,
    max_skew: u32,
}

impl<'a> Table<'a> {
    pub(super) fn new(pool: &'a Pool, situation: &Situation<'_>, mut rivals: Vec<Rival>) -> Self {
        rivals.sort_by(|a, b| {
            let key = |r: &Rival| (r.rank, r.offer.price.is_none(), r.offer.price);
            key(a)
                .cmp(&key(b))
                .then_with(|| a.offer.provider.cmp(&b.offer.provider))
                .then_with(|| a.offer.instance_type.cmp(&b.offer.instance_type))
                .then_with(|| a.offer.region.cmp(&b.offer.region))
                .then_with(|| a.offer.zone.cmp(&b.offer.zone))
                .then_with(|| a.candidate.cmp(&b.candidate))
        });
        let strategies = pool.strategy.as_slice();
        let hopes = if pool.strategy.contains(|one| one == Strategy::Availability) {
            hopes(&rivals, situation)
        } else {
            vec![Hope::Unknown; rivals.len()]
        };
        let fixed = strategies
            .iter()
            .map(|strategy| match strategy {
                Strategy::Priority => ranks(&rivals, |rival| rival.rank),
                Strategy::Cost => ranks(&rivals, |r| (r.offer.price.is_none(), r.offer.price)),
                Strategy::Availability => hopes.iter().map(|hope| group(*hope)).collect(),
                Strategy::RoundRobin | Strategy::Spread(_) => Vec::new(),
            })
            .collect();
        let spreads = strategies
            .iter()
            .map(|strategy| match strategy {
                Strategy::Spread(spread) => Some(Places::new(
                    &rivals,
                    situation,
                    spread.over,
                    spread.max_skew,
                )),
                _ => None,
            })
            .collect();
        let seats = if pool.strategy.contains(|one| one == Strategy::RoundRobin) {
            Seats::new(&rivals, situation)
        } else {
            Seats::default()
        };
        Self {
            pool,
            rivals,
            hopes,
            fixed,
            seats,
            spreads,
        }
    }

    /// All rivals, best first, as things stand.
    pub(super) fn order(&self) -> Vec<usize> {
        let mut all: Vec<usize> = (0..self.rivals.len()).collect();
        self.arrange(&mut all, 0);
        all
    }

    fn arrange(&self, group: &mut [usize], level: usize) {
        if group.len() < 2 {
            return;
        }
        if level == self.pool.strategy.as_slice().len() {
            group.sort_unstable();
            return;
        }
        let keys = self.keys(level, group);
        let mut keyed: Vec<(i64, usize)> = keys.into_iter().zip(group.iter().copied()).collect();
        keyed.sort_unstable();
        for (to, (_, from)) in group.iter_mut().zip(&keyed) {
            *to = *from;
        }
        let mut start = 0;
        while start < keyed.len() {
            let key = keyed[start].0;
            let end = start + keyed[start..].iter().take_while(|(k, _)| *k == key).count();
            self.arrange(&mut group[start..end], level + 1);
            start = end;
        }
    }

    /// Who comes first, as things stand.
    pub(super) fn choose(&self) -> Option<Choice> {
        let mut group: Vec<usize> = (0..self.rivals.len()).collect();
        let mut seats = None;
        for level in 0..self.pool.strategy.as_slice().len() {
            if self.pool.strategy.as_slice()[level] == Strategy::RoundRobin {
                seats = Some(self.seats.among(&group));
            }
            let keys = self.keys(level, &group);
            let least = keys.iter().min().copied()?;
            let mut keys = keys.into_iter();
            group.retain(|_| keys.next() == Some(least));
        }
        let rival = group.into_iter().min()?;
        Some(Choice { rival, seats })
    }

    /// A machine was placed: it counts from now on.
    pub(super) fn settle(&mut self, choice: &Choice) {
        if let Some(seats) = &choice.seats {
            self.seats.take(self.seats.of[choice.rival], seats);
        }
        for places in self.spreads.iter_mut().flatten() {
            places.counts[places.of[choice.rival]] += 1;
        }
    }

    /// The keys of these rivals by one strategy: the least comes first.
    fn keys(&self, level: usize, group: &[usize]) -> Vec<i64> {
        match self.pool.strategy.as_slice()[level] {
            Strategy::RoundRobin => self.seats.keys(group),
            Strategy::Spread(_) => match &self.spreads[level] {
                Some(places) => places.keys(group),
                None => vec![0; group.len()],
            },
            _ => group.iter().map(|at| self.fixed[level][*at]).collect(),
        }
    }

    /// Nodes where a rival is, by the strategy at this level.
    pub(super) fn nodes_at(&self, level: usize, rival: usize) -> u32 {
        self.spreads[level]
            .as_ref()
            .map_or(0, |places| places.counts[places.of[rival]])
    }

    /// The offers in this order, each once, with their reasons. Beyond `most` only the best of each
    /// region that is not among them.
    pub(super) fn offers(&self, order: &[usize], most: usize) -> Vec<Offer> {
        let mut seen = HashSet::new();
        let unique: Vec<usize> = order
            .iter()
            .copied()
            .filter(|at| {
                let offer = &self.rivals[*at].offer;
                seen.insert((
                    &offer.provider,
                    &offer.region,
                    &offer.zone,
                    &offer.instance_type,
                    offer.market,
                ))
            })
            .collect();
        let mut regions = HashSet::new();
        let mut taken = 0;
        let mut offers = Vec::new();
        for (place, at) in unique.iter().enumerate() {
            let offer = &self.rivals[*at].offer;
            let is_new = regions.insert((&offer.provider, &offer.region));
            if taken >= most && !(is_new && taken < super::MOST_OF_ALL) {
                continue;
            }
            taken += 1;
            offers.push(Offer {
                reason: words::reason(self, *at, place, unique.len()),
                ..offer.clone()
            });
        }
        offers
    }
}

// === impl Seats ===

impl Seats {
    fn new(rivals: &[Rival], situation: &Situation<'_>) -> Self {
        // In the order of the candidates, which settles a draw.
        let mut known: Vec<(usize, &str, u32)> = Vec::new();
        for rival in rivals {
            match known.iter_mut().find(|(_, name, _)| *name == &*rival.seat) {
                Some(seat) => seat.0 = seat.0.min(rival.candidate),
                None => known.push((rival.candidate, &rival.seat, rival.weight)),
            }
        }
        known.sort_unstable();
        let index: HashMap<&str, usize> = known
            .iter()
            .enumerate()
            .map(|(at, (_, name, _))| (*name, at))
            .collect();
        let weights: Vec<i64> = known.iter().map(|(_, _, w)| i64::from(*w)).collect();
        let all: i64 = weights.iter().sum();
        let credit = |name: &str| {
            let credit = situation.turns.and_then(|turns| turns.get(name));
            // Weights may have changed since: what was owed then is not owed for ever.
            credit.copied().unwrap_or(0).clamp(-all, all)
        };
        Self {
            of: rivals.iter().map(|r| index[&*r.seat]).collect(),
            credits: known.iter().map(|(_, name, _)| credit(name)).collect(),
            names: known
                .iter()
                .map(|(_, name, _)| (*name).to_owned())
                .collect(),
            weights,
        }
    }

    /// The seats of these rivals, in order.
    fn among(&self, group: &[usize]) -> Vec<usize> {
        let mut seats: Vec<usize> = group.iter().map(|at| self.of[*at]).collect();
        seats.sort_unstable();
        seats.dedup();
        seats
    }

    /// Whoever has the greatest credit after gaining its weight comes first; no weight comes last.
    fn keys(&self, group: &[usize]) -> Vec<i64> {
        let mut seats = self.among(group);
        seats.sort_by_key(|seat| {
            let weight = self.weights[*seat];
            (weight == 0, -(self.credits[*seat] + weight), *seat)
        });
        let mut place = vec![0; self.names.len()];
        for (at, seat) in (0_i64..).zip(&seats) {
            place[*seat] = at;
        }
        group.iter().map(|at| place[self.of[*at]]).collect()
    }

    fn take(&mut self, chosen: usize, seats: &[usize]) {
        let all: i64 = seats.iter().map(|seat| self.weights[*seat]).sum();
        for seat in seats {
            self.credits[*seat] += self.weights[*seat];
        }
        self.credits[chosen] -= all;
    }
}

// === impl Places ===

impl Places {
    fn new(rivals: &[Rival], situation: &Situation<'_>, over: Domain, max_skew: u32) -> Self {
        let mut index: HashMap<(&str, &str, Option<&str>), usize> = HashMap::new();
        let mut of = Vec::with_capacity(rivals.len());
        for Rival { offer, .. } in rivals {
            let key = match over {
                Domain::Zones => (&*offer.provider, &*offer.region, offer.zone.as_deref()),
                Domain::Regions => (&*offer.provider, &*offer.region, None),
                Domain::Providers => (&*offer.provider, "", None),
            };
            let next = index.len();
            of.push(*index.entry(key).or_insert(next));
        }
        let mut counts = vec![0; index.len()];
        for placed in &situation.placed {
            let keys: &[_] = match over {
                // A place without zones stands for all of its region.
                Domain::Zones if placed.zone.is_some() => &[
                    (placed.provider, placed.region, placed.zone),
                    (placed.provider, placed.region, None),
                ],
                Domain::Zones | Domain::Regions => &[(placed.provider, placed.region, None)],
                Domain::Providers => &[(placed.provider, "", None)],
            };
            for at in keys.iter().filter_map(|key| index.get(key)) {
                counts[*at] += 1;
            }
        }
        Self {
            of,
            counts,
            max_skew,
        }
    }

    /// By how much one more machine would be ahead of the emptiest place, beyond what is allowed.
    fn keys(&self, group: &[usize]) -> Vec<i64> {
        let count = |at: &usize| self.counts[self.of[*at]];
        let least = group.iter().map(count).min().unwrap_or(0);
        let allowed = least.saturating_add(self.max_skew);
        let excess = |at: &usize| i64::from(count(at).saturating_add(1).saturating_sub(allowed));
        group.iter().map(excess).collect()
    }
}

/// Dense ranks: equal values have equal ranks, so that the next strategy orders them.
fn ranks<T: Ord>(rivals: &[Rival], value: impl Fn(&Rival) -> T) -> Vec<i64> {
    let mut order: Vec<usize> = (0..rivals.len()).collect();
    order.sort_by_key(|at| value(&rivals[*at]));
    let mut ranks = vec![0; rivals.len()];
    let mut rank = 0;
    for pair in order.windows(2) {
        if value(&rivals[pair[0]]) != value(&rivals[pair[1]]) {
            rank += 1;
        }
        ranks[pair[1]] = rank;
    }
    ranks
}

const fn group(hope: Hope) -> i64 {
    match hope {
        Hope::Told | Hope::Made => 0,
        Hope::Unknown => 1,
        Hope::Refused => 2,
    }
}

/// How sure it is for each rival, by what is known now.
fn hopes(rivals: &[Rival], situation: &Situation<'_>) -> Vec<Hope> {
    // By provider, region, type and market: zone and instant of each machine that was made lately.
    type Made<'a> = HashMap<(&'a str, &'a str, &'a str, Market), Vec<(Option<&'a str>, Timestamp)>>;
    let mut made = Made::new();
    for record in situation.records {
        let age = situation.now.duration_since(record.created_at);
        if Duration::try_from(age).is_ok_and(|age| age <= FRESH) {
            made.entry((
                record.id.provider(),
                record.id.region(),
                &record.instance_type,
                record.market,
            ))
            .or_default()
            .push((record.zone.as_deref(), record.created_at));
        }
    }
    rivals
        .iter()
        .map(|Rival { offer, .. }| {
            if offer.availability == Availability::Available {
                return Hope::Told;
            }
            let key = (
                &*offer.provider,
                &*offer.region,
                &*offer.instance_type,
                offer.market,
            );
            let last_made = made
                .get(&key)
                .into_iter()
                .flatten()
                .filter(|(zone, _)| offer.zone.is_none() || offer.zone.as_deref() == *zone)
                .map(|(_, at)| *at)
                .max();
            let spent = situation.spent_marks.iter();
            let refused_until = spent.filter(|m| m.covers(offer)).map(|m| m.until).max();
            match (last_made, refused_until) {
                // A mark was set some time before it ran out, so a machine made after that end is
                // certainly younger.
                (Some(made), Some(until)) if made >= until => Hope::Made,
                (_, Some(_)) => Hope::Refused,
                (Some(_), None) => Hope::Made,
                (None, None) => Hope::Unknown,
            }
        })
        .collect()
}
