//! Groups that the cloud keeps at a size: made once, grown, shrunk by name, kept alive.

use std::collections::BTreeSet;

use fleetwright_core::ability::{Group, GroupMember, GroupSpec};
use fleetwright_core::{ClaimId, Groups, Kind, NodeId, Provider, Result, Token, fingerprint};

use crate::run::{Look, fresh_name, ids, len, names};
use crate::verdict::{must, not_applicable};
use crate::{Outcome, Run};

const FITS: &str = "a valid call to a group of a healthy provider succeeds";

/// A group of a case: its spec, its token, and the calls to it.
struct Tended<'a> {
    run: &'a Run<'a>,
    provider: std::sync::Arc<dyn Provider>,
    spec: GroupSpec,
    token: Token,
}

impl<'a> Tended<'a> {
    /// Fewest 1, now 2, most 4.
    fn plan(run: &'a Run<'a>) -> Self {
        let spec = GroupSpec {
            name: fresh_name(),
            min: 1,
            desired: 2,
            max: 4,
            node: run.request(1).spec,
        };
        let token = Token::new(ClaimId::new(), 1, &fingerprint(&spec));
        run.note_group(&spec.node.region, &spec.name);
        Self {
            run,
            provider: run.provider(),
            spec,
            token,
        }
    }

    /// A group that has come to its size.
    async fn made(run: &'a Run<'a>) -> Outcome<Self> {
        let this = Self::plan(run);
        let created = this.create().await;
        run.ok(FITS, created)?;
        this.comes_to(this.spec.desired).await?;
        Ok(this)
    }

    fn groups(&self) -> Outcome<&dyn Groups> {
        match self.provider.groups() {
            Some(groups) => Ok(groups),
            None => not_applicable("the provider has no groups"),
        }
    }

    fn region(&self) -> &str {
        &self.spec.node.region
    }

    async fn create(&self) -> Result<Group> {
        self.create_as(&self.spec, &self.token).await
    }

    async fn create_as(&self, spec: &GroupSpec, token: &Token) -> Result<Group> {
        let Ok(groups) = self.groups() else {
            return Err(fleetwright_core::Error::new(
                Kind::Unsupported,
                "the provider has no groups",
            ));
        };
        self.run
            .at_its_pace(async || groups.create_group(spec, token).await)
            .await
    }

    async fn grow(&self, desired: u32) -> Outcome<Result<()>> {
        let groups = self.groups()?;
        let name = &self.spec.name;
        Ok(self
            .run
            .at_its_pace(async || groups.grow(self.region(), name, desired).await)
            .await)
    }

    async fn remove(&self, nodes: &[NodeId]) -> Outcome<Result<()>> {
        let groups = self.groups()?;
        let name = &self.spec.name;
        Ok(self
            .run
            .at_its_pace(async || groups.remove_members(self.region(), name, nodes).await)
            .await)
    }

    async fn members(&self) -> Outcome<Vec<GroupMember>> {
        let groups = self.groups()?;
        let name = &self.spec.name;
        let members = self
            .run
            .at_its_pace(async || groups.members(self.region(), name).await)
            .await;
        self.run.ok(FITS, members)
    }

    async fn listed(&self) -> Outcome<Option<Group>> {
        let groups = self.groups()?;
        let all = self
            .run
            .at_its_pace(async || groups.list_groups().await)
            .await;
        let mut same: Vec<Group> = self.run.ok(FITS, all)?;
        same.retain(|g| g.name == self.spec.name && g.region == self.spec.node.region);
        must(same.len() <= 1, "a group is listed once", || {
            format!("{same:?}")
        })?;
        Ok(same.pop())
    }

    /// Waits until the group wants and has so many members, none of them leaving.
    async fn comes_to(&self, size: u32) -> Outcome<BTreeSet<NodeId>> {
        self.run
            .until("a group comes to its desired size", async || {
                let group = self.listed().await?;
                let members = self.members().await?;
                let present: BTreeSet<NodeId> = members
                    .iter()
                    .filter(|m| !m.state.is_leaving() && m.healthy != Some(false))
                    .map(|m| m.node.clone())
                    .collect();
                let right = group
                    .as_ref()
                    .is_some_and(|g| g.desired == size && g.size == size);
                Ok(if right && present.len() == len(size) {
                    Look::Done(present)
                } else {
                    Look::Wait(format!("{size} wanted: {group:?} with {members:?}"))
                })
            })
            .await
    }

    /// The machines that exist because of this group and are not leaving.
    async fn real(&self) -> BTreeSet<NodeId> {
        let mut made = self.run.made().await;
        made.retain(|node| !node.state.is_leaving());
        ids(&made)
    }
}

pub(crate) async fn a_group_comes_to_its_size(run: &Run<'_>) -> Outcome {
    let group = Tended::plan(run);
    let answered = group.create().await;
    let answered = run.ok(FITS, answered)?;
    let spec = &group.spec;
    must(
        (&answered.name, &answered.region) == (&spec.name, &spec.node.region)
            && (answered.min, answered.desired, answered.max) == (spec.min, spec.desired, spec.max),
        "`create_group` answers with the group that was asked for",
        || format!("{answered:?} for {spec:?}"),
    )?;
    let members = group.comes_to(spec.desired).await?;
    must(
        members == group.real().await,
        "the members of a group are machines that really exist, and all of them",
        || format!("{members:?}"),
    )?;
    run.settle_lag().await;
    for member in &members {
        let node = run.ok("`get` finds a member of a group", run.look_at(member).await)?;
        must(
            node.is_managed() && node.instance_type == spec.node.instance_type,
            "a member is what the group's spec says, labels included",
            || format!("{node:?}"),
        )?;
    }
    Ok(())
}

pub(crate) async fn a_group_is_made_once_per_token(run: &Run<'_>) -> Outcome {
    let group = Tended::made(run).await?;
    let before = group.real().await;
    for _ in 0..2 {
        let again = group.create().await;
        let again = run.ok(
            "`create_group` returns the group that this token made",
            again,
        )?;
        must(
            again.name == group.spec.name,
            "`create_group` returns the group that this token made",
            || format!("{again:?}"),
        )?;
    }
    group.comes_to(group.spec.desired).await?;
    let after = group.real().await;
    must(
        before == after,
        "`create_group` with the same token makes nothing new",
        || format!("before {before:?}, after {after:?}"),
    )
}

pub(crate) async fn a_taken_group_name_is_a_conflict(run: &Run<'_>) -> Outcome {
    let group = Tended::made(run).await?;
    let before = group.real().await;
    let other = Token::new(ClaimId::new(), 1, &fingerprint("other"));
    let refused = group.create_as(&group.spec, &other).await;
    run.refused(
        "`create_group` is `Conflict` if another token made a group of that name",
        Kind::Conflict,
        refused,
    )?;
    must(
        before == group.real().await,
        "a refused `create_group` changes nothing",
        || format!("before {before:?}"),
    )
}

pub(crate) async fn a_group_that_cannot_be_is_refused(run: &Run<'_>) -> Outcome {
    let group = Tended::plan(run);
    let sizes = |min, desired, max| GroupSpec {
        min,
        desired,
        max,
        ..group.spec.clone()
    };
    let mut odd_type = group.spec.clone();
    "conformance-no-such-type".clone_into(&mut odd_type.node.instance_type);
    for (what, spec) in [
        ("below its minimum", sizes(2, 1, 4)),
        ("above its maximum", sizes(1, 5, 4)),
        ("of an unknown type", odd_type),
    ] {
        let token = Token::new(ClaimId::new(), 1, &fingerprint(&spec));
        let refused = group.create_as(&spec, &token).await;
        run.refused(
            &format!("a group {what} is `Invalid`"),
            Kind::Invalid,
            refused,
        )?;
    }
    let left = group.listed().await?;
    let made = run.made().await;
    must(
        left.is_none() && made.is_empty(),
        "a refused `create_group` makes nothing",
        || format!("{left:?} with {}", names(&made)),
    )
}

pub(crate) async fn a_group_grows(run: &Run<'_>) -> Outcome {
    let group = Tended::made(run).await?;
    let before = group.comes_to(2).await?;
    let grown = group.grow(3).await?;
    run.ok("`grow` to a size below the maximum succeeds", grown)?;
    let after = group.comes_to(3).await?;
    must(
        before.is_subset(&after),
        "growing a group leaves its members alone",
        || format!("before {before:?}, after {after:?}"),
    )?;
    let again = group.grow(3).await?;
    run.ok("`grow` to the present size is fine", again)?;
    let same = group.comes_to(3).await?;
    must(
        same == after,
        "`grow` to the present size changes nothing",
        || format!("before {after:?}, after {same:?}"),
    )
}

pub(crate) async fn growing_neither_shrinks_nor_bursts_a_group(run: &Run<'_>) -> Outcome {
    let group = Tended::made(run).await?;
    let before = group.comes_to(2).await?;
    for (what, size) in [("below the present size", 1), ("above the maximum", 5)] {
        let refused = group.grow(size).await?;
        run.refused(
            &format!("`grow` to a size {what} is `Invalid`"),
            Kind::Invalid,
            refused,
        )?;
    }
    let after = group.comes_to(2).await?;
    must(before == after, "a refused `grow` changes nothing", || {
        format!("before {before:?}, after {after:?}")
    })
}

pub(crate) async fn removed_members_are_not_replaced(run: &Run<'_>) -> Outcome {
    let group = Tended::made(run).await?;
    let grown = group.grow(3).await?;
    run.ok("`grow` to a size below the maximum succeeds", grown)?;
    let before = group.comes_to(3).await?;
    let victim: Vec<NodeId> = before.iter().take(1).cloned().collect();
    let removed = group.remove(&victim).await?;
    run.ok("`remove_members` above the minimum succeeds", removed)?;
    let after = group.comes_to(2).await?;
    must(
        after
            .iter()
            .all(|id| before.contains(id) && *id != victim[0]),
        "`remove_members` removes the members that were named, no other, and lowers the size",
        || format!("before {before:?}, removed {victim:?}, after {after:?}"),
    )?;
    run.until("a removed member leaves the world", async || {
        let left = run.made().await;
        Ok(if left.iter().any(|node| node.id == victim[0]) {
            Look::Wait(names(&left))
        } else {
            Look::Done(())
        })
    })
    .await?;
    let again = group.remove(&victim).await?;
    run.ok(
        "`remove_members`: members that are gone already do not count",
        again,
    )?;
    let same = group.comes_to(2).await?;
    must(
        same == after,
        "`remove_members`: members that are gone already do not count",
        || format!("before {after:?}, after {same:?}"),
    )
}

pub(crate) async fn the_minimum_protects_every_member(run: &Run<'_>) -> Outcome {
    let group = Tended::made(run).await?;
    let before = group.comes_to(2).await?;
    let all: Vec<NodeId> = before.iter().cloned().collect();
    let refused = group.remove(&all).await?;
    run.refused(
        "`remove_members` is `Invalid` if the size would fall below the minimum",
        Kind::Invalid,
        refused,
    )?;
    let after = group.comes_to(2).await?;
    let real = group.real().await;
    must(
        after == before && real == before,
        "nothing is removed if the size would fall below the minimum",
        || format!("before {before:?}, after {after:?}, real {real:?}"),
    )
}

pub(crate) async fn a_dead_member_is_replaced(run: &Run<'_>) -> Outcome {
    let group = Tended::made(run).await?;
    let before = group.comes_to(2).await?;
    let Some(victim) = before.first() else {
        return not_applicable("a group of two has no member");
    };
    if !run.subject().kill(victim).await {
        return not_applicable("the subject cannot end a machine behind the provider's back");
    }
    run.until("a group replaces a member that died", async || {
        let now = group.comes_to(2).await?;
        Ok(if now.contains(victim) {
            Look::Wait(format!("the dead `{victim}` is in {now:?}"))
        } else {
            Look::Done(())
        })
    })
    .await
}

pub(crate) async fn deleting_a_group_removes_its_members(run: &Run<'_>) -> Outcome {
    let bystander = run.nodes(1).await?.remove(0);
    let group = Tended::made(run).await?;
    let groups = group.groups()?;
    for _ in 0..2 {
        let name = &group.spec.name;
        let deleted = run
            .at_its_pace(async || groups.delete_group(group.region(), name).await)
            .await;
        run.ok("`delete_group` succeeds, also for what is gone", deleted)?;
    }
    run.until(
        "`delete_group` removes the group and its members",
        async || {
            let listed = group.listed().await?;
            let left = run.made().await;
            Ok(if listed.is_none() && left.len() <= 1 {
                Look::Done(())
            } else {
                Look::Wait(format!("{listed:?} with {}", names(&left)))
            })
        },
    )
    .await?;
    let left = run.made().await;
    must(
        ids(&left).contains(&bystander.id),
        "`delete_group` removes no machine that is not a member",
        || format!("`{}` is missing in {}", bystander.id, names(&left)),
    )
}

pub(crate) async fn an_unknown_group_is_not_found(run: &Run<'_>) -> Outcome {
    let provider = run.provider();
    let Some(groups) = provider.groups() else {
        return not_applicable("the provider has no groups");
    };
    let (region, name) = (run.subject().spec().region, fresh_name());
    let members = run
        .at_its_pace(async || groups.members(&region, &name).await)
        .await;
    run.refused(
        "`members` of an unknown group is `NotFound`",
        Kind::NotFound,
        members,
    )?;
    let grown = run
        .at_its_pace(async || groups.grow(&region, &name, 1).await)
        .await;
    run.refused(
        "`grow` of an unknown group is `NotFound`",
        Kind::NotFound,
        grown,
    )?;
    let deleted = run
        .at_its_pace(async || groups.delete_group(&region, &name).await)
        .await;
    run.ok("`delete_group` of what is not there is fine", deleted)
}
