//! SSM: the public parameters that name the latest images.

use serde_json::{Value, json};

use crate::answer::{Answer, Refusal};
use crate::catalog;
use crate::request::Request;
use crate::world::World;

/// The answer of SSM.
pub(super) fn answer(world: &mut World, request: &Request) -> Result<Answer, Refusal> {
    world.region(&request.region)?;
    let body: Value = serde_json::from_str(&request.body)
        .map_err(|error| Refusal::bad("ValidationException", error.to_string()))?;
    match request.action.as_str() {
        "GetParameter" => {
            let name = body.get("Name").and_then(Value::as_str).unwrap_or_default();
            let parameter = parameter(world, &request.region, name)
                .ok_or_else(|| Refusal::bad("ParameterNotFound", ""))?;
            Ok(Answer::json(&json!({ "Parameter": parameter })))
        }
        "GetParameters" => {
            let names = body.get("Names").and_then(Value::as_array);
            let (mut found, mut invalid) = (Vec::new(), Vec::new());
            for name in names.into_iter().flatten().filter_map(Value::as_str) {
                match parameter(world, &request.region, name) {
                    Some(parameter) => found.push(parameter),
                    None => invalid.push(name),
                }
            }
            Ok(Answer::json(
                &json!({ "Parameters": found, "InvalidParameters": invalid }),
            ))
        }
        action => Err(super::unknown("ssm", action)),
    }
}

fn parameter(world: &World, region: &str, name: &str) -> Option<Value> {
    // The name may be an ARN that ends with it.
    let path = name.find(":parameter/").map_or(name, |at| {
        let (_, path) = name.split_at(at + ":parameter".len());
        path
    });
    let image = catalog::images(region)
        .into_iter()
        .find(|image| image.parameters.contains(&path))?;
    Some(json!({
        "Name": name,
        "Type": "String",
        "Value": image.id,
        "Version": 1,
        "LastModifiedDate": world.timestamp().as_second(),
        "ARN": format!("arn:aws:ssm:{region}::parameter{path}"),
        "DataType": "text",
    }))
}
