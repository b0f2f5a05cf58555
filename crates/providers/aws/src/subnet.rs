//! Where machines are put: subnets and the zones that they lie in.

use std::collections::BTreeMap;

use fleetwright_core::{Error, Kind, Result};

use crate::api::RegionApi;
use crate::error::At;
use crate::provider::AwsProvider;

/// A place to launch in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Place {
    /// The subnet; absent: the default one of the zone.
    pub(crate) subnet: Option<String>,
    /// The zone; absent: AWS chooses.
    pub(crate) zone: Option<String>,
}

impl AwsProvider {
    /// The places that the options allow, one per zone, in their order. Without subnets it is the
    /// zone of the offer.
    ///
    /// # Errors
    /// `Invalid` if a subnet is not there.
    pub(crate) async fn places(
        &self,
        api: &RegionApi,
        subnets: &[String],
        zone: Option<&str>,
    ) -> Result<Vec<Place>> {
        if subnets.is_empty() {
            return Ok(vec![Place {
                subnet: None,
                zone: zone.map(str::to_owned),
            }]);
        }
        let zones = self.zones_of(api, subnets).await?;
        let mut places: Vec<Place> = Vec::new();
        for subnet in subnets {
            let zone = zones.get(subnet).cloned();
            // Fleets refuse the same type and zone twice.
            if places.iter().all(|place| place.zone != zone) {
                places.push(Place {
                    subnet: Some(subnet.clone()),
                    zone,
                });
            }
        }
        Ok(places)
    }

    /// The one place of a call that takes no choice.
    ///
    /// # Errors
    /// `Invalid` if no subnet lies in the zone.
    pub(crate) async fn place(
        &self,
        api: &RegionApi,
        subnets: &[String],
        zone: Option<&str>,
    ) -> Result<Place> {
        let places = self.places(api, subnets, zone).await?;
        let fits = |place: &&Place| zone.is_none() || place.zone.as_deref() == zone;
        places.iter().find(fits).cloned().ok_or_else(|| {
            Error::new(
                Kind::Invalid,
                format!("none of `subnets` lies in `{}`", zone.unwrap_or_default()),
            )
            .with_hint("add a subnet of that zone, or name another zone in the candidate")
        })
    }

    async fn zones_of(
        &self,
        api: &RegionApi,
        subnets: &[String],
    ) -> Result<BTreeMap<String, String>> {
        let key = |subnet: &str| format!("subnet/{}/{subnet}", api.region);
        let known: BTreeMap<String, String> = subnets
            .iter()
            .filter_map(|subnet| Some((subnet.clone(), self.remembered(&key(subnet))?)))
            .collect();
        if subnets.iter().all(|subnet| known.contains_key(subnet)) {
            return Ok(known);
        }
        let at = At::new("DescribeSubnets", &api.region);
        let answer = api
            .ec2
            .describe_subnets()
            .set_subnet_ids(Some(subnets.to_vec()))
            .send()
            .await
            .map_err(|error| at.error(error))?;
        let mut zones = BTreeMap::new();
        for subnet in answer.subnets() {
            if let (Some(id), Some(zone)) = (subnet.subnet_id(), subnet.availability_zone()) {
                self.remember(key(id), zone.to_owned());
                zones.insert(id.to_owned(), zone.to_owned());
            }
        }
        Ok(zones)
    }
}
