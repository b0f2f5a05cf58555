//! One case at work: fresh requests, patience, and the three questions at its end.
//!
//! ```text
//!   census of the world ─► case ─► remove what it made ─► census again: an orphan?
//!                           └─ every error it saw ─► a secret in it?
//! ```

use std::collections::BTreeSet;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use fleetwright_core::{
    ClaimId, CreateRequest, Created, Deletion, Effect, Error, Kind, ListRequest, Listing, Node,
    NodeId, NodeSpec, Provider, ProviderInfo, Result, Token, fingerprint, keys,
};

use crate::verdict::{Outcome, Stop, must, not_applicable};
use crate::{Fault, Subject};

/// One look at something that takes time.
pub(crate) enum Look<T = ()> {
    /// It has come.
    Done(T),
    /// Not yet; what was seen instead.
    Wait(String),
}

/// The state of a case that is running, and its tools.
pub(crate) struct Run<'a> {
    subject: &'a dyn Subject,
    info: ProviderInfo,
    journal: String,
    before: BTreeSet<NodeId>,
    notes: Mutex<Notes>,
}

#[derive(Default)]
struct Notes {
    ours: BTreeSet<NodeId>,
    foreign: BTreeSet<NodeId>,
    groups: Vec<(String, String)>,
    errors: Vec<String>,
}

impl fmt::Debug for Run<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Run").finish_non_exhaustive()
    }
}

// === impl Run: the world ===

impl<'a> Run<'a> {
    pub(crate) async fn new(subject: &'a dyn Subject) -> Self {
        Self {
            subject,
            info: subject.provider().info().clone(),
            journal: fresh_name(),
            before: ids(&subject.truth().await),
            notes: Mutex::default(),
        }
    }

    pub(crate) fn subject(&self) -> &'a dyn Subject {
        self.subject
    }

    pub(crate) fn provider(&self) -> Arc<dyn Provider> {
        self.subject.provider()
    }

    pub(crate) fn info(&self) -> &ProviderInfo {
        &self.info
    }

    fn notes(&self) -> MutexGuard<'_, Notes> {
        self.notes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Machines that exist now and did not before the case.
    pub(crate) async fn made(&self) -> Vec<Node> {
        let mut nodes = self.subject.truth().await;
        nodes.retain(|node| !self.before.contains(&node.id));
        nodes
    }

    /// Machines that really carry this token.
    pub(crate) async fn made_by(&self, token: &Token) -> Vec<Node> {
        let mut nodes = self.subject.truth().await;
        nodes.retain(|node| node.label(keys::CLAIM) == Some(token.as_str()));
        nodes
    }

    /// Lets a listing catch up.
    pub(crate) async fn settle_lag(&self) {
        if !self.info.listing_lag.is_zero() {
            self.subject.settle(self.info.listing_lag).await;
        }
    }

    /// Arranges a failure, or ends the case as not applicable.
    pub(crate) async fn inject(&self, fault: Fault) -> Outcome {
        if self.subject.inject(&fault).await {
            return Ok(());
        }
        not_applicable(format!(
            "the subject cannot make `{}` fail {} with `{}`",
            fault.operation.as_str(),
            fault.point.as_str(),
            fault.kind
        ))
    }

    pub(crate) fn note_group(&self, region: &str, group: &str) {
        self.notes()
            .groups
            .push((region.to_owned(), group.to_owned()));
    }

    pub(crate) fn note_foreign(&self, id: &NodeId) {
        self.notes().foreign.insert(id.clone());
    }

    pub(crate) fn note_nodes<'n>(&self, nodes: impl IntoIterator<Item = &'n NodeId>) {
        self.notes().ours.extend(nodes.into_iter().cloned());
    }
}

// === impl Run: requests ===

impl Run<'_> {
    /// A request with a fresh name and token and the labels that the engine sets.
    pub(crate) fn request(&self, count: u32) -> CreateRequest {
        self.request_for(self.subject.spec(), count)
    }

    /// The same for a given spec.
    pub(crate) fn request_for(&self, mut spec: NodeSpec, count: u32) -> CreateRequest {
        spec.name = fresh_name();
        for (key, value) in [
            (keys::MANAGED_BY, keys::MANAGED_BY_VALUE),
            (keys::FLEET, "conformance"),
            (keys::POOL, "suite"),
            (keys::JOURNAL, &*self.journal),
            (keys::GENERATION, "0a1b2c3d"),
        ] {
            spec.labels.insert(key.to_owned(), value.to_owned());
        }
        let token = Token::new(ClaimId::new(), 1, &fingerprint(&(count, &spec)));
        spec.labels
            .insert(keys::CLAIM.to_owned(), token.as_str().to_owned());
        CreateRequest {
            count,
            spec,
            token,
            replay: false,
            host_key: None,
        }
    }

    /// Sends it once and takes the answer as it comes.
    pub(crate) async fn create_once(&self, request: &CreateRequest) -> Result<Created> {
        let result = self.provider().create(request).await;
        self.note_created(&result);
        result
    }

    /// Sends it, waiting where the provider asks for slower calls.
    pub(crate) async fn create(&self, request: &CreateRequest) -> Result<Created> {
        let mut request = request.clone();
        let provider = self.provider();
        let result = self
            .at_its_pace(async || {
                let result = provider.create(&request).await;
                request.replay = true;
                result
            })
            .await;
        self.note_created(&result);
        result
    }

    fn note_created(&self, result: &Result<Created>) {
        match result {
            Ok(created) => {
                self.note_nodes(created.nodes.iter().map(|node| &node.id));
                if let Some(error) = &created.shortfall {
                    self.note_error(error);
                }
            }
            Err(error) => self.note_error(error),
        }
    }

    /// Makes machines, all of them, or fails the case.
    pub(crate) async fn nodes(&self, count: u32) -> Outcome<Vec<Node>> {
        self.nodes_of(&self.request(count)).await
    }

    /// Makes what is asked for, all of it, or fails the case.
    pub(crate) async fn nodes_of(&self, request: &CreateRequest) -> Outcome<Vec<Node>> {
        let created = self.ok(
            "a valid `create` that fits into the limits succeeds",
            self.create(request).await,
        )?;
        must(
            created.shortfall.is_none() && created.nodes.len() == len(request.count),
            "`create` makes as many machines as were asked for, if they can be had",
            || {
                format!(
                    "{} of {} with shortfall {:?}",
                    created.nodes.len(),
                    request.count,
                    created.shortfall
                )
            },
        )?;
        Ok(created.nodes)
    }

    pub(crate) async fn list(&self, request: &ListRequest) -> Result<Listing> {
        let provider = self.provider();
        self.at_its_pace(async || provider.list(request).await)
            .await
    }

    pub(crate) async fn look_at(&self, id: &NodeId) -> Result<Node> {
        let provider = self.provider();
        self.at_its_pace(async || provider.get(id).await).await
    }

    pub(crate) async fn delete(&self, id: &NodeId) -> Result<Deletion> {
        let provider = self.provider();
        self.at_its_pace(async || provider.delete(id).await).await
    }

    /// Repeats a call while it is answered with `RateLimited`, as a well-behaved caller would.
    pub(crate) async fn at_its_pace<T>(
        &self,
        mut call: impl AsyncFnMut() -> Result<T>,
    ) -> Result<T> {
        let mut waited = Duration::ZERO;
        loop {
            let error = match call().await {
                Ok(value) => return Ok(value),
                Err(error) => error,
            };
            self.note_error(&error);
            if error.kind() != Kind::RateLimited || waited >= self.subject.patience() {
                return Err(error);
            }
            let pause = error
                .retry_after()
                .unwrap_or(Duration::from_secs(1))
                .max(Duration::from_millis(1));
            self.subject.settle(pause).await;
            waited += pause;
        }
    }

    /// Looks again until it has come, with growing pauses, or fails the case when the subject's
    /// patience ends.
    pub(crate) async fn until<T>(
        &self,
        contract: &str,
        mut look: impl AsyncFnMut() -> Outcome<Look<T>>,
    ) -> Outcome<T> {
        let patience = self.subject.patience();
        let mut waited = Duration::ZERO;
        let mut pause = Duration::from_millis(10);
        loop {
            match look().await? {
                Look::Done(value) => return Ok(value),
                Look::Wait(seen) if waited >= patience => {
                    return Err(Stop::Failed {
                        contract: contract.to_owned(),
                        seen: format!("after {waited:?}: {seen}"),
                    });
                }
                Look::Wait(_) => {}
            }
            self.subject.settle(pause).await;
            waited += pause;
            pause = (pause * 2).min((patience / 20).max(Duration::from_millis(10)));
        }
    }
}

// === impl Run: judging ===

impl Run<'_> {
    /// Remembers an error for the search for secrets.
    pub(crate) fn note_error(&self, error: &Error) {
        let report = error.report();
        self.notes()
            .errors
            .push(format!("{error}\n{error:?}\n{error:#?}\n{report}"));
    }

    /// The value, or a failure that shows the error.
    pub(crate) fn ok<T>(&self, contract: &str, result: Result<T>) -> Outcome<T> {
        result.map_err(|error| {
            self.note_error(&error);
            Stop::Failed {
                contract: contract.to_owned(),
                seen: format!("{error:?}"),
            }
        })
    }

    /// The error, or a failure that shows the value; also a failure if the kind is another.
    pub(crate) fn refused<T: fmt::Debug>(
        &self,
        contract: &str,
        kind: Kind,
        result: Result<T>,
    ) -> Outcome<Error> {
        match result {
            Ok(value) => Err(Stop::Failed {
                contract: contract.to_owned(),
                seen: format!("Ok({value:?})"),
            }),
            Err(error) => {
                self.note_error(&error);
                must(error.kind() == kind, contract, || {
                    format!("kind `{}` instead of `{kind}`: {error:?}", error.kind())
                })?;
                Ok(error)
            }
        }
    }

    /// Deletes nodes and waits until the provider says that they are gone.
    pub(crate) async fn remove<'n>(&self, ids: impl IntoIterator<Item = &'n NodeId>) -> Outcome {
        for id in ids {
            self.until(
                "`delete`, called again, comes to `Gone`",
                async || match self.delete(id).await {
                    Ok(Deletion::Gone) => Ok(Look::Done(())),
                    Ok(Deletion::Started) => Ok(Look::Wait(format!("`{id}` is `Started`"))),
                    Err(error) => Ok(Look::Wait(format!("{error:?}"))),
                },
            )
            .await?;
        }
        Ok(())
    }

    /// Removes what the case knows of, then asks the world what is left.
    pub(crate) async fn finish(&self) -> Outcome {
        let secrets = self.look_for_secrets();
        let (groups, ours) = {
            let notes = self.notes();
            (notes.groups.clone(), notes.ours.clone())
        };
        let provider = self.provider();
        let mut end = Ok(());
        if let Some(ability) = provider.groups() {
            for (region, group) in &groups {
                let gone = self
                    .until("`delete_group` removes a group", async || {
                        match ability.delete_group(region, group).await {
                            Ok(()) => Ok(Look::Done(())),
                            Err(error) => Ok(Look::Wait(format!("{error:?}"))),
                        }
                    })
                    .await;
                end = end.and(gone);
            }
        }
        end = end.and(self.remove(&ours).await);
        let orphans = self
            .until(
                "nothing exists that the provider did not answer with or that it cannot remove",
                async || {
                    let mut left = self.made().await;
                    let known = self.notes().foreign.clone();
                    left.retain(|node| !known.contains(&node.id));
                    Ok(if left.is_empty() {
                        Look::Done(())
                    } else {
                        Look::Wait(format!("left over: {}", names(&left)))
                    })
                },
            )
            .await;
        let end = secrets.and(end).and(orphans);
        if end.is_err() {
            let mut left = ids(&self.made().await);
            left.retain(|id| !self.notes().foreign.contains(id));
            // The verdict stands; this only spares the machine what can still be removed.
            for id in &left {
                if let Err(error) = provider.delete(id).await {
                    self.note_error(&error);
                }
            }
        }
        end
    }

    fn look_for_secrets(&self) -> Outcome {
        let notes = self.notes();
        for secret in self.subject.secrets() {
            for error in &notes.errors {
                must(
                    !error.contains(&secret),
                    "no error shows a secret in `Display`, `Debug` or its report",
                    || error.replace(&secret, "<the secret>"),
                )?;
            }
        }
        Ok(())
    }
}

// === helpers ===

/// A name that no earlier case used.
pub(crate) fn fresh_name() -> String {
    let id = uuid::Uuid::new_v4().simple().to_string();
    format!("conf-{}", &id[..10])
}

pub(crate) fn ids<'n>(nodes: impl IntoIterator<Item = &'n Node>) -> BTreeSet<NodeId> {
    nodes.into_iter().map(|node| node.id.clone()).collect()
}

/// Nodes in a message.
pub(crate) fn names(nodes: &[Node]) -> String {
    let all: Vec<String> = nodes
        .iter()
        .map(|node| format!("{} (`{}`, {})", node.id, node.name, node.state))
        .collect();
    format!("{} nodes: [{}]", all.len(), all.join(", "))
}

/// Counts of machines fit into `usize` wherever this runs.
pub(crate) fn len(count: u32) -> usize {
    usize::try_from(count).unwrap_or(usize::MAX)
}

/// Whether an error may still have had an effect.
pub(crate) fn may_have_happened(error: &Error) -> bool {
    error.effect() == Effect::Unknown
}
