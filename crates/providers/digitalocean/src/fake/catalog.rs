//! What the fake sells and where: real names and prices, only fewer.

use serde_json::{Value, json};

/// Name, whether it takes new droplets, and in words.
pub(super) const REGIONS: [(&str, bool, &str); 4] = [
    ("nyc3", true, "New York 3"),
    ("fra1", true, "Frankfurt 1"),
    ("tor1", true, "Toronto 1"),
    ("sfo1", false, "San Francisco 1"),
];

/// A size.
#[derive(Debug, Clone)]
pub(super) struct Kind {
    pub(super) slug: &'static str,
    vcpus: u32,
    memory: u32,
    disk: u32,
    monthly: f64,
    hourly: f64,
    description: &'static str,
    gpus: Option<(u32, &'static str, u32)>,
    /// Where it is sold at the moment.
    pub(super) regions: Vec<&'static str>,
}

impl Kind {
    pub(super) fn has_gpu(&self) -> bool {
        self.gpus.is_some()
    }

    pub(super) fn memory(&self) -> u32 {
        self.memory
    }

    pub(super) fn vcpus(&self) -> u32 {
        self.vcpus
    }

    pub(super) fn disk(&self) -> u32 {
        self.disk
    }

    pub(super) fn gpu_info(&self) -> Option<Value> {
        let (count, model, vram) = self.gpus?;
        Some(json!({
            "count": count, "model": model, "vram": { "amount": vram, "unit": "gib" },
        }))
    }

    pub(super) fn json(&self) -> Value {
        let mut size = json!({
            "slug": self.slug,
            "memory": self.memory,
            "vcpus": self.vcpus,
            "disk": self.disk,
            "transfer": 1.0,
            "price_monthly": self.monthly,
            "price_hourly": self.hourly,
            "regions": self.regions,
            "available": true,
            "description": self.description,
            "disk_info": [{ "type": "local", "size": { "amount": self.disk, "unit": "gib" } }],
        });
        if let Some(gpu) = self.gpu_info() {
            size["gpu_info"] = gpu;
        }
        size
    }
}

/// All sizes.
pub(super) fn kinds() -> Vec<Kind> {
    let plain = |slug, vcpus, memory, disk, monthly, hourly| Kind {
        slug,
        vcpus,
        memory,
        disk,
        monthly,
        hourly,
        description: "Basic",
        gpus: None,
        regions: vec!["nyc3", "fra1", "tor1", "sfo1"],
    };
    let gpu = |slug, vcpus, memory, hourly, gpus, regions| Kind {
        slug,
        vcpus,
        memory,
        disk: 720,
        monthly: hourly * 672.0,
        hourly,
        description: "H100 GPU",
        gpus: Some(gpus),
        regions,
    };
    vec![
        plain("s-1vcpu-512mb-10gb", 1, 512, 10, 4.0, 0.00595),
        plain("s-1vcpu-1gb", 1, 1_024, 25, 6.0, 0.008_929_999_545_216_56),
        plain("s-2vcpu-4gb", 2, 4_096, 80, 24.0, 0.035_709_999_501_705_17),
        plain("c-2", 2, 4_096, 25, 42.0, 0.0625),
        gpu(
            "gpu-h100x1-80gb",
            20,
            245_760,
            3.39,
            (1, "nvidia_h100", 80),
            vec!["tor1", "nyc3"],
        ),
        gpu(
            "gpu-h100x8-640gb",
            160,
            1_966_080,
            23.92,
            (8, "nvidia_h100", 640),
            vec!["tor1"],
        ),
        gpu(
            "gpu-mi300x1-192gb",
            20,
            245_760,
            1.99,
            (1, "amd_mi300x", 192),
            Vec::new(),
        ),
    ]
}

/// A region.
pub(super) fn region(slug: &str, kinds: &[Kind]) -> Value {
    let known = REGIONS.iter().find(|(name, ..)| *name == slug);
    let (available, name) = known.map_or((false, slug), |(_, available, name)| (*available, *name));
    let sizes: Vec<&str> = kinds
        .iter()
        .filter(|kind| kind.regions.contains(&slug))
        .map(|kind| kind.slug)
        .collect();
    json!({
        "name": name,
        "slug": slug,
        "features": ["backups", "ipv6", "metadata", "install_agent", "storage"],
        "available": available,
        "sizes": sizes,
    })
}
