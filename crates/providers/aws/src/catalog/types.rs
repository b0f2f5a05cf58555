//! The types of a region, as EC2 describes them.
//! <https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_InstanceTypeInfo.html>

use aws_sdk_ec2::types::{ArchitectureType, InstanceTypeInfo, UsageClassType};
use fleetwright_core::{InstanceType, Market, Result};

use crate::api::RegionApi;
use crate::error::At;

/// A type and the markets that it is sold on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Sold {
    /// The type.
    pub(crate) instance_type: InstanceType,
    /// On-demand, spot, both or none.
    pub(crate) markets: Vec<Market>,
}

/// All types of a region, over all pages of 100.
pub(crate) async fn types_in(api: &RegionApi) -> Result<Vec<Sold>> {
    let at = At::new("DescribeInstanceTypes", &api.region);
    let mut types = Vec::new();
    let mut next: Option<String> = None;
    loop {
        let page = api
            .ec2
            .describe_instance_types()
            .max_results(100)
            .set_next_token(next)
            .send()
            .await
            .map_err(|error| at.error(error))?;
        for info in page.instance_types() {
            types.extend(sold(at, info)?);
        }
        next = page
            .next_token()
            .filter(|t| !t.is_empty())
            .map(str::to_owned);
        if next.is_none() {
            return Ok(types);
        }
    }
}

/// A type; `None` if it runs on neither architecture. Those are Macs, which need a host of their
/// own.
pub(crate) fn sold(at: At<'_>, info: &InstanceTypeInfo) -> Result<Option<Sold>> {
    let architecture = info
        .processor_info()
        .map_or(&[][..], |processor| processor.supported_architectures())
        .iter()
        .map(ArchitectureType::as_str)
        .find(|known| matches!(*known, "x86_64" | "arm64"));
    let Some(architecture) = architecture else {
        return Ok(None);
    };
    let name = info
        .instance_type()
        .ok_or_else(|| at.lacking("type's name"))?;
    let vcpus = info
        .v_cpu_info()
        .and_then(|vcpus| u32::try_from(vcpus.default_v_cpus()?).ok())
        .ok_or_else(|| at.lacking("number of vCPUs"))?;
    let memory_mib = info
        .memory_info()
        .and_then(|memory| u64::try_from(memory.size_in_mib()?).ok())
        .ok_or_else(|| at.lacking("size of memory"))?;
    let gpus = gpus(at, info)?;
    Ok(Some(Sold {
        instance_type: InstanceType {
            name: name.as_str().to_owned(),
            vcpus,
            memory_mib,
            architecture: architecture.to_owned(),
            gpus: gpus.as_ref().map_or(0, |gpus| gpus.count),
            gpu_model: gpus.as_ref().map(|gpus| gpus.model.clone()),
            gpu_memory_mib: gpus.and_then(|gpus| gpus.memory_mib),
        },
        markets: info
            .supported_usage_classes()
            .iter()
            .filter_map(|class| match class {
                UsageClassType::OnDemand => Some(Market::OnDemand),
                UsageClassType::Spot => Some(Market::Spot),
                // Capacity blocks are bought ahead.
                _ => None,
            })
            .collect(),
    }))
}

struct Gpus {
    count: u32,
    model: String,
    memory_mib: Option<u64>,
}

/// The GPUs of a type. Inferentia and Trainium are none. A part of a GPU counts as one, with the
/// memory of that part.
fn gpus(at: At<'_>, info: &InstanceTypeInfo) -> Result<Option<Gpus>> {
    let Some(device) = info.gpu_info().and_then(|gpus| gpus.gpus().first()) else {
        return Ok(None);
    };
    let counts = [device.count(), device.logical_gpu_count()];
    let count = counts
        .into_iter()
        .flatten()
        .filter_map(|count| u32::try_from(count).ok())
        .find(|count| *count > 0);
    let Some(count) = count else {
        return Ok(None);
    };
    let name = device.name().ok_or_else(|| at.lacking("GPU's name"))?;
    let model = match device.manufacturer() {
        Some(maker) => format!("{maker} {name}"),
        None => name.to_owned(),
    };
    let memory_mib = device
        .memory_info()
        .and_then(|memory| u64::try_from(memory.size_in_mib()?).ok())
        .filter(|mib| *mib > 0);
    Ok(Some(Gpus {
        count,
        model,
        memory_mib,
    }))
}

#[cfg(test)]
mod tests {
    use aws_sdk_ec2::types::{
        GpuDeviceInfo, GpuDeviceMemoryInfo, GpuInfo, InstanceType as Name, MemoryInfo,
        ProcessorInfo, VCpuInfo,
    };

    use fleetwright_core::Kind;

    use super::*;

    const AT: At<'static> = At::new("DescribeInstanceTypes", "us-east-1");

    fn info(name: &str, architectures: &[ArchitectureType]) -> InstanceTypeInfo {
        InstanceTypeInfo::builder()
            .instance_type(Name::from(name))
            .processor_info(
                ProcessorInfo::builder()
                    .set_supported_architectures(Some(architectures.to_vec()))
                    .build(),
            )
            .v_cpu_info(VCpuInfo::builder().default_v_cpus(2).build())
            .memory_info(MemoryInfo::builder().size_in_mib(8_192).build())
            .set_supported_usage_classes(Some(vec![
                UsageClassType::Spot,
                UsageClassType::OnDemand,
                UsageClassType::CapacityBlock,
            ]))
            .build()
    }

    fn gpus(count: i32, logical: i32, mib: i32) -> GpuInfo {
        let memory = GpuDeviceMemoryInfo::builder().size_in_mib(mib).build();
        let device = GpuDeviceInfo::builder()
            .manufacturer("NVIDIA")
            .name("L4")
            .count(count)
            .logical_gpu_count(logical)
            .memory_info(memory)
            .build();
        GpuInfo::builder().gpus(device).build()
    }

    #[test]
    fn the_first_architecture_that_we_run_counts_and_macs_are_left_out() {
        let of = |architectures: &[ArchitectureType]| {
            let sold = sold(AT, &info("x1.large", architectures)).unwrap();
            sold.map(|sold| sold.instance_type.architecture)
        };
        let both = [ArchitectureType::I386, ArchitectureType::X8664];
        assert_eq!(of(&both).as_deref(), Some("x86_64"));
        assert_eq!(of(&[ArchitectureType::Arm64]).as_deref(), Some("arm64"));
        assert_eq!(of(&[ArchitectureType::Arm64Mac]), None);
    }

    #[test]
    fn capacity_blocks_are_no_market() {
        let sold = sold(AT, &info("m5.large", &[ArchitectureType::X8664]));
        let markets = sold.unwrap().unwrap().markets;
        assert_eq!(markets, [Market::Spot, Market::OnDemand]);
    }

    #[test]
    fn a_part_of_a_gpu_counts_as_one_with_its_part_of_the_memory() {
        for (given, expected) in [
            (gpus(4, 4, 22_888), (4, Some("NVIDIA L4"), Some(22_888))),
            (gpus(0, 1, 2_861), (1, Some("NVIDIA L4"), Some(2_861))),
            (gpus(1, 0, 0), (1, Some("NVIDIA L4"), None)),
            (gpus(0, 0, 0), (0, None, None)),
        ] {
            let mut info = info("g6.large", &[ArchitectureType::X8664]);
            info.gpu_info = Some(given);
            let t = sold(AT, &info).unwrap().unwrap().instance_type;
            assert_eq!((t.gpus, t.gpu_model.as_deref(), t.gpu_memory_mib), expected);
        }
    }

    #[test]
    fn a_type_without_a_size_is_an_error() {
        let mut info = info("m5.large", &[ArchitectureType::X8664]);
        info.memory_info = None;
        assert_eq!(sold(AT, &info).unwrap_err().kind(), Kind::Unexpected);
    }
}
