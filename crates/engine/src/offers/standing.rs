//! Whether an offer can be had: by the provider, by the account's quotas, by what was refused lately.

use fleetwright_core::ability::Quota;
use fleetwright_core::{Availability, GpuModel, HourlyPrice, InstanceType, Offer};
use fleetwright_store::Mark;
use jiff::Timestamp;
use serde::Serialize;

use super::Rates;
use super::part::CatalogPart;
use super::query::Hit;

/// An offer with everything that there is to say about it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct OfferLine {
    /// The offer, at the price that it has for this user.
    pub offer: Offer,
    /// What the machine is.
    pub machine: InstanceType,
    /// The model of its GPUs by the name that it has here, e.g. `H100 80GB`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gpu: Option<String>,
    /// When the price was read.
    pub price_read_at: Timestamp,
    /// The provider's own price, if `[[prices]]` corrects it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub list_price: Option<HourlyPrice>,
    /// What `[[prices]]` does to it, in words.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub correction: Option<String>,
    /// Why it cannot be had, in words, if it cannot.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub obstacle: Option<String>,
}

/// Puts together what is known about an offering.
pub(super) fn line(
    part: &CatalogPart,
    hit: &Hit,
    rates: Rates<'_>,
    marks: &[Mark],
    now: Timestamp,
) -> Option<OfferLine> {
    let machine = part.types().get(part.type_of(hit.row))?;
    let mut offer = part.offer(hit.row, hit.price);
    let (availability, obstacle) = standing(part, &offer, machine, marks, now);
    offer.availability = availability;
    let correction = hit.rule.and_then(|rule| rates.prices.about(rule));
    Some(OfferLine {
        list_price: part
            .list_price(hit.row)
            .filter(|list| correction.is_some() && hit.price != Some(*list)),
        correction,
        gpu: GpuModel::of_type(machine).map(|model| model.to_string()),
        machine: machine.clone(),
        price_read_at: part.info().read_at,
        obstacle,
        offer,
    })
}

/// Whether an offer can be had, and why not. A quota weighs more than a refusal, and a refusal of
/// late more than what a catalog says.
fn standing(
    part: &CatalogPart,
    offer: &Offer,
    machine: &InstanceType,
    marks: &[Mark],
    now: Timestamp,
) -> (Availability, Option<String>) {
    if let Some(why) = over_quota(part, offer, machine) {
        return (Availability::NoQuota, Some(why));
    }
    if offer.availability == Availability::NoQuota {
        let why = "the account may not have it: its quota is too small";
        return (Availability::NoQuota, Some(why.to_owned()));
    }
    let mark = marks
        .iter()
        .filter(|mark| mark.until > now && mark.covers(offer))
        .max_by_key(|mark| mark.until);
    if let Some(mark) = mark {
        let why = format!("taken for sold out until {:.0}: {}", mark.until, mark.error);
        let until = Some(mark.until);
        return (Availability::SoldOut { until }, Some(why));
    }
    match offer.availability {
        // What was said of a time that is over says nothing about now.
        Availability::SoldOut { until: Some(until) } if until <= now => {
            (Availability::Unknown, None)
        }
        Availability::SoldOut { until } => {
            let until = until.map_or_else(String::new, |until| format!(" until {until:.0}"));
            let why = format!("the provider says it is sold out{until}");
            (offer.availability, Some(why))
        }
        other => (other, None),
    }
}

/// The quota that one more machine would not fit into.
fn over_quota(part: &CatalogPart, offer: &Offer, machine: &InstanceType) -> Option<String> {
    let quotas = &part.info().quotas.as_ref()?.quotas;
    quotas
        .iter()
        .filter(|quota| quota.family.is_none())
        .filter(|quota| {
            let region = quota.region.as_ref();
            region.is_none_or(|region| *region == offer.region)
        })
        .find_map(|quota| {
            let needed = needed(quota, machine)?;
            let used = quota.used.unwrap_or(0);
            let is_over = needed > 0 && used.saturating_add(needed) > quota.limit;
            is_over.then(|| {
                let in_use = match quota.used {
                    Some(used) => format!("{used} of {} {} in use", quota.limit, quota.unit),
                    None => format!("{} {} in all", quota.limit, quota.unit),
                };
                let place = quota.region.as_ref();
                let place = place.map_or_else(String::new, |region| format!(" in {region}"));
                format!("quota `{}`{place}: {in_use}, it takes {needed}", quota.name)
            })
        })
}

/// How much of a quota a machine takes; `None` for units that nobody knows.
fn needed(quota: &Quota, machine: &InstanceType) -> Option<u64> {
    match quota.unit.as_str() {
        "nodes" => Some(1),
        "vcpus" => Some(machine.vcpus.into()),
        "gpus" => Some(machine.gpus.into()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use fleetwright_core::ability::Offering;
    use fleetwright_core::{Error, Kind, Market, Prices};

    use super::*;
    use crate::offers::{PartInfo, StoredQuotas, sample};

    fn part(availability: Availability, quotas: Vec<Quota>) -> CatalogPart {
        let machine = InstanceType {
            name: "gpu-8".into(),
            vcpus: 96,
            memory_mib: 1,
            architecture: "x86_64".into(),
            gpus: 8,
            gpu_model: Some("NVIDIA H100".into()),
            gpu_memory_mib: Some(81_920),
        };
        let offering = Offering {
            instance_type: "gpu-8".into(),
            region: "eu-1".into(),
            zone: Some("eu-1a".into()),
            market: Market::Spot,
            price: Some(HourlyPrice::usd_micros(9)),
            availability,
        };
        let read_at = Timestamp::UNIX_EPOCH;
        let info = PartInfo::new(&sample::info("cloud"), read_at);
        CatalogPart::new(info, vec![machine], &[offering])
            .with_quotas(Some(StoredQuotas { read_at, quotas }))
    }

    fn quota(unit: &str, limit: u64, used: Option<u64>) -> Quota {
        Quota {
            name: "q".into(),
            region: None,
            limit,
            used,
            unit: unit.into(),
            family: None,
        }
    }

    fn told(part: &CatalogPart, marks: &[Mark]) -> (Availability, String) {
        let prices = Prices::default();
        let rates = Rates {
            prices: &prices,
            taken: &[],
        };
        let hit = Hit {
            part: 0,
            row: 0,
            price: part.list_price(0),
            rule: None,
        };
        let now = Timestamp::from_second(1_000).unwrap();
        let line = line(part, &hit, rates, marks, now).unwrap();
        (line.offer.availability, line.obstacle.unwrap_or_default())
    }

    #[test]
    fn each_unit_of_a_quota_is_counted_by_what_the_machine_has() {
        for (quota, over) in [
            (quota("nodes", 3, Some(3)), true),
            (quota("nodes", 3, Some(2)), false),
            (quota("vcpus", 100, Some(4)), false),
            (quota("vcpus", 100, Some(5)), true),
            (quota("vcpus", 95, None), true),
            (quota("vcpus", 96, None), false),
            (quota("gpus", 7, None), true),
            (quota("gpus", 16, Some(8)), false),
            (quota("disks", 0, Some(9)), false),
            (
                Quota {
                    region: Some("us-1".into()),
                    ..quota("nodes", 0, None)
                },
                false,
            ),
            (
                Quota {
                    family: Some("other types".into()),
                    ..quota("vcpus", 0, None)
                },
                false,
            ),
        ] {
            let (found, why) = told(&part(Availability::Available, vec![quota.clone()]), &[]);
            assert_eq!(found == Availability::NoQuota, over, "{quota:?}");
            assert_eq!(why.contains("quota `q`"), over, "{why}");
        }
    }

    #[test]
    fn a_mark_weighs_more_than_the_catalog_as_long_as_it_lasts() {
        let mark = |seconds| Mark {
            provider: "cloud".into(),
            region: Some("eu-1".into()),
            zone: None,
            instance_type: Some("gpu-8".into()),
            market: None,
            until: Timestamp::from_second(seconds).unwrap(),
            error: Error::new(Kind::Capacity, "nothing is left").report(),
        };
        let part = part(Availability::Available, Vec::new());
        let (found, why) = told(&part, &[mark(2_000)]);
        let until = Timestamp::from_second(2_000).ok();
        assert_eq!(found, Availability::SoldOut { until });
        assert!(why.contains("nothing is left"), "{why}");
        assert_eq!(told(&part, &[mark(900)]).0, Availability::Available);
        let other = Mark {
            provider: "other".into(),
            ..mark(2_000)
        };
        assert_eq!(told(&part, &[other]).0, Availability::Available);
    }

    #[test]
    fn what_was_sold_out_until_yesterday_is_unknown_today() {
        let sold_out = |seconds: Option<i64>| Availability::SoldOut {
            until: seconds.and_then(|seconds| Timestamp::from_second(seconds).ok()),
        };
        let of = |availability| told(&part(availability, Vec::new()), &[]).0;
        assert_eq!(of(sold_out(Some(999))), Availability::Unknown);
        assert_eq!(of(sold_out(Some(1_001))), sold_out(Some(1_001)));
        assert_eq!(of(sold_out(None)), sold_out(None));
        assert_eq!(of(Availability::NoQuota), Availability::NoQuota);
    }
}
