//! Making machines: one call each, exactly once per token.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use fleetwright_core::{
    CreateRequest, Created, Effect, Error, Kind, Node, NodeSpec, Result, Secret, cloud_init, keys,
};
use fleetwright_rest::{check_no_zone, check_request};
use futures::StreamExt as _;
use futures::stream;
use serde_json::json;
use uuid::Uuid;

use crate::options::LinodeOptions;
use crate::provider::{LinodeProvider, USER_DATA};
use crate::tags;
use crate::wire::{Interface, InterfaceAddress, Linode, Metadata, NewLinode, PlacementGroup};

/// Calls at once for one request.
const AT_ONCE: usize = 5;

impl LinodeProvider {
    pub(crate) async fn make(&self, request: &CreateRequest) -> Result<Created> {
        let options = self.possible(request)?;
        let mut made = if request.replay {
            // What an earlier call made is only known once this has succeeded.
            self.made_before(request)
                .await
                .map_err(|error| match error.kind() {
                    Kind::Conflict => error,
                    _ => error.with_effect(Effect::Unknown),
                })?
        } else {
            Vec::new()
        };
        let taken: BTreeSet<String> = made.iter().map(|linode| linode.label.clone()).collect();
        let missing: Vec<String> = (0..request.count)
            .map(|ordinal| request.machine_name(ordinal))
            .filter(|name| !taken.contains(name))
            .collect();
        let mut errors = Vec::new();
        if !missing.is_empty() {
            let image = request.spec.image.as_deref().unwrap_or(&options.image);
            let image = self.image_id(image).await?;
            let stop = AtomicBool::new(false);
            let mut calls = stream::iter(missing)
                .map(|name| self.make_unless(&stop, request, &options, &image, name))
                .buffer_unordered(AT_ONCE);
            while let Some(result) = calls.next().await {
                match result {
                    Ok(linode) => made.extend(linode),
                    Err(error) => errors.push(error),
                }
            }
        }
        made.sort_unstable_by_key(|linode| linode.id);
        // A machine of which nobody knows whether it exists: the caller must ask again.
        if let Some(at) = errors
            .iter()
            .position(|error| error.effect() == Effect::Unknown)
        {
            return Err(errors.swap_remove(at));
        }
        let nodes: Result<Vec<Node>> = made.iter().map(|linode| self.node(linode)).collect();
        let nodes = nodes.map_err(|error| error.with_effect(Effect::Unknown))?;
        match errors.into_iter().next() {
            None => Ok(Created::all(nodes)),
            Some(error) if nodes.is_empty() => Err(error),
            Some(error) => Ok(Created::partial(nodes, error)),
        }
    }

    /// What can be said of a request without a call.
    pub(crate) fn possible(&self, request: &CreateRequest) -> Result<LinodeOptions> {
        let spec = &request.spec;
        check_request(request, fleetwright_core::Provider::info(self), "Linode")?;
        check_no_zone(spec, "Linode")?;
        document(request)?;
        check_name(&request.machine_name(request.count - 1))?;
        LinodeOptions::read(&spec.options)
    }

    /// The machines that carry the token already.
    async fn made_before(&self, request: &CreateRequest) -> Result<Vec<Linode>> {
        let made = self.with_token(request.token.as_str()).await?;
        match made.iter().find(|linode| !is_of(linode, request)) {
            Some(other) => Err(used(other)),
            None => Ok(made),
        }
    }

    async fn with_token(&self, token: &str) -> Result<Vec<Linode>> {
        let mut found = Vec::new();
        for tag in tags::label_tags(keys::CLAIM, token)? {
            let listed = self.api().linodes(&[json!({ "tags": tag })]).await;
            found.extend(listed.complete()?);
        }
        found.retain(|linode| carries(linode, token));
        found.dedup_by_key(|linode| linode.id);
        Ok(found)
    }

    async fn make_unless(
        &self,
        stop: &AtomicBool,
        request: &CreateRequest,
        options: &LinodeOptions,
        image: &str,
        name: String,
    ) -> Result<Option<Linode>> {
        // What one was refused for, the next would be refused for as well.
        if stop.load(Ordering::Relaxed) {
            return Ok(None);
        }
        let new = order(request, options, image, name.clone())?;
        let result = match self.api().create(&new).await {
            Err(error) if error.kind() == Kind::Conflict => self.whose(request, &name, error).await,
            result => result,
        };
        if result.is_err() {
            stop.store(true, Ordering::Relaxed);
        }
        result.map(Some)
    }

    /// Looks at who has the name already. "Label must be unique among your linodes" is the answer
    /// as well if an earlier call with this token made the machine and no listing has shown it.
    async fn whose(&self, request: &CreateRequest, name: &str, refusal: Error) -> Result<Linode> {
        let listed = self.api().linodes(&[json!({ "label": name })]).await;
        let found = listed
            .complete()
            .map_err(|error| error.with_effect(Effect::Unknown))?;
        match found.into_iter().find(|linode| linode.label == name) {
            Some(linode) if carries(&linode, request.token.as_str()) => {
                if is_of(&linode, request) {
                    Ok(linode)
                } else {
                    Err(used(&linode))
                }
            }
            Some(linode) => Err(refusal.with_hint(format!(
                "the name `{name}` belongs to instance {} already",
                linode.id
            ))),
            // It is there and cannot be seen yet: is it one of this token?
            None if request.replay => Err(refusal.with_effect(Effect::Unknown)),
            None => Err(refusal),
        }
    }
}

fn carries(linode: &Linode, token: &str) -> bool {
    tags::labels(&linode.tags)
        .get(keys::CLAIM)
        .map(String::as_str)
        == Some(token)
}

/// Whether a machine that carries the token is what the request says, as far as it shows.
fn is_of(linode: &Linode, request: &CreateRequest) -> bool {
    linode.instance_type.as_deref() == Some(&*request.spec.instance_type)
        && linode.region == request.spec.region
        && (0..request.count).any(|ordinal| request.machine_name(ordinal) == linode.label)
}

fn used(linode: &Linode) -> Error {
    Error::new(
        Kind::Conflict,
        "the token was used with other parameters before",
    )
    .with_context("instance", linode.id.to_string())
}

/// The rules for labels: 3 to 64 characters, "must begin and end with an alphanumeric character",
/// of letters, digits, `-`, `_`, `.`, and "cannot have two dashes, underscores or periods in a row".
/// <https://techdocs.akamai.com/linode-api/reference/post-linode-instance>
fn check_name(name: &str) -> Result<()> {
    let plain = name
        .chars()
        .all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c));
    let doubled = ["--", "__", ".."].iter().any(|pair| name.contains(pair));
    let ends = name.starts_with(|c: char| c.is_ascii_alphabetic())
        && name.ends_with(|c: char| c.is_ascii_alphanumeric());
    if (3..=64).contains(&name.len()) && plain && ends && !doubled {
        return Ok(());
    }
    Err(Error::new(
        Kind::Invalid,
        format!("`{name}` cannot be the name of a Linode"),
    )
    .with_hint(
        "Linode's names have 3 to 64 letters, digits, `-`, `_` and `.`, begin with a letter, and \
         have no two signs in a row",
    ))
}

fn order(
    request: &CreateRequest,
    options: &LinodeOptions,
    image: &str,
    name: String,
) -> Result<NewLinode> {
    let spec: &NodeSpec = &request.spec;
    let mut labels = spec.labels.clone();
    labels.insert(keys::CLAIM.to_owned(), request.token.as_str().to_owned());
    let interfaces = options.vpc_subnet.map(|subnet_id| Interface {
        purpose: "vpc",
        subnet_id,
        primary: true,
        ipv4: InterfaceAddress { nat_1_1: "any" },
    });
    Ok(NewLinode {
        region: spec.region.clone(),
        instance_type: spec.instance_type.clone(),
        label: name,
        image: image.to_owned(),
        root_pass: password(),
        authorized_keys: keys_of(spec),
        authorized_users: options.authorized_users.clone(),
        booted: true,
        tags: tags::tags(&labels)?,
        metadata: document(request)?.map(|text| Metadata {
            user_data: Secret::new(STANDARD.encode(text)),
        }),
        firewall_id: options.firewall,
        private_ip: options.private_ip,
        interfaces: interfaces.into_iter().collect(),
        placement_group: options.placement_group.map(|id| PlacementGroup { id }),
        swap_size: options.swap_mb,
        backups_enabled: options.backups,
    })
}

/// The user data, before its encoding. Keys that may log in are not in it: Linode takes them whole.
fn document(request: &CreateRequest) -> Result<Option<String>> {
    let user_data = request.spec.user_data.as_deref();
    cloud_init(user_data, &[], request.host_key.as_ref(), USER_DATA)
}

fn keys_of(spec: &NodeSpec) -> Vec<String> {
    let keys = spec.ssh_keys.iter().map(|key| key.trim().to_owned());
    keys.filter(|key| !key.is_empty()).collect()
}

/// A password for root that nobody knows: "Required when creating a Linode Disk from an Image". It
/// goes into the request and nowhere else; logins go by key.
/// <https://techdocs.akamai.com/linode-api/reference/post-linode-instance>
fn password() -> Secret {
    // Two times 122 random bits, with letters of both kinds, digits and signs for the strength
    // score that the API reckons.
    let (a, b) = (Uuid::new_v4(), Uuid::new_v4().simple().to_string());
    Secret::new(format!("{a}_{}", b.to_uppercase()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_long_strong_and_never_the_same() {
        let (a, b) = (password(), password());
        assert_ne!(a, b);
        let text = a.reveal();
        assert!((7..=128).contains(&text.len()), "{}", text.len());
        assert!(text.chars().any(|c| c.is_ascii_digit()));
        assert!(text.contains('-') && text.contains('_'));
        assert_eq!(format!("{a:?}"), "[redacted]");
    }

    #[test]
    fn names_keep_to_the_rules_for_labels() {
        for good in ["web-0", "a-0", "a.b_c-1", &format!("a{}", "x".repeat(63))] {
            check_name(good).unwrap();
        }
        for bad in [
            "",
            "a0",
            "a--b",
            "a..b",
            "-ab",
            "1ab",
            "ab-",
            "a b",
            "ä-0",
            &"x".repeat(65),
        ] {
            assert_eq!(check_name(bad).unwrap_err().kind(), Kind::Invalid, "{bad}");
        }
    }
}
