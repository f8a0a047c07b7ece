//! Rules about the sources themselves (T19): every guard has a test that fails without it, modules
//! import what they may, outside bytes can't panic, codes are never renamed.

#[path = "guards/differences.rs"]
mod differences;
#[path = "guards/sealing.rs"]
mod sealing;
#[path = "guards/watching.rs"]
mod watching;

use auth_manager::error::Code;
use auth_manager::portal::{Lang, message};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// A guard: what it is, its file, words of its code, and a test that fails when the guard is taken
/// out.
type Guard = (
    &'static str,
    &'static str,
    &'static str,
    &'static [&'static str],
);

const GUARDS: &[Guard] = &[
    (
        "two assertions are none",
        "src/proxy/edge/mod.rs",
        "fn clean",
        &["t03_two_assertions_are_never_one"],
    ),
    (
        "protected names in every spelling",
        "src/proxy/edge/names.rs",
        "fn ",
        &["t01_every_spelling_of_a_protected_name_is_found"],
    ),
    (
        "one reading of a path",
        "src/proxy/edge/target.rs",
        "fn ",
        &["t14_paths_with_two_readings_are_refused"],
    ),
    (
        "a SCIM connection's no yields to the directory alone that is asked about it",
        "src/directory/gate.rs",
        "fn is_a_gap",
        &["what_scim_was_not_told_shuts_no_gate_that_the_directory_holds_open"],
    ),
    (
        "a membership that the directory denies is none",
        "src/directory/wanted.rs",
        "is_out_of",
        &["what_scim_was_not_told_is_taken_away_as_the_directory_says"],
    ),
    (
        "words of a connection that is not configured any more count for nothing",
        "src/directory/gate.rs",
        "self.connection(said, rules).is_some()",
        &["a_fresh_word_decides_and_a_stale_one_leaves_it_to_the_assertion"],
    ),
    (
        "credentials in the query go",
        "src/proxy/edge/query.rs",
        "fn ",
        &["t23_credentials_go_in_every_spelling"],
    ),
    (
        "the last hop only",
        "src/proxy/edge/forwarded.rs",
        "next_back()",
        &["t12_only_the_last_hops_word_about_the_client_is_passed_on"],
    ),
    (
        "the audience is the host",
        "src/proxy/assertion/claims.rs",
        "aud",
        &["t07_a_token_for_another_app_is_refused"],
    ),
    (
        "anonymous is nobody",
        "src/proxy/assertion/claims.rs",
        "sid",
        &["t05_a_valid_signature_about_nobody_is_nobody"],
    ),
    (
        "blocked routes",
        "src/proxy/visit.rs",
        "Route::Blocked => return Err",
        &["the_apps_own_sign_in_is_closed"],
    ),
    (
        "replay",
        "src/proxy/visit.rs",
        "ReplayVerdict::Refused",
        &["one_assertion_is_not_good_for_other_requests"],
    ),
    (
        "the turned away are not vouched for",
        "src/proxy/vouch.rs",
        "!admission.is_refused()",
        &["t10_whoever_was_turned_away_since_is_vouched_for_no_more"],
    ),
    (
        "a refusal stands until a newer assertion is admitted",
        "src/store/admission.rs",
        "issued > self.refused_at",
        &["a_refusal_stands_until_a_newer_assertion_is_admitted"],
    ),
    (
        "who is turned away is so on every replica",
        "src/proxy/session/mod.rs",
        "self.verdicts",
        &[
            "t10_whoever_one_replica_turned_away_no_replica_vouches_for",
            "t10_a_replica_that_never_served_them_turns_them_away_for_all",
        ],
    ),
    (
        "the audit trail is for admin",
        "src/api/events.rs",
        "Granted<ReadAdmin>",
        &["the_trail_is_for_admin_alone_and_nobody_writes_it"],
    ),
    (
        "what somebody deactivated stays so",
        "src/identity/converge/present.rs",
        "known.done_at().is_some_and(|done| done != at)",
        &[
            "a_deactivation_that_somebody_did_anew_is_no_longer_ours",
            "what_somebody_deactivated_in_the_app_stays_so",
        ],
    ),
    (
        "only what was given is taken away",
        "src/identity/converge/memberships.rs",
        "None if there => return Ok(())",
        &["a_membership_that_was_there_before_is_never_the_bridges"],
    ),
    (
        "power over an app needs a fresh word",
        "src/identity/converge/memberships.rs",
        "group.for_power",
        &["power_over_the_app_needs_a_fresh_word"],
    ),
    (
        "what the app is asked for is on record before",
        "src/identity/converge/memberships.rs",
        "store.intend_membership(&intent)",
        &["t36_a_crash_at_any_step_heals"],
    ),
    (
        "administrators are deactivated by an order only",
        "src/apps/mattermost/provisioner.rs",
        "RemoteKind::Privileged if !order.privileged",
        &["special_accounts_are_never_deactivated_without_an_explicit_order"],
    ),
    (
        "nobody takes a kept bot along",
        "src/apps/mattermost/provisioner.rs",
        "self.spare_bots",
        &["nobody_is_deactivated_whose_going_would_take_a_kept_bot_along"],
    ),
    (
        "lines of nobody known",
        "src/api/finish.rs",
        "strangers.refused",
        &["t40_who_is_nobody_fills_no_log_and_is_counted_all_the_same"],
    ),
    (
        "traces say nothing of the environment",
        "src/telemetry/traces/export.rs",
        ".body(request.into_body())",
        &["the_environment_says_nothing_of_where_traces_go_nor_what_is_in_them"],
    ),
    (
        "a restore excuses what was signed before it",
        "src/audit/checkpoints.rs",
        "mark.time <= restore.time",
        &["a_restore_excuses_what_was_signed_before_it_about_later_records_and_nothing_else"],
    ),
    (
        "the access rule",
        "src/proxy/access/mod.rs",
        "gate::judge(rule, asserted, view",
        &["people_who_may_not_come_in_are_told_why"],
    ),
    (
        "the disabled",
        "src/proxy/access/mod.rs",
        "facts.denied.contains(issuer, subject)",
        &["t26_a_disabled_person_is_out_of_both"],
    ),
    (
        "whom a directory turns away",
        "src/directory/gate.rs",
        "if view.denial().is_some() {\n        return Err(Code::AccessDisabled);",
        &["t10_whoever_a_directory_turns_away_is_out_whatever_the_assertion_says"],
    ),
    (
        "a directory's no shuts a gate",
        "src/directory/gate.rs",
        "Says::No => (false, DecidedBy::Directory)",
        &[
            "t10_one_sources_no_beats_anothers_yes",
            "t10_whoever_left_the_group_is_out_and_comes_back_to_the_same_account",
        ],
    ),
    (
        "an assertion without groups is given nothing",
        "src/directory/gate.rs",
        "rules.grant_to_empty || !asserted.is_empty()",
        &["an_assertion_without_groups_is_never_given_more_than_it_says"],
    ),
    (
        "a bound gate is its group's",
        "src/directory/gate.rs",
        "!group.gone && said.is_in(number)",
        &["a_bound_gate_is_open_to_its_group_whatever_it_is_called"],
    ),
    (
        "a word too old decides nothing",
        "src/directory/gate.rs",
        "said.confirmed_at(self.index)) <= rules.max_age",
        &["a_fresh_word_decides_and_a_stale_one_leaves_it_to_the_assertion"],
    ),
    (
        "who denied decides who may lift",
        "src/store/rules.rs",
        "if !theirs || user.state == UserState::Tombstoned",
        &["who_denied_decides_who_may_lift"],
    ),
    (
        "an id never changes hands",
        "src/directory/intake.rs",
        "Some(now) if now == subject && word.issuer == known.issuer",
        &[
            "t33_a_word_about_another_subject_is_not_believed",
            "t33_an_id_never_changes_hands",
        ],
    ),
    (
        "an older word is dropped",
        "src/store/directory.rs",
        "if is_older(person.read_at, before.person.read_at, now)",
        &["an_older_word_never_replaces_a_newer_one"],
    ),
    (
        "a clock that was ahead keeps no newer word out",
        "src/store/directory.rs",
        "said < known && !ahead(known, Some(now))",
        &["a_word_of_a_clock_that_was_ahead_keeps_no_newer_one_out"],
    ),
    (
        "a clock that was ahead gives nothing",
        "src/directory/gate.rs",
        "Some(true) if said.is_ahead(self.index, now)",
        &["a_fresh_word_decides_and_a_stale_one_leaves_it_to_the_assertion"],
    ),
    (
        "a clock that is set back makes no old reading new",
        "src/proxy/session/log.rs",
        "self.steady() - self.read_after.load(Ordering::Relaxed) <= TTL",
        &["t35_a_reading_of_the_log_is_no_newer_for_a_clock_that_is_set_back"],
    ),
    (
        "a session made while a word came",
        "src/proxy/session/mod.rs",
        "still_welcome(bridge, site, &live, &admitted)",
        &["t10_whoever_left_the_group_is_out_and_comes_back_to_the_same_account"],
    ),
    (
        "sockets of whom a directory shuts out",
        "src/proxy/session/log.rs",
        "bridge.sessions.mute_shut_out(bridge, Some(&whom))",
        &["t10_a_directorys_no_reaches_both_replicas"],
    ),
    (
        "a fresh log",
        "src/proxy/session/mod.rs",
        "must_be_fresh(now)?",
        &["t11_without_its_store_a_replica_refuses_and_comes_back"],
    ),
    (
        "the cookie's session",
        "src/proxy/session/cookie.rs",
        "claims.session() != live.id",
        &["t17_a_cookie_found_good_is_good_for_its_host_and_session_only"],
    ),
    (
        "the cookie's host",
        "src/proxy/session/cookie.rs",
        "&site.config.host, now)",
        &["another_issuer_or_host_is_refused"],
    ),
    (
        "the cookie's key",
        "src/proxy/session/cookie.rs",
        "proven.ring_epoch == ring.epoch()",
        &["t17_a_cookie_found_good_is_no_longer_when_its_key_is_revoked"],
    ),
    (
        "the cookie's host of now",
        "src/proxy/session/cookie.rs",
        "proven.host == site.config.host",
        &["t17_a_cookie_found_good_is_not_good_when_the_apps_host_has_changed"],
    ),
    (
        "an upgrade meets the rule and the keys of now",
        "src/proxy/visit.rs",
        "!bridge.still_admits(",
        &["t26_an_upgrade_that_a_reload_overtakes_is_not_carried"],
    ),
    (
        "sockets of a revoked key",
        "src/proxy/bridge.rs",
        "self.cut_unproven()",
        &["t09_revoking_a_key_ends_what_it_signed_on_both_replicas"],
    ),
    (
        "a 404 is believed of a token that sees everybody",
        "src/directory/authentik/people.rs",
        "self.sees_everybody().await?",
        &[
            "t36_a_lost_permission_does_not_look_like_people_who_are_gone",
            "whoever_is_gone_is_gone_by_a_clear_word_only",
        ],
    ),
    (
        "groups that are hidden are no memberships that ended",
        "src/directory/authentik/people.rs",
        "Err(groups_hidden())",
        &["t36_a_lost_permission_does_not_look_like_people_who_are_gone"],
    ),
    (
        "an empty list for lack of a role is no empty directory",
        "src/directory/keycloak/people.rs",
        "(Some(_), Some(shown)) if !shown.is_empty() => Ok(())",
        &["an_empty_list_for_lack_of_a_role_is_no_empty_realm"],
    ),
    (
        "groups that are hidden, again",
        "src/directory/keycloak/groups.rs",
        "found.len() >= count",
        &["an_empty_list_for_lack_of_a_role_is_no_empty_realm"],
    ),
    (
        "a page goes on from where the last one ended",
        "src/directory/keycloak/groups.rs",
        "again.id() != last.id()",
        &["nobody_loses_a_group_because_somebody_before_them_left_it"],
    ),
    (
        "a short page is no end",
        "src/directory/keycloak/groups.rs",
        "all.len() == before",
        &["a_list_cut_short_takes_no_group_from_anybody"],
    ),
    (
        "a service account is nobody",
        "src/directory/keycloak/people.rs",
        "starts_with(SERVICE_ACCOUNT)",
        &["a_service_account_is_nobody_however_it_is_found"],
    ),
    (
        "a sweep that fails raises the alarm",
        "src/reconcile/handler.rs",
        "counted(&self.metrics, source.id(), error)",
        &["t36_a_keycloak_that_may_not_be_read_takes_nothing_and_raises_the_alarm"],
    ),
    (
        "a list that lacks a group is a reason to ask",
        "src/directory/read/groups.rs",
        "self.take_in_group(&missing.id).await?",
        &["all_groups_concern_those_below_what_changed"],
    ),
    (
        "only a listed group is given by hand",
        "src/directory/writer.rs",
        "if !listed {",
        &[
            "only_a_listed_group_may_be_given_and_by_its_id_alone",
            "nothing_is_given_that_is_not_listed_or_gives_power",
        ],
    ),
    (
        "what gives power is not given by hand",
        "src/directory/writer.rs",
        "for of in &self.0 {",
        &[
            "nothing_that_gives_power_is_given_directly_or_by_way_of_others",
            "a_group_of_administrators_is_never_harmless_listed_or_not",
        ],
    ),
    (
        "a group above that is not shown is not harmless",
        "src/directory/authentik/write/groups.rs",
        "ok_or_else(groups_hidden)?",
        &["a_group_above_that_is_not_shown_may_be_anything"],
    ),
    (
        "an invitation is for an enrolment flow",
        "src/directory/authentik/write/invitations.rs",
        "flow.designation == \"enrollment\"",
        &["nobody_is_invited_to_a_flow_that_is_not_for_enrolment"],
    ),
    (
        "invitations of other flows are not ours to take back",
        "src/directory/authentik/write/invitations.rs",
        "one.flow.as_ref() == Some(&flow.pk)",
        &["an_invitation_is_made_listed_and_taken_back_and_its_link_is_said_once"],
    ),
    (
        "a link is in no answer that is given again",
        "src/api/invitations.rs",
        ".again(&again)",
        &["t34_an_invitation_is_made_listed_and_revoked_and_its_link_is_seen_once"],
    ),
    (
        "nobody whom the directory turns away is validated",
        "src/directory/by_hand/validate.rs",
        "fits(&person)?",
        &["only_people_who_may_come_in_are_validated"],
    ),
    (
        "the writer's token is not the reader's",
        "src/config/write.rs",
        "token.as_ref() == reader",
        &["what_would_let_too_much_be_done_by_hand_refuses_to_start"],
    ),
    (
        "subjects that change hands refuse to start",
        "src/config/directories.rs",
        "Some(\"username\") => ",
        &["t33_a_subject_that_changes_hands_refuses_to_start"],
    ),
    (
        "who wrote meanwhile wins",
        "src/store/sqlite/sealed.rs",
        "AND sealed = ?3",
        &["a_seal_is_replaced_only_while_it_is_what_was_read"],
    ),
    (
        "who wrote meanwhile wins, on PostgreSQL",
        "src/store/postgres/sealed.rs",
        "AND sealed = $3",
        &["a_seal_is_replaced_only_while_it_is_what_was_read"],
    ),
    (
        "a missing master key stops the start",
        "src/runtime/wire.rs",
        "must_open(&*store, &master)",
        &["a_new_master_key_takes_over_and_the_former_is_missed_until_it_has"],
    ),
    (
        "a call needs its cookie",
        "src/proxy/session/mod.rs",
        "Held::Good | Held::Renewable",
        &["t11_a_malformed_cookie_is_nobodys"],
    ),
    (
        "another person's session ends",
        "src/proxy/session/mod.rs",
        "drop_if_foreign(bridge",
        &["t25_the_second_person_never_sees_the_first_ones_session"],
    ),
    (
        "tombstones",
        "src/proxy/session/establish.rs",
        ".tombstone(app, issuer",
        &["revoked_sessions_end_here_and_in_the_app_and_others_do_not"],
    ),
    (
        "carry-over of a live session only",
        "src/proxy/session/establish.rs",
        "session.ended_at.is_none()",
        &["t16_a_cookie_of_an_ended_session_is_never_taken_up_again"],
    ),
    (
        "the page's CSRF value",
        "src/proxy/session/csrf.rs",
        "live.is_csrf",
        &["t29_posts_from_elsewhere_are_refused"],
    ),
    (
        "the origin of a call",
        "src/proxy/session/csrf.rs",
        "!is_ours(site, origin)",
        &["t29_posts_from_elsewhere_are_refused"],
    ),
    (
        "the origin of a socket",
        "src/proxy/session/csrf.rs",
        "!is_ours(site, request.origin())",
        &["t28_an_upgrade_from_another_site_or_without_a_session_is_refused"],
    ),
    (
        "what the identity provider owns",
        "src/proxy/visit.rs",
        "judge_identity(&bytes",
        &["t33_names_and_addresses_are_not_the_visitors_to_change"],
    ),
    (
        "cookies of the app",
        "src/proxy/filter/mod.rs",
        "filter_cookies(site",
        &["no_cookie_or_token_of_the_app_comes_down"],
    ),
    (
        "the header Token",
        "src/proxy/filter/mod.rs",
        "rules.releases(n)",
        &["t24_cookies_of_the_bridges_names_never_come_from_the_app"],
    ),
    (
        "no cookie comes with a static file",
        "src/proxy/visit.rs",
        "remove(http::header::SET_COOKIE)",
        &["t23_a_static_file_brings_no_cookie"],
    ),
    (
        "the accept of a 101",
        "src/proxy/forward/upgrade.rs",
        "!accepted || !websocket",
        &["t27_a_101_that_answers_another_handshake_is_none"],
    ),
    (
        "a message that names a token",
        "src/proxy/forward/tunnel.rs",
        "admits_message",
        &["t24_no_page_call_or_frame_shows_a_token_of_the_apps"],
    ),
    (
        "a refused new password rests",
        "src/apps/mattermost/strategy.rs",
        "self.resets.is_stuck",
        &["t32_page_after_page_never_locks_the_account"],
    ),
    (
        "lost sessions of the app",
        "src/proxy/session/establish.rs",
        "orphans::sweep",
        &["t36_a_session_lost_between_login_and_birth_is_ended_later"],
    ),
    (
        "one job of a lane at a time (SQLite)",
        "src/store/sqlite/jobs.rs",
        "o.state = 'running' OR",
        &["a_lane_is_one_after_the_other"],
    ),
    (
        "one job of a lane at a time (PostgreSQL)",
        "src/store/postgres/jobs.rs",
        "jobs_running",
        &["a_lane_never_runs_two_however_many_claim"],
    ),
    (
        "who is here keeps their jobs (SQLite)",
        "src/store/sqlite/jobs.rs",
        "Err(StoreError::Busy) => return Ok(0)",
        &["t36_who_is_here_keeps_their_jobs_and_who_is_gone_does_not"],
    ),
    (
        "who is here keeps their jobs (PostgreSQL)",
        "src/store/postgres/presence.rs",
        "!= [true]",
        &["t36_who_is_here_keeps_their_jobs_and_who_is_gone_does_not"],
    ),
    (
        "who is not here any more stops",
        "src/jobs/presence.rs",
        "period.cancel()",
        &["t36_whoever_the_server_lost_sight_of_stops_before_another_begins"],
    ),
    (
        "who is not here takes nothing",
        "src/jobs/worker.rs",
        "None => Ok(())",
        &["t36_nobody_takes_a_job_who_is_not_here"],
    ),
    (
        "only its holder ends a job",
        "src/store/sqlite/jobs.rs",
        "WHERE id = ?1 AND holder = ?2 AND state = 'running'",
        &["a_job_of_the_dead_is_taken_over_and_only_the_heir_finishes"],
    ),
    (
        "places for what takes access away",
        "src/jobs/worker.rs",
        "grants: all - kept",
        &["what_hangs_is_never_in_the_way_of_what_takes_access_away"],
    ),
    (
        "a grant gives way",
        "src/jobs/worker.rs",
        "outranked_jobs",
        &["a_grant_gives_way_to_a_deny_of_the_same_person"],
    ),
    (
        "an app that is away is left alone",
        "src/jobs/breaker.rs",
        "*failures >= FAILURES",
        &[
            "failures_one_after_the_other_open_it_and_one_answer_between_does_not",
            "an_app_that_is_away_costs_no_attempt_and_the_most_urgent_asks_whether_it_is_back",
        ],
    ),
    (
        "a store that is away costs no attempt and opens no breaker",
        "src/jobs/handler.rs",
        "counts: !error.passes()",
        &["a_store_that_is_away_is_nobodys_failure_and_one_that_is_broken_is"],
    ),
    (
        "a job does not begin for ever",
        "src/jobs/attempt.rs",
        "self.job.attempts > self.attempts",
        &["t36_a_job_that_kills_whoever_begins_it_is_not_begun_for_ever"],
    ),
    (
        "a panic of a job is its own",
        "src/jobs/attempt.rs",
        "catch_unwind",
        &["a_panic_is_a_failed_attempt_and_the_last_one_is_for_an_operator"],
    ),
    (
        "a birth with its record (SQLite)",
        "src/store/sqlite/sessions.rs",
        "by.records(&Change::Born(session))",
        &[
            "what_cannot_be_recorded_does_not_happen",
            "t11_what_cannot_be_recorded_does_not_happen",
        ],
    ),
    (
        "a birth with its record (PostgreSQL)",
        "src/store/postgres/sessions.rs",
        "by.records(&Change::Born(session))",
        &["what_cannot_be_recorded_does_not_happen"],
    ),
    (
        "a service's call is recorded first",
        "src/proxy/service/mod.rs",
        "trip.account(&entitled, &request).await?",
        &["t11_a_call_that_cannot_be_recorded_does_not_happen"],
    ),
    (
        "one chain for all replicas",
        "src/store/postgres/trail.rs",
        "audit_head FOR UPDATE",
        &["two_replicas_keep_one_chain"],
    ),
    (
        "a configuration is recorded first",
        "src/runtime/serve.rs",
        "can't be recorded in the audit trail",
        &["t11_what_cannot_be_recorded_does_not_happen"],
    ),
    (
        "every link of the audit trail",
        "src/audit/chain.rs",
        "if hash != *record.hash",
        &[
            "every_manipulation_is_found",
            "the_first_bad_record_of_an_export_is_named",
        ],
    ),
    (
        "what is searched by is what a record says",
        "src/audit/verify.rs",
        "&& body.user == record.user",
        &["every_manipulation_is_found"],
    ),
    (
        "a beginning needs its signed anchor",
        "src/audit/verify.rs",
        "Fault::Beginning",
        &["a_removed_beginning_leaves_an_anchor"],
    ),
    (
        "a signature is good for one thing",
        "src/keys/audit.rs",
        "header != self.header(what)",
        &["a_statement_is_good_for_its_use_and_key_only"],
    ),
    (
        "nothing is signed that was not walked",
        "src/audit/keeper.rs",
        "verify::since(",
        &["what_was_changed_is_neither_removed_nor_signed"],
    ),
    (
        "denials are bounded",
        "src/audit/denials.rs",
        "counted.tallies.len() < MOST",
        &["a_storm_of_many_is_bounded_and_what_is_dropped_is_counted"],
    ),
    (
        "strangers have pseudonyms",
        "src/audit/denials.rs",
        "key.pseudonym(issuer, subject)",
        &["t34_a_day_is_on_record_and_nothing_secret_or_personal_is"],
    ),
    (
        "texts of a record are plain",
        "src/audit/event.rs",
        "if odd(c)",
        &["t39_no_text_of_a_record_moves_a_cursor_or_grows_without_end"],
    ),
    (
        "every credential that is shown is good",
        "src/api/caller.rs",
        "refused(shown, \"the certificate is no client's\")",
        &["who_proves_nothing_gets_one_answer_whatever_is_wrong"],
    ),
    (
        "a token is for its audience",
        "src/api/oauth/introspect.rs",
        "if token.is_for(&caller)",
        &["t37_every_no_is_the_same_bytes_and_asks_the_same"],
    ),
    (
        "an audience is the client's",
        "src/api/oauth/exchange.rs",
        "caller.audiences().contains(&audience.id)",
        &["a_stock_client_is_refused_for_every_reason"],
    ),
    (
        "scopes are cut",
        "src/api/oauth/exchange.rs",
        "asked.contains(scope)",
        &["scopes_are_cut_to_what_the_audience_allows"],
    ),
    (
        "a token ends with its session",
        "src/api/oauth/exchange.rs",
        ".min(visitor.until)",
        &["a_session_is_traded_for_a_token_of_one_audience"],
    ),
    (
        "an ended session's tokens",
        "src/proxy/vouch.rs",
        "session.ended_at.is_none()",
        &["t37_a_token_dies_with_what_it_came_from_and_every_no_is_alike"],
    ),
    (
        "a sign-in's tokens after a revocation",
        "src/proxy/vouch.rs",
        "facts.epoch == *epoch",
        &["t37_a_token_dies_with_what_it_came_from_and_every_no_is_alike"],
    ),
    (
        "a revoked token",
        "src/proxy/vouch.rs",
        "if facts.revoked",
        &["a_stock_client_is_refused_for_every_reason"],
    ),
    (
        "the access rule about tokens",
        "src/proxy/vouch.rs",
        "access::still(&site.config.access",
        &["the_access_rule_decides_about_tokens_as_about_requests"],
    ),
    (
        "an assertion passed on by another",
        "src/proxy/vouch.rs",
        "ReplayVerdict::Refused",
        &["a_stock_client_is_refused_for_every_reason"],
    ),
    (
        "a key serves one purpose",
        "src/keys/seal.rs",
        "push_kind(&mut to, *kind)",
        &["a_key_whose_record_says_another_kind_is_refused"],
    ),
    (
        "credentials name the same client",
        "src/api/caller.rs",
        "certificate and bearer are of different clients",
        &["who_proves_nothing_gets_one_answer_whatever_is_wrong"],
    ),
    (
        "what a static bearer carries",
        "src/api/caller.rs",
        "scopes.retain(Scope::allows_static_bearer)",
        &["a_static_bearer_reaches_hooks_alone_even_if_more_is_configured"],
    ),
    (
        "a client assertion is good once",
        "src/api/bearer/verify.rs",
        "self.use_up(claims, expires",
        &["t18_a_client_assertion_is_good_once"],
    ),
    (
        "on whichever replica",
        "src/api/caller.rs",
        "use_up(api, &client, one)",
        &["t18_a_client_assertion_from_before_a_restart_is_refused"],
    ),
    (
        "the audience of a caller's token",
        "src/api/bearer/verify.rs",
        "self.check_audience(claims, audience)?",
        &["a_token_for_somebody_else_or_of_another_kind_is_nobodys"],
    ),
    (
        "the kind of a caller's token",
        "src/api/bearer/verify.rs",
        "self.check_typ(&header)?",
        &["a_token_for_somebody_else_or_of_another_kind_is_nobodys"],
    ),
    (
        "a bound token's certificate",
        "src/api/caller.rs",
        "the token is bound to another certificate",
        &["a_token_bound_to_a_certificate_is_good_with_it_alone"],
    ),
    (
        "what a token is good for",
        "src/api/caller.rs",
        "scopes.retain(|scope| said.contains(scope))",
        &["the_scope_of_a_token_cuts_what_the_client_may"],
    ),
    (
        "revocation lists",
        "src/tls/server.rs",
        ".enforce_revocation_expiration()",
        &["a_revoked_certificate_is_refused_and_so_is_everybody_once_the_list_is_old"],
    ),
    (
        "the scope of an endpoint",
        "src/api/granted.rs",
        "Err(lacks(P::ANY_OF))",
        &["scopes_decide_and_none_implies_another"],
    ),
    (
        "both credentials for changes of admin",
        "src/api/granted.rs",
        "P::ADMIN_CHANGE && api.listener.require_both",
        &["changes_of_admin_may_need_both_credentials"],
    ),
    (
        "both credentials where admin is one of several",
        "src/api/granted.rs",
        "api.listener.require_both && !self.brought_both()",
        &["what_only_admin_may_change_can_need_a_certificate_and_a_token"],
    ),
    (
        "the app of a service's scope",
        "src/api/apps.rs",
        "require(&Scope::Proxy(app.clone()))?",
        &["an_app_is_reached_by_who_has_its_own_scope_and_by_its_own_name"],
    ),
    (
        "a service is no browser",
        "src/proxy/service/mod.rs",
        "no_browser(&parts.headers)?",
        &["browsers_strangers_and_visitors_are_not_services"],
    ),
    (
        "what a service may call",
        "src/proxy/service/entitle.rs",
        "no rule of the service's allow covers it",
        &["t13_what_no_rule_names_is_refused_and_what_gives_power_whatever_a_rule_says"],
    ),
    (
        "what gives power",
        "src/proxy/service/entitle.rs",
        "site.rules.is_powerful(method, below)",
        &["t13_what_no_rule_names_is_refused_and_what_gives_power_whatever_a_rule_says"],
    ),
    (
        "a bot's 401 is not the caller's",
        "src/proxy/service/call.rs",
        "status != StatusCode::UNAUTHORIZED",
        &["an_app_that_refuses_the_bot_is_no_401_of_the_callers"],
    ),
    (
        "a service's socket ends with what let it in",
        "src/proxy/service/socket.rs",
        "!entitled.still_stands(",
        &["t26_a_socket_that_was_opening_when_what_let_it_in_went_is_not_carried"],
    ),
    (
        "the client and the trust behind a service's socket",
        "src/proxy/service/entitle.rs",
        "!self.who.still_stands()",
        &["t26_a_socket_that_was_opening_when_what_let_it_in_went_is_not_carried"],
    ),
    (
        "a service's socket needs to know who is revoked",
        "src/proxy/service/entitle.rs",
        "!bridge.sessions.log.is_fresh(",
        &["t11_a_socket_that_was_opening_when_nobody_knew_who_is_revoked_is_not_carried"],
    ),
    (
        "no older reading of bots over a newer one",
        "src/proxy/service/tokens.rs",
        "self.reading.lock().await",
        &["an_older_reading_never_takes_a_newer_ones_place"],
    ),
    (
        "the account that gets a token is the one judged",
        "src/bots/rotate.rs",
        "known.remote != account.remote",
        &["t33_a_user_name_that_changed_hands_gets_the_former_account_no_token"],
    ),
    (
        "one client for an assertion wherever it is passed on",
        "src/proxy/service/introduce.rs",
        "check_for(&verified, who.client(), now)",
        &["an_assertion_is_one_clients_wherever_it_is_passed_on"],
    ),
    (
        "no cookies of a session that ended elsewhere",
        "src/proxy/service/introduce.rs",
        "|| !lives",
        &["t11_no_cookie_is_handed_over_unrecorded_or_of_a_session_that_ended_elsewhere"],
    ),
    (
        "hosts that a client speaks for",
        "src/proxy/service/introduce.rs",
        "!who.may_speak_for(&site.config.host)",
        &["an_assertion_that_is_passed_on_is_no_replay_and_good_for_one_client_only"],
    ),
    (
        "uses of an assertion that is passed on",
        "src/proxy/service/introduce.rs",
        "used.admit()?",
        &["an_assertion_that_is_passed_on_is_no_replay_and_good_for_one_client_only"],
    ),
    (
        "a bot's new token is tried first",
        "src/bots/rotate.rs",
        "return Err(BotError::NotAccepted)",
        &["a_new_token_that_is_not_accepted_takes_nobodys_place"],
    ),
    (
        "how often a client may ask",
        "src/api/admit.rs",
        "caller.take_turn(",
        &["t40_who_asks_too_often_waits_and_others_do_not"],
    ),
    (
        "a change of what was read",
        "src/store/sqlite/users.rs",
        "if still_as(&user, read)",
        &["a_change_of_what_was_read_needs_it_unchanged"],
    ),
    (
        "a change of what was read, on PostgreSQL",
        "src/store/postgres/users.rs",
        "still_as(&before, read)",
        &["a_change_of_what_was_read_needs_it_unchanged"],
    ),
    (
        "one request under a key",
        "src/store/claims.rs",
        "entry.fingerprint != claim.fingerprint",
        &["a_key_stands_for_one_request_of_one_client"],
    ),
    (
        "If-Match",
        "src/api/rest/precondition.rs",
        "Err(Code::ApiPrecondition.into())",
        &["a_change_is_made_on_what_was_read_or_not_at_all"],
    ),
    (
        "a cursor of its own list",
        "src/api/rest/cursor.rs",
        "*list == P::LIST && marked == mark(filter)",
        &["a_cursor_comes_back_to_its_place_in_its_own_list_only"],
    ),
    (
        "plain HTTP on a socket of systemd's",
        "src/runtime/serve.rs",
        "may_be_plain(&config, \"proxy\"",
        &["a_socket_that_would_weaken_the_bridge_or_serve_nobody_ends_the_start"],
    ),
    (
        "a socket that nobody accepts from",
        "src/runtime/serve.rs",
        "sockets.all_taken()?",
        &["a_socket_that_would_weaken_the_bridge_or_serve_nobody_ends_the_start"],
    ),
    (
        "silence at the end is waited for",
        "src/runtime/accept.rs",
        "timeout(LINGER",
        &["an_upgrade_under_load_refuses_no_connection_and_asks_sockets_to_come_back"],
    ),
    (
        "a restore ends sessions",
        "src/store/archive/load.rs",
        "end_sessions(raw, how, loaded).await?",
        &["a_restore_lets_nobody_back_in"],
    ),
    (
        "a restore revokes keys",
        "src/store/archive/load.rs",
        "UPDATE signing_keys SET state = 'revoked'",
        &["a_dump_goes_into_either_engine_and_is_the_same_there"],
    ),
    (
        "a restore keeps denials",
        "src/store/archive/load.rs",
        "keep_disabled(raw, &former.people",
        &["a_restore_lets_nobody_back_in"],
    ),
    (
        "a dump has an end",
        "src/store/archive/load.rs",
        "None => return Err(broken(\"it ends too early\"))",
        &["pieces_that_are_not_a_whole_dump_change_nothing"],
    ),
    (
        "nothing is restored under a running bridge",
        "src/store/postgres/archive.rs",
        "pg_try_advisory_xact_lock",
        &["a_store_that_is_open_is_not_replaced"],
    ),
    (
        "a SCIM client searches its own connection alone",
        "src/store/scim/sql.rs",
        "r.connection = {connection}",
        &[
            "t31_no_connection_finds_anothers_resources",
            "t31_the_token_of_one_connection_finds_nothing_of_another",
        ],
    ),
    (
        "what a SCIM client says is bound, never written into a statement",
        "src/store/scim/sql.rs",
        "fn bind(",
        &[
            "t31_what_a_client_says_is_never_sql",
            "the_store_finds_what_passes_and_nothing_else",
        ],
    ),
    (
        "SCIM filters are bounded",
        "src/api/scim/filter/mod.rs",
        "terms(&filter) > MOST",
        &[
            "t31_a_filter_is_bounded_in_length_depth_and_terms",
            "t31_filter_bombs_are_refused",
        ],
    ),
    (
        "PATCH operations are bounded",
        "src/api/scim/patch/mod.rs",
        "operations.len() > most",
        &["t31_bodies_nesting_and_operations_are_bounded"],
    ),
    (
        "what PATCH operations look at is bounded",
        "src/api/scim/patch/apply.rs",
        "self.left.checked_sub(values + 1)",
        &["t31_work_is_bounded_however_it_is_asked_for"],
    ),
    (
        "SCIM bodies are bounded",
        "src/api/scim/request.rs",
        "to_bytes(body, most)",
        &["t31_bodies_nesting_and_operations_are_bounded"],
    ),
    (
        "a SCIM change is told before it is answered",
        "src/api/scim/write.rs",
        "self.tell(&written).await?",
        &["t10_who_is_deactivated_is_out_when_the_answer_comes"],
    ),
    (
        "nobody comes back by being left unmentioned",
        "src/api/scim/write.rs",
        "or_insert(Value::Bool(read.active))",
        &["a_user_lives_and_is_gone"],
    ),
    (
        "a word that changed while it was told is due again",
        "src/store/sqlite/scim.rs",
        "AND told < ?2",
        &["a_word_told_while_it_changes_is_due_again"],
    ),
    (
        "the SCIM brake",
        "src/config/scim_model.rs",
        "gone > self.number",
        &[
            "a_brake_holds_beyond_both_number_and_share",
            "t31_when_too_many_go_they_are_out_but_their_accounts_wait",
        ],
    ),
    (
        "the brake of reconciliation",
        "src/reconcile/brake.rs",
        "losing > self.number && over_share",
        &[
            "many_of_a_small_house_are_held",
            "when_a_third_vanishes_nobody_is_deactivated_until_an_operator_says_so",
        ],
    ),
    (
        "a crowd that went keeps its accounts",
        "src/reconcile/drift/crowd.rs",
        "one.user, Care::Held",
        &["a_crowd_that_went_keeps_its_accounts_until_somebody_says_so"],
    ),
    (
        "whose account waits is touched by no job",
        "src/runtime/provision.rs",
        "drift::held_by(user, &self.terms.id, store)",
        &["t31_whose_accounts_wait_stay_as_they_are_until_somebody_decides"],
    ),
    (
        "time and configuration go by the brake",
        "src/directory/intake.rs",
        "if by_look && matches!(wanted.account",
        &[
            "a_changed_configuration_deactivates_nobody_past_the_brake",
            "a_grace_suspends_and_then_disables",
            "t31_whose_accounts_wait_stay_as_they_are_until_somebody_decides",
        ],
    ),
    (
        "a yes is for those who had gone by then",
        "src/reconcile/drift/crowd.rs",
        "(Some(at), Some(since)) if since <= *at",
        &["a_yes_is_not_asked_for_again_unless_they_came_back_and_went_again"],
    ),
    (
        "a held plan is heard of once",
        "src/reconcile/handler.rs",
        "if !anew",
        &["when_a_third_vanishes_nobody_is_deactivated_until_an_operator_says_so"],
    ),
    (
        "what was shown is what is done",
        "src/reconcile/decide.rs",
        "Err(moved) => return Ok(Err(moved))",
        &[
            "a_plan_that_was_shown_is_carried_out_as_shown_or_not_at_all",
            "a_plan_whose_people_are_others_by_now_is_not_carried_out",
        ],
    ),
    (
        "a dead sweep is an operator's",
        "src/reconcile/schedule.rs",
        "is_due(Some(job.updated_at), every, now)",
        &["a_dead_sweep_is_an_operators_until_the_next_time"],
    ),
    (
        "what is only proposed is not dismissed",
        "src/store/sqlite/plans.rs",
        "state = 'proposed' AND ?2 = 'applied'",
        &["one_plan_is_proposed_for_a_directory"],
    ),
    (
        "what somebody closed in the app stays closed",
        "src/reconcile/drift/compare.rs",
        "Drifted::DeactivatedByHand, Whose::App, Care::Left",
        &["what_somebody_changed_in_the_app_is_put_right_by_the_next_sweep_and_no_more_than_that"],
    ),
    (
        "what an app made of a name is not written again and again",
        "src/identity/called.rs",
        "made.says(*part) != seen.says(*part)",
        &[
            "what_an_app_made_of_what_it_was_told_is_as_it_should_be",
            "an_address_that_is_not_to_be_had_is_not_asked_for_again_and_again",
        ],
    ),
    (
        "what was renamed by hand is put right",
        "src/identity/ensure.rs",
        "seen.is_some_and(strays)",
        &["what_somebody_was_renamed_to_by_hand_is_put_right_and_what_is_their_own_is_not"],
    ),
    (
        "an erased person's tokens are not lost",
        "src/store/archive/person.rs",
        "return Err(StoreError::Changed)",
        &["an_erased_person_is_gone_and_a_disabled_one_stays_out"],
    ),
    (
        "a secret that can be guessed",
        "src/config/hooks.rs",
        "weakness(secret)",
        &[
            "t30_a_weak_or_known_bad_secret_refuses_to_start_and_is_never_shown",
            "t30_a_weak_secret_does_not_start",
        ],
    ),
    (
        "a webhook proves itself",
        "src/api/hooks/mod.rs",
        "caller: Granted<granted::Hooks>",
        &["t30_a_wrong_or_missing_secret_gets_one_answer_and_few_lines"],
    ),
    (
        "a secret is its directory's",
        "src/api/hooks/mod.rs",
        "(Some(_), Some(_)) =>",
        &["each_directory_has_its_own_secret_and_rotates_it_without_a_gap"],
    ),
    (
        "only the model part names whom",
        "src/api/hooks/notice.rs",
        "context.get(\"model\")",
        &["t30_a_body_that_names_an_admin_as_recipient_or_actor_asks_about_neither"],
    ),
    (
        "of two models none",
        "src/api/hooks/repr.rs",
        "(Some((_, value)), None)",
        &["a_key_that_is_there_twice_is_none"],
    ),
    (
        "an actor is a subject of few events",
        "src/api/hooks/worth.rs",
        "(About::Person(pk), \"login\")",
        &["t30_a_body_that_names_an_admin_as_recipient_or_actor_asks_about_neither"],
    ),
    (
        "a webhook's body is bounded",
        "src/api/hooks/mod.rs",
        "Limited::new(body, LONGEST)",
        &["t30_huge_slow_and_garbage_bodies_are_refused_and_others_are_served"],
    ),
    (
        "a webhook's body is not waited for",
        "src/api/hooks/mod.rs",
        "timeout(SLOW, whole)",
        &["t30_huge_slow_and_garbage_bodies_are_refused_and_others_are_served"],
    ),
    (
        "an event counts once it is on record",
        "src/api/hooks/sources.rs",
        "source.recorded(event.id",
        &["without_the_store_a_delivery_is_refused_and_counts_when_it_comes_again"],
    ),
    (
        "waiting webhooks are bounded",
        "src/api/hooks/book.rs",
        ".try_send(Entry",
        &["a_store_that_hangs_is_not_waited_for_and_no_more_wait_than_there_is_room_for"],
    ),
    (
        "strangers fill no log",
        "src/api/finish.rs",
        "api.strangers.refused(",
        &["t30_a_wrong_or_missing_secret_gets_one_answer_and_few_lines"],
    ),
];

fn sources(folder: &str) -> Vec<(String, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut folders: Vec<PathBuf> = vec![root.join(folder)];
    let mut found = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).expect("a folder of the repository") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|ext| ext == "rs") {
                let text = std::fs::read_to_string(&path).expect("text");
                let name = path.strip_prefix(root).expect("below the root");
                found.push((name.display().to_string(), text));
            }
        }
    }
    found.sort();
    assert!(!found.is_empty());
    found
}

/// The code that ships: without comments and unit tests.
fn shipped() -> Vec<(String, String)> {
    let test = |name: &str| {
        ["/tests.rs", "/tests/", "/testing/", "/fuzz.rs", "/fake.rs"]
            .iter()
            .any(|part| name.contains(part))
    };
    let mut shipped = sources("src");
    shipped.retain(|(name, _)| !test(name));
    for (_, text) in &mut shipped {
        let mut kept = String::new();
        let mut lines = text.lines();
        while let Some(line) = lines.next() {
            if line.trim() == "#[cfg(test)]" {
                // The item it stands over, to the brace or semicolon that ends it.
                let indent = line.len() - line.trim_start().len();
                let end = format!("{}}}", " ".repeat(indent));
                for line in lines.by_ref() {
                    let attribute = line.trim().starts_with("#[");
                    if line == end
                        || (line.trim_end().ends_with(';')
                            && !attribute
                            && line.len() - line.trim_start().len() == indent)
                    {
                        break;
                    }
                }
                continue;
            }
            if !line.trim_start().starts_with("//") {
                kept.push_str(line);
                kept.push('\n');
            }
        }
        *text = kept;
    }
    shipped
}

#[test]
fn t19_every_guard_stands_and_its_test_exists() {
    let src: BTreeMap<_, _> = sources("src").into_iter().collect();
    let all: Vec<String> = src
        .values()
        .cloned()
        .chain(sources("tests").into_iter().map(|(_, text)| text))
        .collect();
    let mut missing = Vec::new();
    for (what, file, words, tests) in GUARDS {
        if !src.get(*file).is_some_and(|text| text.contains(words)) {
            missing.push(format!("{what}: {file} no longer says {words:?}"));
        }
        for test in *tests {
            let name = format!("fn {test}(");
            if !all.iter().any(|text| text.contains(&name)) {
                missing.push(format!("{what}: there is no test {test}"));
            }
        }
    }
    assert!(missing.is_empty(), "{}", missing.join("\n"));
}

#[test]
fn every_threat_row_has_a_test_that_names_it() {
    let texts: Vec<String> = sources("src")
        .into_iter()
        .chain(sources("tests"))
        .map(|(_, text)| text)
        .collect();
    let missing: Vec<String> = (1..=40)
        .filter(|row| {
            !texts
                .iter()
                .any(|text| text.contains(&format!("fn t{row:02}_")))
        })
        .map(|row| format!("T{row}"))
        .collect();
    assert!(missing.is_empty(), "no test names {missing:?}");
}

#[test]
fn t20_what_a_station_makes_nobody_else_can() {
    // Each says so in its documentation, which the compiler checks.
    for (file, made) in [
        ("src/proxy/edge/clean.rs", "CleanRequest {"),
        ("src/proxy/assertion/mod.rs", "Verified {"),
        ("src/proxy/access/mod.rs", "Admitted {"),
        ("src/proxy/session/mod.rs", "Bound {"),
        ("src/proxy/session/csrf.rs", "Intended("),
        ("src/proxy/swap/mod.rs", "UpstreamRequest("),
        ("src/api/caller.rs", "Caller("),
        ("src/api/apps.rs", "AppCaller {"),
        ("src/api/visitors.rs", "Introducer {"),
        ("src/proxy/service/entitle.rs", "Entitled {"),
        ("src/api/granted.rs", "Granted {"),
    ] {
        let sources = sources("src");
        let (_, text) = sources.iter().find(|(name, _)| name == file).expect(file);
        let refused = text.split("```compile_fail").skip(1);
        let forged = refused.filter_map(|rest| rest.split("```").next());
        assert!(
            forged.into_iter().any(|code| code.contains(made)),
            "{file}: {made}"
        );
    }
}

#[test]
fn every_endpoint_of_the_api_asks_for_a_scope() {
    // What everybody may read, and what every known caller may.
    const OPEN: [&str; 2] = ["src/api/keys.rs", "src/api/metadata.rs"];
    const KNOWN: &str = "src/api/openapi/mod.rs";
    for (name, text) in shipped() {
        if name == "src/api/mod.rs" {
            let open = text.split("fn open()").nth(1).unwrap_or_default();
            let open = open.split("fn resources()").next().unwrap_or_default();
            assert_eq!(open.matches(".merge(").count(), OPEN.len(), "{open}");
            assert!(!open.contains(".route("), "{open}");
        }
        if name.starts_with("src/api/") && text.contains(".route(") && !OPEN.contains(&&*name) {
            let known = name == KNOWN && text.contains("|_: Caller|");
            // A SCIM client's connection is made of a `Granted<Scim>`.
            let of_scim = name.starts_with("src/api/scim/") && text.contains(": Connected");
            let asks = text.contains("Granted<") || text.contains(".require(") || of_scim;
            assert!(asks || known, "{name}: an endpoint that no scope guards");
        }
    }
}

/// What each module may import beside itself.
const IMPORTS: &[(&str, &[&str])] = &[
    ("types", &[]),
    ("error", &["types"]),
    ("telemetry", &["error", "types"]),
    ("tls", &["types"]),
    ("config", &["types"]),
    ("jwks", &["config", "tls", "types"]),
    ("store", &["telemetry", "types"]),
    ("keys", &["store", "types"]),
    ("audit", &["error", "keys", "store", "telemetry", "types"]),
    ("backup", &["keys", "store", "types"]),
    ("portal", &["error", "types"]),
    ("apps", &["config", "error", "keys", "tls", "types"]),
    (
        "api",
        &[
            "apps",
            "audit",
            "config",
            "directory",
            "error",
            "identity",
            "jobs",
            "jwks",
            "keys",
            "reconcile",
            "store",
            "telemetry",
            "tls",
            "types",
        ],
    ),
    ("bots", &["apps", "keys", "store", "types"]),
    (
        "directory",
        &[
            "audit",
            "config",
            "error",
            "jobs",
            "store",
            "telemetry",
            "tls",
            "types",
        ],
    ),
    (
        "identity",
        &[
            "apps",
            "audit",
            "config",
            "error",
            "jobs",
            "keys",
            "store",
            "telemetry",
            "types",
        ],
    ),
    (
        "directory",
        &[
            "apps",
            "audit",
            "config",
            "error",
            "identity",
            "jobs",
            "keys",
            "store",
            "telemetry",
            "tls",
            "types",
        ],
    ),
    (
        "proxy",
        &[
            "api",
            "apps",
            "audit",
            "bots",
            "config",
            "directory",
            "error",
            "identity",
            "jwks",
            "keys",
            "portal",
            "store",
            "telemetry",
            "tls",
            "types",
        ],
    ),
    ("demo", &[]),
];

#[test]
fn modules_import_what_they_may() {
    let mut wrong = BTreeSet::new();
    for (name, text) in shipped() {
        let module = name.split('/').nth(1).unwrap_or_default().to_owned();
        let Some((_, allowed)) = IMPORTS.iter().find(|(of, _)| *of == module) else {
            continue;
        };
        assert!(!text.contains("use crate::{"), "{name}: one `use` a module");
        for (at, _) in text.match_indices("crate::") {
            let rest = &text[at + "crate::".len()..];
            let end = rest.find(|c: char| !c.is_ascii_lowercase() && c != '_');
            let used = &rest[..end.unwrap_or(rest.len())];
            if !used.is_empty() && used != module && !allowed.contains(&used) {
                wrong.insert(format!("{name} imports {used}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// The road knows of the api only what the api's proofs and its wish list say.
#[test]
fn the_road_takes_nothing_of_the_api_but_its_proofs() {
    for (name, text) in shipped()
        .iter()
        .filter(|(name, _)| name.starts_with("src/proxy/"))
    {
        for (at, _) in text.match_indices("crate::api::") {
            let rest = &text[at + "crate::api::".len()..];
            let known = ["apps::", "visitors::"].iter().any(|m| rest.starts_with(m));
            assert!(known, "{name}: {}", rest.lines().next().unwrap_or_default());
        }
    }
}

#[test]
fn outside_bytes_cannot_panic() {
    const PANICS: [&str; 6] = [
        ".unwrap()",
        ".expect(",
        "panic!(",
        "unreachable!(",
        "todo!(",
        "unimplemented!(",
    ];
    // Files whose every panic is about something that ships with the program.
    const ALLOWED: [&str; 1] = ["src/portal/messages.rs"];
    let mut found = Vec::new();
    for (name, text) in shipped() {
        let elsewhere = ["src/demo/", "src/cli/"]
            .iter()
            .any(|f| name.starts_with(f));
        if elsewhere || ALLOWED.contains(&name.as_str()) {
            continue;
        }
        let lines = text
            .lines()
            .filter(|line| PANICS.iter().any(|p| line.contains(p)));
        found.extend(lines.map(|line| format!("{name}: {}", line.trim())));
    }
    assert!(found.is_empty(), "{found:#?}");
}

#[test]
fn secrets_are_exposed_in_few_places() {
    const ALLOWED: [&str; 12] = [
        "src/apps/mattermost/api.rs",
        "src/apps/mattermost/api/shapes.rs",
        "src/config/postgres.rs",
        "src/config/secret.rs",
        "src/directory/authentik/api.rs",
        "src/directory/keycloak/api.rs",
        "src/keys/derive.rs",
        "src/keys/phc.rs",
        "src/mail/post.rs",
        "src/store/postgres/pool.rs",
        "src/telemetry/traces/export.rs",
        "src/types/secret.rs",
    ];
    let mut found: Vec<String> = shipped()
        .into_iter()
        .filter(|(name, text)| text.contains("expose_secret") && !name.starts_with("src/demo/"))
        .map(|(name, _)| name)
        .collect();
    found.retain(|name| !ALLOWED.contains(&name.as_str()));
    assert!(found.is_empty(), "{found:?}");
}

#[test]
fn codes_are_never_renamed_and_each_has_its_words() {
    let snapshot = include_str!("data/codes.txt");
    let old: Vec<&str> = snapshot.lines().collect();
    let now: Vec<String> = Code::ALL
        .iter()
        .map(|code| format!("{} {}", code.as_str(), code.status().as_u16()))
        .collect();
    for line in &old {
        assert!(
            now.iter().any(|have| have == line),
            "{line} is gone: operators filter on it"
        );
    }
    for line in &now {
        assert!(
            old.contains(&line.as_str()),
            "add a line to tests/data/codes.txt: {line}"
        );
    }
    for code in Code::ALL {
        for lang in Lang::ALL {
            let text = message(*code, lang);
            assert!(text.len() > 10, "{} in {lang:?}", code.as_str());
        }
        let (english, french) = (message(*code, Lang::En), message(*code, Lang::Fr));
        assert_ne!(english, french, "{} is not translated", code.as_str());
    }
}
