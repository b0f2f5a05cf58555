//! The services beside EC2: Auto Scaling, ELBv2, Route 53, SQS, STS, SSM, Pricing, Service Quotas.

mod autoscaling;
mod elbv2;
mod hooks;
mod notices;
mod pricing;
mod query;
mod quotas;
mod route53;
mod sqs;
mod ssm;
mod sts;

use crate::answer::{Answer, Refusal};
pub(crate) use crate::model::{check_answer, check_request};
use crate::request::Request;
use crate::world::World;
use crate::world::instance::{Ending, State as InstanceState};
use crate::world::notice::Notice;

/// What exists in the services beside EC2.
#[derive(Debug, Default)]
pub(crate) struct State {
    autoscaling: autoscaling::State,
    elbv2: elbv2::State,
    route53: route53::State,
    sqs: sqs::State,
}

/// What is due in the services beside EC2.
#[derive(Debug, Clone)]
pub(crate) enum Event {
    /// Something of Auto Scaling.
    AutoScaling(autoscaling::Event),
}

/// The name of an action of a service that has paths instead of names (Route 53).
pub(crate) fn action_of(method: &str, path: &str) -> String {
    route53::action_of(method, path).map_or_else(|| format!("{method} {path}"), ToOwned::to_owned)
}

/// The answer of the service that is meant.
pub(crate) fn answer(world: &mut World, request: &Request) -> Result<Answer, Refusal> {
    match request.service.as_str() {
        "autoscaling" => autoscaling::answer(world, request),
        "elasticloadbalancing" => elbv2::answer(world, request),
        "route53" => route53::answer(world, request),
        "sqs" => sqs::answer(world, request),
        "sts" => sts::answer(world, request),
        "ssm" => ssm::answer(world, request),
        "pricing" => pricing::answer(world, request),
        "servicequotas" => quotas::answer(world, request),
        service => Err(unknown(service, &request.action)),
    }
}

/// What was ordered with `World::schedule(after, world::Event::Rest(event))` has become due.
pub(crate) fn due(world: &mut World, event: Event) {
    match event {
        Event::AutoScaling(event) => autoscaling::due(world, event),
    }
}

/// An instance began to shut down. A group that it belonged to looks for a replacement.
pub(crate) fn instance_ended(world: &mut World, region: &str, id: &str, ending: Ending) {
    autoscaling::instance_ended(world, region, id, ending);
    notices::instance_changed(world, region, id, InstanceState::ShuttingDown);
}

/// An instance went from one state to the next.
pub(crate) fn instance_changed(world: &mut World, region: &str, id: &str, to: InstanceState) {
    notices::instance_changed(world, region, id, to);
}

/// AWS warns of an interruption: the event goes into the queues of the region.
pub(crate) fn notify(world: &mut World, region: &str, id: &str, notice: Notice) {
    notices::warn(world, region, id, notice);
}

/// What somebody would still pay for or trip over, in words.
pub(crate) fn leftovers(world: &World) -> Vec<String> {
    autoscaling::leftovers(world)
}

/// An event of Auto Scaling as the world keeps it.
fn event(event: autoscaling::Event) -> crate::world::Event {
    crate::world::Event::Rest(Event::AutoScaling(event))
}

fn unknown(service: &str, action: &str) -> Refusal {
    Refusal::bad(
        "UnknownOperationException",
        format!("The action {action} is not valid for {service}."),
    )
}
