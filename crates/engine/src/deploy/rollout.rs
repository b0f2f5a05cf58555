//! The order in which machines have their turns, and when it ends. Pure.
//!
//! ```text
//!   canary ─► pause ─► batch ─► pause ─► batch ─► ...
//!      │ a failure        │ too many failures
//!      └────────► stop ◄──┘  (what runs goes on to its end, nothing new begins)
//! ```
//!
//! A canary that cannot be reached says nothing about what is deployed: the next machine takes its
//! place. It counts as a failure all the same.

use fleetwright_core::{DeployedState, DeploymentOutcome, RolloutPolicy};
use jiff::{SignedDuration, Timestamp};

/// What is to be done next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RolloutStep {
    /// The turns of these machines have come.
    Begin(Vec<usize>),
    /// Nothing until a turn ends.
    Wait,
    /// Nothing until then.
    Until(Timestamp),
    /// Nothing any more.
    Over,
}

/// A rollout over machines that are called by their numbers, from 0.
#[derive(Debug, Clone)]
pub struct Rollout {
    policy: RolloutPolicy,
    /// Of each machine, how far it is: waiting, running, or how its turn ended.
    turns: Vec<DeployedState>,
    /// The first machine behind the batch that is under way.
    end: usize,
    in_canary: bool,
    running: usize,
    failures: usize,
    paused_until: Option<Timestamp>,
    stopped: Option<String>,
}

impl Rollout {
    /// A rollout over so many machines.
    pub fn new(policy: RolloutPolicy, machines: usize) -> Self {
        let mut rollout = Self {
            policy,
            turns: vec![DeployedState::Waiting; machines],
            end: 0,
            in_canary: false,
            running: 0,
            failures: 0,
            paused_until: None,
            stopped: None,
        };
        match policy.canary.map(|canary| canary.rounded_up(machines)) {
            Some(canary) if canary > 0 => {
                rollout.in_canary = true;
                rollout.end = canary.min(machines);
            }
            _ => rollout.end = rollout.next_end(),
        }
        rollout
    }

    fn next_end(&self) -> usize {
        let all = self.turns.len();
        let batch = self.policy.batch.map_or(all, |batch| batch.rounded_up(all));
        self.end.saturating_add(batch.max(1)).min(all)
    }

    /// So many failures are borne.
    pub fn bearable(&self) -> usize {
        self.policy
            .max_fail
            .map_or(usize::MAX, |most| most.rounded_down(self.turns.len()))
    }

    /// What is to be done at `now`. Machines that it names are running from then on.
    pub fn next(&mut self, now: Timestamp) -> RolloutStep {
        if self.stopped.is_some() {
            return if self.running > 0 {
                RolloutStep::Wait
            } else {
                RolloutStep::Over
            };
        }
        let batch = &self.turns[..self.end];
        let is_over = batch
            .iter()
            .all(|turn| !matches!(turn, DeployedState::Waiting | DeployedState::Running));
        if is_over {
            if self.end == self.turns.len() {
                return RolloutStep::Over;
            }
            self.in_canary = false;
            self.end = self.next_end();
            // One that is longer than time goes on is for ever, not none.
            let pause =
                SignedDuration::try_from(self.policy.pause.0).unwrap_or(SignedDuration::MAX);
            self.paused_until = Some(now.checked_add(pause).unwrap_or(Timestamp::MAX));
        }
        if let Some(until) = self.paused_until.filter(|until| *until > now) {
            return RolloutStep::Until(until);
        }
        self.paused_until = None;
        let parallel = usize::try_from(self.policy.parallel.max(1)).unwrap_or(usize::MAX);
        let free = parallel.saturating_sub(self.running);
        let begun: Vec<usize> = (0..self.end)
            .filter(|at| self.turns[*at] == DeployedState::Waiting)
            .take(free)
            .collect();
        if begun.is_empty() {
            return RolloutStep::Wait;
        }
        for at in &begun {
            self.turns[*at] = DeployedState::Running;
        }
        self.running += begun.len();
        RolloutStep::Begin(begun)
    }

    /// The turn of a machine has ended.
    pub fn ended(&mut self, machine: usize, state: DeployedState) {
        if self.turns[machine] == DeployedState::Running {
            self.running -= 1;
        }
        self.turns[machine] = state;
        if !state.is_failure() {
            return;
        }
        self.failures += 1;
        if self.in_canary {
            if state == DeployedState::Unreachable {
                self.end = (self.end + 1).min(self.turns.len());
            } else {
                self.stop("the canary failed".to_owned());
            }
        }
        if self.failures > self.bearable() {
            let borne = self.bearable();
            let failures = self.failures;
            self.stop(format!("{failures} failed, and at most {borne} may"));
        }
    }

    /// Begins nothing new from here on. The first reason counts.
    pub fn stop(&mut self, reason: String) {
        self.stopped.get_or_insert(reason);
    }

    /// Whether any machine is running.
    pub const fn is_running(&self) -> bool {
        self.running > 0
    }

    /// How it ended, and why, once nothing is left to do.
    pub fn outcome(&self) -> (DeploymentOutcome, String) {
        let waiting = self
            .turns
            .iter()
            .filter(|turn| **turn == DeployedState::Waiting)
            .count();
        let all = self.turns.len();
        if waiting > 0 {
            let why = self.stopped.as_deref().unwrap_or("it was interrupted");
            let reason = format!("{why}; {waiting} of {all} had no turn");
            (DeploymentOutcome::Stopped, reason)
        } else if self.failures > 0 {
            let reason = format!("{} of {all} failed", self.failures);
            (DeploymentOutcome::Failed, reason)
        } else {
            (DeploymentOutcome::Succeeded, format!("all {all} are right"))
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;

    use fleetwright_core::{Portion, Span};
    use proptest::prelude::*;

    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn policy(canary: &str, batch: &str, max_fail: &str) -> RolloutPolicy {
        let portion = |text: &str| text.parse::<Portion>().ok();
        RolloutPolicy {
            canary: portion(canary),
            batch: portion(batch),
            max_fail: portion(max_fail),
            parallel: 4,
            ..RolloutPolicy::default()
        }
    }

    /// Runs a rollout in which these machines end like that, one turn at a time, and says in which
    /// groups the turns began.
    fn run(
        policy: RolloutPolicy,
        machines: usize,
        bad: &[(usize, DeployedState)],
    ) -> (Vec<Vec<usize>>, DeploymentOutcome, String) {
        let mut rollout = Rollout::new(policy, machines);
        let mut begun = Vec::new();
        let mut running = VecDeque::new();
        loop {
            match rollout.next(at(0)) {
                RolloutStep::Begin(list) => {
                    running.extend(list.clone());
                    begun.push(list);
                }
                RolloutStep::Wait => {
                    let machine = running.pop_front().expect("waiting for something");
                    let state = bad
                        .iter()
                        .find(|(number, _)| *number == machine)
                        .map_or(DeployedState::Succeeded, |(_, state)| *state);
                    rollout.ended(machine, state);
                }
                RolloutStep::Until(_) => unreachable!("without a pause"),
                RolloutStep::Over => {
                    let (outcome, reason) = rollout.outcome();
                    return (begun, outcome, reason);
                }
            }
        }
    }

    #[test]
    fn the_canary_goes_first_and_batches_follow_one_after_the_other() {
        let (begun, outcome, _) = run(policy("1", "40%", ""), 6, &[]);
        assert_eq!(outcome, DeploymentOutcome::Succeeded);
        assert_eq!(begun[0], [0]);
        // 40 % of 6 is 3, rounded up; the rest waits for all of them.
        assert_eq!(begun[1], [1, 2, 3]);
        assert_eq!(begun[2], [4, 5]);
    }

    #[test]
    fn a_canary_that_fails_stops_everything() {
        for state in [DeployedState::Failed, DeployedState::Unknown] {
            let (begun, outcome, reason) = run(policy("1", "", ""), 5, &[(0, state)]);
            assert_eq!(begun, [[0]]);
            assert_eq!(outcome, DeploymentOutcome::Stopped);
            assert_eq!(reason, "the canary failed; 4 of 5 had no turn");
        }
    }

    #[test]
    fn a_canary_that_is_not_reached_is_replaced_by_the_next_machine() {
        let dead = [(0, DeployedState::Unreachable)];
        let (begun, outcome, _) = run(policy("1", "", ""), 3, &dead);
        assert_eq!(begun, [vec![0], vec![1], vec![2]]);
        assert_eq!(outcome, DeploymentOutcome::Failed);
        let bad = [(0, DeployedState::Unreachable), (1, DeployedState::Failed)];
        let (begun, outcome, _) = run(policy("1", "", ""), 3, &bad);
        assert_eq!(begun, [[0], [1]]);
        assert_eq!(outcome, DeploymentOutcome::Stopped);
    }

    #[test]
    fn one_dead_machine_does_not_stop_the_others() {
        let (begun, outcome, reason) =
            run(policy("", "", ""), 9, &[(3, DeployedState::Unreachable)]);
        assert_eq!(begun.concat().len(), 9);
        assert_eq!(outcome, DeploymentOutcome::Failed);
        assert_eq!(reason, "1 of 9 failed");
    }

    #[test]
    fn one_failure_more_than_may_be_stops_and_what_runs_goes_on() {
        let bad: Vec<_> = (0..9)
            .map(|number| (number, DeployedState::Failed))
            .collect();
        let (begun, outcome, reason) = run(policy("", "", "1"), 9, &bad);
        // Four ran when the second one failed; one had begun in place of the first.
        assert_eq!(begun.concat().len(), 5);
        assert_eq!(outcome, DeploymentOutcome::Stopped);
        assert_eq!(reason, "2 failed, and at most 1 may; 4 of 9 had no turn");
        let (begun, ..) = run(policy("", "", "100%"), 9, &bad);
        assert_eq!(begun.concat().len(), 9);
    }

    #[test]
    fn a_batch_is_followed_by_its_pause() {
        let mut rollout = Rollout::new(
            RolloutPolicy {
                pause: Span::seconds(60),
                ..policy("", "1", "")
            },
            2,
        );
        assert_eq!(rollout.next(at(0)), RolloutStep::Begin(vec![0]));
        rollout.ended(0, DeployedState::Succeeded);
        assert_eq!(rollout.next(at(10)), RolloutStep::Until(at(70)));
        assert_eq!(rollout.next(at(69)), RolloutStep::Until(at(70)));
        assert_eq!(rollout.next(at(70)), RolloutStep::Begin(vec![1]));
        rollout.ended(1, DeployedState::Succeeded);
        assert_eq!(
            rollout.next(at(71)),
            RolloutStep::Over,
            "no pause at the end"
        );
    }

    #[test]
    fn a_pause_that_is_longer_than_time_goes_on_never_ends() {
        let mut rollout = Rollout::new(
            RolloutPolicy {
                pause: Span(std::time::Duration::MAX),
                ..policy("", "1", "")
            },
            2,
        );
        assert_eq!(rollout.next(at(0)), RolloutStep::Begin(vec![0]));
        rollout.ended(0, DeployedState::Succeeded);
        assert_eq!(rollout.next(at(1)), RolloutStep::Until(Timestamp::MAX));
    }

    #[test]
    fn nothing_to_do_is_over_at_once() {
        let mut rollout = Rollout::new(policy("1", "", ""), 0);
        assert_eq!(rollout.next(at(0)), RolloutStep::Over);
        assert_eq!(rollout.outcome().0, DeploymentOutcome::Succeeded);
    }

    fn portion() -> impl Strategy<Value = Option<Portion>> {
        prop_oneof![
            Just(None),
            (0_u32..12).prop_map(|number| Some(Portion::Number(number))),
            (0_u8..=100).prop_map(|percent| Some(Portion::Percent(percent))),
        ]
    }

    fn ending() -> impl Strategy<Value = DeployedState> {
        prop_oneof![
            4 => Just(DeployedState::Succeeded),
            1 => Just(DeployedState::Failed),
            1 => Just(DeployedState::Unreachable),
            1 => Just(DeployedState::Unknown),
        ]
    }

    proptest! {
        /// Whatever is asked for and whatever happens: it ends, nobody has two turns, never more
        /// run than may, a batch waits for the one before, and after a stop nothing begins.
        #[test]
        fn a_rollout_keeps_to_its_rules(
            canary in portion(),
            batch in portion(),
            max_fail in portion(),
            parallel in 1_u32..6,
            endings in prop::collection::vec((ending(), any::<prop::sample::Index>()), 0..40),
        ) {
            let policy = RolloutPolicy { canary, batch, parallel, max_fail, ..RolloutPolicy::default() };
            let machines = endings.len();
            let mut rollout = Rollout::new(policy, machines);
            let bearable = rollout.bearable();
            let (mut running, mut turns) = (Vec::new(), vec![0; machines]);
            let (mut failures, mut steps) = (0, 0);
            loop {
                steps += 1;
                prop_assert!(steps < 10 * machines + 10);
                match rollout.next(at(0)) {
                    RolloutStep::Begin(list) => {
                        prop_assert!(failures <= bearable, "begun after too many failures");
                        for machine in list {
                            turns[machine] += 1;
                            running.push(machine);
                        }
                        prop_assert!(running.len() <= parallel as usize);
                        if let Some(batch) = batch {
                            prop_assert!(
                                running.len() <= batch.rounded_up(machines).max(1)
                                    || canary.is_some()
                            );
                        }
                    }
                    RolloutStep::Wait => {
                        prop_assert!(!running.is_empty());
                        let chosen = endings[steps % machines].1.index(running.len());
                        let machine = running.swap_remove(chosen);
                        let state = endings[machine].0;
                        failures += usize::from(state.is_failure());
                        rollout.ended(machine, state);
                    }
                    RolloutStep::Until(_) => prop_assert!(false, "without a pause"),
                    RolloutStep::Over => break,
                }
            }
            prop_assert!(running.is_empty());
            prop_assert!(turns.iter().all(|turns| *turns <= 1));
            let (outcome, _) = rollout.outcome();
            let all_had_turns = turns.iter().all(|turns| *turns == 1);
            prop_assert_eq!(outcome == DeploymentOutcome::Stopped, !all_had_turns);
            prop_assert_eq!(outcome == DeploymentOutcome::Succeeded, all_had_turns && failures == 0);
        }
    }
}
