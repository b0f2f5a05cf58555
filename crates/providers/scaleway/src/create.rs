//! Making machines, each in several steps, exactly once.
//!
//! An instance is born powered off. Whatever is broken off before it is powered on is found by the
//! token among its tags, by a replay, which goes on where it stood:
//!
//! ```text
//!  POST servers ──► POST ips ──► POST private_nics ──► PATCH user_data ──► poweron
//!     stopped       attached       one per network       plain text        starting
//! ```
//! A step that is refused for good takes the instance away again, with address and volume. A step
//! whose outcome is not known leaves it to the replay.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use fleetwright_core::{
    CreateRequest, Created, Deletion, Effect, Error, Kind, Node, NodeState, Provider as _, Remedy,
    Requests, Result, Scope, cloud_init,
};
use fleetwright_rest::check_request;
use futures::stream::{self, StreamExt as _};

use crate::image::Image;
use crate::list::as_invalid;
use crate::wire::{NewServer, Server};
use crate::zone::ServerId;
use crate::{PublicAddress, ScalewayOptions, ScalewayProvider, node, provider, tags};

/// Machines that are made at the same time.
const AT_ONCE: usize = 8;

/// How often a machine that cannot be completed is looked at until it is gone, and the pause
/// between: block storage takes a second or two to be detached.
const UNDO_TRIES: u32 = 20;
const UNDO_PAUSE: Duration = Duration::from_millis(500);

/// What all machines of a request share.
struct Order<'a> {
    request: &'a CreateRequest,
    options: ScalewayOptions,
    tags: Vec<String>,
    /// What is set as user data: the pool's own, and the host key.
    document: Option<String>,
    /// The zones to try, in order, each with its image.
    places: Vec<(String, Image)>,
}

impl ScalewayProvider {
    /// Fulfils a request.
    pub(crate) async fn make(&self, request: &CreateRequest) -> Result<Created> {
        let (options, zones) = self.check_request(request)?;
        let spec = &request.spec;
        let before = if request.replay {
            let found = self.claimed(&spec.region, request.token.as_str()).await;
            // What an earlier call made may be there.
            self.same(request, found.map_err(unsure)?)?
        } else {
            Vec::new()
        };
        let named = spec.image.as_deref();
        let mut places = Vec::new();
        for zone in zones {
            let images = options.images(named);
            let kind = options.volume;
            match self.image(&zone, &images, &spec.instance_type, kind).await {
                Ok(image) => places.push((zone, image)),
                // Another zone may have it.
                Err(error) if error.kind() == Kind::Invalid && spec.zone.is_none() => {
                    let is_last = zone == *self.zones_of(&spec.region)?.last().unwrap_or(&zone);
                    if is_last && places.is_empty() {
                        return Err(if before.is_empty() {
                            error
                        } else {
                            unsure(error)
                        });
                    }
                }
                Err(error) if before.is_empty() => return Err(error),
                Err(error) => return Err(unsure(error)),
            }
        }
        let order = Order {
            request,
            options,
            tags: tags::tags(&spec.labels, &spec.ssh_keys)?,
            document: document(request)?,
            places,
        };
        self.fulfil(&order, &before).await
    }

    /// Checks what can be checked without a call; gives the options and the zones to try.
    fn check_request(&self, request: &CreateRequest) -> Result<(ScalewayOptions, Vec<String>)> {
        let invalid = |message: String| Error::new(Kind::Invalid, message);
        let spec = &request.spec;
        check_request(request, self.info(), "Scaleway")?;
        let options = ScalewayOptions::read(&spec.options)?;
        tags::tags(&spec.labels, &spec.ssh_keys)?;
        document(request)?;
        let known = self.zones_of(&spec.region)?;
        let zones = match &spec.zone {
            None => known,
            Some(zone) if known.contains(zone) => vec![zone.clone()],
            Some(zone) => {
                return Err(
                    invalid(format!("region `{}` has no zone `{zone}`", spec.region))
                        .with_hint(format!("its zones: {}", known.join(", "))),
                );
            }
        };
        Ok((options, zones))
    }

    /// Checks that what carries the token is what the request asks for.
    fn same(&self, request: &CreateRequest, found: Vec<Server>) -> Result<Vec<Server>> {
        let spec = &request.spec;
        let names: Vec<String> = (0..request.count)
            .map(|n| request.machine_name(n))
            .collect();
        for server in &found {
            let zone_fits = spec.zone.as_ref().is_none_or(|zone| *zone == server.zone);
            let fits = server.commercial_type == spec.instance_type
                && names.contains(&server.name)
                && zone_fits;
            if !fits {
                return Err(Error::new(
                    Kind::Conflict,
                    format!(
                        "the token was used for something else: `{}`, a `{}` in `{}`",
                        server.name, server.commercial_type, server.zone
                    ),
                )
                .with_effect(Effect::Unknown)
                .with_context("provider", self.name().to_owned()));
            }
        }
        Ok(found)
    }

    async fn fulfil(&self, order: &Order<'_>, before: &[Server]) -> Result<Created> {
        let is_over = AtomicBool::new(false);
        let machines = (0..order.request.count).map(|ordinal| {
            let name = order.request.machine_name(ordinal);
            let there = before.iter().find(|server| server.name == name);
            let is_over = &is_over;
            async move {
                if there.is_none() && is_over.load(Ordering::Relaxed) {
                    return None;
                }
                let made = self.machine(order, name, there).await;
                if made.is_err() {
                    is_over.store(true, Ordering::Relaxed);
                }
                Some(made)
            }
        });
        let made: Vec<Result<Node>> = stream::iter(machines)
            .buffered(AT_ONCE)
            .filter_map(|made| async { made })
            .collect()
            .await;
        let (mut nodes, mut errors) = (Vec::new(), Vec::new());
        for result in made {
            match result {
                Ok(node) => nodes.push(node),
                Err(error) => errors.push(error),
            }
        }
        // What is not known must be found out before anything is said about the rest.
        let unknown = errors.iter().position(|e| e.effect() == Effect::Unknown);
        let error = match unknown {
            Some(at) => errors.swap_remove(at),
            None if errors.is_empty() => return Ok(Created::all(nodes)),
            None => errors.swap_remove(0),
        };
        if error.effect() == Effect::Unknown || nodes.is_empty() {
            return Err(error);
        }
        if error.kind().remedy() == Remedy::RetryHere {
            return Err(unsure(error));
        }
        Ok(Created::partial(nodes, error))
    }

    /// One machine, powered on. Its error has `Effect::None` only if nothing of it is left.
    async fn machine(
        &self,
        order: &Order<'_>,
        name: String,
        there: Option<&Server>,
    ) -> Result<Node> {
        let server = match there {
            Some(server) => server.clone(),
            None => self.born(order, name).await?,
        };
        if server.state != "stopped" {
            return self.node(&server);
        }
        let at = node::id(&server);
        match self.complete(order, &at, &server).await {
            Ok(()) => self.node(&server).map(|node| Node {
                state: NodeState::Pending,
                ..node
            }),
            Err(error) if error.effect() == Effect::Unknown => Err(error),
            Err(error) if error.kind().remedy() == Remedy::RetryHere => Err(unsure(error)),
            Err(error) => Err(self.undo(&at, error).await),
        }
    }

    /// A new instance, powered off, in the first zone that has one.
    async fn born(&self, order: &Order<'_>, name: String) -> Result<Server> {
        let (spec, options) = (&order.request.spec, &order.options);
        let mut refusal = None;
        for (zone, image) in &order.places {
            let new = NewServer {
                name: name.clone(),
                commercial_type: &spec.instance_type,
                image: &image.id,
                project: self.api().project(),
                tags: &order.tags,
                dynamic_ip_required: options.public_address == PublicAddress::Dynamic,
                security_group: options.security_group.as_deref(),
                placement_group: options.placement_group.as_deref(),
                volumes: options.volumes(image.is_local),
            };
            match self.api().create_server(zone, &new).await {
                Ok(server) => return Ok(server),
                Err(error) if error.kind() == Kind::Capacity => refusal = Some(error),
                Err(error) => return Err(as_invalid(error)),
            }
        }
        let refusal =
            refusal.unwrap_or_else(|| Error::new(Kind::Invalid, "the region has no zone to try"));
        Err(if order.places.len() > 1 {
            refusal.with_scope(Scope::Region)
        } else {
            refusal
        })
    }

    /// What an instance that is powered off still lacks, and then power.
    async fn complete(&self, order: &Order<'_>, at: &ServerId, server: &Server) -> Result<()> {
        let api = self.api();
        let has_v6 = |ip: &crate::wire::ServerIp| ip.address.contains(':');
        for kind in order.options.flexible() {
            let wants_v6 = *kind == "routed_ipv6";
            let mut flexible = server.public_ips.iter().filter(|ip| !ip.dynamic);
            if !flexible.any(|ip| has_v6(ip) == wants_v6) {
                api.create_ip(at, kind).await.map_err(as_invalid)?;
            }
        }
        for network in &order.options.private_networks {
            let mut joined = server.private_nics.iter();
            if !joined.any(|nic| nic.private_network_id == *network) {
                api.join_network(at, network).await.map_err(as_invalid)?;
            }
        }
        if let Some(text) = &order.document {
            api.set_user_data(at, text).await?;
        }
        let Err(error) = api.act(at, "poweron").await else {
            return Ok(());
        };
        // An earlier call may have powered it on after we looked.
        let is_refusal = matches!(error.kind(), Kind::Conflict | Kind::Invalid);
        if order.request.replay && is_refusal && api.server(at).await?.state != "stopped" {
            return Ok(());
        }
        Err(error)
    }

    /// Takes away what was made of a machine that cannot be completed.
    async fn undo(&self, at: &ServerId, error: Error) -> Error {
        let error = error.with_context("zone", at.zone.clone());
        for _ in 0..UNDO_TRIES {
            match self.remove(at).await {
                Ok(Deletion::Gone) => return error.with_effect(Effect::None),
                Ok(Deletion::Started) => self.clock().sleep(UNDO_PAUSE).await,
                Err(other) => {
                    return unsure(error)
                        .with_context("left-behind", at.id.clone())
                        .with_context("not-removed-because", other.to_string());
                }
            }
        }
        unsure(error).with_context("left-behind", at.id.clone())
    }
}

/// The user data of a machine. Login keys are tags, which cloud-init reads as well:
/// <https://cloudinit.readthedocs.io/en/latest/reference/datasources/scaleway.html>
fn document(request: &CreateRequest) -> Result<Option<String>> {
    let own = request.spec.user_data.as_deref();
    cloud_init(own, &[], request.host_key.as_ref(), provider::USER_DATA)
}

/// Something of the request may exist.
fn unsure(error: Error) -> Error {
    error.with_effect(Effect::Unknown)
}

#[async_trait]
impl Requests for ScalewayProvider {
    async fn preflight(&self, request: &CreateRequest) -> Result<()> {
        let (options, zones) = self.check_request(request)?;
        let spec = &request.spec;
        let mut first = None;
        for zone in &zones {
            let types = self.api().types(zone).await.complete()?;
            let result = if types.iter().any(|known| known.name == spec.instance_type) {
                let images = options.images(spec.image.as_deref());
                let image = self.image(zone, &images, &spec.instance_type, options.volume);
                image.await.map(|_| ())
            } else {
                Err(Error::new(
                    Kind::Invalid,
                    format!("zone `{zone}` has no type `{}`", spec.instance_type),
                ))
            };
            match result {
                Err(error) if error.kind() == Kind::Invalid => {
                    first.get_or_insert(error);
                }
                result => return result,
            }
        }
        first.map_or(Ok(()), Err)
    }

    /// Machines are made by the calls themselves, and by nothing after them.
    async fn give_up(&self, _: &CreateRequest) -> Result<()> {
        Ok(())
    }
}
