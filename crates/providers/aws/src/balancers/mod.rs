//! Target groups of Elastic Load Balancing as balancers: who is registered, and how it fares.
//! <https://docs.aws.amazon.com/elasticloadbalancing/latest/APIReference/Welcome.html>
//!
//! A balancer is a target group, not the load balancer in front of it, since a node joins a group.
//! Groups for lambda functions and for other balancers are none: no node can join them. The name
//! is that of the group. Where the same name exists in several regions, all of them are called
//! `region/name`, which is understood for any group; it also asks one region only, so that the
//! other regions may be down.
//!
//! A group has members by instance or by private address. An address is a node by what EC2 says of
//! it in the group's network; once the instance is gone, by what this process saw before. An
//! address that is nobody's (a machine outside EC2, or one that ended before this process began)
//! is no member.

mod group;

use std::collections::{BTreeMap, BTreeSet, HashMap};

use async_trait::async_trait;
use aws_sdk_ec2::types::{Filter, InstanceStateName, Reservation};
use aws_sdk_elasticloadbalancingv2::types::{
    TargetDescription, TargetHealthDescription, TargetTypeEnum,
};
use fleetwright_core::ability::{Balancer, Member, MemberHealth};
use fleetwright_core::{Balancers, Error, Kind, NodeId, Result};
use futures::future::try_join_all;

pub(crate) use group::Group;
use group::{health, id, is_name, leaving, names, rank, read};

use crate::api::RegionApi;
use crate::error::{At, has_code};
use crate::list::filter;
use crate::provider::AwsProvider;

/// Groups and balancers per page; the most there may be.
const PAGE: i32 = 400;
/// Values per filter; EC2's most.
/// <https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_DescribeInstances.html>
const FILTER_VALUES: usize = 200;

#[async_trait]
impl Balancers for AwsProvider {
    async fn list_balancers(&self) -> Result<Vec<Balancer>> {
        let regions = self.config().regions.iter();
        let found = try_join_all(regions.map(|region| self.fronted_groups(region))).await?;
        let found: Vec<(Group, Option<String>)> = found.into_iter().flatten().collect();
        let named = names(found.iter().map(|(group, _)| group));
        Ok(found
            .iter()
            .zip(named)
            .map(|((group, address), name)| Balancer {
                name,
                region: Some(group.region.clone()),
                address: address.clone(),
            })
            .collect())
    }

    async fn members(&self, balancer: &str) -> Result<Vec<Member>> {
        self.with_group(balancer, |group| async move {
            let targets = self.targets(&group).await?;
            let owners = self.owners(&group, &targets).await?;
            let mut members: BTreeMap<NodeId, MemberHealth> = BTreeMap::new();
            for target in &targets {
                let Some(native) = id(target).and_then(|id| owners.get(id)) else {
                    continue;
                };
                let node = NodeId::new(self.name(), &group.region, native)?;
                let health = health(&group, target.target_health())?;
                // A node may be registered at several ports; it is one member.
                let member = members.entry(node).or_insert_with(|| health.clone());
                if rank(&health) > rank(member) {
                    *member = health;
                }
            }
            let member = |(node, health)| Member { node, health };
            Ok(members.into_iter().map(member).collect())
        })
        .await
    }

    async fn register(&self, balancer: &str, node: &NodeId) -> Result<()> {
        self.own(node)?;
        self.with_group(balancer, |group| async move {
            if node.region() != group.region {
                return Err(Error::new(
                    Kind::Invalid,
                    format!("`{node}` is not in the region of balancer `{balancer}`"),
                )
                .with_context("region", &*group.region));
            }
            let api = self.api().region(&group.region).await?;
            let at = At::new("RegisterTargets", &group.region);
            let target = if group.kind == TargetTypeEnum::Ip {
                self.address(&group, node).await?.ok_or_else(|| {
                    Error::new(
                        Kind::NotFound,
                        format!("there is no instance `{}` with an address", node.native()),
                    )
                })?
            } else {
                node.native().to_owned()
            };
            api.balancing
                .register_targets()
                .target_group_arn(&group.arn)
                .targets(TargetDescription::builder().id(target).build())
                .send()
                .await
                .map(drop)
                .map_err(|error| at.error(error))
        })
        .await
    }

    async fn deregister(&self, balancer: &str, node: &NodeId) -> Result<()> {
        self.own(node)?;
        self.with_group(balancer, |group| async move {
            if node.region() != group.region {
                return Ok(());
            }
            let target = if group.kind == TargetTypeEnum::Ip {
                let address = self.address(&group, node).await?;
                match address.or_else(|| self.last_address(&group, node)) {
                    Some(address) => address,
                    None => return Ok(()),
                }
            } else {
                node.native().to_owned()
            };
            self.take_out(&group, &target).await
        })
        .await
    }
}

impl AwsProvider {
    /// Calls with a group of this name: with the one that was seen last, or, if that is not there
    /// any more, with the one that is.
    async fn with_group<T, F>(
        &self,
        name: &str,
        call: impl Fn(Group) -> F + Send + Sync,
    ) -> Result<T>
    where
        F: Future<Output = Result<T>> + Send,
    {
        if let Some(known) = self.recent_groups().known(name, self.clock().now()) {
            match call(known).await {
                Err(error) if has_code(&error, "TargetGroupNotFound") => {
                    self.recent_groups().forget(name);
                }
                outcome => return outcome,
            }
        }
        let group = self.target_group(name).await?;
        let now = self.clock().now();
        self.recent_groups().note(name, group.clone(), now);
        call(group).await
    }

    /// The one group that a name means.
    async fn target_group(&self, name: &str) -> Result<Group> {
        let configured = &self.config().regions;
        let (regions, plain): (Vec<&String>, &str) = match name.split_once('/') {
            Some((region, plain)) => {
                let region = configured.iter().find(|known| *known == region);
                (region.into_iter().collect(), plain)
            }
            None => (configured.iter().collect(), name),
        };
        let possible = regions.into_iter().filter(|_| is_name(plain));
        let found = try_join_all(possible.map(|region| async move {
            match self.target_groups(region, Some(plain)).await {
                Err(error) if error.kind() == Kind::NotFound => Ok(Vec::new()),
                outcome => outcome,
            }
        }))
        .await?;
        let mut found: Vec<Group> = found.into_iter().flatten().collect();
        match (found.pop(), found.is_empty()) {
            (Some(group), true) => Ok(group),
            (None, _) => Err(
                Error::new(Kind::NotFound, format!("there is no balancer `{name}`")).with_hint(
                    "a balancer is a target group for instances or addresses, by its name",
                ),
            ),
            (Some(last), false) => {
                let all = found.iter().chain([&last]);
                let all: Vec<String> = all.map(|g| format!("`{}/{plain}`", g.region)).collect();
                Err(Error::new(
                    Kind::Invalid,
                    format!("there are {} balancers `{name}`", all.len()),
                )
                .with_hint(format!("write {}", all.join(" or "))))
            }
        }
    }

    /// All groups of a region that nodes can join, or those of one name, over all pages.
    async fn target_groups(&self, region: &str, name: Option<&str>) -> Result<Vec<Group>> {
        let api = self.api().region(region).await?;
        let at = At::new("DescribeTargetGroups", region);
        let mut groups = Vec::new();
        let mut next: Option<String> = None;
        loop {
            let page = api
                .balancing
                .describe_target_groups()
                .set_names(name.map(|name| vec![name.to_owned()]))
                // There is one group of a name.
                .set_page_size(name.is_none().then_some(PAGE))
                .set_marker(next)
                .send()
                .await
                .map_err(|error| at.error(error))?;
            for group in page.target_groups() {
                groups.extend(read(region, group)?);
            }
            next = page
                .next_marker()
                .filter(|m| !m.is_empty())
                .map(str::to_owned);
            if next.is_none() {
                return Ok(groups);
            }
        }
    }

    /// The groups of a region, each with the address of the load balancer in front of it.
    async fn fronted_groups(&self, region: &str) -> Result<Vec<(Group, Option<String>)>> {
        let groups = self.target_groups(region, None).await?;
        let addresses = if groups.iter().any(|group| group.front.is_some()) {
            self.addresses(region).await?
        } else {
            HashMap::new()
        };
        let fronted = |group: Group| {
            let address = group.front.as_ref().and_then(|arn| addresses.get(arn));
            (group.clone(), address.cloned())
        };
        Ok(groups.into_iter().map(fronted).collect())
    }

    /// The DNS names of a region's load balancers by ARN. A Gateway Load Balancer has none.
    async fn addresses(&self, region: &str) -> Result<HashMap<String, String>> {
        let api = self.api().region(region).await?;
        let at = At::new("DescribeLoadBalancers", region);
        let mut addresses = HashMap::new();
        let mut next: Option<String> = None;
        loop {
            let page = api
                .balancing
                .describe_load_balancers()
                .page_size(PAGE)
                .set_marker(next)
                .send()
                .await
                .map_err(|error| at.error(error))?;
            for balancer in page.load_balancers() {
                if let (Some(arn), Some(name)) = (balancer.load_balancer_arn(), balancer.dns_name())
                {
                    addresses.insert(arn.to_owned(), name.to_owned());
                }
            }
            next = page
                .next_marker()
                .filter(|m| !m.is_empty())
                .map(str::to_owned);
            if next.is_none() {
                return Ok(addresses);
            }
        }
    }

    /// All targets of a group, which come without pages.
    async fn targets(&self, group: &Group) -> Result<Vec<TargetHealthDescription>> {
        let api = self.api().region(&group.region).await?;
        let at = At::new("DescribeTargetHealth", &group.region);
        let answer = api
            .balancing
            .describe_target_health()
            .target_group_arn(&group.arn)
            .send()
            .await
            .map_err(|error| at.error(error))?;
        Ok(answer.target_health_descriptions.unwrap_or_default())
    }

    /// Which instance each target is.
    async fn owners(
        &self,
        group: &Group,
        targets: &[TargetHealthDescription],
    ) -> Result<HashMap<String, String>> {
        let ids: BTreeSet<&str> = targets.iter().filter_map(id).collect();
        if group.kind != TargetTypeEnum::Ip {
            let same = |id: &&str| ((*id).to_owned(), (*id).to_owned());
            return Ok(ids.iter().map(same).collect());
        }
        let api = self.api().region(&group.region).await?;
        let addresses: Vec<&str> = ids.into_iter().collect();
        let mut owners = HashMap::new();
        for some in addresses.chunks(FILTER_VALUES) {
            for (address, native) in self.owners_of(api, group, some).await? {
                self.remember(seen(group, &address), native.clone());
                self.remember(seen(group, &native), address.clone());
                owners.insert(address, native);
            }
        }
        for address in addresses {
            // The instance is gone, the registration is not: it is the one that we saw there.
            if !owners.contains_key(address)
                && let Some(native) = self.remembered(&seen(group, address))
            {
                owners.insert(address.to_owned(), native);
            }
        }
        Ok(owners)
    }

    /// The instances that have these addresses now, over all pages.
    async fn owners_of(
        &self,
        api: &RegionApi,
        group: &Group,
        addresses: &[&str],
    ) -> Result<Vec<(String, String)>> {
        let at = At::new("DescribeInstances", &api.region);
        let by_address = Filter::builder()
            .name("private-ip-address")
            .set_values(Some(addresses.iter().map(|&a| a.to_owned()).collect()))
            .build();
        let network = group.network.as_deref();
        let filters: Vec<Filter> = [by_address]
            .into_iter()
            .chain(network.map(|network| filter("vpc-id", network)))
            .collect();
        let mut owners = Vec::new();
        let mut next: Option<String> = None;
        loop {
            let page = api
                .ec2
                .describe_instances()
                .set_filters(Some(filters.clone()))
                .max_results(1_000)
                .set_next_token(next)
                .send()
                .await
                .map_err(|error| at.error(error))?;
            for instance in page.reservations().iter().flat_map(Reservation::instances) {
                let state = instance.state().and_then(|state| state.name());
                let gone = state == Some(&InstanceStateName::Terminated);
                if let (Some(address), Some(native), false) =
                    (instance.private_ip_address(), instance.instance_id(), gone)
                {
                    owners.push((address.to_owned(), native.to_owned()));
                }
            }
            next = page
                .next_token()
                .filter(|t| !t.is_empty())
                .map(str::to_owned);
            if next.is_none() {
                return Ok(owners);
            }
        }
    }

    /// The address that a node has.
    async fn address(&self, group: &Group, node: &NodeId) -> Result<Option<String>> {
        let instance = self.instance(node).await?;
        let address = instance.and_then(|instance| instance.private_ip_address);
        if let Some(address) = &address {
            self.remember(seen(group, address), node.native().to_owned());
            self.remember(seen(group, node.native()), address.clone());
        }
        Ok(address)
    }

    /// The address that a node that is gone had, unless it is somebody else's by now.
    fn last_address(&self, group: &Group, node: &NodeId) -> Option<String> {
        let address = self.remembered(&seen(group, node.native()))?;
        let owner = self.remembered(&seen(group, &address));
        (owner.as_deref() == Some(node.native())).then_some(address)
    }

    /// Deregisters a target at all its ports. What drains already is left to it.
    async fn take_out(&self, group: &Group, target: &str) -> Result<()> {
        let api = self.api().region(&group.region).await?;
        let at = At::new("DeregisterTargets", &group.region);
        let targets = self.targets(group).await?;
        let leaving = leaving(&targets, target);
        if leaving.is_empty() {
            return Ok(());
        }
        let answer = api
            .balancing
            .deregister_targets()
            .target_group_arn(&group.arn)
            .set_targets(Some(leaving))
            .send()
            .await;
        match answer.map_err(|error| at.error(error)) {
            Ok(_) => Ok(()),
            // "The specified target does not exist": what is not there need not go.
            Err(error) if has_code(&error, "InvalidTarget") => Ok(()),
            Err(error) => Err(error),
        }
    }
}

/// Under what the instance of an address is remembered, and the address of an instance.
fn seen(group: &Group, either: &str) -> String {
    format!("target/{}/{either}", group.arn)
}
