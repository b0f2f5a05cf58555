//! Looking at one node, and ids that name none of ours.

use fleetwright_core::{Deletion, Kind, NodeId};

use crate::run::{ids, names};
use crate::verdict::{must, not_applicable};
use crate::{Outcome, Run};

pub(crate) async fn a_node_is_what_was_made(run: &Run<'_>) -> Outcome {
    let node = run.nodes(1).await?.remove(0);
    run.settle_lag().await;
    let looked = run.ok(
        "`get` finds a node that exists",
        run.look_at(&node.id).await,
    )?;
    let facts = |n: &fleetwright_core::Node| {
        (
            n.id.clone(),
            n.name.clone(),
            n.instance_type.clone(),
            n.market,
            n.labels.clone(),
        )
    };
    must(
        facts(&node) == facts(&looked),
        "`get` shows the node that `create` answered with",
        || format!("created {node:?}; then {looked:?}"),
    )
}

pub(crate) async fn an_unknown_node_is_not_found(run: &Run<'_>) -> Outcome {
    let id = run.subject().unknown_id();
    run.refused(
        "`get` is `NotFound` if the provider says that there is no such node",
        Kind::NotFound,
        run.look_at(&id).await,
    )
    .map(|_| ())
}

pub(crate) async fn a_foreign_node_can_be_looked_at(run: &Run<'_>) -> Outcome {
    let Some(foreign) = run.subject().make_foreign().await else {
        return not_applicable("the subject cannot make a foreign node");
    };
    run.note_foreign(&foreign);
    run.settle_lag().await;
    let node = run.ok(
        "`get` looks at one node, whether we made it or not",
        run.look_at(&foreign).await,
    )?;
    must(
        node.id == foreign && !node.is_managed(),
        "a node that Fleetwright did not make is not shown as ours",
        || format!("{node:?}"),
    )
}

/// Native ids that no cloud gives: paths, quotes, other alphabets, far too long.
fn odd_ids(run: &Run<'_>) -> Vec<NodeId> {
    let (name, region) = (&run.info().name, &run.subject().spec().region);
    [
        "..",
        "../..",
        "../../etc/passwd",
        "/",
        ".",
        "a/b",
        "~",
        "*",
        " ",
        "a b",
        "i-0;rm -rf x",
        "'; drop table nodes; --",
        "%2e%2e%2f",
        "%s%n",
        "\u{0}",
        "\n",
        "-rf",
        "名前",
        "é",
        "🚀",
        "0",
        "-1",
        "99999999999999999999999999",
        &"x".repeat(5_000),
    ]
    .iter()
    .filter_map(|native| NodeId::new(name, region, native).ok())
    .collect()
}

pub(crate) async fn odd_ids_do_no_harm(run: &Run<'_>) -> Outcome {
    let ours = run.nodes(1).await?;
    for id in odd_ids(run) {
        match run.look_at(&id).await {
            Err(error) if matches!(error.kind(), Kind::Invalid | Kind::NotFound) => {}
            other => must(
                false,
                "`get` of an id that no node has is `NotFound` or `Invalid`",
                || format!("{:?}: {other:?}", id.native()),
            )?,
        }
        match run.delete(&id).await {
            Ok(Deletion::Gone) => {}
            Err(error) if error.kind() == Kind::Invalid => {}
            other => must(
                false,
                "`delete` of an id that no node has is `Gone`, or `Invalid` if it cannot be one",
                || format!("{:?}: {other:?}", id.native()),
            )?,
        }
    }
    let real = run.made().await;
    must(ids(&real) == ids(&ours), "odd ids touch nothing", || {
        format!("made {}; real {}", names(&ours), names(&real))
    })
}

pub(crate) async fn ids_of_others_are_refused(run: &Run<'_>) -> Outcome {
    const CONTRACT: &str = "a provider that was not asked for its own nodes answers `Invalid`: \
                            `NotFound` or `Gone` would say that a node elsewhere does not exist";
    let ours = run.nodes(1).await?;
    let id = &ours[0].id;
    let others = [
        NodeId::new("conformance-other", id.region(), id.native()),
        NodeId::new(id.provider(), "conformance-no-such-region", id.native()),
    ];
    for other in others {
        let other = run.ok("ids of other providers and regions can be written", other)?;
        run.refused(CONTRACT, Kind::Invalid, run.look_at(&other).await)?;
        run.refused(CONTRACT, Kind::Invalid, run.delete(&other).await)?;
    }
    let real = run.made().await;
    must(
        ids(&real) == ids(&ours) && real.iter().all(|node| !node.state.is_leaving()),
        "an id of another provider or region never removes a node here",
        || names(&real),
    )
}

pub(crate) async fn an_id_is_bound_to_its_region(run: &Run<'_>) -> Outcome {
    let ours = run.nodes(1).await?;
    let id = &ours[0].id;
    let elsewhere = run.info().regions.iter().find(|r| *r != id.region());
    let Some(elsewhere) = elsewhere else {
        return not_applicable("there is one region only");
    };
    let other = NodeId::new(id.provider(), elsewhere, id.native());
    let other = run.ok("an id of another region can be written", other)?;
    run.settle_lag().await;
    run.refused(
        "`get` of an id that has no node in its region is `NotFound`",
        Kind::NotFound,
        run.look_at(&other).await,
    )?;
    let deletion = run.ok(
        "`delete` of an id that has no node in its region is fine",
        run.delete(&other).await,
    )?;
    let real = run.made().await;
    must(
        deletion == Deletion::Gone
            && ids(&real) == ids(&ours)
            && real.iter().all(|node| !node.state.is_leaving()),
        "an id of another region never removes a node",
        || format!("{deletion:?}; left {}", names(&real)),
    )
}
