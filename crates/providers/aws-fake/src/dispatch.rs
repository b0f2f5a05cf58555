//! Gives a request to its service and words refusals in that service's protocol.

use std::time::Instant;

use serde_json::json;

use crate::answer::{Answer, Refusal};
use crate::request::Request;
use crate::world::World;
use crate::xml::Xml;
use crate::{ec2, rest};

/// The answer of the service that a request is for.
pub(crate) fn dispatch(world: &mut World, request: &Request) -> Answer {
    world.advance(Instant::now());
    let outcome = match request.service.as_str() {
        "ec2" => ec2::answer(world, request),
        _ => rest::answer(world, request),
    };
    outcome.unwrap_or_else(|refusal| refused(world, request, &refusal))
}

/// A refusal in the words of the service's protocol.
pub(crate) fn refused(world: &mut World, request: &Request, refusal: &Refusal) -> Answer {
    let id = world.request_id();
    let body = match protocol(&request.service) {
        Protocol::Ec2 => {
            let mut xml = Xml::document();
            xml.within("Response", |xml| {
                xml.within("Errors", |xml| {
                    xml.within("Error", |xml| {
                        xml.text("Code", &refusal.code);
                        xml.text("Message", &refusal.message);
                    });
                });
                xml.text("RequestID", id);
            });
            Answer::xml(xml)
        }
        Protocol::Query => {
            let mut xml = Xml::document();
            xml.within("ErrorResponse", |xml| {
                xml.within("Error", |xml| {
                    let at_fault = if refusal.status < 500 {
                        "Sender"
                    } else {
                        "Receiver"
                    };
                    xml.text("Type", at_fault);
                    xml.text("Code", &refusal.code);
                    xml.text("Message", &refusal.message);
                });
                xml.text("RequestId", id);
            });
            Answer::xml(xml)
        }
        Protocol::Json => {
            let mut answer = Answer::json(&json!({
                "__type": refusal.code,
                "message": refusal.message,
            }));
            answer
                .headers
                .push(("x-amzn-errortype", refusal.code.clone()));
            answer.headers.push(("x-amzn-requestid", id));
            answer
        }
    };
    body.with_status(refusal.status)
}

enum Protocol {
    Ec2,
    Query,
    Json,
}

fn protocol(service: &str) -> Protocol {
    match service {
        "ec2" => Protocol::Ec2,
        "sqs" | "ssm" | "pricing" | "servicequotas" => Protocol::Json,
        _ => Protocol::Query,
    }
}
