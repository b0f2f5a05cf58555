//! What guards of several processes know of each other, through the journal.

use std::sync::Arc;
use std::time::Duration;

use fleetwright_core::{Error, Kind, Operation, Provider};
use fleetwright_engine::Policy;
use fleetwright_store::Store;
use futures::join;
use tempfile::TempDir;

use super::fake::{Answer, Setting, Stage, fails, node, shared_bucket};
use crate::virtual_clock::VirtualClock;

const SECOND: Duration = Duration::from_secs(1);

/// Processes with one journal and one time.
struct Shared {
    folder: TempDir,
    clock: VirtualClock,
}

impl Shared {
    fn new() -> Self {
        Self {
            folder: tempfile::tempdir().unwrap(),
            clock: VirtualClock::new(),
        }
    }

    /// A process of its own, and its connections.
    async fn stage(&self, setting: Setting) -> (Stage, Store) {
        let journal = self.folder.path().join("journal.db");
        let store = Store::open(&journal).await.unwrap();
        let stage = Stage::new(Setting {
            store: Some(store.clone()),
            clock: Some(Arc::new(self.clock.clone())),
            ..setting
        });
        (stage, store)
    }
}

fn hasty() -> Setting {
    Setting {
        policy: Policy {
            tries: 1,
            breaker_failures: 3,
            ..Policy::default()
        },
        ..Setting::default()
    }
}

async fn get(stage: &Stage, region: &str) -> Kind {
    stage.guarded.get(&node(region)).await.unwrap_err().kind()
}

#[tokio::test]
async fn a_new_process_knows_which_cloud_is_down_and_one_of_them_finds_out_when_it_is_not() {
    let shared = Shared::new();
    let (one, store) = shared.stage(hasty()).await;
    let (two, other) = shared.stage(hasty()).await;
    one.then((0..3).map(|_| fails(Kind::Unavailable)));
    let work = async {
        for _ in 0..3 {
            assert_eq!(get(&one, "north").await, Kind::Unavailable);
        }
        // The other one has never asked, and does not.
        assert_eq!(get(&two, "north").await, Kind::Suspended);
        assert_eq!(two.calls(), []);
        assert_eq!(get(&two, "south").await, Kind::NotFound, "another region");
        shared.clock.sleep_for(SECOND * 16).await;
        // Both ask at once: one is let through.
        let both = join!(get(&one, "north"), get(&two, "north"));
        let kinds = [both.0, both.1];
        assert!(kinds.contains(&Kind::Suspended), "{kinds:?}");
        assert!(kinds.contains(&Kind::NotFound), "{kinds:?}");
        // It works again, for both of them.
        shared.clock.sleep_for(SECOND).await;
        assert_eq!(get(&one, "north").await, Kind::NotFound);
        assert_eq!(get(&two, "north").await, Kind::NotFound);
    };
    shared.clock.run(&[&store, &other], work).await;
}

#[tokio::test]
async fn a_suspended_call_says_since_when_and_why() {
    let shared = Shared::new();
    let (one, store) = shared.stage(hasty()).await;
    one.then((0..3).map(|_| fails(Kind::Timeout)));
    let work = async {
        for _ in 0..3 {
            get(&one, "north").await;
        }
        one.guarded.get(&node("north")).await.unwrap_err()
    };
    let error = shared.clock.run(&[&store], work).await;
    let context: Vec<&str> = error.context().map(|(name, _)| name).collect();
    assert!(context.contains(&"failing-since"), "{error:?}");
    assert!(context.contains(&"last-failure"), "{error:?}");
    assert_eq!(error.retry_after(), Some(SECOND * 15));
}

#[tokio::test]
async fn healthy_calls_write_nothing_besides_their_budget() {
    let shared = Shared::new();
    let (free, store) = shared.stage(Setting::default()).await;
    let (limited, other) = shared
        .stage(Setting {
            limits: shared_bucket(1000, 6000),
            ..Setting::default()
        })
        .await;
    let work = async {
        for _ in 0..100 {
            free.guarded.delete(&node("north")).await.unwrap();
            limited.guarded.delete(&node("north")).await.unwrap();
        }
    };
    shared.clock.run(&[&store, &other], work).await;
    assert_eq!(store.writes(), 0);
    assert_eq!(other.writes(), 100, "a token each");
}

#[tokio::test]
async fn deletions_do_not_starve_behind_the_looks_of_another_process() {
    let shared = Shared::new();
    let slow = || Setting {
        limits: shared_bucket(1, 60),
        ..Setting::default()
    };
    let (looking, one) = shared.stage(slow()).await;
    let (deleting, two) = shared.stage(slow()).await;
    let looks = async {
        // Eight at a time, without a pause: all tokens that there are.
        let look = async || {
            for _ in 0..10 {
                get(&looking, "north").await;
            }
        };
        join!(
            look(),
            look(),
            look(),
            look(),
            look(),
            look(),
            look(),
            look()
        )
    };
    let deletions = async {
        shared.clock.sleep_for(SECOND * 10).await;
        for _ in 0..10 {
            deleting.guarded.delete(&node("north")).await.unwrap();
        }
    };
    let work = async { join!(looks, deletions) };
    shared.clock.run(&[&one, &two], work).await;
    // Ten deletions at one token per second: whoever came first would have needed 80 s.
    let last = deleting.at(9);
    assert!(last <= SECOND * 24, "{last:?}");
    // Nobody is forgotten either, and no token is lost for long.
    assert_eq!(looking.calls().len(), 80);
    let end = looking.at(79);
    assert!(end <= SECOND * 100, "{end:?}");
}

#[tokio::test]
async fn what_headers_announce_to_one_process_holds_all_back_and_lowers_no_rate() {
    let shared = Shared::new();
    let setting = || Setting {
        limits: shared_bucket(100, 600),
        ..Setting::default()
    };
    let (one, store) = shared.stage(setting()).await;
    let (two, other) = shared.stage(setting()).await;
    let announced = || {
        let error = Error::new(Kind::RateLimited, "nothing is left")
            .with_retry_after(SECOND * 5)
            .with_context(Error::ANNOUNCED, "all");
        Answer::Fails(error)
    };
    one.then([announced(), Answer::Fine, announced()]);
    let work = async {
        let deletes = async {
            one.guarded.delete(&node("north")).await.unwrap();
            one.guarded.delete(&node("north")).await.unwrap();
        };
        let other = async {
            shared.clock.sleep_for(SECOND).await;
            two.guarded.delete(&node("north")).await.unwrap();
        };
        join!(deletes, other)
    };
    shared.clock.run(&[&store, &other], work).await;
    assert!(two.at(0) >= SECOND * 5, "{:?}", two.at(0));
    let now = fleetwright_core::Clock::now(&shared.clock);
    let budget = other.budget("fake:one:north:all", 600, now).await.unwrap();
    assert_eq!(budget.unwrap().milli_rate, None);
}

#[tokio::test]
async fn throttling_answers_teach_a_rate_to_all_processes() {
    let shared = Shared::new();
    let setting = || Setting {
        limits: shared_bucket(100, 600),
        ..Setting::default()
    };
    let (one, store) = shared.stage(setting()).await;
    let (two, other) = shared.stage(setting()).await;
    one.then((0..3).map(|_| fails(Kind::RateLimited)));
    let work = async {
        one.guarded.delete(&node("north")).await.unwrap();
        // Without a burst, and at three quarters of three quarters of ten per second.
        for _ in 0..30 {
            two.guarded.delete(&node("north")).await.unwrap();
        }
    };
    shared.clock.run(&[&store, &other], work).await;
    let took = two.at(29).saturating_sub(two.at(0));
    assert!(took >= SECOND * 5, "{took:?}");
    assert!(took <= SECOND * 6, "{took:?}");
    assert_eq!(two.calls()[0].operation, Operation::Delete);
}
