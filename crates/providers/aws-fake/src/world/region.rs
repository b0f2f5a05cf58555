//! A region: its zones and network, and what exists in it.

use std::collections::BTreeMap;

use super::capacity::{Buckets, Capacity, Quota};
use super::instance::Instances;
use crate::answer::Refusal;
use crate::ec2;
use crate::params::Params;

/// What exists in one region.
#[derive(Debug)]
pub(crate) struct Region {
    /// Its name.
    pub(crate) name: String,
    /// Its zones, in order.
    pub(crate) zones: Vec<Zone>,
    /// The id of the default VPC.
    pub(crate) vpc: String,
    /// The id of the default security group.
    pub(crate) security_group: String,
    /// The names of the key pairs.
    pub(crate) keys: Vec<String>,
    /// Its instances.
    pub(crate) instances: Instances,
    /// The instances of each reservation.
    pub(crate) reservations: BTreeMap<String, Vec<String>>,
    /// How many private addresses were given out.
    pub(crate) addresses: u16,
    /// What was done for which client token, by action and token.
    pub(crate) tokens: BTreeMap<(String, String), Remembered>,
    /// How many machines there still are.
    pub(crate) capacity: Capacity,
    /// How many vCPUs the account may have.
    pub(crate) quota: Quota,
    /// How many calls the account may make.
    pub(crate) buckets: Buckets,
    /// Launch templates, fleets and spot fleets.
    pub(crate) ec2: ec2::State,
}

/// A zone with its default subnet.
#[derive(Debug, Clone)]
pub(crate) struct Zone {
    /// Its name, such as `us-east-1a`.
    pub(crate) name: String,
    /// Its id, such as `use1-az1`.
    pub(crate) id: String,
    /// The id of its default subnet.
    pub(crate) subnet: String,
    /// Its number, from 0. The subnet is the part `172.31.(64 × number).0/18` of the VPC.
    pub(crate) number: u8,
}

/// What was done for a client token.
#[derive(Debug, Clone)]
pub(crate) struct Remembered {
    /// The parameters, without the token.
    pub(crate) params: Params,
    /// What it brought: a reservation, a fleet, a launch template.
    pub(crate) result: String,
}

impl Region {
    /// The region number `index`, with its default network.
    pub(crate) fn new(name: &str, index: usize) -> Self {
        let zones = [("a", 0), ("b", 1), ("c", 2)]
            .into_iter()
            .map(|(letter, number)| Zone {
                name: format!("{name}{letter}"),
                id: format!("{}-az{}", short(name), number + 1),
                subnet: format!("subnet-{index:08x}{:09x}", number + 1),
                number,
            })
            .collect();
        Self {
            name: name.to_owned(),
            zones,
            vpc: format!("vpc-{index:08x}{:09x}", 1),
            security_group: format!("sg-{index:08x}{:09x}", 1),
            keys: vec!["fleetwright".to_owned()],
            instances: Instances::default(),
            reservations: BTreeMap::new(),
            addresses: 0,
            tokens: BTreeMap::new(),
            capacity: Capacity::default(),
            quota: Quota::default(),
            buckets: Buckets::default(),
            ec2: ec2::State::default(),
        }
    }

    /// What a client token brought before, if it was used for this action. Other parameters than
    /// then are refused.
    ///
    /// <https://docs.aws.amazon.com/ec2/latest/devguide/ec2-api-idempotency.html>
    pub(crate) fn remembered(
        &self,
        action: &str,
        token: Option<&str>,
        params: &Params,
    ) -> Result<Option<String>, Refusal> {
        let Some(token) = token else {
            return Ok(None);
        };
        if token.len() > 64 || !token.is_ascii() {
            return Err(Refusal::bad(
                "InvalidParameterValue",
                format!("Value ({token}) for parameter clientToken is invalid."),
            ));
        }
        let key = (action.to_owned(), token.to_owned());
        let Some(before) = self.tokens.get(&key) else {
            return Ok(None);
        };
        if before.params != comparable(params) {
            return Err(Refusal::bad(
                "IdempotentParameterMismatch",
                "The client token you have provided is associated with a resource that has \
                 different parameters. Use a new client token or the same parameters.",
            ));
        }
        Ok(Some(before.result.clone()))
    }

    /// Remembers what a client token brought.
    pub(crate) fn remember(
        &mut self,
        action: &str,
        token: Option<&str>,
        params: &Params,
        result: &str,
    ) {
        if let Some(token) = token {
            let remembered = Remembered {
                params: comparable(params),
                result: result.to_owned(),
            };
            self.tokens
                .insert((action.to_owned(), token.to_owned()), remembered);
        }
    }

    /// The zone with this name.
    pub(crate) fn zone(&self, name: &str) -> Option<&Zone> {
        self.zones.iter().find(|zone| zone.name == name)
    }

    /// The zone of this subnet.
    pub(crate) fn zone_of_subnet(&self, subnet: &str) -> Option<&Zone> {
        self.zones.iter().find(|zone| zone.subnet == subnet)
    }
}

/// What two requests with the same token must have in common.
fn comparable(params: &Params) -> Params {
    params.without(&["ClientToken", "DryRun", "Action", "Version"])
}

/// `use1` for `us-east-1`, as zone ids begin.
fn short(region: &str) -> String {
    let mut parts = region.split('-');
    let area = parts.next().unwrap_or(region);
    let rest: String = parts.filter_map(|part| part.chars().next()).collect();
    format!("{area}{rest}")
}
