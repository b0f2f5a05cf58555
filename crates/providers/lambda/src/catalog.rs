//! Instance types, prices, and which regions have some at the moment.

use async_trait::async_trait;
use fleetwright_core::ability::Offering;
use fleetwright_core::{Availability, Catalog, InstanceType, Market, Result};

use crate::{LambdaProvider, api, node};

#[async_trait]
impl Catalog for LambdaProvider {
    async fn instance_types(&self) -> Result<Vec<InstanceType>> {
        let types = self.api.instance_types().await?;
        Ok(types
            .values()
            .map(|on_sale| kind(&on_sale.instance_type))
            .collect())
    }

    /// Every type in every configured region: Lambda says where there is capacity, and nothing
    /// about regions that never have a type.
    async fn offerings(&self) -> Result<Vec<Offering>> {
        let mut offerings = Vec::new();
        for on_sale in self.api.instance_types().await?.values() {
            for region in &self.info.regions {
                let has_some = on_sale
                    .regions_with_capacity_available
                    .iter()
                    .any(|with| with.name == *region);
                offerings.push(Offering {
                    instance_type: on_sale.instance_type.name.clone(),
                    region: region.clone(),
                    zone: None,
                    market: Market::OnDemand,
                    price: Some(node::price(&on_sale.instance_type)),
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

fn kind(from: &api::InstanceType) -> InstanceType {
    let (model, memory) = gpu(&from.gpu_description);
    let has_gpus = from.specs.gpus > 0;
    InstanceType {
        name: from.name.clone(),
        vcpus: from.specs.vcpus,
        memory_mib: from.specs.memory_gib.saturating_mul(1024),
        architecture: architecture(&from.name).to_owned(),
        gpus: from.specs.gpus,
        gpu_model: model.filter(|_| has_gpus),
        gpu_memory_mib: memory.filter(|_| has_gpus),
    }
}

/// Lambda does not tell: types with NVIDIA's Grace processors are Arm, all others x86.
/// <https://docs.lambda.ai/public-cloud/on-demand/>
fn architecture(name: &str) -> &'static str {
    if name.contains("_gh200") || name.contains("_gb200") || name.contains("_gb300") {
        "arm64"
    } else {
        "x86_64"
    }
}

/// Model and memory of a GPU from Lambda's words: `H100 (80 GB SXM5)` is an `H100 SXM5` with
/// 80 GiB.
fn gpu(words: &str) -> (Option<String>, Option<u64>) {
    let (model, rest) = words.split_once('(').unwrap_or((words, ""));
    let mut memory = None;
    let mut name: Vec<&str> = model.split_whitespace().collect();
    let inner: Vec<&str> = rest.trim_end_matches(')').split_whitespace().collect();
    match inner.as_slice() {
        [size, unit, form @ ..] if matches!(*unit, "GB" | "GiB") => {
            memory = size.parse::<u64>().ok().map(|gib| gib.saturating_mul(1024));
            name.extend(form);
        }
        form => name.extend(form),
    }
    let model = Some(name.join(" ")).filter(|name| !name.is_empty());
    (model, memory)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gpu_is_read_from_its_description() {
        for (words, model, gib) in [
            ("H100 (80 GB SXM5)", "H100 SXM5", Some(80)),
            ("GH200 (96 GB)", "GH200", Some(96)),
            ("A10 (24 GB PCIe)", "A10 PCIe", Some(24)),
            ("Tesla V100 (16 GB)", "Tesla V100", Some(16)),
            ("RTX 6000", "RTX 6000", None),
            ("B300 (next year)", "B300 next year", None),
        ] {
            let found = gpu(words);
            let wanted = (Some(model.to_owned()), gib.map(|gib: u64| gib * 1024));
            assert_eq!(found, wanted, "{words}");
        }
        assert_eq!(gpu(""), (None, None));
    }
}
