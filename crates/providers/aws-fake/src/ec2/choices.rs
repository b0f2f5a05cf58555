//! Reads what a fleet or spot fleet may launch: templates with overrides, or specifications.

use super::pool::Choice;
use super::templates::resolve;
use crate::answer::Refusal;
use crate::params::Params;
use crate::world::World;
use crate::world::launch::{Order, micro_dollars};

/// The choices of launch template configurations: each template with each of its overrides.
pub(super) fn from_templates(
    world: &World,
    region: &str,
    configs: &[&Params],
) -> Result<Vec<Choice>, Refusal> {
    let mut choices = Vec::new();
    for config in configs {
        let spec = config.group_or_empty("LaunchTemplateSpecification");
        let template = resolve(world, region, &spec)?;
        let overrides: Vec<Params> = match config.list("Overrides") {
            none if none.is_empty() => vec![Params::default()],
            some => some.into_iter().cloned().collect(),
        };
        for over in overrides {
            let mut order = Order::read(&template.data)?;
            apply(&mut order, &over)?;
            choices.push(Choice {
                template: Some(template.clone()),
                weight: weight(&over)?,
                priority: over.number("Priority")?.unwrap_or(f64::MAX),
                over,
                order,
                is_retired: false,
            });
        }
    }
    if choices.is_empty() {
        return Err(Refusal::bad(
            "MissingParameter",
            "The request must contain the parameter LaunchTemplateConfigs",
        ));
    }
    Ok(choices)
}

/// What an override changes.
fn apply(order: &mut Order, over: &Params) -> Result<(), Refusal> {
    if let Some(kind) = over.owned("InstanceType") {
        order.instance_type = kind;
    }
    if let Some(image) = over.owned("ImageId") {
        order.image = image;
    }
    if let Some(subnet) = over.owned("SubnetId") {
        order.subnet = Some(subnet);
    }
    if let Some(zone) = over.owned("AvailabilityZone") {
        order.zone = Some(zone);
    }
    for name in ["MaxPrice", "SpotPrice"] {
        if let Some(price) = over.text(name) {
            order.most = Some(micro_dollars(price)?);
        }
    }
    Ok(())
}

fn weight(params: &Params) -> Result<f64, Refusal> {
    let weight: f64 = params.number("WeightedCapacity")?.unwrap_or(1.0);
    if weight > 0.0 && weight.is_finite() {
        return Ok(weight);
    }
    Err(Refusal::bad(
        "InvalidParameterValue",
        "WeightedCapacity must be greater than 0",
    ))
}

/// The choices of launch specifications, which only spot fleets have. A specification may name
/// several subnets, separated by commas.
pub(super) fn from_specifications(specs: &[&Params]) -> Result<Vec<Choice>, Refusal> {
    let mut choices = Vec::new();
    for spec in specs {
        let mut order = Order::read(&as_run_parameters(spec))?;
        order.most = spec.text("SpotPrice").map(micro_dollars).transpose()?;
        let subnets = order.subnet.take().unwrap_or_default();
        for subnet in subnets.split(',').map(str::trim) {
            order.subnet = (!subnet.is_empty()).then(|| subnet.to_owned());
            choices.push(Choice {
                template: None,
                over: (*spec).clone(),
                order: order.clone(),
                weight: weight(spec)?,
                priority: f64::MAX,
                is_retired: false,
            });
        }
    }
    Ok(choices)
}

/// The same wishes under the names that RunInstances gives them.
fn as_run_parameters(spec: &Params) -> Params {
    const NAMES: [(&str, &str); 3] = [
        ("NetworkInterfaceSet", "NetworkInterface"),
        ("TagSpecificationSet", "TagSpecification"),
        ("GroupSet", "SecurityGroupId"),
    ];
    let mut params = Params::default();
    for (path, value) in spec.flat() {
        let (top, rest) = path.split_once('.').unwrap_or((path.as_str(), ""));
        let renamed = NAMES.iter().find(|(from, _)| *from == top);
        let path = match renamed {
            None => path.clone(),
            Some((_, "SecurityGroupId")) => {
                let number = rest.split('.').next().unwrap_or(rest);
                format!("SecurityGroupId.{number}")
            }
            Some((_, to)) => format!("{to}.{rest}"),
        };
        params.set(&path, value);
    }
    params
}
