//! The stand-ins against recordings of the real ones: Mattermost here, Authentik in `authentik`,
//! Keycloak in `keycloak`.
//!
//! Each test of Mattermost plays one recording (`tests/data/recordings/mattermost/`) on a server of its own on
//! which recording 01 has happened before, since all recordings use its ids and tokens. Compared
//! are status, header names in order and letter case, header values, `Set-Cookie` texts, error ids
//! with their messages, and bodies member by member.

mod authentik;
mod cases;
mod compare;
mod converge;
mod keycloak;
mod more;
mod provisioner;
mod replay;
mod socket;
mod wire;

use futures_util::future::join_all;
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
    provisioning: PROVISIONING;
}

#[tokio::test]
async fn bootstrap() {
    let mut stage = Stage::empty().await;
    played(&mut stage, &cases::BOOTSTRAP).await;
}

/// Exchanges that wait for the check that comes five seconds after opening.
const SLOW_BASICS: &[usize] = &[5, 6];

#[tokio::test]
async fn socket_basics() {
    let mut stage = Stage::founded().await;
    cases::socket_users(&mut stage).await;
    let report = stage
        .play_some(&cases::SOCKETS, |index| !SLOW_BASICS.contains(&index))
        .await;
    assert!(report.is_empty(), "{}", report.join("\n"));
}

/// All that wait, beside each other, each on a server of its own.
#[tokio::test]
async fn sockets_after_five_seconds() {
    let ends = 0..load(cases::SOCKETS_END.file).len();
    let basics = SLOW_BASICS.iter().map(|index| (&cases::SOCKETS, *index));
    let all = basics.chain(ends.map(|index| (&cases::SOCKETS_END, index)));
    let played =
        all.filter(|(case, index)| !case.skipped.iter().any(|(skipped, _)| skipped == index));
    let reports = join_all(played.map(|(case, index)| async move {
        let mut stage = Stage::founded().await;
        stage.play_some(case, |candidate| candidate == index).await
    }));
    let report = reports.await.concat();
    assert!(report.is_empty(), "{}", report.join("\n"));
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
    assert_eq!((count, total), (37, 571), "exchanges left out, of all");
}
