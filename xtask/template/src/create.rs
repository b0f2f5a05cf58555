//! Making machines: what can be refused early is, and then one call makes each.

use fleetwright_core::{
    CLOUD_INIT_RESERVE, CreateRequest, Created, Effect, Node, Result, cloud_init, keys,
};
use fleetwright_rest::{check_no_zone, check_request, create_missing, made_before};

use crate::api::NewMachine;
use crate::{TemplateOptions, TemplateProvider};

/// Most machines per request: so many calls are made one after the other.
pub(crate) const BATCH: u32 = 10;

/// Longest user data of the vendor's, in bytes.
const USER_DATA: usize = 32 * 1024;

/// What a pool may use of it.
pub(crate) const USER_DATA_LIMIT: usize = USER_DATA - CLOUD_INIT_RESERVE;

impl TemplateProvider {
    /// Makes the machines of a request that do not exist yet.
    pub(crate) async fn make(&self, request: &CreateRequest) -> Result<Created> {
        let options = self.refuse_early(request)?;
        let new = new_machine(request, &options)?;
        let found = if request.replay {
            // Nothing is made while nobody knows what there is.
            let listed = self.api.machines().await.complete();
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
            async move { self.node(&self.api.make(&new).await?) }
        })
        .await
    }

    /// What can be refused without a call.
    fn refuse_early(&self, request: &CreateRequest) -> Result<TemplateOptions> {
        check_request(request, &self.info, "Template")?;
        check_no_zone(&request.spec, "Template")?;
        TemplateOptions::read(&request.spec.options)
    }
}

/// What is made, but for its name.
fn new_machine(request: &CreateRequest, options: &TemplateOptions) -> Result<NewMachine> {
    let spec = &request.spec;
    let image = spec.image.clone().or_else(|| options.image.clone());
    let mut labels = spec.labels.clone();
    labels.insert(keys::CLAIM.to_owned(), request.token.to_string());
    labels
        .entry(keys::MANAGED_BY.to_owned())
        .or_insert_with(|| keys::MANAGED_BY_VALUE.to_owned());
    Ok(NewMachine {
        name: String::new(),
        kind: spec.instance_type.clone(),
        region: spec.region.clone(),
        image: image.unwrap_or_else(|| "debian-13".to_owned()),
        user_data: cloud_init(
            spec.user_data.as_deref(),
            &spec.ssh_keys,
            request.host_key.as_ref(),
            USER_DATA,
        )?,
        labels,
    })
}
