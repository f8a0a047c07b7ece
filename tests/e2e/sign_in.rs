//! The first visit: a redirect that sets three cookies, then the app, signed in.

use crate::support::bridge::Settings;
use crate::support::world::World;
use auth_manager::demo::door::alice;
use auth_manager::demo::mattermost::{NewUser, Options};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_first_page_is_a_redirect_with_three_cookies_and_then_the_app() {
    let world = World::start().await;
    let mut alice_ = world.client(alice());

    let first = alice_
        .send(alice_.page("/demo/channels/town-square?x=1%202&y=+"))
        .await;
    assert_eq!(first.status, 302, "{}", first.text());
    let target = "/demo/channels/town-square?x=1%202&y=+";
    let marked = format!("{target}&auth-manager-cookies=set");
    assert_eq!(
        first.header("location"),
        Some(&*marked),
        "byte for byte where it was, and a mark that says: cookies were set"
    );
    assert_eq!(first.header("cache-control"), Some("no-store"));
    let cookies: Vec<&str> = first.all("set-cookie").collect();
    assert_eq!(cookies.len(), 3, "{cookies:?}");
    for cookie in &cookies {
        let attributes = cookie.to_ascii_lowercase();
        assert!(attributes.contains("; path=/"), "{cookie}");
        assert!(attributes.contains("; secure"), "{cookie}");
        assert!(attributes.contains("; samesite=lax"), "{cookie}");
        assert!(!attributes.contains("domain="), "{cookie}");
        // The web app reads the two others.
        let hidden = cookie.starts_with("MMAUTHTOKEN=");
        assert_eq!(attributes.contains("; httponly"), hidden, "{cookie}");
    }

    // The mark is gone again before the app sees anything.
    let second = alice_.send(alice_.page(&marked)).await;
    assert_eq!(
        (second.status, second.header("location")),
        (302, Some(target))
    );
    assert_eq!(second.all("set-cookie").count(), 0);
    assert!(world.arrived("/demo/channels/town-square").is_empty());

    let page = alice_.open(target).await;
    assert_eq!(page.status, 200);
    assert!(page.text().contains("Stand-in Mattermost"));
    assert_eq!(
        page.all("set-cookie").count(),
        0,
        "cookies are set on a redirect only"
    );

    let me = alice_.me().await;
    let account = world
        .mattermost
        .user("alice@example.test")
        .expect("an account was made");
    assert_eq!(me["id"], account.id.as_str());
    assert_eq!(alice_.cookies["MMUSERID"], account.id);
    assert_eq!(
        (account.first_name.as_str(), account.last_name.as_str()),
        ("Alice", "Martin")
    );
    assert_eq!(account.username, "alice");
    assert_eq!(account.roles, "system_user");
    assert!(
        account.teams.contains(&"demo".to_owned()),
        "{:?}",
        account.teams
    );

    let posted = alice_
        .post(
            "/api/v4/posts",
            &serde_json::json!({ "channel_id": world.town_square(), "message": "hello" }),
        )
        .await;
    assert_eq!(posted.status, 201, "{}", posted.text());
    assert_eq!(posted.all("set-cookie").count(), 0);
    assert!(
        world
            .mattermost
            .messages(&world.town_square())
            .contains(&"hello".to_owned())
    );
    assert_eq!(world.mattermost.logins_performed(), 1);
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_bridge_cookie_is_a_short_signed_token_that_says_nothing_about_the_person() {
    use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
    let world = World::start().await;
    let visitor = world.signed_in(alice()).await;
    let token = &visitor.cookies["MMAUTHTOKEN"];
    assert!(token.len() < 512, "{}", token.len());
    let part = |n: usize| -> serde_json::Value {
        let part = token.split('.').nth(n).expect("three parts");
        serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).expect("base64url")).expect("JSON")
    };
    let (header, claims) = (part(0), part(1));
    assert_eq!(header["alg"], "EdDSA");
    assert_eq!(header["typ"], "session+jwt");
    assert_eq!(claims["aud"], world.host.as_str());
    let mut names: Vec<&str> = claims
        .as_object()
        .expect("an object")
        .keys()
        .map(String::as_str)
        .collect();
    names.sort_unstable();
    assert_eq!(names, ["aud", "exp", "iat", "iss", "sid", "sub"]);
    let text = claims.to_string();
    assert!(
        !text.contains("alice") && !text.contains(&alice().sub),
        "{text}"
    );
    assert_ne!(claims["sid"], visitor.sid.as_str(), "never Pomerium's");
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_new_sign_in_of_the_same_person_carries_the_session_over() {
    let world = World::start().await;
    let mut visitor = world.signed_in(alice()).await;
    let csrf = visitor.cookies["MMCSRF"].clone();
    visitor.signs_in_as(alice());
    let page = visitor.open("/").await;
    assert_eq!(page.status, 200);
    assert_eq!(visitor.cookies["MMCSRF"], csrf, "open pages keep working");
    assert_eq!(visitor.me().await["username"], "alice");
    assert_eq!(
        world.mattermost.logins_performed(),
        1,
        "one app session all along"
    );
    assert_eq!(world.mattermost.sessions_of("alice").len(), 1);
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_fixed_cookie_of_nobodys_is_never_taken_over() {
    // T16: a cookie planted before the sign-in.
    let world = World::start().await;
    let mut visitor = world.client(alice());
    visitor
        .cookies
        .insert("MMAUTHTOKEN".into(), "planted".into());
    visitor.cookies.insert("MMUSERID".into(), "planted".into());
    visitor.cookies.insert("MMCSRF".into(), "planted".into());
    let api = visitor.get("/api/v4/users/me").await;
    assert_eq!(api.status, 401, "{}", api.text());
    assert_eq!(
        api.header("content-type"),
        Some("application/json"),
        "the web app needs it bare"
    );
    assert_eq!(api.json()["status_code"], 401);
    assert_eq!(visitor.open("/").await.status, 200);
    assert!(
        visitor.cookies.values().all(|value| value != "planted"),
        "{:?}",
        visitor.cookies
    );
    assert_eq!(visitor.me().await["username"], "alice");
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t33_an_existing_account_with_the_same_address_is_a_conflict_and_left_alone() {
    // T33: an e-mail address never opens somebody's account.
    let world = World::with(Settings::default(), Options::default()).await;
    let id = world.mattermost.create_user(NewUser {
        username: "someone".into(),
        email: "alice@example.test".into(),
        password: "Their-own-1".into(),
        ..NewUser::default()
    });
    let before = world.mattermost.user(&id);
    let mut visitor = world.client(alice());
    let page = visitor.open("/").await;
    assert_eq!(page.status, 403, "{}", page.text());
    assert!(page.text().contains("needs attention"), "{}", page.text());
    assert_eq!(world.mattermost.user(&id), before, "untouched");
    assert!(world.mattermost.sessions_of(&id).is_empty());
    assert!(matches!(
        visitor.get("/api/v4/users/me").await.status,
        401 | 403
    ));
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn static_files_need_an_identity_and_no_session() {
    let world = World::start().await;
    let mut visitor = world.client(alice());
    let file = visitor.get("/static/demo.js").await;
    assert_eq!(file.status, 200);
    assert_eq!(file.all("set-cookie").count(), 0);
    assert!(
        world.mattermost.user("alice@example.test").is_none(),
        "no account for a file"
    );
    let seen = &world.arrived("/static/demo.js")[0];
    assert!(seen.credentials.is_empty() && seen.header("cookie").is_none_or(str::is_empty));

    let nobody = visitor.api("GET", "/static/demo.js").assertions(&[]);
    assert_eq!(visitor.send(nobody).await.status, 401);
    world.finish().await;
}
