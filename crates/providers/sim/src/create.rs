//! Making machines, exactly once, in the three ways that clouds offer.
//!
//! - `native-token`: one call for the whole batch; the cloud remembers its first answer.
//! - `deterministic-name`: one call per machine; the cloud knows a name only once.
//! - `label-then-list`: one call per machine, and the cloud does not care; a replay looks first.

use std::collections::BTreeSet;

use fleetwright_core::{
    CreateRequest, Created, Effect, Error, Idempotency, Kind, ListRequest, Node, NodeSpec,
    Operation, Result, Token, keys,
};

use crate::config::SimConfig;
use crate::error;
use crate::provider::SimProvider;
use crate::world::capacity::Wish;
use crate::world::machine::{Batch, Script};
use crate::world::state::{Bound, Change, State};
use crate::world::{Question, Step};

/// Where clouds without tokens keep what a token is bound to: a label with a hash.
const PARAMETERS: &str = "sim-parameters";
/// Labels that a machine may carry, and the longest key and value: those of AWS.
const LABELS: (usize, usize, usize) = (50, 128, 256);

impl SimProvider {
    pub(crate) async fn create_machines(&self, request: &CreateRequest) -> Result<Created> {
        let batch = self.config().batch;
        if request.count == 0 || request.count > batch {
            return Err(error::invalid(format!(
                "{} machines in one call; 1 to {batch} are possible",
                request.count
            )));
        }
        let template = self.template(&request.spec, &request.token)?;
        match self.config().idempotency {
            Idempotency::NativeToken => self
                .create_by_token(request, template)
                .await
                .map_err(|error| uncertain(request, error)),
            Idempotency::DeterministicName => {
                let template = marked(template, request);
                self.create_each(request, template, Vec::new(), true).await
            }
            Idempotency::LabelThenList => {
                let template = marked(template, request);
                let found = if request.replay {
                    self.made_before(request).await?
                } else {
                    Vec::new()
                };
                self.create_each(request, template, found, false).await
            }
        }
    }

    /// What every machine of the request will be, after everything that can be checked without the
    /// cloud was checked.
    pub(crate) fn template(&self, spec: &NodeSpec, token: &Token) -> Result<Batch> {
        let config = self.config();
        let region = self.region(&spec.region)?;
        let sold = self.sold(&spec.instance_type)?;
        if !sold.is_sold_in(&region.name) {
            return Err(error::invalid(format!(
                "`{}` is not sold in `{}`",
                sold.name, region.name
            ))
            .with_hint(format!("it is sold in: {}", sold.regions.join(", "))));
        }
        if let Some(zone) = &spec.zone
            && !region.zones.contains(zone)
        {
            return Err(
                error::invalid(format!("there is no zone `{zone}` in `{}`", region.name))
                    .with_hint(format!("known: {}", region.zones.join(", "))),
            );
        }
        if spec.name.is_empty() {
            return Err(error::invalid("a machine needs a name"));
        }
        let user_data = spec.user_data.as_deref().unwrap_or("");
        if user_data.len() > config.user_data_limit {
            return Err(error::invalid(format!(
                "user data has {} bytes, {} are possible",
                user_data.len(),
                config.user_data_limit
            )));
        }
        if let Some(option) = spec.options.keys().next() {
            return Err(error::invalid(format!(
                "there is no option `{option}` here"
            )));
        }
        let mut labels = spec.labels.clone();
        labels.insert(keys::CLAIM.to_owned(), token.as_str().to_owned());
        labels
            .entry(keys::MANAGED_BY.to_owned())
            .or_insert_with(|| keys::MANAGED_BY_VALUE.to_owned());
        let (most, key_length, value_length) = LABELS;
        if labels.len() > most
            || labels.iter().any(|(key, value)| {
                key.is_empty() || key.len() > key_length || value.len() > value_length
            })
        {
            return Err(error::invalid(format!(
                "a machine may have {most} labels with keys of 1 to {key_length} and values of up \
                 to {value_length} bytes"
            )));
        }
        Ok(Batch {
            made_at: jiff::Timestamp::UNIX_EPOCH,
            region: spec.region.clone(),
            zones: Vec::new(),
            name: spec.name.clone(),
            first_ordinal: Some(0),
            instance_type: spec.instance_type.clone(),
            market: spec.market,
            labels,
            price: Some(sold.price_on(spec.market)),
            boot_time: config.boot_time.0,
            script: script(config, spec),
            listing_lag: config.listing_lag.0,
            seed: config.seed,
            group: None,
        })
    }

    /// One call; the cloud repeats its first answer to a token.
    async fn create_by_token(&self, request: &CreateRequest, template: Batch) -> Result<Created> {
        let parameters = request.parameters();
        self.cloud
            .call(question(request, request.count), |step| {
                let token = request.token.as_str();
                let bound = match step.state().tokens.get(token) {
                    Some(bound) if bound.parameters != parameters => {
                        return Err(error::conflict(format!(
                            "token `{token}` was used with other parameters"
                        )));
                    }
                    Some(bound) => bound.clone(),
                    None => {
                        let made = make(step, &request.spec, template, request.count)?;
                        let bound = Bound {
                            parameters,
                            at: step.now(),
                            first: made.first,
                            count: made.count,
                            shortfall: made.shortfall.map(|error| error.report()),
                            zone_hints: made.hints,
                        };
                        step.change(Change::Answered {
                            token: token.to_owned(),
                            bound: bound.clone(),
                        });
                        bound
                    }
                };
                Ok(Created {
                    nodes: truth(step, bound.first, bound.count)?,
                    shortfall: bound.shortfall.map(Error::from),
                    zone_hints: bound.zone_hints,
                })
            })
            .await
    }

    /// One call per machine that is missing. What fails for certain ends the row; what may have
    /// happened makes the whole answer uncertain, and a replay finds out.
    async fn create_each(
        &self,
        request: &CreateRequest,
        template: Batch,
        found: Vec<Node>,
        names_are_unique: bool,
    ) -> Result<Created> {
        let have: BTreeSet<String> = found.iter().map(|node| node.name.clone()).collect();
        let mut nodes = found;
        for ordinal in 0..request.count {
            if have.contains(&request.machine_name(ordinal)) {
                continue;
            }
            let template = Batch {
                first_ordinal: Some(ordinal),
                ..template.clone()
            };
            let one = self
                .cloud
                .call(question(request, 1), |step| {
                    create_one(step, request, template, ordinal, names_are_unique)
                })
                .await;
            // Where names tell machines apart, nobody has looked yet whether an earlier try made this
            // one; where labels do, the list has.
            let one = one.map_err(|error| {
                if names_are_unique {
                    uncertain(request, error)
                } else {
                    error
                }
            });
            match one {
                Ok(node) => nodes.push(node),
                Err(error) if error.effect() == Effect::None && !nodes.is_empty() => {
                    return Ok(Created::partial(nodes, error));
                }
                Err(error) => return Err(error),
            }
        }
        Ok(Created::all(nodes))
    }

    /// The machines of an earlier try. If that cannot be found out for certain, nothing is made.
    async fn made_before(&self, request: &CreateRequest) -> Result<Vec<Node>> {
        let label = (keys::CLAIM.to_owned(), request.token.to_string());
        let wanted = ListRequest {
            regions: None,
            labels: [label].into(),
            foreign: true,
            ..ListRequest::default()
        };
        match self.list_region(&request.spec.region, &wanted).await {
            (found, None) => {
                let parameters = request.parameters();
                match found
                    .iter()
                    .find(|node| node.label(PARAMETERS) != Some(parameters.short()))
                {
                    Some(node) => Err(error::conflict(format!(
                        "token `{}` made `{}` with other parameters",
                        request.token, node.id
                    ))),
                    None => Ok(found),
                }
            }
            (_, Some(error)) => Err(error.with_effect(Effect::Unknown)),
        }
    }
}

/// The same machine with what its token is bound to.
fn marked(mut template: Batch, request: &CreateRequest) -> Batch {
    let parameters = request.parameters().short().to_owned();
    template.labels.insert(PARAMETERS.to_owned(), parameters);
    template
}

/// A refusal at the door says nothing about what an earlier try with the token has made.
fn uncertain(request: &CreateRequest, error: Error) -> Error {
    use Kind::{Capacity, Conflict, Invalid, Quota};
    let tells = matches!(error.kind(), Capacity | Quota | Conflict | Invalid);
    if request.replay && !tells {
        error.with_effect(Effect::Unknown)
    } else {
        error
    }
}

/// What the cloud is asked when it shall make machines.
fn question(request: &CreateRequest, machines: u32) -> Question<'_> {
    Question {
        operation: Operation::Create,
        region: Some(&request.spec.region),
        machines,
    }
}

/// Machines that were just made.
struct Made {
    first: u64,
    count: u64,
    shortfall: Option<Error>,
    hints: Vec<String>,
}

/// The cloud makes as many as it can; none at all is an error.
fn make(step: &mut Step<'_>, spec: &NodeSpec, template: Batch, count: u32) -> Result<Made> {
    let config = step.config();
    let sold = config
        .instance_type(&spec.instance_type)
        .ok_or_else(|| error::invalid(format!("`{}` is not sold", spec.instance_type)))?;
    let wish = Wish {
        region: &spec.region,
        zone: spec.zone.as_deref(),
        sold,
        market: spec.market,
        count,
    };
    let placement = step.place(wish);
    if let (true, Some(error)) = (placement.zones.is_empty(), placement.shortfall.as_ref()) {
        return Err(error.report().into());
    }
    let first = step.state().last_machine + 1;
    step.change(Change::Made(Box::new(Batch {
        made_at: step.now(),
        zones: placement.zones,
        ..template
    })));
    Ok(Made {
        first,
        count: step.state().last_machine + 1 - first,
        shortfall: placement.shortfall,
        hints: placement.hints,
    })
}

/// The cloud makes one machine, unless its name is taken.
fn create_one(
    step: &mut Step<'_>,
    request: &CreateRequest,
    template: Batch,
    ordinal: u32,
    names_are_unique: bool,
) -> Result<Node> {
    if names_are_unique && let Some(number) = named(step, request, ordinal) {
        let same = |key: &str, batch: &Batch| batch.labels.get(key) == template.labels.get(key);
        let ours = step
            .state()
            .machine(number)
            .is_some_and(|(_, batch)| same(keys::CLAIM, batch) && same(PARAMETERS, batch));
        if !ours {
            return Err(error::conflict(format!(
                "the name `{}` is taken in `{}`",
                request.machine_name(ordinal),
                request.spec.region
            )));
        }
        return one(step, number);
    }
    let made = make(step, &request.spec, template, 1)?;
    one(step, made.first)
}

/// The machine that bears the name now.
fn named(step: &Step<'_>, request: &CreateRequest, ordinal: u32) -> Option<u64> {
    let name = request.machine_name(ordinal);
    let state: &State = step.state();
    state
        .batches
        .iter()
        .filter(|(_, batch)| batch.region == request.spec.region)
        .filter_map(|(first, batch)| Some(first + u64::from(batch.place_of(&name)?)))
        .find(|number| {
            state
                .machine(*number)
                .is_some_and(|(machine, _)| !machine.is_gone(step.now()))
        })
}

fn one(step: &Step<'_>, number: u64) -> Result<Node> {
    truth(step, number, 1)?
        .pop()
        .ok_or_else(|| error::not_found("the machine is not remembered any more"))
}

/// Machines as they are: the answer to a create call does not lag behind.
fn truth(step: &Step<'_>, first: u64, count: u64) -> Result<Vec<Node>> {
    (first..first + count)
        .filter_map(|number| Some((number, step.state().machine(number)?)))
        .map(|(number, (machine, batch))| machine.node(number, batch, step.provider(), step.now()))
        .collect()
}

/// What becomes of the boot script, which is known as soon as it is.
fn script(config: &SimConfig, spec: &NodeSpec) -> Script {
    let takes = match &spec.user_data {
        Some(_) => config.script_time.0,
        None => std::time::Duration::ZERO,
    };
    Script {
        reported: config.reports_boot,
        takes,
        status: spec.user_data.as_deref().map_or(0, Script::status_of),
        failures: config.boot_failures,
    }
}
