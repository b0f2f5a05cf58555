//! What a provider has on sale, and what cannot be had there: pure.
//!
//! The wizard offers from it, and `validate` looks for pairs that do not go together. It comes from
//! the configuration itself where that knows ([`ProviderConfig::assortment`]), else from the
//! provider's catalog.
//!
//! [`ProviderConfig::assortment`]: crate::providers::ProviderConfig::assortment

use std::collections::BTreeSet;

use fleetwright_core::ability::Offering;
use fleetwright_core::{Candidate, InstanceType, Market, Requirements};

use crate::config::{Problem, hint_for};

/// Names that are listed in a hint at most.
const LISTED: usize = 12;

/// What a provider has on sale.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Assortment {
    /// The types.
    pub types: Vec<InstanceType>,
    /// Where each is sold, and for how much.
    pub offerings: Vec<Offering>,
    /// The images; absent: nobody knows, and any name may be right.
    pub images: Option<Vec<String>>,
}

/// Something that does not go together, and the key of the candidate that is to blame.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mismatch {
    /// `type`, `zone`, `zones` or `market`.
    pub key: &'static str,
    /// What, lower case.
    pub message: String,
    /// What the reader can do about it.
    pub hint: Option<String>,
}

impl Mismatch {
    pub(crate) fn into_problem(self) -> Problem {
        Problem {
            hint: self.hint,
            ..Problem::new(self.message)
        }
    }
}

impl Assortment {
    /// The type of a name.
    pub fn instance_type(&self, name: &str) -> Option<&InstanceType> {
        self.types.iter().find(|found| found.name == name)
    }

    /// What is sold in a region on a market, cheapest first; of several zones the cheapest.
    pub fn sold(&self, region: &str, market: Market) -> Vec<&Offering> {
        let mut found: Vec<&Offering> = self
            .offerings
            .iter()
            .filter(|offering| offering.region == region && offering.market == market)
            .collect();
        let price = |offering: &&Offering| {
            (
                offering.price.is_none(),
                offering.price.map(|price| price.micros_per_hour),
                offering.instance_type.clone(),
            )
        };
        found.sort_by_key(price);
        let mut seen = BTreeSet::new();
        found.retain(|offering| seen.insert(offering.instance_type.as_str()));
        found
    }

    /// The zones of a region, in order.
    pub fn zones(&self, region: &str) -> BTreeSet<&str> {
        self.offerings
            .iter()
            .filter(|offering| offering.region == region)
            .filter_map(|offering| offering.zone.as_deref())
            .collect()
    }

    /// What is wrong with a candidate of a pool: the first thing that cannot be had together.
    /// Whether it is sold out at the moment does not matter.
    pub fn mismatch(
        &self,
        provider: &str,
        candidate: &Candidate,
        requirements: &Requirements,
    ) -> Option<Mismatch> {
        let region = candidate.region.as_deref();
        for zone in candidate.named_zones() {
            if let Some(found) = self.wrong_zone(provider, zone, region) {
                let key = if candidate.zone.is_some() {
                    "zone"
                } else {
                    "zones"
                };
                return Some(Mismatch { key, ..found });
            }
        }
        let wanted = candidate.instance_type.as_ref()?;
        let Some(instance_type) = self.instance_type(wanted) else {
            return Some(Mismatch {
                key: "type",
                message: format!("the provider `{provider}` has no type `{wanted}`"),
                hint: hint_for(
                    wanted,
                    "its types",
                    self.types
                        .iter()
                        .map(|known| known.name.as_str())
                        .take(LISTED),
                ),
            });
        };
        if let Some(why) = requirements.unmet_by(instance_type) {
            return Some(Mismatch {
                key: "type",
                message: format!("`{wanted}` does not meet the requirements of the pool: {why}"),
                hint: None,
            });
        }
        self.wrong_place(wanted, candidate)
    }

    fn wrong_zone(&self, provider: &str, zone: &str, region: Option<&str>) -> Option<Mismatch> {
        let its_region = self
            .offerings
            .iter()
            .find(|offering| offering.zone.as_deref() == Some(zone))
            .map(|offering| offering.region.as_str());
        match (its_region, region) {
            (Some(its), Some(region)) if its != region => Some(Mismatch {
                key: "zone",
                message: format!("the zone `{zone}` is in `{its}`, not in `{region}`"),
                hint: listed("zones there", &self.zones(region)),
            }),
            (Some(_), _) => None,
            // Nothing is known about zones at all.
            (None, _) if self.offerings.iter().all(|o| o.zone.is_none()) => None,
            (None, _) => {
                let zones = match region {
                    Some(region) => self.zones(region),
                    None => self
                        .offerings
                        .iter()
                        .filter_map(|offering| offering.zone.as_deref())
                        .collect(),
                };
                Some(Mismatch {
                    key: "zone",
                    message: format!("the provider `{provider}` has no zone `{zone}`"),
                    hint: listed("its zones", &zones),
                })
            }
        }
    }

    fn wrong_place(&self, wanted: &str, candidate: &Candidate) -> Option<Mismatch> {
        let of_type = || {
            self.offerings
                .iter()
                .filter(|offering| offering.instance_type == wanted)
        };
        let here = |offering: &&Offering| {
            let is = |place: Option<&String>, found: Option<&str>| {
                place.is_none_or(|place| found.is_none_or(|found| found == place))
            };
            let zone = offering.zone.as_deref();
            is(candidate.region.as_ref(), Some(&offering.region))
                && (zone.is_none() || candidate.takes_zone(zone))
        };
        let zones: Vec<&str> = candidate.named_zones().map(String::as_str).collect();
        let place = match zones.as_slice() {
            [] => candidate.region.clone(),
            zones => Some(zones.join("`, `")),
        };
        if !of_type().any(|offering| here(&offering)) {
            let place = place.map_or_else(|| "anywhere".into(), |place| format!("in `{place}`"));
            let elsewhere: BTreeSet<&str> =
                of_type().map(|offering| offering.region.as_str()).collect();
            return Some(Mismatch {
                key: "type",
                message: format!("`{wanted}` is not sold {place}"),
                hint: listed("it is sold in", &elsewhere),
            });
        }
        let on_market = |offering: &Offering| offering.market == candidate.market;
        if of_type().any(|offering| here(&offering) && on_market(offering)) {
            return None;
        }
        let there = place.map_or_else(String::new, |place| format!(" in `{place}`"));
        let others: BTreeSet<&str> = of_type()
            .filter(here)
            .map(|offering| offering.market.as_str())
            .collect();
        Some(Mismatch {
            key: "market",
            message: format!("`{wanted}` is not sold as `{}`{there}", candidate.market),
            hint: listed("it is sold as", &others),
        })
    }

    /// What is wrong with an image.
    pub fn wrong_image(&self, provider: &str, image: &str) -> Option<Mismatch> {
        let known = self.images.as_ref()?;
        if known.iter().any(|one| one == image) {
            return None;
        }
        Some(Mismatch {
            key: "image",
            message: format!("the provider `{provider}` has no image `{image}`"),
            hint: if known.is_empty() {
                Some("leave `image` out: its nodes have no images to choose from".into())
            } else {
                hint_for(image, "its images", known.iter().map(String::as_str))
            },
        })
    }
}

fn listed(what: &str, names: &BTreeSet<&str>) -> Option<String> {
    if names.is_empty() {
        return None;
    }
    let shown: Vec<String> = names
        .iter()
        .take(LISTED)
        .map(|name| format!("`{name}`"))
        .collect();
    let more = names.len().saturating_sub(LISTED);
    let rest = if more > 0 {
        format!(" and {more} more")
    } else {
        String::new()
    };
    Some(format!("{what}: {}{rest}", shown.join(", ")))
}

#[cfg(test)]
mod tests {
    use fleetwright_core::{Availability, HourlyPrice};

    use super::*;

    fn offering(name: &str, region: &str, zone: &str, market: Market, micros: u64) -> Offering {
        Offering {
            instance_type: name.into(),
            region: region.into(),
            zone: Some(zone.into()),
            market,
            price: Some(HourlyPrice::usd_micros(micros)),
            availability: Availability::Unknown,
        }
    }

    fn shop() -> Assortment {
        let machine = |name: &str, gpus| InstanceType {
            name: name.into(),
            vcpus: 8,
            memory_mib: 32_768,
            architecture: "x86_64".into(),
            gpus,
            gpu_model: (gpus > 0).then(|| "A100".into()),
            gpu_memory_mib: (gpus > 0).then_some(40_960),
        };
        Assortment {
            types: vec![machine("cpu", 0), machine("gpu", 1)],
            offerings: vec![
                offering("cpu", "north", "north-a", Market::OnDemand, 30),
                offering("cpu", "north", "north-b", Market::OnDemand, 20),
                offering("cpu", "south", "south-a", Market::Spot, 5),
                offering("gpu", "north", "north-a", Market::OnDemand, 10),
            ],
            images: Some(vec!["ubuntu-24".into()]),
        }
    }

    fn told(candidate: &Candidate, requirements: &Requirements) -> Option<(String, String)> {
        let found = shop().mismatch("cloud", candidate, requirements)?;
        let hint = found.hint.unwrap_or_default();
        Some((format!("{}: {}", found.key, found.message), hint))
    }

    fn candidate(words: [&str; 3]) -> Candidate {
        let some = |word: &str| (!word.is_empty()).then(|| word.to_owned());
        Candidate {
            provider: "cloud".into(),
            region: some(words[0]),
            zone: some(words[1]),
            instance_type: some(words[2]),
            market: Market::OnDemand,
            ..Candidate::default()
        }
    }

    #[test]
    fn each_of_several_zones_must_be_there() {
        let mut two = candidate(["north", "", "gpu"]);
        two.zones = vec!["north-a".into(), "north-z".into()];
        let (told, _) = told(&two, &Requirements::default()).unwrap();
        assert_eq!(told, "zones: the provider `cloud` has no zone `north-z`");
    }

    #[test]
    fn what_goes_together_passes() {
        for words in [
            ["north", "north-a", "gpu"],
            ["north", "", "cpu"],
            ["", "", "gpu"],
            ["", "", ""],
            ["south", "", ""],
        ] {
            let none = Requirements::default();
            assert_eq!(told(&candidate(words), &none), None, "{words:?}");
        }
    }

    #[test]
    fn what_does_not_go_together_is_named_with_what_does() {
        let none = Requirements::default();
        let cases = [
            (
                ["north", "", "gqu"],
                "type: the provider `cloud` has no type `gqu`",
                "did you mean `gpu`?",
            ),
            (
                ["south", "", "gpu"],
                "type: `gpu` is not sold in `south`",
                "it is sold in: `north`",
            ),
            (
                ["north", "north-b", "gpu"],
                "type: `gpu` is not sold in `north-b`",
                "it is sold in: `north`",
            ),
            (
                ["north", "south-a", "cpu"],
                "zone: the zone `south-a` is in `south`, not in `north`",
                "zones there: `north-a`, `north-b`",
            ),
            (
                ["north", "north-c", ""],
                "zone: the provider `cloud` has no zone `north-c`",
                "its zones: `north-a`, `north-b`",
            ),
            (
                ["south", "", "cpu"],
                "market: `cpu` is not sold as `on-demand` in `south`",
                "it is sold as: `spot`",
            ),
        ];
        for (words, message, hint) in cases {
            let found = told(&candidate(words), &none);
            assert_eq!(found, Some((message.to_owned(), hint.to_owned())));
        }
        let gpus = Requirements {
            gpus: Some(2),
            ..Requirements::default()
        };
        let found = told(&candidate(["north", "", "gpu"]), &gpus);
        let (message, _) = found.expect("one GPU is not two");
        assert_eq!(
            message,
            "type: `gpu` does not meet the requirements of the pool: 1 GPUs, 2 wanted"
        );
        let image = shop()
            .wrong_image("cloud", "ubuntu-42")
            .map(|found| found.hint);
        assert_eq!(image, Some(Some("did you mean `ubuntu-24`?".into())));
    }

    #[test]
    fn the_cheapest_zone_of_each_type_comes_first() {
        let shop = shop();
        let sold: Vec<(&str, u64)> = shop
            .sold("north", Market::OnDemand)
            .into_iter()
            .map(|o| {
                (
                    o.instance_type.as_str(),
                    o.price.map_or(0, |p| p.micros_per_hour),
                )
            })
            .collect();
        assert_eq!(sold, [("gpu", 10), ("cpu", 20)]);
    }
}
