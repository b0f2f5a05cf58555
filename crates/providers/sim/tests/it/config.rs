//! The configuration: what may be written, and what is said about mistakes.

use std::path::PathBuf;
use std::sync::Arc;

use fleetwright_core::{Idempotency, Kind, Span};
use fleetwright_sim::{
    QuotaUnit, SimCapacity, SimConfig, SimFaults, SimProvider, SimQuota, SimReclaim, SimRegion,
    TokioClock,
};
use serde_json::json;

fn read(value: serde_json::Value) -> Result<SimConfig, String> {
    serde_json::from_value(value).map_err(|error| error.to_string())
}

fn make(config: SimConfig) -> Result<SimProvider, fleetwright_core::Error> {
    SimProvider::new(
        "sim",
        config,
        PathBuf::from("unused"),
        Arc::new(TokioClock::new()),
    )
}

#[test]
fn an_empty_configuration_is_a_whole_cloud() {
    let config = read(json!({})).unwrap();
    assert_eq!(config, SimConfig::default());
    let provider = make(config).unwrap();
    let info = fleetwright_core::Provider::info(&provider);
    assert_eq!(info.regions, ["sim-east", "sim-west"]);
    assert_eq!(
        (info.kind.as_str(), info.account.as_str()),
        ("sim", "unused")
    );
    assert!(!info.has_ssh);
}

#[test]
fn a_configuration_reads_what_it_writes() {
    let config = SimConfig {
        world: Some(PathBuf::from("/tmp/world")),
        idempotency: Idempotency::LabelThenList,
        latency: Span::seconds(0),
        api_limits: SimConfig::ec2_limits(),
        capacity: vec![SimCapacity::default()],
        quota: vec![SimQuota {
            unit: QuotaUnit::Gpus,
            region: None,
            limit: 8,
        }],
        reclaims: vec![SimReclaim {
            region: None,
            zone: None,
            at: Span::minutes(1),
            notice: Span::minutes(2),
            count: None,
        }],
        ..SimConfig::default()
    };
    let written = serde_json::to_value(&config).unwrap();
    assert_eq!(read(written).unwrap(), config);
}

#[test]
fn unknown_keys_are_refused_at_every_level() {
    for value in [
        json!({"wrold": "x"}),
        json!({"faults": {"lost": 1}}),
        json!({"regions": [{"name": "a", "zones": ["b"], "zone": "c"}]}),
        json!({"capacity": [{"regoin": "a"}]}),
        json!({"api_limits": [{"family": "a", "operations": [], "unit": "calls", "burst": 1,
            "per_minute": 1, "per_region": true, "per_second": 1}]}),
    ] {
        let message = read(value.clone()).unwrap_err();
        assert!(message.contains("unknown field"), "{value}: {message}");
    }
    let message =
        read(json!({"types": [{"name": "a", "vcpus": 1, "memory_mib": 1, "price": "1e3"}]}));
    assert_eq!(
        message.unwrap_err(),
        "`1e3` is not a price per hour, write it as `$0.25/h`, with at most six decimals"
    );
}

#[test]
fn what_makes_no_sense_is_named() {
    let default = SimConfig::default;
    let cases = [
        (
            "`regions` and `types` may not be empty",
            SimConfig {
                regions: Vec::new(),
                ..default()
            },
        ),
        (
            "region `a` has no zones",
            SimConfig {
                regions: vec![SimRegion::new("a", &[])],
                ..default()
            },
        ),
        (
            "`a/b` cannot be the name of a region",
            SimConfig {
                regions: vec![SimRegion::new("a/b", &["z"])],
                ..default()
            },
        ),
        (
            "`zones`: `z` is empty or given twice",
            SimConfig {
                regions: vec![SimRegion::new("a", &["z"]), SimRegion::new("b", &["z"])],
                ..default()
            },
        ),
        (
            "`page_size` is 0",
            SimConfig {
                page_size: 0,
                ..default()
            },
        ),
        (
            "`batch` is 0",
            SimConfig {
                batch: 0,
                ..default()
            },
        ),
        (
            "`faults` add up to more than 1000, or `boot_failures` is above it",
            SimConfig {
                faults: SimFaults {
                    refused: 600,
                    garbage: 401,
                    ..SimFaults::default()
                },
                ..default()
            },
        ),
        (
            "`api_limits`: `instances` could never be met",
            SimConfig {
                batch: 1001,
                api_limits: SimConfig::ec2_limits(),
                ..default()
            },
        ),
        (
            "`broken_listings`: there is no region `mars`",
            SimConfig {
                broken_listings: vec!["mars".to_owned()],
                ..default()
            },
        ),
        (
            "`capacity`: there is no type `x`",
            SimConfig {
                capacity: vec![SimCapacity {
                    instance_type: Some("x".to_owned()),
                    ..SimCapacity::default()
                }],
                ..default()
            },
        ),
        (
            "`dns_zones`: `sim.test.` is not the name of a zone",
            SimConfig {
                dns_zones: vec!["sim.test.".to_owned()],
                ..default()
            },
        ),
    ];
    for (message, config) in cases {
        let error = make(config).unwrap_err();
        assert_eq!(
            (error.kind(), error.to_string().as_str()),
            (Kind::Config, message)
        );
        assert!(error.hint().is_some(), "{message}");
    }
}

#[test]
fn the_schema_documents_every_key() {
    let schema = serde_json::to_value(schemars::schema_for!(SimConfig)).unwrap();
    let properties = schema["properties"].as_object().unwrap();
    let written = serde_json::to_value(SimConfig::default()).unwrap();
    for key in written.as_object().unwrap().keys() {
        let about = properties[key]["description"].as_str().unwrap_or("");
        assert!(
            about.contains("Default:"),
            "`{key}` is described as `{about}`"
        );
    }
    assert_eq!(schema["additionalProperties"], json!(false));
}
