//! Plans for little worlds: each scenario is a script that anyone can read, with its plan below it.
//!
//! The words of the scripts are explained in [`script`].

mod budget_properties;
mod budgets;
mod decided;
mod fill;
mod hands_off;
mod offers;
mod over;
mod pools;
mod properties;
mod rates;
pub(crate) mod scenarios;
pub(crate) mod script;
mod show;
mod shrink;
mod strategies;

use self::script::plan_of;
