//! `/api/v1/users/{user}/explain` over the wire, and what an order does against a directory's no.

use crate::desk::{Desk, no, nothing, settings};
use crate::support::eventually;
use auth_manager::demo::door::{GROUP_MEMBERS, GROUP_VALIDATED, alice, nora};
use reqwest::Method;
use serde_json::{Value, json};

const SCIM: &str = "[[scim]]\nid = \"idp\"\nclients = [\"hook\"]\n";

/// A desk whose directory is a SCIM connection.
struct Bed {
    desk: Desk,
}

impl Bed {
    async fn start() -> Self {
        let desk = Desk::beside(settings(), SCIM).await;
        Self { desk }
    }

    /// What the directory says; the id of it.
    async fn says(&self, method: Method, path: &str, body: Value) -> String {
        let peer = self.desk.services.nobody();
        let bearer = format!("Bearer {}", self.desk.services.secret);
        let headers = [
            ("authorization", bearer.as_str()),
            ("content-type", "application/scim+json"),
        ];
        let path = format!("/scim/v2{path}");
        let reply = peer.send(method, &path, &headers, body.to_string()).await;
        assert!((200..300).contains(&reply.status), "{path}: {reply:?}");
        reply.json()["id"].as_str().expect("an id").to_owned()
    }

    async fn explain(&self, user: &str, query: &str) -> Value {
        let path = format!("/api/v1/users/{user}/explain{query}");
        let reply = self.desk.helpdesk.get(&path).await;
        assert_eq!(reply.status, 200, "{reply:?}");
        reply.json()
    }

    async fn must_not(&self, path: &str) -> (u16, String) {
        let reply = self.desk.helpdesk.get(path).await;
        (reply.status, reply.code())
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_decides_is_explained_to_services_as_to_operators() {
    let bed = Bed::start().await;
    let world = &bed.desk.services.world;
    world.signed_in(alice()).await;
    let id = bed.desk.id(&alice()).await;
    // Nobody but the assertion says anything.
    let alone = bed.explain(&id, "").await;
    assert_eq!(
        (&alone["denial"], &alone["words"]),
        (&Value::Null, &json!([]))
    );
    assert_eq!(alone["apps"][0]["comes_in"], true);
    let gates = alone["apps"][0]["gates"].as_array().expect("gates");
    let keys: Vec<_> = gates.iter().map(|gate| &gate["key"]).collect();
    assert_eq!(keys, ["validated", "any_of"]);
    assert!(gates.iter().all(|gate| {
        gate["directories"] == "nothing"
            && gate["decided_by"] == "assertion"
            && gate["open"] == true
    }));

    // A directory knows her, in one group of the two.
    let user = json!({
        "schemas": ["urn:ietf:params:scim:schemas:core:2.0:User"],
        "userName": "alice", "externalId": alice().sub, "active": true,
    });
    let user = bed.says(Method::POST, "/Users", user).await;
    for (name, members) in [
        (GROUP_VALIDATED, json!([{ "value": user }])),
        (GROUP_MEMBERS, json!([])),
    ] {
        let group = json!({
            "schemas": ["urn:ietf:params:scim:schemas:core:2.0:Group"],
            "displayName": name, "members": members,
        });
        bed.says(Method::POST, "/Groups", group).await;
    }
    let said = bed.explain(&id, "?app=chat").await;
    let app = &said["apps"][0];
    assert_eq!(
        (&app["app"], &app["comes_in"]),
        (&json!("chat"), &json!(false))
    );
    assert_eq!(app["code"], "access.not_granted");
    let gate = |key: &str| {
        let gates = app["gates"].as_array().expect("gates");
        gates
            .iter()
            .find(|gate| gate["key"] == key)
            .expect("it")
            .clone()
    };
    assert_eq!(
        gate("validated")["sources"],
        json!([{ "source": "idp", "is_in": true }])
    );
    let shut = gate("any_of");
    assert_eq!(
        (
            &shut["name"],
            &shut["directories"],
            &shut["assertion"],
            &shut["open"]
        ),
        (
            &json!(GROUP_MEMBERS),
            &json!("no"),
            &json!(true),
            &json!(false)
        )
    );
    assert_eq!(shut["decided_by"], "directory");
    assert_eq!(said["words"][0]["source"], "idp");
    assert_eq!(said["words"][0]["groups"][0]["name"], GROUP_VALIDATED);
    assert_eq!(app["wanted"]["account"], "absent");

    // As the command says it.
    let told = world
        .run(&["users", "explain", &alice().sub, "chat", "--json"])
        .await;
    let told: Value = serde_json::from_str(&told).expect("JSON");
    let mut told = told;
    let mut said = bed.explain(&id, "?app=chat").await;
    for one in [&mut told, &mut said] {
        one["words"][0]["age"] = json!(0);
    }
    assert_eq!(told, said);

    // She may not sign in there any more.
    let off = json!({
        "schemas": ["urn:ietf:params:scim:api:messages:2.0:PatchOp"],
        "Operations": [{ "op": "replace", "path": "active", "value": false }],
    });
    bed.says(Method::PATCH, &format!("/Users/{user}"), off)
        .await;
    let denied = bed.explain(&id, "").await;
    assert_eq!(
        (&denied["denial"]["source"], &denied["denial"]["why"]),
        (&json!("idp"), &json!("inactive"))
    );
    assert_eq!(denied["apps"][0]["code"], "access.disabled");
    assert!(denied["denial"]["since"].as_i64() > Some(1_700_000_000));
    bed.desk.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_explanation_is_for_those_who_may_read_people_and_of_what_there_is() {
    let bed = Bed::start().await;
    bed.desk.services.world.client(nora()).open("/").await;
    let nobody = "/api/v1/users/0192d7a0-0000-7000-8000-000000000000/explain";
    assert_eq!(bed.must_not(nobody).await, no(404, "api.not_found"));
    let services = &bed.desk.services;
    services.world.signed_in(alice()).await;
    let id = bed.desk.id(&alice()).await;
    let own = format!("/api/v1/users/{id}/explain");
    assert_eq!(
        bed.must_not(&format!("{own}?app=wiki")).await,
        no(404, "api.not_found")
    );
    for garbage in ["?app=", "?app=A%20b", "?which=chat"] {
        assert_eq!(
            bed.must_not(&format!("{own}{garbage}")).await,
            no(400, "api.malformed")
        );
    }
    let watcher = services.named(&["watcher.internal"]).get(&own).await;
    assert_eq!((watcher.status, watcher.code()), no(403, "api.scope"));
    let nobody = services.nobody().get(&own).await;
    assert_eq!(
        (nobody.status, nobody.code()),
        no(401, "api.unauthenticated")
    );
    bed.desk.finish().await;
}

/// A denial beats a grant, unless somebody says that it shall not, and that is on record.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t10_an_order_does_not_let_in_whom_a_directory_turns_away_unless_it_says_so() {
    let bed = Bed::start().await;
    let world = &bed.desk.services.world;
    let mut visitor = world.signed_in(alice()).await;
    let id = bed.desk.id(&alice()).await;
    let user = json!({
        "schemas": ["urn:ietf:params:scim:schemas:core:2.0:User"],
        "userName": "alice", "externalId": alice().sub, "active": false,
    });
    bed.says(Method::POST, "/Users", user).await;
    assert_eq!(visitor.open("/").await.status, 403);
    let enable = format!("/api/v1/users/{id}/enable");
    let any = [("if-match", "*")];
    for path in [enable.clone(), format!("{enable}?dry_run=true")] {
        let reply = bed.desk.act(&path, &any, nothing()).await;
        assert_eq!((reply.status, reply.code()), no(409, "api.conflict"));
        assert!(reply.text.contains("idp: inactive"), "{}", reply.text);
    }
    // What only takes away needs no such word, and does not know it.
    let disable = format!("/api/v1/users/{id}/disable");
    let known = bed
        .desk
        .refused(&disable, &[], json!({ "against_directory": true }));
    assert_eq!(known.await, no(422, "api.invalid"));
    assert_eq!(visitor.open("/").await.status, 403);

    let overrule = json!({ "reason": "vouched for", "against_directory": true });
    let done = bed.desk.done(&enable, &any, overrule).await;
    assert_eq!(
        (&done["changed"], &done["state"]),
        (&json!(true), &json!("active"))
    );
    let (after, _) = bed.desk.read(&format!("/api/v1/users/{id}")).await;
    assert_eq!(after["state_reason"], "vouched for (against idp: inactive)");
    eventually("the way in", || {
        let mut tab = visitor.clone();
        async move { (tab.open("/").await.status == 200).then_some(()) }
    })
    .await;
    let trail = world.trail().await;
    assert!(
        trail
            .iter()
            .any(|body| body.contains("against idp: inactive")),
        "{trail:?}"
    );
    bed.desk.finish().await;
}
