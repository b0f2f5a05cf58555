//! Progress on stderr: a line per event, and on a terminal a spinner that says what is going on.

use std::io::IsTerminal;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use fleetwright_core::{BudgetOutcome, Event, EventKind, HealResult, Life};
use fleetwright_engine::Listener;
use indicatif::{ProgressBar, ProgressStyle};

/// Prints events as they happen.
pub(crate) struct Progress {
    spinner: Option<ProgressBar>,
    tally: Mutex<Tally>,
}

#[derive(Default)]
struct Tally {
    ready: usize,
    gone: usize,
}

impl Progress {
    /// A spinner on a terminal, plain lines elsewhere.
    pub(crate) fn new() -> Self {
        let spinner = std::io::stderr().is_terminal().then(|| {
            let bar = ProgressBar::new_spinner();
            if let Ok(style) = ProgressStyle::with_template("{spinner} {msg} {elapsed:.dim}") {
                bar.set_style(style);
            }
            bar.set_message("looking");
            bar.enable_steady_tick(Duration::from_millis(120));
            bar
        });
        Self {
            spinner,
            tally: Mutex::default(),
        }
    }

    fn line(&self, text: &str) {
        match &self.spinner {
            Some(spinner) => spinner.println(text),
            None => anstream::eprintln!("{text}"),
        }
    }

    fn message(&self, text: String) {
        if let Some(spinner) = &self.spinner {
            spinner.set_message(text);
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if let Some(spinner) = &self.spinner {
            spinner.finish_and_clear();
        }
    }
}

impl Listener for Progress {
    fn hear(&self, event: &Event) {
        if let Some(text) = line(&event.what) {
            self.line(&text);
        }
        if let EventKind::NodeChanged { to, .. } = &event.what {
            let mut tally = self.tally.lock().unwrap_or_else(PoisonError::into_inner);
            match to {
                Life::Ready => tally.ready += 1,
                Life::Gone => tally.gone += 1,
                _ => {}
            }
            self.message(format!("{} ready, {} gone", tally.ready, tally.gone));
        }
    }
}

/// An event in one line; `None` for those that only matter to a machine.
pub(crate) fn line(what: &EventKind) -> Option<String> {
    Some(match what {
        EventKind::Observed { gaps, .. } if gaps.is_empty() => return None,
        EventKind::Planned { .. }
        // `deploy` shows its own progress.
        | EventKind::DeploymentStarted { .. }
        | EventKind::NodeDeployed { .. }
        | EventKind::DeploymentEnded { .. }
        | EventKind::ClaimFulfilled {
            shortfall: None, ..
        }
        // What is withheld is said by itself.
        | EventKind::BudgetReached {
            outcome: BudgetOutcome::Shrunk | BudgetOutcome::Blocked | BudgetOutcome::Narrowed,
            ..
        } => return None,
        EventKind::Observed { gaps, .. } => format!("  ! not seen: {}", gaps.join("; ")),
        EventKind::ClaimOpened {
            pool,
            count,
            offer,
            price,
            ..
        } => {
            let price = price.map_or_else(|| "price unknown".to_owned(), |price| price.to_string());
            format!("  + asking for {count} in pool {pool}: {offer}, {price} each")
        }
        EventKind::ClaimFulfilled {
            count,
            shortfall: Some(why),
            ..
        } => {
            format!("  ! got only {count}: {why}")
        }
        EventKind::ClaimRefused { error, .. } => format!("  ! refused: {error}"),
        EventKind::ClaimUncertain { error, .. } => {
            format!("  ? the answer is not known yet: {error}")
        }
        EventKind::NodeChanged {
            name,
            from: None,
            to,
            ..
        } => format!("  + {name} {to}"),
        EventKind::NodeChanged {
            name, to, reason, ..
        } => {
            let sign = match to {
                Life::Failed => "!",
                Life::Draining | Life::Terminating | Life::Gone => "-",
                _ => "+",
            };
            format!("  {sign} {name} {to}: {reason}")
        }
        EventKind::StepFailed { step, error, .. } => format!("  ! {step}: {error}"),
        EventKind::Retried {
            provider,
            operation,
            after_ms,
            error,
        } => format!(
            "  . {provider} {} again in {after_ms} ms: {error}",
            operation.as_str()
        ),
        EventKind::CapacityMarked { place, until, .. } => {
            format!("  ! {place} is taken for sold out until {until:.0}")
        }
        EventKind::BreakerChanged {
            provider,
            open: true,
            reason,
        } => {
            format!("  ! {provider} is not asked for a while: {reason}")
        }
        EventKind::BreakerChanged {
            provider,
            open: false,
            reason,
        } => {
            format!("  + {provider} is asked again: {reason}")
        }
        EventKind::Withheld {
            subject,
            what,
            reason,
        } => {
            format!("  ! withheld: {subject} {what}: {reason}")
        }
        EventKind::EndMoved {
            name,
            to,
            kept_until,
            reason,
            ..
        } => {
            let end = to.map_or_else(
                || format!("it stays until {kept_until:.0} at least"),
                |end| format!("it ends at {end:.0}"),
            );
            format!("  ~ {name}: {reason}; {end}")
        }
        EventKind::UseChanged {
            name,
            idle: true,
            reason,
            ..
        } => format!("  ~ {name} is unused: {reason}"),
        EventKind::UseChanged { name, reason, .. } => format!("  ~ {name} is in use: {reason}"),
        EventKind::BudgetReached { reason, .. } => format!("  ! over budget: {reason}"),
        EventKind::PriceDiffers {
            offer,
            promised,
            reported,
            above,
            ..
        } => {
            let above = above.map_or_else(String::new, |cap| {
                format!(", which is above the limit {cap}")
            });
            format!("  ! {offer} was offered at {promised}; the provider says {reported}{above}")
        }
        EventKind::SizeDecided {
            pool,
            from,
            to,
            reason,
        } => format!("  ~ pool {pool} from {from} to {to}: {reason}"),
        EventKind::SizeKept {
            pool,
            size,
            trouble: Some(why),
        } => format!("  ! pool {pool} stays at {size}: {why}"),
        EventKind::SizeKept { pool, .. } => {
            format!("  ~ the policy of pool {pool} can decide again")
        }
        EventKind::InterruptionNoticed { name, kind, at, .. } => {
            let at = at.map_or_else(String::new, |at| format!(" at {at:.0}"));
            format!("  ! {name}: {}{at}", kind.in_words())
        }
        EventKind::NoticesUnseen { provider, error } => {
            format!("  ! what `{provider}` announces is not seen: {error}")
        }
        EventKind::DrainCommandEnded { name, reason, .. } => format!("  ~ {name}: {reason}"),
        EventKind::HealthChanged {
            target, to, reason, ..
        } => format!("  ~ {target} is {to}: {reason}"),
        EventKind::CordonChanged {
            target,
            phase: Some(phase),
            reason,
            ..
        } => format!("  ~ {target} is {phase}: {reason}"),
        EventKind::CordonChanged { target, reason, .. } => {
            format!("  ~ {target} is not cordoned any more: {reason}")
        }
        EventKind::HookEnded {
            target,
            hook,
            error: Some(error),
            ..
        } => format!("  ! {target}: {hook}: {error}"),
        EventKind::HookEnded { target, hook, .. } => {
            format!("  ~ {target}: the hook `{hook}` has ended")
        }
        EventKind::NotificationLost {
            webhook,
            about,
            error,
        } => format!("  ! {webhook} was not told of {about}: {error}"),
        EventKind::Welcomed {
            name,
            succeeded,
            reason,
            ..
        } => {
            let sign = if *succeeded { '+' } else { '!' };
            format!("  {sign} {name} welcomed: {reason}")
        }
        EventKind::Braked { reason } => format!("  ! nothing was done: {reason}"),
        EventKind::CaseOpened {
            target,
            subject,
            severity,
            reason,
            ..
        } => format!("  ! {target} {subject} ({severity}): {reason}"),
        EventKind::HealBegan {
            target,
            action,
            reason,
            ..
        } => format!("  ~ {target} {action}: {reason}"),
        EventKind::HealEnded {
            target,
            action,
            result,
            reason,
            ..
        } => {
            let sign = if *result == HealResult::Failed { "!" } else { "~" };
            format!("  {sign} {target} {action} {}: {reason}", result.as_str())
        }
        EventKind::HealHeld {
            target,
            action,
            reason,
            ..
        } => {
            let action = action.map_or_else(String::new, |action| format!("{action} "));
            format!("  . {target}: {action}held back: {reason}")
        }
        EventKind::CaseClosed {
            target,
            subject,
            how,
            reason,
            ..
        } => format!("  + {target} {subject} {}: {reason}", how.as_str()),
        EventKind::Frozen { freeze } => format!("  ! {freeze}"),
        EventKind::Thawed { group: Some(group) } => format!("  + {group} is thawed"),
        EventKind::Thawed { group: None } => "  + everything is thawed".to_owned(),
    })
}
