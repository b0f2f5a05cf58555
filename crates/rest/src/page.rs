//! Listings over several pages, of whichever kind, that say whether they are complete.

use std::collections::HashSet;

use fleetwright_core::{Effect, Error, Gap, Kind, Result};
use serde::de::DeserializeOwned;

use crate::{Answer, Call, Client};

/// Most pages of one listing. A vendor that has more, or whose pages go round in circles, is told
/// apart from one that is done.
const MOST_PAGES: u32 = 10_000;

/// How often a listing is begun anew because something left it meanwhile.
const MOST_STARTS: u32 = 3;

/// One page of a vendor's listing.
pub trait Page: DeserializeOwned {
    /// What is listed.
    type Item;

    /// The query parameter of page numbers.
    const NUMBER: &'static str = "page";

    /// Takes the items out of this page. Called once, before the others.
    fn take_items(&mut self) -> Vec<Self::Item>;

    /// How the listing goes on after this page.
    fn next(&self, place: &Place<'_>) -> Next;

    /// How many items there are on all pages, if the vendor tells.
    ///
    /// If the number shrinks between two pages, later items may have moved to a page that was read
    /// already: then the listing is begun anew.
    fn total(&self, place: &Place<'_>) -> Option<u64> {
        let _ = place;
        None
    }

    /// What tells an item from all others: an item that moved to the next page while they were
    /// read is kept once.
    fn key(item: &Self::Item) -> String;
}

/// Where in a listing a page stands.
#[derive(Debug)]
pub struct Place<'a> {
    /// The answer that the page came in, for headers such as `X-Total-Count`.
    pub answer: &'a Answer,
    /// Its number, counted from 1.
    pub number: u32,
    /// How many items were read up to and including this page, with repetitions.
    pub read: u64,
    /// How many items this page holds.
    pub len: usize,
}

impl Place<'_> {
    /// A number in a header of the answer.
    pub fn header(&self, name: &str) -> Option<u64> {
        self.answer.header(name)?.trim().parse().ok()
    }

    /// For vendors that tell the total and no more: [`Next::Number`] until so many items were
    /// read. An empty page before that is a gap.
    pub fn next_until(&self, total: u64) -> Next {
        if self.read >= total {
            Next::End
        } else if self.len == 0 {
            Next::Broken(format!(
                "page {} is empty, with {} of {total} items read",
                self.number, self.read
            ))
        } else {
            Next::Number
        }
    }
}

/// How a listing goes on.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Next {
    /// This was the last page.
    End,
    /// The page with the next number.
    Number,
    /// The page at this address of the same host.
    Link(String),
    /// The page that this value of a query parameter names.
    Cursor {
        /// The parameter.
        name: &'static str,
        /// Its value.
        value: String,
    },
    /// The page contradicts itself, in words; what was read stays, and the rest is a gap.
    Broken(String),
}

/// What pages held, and whether that is all there is.
#[derive(Debug)]
#[must_use = "a listing may have a gap"]
pub struct Pages<T> {
    /// The items, each once, in the vendor's order.
    pub items: Vec<T>,
    /// Why pages are missing; `None`: there are no more.
    pub gap: Option<Error>,
}

impl<T> Pages<T> {
    /// All items.
    ///
    /// # Errors
    /// The gap's, if there is one: a part is never taken for the whole.
    pub fn complete(self) -> Result<Vec<T>> {
        match self.gap {
            None => Ok(self.items),
            Some(error) => Err(error),
        }
    }

    /// The items, and the gap as a listing tells it.
    pub fn with_gap(self, region: Option<&str>) -> (Vec<T>, Option<Gap>) {
        let gap = self.gap.map(|error| Gap {
            region: region.map(str::to_owned),
            error: error.report(),
        });
        (self.items, gap)
    }
}

impl Client {
    /// Reads every page that follows from `first`, one after the other.
    ///
    /// A page that fails ends it with a gap; what was read before stays. So does a listing that
    /// turns in circles, that points at another host, or that shrinks each time it is begun anew.
    pub async fn pages<P: Page>(&self, first: Call) -> Pages<P::Item> {
        let mut start = 1;
        loop {
            let (pages, has_shrunk) = self.one_pass::<P>(&first).await;
            if !has_shrunk || pages.gap.is_some() {
                return pages;
            }
            if start == MOST_STARTS {
                return Pages {
                    gap: Some(broken(
                        &first,
                        format!("the listing shrank in each of {MOST_STARTS} passes"),
                        Kind::Unavailable,
                    )),
                    ..pages
                };
            }
            start += 1;
        }
    }

    async fn one_pass<P: Page>(&self, first: &Call) -> (Pages<P::Item>, bool) {
        let mut items = Vec::new();
        let mut keys = HashSet::new();
        let mut been = HashSet::new();
        let mut next = Next::Number;
        let mut number = 0;
        let mut read = 0;
        let mut last_total: Option<u64> = None;
        let mut has_shrunk = false;
        let gap = loop {
            number += 1;
            if number > MOST_PAGES {
                let words = format!("more than {MOST_PAGES} pages");
                break Some(broken(first, words, Kind::Unexpected));
            }
            let answer = match &next {
                Next::End => break None,
                Next::Broken(words) => {
                    break Some(broken(first, words.clone(), Kind::Unexpected));
                }
                _ if !been.insert((number_of(&next, number), next.clone())) => {
                    let words = "the pages turn in a circle".to_owned();
                    break Some(broken(first, words, Kind::Unexpected));
                }
                Next::Number if number == 1 => self.send(first.clone()).await,
                Next::Number => self.send(first.clone().with_query(P::NUMBER, number)).await,
                Next::Link(link) => self.follow(link, first.clone()).await,
                Next::Cursor { name, value } => {
                    self.send(first.clone().with_query(name, value)).await
                }
            };
            let (mut page, answer) =
                match answer.and_then(|answer| Ok((answer.json::<P>()?, answer))) {
                    Ok(both) => both,
                    Err(error) => break Some(error.with_context("page", number.to_string())),
                };
            let found = page.take_items();
            read += u64::try_from(found.len()).unwrap_or(u64::MAX);
            let place = Place {
                answer: &answer,
                number,
                read,
                len: found.len(),
            };
            let total = page.total(&place);
            has_shrunk |= total
                .zip(last_total)
                .is_some_and(|(now, before)| now < before);
            last_total = total.or(last_total);
            next = page.next(&place);
            for item in found {
                if keys.insert(P::key(&item)) {
                    items.push(item);
                }
            }
        };
        (Pages { items, gap }, has_shrunk)
    }
}

/// Page numbers grow by themselves; links and cursors must not come twice.
fn number_of(next: &Next, number: u32) -> u32 {
    if *next == Next::Number { number } else { 0 }
}

fn broken(call: &Call, words: String, kind: Kind) -> Error {
    Error::new(kind, words)
        .with_effect(Effect::None)
        .with_context("call", call.label())
}
