//! Sizes of nodes, and the limits that make them true.
//!
//! Only what this machine has is offered, and what is offered is held:
//! - vCPUs: the node and all that it starts run on that many CPUs (affinity; `nproc` shows it).
//! - Memory: no process of the node gets more data than that (`RLIMIT_DATA`). It is a limit for
//!   each process, because one for all of them together needs privileges (control groups).
//! - The number of nodes: counted under a lock in [`crate::create`].
//!
//! A limit is not a reservation: nodes share the machine.

use async_trait::async_trait;
use fleetwright_core::ability::Offering;
use fleetwright_core::{
    Availability, Catalog, Error, HourlyPrice, InstanceType, Kind, Market, Result,
};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::node::state::Record;
use crate::{LocalProvider, REGION};

struct Size {
    name: &'static str,
    vcpus: u32,
    memory_mib: u64,
}

const SIZES: [Size; 3] = [
    Size {
        name: "small",
        vcpus: 1,
        memory_mib: 512,
    },
    Size {
        name: "medium",
        vcpus: 2,
        memory_mib: 2048,
    },
    Size {
        name: "large",
        vcpus: 4,
        memory_mib: 8192,
    },
];

/// What this machine has.
struct Machine {
    cpus: u32,
    /// Absent where nobody tells.
    memory_mib: Option<u64>,
}

impl Machine {
    fn here() -> Self {
        let cpus = std::thread::available_parallelism()
            .map_or(1, |cpus| u32::try_from(cpus.get()).unwrap_or(u32::MAX));
        let memory_mib = std::fs::read_to_string("/proc/meminfo")
            .ok()
            .and_then(|text| {
                let line = text.lines().find_map(|l| l.strip_prefix("MemTotal:"))?;
                let kib: u64 = line.split_whitespace().next()?.parse().ok()?;
                Some(kib / 1024)
            });
        Self { cpus, memory_mib }
    }

    fn has(&self, size: &Size) -> bool {
        size.vcpus <= self.cpus && self.memory_mib.is_none_or(|has| size.memory_mib <= has)
    }

    /// The sizes that fit; the smallest one always does.
    fn sizes(&self) -> impl Iterator<Item = &'static Size> {
        SIZES
            .iter()
            .enumerate()
            .filter(|(index, size)| *index == 0 || self.has(size))
            .map(|(_, size)| size)
    }
}

/// Checks that this machine has such a type.
///
/// # Errors
/// `Invalid`, with the types that there are.
pub(crate) fn check_type(name: &str) -> Result<()> {
    let machine = Machine::here();
    if machine.sizes().any(|size| size.name == name) {
        return Ok(());
    }
    let message = match SIZES.iter().find(|size| size.name == name) {
        None => format!("there is no instance type `{name}` for local nodes"),
        Some(size) => format!(
            "the instance type `{name}` has {} vCPUs and {} MiB of memory, more than this machine",
            size.vcpus, size.memory_mib
        ),
    };
    let there_are: Vec<String> = machine.sizes().map(|s| format!("`{}`", s.name)).collect();
    Err(Error::new(Kind::Invalid, message)
        .with_hint(format!("on this machine: {}", there_are.join(", "))))
}

/// Puts the limits of its type on this process and all that it will start.
pub(crate) fn confine(record: &Record) -> std::io::Result<()> {
    let Some(size) = SIZES.iter().find(|size| size.name == record.instance_type) else {
        return Err(std::io::Error::other(format!(
            "there is no instance type `{}`",
            record.instance_type
        )));
    };
    pin(size, record)?;
    #[cfg(target_os = "linux")]
    let resource = Resource::Data;
    #[cfg(not(target_os = "linux"))]
    let resource = Resource::As;
    let wanted = size.memory_mib.saturating_mul(1 << 20);
    let limit = getrlimit(resource)
        .maximum
        .map_or(wanted, |limit| limit.min(wanted));
    setrlimit(
        resource,
        Rlimit {
            current: Some(limit),
            maximum: Some(limit),
        },
    )?;
    Ok(())
}

/// Neighbors of one create call get neighboring CPUs, so that they spread over the machine.
#[cfg(target_os = "linux")]
fn pin(size: &Size, record: &Record) -> std::io::Result<()> {
    use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

    let allowed = sched_getaffinity(None)?;
    let cpus: Vec<usize> = (0..CpuSet::MAX_CPU)
        .filter(|cpu| allowed.is_set(*cpu))
        .collect();
    let token = fleetwright_core::fingerprint(&record.token);
    let first = u32::from_str_radix(token.short(), 16)
        .unwrap_or(0)
        .wrapping_add(record.ordinal.wrapping_mul(size.vcpus));
    let mut mine = CpuSet::new();
    let (first, wanted) = (
        usize::try_from(first).unwrap_or(0),
        usize::try_from(size.vcpus).unwrap_or(usize::MAX),
    );
    let start = first % cpus.len().max(1);
    for cpu in cpus.iter().cycle().skip(start).take(wanted.min(cpus.len())) {
        mine.set(*cpu);
    }
    sched_setaffinity(None, &mine)?;
    Ok(())
}

/// Where there is no affinity, a type's vCPUs are only what the machine has at least.
#[cfg(not(target_os = "linux"))]
fn pin(_: &Size, _: &Record) -> std::io::Result<()> {
    Ok(())
}

/// The types that this machine has.
pub fn types() -> Vec<InstanceType> {
    Machine::here()
        .sizes()
        .map(|size| InstanceType {
            name: size.name.to_owned(),
            vcpus: size.vcpus,
            memory_mib: size.memory_mib,
            architecture: architecture().to_owned(),
            gpus: 0,
            gpu_model: None,
            gpu_memory_mib: None,
        })
        .collect()
}

/// Where they are to be had: here, for nothing. Whether there is room for more is another question.
pub fn offerings() -> Vec<Offering> {
    offered(Availability::Unknown)
}

fn offered(availability: Availability) -> Vec<Offering> {
    Machine::here()
        .sizes()
        .map(|size| Offering {
            instance_type: size.name.to_owned(),
            region: REGION.to_owned(),
            zone: None,
            market: Market::OnDemand,
            price: Some(HourlyPrice::FREE),
            availability,
        })
        .collect()
}

#[async_trait]
impl Catalog for LocalProvider {
    async fn instance_types(&self) -> Result<Vec<InstanceType>> {
        Ok(types())
    }

    async fn offerings(&self) -> Result<Vec<Offering>> {
        Ok(offered(if self.root().count()? < self.max_nodes() {
            Availability::Available
        } else {
            Availability::SoldOut { until: None }
        }))
    }
}

fn architecture() -> &'static str {
    match std::env::consts::ARCH {
        "aarch64" => "arm64",
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_machine_offers_only_what_it_has_and_always_the_smallest() {
        let names = |cpus, memory_mib| -> Vec<&str> {
            let machine = Machine { cpus, memory_mib };
            machine.sizes().map(|size| size.name).collect()
        };
        assert_eq!(names(64, Some(1 << 20)), ["small", "medium", "large"]);
        assert_eq!(names(64, None), ["small", "medium", "large"]);
        assert_eq!(names(2, Some(1 << 20)), ["small", "medium"]);
        assert_eq!(names(64, Some(1000)), ["small"]);
        assert_eq!(names(1, Some(100)), ["small"]);
    }

    #[test]
    fn an_unknown_type_is_refused_with_those_there_are() {
        let error = check_type("huge").unwrap_err();
        assert_eq!(error.kind(), Kind::Invalid);
        assert!(error.hint().unwrap().contains("`small`"));
        check_type("small").unwrap();
    }
}
