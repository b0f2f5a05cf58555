//! The account of a create step: what was asked where, what came of it, and what is missing.

use std::collections::BTreeSet;

use fleetwright_core::{Effect, Error, ErrorReport, Kind, Offer, Remedy};
use serde::Serialize;

/// Something that was tried to get machines.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Attempt {
    /// Where: the label of the offer.
    pub offer: String,
    /// How many machines were asked for. 0: nobody was asked, because the answer was known.
    pub asked: u32,
    /// How many were made.
    pub made: u32,
    /// Why not all of them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<ErrorReport>,
}

/// How one call ended.
#[derive(Debug)]
pub(super) enum Ended {
    /// With so many machines; an error says why there are fewer than asked for.
    Made(u32, Option<Error>),
    /// With none, for certain.
    Refused(Error),
    /// Nobody can tell: the claim is open.
    Unknown(Error),
}

/// What a create step has come to so far.
#[derive(Debug)]
pub(super) struct Tally {
    pool: String,
    wanted: u32,
    missing: u32,
    made: u32,
    attempts: Vec<Attempt>,
    /// Refusals, in the order of their answers.
    refusals: Vec<Error>,
    uncertain: Vec<Error>,
}

// === impl Ended ===

impl Ended {
    /// What led to fewer machines than asked for, if it is certain that they were not made.
    pub(super) fn error(&self) -> Option<&Error> {
        match self {
            Self::Made(_, error) => error.as_ref(),
            Self::Refused(error) => Some(error),
            Self::Unknown(_) => None,
        }
    }

    /// Whether a part of it may be had all the same.
    pub(super) fn is_refused_whole(&self) -> bool {
        matches!(self, Self::Refused(error) if error.is_refused_whole())
    }
}

// === impl Tally ===

impl Tally {
    pub(super) fn new(pool: &str, wanted: u32) -> Self {
        Self {
            pool: pool.to_owned(),
            wanted,
            missing: wanted,
            made: 0,
            attempts: Vec::new(),
            refusals: Vec::new(),
            uncertain: Vec::new(),
        }
    }

    /// Machines that are neither made nor perhaps made.
    pub(super) fn missing(&self) -> u32 {
        self.missing
    }

    /// Machines that were made.
    pub(super) fn made(&self) -> u32 {
        self.made
    }

    /// What was tried, in order.
    pub(super) fn attempts(&self) -> &[Attempt] {
        &self.attempts
    }

    /// Whether an answer says that asking elsewhere does not help either.
    pub(super) fn is_hopeless(&self) -> bool {
        let mut refusals = self.refusals.iter();
        refusals.any(|error| error.kind().remedy() == Remedy::GiveUp)
    }

    /// An offer was not asked, because an answer covers it.
    pub(super) fn passed_over(&mut self, offer: &Offer, because: ErrorReport) {
        self.attempts.push(Attempt {
            offer: offer.label(),
            asked: 0,
            made: 0,
            error: Some(because),
        });
    }

    /// A call for so many machines has ended.
    pub(super) fn count(&mut self, offer: &Offer, asked: u32, ended: Ended) {
        let (made, gone, error) = match ended {
            Ended::Made(made, error) => (made, made.min(asked), error),
            Ended::Refused(error) => (0, 0, Some(error)),
            Ended::Unknown(error) => (0, asked, Some(error)),
        };
        self.made += made;
        self.missing -= gone.min(self.missing);
        self.attempts.push(Attempt {
            offer: offer.label(),
            asked,
            made,
            error: error.as_ref().map(Error::report),
        });
        let Some(error) = error else { return };
        let error = error.with_context("offer", offer.label());
        if gone == asked && made < asked {
            self.uncertain.push(error);
        } else {
            self.refusals.push(error);
        }
    }

    /// What has to be reported: why machines are missing, and what nobody can tell. What did not
    /// matter in the end is no error.
    pub(super) fn into_errors(self) -> Vec<Error> {
        let mut errors = Vec::new();
        if self.missing > 0 {
            errors.push(self.refusal());
        }
        errors.extend(self.uncertain);
        errors
    }

    /// One error for all refusals: the one that ended the step, or what the offers have in common.
    fn refusal(&self) -> Error {
        let hopeless = |error: &&Error| error.kind().remedy() == Remedy::GiveUp;
        let decisive = self.refusals.iter().find(hopeless);
        let alone = (self.attempts.len() == 1).then(|| self.refusals.first());
        if let Some(error) = decisive.or(alone.flatten()) {
            return error.report().into();
        }
        let mut last_first = self.attempts.iter().rev();
        let kind = last_first.find_map(|attempt| Some(attempt.error.as_ref()?.kind));
        let kind = kind.unwrap_or(Kind::Capacity);
        let asked = self.attempts.iter().filter(|attempt| attempt.asked > 0);
        let offers: BTreeSet<&str> = asked.map(|attempt| attempt.offer.as_str()).collect();
        let tried: Vec<String> = self.attempts.iter().map(ToString::to_string).collect();
        let error = Error::new(
            kind,
            format!(
                "{} of {} machines of pool `{}` cannot be had: {} {}, and none is left",
                self.missing,
                self.wanted,
                self.pool,
                offers.len(),
                if offers.len() == 1 {
                    "offer was asked"
                } else {
                    "offers were asked"
                },
            ),
        )
        .with_effect(Effect::None)
        .with_context("tried", tried.join("; "));
        match self.refusals.iter().rev().find_map(Error::hint) {
            Some(hint) => error.with_hint(hint),
            None => error,
        }
    }
}

impl std::fmt::Display for Attempt {
    /// `cloud/east gpu on-demand: 2 of 5 made: no capacity`.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: ", self.offer)?;
        match (self.asked, self.made) {
            (0, _) => f.write_str("not asked")?,
            (asked, 0) => write!(f, "none of {asked} made")?,
            (asked, made) => write!(f, "{made} of {asked} made")?,
        }
        match &self.error {
            Some(error) => write!(f, ": {error}"),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use fleetwright_core::{Availability, Market};

    fn offer(region: &str) -> Offer {
        Offer {
            provider: "cloud".into(),
            region: region.into(),
            zone: None,
            instance_type: "gpu".into(),
            market: Market::OnDemand,
            price: None,
            availability: Availability::Unknown,
            reason: String::new(),
        }
    }

    fn sold_out() -> Error {
        Error::new(Kind::Capacity, "no capacity")
    }

    #[test]
    fn a_total_failure_lists_every_attempt_with_its_cause() {
        let mut tally = Tally::new("train", 5);
        tally.count(&offer("east"), 5, Ended::Made(2, Some(sold_out())));
        let quota = Error::new(Kind::Quota, "at most 2").with_hint("ask for more");
        tally.count(&offer("west"), 3, Ended::Refused(quota));
        tally.passed_over(&offer("west"), sold_out().report());
        assert_eq!((tally.made(), tally.missing()), (2, 3));
        let told: Vec<String> = tally.attempts().iter().map(ToString::to_string).collect();
        assert_eq!(
            told,
            [
                "cloud/east gpu on-demand: 2 of 5 made: no capacity",
                "cloud/west gpu on-demand: none of 3 made: at most 2",
                "cloud/west gpu on-demand: not asked: no capacity",
            ]
        );
        let errors = tally.into_errors();
        assert_eq!(errors.len(), 1);
        assert_eq!(
            errors[0].to_string(),
            "3 of 5 machines of pool `train` cannot be had: 2 offers were asked, and none is left"
        );
        assert_eq!(errors[0].hint(), Some("ask for more"));
        assert!(
            errors[0]
                .context()
                .any(|(name, text)| name == "tried" && text == told.join("; "))
        );
    }

    #[test]
    fn what_went_well_in_the_end_is_no_error_and_what_nobody_knows_is() {
        let mut tally = Tally::new("train", 4);
        tally.count(&offer("east"), 4, Ended::Refused(sold_out()));
        tally.count(&offer("west"), 2, Ended::Made(2, None));
        let lost = Error::new(Kind::Timeout, "no answer");
        tally.count(&offer("west"), 2, Ended::Unknown(lost));
        assert_eq!((tally.made(), tally.missing()), (2, 0));
        let errors = tally.into_errors();
        assert_eq!(errors.len(), 1);
        assert_eq!(errors[0].to_string(), "no answer");
    }

    #[test]
    fn an_error_that_ends_the_step_is_the_error_of_the_step() {
        let mut tally = Tally::new("train", 1);
        tally.count(&offer("east"), 1, Ended::Refused(sold_out()));
        assert!(!tally.is_hopeless());
        let denied = Error::new(Kind::Auth, "expired");
        tally.count(&offer("west"), 1, Ended::Refused(denied));
        assert!(tally.is_hopeless());
        let errors = tally.into_errors();
        assert_eq!((errors.len(), errors[0].kind()), (1, Kind::Auth));
    }
}
