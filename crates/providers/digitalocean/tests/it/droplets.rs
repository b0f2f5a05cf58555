//! What is special about droplets: tags, keys, networks, GPUs, ten at a time.

use std::time::Duration;

use fleetwright_core::{
    Deletion, Effect, HostKey, Kind, ListRequest, NodeId, Provider as _, Secret, keys,
};
use fleetwright_rest::testing::{Fault, Reply, Trouble};
use serde_json::{Value, json};

use crate::support::{Bed, KEY, REGION, SIZE, replay, request, spec, spec_with};

/// The bodies of all calls that made droplets.
fn made_with(bed: &Bed) -> Vec<Value> {
    let all = bed.fake.server().exchanges();
    all.iter()
        .map(|exchange| &exchange.request)
        .filter(|request| request.method() == "POST" && request.path() == "/v2/droplets")
        .map(fleetwright_rest::testing::Request::json)
        .collect()
}

#[tokio::test]
async fn ten_droplets_are_one_call_and_carry_what_was_asked_for() {
    let bed = Bed::new();
    let mut spec = spec();
    spec.user_data = Some("#!/bin/sh\necho ü\n".to_owned());
    spec.labels.insert("team".to_owned(), "ml".to_owned());
    spec.labels.insert("web".to_owned(), String::new());
    let created = bed.create(&request(spec, 10)).await.unwrap();
    assert_eq!(created.nodes.len(), 10);
    let [body] = &made_with(&bed)[..] else {
        panic!("one call");
    };
    assert_eq!(body["names"].as_array().unwrap().len(), 10);
    assert_eq!(body["names"][9], "web-9");
    for droplet in bed.fake.droplets() {
        assert_eq!(droplet.user_data.as_deref(), Some("#!/bin/sh\necho ü\n"));
        assert_eq!(
            droplet.ssh_keys,
            ["f2:95:78:ba:cf:24:79:14:3a:e0:14:3c:8d:6f:ea:38"]
        );
        for tag in ["managed-by:fleetwright", "team:ml", "web"] {
            assert!(droplet.tags.iter().any(|t| t == tag), "{:?}", droplet.tags);
        }
    }
    bed.finish();
}

#[tokio::test]
async fn a_host_key_travels_in_the_user_data_and_is_not_shown() {
    let bed = Bed::new();
    let mut request = request(spec(), 1);
    request.spec.user_data = Some("#!/bin/sh\necho hi\n".to_owned());
    request.host_key = Some(HostKey {
        public: "ssh-ed25519 AAAAC3Nza".to_owned(),
        private: Secret::new("the private half"),
    });
    bed.create(&request).await.unwrap();
    let sent = bed.fake.droplets().remove(0).user_data.unwrap();
    assert!(
        sent.contains("ed25519_private: \"the private half\""),
        "{sent}"
    );
    assert!(sent.contains("#!/bin/sh\necho hi\n"), "{sent}");
    // The keys that may log in go by their fingerprints.
    assert!(!sent.contains("ssh_authorized_keys"), "{sent}");
    let told = Reply::json(
        422,
        &json!({ "id": "unprocessable_entity", "message": "no" }),
    );
    let fault = Fault::new("POST", "/v2/droplets", Trouble::Refuse(told));
    bed.fake.server().fault(fault);
    let error = bed.create(&request).await.unwrap_err();
    assert!(!format!("{error:?}").contains("private half"), "{error:?}");
    bed.finish();
}

#[tokio::test]
async fn options_are_said_in_the_words_of_the_api() {
    let bed = Bed::new();
    let options = json!({
        "image": "gpu-h100x1-base", "ipv6": true, "monitoring": true, "backups": true,
        "droplet_agent": false,
    });
    let mut spec = spec_with(&options);
    spec.image = None;
    bed.create(&request(spec, 1)).await.unwrap();
    let body = &made_with(&bed)[0];
    for (key, value) in [
        ("name", json!("web-0")),
        ("region", json!(REGION)),
        ("size", json!(SIZE)),
        ("image", json!("gpu-h100x1-base")),
        ("ipv6", json!(true)),
        ("monitoring", json!(true)),
        ("backups", json!(true)),
        ("with_droplet_agent", json!(false)),
        ("public_networking", json!(true)),
    ] {
        assert_eq!(body[key], value, "{key}");
    }
    bed.finish();
}

#[tokio::test]
async fn a_key_is_added_once_and_then_found() {
    let bed = Bed::new();
    let mut spec = spec();
    // The same key under another comment is the same key.
    let words: Vec<&str> = KEY.split(' ').take(2).collect();
    spec.ssh_keys.push(words.join(" "));
    for _ in 0..2 {
        bed.create(&request(spec.clone(), 1)).await.unwrap();
    }
    assert_eq!(bed.fake.key_count(), 1);
    assert_eq!(bed.fake.server().count("POST", "/v2/account/keys"), 1);
    // Somebody is faster: the key was not there a moment ago.
    let missing = Reply::json(404, &json!({ "id": "not_found", "message": "no" }));
    let fault = Fault::new("GET", "/v2/account/keys/*", Trouble::Refuse(missing));
    bed.fake.server().fault(fault);
    let mut once = spec;
    once.ssh_keys.truncate(1);
    bed.create(&request(once, 1)).await.unwrap();
    assert_eq!(bed.fake.key_count(), 1);
    bed.finish();
}

#[tokio::test]
async fn gpu_droplets_are_listed_and_found_by_a_replay() {
    let bed = Bed::new();
    let mut spec = spec();
    "gpu-h100x1-80gb".clone_into(&mut spec.instance_type);
    let request = request(spec, 2);
    let lost = Fault::new("POST", "/v2/droplets", Trouble::ResetAfter);
    bed.fake.server().fault(lost);
    let error = bed.create(&request).await.unwrap_err();
    assert_eq!(error.effect(), Effect::Unknown);
    bed.settle(Duration::from_secs(4)).await;
    let created = bed.create(&replay(&request)).await.unwrap();
    assert_eq!(created.nodes.len(), 2);
    assert_eq!(bed.fake.droplets().len(), 2);
    let listing = bed.list(&ListRequest::default()).await.unwrap();
    assert_eq!(listing.nodes.len(), 2);
    bed.finish();
}

#[tokio::test]
async fn a_tag_that_somebody_wrote_in_capitals_is_the_same_tag() {
    let bed = Bed::new();
    bed.fake.add_tag("Managed-By:Fleetwright");
    let request = request(spec(), 1);
    bed.create(&request).await.unwrap();
    bed.settle(Duration::from_secs(4)).await;
    let listing = bed.list(&ListRequest::default()).await.unwrap();
    assert_eq!(listing.nodes.len(), 1);
    assert!(listing.nodes[0].is_managed());
    bed.finish();
}

#[tokio::test]
async fn a_firewall_guards_droplets_from_their_first_moment() {
    let bed = Bed::new();
    let id = bed.fake.add_firewall("ssh-only");
    let spec = spec_with(&json!({ "firewalls": ["ssh-only"] }));
    for _ in 0..2 {
        bed.create(&request(spec.clone(), 1)).await.unwrap();
    }
    let tag = format!("fleetwright-firewall-{id}");
    assert_eq!(bed.fake.firewall_tags(&id), [tag.as_str()]);
    assert!(bed.fake.droplets().iter().all(|d| d.tags.contains(&tag)));
    let order: Vec<String> = bed
        .fake
        .server()
        .exchanges()
        .iter()
        .filter(|e| e.request.method() == "POST" && !e.request.path().contains("keys"))
        .map(|e| e.request.path().replace(&id, "<id>"))
        .collect();
    assert_eq!(
        order,
        [
            "/v2/tags",
            "/v2/firewalls/<id>/tags",
            "/v2/droplets",
            "/v2/droplets"
        ]
    );
    bed.finish();
}

#[tokio::test]
async fn a_vpc_is_that_of_its_name_in_the_region() {
    let bed = Bed::new();
    bed.fake.add_vpc("inner", "fra1");
    let here = bed.fake.add_vpc("inner", REGION);
    let spec = spec_with(&json!({ "vpc": "inner" }));
    bed.create(&request(spec, 1)).await.unwrap();
    assert_eq!(bed.fake.droplets()[0].vpc.as_deref(), Some(&*here));
    bed.finish();
}

#[tokio::test]
async fn droplets_are_put_into_their_project_even_if_that_fails_at_first() {
    let bed = Bed::new();
    let project = bed.fake.add_project("training");
    let spec = spec_with(&json!({ "project": "training" }));
    let request = request(spec, 2);
    let fault = Fault::new("POST", "/v2/projects/*/resources", Trouble::gateway(503));
    bed.fake.server().fault(fault);
    let error = bed.create(&request).await.unwrap_err();
    assert_eq!(error.effect(), Effect::Unknown);
    bed.settle(Duration::from_secs(4)).await;
    let created = bed.create(&replay(&request)).await.unwrap();
    let ids: Vec<u64> = created
        .nodes
        .iter()
        .map(|node| node.id.native().parse().unwrap())
        .collect();
    assert_eq!(bed.fake.project_droplets(&project), ids);
    assert_eq!(bed.fake.droplets().len(), 2);
    bed.finish();
}

#[tokio::test]
async fn an_image_of_ones_own_is_the_newest_of_its_name_in_the_region() {
    let bed = Bed::new();
    bed.fake.add_image("golden", &[REGION]);
    let newest = bed.fake.add_image("golden", &[REGION, "fra1"]);
    bed.fake.add_image("golden", &["fra1"]);
    let mut spec = spec();
    spec.image = Some("name:golden".to_owned());
    bed.create(&request(spec.clone(), 1)).await.unwrap();
    spec.image = Some(newest.to_string());
    bed.create(&request(spec, 1)).await.unwrap();
    for droplet in bed.fake.droplets() {
        assert_eq!(droplet.image, json!(newest));
    }
    bed.finish();
}

#[tokio::test]
async fn what_the_limit_leaves_is_made_and_the_rest_is_explained() {
    let bed = Bed::new();
    bed.fake.allow_further(4);
    let request = request(spec(), 10);
    let created = bed.create(&request).await.unwrap();
    assert_eq!(created.nodes.len(), 4);
    let why = created.shortfall.unwrap();
    assert_eq!((why.kind(), why.effect()), (Kind::Quota, Effect::None));
    // One call for all, then one by one until the first no.
    assert_eq!(bed.fake.server().count("POST", "/v2/droplets"), 6);
    // An answer that is lost among them makes all of it uncertain.
    bed.fake.allow_further(2);
    let request = crate::support::request(spec(), 3);
    let lost = Fault::new("POST", "/v2/droplets", Trouble::ResetAfter).after(2);
    bed.fake.server().fault(lost);
    let error = bed.create(&request).await.unwrap_err();
    assert_eq!(error.effect(), Effect::Unknown);
    bed.settle(Duration::from_secs(4)).await;
    let created = bed.create(&replay(&request)).await.unwrap();
    assert_eq!(created.nodes.len(), 2);
    assert_eq!(created.shortfall.unwrap().kind(), Kind::Quota);
    assert_eq!(bed.fake.droplets().len(), 6);
    bed.finish();
}

#[tokio::test]
async fn a_droplet_that_is_busy_is_not_taken_for_one_that_goes() {
    let bed = Bed::new();
    let droplet = bed.fake.add_droplet("web", REGION, SIZE, &[]);
    let id = NodeId::new("do", REGION, &droplet.to_string()).unwrap();
    let busy = Reply::json(
        422,
        &json!({
            "id": "unprocessable_entity",
            "message": "Droplet already has a pending event.",
        }),
    );
    let fault = Fault::new("DELETE", "/v2/droplets/*", Trouble::Refuse(busy));
    bed.fake.server().fault(fault);
    let error = bed.delete(&id).await.unwrap_err();
    assert_eq!(
        (error.kind(), error.effect()),
        (Kind::Unavailable, Effect::None)
    );
    // One that goes is busy with that.
    for _ in 0..2 {
        assert_eq!(bed.delete(&id).await.unwrap(), Deletion::Started);
    }
    bed.settle(Duration::from_mins(1)).await;
    assert_eq!(bed.delete(&id).await.unwrap(), Deletion::Gone);
    bed.finish();
}

#[tokio::test]
async fn an_answer_with_other_droplets_is_not_believed() {
    let bed = Bed::new();
    bed.fake.make_half_of_next();
    let request = request(spec(), 4);
    let error = bed.create(&request).await.unwrap_err();
    assert_eq!(
        (error.kind(), error.effect()),
        (Kind::Unexpected, Effect::Unknown)
    );
    bed.settle(Duration::from_secs(4)).await;
    let created = bed.create(&replay(&request)).await.unwrap();
    assert_eq!(created.nodes.len(), 4);
    assert_eq!(bed.fake.droplets().len(), 4);
    bed.finish();
}

#[tokio::test]
async fn a_token_that_is_shown_no_tags_makes_nothing_twice() {
    let bed = Bed::new();
    bed.fake.hide_tags(true);
    let request = request(spec(), 2);
    let lost = Fault::new("POST", "/v2/droplets", Trouble::ResetAfter);
    bed.fake.server().fault(lost);
    bed.create(&request).await.unwrap_err();
    bed.settle(Duration::from_secs(4)).await;
    let error = bed.create(&replay(&request)).await.unwrap_err();
    assert_eq!(
        (error.kind(), error.effect()),
        (Kind::Permission, Effect::Unknown)
    );
    assert!(error.hint().unwrap().contains("`tag:read`"), "{error:?}");
    assert_eq!(bed.fake.droplets().len(), 2);
    bed.fake.hide_tags(false);
    let created = bed.create(&replay(&request)).await.unwrap();
    assert_eq!(created.nodes.len(), 2);
    bed.finish();
}

#[tokio::test]
async fn a_status_that_nobody_knows_stays_visible() {
    let bed = Bed::new();
    let claim = format!("{}:x", keys::CLAIM);
    let droplet = bed.fake.add_droplet("web", REGION, SIZE, &[&claim]);
    bed.fake.set_status(droplet, "hibernating");
    let id = NodeId::new("do", REGION, &droplet.to_string()).unwrap();
    let node = bed.get(&id).await.unwrap();
    assert_eq!(node.state.as_str(), "hibernating");
    // The description does not know that word either: so it is really judged.
    if fleetwright_rest::testing::Description::find(
        fleetwright_digitalocean::fake::Fake::DESCRIPTION,
    )
    .is_some()
    {
        let violations = bed.fake.server().violations();
        assert!(
            violations.iter().any(|v| v.contains("hibernating")),
            "{violations:?}"
        );
    }
}
