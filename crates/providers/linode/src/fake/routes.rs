//! The paths of the API, and what each does to the world.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Map, Value, json};

use super::filter::Filter;
use super::world::{self, Backend, Machine, Record, World, written};

/// A request, as far as the world looks at it.
pub(super) struct Asked<'a> {
    pub(super) method: &'a str,
    pub(super) path: Vec<&'a str>,
    pub(super) page: Option<&'a str>,
    pub(super) page_size: Option<&'a str>,
    pub(super) filter: Option<&'a str>,
    pub(super) body: Value,
    pub(super) token: Option<&'a str>,
    pub(super) now: Timestamp,
}

/// An answer.
pub(super) struct Said {
    pub(super) status: u16,
    pub(super) body: Value,
    pub(super) headers: Vec<(&'static str, String)>,
}

type Outcome = Result<Value, Said>;

fn no(status: u16, reason: &str, field: Option<&str>) -> Said {
    let mut error = json!({ "reason": reason });
    if let Some(field) = field {
        error["field"] = json!(field);
    }
    Said {
        status,
        body: json!({ "errors": [error] }),
        headers: Vec::new(),
    }
}

fn not_found() -> Said {
    no(404, "Not found", None)
}

fn number(text: &str) -> Result<u64, Said> {
    text.parse().map_err(|_| not_found())
}

impl World {
    pub(super) fn answer(&mut self, asked: &Asked<'_>) -> Said {
        self.advance(asked.now);
        let scopes = match asked.token {
            Some(token) if token == self.config.token => "*",
            Some(token) if token == self.config.read_only_token => {
                "account:read_only linodes:read_only nodebalancers:read_only domains:read_only"
            }
            _ => return no(401, "Invalid Token", None),
        };
        let outcome = if scopes != "*" && asked.method != "GET" {
            // Recorded by users of the real API.
            let reason = "Your OAuth token is not authorized to use this endpoint.";
            Err(no(401, reason, None))
        } else {
            self.route(asked)
        };
        let mut said = match outcome {
            Ok(body) => Said {
                status: 200,
                body,
                headers: Vec::new(),
            },
            Err(said) => said,
        };
        said.headers.push(("x-oauth-scopes", scopes.to_owned()));
        said.headers
            .push(("x-accepted-oauth-scopes", "*".to_owned()));
        said
    }

    fn route(&mut self, asked: &Asked<'_>) -> Outcome {
        let now = asked.now;
        match (asked.method, &asked.path[..]) {
            ("GET", ["profile"]) => Ok(json!({
                "username": "fleet", "email": "fleet@example.com", "restricted": false,
                "timezone": "UTC", "two_factor_auth": true,
            })),
            ("GET", ["linode", "types"]) => {
                page(asked, world::plans(), &["class", "label", "gpus"])
            }
            ("GET", ["regions"]) => page(asked, world::regions(), &["country", "site_type"]),
            ("GET", ["regions", "availability"]) => {
                let all = self.availability();
                page(asked, all, &["region", "plan", "available"])
            }
            ("GET", ["account", "availability"]) => page(asked, self.account(), &["region"]),
            ("GET", ["images"]) => page(asked, world::images(), &["label", "is_public", "vendor"]),
            ("GET", ["linode", "instances"]) => {
                let shown = self.machines.values().filter(|m| self.is_listed(m, now));
                let all = shown.map(|machine| self.show(machine, now)).collect();
                page(
                    asked,
                    all,
                    &["id", "label", "region", "tags", "ipv4", "image", "group"],
                )
            }
            ("POST", ["linode", "instances"]) => self.create(asked),
            ("GET", ["linode", "instances", id]) => {
                let machine = self.machine(number(id)?, now).ok_or_else(not_found)?;
                Ok(self.show(machine, now))
            }
            ("DELETE", ["linode", "instances", id]) => self.delete(number(id)?, now),
            (_, ["nodebalancers", rest @ ..]) => self.balance(asked, rest),
            (_, ["domains", rest @ ..]) => self.name(asked, rest),
            _ => Err(not_found()),
        }
    }

    fn availability(&self) -> Vec<Value> {
        // Only some premium and GPU plans are spoken of.
        world::regions()
            .iter()
            .flat_map(|region| {
                world::plans().into_iter().filter_map(|plan| {
                    let key = (
                        region["id"].as_str()?.to_owned(),
                        plan["id"].as_str()?.to_owned(),
                    );
                    let is_sold_out = self.sold_out.contains(&key);
                    (is_sold_out || plan["class"] == "gpu").then(
                        || json!({ "region": key.0, "plan": key.1, "available": !is_sold_out }),
                    )
                })
            })
            .collect()
    }

    fn account(&self) -> Vec<Value> {
        let all = world::regions().into_iter().map(|region| {
            let is_closed = self.closed.iter().any(|closed| region["id"] == **closed);
            let (open, shut): (&[&str], &[&str]) = if is_closed {
                (&["NodeBalancers"], &["Linodes"])
            } else {
                (&["Linodes", "NodeBalancers"], &[])
            };
            json!({ "region": region["id"], "available": open, "unavailable": shut })
        });
        all.collect()
    }

    // === machines ===

    fn create(&mut self, asked: &Asked<'_>) -> Outcome {
        let (body, now) = (&asked.body, asked.now);
        if self.config.limits {
            self.take_a_turn(now)?;
        }
        let text = |key: &str| body[key].as_str().unwrap_or("").to_owned();
        let (region, plan, label) = (text("region"), text("type"), text("label"));
        let regions = world::regions();
        let Some(place) = regions.iter().find(|known| known["id"] == *region) else {
            return Err(no(400, "region is not valid", Some("region")));
        };
        let plans = world::plans();
        let Some(known) = plans.iter().find(|known| known["id"] == *plan) else {
            let reason = "A valid plan type by that ID was not found";
            return Err(no(400, reason, Some("type")));
        };
        if !(3..=64).contains(&label.len()) {
            return Err(no(400, "Length must be 3-64 characters", Some("label")));
        }
        let user_data = checked(body)?;
        let can = |what: &str| {
            let all = place["capabilities"].as_array();
            all.is_some_and(|all| all.iter().any(|capability| capability == what))
        };
        if user_data.is_some() && !can("Metadata") {
            let reason = "Metadata is not supported in this region";
            return Err(no(400, reason, Some("metadata")));
        }
        if !world::images()
            .iter()
            .any(|known| body["image"] == known["id"])
        {
            return Err(no(400, "image is not valid", Some("image")));
        }
        let taken = self
            .machines
            .values()
            .any(|other| other.label == label && self.exists(other, now));
        if taken {
            let reason = "Label must be unique among your linodes";
            return Err(no(400, reason, Some("label")));
        }
        let is_sold_out = self.sold_out.contains(&(region.clone(), plan.clone()))
            || self.closed.contains(&region)
            || (known["class"] == "gpu" && !can("GPU Linodes"))
            || self.capacity == Some(0);
        if is_sold_out {
            let reason = "There is no availability for the selected plan in the selected region";
            return Err(no(403, reason, None));
        }
        if self.quota == Some(0) {
            let reason = "Account Limit reached. Please open a support ticket.";
            return Err(no(400, reason, None));
        }
        for left in [&mut self.quota, &mut self.capacity].into_iter().flatten() {
            *left -= 1;
        }
        let id = self.next_id();
        let [_, .., a, b] = u32::try_from(id).unwrap_or(0).to_be_bytes();
        let machine = Machine {
            id,
            label,
            region,
            instance_type: plan,
            image: text("image"),
            tags: strings(&body["tags"]),
            user_data,
            authorized_keys: strings(&body["authorized_keys"]),
            is_leaving: false,
            public: [203, 0, a, b].into(),
            private: (body["private_ip"] == true).then(|| [192, 168, a, b].into()),
            created: now,
            deleted: None,
            extra: body.clone(),
        };
        let shown = self.show(&machine, now);
        self.machines.insert(id, machine);
        Ok(shown)
    }

    /// "Creating Linodes has a dedicated rate limit of 20 requests per 15 seconds."
    fn take_a_turn(&mut self, now: Timestamp) -> Result<(), Said> {
        let window = SignedDuration::from_secs(15);
        self.asked.retain(|at| now.duration_since(*at) < window);
        if self.asked.len() >= 20 {
            let first = self.asked.first().copied().unwrap_or(now);
            let left = (window - now.duration_since(first)).as_secs() + 1;
            let mut said = no(429, "Too many requests", None);
            said.headers = vec![
                ("x-ratelimit-limit", "20".to_owned()),
                ("x-ratelimit-remaining", "0".to_owned()),
                ("x-ratelimit-reset", (now.as_second() + left).to_string()),
                ("retry-after", left.to_string()),
            ];
            return Err(said);
        }
        self.asked.push(now);
        Ok(())
    }

    fn delete(&mut self, id: u64, now: Timestamp) -> Outcome {
        if self.machine(id, now).is_none() {
            return Err(not_found());
        }
        if self.busy.contains(&id) {
            return Err(no(400, "Linode busy.", None));
        }
        if let Some(machine) = self.machines.get_mut(&id) {
            machine.is_leaving = true;
            machine.deleted.get_or_insert(now);
        }
        Ok(json!({}))
    }

    // === NodeBalancers ===

    fn balance(&mut self, asked: &Asked<'_>, rest: &[&str]) -> Outcome {
        if let ("GET", []) = (asked.method, rest) {
            let all = self.balancers.iter().map(|balancer| {
                json!({
                    "id": balancer.id, "label": balancer.label, "region": balancer.region,
                    "hostname": format!("192-0-2-1.ip.linodeusercontent.com"),
                    "ipv4": "192.0.2.1", "ipv6": null,
                    "created": "2018-01-02T03:04:05", "updated": "2018-01-02T03:04:05",
                    "client_conn_throttle": 0, "tags": [],
                    "transfer": { "in": null, "out": null, "total": null },
                })
            });
            return page(asked, all.collect(), &["label", "region", "ipv4", "tags"]);
        }
        let [id, "configs", rest @ ..] = rest else {
            return Err(not_found());
        };
        let id = number(id)?;
        let balancer = self.balancers.iter().find(|known| known.id == id);
        let balancer = balancer.cloned().ok_or_else(not_found)?;
        if let ("GET", []) = (asked.method, rest) {
            let all = balancer
                .ports
                .iter()
                .map(|port| self.port(id, port, asked.now));
            return page(asked, all.collect(), &[]);
        }
        let [port, "nodes", rest @ ..] = rest else {
            return Err(not_found());
        };
        let port = number(port)?;
        let known = balancer.ports.iter().find(|known| known.id == port);
        let known = known.ok_or_else(not_found)?;
        match (asked.method, rest) {
            ("GET", []) => {
                let show = |backend| self.backend(id, port, backend, asked.now);
                page(asked, known.backends.iter().map(show).collect(), &[])
            }
            ("POST", []) => {
                let address = asked.body["address"].as_str().unwrap_or("").to_owned();
                self.check_address(&address, &balancer.region, asked.now)?;
                let backend = Backend {
                    id: self.next_id(),
                    address,
                    label: label(&asked.body)?,
                    mode: asked.body["mode"].as_str().unwrap_or("accept").to_owned(),
                    since: asked.now,
                };
                let shown = self.backend(id, port, &backend, asked.now);
                self.backends_of(id, port).push(backend);
                Ok(shown)
            }
            ("PUT", [node]) => {
                let (node, name) = (number(node)?, label(&asked.body)?);
                let mut all = self.backends_of(id, port).iter_mut();
                let found = all.find(|known| known.id == node).ok_or_else(not_found)?;
                found.label = name;
                if let Some(mode) = asked.body["mode"].as_str() {
                    mode.clone_into(&mut found.mode);
                }
                let found = found.clone();
                Ok(self.backend(id, port, &found, asked.now))
            }
            ("DELETE", [node]) => {
                let node = number(node)?;
                let backends = self.backends_of(id, port);
                let before = backends.len();
                backends.retain(|known| known.id != node);
                if backends.len() == before {
                    return Err(not_found());
                }
                Ok(json!({}))
            }
            _ => Err(not_found()),
        }
    }

    fn check_address(&self, address: &str, region: &str, now: Timestamp) -> Result<(), Said> {
        let host = address.rsplit_once(':').map_or("", |(host, _)| host);
        let is_ours = self.machines.values().any(|machine| {
            machine
                .private
                .is_some_and(|private| private.to_string() == host)
                && machine.region == region
                && self.exists(machine, now)
        });
        if is_ours {
            return Ok(());
        }
        let reason = "Address must be a private IP address of a Linode in the same region";
        Err(no(400, reason, Some("address")))
    }

    fn backends_of(&mut self, balancer: u64, port: u64) -> &mut Vec<Backend> {
        let found = self
            .balancers
            .iter_mut()
            .find(|known| known.id == balancer)
            .and_then(|balancer| balancer.ports.iter_mut().find(|known| known.id == port));
        &mut found.expect("it was looked up before").backends
    }

    fn port(&self, balancer: u64, port: &world::Port, now: Timestamp) -> Value {
        let up = |backend: &&Backend| self.backend_status(backend, now) == "UP";
        let ups = port.backends.iter().filter(up).count();
        json!({
            "id": port.id, "port": port.number, "protocol": "tcp", "algorithm": "roundrobin",
            "stickiness": "none", "check": "connection", "check_interval": 31,
            "check_timeout": 30, "check_attempts": 3, "check_path": "", "check_body": "",
            "check_passive": true, "proxy_protocol": "none", "cipher_suite": "recommended",
            "nodebalancer_id": balancer, "ssl_commonname": "", "ssl_fingerprint": "",
            "ssl_cert": null, "ssl_key": null,
            "nodes_status": { "up": ups, "down": port.backends.len() - ups },
        })
    }

    fn backend(&self, balancer: u64, port: u64, backend: &Backend, now: Timestamp) -> Value {
        json!({
            "id": backend.id, "address": backend.address, "label": backend.label,
            "status": self.backend_status(backend, now), "weight": 100, "mode": backend.mode,
            "config_id": port, "nodebalancer_id": balancer,
        })
    }

    // === domains ===

    fn name(&mut self, asked: &Asked<'_>, rest: &[&str]) -> Outcome {
        if let ("GET", []) = (asked.method, rest) {
            let all = self.zones.iter().map(|zone| {
                json!({
                    "id": zone.id, "type": zone.kind, "domain": zone.name, "tags": [],
                    "status": "active",
                    "soa_email": "admin@example.com", "retry_sec": 0, "master_ips": [],
                    "axfr_ips": [], "expire_sec": 0, "refresh_sec": 0, "ttl_sec": 0,
                })
            });
            return page(asked, all.collect(), &["domain", "group", "tags"]);
        }
        let [id, "records", rest @ ..] = rest else {
            return Err(not_found());
        };
        let (id, now) = (number(id)?, asked.now);
        let fresh = self.next_id();
        let mut zones = self.zones.iter_mut();
        let zone = zones.find(|known| known.id == id).ok_or_else(not_found)?;
        match (asked.method, rest) {
            ("GET", []) => {
                let all = zone.records.iter().map(|record| show(record, now));
                page(asked, all.collect(), &["name", "type", "target", "tag"])
            }
            ("POST", []) => {
                let text = |key: &str| asked.body[key].as_str().unwrap_or("").to_owned();
                let record = Record {
                    id: fresh,
                    kind: text("type"),
                    name: text("name"),
                    target: text("target"),
                    ttl_sec: rounded(asked.body["ttl_sec"].as_u64().unwrap_or(0)),
                };
                zone.accept(&record)?;
                let shown = show(&record, now);
                zone.records.push(record);
                Ok(shown)
            }
            ("PUT", [record]) => {
                let record = number(record)?;
                let known = zone.records.iter().find(|known| known.id == record);
                let mut changed = known.cloned().ok_or_else(not_found)?;
                if let Some(target) = asked.body["target"].as_str() {
                    target.clone_into(&mut changed.target);
                }
                if let Some(ttl) = asked.body["ttl_sec"].as_u64() {
                    changed.ttl_sec = rounded(ttl);
                }
                zone.accept(&changed)?;
                let shown = show(&changed, now);
                zone.records.retain(|known| known.id != record);
                zone.records.push(changed);
                Ok(shown)
            }
            ("DELETE", [record]) => {
                let record = number(record)?;
                let before = zone.records.len();
                zone.records.retain(|known| known.id != record);
                if zone.records.len() == before {
                    return Err(not_found());
                }
                Ok(json!({}))
            }
            _ => Err(not_found()),
        }
    }
}

impl world::Zone {
    fn accept(&self, record: &Record) -> Result<(), Said> {
        if record.target.is_empty() {
            return Err(no(400, "target is required", Some("target")));
        }
        let mut others = self
            .records
            .iter()
            .filter(|other| other.id != record.id && other.name == record.name);
        let clash = others.any(|other| {
            (other.kind == "CNAME") != (record.kind == "CNAME")
                || other.kind == "CNAME"
                || (other.kind == record.kind && other.target == record.target)
        });
        if clash {
            let reason = "hostname conflicts with existing record(s)";
            return Err(no(400, reason, Some("name")));
        }
        Ok(())
    }
}

fn show(record: &Record, now: Timestamp) -> Value {
    json!({
        "id": record.id, "type": record.kind, "name": record.name, "target": record.target,
        "priority": 0, "weight": 0, "port": 0, "service": null, "protocol": null,
        "ttl_sec": record.ttl_sec, "tag": null,
        "created": written(now), "updated": written(now),
    })
}

/// "Any other value will be rounded to the nearest valid value."
fn rounded(seconds: u64) -> u64 {
    let valid = [
        0, 300, 3_600, 7_200, 14_400, 28_800, 57_600, 86_400, 172_800, 345_600, 604_800, 1_209_600,
        2_419_200,
    ];
    let up = valid.into_iter().find(|known| *known >= seconds);
    up.unwrap_or(2_419_200)
}

/// The rules for a new machine's body; its user data, decoded.
fn checked(body: &Value) -> Result<Option<Vec<u8>>, Said> {
    for tag in strings(&body["tags"]) {
        if !(3..=50).contains(&tag.chars().count()) {
            return Err(no(400, "Length must be 3-50 characters", Some("tags")));
        }
    }
    let has_keys = !strings(&body["authorized_keys"]).is_empty()
        || !strings(&body["authorized_users"]).is_empty();
    let password = body["root_pass"].as_str().map(str::len);
    if !has_keys && password.is_none() {
        // Recorded.
        let reason = "Must provide valid root_pass, authorized_keys, or authorized_users";
        return Err(no(400, reason, None));
    }
    if password.is_some_and(|length| !(7..=128).contains(&length)) {
        return Err(no(
            400,
            "Length must be 7-128 characters",
            Some("root_pass"),
        ));
    }
    for key in strings(&body["authorized_keys"]) {
        let known = [
            "ssh-rsa ",
            "ssh-ed25519 ",
            "ecdsa-sha2-nistp",
            "sk-ecdsa-sha2-nistp",
        ];
        if !known.iter().any(|kind| key.starts_with(kind)) {
            let reason = "SSH Key 1 key-type must be one of ssh-dss, ssh-rsa, \
                          ecdsa-sha2-nistp, ssh-ed25519, or sk-ecdsa-sha2-nistp256.";
            return Err(no(400, reason, Some("authorized_keys")));
        }
    }
    let Some(encoded) = body["metadata"]["user_data"].as_str() else {
        return Ok(None);
    };
    let field = Some("metadata.user_data");
    let decoded = STANDARD
        .decode(encoded)
        .map_err(|_| no(400, "User data must be Base64-encoded", field))?;
    if decoded.len() > 65_535 {
        return Err(no(400, "User data must be 65535 bytes or less", field));
    }
    Ok(Some(decoded))
}

fn label(body: &Value) -> Result<String, Said> {
    let label = body["label"].as_str().unwrap_or("");
    let plain = label
        .chars()
        .all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c));
    if (3..=32).contains(&label.len()) && plain {
        return Ok(label.to_owned());
    }
    Err(no(400, "Length must be 3-32 characters", Some("label")))
}

fn strings(value: &Value) -> Vec<String> {
    let all = value.as_array().into_iter().flatten();
    all.filter_map(|one| one.as_str().map(str::to_owned))
        .collect()
}

/// A page of a collection.
fn page(asked: &Asked<'_>, items: Vec<Value>, fields: &[&str]) -> Outcome {
    let filter = Filter::read(asked.filter, fields).map_err(|reason| no(400, &reason, None))?;
    let items = filter.apply(items);
    let read = |text: Option<&str>, default: usize| match text {
        None => Some(default),
        Some(text) => text.parse().ok(),
    };
    let size = read(asked.page_size, 100).filter(|size| (25..=500).contains(size));
    let size = size.ok_or_else(|| no(400, "Must be 25-500", Some("page_size")))?;
    let number = read(asked.page, 1).filter(|number| *number >= 1);
    let number = number.ok_or_else(|| no(400, "Must be 1 or more", Some("page")))?;
    let results = items.len();
    let pages = results.div_ceil(size).max(1);
    if number > pages {
        return Err(not_found());
    }
    let data: Vec<Value> = items
        .into_iter()
        .skip((number - 1) * size)
        .take(size)
        .collect();
    let mut body = Map::new();
    body.insert("data".to_owned(), Value::Array(data));
    body.insert("page".to_owned(), json!(number));
    body.insert("pages".to_owned(), json!(pages));
    body.insert("results".to_owned(), json!(results));
    Ok(Value::Object(body))
}
