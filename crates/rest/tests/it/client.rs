//! What an error says: kind, effect, context.

use std::time::Duration;

use fleetwright_core::{Effect, Error, Kind};
use fleetwright_rest::Call;
use fleetwright_rest::testing::{Fault, Reply, Trouble};

use crate::support::Setup;

fn context<'a>(error: &'a Error, name: &str) -> Option<&'a str> {
    error
        .context()
        .find(|(known, _)| *known == name)
        .map(|(_, value)| value)
}

/// Each fault against a call that changes something and one that does not.
#[tokio::test]
async fn each_fault_has_its_kind_and_its_effect() {
    use Effect::{None as Nothing, Unknown};
    let delay = Duration::from_secs(1);
    for (trouble, kind, effect, is_made) in [
        (Trouble::ResetBefore, Kind::Unavailable, Unknown, false),
        (Trouble::ResetAfter, Kind::Unavailable, Unknown, true),
        (Trouble::DelayBefore(delay), Kind::Timeout, Unknown, true),
        (Trouble::DelayAfter(delay), Kind::Timeout, Unknown, true),
        (Trouble::Truncate, Kind::Unavailable, Unknown, true),
        (Trouble::Garbage, Kind::Unexpected, Unknown, true),
        (Trouble::Html, Kind::Unexpected, Unknown, true),
        (
            Trouble::too_many(Some(3)),
            Kind::RateLimited,
            Nothing,
            false,
        ),
        (Trouble::gateway(503), Kind::Unavailable, Unknown, false),
        (Trouble::gateway_after(504), Kind::Timeout, Unknown, true),
        (Trouble::gateway(400), Kind::Invalid, Nothing, false),
        (Trouble::gateway(401), Kind::Auth, Nothing, false),
        (Trouble::gateway(403), Kind::Permission, Nothing, false),
        (Trouble::gateway(409), Kind::Conflict, Nothing, false),
        (Trouble::gateway(422), Kind::Quota, Nothing, false),
        (Trouble::gateway(501), Kind::Unsupported, Unknown, false),
        (Trouble::gateway(302), Kind::Unexpected, Unknown, false),
    ] {
        let setup = Setup::new(0);
        let words = format!("{trouble:?}");
        setup
            .server
            .fault(Fault::new("POST", "/v1/servers", trouble.clone()));
        let call = Call::post(&["servers"]);
        let error = setup
            .client
            .fetch::<serde_json::Value>(call)
            .await
            .unwrap_err();
        assert_eq!(
            (error.kind(), error.effect()),
            (kind, effect),
            "{words}: {error:?}"
        );
        assert_eq!(context(&error, "call"), Some("POST servers"), "{words}");
        // A request that arrived is served even if its caller does not wait.
        tokio::time::timeout(Duration::from_secs(5), async {
            while is_made && setup.cloud.servers.lock().unwrap().is_empty() {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        })
        .await
        .expect("the effect takes place");
        assert_eq!(
            !setup.cloud.servers.lock().unwrap().is_empty(),
            is_made,
            "{words}"
        );

        let setup = Setup::new(0);
        setup
            .server
            .fault(Fault::new("GET", "/v1/numbers", trouble));
        let call = Call::get(&["numbers"]);
        let error = setup
            .client
            .fetch::<serde_json::Value>(call)
            .await
            .unwrap_err();
        assert_eq!(
            (error.kind(), error.effect()),
            (kind, Nothing),
            "{words}: {error:?}"
        );
        // The fault has struck once, and the client goes on.
        setup.client.send(Call::get(&["numbers"])).await.unwrap();
    }
}

#[tokio::test]
async fn a_refused_connection_is_no_effect_and_the_server_comes_back() {
    let mut setup = Setup::new(0);
    setup.server.refuse(true);
    let error = setup
        .client
        .send(Call::post(&["servers"]))
        .await
        .unwrap_err();
    assert_eq!(
        (error.kind(), error.effect()),
        (Kind::Unavailable, Effect::None),
        "{error:?}"
    );
    setup.server.refuse(false);
    setup.client.send(Call::post(&["servers"])).await.unwrap();
}

#[tokio::test]
async fn errors_carry_status_request_id_and_the_wish_for_when_to_come_back() {
    let setup = Setup::new(0);
    let error = setup
        .client
        .send(Call::get(&["nothing", "here"]))
        .await
        .unwrap_err();
    assert_eq!(error.kind(), Kind::NotFound);
    assert_eq!(context(&error, "status"), Some("404"));
    assert_eq!(context(&error, "request-id"), Some("r2"));
    assert_eq!(context(&error, "call"), Some("GET nothing/here"));

    for (trouble, after) in [
        (Trouble::too_many(Some(3)), Some(3)),
        (Trouble::too_many(None), None),
    ] {
        setup.server.fault(Fault::new("*", "/v1/numbers", trouble));
        let error = setup
            .client
            .send(Call::get(&["numbers"]))
            .await
            .unwrap_err();
        assert_eq!(error.retry_after(), after.map(Duration::from_secs));
    }
}

#[tokio::test]
async fn an_answer_that_is_too_long_is_an_error_and_a_redirect_is_not_followed() {
    let setup = Setup::new(0);
    let error = setup.client.send(Call::get(&["large"])).await.unwrap_err();
    assert_eq!(error.to_string(), "the answer is longer than 10000 bytes");
    let error = setup.client.send(Call::get(&["moved"])).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Unexpected);
    assert_eq!(setup.server.count("GET", "/v1/numbers"), 0);
}

#[tokio::test]
async fn an_id_never_leads_to_another_path() {
    let setup = Setup::new(1);
    for odd in ["", ".", "..", "\n", "a\tb"] {
        let error = setup
            .client
            .send(Call::delete(&["servers", odd]))
            .await
            .unwrap_err();
        assert_eq!(
            (error.kind(), error.effect()),
            (Kind::Invalid, Effect::None),
            "{odd:?}"
        );
    }
    assert!(setup.server.exchanges().is_empty());
    for (odd, path) in [
        ("../numbers", "/v1/servers/..%2Fnumbers"),
        ("a?b#c", "/v1/servers/a%3Fb%23c"),
        ("ü x", "/v1/servers/%C3%BC%20x"),
    ] {
        let error = setup
            .client
            .send(Call::get(&["servers", odd]))
            .await
            .unwrap_err();
        assert_eq!(error.kind(), Kind::NotFound);
        assert_eq!(
            setup.server.exchanges().last().unwrap().request.path(),
            path
        );
    }
}

#[tokio::test]
async fn a_fault_strikes_the_call_that_it_was_ordered_for() {
    let setup = Setup::new(0);
    let trouble = Trouble::Refuse(Reply::empty(503));
    setup.server.fault(
        Fault::new("GET", "/v1/*", trouble)
            .with_query("page", 2)
            .after(1)
            .times(2),
    );
    let mut results = Vec::new();
    for page in [1, 2, 2, 1, 2, 2] {
        let call = Call::get(&["numbers"]).query("page", page);
        results.push(setup.client.send(call).await.is_ok());
    }
    assert_eq!(results, [true, true, false, true, false, true]);
    let struck: Vec<bool> = setup
        .server
        .exchanges()
        .iter()
        .map(|e| e.trouble.is_some())
        .collect();
    assert_eq!(struck, [false, false, true, false, true, false]);
}

#[tokio::test]
async fn a_thousand_calls_share_a_few_connections() {
    let setup = Setup::new(3);
    for _ in 0..1_000 {
        setup.client.send(Call::get(&["numbers"])).await.unwrap();
    }
    assert_eq!(setup.server.connections(), 1);
}

#[tokio::test]
async fn a_yes_that_is_not_the_vendors_is_no_yes() {
    let setup = Setup::new(0);
    setup
        .client
        .perform(Call::post(&["servers"]))
        .await
        .unwrap();
    for trouble in [Trouble::Html, Trouble::Garbage, Trouble::Truncate] {
        setup
            .server
            .fault(Fault::new("POST", "/v1/servers", trouble));
        let error = setup
            .client
            .perform(Call::post(&["servers"]))
            .await
            .unwrap_err();
        assert_eq!(error.effect(), Effect::Unknown, "{error:?}");
    }
}
