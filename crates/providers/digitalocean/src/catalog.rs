//! Sizes, where they are to be had, and how many droplets the team may have.

use async_trait::async_trait;
use fleetwright_core::ability::{Offering, Quota};
use fleetwright_core::{Availability, Catalog, InstanceType, Market, Quotas, Result};

use crate::provider::DigitalOceanProvider;
use crate::wire::{GpuInfo, Region, Size};

#[async_trait]
impl Catalog for DigitalOceanProvider {
    async fn instance_types(&self) -> Result<Vec<InstanceType>> {
        let sizes = self.api().sizes().await?;
        Ok(sizes.iter().map(instance_type).collect())
    }

    /// Every size in every configured region: whatever DigitalOcean does not sell there at the
    /// moment is sold out, be it for an hour or for good. It does not tell these apart.
    ///
    /// Prices are those per hour; what a droplet costs in a month is capped, which makes a droplet
    /// that runs all month a little cheaper than they say.
    async fn offerings(&self) -> Result<Vec<Offering>> {
        let (sizes, regions) = futures::try_join!(self.api().sizes(), self.api().regions())?;
        let mut offerings = Vec::new();
        for size in &sizes {
            for region in &self.config().regions {
                offerings.push(Offering {
                    instance_type: size.slug.clone(),
                    region: region.clone(),
                    zone: None,
                    market: Market::OnDemand,
                    price: size.price(),
                    availability: if is_sold(size, region, &regions) {
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

/// "The region slugs where this size is available for Droplet creates", and both must take new
/// droplets.
pub(crate) fn is_sold(size: &Size, region: &str, regions: &[Region]) -> bool {
    size.available
        && size.regions.iter().any(|known| known == region)
        && regions
            .iter()
            .any(|known| known.slug == region && known.available)
}

fn instance_type(size: &Size) -> InstanceType {
    let gpu = size.gpu_info.as_ref().filter(|gpu| gpu.count > 0);
    InstanceType {
        name: size.slug.clone(),
        vcpus: size.vcpus,
        memory_mib: size.memory,
        // DigitalOcean has no other.
        architecture: "x86_64".to_owned(),
        gpus: gpu.map_or(0, |gpu| gpu.count),
        gpu_model: gpu.map(|gpu| gpu.model.clone()),
        gpu_memory_mib: gpu.and_then(|gpu| gpu_memory_mib(&size.slug, gpu)),
    }
}

/// The memory of one GPU. `vram` is that of all together (`gpu-h100x8-640gb`: 8 and 640), although
/// its description speaks of one: whichever it is, the name of the size has the sum.
fn gpu_memory_mib(slug: &str, gpu: &GpuInfo) -> Option<u64> {
    let vram = gpu.vram.as_ref().filter(|vram| vram.unit == "gib")?;
    let count = u64::from(gpu.count);
    let is_of_one = count > 1 && slug.ends_with(&format!("-{}gb", vram.amount * count));
    let of_one = if is_of_one {
        vram.amount
    } else {
        vram.amount / count
    };
    Some(of_one * 1024).filter(|mib| *mib > 0)
}

#[async_trait]
impl Quotas for DigitalOceanProvider {
    async fn quotas(&self) -> Result<Vec<Quota>> {
        let (account, used) = futures::try_join!(self.api().account(), self.api().droplet_count())?;
        Ok(vec![Quota {
            name: "droplet_limit".to_owned(),
            region: None,
            limit: account.droplet_limit,
            used: Some(used),
            unit: "nodes".to_owned(),
            family: None,
        }])
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn size(slug: &str, gpu: &serde_json::Value) -> Size {
        serde_json::from_value(json!({
            "slug": slug, "vcpus": 20, "memory": 245_760, "price_hourly": 6.74,
            "regions": ["tor1"], "available": true, "gpu_info": gpu
        }))
        .unwrap()
    }

    #[test]
    fn the_memory_of_gpus_is_that_of_one() {
        for (slug, count, amount, mib) in [
            ("gpu-h100x1-80gb", 1, 80, Some(81_920)),
            ("gpu-h100x8-640gb", 8, 640, Some(81_920)),
            ("gpu-h100x8-640gb", 8, 80, Some(81_920)),
            ("gpu-odd", 2, 0, None),
        ] {
            let gpu = json!({ "count": count, "model": "nvidia_h100",
                              "vram": { "amount": amount, "unit": "gib" } });
            let seen = instance_type(&size(slug, &gpu));
            assert_eq!((seen.gpus, seen.gpu_memory_mib), (count, mib), "{slug}");
        }
        let odd = json!({ "count": 1, "model": "x", "vram": { "amount": 8, "unit": "stone" } });
        assert_eq!(instance_type(&size("x", &odd)).gpu_memory_mib, None);
        let none = instance_type(&size("s-1vcpu-1gb", &serde_json::Value::Null));
        assert_eq!((none.gpus, none.gpu_model), (0, None));
    }

    #[test]
    fn a_size_is_sold_where_size_and_region_both_say_so() {
        let region = |slug: &str, available: bool| -> Region {
            serde_json::from_value(json!({ "slug": slug, "available": available })).unwrap()
        };
        let size = size("x", &serde_json::Value::Null);
        assert!(is_sold(&size, "tor1", &[region("tor1", true)]));
        assert!(!is_sold(&size, "tor1", &[region("tor1", false)]));
        assert!(!is_sold(&size, "nyc3", &[region("nyc3", true)]));
        assert!(!is_sold(&size, "tor1", &[]));
    }

    #[test]
    fn prices_are_rounded_to_millionths() {
        for (json, micros) in [
            ("0.00743999984115362", 7_440),
            ("6.74", 6_740_000),
            ("3", 3_000_000),
        ] {
            let mut size = size("x", &serde_json::Value::Null);
            size.price_hourly = serde_json::from_str(json).unwrap();
            assert_eq!(size.price().unwrap().micros_per_hour, micros);
        }
    }
}
