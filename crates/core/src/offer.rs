//! What can be bought and what is wanted.

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{GpuWish, HourlyPrice, Market};

/// A kind of machine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct InstanceType {
    /// The provider's name.
    pub name: String,
    /// Virtual CPUs.
    pub vcpus: u32,
    /// Memory, in MiB.
    pub memory_mib: u64,
    /// CPU architecture: `x86_64`, `arm64`.
    pub architecture: String,
    /// Number of GPUs.
    pub gpus: u32,
    /// GPU model, in the provider's words.
    pub gpu_model: Option<String>,
    /// Memory of one GPU, in MiB.
    pub gpu_memory_mib: Option<u64>,
}

/// What a machine must have. Empty requirements are met by every type.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Requirements {
    /// Fewest virtual CPUs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub vcpus: Option<u32>,
    /// Least memory, in MiB.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory_mib: Option<u64>,
    /// Fewest GPUs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gpus: Option<u32>,
    /// GPU model, however it is written: `H100`, `A100-80GB`, `NVIDIA L40S`. Without an amount of
    /// memory each is fine; with a number, as in `H100:8`, it is the number of GPUs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gpu_model: Option<String>,
    /// Least memory of one GPU, in MiB.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gpu_memory_mib: Option<u64>,
    /// CPU architecture.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub architecture: Option<String>,
    /// Most virtual CPUs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_vcpus: Option<u32>,
    /// Most memory, in MiB.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_memory_mib: Option<u64>,
    /// Most GPUs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_gpus: Option<u32>,
    /// Regions, in which `*` stands for any text: `eu-*`. Empty: any.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub regions: Vec<String>,
}

impl Requirements {
    /// Whether a machine in this region will do.
    pub fn takes_region(&self, region: &str) -> bool {
        let mut patterns = self.regions.iter();
        self.regions.is_empty() || patterns.any(|pattern| crate::filter::glob(pattern, region))
    }

    /// The first bound whose least is more than its most, as the names of both keys.
    pub fn contradiction(&self) -> Option<(&'static str, &'static str)> {
        let vcpus = self.vcpus.zip(self.max_vcpus);
        let memory = self.memory_mib.zip(self.max_memory_mib);
        let gpus = self.gpus.zip(self.max_gpus);
        if vcpus.is_some_and(|(least, most)| least > most) {
            Some(("vcpus", "max_vcpus"))
        } else if memory.is_some_and(|(least, most)| least > most) {
            Some(("memory_mib", "max_memory_mib"))
        } else if gpus.is_some_and(|(least, most)| least > most) {
            Some(("gpus", "max_gpus"))
        } else {
            None
        }
    }

    /// The first thing this type lacks, in words; `None` if it has everything.
    pub fn unmet_by(&self, instance_type: &InstanceType) -> Option<String> {
        let t = instance_type;
        if let Some(want) = self.vcpus.filter(|want| t.vcpus < *want) {
            return Some(format!("{} vCPUs, {want} wanted", t.vcpus));
        }
        if let Some(want) = self.memory_mib.filter(|want| t.memory_mib < *want) {
            return Some(format!("{} MiB of memory, {want} wanted", t.memory_mib));
        }
        if let Some(want) = self.gpus.filter(|want| t.gpus < *want) {
            return Some(format!("{} GPUs, {want} wanted", t.gpus));
        }
        if let Some(want) = &self.gpu_model {
            let lack = match want.parse::<GpuWish>() {
                Ok(wish) => wish.unmet_by(t),
                // A wish that is not understood must not be no wish.
                Err(error) => Some(error.to_string()),
            };
            if lack.is_some() {
                return lack;
            }
        }
        if let Some(want) = self.gpu_memory_mib {
            let has = t.gpu_memory_mib.unwrap_or(0);
            if has < want {
                return Some(format!("{has} MiB per GPU, {want} wanted"));
            }
        }
        if let Some(want) = self
            .architecture
            .as_ref()
            .filter(|want| **want != t.architecture)
        {
            return Some(format!("architecture {}, {want} wanted", t.architecture));
        }
        if let Some(most) = self.max_vcpus.filter(|most| t.vcpus > *most) {
            return Some(format!("{} vCPUs, at most {most} wanted", t.vcpus));
        }
        if let Some(most) = self.max_memory_mib.filter(|most| t.memory_mib > *most) {
            return Some(format!(
                "{} MiB of memory, at most {most} wanted",
                t.memory_mib
            ));
        }
        if let Some(most) = self.max_gpus.filter(|most| t.gpus > *most) {
            return Some(format!("{} GPUs, at most {most} wanted", t.gpus));
        }
        None
    }
}

/// Whether a type can be had at the moment.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "is", rename_all = "kebab-case")]
pub enum Availability {
    /// Nobody has said.
    #[default]
    Unknown,
    /// The provider says so.
    Available,
    /// The account may not have it, or not one more.
    NoQuota,
    /// The provider says no, or refused lately.
    SoldOut {
        /// Until when we believe it; absent: until the provider says otherwise.
        until: Option<Timestamp>,
    },
}

/// A type × place × market × price that a machine can be asked for with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Offer {
    /// Name of the provider in the configuration.
    pub provider: String,
    /// Region.
    pub region: String,
    /// Zone; absent: the provider chooses.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub zone: Option<String>,
    /// Name of the instance type.
    pub instance_type: String,
    /// On-demand or spot.
    pub market: Market,
    /// The price; absent if unknown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub price: Option<HourlyPrice>,
    /// Whether it can be had.
    #[serde(default)]
    pub availability: Availability,
    /// Why it stands where it stands among its rivals.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub reason: String,
}

impl Offer {
    /// `provider/region[/zone] type market`, for messages.
    pub fn label(&self) -> String {
        let zone = self
            .zone
            .as_ref()
            .map(|zone| format!("/{zone}"))
            .unwrap_or_default();
        format!(
            "{}/{}{zone} {} {}",
            self.provider, self.region, self.instance_type, self.market
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requirements_name_the_first_thing_that_is_missing() {
        let h100 = InstanceType {
            name: "gpu-8".into(),
            vcpus: 96,
            memory_mib: 1 << 20,
            architecture: "x86_64".into(),
            gpus: 8,
            gpu_model: Some("NVIDIA H100".into()),
            gpu_memory_mib: Some(81_920),
        };
        let want = Requirements {
            gpus: Some(8),
            gpu_model: Some("h100".into()),
            gpu_memory_mib: Some(80_000),
            ..Requirements::default()
        };
        assert_eq!(want.unmet_by(&h100), None);
        let cpu = InstanceType {
            gpus: 0,
            gpu_model: None,
            gpu_memory_mib: None,
            ..h100
        };
        assert_eq!(want.unmet_by(&cpu).as_deref(), Some("0 GPUs, 8 wanted"));
        let small = Requirements {
            max_vcpus: Some(64),
            ..Requirements::default()
        };
        let told = small.unmet_by(&cpu);
        assert_eq!(told.as_deref(), Some("96 vCPUs, at most 64 wanted"));
    }

    #[test]
    fn regions_are_patterns_and_none_means_any() {
        let none = Requirements::default();
        assert!(none.takes_region("anywhere"));
        let europe = Requirements {
            regions: vec!["eu-*".into(), "uk".into()],
            ..Requirements::default()
        };
        for (region, taken) in [("eu-west-1", true), ("uk", true), ("us-east-1", false)] {
            assert_eq!(europe.takes_region(region), taken, "{region}");
        }
    }
}
