//! Types, prices, and which locations have some at the moment.

use async_trait::async_trait;
use fleetwright_core::ability::Offering;
use fleetwright_core::{
    Availability, Catalog, Currency, Error, HourlyPrice, InstanceType, Kind, Market, Result,
};

use crate::HetznerProvider;
use crate::api::MachineType;

#[async_trait]
impl Catalog for HetznerProvider {
    async fn instance_types(&self) -> Result<Vec<InstanceType>> {
        self.api.types().await?.iter().map(kind).collect()
    }

    /// A type is offered where it has a price, and is to be had where a data center has some.
    async fn offerings(&self) -> Result<Vec<Offering>> {
        let datacenters = self.api.datacenters().await?;
        let mut offerings = Vec::new();
        for from in self.api.types().await? {
            for price in &from.prices {
                if !self.info.regions.contains(&price.location) {
                    continue;
                }
                let has_some = datacenters.iter().any(|datacenter| {
                    datacenter.location.name == price.location
                        && datacenter.server_types.available.contains(&from.id)
                });
                offerings.push(Offering {
                    instance_type: from.name.clone(),
                    region: price.location.clone(),
                    zone: None,
                    market: Market::OnDemand,
                    price: Some(euros(&price.price_hourly.net)?),
                    availability: if has_some {
                        Availability::Available
                    } else {
                        Availability::SoldOut { until: None }
                    },
                });
            }
        }
        Ok(offerings)
    }
}

fn kind(from: &MachineType) -> Result<InstanceType> {
    // Through text, because no conversion from a float is without loss.
    let mib = format!("{:.0}", from.memory * 1024.0);
    let memory_mib = mib.parse().map_err(|error| {
        Error::new(Kind::Unexpected, format!("`{}` has no memory", from.name)).with_source(error)
    })?;
    Ok(InstanceType {
        name: from.name.clone(),
        vcpus: from.cores,
        memory_mib,
        architecture: match from.architecture.as_deref() {
            Some("arm") => "arm64".to_owned(),
            // Older answers have no such field: Arm came with it.
            None | Some("x86") => "x86_64".to_owned(),
            Some(other) => other.to_owned(),
        },
        gpus: 0,
        gpu_model: None,
        gpu_memory_mib: None,
    })
}

/// A price such as `0.0060000000`: up to ten decimals, of which the seventh rounds up what is
/// charged.
fn euros(text: &str) -> Result<HourlyPrice> {
    let wrong = || Error::new(Kind::Unexpected, format!("`{text}` is no price"));
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let (micros, rest) = fraction.split_at_checked(6).unwrap_or((fraction, ""));
    let whole: u64 = whole.parse().map_err(|_| wrong())?;
    let micros: u64 = format!("{micros:0<6}").parse().map_err(|_| wrong())?;
    let is_more = rest.chars().any(|digit| digit != '0');
    let all = whole
        .checked_mul(1_000_000)
        .and_then(|all| all.checked_add(micros))
        .and_then(|all| all.checked_add(u64::from(is_more)))
        .ok_or_else(wrong)?;
    Ok(HourlyPrice {
        currency: Currency::Eur,
        micros_per_hour: all,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prices_have_ten_decimals_and_are_never_rounded_down() {
        for (text, micros) in [
            ("0.0060000000", 6_000),
            ("1.19", 1_190_000),
            ("2", 2_000_000),
            ("0.0040001", 4_001),
        ] {
            assert_eq!(euros(text).unwrap().micros_per_hour, micros, "{text}");
        }
        for bad in ["", "x", "-1", "1.x", "99999999999999999999"] {
            assert!(euros(bad).is_err(), "{bad}");
        }
    }
}
