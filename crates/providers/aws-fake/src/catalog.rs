//! What can be had: instance types with their true sizes, images, and made-up but plausible prices.

use crate::answer::Refusal;

/// An instance type.
#[derive(Debug, Clone, Copy)]
pub(crate) struct InstanceType {
    pub(crate) name: &'static str,
    pub(crate) vcpus: u32,
    pub(crate) memory_mib: u32,
    /// `x86_64` or `arm64`.
    pub(crate) architecture: &'static str,
    pub(crate) network: &'static str,
    pub(crate) accelerators: Accelerators,
    /// The on-demand price in us-east-1 in micro-dollars per hour.
    pub(crate) price: u64,
}

/// What a type has besides processors.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Accelerators {
    None,
    Gpu {
        maker: &'static str,
        model: &'static str,
        count: u32,
        memory_mib: u32,
    },
    Neuron {
        model: &'static str,
        count: u32,
        memory_mib: u32,
    },
}

const X86: &str = "x86_64";
const ARM: &str = "arm64";

const fn plain(
    name: &'static str,
    architecture: &'static str,
    vcpus: u32,
    memory_mib: u32,
    network: &'static str,
    price: u64,
) -> InstanceType {
    InstanceType {
        name,
        vcpus,
        memory_mib,
        architecture,
        network,
        accelerators: Accelerators::None,
        price,
    }
}

const fn with(base: InstanceType, accelerators: Accelerators) -> InstanceType {
    InstanceType {
        accelerators,
        ..base
    }
}

const fn nvidia(model: &'static str, count: u32, memory_mib: u32) -> Accelerators {
    Accelerators::Gpu {
        maker: "NVIDIA",
        model,
        count,
        memory_mib,
    }
}

const fn neuron(model: &'static str, count: u32, memory_mib: u32) -> Accelerators {
    Accelerators::Neuron {
        model,
        count,
        memory_mib,
    }
}

/// The types, by name.
pub(crate) static TYPES: [InstanceType; 27] = [
    plain("c5.large", X86, 2, 4096, "Up to 10 Gigabit", 85_000),
    plain("c5.xlarge", X86, 4, 8192, "Up to 10 Gigabit", 170_000),
    plain("c6i.large", X86, 2, 4096, "Up to 12.5 Gigabit", 85_000),
    plain("c6i.xlarge", X86, 4, 8192, "Up to 12.5 Gigabit", 170_000),
    plain("c7g.large", ARM, 2, 4096, "Up to 12.5 Gigabit", 72_500),
    with(
        plain("g4dn.xlarge", X86, 4, 16384, "Up to 25 Gigabit", 526_000),
        nvidia("T4", 1, 16384),
    ),
    with(
        plain("g4dn.12xlarge", X86, 48, 196_608, "50 Gigabit", 3_912_000),
        nvidia("T4", 4, 16384),
    ),
    with(
        plain("g5.xlarge", X86, 4, 16384, "Up to 10 Gigabit", 1_006_000),
        nvidia("A10G", 1, 24576),
    ),
    with(
        plain("g6.xlarge", X86, 4, 16384, "Up to 10 Gigabit", 804_800),
        nvidia("L4", 1, 22888),
    ),
    with(
        plain("inf2.xlarge", X86, 4, 16384, "Up to 15 Gigabit", 758_200),
        neuron("Inferentia2", 1, 32768),
    ),
    plain("m5.large", X86, 2, 8192, "Up to 10 Gigabit", 96_000),
    plain("m5.xlarge", X86, 4, 16384, "Up to 10 Gigabit", 192_000),
    plain("m5.2xlarge", X86, 8, 32768, "Up to 10 Gigabit", 384_000),
    plain("m6i.large", X86, 2, 8192, "Up to 12.5 Gigabit", 96_000),
    plain("m7g.large", ARM, 2, 8192, "Up to 12.5 Gigabit", 81_600),
    with(
        plain("p3.2xlarge", X86, 8, 62464, "Up to 10 Gigabit", 3_060_000),
        nvidia("V100", 1, 16384),
    ),
    with(
        plain(
            "p4d.24xlarge",
            X86,
            96,
            1_179_648,
            "4x 100 Gigabit",
            32_772_600,
        ),
        nvidia("A100", 8, 40960),
    ),
    with(
        plain(
            "p5.48xlarge",
            X86,
            192,
            2_097_152,
            "3200 Gigabit",
            98_320_000,
        ),
        nvidia("H100", 8, 81920),
    ),
    plain("r5.large", X86, 2, 16384, "Up to 10 Gigabit", 126_000),
    plain("r5.xlarge", X86, 4, 32768, "Up to 10 Gigabit", 252_000),
    plain("t3.large", X86, 2, 8192, "Up to 5 Gigabit", 83_200),
    plain("t3.medium", X86, 2, 4096, "Up to 5 Gigabit", 41_600),
    plain("t3.micro", X86, 2, 1024, "Up to 5 Gigabit", 10_400),
    plain("t3.small", X86, 2, 2048, "Up to 5 Gigabit", 20_800),
    plain("t4g.micro", ARM, 2, 1024, "Up to 5 Gigabit", 8_400),
    plain("t4g.small", ARM, 2, 2048, "Up to 5 Gigabit", 16_800),
    with(
        plain(
            "trn1.2xlarge",
            X86,
            8,
            32768,
            "Up to 12.5 Gigabit",
            1_343_750,
        ),
        neuron("Trainium", 1, 32768),
    ),
];

impl InstanceType {
    /// The letters before the generation, such as `g` of `g4dn.xlarge`.
    pub(crate) fn letters(&self) -> &'static str {
        let end = self.name.find(|c: char| c.is_ascii_digit());
        &self.name[..end.unwrap_or(self.name.len())]
    }

    /// The family that shares a quota of vCPUs.
    pub(crate) fn family(&self) -> &'static str {
        match self.letters() {
            "g" | "vt" => "G and VT",
            "p" => "P",
            "inf" => "Inf",
            "trn" => "Trn",
            _ => "Standard",
        }
    }

    /// The spot price in a zone in micro-dollars per hour: cheaper in later zones.
    pub(crate) fn spot_price(&self, zone: &str) -> u64 {
        let percent = match zone.as_bytes().last() {
            Some(b'a') => 40,
            Some(b'b') => 35,
            _ => 30,
        };
        self.price * percent / 100
    }
}

/// The type with this name.
pub(crate) fn instance_type(name: &str) -> Option<&'static InstanceType> {
    TYPES.iter().find(|kind| kind.name == name)
}

/// Whether a zone has a type. The largest GPUs and the first Trainium are missing in zone `c`.
pub(crate) fn is_offered(kind: &str, zone: &str) -> bool {
    !(zone.ends_with('c') && ["p4d.24xlarge", "p5.48xlarge", "trn1.2xlarge"].contains(&kind))
}

/// An image. Each region has its own copy under its own id.
#[derive(Debug, Clone)]
pub(crate) struct Image {
    pub(crate) id: String,
    pub(crate) name: &'static str,
    pub(crate) architecture: &'static str,
    pub(crate) owner: &'static str,
    pub(crate) owner_alias: Option<&'static str>,
    pub(crate) created: &'static str,
    pub(crate) root_device: &'static str,
    /// The public SSM parameters that name it.
    pub(crate) parameters: &'static [&'static str],
}

type ImageRow = (
    u32,
    &'static str,
    &'static str,
    &'static str,
    Option<&'static str>,
    &'static str,
    &'static str,
    &'static [&'static str],
);

const AMAZON: &str = "137112412989";
const CANONICAL: &str = "099720109477";

static IMAGES: [ImageRow; 4] = [
    (
        1,
        "al2023-ami-2023.6.20250115.0-kernel-6.1-x86_64",
        X86,
        AMAZON,
        Some("amazon"),
        "2025-01-15T00:00:00.000Z",
        "/dev/xvda",
        &["/aws/service/ami-amazon-linux-latest/al2023-ami-kernel-default-x86_64"],
    ),
    (
        2,
        "al2023-ami-2023.6.20250115.0-kernel-6.1-arm64",
        ARM,
        AMAZON,
        Some("amazon"),
        "2025-01-15T00:00:00.000Z",
        "/dev/xvda",
        &["/aws/service/ami-amazon-linux-latest/al2023-ami-kernel-default-arm64"],
    ),
    (
        3,
        "ubuntu/images/hvm-ssd-gp3/ubuntu-noble-24.04-amd64-server-20250115",
        X86,
        CANONICAL,
        None,
        "2025-01-15T08:00:00.000Z",
        "/dev/sda1",
        &["/aws/service/canonical/ubuntu/server/24.04/stable/current/amd64/hvm/ebs-gp3/ami-id"],
    ),
    (
        4,
        "ubuntu/images/hvm-ssd-gp3/ubuntu-noble-24.04-arm64-server-20250301",
        ARM,
        CANONICAL,
        None,
        "2025-03-01T08:00:00.000Z",
        "/dev/sda1",
        &["/aws/service/canonical/ubuntu/server/24.04/stable/current/arm64/hvm/ebs-gp3/ami-id"],
    ),
];

/// The images of a region.
pub(crate) fn images(region: &str) -> Vec<Image> {
    // Any number that differs from region to region.
    let number = region.bytes().fold(7_u32, |sum, byte| {
        sum.wrapping_mul(31).wrapping_add(u32::from(byte))
    });
    IMAGES
        .iter()
        .map(|row| Image {
            id: format!("ami-{number:08x}{:09x}", row.0),
            name: row.1,
            architecture: row.2,
            owner: row.3,
            owner_alias: row.4,
            created: row.5,
            root_device: row.6,
            parameters: row.7,
        })
        .collect()
}

/// The image of a region with this id.
pub(crate) fn image(region: &str, id: &str) -> Result<Image, Refusal> {
    let is_formed = id
        .strip_prefix("ami-")
        .is_some_and(|rest| rest.len() >= 8 && rest.bytes().all(|b| b.is_ascii_hexdigit()));
    if !is_formed {
        return Err(Refusal::bad(
            "InvalidAMIID.Malformed",
            format!("Invalid id: \"{id}\" (expecting \"ami-...\")"),
        ));
    }
    images(region)
        .into_iter()
        .find(|image| image.id == id)
        .ok_or_else(|| {
            Refusal::bad(
                "InvalidAMIID.NotFound",
                format!("The image id '[{id}]' does not exist"),
            )
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_are_sorted_and_images_have_ids_of_the_right_form() {
        let mut names: Vec<_> = TYPES.iter().map(|kind| kind.name).collect();
        names.dedup();
        assert_eq!(names.len(), TYPES.len());
        assert_eq!(instance_type("g4dn.xlarge").unwrap().family(), "G and VT");
        let image = &images("us-east-1")[0];
        assert_eq!(super::image("us-east-1", &image.id).unwrap().id, image.id);
        assert_eq!(
            super::image("eu-west-1", &image.id).unwrap_err().code,
            "InvalidAMIID.NotFound"
        );
    }
}
