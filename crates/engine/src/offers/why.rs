//! Why not this one: what speaks against an offer.

use std::collections::HashMap;

use serde::Serialize;

use super::Rates;
use super::part::CatalogPart;
use super::query::{OfferQuery, hit};
use super::standing::OfferLine;
use crate::Selection;

/// An offer, and everything that speaks against it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct WhyNot {
    /// The offer.
    pub line: OfferLine,
    /// What speaks against it; empty: nothing.
    pub reasons: Vec<String>,
    /// With a pool that would take it: as which choice, and why there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub choice: Option<String>,
}

/// A reason, and how many offers it excludes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Tally {
    /// The reason.
    pub why: String,
    /// How many offers it is the first reason of.
    pub offers: usize,
}

impl WhyNot {
    pub(super) fn new(line: OfferLine, refusals: Vec<String>, pool: Option<&Selection>) -> Self {
        let mut reasons = refusals;
        reasons.extend(line.obstacle.clone());
        let mut choice = None;
        if let Some(selection) = pool {
            let label = line.offer.label();
            let taken = selection.offers.iter().find(|offer| offer.label() == label);
            match taken {
                Some(offer) => choice = Some(offer.reason.clone()),
                None => reasons.push(format!("the pool: {}", excluded(&line, selection))),
            }
        }
        Self {
            line,
            reasons,
            choice,
        }
    }
}

/// What a selection says about an offer that it does not take. It speaks of offers, or of all of a
/// type or of a provider at once.
fn excluded(line: &OfferLine, selection: &Selection) -> String {
    let offer = &line.offer;
    let of_market = format!(
        "{} {} {}",
        offer.provider, offer.instance_type, offer.market
    );
    let of_type = format!("{} {}", offer.provider, offer.instance_type);
    let names = [offer.label(), of_market, of_type, offer.provider.clone()];
    let found = names.iter().find_map(|name| {
        selection
            .excluded
            .iter()
            .find(|exclusion| exclusion.what == *name)
    });
    found.map_or_else(
        || "none of its candidates is for this place, type and market".to_owned(),
        |exclusion| exclusion.why.clone(),
    )
}

/// Counts the first reason against each offer that a query does not find, most frequent first.
pub(super) fn tally(parts: &[CatalogPart], query: &OfferQuery, rates: Rates<'_>) -> Vec<Tally> {
    let mut counts: HashMap<String, usize> = HashMap::new();
    for (number, part) in parts.iter().enumerate() {
        for row in 0..part.len() {
            let Some(hit) = hit(parts, rates, number, row) else {
                continue;
            };
            if let Some(first) = query.refusals(part, row, hit.price).into_iter().next() {
                *counts.entry(first).or_default() += 1;
            }
        }
    }
    let mut all: Vec<Tally> = counts
        .into_iter()
        .map(|(why, offers)| Tally { why, offers })
        .collect();
    all.sort_by(|a, b| b.offers.cmp(&a.offers).then_with(|| a.why.cmp(&b.why)));
    all
}
