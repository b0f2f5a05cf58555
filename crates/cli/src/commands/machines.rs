//! Machines by name, for commands that look after them.

use fleetwright_core::{Error, Kind, NodeId, Result, Target};
use fleetwright_engine::{TargetSet, TargetWish};

use crate::context::Context;

/// The machines of these names, each once, in the order of the names.
///
/// # Errors
/// `NotFound` if there is none of a name, `Invalid` if there may be several, `Unavailable` if
/// nobody can log in to it.
pub(super) async fn named(context: &Context, names: &[String]) -> Result<Vec<Target>> {
    let engine = context.quiet_engine().await?;
    let set = engine.targets(&TargetWish::default()).await?;
    let mut targets: Vec<Target> = Vec::new();
    for name in names {
        let found = one(&set, name)?;
        if !targets.iter().any(|target| target.key() == found.key()) {
            targets.push(found.clone());
        }
    }
    Ok(targets)
}

/// The machine with this name or id, or the only one whose name or id begins or ends like this.
fn one<'a>(set: &'a TargetSet, wanted: &str) -> Result<&'a Target> {
    let id = |target: &'a Target| target.node.as_ref().map(NodeId::as_str);
    let exact = set
        .targets
        .iter()
        .find(|target| target.name == wanted || id(target) == Some(wanted));
    if let Some(target) = exact {
        return Ok(target);
    }
    let alike = |text: &str| text.starts_with(wanted) || text.ends_with(wanted);
    let close: Vec<&Target> = set
        .targets
        .iter()
        .filter(|target| alike(&target.name) || id(target).is_some_and(alike))
        .collect();
    match close.as_slice() {
        [target] => Ok(target),
        [] => match set.unreachable.iter().find(|one| alike(&one.name)) {
            Some(known) => Err(Error::new(
                Kind::Unavailable,
                format!("nobody can log in to `{}`: {}", known.name, known.reason),
            )
            .with_hint("`fleetwright status` asks the provider again")),
            None => Err(
                Error::new(Kind::NotFound, format!("no machine is named `{wanted}`"))
                    .with_hint("`fleetwright targets` lists them all"),
            ),
        },
        several => {
            let names: Vec<&str> = several.iter().map(|target| target.name.as_str()).collect();
            Err(
                Error::new(Kind::Invalid, format!("`{wanted}` may be several machines"))
                    .with_hint(format!("name one of: {}", names.join(", "))),
            )
        }
    }
}
