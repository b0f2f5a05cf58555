//! Zones, records and changes.

use std::time::Duration;

use fleetwright_aws_fake::Fake;

use crate::caller::{Client, Reply, eventually, expect_no_violations, has_models, start};

struct Bed {
    fake: Fake,
    client: Client,
    zone: String,
}

impl Bed {
    fn new() -> Self {
        let fake = start();
        let zone = fake.add_zone("example.com");
        let client = Client::new(&fake, "route53");
        Self { fake, client, zone }
    }

    fn get(&self, path: &str) -> Reply {
        self.client
            .send("GET", &format!("/2013-04-01/{path}"), &[], "")
    }

    /// Sends changes: action, name, type, value.
    fn change(&self, changes: &[[&str; 4]]) -> Reply {
        let changes: Vec<String> = changes
            .iter()
            .map(|[action, name, kind, value]| {
                format!(
                    "<Change><Action>{action}</Action><ResourceRecordSet><Name>{name}</Name>\
                     <Type>{kind}</Type><TTL>60</TTL><ResourceRecords><ResourceRecord>\
                     <Value>{value}</Value></ResourceRecord></ResourceRecords>\
                     </ResourceRecordSet></Change>"
                )
            })
            .collect();
        self.batch(&changes.concat())
    }

    fn batch(&self, changes: &str) -> Reply {
        let body = format!(
            "<ChangeResourceRecordSetsRequest \
             xmlns=\"https://route53.amazonaws.com/doc/2013-04-01/\"><ChangeBatch>\
             <Changes>{changes}</Changes></ChangeBatch></ChangeResourceRecordSetsRequest>"
        );
        let path = format!("/2013-04-01/hostedzone/{}/rrset/", self.zone);
        self.client
            .send("POST", &path, &[("content-type", "application/xml")], &body)
    }
}

#[test]
fn a_record_is_set_changed_and_deleted() {
    let bed = Bed::new();
    bed.change(&[["CREATE", "node.example.com", "A", "10.0.0.1"]])
        .ok();
    bed.change(&[["UPSERT", "NODE.example.com.", "A", "10.0.0.2"]])
        .ok();
    let values = bed.fake.records("node.example.com", "A");
    assert_eq!(values, Some(vec!["10.0.0.2".to_owned()]));
    bed.change(&[["DELETE", "node.example.com.", "A", "10.0.0.2"]])
        .ok();
    assert_eq!(bed.fake.records("node.example.com", "A"), None);
    expect_no_violations(&bed.fake);
}

#[test]
fn a_change_is_pending_until_it_is_in_sync() {
    let bed = Bed::new();
    bed.fake.set_dns_delay(Duration::from_millis(150));
    let reply = bed
        .change(&[["UPSERT", "a.example.com", "TXT", "\"x\""]])
        .ok();
    assert_eq!(reply.texts("Status"), ["PENDING"]);
    let id = reply.texts("Id").remove(0);
    let path = id.trim_start_matches('/').to_owned();
    assert_eq!(bed.get(&path).ok().texts("Status"), ["PENDING"]);
    eventually("in sync", || {
        bed.get(&path).ok().texts("Status") == ["INSYNC"]
    });
    assert_eq!(bed.get("change/C0").refusal().0, "NoSuchChange");
    expect_no_violations(&bed.fake);
}

#[test]
fn what_route_53_does_not_permit_changes_nothing() {
    let bed = Bed::new();
    bed.change(&[["CREATE", "a.example.com", "A", "10.0.0.1"]])
        .ok();
    let cases = [
        (
            ["CREATE", "a.example.com", "A", "10.0.0.9"],
            "but it already exists]",
        ),
        (
            ["DELETE", "b.example.com", "A", "10.0.0.1"],
            "but it was not found]",
        ),
        (
            ["DELETE", "a.example.com", "A", "10.0.0.2"],
            "do not match the current values]",
        ),
        (
            ["CREATE", "a.example.com", "CNAME", "b.example.com"],
            "conflicting RRSet of type A",
        ),
        (
            ["CREATE", "example.com", "CNAME", "b.example.com"],
            "not permitted at apex",
        ),
        (
            ["CREATE", "a.example.org", "A", "10.0.0.1"],
            "not permitted in zone example.com.",
        ),
        (
            ["CREATE", "c.example.com", "A", "10.0.0"],
            "not a valid IPv4 address",
        ),
        (
            ["CREATE", "c.example.com", "TXT", "bare"],
            "enclosed in quotation marks",
        ),
        (
            ["DELETE", "example.com", "SOA", "x"],
            "do not match the current values]",
        ),
    ];
    for (wrong, expected) in cases {
        let right = ["CREATE", "right.example.com", "A", "10.0.0.7"];
        let (code, message) = bed.change(&[right, wrong]).refusal();
        assert_eq!(code, "InvalidChangeBatch", "{wrong:?}");
        assert!(message.contains(expected), "{message}");
    }
    assert_eq!(bed.fake.records("right.example.com", "A"), None);
    expect_no_violations(&bed.fake);
}

#[test]
fn a_zone_that_does_not_exist_is_said_so() {
    let bed = Bed::new();
    let (code, _) = bed.get("hostedzone/Z0/rrset").refusal();
    assert_eq!(code, "NoSuchHostedZone");
    assert_eq!(bed.get("hostedzone/Z0").status, 404);
    expect_no_violations(&bed.fake);
}

#[test]
fn records_are_listed_in_order_and_in_pages() {
    let bed = Bed::new();
    bed.change(&[
        ["CREATE", "b.example.com", "A", "10.0.0.1"],
        ["CREATE", "*.a.example.com", "A", "10.0.0.1"],
        ["CREATE", "b.example.com", "AAAA", "fe80::1"],
    ])
    .ok();
    let mut query = "maxitems=2".to_owned();
    let mut found = Vec::new();
    loop {
        let path = format!("hostedzone/{}/rrset?{query}", bed.zone);
        let page = bed.get(&path).ok();
        let names = page.texts("Name");
        found.extend(names.into_iter().zip(page.texts("Type")));
        let (Some(name), Some(kind)) = (
            page.texts("NextRecordName").into_iter().next(),
            page.texts("NextRecordType").into_iter().next(),
        ) else {
            break;
        };
        query = format!("maxitems=2&name={name}&type={kind}");
    }
    let shown: Vec<String> = found
        .into_iter()
        .map(|(name, kind)| format!("{name} {kind}"))
        .collect();
    assert_eq!(
        shown,
        [
            "example.com. NS",
            "example.com. SOA",
            "\\052.a.example.com. A",
            "b.example.com. A",
            "b.example.com. AAAA",
        ]
    );
    expect_no_violations(&bed.fake);
}

#[test]
fn records_with_an_alias_or_a_weight_come_back_as_they_were() {
    let bed = Bed::new();
    let alias = "<Change><Action>CREATE</Action><ResourceRecordSet><Name>www.example.com</Name>\
                 <Type>A</Type><AliasTarget><HostedZoneId>Z35SXDOTRQ7X7K</HostedZoneId>\
                 <DNSName>web.elb.amazonaws.com</DNSName>\
                 <EvaluateTargetHealth>false</EvaluateTargetHealth></AliasTarget>\
                 </ResourceRecordSet></Change>";
    let weighted = |set: &str| {
        format!(
            "<Change><Action>CREATE</Action><ResourceRecordSet><Name>w.example.com</Name>\
             <Type>A</Type><SetIdentifier>{set}</SetIdentifier><Weight>10</Weight><TTL>60</TTL>\
             <ResourceRecords><ResourceRecord><Value>10.0.0.1</Value></ResourceRecord>\
             </ResourceRecords></ResourceRecordSet></Change>"
        )
    };
    bed.batch(&format!("{alias}{}{}", weighted("one"), weighted("two")))
        .ok();
    let listed = bed.get(&format!("hostedzone/{}/rrset", bed.zone)).ok();
    assert_eq!(listed.texts("DNSName"), ["web.elb.amazonaws.com"]);
    assert_eq!(listed.texts("SetIdentifier"), ["one", "two"]);
    let bare = alias.replace("AliasTarget", "Nothing");
    assert_eq!(bed.batch(&bare).refusal().0, "InvalidInput");
    if has_models("unknown elements of a request are not found") {
        let unknown = bed.fake.violations();
        assert!(
            unknown.iter().any(|said| said.contains("unknown element")),
            "{unknown:?}"
        );
    }
}

#[test]
fn zones_are_listed_by_id_and_by_name() {
    let bed = Bed::new();
    bed.fake.add_zone("example.org");
    bed.fake.add_zone("a.example.com");
    let all = bed.get("hostedzone").ok();
    assert_eq!(all.texts("Name").len(), 3);
    let mut path = "hostedzone?maxitems=2".to_owned();
    let first = bed.get(&path).ok();
    path += "&marker=";
    path += &first.texts("NextMarker")[0];
    assert_eq!(bed.get(&path).ok().texts("Name").len(), 1);
    let sorted = bed.get("hostedzonesbyname").ok();
    assert_eq!(
        sorted.texts("Name"),
        ["example.com.", "a.example.com.", "example.org."]
    );
    let from = bed
        .get("hostedzonesbyname?dnsname=a.example.com&maxitems=1")
        .ok();
    assert_eq!(from.texts("Name"), ["a.example.com."]);
    assert_eq!(from.texts("NextDNSName"), ["example.org."]);
    let one = bed.get(&format!("hostedzone/{}", bed.zone)).ok();
    assert_eq!(one.texts("Name"), ["example.com."]);
    expect_no_violations(&bed.fake);
}
