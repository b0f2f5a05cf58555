//! Making machines: what can be refused early is, and then one call makes each.

use fleetwright_core::{
    CLOUD_INIT_RESERVE, CreateRequest, Created, Effect, Error, Kind, Labels, Node, Result,
    cloud_init, keys,
};
use fleetwright_rest::{check_no_zone, check_request, create_missing, made_before};

use crate::api::{Firewall, NewMachine};
use crate::{HetznerOptions, HetznerProvider};

/// Most machines per request: so many calls are made one after the other.
pub(crate) const BATCH: u32 = 10;

/// Longest user data, in bytes: "This field is limited to 32KiB."
/// <https://docs.hetzner.cloud/#servers-create-a-server>
const USER_DATA: usize = 32 * 1024;

/// What a pool may use of it.
pub(crate) const USER_DATA_LIMIT: usize = USER_DATA - CLOUD_INIT_RESERVE;

impl HetznerProvider {
    /// Makes the machines of a request that do not exist yet.
    pub(crate) async fn make(&self, request: &CreateRequest) -> Result<Created> {
        let options = self.refuse_early(request)?;
        let new = new_machine(request, &options)?;
        let found = if request.replay {
            // Nothing is made while nobody knows what there is.
            let claim = Labels::from([(keys::CLAIM.to_owned(), request.token.to_string())]);
            let listed = self.api.machines(&claim).await.complete();
            let listed = listed.map_err(|error| error.with_effect(Effect::Unknown))?;
            let nodes: Result<Vec<Node>> = listed.iter().map(|one| self.node(one)).collect();
            made_before(request, nodes?)?
        } else {
            Vec::new()
        };
        create_missing(request, found, |ordinal| {
            let new = NewMachine {
                name: request.machine_name(ordinal),
                ..new.clone()
            };
            async move {
                match self.api.make(&new).await {
                    Err(error) if request.replay && error.kind() == Kind::Conflict => {
                        self.holder(request, &new.name, error).await
                    }
                    Err(error) if error.kind() == Kind::Invalid => {
                        Err(error.with_context("image", new.image.clone()))
                    }
                    made => self.node(&made?),
                }
            }
        })
        .await
    }

    /// Who has the name already. Names are unique in a project, so an earlier call with this token
    /// that took effect after the listing is found by the refusal of the second.
    async fn holder(&self, request: &CreateRequest, name: &str, refusal: Error) -> Result<Node> {
        let claim = Labels::from([(keys::CLAIM.to_owned(), request.token.to_string())]);
        let listed = self.api.machines(&claim).await.complete();
        let listed = listed.map_err(|error| error.with_effect(Effect::Unknown))?;
        let nodes: Result<Vec<Node>> = listed.iter().map(|one| self.node(one)).collect();
        let made = made_before(request, nodes?)?;
        // If it is none of those, it may be one of this token that no listing shows yet.
        made.into_iter()
            .find(|node| node.name == name)
            .ok_or_else(|| refusal.with_effect(Effect::Unknown))
    }

    /// What can be refused without a call.
    fn refuse_early(&self, request: &CreateRequest) -> Result<HetznerOptions> {
        check_request(request, &self.info, "Hetzner")?;
        check_no_zone(&request.spec, "Hetzner")?;
        HetznerOptions::read(&request.spec.options)
    }
}

/// What is made, but for its name.
fn new_machine(request: &CreateRequest, options: &HetznerOptions) -> Result<NewMachine> {
    let spec = &request.spec;
    let image = spec.image.clone().or_else(|| options.image.clone());
    let mut labels = spec.labels.clone();
    labels.insert(keys::CLAIM.to_owned(), request.token.to_string());
    labels
        .entry(keys::MANAGED_BY.to_owned())
        .or_insert_with(|| keys::MANAGED_BY_VALUE.to_owned());
    Ok(NewMachine {
        name: String::new(),
        server_type: spec.instance_type.clone(),
        location: spec.region.clone(),
        ssh_keys: options.ssh_keys.clone(),
        firewalls: options
            .firewalls
            .iter()
            .map(|&firewall| Firewall { firewall })
            .collect(),
        networks: options.networks.clone(),
        placement_group: options.placement_group,
        image: image.unwrap_or_else(|| "debian-12".to_owned()),
        user_data: cloud_init(
            spec.user_data.as_deref(),
            &spec.ssh_keys,
            request.host_key.as_ref(),
            USER_DATA,
        )?,
        labels,
    })
}
