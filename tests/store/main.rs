//! One suite, every store: each case of `suite!` runs on SQLite (a temporary file) and on
//! PostgreSQL (a cluster of this run's own). What only one of them can show is in a file of its
//! name.

mod accounts;
mod admission;
mod archive;
mod bed;
mod births;
mod bots;
mod claims;
mod directory;
mod endings;
mod erasure;
mod jobs;
mod jobs_model;
mod keys;
mod locks;
mod log;
mod people;
#[path = "../support/pg.rs"]
mod pg;
mod plans;
mod postgres;
mod provision;
mod purge;
mod races;
mod schema;
mod scim;
mod scim_filters;
mod sealed;
mod sessions;
mod sqlite;
mod tokens;
mod trail;
mod workers;

macro_rules! suite {
    ($($file:ident: $($case:ident)*;)*) => {
        mod on_sqlite {
            $(mod $file { $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $case() {
                    crate::$file::$case(crate::bed::Bed::sqlite().await).await;
                }
            )* })*
        }
        mod on_postgres {
            $(mod $file { $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $case() {
                    crate::$file::$case(crate::bed::Bed::postgres().await).await;
                }
            )* })*
        }
    };
}

suite! {
    people:
        a_subject_is_one_user
        attributes_follow_the_newest_assertion
        text_with_a_nul_is_kept_without_it
        users_are_found_by_state_and_search
        users_come_in_pages
        disabling_ends_sessions_and_raises_the_epoch
        an_unchanged_state_logs_nothing
        enabling_tells_the_replicas
        a_change_of_what_was_read_needs_it_unchanged
        nobody_is_none;
    accounts:
        an_intent_is_recorded_once
        a_write_needs_the_version_that_was_read
        a_remote_id_has_one_account_in_an_app
        a_linked_account_names_its_remote
        accounts_are_found_by_what_they_are
        an_account_needs_a_user;
    births:
        a_session_is_born_as_given
        a_tombstone_forbids_a_birth
        a_tombstone_of_a_former_sid_forbids_a_birth
        a_moved_epoch_forbids_a_birth
        a_disabled_person_is_not_born_even_with_the_newest_epoch
        a_second_birth_of_a_sign_in_finds_the_first
        a_sid_is_one_sign_in_only_with_its_subject
        a_session_must_be_its_users
        a_renewal_replaces_the_app_session
        a_renewal_from_an_old_generation_finds_the_new_one
        a_renewal_needs_a_live_session
        a_carry_over_moves_and_remembers
        a_carry_over_remembers_the_newest_sixteen
        a_carry_over_does_not_cross_a_tombstone
        a_carry_over_finds_who_is_there
        a_carry_over_does_not_wake_the_expired;
    sessions:
        sessions_are_listed_newest_first
        sessions_come_in_pages_that_births_do_not_shift
        a_sign_in_has_its_session_while_it_lives
        a_mark_never_goes_back
        marks_of_unknown_sessions_are_no_matter;
    admission:
        who_is_turned_away_is_so_on_every_replica
        there_is_nobody_to_turn_away_without_a_live_session
        of_many_refusals_at_once_one_is_news;
    endings:
        ending_a_session_buries_every_sid
        only_some_reasons_bury
        ending_twice_ends_once
        ending_a_user_in_one_app_leaves_the_other
        ending_a_user_without_sessions_stops_a_birth_under_way
        ending_a_sign_in_without_a_session_buries_it
        ending_a_sign_in_finds_the_session_that_moved_on
        ending_everything_is_one_entry
        ending_an_app_leaves_the_other_and_stops_births_under_way
        a_tombstone_falls_after_its_time
        a_tombstone_never_gets_shorter;
    log:
        the_log_is_read_from_a_number
        numbers_are_in_commit_order_and_without_gaps
        a_wait_ends_with_an_entry
        a_wait_ends_by_itself
        an_entry_before_the_wait_is_not_missed;
    keys:
        a_key_is_added_and_replaced
        a_key_keeps_its_kind
        a_secret_is_written_once
        one_of_many_secrets_stands;
    sealed:
        what_is_sealed_is_counted_by_kind_and_key
        what_is_sealed_otherwise_comes_in_pages
        a_seal_is_replaced_only_while_it_is_what_was_read;
    plans:
        one_plan_waits_for_a_directory
        an_equal_plan_keeps_its_id_and_its_no
        a_plan_is_ended_once
        an_ended_plan_is_forgotten_and_a_held_one_is_not
        a_plan_of_one_app_stands_beside_its_directorys
        one_plan_is_proposed_for_a_directory
        the_last_look_at_an_app_is_kept;
    bots:
        a_bot_is_put_on_record_once
        a_token_is_written_to_what_was_read_and_told
        one_of_many_new_tokens_stands
        a_bots_token_is_resealed_like_everything_else;
    provision:
        an_apps_memberships_are_read_page_by_page
        a_membership_is_an_intent_first_and_on_record_when_given
        what_came_to_nothing_or_went_by_itself_is_not_withdrawn
        memberships_are_of_one_person_one_app_and_one_account
        a_deactivation_is_on_record_when_the_app_wrote_it_down
        a_days_seats_are_counted_once;
    tokens:
        what_stands_behind_a_token_is_read_at_once
        nothing_stands_behind_an_invented_token
        a_revoked_token_is_so_everywhere_until_it_expires;
    locks:
        a_lock_excludes_and_is_given_back
        a_lock_excludes_across_replicas
        waiting_for_a_lock_has_an_end
        another_name_is_another_lock
        giving_up_leaves_no_lock_behind
        many_take_turns;
    claims:
        a_request_is_carried_out_once_and_answered_again
        a_key_stands_for_one_request_of_one_client
        a_claim_of_the_dead_is_taken_over_and_only_the_heir_answers
        a_refused_request_leaves_its_key_free
        answers_are_kept_for_a_time_and_in_number
        one_of_many_claims_is_carried_out;
    directory:
        a_word_is_kept_as_said_and_told
        the_same_word_again_only_moves_its_time
        an_older_word_never_replaces_a_newer_one
        a_word_of_a_clock_that_was_ahead_keeps_no_newer_one_out
        a_change_gives_what_was_known
        another_subject_is_told_of_both
        a_denial_has_its_date
        a_person_is_found_by_other_ids
        people_come_in_pages_by_what_is_asked
        all_that_decides_is_read_at_once
        a_word_is_settled_as_it_was_read
        who_comes_for_the_first_time_unsettles_what_was_said_of_them
        a_forgotten_word_is_told
        one_of_many_first_words_is_the_first
        a_group_is_told_when_it_says_something_else
        a_sources_times_never_go_back
        a_person_told_of_is_pending_until_they_come
        who_denied_decides_who_may_lift;
    jobs:
        wishes_of_one_thing_are_one_job
        many_wishes_go_on_record_together
        a_wish_while_it_runs_runs_it_again
        a_wish_wakes_the_dead
        what_takes_access_away_goes_first
        places_kept_for_the_urgent_take_nothing_else
        a_lane_is_one_after_the_other
        a_lane_never_runs_two_however_many_claim
        a_job_of_the_dead_is_taken_over_and_only_the_heir_finishes
        t36_who_is_here_keeps_their_jobs_and_who_is_gone_does_not
        what_its_holder_works_at_is_not_taken_again
        an_attempt_counts_unless_it_is_said_not_to
        an_operator_retries_and_takes_out_and_it_is_on_record
        a_deny_outranks_what_runs_in_its_lane
        t35_times_of_a_wrong_clock_begin_anew
        jobs_are_found_and_counted
        what_is_done_is_forgotten_and_what_is_open_is_not
        a_wait_for_a_job_ends_with_a_wish
        a_row_of_a_newer_version_is_not_read;
    jobs_model:
        the_queue_is_as_a_small_model_says;
    workers:
        two_replicas_share_the_queue_without_doubling
        t36_killed_again_and_again_nothing_is_lost_and_nothing_is_made_twice;
    purge:
        what_no_longer_matters_is_forgotten
        a_call_removes_a_bounded_number
        the_log_keeps_its_newest_entry;
    races:
        one_of_many_births_stands
        one_of_many_users_is_made
        a_birth_never_survives_an_ending
        a_birth_never_survives_a_disabling
        a_birth_never_survives_ending_everything
        a_renewal_never_survives_a_revocation
        a_carry_over_never_escapes_its_tombstone
        one_of_many_renewals_stands
        one_of_many_writers_of_an_account_wins;
    archive:
        every_table_is_listed_with_what_becomes_of_it
        a_dump_goes_into_either_engine_and_is_the_same_there
        a_restore_lets_nobody_back_in
        a_job_of_a_backup_waits_again
        a_store_that_is_open_is_not_replaced
        pieces_that_are_not_a_whole_dump_change_nothing
        an_older_dump_is_brought_up_to_date
        a_dump_is_of_one_moment_while_the_bridge_writes
        a_restore_does_not_undo_what_a_directory_denied;
    erasure:
        a_person_is_shown_whole_and_nobody_else
        an_erased_person_is_gone_and_a_disabled_one_stays_out
        what_a_directory_said_is_shown_and_erased_but_for_a_denial;
    schema:
        many_open_it_at_once
        a_newer_schema_is_refused
        a_changed_migration_is_refused
        an_unknown_word_is_inconsistent;
    scim:
        one_of_many_same_users_is_made
        an_external_id_is_one_resource_of_its_kind
        a_resource_is_written_as_it_was_read_or_not_at_all
        what_is_deleted_is_gone_but_for_its_last_word
        t31_no_connection_finds_anothers_resources
        whoever_a_membership_concerns_is_due
        a_word_told_while_it_changes_is_due_again
        who_went_lately_is_counted;
    scim_filters:
        the_store_finds_what_passes_and_nothing_else
        t31_what_a_client_says_is_never_sql
        pages_come_in_the_order_that_is_asked_for;
    trail:
        every_change_is_on_record
        what_changes_nothing_is_not_on_record
        what_cannot_be_recorded_does_not_happen
        two_replicas_keep_one_chain
        the_trail_is_searched_by_what_records_say
        every_manipulation_is_found
        a_trail_written_anew_contradicts_its_checkpoints
        a_removed_beginning_leaves_an_anchor;
}
