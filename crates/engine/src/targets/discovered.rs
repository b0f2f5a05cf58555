//! Machines that providers list: by a filter, or as members of a group of the cloud.

use std::collections::HashSet;

use fleetwright_core::{
    Access, AddressChoice, Coverage, Discovery, Error, Filter, Kind, Listing, Node, NodeId,
    NodeState, Provider, Result, Target, TargetAddress, TargetGroup, TargetGroupName, TargetOrigin,
};

use super::merge::Merge;
use super::{NoLogin, TargetGap};
use crate::Engine;

impl Engine {
    /// Adds the machines that the discoveries of a group show, and those that they showed before
    /// and could not look for now.
    pub(super) async fn discover_group(
        &self,
        name: &str,
        group: &TargetGroup,
        all: &mut Merge,
    ) -> Result<()> {
        for discovery in &group.discover {
            let filter: Filter = discovery.filter.as_deref().unwrap_or_default().parse()?;
            let listing = self.look_for(discovery, &filter).await;
            self.add_listing(name, group, discovery, &filter, listing, all)
                .await?;
        }
        Ok(())
    }

    async fn look_for(&self, discovery: &Discovery, filter: &Filter) -> Listing {
        let failed = |error: &Error| Listing {
            nodes: Vec::new(),
            coverage: Coverage::failed(error),
        };
        let Some(provider) = self.providers.get(&discovery.provider) else {
            return failed(&Error::new(
                Kind::Config,
                format!("no provider is named `{}`", discovery.provider),
            ));
        };
        let members = match &discovery.members_of {
            None => None,
            Some(group) => match members(&**provider, group).await {
                Ok(members) => Some(members),
                Err(error) => return failed(&error),
            },
        };
        let mut listing = self.list_foreign(&discovery.provider, filter).await;
        if let Some(members) = members {
            listing.nodes.retain(|node| members.contains(&node.id));
        }
        listing
    }

    /// What one provider has that matches, whoever made it.
    async fn list_foreign(&self, provider: &str, filter: &Filter) -> Listing {
        let this_one = match format!("provider={provider}").parse::<Filter>() {
            Ok(this_one) if filter.is_empty() => this_one,
            Ok(this_one) => match format!("{this_one},{filter}").parse() {
                Ok(both) => both,
                Err(error) => {
                    return Listing {
                        nodes: Vec::new(),
                        coverage: Coverage::failed(&error),
                    };
                }
            },
            Err(error) => {
                return Listing {
                    nodes: Vec::new(),
                    coverage: Coverage::failed(&error),
                };
            }
        };
        let mut found = self.discover(&this_one, true).await;
        // Nothing was asked if the filter rules the provider out: then there is nothing.
        found
            .remove(provider)
            .unwrap_or_else(|| Listing::complete(Vec::new()))
    }

    async fn add_listing(
        &self,
        name: &str,
        group: &TargetGroup,
        discovery: &Discovery,
        filter: &Filter,
        listing: Listing,
        all: &mut Merge,
    ) -> Result<()> {
        let origin = match &discovery.members_of {
            Some(group) => TargetOrigin::Member {
                provider: discovery.provider.clone(),
                group: group.clone(),
            },
            None => TargetOrigin::Discovered {
                provider: discovery.provider.clone(),
                filter: filter.to_string(),
            },
        };
        for gap in listing.coverage.gaps() {
            let region = gap.region.as_deref().unwrap_or("*");
            all.gaps.push(TargetGap {
                group: name.to_owned(),
                place: format!("{}/{region}", discovery.provider),
                error: gap.error.clone(),
            });
        }
        let source = format!("targets.{name}/{origin}/{filter}");
        let seen = self.store.seen_targets(&source).await?;
        let mut shown = Vec::new();
        let mut listed = HashSet::new();
        for node in &listing.nodes {
            if node.state.is_leaving() {
                continue;
            }
            listed.insert(node.id.to_string());
            match access(node, discovery.address, group.user.as_deref()) {
                Ok(access) => {
                    let target = Target {
                        name: node.name.clone(),
                        access,
                        group: Some(TargetGroupName::Targets(name.to_owned())),
                        node: Some(node.id.clone()),
                        origins: vec![origin.clone()],
                        labels: node.labels.clone(),
                    };
                    all.add(target.clone(), Some(node.state.to_string()));
                    shown.push(target);
                }
                Err(reason) => all.add_unreachable(NoLogin {
                    name: node.name.clone(),
                    origin: origin.clone(),
                    reason,
                }),
            }
        }
        let mut left = Vec::new();
        for one in seen.into_iter().filter(|one| !listed.contains(&one.key)) {
            let region = one.target.node.as_ref().map_or("", NodeId::region);
            if listing.coverage.covers(region) {
                left.push(one.key);
            } else {
                let state = format!("not seen since {:.0}", one.last_seen);
                all.add(one.target, Some(state));
            }
        }
        self.store
            .see_targets(&source, self.clock.now(), &shown, &left)
            .await
    }
}

/// The members of a group of the cloud, in whichever of the provider's regions it is.
async fn members(provider: &dyn Provider, group: &str) -> Result<HashSet<NodeId>> {
    let info = provider.info();
    let groups = provider.groups().ok_or_else(|| {
        Error::new(
            Kind::Unsupported,
            format!("provider `{}` has no groups", info.name),
        )
    })?;
    let there = groups.list_groups().await?;
    let mut regions = there.iter().filter(|one| one.name == group).peekable();
    if regions.peek().is_none() {
        return Err(Error::new(
            Kind::NotFound,
            format!("provider `{}` has no group `{group}`", info.name),
        ));
    }
    let mut all = HashSet::new();
    for one in regions {
        let members = groups.members(&one.region, group).await?;
        all.extend(members.into_iter().map(|member| member.node));
    }
    Ok(all)
}

/// How to log in to a listed machine; in words, why nobody can.
fn access(
    node: &Node,
    choice: Option<AddressChoice>,
    user: Option<&str>,
) -> Result<Access, String> {
    match &node.state {
        NodeState::Running | NodeState::Unknown(_) => {}
        other => return Err(format!("it is {other}")),
    }
    let (public, private) = (node.addresses.public, node.addresses.private);
    let address = match choice {
        Some(AddressChoice::Public) => Some(public.ok_or("it has no public address")?),
        Some(AddressChoice::Private) => Some(private.ok_or("it has no private address")?),
        None if node.access.is_some() => None,
        None => Some(public.or(private).ok_or("it has no address")?),
    };
    let mut access = node.access.clone().unwrap_or_else(|| Access {
        host: String::new(),
        port: TargetAddress::PORT,
        user: user.unwrap_or(TargetAddress::USER).to_owned(),
        host_keys: Vec::new(),
    });
    if let Some(address) = address {
        access.host = address.to_string();
    }
    Ok(access)
}
