//! Whose account is whose.

use super::super::fake::{ANN, BOT_TOKEN, Fake, ann, called, user, wanted};
use super::*;
use crate::apps::Provisioner as _;

/// What an error must be.
type Check = fn(&AppError) -> bool;

const BY_EMAIL: &str = "GET /api/v4/users/email/ann@example.test";
const LIMITS: &str = "GET /api/v4/limits/server";
const CREATE: &str = "POST /api/v4/users";
const LOGIN: &str = "POST /api/v4/users/login";
const LOGOUT: &str = "POST /api/v4/users/logout";
const MASKED: &str = "api.user.login.invalid_credentials_email_username";
const SEATS: &str = r#"{"maxUsersLimit":200,"maxUsersHardLimit":250,"activeUserCount":2,"postHistoryLimit":0,"lastAccessiblePostTime":0}"#;

fn of_ann() -> String {
    format!("GET /api/v4/users/{ANN}")
}

fn preferences() -> String {
    format!("PUT /api/v4/users/{ANN}/preferences")
}

/// A server on which nobody has Ann's e-mail.
async fn empty() -> Fake {
    let fake = Fake::start().await;
    fake.refuses(BY_EMAIL, 404, "app.user.missing_account.const")
        .on(LIMITS, 200, SEATS)
        .on(&preferences(), 200, r#"{"status":"OK"}"#);
    fake
}

/// A server on which Ann's account exists, by e-mail.
async fn taken(account: &str) -> Fake {
    let fake = Fake::start().await;
    fake.on(BY_EMAIL, 200, account);
    fake
}

fn ordinary() -> String {
    user(ANN, "ann", "ann@example.test")
}

fn is_created(ensured: &Ensured) -> Option<bool> {
    match ensured {
        Ensured::Theirs {
            remote, created, ..
        } => {
            assert_eq!(remote.as_str(), ANN);
            Some(*created)
        }
        Ensured::Conflict { .. } => None,
    }
}

fn why(ensured: Ensured) -> String {
    match ensured {
        Ensured::Conflict { why, .. } => why,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_new_person_gets_an_account_with_the_derived_password() {
    let fake = empty().await;
    fake.on(CREATE, 201, ordinary());
    let ensured = fake.app(|_, _| ()).ensure_account(&wanted()).await.unwrap();
    assert_eq!(is_created(&ensured), Some(true));
    let asked = &fake.asked(CREATE)[0];
    let json = asked.json();
    assert_eq!(json["username"], "ann");
    assert_eq!(json["email"], "ann@example.test");
    assert_eq!(json["password"], "derived-password-1");
    assert_eq!(
        (&json["first_name"], &json["last_name"]),
        (&"Ann".into(), &"Lee".into())
    );
    assert_eq!(json["locale"], "fr");
    assert_eq!(json["email_verified"], true);
    assert_eq!(json["disable_welcome_email"], true);
    assert_eq!(asked.header("host"), Some("chat.example.test"));
    assert_eq!(asked.header("x-forwarded-proto"), Some("https"));
    assert_eq!(
        asked.header("authorization"),
        Some(&*format!("Bearer {BOT_TOKEN}"))
    );
    assert_eq!(asked.header("cookie"), None);
    assert_eq!(
        fake.asked(&preferences())[0]
            .json()
            .as_array()
            .unwrap()
            .len(),
        4
    );
}

#[tokio::test]
async fn the_first_person_of_a_server_is_never_made_by_a_visit() {
    let fake = Fake::start().await;
    fake.refuses(BY_EMAIL, 404, "app.user.missing_account.const")
        .on(LIMITS, 200, SEATS.replace(":2,", ":0,"));
    let error = fake
        .app(|_, _| ())
        .ensure_account(&wanted())
        .await
        .unwrap_err();
    assert!(matches!(error, AppError::Refused(_)), "{error}");
    assert!(fake.asked(CREATE).is_empty());
}

#[tokio::test]
async fn a_known_account_is_read_and_nothing_else() {
    let fake = Fake::start().await;
    fake.on(&of_ann(), 200, ordinary());
    let mut known = wanted();
    known.remote = Some(ann());
    let ensured = fake.app(|_, _| ()).ensure_account(&known).await.unwrap();
    assert_eq!(is_created(&ensured), Some(false));
    assert_eq!(fake.asked("").len(), 1);
}

#[tokio::test]
async fn a_known_account_that_changed_is_not_signed_in_to() {
    let cases: [(u16, String, Check); 4] = [
        (
            404,
            r#"{"id":"app.user.missing_account.const","message":"Unable to find the user."}"#
                .into(),
            |e| matches!(e, AppError::Gone),
        ),
        (
            200,
            ordinary().replace("\"delete_at\":0", "\"delete_at\":1795248005641"),
            |e| matches!(e, AppError::Deactivated),
        ),
        (
            200,
            ordinary().replace(
                "\"auth_service\":\"\"",
                "\"auth_data\":\"1\",\"auth_service\":\"gitlab\"",
            ),
            |e| matches!(e, AppError::NotOurs(_)),
        ),
        (
            200,
            ordinary().replace(ANN, "q47p1dk8gjymie6pj38arqjrsh"),
            |e| matches!(e, AppError::Unavailable(_)),
        ),
    ];
    for (status, body, expected) in cases {
        let fake = Fake::start().await;
        fake.on(&of_ann(), status, body);
        let mut known = wanted();
        known.remote = Some(ann());
        let error = fake
            .app(|_, _| ())
            .ensure_account(&known)
            .await
            .unwrap_err();
        assert!(expected(&error), "{error:?}");
    }
}

#[tokio::test]
async fn the_same_e_mail_is_a_conflict_unless_a_rule_says_otherwise() {
    for (link, verified, expected) in [
        (LinkPolicy::Never, true, None),
        (LinkPolicy::Operator, true, None),
        (LinkPolicy::VerifiedEmail, false, None),
        (LinkPolicy::VerifiedEmail, true, Some(false)),
    ] {
        let fake = taken(&ordinary()).await;
        let mut wanted = wanted();
        wanted.email_verified = verified;
        let app = fake.app(|_, mm| mm.link = link);
        let ensured = app.ensure_account(&wanted).await.unwrap();
        assert_eq!(is_created(&ensured), expected, "{link:?} {verified}");
        // No password was tried on a stranger's account.
        assert_eq!(fake.asked("").len(), 1);
    }
}

#[tokio::test]
async fn special_accounts_are_never_adopted_by_any_rule() {
    let changes = [
        (
            "\"roles\":\"system_user\"",
            "\"roles\":\"system_user system_admin\"",
        ),
        (
            "\"roles\":\"system_user\"",
            "\"roles\":\"system_user\",\"is_bot\":true",
        ),
        ("\"remote_id\":\"\"", "\"remote_id\":\"r1\""),
        ("\"delete_at\":0", "\"delete_at\":1"),
        ("\"auth_service\":\"\"", "\"auth_service\":\"gitlab\""),
    ];
    for (from, to) in changes {
        let account = ordinary().replace(from, to);
        let fake = taken(&account).await;
        fake.on(&of_ann(), 200, &account);
        let app = fake.app(|_, mm| mm.link = LinkPolicy::VerifiedEmail);
        let mut tried = wanted();
        tried.earlier_try = true;
        assert!(
            why(app.ensure_account(&tried).await.unwrap()).starts_with("it "),
            "{to}"
        );
        let mut ordered = wanted();
        ordered.adopt = Some(ann());
        assert!(
            why(app.ensure_account(&ordered).await.unwrap()).starts_with("it "),
            "{to}"
        );
        assert!(fake.asked(LOGIN).is_empty());
        let error = app
            .reset_password(&ann(), &"derived-password-1".to_owned().into())
            .await
            .unwrap_err();
        assert!(
            matches!(error, AppError::NotOurs(_) | AppError::Deactivated),
            "{to}"
        );
    }
}

#[tokio::test]
async fn an_operator_s_word_is_taken_where_operators_decide() {
    for (link, expected) in [
        (LinkPolicy::Never, None),
        (LinkPolicy::Operator, Some(false)),
        (LinkPolicy::VerifiedEmail, Some(false)),
    ] {
        let fake = Fake::start().await;
        fake.on(&of_ann(), 200, user(ANN, "other", "other@example.test"));
        let mut ordered = wanted();
        ordered.adopt = Some(ann());
        let app = fake.app(|_, mm| mm.link = link);
        assert_eq!(
            is_created(&app.ensure_account(&ordered).await.unwrap()),
            expected
        );
    }
}

#[tokio::test]
async fn an_interrupted_try_is_proven_by_its_password() {
    let fake = taken(&ordinary()).await;
    fake.logs_in(ANN).on(LOGOUT, 200, r#"{"status":"OK"}"#);
    let mut tried = wanted();
    tried.earlier_try = true;
    let ensured = fake.app(|_, _| ()).ensure_account(&tried).await.unwrap();
    assert_eq!(is_created(&ensured), Some(true));
    assert_eq!(fake.asked(LOGIN).len(), 1);
    // The session that proved it is ended.
    assert_eq!(
        fake.asked(LOGOUT)[0].header("authorization"),
        Some(&*format!("Bearer {}", super::super::fake::TOKEN))
    );
}

#[tokio::test]
async fn a_stranger_s_account_stays_so_and_is_never_locked() {
    let fake = taken(&ordinary()).await;
    fake.refuses(LOGIN, 401, MASKED);
    let mut tried = wanted();
    tried.earlier_try = true;
    let app = fake.app(|_, _| ());
    assert_eq!(is_created(&app.ensure_account(&tried).await.unwrap()), None);
    assert_eq!(fake.asked(LOGIN).len(), 1);

    let nearly = ordinary().replace("\"delete_at\":0", "\"delete_at\":0,\"failed_attempts\":3");
    let fake = taken(&nearly).await;
    let app = fake.app(|_, _| ());
    assert_eq!(is_created(&app.ensure_account(&tried).await.unwrap()), None);
    assert!(fake.asked(LOGIN).is_empty());
}

#[tokio::test]
async fn a_taken_user_name_gets_a_number() {
    let fake = empty().await;
    fake.refuses(CREATE, 400, USERNAME_EXISTS)
        .refuses(CREATE, 400, USERNAME_EXISTS)
        .on(CREATE, 201, user(ANN, "ann-3", "ann@example.test"));
    let ensured = fake.app(|_, _| ()).ensure_account(&wanted()).await.unwrap();
    assert_eq!(is_created(&ensured), Some(true));
    let names: Vec<_> = fake
        .asked(CREATE)
        .iter()
        .map(|a| a.json()["username"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(names, ["ann", "ann-2", "ann-3"]);
}

#[tokio::test]
async fn an_interrupted_try_under_another_e_mail_is_found_by_its_user_name() {
    let by_name = "GET /api/v4/users/username/ann";
    for (account, mine) in [
        (user(ANN, "ann", "former@example.test"), true),
        (
            user(ANN, "ann", "x@example.test").replace("Lee", "Roe"),
            false,
        ),
        (
            user(ANN, "ann", "x@example.test")
                .replace("\"roles\"", "\"failed_attempts\":1,\"roles\""),
            false,
        ),
    ] {
        let fake = empty().await;
        fake.refuses(CREATE, 400, USERNAME_EXISTS)
            .on(CREATE, 201, ordinary())
            .on(by_name, 200, account)
            .logs_in(ANN)
            .on(LOGOUT, 200, r#"{"status":"OK"}"#);
        let mut tried = wanted();
        tried.earlier_try = true;
        let ensured = fake.app(|_, _| ()).ensure_account(&tried).await.unwrap();
        assert_eq!(is_created(&ensured), Some(true));
        assert_eq!(fake.asked(LOGIN).len(), usize::from(mine));
        assert_eq!(fake.asked(CREATE).len(), if mine { 1 } else { 2 });
    }
}

#[tokio::test]
async fn user_names_are_tried_a_bounded_number_of_times() {
    let fake = empty().await;
    fake.refuses(CREATE, 400, USERNAME_EXISTS);
    let ensured = fake.app(|_, _| ()).ensure_account(&wanted()).await.unwrap();
    assert!(why(ensured).contains("ann-2"));
    assert_eq!(fake.asked(CREATE).len(), 6);
    assert!(fake.asked(LOGIN).is_empty());
}

#[tokio::test]
async fn a_creation_that_may_have_happened_is_found_and_proven() {
    let fake = Fake::start().await;
    fake.refuses(BY_EMAIL, 404, "app.user.missing_account.const")
        .on(BY_EMAIL, 200, ordinary())
        .on(LIMITS, 200, SEATS)
        .drops(CREATE)
        .logs_in(ANN)
        .on(LOGOUT, 200, r#"{"status":"OK"}"#);
    let ensured = fake.app(|_, _| ()).ensure_account(&wanted()).await.unwrap();
    assert_eq!(is_created(&ensured), Some(true));
    assert_eq!(fake.asked(CREATE).len(), 1);
}

#[tokio::test]
async fn a_creation_that_did_not_happen_is_tried_again_later() {
    let fake = empty().await;
    fake.drops(CREATE);
    let error = fake
        .app(|_, _| ())
        .ensure_account(&wanted())
        .await
        .unwrap_err();
    assert!(error.is_transient(), "{error:?}");
}

#[tokio::test]
async fn somebody_faster_with_the_same_e_mail_is_a_conflict() {
    let fake = Fake::start().await;
    fake.refuses(BY_EMAIL, 404, "app.user.missing_account.const")
        .on(BY_EMAIL, 200, ordinary())
        .on(LIMITS, 200, SEATS)
        .refuses(CREATE, 400, EMAIL_EXISTS);
    let ensured = fake.app(|_, _| ()).ensure_account(&wanted()).await.unwrap();
    assert_eq!(is_created(&ensured), None);
    assert!(fake.asked(LOGIN).is_empty());
}

#[tokio::test]
async fn refusals_of_the_server_keep_their_meaning() {
    for (status, id, expected) in [
        (
            400,
            "api.user.create_user.user_limits.exceeded",
            "the app has no seat left",
        ),
        (
            400,
            "api.user.create_user.accepted_domain.app_error",
            "the app refused",
        ),
        (
            403,
            "api.user.create_user.no_open_server",
            "the bridge's credential is refused",
        ),
    ] {
        let fake = empty().await;
        fake.refuses(CREATE, status, id);
        let error = fake
            .app(|_, _| ())
            .ensure_account(&wanted())
            .await
            .unwrap_err();
        assert!(error.to_string().starts_with(expected), "{error}");
    }
}

#[tokio::test]
async fn an_odd_address_is_replaced_by_the_stand_in() {
    let fake = Fake::start().await;
    fake.refuses(
        "GET /api/v4/users/email/u1@chat.example.test.invalid",
        404,
        "app.user.missing_account.const",
    )
    .on(LIMITS, 200, SEATS)
    .on(CREATE, 201, ordinary());
    let mut odd = wanted();
    odd.email = "\"ann@example.test\"@evil.test".into();
    fake.app(|_, mm| mm.link = LinkPolicy::VerifiedEmail)
        .ensure_account(&odd)
        .await
        .unwrap();
    assert_eq!(
        fake.asked(CREATE)[0].json()["email"],
        "u1@chat.example.test.invalid"
    );
}

#[tokio::test]
async fn only_differences_are_patched() {
    let patch = format!("PUT /api/v4/users/{ANN}/patch");
    let fake = Fake::start().await;
    fake.on(&of_ann(), 200, ordinary())
        .on(&patch, 200, ordinary());
    let app = fake.app(|_, _| ());
    app.update_account(&ann(), &called()).await.unwrap();
    assert!(fake.asked(&patch).is_empty());

    let mut changed = called();
    changed.name = "Ann Roe".into();
    changed.username = Some("annie".into());
    app.update_account(&ann(), &changed).await.unwrap();
    assert_eq!(
        fake.asked(&patch)[0].json(),
        serde_json::json!({ "username": "annie", "last_name": "Roe" })
    );
}

#[tokio::test]
async fn an_e_mail_that_another_has_is_a_conflict_and_nothing_changes() {
    let fake = Fake::start().await;
    fake.on(&of_ann(), 200, ordinary())
        .refuses(&format!("PUT /api/v4/users/{ANN}/patch"), 400, EMAIL_EXISTS)
        .on(
            "GET /api/v4/users/email/new@example.test",
            200,
            user("jdnxtzhhd385bmcmoa7f5chd8h", "bob", "new@example.test"),
        );
    let mut changed = called();
    changed.email = "new@example.test".into();
    let ensured = fake
        .app(|_, _| ())
        .update_account(&ann(), &changed)
        .await
        .unwrap();
    assert!(
        matches!(ensured, Ensured::Conflict { remote: Some(r), .. } if r.as_str().starts_with("jdn"))
    );
}

#[tokio::test]
async fn an_e_mail_that_the_app_keeps_back_is_reported_as_it_is() {
    let fake = Fake::start().await;
    fake.on(&of_ann(), 200, ordinary()).on(
        &format!("PUT /api/v4/users/{ANN}/patch"),
        200,
        ordinary(),
    );
    let mut changed = called();
    changed.email = "new@example.test".into();
    let ensured = fake
        .app(|_, _| ())
        .update_account(&ann(), &changed)
        .await
        .unwrap();
    assert!(
        matches!(ensured, Ensured::Theirs { profile, .. } if profile.email == "ann@example.test")
    );
}

#[tokio::test]
async fn what_would_be_written_is_what_is_written() {
    let texts = [
        ordinary(),
        ordinary().replace("\"Lee\"", "\"Roe\""),
        ordinary().replace("ann@example.test", "other@example.test"),
        ordinary().replace("\"username\":\"ann\"", "\"username\":\"annie\""),
        ordinary().replace("\"nickname\":\"\"", "\"nickname\":\"Annie\""),
        ordinary().replace("\"position\":\"\"", "\"position\":\"Head\""),
        ordinary().replace("\"locale\":\"en\"", "\"locale\":\"fr\""),
        ordinary()
            .replace("\"Lee\"", "\"Roe\"")
            .replace("system_user", "system_user system_admin"),
        ordinary()
            .replace("\"Lee\"", "\"Roe\"")
            .replace("\"auth_service\":\"\"", "\"auth_service\":\"gitlab\""),
        ordinary()
            .replace("\"Lee\"", "\"Roe\"")
            .replace("system_user", "system_guest"),
    ];
    // In another spelling, as directories have it: the app's own is no difference.
    let wanted = WantedProfile {
        username: Some("ann".into()),
        name: " Ann  Lee ".into(),
        email: "ANN@example.TEST".into(),
    };
    let mut written = Vec::new();
    for text in texts {
        let patch = format!("PUT /api/v4/users/{ANN}/patch");
        let fake = Fake::start().await;
        fake.on(&of_ann(), 200, text.clone())
            .on(&patch, 200, ordinary());
        let app = fake.app(|_, _| ());
        let seen = app.look(&ann()).await.unwrap().unwrap();
        let would = app.would_write(&seen, &wanted);
        app.update_account(&ann(), &wanted).await.unwrap();
        let asked = fake.asked(&patch);
        let json = asked.first().map(|asked| asked.json());
        let keys = json
            .iter()
            .flat_map(|json| json.as_object().unwrap().keys());
        let keys: Vec<_> = keys.map(String::as_str).collect();
        let mut said: Vec<_> = would.iter().map(|one| one.as_str()).collect();
        said.sort_unstable();
        assert_eq!(said, keys, "{text}");
        written.push(said.join(" "));
    }
    let expected = ["", "last_name", "email", "username", "", "", "", "", "", ""];
    assert_eq!(written, expected);
}

#[tokio::test]
async fn special_accounts_are_not_patched() {
    let fake = Fake::start().await;
    fake.on(
        &of_ann(),
        200,
        ordinary().replace("system_user", "system_user system_admin"),
    );
    let mut changed = called();
    changed.name = "Other Name".into();
    fake.app(|_, _| ())
        .update_account(&ann(), &changed)
        .await
        .unwrap();
    assert_eq!(fake.asked("").len(), 1);
}

const BY_NAME: &str = "GET /api/v4/teams/name/alpha";
const TEAM: &str = "frx5tsu93igjdku6hk4byi4mua";

fn team() -> String {
    format!(r#"{{"id":"{TEAM}","delete_at":0,"name":"alpha","type":"I"}}"#)
}

fn members() -> String {
    format!("POST /api/v4/teams/{TEAM}/members")
}

fn member() -> String {
    format!(r#"{{"team_id":"{TEAM}","user_id":"{ANN}","roles":"team_user","delete_at":0}}"#)
}

#[tokio::test]
async fn the_team_is_looked_up_once() {
    let fake = Fake::start().await;
    fake.on(BY_NAME, 200, team()).on(&members(), 201, member());
    let app = fake.app(|_, _| ());
    app.ensure_memberships(&ann()).await.unwrap();
    app.ensure_memberships(&ann()).await.unwrap();
    assert_eq!(fake.asked(BY_NAME).len(), 1);
    assert_eq!(
        fake.asked(&members())[1].json(),
        serde_json::json!({ "team_id": TEAM, "user_id": ANN })
    );
}

#[tokio::test]
async fn a_full_or_missing_team_is_said_clearly() {
    let fake = Fake::start().await;
    fake.on(BY_NAME, 200, team()).refuses(
        &members(),
        400,
        "app.team.join_user_to_team.save_member.max_accounts.app_error",
    );
    let error = fake
        .app(|_, _| ())
        .ensure_memberships(&ann())
        .await
        .unwrap_err();
    assert!(matches!(error, AppError::TeamFull(_)));

    let fake = Fake::start().await;
    fake.refuses(BY_NAME, 404, "app.team.get_by_name.missing.app_error")
        .on("POST /api/v4/teams", 201, team())
        .on(&members(), 201, member());
    let error = fake
        .app(|_, _| ())
        .ensure_memberships(&ann())
        .await
        .unwrap_err();
    assert!(error.to_string().contains("create_team"), "{error}");
    fake.app(|_, mm| mm.create_team = true)
        .ensure_memberships(&ann())
        .await
        .unwrap();
}

#[tokio::test]
async fn a_team_made_anew_is_found_again() {
    let fake = Fake::start().await;
    fake.on(
        BY_NAME,
        200,
        team().replace(TEAM, "b6e6ydd4ff8pjyoi9cisd3cc8h"),
    )
    .on(BY_NAME, 200, team())
    .refuses(
        "POST /api/v4/teams/b6e6ydd4ff8pjyoi9cisd3cc8h/members",
        404,
        "app.team.get.find.app_error",
    )
    .on(&members(), 201, member());
    fake.app(|_, _| ())
        .ensure_memberships(&ann())
        .await
        .unwrap();
}

#[tokio::test]
async fn a_password_is_set_as_a_hash_with_a_text_flag() {
    let set = format!("PUT /api/v4/users/{ANN}/password");
    let fake = Fake::start().await;
    fake.on(&of_ann(), 200, ordinary())
        .on(&set, 200, r#"{"status":"OK"}"#);
    fake.app(|_, _| ())
        .reset_password(&ann(), &"derived-password-1".to_owned().into())
        .await
        .unwrap();
    let json = fake.asked(&set)[0].json();
    assert_eq!(json["already_hashed"], "true");
    let phc = json["new_password"].as_str().unwrap();
    assert!(
        phc.starts_with("$pbkdf2$f=SHA256,w=600000,l=32$") && phc.len() == 97,
        "{phc}"
    );
}

#[tokio::test]
async fn what_is_not_the_api_is_unavailable() {
    for (status, headers) in [
        (200, "Content-Type: text/html\r\n"),
        (302, "Location: https://evil.test/\r\n"),
        (502, "Content-Type: text/html\r\n"),
        (200, ""),
    ] {
        let fake = Fake::start().await;
        fake.with(&of_ann(), status, headers, "<html>");
        let mut known = wanted();
        known.remote = Some(ann());
        let error = fake
            .app(|_, _| ())
            .ensure_account(&known)
            .await
            .unwrap_err();
        assert!(matches!(error, AppError::Unavailable(_)), "{error:?}");
    }
    let fake = Fake::start().await;
    fake.with(
        &of_ann(),
        429,
        "Content-Type: text/plain\r\nX-Ratelimit-Reset: 3\r\n",
        "limit exceeded\n",
    );
    let mut known = wanted();
    known.remote = Some(ann());
    let error = fake
        .app(|_, _| ())
        .ensure_account(&known)
        .await
        .unwrap_err();
    assert!(
        matches!(error, AppError::RateLimited(d) if d.as_secs() == 3),
        "{error:?}"
    );
}

#[tokio::test]
async fn the_base_path_and_a_new_token_are_used() {
    let fake = Fake::start().await;
    fake.on(&format!("GET /chat/api/v4/users/{ANN}"), 200, ordinary());
    let app = fake.app(|app, _| app.base_path = "/chat".into());
    app.set_bot_token("strh8n8tw3b8fffyyddjauynea".to_owned().into())
        .unwrap();
    assert!(app.set_bot_token("a b\n".to_owned().into()).is_err());
    let mut known = wanted();
    known.remote = Some(ann());
    app.ensure_account(&known).await.unwrap();
    assert_eq!(
        fake.asked("")[0].header("authorization"),
        Some("Bearer strh8n8tw3b8fffyyddjauynea")
    );
}

#[tokio::test]
async fn an_id_that_is_none_goes_nowhere() {
    let fake = Fake::start().await;
    let app = fake.app(|_, _| ());
    for id in ["..", "a/../b", "me?x=1", "a%2fb"] {
        let mut odd = wanted();
        odd.remote = Some(RemoteId::new(id).unwrap());
        assert!(app.ensure_account(&odd).await.is_err());
    }
    assert!(fake.asked("").is_empty());
}
