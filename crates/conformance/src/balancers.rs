//! Who gets traffic: registered, healthy, draining, gone.

use std::collections::BTreeSet;
use std::sync::Arc;

use fleetwright_core::ability::{Member, MemberHealth};
use fleetwright_core::{Balancers, Kind, NodeId, Provider, Result};

use crate::lifecycle::running;
use crate::run::{Look, fresh_name};
use crate::verdict::{must, not_applicable};
use crate::{Outcome, Run};

const FITS: &str = "a valid call to a balancer of a healthy provider succeeds";

/// A balancer that the subject lends.
struct Lent<'a> {
    run: &'a Run<'a>,
    provider: Arc<dyn Provider>,
    name: String,
}

impl<'a> Lent<'a> {
    async fn by(run: &'a Run<'a>) -> Outcome<Self> {
        match run.subject().balancer().await {
            Some(name) => Ok(Self {
                run,
                provider: run.provider(),
                name,
            }),
            None => not_applicable("there is no balancer"),
        }
    }

    fn balancers(&self) -> Outcome<&dyn Balancers> {
        match self.provider.balancers() {
            Some(balancers) => Ok(balancers),
            None => not_applicable("the provider has no balancers"),
        }
    }

    async fn register(&self, node: &NodeId) -> Outcome {
        let balancers = self.balancers()?;
        let result: Result<()> = self
            .run
            .at_its_pace(async || balancers.register(&self.name, node).await)
            .await;
        self.run.ok(FITS, result)
    }

    async fn deregister(&self, node: &NodeId) -> Outcome {
        let balancers = self.balancers()?;
        let result: Result<()> = self
            .run
            .at_its_pace(async || balancers.deregister(&self.name, node).await)
            .await;
        self.run.ok(FITS, result)
    }

    /// How the node is listed. More than once is a failure.
    async fn health(&self, node: &NodeId) -> Outcome<Option<MemberHealth>> {
        let balancers = self.balancers()?;
        let members = self
            .run
            .at_its_pace(async || balancers.members(&self.name).await)
            .await;
        let mut members: Vec<Member> = self.run.ok(FITS, members)?;
        members.retain(|member| member.node == *node);
        must(
            members.len() <= 1,
            "a node is a member of a balancer once",
            || format!("{members:?}"),
        )?;
        Ok(members.pop().map(|member| member.health))
    }

    async fn becomes(
        &self,
        contract: &str,
        node: &NodeId,
        wanted: impl Fn(Option<&MemberHealth>) -> bool,
    ) -> Outcome {
        self.run
            .until(contract, async || {
                let health = self.health(node).await?;
                Ok(if wanted(health.as_ref()) {
                    Look::Done(())
                } else {
                    Look::Wait(format!("`{node}` is {health:?}"))
                })
            })
            .await
    }

    async fn becomes_healthy(&self, node: &NodeId) -> Outcome {
        self.becomes(
            "a running node that is registered becomes healthy",
            node,
            |health| health == Some(&MemberHealth::Healthy),
        )
        .await
    }

    async fn leaves(&self, node: &NodeId) -> Outcome {
        self.becomes(
            "a node that is taken out leaves the list when it has drained",
            node,
            |health| health.is_none(),
        )
        .await
    }
}

pub(crate) async fn balancers_are_named_once(run: &Run<'_>) -> Outcome {
    let provider = run.provider();
    let Some(balancers) = provider.balancers() else {
        return not_applicable("the provider has no balancers");
    };
    let all = run
        .at_its_pace(async || balancers.list_balancers().await)
        .await;
    let all = run.ok("`list_balancers` of a healthy provider succeeds", all)?;
    let unique: BTreeSet<&str> = all.iter().map(|b| &*b.name).collect();
    must(
        unique.len() == all.len() && !unique.contains(""),
        "the name of a balancer is unique for the provider",
        || format!("{all:?}"),
    )?;
    must(
        all.iter()
            .filter_map(|b| b.region.as_ref())
            .all(|region| run.info().regions.contains(region)),
        "a balancer is global or in a configured region",
        || format!("{all:?}"),
    )
}

pub(crate) async fn a_registered_node_becomes_healthy(run: &Run<'_>) -> Outcome {
    let balancer = Lent::by(run).await?;
    let node = running(run).await?;
    for _ in 0..2 {
        balancer.register(&node.id).await?;
        balancer.becomes_healthy(&node.id).await?;
    }
    balancer.register(&node.id).await?;
    let health = balancer.health(&node.id).await?;
    must(
        health == Some(MemberHealth::Healthy),
        "registering a member again changes nothing",
        || format!("{health:?}"),
    )?;
    balancer.deregister(&node.id).await?;
    balancer.leaves(&node.id).await
}

pub(crate) async fn a_deregistered_node_drains_and_leaves(run: &Run<'_>) -> Outcome {
    let balancer = Lent::by(run).await?;
    let node = running(run).await?;
    balancer.register(&node.id).await?;
    balancer.becomes_healthy(&node.id).await?;
    balancer.deregister(&node.id).await?;
    let health = balancer.health(&node.id).await?;
    must(
        matches!(health, None | Some(MemberHealth::Draining)),
        "a node that is taken out gets no new traffic: it drains or has left",
        || format!("{health:?} right after `deregister`"),
    )?;
    // Again, while it drains: fine, and it does not begin anew for ever.
    balancer.deregister(&node.id).await?;
    balancer.leaves(&node.id).await?;
    balancer.register(&node.id).await?;
    balancer.becomes_healthy(&node.id).await?;
    balancer.deregister(&node.id).await?;
    balancer.leaves(&node.id).await
}

pub(crate) async fn taking_out_what_is_not_there_is_fine(run: &Run<'_>) -> Outcome {
    let balancer = Lent::by(run).await?;
    let node = run.nodes(1).await?.remove(0);
    balancer.deregister(&node.id).await?;
    balancer.deregister(&run.subject().unknown_id()).await
}

pub(crate) async fn an_unknown_balancer_is_not_found(run: &Run<'_>) -> Outcome {
    const CONTRACT: &str = "an unknown balancer is `NotFound`";
    let provider = run.provider();
    let Some(balancers) = provider.balancers() else {
        return not_applicable("the provider has no balancers");
    };
    let name = fresh_name();
    let members = run
        .at_its_pace(async || balancers.members(&name).await)
        .await;
    run.refused(CONTRACT, Kind::NotFound, members)?;
    let node = run.nodes(1).await?.remove(0);
    let registered = run
        .at_its_pace(async || balancers.register(&name, &node.id).await)
        .await;
    run.refused(CONTRACT, Kind::NotFound, registered)
        .map(|_| ())
}

pub(crate) async fn a_dead_member_gets_no_traffic(run: &Run<'_>) -> Outcome {
    let balancer = Lent::by(run).await?;
    let node = running(run).await?;
    balancer.register(&node.id).await?;
    balancer.becomes_healthy(&node.id).await?;
    if !run.subject().kill(&node.id).await {
        return not_applicable("the subject cannot end a machine behind the provider's back");
    }
    balancer
        .becomes("a member that died is not healthy", &node.id, |health| {
            health != Some(&MemberHealth::Healthy)
        })
        .await?;
    balancer.deregister(&node.id).await?;
    balancer.leaves(&node.id).await
}
