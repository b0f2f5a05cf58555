//! Route 53: zones, their records, and changes that take a while to reach all name servers.

mod change;
mod list;
mod record;

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use jiff::Timestamp;

use crate::answer::{Answer, Refusal};
use crate::request::Request;
use crate::world::World;
use crate::xml::Xml;
use record::{Key, Record};

const NAMESPACE: &str = "https://route53.amazonaws.com/doc/2013-04-01/";
const VERSION: &str = "/2013-04-01/";

/// What exists in Route 53.
#[derive(Debug)]
pub(crate) struct State {
    zones: BTreeMap<String, Zone>,
    changes: BTreeMap<String, Change>,
    /// How long a change is `PENDING`.
    pub(super) sync: Duration,
}

impl Default for State {
    fn default() -> Self {
        Self {
            zones: BTreeMap::new(),
            changes: BTreeMap::new(),
            sync: Duration::from_millis(100),
        }
    }
}

/// A hosted zone.
#[derive(Debug, Clone)]
struct Zone {
    id: String,
    /// With a dot at the end.
    name: String,
    records: BTreeMap<Key, Record>,
}

/// A change that was accepted.
#[derive(Debug, Clone)]
struct Change {
    id: String,
    at: Instant,
    shown: Timestamp,
    comment: Option<String>,
}

/// Adds a public zone with its own records, and gives its id.
pub(super) fn add(world: &mut World, name: &str) -> String {
    let id = format!("Z{:020X}", world.next_serial());
    let name = record::canonical(name);
    let mut records = BTreeMap::new();
    for record in Record::of_new_zone(&name) {
        records.insert(record.key(), record);
    }
    let zone = Zone {
        id: id.clone(),
        name,
        records,
    };
    world.rest.route53.zones.insert(id.clone(), zone);
    id
}

/// The values of a record as they are in the zone; `None` if there is no such record.
pub(super) fn values(world: &World, name: &str, kind: &str) -> Option<Vec<String>> {
    let name = record::canonical(name);
    world
        .rest
        .route53
        .zones
        .values()
        .flat_map(|zone| zone.records.values())
        .find(|record| record.name == name && record.kind == kind)
        .map(|record| record.values.clone())
}

/// The action that a method and a path mean.
pub(super) fn action_of(method: &str, path: &str) -> Option<&'static str> {
    let path = path.strip_prefix(VERSION)?.trim_end_matches('/');
    let parts: Vec<&str> = path.split('/').collect();
    match (method, parts.as_slice()) {
        ("GET", ["hostedzone"]) => Some("ListHostedZones"),
        ("GET", ["hostedzonesbyname"]) => Some("ListHostedZonesByName"),
        ("GET", ["hostedzone", _]) => Some("GetHostedZone"),
        ("GET", ["hostedzone", _, "rrset"]) => Some("ListResourceRecordSets"),
        ("POST", ["hostedzone", _, "rrset"]) => Some("ChangeResourceRecordSets"),
        ("GET", ["change", _]) => Some("GetChange"),
        _ => None,
    }
}

/// The answer of Route 53.
pub(super) fn answer(world: &mut World, request: &Request) -> Result<Answer, Refusal> {
    match request.action.as_str() {
        "ListHostedZones" => list::zones(world, request),
        "ListHostedZonesByName" => list::zones_by_name(world, request),
        "GetHostedZone" => list::zone(world, request),
        "ListResourceRecordSets" => list::records(world, request),
        "ChangeResourceRecordSets" => change::change(world, request),
        "GetChange" => change::get(world, request),
        action => Err(super::unknown("route53", action)),
    }
}

/// The id in the path of a request.
fn id_in(request: &Request) -> &str {
    request
        .path
        .strip_prefix(VERSION)
        .and_then(|path| path.split('/').nth(1))
        .unwrap_or_default()
}

/// The zone in the path of a request.
fn zone_of<'a>(world: &'a World, request: &Request) -> Result<&'a Zone, Refusal> {
    let id = id_in(request);
    world.rest.route53.zones.get(id).ok_or_else(|| {
        Refusal::new(
            404,
            "NoSuchHostedZone",
            format!("No hosted zone found with ID: {id}"),
        )
    })
}

fn reply(action: &str, inner: impl FnOnce(&mut Xml)) -> Answer {
    let mut xml = Xml::document();
    xml.root(&format!("{action}Response"), NAMESPACE, inner);
    Answer::xml(xml)
}
