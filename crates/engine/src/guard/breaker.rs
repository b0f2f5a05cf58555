//! Circuit breakers, one per place: too many failures in a row, and nobody asks for a while.
//!
//! With a journal all processes share them ([`Circuit`] says what changes them), so a new process
//! does not begin by asking a cloud that is known to be down, and only one of them probes. What the
//! journal says is looked up at most once a second and provider, and written only when something
//! fails, or works again: a healthy call writes nothing.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use fleetwright_core::{Error, Result};
use fleetwright_store::{Circuit, Patience, Store};
use jiff::Timestamp;

/// How old what the journal said may be.
const FRESH: Duration = Duration::from_secs(1);

/// The breakers of one account, by place.
#[derive(Debug)]
pub(crate) struct Breakers {
    /// Whose: `kind:account`.
    account: String,
    patience: Patience,
    store: Option<Store>,
    known: Mutex<Known>,
}

#[derive(Debug, Default)]
struct Known {
    /// When the journal was last read.
    read_at: Option<Timestamp>,
    /// Places that saw failures.
    circuits: HashMap<String, Circuit>,
}

/// A call that was let through.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Pass {
    /// It finds out whether the place works again.
    probe: bool,
}

/// Why a call was not let through.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Refusal {
    /// Until the next call may go.
    pub(crate) wait: Duration,
    /// Since when the place fails.
    pub(crate) since: Timestamp,
    /// The last failure, in words.
    pub(crate) error: String,
}

/// What a result changed.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Transition {
    /// From now on calls are refused.
    Opened,
    /// Calls go through again.
    Closed,
}

impl Breakers {
    pub(crate) fn new(account: String, patience: Patience, store: Option<Store>) -> Self {
        Self {
            account,
            patience,
            store,
            known: Mutex::default(),
        }
    }

    /// Lets a call through, or says why not.
    ///
    /// # Errors
    /// Only of the journal.
    pub(crate) async fn admit(
        &self,
        place: &str,
        now: Timestamp,
    ) -> Result<std::result::Result<Pass, Refusal>> {
        self.refresh(now).await?;
        let Some(circuit) = self.known().circuits.get(place).cloned() else {
            return Ok(Ok(Pass { probe: false }));
        };
        match circuit.until {
            None => Ok(Ok(Pass { probe: false })),
            Some(until) if now < until => Ok(Err(refusal(&circuit, until, now))),
            // The next probe is due a pause later, even if this one never tells how it ended.
            Some(_) => {
                let next = now + self.patience.pause;
                let claimed = self.claim(place, next, now).await?;
                self.update(place, |circuit| circuit.until = Some(next));
                Ok(if claimed {
                    Ok(Pass { probe: true })
                } else {
                    Err(refusal(&circuit, next, now))
                })
            }
        }
    }

    /// Takes the result of an admitted call: the failure, if it was one that counts.
    ///
    /// # Errors
    /// Only of the journal.
    pub(crate) async fn settle(
        &self,
        place: &str,
        pass: Pass,
        failure: Option<&Error>,
        now: Timestamp,
    ) -> Result<Option<Transition>> {
        let Some(failure) = failure else {
            return self.close(place).await;
        };
        let error = failure.report().to_string();
        let Some(store) = &self.store else {
            let mut known = self.known();
            let circuit = known
                .circuits
                .entry(place.to_owned())
                .or_insert_with(|| Circuit::new(now));
            let opened = circuit.fail(pass.probe, self.patience, error, now);
            return Ok(opened.then_some(Transition::Opened));
        };
        let (circuit, opened) = store
            .count_failure(&self.account, place, pass.probe, self.patience, error, now)
            .await?;
        self.known().circuits.insert(place.to_owned(), circuit);
        Ok(opened.then_some(Transition::Opened))
    }

    /// A place answered. Where nothing is known against it, there is nothing to do.
    async fn close(&self, place: &str) -> Result<Option<Transition>> {
        let Some(known) = self.known().circuits.remove(place) else {
            return Ok(None);
        };
        let was_open = match &self.store {
            Some(store) => store.close_circuit(&self.account, place).await?,
            None => known.until.is_some(),
        };
        Ok(was_open.then_some(Transition::Closed))
    }

    async fn claim(&self, place: &str, next: Timestamp, now: Timestamp) -> Result<bool> {
        if let Some(store) = &self.store {
            let pause = self.patience.pause;
            return store.claim_probe(&self.account, place, pause, now).await;
        }
        let mut known = self.known();
        let circuit = known.circuits.get_mut(place);
        Ok(circuit.is_some_and(|circuit| {
            let is_due = circuit.until.is_some_and(|until| until <= now);
            if is_due {
                circuit.until = Some(next);
            }
            is_due
        }))
    }

    /// Reads what the journal says, unless that was done within the last second.
    async fn refresh(&self, now: Timestamp) -> Result<()> {
        let Some(store) = &self.store else {
            return Ok(());
        };
        let read_at = self.known().read_at;
        let is_fresh = read_at.is_some_and(|at| at <= now && super::since(at, now) < FRESH);
        if is_fresh {
            return Ok(());
        }
        if read_at.is_some() {
            // Others need not read as well; what is known is good enough for them.
            self.known().read_at = Some(now);
        }
        let circuits = store.circuits(&self.account).await?;
        let mut known = self.known();
        known.read_at = Some(now);
        known.circuits = circuits;
        Ok(())
    }

    fn update(&self, place: &str, change: impl FnOnce(&mut Circuit)) {
        if let Some(circuit) = self.known().circuits.get_mut(place) {
            change(circuit);
        }
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn refusal(circuit: &Circuit, until: Timestamp, now: Timestamp) -> Refusal {
    Refusal {
        wait: super::since(now, until),
        since: circuit.since,
        error: circuit.error.clone(),
    }
}

#[cfg(test)]
mod tests {
    use fleetwright_core::Kind;

    use super::*;

    const PATIENCE: Patience = Patience {
        failures: 2,
        pause: Duration::from_secs(10),
    };

    /// The wait of a refused call; nothing if it may go.
    async fn wait(breakers: &Breakers, place: &str, now: Timestamp) -> Option<Duration> {
        let admitted = breakers.admit(place, now).await.unwrap();
        admitted.err().map(|refusal| refusal.wait)
    }

    async fn call(breakers: &Breakers, works: bool, now: Timestamp) -> Option<Transition> {
        let pass = breakers.admit("a", now).await.unwrap().unwrap();
        let down = Error::new(Kind::Unavailable, "down");
        let failure = (!works).then_some(&down);
        breakers.settle("a", pass, failure, now).await.unwrap()
    }

    #[tokio::test]
    async fn it_opens_after_failures_lets_one_probe_through_and_closes_on_success() {
        let start = Timestamp::UNIX_EPOCH;
        let breakers = Breakers::new("fake:one".into(), PATIENCE, None);
        assert_eq!(call(&breakers, false, start).await, None);
        let opened = call(&breakers, false, start).await;
        assert_eq!(opened, Some(Transition::Opened));
        let pause = Some(Duration::from_secs(10));
        assert_eq!(wait(&breakers, "a", start).await, pause);
        assert_eq!(wait(&breakers, "b", start).await, None, "another region");

        let later = start + Duration::from_secs(11);
        let pass = breakers.admit("a", later).await.unwrap().unwrap();
        assert!(
            wait(&breakers, "a", later).await.is_some(),
            "only one probe"
        );
        let down = Error::new(Kind::Unavailable, "down");
        let failed = breakers.settle("a", pass, Some(&down), later).await;
        assert_eq!(failed.unwrap(), Some(Transition::Opened));
        let doubled = Some(Duration::from_secs(20));
        assert_eq!(wait(&breakers, "a", later).await, doubled);

        let end = later + Duration::from_secs(21);
        let closed = call(&breakers, true, end).await;
        assert_eq!(closed, Some(Transition::Closed));
        assert_eq!(wait(&breakers, "a", end).await, None);
    }
}
