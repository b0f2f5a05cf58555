//! Made-up catalogs for tests: the same number makes the same catalog.

use std::time::Duration;

use fleetwright_core::ability::Offering;
use fleetwright_core::{
    Availability, Billing, Currency, HourlyPrice, Idempotency, InstanceType, Market, ProviderInfo,
};
use jiff::Timestamp;

use super::part::{CatalogPart, PartInfo};

pub(crate) fn info(provider: &str) -> ProviderInfo {
    ProviderInfo {
        name: provider.to_owned(),
        kind: "sim".to_owned(),
        account: "1".to_owned(),
        regions: vec!["eu-1".to_owned(), "us-1".to_owned()],
        idempotency: Idempotency::NativeToken,
        listing_lag: Duration::ZERO,
        batch: 1_000,
        user_data_limit: 16_384,
        reports_boot: true,
        has_ssh: false,
        billing: Billing::per_second(0),
        plants_host_keys: false,
        limits: Vec::new(),
    }
}

/// A catalog with so many types in so many regions.
pub(crate) fn part(provider: &str, seed: u64, types: u32, regions: u32) -> CatalogPart {
    let mut numbers = Numbers(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
    let types: Vec<InstanceType> = (0..types).map(|at| numbers.instance_type(at)).collect();
    let mut offerings = Vec::new();
    for of in &types {
        for at in 0..regions {
            if numbers.below(4) == 0 {
                continue;
            }
            offerings.push(numbers.offering(&of.name, at));
        }
    }
    let info = PartInfo::new(&info(provider), Timestamp::UNIX_EPOCH);
    CatalogPart::new(info, types, &offerings)
}

struct Numbers(u64);

impl Numbers {
    fn below(&mut self, end: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) % end
    }

    fn instance_type(&mut self, at: u32) -> InstanceType {
        let vcpus = 1 << self.below(7);
        let model = ["NVIDIA H100", "NVIDIA A100", "nvidia-l4", ""]
            .get(usize::try_from(self.below(4)).unwrap_or(3))
            .copied()
            .unwrap_or("");
        let has_gpus = !model.is_empty();
        InstanceType {
            name: format!("type-{at}"),
            vcpus,
            memory_mib: u64::from(vcpus) * (2_048 << self.below(3)),
            architecture: "x86_64".to_owned(),
            gpus: if has_gpus { 1 << self.below(4) } else { 0 },
            gpu_model: has_gpus.then(|| model.to_owned()),
            gpu_memory_mib: has_gpus.then(|| 40_960 << self.below(2)),
        }
    }

    fn offering(&mut self, of: &str, at: u32) -> Offering {
        let region = format!("{}-{}", ["eu", "us"][usize::from(at % 2 == 1)], at / 2 + 1);
        let currency = if self.below(5) == 0 {
            Currency::Eur
        } else {
            Currency::Usd
        };
        // Few different prices, so that many are the same.
        let micros_per_hour = (self.below(12) + 1) * 250_000;
        Offering {
            instance_type: of.to_owned(),
            zone: (self.below(3) > 0).then(|| format!("{region}a")),
            region,
            market: if self.below(2) == 0 {
                Market::Spot
            } else {
                Market::OnDemand
            },
            price: (self.below(9) > 0).then_some(HourlyPrice {
                currency,
                micros_per_hour,
            }),
            availability: match self.below(5) {
                0 => Availability::Available,
                1 => Availability::SoldOut { until: None },
                2 => Availability::SoldOut {
                    until: Timestamp::from_second(1_700_000_000).ok(),
                },
                3 => Availability::NoQuota,
                _ => Availability::Unknown,
            },
        }
    }
}
