//! Launching: what a request names is looked up, and then one call makes the instance.

use fleetwright_core::{
    CreateRequest, Created, Effect, Error, Kind, Node, NodeSpec, Result, cloud_init, fingerprint,
    keys,
};
use fleetwright_rest::{check_no_zone, check_request, create_missing, made_before};

use crate::api::{Id, Instance, InstanceType, Launch, Mount, Named, Region, Specs, Tag};
use crate::node::CREATED;
use crate::{LambdaOptions, LambdaProvider};

/// Longest user data, in bytes. "The user data string must be plain text and cannot exceed 1MB in
/// size".
const MOST_USER_DATA: usize = 1_000_000;

/// Longest user data of a pool, in bytes; the rest is for keys and the frame round them.
pub(crate) const USER_DATA_LIMIT: usize = MOST_USER_DATA - 16 * 1024;

/// "Must be 64 characters or fewer."
const NAME_LIMIT: usize = 64;

/// `maxLength` of keys and values of tags in the description.
const TAG_LIMITS: (usize, usize) = (55, 128);

impl LambdaProvider {
    /// Makes the machines of a request that do not exist yet.
    pub(crate) async fn launch(&self, request: &CreateRequest) -> Result<Created> {
        let options = self.refuse_early(request)?;
        let found = if request.replay {
            let listed = self.api.instances().await;
            // Nothing is made while nobody knows what there is.
            let listed = listed.map_err(|error| error.with_effect(Effect::Unknown))?;
            let nodes: Result<Vec<Node>> = listed.iter().map(|one| self.node(one)).collect();
            made_before(request, nodes?)?
        } else {
            Vec::new()
        };
        let missing = usize::try_from(request.count).unwrap_or(usize::MAX) > found.len();
        if !missing {
            return Ok(Created::all(found));
        }
        let template = self
            .template(request, &options)
            .await
            // What was looked up or registered is no machine.
            .map_err(|error| error.with_effect(Effect::None))?;
        create_missing(request, found, |ordinal| {
            self.launch_one(request, &template, ordinal)
        })
        .await
    }

    async fn launch_one(
        &self,
        request: &CreateRequest,
        template: &Launch,
        ordinal: u32,
    ) -> Result<Node> {
        let name = request.machine_name(ordinal);
        let launch = Launch {
            hostname: hostname(&name),
            name,
            ..template.clone()
        };
        let id = self.api.launch(&launch).await?;
        // The answer is an id and no more; asking for the rest would cost another call of few.
        let mut node = self.node(&Instance {
            id,
            name: Some(launch.name.clone()),
            ip: None,
            private_ip: None,
            status: "booting".to_owned(),
            region: Region {
                name: launch.region_name.clone(),
            },
            kind: InstanceType {
                name: launch.instance_type_name.clone(),
                gpu_description: String::new(),
                price_cents_per_hour: 0,
                specs: Specs {
                    vcpus: 0,
                    memory_gib: 0,
                    gpus: 0,
                },
            },
            tags: launch.tags,
        })?;
        node.price = None;
        Ok(node)
    }

    /// What can be refused without a call.
    pub(crate) fn refuse_early(&self, request: &CreateRequest) -> Result<LambdaOptions> {
        let wrong = |message: String| Err(Error::new(Kind::Invalid, message));
        let spec = &request.spec;
        check_request(request, &self.info, "Lambda")?;
        check_no_zone(spec, "Lambda")?;
        let name = request.machine_name(request.count - 1);
        if name.len() > NAME_LIMIT {
            return wrong(format!(
                "the name `{name}` has {} characters, and Lambda takes {NAME_LIMIT}",
                name.len()
            ));
        }
        if let Some(text) = &spec.user_data
            && text.len() > USER_DATA_LIMIT
        {
            return Err(Error::new(
                Kind::Invalid,
                format!(
                    "user data has {} bytes, and at most {USER_DATA_LIMIT} are allowed",
                    text.len()
                ),
            )
            .with_hint("put what is long into an image or a bucket, and fetch it in the script"));
        }
        for (key, value) in &spec.labels {
            if !is_tag(key) || value.len() > TAG_LIMITS.1 {
                return Err(Error::new(
                    Kind::Invalid,
                    format!("the label `{key}` cannot be a tag of Lambda"),
                )
                .with_hint(format!(
                    "keys have 2 to {} characters of a-z, 0-9, `-` and `:` and begin with a \
                     letter; values have up to {}",
                    TAG_LIMITS.0, TAG_LIMITS.1
                )));
            }
        }
        let options = LambdaOptions::read(&spec.options)?;
        if options.ssh_key.is_none() && spec.ssh_keys.is_empty() {
            return Err(
                Error::new(Kind::Invalid, "no SSH key is given, and Lambda wants one").with_hint(
                    "name one that Lambda knows as `options.ssh_key`, or give `ssh_keys`",
                ),
            );
        }
        Ok(options)
    }

    /// The launch without the name of the machine.
    async fn template(&self, request: &CreateRequest, options: &LambdaOptions) -> Result<Launch> {
        let spec = &request.spec;
        let (key, others) = self.key(spec, options).await?;
        let (file_system_names, file_system_mounts) = self.file_systems(spec, options).await?;
        let tag = |key: &str, value: String| Tag {
            key: key.to_owned(),
            value,
        };
        let mut tags: Vec<Tag> = spec
            .labels
            .iter()
            .filter(|(key, _)| *key != keys::CLAIM)
            .map(|(key, value)| tag(key, value.clone()))
            .collect();
        tags.push(tag(keys::CLAIM, request.token.to_string()));
        if !spec.labels.contains_key(keys::MANAGED_BY) {
            tags.push(tag(keys::MANAGED_BY, keys::MANAGED_BY_VALUE.to_owned()));
        }
        let now = self.clock.now().as_second();
        tags.push(tag(CREATED, now.to_string()));
        Ok(Launch {
            region_name: spec.region.clone(),
            instance_type_name: spec.instance_type.clone(),
            ssh_key_names: vec![key],
            file_system_names,
            file_system_mounts,
            hostname: None,
            name: String::new(),
            image: self.image(spec, options).await?.map(|id| Id { id }),
            user_data: cloud_init(
                spec.user_data.as_deref(),
                &others,
                request.host_key.as_ref(),
                MOST_USER_DATA,
            )?,
            tags,
            firewall_rulesets: self.rulesets(spec, options).await?,
        })
    }

    /// The name of the one key that a launch takes ("Currently, exactly one SSH key must be
    /// specified"), and the keys that have to travel in user data.
    async fn key(&self, spec: &NodeSpec, options: &LambdaOptions) -> Result<(String, Vec<String>)> {
        if let Some(name) = &options.ssh_key {
            self.known_key(name).await?;
            return Ok((name.clone(), spec.ssh_keys.clone()));
        }
        let Some((first, others)) = spec.ssh_keys.split_first() else {
            // Refused before.
            return Err(Error::new(Kind::Invalid, "no SSH key is given"));
        };
        let registered = self.registered(first).await?;
        let name = match registered {
            Some(name) => name,
            None => self.register(first).await?,
        };
        Ok((name, others.to_vec()))
    }

    /// Fails if Lambda does not know a key of this name.
    pub(crate) async fn known_key(&self, name: &str) -> Result<()> {
        let known = self.api.ssh_keys().await?;
        if known.iter().any(|key| key.name == name) {
            return Ok(());
        }
        let names: Vec<&str> = known.iter().map(|key| key.name.as_str()).collect();
        Err(unknown("SSH key", name, &names))
    }

    /// The name under which Lambda knows this key.
    async fn registered(&self, key: &str) -> Result<Option<String>> {
        let known = self.api.ssh_keys().await?;
        let found = known
            .into_iter()
            .find(|known| essence(&known.public_key) == essence(key));
        Ok(found.map(|found| found.name))
    }

    async fn register(&self, key: &str) -> Result<String> {
        let name = format!("fleetwright-{}", fingerprint(&essence(key)).short());
        match self.api.add_ssh_key(&name, key.trim()).await {
            Ok(added) => Ok(added.name),
            // Somebody else registers the same key at this moment.
            Err(error) if matches!(error.kind(), Kind::Conflict | Kind::Invalid) => {
                self.registered(key).await?.ok_or(error)
            }
            Err(error) => Err(error),
        }
    }

    /// The id of the image that is asked for; `None`: Lambda's default.
    pub(crate) async fn image(
        &self,
        spec: &NodeSpec,
        options: &LambdaOptions,
    ) -> Result<Option<String>> {
        let Some(wanted) = spec.image.as_ref().or(options.image.as_ref()) else {
            return Ok(None);
        };
        let mut here = self.api.images().await?;
        here.retain(|image| image.region.name == spec.region);
        let found = here
            .iter()
            .find(|image| image.id == *wanted)
            .or_else(|| here.iter().find(|image| image.name == *wanted))
            .or_else(|| here.iter().find(|image| image.family == *wanted));
        if let Some(image) = found {
            return Ok(Some(image.id.clone()));
        }
        let mut known: Vec<&str> = here.iter().map(|one| one.family.as_str()).collect();
        known.sort_unstable();
        known.dedup();
        let what = format!("image in `{}`", spec.region);
        Err(unknown(&what, wanted, &known))
    }

    /// The firewall rulesets that are asked for, by id.
    pub(crate) async fn rulesets(
        &self,
        spec: &NodeSpec,
        options: &LambdaOptions,
    ) -> Result<Vec<Id>> {
        if options.firewall_rulesets.is_empty() {
            return Ok(Vec::new());
        }
        let known = self.api.firewall_rulesets().await?;
        let what = "firewall ruleset";
        options
            .firewall_rulesets
            .iter()
            .map(|wanted| {
                Ok(Id {
                    id: by_name(&known, what, wanted, spec)?.id.clone(),
                })
            })
            .collect()
    }

    /// The file systems that are asked for: those at their own place by name, the others by id.
    pub(crate) async fn file_systems(
        &self,
        spec: &NodeSpec,
        options: &LambdaOptions,
    ) -> Result<(Vec<String>, Vec<Mount>)> {
        let (mut names, mut mounts) = (Vec::new(), Vec::new());
        if options.file_systems.is_empty() {
            return Ok((names, mounts));
        }
        let known = self.api.file_systems().await?;
        for wanted in &options.file_systems {
            let found = by_name(&known, "file system", wanted, spec)?;
            match options.mount_points.get(wanted) {
                None => names.push(found.name.clone()),
                Some(point) => mounts.push(Mount {
                    mount_point: point.clone(),
                    file_system_id: found.id.clone(),
                }),
            }
        }
        Ok((names, mounts))
    }
}

fn by_name<'a>(known: &'a [Named], what: &str, wanted: &str, spec: &NodeSpec) -> Result<&'a Named> {
    let mut here = known.iter().filter(|one| one.region.name == spec.region);
    let found = here
        .clone()
        .find(|one| one.name == wanted || one.id == wanted);
    found.ok_or_else(|| {
        let names: Vec<&str> = here.by_ref().map(|one| one.name.as_str()).collect();
        unknown(&format!("{what} in `{}`", spec.region), wanted, &names)
    })
}

fn unknown(what: &str, wanted: &str, known: &[&str]) -> Error {
    let hint = if known.is_empty() {
        "there is none at all".to_owned()
    } else {
        format!("known: {}", known.join(", "))
    };
    Error::new(
        Kind::Invalid,
        format!("there is no {what} named `{wanted}`"),
    )
    .with_hint(hint)
}

/// A public key without its comment: kind and body.
fn essence(key: &str) -> Vec<&str> {
    key.split_whitespace().take(2).collect()
}

/// `^[a-z][a-z0-9-:]+$`, at most 55 characters.
fn is_tag(key: &str) -> bool {
    let letters = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-' || c == ':';
    (2..=TAG_LIMITS.0).contains(&key.len())
        && key.starts_with(|c: char| c.is_ascii_lowercase())
        && key.chars().all(letters)
}

/// The name as host name, if it can be one: `^[a-z0-9][0-9a-z-]{0,62}$`.
fn hostname(name: &str) -> Option<String> {
    let letters = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    let can_be =
        (1..=63).contains(&name.len()) && !name.starts_with('-') && name.chars().all(letters);
    can_be.then(|| name.to_owned())
}
