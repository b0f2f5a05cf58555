//! What a configuration must satisfy before a world is built from it.

use std::collections::BTreeSet;

use fleetwright_core::{Error, Kind, LimitUnit, NodeId, Result};

use super::SimConfig;

impl SimConfig {
    /// Checks everything that the types cannot say.
    ///
    /// # Errors
    /// [`Kind::Config`], naming the first key that is wrong.
    pub fn validate(&self) -> Result<()> {
        self.check_places()?;
        self.check_numbers()?;
        self.check_rules()?;
        unique("balancers", self.balancers.iter())?;
        unique("dns_zones", self.dns_zones.iter())?;
        match self
            .dns_zones
            .iter()
            .find(|zone| zone.is_empty() || zone.starts_with('.') || zone.ends_with('.'))
        {
            Some(zone) => Err(bad(
                format!("`dns_zones`: `{zone}` is not the name of a zone"),
                "write it without a dot at either end, e.g. `sim.test`",
            )),
            None => Ok(()),
        }
    }

    fn check_places(&self) -> Result<()> {
        if self.regions.is_empty() || self.types.is_empty() {
            return Err(bad(
                "`regions` and `types` may not be empty".to_owned(),
                "leave them out to get the built-in ones",
            ));
        }
        unique("regions", self.regions.iter().map(|region| &region.name))?;
        unique("types", self.types.iter().map(|sold| &sold.name))?;
        for region in &self.regions {
            NodeId::new("sim", &region.name, "i").map_err(|_| {
                bad(
                    format!("`{}` cannot be the name of a region", region.name),
                    "a region's name is not empty and holds no slash",
                )
            })?;
            if region.zones.is_empty() {
                return Err(bad(
                    format!("region `{}` has no zones", region.name),
                    "give it at least one",
                ));
            }
        }
        unique(
            "zones",
            self.regions.iter().flat_map(|region| &region.zones),
        )
    }

    fn check_numbers(&self) -> Result<()> {
        for (key, value) in [("page_size", self.page_size), ("batch", self.batch)] {
            if value == 0 {
                return Err(bad(format!("`{key}` is 0"), "the least is 1"));
            }
        }
        let faults = &self.faults;
        let sum: u32 = [
            faults.refused,
            faults.lost_before,
            faults.lost_after,
            faults.garbage,
            faults.throttled,
            faults.auth_expired,
            faults.forbidden,
        ]
        .into_iter()
        .map(u32::from)
        .sum();
        if sum > 1000 || self.boot_failures > 1000 {
            return Err(bad(
                "`faults` add up to more than 1000, or `boot_failures` is above it".to_owned(),
                "they are counted in calls or machines per 1000",
            ));
        }
        for limit in &self.api_limits {
            let least = match limit.unit {
                LimitUnit::Calls => 1,
                LimitUnit::Machines => self.batch,
            };
            if limit.burst < least || limit.per_minute == 0 {
                return Err(bad(
                    format!("`api_limits`: `{}` could never be met", limit.family),
                    "`burst` must hold a call, or a full `batch` of machines, and `per_minute` \
                     must be above 0",
                ));
            }
        }
        Ok(())
    }

    fn check_rules(&self) -> Result<()> {
        let region = |key: &str, name: Option<&String>| match name {
            Some(name) if self.region(name).is_none() => Err(bad(
                format!("`{key}`: there is no region `{name}`"),
                &format!("known: {}", join(self.regions.iter().map(|r| &r.name))),
            )),
            _ => Ok(()),
        };
        let zone = |key: &str, name: Option<&String>| match name {
            Some(name) if !self.regions.iter().any(|r| r.zones.contains(name)) => Err(bad(
                format!("`{key}`: there is no zone `{name}`"),
                &format!(
                    "known: {}",
                    join(self.regions.iter().flat_map(|r| &r.zones))
                ),
            )),
            _ => Ok(()),
        };
        for name in self.types.iter().flat_map(|sold| &sold.regions) {
            region("types", Some(name))?;
        }
        for rule in &self.capacity {
            region("capacity", rule.region.as_ref())?;
            zone("capacity", rule.zone.as_ref())?;
            if let Some(name) = &rule.instance_type
                && self.instance_type(name).is_none()
            {
                return Err(bad(
                    format!("`capacity`: there is no type `{name}`"),
                    &format!("known: {}", join(self.types.iter().map(|sold| &sold.name))),
                ));
            }
        }
        for rule in &self.reclaims {
            region("reclaims", rule.region.as_ref())?;
            zone("reclaims", rule.zone.as_ref())?;
        }
        for rule in &self.quota {
            region("quota", rule.region.as_ref())?;
        }
        for name in &self.broken_listings {
            region("broken_listings", Some(name))?;
        }
        Ok(())
    }
}

fn bad(message: String, hint: &str) -> Error {
    Error::new(Kind::Config, message).with_hint(hint)
}

fn unique<'a>(key: &str, names: impl Iterator<Item = &'a String>) -> Result<()> {
    let mut seen = BTreeSet::new();
    for name in names {
        if name.is_empty() || !seen.insert(name) {
            return Err(bad(
                format!("`{key}`: `{name}` is empty or given twice"),
                "each name stands once",
            ));
        }
    }
    Ok(())
}

fn join<'a>(names: impl Iterator<Item = &'a String>) -> String {
    names.map(String::as_str).collect::<Vec<_>>().join(", ")
}
