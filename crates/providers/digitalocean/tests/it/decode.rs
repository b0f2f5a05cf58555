//! The examples of the official description: read without loss of what we use.

use std::sync::Arc;

use fleetwright_core::{
    Balancers as _, Catalog as _, Dns as _, ListRequest, NodeState, Provider as _, Requests as _,
};
use fleetwright_digitalocean::DigitalOceanConfig;
use fleetwright_digitalocean::fake::Fake;
use fleetwright_rest::testing::{Description, Reply, Request, Server, World};
use serde_json::{Value, json};

use crate::support::{TestClock, config, provider_at, request, spec};

/// Answers with the description's own examples.
struct Examples(Value);

impl Examples {
    fn find() -> Option<Self> {
        let text = std::fs::read_to_string(Description::file(Fake::DESCRIPTION)).ok()?;
        Some(Self(serde_json::from_str(&text).unwrap()))
    }

    fn resolve<'a>(&'a self, mut value: &'a Value) -> &'a Value {
        while let Some(reference) = value["$ref"].as_str() {
            value = self.0.pointer(&reference[1..]).unwrap();
        }
        value
    }

    /// The example of this name, or the only one.
    fn of(&self, path: &str, name: &str) -> Value {
        let response = self.resolve(&self.0["paths"][path]["get"]["responses"]["200"]);
        let content = &response["content"]["application/json"];
        let example = match &content["examples"][name] {
            Value::Null => &content["example"],
            named => &self.resolve(named)["value"],
        };
        if !example.is_null() {
            return example.clone();
        }
        // Some responses have examples only at their properties.
        self.built(&content["schema"])
    }

    /// A value put together from the examples of a schema.
    fn built(&self, schema: &Value) -> Value {
        let schema = self.resolve(schema);
        if !schema["example"].is_null() {
            return schema["example"].clone();
        }
        let mut built = serde_json::Map::new();
        for part in ["allOf", "anyOf", "oneOf"] {
            let parts = schema[part].as_array();
            let most = if part == "allOf" { usize::MAX } else { 1 };
            for part in parts.into_iter().flatten().take(most) {
                match self.built(part) {
                    Value::Object(fields) => built.extend(fields),
                    Value::Null => {}
                    plain => return plain,
                }
            }
        }
        if let Some(items) = schema.get("items") {
            return json!([self.built(items)]);
        }
        for (name, field) in schema["properties"].as_object().into_iter().flatten() {
            built.insert(name.clone(), self.built(field));
        }
        if built.is_empty() {
            return Value::Null;
        }
        Value::Object(built)
    }
}

impl World for Examples {
    fn answer(&self, request: &Request) -> Reply {
        let mut answer = match (request.path(), request.query("type")) {
            ("/v2/droplets", Some("gpus")) => self.of("/v2/droplets", "GPU Droplets"),
            ("/v2/droplets", _) => self.of("/v2/droplets", "All Droplets"),
            ("/v2/load_balancers", _) => self.of("/v2/load_balancers", "All Load Balancers"),
            ("/v2/domains/example.com/records", _) => {
                self.of("/v2/domains/{domain_name}/records", "All Domain Records")
            }
            ("/v2/images/ubuntu-24-04-x64", _) => self.of("/v2/images/{image_id}", ""),
            (path, _) => self.of(path, ""),
        };
        // They are the first of several pages, and there are no others.
        if answer.get("links").is_some() {
            let list = answer.as_object().unwrap().values();
            let items = list.filter_map(Value::as_array).map(Vec::len).max();
            answer["links"] = json!({});
            answer["meta"] = json!({ "total": items });
        }
        Reply::json(200, &answer)
    }
}

#[tokio::test]
async fn the_examples_of_the_description_are_read_in_full() {
    let Some(examples) = Examples::find() else {
        println!("skipped: no description");
        return;
    };
    let server = Server::start(Arc::new(examples), None);
    let config = DigitalOceanConfig {
        regions: ["nyc3", "tor1", "nyc1"].map(str::to_owned).into(),
        ..config(format!("{}/v2", server.url()))
    };
    let provider = provider_at(config, "token", &TestClock::new());

    let checked = provider.check().await.unwrap();
    assert!(checked.identity.unwrap().contains('@'));

    let all = ListRequest {
        foreign: true,
        ..ListRequest::default()
    };
    let listing = provider.list(&all).await.unwrap();
    assert!(listing.coverage.gaps().is_empty());
    let gpu = listing
        .nodes
        .iter()
        .find(|node| node.instance_type == "gpu-h100x1-80gb")
        .unwrap();
    assert_eq!(gpu.id.to_string(), "do/tor1/448543583");
    assert_eq!(gpu.state, NodeState::Running);
    assert_eq!(gpu.price.unwrap().to_string(), "$6.74/h");
    assert_eq!(gpu.addresses.public.unwrap().to_string(), "192.241.165.154");
    assert_eq!(gpu.addresses.private.unwrap().to_string(), "10.128.192.124");
    let plain = listing
        .nodes
        .iter()
        .find(|node| node.instance_type != "gpu-h100x1-80gb")
        .unwrap();
    assert_eq!(plain.label("env"), Some("prod"));
    assert_eq!(plain.label("web"), Some(""));

    let types = provider.instance_types().await.unwrap();
    assert!(types.iter().all(|t| t.vcpus > 0 && t.memory_mib > 0));
    assert!(!provider.offerings().await.unwrap().is_empty());

    let balancers = provider.list_balancers().await.unwrap();
    assert!(
        balancers.iter().any(|b| b.address.is_some()),
        "{balancers:?}"
    );

    assert_eq!(provider.list_zones().await.unwrap(), ["example.com"]);
    let records = provider.list_records("example.com").await.unwrap();
    assert_eq!(records[0].values, ["1.2.3.4"]);
    assert_eq!(records[0].name, "example.com");

    // Account, sizes, regions and an image; the example's size is sold in the example's region.
    provider.preflight(&request(spec(), 1)).await.unwrap();
}
