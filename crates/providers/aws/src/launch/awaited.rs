//! Waiting for machines that AWS launches on its own: fleets that are not instant, and groups.
//!
//! The call that asks for them only answers that it was heard. So we look until all are there, or
//! AWS says why they are not, or the time is up; then we tell AWS to stop, so that nothing of an
//! answered call turns up late, and look once more.

use std::collections::BTreeMap;

use async_trait::async_trait;
use fleetwright_core::{Created, Effect, Error, Kind, Node, NodeId, Result, Scope};

use super::Wish;
use crate::api::RegionApi;
use crate::delete::Membership;
use crate::node;
use crate::provider::AwsProvider;

/// A machine as its keeper names it, before `DescribeInstances` knows it.
#[derive(Debug, Clone)]
pub(super) struct Member {
    pub(super) id: String,
    pub(super) instance_type: String,
    pub(super) zone: Option<String>,
    pub(super) market: fleetwright_core::Market,
}

/// Something of AWS's that makes machines and keeps their number.
#[async_trait]
pub(super) trait Keeper: Sync {
    /// The machines that it has now.
    async fn members(&self) -> Result<Vec<Member>>;
    /// What it is, as its machines name it.
    fn membership(&self) -> Membership;
    /// Why it could not make some, as far as it says.
    async fn complaints(&self) -> Result<Vec<Error>>;
    /// From now on it makes no more than it has: `have` machines.
    async fn stop(&self, have: usize) -> Result<()>;
    /// It goes, with everything that belongs to it. Only called if it has no machine.
    async fn discard(&self) -> Result<()>;
}

impl AwsProvider {
    /// Waits for a keeper's machines.
    ///
    /// # Errors
    /// With `Effect::None` only after the keeper was removed without a machine.
    pub(super) async fn await_members(
        &self,
        api: &RegionApi,
        wish: &Wish<'_>,
        keeper: &dyn Keeper,
    ) -> Result<Created> {
        // The request was heard: whatever fails from here on, machines may come of it.
        self.wait(api, wish, keeper).await.map_err(|error| {
            let nothing = error.context().any(|(name, _)| name == NOTHING);
            if nothing {
                error
            } else {
                error.with_effect(Effect::Unknown)
            }
        })
    }

    async fn wait(&self, api: &RegionApi, wish: &Wish<'_>, keeper: &dyn Keeper) -> Result<Created> {
        let asked = usize::try_from(wish.request.count).unwrap_or(usize::MAX);
        let patience = self.config().fulfil_within.0;
        let quiet = patience / 4;
        let started = self.clock().now();
        let mut grown = (0, started);
        let mut pause = self.poll_pause();
        loop {
            let members = keeper.members().await?;
            if members.len() >= asked {
                return Ok(Created::all(
                    self.nodes_of(api, wish, &members, &keeper.membership())
                        .await?,
                ));
            }
            let now = self.clock().now();
            if members.len() > grown.0 {
                grown = (members.len(), now);
            }
            let since = |then| std::time::Duration::try_from(now.duration_since(then));
            let over = since(started).is_ok_and(|waited| waited >= patience);
            let silent = since(grown.1).is_ok_and(|waited| waited >= quiet);
            if over || (silent && !keeper.complaints().await?.is_empty()) {
                keeper.stop(members.len()).await?;
                break;
            }
            self.clock().sleep(pause).await;
            pause = (pause * 2).min(self.poll_pause() * 16);
        }
        let members = keeper.members().await?;
        let complaints = keeper.complaints().await?;
        let shortfall = shortfall(wish, &api.region, members.len(), complaints);
        if members.is_empty() {
            keeper.discard().await?;
            return Err(shortfall
                .with_effect(Effect::None)
                .with_context(NOTHING, "true"));
        }
        let nodes = self
            .nodes_of(api, wish, &members, &keeper.membership())
            .await?;
        if members.len() >= asked {
            return Ok(Created::all(nodes));
        }
        Ok(Created::partial(nodes, shortfall))
    }

    /// The members as nodes: as `DescribeInstances` shows them, or, while it does not yet, as
    /// their keeper named them.
    pub(super) async fn nodes_of(
        &self,
        api: &RegionApi,
        wish: &Wish<'_>,
        members: &[Member],
        membership: &Membership,
    ) -> Result<Vec<Node>> {
        let ids: Vec<String> = members.iter().map(|member| member.id.clone()).collect();
        let seen = self.describe_now(api, &ids).await?;
        let mut nodes = Vec::with_capacity(members.len());
        for member in members {
            match seen.iter().find(|i| i.instance_id() == Some(&member.id)) {
                Some(instance) => nodes.push(self.node(&api.region, instance)?),
                None => nodes.push(self.promised(&api.region, wish, member)?),
            }
        }
        self.note_made(&nodes, membership);
        Ok(nodes)
    }

    /// A node that was just made and is not shown yet.
    pub(super) fn promised(&self, region: &str, wish: &Wish<'_>, member: &Member) -> Result<Node> {
        let spec = &wish.request.spec;
        let tail = member.id.len().saturating_sub(8);
        let suffix = member.id.get(tail..).unwrap_or(&member.id);
        Ok(Node {
            id: NodeId::new(self.name(), region, &member.id)?,
            name: format!("{}-{suffix}", spec.name),
            state: fleetwright_core::NodeState::Pending,
            instance_type: member.instance_type.clone(),
            zone: member.zone.clone(),
            market: member.market,
            addresses: fleetwright_core::Addresses::default(),
            access: None,
            boot: None,
            labels: node::labels(&wish.tags),
            created_at: None,
            price: None,
            message: None,
            metadata: BTreeMap::new(),
        })
    }
}

/// Marks the one error after which certainly nothing exists.
const NOTHING: &str = "nothing-was-made";

fn shortfall(wish: &Wish<'_>, region: &str, have: usize, complaints: Vec<Error>) -> Error {
    let asked = wish.request.count;
    let told = complaints
        .into_iter()
        // What ends the search for offers goes before what does not.
        .min_by_key(|error| match error.kind() {
            Kind::Auth | Kind::Permission | Kind::Invalid => 0,
            Kind::Quota => 1,
            _ => 2,
        });
    let error = told.unwrap_or_else(|| {
        Error::new(
            Kind::Capacity,
            format!("AWS started {have} of {asked} machines in the time allowed"),
        )
        .with_scope(Scope::Zone)
    });
    error
        .with_context("region", region)
        .with_context("started", format!("{have} of {asked}"))
}
