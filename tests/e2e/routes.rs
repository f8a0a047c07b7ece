//! Which of the app's routes are whose: its own accounts and passwords are closed, names come from
//! the identity provider, machines have doors of their own, and no answer brings a credential.

use crate::support::bridge::Settings;
use crate::support::client::{Client, Request};
use crate::support::front::Front;
use crate::support::wire::Response;
use crate::support::world::World;
use auth_manager::demo::door::{Claims, alice};
use auth_manager::demo::mattermost::Options;
use serde_json::{Value, json};

/// A refusal as the web app understands it: bare JSON, its own shape, never a 401.
fn is_the_apps_own_403(what: &str, answer: &Response) {
    assert_eq!(answer.status, 403, "{what}: {}", answer.text());
    assert_eq!(
        answer.header("content-type"),
        Some("application/json"),
        "{what}"
    );
    assert_eq!(answer.header("cache-control"), Some("no-store"), "{what}");
    let error = answer.json();
    assert_eq!(error["status_code"], 403, "{what}");
    assert!(
        error["id"].is_string() && error["message"].is_string(),
        "{what}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_apps_own_accounts_and_passwords_are_closed() {
    let world = World::start().await;
    let mut visitor = world.signed_in(alice()).await;
    let id = visitor.cookies["MMUSERID"].clone();
    world.mattermost.clear_journal();
    let blocked = [
        ("POST", "/api/v4/users"),
        ("POST", "/api/v4/users/login"),
        ("POST", "/api/v4/users/login/cws"),
        ("POST", "/api/v4/users/login/switch"),
        ("POST", "/api/v4/users/login/desktop_token"),
        ("POST", "/api/v4/users/login/sso/code-exchange"),
        ("POST", "/api/v4/users/login/type"),
        ("POST", "/api/v4/users/password/reset"),
        ("POST", "/api/v4/users/password/reset/send"),
        ("PUT", "/api/v4/users/{id}/password"),
        ("PUT", "/api/v4/users/me/password"),
        ("PUT", "/api/v4/users/{id}/mfa"),
        ("POST", "/api/v4/users/{id}/mfa/generate"),
        ("POST", "/api/v4/users/mfa"),
        ("POST", "/api/v4/users/{id}/tokens"),
        ("POST", "/api/v4/users/me/tokens"),
        ("POST", "/api/v4/users/tokens/enable"),
        ("PUT", "/api/v4/users/{id}/auth"),
        ("POST", "/api/v4/users/email/verify"),
        ("POST", "/api/v4/users/email/verify/send"),
        ("POST", "/api/v4/users/{id}/email/verify/member"),
        ("POST", "/api/v4/users/migrate_auth/ldap"),
        ("POST", "/api/v4/users/migrate_auth/saml"),
        ("POST", "/api/v4/bots/{id}/convert_to_user"),
        // Other spellings of the same.
        ("POST", "/API/v4/Users/Login"),
        ("POST", "/api/v4/users/login/"),
        ("POST", "/api/v4/users/%6Cogin"),
    ];
    for (method, path) in blocked {
        let path = path.replace("{id}", &id);
        let request = visitor
            .api(method, &path)
            .header("Content-Type", "application/json");
        let answer = visitor.send(request.body("{}")).await;
        if path.contains('%') || path.ends_with('/') {
            assert!(matches!(answer.status, 400 | 403), "{path}");
        } else {
            is_the_apps_own_403(&path, &answer);
        }
    }
    for path in [
        "/login",
        "/login?redirect_to=%2Fdemo",
        "/signup_user_complete",
        "/signup_email",
        "/reset_password",
        "/reset_password_complete?token=x",
        "/oauth/authorize?client_id=x",
        "/oauth/gitlab/login",
        "/mfa/setup",
        "/claim/email_to_oauth",
    ] {
        let page = visitor.send(visitor.page(path)).await;
        assert_eq!(page.status, 302, "{path}: {}", page.text());
        assert_eq!(page.header("location"), Some("/"), "{path}");
        assert_eq!(page.header("cache-control"), Some("no-store"), "{path}");
    }
    let reached = world.mattermost.journal();
    let reached: Vec<&str> = reached.iter().map(|seen| seen.path.as_str()).collect();
    assert!(
        reached
            .iter()
            .all(|path| path.starts_with("/api/v4/config") || path.starts_with("/api/v4/limits")),
        "{reached:?}"
    );
    visitor.me().await;
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_profile_form_works_but_for_what_the_identity_provider_says() {
    let world = World::start().await;
    let mut visitor = world.signed_in(alice()).await;
    let me = visitor.me().await;
    let id = visitor.cookies["MMUSERID"].clone();
    async fn put(visitor: &mut Client, path: &str, body: &Value) -> Response {
        let request = visitor
            .api("PUT", path)
            .header("Content-Type", "application/json");
        visitor.send(request.body(body.to_string())).await
    }
    // The web app sends the whole object when only the nickname was edited.
    for path in ["/api/v4/users/me/patch", "/api/v4/users/me"] {
        let mut whole = me.clone();
        whole["nickname"] = json!(format!("Al by {path}"));
        let path = path.replace("/users/me", &format!("/users/{id}"));
        let answer = put(&mut visitor, &path, &whole).await;
        assert_eq!(answer.status, 200, "{path}: {}", answer.text());
    }
    let nickname = |world: &World| world.mattermost.user("alice").expect("there").nickname;
    assert!(nickname(&world).starts_with("Al by"));
    // In the first second of every visit.
    let zone = json!({ "timezone": { "automaticTimezone": "Europe/Paris", "manualTimezone": "", "useAutomaticTimezone": "true" } });
    assert_eq!(
        put(&mut visitor, "/api/v4/users/me/patch", &zone)
            .await
            .status,
        200
    );

    for (field, value) in [
        ("username", "admin2"),
        ("email", "root@example.test"),
        ("first_name", "Bob"),
        ("last_name", "Root"),
    ] {
        for path in [
            "/api/v4/users/me/patch".to_owned(),
            format!("/api/v4/users/{id}/patch"),
            format!("/api/v4/users/{id}"),
        ] {
            let mut whole = me.clone();
            whole[field] = json!(value);
            whole["nickname"] = json!("by the back door");
            let answer = put(&mut visitor, &path, &whole).await;
            is_the_apps_own_403(&format!("{field} by {path}"), &answer);
        }
    }
    let after = world.mattermost.user("alice").expect("there");
    assert_eq!(after.email, "alice@example.test");
    assert_eq!(after.first_name, me["first_name"].as_str().expect("text"));
    assert_ne!(nickname(&world), "by the back door");
    world.finish().await;
}

/// A machine's request: no cookie, and nothing that Pomerium says of anyone.
fn machine(path: &str) -> Request {
    Request::new("POST", path)
        .header("Content-Type", "application/json")
        .assertions(&[])
        .cookie("")
        .body(r#"{"text":"by a machine"}"#)
}

fn with_routes(routes: &str) -> Settings {
    Settings {
        mattermost: format!("team = \"demo\"\n{routes}"),
        ..Settings::default()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn machines_have_no_door_unless_one_is_made() {
    let world = World::start().await;
    let hook = world
        .mattermost
        .create_hook(&world.town_square())
        .expect("a hook");
    let mut nobody = world.client(alice());
    let answer = nobody.send(machine(&format!("/hooks/{hook}"))).await;
    assert_eq!(answer.status, 401);
    assert!(world.mattermost.messages(&world.town_square()).is_empty());
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t13_a_machine_route_passes_without_identity_and_with_nothing_of_anyone() {
    let settings = with_routes("[[apps.machine_routes]]\nmethod = \"POST\"\npath = \"/hooks/*\"");
    let world = World::with(settings, Options::default()).await;
    let hook = world
        .mattermost
        .create_hook(&world.town_square())
        .expect("a hook");
    let path = format!("/hooks/{hook}");
    let visitor = world.signed_in(alice()).await;
    let real = world.mattermost.sessions_of("alice")[0].token.clone();
    let mut machine_client = world.client(alice());
    let anonymous = Claims::new(&alice(), "", &world.host)
        .set("sub", "")
        .set("user", "");
    let anonymous = world.minter.mint(&anonymous).expect("a working key");
    let loaded = machine(&path)
        .header("Authorization", &format!("Bearer {real}"))
        .header("Token", &real)
        .cookie(&format!(
            "MMAUTHTOKEN={}; theme=dark",
            visitor.cookies["MMAUTHTOKEN"]
        ));
    let requests = [
        ("bare", machine(&path)),
        ("anonymous", machine(&path).assertions(&[&anonymous])),
        ("nonsense", machine(&path).assertions(&["a.b.c"])),
        ("with credentials", loaded),
    ];
    let expected = requests.len();
    for (name, request) in requests {
        let answer = machine_client.send(request).await;
        assert_eq!(answer.status, 200, "{name}: {}", answer.text());
        assert_eq!(answer.all("set-cookie").count(), 0, "{name}");
    }
    let seen = world.arrived(&path);
    assert_eq!(seen.len(), expected);
    for seen in seen {
        assert!(seen.credentials.is_empty(), "{seen:?}");
        for name in ["cookie", "authorization", "x-pomerium-jwt-assertion"] {
            assert!(seen.header(name).is_none(), "{name}: {seen:?}");
        }
    }
    assert_eq!(
        world.mattermost.messages(&world.town_square()).len(),
        expected
    );
    // The door is as wide as written.
    for (method, path) in [
        ("GET", path.as_str()),
        ("POST", "/hooks/"),
        ("POST", "/hooks"),
        ("POST", "/hooksx/y"),
        ("POST", "/hooks/../api/v4/users/me"),
        ("POST", "/hooks/%2e%2e/api/v4/posts"),
        ("POST", "//hooks/x"),
        ("PUT", path.as_str()),
    ] {
        let mut request = machine(path);
        request.method = method.into();
        let answer = machine_client.send(request).await;
        assert!(
            matches!(answer.status, 400 | 401),
            "{method} {path}: {}",
            answer.status
        );
    }
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_machine_route_keeps_authorization_only_where_it_says_so() {
    let settings = with_routes(
        "[[apps.machine_routes]]\nmethod = \"POST\"\npath = \"/plugins/com.example.kept/*\"\nkeep_authorization = true\n\
         [[apps.machine_routes]]\nmethod = \"POST\"\npath = \"/plugins/com.example.dropped/*\"",
    );
    let world = World::with(settings, Options::default()).await;
    let mut nobody = world.client(alice());
    for (name, kept) in [("kept", true), ("dropped", false)] {
        let path = format!("/plugins/com.example.{name}/echo");
        let request = machine(&path)
            .header("Authorization", "Bearer of-a-machine")
            .cookie("MMAUTHTOKEN=x; other=1");
        let answer = nobody.send(request).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        let echoed = answer.json()["header"].clone();
        assert_eq!(echoed.get("Authorization").is_some(), kept, "{echoed}");
        assert!(echoed.get("Cookie").is_none(), "{echoed}");
    }
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t24_whatever_the_app_or_a_plugin_answers_brings_no_cookie_of_ours() {
    let cookies = "Set-Cookie: MMAUTHTOKEN=stolen; Path=/; HttpOnly\r\n\
         Set-Cookie: mmauthtoken=stolen; Path=/\r\n\
         Set-Cookie:  MMCSRF=x; Path=/\r\n\
         Set-Cookie: MMUSERID=x\r\n\
         Set-Cookie: MMAUTHTOKEN\r\n\
         Set-Cookie: _pomerium=x; Path=/\r\n\
         Set-Cookie: _pomerium_csrf=x\r\n\
         Set-Cookie: _Pomerium_0=x\r\n\
         Set-Cookie: plugin=kept; Path=/plugins\r\n\
         Token: real-token\r\n\
         X-Cloud-Token: real-token\r\n\
         Connection: X-Hop\r\nX-Hop: 1\r\n";
    let mut front = Front::default();
    for (path, status) in [
        ("/plugins/x/ok", "200 OK"),
        ("/plugins/x/moved", "302 Found\r\nLocation: /elsewhere"),
        ("/plugins/x/error", "500 Internal Server Error"),
        ("/static/strange.js", "200 OK"),
        ("/hooks/strange", "200 OK"),
    ] {
        front = front.answer(
            path,
            format!(
                "HTTP/1.1 {status}\r\n{cookies}Connection: close\r\nContent-Length: 2\r\n\r\nok"
            ),
        );
    }
    let settings = with_routes("[[apps.machine_routes]]\nmethod = \"POST\"\npath = \"/hooks/*\"");
    let world = World::behind(settings, Options::default(), Some(front)).await;
    let mut visitor = world.signed_in(alice()).await;
    let own = visitor.cookies.clone();
    let requests = [
        visitor.api("GET", "/plugins/x/ok"),
        visitor.page("/plugins/x/moved"),
        visitor.api("GET", "/plugins/x/error"),
        visitor.api("GET", "/static/strange.js"),
        machine("/hooks/strange"),
    ];
    for request in requests {
        let path = request.target.clone();
        let answer = visitor.send(request).await;
        assert_eq!(answer.text(), "ok", "{path}");
        let left: Vec<&str> = answer.all("set-cookie").collect();
        // A static file is public: nothing of anyone's belongs on it.
        let expected: &[&str] = match path.starts_with("/static/") {
            true => &[],
            false => &["plugin=kept; Path=/plugins"],
        };
        assert_eq!(left, expected, "{path}");
        for name in ["token", "x-cloud-token", "x-hop"] {
            assert!(answer.header(name).is_none(), "{path}: {name}");
        }
    }
    visitor.cookies.remove("plugin");
    assert_eq!(visitor.cookies, own);
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_app_below_a_path_works_the_same() {
    let settings = Settings {
        app: "base_path = \"/chat\"".into(),
        ..with_routes("[[apps.machine_routes]]\nmethod = \"POST\"\npath = \"/chat/hooks/*\"")
    };
    let front = Front::default().below("/chat");
    let world = World::behind(settings, Options::default(), Some(front)).await;
    let mut visitor = world.client(alice());
    let first = visitor
        .send(visitor.page("/chat/demo/channels/x?a=1%202"))
        .await;
    assert_eq!(first.status, 302, "{}", first.text());
    assert_eq!(first.all("set-cookie").count(), 3);
    for line in first.all("set-cookie") {
        assert!(line.contains("Path=/chat"), "{line}");
    }
    assert_eq!(visitor.open("/chat/").await.status, 200);
    let me = visitor.get("/chat/api/v4/users/me").await;
    assert_eq!(me.json()["username"], "alice", "{}", me.text());
    let body = json!({ "channel_id": world.town_square(), "message": "below" });
    assert_eq!(visitor.post("/chat/api/v4/posts", &body).await.status, 201);
    let mut upgrade = visitor.upgrade();
    upgrade.target = format!("/chat{}", upgrade.target);
    let mut socket = visitor.socket_by(upgrade).await.expect("a socket");
    socket.event("hello").await;

    // The rules apply below the path, and nothing is outside of it.
    let login = visitor.post("/chat/api/v4/users/login", &json!({})).await;
    is_the_apps_own_403("login", &login);
    let page = visitor.send(visitor.page("/chat/login")).await;
    assert_eq!(page.header("location"), Some("/chat/"));
    for outside in ["/", "/api/v4/users/me", "/chatter/x"] {
        assert_eq!(visitor.get(outside).await.status, 404, "{outside}");
    }
    // But whoever typed no more than the host gets there, and a wrong page shows the way.
    let root = visitor.send(visitor.page("/")).await;
    assert_eq!(root.header("location"), Some("/chat/"), "{}", root.text());
    let wrong = visitor.send(visitor.page("/elsewhere")).await;
    assert_eq!(wrong.status, 404);
    assert!(wrong.text().contains("href=\"/chat/\""), "{}", wrong.text());
    let hook = world
        .mattermost
        .create_hook(&world.town_square())
        .expect("a hook");
    let answer = visitor.send(machine(&format!("/chat/hooks/{hook}"))).await;
    assert_eq!(answer.status, 200, "{}", answer.text());

    let logout = visitor.post("/chat/api/v4/users/logout", &json!({})).await;
    assert_eq!(logout.status, 200);
    for line in logout.all("set-cookie") {
        assert!(line.contains("Path=/chat"), "{line}");
    }
    socket.ended().await;
    world.finish().await;
}
