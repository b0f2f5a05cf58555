//! Deletion: the instance, and everything that would cost money without it.
//!
//! ```text
//!  running ──► flexible IPs deleted ──► block volumes marked ──► terminate (takes local volumes along)
//!  gone    ──► what is marked is deleted ──► `Gone`
//!  stopped ──► volumes marked, detached, deleted ──► flexible IPs deleted ──► DELETE ──► `Gone`
//! ```
//! The mark is a tag with the id of the instance. So nothing is lost when this stops half-way: the
//! next call finds what is left, even if the instance that it belonged to is gone. An instance that
//! is powered off goes last, so that whoever looks for it finds all that belongs to it.

use fleetwright_core::{Deletion, Error, Kind, Result};

use crate::api::Storage;
use crate::wire::Server;
use crate::zone::ServerId;
use crate::{ScalewayProvider, tags};

impl ScalewayProvider {
    /// Goes one step on with a deletion.
    pub(crate) async fn remove(&self, at: &ServerId) -> Result<Deletion> {
        let server = match self.api().server(at).await {
            Ok(server) => server,
            Err(error) if error.kind() == Kind::NotFound => return self.sweep(at).await,
            Err(error) => return Err(error),
        };
        if server.protected {
            return Err(Error::new(
                Kind::Conflict,
                format!("instance `{}` is protected from deletion", server.name),
            )
            .with_hint("somebody has switched that on; switch it off in the console first"));
        }
        match &*server.state {
            "stopped" => self.remove_stopped(at, &server).await,
            // It is on its way down, and then powered off or gone.
            "stopping" => Ok(Deletion::Started),
            _ => self.terminate(at, &server).await,
        }
    }

    /// Removes an instance that is powered off, after all that belongs to it.
    pub(crate) async fn remove_stopped(&self, at: &ServerId, server: &Server) -> Result<Deletion> {
        self.mark(at, server, &Storage::ALL).await?;
        for volume in server.volumes.values() {
            match self.api().detach_volume(at, &volume.id).await {
                Err(error) if is_transient(&error) => return Ok(Deletion::Started),
                detached => gone_is_fine(detached)?,
            }
        }
        if self.sweep(at).await? == Deletion::Started {
            return Ok(Deletion::Started);
        }
        self.delete_addresses(at, server).await?;
        match self.api().delete_server(at).await {
            Ok(()) => Ok(Deletion::Gone),
            Err(error) if is_transient(&error) => Ok(Deletion::Started),
            Err(error) => Err(error),
        }
    }

    /// "The `terminate` action will result in the deletion of `l_ssd` and `scratch` volumes types,
    /// `sbs_volume` volumes will only be detached."
    /// <https://www.scaleway.com/en/developers/api/instances/#path-instances-perform-action>
    async fn terminate(&self, at: &ServerId, server: &Server) -> Result<Deletion> {
        self.mark(at, server, &[Storage::Block]).await?;
        self.delete_addresses(at, server).await?;
        match self.api().act(at, "terminate").await {
            Ok(()) => Ok(Deletion::Started),
            // It is about to start; the caller comes again.
            Err(error) if is_transient(&error) => Ok(Deletion::Started),
            Err(error) if error.kind() == Kind::NotFound => self.sweep(at).await,
            Err(error) => Err(error),
        }
    }

    /// Marks the volumes of an instance that do not go with it.
    async fn mark(&self, at: &ServerId, server: &Server, storages: &[Storage]) -> Result<()> {
        let tag = [tags::of_node(&at.id)];
        for volume in server.volumes.values() {
            let storage = Storage::of(&volume.volume_type).filter(|s| storages.contains(s));
            let Some(storage) = storage else { continue };
            let marked = self.api().tag_volume(storage, &at.zone, &volume.id, &tag);
            gone_is_fine(marked.await)?;
        }
        Ok(())
    }

    /// Deletes the addresses that would stay, and cost money.
    async fn delete_addresses(&self, at: &ServerId, server: &Server) -> Result<()> {
        for ip in server.public_ips.iter().filter(|ip| !ip.dynamic) {
            self.api().delete_ip(&at.zone, &ip.id).await?;
        }
        Ok(())
    }

    /// Deletes the volumes that carry the mark of an instance and are not attached any more.
    async fn sweep(&self, at: &ServerId) -> Result<Deletion> {
        let tag = tags::of_node(&at.id);
        let mut deletion = Deletion::Gone;
        for storage in Storage::ALL {
            let volumes = self.api().volumes(storage, &at.zone, &tag).await;
            for volume in volumes.complete()? {
                // The filter is the vendor's word; the tags are what counts.
                if !volume.tags.contains(&tag) {
                    continue;
                }
                let deleted = self.api().delete_volume(storage, &at.zone, &volume.id);
                match deleted.await {
                    Ok(()) => {}
                    // It is still being detached: "precondition failed: resource_still_in_use".
                    Err(error) if is_transient(&error) || error.kind() == Kind::Conflict => {
                        deletion = Deletion::Started;
                    }
                    Err(error) => return Err(error),
                }
            }
        }
        Ok(deletion)
    }
}

fn gone_is_fine(result: Result<()>) -> Result<()> {
    match result {
        Err(error) if error.kind() != Kind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// Whether a clear no says that the thing is busy, and will not be in a moment.
fn is_transient(error: &Error) -> bool {
    let status = error.context().find(|(name, _)| *name == "status");
    error.kind() == Kind::Unavailable && status.is_some_and(|(_, status)| status.starts_with('4'))
}
