//! What is tried again, when, and what is known afterwards.

use std::time::Duration;

use fleetwright_core::{Effect, Error, Idempotency, Kind, ListRequest, Provider, Remedy};
use fleetwright_engine::Policy;

use super::fake::{Answer, LAG, Setting, Stage, fails, later, request};

const SECOND: Duration = Duration::from_secs(1);

fn patient(tries: u32) -> Setting {
    Setting {
        policy: Policy {
            tries,
            ..Policy::default()
        },
        ..Setting::default()
    }
}

#[tokio::test(start_paused = true)]
async fn only_what_may_pass_is_tried_again() {
    for kind in Kind::ALL {
        let stage = Stage::with(Setting::default(), [fails(kind)]);
        let answer = stage.guarded.list(&ListRequest::default()).await;
        if kind.remedy() == Remedy::RetryHere {
            answer.unwrap();
            assert_eq!(stage.calls().len(), 2, "{kind}");
        } else {
            assert_eq!(answer.unwrap_err().kind(), kind);
            assert_eq!(stage.calls().len(), 1, "{kind}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn the_last_error_says_who_was_asked_what_and_how_often() {
    let answers = (0..3).map(|_| fails(Kind::Unavailable));
    let stage = Stage::with(patient(3), answers);
    let error = stage.guarded.check().await.unwrap_err();
    let context: Vec<_> = error.context().collect();
    let expected = [("provider", "fake"), ("operation", "check"), ("tries", "3")];
    assert_eq!(context, expected);
    assert_eq!(stage.calls().len(), 3);
}

#[tokio::test(start_paused = true)]
async fn the_time_that_the_provider_names_wins_over_the_back_off() {
    for kind in [Kind::Unavailable, Kind::RateLimited] {
        let stage = Stage::with(Setting::default(), [later(kind, 7), later(kind, 90)]);
        stage.guarded.check().await.unwrap();
        assert_eq!(stage.times(), [Duration::ZERO, SECOND * 7, SECOND * 97]);
    }
}

#[tokio::test(start_paused = true)]
async fn the_back_off_doubles_up_to_its_limit_with_full_jitter() {
    let run = async |seed| {
        let mut setting = patient(8);
        setting.policy.backoff = SECOND;
        setting.policy.backoff_limit = SECOND * 10;
        setting.policy.breaker_failures = 100;
        setting.policy.seed = seed;
        let stage = Stage::with(setting, (0..7).map(|_| fails(Kind::Unavailable)));
        stage.guarded.check().await.unwrap();
        let times = stage.times();
        times
            .windows(2)
            .map(|pair| pair[1].saturating_sub(pair[0]))
            .collect()
    };
    let waits: Vec<Duration> = run(1).await;
    let most = [1, 2, 4, 8, 10, 10, 10];
    assert_eq!(waits.len(), most.len());
    for (wait, most) in waits.iter().zip(most) {
        // Timers have the grain of a millisecond.
        assert!(*wait <= SECOND * most + SECOND / 1000, "{waits:?}");
    }
    assert_eq!(waits, run(1).await, "the seed decides");
    assert_ne!(waits, run(2).await, "others wait differently");
}

#[tokio::test(start_paused = true)]
async fn a_repeated_create_is_a_replay_once_an_answer_was_lost() {
    let answers = [
        fails(Kind::Unavailable),
        fails(Kind::Timeout),
        fails(Kind::RateLimited),
    ];
    let stage = Stage::with(Setting::default(), answers);
    stage.guarded.create(&request()).await.unwrap();
    let replays: Vec<bool> = stage.calls().iter().map(|call| call.replay).collect();
    assert_eq!(replays, [false, false, true, true]);
}

#[tokio::test(start_paused = true)]
async fn a_replay_stays_a_replay_at_its_first_try() {
    let stage = Stage::new(Setting::default());
    let mut request = request();
    request.replay = true;
    stage.guarded.create(&request).await.unwrap();
    assert!(stage.calls()[0].replay);
}

#[tokio::test(start_paused = true)]
async fn where_the_token_is_a_label_a_replay_waits_until_listings_can_be_believed() {
    let at = async |idempotency, answers: Vec<Answer>| {
        let setting = Setting {
            idempotency,
            ..Setting::default()
        };
        let stage = Stage::with(setting, answers);
        stage.guarded.create(&request()).await.unwrap();
        stage.times()
    };
    let lost = || vec![fails(Kind::Timeout)];
    let label = Idempotency::LabelThenList;
    assert_eq!(at(label, lost()).await[1], LAG);
    assert!(at(Idempotency::NativeToken, lost()).await[1] < SECOND);
    assert!(at(Idempotency::DeterministicName, lost()).await[1] < SECOND);

    // What certainly did not happen cannot show up in a listing.
    assert!(at(label, vec![fails(Kind::Unavailable)]).await[1] < SECOND);
    // A later, clear answer does not shorten the wait, and a longer wish is still granted.
    let times = at(label, vec![fails(Kind::Timeout), fails(Kind::Unavailable)]).await;
    assert_eq!(times, [Duration::ZERO, LAG, LAG * 2]);
    let times = at(
        label,
        vec![fails(Kind::Timeout), later(Kind::RateLimited, 50)],
    )
    .await;
    assert_eq!(times, [Duration::ZERO, LAG, LAG + SECOND * 50]);
}

#[tokio::test(start_paused = true)]
async fn an_answer_about_something_else_does_not_tell_what_became_of_a_lost_one() {
    for kind in [
        Kind::Auth,
        Kind::Permission,
        Kind::Invalid,
        Kind::Conflict,
        Kind::RateLimited,
        Kind::Unavailable,
    ] {
        let stage = Stage::with(patient(2), [fails(Kind::Timeout), fails(kind)]);
        let error = stage.guarded.create(&request()).await.unwrap_err();
        assert_eq!((error.kind(), error.effect()), (kind, Effect::Unknown));
    }
}

#[tokio::test(start_paused = true)]
async fn a_want_of_capacity_answers_for_the_token_as_a_whole() {
    for kind in [Kind::Capacity, Kind::Quota] {
        let stage = Stage::with(patient(3), [fails(Kind::Timeout), fails(kind)]);
        let error = stage.guarded.create(&request()).await.unwrap_err();
        assert_eq!((error.kind(), error.effect()), (kind, Effect::None));

        // Unless the provider itself is not sure.
        let unsure = Error::new(kind, "scripted").with_effect(Effect::Unknown);
        let answers = [fails(Kind::Timeout), Answer::Fails(unsure)];
        let stage = Stage::with(patient(3), answers);
        let error = stage.guarded.create(&request()).await.unwrap_err();
        assert_eq!(error.effect(), Effect::Unknown);
    }
}

#[tokio::test(start_paused = true)]
async fn a_breaker_that_opens_between_two_tries_keeps_the_effect_unknown() {
    let mut setting = patient(5);
    setting.policy.breaker_failures = 1;
    let stage = Stage::with(setting, [fails(Kind::Timeout)]);
    let error = stage.guarded.create(&request()).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Suspended);
    assert_eq!(error.effect(), Effect::Unknown);
    assert_eq!(stage.calls().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_try_without_an_answer_is_given_up_and_repeated() {
    let mut setting = patient(3);
    setting.policy.timeout = SECOND * 5;
    let stage = Stage::with(setting, [Answer::Silence, Answer::Slow(SECOND * 4)]);
    stage.guarded.check().await.unwrap();
    let times = stage.times();
    assert_eq!(times.len(), 2);
    assert!((SECOND * 5..SECOND * 6).contains(&times[1]), "{times:?}");
}

#[tokio::test(start_paused = true)]
async fn a_try_without_an_answer_may_have_happened() {
    let stage = Stage::with(patient(1), [Answer::Silence]);
    let error = stage.guarded.create(&request()).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Timeout);
    assert_eq!(error.effect(), Effect::Unknown);
    assert_eq!(
        error.to_string(),
        "no answer to `create` from `fake` within 60 s"
    );
}

#[tokio::test(start_paused = true)]
async fn no_try_begins_after_the_deadline() {
    let mut setting = patient(100);
    setting.policy.deadline = SECOND * 10;
    let stage = Stage::with(setting, (0..9).map(|_| later(Kind::Unavailable, 4)));
    let error = stage.guarded.check().await.unwrap_err();
    assert_eq!(error.kind(), Kind::Unavailable);
    assert_eq!(stage.times(), [Duration::ZERO, SECOND * 4, SECOND * 8]);
}

#[tokio::test(start_paused = true)]
async fn no_try_lasts_beyond_the_deadline() {
    let mut setting = patient(100);
    setting.policy.timeout = SECOND * 60;
    setting.policy.deadline = SECOND * 10;
    let answers = [later(Kind::Unavailable, 8), Answer::Silence];
    let stage = Stage::with(setting, answers);
    let started = tokio::time::Instant::now();
    let error = stage.guarded.check().await.unwrap_err();
    assert_eq!(error.kind(), Kind::Timeout);
    let took = started.elapsed();
    assert!(took <= SECOND * 10 + SECOND / 10, "{took:?}");
}
