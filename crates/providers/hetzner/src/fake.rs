//! A stateful fake of Hetzner's API. With an official description, every exchange is judged.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use fleetwright_core::Labels;
use fleetwright_rest::testing::{Description, Prose, Reply, Request, Server, World};
use serde_json::{Value, json};

/// Where the official description stands below `../shared/specs/`.
pub const DESCRIPTION: &str = "hetzner/openapi.json";

/// Paging ("`page`", "`per_page`") and errors are described in prose only, for all calls.
/// <https://docs.hetzner.cloud/#pagination> <https://docs.hetzner.cloud/#errors>
const PROSE: Prose = Prose {
    query: &["page", "per_page"],
    errors: true,
};

/// The token that is good.
pub const TOKEN: &str = "t0ken-of-the-fake";

/// How long listings are late.
pub const LAG: Duration = Duration::from_millis(100);

/// How long a machine boots, and how long it takes to go.
const STEP: Duration = Duration::from_millis(50);

/// The regions of the fake.
const REGIONS: [&str; 2] = ["fsn1", "nbg1"];

/// Id, name, cores, GiB of memory, price per hour, architecture.
const TYPES: [Type; 3] = [
    (104, "cx22", 2, 4, "0.0060000000", "x86"),
    (105, "cx52", 16, 32, "0.0520000000", "x86"),
    (45, "cax11", 2, 4, "0.0060000000", "arm"),
];

/// The images that are known by name.
const IMAGES: [&str; 2] = ["debian-12", "ubuntu-24.04"];

type Type = (u64, &'static str, u32, u32, &'static str, &'static str);

/// A machine as the fake knows it.
#[derive(Debug, Clone)]
pub struct FakeMachine {
    /// Its id.
    pub id: u64,
    /// Its name.
    pub name: String,
    /// Its region.
    pub region: String,
    /// Its type.
    pub kind: String,
    /// Its labels.
    pub labels: Labels,
    /// Its user data.
    pub user_data: Option<String>,
    made: Instant,
    ended: Option<Instant>,
}

/// A running fake.
#[derive(Debug)]
pub struct HetznerFake {
    server: Server,
    cloud: Arc<Cloud>,
}

#[derive(Debug, Default)]
struct State {
    machines: Vec<FakeMachine>,
    count: u64,
    /// How many further machines can be had, and how many the account may have.
    capacity: Option<u32>,
    quota: Option<u32>,
}

#[derive(Debug, Default)]
struct Cloud {
    state: Mutex<State>,
}

// === impl HetznerFake ===

impl HetznerFake {
    /// Starts one with nothing in it.
    pub fn start() -> Self {
        let cloud = Arc::new(Cloud::default());
        let world: Arc<dyn World> = Arc::clone(&cloud) as _;
        Self {
            server: Server::start(world, Description::find_with(DESCRIPTION, PROSE)),
            cloud,
        }
    }

    /// The server, for faults, exchanges and violations.
    pub fn server(&self) -> &Server {
        &self.server
    }

    /// What goes into the configuration as `endpoint`.
    pub fn endpoint(&self) -> String {
        format!("{}/v1", self.server.url())
    }

    /// Every machine that exists at this instant, without lag.
    pub fn machines(&self) -> Vec<FakeMachine> {
        let mut machines = self.cloud.state().machines.clone();
        machines.retain(|machine| !machine.is_gone(Duration::ZERO));
        machines
    }

    /// Makes a machine past the API.
    pub fn add(&self, region: &str, labels: &Labels) -> u64 {
        let body = json!({
            "name": "stranger", "server_type": "cx22", "location": region, "labels": labels,
        });
        self.cloud.state().add(&body)
    }

    /// Ends a machine behind the API's back. `false`: there is none.
    pub fn end(&self, id: &str) -> bool {
        self.cloud.state().end(id)
    }

    /// From now on so many further machines can be had.
    pub fn set_capacity(&self, further: u32) {
        self.cloud.state().capacity = Some(further);
    }

    /// From now on the account may have so many further machines.
    pub fn set_quota(&self, further: u32) {
        self.cloud.state().quota = Some(further);
    }
}

// === the world ===

impl Cloud {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl World for Cloud {
    fn answer(&self, request: &Request) -> Reply {
        if request.bearer() != Some(TOKEN) {
            return refuse(401, "unauthorized", "unable to authenticate");
        }
        let mut state = self.state();
        match (request.method(), request.segments().as_slice()) {
            ("GET", ["v1", "servers"]) => {
                let selector = request.query("label_selector").unwrap_or_default();
                let listed: Vec<Value> = state
                    .machines
                    .iter()
                    .filter(|one| one.made.elapsed() >= LAG && !one.is_gone(LAG))
                    .filter(|one| one.is_selected(selector))
                    .map(FakeMachine::show)
                    .collect();
                page(request, &listed)
            }
            ("POST", ["v1", "servers"]) => state.create(&request.json()),
            ("GET", ["v1", "servers", id]) => match state.find(id) {
                Some(found) => Reply::json(200, &json!({ "server": found.show() })),
                None => refuse(404, "not_found", "server not found"),
            },
            ("DELETE", ["v1", "servers", id]) => {
                if state.end(id) {
                    Reply::json(200, &json!({ "action": action("delete_server") }))
                } else {
                    refuse(404, "not_found", "server not found")
                }
            }
            ("GET", ["v1", "server_types"]) => {
                let types: Vec<Value> = TYPES.iter().map(|kind| show_type(kind, true)).collect();
                Reply::json(200, &json!({ "server_types": types }))
            }
            ("GET", ["v1", "datacenters"]) => {
                let has_some = state.capacity != Some(0);
                let all: Vec<Value> = REGIONS.iter().map(|r| datacenter(r, has_some)).collect();
                Reply::json(200, &json!({ "datacenters": all, "recommendation": 1 }))
            }
            _ => refuse(404, "not_found", "no such path"),
        }
    }
}

impl State {
    fn create(&mut self, body: &Value) -> Reply {
        let text = |key: &str| body[key].as_str().unwrap_or_default();
        let is_known = TYPES.iter().any(|kind| kind.1 == text("server_type"));
        if !is_known || !REGIONS.contains(&text("location")) {
            return refuse(422, "invalid_input", "invalid input in field 'server_type'");
        }
        let is_number = text("image").parse::<u64>().is_ok();
        if !is_number && !IMAGES.contains(&text("image")) {
            return refuse(422, "invalid_input", "invalid input in field 'image'");
        }
        if self
            .machines
            .iter()
            .any(|one| one.name == text("name") && one.ended.is_none())
        {
            return refuse(409, "uniqueness_error", "server name is already used");
        }
        if self.quota == Some(0) {
            return refuse(403, "resource_limit_exceeded", "server limit exceeded");
        }
        if self.capacity == Some(0) {
            return refuse(
                412,
                "resource_unavailable",
                "no machines of this type are left",
            );
        }
        for left in [&mut self.quota, &mut self.capacity].into_iter().flatten() {
            *left -= 1;
        }
        let id = self.add(body);
        let made = self.machines.iter().find(|one| one.id == id);
        let made = json!({
            "server": made.map(FakeMachine::show),
            "action": action("create_server"),
            "next_actions": [action("start_server")],
            "root_password": null,
        });
        Reply::json(201, &made)
    }

    fn add(&mut self, body: &Value) -> u64 {
        let text = |key: &str| body[key].as_str().unwrap_or_default().to_owned();
        self.count += 1;
        self.machines.push(FakeMachine {
            id: self.count,
            name: text("name"),
            region: text("location"),
            kind: text("server_type"),
            labels: serde_json::from_value(body["labels"].clone()).unwrap_or_default(),
            user_data: body["user_data"].as_str().map(str::to_owned),
            made: Instant::now(),
            ended: None,
        });
        self.count
    }

    fn find(&self, id: &str) -> Option<&FakeMachine> {
        let mut machines = self.machines.iter();
        machines.find(|one| one.id.to_string() == id && !one.is_gone(Duration::ZERO))
    }

    fn end(&mut self, id: &str) -> bool {
        let mut machines = self.machines.iter_mut();
        match machines.find(|one| one.id.to_string() == id && !one.is_gone(Duration::ZERO)) {
            Some(found) => {
                found.ended.get_or_insert_with(Instant::now);
                true
            }
            None => false,
        }
    }
}

impl FakeMachine {
    fn is_gone(&self, lag: Duration) -> bool {
        self.ended
            .is_some_and(|ended| ended.elapsed() >= STEP + lag)
    }

    /// Its status at this instant, in the vendor's words.
    pub fn status(&self) -> &'static str {
        match self.ended {
            Some(_) => "deleting",
            None if self.made.elapsed() < STEP => "initializing",
            None => "running",
        }
    }

    /// Whether `a==b,c==d` selects it.
    fn is_selected(&self, selector: &str) -> bool {
        selector
            .split(',')
            .filter_map(|term| term.split_once("=="))
            .all(|(key, value)| self.labels.get(key).is_some_and(|has| has == value))
    }

    fn show(&self) -> Value {
        let kind = TYPES.iter().find(|kind| kind.1 == self.kind);
        json!({
            "id": self.id,
            "name": self.name,
            "status": self.status(),
            "created": "2026-01-02T03:04:05+00:00",
            "public_net": {
                "ipv4": { "id": 1, "ip": "127.0.0.1", "blocked": false, "dns_ptr": "host" },
                "ipv6": null,
                "floating_ips": [],
                "firewalls": [],
            },
            "private_net": [{ "network": 1, "ip": "10.0.0.2", "alias_ips": [], "mac_address": "" }],
            "server_type": kind.map(|kind| show_type(kind, false)),
            "datacenter": datacenter(&self.region, true),
            "image": null,
            "iso": null,
            "rescue_enabled": false,
            "locked": false,
            "backup_window": null,
            "outgoing_traffic": 0,
            "ingoing_traffic": 0,
            "included_traffic": 0,
            "protection": { "delete": false, "rebuild": false },
            "labels": self.labels,
            "primary_disk_size": 40,
            "volumes": [],
        })
    }
}

/// A type; within a server, the description leaves the architecture out.
fn show_type(kind: &Type, is_whole: bool) -> Value {
    let (id, name, cores, memory, price, architecture) = kind;
    let amount = json!({ "net": price, "gross": price });
    let prices: Vec<Value> = REGIONS
        .iter()
        .map(
            |region| json!({ "location": region, "price_hourly": amount, "price_monthly": amount }),
        )
        .collect();
    let mut value = json!({
        "id": id,
        "name": name,
        "description": name.to_uppercase(),
        "cores": cores,
        "memory": memory,
        "disk": 40,
        "deprecated": false,
        "prices": prices,
        "storage_type": "local",
        "cpu_type": "shared",
    });
    if is_whole {
        value["architecture"] = (*architecture).into();
    }
    value
}

fn datacenter(region: &str, has_some: bool) -> Value {
    let all: Vec<u64> = TYPES.iter().map(|kind| kind.0).collect();
    let available = if has_some { all.clone() } else { Vec::new() };
    json!({
        "id": 1,
        "name": format!("{region}-dc1"),
        "description": region,
        "location": {
            "id": 1,
            "name": region,
            "description": region,
            "country": "DE",
            "city": "Somewhere",
            "latitude": 50.5,
            "longitude": 12.4,
            "network_zone": "eu-central",
        },
        "server_types": {
            "supported": all,
            "available": available,
            "available_for_migration": available,
        },
    })
}

fn action(command: &str) -> Value {
    json!({
        "id": 1,
        "command": command,
        "status": "running",
        "progress": 0,
        "started": "2026-01-02T03:04:05+00:00",
        "finished": null,
        "resources": [{ "id": 1, "type": "server" }],
        "error": null,
    })
}

/// The page of servers that a request asks for. The fake's pages are small, whatever is asked for.
fn page(request: &Request, items: &[Value]) -> Reply {
    const MOST: usize = 5;
    let number = request.number("page", 1).max(1);
    let size = request.number("per_page", MOST).clamp(1, MOST);
    let page: Vec<&Value> = items.iter().skip((number - 1) * size).take(size).collect();
    let last = items.len().div_ceil(size).max(1);
    let meta = json!({ "pagination": {
        "page": number,
        "per_page": size,
        "previous_page": (number > 1).then(|| number - 1),
        "next_page": (number < last).then(|| number + 1),
        "last_page": last,
        "total_entries": items.len(),
    }});
    Reply::json(200, &json!({ "servers": page, "meta": meta }))
}

fn refuse(status: u16, code: &str, message: &str) -> Reply {
    Reply::json(
        status,
        &json!({ "error": { "code": code, "message": message } }),
    )
    .with_header("x-request-id", "fake-request")
}
