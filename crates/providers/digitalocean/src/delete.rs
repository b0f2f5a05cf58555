//! Looking at one node and removing it: only in the region that its id names.

use fleetwright_core::{Deletion, Error, Kind, Node, NodeId, Result};

use crate::provider::DigitalOceanProvider;
use crate::wire::Droplet;

impl DigitalOceanProvider {
    pub(crate) async fn look_at(&self, id: &NodeId) -> Result<Node> {
        let native = self.own(id)?;
        let droplet = self.api().droplet(native).await?;
        if droplet.region.slug == id.region() {
            return self.node(&droplet);
        }
        Err(Error::new(
            Kind::NotFound,
            format!(
                "there is no droplet {native} in `{}`: it is in `{}`",
                id.region(),
                droplet.region.slug
            ),
        ))
    }

    /// Removes a droplet. Its disk, its addresses and its backups go with it; a volume or a
    /// reserved IP that somebody attached to it stays, because it was not made with it.
    pub(crate) async fn remove(&self, id: &NodeId) -> Result<Deletion> {
        let native = self.own(id)?;
        let droplet = match self.api().droplet(native).await {
            Ok(droplet) => droplet,
            Err(error) if error.kind() == Kind::NotFound => return Ok(Deletion::Gone),
            Err(error) => return Err(error),
        };
        if droplet.region.slug != id.region() {
            return Ok(Deletion::Gone);
        }
        match self.api().delete_droplet(native).await {
            // Accepted. Only when nobody knows it any more is it gone.
            Ok(()) => Ok(Deletion::Started),
            Err(error) if error.kind() == Kind::NotFound => Ok(Deletion::Gone),
            Err(error) if is_busy(&error) => self.is_leaving(&droplet, error).await,
            Err(error) => Err(error),
        }
    }

    /// A droplet that is busy may be busy going.
    async fn is_leaving(&self, droplet: &Droplet, busy: Error) -> Result<Deletion> {
        let actions = match self.api().actions(droplet.id).await {
            Ok(actions) => actions,
            Err(error) if error.kind() == Kind::NotFound => return Ok(Deletion::Gone),
            Err(error) => return Err(error),
        };
        let leaves = actions
            .iter()
            .any(|action| action.kind == "destroy" && action.status == "in-progress");
        if leaves {
            Ok(Deletion::Started)
        } else {
            Err(busy)
        }
    }

    /// The number of a droplet, if the id is one of this provider.
    ///
    /// # Errors
    /// `Invalid`.
    pub(crate) fn own(&self, id: &NodeId) -> Result<u64> {
        if id.provider() != self.name() {
            return Err(Error::new(
                Kind::Invalid,
                format!("node `{id}` is not of provider `{}`", self.name()),
            ));
        }
        self.knows(id.region())?;
        let number: Option<u64> = id.native().parse().ok();
        number
            .filter(|number| *number > 0 && number.to_string() == id.native())
            .ok_or_else(|| {
                Error::new(
                    Kind::Invalid,
                    format!(
                        "`{}` is not the id of a droplet",
                        id.native().escape_debug()
                    ),
                )
                .with_hint("a droplet is named by its number")
            })
    }
}

/// "Droplet already has a pending event."
fn is_busy(error: &Error) -> bool {
    error.kind() == Kind::Unavailable && error.context().any(|known| known == ("status", "422"))
}
