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
            info Core {
                the_info_makes_sense: "name, regions, batch and limits are usable and do not change",
                the_check_succeeds: "`check` of a healthy provider succeeds and changes nothing",
            }
            create Core {
                as_many_machines_as_asked_for: "`create` makes `count` machines, all of them real",
                every_label_is_kept: "nodes carry every label of the request, the claim's included",
                names_follow_the_request: "machines are named `machine_name(0)`, `(1)`, each once",
                spot_is_never_swapped_for_on_demand: "the market that was asked for, or a clear no",
                user_data_runs_at_boot: "boot scripts run and their success is reported",
                nothing_to_run_at_boot_is_a_success: "without user data, boot succeeds",
                a_failing_boot_script_is_told: "a failing boot script is reported with its status",
                user_data_may_be_as_long_as_the_limit: "user data of `user_data_limit` bytes is taken",
                an_impossible_count_is_refused: "a count of 0 or above `batch` is `Invalid`",
                an_unknown_type_is_refused: "an unknown type is `Invalid` and makes nothing",
                an_unknown_region_is_refused: "an unknown region is `Invalid` and makes nothing",
                an_unknown_zone_is_refused: "an unknown zone is `Invalid` and makes nothing",
                user_data_beyond_the_limit_is_refused: "too long user data is `Invalid` and not shown",
                fifty_creates_at_once: "50 calls with their own tokens at once get their own machines",
                short_capacity_is_a_shortfall: "what capacity allows is made, and the rest explained",
                a_short_quota_is_a_shortfall: "what the quota allows is made, and the rest explained",
            }
            replay Core {
                the_same_token_gives_the_same_nodes: "a repeated call makes nothing new",
                a_marked_replay_gives_the_same_nodes: "a call marked as replay makes nothing new",
                a_first_call_may_be_marked_as_a_replay: "a replay of what never arrived makes it",
                another_token_gives_other_nodes: "another token makes other machines",
                a_replay_brings_no_deleted_node_back: "a token outlives the machines that it made",
                a_lost_answer_is_put_right_by_a_replay: "after a lost answer a replay is exact",
                a_lost_request_is_put_right_by_a_replay: "after a lost request a replay is exact",
                half_a_create_is_put_right_by_a_replay: "after half a call a replay is exact",
                answers_lost_again_and_again_make_nothing_twice: "three lost answers change nothing",
                a_dropped_create_is_found_by_its_replay: "a future dropped anywhere leaves no orphan",
                a_token_is_bound_to_its_parameters: "a token with other parameters is `Conflict`",
                twenty_creates_with_one_token_are_one: "20 calls with one token at once are one call",
                a_replay_of_a_short_answer_makes_no_more_than_asked_for: "a shortfall is never doubled",
            }
            list Core {
                an_empty_world_is_listed_as_complete: "nothing is invented, and emptiness is certain",
                every_page_is_listed: "more than two pages of nodes are all listed",
                labels_narrow_a_listing: "only nodes with all these labels",
                a_filter_hides_no_match: "a filter leaves out nothing that matches it",
                regions_narrow_a_listing: "only nodes of these regions",
                an_unknown_region_is_not_an_empty_listing: "what cannot be looked at is not empty",
                foreign_nodes_are_listed_on_request_only: "nodes of others stay out unless asked for",
                a_broken_region_is_a_gap: "a region that broke is named, the others are whole",
                a_broken_listing_is_not_an_empty_one: "a failed listing is an error or has gaps",
                a_listing_keeps_up_with_the_world: "deleted nodes leave it, the others stay",
            }
            get Core {
                a_node_is_what_was_made: "`get` shows what `create` answered with",
                an_unknown_node_is_not_found: "an unknown node is `NotFound`",
                a_foreign_node_can_be_looked_at: "`get` shows nodes that we did not make, as such",
                odd_ids_do_no_harm: "paths, quotes and other alphabets in an id touch nothing",
                ids_of_others_are_refused: "another provider's id is `Invalid`, not gone",
                an_id_is_bound_to_its_region: "the same native id elsewhere is another node",
            }
            delete Core {
                a_deleted_node_is_really_gone: "`Gone` is said when nothing is left",
                deleting_again_is_fine: "deleting what is being deleted or gone is fine",
                deleting_what_never_was_is_fine: "deleting what never was is `Gone`",
                deleting_one_leaves_the_others: "no other node is touched",
                a_lost_answer_to_a_deletion_does_no_harm: "a deletion can be repeated",
                a_node_can_be_deleted_at_once: "a node can be deleted before it is up",
            }
            lifecycle Core {
                a_node_comes_up: "a node becomes running and says how to log in",
                a_killed_node_is_not_called_running: "states are read from what really is there",
            }
            errors Core {
                errors_of_check_keep_their_kind: "every kind of error at `check`",
                errors_of_create_keep_their_kind: "every kind of error at `create`",
                a_create_without_answer_admits_that_it_may_have_happened: "effects are not denied",
                errors_of_list_keep_their_kind: "every kind of error at `list`",
                errors_of_get_keep_their_kind: "every kind of error at `get`",
                errors_of_delete_keep_their_kind: "every kind of error at `delete`",
            }
            hygiene Core {
                no_secret_is_shown: "credentials appear in no `Debug`, JSON, node or error",
            }
            catalog Catalog {
                types_are_whole_and_named_once: "types are unique and complete, GPUs consistent",
                offerings_name_known_types_and_regions: "offerings refer to what exists, once each",
                what_can_be_made_is_offered: "the catalog has what `create` makes",
                prices_of_a_type_share_a_currency: "one account, one currency",
            }
            errors Catalog {
                errors_of_the_catalog_keep_their_kind: "every kind of error at the catalog",
            }
            groups Groups {
                a_group_comes_to_its_size: "a group gets its machines, as its spec says",
                a_group_is_made_once_per_token: "the same token gives the same group",
                a_taken_group_name_is_a_conflict: "a name that another token took is `Conflict`",
                a_group_that_cannot_be_is_refused: "impossible sizes and unknown types are `Invalid`",
                a_group_grows: "`grow` adds members and keeps the others",
                growing_neither_shrinks_nor_bursts_a_group: "`grow` below or above is `Invalid`",
                removed_members_are_not_replaced: "the named members go, and the size with them",
                the_minimum_protects_every_member: "below the minimum nothing at all is removed",
                a_dead_member_is_replaced: "the group comes back to its size",
                deleting_a_group_removes_its_members: "group and members go, nothing else",
                an_unknown_group_is_not_found: "an unknown group is `NotFound`",
            }
            errors Groups {
                errors_of_groups_keep_their_kind: "every kind of error at groups",
            }
            balancers Balancers {
                balancers_are_named_once: "names are unique, regions configured",
                a_registered_node_becomes_healthy: "a registered node gets traffic, once",
                a_deregistered_node_drains_and_leaves: "a node that is taken out drains and leaves",
                taking_out_what_is_not_there_is_fine: "`deregister` is idempotent",
                an_unknown_balancer_is_not_found: "an unknown balancer is `NotFound`",
                a_dead_member_gets_no_traffic: "a member that died is not healthy",
            }
            errors Balancers {
                errors_of_balancers_keep_their_kind: "every kind of error at balancers",
            }
            dns Dns {
                zones_are_named_once: "zones are unique and have no trailing dot",
                a_record_is_what_was_written: "every kind of record reads back as written",
                a_record_is_replaced_whole: "`upsert` is idempotent and replaces all values",
                removing_a_record_leaves_the_other_kinds: "`remove` is idempotent and exact",
                a_record_without_values_is_refused: "a record without values is `Invalid`",
                an_unknown_zone_is_not_found: "an unknown zone is `NotFound`",
            }
            errors Dns {
                errors_of_dns_keep_their_kind: "every kind of error at DNS",
            }
            interruptions Interruptions {
                notice_is_given_of_the_right_node: "a node that will be taken away is announced",
                an_undisturbed_node_has_no_notice: "no false alarm",
            }
            errors Interruptions {
                errors_of_interruptions_keep_their_kind: "every kind of error at interruptions",
            }
            catalog Quotas {
                quotas_make_sense: "quotas are named, placed and counted",
                a_node_counts_against_its_quota: "a new node is counted",
            }
            errors Quotas {
                errors_of_quotas_keep_their_kind: "every kind of error at quotas",
            }
        }
    };
}
