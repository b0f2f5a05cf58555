//! Answers as Prometheus 2.42 gave them, and everything else that may come instead.

#![expect(
    clippy::unwrap_used,
    reason = "what fails while a test is set up ends the test"
)]

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use fleetwright_core::{
    Clock, Error, Kind, PrometheusQuery, Quantity, Result, Secret, SecretRef, SecretSource,
    SignalSource,
};
use fleetwright_prometheus::Prometheus;
use fleetwright_rest::testing::{Fault, Reply, Request, Server, Trouble, World};
use jiff::Timestamp;

/// Recorded answers by query: status and body.
const RECORDED: [(&str, u16, &str); 11] = [
    (
        "sum(depth)",
        200,
        r#"{"status":"success","data":{"resultType":"vector","result":[{"metric":{},"value":[1763985600.123,"42"]}]}}"#,
    ),
    (
        "depth / 3",
        200,
        r#"{"status":"success","data":{"resultType":"vector","result":[{"metric":{"job":"queue"},"value":[1763985600.123,"0.3333333333333333"]}]}}"#,
    ),
    (
        "scalar(vector(1e6))",
        200,
        r#"{"status":"success","data":{"resultType":"scalar","result":[1763985600.123,"1e+06"]}}"#,
    ),
    (
        "absent_metric",
        200,
        r#"{"status":"success","data":{"resultType":"vector","result":[]}}"#,
    ),
    (
        "up",
        200,
        r#"{"status":"success","data":{"resultType":"vector","result":[{"metric":{"__name__":"up","instance":"a"},"value":[1763985600.123,"1"]},{"metric":{"__name__":"up","instance":"b"},"value":[1763985600.123,"1"]}]}}"#,
    ),
    (
        "depth[1m]",
        200,
        r#"{"status":"success","data":{"resultType":"matrix","result":[{"metric":{"__name__":"depth"},"values":[[1763985590.123,"41"],[1763985600.123,"42"]]}]}}"#,
    ),
    (
        "0/0",
        200,
        r#"{"status":"success","data":{"resultType":"scalar","result":[1763985600.123,"NaN"]}}"#,
    ),
    (
        "1/0",
        200,
        r#"{"status":"success","data":{"resultType":"scalar","result":[1763985600.123,"+Inf"]}}"#,
    ),
    (
        "\"text\"",
        200,
        r#"{"status":"success","data":{"resultType":"string","result":[1763985600.123,"text"]}}"#,
    ),
    (
        "sum(",
        400,
        r#"{"status":"error","errorType":"bad_data","error":"invalid parameter \"query\": 1:5: parse error: unclosed left parenthesis"}"#,
    ),
    (
        "slow",
        503,
        r#"{"status":"error","errorType":"timeout","error":"query timed out in expression evaluation"}"#,
    ),
];

/// Answers as recorded; behind a token if it has one.
struct Recorded {
    answers: BTreeMap<&'static str, (u16, &'static str)>,
    token: Option<&'static str>,
}

impl World for Recorded {
    fn answer(&self, request: &Request) -> Reply {
        if request.bearer() != self.token {
            return Reply::text(401, "text/plain", "Unauthorized\n");
        }
        assert_eq!(
            (request.method(), request.path()),
            ("GET", "/prom/api/v1/query")
        );
        let (status, body) = self.answers[request.query("query").unwrap()];
        Reply::text(status, "application/json", body)
    }
}

#[derive(Debug)]
struct Standing;

#[async_trait]
impl Clock for Standing {
    fn now(&self) -> Timestamp {
        "2026-11-24T12:00:00Z".parse().unwrap()
    }

    async fn sleep(&self, _: Duration) {}
}

/// A token, and how often it was fetched.
#[derive(Debug, Default)]
struct Secrets(Mutex<u32>);

#[async_trait]
impl SecretSource for Secrets {
    async fn fetch(&self, reference: &SecretRef) -> Result<Secret> {
        *self.0.lock().unwrap() += 1;
        match reference {
            SecretRef::Env(name) if name == "PROM" => Ok(Secret::new("t0ken")),
            _ => Err(Error::new(Kind::Config, "no such secret")),
        }
    }
}

fn serve(token: Option<&'static str>) -> Server {
    let answers = RECORDED
        .iter()
        .map(|(query, status, body)| (*query, (*status, *body)))
        .collect();
    Server::start(Arc::new(Recorded { answers, token }), None)
}

fn source(server: &Server, query: &str, token: Option<&str>) -> Prometheus {
    let config = PrometheusQuery {
        url: format!("{}/prom/", server.url()),
        query: query.to_owned(),
        token: token.map(|reference| reference.parse().unwrap()),
    };
    Prometheus::new(&config, Arc::<Secrets>::default(), Arc::new(Standing)).unwrap()
}

async fn ask(server: &Server, query: &str) -> Result<Quantity> {
    source(server, query, None).read().await
}

#[tokio::test]
async fn one_number_is_a_quantity() {
    let server = serve(None);
    for (query, value) in [
        ("sum(depth)", "42"),
        ("depth / 3", "0.333333"),
        ("scalar(vector(1e6))", "1000000"),
    ] {
        assert_eq!(
            ask(&server, query).await.unwrap().to_string(),
            value,
            "{query}"
        );
    }
}

#[tokio::test]
async fn what_is_not_one_number_is_an_error_and_never_a_zero() {
    let server = serve(None);
    for (query, kind, message) in [
        ("absent_metric", Kind::NotFound, "the query found nothing"),
        (
            "up",
            Kind::Invalid,
            "the query gives 2 series, not one number",
        ),
        (
            "depth[1m]",
            Kind::Invalid,
            "the query gives a range of values, not one number",
        ),
        ("0/0", Kind::Invalid, "`NaN` is not a number"),
        ("1/0", Kind::Invalid, "`inf` is infinite"),
        (
            "\"text\"",
            Kind::Invalid,
            "the query gives a string, not a number",
        ),
        (
            "sum(",
            Kind::Invalid,
            "invalid parameter \"query\": 1:5: parse error: unclosed left parenthesis",
        ),
        (
            "slow",
            Kind::Timeout,
            "query timed out in expression evaluation",
        ),
    ] {
        let error = ask(&server, query).await.unwrap_err();
        assert_eq!(
            (error.kind(), &*error.to_string()),
            (kind, message),
            "{query}"
        );
    }
}

#[tokio::test]
async fn a_server_that_is_down_slow_or_something_else_is_an_error() {
    let mut server = serve(None);
    let path = "/prom/api/v1/query";
    for (trouble, kind) in [
        (Trouble::ResetBefore, Kind::Unavailable),
        (Trouble::gateway(503), Kind::Unavailable),
        (Trouble::too_many(None), Kind::RateLimited),
        (Trouble::Truncate, Kind::Unavailable),
        (Trouble::Garbage, Kind::Unexpected),
        (Trouble::Html, Kind::Unexpected),
        (
            Trouble::Replace(Reply::text(
                200,
                "application/json",
                "{\"status\":\"success\"}",
            )),
            Kind::Unexpected,
        ),
    ] {
        server.fault(Fault::new("GET", path, trouble.clone()));
        let error = ask(&server, "sum(depth)").await.unwrap_err();
        assert_eq!(error.kind(), kind, "{trouble:?}: {error}");
    }
    assert!(
        ask(&server, "sum(depth)").await.is_ok(),
        "and then it goes on"
    );
    server.refuse(true);
    let error = ask(&server, "sum(depth)").await.unwrap_err();
    assert_eq!(error.kind(), Kind::Unavailable);
}

#[tokio::test]
async fn a_token_is_sent_and_never_shown() {
    let server = serve(Some("t0ken"));
    let good = source(&server, "sum(depth)", Some("env:PROM"));
    assert_eq!(good.read().await.unwrap(), Quantity::whole(42));
    assert!(!format!("{good:?}").contains("t0ken"));
    let error = ask(&server, "sum(depth)").await.unwrap_err();
    assert_eq!(error.kind(), Kind::Auth);
    let absent = source(&server, "sum(depth)", Some("env:OTHER"));
    assert_eq!(absent.read().await.unwrap_err().kind(), Kind::Config);
    assert_eq!(
        server.count("GET", "/prom"),
        2,
        "without its token nothing is asked"
    );
}

#[test]
fn an_address_that_is_none_is_refused() {
    for url in [
        "prometheus:9090",
        "ftp://prometheus",
        "http://me:secret@prometheus",
    ] {
        let config = PrometheusQuery {
            url: url.to_owned(),
            query: "1".to_owned(),
            token: None,
        };
        let error = Prometheus::new(&config, Arc::<Secrets>::default(), Arc::new(Standing))
            .expect_err("it is no address");
        assert_eq!(error.kind(), Kind::Config);
        assert!(!format!("{error:?}").contains("secret@"), "{error:?}");
    }
}
