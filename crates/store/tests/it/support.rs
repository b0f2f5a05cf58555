//! What the tests share: a journal in a scratch directory, and things to put into it.

use std::path::{Path, PathBuf};
use std::time::Duration;

use fleetwright_core::{
    Access, Availability, Boot, Claim, ClaimId, ClaimState, CreateRequest, Currency, Event,
    EventKind, HourlyPrice, Labels, Life, Market, NodeId, NodeRecord, NodeSpec, Offer, Tenure,
    Token,
};
use fleetwright_store::{Lease, Store};
use jiff::Timestamp;
use tempfile::TempDir;

/// How long a lease is asked for.
pub(crate) const TTL: Duration = Duration::from_mins(1);

/// A scratch directory with the path of a journal in it.
pub(crate) struct Scratch {
    directory: TempDir,
}

impl Scratch {
    pub(crate) fn new() -> Self {
        Self {
            directory: TempDir::new().unwrap(),
        }
    }

    pub(crate) fn directory(&self) -> &Path {
        self.directory.path()
    }

    pub(crate) fn journal(&self) -> PathBuf {
        self.directory.path().join("state").join("journal.db")
    }

    pub(crate) async fn open(&self) -> Store {
        Store::open(&self.journal()).await.unwrap()
    }
}

/// An instant, so many microseconds into the test; with nanoseconds that must survive.
pub(crate) fn at(micros: i64) -> Timestamp {
    Timestamp::from_nanosecond(1_790_000_000_000_000_000 + i128::from(micros) * 1_000 + 7).unwrap()
}

pub(crate) async fn lease(store: &Store) -> Lease {
    store.acquire("fleet", "a test", at(0), TTL).await.unwrap()
}

pub(crate) fn offer() -> Offer {
    Offer {
        provider: "cloud".into(),
        region: "north".into(),
        zone: Some("north-a".into()),
        instance_type: "small".into(),
        market: Market::Spot,
        price: Some(HourlyPrice::usd_micros(4_200)),
        availability: Availability::Available,
        reason: "cheapest".into(),
    }
}

pub(crate) fn claim(id: ClaimId, attempt: u32, micros: i64) -> Claim {
    let spec = NodeSpec {
        name: "web".into(),
        instance_type: "small".into(),
        image: None,
        region: "north".into(),
        zone: None,
        market: Market::Spot,
        ssh_keys: vec!["ssh-ed25519 AAAA".into()],
        user_data: Some("#!/bin/sh\necho 'ä \"quoted\"'\n".into()),
        labels: Labels::from([("a".into(), "b".into())]),
        options: serde_json::Map::new(),
    };
    let mut request = CreateRequest {
        count: 2,
        spec,
        token: Token::from_stored(""),
        replay: false,
        host_key: None,
    };
    request.token = Token::new(id, attempt, &request.parameters());
    Claim {
        id,
        attempt,
        pool: "web".into(),
        offer: offer(),
        request,
        state: ClaimState::Open,
        made_at: at(micros),
        sent_at: at(micros),
        closed_at: None,
        decision: None,
    }
}

pub(crate) fn node_id(number: usize) -> NodeId {
    NodeId::new("cloud", "north", &format!("i-{number:05}")).unwrap()
}

pub(crate) fn record(number: usize, life: Life) -> NodeRecord {
    NodeRecord {
        id: node_id(number),
        name: format!("web-{number}"),
        pool: "web".into(),
        claim: Some(ClaimId::new()),
        token: Some(Token::from_stored("a-token")),
        life,
        since: at(1),
        instance_type: "small".into(),
        zone: Some("north-a".into()),
        market: Market::OnDemand,
        price: Some(HourlyPrice {
            currency: Currency::Eur,
            micros_per_hour: 12_345,
        }),
        generation: "abc".into(),
        access: Some(Access {
            host: "127.0.0.1".into(),
            port: 2222,
            user: "root".into(),
            host_keys: vec!["ssh-ed25519 AAAA".into()],
        }),
        boot: Some(Boot::Failed {
            exit_status: Some(3),
            log_tail: "line one\nline two".into(),
        }),
        labels: Labels::from([("owner".into(), "me".into())]),
        created_at: at(0),
        seen_at: Some(at(2)),
        gone_at: None,
        tenure: Tenure::default(),
        reason: "because".into(),
    }
}

pub(crate) fn changed(number: usize, reason: &str) -> Event {
    Event {
        sequence: 0,
        at: at(5),
        what: EventKind::NodeChanged {
            node: node_id(number),
            name: format!("web-{number}"),
            from: None,
            to: Life::Requested,
            reason: reason.into(),
        },
    }
}

pub(crate) fn braked(reason: &str) -> Event {
    Event {
        sequence: 0,
        at: at(6),
        what: EventKind::Braked {
            reason: reason.into(),
        },
    }
}

/// The reasons that events carry: what the tests tell them apart by.
pub(crate) fn reasons(events: &[Event]) -> Vec<&str> {
    events
        .iter()
        .map(|event| match &event.what {
            EventKind::Braked { reason } | EventKind::NodeChanged { reason, .. } => reason.as_str(),
            other => other.name(),
        })
        .collect()
}

/// Runs SQL behind the back of the store.
pub(crate) async fn meddle(path: &Path, sql: &'static str) {
    use sqlx::{AnyConnection, Connection};

    sqlx::any::install_default_drivers();
    let url = format!("sqlite://{}?mode=rwc", path.display());
    let mut connection = AnyConnection::connect(&url).await.unwrap();
    sqlx::raw_sql(sql).execute(&mut connection).await.unwrap();
    connection.close().await.unwrap();
}

/// Makes a journal one of the first version again: everything that later migrations added goes.
pub(crate) const BACK_TO_THE_FIRST: &str = "
    DROP TABLE targets_seen; DROP TABLE welcomes; DROP TABLE deployments;
    DROP TABLE deployment_nodes;
    DROP INDEX claims_of_decision; ALTER TABLE claims DROP COLUMN decision; DROP TABLE decisions;
    DROP TABLE sizes; DROP TABLE signals;
    DROP INDEX nodes_gone; ALTER TABLE nodes DROP COLUMN gone_at;
    DROP TABLE turns;
    DROP TABLE breakers; DROP TABLE lifetimes;
    ALTER TABLE budgets DROP COLUMN rate; ALTER TABLE budgets DROP COLUMN rate_at;
    ALTER TABLE budgets DROP COLUMN throttled_at; ALTER TABLE budgets DROP COLUMN urgent;
    ALTER TABLE budgets DROP COLUMN urgent_until;
    ALTER TABLE marks DROP COLUMN since; ALTER TABLE marks DROP COLUMN refused_at;
    ALTER TABLE marks DROP COLUMN probe_until;
    DROP TABLE findings; DROP TABLE reaches;
    DROP TABLE deliveries; DROP TABLE cordons; DROP TABLE heartbeats; DROP TABLE health;
    DROP TABLE cases;
    DROP TABLE freezes;
    DELETE FROM schema_version WHERE version > 1;
";
