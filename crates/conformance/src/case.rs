//! The list of cases: the one table that tests, code and documentation are made from.

use std::fmt;

use fleetwright_core::Provider;
use futures::future::LocalBoxFuture;

use crate::{Outcome, Run};

/// One thing that a provider must do.
#[derive(Clone, Copy)]
pub struct Case {
    /// Its name, also the name of the test: a sentence.
    pub name: &'static str,
    /// The ability that it judges; providers without it are not judged.
    pub ability: Ability,
    /// What is judged, for the documentation.
    pub what: &'static str,
    pub(crate) body: for<'a> fn(&'a Run<'a>) -> LocalBoxFuture<'a, Outcome>,
}

impl fmt::Debug for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Case")
            .field("name", &self.name)
            .field("ability", &self.ability)
            .finish_non_exhaustive()
    }
}

/// What a provider can do. Everybody has the core; the rest is reached by accessors.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Ability {
    /// The methods of `Provider` itself.
    Core,
    /// `Provider::catalog`.
    Catalog,
    /// `Provider::groups`.
    Groups,
    /// `Provider::balancers`.
    Balancers,
    /// `Provider::dns`.
    Dns,
    /// `Provider::interruptions`.
    Interruptions,
    /// `Provider::quotas`.
    Quotas,
}

impl Ability {
    /// Whether the provider has it: by its accessor.
    pub fn is_had_by(self, provider: &dyn Provider) -> bool {
        match self {
            Self::Core => true,
            Self::Catalog => provider.catalog().is_some(),
            Self::Groups => provider.groups().is_some(),
            Self::Balancers => provider.balancers().is_some(),
            Self::Dns => provider.dns().is_some(),
            Self::Interruptions => provider.interruptions().is_some(),
            Self::Quotas => provider.quotas().is_some(),
        }
    }

    /// The name used in documentation and messages.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Core => "core",
            Self::Catalog => "catalog",
            Self::Groups => "groups",
            Self::Balancers => "balancers",
            Self::Dns => "dns",
            Self::Interruptions => "interruptions",
            Self::Quotas => "quotas",
        }
    }
}

macro_rules! table {
    ($($module:ident $ability:ident { $($name:ident: $what:literal,)* })*) => {
        /// Every case, in the order of the documentation.
        pub const CASES: &[Case] = &[
            $($(Case {
                name: stringify!($name),
                ability: Ability::$ability,
                what: $what,
                body: |run| Box::pin(crate::$module::$name(run)),
            },)*)*
        ];
    };
}

crate::for_each_case!(table,);

/// Hands the table to another macro: `module Ability { name: "what is judged", ... }`.
#[doc(hidden)]
#[macro_export]
macro_rules! for_each_case {
    ($callback:path, $($arguments:tt)*) => {
        $callback! { $($arguments)*
            create Core {
                as_many_machines_as_asked_for: "`create` makes `count` machines, all of them real",
                every_label_is_kept: "nodes carry every label of the request, the claim's included",
                names_follow_the_request: "machines are called `machine_name(0)`, `(1)`, ...: each once",
            }
        }
    };
}
