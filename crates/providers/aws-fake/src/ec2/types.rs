//! DescribeInstanceTypes, DescribeInstanceTypeOfferings and DescribeSpotPriceHistory.

use super::filters::{Filters, Page};
use super::reply;
use super::show::moment;
use crate::answer::{Answer, Refusal};
use crate::catalog::{self, Accelerators, InstanceType, TYPES};
use crate::request::Request;
use crate::world::World;
use crate::world::launch::dollars;
use crate::xml::Xml;

pub(super) fn describe(world: &mut World, request: &Request) -> Result<Answer, Refusal> {
    let params = &request.params;
    let request_id = world.request_id();
    let page = Page::read(params, (5, 100), world.config.page_size)?;
    let filters = Filters::read(params)?;
    let names = params.texts("InstanceType");
    let unknown: Vec<&str> = names
        .iter()
        .filter(|name| catalog::instance_type(name).is_none())
        .map(String::as_str)
        .collect();
    if !unknown.is_empty() {
        return Err(Refusal::bad(
            "InvalidInstanceType",
            format!(
                "The following supplied instance types do not exist: [{}]",
                unknown.join(", ")
            ),
        ));
    }
    let mut found = Vec::new();
    for kind in &TYPES {
        let (vcpus, memory) = (kind.vcpus.to_string(), kind.memory_mib.to_string());
        let (vcpus, memory) = (vcpus.as_str(), memory.as_str());
        let is_hit = filters.pass(&|name| {
            Some(match name {
                "instance-type" => vec![kind.name],
                "current-generation" => vec![generation(kind)],
                "processor-info.supported-architecture" => vec![kind.architecture],
                "supported-usage-class" => vec!["on-demand", "spot"],
                "vcpu-info.default-vcpus" => vec![vcpus],
                "memory-info.size-in-mib" => vec![memory],
                "bare-metal" | "free-tier-eligible" => vec!["false"],
                "hypervisor" => vec!["nitro"],
                "supported-virtualization-type" => vec!["hvm"],
                "supported-root-device-type" => vec!["ebs"],
                _ => return None,
            })
        })?;
        if is_hit && (names.is_empty() || names.iter().any(|name| name == kind.name)) {
            found.push(kind);
        }
    }
    let (found, next) = page.cut(found, |kind| kind.name.to_owned());
    Ok(reply(&request_id, "DescribeInstanceTypes", |xml| {
        xml.items("instanceTypeSet", found, write_type);
        xml.optional("nextToken", next);
    }))
}

/// The V100 is the only old one here.
fn generation(kind: &InstanceType) -> &'static str {
    if kind.name.starts_with("p3") {
        "false"
    } else {
        "true"
    }
}

fn write_type(xml: &mut Xml, kind: &InstanceType) {
    let texts = |xml: &mut Xml, name: &str, values: &[&str]| {
        xml.within(name, |xml| {
            for value in values {
                xml.text("item", value);
            }
        });
    };
    xml.text("instanceType", kind.name);
    xml.text("currentGeneration", generation(kind));
    xml.text("freeTierEligible", false);
    texts(xml, "supportedUsageClasses", &["on-demand", "spot"]);
    texts(xml, "supportedRootDeviceTypes", &["ebs"]);
    texts(xml, "supportedVirtualizationTypes", &["hvm"]);
    xml.text("bareMetal", false);
    xml.text("hypervisor", "nitro");
    xml.within("processorInfo", |xml| {
        texts(xml, "supportedArchitectures", &[kind.architecture]);
        xml.text("sustainedClockSpeedInGhz", 2.5);
    });
    let threads = if kind.architecture == "arm64" { 1 } else { 2 };
    xml.within("vCpuInfo", |xml| {
        xml.text("defaultVCpus", kind.vcpus);
        xml.text("defaultCores", kind.vcpus / threads);
        xml.text("defaultThreadsPerCore", threads);
    });
    xml.within("memoryInfo", |xml| xml.text("sizeInMiB", kind.memory_mib));
    xml.text("instanceStorageSupported", false);
    xml.within("ebsInfo", |xml| {
        xml.text("ebsOptimizedSupport", "default");
        xml.text("encryptionSupport", "supported");
        xml.text("nvmeSupport", "required");
    });
    xml.within("networkInfo", |xml| {
        xml.text("networkPerformance", kind.network);
        xml.text("maximumNetworkInterfaces", 3);
        xml.text("maximumNetworkCards", 1);
        xml.text("defaultNetworkCardIndex", 0);
        xml.text("ipv4AddressesPerInterface", 10);
        xml.text("ipv6AddressesPerInterface", 10);
        xml.text("ipv6Supported", true);
        xml.text("enaSupport", "required");
        xml.text("efaSupported", kind.letters() == "p" && kind.vcpus > 90);
    });
    write_accelerators(xml, kind);
    xml.within("placementGroupInfo", |xml| {
        let strategies = ["cluster", "partition", "spread"];
        texts(xml, "supportedStrategies", &strategies);
    });
    xml.text("hibernationSupported", false);
    xml.text("burstablePerformanceSupported", kind.letters() == "t");
    xml.text("dedicatedHostsSupported", true);
    xml.text("autoRecoverySupported", true);
    texts(xml, "supportedBootModes", &["legacy-bios", "uefi"]);
}

fn write_accelerators(xml: &mut Xml, kind: &InstanceType) {
    match kind.accelerators {
        Accelerators::None => {}
        Accelerators::Gpu {
            maker,
            model,
            count,
            memory_mib,
        } => xml.within("gpuInfo", |xml| {
            xml.items("gpus", [()], |xml, ()| {
                xml.text("name", model);
                xml.text("manufacturer", maker);
                xml.text("count", count);
                xml.within("memoryInfo", |xml| xml.text("sizeInMiB", memory_mib));
            });
            xml.text("totalGpuMemoryInMiB", count * memory_mib);
        }),
        Accelerators::Neuron {
            model,
            count,
            memory_mib,
        } => {
            if kind.letters() == "inf" {
                xml.within("inferenceAcceleratorInfo", |xml| {
                    xml.list("accelerators", "member", [()], |xml, ()| {
                        xml.text("count", count);
                        xml.text("name", model);
                        xml.text("manufacturer", "AWS");
                        xml.within("memoryInfo", |xml| xml.text("sizeInMiB", memory_mib));
                    });
                    xml.text("totalInferenceMemoryInMiB", count * memory_mib);
                });
            }
            xml.within("neuronInfo", |xml| {
                xml.items("neuronDevices", [()], |xml, ()| {
                    xml.text("count", count);
                    xml.text("name", model);
                    xml.within("coreInfo", |xml| {
                        xml.text("count", 2);
                        xml.text("version", 2);
                    });
                    xml.within("memoryInfo", |xml| xml.text("sizeInMiB", memory_mib));
                });
                xml.text("totalNeuronDeviceMemoryInMiB", count * memory_mib);
            });
        }
    }
}

pub(super) fn describe_offerings(world: &mut World, request: &Request) -> Result<Answer, Refusal> {
    let params = &request.params;
    let request_id = world.request_id();
    let page = Page::read(params, (5, 1000), world.config.page_size)?;
    let filters = Filters::read(params)?;
    let location_type = params.text("LocationType").unwrap_or("region");
    let region = world.region(&request.region)?;
    let mut found = Vec::new();
    for kind in &TYPES {
        let zones = region
            .zones
            .iter()
            .filter(|zone| catalog::is_offered(kind.name, &zone.name));
        let locations: Vec<&str> = match location_type {
            "region" => vec![region.name.as_str()],
            "availability-zone" => zones.map(|zone| zone.name.as_str()).collect(),
            "availability-zone-id" => zones.map(|zone| zone.id.as_str()).collect(),
            other => {
                return Err(Refusal::bad(
                    "InvalidParameterValue",
                    format!("Invalid value '{other}' for LocationType"),
                ));
            }
        };
        for location in locations {
            let is_hit = filters.pass(&|name| match name {
                "instance-type" => Some(vec![kind.name]),
                "location" => Some(vec![location]),
                _ => None,
            })?;
            if is_hit {
                found.push((kind.name, location));
            }
        }
    }
    let (found, next) = page.cut(found, |(kind, location)| format!("{kind}/{location}"));
    Ok(reply(&request_id, "DescribeInstanceTypeOfferings", |xml| {
        xml.items("instanceTypeOfferingSet", found, |xml, (kind, location)| {
            xml.text("instanceType", kind);
            xml.text("locationType", location_type);
            xml.text("location", location);
        });
        xml.optional("nextToken", next);
    }))
}

/// The product that all our images run on.
const PRODUCT: &str = "Linux/UNIX";

pub(super) fn describe_spot_prices(
    world: &mut World,
    request: &Request,
) -> Result<Answer, Refusal> {
    let params = &request.params;
    let request_id = world.request_id();
    let page = Page::read(params, (1, 1000), world.config.page_size)?;
    let filters = Filters::read(params)?;
    let names = params.texts("InstanceType");
    let products = params.texts("ProductDescription");
    let zone = params.text("AvailabilityZone");
    let set_at = moment(world.born());
    let region = world.region(&request.region)?;
    let mut found = Vec::new();
    for kind in &TYPES {
        for place in &region.zones {
            let is_wanted = catalog::is_offered(kind.name, &place.name)
                && (names.is_empty() || names.iter().any(|name| name == kind.name))
                && zone.is_none_or(|zone| zone == place.name)
                && (products.is_empty() || products.iter().any(|p| p.starts_with(PRODUCT)));
            let is_hit = filters.pass(&|name| match name {
                "instance-type" => Some(vec![kind.name]),
                "availability-zone" => Some(vec![place.name.as_str()]),
                "product-description" => Some(vec![PRODUCT]),
                _ => None,
            })?;
            if is_wanted && is_hit {
                found.push((kind, place));
            }
        }
    }
    let (found, next) = page.cut(found, |(kind, zone)| format!("{}/{}", kind.name, zone.name));
    Ok(reply(&request_id, "DescribeSpotPriceHistory", |xml| {
        xml.items("spotPriceHistorySet", found, |xml, (kind, zone)| {
            xml.text("availabilityZone", &zone.name);
            xml.text("availabilityZoneId", &zone.id);
            xml.text("instanceType", kind.name);
            xml.text("productDescription", PRODUCT);
            xml.text("spotPrice", dollars(kind.spot_price(&zone.name)));
            xml.text("timestamp", &set_at);
        });
        // This action, unlike others, ends with an empty token.
        xml.text("nextToken", next.unwrap_or_default());
    }))
}
