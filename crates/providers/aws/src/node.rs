//! An instance as EC2 describes it, as a node.

use std::collections::BTreeMap;
use std::net::IpAddr;

use aws_sdk_ec2::types::{
    ArchitectureValues, Instance, InstanceLifecycleType, InstanceStateName, Tag,
};
use fleetwright_core::{Access, Addresses, Labels, Market, Node, NodeId, NodeState, Result};
use jiff::Timestamp;

use crate::config::AddressKind;
use crate::{AwsConfig, error};

/// The tag with the base of the name, which the console shows.
pub(crate) const NAME: &str = "Name";

/// Tags that AWS puts on members of what it keeps by itself.
/// <https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/Using_Tags.html>
pub(crate) mod membership {
    /// An Auto Scaling group's name.
    pub(crate) const GROUP: &str = "aws:autoscaling:groupName";
    /// An EC2 Fleet's id.
    pub(crate) const FLEET: &str = "aws:ec2:fleet-id";
    /// A Spot Fleet request's id.
    pub(crate) const SPOT_FLEET: &str = "aws:ec2spot:fleet-request-id";
}

/// Translates an instance.
///
/// # Errors
/// `Unexpected` if it has no id or no state.
pub(crate) fn node(
    provider: &str,
    region: &str,
    config: &AwsConfig,
    from: &Instance,
) -> Result<Node> {
    let at = error::At::new("DescribeInstances", region);
    let native = from
        .instance_id()
        .ok_or_else(|| at.lacking("instance id"))?;
    let state = from
        .state()
        .and_then(|state| state.name())
        .ok_or_else(|| at.lacking("instance state"))?;
    let labels = labels(from.tags());
    let addresses = addresses(from);
    let state = node_state(state);
    let access = match (&state, login_address(config.address, &addresses)) {
        (NodeState::Pending | NodeState::Running, Some(host)) if config.ssh => Some(Access {
            host: host.to_string(),
            port: config.ssh_port,
            user: config.ssh_user.clone(),
            host_keys: Vec::new(),
        }),
        _ => None,
    };
    Ok(Node {
        id: NodeId::new(provider, region, native)?,
        name: name(from, &labels, native),
        state,
        instance_type: from
            .instance_type()
            .map(|t| t.as_str().to_owned())
            .unwrap_or_default(),
        zone: from
            .placement()
            .and_then(|place| place.availability_zone())
            .map(str::to_owned),
        market: match from.instance_lifecycle() {
            Some(InstanceLifecycleType::Spot) => Market::Spot,
            _ => Market::OnDemand,
        },
        addresses,
        access,
        boot: None,
        created_at: from
            .launch_time()
            // EC2 tells whole seconds, rounded down. The end of that second is taken, so that no
            // node counts as older than it is and as missing before its time.
            .and_then(|time| Timestamp::from_second(time.secs() + 1).ok()),
        price: None,
        message: message(from),
        metadata: metadata(from),
        labels,
    })
}

/// Names of what EC2 tells besides: where its filters have one, the same.
/// <https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_DescribeInstances.html>
pub(crate) mod named {
    /// EC2's own word for the state.
    pub(crate) const STATE: &str = "instance-state-name";
    /// `spot`, `scheduled`, `capacity-block`; absent if on demand.
    pub(crate) const LIFECYCLE: &str = "instance-lifecycle";
    /// The VPC.
    pub(crate) const VPC: &str = "vpc-id";
    /// The subnet.
    pub(crate) const SUBNET: &str = "subnet-id";
    /// The AMI.
    pub(crate) const IMAGE: &str = "image-id";
    /// The key pair.
    pub(crate) const KEY: &str = "key-name";
    /// `i386`, `x86_64`, `arm64`.
    pub(crate) const ARCHITECTURE: &str = "architecture";
    /// When it was launched.
    pub(crate) const LAUNCH_TIME: &str = "launch-time";
    /// The Auto Scaling group that keeps it.
    pub(crate) const GROUP: &str = "group";
    /// The EC2 Fleet or Spot Fleet request that keeps it.
    pub(crate) const FLEET: &str = "fleet";
}

fn metadata(from: &Instance) -> BTreeMap<String, String> {
    let tag = |key: &str| {
        let found = from.tags().iter().find(|tag| tag.key() == Some(key));
        found.and_then(Tag::value)
    };
    let launched = from
        .launch_time()
        .and_then(|time| Timestamp::from_second(time.secs()).ok())
        .map(|time| time.to_string());
    let state = from.state().and_then(|state| state.name());
    [
        (named::STATE, state.map(InstanceStateName::as_str)),
        (
            named::LIFECYCLE,
            from.instance_lifecycle().map(InstanceLifecycleType::as_str),
        ),
        (named::VPC, from.vpc_id()),
        (named::SUBNET, from.subnet_id()),
        (named::IMAGE, from.image_id()),
        (named::KEY, from.key_name()),
        (
            named::ARCHITECTURE,
            from.architecture().map(ArchitectureValues::as_str),
        ),
        (named::LAUNCH_TIME, launched.as_deref()),
        (named::GROUP, tag(membership::GROUP)),
        (
            named::FLEET,
            tag(membership::FLEET).or_else(|| tag(membership::SPOT_FLEET)),
        ),
    ]
    .into_iter()
    .filter_map(|(name, value)| Some((name.to_owned(), value?.to_owned())))
    .chain(from.tags().iter().filter_map(|tag| {
        let key = tag.key().filter(|key| !is_label(key))?;
        Some((format!("tag:{key}"), tag.value()?.to_owned()))
    }))
    .filter(|(_, value)| !value.is_empty())
    .collect()
}

/// Machines of one `RunInstances` are told apart by their place in it, others by their id: what
/// AWS launches on its own comes in several reservations, each counted from 0.
fn name(from: &Instance, labels: &Labels, native: &str) -> String {
    let base = from
        .tags()
        .iter()
        .find(|tag| tag.key() == Some(NAME))
        .and_then(Tag::value)
        .unwrap_or(native);
    let ours = labels
        .get(fleetwright_core::keys::MANAGED_BY)
        .is_some_and(|by| by == fleetwright_core::keys::MANAGED_BY_VALUE);
    if !ours {
        return base.to_owned();
    }
    let kept = [membership::GROUP, membership::FLEET, membership::SPOT_FLEET];
    let launched_by_aws = |tag: &Tag| tag.key().is_some_and(|key| kept.contains(&key));
    if from.tags().iter().any(launched_by_aws) {
        let tail = native.len().saturating_sub(8);
        return format!("{base}-{}", native.get(tail..).unwrap_or(native));
    }
    format!("{base}-{}", from.ami_launch_index().unwrap_or(0))
}

/// Tags as labels, without the name and those that AWS puts on by itself.
pub(crate) fn labels(tags: &[Tag]) -> Labels {
    tags.iter()
        .filter_map(|tag| Some((tag.key()?, tag.value().unwrap_or_default())))
        .filter(|(key, _)| is_label(key))
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
        .collect()
}

fn is_label(key: &str) -> bool {
    key != NAME && !key.starts_with("aws:")
}

fn node_state(name: &InstanceStateName) -> NodeState {
    match name {
        InstanceStateName::Pending => NodeState::Pending,
        InstanceStateName::Running => NodeState::Running,
        InstanceStateName::Stopping | InstanceStateName::Stopped => NodeState::Stopped,
        InstanceStateName::ShuttingDown => NodeState::Deleting,
        InstanceStateName::Terminated => NodeState::Deleted,
        other => NodeState::Unknown(other.as_str().to_owned()),
    }
}

fn addresses(from: &Instance) -> Addresses {
    let read = |text: Option<&str>| text.and_then(|text| text.parse::<IpAddr>().ok());
    Addresses {
        public: read(from.public_ip_address()).or_else(|| read(from.ipv6_address())),
        private: read(from.private_ip_address()),
    }
}

fn login_address(kind: AddressKind, addresses: &Addresses) -> Option<IpAddr> {
    match kind {
        AddressKind::Public => addresses.public.or(addresses.private),
        AddressKind::Private => addresses.private,
    }
}

/// Why it stopped, in EC2's words: `Server.SpotInstanceTermination`, `Client.VolumeLimitExceeded`.
fn message(from: &Instance) -> Option<String> {
    let reason = from.state_reason()?;
    let code = reason.code().filter(|code| !code.is_empty())?;
    Some(match reason.message() {
        Some(message) if !message.is_empty() => format!("{code}: {message}"),
        _ => code.to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use aws_sdk_ec2::types::InstanceState;

    use super::*;

    fn instance(state: &str) -> Instance {
        Instance::builder()
            .instance_id("i-0123456789abcdef0")
            .state(
                InstanceState::builder()
                    .name(InstanceStateName::from(state))
                    .build(),
            )
            .ami_launch_index(3)
            .tags(Tag::builder().key("Name").value("web").build())
            .build()
    }

    fn read(instance: &Instance) -> Node {
        node("aws", "us-east-1", &AwsConfig::default(), instance).unwrap()
    }

    #[test]
    fn an_unknown_state_keeps_its_word_and_a_missing_one_is_an_error() {
        let odd = read(&instance("hibernating"));
        assert_eq!(odd.state, NodeState::Unknown("hibernating".to_owned()));
        let none = Instance::builder().instance_id("i-1").build();
        assert!(node("aws", "us-east-1", &AwsConfig::default(), &none).is_err());
    }

    #[test]
    fn what_ec2_tells_besides_is_kept_under_its_own_names() {
        let mut odd = instance("shutting-down");
        odd.vpc_id = Some("vpc-1".to_owned());
        odd.key_name = Some(String::new());
        odd.image_id = Some("ami-1".to_owned());
        let group = Tag::builder().key(membership::GROUP).value("web").build();
        odd.tags.get_or_insert_default().push(group);
        let metadata: Vec<(String, String)> = read(&odd).metadata.into_iter().collect();
        let wanted = [
            ("group", "web"),
            ("image-id", "ami-1"),
            ("instance-state-name", "shutting-down"),
            ("tag:Name", "web"),
            ("tag:aws:autoscaling:groupName", "web"),
            ("vpc-id", "vpc-1"),
        ];
        assert_eq!(metadata, wanted.map(|(k, v)| (k.to_owned(), v.to_owned())));
    }

    #[test]
    fn names_tell_machines_of_one_call_apart() {
        let foreign = instance("running");
        assert_eq!(read(&foreign).name, "web");
        let managed = Tag::builder()
            .key("managed-by")
            .value("fleetwright")
            .build();
        let mut ours = foreign.clone();
        ours.tags.get_or_insert_default().push(managed);
        assert_eq!(read(&ours).name, "web-3");
        let member = Tag::builder()
            .key(membership::FLEET)
            .value("fleet-1")
            .build();
        ours.tags.get_or_insert_default().push(member);
        assert_eq!(read(&ours).name, "web-9abcdef0");
    }
}
