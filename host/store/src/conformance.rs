//! What every store must do: one suite, run on SQLite and on PostgreSQL.

mod mirrors;
mod registry;
mod runs;
mod tables;
mod tokens;
mod writer;

use std::future::Future;
use std::time::Duration;

use crate::{HostId, Store, StoreOptions};

#[path = "../../../tests/support/postgres.rs"]
#[expect(dead_code, reason = "only whole-program tests crash it")]
mod postgres;

/// Where a case finds its database; each has one of its own, empty.
pub(crate) struct Place {
    pub(crate) url: String,
}

impl Place {
    /// One more process that opens the store.
    pub(crate) async fn open(&self, host: &str) -> Store {
        Store::open(self.options(host)).await.expect("the store opens")
    }

    pub(crate) fn options(&self, host: &str) -> StoreOptions {
        StoreOptions {
            url: self.url.clone(),
            host: HostId(host.to_owned()),
            host_name: "test".to_owned(),
            connect_timeout: Duration::from_secs(5),
            heartbeat: Duration::from_secs(60),
        }
    }
}

/// Runs a case, on a runtime as the service has one.
fn block_on(case: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    runtime.expect("a runtime starts").block_on(case);
}

/// Each case on an empty SQLite file, a test of its own; and all of them, one after the other, on one PostgreSQL.
macro_rules! conformance {
    ($($module:ident::$case:ident),* $(,)?) => {
        mod sqlite {
            $(
                #[test]
                fn $case() {
                    let folder = tempfile::tempdir().expect("a temporary folder");
                    let url = format!("sqlite:{}", folder.path().join("store.db").display());
                    super::block_on(super::$module::$case(super::Place { url }));
                }
            )*
        }

        /// One test: a server takes seconds to start.
        #[test]
        fn postgres_conforms() {
            let server = postgres::Postgres::start();
            $(
                eprintln!("case {}", stringify!($case));
                block_on($module::$case(Place { url: server.database() }));
            )*
        }
    };
}

conformance! {
    runs::a_run_is_kept_claimed_journalled_and_ended,
    runs::one_idempotency_key_is_one_run,
    runs::a_run_is_appended_to_by_its_owner_only_and_in_order,
    runs::runs_are_listed_newest_first_page_by_page,
    runs::runs_are_claimed_by_priority_then_age,
    runs::notes_are_kept_in_order,
    runs::links_are_kept_with_a_run_and_added_to_it,
    runs::records_of_ended_runs_are_found_by_what_they_hold,
    runs::a_cancel_is_for_good,
    runs::a_run_that_waits_is_cancelled_at_once,
    tables::a_catalog_is_of_one_lake,
    tables::versions_are_found_now_and_at_any_time,
    tables::a_table_that_changed_meanwhile_is_a_conflict,
    tables::what_another_program_does_to_a_table_is_seen,
    tables::progress_only_goes_forward,
    tables::what_was_read_is_followed_up_and_down,
    tables::a_version_is_found_by_its_cache_key_until_it_expires,
    tables::tables_are_listed_by_name_page_by_page,
    tables::two_hosts_commit_in_turn,
    mirrors::what_is_wanted_last_is_wanted_and_only_with_its_commit,
    mirrors::what_a_mirror_lacks_is_found_by_the_next_host,
    mirrors::a_version_that_is_gone_gives_way_unless_another_is_wanted,
    registry::a_component_is_kept_once_and_its_tags_move,
    registry::a_fixed_tag_never_points_at_another,
    registry::a_pipeline_has_versions_that_say_different_things,
    registry::versions_deployed_at_one_time_have_numbers_of_their_own,
    registry::a_component_in_use_is_not_deleted,
    registry::what_nothing_points_at_is_collected,
    tokens::a_token_is_kept_used_and_revoked_for_good,
    tokens::of_hosts_that_begin_on_an_empty_store_one_hands_out_the_first_token,
    tokens::the_audit_log_is_read_newest_first,
    writer::a_refused_write_undoes_itself_alone,
    writer::many_writes_share_transactions,
    writer::a_fenced_host_writes_nothing,
    writer::a_store_of_a_newer_version_is_refused,
    writer::a_reopened_store_has_what_was_answered,
}
