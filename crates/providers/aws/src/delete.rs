//! Removing machines, and what made them once it has none left.
//!
//! ```text
//!  member of …      how it goes
//!  nothing          TerminateInstances, many ids a call
//!  a group          TerminateInstanceInAutoScalingGroup with decrement, after its minimum was
//!                   checked; otherwise the group would replace it
//!  a maintain fleet its target is lowered first, for the same reason
//! ```

use std::collections::HashMap;

use aws_sdk_ec2::types::{Instance, InstanceStateName, Reservation, Tag};
use fleetwright_core::{Deletion, Error, Kind, NodeId, Result, keys};

use crate::api::RegionApi;
use crate::error::At;
use crate::list::{filter, named};
use crate::node::membership;
use crate::provider::AwsProvider;

/// What keeps the number of an instance's group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Membership {
    /// Nothing: it was started by itself.
    Single,
    /// An Auto Scaling group.
    Group(String),
    /// An EC2 Fleet.
    Fleet(String),
    /// A Spot Fleet request.
    SpotFleet(String),
}

/// What a keeper is told to keep once some of its machines are gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Left {
    /// Nothing.
    None,
    /// So many machines.
    Machines(usize),
    /// It keeps no number, or is gone.
    Unsaid,
}

impl Left {
    pub(crate) fn of(target: usize, going: usize) -> Self {
        match target.saturating_sub(going) {
            0 => Self::None,
            left => Self::Machines(left),
        }
    }
}

impl Membership {
    pub(crate) fn of(instance: &Instance) -> Self {
        let value = |key: &str| {
            instance
                .tags()
                .iter()
                .find(|tag| tag.key() == Some(key))
                .and_then(Tag::value)
                .map(str::to_owned)
        };
        value(membership::GROUP)
            .map(Self::Group)
            .or_else(|| value(membership::FLEET).map(Self::Fleet))
            .or_else(|| value(membership::SPOT_FLEET).map(Self::SpotFleet))
            .unwrap_or(Self::Single)
    }
}

impl AwsProvider {
    pub(crate) async fn remove(&self, id: &NodeId) -> Result<Deletion> {
        self.own(id)?;
        let api = self.api().region(id.region()).await?;
        // What was made or listed a moment ago needs no look before it goes.
        let known = self.membership(id).filter(|_| !self.is_leaving(id));
        if let Some(membership) = known {
            return self.end(api, &membership, id).await;
        }
        let Some(instance) = self.instance(id).await? else {
            return self.nowhere(id).await;
        };
        let membership = Membership::of(&instance);
        match instance.state().and_then(|state| state.name()) {
            Some(InstanceStateName::Terminated) => {
                self.clean_up(api, &membership).await?;
                self.forget(id);
                Ok(Deletion::Gone)
            }
            Some(InstanceStateName::ShuttingDown) => Ok(Deletion::Started),
            _ => self.end(api, &membership, id).await,
        }
    }

    /// Asks for the end of an instance, in the way that its keeper does not replace it.
    async fn end(&self, api: &RegionApi, membership: &Membership, id: &NodeId) -> Result<Deletion> {
        let key = match membership {
            Membership::Single => api.region.clone(),
            Membership::Group(keeper)
            | Membership::Fleet(keeper)
            | Membership::SpotFleet(keeper) => format!("{}/{keeper}", api.region),
        };
        // One call at a time for each keeper: two that lower a target at once lower it by one.
        let batch = self.batches().removals(&key);
        let known = batch
            .ask(id.native(), |ids| self.end_all(api, membership, ids))
            .await?;
        if !known {
            return self.nowhere(id).await;
        }
        self.note_leaving(id);
        Ok(Deletion::Started)
    }

    /// Ends some machines of one keeper; says of each whether EC2 knows it.
    ///
    /// If these are its last ones, the keeper goes with them, its template first: whatever instant
    /// this is killed at, there is a machine left to be removed, and with it the rest.
    async fn end_all(
        &self,
        api: &RegionApi,
        membership: &Membership,
        ids: Vec<String>,
    ) -> Result<HashMap<String, Result<bool>>> {
        let news = self.not_lowered(&ids);
        if *membership == Membership::Single {
            return self.terminate(api, ids).await;
        }
        let left = self.left(api, membership, &ids, news.len()).await?;
        // Two witnesses: what AWS is told to keep, and what it shows. A listing alone may be late.
        if left == Left::None && !self.has_others(api, membership, &ids).await? {
            self.remove_keeper(api, membership).await?;
            return self.terminate(api, ids).await;
        }
        match (membership, left) {
            (Membership::Group(group), _) => {
                for id in &ids {
                    self.terminate_in_group(api, group, id).await?;
                }
            }
            (Membership::Fleet(fleet), Left::Machines(target)) => {
                self.lower_fleet(api, fleet, target).await?;
            }
            (Membership::SpotFleet(request), Left::Machines(target)) => {
                self.lower_spot_fleet(api, request, target).await?;
            }
            _ => {}
        }
        self.note_lowered(news);
        self.terminate(api, ids).await
    }

    /// What a keeper is told to keep without these, of which so many were not subtracted yet.
    async fn left(
        &self,
        api: &RegionApi,
        membership: &Membership,
        ids: &[String],
        news: usize,
    ) -> Result<Left> {
        match membership {
            Membership::Single => Ok(Left::Unsaid),
            Membership::Group(group) => self.left_in_group(api, group, ids).await,
            Membership::Fleet(fleet) => self.left_in_fleet(api, fleet, news).await,
            Membership::SpotFleet(request) => self.left_in_spot_fleet(api, request, news).await,
        }
    }

    /// What a group of ours wants without these.
    async fn left_in_group(&self, api: &RegionApi, group: &str, ids: &[String]) -> Result<Left> {
        let Some(known) = self.describe_group(api, group).await? else {
            return Ok(Left::Unsaid);
        };
        let desired = known
            .desired_capacity()
            .and_then(|desired| usize::try_from(desired).ok())
            .ok_or_else(|| {
                At::new("DescribeAutoScalingGroups", &api.region).lacking("desired capacity")
            })?;
        let members = known
            .instances()
            .iter()
            .filter(|member| ids.iter().any(|id| member.instance_id() == Some(id)))
            .count();
        Ok(Left::of(desired, members))
    }

    /// Whether a keeper has machines besides these that are not on their way out.
    async fn has_others(
        &self,
        api: &RegionApi,
        membership: &Membership,
        ids: &[String],
    ) -> Result<bool> {
        let (tag, keeper) = match membership {
            Membership::Single => return Ok(false),
            Membership::Group(group) => (membership::GROUP, group),
            Membership::Fleet(fleet) => (membership::FLEET, fleet),
            Membership::SpotFleet(request) => (membership::SPOT_FLEET, request),
        };
        if self.made_others(&api.region, membership, ids) {
            return Ok(true);
        }
        let at = At::new("DescribeInstances", &api.region);
        let mut next: Option<String> = None;
        loop {
            let page = api
                .ec2
                .describe_instances()
                .filters(filter(&format!("tag:{tag}"), keeper))
                .set_next_token(next)
                .send()
                .await
                .map_err(|error| at.error(error))?;
            for instance in page.reservations().iter().flat_map(Reservation::instances) {
                let going = matches!(
                    instance.state().and_then(|state| state.name()),
                    Some(InstanceStateName::ShuttingDown | InstanceStateName::Terminated)
                );
                let native = instance
                    .instance_id()
                    .ok_or_else(|| at.lacking("instance id"))?;
                let id = NodeId::new(self.name(), &api.region, native)?;
                let asked = ids.iter().any(|id| id == native) || self.is_leaving(&id);
                if !going && !asked {
                    return Ok(true);
                }
            }
            next = page
                .next_token()
                .filter(|t| !t.is_empty())
                .map(str::to_owned);
            if next.is_none() {
                return Ok(false);
            }
        }
    }

    /// Removes a keeper of ours, whatever machines it still has, and its template before it. One that was made by name through
    /// the groups ability goes by name.
    async fn remove_keeper(&self, api: &RegionApi, membership: &Membership) -> Result<()> {
        match membership {
            Membership::Single => Ok(()),
            Membership::Group(group) if !group.starts_with("fleetwright-") => Ok(()),
            Membership::Group(group) => self.remove_group(api, group).await,
            Membership::Fleet(fleet) => self.remove_fleet(api, fleet).await,
            Membership::SpotFleet(request) => self.remove_spot_fleet(api, request).await,
        }
    }

    /// EC2 does not know the id. A new instance is unknown for a moment, too: only what stays
    /// unknown is gone.
    async fn nowhere(&self, id: &NodeId) -> Result<Deletion> {
        if self.was_just_made(id) {
            return Ok(Deletion::Started);
        }
        self.clock().sleep(self.config().listing_lag.0).await;
        match self.instance(id).await? {
            None => {
                self.forget(id);
                Ok(Deletion::Gone)
            }
            Some(_) => Ok(Deletion::Started),
        }
    }

    /// Terminates instances; says of each whether EC2 knows it.
    pub(crate) async fn terminate(
        &self,
        api: &RegionApi,
        mut ids: Vec<String>,
    ) -> Result<HashMap<String, Result<bool>>> {
        let at = At::new("TerminateInstances", &api.region);
        let mut done = HashMap::new();
        while !ids.is_empty() {
            let answer = api
                .ec2
                .terminate_instances()
                .set_instance_ids(Some(ids.clone()))
                .send()
                .await;
            match answer.map_err(|error| at.error(error)) {
                Ok(_) => {
                    done.extend(ids.drain(..).map(|id| (id, Ok(true))));
                }
                // One unknown id refuses all.
                Err(error) if error.kind() == Kind::NotFound => {
                    let mut unknown = named(&error.to_string(), &ids);
                    if unknown.is_empty() {
                        if ids.len() > 1 {
                            return Err(error);
                        }
                        unknown.clone_from(&ids);
                    }
                    ids.retain(|id| !unknown.contains(id));
                    done.extend(unknown.into_iter().map(|id| (id, Ok(false))));
                }
                Err(error) => return Err(error),
            }
        }
        Ok(done)
    }

    /// Removes one member of a group together with its place in it. What has left the group on its
    /// own way is no error.
    ///
    /// # Errors
    /// `Conflict` if the group would fall below its minimum.
    pub(crate) async fn terminate_in_group(
        &self,
        api: &RegionApi,
        group: &str,
        native: &str,
    ) -> Result<()> {
        let Some(known) = self.describe_group(api, group).await? else {
            return Ok(());
        };
        let is_member = known.instances().iter().any(|member| {
            member.instance_id() == Some(native)
                && member
                    .lifecycle_state()
                    .is_none_or(|state| !state.as_str().starts_with("Terminat"))
        });
        if !is_member {
            return Ok(());
        }
        let (desired, min) = (known.desired_capacity(), known.min_size());
        if desired.unwrap_or(0) <= min.unwrap_or(0) {
            return Err(Error::new(
                Kind::Conflict,
                format!(
                    "group `{group}` has its minimum of {} machines",
                    min.unwrap_or(0)
                ),
            )
            .with_hint("lower the minimum of the group first")
            .with_context("region", &*api.region));
        }
        let at = At::new("TerminateInstanceInAutoScalingGroup", &api.region);
        let answer = api
            .autoscaling
            .terminate_instance_in_auto_scaling_group()
            .instance_id(native)
            .should_decrement_desired_capacity(true)
            .send()
            .await;
        match answer.map_err(|error| at.error(error)) {
            Ok(_) => Ok(()),
            // It has gone meanwhile: "Instance Id not found".
            Err(error)
                if error.kind() == Kind::Invalid && error.to_string().contains("not found") =>
            {
                Ok(())
            }
            Err(error) => Err(error),
        }
    }

    // === what made them ===

    /// Removes what made an instance that is gone, if this was its last machine: it went by itself,
    /// or by somebody's hand.
    async fn clean_up(&self, api: &RegionApi, membership: &Membership) -> Result<()> {
        let done = format!("cleaned/{}/{membership:?}", api.region);
        if *membership == Membership::Single || self.remembered(&done).is_some() {
            return Ok(());
        }
        let left = self.left(api, membership, &[], 0).await?;
        if left == Left::None && !self.has_others(api, membership, &[]).await? {
            self.remove_keeper(api, membership).await?;
            self.remember(done, String::new());
        }
        Ok(())
    }

    /// Whether a claim has machines that are not terminated.
    pub(crate) async fn has_machines(&self, api: &RegionApi, claim: &str) -> Result<bool> {
        let at = At::new("DescribeInstances", &api.region);
        let mut next: Option<String> = None;
        loop {
            let page = api
                .ec2
                .describe_instances()
                .filters(filter(&format!("tag:{}", keys::CLAIM), claim))
                .set_next_token(next)
                .send()
                .await
                .map_err(|error| at.error(error))?;
            let alive = page
                .reservations()
                .iter()
                .flat_map(Reservation::instances)
                .any(|instance| {
                    instance.state().and_then(|state| state.name())
                        != Some(&InstanceStateName::Terminated)
                });
            if alive {
                return Ok(true);
            }
            next = page
                .next_token()
                .filter(|t| !t.is_empty())
                .map(str::to_owned);
            if next.is_none() {
                return Ok(false);
            }
        }
    }
}
