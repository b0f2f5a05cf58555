//! Plans for little worlds: each scenario is a script that anyone can read, with its plan below it.
//!
//! The words of the scripts are explained in [`script`].

mod fill;
mod hands_off;
mod offers;
mod over;
mod properties;
mod relief;
mod script;
mod show;
mod shrink;

use self::script::plan_of;
