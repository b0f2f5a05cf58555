//! The behavior suite against moto, an EC2 that others wrote: requests, signatures, IAM and shapes.
//!
//! What moto cannot show is waived one by one; our own fake is the judge of that.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use aws_sdk_ec2::config::{BehaviorVersion, Credentials, Region};
use aws_sdk_ec2::types::{InstanceState, InstanceStateName};
use fleetwright_aws::{AwsConfig, AwsProvider, StaticCredentials};
use fleetwright_conformance::{Subject, Verdict, Waiver};
use fleetwright_core::{
    Addresses, Labels, Market, Node, NodeId, NodeSpec, NodeState, Provider, Secret, Span,
};
use serde_json::{Value, json};

use crate::support::{self, REGION, RealClock, SECRET};

/// A moto of its own, or `None` where there is none: then the case says so and ends.
struct Moto {
    url: String,
    python: String,
    /// It runs as long as this is open.
    _connection: BufReader<TcpStream>,
}

impl Moto {
    fn start() -> Option<Self> {
        let starter = std::env::var("FLEETWRIGHT_TEST_MOTO_STARTER").ok()?;
        let python = std::env::var("FLEETWRIGHT_TEST_PYTHON").ok()?;
        let mut connection = BufReader::new(TcpStream::connect(starter).unwrap());
        let mut url = String::new();
        connection.read_line(&mut url).unwrap();
        Some(Self {
            url: url.trim().to_owned(),
            python,
            _connection: connection,
        })
    }

    /// Runs a snippet of Python with boto3 on this server; its last line is JSON.
    fn python(&self, code: &str, arguments: &[&str]) -> Value {
        let output = Command::new(&self.python)
            .arg("-c")
            .arg(code)
            .args(arguments)
            .env("AWS_ENDPOINT_URL", &self.url)
            .env("AWS_ACCESS_KEY_ID", "AKIAIOSFODNN7EXAMPLE")
            .env("AWS_SECRET_ACCESS_KEY", SECRET)
            .env("AWS_DEFAULT_REGION", REGION)
            .output()
            .unwrap();
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{stderr}");
        serde_json::from_slice(&output.stdout).unwrap()
    }

    /// From now on moto checks signatures and policies.
    fn check_identities(&self) {
        let address = self.url.strip_prefix("http://").unwrap();
        let mut stream = TcpStream::connect(address).unwrap();
        let request = format!(
            "POST /moto-api/reset-auth HTTP/1.1\r\nHost: {address}\r\nContent-Type: text/plain\r\n\
             Content-Length: 1\r\nConnection: close\r\n\r\n0"
        );
        stream.write_all(request.as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        assert!(answer.contains(" 200 "), "{answer}");
    }
}

const IMAGE: &str = "
import boto3, json
images = boto3.client('ec2').describe_images(Owners=['amazon'])['Images']
print(json.dumps(sorted(i['ImageId'] for i in images if i['Architecture'] == 'x86_64')[0]))
";

/// A user whose policy is that of the guide.
const USER: &str = "
import boto3, json, sys
iam = boto3.client('iam')
iam.create_user(UserName='fleetwright')
iam.put_user_policy(UserName='fleetwright', PolicyName='guide', PolicyDocument=sys.argv[1])
key = iam.create_access_key(UserName='fleetwright')['AccessKey']
print(json.dumps([key['AccessKeyId'], key['SecretAccessKey']]))
";

struct OnMoto {
    provider: AwsProvider,
    judge: aws_sdk_ec2::Client,
    image: String,
    secret: String,
    options: Value,
    /// Whether moto checks signatures and policies.
    checked: bool,
    /// Runs as long as this lives.
    moto: Moto,
}

impl OnMoto {
    /// Without identity checks.
    fn open(options: Value) -> Option<Self> {
        let moto = Moto::start()?;
        Some(Self::new(moto, options, "AKIAIOSFODNN7EXAMPLE", SECRET))
    }

    /// As a user with the guide's policy, under moto's checks of signatures and policies.
    fn checked(options: Value) -> Option<Self> {
        let moto = Moto::start()?;
        let guide = include_str!("../../../../../docs/guides/aws.md");
        let policy = guide
            .split("```json\n")
            .nth(1)
            .and_then(|rest| rest.split("```").next())
            .expect("the guide shows a policy");
        let key = moto.python(USER, &[policy]);
        let (id, secret) = (key[0].as_str().unwrap(), key[1].as_str().unwrap());
        let this = Self {
            checked: true,
            ..Self::new(moto, options, id, secret)
        };
        this.moto.check_identities();
        Some(this)
    }

    fn new(moto: Moto, options: Value, id: &str, secret: &str) -> Self {
        let image = moto.python(IMAGE, &[]).as_str().unwrap().to_owned();
        let config = AwsConfig {
            regions: vec![REGION.to_owned()],
            listing_lag: Span(Duration::ZERO),
            interruption_queue: None,
            // moto takes its time over 1,395 types, the more so on a busy machine.
            call_timeout: Span::seconds(300),
            ..support::config(moto.url.clone())
        };
        let credentials = StaticCredentials {
            access_key_id: id.to_owned(),
            secret_access_key: Secret::new(secret),
            session_token: None,
        };
        let provider =
            AwsProvider::with_credentials("aws", config, Arc::new(RealClock), credentials).unwrap();
        let judge = aws_sdk_ec2::config::Builder::new()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::new(REGION))
            .endpoint_url(&moto.url)
            .http_client(aws_smithy_http_client::Builder::new().build_http())
            .credentials_provider(Credentials::new(id, secret, None, None, "judge"))
            .build();
        Self {
            provider,
            judge: aws_sdk_ec2::Client::from_conf(judge),
            image,
            secret: secret.to_owned(),
            options,
            checked: false,
            moto,
        }
    }
}

#[async_trait]
impl Subject for OnMoto {
    fn provider(&self) -> Arc<dyn Provider> {
        Arc::new(self.provider.clone())
    }

    fn spec(&self) -> NodeSpec {
        support::spec(&self.image, &self.options)
    }

    async fn settle(&self, wanted: Duration) {
        tokio::time::sleep(wanted).await;
    }

    async fn truth(&self) -> Vec<Node> {
        let answer = self.judge.describe_instances().send().await.unwrap();
        answer
            .reservations()
            .iter()
            .flat_map(aws_sdk_ec2::types::Reservation::instances)
            .filter(|instance| {
                instance
                    .state()
                    .and_then(InstanceState::name)
                    .map(InstanceStateName::as_str)
                    != Some("terminated")
            })
            .map(|instance| seen(instance, REGION))
            .collect()
    }

    fn patience(&self) -> Duration {
        Duration::from_secs(10)
    }

    /// moto starts `MinCount` machines instead of `MaxCount`, so one is all that a call makes.
    fn room(&self) -> u32 {
        1
    }

    fn unknown_id(&self) -> NodeId {
        NodeId::new("aws", REGION, "i-00000000000beef00").unwrap()
    }

    fn secrets(&self) -> Vec<String> {
        vec![self.secret.clone()]
    }

    async fn kill(&self, node: &NodeId) -> bool {
        let call = self.judge.terminate_instances().instance_ids(node.native());
        call.send().await.is_ok()
    }

    fn waivers(&self) -> Vec<Waiver> {
        let mut waivers: Vec<Waiver> = [
            "the_same_token_gives_the_same_nodes",
            "a_marked_replay_gives_the_same_nodes",
            "a_replay_brings_no_deleted_node_back",
            "a_dropped_create_is_found_by_its_replay",
            "a_token_is_bound_to_its_parameters",
            "twenty_creates_with_one_token_are_one",
        ]
        .into_iter()
        .map(|case| Waiver::new(case, "moto takes `ClientToken` and forgets it"))
        .collect();
        waivers.push(Waiver::new(
            "a_preflight_refuses_what_create_would",
            "moto answers a dry run before it looks at the type",
        ));
        if self.checked {
            for case in ["zones_are_named_once", "an_unknown_zone_is_not_found"] {
                waivers.push(Waiver::new(
                    case,
                    "under its policy checks moto refuses every call of Route 53, also one of \
                     boto3 with a policy that allows everything",
                ));
            }
        }
        if self.options["launch"]
            .as_str()
            .is_some_and(|launch| launch != "run")
        {
            waivers.push(Waiver::new(
                "names_follow_the_request",
                "members of fleets and groups are named by their ids",
            ));
        }
        waivers
    }
}

/// What the judge sees, as a node: ids and labels count, the rest is shown in messages.
pub(crate) fn seen(from: &aws_sdk_ec2::types::Instance, region: &str) -> Node {
    let tags = from.tags().iter();
    let labels: Labels = tags
        .filter_map(|tag| Some((tag.key()?.to_owned(), tag.value()?.to_owned())))
        .filter(|(key, _)| key != "Name" && !key.starts_with("aws:"))
        .collect();
    let state = from.state().and_then(InstanceState::name);
    Node {
        id: NodeId::new("aws", region, from.instance_id().unwrap()).unwrap(),
        name: String::new(),
        state: match state.map(InstanceStateName::as_str) {
            Some("shutting-down") => NodeState::Deleting,
            Some(word) => word.parse().unwrap_or(NodeState::Running),
            None => NodeState::Unknown(String::new()),
        },
        instance_type: from
            .instance_type()
            .map(|t| t.as_str().to_owned())
            .unwrap_or_default(),
        zone: None,
        market: Market::OnDemand,
        addresses: Addresses::default(),
        access: None,
        boot: None,
        labels,
        created_at: None,
        price: None,
        message: None,
        metadata: BTreeMap::new(),
    }
}

/// One test for all cases, on one server: the suite judges only what a case itself has made.
async fn passes(subject: Option<OnMoto>) {
    let Some(subject) = subject else {
        println!("skipped: no moto (`cargo xtask test` brings one)");
        return;
    };
    let (mut passed, mut waived, mut not_applicable) = (0, 0, 0);
    let mut failures = Vec::new();
    for case in fleetwright_conformance::CASES {
        match fleetwright_conformance::run(case, &subject).await {
            Verdict::Passed => passed += 1,
            Verdict::Failed(failure) => failures.push(failure.to_string()),
            Verdict::NotApplicable { waived: true, .. } => waived += 1,
            Verdict::NotApplicable { waived: false, .. } => not_applicable += 1,
        }
    }
    println!("{passed} passed, {waived} waived, {not_applicable} not applicable");
    assert!(failures.is_empty(), "{}", failures.join("\n"));
    assert!(passed > 25, "too few cases ran to prove anything");
}

#[tokio::test]
async fn the_suite_passes_on_moto() {
    passes(OnMoto::open(json!({}))).await;
}

#[tokio::test]
async fn the_suite_passes_under_signature_and_policy_checks_with_the_policy_of_the_guide() {
    passes(OnMoto::checked(json!({}))).await;
}
