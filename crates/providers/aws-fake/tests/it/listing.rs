//! DescribeInstances: what is shown, when, and what it costs.

use std::time::Duration;

use fleetwright_aws_fake::{Fake, FakeConfig};

use crate::client::{Reply, call};

fn with_lag() -> Fake {
    Fake::start(FakeConfig {
        listing_lag: Duration::from_hours(1),
        ..FakeConfig::default()
    })
    .unwrap()
}

/// All pages of a listing.
fn pages(fake: &Fake, parameters: &[(&str, &str)]) -> Vec<Reply> {
    let mut pages: Vec<Reply> = Vec::new();
    loop {
        let token = pages
            .last()
            .map(|page| page.first("nextToken").unwrap().to_owned());
        let mut parameters = parameters.to_vec();
        if let Some(token) = &token {
            parameters.push(("NextToken", token));
        }
        let page = call(fake, "DescribeInstances", &parameters);
        assert_eq!(page.status, 200, "{}", page.body);
        let is_last = page.first("nextToken").is_none();
        pages.push(page);
        if is_last {
            return pages;
        }
    }
}

fn ids(pages: &[Reply]) -> Vec<&str> {
    pages
        .iter()
        .flat_map(|page| page.all("instanceId"))
        .collect()
}

#[test]
fn a_new_instance_is_not_shown_until_the_lag_is_over() {
    let fake = with_lag();
    let id = fake.add_instance("us-east-1", &[("team", "blue")]).unwrap();
    let filter = [("Filter.1.Name", "tag:team"), ("Filter.1.Value.1", "blue")];
    assert_eq!(ids(&pages(&fake, &filter)), Vec::<&str>::new());
    let by_id = call(&fake, "DescribeInstances", &[("InstanceId.1", &id)]);
    assert_eq!(
        (by_id.status, by_id.code()),
        (400, "InvalidInstanceID.NotFound")
    );
    fake.configure(|config| config.listing_lag = Duration::ZERO);
    assert_eq!(ids(&pages(&fake, &filter)), [id.as_str()]);
}

#[test]
fn the_end_of_an_instance_is_shown_late_too() {
    let fake = Fake::start(FakeConfig::default()).unwrap();
    let id = fake.add_instance("us-east-1", &[]).unwrap();
    let alive = [
        ("Filter.1.Name", "instance-state-name"),
        ("Filter.1.Value.1", "pending"),
        ("Filter.1.Value.2", "running"),
    ];
    assert_eq!(ids(&pages(&fake, &alive)).len(), 1);
    fake.terminate(&id);
    assert_eq!(ids(&pages(&fake, &alive)).len(), 0);

    let fake = with_lag();
    let id = fake.add_instance("us-east-1", &[]).unwrap();
    // What happened before counts from when it happened, so the lag goes first.
    fake.configure(|config| config.listing_lag = Duration::ZERO);
    assert_eq!(ids(&pages(&fake, &alive)).len(), 1);
    crate::client::pause(Duration::from_millis(300));
    fake.configure(|config| config.listing_lag = Duration::from_millis(250));
    fake.terminate(&id);
    assert_eq!(fake.instances(), vec![]);
    assert_eq!(
        ids(&pages(&fake, &alive)),
        [id.as_str()],
        "still shown as alive"
    );
}

#[test]
fn filters_must_all_match_and_take_wildcards() {
    let fake = Fake::start(FakeConfig::default()).unwrap();
    let blue = fake
        .add_instance("us-east-1", &[("team", "blue"), ("Name", "web-1")])
        .unwrap();
    let green = fake
        .add_instance("us-east-1", &[("team", "green"), ("Name", "web-2")])
        .unwrap();
    fake.add_instance("eu-west-1", &[("team", "blue")]).unwrap();
    let find = |filters: &[(&str, &[&str])]| {
        let mut parameters = Vec::new();
        for (number, (name, values)) in filters.iter().enumerate() {
            let n = number + 1;
            parameters.push((format!("Filter.{n}.Name"), (*name).to_owned()));
            for (index, value) in values.iter().enumerate() {
                let key = format!("Filter.{n}.Value.{}", index + 1);
                parameters.push((key, (*value).to_owned()));
            }
        }
        let parameters: Vec<(&str, &str)> = parameters
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()))
            .collect();
        let reply = call(&fake, "DescribeInstances", &parameters);
        assert_eq!(reply.status, 200, "{}", reply.body);
        let ids = reply.all("instanceId");
        ids.into_iter().map(ToOwned::to_owned).collect::<Vec<_>>()
    };
    let (blue, green) = (blue.as_str(), green.as_str());
    assert_eq!(find(&[("tag:team", &["blue"])]), [blue]);
    assert_eq!(find(&[("tag:team", &["blue", "green"])]), [blue, green]);
    assert_eq!(find(&[("tag:Name", &["web-*"])]), [blue, green]);
    assert_eq!(
        find(&[("tag:Name", &["web-?"]), ("tag:team", &["green"])]),
        [green]
    );
    assert_eq!(find(&[("tag-key", &["team"])]), [blue, green]);
    assert_eq!(find(&[("tag:team", &["red"])]), Vec::<String>::new());
    assert_eq!(find(&[("instance-type", &["t3.*"])]), [blue, green]);
    assert_eq!(
        find(&[("instance-lifecycle", &["spot"])]),
        Vec::<String>::new()
    );
    assert_eq!(
        find(&[("availability-zone", &["us-east-1a"])]),
        [blue, green]
    );

    let unknown = [("Filter.1.Name", "color"), ("Filter.1.Value.1", "blue")];
    let refused = call(&fake, "DescribeInstances", &unknown);
    assert_eq!(
        (refused.status, refused.code()),
        (400, "InvalidParameterValue")
    );
}

#[test]
fn pages_hold_what_was_asked_and_every_instance_once() {
    let fake = Fake::start(FakeConfig {
        page_size: Some(7),
        ..FakeConfig::default()
    })
    .unwrap();
    let all: Vec<String> = (0..23)
        .map(|_| fake.add_instance("us-east-1", &[("k", "v")]).unwrap())
        .collect();
    let by_five = pages(&fake, &[("MaxResults", "5")]);
    assert_eq!((by_five.len(), ids(&by_five)), (5, strs(&all)));
    let capped = pages(&fake, &[("MaxResults", "1000")]);
    assert_eq!((capped.len(), ids(&capped)), (4, strs(&all)));
    let filter = [("Filter.1.Name", "tag:k"), ("Filter.1.Value.1", "v")];
    assert_eq!(ids(&pages(&fake, &filter)), strs(&all));

    let refused = call(&fake, "DescribeInstances", &[("MaxResults", "4")]);
    assert_eq!(refused.code(), "InvalidParameterValue");
    let both = [("MaxResults", "5"), ("InstanceId.1", all[0].as_str())];
    let refused = call(&fake, "DescribeInstances", &both);
    assert_eq!(refused.code(), "InvalidParameterCombination");
    let refused = call(&fake, "DescribeInstances", &[("NextToken", "x")]);
    assert_eq!(refused.status, 400);
}

fn strs(all: &[String]) -> Vec<&str> {
    all.iter().map(String::as_str).collect()
}

#[test]
fn ten_thousand_instances_are_looked_at_once_each_and_a_tag_leads_to_its_few() {
    let fake = Fake::start(FakeConfig::default()).unwrap();
    for number in 0..10_000 {
        let team = if number % 1000 == 0 { "rare" } else { "usual" };
        fake.add_instance("us-east-1", &[("team", team)]).unwrap();
    }
    let all = pages(&fake, &[("MaxResults", "1000")]);
    assert_eq!((all.len(), ids(&all).len()), (10, 10_000));
    let looked_at = fake.looked_at();
    assert!(
        looked_at <= 10_000 + 10,
        "looked at {looked_at} for 10 pages"
    );

    let rare = [("Filter.1.Name", "tag:team"), ("Filter.1.Value.1", "rare")];
    assert_eq!(ids(&pages(&fake, &rare)).len(), 10);
    assert_eq!(fake.looked_at() - looked_at, 10, "the index leads there");
}

#[test]
fn tags_are_set_removed_and_found() {
    let fake = Fake::start(FakeConfig::default()).unwrap();
    let id = fake.add_instance("us-east-1", &[("a", "1")]).unwrap();
    let set = [
        ("ResourceId.1", id.as_str()),
        ("Tag.1.Key", "b"),
        ("Tag.1.Value", "2"),
    ];
    assert_eq!(call(&fake, "CreateTags", &set).status, 200);
    let filter = [("Filter.1.Name", "tag:b"), ("Filter.1.Value.1", "2")];
    assert_eq!(ids(&pages(&fake, &filter)), [id.as_str()]);
    let tags = call(&fake, "DescribeTags", &[]);
    assert_eq!(
        (tags.all("key"), tags.all("value")),
        (vec!["a", "b"], vec!["1", "2"])
    );
    let wrong = [
        ("ResourceId.1", id.as_str()),
        ("Tag.1.Key", "b"),
        ("Tag.1.Value", "3"),
    ];
    call(&fake, "DeleteTags", &wrong);
    assert_eq!(
        ids(&pages(&fake, &filter)),
        [id.as_str()],
        "another value is another tag"
    );
    call(&fake, "DeleteTags", &set);
    assert_eq!(ids(&pages(&fake, &filter)), Vec::<&str>::new());
    let reserved = [("ResourceId.1", id.as_str()), ("Tag.1.Key", "aws:x")];
    assert_eq!(
        call(&fake, "CreateTags", &reserved).code(),
        "InvalidParameterValue"
    );
}
