//! The stand-in Mattermost against recordings of a real one.
//!
//! Each test plays one recording (`tests/data/recordings/mattermost/`) on a server of its own on
//! which recording 01 has happened before, since all recordings use its ids and tokens. Compared
//! are status, header names in order and letter case, header values, `Set-Cookie` texts, error ids
//! with their messages, and bodies member by member.

mod cases;
mod compare;
mod more;
mod replay;
mod socket;
mod wire;

use replay::{Case, Stage, load};

async fn check(case: &Case) {
    let mut stage = Stage::founded().await;
    played(&mut stage, case).await;
}

async fn played(stage: &mut Stage, case: &Case) {
    let report = stage.play(case).await;
    assert!(report.is_empty(), "{}:\n{}", case.file, report.join("\n"));
}

macro_rules! contract {
    ($($name:ident: $case:ident;)*) => {
        $(
            #[tokio::test]
            async fn $name() {
                check(&cases::$case).await;
            }
        )*
    };
}

contract! {
    users_and_login: USERS;
    lock_out: LOCK_OUT;
    token_and_csrf: TOKEN_AND_CSRF;
    session_extension: EXTENSION;
    logout_revoke_deactivate: LOGOUT;
    auth_service: AUTH_SERVICE;
    teams_and_channels: TEAMS;
    user_limit: USER_LIMIT;
    files_and_hooks: FILES;
    transport: TRANSPORT;
    user_patch: PATCH;
    plugin_routes: PLUGINS;
    personal_access_tokens: ACCESS_TOKENS;
    bot_life: BOTS;
}

#[tokio::test]
async fn bootstrap() {
    let mut stage = Stage::empty().await;
    played(&mut stage, &cases::BOOTSTRAP).await;
}

/// Each of these waits for the check that comes five seconds after opening, so they run beside
/// each other.
macro_rules! socket_ends {
    ($($name:ident: $index:literal;)*) => {
        $(
            #[tokio::test]
            async fn $name() {
                let mut stage = Stage::founded().await;
                let report = stage.play_some(&cases::SOCKETS_END, |index| index == $index).await;
                assert!(report.is_empty(), "{}", report.join("\n"));
            }
        )*
        const SOCKETS_END_PLAYED: &[usize] = &[$($index),*];
    };
}

socket_ends! {
    socket_revoked_young: 0;
    socket_revoked_old: 2;
    socket_mute_and_foreign_challenge: 16;
    socket_mute_and_dead_challenge: 18;
    socket_failed_and_dead_challenge: 22;
}

#[test]
fn every_played_session_end_has_its_test() {
    let skipped = cases::SOCKETS_END.skipped;
    let rest = (0..load(cases::SOCKETS_END.file).len())
        .filter(|index| !skipped.iter().any(|(skipped, _)| skipped == index));
    assert_eq!(rest.collect::<Vec<_>>(), SOCKETS_END_PLAYED);
}

/// Two sockets of recording 07 wait for the check after five seconds: a test each.
const SLOW_BASICS: [usize; 2] = [5, 6];

async fn basics(wanted: impl Fn(usize) -> bool) {
    let mut stage = Stage::founded().await;
    cases::socket_users(&mut stage).await;
    let report = stage.play_some(&cases::SOCKETS, wanted).await;
    assert!(report.is_empty(), "{}", report.join("\n"));
}

#[tokio::test]
async fn socket_basics() {
    basics(|index| !SLOW_BASICS.contains(&index)).await;
}

#[tokio::test]
async fn socket_without_token() {
    basics(|index| index == SLOW_BASICS[0]).await;
}

#[tokio::test]
async fn socket_with_dead_token() {
    basics(|index| index == SLOW_BASICS[1]).await;
}

/// What is not played is written down, exists, and does not grow without someone saying so here.
#[test]
fn what_is_left_out() {
    let mut count = 0;
    let mut total = 0;
    for case in cases::ALL {
        let exchanges = load(case.file).len();
        total += exchanges;
        count += case.skipped.len();
        for (index, reason) in case.skipped {
            assert!(*index < exchanges, "{} has no exchange {index}", case.file);
            assert!(reason.len() > 5, "{} #{index} says no reason", case.file);
        }
    }
    assert_eq!((count, total), (37, 506), "exchanges left out, of all");
}
