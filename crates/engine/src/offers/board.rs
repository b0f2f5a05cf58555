//! Gathers catalogs: from the shelf, and from the providers where that is wanted or nothing is
//! stored.

use std::collections::BTreeMap;

use fleetwright_core::ability::Offering;
use fleetwright_core::{
    Coverage, Error, ErrorReport, HourlyPrice, InstanceType, Kind, Pool, Prices, Provider, Result,
};
use fleetwright_store::Mark;
use futures::future::{join_all, try_join};
use jiff::Timestamp;
use serde::Serialize;

use super::part::{CatalogPart, PartInfo, StoredQuotas};
use super::query::{Found, Hit, OfferQuery, Rates, find, hit};
use super::standing::{OfferLine, line};
use super::taken;
use super::why::{Tally, WhyNot, tally};
use crate::{Engine, Seen, Selection, select_offers};

/// Everything that is known about what can be had.
#[derive(Debug, Clone)]
pub struct Board {
    /// Now.
    pub at: Timestamp,
    /// The catalogs, in the order of their providers.
    pub parts: Vec<CatalogPart>,
    /// Where each comes from, and what went wrong.
    pub sources: Vec<Source>,
    marks: Vec<Mark>,
    prices: Prices,
    taken: Vec<u32>,
    seen: BTreeMap<String, Seen>,
}

/// Where the catalog of a provider comes from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Source {
    /// The provider's name in the configuration.
    pub provider: String,
    /// Its kind.
    pub kind: String,
    /// When its catalog was read in full; absent: nothing is known of it.
    pub read_at: Option<Timestamp>,
    /// How many offers it has.
    pub offers: usize,
    /// Whether it was asked just now.
    pub asked: bool,
    /// When its quotas were read.
    pub quotas_read_at: Option<Timestamp>,
    /// What went wrong. What is shown of it then is old, or missing.
    pub troubles: Vec<ErrorReport>,
}

/// A provider that shall be asked, or was found on the shelf.
struct Gathered {
    part: Option<CatalogPart>,
    source: Source,
}

impl Engine {
    /// What can be had, from what is stored. The providers are asked if `refresh` says so, or if
    /// nothing is stored of them; what they say is stored. With names only these providers are looked
    /// at. A provider that does not answer keeps its old catalog, and says so in its [`Source`].
    ///
    /// # Errors
    /// Only from the journal.
    pub async fn offers(&self, refresh: bool, only: &[String]) -> Result<Board> {
        let at = self.clock.now();
        let chosen: Vec<&dyn Provider> = self
            .providers
            .iter()
            .filter(|(name, _)| only.is_empty() || only.contains(name))
            .map(|(_, provider)| &**provider)
            .collect();
        let asked = chosen.iter().map(|one| self.gather(*one, refresh, at));
        let gathered = join_all(asked);
        let (gathered, marks, records, claims) = futures::future::join4(
            gathered,
            self.store.marks(at),
            self.store.nodes(),
            self.store.open_claims(),
        )
        .await;
        let (marks, records, claims) = (marks?, records?, claims?);
        let mut board = Board {
            at,
            parts: Vec::new(),
            sources: Vec::new(),
            marks,
            taken: taken(&self.prices, &records, &claims),
            prices: (*self.prices).clone(),
            seen: BTreeMap::new(),
        };
        for (one, provider) in gathered.into_iter().zip(chosen) {
            let info = provider.info().clone();
            board.seen.insert(
                info.name.clone(),
                Seen::new(info, Vec::new(), Coverage::Complete),
            );
            board.sources.push(one.source);
            board.parts.extend(one.part);
        }
        Ok(board)
    }

    async fn gather(&self, provider: &dyn Provider, refresh: bool, at: Timestamp) -> Gathered {
        let info = provider.info();
        let mut source = Source {
            provider: info.name.clone(),
            kind: info.kind.clone(),
            read_at: None,
            offers: 0,
            asked: false,
            quotas_read_at: None,
            troubles: Vec::new(),
        };
        let stored = self
            .shelf
            .as_ref()
            .map_or(Ok(None), |shelf| shelf.read(info));
        let mut part = match stored {
            Ok(part) => part,
            // A damaged file is not the same as none: whoever wants a new one says so.
            Err(error) if !refresh => {
                source.troubles.push(error.report());
                return Gathered { part: None, source };
            }
            Err(_) => None,
        };
        if refresh || part.is_none() {
            source.asked = true;
            match ask(provider).await {
                Ok((types, offerings)) => {
                    let old = part.and_then(|part| part.info.quotas);
                    let quotas = ask_quotas(provider, old, at, &mut source).await;
                    let info = PartInfo::new(info, at);
                    let new = CatalogPart::new(info, types, &offerings).with_quotas(quotas);
                    if let Err(error) = self.put_on_shelf(new.clone()).await {
                        source.troubles.push(error.report());
                    }
                    part = Some(new);
                }
                Err(error) => source.troubles.push(error.report()),
            }
        }
        if let Some(part) = &part {
            source.read_at = Some(part.info.read_at);
            source.offers = part.len();
            let quotas = part.info.quotas.as_ref();
            source.quotas_read_at = quotas.map(|quotas| quotas.read_at);
        }
        Gathered { part, source }
    }

    /// Stores a catalog that planning has read in full. That it cannot be stored does not stop
    /// planning.
    pub(crate) async fn keep_catalog(
        &self,
        provider: &dyn Provider,
        types: &[InstanceType],
        offerings: &[Offering],
    ) {
        let Some(kept) = &self.shelf else {
            return;
        };
        let info = provider.info();
        let old = kept.read(info).ok().flatten();
        let quotas = old.and_then(|part| part.info.quotas);
        let new = PartInfo::new(info, self.clock.now());
        let part = CatalogPart::new(new, types.to_vec(), offerings).with_quotas(quotas);
        if let Err(error) = self.put_on_shelf(part).await {
            tracing::warn!(provider = %info.name, error = %error.report(), "its catalog is not stored");
        }
    }

    async fn put_on_shelf(&self, part: CatalogPart) -> Result<()> {
        let Some(place) = self.shelf.clone() else {
            return Ok(());
        };
        let write = move || place.write(&part);
        tokio::task::spawn_blocking(write).await.map_err(|e| {
            Error::new(Kind::Unexpected, "the catalog was not stored").with_source(e)
        })?
    }
}

async fn ask(provider: &dyn Provider) -> Result<(Vec<InstanceType>, Vec<Offering>)> {
    match provider.catalog() {
        Some(catalog) => try_join(catalog.instance_types(), catalog.offerings()).await,
        None => Err(Error::new(
            Kind::Unsupported,
            format!("the provider `{}` has no catalog", provider.info().name),
        )
        .with_hint("name its types in the candidates of a pool")),
    }
}

/// Quotas that cannot be read stay what they were.
async fn ask_quotas(
    provider: &dyn Provider,
    old: Option<StoredQuotas>,
    at: Timestamp,
    source: &mut Source,
) -> Option<StoredQuotas> {
    match provider.quotas()?.quotas().await {
        Ok(quotas) => Some(StoredQuotas {
            read_at: at,
            quotas,
        }),
        Err(error) => {
            source
                .troubles
                .push(error.with_context("asked for", "quotas").report());
            old
        }
    }
}

// === impl Board ===

impl Board {
    /// The user's prices at this instant.
    pub fn rates(&self) -> Rates<'_> {
        Rates {
            prices: &self.prices,
            taken: &self.taken,
        }
    }

    /// The cheapest offers that are as wanted: at most `limit`, or all with 0.
    pub fn find(&self, query: &OfferQuery, limit: usize) -> Found {
        find(&self.parts, query, self.rates(), limit)
    }

    /// Everything that there is to say about a hit.
    pub fn line(&self, hit: &Hit) -> Option<OfferLine> {
        let part = self.parts.get(hit.part)?;
        line(part, hit, self.rates(), &self.marks, self.at)
    }

    /// How many offers there are, wanted or not.
    pub fn len(&self) -> usize {
        self.parts.iter().map(CatalogPart::len).sum()
    }

    /// Whether nothing is known at all.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether a part of the answer is old or missing. That a provider has no catalog at all does not
    /// count: nothing more can be had from it.
    pub fn is_partial(&self) -> bool {
        let troubles = self.sources.iter().flat_map(|source| &source.troubles);
        troubles
            .into_iter()
            .any(|one| one.kind != Kind::Unsupported)
    }

    /// Names of all types that are sold, in order, each once.
    pub fn type_names(&self) -> Vec<&str> {
        let types = self.parts.iter().flat_map(CatalogPart::types);
        let mut names: Vec<&str> = types.map(|found| found.name.as_str()).collect();
        names.sort_unstable();
        names.dedup();
        names
    }

    /// What speaks against the offers that a query does not find, by number.
    pub fn tally(&self, query: &OfferQuery) -> Vec<Tally> {
        tally(&self.parts, query, self.rates())
    }

    /// For each offer of a type, by its name or a pattern: what speaks against it. With a pool: also
    /// what the pool has against it, or as which choice it would be tried.
    pub fn why_not(&self, name: &str, query: &OfferQuery, pool: Option<&Pool>) -> Vec<WhyNot> {
        let selection = pool.map(|pool| self.select(pool));
        let mut found = Vec::new();
        for (number, part) in self.parts.iter().enumerate() {
            for (at, instance_type) in part.types().iter().enumerate() {
                if !fleetwright_core::glob(name, &instance_type.name) {
                    continue;
                }
                for row in part.rows_of(at) {
                    let Some(hit) = hit(&self.parts, self.rates(), number, row) else {
                        continue;
                    };
                    let Some(line) = self.line(&hit) else {
                        continue;
                    };
                    let refusals = query.refusals(part, row, hit.price);
                    found.push(WhyNot::new(line, refusals, selection.as_ref()));
                }
            }
        }
        let price = |price: Option<HourlyPrice>| (price.is_none(), price);
        found.sort_by_key(|one| price(one.line.offer.price));
        found
    }

    /// What a pool would choose from.
    fn select(&self, pool: &Pool) -> Selection {
        let mut seen = self.seen.clone();
        for part in &self.parts {
            if let Some(seen) = seen.get_mut(&part.info().provider) {
                let mut view = part.view();
                view.correct(&part.info().provider, self.rates());
                seen.catalog = Some(view);
            }
        }
        select_offers(pool, &seen, &self.marks)
    }
}
