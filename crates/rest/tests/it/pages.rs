//! Paging in every way, and listings that are not whole.

use fleetwright_core::{Effect, Kind};
use fleetwright_rest::testing::{Fault, Trouble};
use fleetwright_rest::{Call, Next, Page, Place};
use serde::Deserialize;

use crate::support::Setup;

/// A page, going on in one of the ways below.
#[derive(Deserialize)]
struct Numbered<const WAY: char> {
    servers: Vec<u64>,
    next: Option<String>,
    #[serde(default)]
    pages: u32,
}

type Numbers = Numbered<'n'>;
type Totals = Numbered<'t'>;
type Links = Numbered<'l'>;
type Cursors = Numbered<'c'>;

impl<const WAY: char> Page for Numbered<WAY> {
    type Item = u64;

    fn take_items(&mut self) -> Vec<u64> {
        std::mem::take(&mut self.servers)
    }

    fn next(&self, place: &Place<'_>) -> Next {
        match (WAY, self.next.clone()) {
            ('n', _) if place.number < self.pages => Next::Number,
            ('t', _) => place.next_until(place.header("x-total-count").unwrap()),
            ('l', Some(link)) => Next::Link(link),
            ('c', Some(value)) => Next::Cursor {
                name: "after",
                value,
            },
            _ => Next::End,
        }
    }

    fn total(&self, place: &Place<'_>) -> Option<u64> {
        place.header("x-total-count")
    }

    fn key(item: &u64) -> String {
        item.to_string()
    }
}

#[tokio::test]
async fn every_page_is_read_in_every_way_of_paging() {
    for count in [0, 1, 2, 3, 7] {
        let setup = Setup::new(count);
        let all: Vec<u64> = (1..=count).collect();
        let client = &setup.client;
        let numbers = client.pages::<Numbers>(Call::get(&["numbers"])).await;
        assert_eq!(numbers.complete().unwrap(), all);
        let totals = client.pages::<Totals>(Call::get(&["totals"])).await;
        assert_eq!(totals.complete().unwrap(), all);
        let links = client.pages::<Links>(Call::get(&["links"])).await;
        assert_eq!(links.complete().unwrap(), all);
        let cursors = client.pages::<Cursors>(Call::get(&["cursors"])).await;
        assert_eq!(cursors.complete().unwrap(), all);
    }
}

#[tokio::test]
async fn a_page_that_fails_is_a_gap_and_never_the_end() {
    for trouble in [
        Trouble::gateway(503),
        Trouble::ResetBefore,
        Trouble::Truncate,
        Trouble::Garbage,
    ] {
        let setup = Setup::new(6);
        setup
            .server
            .fault(Fault::new("GET", "/v1/numbers", trouble).after(1));
        let pages = setup.client.pages::<Numbers>(Call::get(&["numbers"])).await;
        assert_eq!(pages.items, [1, 2]);
        let gap = pages.gap.unwrap();
        assert_eq!(gap.effect(), Effect::None);
        assert!(
            gap.context()
                .any(|(name, value)| name == "page" && value == "2"),
            "{gap:?}"
        );
    }
}

#[tokio::test]
async fn circles_other_hosts_and_empty_pages_are_gaps() {
    let setup = Setup::new(3);
    for (path, words) in [
        ("circle", "the pages turn in a circle"),
        ("elsewhere", "the answer points at another host"),
    ] {
        let pages = setup.client.pages::<Links>(Call::get(&[path])).await;
        let gap = pages.gap.unwrap();
        assert_eq!(
            (gap.kind(), gap.to_string().as_str()),
            (Kind::Unexpected, words)
        );
    }
    *setup.cloud.headers.lock().unwrap() = vec![("x-total-count", "9".to_owned())];
    setup.cloud.servers.lock().unwrap().truncate(2);
    let numbers = setup.client.pages::<Totals>(Call::get(&["numbers"])).await;
    let gap = numbers.gap.unwrap();
    assert_eq!(gap.to_string(), "page 2 is empty, with 2 of 9 items read");
}

/// The first server goes after the first page was read, so that the third moves to it.
#[tokio::test]
async fn a_listing_that_shrinks_while_it_is_read_is_begun_anew() {
    let setup = Setup::new(5);
    *setup.cloud.leaving.lock().unwrap() = 1;
    let pages = setup.client.pages::<Totals>(Call::get(&["totals"])).await;
    assert_eq!(pages.complete().unwrap(), [2, 3, 4, 5]);
    assert_eq!(
        setup.server.count("GET", "/v1/totals"),
        4,
        "two and two pages"
    );

    let setup = Setup::new(50);
    *setup.cloud.leaving.lock().unwrap() = 50;
    let pages = setup.client.pages::<Totals>(Call::get(&["totals"])).await;
    let gap = pages.gap.unwrap();
    assert_eq!(gap.to_string(), "the listing shrank in each of 3 passes");
}
