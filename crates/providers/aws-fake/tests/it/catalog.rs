//! What can be had: types, offerings, prices, images, the default network.

use std::collections::BTreeSet;

use fleetwright_aws_fake::{Fake, FakeConfig};

use crate::client::{call, eventually};

fn fake() -> Fake {
    Fake::start(FakeConfig::default()).unwrap()
}

#[test]
fn types_are_paged_and_have_their_true_sizes() {
    let fake = fake();
    let mut names = BTreeSet::new();
    let mut token = String::new();
    loop {
        let mut parameters = vec![("MaxResults", "10")];
        if !token.is_empty() {
            parameters.push(("NextToken", token.as_str()));
        }
        let page = call(&fake, "DescribeInstanceTypes", &parameters);
        let on_page = page.all("instanceType");
        assert!(on_page.len() <= 10);
        names.extend(on_page.into_iter().map(ToOwned::to_owned));
        let Some(next) = page.first("nextToken") else {
            break;
        };
        token = next.to_owned();
    }
    assert!(names.len() >= 25 && names.contains("t3.micro"), "{names:?}");

    let one = call(
        &fake,
        "DescribeInstanceTypes",
        &[("InstanceType.1", "g4dn.xlarge")],
    );
    for (name, value) in [
        ("defaultVCpus", "4"),
        ("manufacturer", "NVIDIA"),
        ("totalGpuMemoryInMiB", "16384"),
    ] {
        assert_eq!(one.first(name), Some(value), "{}", one.body);
    }
    let trainium = call(
        &fake,
        "DescribeInstanceTypes",
        &[("InstanceType.1", "trn1.2xlarge")],
    );
    assert_eq!(
        trainium.first("totalNeuronDeviceMemoryInMiB"),
        Some("32768")
    );
    let unknown = call(
        &fake,
        "DescribeInstanceTypes",
        &[("InstanceType.1", "x9.huge")],
    );
    assert_eq!(unknown.code(), "InvalidInstanceType");
}

#[test]
fn a_type_that_is_missing_in_a_zone_is_not_offered_there() {
    let fake = fake();
    let offered = |kind: &str| {
        let parameters = [
            ("LocationType", "availability-zone"),
            ("Filter.1.Name", "instance-type"),
            ("Filter.1.Value.1", kind),
        ];
        let reply = call(&fake, "DescribeInstanceTypeOfferings", &parameters);
        let zones = reply.all("location");
        zones.into_iter().map(ToOwned::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(
        offered("t3.micro"),
        ["us-east-1a", "us-east-1b", "us-east-1c"]
    );
    assert_eq!(offered("p5.48xlarge"), ["us-east-1a", "us-east-1b"]);
    let region = call(&fake, "DescribeInstanceTypeOfferings", &[]);
    assert!(
        region
            .all("location")
            .iter()
            .all(|place| *place == "us-east-1")
    );
}

#[test]
fn spot_prices_differ_by_zone_and_end_with_an_empty_token() {
    let fake = fake();
    let parameters = [
        ("InstanceType.1", "m5.large"),
        ("ProductDescription.1", "Linux/UNIX"),
    ];
    let reply = call(&fake, "DescribeSpotPriceHistory", &parameters);
    assert_eq!(reply.all("spotPrice"), ["0.038400", "0.033600", "0.028800"]);
    assert_eq!(reply.first("nextToken"), Some(""));
}

#[test]
fn images_are_found_by_owner_name_and_architecture() {
    let fake = fake();
    let find = |parameters: &[(&str, &str)]| {
        let reply = call(&fake, "DescribeImages", parameters);
        let ids = reply.all("imageId");
        ids.into_iter().map(ToOwned::to_owned).collect::<Vec<_>>()
    };
    let all = fake.images("us-east-1");
    assert_eq!(find(&[]), all);
    assert_eq!(find(&[("Owner.1", "amazon")]), all[..2]);
    let arm = [
        ("Filter.1.Name", "architecture"),
        ("Filter.1.Value.1", "arm64"),
        ("Filter.2.Name", "name"),
        ("Filter.2.Value.1", "ubuntu/images/*"),
    ];
    assert_eq!(find(&arm), all[3..]);
    let unknown = call(&fake, "DescribeImages", &[("ImageId.1", "ami-00000000")]);
    assert_eq!(unknown.code(), "InvalidAMIID.NotFound");
}

#[test]
fn each_zone_has_a_default_subnet_and_each_region_a_default_network() {
    let fake = fake();
    let subnets = call(&fake, "DescribeSubnets", &[]);
    assert_eq!(subnets.all("subnetId"), fake.subnets("us-east-1"));
    assert_ne!(fake.subnets("us-east-1"), fake.subnets("eu-west-1"));
    let default = [
        ("Filter.1.Name", "is-default"),
        ("Filter.1.Value.1", "true"),
    ];
    let vpcs = call(&fake, "DescribeVpcs", &default);
    assert_eq!(vpcs.first("vpcId"), subnets.first("vpcId"));
    let groups = call(&fake, "DescribeSecurityGroups", &[]);
    assert_eq!(groups.first("groupName"), Some("default"));
    let zones = call(&fake, "DescribeAvailabilityZones", &[]);
    assert_eq!(zones.all("zoneId"), ["use1-az1", "use1-az2", "use1-az3"]);
    let keys = call(&fake, "DescribeKeyPairs", &[]);
    assert_eq!(keys.first("keyName"), Some("fleetwright"));
}

#[test]
fn the_console_shows_the_host_key_once_an_instance_runs() {
    let fake = fake();
    let id = fake.add_instance("us-east-1", &[]).unwrap();
    let mut output = None;
    eventually("there is output", || {
        let reply = call(&fake, "GetConsoleOutput", &[("InstanceId", &id)]);
        output = reply.first("output").map(ToOwned::to_owned);
        output.is_some()
    });
    // Base64 of `-----BEGIN SSH HOST KEY KEYS-----` at one of its three alignments.
    let output = output.unwrap();
    let is_there = [
        "QkVHSU4gU1NIIEhPU1QgS0VZIEtFWVM",
        "CRUdJTiBTU0ggSE9TVCBLRVkgS0VZU",
        "JFR0lOIFNTSCBIT1NUIEtFWSBLRVlT",
    ]
    .iter()
    .any(|encoded| output.contains(encoded));
    assert!(is_there, "{output}");
}
