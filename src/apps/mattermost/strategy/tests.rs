//! Sessions: opened, ended, probed.

use super::super::fake::{ANN, BOT_TOKEN, CSRF, Fake, NOW, SESSION, TOKEN, ann, sessions, user};
use super::*;
use crate::types::{AppToken, SecretText};

/// What an error must be.
type Check = fn(&AppError) -> bool;

const LOGIN: &str = "POST /api/v4/users/login";
const LOGOUT: &str = "POST /api/v4/users/logout";
const MASKED: &str = "api.user.login.invalid_credentials_email_username";

fn listing() -> String {
    format!("GET /api/v4/users/{ANN}/sessions")
}

fn of_ann() -> String {
    format!("GET /api/v4/users/{ANN}")
}

fn revoke() -> String {
    format!("POST /api/v4/users/{ANN}/sessions/revoke")
}

async fn sign_in(fake: &Fake) -> Result<AppSession, AppError> {
    let password: SecretText = "derived-password-1".to_owned().into();
    fake.app(|_, _| ())
        .sign_in(&SignIn {
            remote: &ann(),
            password: &password,
            user_agent: Some("Mozilla/5.0 (X11)"),
            client: Some("192.0.2.7".parse().unwrap()),
        })
        .await
}

fn session() -> AppSession {
    AppSession {
        remote: ann(),
        token: AppToken::new(TOKEN.into()),
        csrf: CSRF.into(),
        id: Some(SESSION.into()),
        expires_at: NOW + Duration::from_secs(3600),
    }
}

#[tokio::test]
async fn a_login_learns_everything_and_sends_no_credential_of_ours() {
    let fake = Fake::start().await;
    fake.logs_in(ANN).on(&listing(), 200, sessions());
    let session = sign_in(&fake).await.unwrap();
    assert_eq!(session.token.expose(), TOKEN);
    assert_eq!(session.csrf, CSRF);
    assert_eq!(session.id.as_deref(), Some(SESSION));
    assert_eq!(session.expires_at, Timestamp(1_797_840_005));

    let asked = &fake.asked(LOGIN)[0];
    assert_eq!(
        asked.json(),
        serde_json::json!({ "id": ANN, "password": "derived-password-1" })
    );
    assert_eq!(asked.header("user-agent"), Some("Mozilla/5.0 (X11)"));
    assert_eq!(asked.header("x-forwarded-for"), Some("192.0.2.7"));
    assert_eq!(asked.header("x-requested-with"), Some("XMLHttpRequest"));
    assert_eq!(asked.header("cookie"), None);
    assert_eq!(asked.header("authorization"), None);
    let bearer = format!("Bearer {BOT_TOKEN}");
    assert_eq!(
        fake.asked(&listing())[0].header("authorization"),
        Some(&*bearer)
    );
    assert_eq!(fake.asked(&listing())[0].header("cookie"), None);
}

#[tokio::test]
async fn a_session_that_can_t_be_looked_up_is_still_one() {
    let fake = Fake::start().await;
    fake.logs_in(ANN)
        .with(&listing(), 502, "Content-Type: text/html\r\n", "");
    let session = sign_in(&fake).await.unwrap();
    assert_eq!(session.id, None);
    assert_eq!(session.expires_at, NOW + Duration::from_secs(2_592_000));
}

#[tokio::test]
async fn a_login_as_somebody_else_is_thrown_away() {
    let fake = Fake::start().await;
    fake.logs_in("jdnxtzhhd385bmcmoa7f5chd8h")
        .on(LOGOUT, 200, r#"{"status":"OK"}"#);
    assert!(sign_in(&fake).await.is_err());
    assert_eq!(fake.asked(LOGOUT).len(), 1);
}

#[tokio::test]
async fn a_login_without_a_usable_token_is_none() {
    for token in ["", "Token: a; MMAUTHTOKEN=b\r\n"] {
        let fake = Fake::start().await;
        let headers = format!("Content-Type: application/json\r\n{token}");
        fake.with(LOGIN, 200, &headers, user(ANN, "ann", "ann@example.test"));
        assert!(matches!(
            sign_in(&fake).await,
            Err(AppError::Unavailable(_))
        ));
    }
}

#[tokio::test]
async fn a_masked_refusal_is_looked_into() {
    let ordinary = user(ANN, "ann", "ann@example.test");
    let cases: [(String, Check); 5] = [
        (ordinary.clone(), |e| matches!(e, AppError::WrongPassword)),
        (
            ordinary.replace("\"delete_at\":0", "\"delete_at\":1"),
            |e| matches!(e, AppError::Deactivated),
        ),
        (
            ordinary.replace("\"auth_service\":\"\"", "\"auth_service\":\"gitlab\""),
            |e| matches!(e, AppError::NotOurs(_)),
        ),
        (
            ordinary.replace("\"roles\"", "\"failed_attempts\":10,\"roles\""),
            |e| matches!(e, AppError::Locked),
        ),
        (
            ordinary.replace("\"roles\"", "\"failed_attempts\":9,\"roles\""),
            |e| matches!(e, AppError::WrongPassword),
        ),
    ];
    for (account, expected) in cases {
        let fake = Fake::start().await;
        fake.refuses(LOGIN, 401, MASKED).on(&of_ann(), 200, account);
        let error = sign_in(&fake).await.unwrap_err();
        assert!(expected(&error), "{error:?}");
        assert_eq!(fake.asked(LOGIN).len(), 1, "a wrong password is tried once");
    }
}

#[tokio::test]
async fn clear_refusals_need_no_second_question() {
    let cases: [(&str, Check); 5] = [
        ("api.user.login.inactive.app_error", |e| {
            matches!(e, AppError::Deactivated)
        }),
        (
            "api.user.check_user_login_attempts.too_many.app_error",
            |e| matches!(e, AppError::Locked),
        ),
        ("api.user.login.bot_login_forbidden.app_error", |e| {
            matches!(e, AppError::NotOurs(_))
        }),
        ("mfa.validate_token.authenticate.app_error", |e| {
            matches!(e, AppError::NotOurs(_))
        }),
        ("api.user.login.not_verified.app_error", |e| {
            matches!(e, AppError::Refused(_))
        }),
    ];
    for (id, expected) in cases {
        let fake = Fake::start().await;
        fake.refuses(LOGIN, 401, id);
        let error = sign_in(&fake).await.unwrap_err();
        assert!(expected(&error), "{id}: {error:?}");
        assert_eq!(fake.asked("").len(), 1);
    }
}

#[tokio::test]
async fn the_queue_gives_up_in_time() {
    let fake = Fake::start().await;
    let app = fake.app(|_, mm| {
        mm.logins = 1;
        mm.login_timeout = Duration::from_millis(30);
    });
    let _turn = app.login_turn().await.unwrap();
    assert!(matches!(app.login_turn().await, Err(AppError::Timeout(_))));
}

#[tokio::test]
async fn a_session_is_ended_by_the_bot_or_by_itself() {
    let fake = Fake::start().await;
    fake.on(&revoke(), 200, r#"{"status":"OK"}"#);
    fake.app(|_, _| ()).sign_out(&session()).await.unwrap();
    assert_eq!(
        fake.asked(&revoke())[0].json(),
        serde_json::json!({ "session_id": SESSION })
    );

    // Gone already.
    let fake = Fake::start().await;
    fake.refuses(&revoke(), 400, "app.session.get.app_error");
    fake.app(|_, _| ()).sign_out(&session()).await.unwrap();
    assert!(fake.asked(LOGOUT).is_empty());

    // The bot's token is dead: the session ends itself.
    let fake = Fake::start().await;
    fake.refuses(&revoke(), 401, "api.context.session_expired.app_error")
        .on(LOGOUT, 200, r#"{"status":"OK"}"#);
    fake.app(|_, _| ()).sign_out(&session()).await.unwrap();
    let bearer = format!("Bearer {TOKEN}");
    assert_eq!(
        fake.asked(LOGOUT)[0].header("authorization"),
        Some(&*bearer)
    );

    // Neither works.
    let fake = Fake::start().await;
    fake.drops(&revoke()).drops(LOGOUT);
    assert!(fake.app(|_, _| ()).sign_out(&session()).await.is_err());
}

#[tokio::test]
async fn a_probe_tells_the_ways_to_die_apart() {
    let ordinary = user(ANN, "ann", "ann@example.test");
    let late = Timestamp(1_797_840_006);
    let cases = [
        (NOW, ordinary.clone(), sessions(), Liveness::Alive),
        (NOW, ordinary.clone(), "[]".to_owned(), Liveness::EndedEarly),
        (late, ordinary.clone(), "[]".to_owned(), Liveness::Expired),
        (late, ordinary.clone(), sessions(), Liveness::Expired),
        (
            NOW,
            ordinary.replace("\"delete_at\":0", "\"delete_at\":1"),
            sessions(),
            Liveness::Deactivated,
        ),
    ];
    for (now, account, list, expected) in cases {
        let fake = Fake::start().await;
        fake.on(&of_ann(), 200, account).on(&listing(), 200, list);
        let app = fake.app_at(now, |_, _| ());
        assert_eq!(app.probe(&session()).await.unwrap(), expected);
        let mut without_id = session();
        without_id.id = None;
        assert_eq!(app.probe(&without_id).await.unwrap(), expected);
    }
}

#[tokio::test]
async fn a_session_without_id_and_csrf_is_probed_by_its_token() {
    let fake = Fake::start().await;
    fake.on(&of_ann(), 200, user(ANN, "ann", "ann@example.test"))
        .on(
            "GET /api/v4/users/me",
            200,
            user(ANN, "ann", "ann@example.test"),
        )
        .refuses(
            "GET /api/v4/users/me",
            401,
            "api.context.session_expired.app_error",
        );
    let mut bare = session();
    (bare.id, bare.csrf) = (None, String::new());
    let app = fake.app(|_, _| ());
    assert_eq!(app.probe(&bare).await.unwrap(), Liveness::Alive);
    assert_eq!(app.probe(&bare).await.unwrap(), Liveness::EndedEarly);
}
