//! Listings: every page of every region, only ours unless asked, and honest about what is missing.

use std::collections::BTreeSet;

use fleetwright_core::{
    CreateRequest, Filter, Kind, Labels, ListRequest, Listing, Node, Operation,
};

use crate::create::some;
use crate::run::{Look, ids, names};
use crate::verdict::{must, not_applicable};
use crate::{Fault, Outcome, Run};

const OF_A_HEALTHY: &str = "a listing of a healthy provider succeeds";

/// A listing after its lag, which must be complete.
async fn complete(run: &Run<'_>, request: &ListRequest) -> Outcome<Vec<Node>> {
    run.settle_lag().await;
    let listing = run.ok(OF_A_HEALTHY, run.list(request).await)?;
    must(
        listing.coverage.gaps().is_empty(),
        "a listing that saw every page of every region says `Complete`",
        || format!("{:?}", listing.coverage),
    )?;
    must(
        ids(&listing.nodes).len() == listing.nodes.len(),
        "a listing names each node once",
        || names(&listing.nodes),
    )?;
    Ok(listing.nodes)
}

fn shows_all(listed: &[Node], wanted: &[Node]) -> Outcome {
    let missing: Vec<Node> = wanted
        .iter()
        .filter(|node| !listed.iter().any(|other| other.id == node.id))
        .cloned()
        .collect();
    must(
        missing.is_empty(),
        "a listing that says `Complete` shows every node of ours after `listing_lag`",
        || format!("missing {}; listed {}", names(&missing), names(listed)),
    )
}

pub(crate) async fn an_empty_world_is_listed_as_complete(run: &Run<'_>) -> Outcome {
    let listed = complete(run, &ListRequest::default()).await?;
    let real: BTreeSet<_> = ids(&run.subject().truth().await);
    let invented: Vec<Node> = listed
        .into_iter()
        .filter(|node| !real.contains(&node.id) && !node.state.is_leaving())
        .collect();
    must(
        invented.is_empty(),
        "a listing shows nothing that does not exist",
        || names(&invented),
    )
}

pub(crate) async fn every_page_is_listed(run: &Run<'_>) -> Outcome {
    let Some(page) = run.subject().page_size() else {
        return not_applicable("the listing has no pages");
    };
    let wanted = page.saturating_mul(2).saturating_add(1);
    if wanted > run.subject().room() {
        return not_applicable("there is no room for more than two pages of machines");
    }
    let mut all = Vec::new();
    let mut left = wanted;
    while left > 0 {
        let count = left.min(run.info().batch);
        all.extend(run.nodes(count).await?);
        left -= count;
    }
    shows_all(&complete(run, &ListRequest::default()).await?, &all)
}

pub(crate) async fn labels_narrow_a_listing(run: &Run<'_>) -> Outcome {
    let labeled = |team: &str| {
        let mut spec = run.subject().spec();
        spec.labels.insert("team".to_owned(), team.to_owned());
        run.request_for(spec, 1)
    };
    let ml = run.nodes_of(&labeled("ml")).await?;
    let web = run.nodes_of(&labeled("web")).await?;
    let by = |labels: &[(&str, &str)]| ListRequest {
        labels: labels
            .iter()
            .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
            .collect::<Labels>(),
        ..ListRequest::default()
    };
    let fleet = (fleetwright_core::keys::FLEET, "conformance");
    for (labels, wanted) in [
        (vec![("team", "ml")], &*ml),
        (vec![("team", "web"), fleet], &*web),
        (vec![("team", "none")], &[][..]),
        (vec![("team", "ml"), ("team-of", "web")], &[][..]),
    ] {
        let mut listed = complete(run, &by(&labels)).await?;
        // Clouds go on showing what earlier cases removed, and those labeled their nodes alike.
        listed.retain(|node| !node.state.is_leaving());
        must(
            ids(&listed) == ids(wanted),
            "`ListRequest::labels` leaves the nodes that carry all of these labels",
            || {
                format!(
                    "{labels:?}: {} instead of {}",
                    names(&listed),
                    names(wanted)
                )
            },
        )?;
    }
    Ok(())
}

pub(crate) async fn a_filter_hides_no_match(run: &Run<'_>) -> Outcome {
    let mut spec = run.subject().spec();
    spec.labels.insert("team".to_owned(), "ml".to_owned());
    let node = run.nodes_of(&run.request_for(spec, 1)).await?.remove(0);
    run.nodes(1).await?;
    let everything = complete(run, &ListRequest::default()).await?;
    let region = node.id.region();
    let type_of = &node.instance_type;
    for text in [
        "label.team=ml".to_owned(),
        "tag:team=m*|none".to_owned(),
        "label.team!=ml".to_owned(),
        format!("type={type_of},region={region}"),
        format!("type=none|{type_of},pool!=none"),
        format!("id={}", node.id),
        "zone=*,market=on-demand|spot,state!=deleted".to_owned(),
        "metadata.nobody-has-this=".to_owned(),
    ] {
        let filter: Filter = run.ok("a filter is one", text.parse())?;
        let matching =
            |node: &&Node| !node.state.is_leaving() && filter.matches(&|key| node.property(key));
        let wanted: Vec<Node> = everything.iter().filter(matching).cloned().collect();
        let request = ListRequest {
            filter: filter.clone(),
            ..ListRequest::default()
        };
        let listed = complete(run, &request).await?;
        let hidden: Vec<Node> = wanted
            .into_iter()
            .filter(|node| !listed.iter().any(|other| other.id == node.id))
            .collect();
        must(
            hidden.is_empty(),
            "`ListRequest::filter` may leave out what does not match, and nothing else",
            || format!("`{text}` hides {}", names(&hidden)),
        )?;
    }
    Ok(())
}

/// One node in each of two regions.
async fn in_two_regions(run: &Run<'_>) -> Outcome<[Node; 2]> {
    let here = run.subject().spec();
    let there = run
        .info()
        .regions
        .iter()
        .filter(|region| **region != here.region)
        .find_map(|region| run.subject().spec_in(region));
    let Some(there) = there else {
        return not_applicable("there is one region only");
    };
    let a = run.nodes_of(&run.request_for(here, 1)).await?.remove(0);
    let b = run.nodes_of(&run.request_for(there, 1)).await?.remove(0);
    Ok([a, b])
}

pub(crate) async fn regions_narrow_a_listing(run: &Run<'_>) -> Outcome {
    let nodes = in_two_regions(run).await?;
    shows_all(&complete(run, &ListRequest::default()).await?, &nodes)?;
    for node in &nodes {
        let request = ListRequest {
            regions: Some(vec![node.id.region().to_owned()]),
            ..ListRequest::default()
        };
        let listed = complete(run, &request).await?;
        shows_all(&listed, std::slice::from_ref(node))?;
        must(
            listed.iter().all(|n| n.id.region() == node.id.region()),
            "`ListRequest::regions` leaves the nodes of these regions",
            || format!("asked for `{}`: {}", node.id.region(), names(&listed)),
        )?;
    }
    Ok(())
}

pub(crate) async fn an_unknown_region_is_not_an_empty_listing(run: &Run<'_>) -> Outcome {
    let unknown = "conformance-no-such-region";
    let request = ListRequest {
        regions: Some(vec![unknown.to_owned()]),
        ..ListRequest::default()
    };
    match run.list(&request).await {
        Err(_) => Ok(()),
        Ok(listing) => must(
            !listing.coverage.covers(unknown),
            "a listing never says `Complete` of a region that it cannot look at",
            || format!("{listing:?}"),
        ),
    }
}

pub(crate) async fn foreign_nodes_are_listed_on_request_only(run: &Run<'_>) -> Outcome {
    let Some(foreign) = run.subject().make_foreign().await else {
        return not_applicable("the subject cannot make a foreign node");
    };
    run.note_foreign(&foreign);
    let ours = run.nodes(1).await?;
    let listed = complete(run, &ListRequest::default()).await?;
    must(
        !ids(&listed).contains(&foreign),
        "a listing shows only nodes that Fleetwright made unless asked otherwise",
        || format!("the foreign `{foreign}` in {}", names(&listed)),
    )?;
    shows_all(&listed, &ours)?;
    let request = ListRequest {
        foreign: true,
        ..ListRequest::default()
    };
    let listed = complete(run, &request).await?;
    shows_all(&listed, &ours)?;
    let seen = listed.iter().find(|node| node.id == foreign);
    must(
        seen.is_some_and(|node| !node.is_managed()),
        "`ListRequest::foreign` also shows nodes that Fleetwright did not make, as such",
        || format!("`{foreign}` is {seen:?}; listed {}", names(&listed)),
    )
}

// === what cannot be seen ===

/// Whatever a retrying wrapper made of a fault, a complete listing is complete.
fn honest(listing: &Listing, nodes: &[Node]) -> Outcome {
    let shown = ids(&listing.nodes);
    let hidden: Vec<Node> = nodes
        .iter()
        .filter(|node| listing.coverage.covers(node.id.region()) && !shown.contains(&node.id))
        .cloned()
        .collect();
    must(
        hidden.is_empty(),
        "a region that a listing claims to cover is listed whole: nothing is over-read",
        || {
            format!(
                "missing {} with coverage {:?}",
                names(&hidden),
                listing.coverage
            )
        },
    )
}

pub(crate) async fn a_broken_region_is_a_gap(run: &Run<'_>) -> Outcome {
    let nodes = in_two_regions(run).await?;
    run.settle_lag().await;
    for (broken, whole) in [(&nodes[0], &nodes[1]), (&nodes[1], &nodes[0])] {
        let region = broken.id.region();
        let fault = Fault::midway(Operation::List, Kind::Unavailable).in_region(region);
        run.inject(fault).await?;
        let listing = run.ok(
            "`list` is an error only if nothing could be listed",
            run.list(&ListRequest::default()).await,
        )?;
        honest(&listing, &nodes)?;
        if run.subject().retries() {
            continue;
        }
        let gap = listing.coverage.gap(region);
        must(
            gap.is_some_and(|gap| gap.region.as_deref() == Some(region)),
            "a region whose listing broke is a gap that names it",
            || format!("`{region}` broke: {:?}", listing.coverage),
        )?;
        must(
            gap.is_some_and(|gap| gap.error.kind == Kind::Unavailable),
            "a gap says why",
            || format!("`{region}` broke with `unavailable`: {gap:?}"),
        )?;
        must(
            listing.coverage.covers(whole.id.region()),
            "a region whose listing did not break is covered",
            || format!("{:?}", listing.coverage),
        )?;
        shows_all(&listing.nodes, std::slice::from_ref(whole))?;
    }
    shows_all(&complete(run, &ListRequest::default()).await?, &nodes)
}

pub(crate) async fn a_broken_listing_is_not_an_empty_one(run: &Run<'_>) -> Outcome {
    let nodes = run.nodes(some(run)).await?;
    run.settle_lag().await;
    run.inject(Fault::before(Operation::List, Kind::Unavailable))
        .await?;
    match run.list(&ListRequest::default()).await {
        Err(error) => must(
            error.kind() == Kind::Unavailable,
            "a listing that fails says why",
            || format!("{error:?}"),
        )?,
        Ok(listing) => {
            honest(&listing, &nodes)?;
            must(
                run.subject().retries() || !listing.coverage.gaps().is_empty(),
                "a listing that met an error is not `Complete`",
                || format!("{listing:?}"),
            )?;
        }
    }
    shows_all(&complete(run, &ListRequest::default()).await?, &nodes)
}

pub(crate) async fn a_listing_keeps_up_with_the_world(run: &Run<'_>) -> Outcome {
    let request: CreateRequest = run.request(some(run));
    let nodes = run.nodes_of(&request).await?;
    let (leaving, staying) = nodes.split_at(1);
    shows_all(&complete(run, &ListRequest::default()).await?, &nodes)?;
    run.remove(&ids(leaving)).await?;
    run.settle_lag().await;
    run.until(
        "a deleted node leaves the listing, or is listed as `Deleted`, after `listing_lag`",
        async || {
            let listed = run.ok(OF_A_HEALTHY, run.list(&ListRequest::default()).await)?;
            shows_all(&listed.nodes, staying)?;
            let left = listed
                .nodes
                .iter()
                .find(|node| node.id == leaving[0].id && !node.state.is_deleted());
            Ok(match left {
                None => Look::Done(()),
                Some(node) => Look::Wait(format!("`{}` is listed as `{}`", node.id, node.state)),
            })
        },
    )
    .await
}
