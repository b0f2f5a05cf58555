//! What a configuration says when it says nothing, and ready-made limits.

use fleetwright_core::{ApiLimit, HourlyPrice, Idempotency, LimitUnit, Operation, Span};

use super::{SimConfig, SimFaults, SimRegion, SimType};

impl Default for SimConfig {
    fn default() -> Self {
        Self {
            world: None,
            seed: 1,
            regions: vec![
                SimRegion::new("sim-east", &["sim-east-a", "sim-east-b", "sim-east-c"]),
                SimRegion::new("sim-west", &["sim-west-a", "sim-west-b"]),
            ],
            types: types(),
            idempotency: Idempotency::NativeToken,
            latency: Span(std::time::Duration::from_millis(20)),
            boot_time: Span::seconds(2),
            script_time: Span::seconds(1),
            delete_time: Span::seconds(1),
            listing_lag: Span::seconds(0),
            page_size: 1000,
            batch: 1000,
            api_limits: Vec::new(),
            capacity: Vec::new(),
            tells_availability: false,
            quota: Vec::new(),
            user_data_limit: 16_384,
            reports_boot: true,
            boot_failures: 0,
            faults: SimFaults::default(),
            broken_listings: Vec::new(),
            reclaims: Vec::new(),
            heal_time: Span::seconds(5),
            balancers: vec!["web".to_owned()],
            health_time: Span::seconds(1),
            drain_time: Span::seconds(2),
            dns_zones: vec!["sim.test".to_owned()],
        }
    }
}

impl SimConfig {
    /// The buckets of EC2 as its documentation gives them, for
    /// [`api_limits`](Self::api_limits): reads 100 and 20/s, changes 50 and 5/s, create calls 5
    /// and 2/s, machines 1,000 and 2/s, deletions 100 and 5/s, each per region.
    ///
    /// <https://docs.aws.amazon.com/ec2/latest/devguide/ec2-api-throttling.html>
    pub fn ec2_limits() -> Vec<ApiLimit> {
        use LimitUnit::{Calls, Machines};
        use Operation::{Catalog, Change, Check, Create, Delete, Get, List, Read};
        let limit =
            |family: &str, operations: &[Operation], unit, burst, per_second: u32| ApiLimit {
                family: family.to_owned(),
                operations: operations.to_vec(),
                unit,
                burst,
                per_minute: per_second * 60,
                per_region: true,
            };
        vec![
            limit(
                "describe",
                &[Check, List, Get, Catalog, Read],
                Calls,
                100,
                20,
            ),
            limit("mutating", &[Change], Calls, 50, 5),
            limit("run-instances", &[Create], Calls, 5, 2),
            limit("instances", &[Create], Machines, 1000, 2),
            limit("terminate-instances", &[Delete], Calls, 100, 5),
        ]
    }
}

fn types() -> Vec<SimType> {
    let plain = |name: &str, vcpus, memory_gib: u64, micros| SimType {
        name: name.to_owned(),
        vcpus,
        memory_mib: memory_gib * 1024,
        architecture: architecture(),
        gpus: 0,
        gpu_model: None,
        gpu_memory_mib: None,
        regions: Vec::new(),
        price: HourlyPrice::usd_micros(micros),
        spot_price: None,
    };
    let gpu = |base: SimType, gpus, model: &str, gpu_memory_gib: u64| SimType {
        gpus,
        gpu_model: Some(model.to_owned()),
        gpu_memory_mib: Some(gpu_memory_gib * 1024),
        ..base
    };
    vec![
        plain("sim.small", 2, 4, 41_600),
        plain("sim.medium", 4, 16, 192_000),
        plain("sim.large", 16, 64, 768_000),
        SimType {
            architecture: "arm64".to_owned(),
            ..plain("sim.arm", 4, 16, 154_000)
        },
        gpu(plain("sim.t4", 4, 16, 526_000), 1, "NVIDIA T4", 16),
        gpu(plain("sim.l4", 8, 32, 978_000), 1, "NVIDIA L4", 24),
        gpu(plain("sim.a100", 12, 85, 3_673_000), 1, "NVIDIA A100", 40),
        gpu(
            plain("sim.h100x8", 192, 2048, 55_040_000),
            8,
            "NVIDIA H100",
            80,
        ),
    ]
}

pub(super) fn architecture() -> String {
    "x86_64".to_owned()
}

pub(super) const fn notice() -> Span {
    Span::minutes(2)
}

/// A price as people write it.
pub(super) mod price {
    use fleetwright_core::HourlyPrice;
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    pub(in crate::config) fn serialize<S: Serializer>(
        price: &HourlyPrice,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.collect_str(price)
    }

    pub(in crate::config) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<HourlyPrice, D::Error> {
        read(&String::deserialize(deserializer)?)
    }

    pub(super) fn read<E: Error>(text: &str) -> Result<HourlyPrice, E> {
        text.parse().map_err(|error: fleetwright_core::Error| {
            E::custom(format!("{error}, {}", error.hint().unwrap_or("")))
        })
    }
}

/// A price as people write it, or none.
pub(super) mod optional_price {
    use fleetwright_core::HourlyPrice;
    use serde::{Deserialize, Deserializer, Serializer};

    #[expect(
        clippy::ref_option,
        reason = "serde's `with` hands over a reference to the field"
    )]
    pub(in crate::config) fn serialize<S: Serializer>(
        price: &Option<HourlyPrice>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        match price {
            Some(price) => serializer.collect_str(price),
            None => serializer.serialize_none(),
        }
    }

    pub(in crate::config) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<HourlyPrice>, D::Error> {
        Option::<String>::deserialize(deserializer)?
            .map(|text| super::price::read(&text))
            .transpose()
    }
}
