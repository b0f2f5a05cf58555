//! Which offers are as wanted, cheapest first. Pure, and made for a hundred thousand rows.
//!
//! What depends on the type is looked at once for each type, what depends on the place once for each
//! place. What is left to do for an offering is a look into two tables and the price.

use std::collections::HashMap;

use fleetwright_core::{
    Count, Currency, GpuWish, HourlyPrice, InstanceType, Market, PriceRule, Prices, glob,
};

use super::part::{CatalogPart, market_of, price_of};

/// What offers must be like. An empty query is met by all.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct OfferQuery {
    /// GPUs.
    pub gpu: Option<GpuWish>,
    /// Virtual CPUs.
    pub vcpus: Option<Count>,
    /// Memory, in MiB.
    pub memory_mib: Option<Count>,
    /// Regions, in which `*` stands for any text; empty: any.
    pub regions: Vec<String>,
    /// Names of providers; empty: any.
    pub providers: Vec<String>,
    /// Names of types, in which `*` stands for any text; empty: any.
    pub types: Vec<String>,
    /// On-demand or spot; absent: both.
    pub market: Option<Market>,
    /// Most that a machine may cost. What has no known price, or one in another currency, is left out
    /// then.
    pub max_price: Option<HourlyPrice>,
}

/// Prices as the user corrects them, at one instant.
#[derive(Debug, Clone, Copy)]
pub struct Rates<'a> {
    /// The rules.
    pub prices: &'a Prices,
    /// How many machines have taken the rate of each.
    pub taken: &'a [u32],
}

/// An offering that is as wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Hit {
    /// In which of the parts.
    pub part: usize,
    /// Which offering of it.
    pub row: usize,
    /// The price, corrected.
    pub price: Option<HourlyPrice>,
    /// The rule that corrected it.
    pub rule: Option<usize>,
}

/// What a query found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Found {
    /// The cheapest: by currency, then price, then provider, type and place. What has no price comes
    /// last.
    pub hits: Vec<Hit>,
    /// How many there are in all.
    pub matching: usize,
}

/// Where an offering stands in the order.
type Key = (u8, u64, u32, u32);

/// Finds the cheapest offerings that are as wanted: at most `limit`, or all with 0.
pub fn find(parts: &[CatalogPart], query: &OfferQuery, rates: Rates<'_>, limit: usize) -> Found {
    let mut best = Best::new(limit);
    let mut models = Models::default();
    let mut matching = 0;
    for (number, part) in (0_u32..).zip(parts) {
        let provider = part.info.provider.as_str();
        if !query.wants_provider(provider) {
            continue;
        }
        let places: Vec<bool> = part
            .places
            .iter()
            .map(|(region, _)| query.wants_region(region))
            .collect();
        let corrections = Corrections::new(part, rates);
        for (of_type, instance_type) in part.types.iter().enumerate() {
            if !query.wants_type(instance_type, &mut models) {
                continue;
            }
            let corrected = corrections.of_type(instance_type);
            for row in part.rows_of(of_type) {
                let (place, sale) = (part.place[row], part.sale[row]);
                let here = usize::try_from(place).is_ok_and(|place| places[place]);
                let market = market_of(sale);
                if !here || query.market.is_some_and(|wanted| wanted != market) {
                    continue;
                }
                let list = price_of(sale, part.price[row]);
                let price = corrected.price(place, market, list);
                if query.max_price.is_some_and(|cap| !is_within(price, cap)) {
                    continue;
                }
                matching += 1;
                let row = u32::try_from(row).unwrap_or(u32::MAX);
                best.offer(key(price, number, row));
            }
        }
    }
    let hits = best.into_sorted().into_iter().filter_map(|key| {
        let (_, _, part, row) = key;
        hit(
            parts,
            rates,
            usize::try_from(part).ok()?,
            usize::try_from(row).ok()?,
        )
    });
    Found {
        hits: hits.collect(),
        matching,
    }
}

/// An offering with its corrected price.
pub(super) fn hit(parts: &[CatalogPart], rates: Rates<'_>, part: usize, row: usize) -> Option<Hit> {
    let from = parts.get(part)?;
    let (region, _) = from.place_of(row);
    let name = &from.types.get(from.type_of(row))?.name;
    let provider = &from.info.provider;
    let rule = rates
        .prices
        .rule_for(provider, region, name, from.market(row), rates.taken);
    let list = from.list_price(row);
    Some(Hit {
        part,
        row,
        price: rule.map_or(list, |rule| rates.prices.apply(rule, list)),
        rule,
    })
}

fn key(price: Option<HourlyPrice>, part: u32, row: u32) -> Key {
    match price {
        None => (u8::MAX, 0, part, row),
        Some(price) => {
            let currency = match price.currency {
                Currency::Usd => 0,
                Currency::Eur => 1,
            };
            (currency, price.micros_per_hour, part, row)
        }
    }
}

/// Whether a price is known and within a cap of the same currency.
fn is_within(price: Option<HourlyPrice>, cap: HourlyPrice) -> bool {
    price.is_some_and(|price| price.currency == cap.currency && price <= cap)
}

// === impl OfferQuery ===

impl OfferQuery {
    fn wants_provider(&self, provider: &str) -> bool {
        self.providers.is_empty() || self.providers.iter().any(|name| name == provider)
    }

    fn wants_region(&self, region: &str) -> bool {
        self.regions.is_empty() || self.regions.iter().any(|pattern| glob(pattern, region))
    }

    fn wants_name(&self, name: &str) -> bool {
        self.types.is_empty() || self.types.iter().any(|pattern| glob(pattern, name))
    }

    fn wants_type<'p>(&self, found: &'p InstanceType, models: &mut Models<'p>) -> bool {
        self.vcpus
            .is_none_or(|count| count.holds(found.vcpus.into()))
            && self
                .memory_mib
                .is_none_or(|count| count.holds(found.memory_mib))
            && self.wants_name(&found.name)
            && self
                .gpu
                .as_ref()
                .is_none_or(|wish| models.wants(wish, found))
    }

    /// Everything that an offering lacks, in words; empty if it is as wanted.
    pub(super) fn refusals(
        &self,
        part: &CatalogPart,
        row: usize,
        price: Option<HourlyPrice>,
    ) -> Vec<String> {
        let mut why = Vec::new();
        let provider = &part.info.provider;
        if !self.wants_provider(provider) {
            why.push(format!("not by {}", self.providers.join(" or ")));
        }
        if let Some(found) = part.types.get(part.type_of(row)) {
            if !self.wants_name(&found.name) {
                why.push(format!("not a {}", self.types.join(" or ")));
            }
            why.extend(self.gpu.as_ref().and_then(|wish| wish.unmet_by(found)));
            if let Some(want) = self.vcpus.filter(|want| !want.holds(found.vcpus.into())) {
                why.push(format!("{} vCPUs, {want} wanted", found.vcpus));
            }
            if let Some(want) = self.memory_mib.filter(|want| !want.holds(found.memory_mib)) {
                why.push(format!("{} MiB of memory, {want} wanted", found.memory_mib));
            }
        }
        let (region, _) = part.place_of(row);
        if !self.wants_region(region) {
            why.push(format!("not in {}", self.regions.join(" or ")));
        }
        if let Some(want) = self.market.filter(|want| *want != part.market(row)) {
            why.push(format!("it is {}, {want} wanted", part.market(row)));
        }
        if let Some(cap) = self.max_price.filter(|cap| !is_within(price, *cap)) {
            why.push(match price {
                None => format!("its price is unknown, and at most {cap} may be paid"),
                Some(price) if price.currency != cap.currency => {
                    format!("{price} does not compare with the limit {cap}")
                }
                Some(price) => format!("{price} is above the limit {cap}"),
            });
        }
        why
    }
}

// === models of GPUs ===

/// Whether the GPUs that a provider speaks of are those that are wanted, by its words and the memory of
/// one: many types have the same, and reading words takes longer than all the rest.
#[derive(Default)]
struct Models<'p>(HashMap<(&'p str, Option<u64>), bool>);

impl<'p> Models<'p> {
    fn wants(&mut self, wish: &GpuWish, found: &'p InstanceType) -> bool {
        let Some(words) = found.gpu_model.as_deref() else {
            return false;
        };
        // With the number as it is wanted, only the model can still be another.
        found.gpus > 0
            && wish.count.holds(found.gpus.into())
            && *self
                .0
                .entry((words, found.gpu_memory_mib))
                .or_insert_with(|| wish.unmet_by(found).is_none())
    }
}

// === corrections ===

/// The rules that may hold for a part, with what they say about its places.
struct Corrections<'a> {
    prices: &'a Prices,
    rules: Vec<(usize, &'a PriceRule, Vec<bool>)>,
}

/// The rules that may hold for a type.
struct TypeCorrections<'c, 'a> {
    prices: &'a Prices,
    rules: Vec<&'c (usize, &'a PriceRule, Vec<bool>)>,
}

impl<'a> Corrections<'a> {
    fn new(part: &CatalogPart, rates: Rates<'a>) -> Self {
        let provider = &part.info.provider;
        let rules = rates.prices.rules().enumerate().filter(|(at, rule)| {
            rates.prices.left(*at, rates.taken) != Some(0)
                && rule.provider.as_ref().is_none_or(|own| own == provider)
        });
        let rules = rules.map(|(at, rule)| {
            let places = part.places.iter().map(|(region, _)| {
                let pattern = rule.region.as_ref();
                pattern.is_none_or(|pattern| glob(pattern, region))
            });
            (at, rule, places.collect())
        });
        Self {
            prices: rates.prices,
            rules: rules.collect(),
        }
    }

    fn of_type(&self, instance_type: &InstanceType) -> TypeCorrections<'_, 'a> {
        let fits = |rule: &PriceRule| {
            let pattern = rule.instance_type.as_ref();
            pattern.is_none_or(|pattern| glob(pattern, &instance_type.name))
        };
        TypeCorrections {
            prices: self.prices,
            rules: self
                .rules
                .iter()
                .filter(|(_, rule, _)| fits(rule))
                .collect(),
        }
    }
}

impl TypeCorrections<'_, '_> {
    fn price(&self, place: u32, market: Market, list: Option<HourlyPrice>) -> Option<HourlyPrice> {
        let rule = self.rules.iter().find(|(_, rule, places)| {
            rule.market.is_none_or(|own| own == market)
                && usize::try_from(place).is_ok_and(|place| places[place])
        });
        match rule {
            Some((at, _, _)) => self.prices.apply(*at, list),
            None => list,
        }
    }
}

// === the best ===

/// Keeps the least keys that it is offered.
struct Best {
    limit: usize,
    kept: Vec<Key>,
    /// The worst that can still get in.
    bar: Option<Key>,
}

impl Best {
    fn new(limit: usize) -> Self {
        Self {
            limit: if limit == 0 { usize::MAX } else { limit },
            kept: Vec::new(),
            bar: None,
        }
    }

    fn offer(&mut self, key: Key) {
        if self.bar.is_some_and(|bar| key > bar) {
            return;
        }
        self.kept.push(key);
        // Room for as many again, so that each cut pays for itself.
        if self.kept.len() >= self.limit.saturating_mul(2).max(64) && self.kept.len() > self.limit {
            self.cut();
        }
    }

    fn cut(&mut self) {
        if self.kept.len() > self.limit {
            let (_, last, _) = self.kept.select_nth_unstable(self.limit - 1);
            self.bar = Some(*last);
            self.kept.truncate(self.limit);
        }
    }

    fn into_sorted(mut self) -> Vec<Key> {
        self.cut();
        self.kept.sort_unstable();
        self.kept
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::offers::sample;

    fn rules() -> Prices {
        Prices::new(
            serde_json::from_value(serde_json::json!([
                { "type": "type-1*", "price": "$0.50/h", "committed": 3 },
                { "provider": "b", "region": "eu-*", "discount_percent": 33 },
                { "market": "spot", "type": "*7", "price": "€0.10/h" },
            ]))
            .unwrap(),
        )
        .unwrap()
    }

    /// The same, offering by offering, with nothing thought ahead.
    fn naively(parts: &[CatalogPart], query: &OfferQuery, rates: Rates<'_>) -> Vec<Hit> {
        let mut all: Vec<(Key, Hit)> = Vec::new();
        for part in 0..parts.len() {
            for row in 0..parts[part].len() {
                let found = hit(parts, rates, part, row).unwrap();
                if query.refusals(&parts[part], row, found.price).is_empty() {
                    let (part, row) = (u32::try_from(part).unwrap(), u32::try_from(row).unwrap());
                    all.push((key(found.price, part, row), found));
                }
            }
        }
        all.sort_by_key(|(key, _)| *key);
        all.into_iter().map(|(_, hit)| hit).collect()
    }

    fn some<T: Clone + std::fmt::Debug + 'static>(of: Vec<T>) -> impl Strategy<Value = Option<T>> {
        proptest::option::of(proptest::sample::select(of))
    }

    proptest! {
        #[test]
        fn a_query_finds_what_a_plain_scan_finds(
            seed in 0_u64..1_000,
            gpu in some(vec!["H100", "A100:8", "A100-80GB", "L4:1+"]),
            vcpus in some(vec!["8", "16+", "4..32"]),
            memory in some(vec!["64GiB+", "16GiB..128GiB"]),
            region in some(vec!["eu-*", "us-1", "*2*"]),
            provider in some(vec!["a", "b", "c"]),
            name in some(vec!["type-1*", "*3"]),
            spot in proptest::option::of(any::<bool>()),
            cap in some(vec!["$0.40", "$2", "€1"]),
            corrected in any::<bool>(),
            taken in 0_u32..5,
            limit in 0_usize..40,
        ) {
            let parts = [sample::part("a", seed, 12, 5), sample::part("b", seed + 1, 30, 6)];
            let query = OfferQuery {
                gpu: gpu.map(|text| text.parse().unwrap()),
                vcpus: vcpus.map(|text| text.parse().unwrap()),
                memory_mib: memory.map(|text| Count::of_memory(text).unwrap()),
                regions: region.into_iter().map(str::to_owned).collect(),
                providers: provider.into_iter().map(str::to_owned).collect(),
                types: name.into_iter().map(str::to_owned).collect(),
                market: spot.map(|spot| if spot { Market::Spot } else { Market::OnDemand }),
                max_price: cap.map(|text| text.parse().unwrap()),
            };
            let prices = if corrected { rules() } else { Prices::default() };
            let taken = [taken];
            let rates = Rates { prices: &prices, taken: &taken };
            let mut wanted = naively(&parts, &query, rates);
            let found = find(&parts, &query, rates, limit);
            prop_assert_eq!(found.matching, wanted.len());
            if limit > 0 {
                wanted.truncate(limit);
            }
            prop_assert_eq!(found.hits, wanted);
        }
    }

    #[test]
    fn dollars_and_euros_are_not_compared_and_what_has_no_price_is_last() {
        let parts = [sample::part("a", 1, 40, 6)];
        let prices = Prices::default();
        let rates = Rates {
            prices: &prices,
            taken: &[],
        };
        let all = find(&parts, &OfferQuery::default(), rates, 0).hits;
        let shown: Vec<_> = all
            .iter()
            .map(|hit| (hit.price.is_none(), hit.price))
            .collect();
        assert!(shown.is_sorted(), "{shown:?}");
        let has = |currency| {
            all.iter()
                .any(|hit| hit.price.is_some_and(|p| p.currency == currency))
        };
        assert!(has(Currency::Usd) && has(Currency::Eur) && shown.iter().any(|(none, _)| *none));
    }
}
