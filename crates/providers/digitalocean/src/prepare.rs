//! What must be there before a droplet is made: keys, image, network, firewalls, project.
//!
//! All of it can be repeated, and none of it costs anything.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use fleetwright_core::{
    CreateRequest, Effect, Error, Kind, NodeSpec, Provider as _, Result, cloud_init, keys,
};
use fleetwright_rest::{check_no_zone, check_request};
use serde_json::{Map, Value, json};

use crate::node;
use crate::options::{DigitalOceanOptions, ImageRef};
use crate::provider::{DigitalOceanProvider, USER_DATA};
use crate::wire::{Firewall, Project, Vpc};

/// A request that was checked as far as that is possible without asking.
pub(crate) struct Wish {
    pub(crate) options: DigitalOceanOptions,
    pub(crate) image: ImageRef,
    pub(crate) tags: Vec<String>,
    /// What cloud-init reads. Never shown: it may hold a host key.
    user_data: Option<String>,
    /// By ordinal.
    pub(crate) names: Vec<String>,
}

/// What the call that makes droplets is sent with, but for their names.
pub(crate) struct Prepared {
    pub(crate) body: Value,
    pub(crate) project: Option<String>,
}

/// An OpenSSH public key as DigitalOcean knows it.
#[derive(Debug, PartialEq, Eq)]
struct PublicKey {
    fingerprint: String,
    name: String,
}

impl DigitalOceanProvider {
    /// Checks what can be checked without a call.
    ///
    /// # Errors
    /// `Invalid`, or `Unsupported` for the spot market.
    pub(crate) fn checked(&self, request: &CreateRequest) -> Result<Wish> {
        let spec = &request.spec;
        let wrong = |message: String| Err(Error::new(Kind::Invalid, message));
        check_request(request, self.info(), "DigitalOcean")?;
        check_no_zone(spec, "DigitalOcean")?;
        // The keys that may log in are known to DigitalOcean by name.
        let user_data = cloud_init(
            spec.user_data.as_deref(),
            &[],
            request
                .host_key
                .as_ref()
                .filter(|_| self.plants_host_keys()),
            USER_DATA,
        )?;
        let names: Vec<String> = (0..request.count)
            .map(|n| request.machine_name(n))
            .collect();
        // "Only valid hostname characters are allowed. (a-z, A-Z, 0-9, . and -)"
        let plain = |c: char| c.is_ascii_alphanumeric() || c == '.' || c == '-';
        if !spec.name.starts_with(|c: char| c.is_ascii_alphanumeric())
            || !spec.name.chars().all(plain)
            || names.iter().any(|name| name.len() > 255)
        {
            return wrong(format!("`{}` cannot be the name of a droplet", spec.name));
        }
        for key in &spec.ssh_keys {
            PublicKey::read(key)?;
        }
        let options = DigitalOceanOptions::read(&spec.options)?;
        let image = ImageRef::read(spec.image.as_ref().unwrap_or(&options.image))?;
        let mut labels = spec.labels.clone();
        labels.insert(keys::CLAIM.to_owned(), request.token.as_str().to_owned());
        Ok(Wish {
            tags: node::tags(&labels)?,
            options,
            image,
            names,
            user_data,
        })
    }

    /// Sees to what the droplets need, and puts the call together.
    ///
    /// # Errors
    /// With no effect: whatever was done of it, no machine exists because of it.
    pub(crate) async fn prepare(&self, spec: &NodeSpec, wish: &Wish) -> Result<Prepared> {
        self.prepare_all(spec, wish)
            .await
            .map_err(|error| error.with_effect(Effect::None))
    }

    async fn prepare_all(&self, spec: &NodeSpec, wish: &Wish) -> Result<Prepared> {
        let options = &wish.options;
        let mut fingerprints = Vec::new();
        for key in &spec.ssh_keys {
            fingerprints.push(self.ensure_key(key).await?);
        }
        let mut tags = wish.tags.clone();
        if !options.firewalls.is_empty() {
            tags.extend(self.ensure_firewalls(&options.firewalls).await?);
        }
        let project = match &options.project {
            Some(project) => Some(self.project(project).await?),
            None => None,
        };
        let mut body = Map::new();
        let mut put = |key: &str, value: Value| body.insert(key.to_owned(), value);
        put("region", json!(spec.region));
        put("size", json!(spec.instance_type));
        put("image", self.image_value(&wish.image, &spec.region).await?);
        put("ssh_keys", json!(fingerprints));
        put("tags", json!(tags));
        put("backups", json!(options.backups));
        put("ipv6", json!(options.ipv6));
        put("monitoring", json!(options.monitoring));
        put("public_networking", json!(options.public_address));
        if let Some(agent) = options.droplet_agent {
            put("with_droplet_agent", json!(agent));
        }
        if let Some(vpc) = &options.vpc {
            put("vpc_uuid", json!(self.vpc(vpc, &spec.region).await?));
        }
        if let Some(user_data) = &wish.user_data {
            put("user_data", json!(user_data));
        }
        Ok(Prepared {
            body: Value::Object(body),
            project,
        })
    }

    /// The fingerprint of a key that the team has; it is added if it is not there.
    async fn ensure_key(&self, line: &str) -> Result<String> {
        let key = PublicKey::read(line)?;
        if !self.api().has_key(&key.fingerprint).await? {
            match self.api().add_key(&key.name, line.trim()).await {
                // "SSH Key is already in use on your account": somebody was faster.
                Err(error) if error.kind() == Kind::Conflict => {}
                other => other?,
            }
        }
        Ok(key.fingerprint)
    }

    /// The tags that make these firewalls hold for a droplet. A firewall that is told to guard a
    /// droplet only after it was made would leave it open in between.
    async fn ensure_firewalls(&self, wanted: &[String]) -> Result<Vec<String>> {
        let known = self.api().firewalls().await?;
        let mut tags = Vec::new();
        for name in wanted {
            let is_it = |firewall: &&Firewall| firewall.id == *name || firewall.name == *name;
            let firewall = known.iter().find(is_it).ok_or_else(|| {
                let names = known.iter().map(|firewall| &*firewall.name);
                missing("firewalls", name, names)
            })?;
            let tag = format!("fleetwright-firewall-{}", firewall.id);
            let has = firewall.tags.iter().flatten().any(|known| *known == tag);
            if !has {
                self.api().make_tag(&tag).await?;
                self.api().tag_firewall(&firewall.id, &tag).await?;
            }
            tags.push(tag);
        }
        Ok(tags)
    }

    async fn project(&self, name: &str) -> Result<String> {
        let known = self.api().projects().await?;
        let is_it = |project: &&Project| project.id == name || project.name == name;
        match known.iter().find(is_it) {
            Some(project) => Ok(project.id.clone()),
            None => Err(missing("project", name, known.iter().map(|p| &*p.name))),
        }
    }

    /// A VPC of this name in this region: other regions may have one of the same name.
    pub(crate) async fn vpc(&self, name: &str, region: &str) -> Result<String> {
        let mut known = self.api().vpcs().await?;
        known.retain(|vpc| vpc.region == region);
        let is_it = |vpc: &&Vpc| vpc.id == name || vpc.name == name;
        match known.iter().find(is_it) {
            Some(vpc) => Ok(vpc.id.clone()),
            None => Err(missing("vpc", name, known.iter().map(|vpc| &*vpc.name))
                .with_context("region", region.to_owned())),
        }
    }

    async fn image_value(&self, image: &ImageRef, region: &str) -> Result<Value> {
        Ok(match image {
            ImageRef::Slug(slug) => json!(slug),
            ImageRef::Id(id) => json!(id),
            ImageRef::Name(name) => json!(self.own_image(name, region).await?),
        })
    }

    /// The newest image of this name in this region.
    pub(crate) async fn own_image(&self, name: &str, region: &str) -> Result<u64> {
        let mut known = self.api().own_images().await?;
        known.retain(|image| image.status == "available");
        let places = known.iter().filter(|image| image.name == name);
        let places: Vec<&str> = places
            .flat_map(|image| image.regions.iter().map(String::as_str))
            .collect();
        let here = |image: &&crate::wire::Image| {
            image.name == name && image.regions.iter().any(|known| known == region)
        };
        let newest = known
            .iter()
            .filter(here)
            .max_by(|a, b| a.created_at.cmp(&b.created_at));
        match newest {
            Some(image) => Ok(image.id),
            None if places.is_empty() => {
                Err(missing("image", name, known.iter().map(|i| &*i.name)))
            }
            None => Err(Error::new(
                Kind::Invalid,
                format!("the image `{name}` is not in `{region}`"),
            )
            .with_hint(format!(
                "it is in {}; copy it with an image action `transfer`",
                places.join(", ")
            ))),
        }
    }
}

fn missing<'n>(key: &str, name: &str, known: impl Iterator<Item = &'n str>) -> Error {
    let known: Vec<&str> = known.collect();
    let hint = if known.is_empty() {
        "there are none".to_owned()
    } else {
        format!("there are {}", known.join(", "))
    };
    Error::new(
        Kind::Invalid,
        format!("`{key}`: there is none that is called `{name}`"),
    )
    .with_hint(hint)
}

impl PublicKey {
    /// DigitalOcean names keys by their MD5 fingerprint: `3b:16:e4:…`.
    fn read(line: &str) -> Result<Self> {
        let mut words = line.split_whitespace();
        let (kind, blob) = (words.next(), words.next());
        let comment: Vec<&str> = words.collect();
        let bytes = blob.and_then(|blob| STANDARD.decode(blob).ok());
        let (Some(kind), Some(bytes)) = (kind, bytes.filter(|bytes| !bytes.is_empty())) else {
            return Err(Error::new(
                Kind::Invalid,
                "`ssh_keys` holds a line that is not a public key of OpenSSH",
            )
            .with_hint("a line reads `ssh-ed25519 AAAA… comment`"));
        };
        let digest = md5::compute(bytes).0;
        let pairs: Vec<String> = digest.iter().map(|byte| format!("{byte:02x}")).collect();
        let name = if comment.is_empty() {
            format!("fleetwright {kind}")
        } else {
            format!("fleetwright {}", comment.join(" "))
        };
        Ok(Self {
            fingerprint: pairs.join(":"),
            name,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_has_the_fingerprint_that_ssh_keygen_shows() {
        // As `ssh-keygen -l -E md5` says.
        let key = PublicKey::read(
            "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIEdeb9spQCjS+utTxoAcxlvuCaPLw7Ojde3ukHdJplj0 \
             me@here",
        )
        .unwrap();
        assert_eq!(
            key.fingerprint,
            "f2:95:78:ba:cf:24:79:14:3a:e0:14:3c:8d:6f:ea:38"
        );
        assert_eq!(key.name, "fleetwright me@here");
        for bad in ["", "ssh-ed25519", "ssh-ed25519 %%%", "hello world"] {
            assert_eq!(
                PublicKey::read(bad).unwrap_err().kind(),
                Kind::Invalid,
                "{bad}"
            );
        }
    }
}
