//! Types of instances with prices and stock, and images. The figures are recorded ones.

use fleetwright_rest::testing::Request;
use serde_json::{Map, Value, json};
use uuid::Uuid;

use super::answer::{Answer, counted, not_found, page_by_name};
use super::state::State;

/// A type of instance.
pub(super) struct Product {
    pub(super) name: &'static str,
    pub(super) arch: &'static str,
    ncpus: u32,
    ram_gib: u64,
    /// Number, model and memory in GiB of each.
    gpu: Option<(u32, &'static str, u64)>,
    hourly_price: f64,
    /// Whether it has a disk of its own.
    pub(super) is_local: bool,
    availability: &'static str,
    is_over: bool,
}

const fn product(name: &'static str, ncpus: u32, ram_gib: u64, hourly_price: f64) -> Product {
    Product {
        name,
        arch: "x86_64",
        ncpus,
        ram_gib,
        gpu: None,
        hourly_price,
        is_local: false,
        availability: "available",
        is_over: false,
    }
}

/// More than fit on a small page.
pub(super) const PRODUCTS: [Product; 13] = [
    Product {
        is_local: true,
        ..product("DEV1-S", 2, 2, 0.01368)
    },
    Product {
        is_local: true,
        ..product("DEV1-M", 3, 4, 0.02556)
    },
    Product {
        is_local: true,
        availability: "scarce",
        ..product("GP1-XS", 4, 16, 0.0858)
    },
    Product {
        is_local: true,
        is_over: true,
        ..product("START1-S", 2, 2, 0.0154)
    },
    product("PLAY2-PICO", 1, 2, 0.014),
    product("PLAY2-NANO", 2, 4, 0.027),
    product("POP2-2C-8G", 2, 8, 0.0735),
    product("POP2-4C-16G", 4, 16, 0.147),
    product("POP2-8C-32G", 8, 32, 0.29),
    Product {
        arch: "arm64",
        ..product("COPARM1-2C-8G", 2, 8, 0.0426)
    },
    Product {
        gpu: Some((1, "L4", 24)),
        ..product("L4-1-24G", 8, 48, 0.75)
    },
    Product {
        gpu: Some((1, "P100", 16)),
        is_local: true,
        availability: "shortage",
        ..product("RENDER-S", 10, 42, 1.2426)
    },
    Product {
        gpu: Some((2, "H100-PCIe", 80)),
        availability: "shortage",
        ..product("H100-2-80G", 48, 480, 5.46)
    },
];

/// GPUs are not sold everywhere.
pub(super) fn sold_in(zone: &str) -> impl Iterator<Item = &'static Product> {
    let has_gpus = matches!(zone, "fr-par-1" | "fr-par-2" | "pl-waw-2");
    PRODUCTS
        .iter()
        .filter(move |product| product.gpu.is_none() || has_gpus)
}

pub(super) fn types(state: &State, request: &Request, zone: &str, rest: &[&str]) -> Answer {
    match (request.method(), rest) {
        ("GET", []) => {
            let all = sold_in(zone).map(|product| (product.name.to_owned(), describe(product)));
            Ok(page_by_name(state, request, all.collect()))
        }
        ("GET", ["availability"]) => {
            let all: Map<String, Value> = sold_in(zone)
                .map(|product| {
                    let stock = json!({ "availability": product.availability });
                    (product.name.to_owned(), stock)
                })
                .collect();
            Ok(page_by_name(state, request, all))
        }
        _ => Err(not_found("endpoint", request.path())),
    }
}

fn describe(product: &Product) -> Value {
    let local = if product.is_local {
        800_000_000_000_u64
    } else {
        0
    };
    let gpu_info = product.gpu.map(|(_, name, memory)| {
        json!({ "gpu_manufacturer": "NVIDIA", "gpu_name": name, "gpu_memory": memory << 30 })
    });
    json!({
        "alt_names": [],
        "arch": product.arch,
        "ncpus": product.ncpus,
        "ram": product.ram_gib << 30,
        "gpu": product.gpu.map_or(0, |(number, _, _)| number),
        "gpu_info": gpu_info,
        "mig_profile": null,
        "volumes_constraint": { "min_size": 0, "max_size": local },
        "per_volume_constraint": { "l_ssd": { "min_size": 0, "max_size": local } },
        "scratch_storage_max_size": null,
        "monthly_price": product.hourly_price * 730.0,
        "hourly_price": product.hourly_price,
        "capabilities": {
            "boot_types": ["local", "rescue"],
            "placement_groups": true,
            "block_storage": true,
            "hot_snapshots_local_volume": product.is_local,
            "private_network": 8,
            "max_file_systems": 0,
        },
        "network": {
            "ipv6_support": true,
            "sum_internal_bandwidth": 200_000_000,
            "sum_internet_bandwidth": 200_000_000,
            "interfaces": [
                { "internal_bandwidth": 200_000_000, "internet_bandwidth": 200_000_000 },
            ],
        },
        "block_bandwidth": 104_857_600,
        "end_of_service": product.is_over,
    })
}

// === images ===

/// The images that exist: label, kind of volume, architecture, and whether for GPUs.
const IMAGES: [(&str, &str, &str, bool); 4] = [
    ("ubuntu_noble", "instance_local", "x86_64", false),
    ("ubuntu_noble", "instance_sbs", "arm64", false),
    ("ubuntu_noble", "instance_sbs", "x86_64", false),
    ("ubuntu_jammy_gpu_os_12", "instance_sbs", "x86_64", true),
];

/// The id of an image, the same in every run.
pub(super) fn image_id(zone: &str, label: &str, kind: &str) -> String {
    let mut hash: u128 = 0x1000_0000_0000_0000_0000_0000_01B3;
    for byte in format!("{zone} {label} {kind}").bytes() {
        hash = (hash ^ u128::from(byte)).wrapping_mul(0x0100_0000_01B3);
    }
    Uuid::from_u128(hash).to_string()
}

fn arch_id(zone: &str, label: &str, kind: &str, arch: &str) -> String {
    // The usual architecture has the usual id.
    let label = if arch == "x86_64" {
        label.to_owned()
    } else {
        format!("{label} {arch}")
    };
    image_id(zone, &label, kind)
}

/// What an image of this id is for: kind of volume and architecture.
pub(super) fn image(zone: &str, id: &str) -> Option<(&'static str, &'static str, &'static str)> {
    IMAGES
        .iter()
        .find(|(label, kind, arch, _)| arch_id(zone, label, kind, arch) == id)
        .map(|(label, kind, arch, _)| (*label, *kind, *arch))
}

pub(super) fn images(state: &State, request: &Request) -> Answer {
    let (label, zone) = (request.query("image_label"), request.query("zone"));
    let (label, zone) = (label.unwrap_or(""), zone.unwrap_or(""));
    if !IMAGES.iter().any(|(known, ..)| *known == label) {
        return Err(not_found("MarketplaceImage", label));
    }
    let wanted = request.query("type").unwrap_or("unknown_type");
    let all = IMAGES
        .iter()
        .filter(|(known, kind, ..)| {
            *known == label && (wanted == "unknown_type" || wanted == *kind)
        })
        .map(|(label, kind, arch, for_gpus)| {
            let types: Vec<&str> = sold_in(zone)
                .filter(|product| product.arch == *arch && product.gpu.is_some() == *for_gpus)
                .filter(|product| product.is_local || *kind == "instance_sbs")
                .map(|product| product.name)
                .collect();
            json!({
                "id": arch_id(zone, label, kind, arch),
                "arch": arch,
                "zone": zone,
                "compatible_commercial_types": types,
                "label": label,
                "type": kind,
            })
        });
    Ok(counted(state, request, "local_images", all.collect()))
}

/// An image as it stands in an instance.
pub(super) fn describe_image(zone: &str, id: &str) -> Value {
    let (label, _, arch) = image(zone, id).unwrap_or(("private", "", "x86_64"));
    let owner = "51b656e3-4865-41e8-adbc-0c45bdd780db";
    json!({
        "id": id,
        "name": label,
        "organization": owner,
        "project": owner,
        "root_volume": { "id": id, "name": label, "volume_type": "l_ssd", "size": 10_000_000_000_u64 },
        "extra_volumes": {},
        "public": true,
        "arch": arch,
        "creation_date": super::answer::DATE,
        "modification_date": super::answer::DATE,
        "default_bootscript": null,
        "from_server": "",
        "state": "available",
        "tags": [],
        "zone": zone,
    })
}

/// The product of a name in a zone.
pub(super) fn find(zone: &str, name: &str) -> Option<&'static Product> {
    sold_in(zone).find(|product| product.name == name && !product.is_over)
}

/// Types by name, for messages.
pub(super) fn names(zone: &str) -> String {
    let names: Vec<&str> = sold_in(zone).map(|product| product.name).collect();
    names.join(", ")
}
