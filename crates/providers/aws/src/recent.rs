//! What was looked up lately by name, so that it is not looked up before every call.
//!
//! It may be wrong: whoever uses it and is told that the thing is not there forgets it and looks
//! again.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use jiff::{SignedDuration, Timestamp};

/// How long a name is taken to mean the same thing.
const FRESH: SignedDuration = SignedDuration::from_mins(5);

/// Things by name, each with the time of the look.
#[derive(Debug)]
pub(crate) struct Recent<T>(Mutex<HashMap<String, (T, Timestamp)>>);

impl<T> Default for Recent<T> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<T: Clone> Recent<T> {
    /// What the name meant when it was last looked up, if that is not long ago.
    pub(crate) fn known(&self, name: &str, now: Timestamp) -> Option<T> {
        let all = self.lock();
        let (thing, at) = all.get(name)?;
        (now.duration_since(*at) < FRESH).then(|| thing.clone())
    }

    pub(crate) fn note(&self, name: &str, thing: T, now: Timestamp) {
        self.lock().insert(name.to_owned(), (thing, now));
    }

    pub(crate) fn forget(&self, name: &str) {
        self.lock().remove(name);
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, (T, Timestamp)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_looked_up_again_after_a_while_or_when_it_was_wrong() {
        let (recent, now) = (Recent::default(), Timestamp::UNIX_EPOCH);
        recent.note("web", 1, now);
        assert_eq!(recent.known("web", now), Some(1));
        assert_eq!(recent.known("other", now), None);
        assert_eq!(recent.known("web", now + FRESH), None);
        recent.forget("web");
        assert_eq!(recent.known("web", now), None);
    }
}
