//! The fleet: pools, and what holds for all of them.

use std::collections::BTreeMap;
use std::time::Duration;

use fleetwright_core::{
    Budget, Currency, Fingerprint, HourlyPrice, Labels, Market, NodeSpec, Pool, TargetGroup,
    Webhook, fingerprint, keys,
};
use serde::Serialize;
use serde_json::Value;

/// Everything that is wanted.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Fleet {
    /// Name, on every node's label.
    pub name: String,
    /// Who answers for it.
    pub owner: Option<String>,
    /// The pools by name.
    pub pools: BTreeMap<String, Pool>,
    /// Machines that are looked after without being made by us, by name.
    pub targets: BTreeMap<String, TargetGroup>,
    /// Who is told about incidents.
    pub notifications: Vec<Webhook>,
    /// Public keys that may log in to every node.
    pub ssh_keys: Vec<String>,
    /// What the engine may not do.
    pub safety: Safety,
    /// Most that the machines of all pools may cost together.
    pub budget: Option<Budget>,
    /// For providers that take a cap with a request for spot machines: the option that holds it, in
    /// US dollars per hour. A pool's `max_price` is put there.
    pub spot_caps: BTreeMap<String, String>,
}

/// Limits to what the engine does on its own.
#[derive(Debug, Clone, Serialize)]
pub struct Safety {
    /// A plan that removes more than this share of the nodes is reported, not executed.
    pub max_removal_percent: u8,
    /// A node younger than this is never judged to be without a record.
    pub age_floor: Duration,
}

impl Default for Safety {
    fn default() -> Self {
        Self {
            max_removal_percent: 30,
            age_floor: Duration::from_secs(30),
        }
    }
}

impl Fleet {
    /// The hash of the wish; a plan made for another wish is stale.
    pub fn fingerprint(&self) -> Fingerprint {
        fingerprint(&(
            &self.name,
            &self.owner,
            &self.pools,
            &self.ssh_keys,
            &self.budget,
        ))
    }

    /// What a node of a pool is made from; place and type come from the offer.
    pub fn node_spec(&self, name: &str, pool: &Pool, journal: &str) -> NodeSpec {
        let mut labels = pool.labels.clone();
        labels.extend(self.owned_labels(journal));
        labels.insert(keys::POOL.into(), name.to_owned());
        labels.insert(
            keys::GENERATION.into(),
            pool.generation().short().to_owned(),
        );
        if let Some(owner) = &self.owner {
            labels.insert(keys::OWNER.into(), owner.clone());
        }
        // At most 44, so that claim and ordinal still fit into a host name's 63 characters.
        let base: String = format!("{}-{name}", self.name).chars().take(44).collect();
        NodeSpec {
            name: base.trim_end_matches('-').to_owned(),
            instance_type: String::new(),
            image: pool.image.clone(),
            region: String::new(),
            zone: None,
            market: Market::default(),
            ssh_keys: self
                .ssh_keys
                .iter()
                .chain(&pool.ssh_keys)
                .cloned()
                .collect(),
            // A pool whose timer cannot be put in is not made at all: the planner sees to that.
            user_data: pool.first_boot().unwrap_or_else(|_| pool.user_data.clone()),
            labels,
            options: pool.options.clone(),
        }
    }

    /// The most that one machine of a pool may cost, if that is limited and can be read.
    pub(crate) fn max_price(&self, pool: &str) -> Option<HourlyPrice> {
        let text = self.pools.get(pool)?.max_price.as_ref()?;
        text.parse().ok()
    }

    /// Puts a pool's `max_price` into the options of a request for spot machines, where the
    /// provider takes a cap. One that is given is kept, unless it is higher.
    pub(crate) fn cap_spot(&self, pool: &str, provider: &str, spec: &mut NodeSpec) {
        let is_spot = spec.market == Market::Spot;
        let (Some(option), Some(cap)) = (self.spot_caps.get(provider), self.max_price(pool)) else {
            return;
        };
        if !is_spot || cap.currency != Currency::Usd {
            return;
        }
        let given = spec.options.get(option).and_then(|value| value.as_str());
        let given = given.and_then(|text| text.parse::<HourlyPrice>().ok());
        if given.is_none_or(|given| given > cap) {
            spec.options
                .insert(option.clone(), Value::String(cap.decimal()));
        }
    }

    /// The labels that say that a node belongs to this fleet and this journal.
    pub fn owned_labels(&self, journal: &str) -> Labels {
        let mut labels = self.listed_labels();
        labels.insert(keys::JOURNAL.into(), journal.to_owned());
        labels
    }

    /// The labels that a listing asks for: also shows fleets of the same name of other journals.
    pub fn listed_labels(&self) -> Labels {
        Labels::from([
            (keys::MANAGED_BY.into(), keys::MANAGED_BY_VALUE.into()),
            (keys::FLEET.into(), self.name.clone()),
        ])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The option of a request for a machine of pool `web`, whose nodes may cost 0.12 at most.
    fn capped(market: Market, max_price: Option<&str>, given: Option<&str>) -> Option<String> {
        let pool = Pool {
            max_price: max_price.map(str::to_owned),
            ..Pool::default()
        };
        let fleet = Fleet {
            spot_caps: BTreeMap::from([("cloud".into(), "most".into())]),
            pools: BTreeMap::from([("web".into(), pool.clone())]),
            ..Fleet::default()
        };
        let mut spec = fleet.node_spec("web", &pool, "journal");
        spec.market = market;
        if let Some(given) = given {
            spec.options.insert("most".into(), given.into());
        }
        let mut elsewhere = spec.clone();
        fleet.cap_spot("web", "another", &mut elsewhere);
        assert_eq!(elsewhere, spec, "a provider that takes no cap gets none");
        fleet.cap_spot("web", "cloud", &mut spec);
        Some(spec.options.get("most")?.as_str()?.to_owned())
    }

    #[test]
    fn a_request_for_spot_machines_carries_the_cap_of_its_pool() {
        let cap = Some("$0.12/h");
        for (market, max_price, given, wanted) in [
            (Market::Spot, cap, None, Some("0.12")),
            (Market::Spot, cap, Some("0.10"), Some("0.10")),
            (Market::Spot, cap, Some("0.13"), Some("0.12")),
            (Market::Spot, None, Some("0.13"), Some("0.13")),
            (Market::Spot, None, None, None),
            // What the option takes is dollars.
            (Market::Spot, Some("€0.12/h"), None, None),
            (Market::OnDemand, cap, None, None),
        ] {
            let found = capped(market, max_price, given);
            assert_eq!(found.as_deref(), wanted, "{market} {max_price:?} {given:?}");
        }
    }
}
