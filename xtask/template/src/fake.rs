//! A stateful fake of Template's API. With an official description, every exchange is judged.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use fleetwright_core::Labels;
use fleetwright_rest::testing::{Description, Reply, Request, Server, World};
use serde_json::{Value, json};

/// Where the official description stands below `../shared/specs/`; `None`: there is none.
pub const DESCRIPTION: Option<&str> = None;

/// The token that is good.
pub const TOKEN: &str = "t0ken-of-the-fake";

/// How long listings are late.
pub const LAG: Duration = Duration::from_millis(100);

/// How long a machine boots, and how long it takes to go.
const STEP: Duration = Duration::from_millis(50);

/// The regions of the fake.
const REGIONS: [&str; 2] = ["east", "west"];

/// Name, cores, GiB of memory, price per hour.
const TYPES: [(&str, u32, u64, &str); 2] = [("small", 1, 2, "0.0060"), ("large", 8, 32, "0.1")];

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
pub struct TemplateFake {
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

// === impl TemplateFake ===

impl TemplateFake {
    /// Starts one with nothing in it.
    pub fn start() -> Self {
        let cloud = Arc::new(Cloud::default());
        let world: Arc<dyn World> = Arc::clone(&cloud) as _;
        Self {
            server: Server::start(world, DESCRIPTION.and_then(Description::find)),
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
            "name": "stranger", "type": "small", "region": region, "labels": labels,
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
                let listed: Vec<Value> = state
                    .machines
                    .iter()
                    .filter(|one| one.made.elapsed() >= LAG && !one.is_gone(LAG))
                    .map(FakeMachine::show)
                    .collect();
                page(request, "servers", &listed)
            }
            ("POST", ["v1", "servers"]) => state.create(&request.json()),
            ("GET", ["v1", "servers", id]) => match state.find(id) {
                Some(found) => Reply::json(200, &json!({ "server": found.show() })),
                None => refuse(404, "not_found", "server not found"),
            },
            ("DELETE", ["v1", "servers", id]) => {
                if state.end(id) {
                    Reply::empty(204)
                } else {
                    refuse(404, "not_found", "server not found")
                }
            }
            ("GET", ["v1", "server_types"]) => {
                let has_some = state.capacity != Some(0);
                let types: Vec<Value> =
                    TYPES.iter().map(|kind| show_type(kind, has_some)).collect();
                page(request, "server_types", &types)
            }
            _ => refuse(404, "not_found", "no such path"),
        }
    }
}

impl State {
    fn create(&mut self, body: &Value) -> Reply {
        let text = |key: &str| body[key].as_str().unwrap_or_default();
        let is_known = TYPES.iter().any(|kind| kind.0 == text("type"));
        if !is_known || !REGIONS.contains(&text("region")) {
            return refuse(
                422,
                "invalid_input",
                "invalid input in field 'type' or 'region'",
            );
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
        Reply::json(201, &json!({ "server": made.map(FakeMachine::show) }))
    }

    fn add(&mut self, body: &Value) -> u64 {
        let text = |key: &str| body[key].as_str().unwrap_or_default().to_owned();
        self.count += 1;
        self.machines.push(FakeMachine {
            id: self.count,
            name: text("name"),
            region: text("region"),
            kind: text("type"),
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

    fn show(&self) -> Value {
        let status = self.status();
        json!({
            "id": self.id,
            "name": self.name,
            "status": status,
            "region": self.region,
            "type": self.kind,
            "address": (status == "running").then_some("127.0.0.1"),
            "created": "2026-01-02T03:04:05Z",
            "labels": self.labels,
        })
    }
}

fn show_type(kind: &(&str, u32, u64, &str), has_some: bool) -> Value {
    let (name, cores, memory, price) = kind;
    let available: &[&str] = if has_some { &REGIONS } else { &[] };
    json!({
        "name": name,
        "cores": cores,
        "memory_gib": memory,
        "prices": { "east": price, "west": price },
        "available": available,
    })
}

/// The page of `items` that a request asks for. The fake's pages are small, whatever is asked for.
fn page(request: &Request, key: &str, items: &[Value]) -> Reply {
    const MOST: usize = 5;
    let number = request.number("page", 1).max(1);
    let size = request.number("per_page", MOST).clamp(1, MOST);
    let page: Vec<&Value> = items.iter().skip((number - 1) * size).take(size).collect();
    let last = items.len().div_ceil(size).max(1);
    Reply::json(200, &json!({ key: page, "last_page": last }))
}

fn refuse(status: u16, code: &str, message: &str) -> Reply {
    Reply::json(
        status,
        &json!({ "error": { "code": code, "message": message } }),
    )
    .with_header("x-request-id", "fake-request")
}
