//! STS, SSM, Pricing and Service Quotas.

use fleetwright_aws_fake::Fake;
use serde_json::{Value, json};

use crate::caller::{Client, expect_no_violations, start};

#[test]
fn sts_says_who_is_calling_and_gives_credentials_for_a_role() {
    let fake = start();
    let client = Client::new(&fake, "sts");
    let who = client.form("GetCallerIdentity", &[]).ok();
    assert_eq!(who.texts("Account"), ["123456789012"]);
    let role = [
        ("RoleArn", "arn:aws:iam::123456789012:role/builder"),
        ("RoleSessionName", "test"),
    ];
    let assumed = client.form("AssumeRole", &role).ok();
    assert!(assumed.texts("AccessKeyId")[0].starts_with("ASIA"));
    assert_eq!(
        assumed.texts("Arn"),
        ["arn:aws:sts::123456789012:assumed-role/builder/test"]
    );
    let web = [&role[..], &[("WebIdentityToken", "abcdefgh")]].concat();
    client.form("AssumeRoleWithWebIdentity", &web).ok();
    expect_no_violations(&fake);
    let missing = client.form("AssumeRole", &role[..1]);
    assert_eq!(missing.refusal().0, "ValidationError");
}

#[test]
fn ssm_names_the_latest_images() {
    let fake = start();
    let client = Client::new(&fake, "ssm");
    let name = "/aws/service/ami-amazon-linux-latest/al2023-ami-kernel-default-x86_64";
    let one = client
        .json("AmazonSSM.GetParameter", &json!({ "Name": name }))
        .ok();
    let image = fake.images("us-east-1")[0].clone();
    assert_eq!(one.value()["Parameter"]["Value"], json!(image));
    let missing = client.json("AmazonSSM.GetParameter", &json!({ "Name": "/nothing" }));
    assert_eq!(missing.refusal().0, "ParameterNotFound");
    let both = client
        .json(
            "AmazonSSM.GetParameters",
            &json!({ "Names": [name, "/nothing"] }),
        )
        .ok()
        .value();
    assert_eq!(both["Parameters"][0]["Value"], json!(image));
    assert_eq!(both["InvalidParameters"], json!(["/nothing"]));
    expect_no_violations(&fake);
}

/// Every page of the price list for these filters: field and value.
fn prices(client: &Client, filters: &[(&str, &str)]) -> Vec<Value> {
    let filters: Vec<Value> = filters
        .iter()
        .map(|(field, value)| json!({ "Type": "TERM_MATCH", "Field": field, "Value": value }))
        .collect();
    let mut body = json!({ "ServiceCode": "AmazonEC2", "Filters": filters, "MaxResults": 3 });
    let mut all = Vec::new();
    loop {
        let page = client
            .json("AWSPriceListService.GetProducts", &body)
            .ok()
            .value();
        for item in page["PriceList"].as_array().unwrap() {
            all.push(serde_json::from_str(item.as_str().unwrap()).unwrap());
        }
        match page.get("NextToken") {
            Some(token) => body["NextToken"] = token.clone(),
            None => return all,
        }
    }
}

#[test]
fn the_price_list_is_filtered_and_comes_in_pages() {
    let fake = start();
    let client = Client::new(&fake, "pricing");
    let usual = [
        ("regionCode", "us-east-1"),
        ("operatingSystem", "Linux"),
        ("tenancy", "Shared"),
        ("capacitystatus", "Used"),
        ("preInstalledSw", "NA"),
    ];
    let one = prices(
        &client,
        &[&usual[..], &[("instanceType", "m5.large")]].concat(),
    );
    assert_eq!(one.len(), 1);
    let term = one[0]["terms"]["OnDemand"]
        .as_object()
        .unwrap()
        .values()
        .next();
    let dimension = term.unwrap()["priceDimensions"]
        .as_object()
        .unwrap()
        .values()
        .next()
        .unwrap()
        .clone();
    assert_eq!(dimension["unit"], "Hrs");
    assert_eq!(dimension["pricePerUnit"]["USD"], "0.0960000000");
    let all = prices(&client, &usual);
    assert!(all.len() > 20, "{}", all.len());
    let every = prices(
        &client,
        &[("instanceType", "m5.large"), ("regionCode", "us-east-1")],
    );
    assert_eq!(every.len(), 8, "system, tenancy, capacity");
    assert!(prices(&client, &[("instanceType", "nonsense")]).is_empty());
    expect_no_violations(&fake);
}

fn quota(fake: &Fake, code: &str) -> Value {
    let body = json!({ "ServiceCode": "ec2", "QuotaCode": code });
    let client = Client::new(fake, "servicequotas");
    let reply = client.json("ServiceQuotasV20190624.GetServiceQuota", &body);
    reply.ok().value()["Quota"]["Value"].clone()
}

#[test]
fn quotas_are_those_of_the_world() {
    let fake = start();
    fake.set_vcpu_quota("us-east-1", Some(32));
    fake.set_spot_vcpu_quota("us-east-1", Some(64));
    assert_eq!(quota(&fake, "L-1216C47A"), json!(32.0));
    assert_eq!(quota(&fake, "L-417A185B"), json!(32.0));
    assert_eq!(quota(&fake, "L-34B43A08"), json!(64.0));
    let client = Client::new(&fake, "servicequotas");
    let mut body = json!({ "ServiceCode": "ec2", "MaxResults": 4 });
    let mut codes = Vec::new();
    loop {
        let page = client
            .json("ServiceQuotasV20190624.ListServiceQuotas", &body)
            .ok()
            .value();
        for quota in page["Quotas"].as_array().unwrap() {
            codes.push(quota["QuotaCode"].as_str().unwrap().to_owned());
        }
        match page.get("NextToken") {
            Some(token) => body["NextToken"] = token.clone(),
            None => break,
        }
    }
    assert_eq!(codes.len(), 11);
    assert!(codes.contains(&"L-DB2E81BA".to_owned()));
    let unknown = json!({ "ServiceCode": "ec2", "QuotaCode": "L-00000000" });
    let reply = client.json("ServiceQuotasV20190624.GetServiceQuota", &unknown);
    assert_eq!(reply.refusal().0, "NoSuchResourceException");
    expect_no_violations(&fake);
}
