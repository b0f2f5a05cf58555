//! What a provider says about itself without asking, and the cheapest question.

use std::collections::BTreeSet;

use crate::verdict::must;
use crate::{Outcome, Run};

pub(crate) async fn the_info_makes_sense(run: &Run<'_>) -> Outcome {
    let info = run.info();
    let seen = || format!("{info:?}");
    must(
        !info.name.is_empty() && !info.name.contains('/'),
        "the name of a provider can stand in a node id: not empty, no slash",
        seen,
    )?;
    must(
        !info.kind.is_empty() && !info.account.is_empty(),
        "kind and account are said",
        seen,
    )?;
    let regions: BTreeSet<&String> = info.regions.iter().collect();
    must(
        !regions.is_empty() && regions.len() == info.regions.len(),
        "regions are never empty and named once each",
        seen,
    )?;
    must(
        regions.iter().all(|r| !r.is_empty() && !r.contains('/')),
        "a region can stand in a node id: not empty, no slash",
        seen,
    )?;
    must(
        info.batch >= 1,
        "a call can make one machine at least",
        seen,
    )?;
    must(
        info.regions.contains(&run.subject().spec().region),
        "the subject's spec is in a configured region",
        || run.subject().spec().region,
    )?;
    for limit in &info.limits {
        must(
            !limit.family.is_empty()
                && !limit.operations.is_empty()
                && limit.burst >= 1
                && limit.per_minute >= 1,
            "a rate limit has a name and operations and lets calls through",
            || format!("{limit:?}"),
        )?;
        let same_unit = info
            .limits
            .iter()
            .filter(|other| other.family == limit.family && other.unit == limit.unit)
            .count();
        must(
            same_unit == 1,
            "a bucket is described once: operations that share it are listed together",
            || format!("`{}` stands {same_unit} times", limit.family),
        )?;
    }
    must(
        run.provider().info() == info,
        "the info of a provider does not change",
        || format!("{:?} and then {:?}", info, run.provider().info()),
    )
}

pub(crate) async fn the_check_succeeds(run: &Run<'_>) -> Outcome {
    let provider = run.provider();
    let result = run.at_its_pace(async || provider.check().await).await;
    run.ok("`check` of a healthy provider succeeds", result)?;
    let made = run.made().await;
    must(made.is_empty(), "`check` changes nothing", || {
        crate::run::names(&made)
    })
}
