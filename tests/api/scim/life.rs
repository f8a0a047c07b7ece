//! What becomes of resources.

use super::{Bed, GROUP, USER, id, patch, refused};
use crate::desk;
use serde_json::{Value, json};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_user_lives_and_is_gone() {
    story(Bed::start().await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_user_lives_and_is_gone_on_postgres() {
    story(Bed::with(desk::on_postgres().await, "").await).await;
}

async fn story(bed: Bed) {
    let sent = json!({
        "schemas": [USER], "userName": "Alice", "externalId": "x1", "active": true,
        "name": { "formatted": "Alice ", "familyName": " ", "givenName": "Alice" },
        "emails": [], "photos": [{ "value": "data:image/svg+xml;base64,eA==", "type": "photo" }],
        "password": "never kept", "groups": [], "customThing": { "a": [1, 2.5, null] },
        "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User": { "department": "d" },
        "urn:example:1.0:Own": { "colour": "green" },
    });
    let reply = bed.ask("POST", "/Users", sent.clone()).await;
    assert_eq!(reply.status, 201, "{reply:?}");
    let made = reply.json();
    let alice = id(&made);
    let path = format!("/Users/{alice}");
    let location = format!("https://api.example.test/scim/v2{path}");
    assert_eq!(reply.header("location"), location);
    assert_eq!(made["meta"]["location"], location.as_str());
    assert_eq!(reply.header("etag"), "W/\"1\"");
    assert_eq!(made["meta"]["version"], "W/\"1\"");
    // What was said is said back, to the letter.
    for name in [
        "userName",
        "externalId",
        "name",
        "emails",
        "photos",
        "active",
    ] {
        assert_eq!(made[name], sent[name], "{name}");
    }
    assert_eq!(made["customThing"], json!({ "a": [1, 2.5] }));
    assert_eq!(made["urn:example:1.0:Own"]["colour"], "green");
    assert_eq!(made["schemas"].as_array().unwrap().len(), 3);
    assert_eq!(made["groups"], json!([]));
    assert_eq!(made.get("password"), None, "{made}");

    // Read, and not again what is known.
    let groupless = format!("{path}?excludedAttributes=groups");
    let same = bed
        .ask_with(
            "GET",
            &groupless,
            &[("if-none-match", "W/\"1\"")],
            Value::Null,
        )
        .await;
    assert_eq!((same.status, same.text.as_str()), (304, ""));
    let read = bed.must(200, "GET", &path, Value::Null).await;
    assert_eq!(read, made);

    // Written as a whole: what is left out is gone, but nobody comes back by being left out.
    let off = json!({ "userName": "alice", "active": "False" });
    let off = bed.must(200, "PUT", &path, off).await;
    assert_eq!(
        (&off["active"], &off["meta"]["version"]),
        (&json!(false), &json!("W/\"2\""))
    );
    assert_eq!(off.get("name"), None);
    let still = bed
        .must(
            200,
            "PUT",
            &path,
            json!({ "userName": "alice", "title": "t" }),
        )
        .await;
    assert_eq!(still["active"], false);
    // The same again is no new version.
    let again = bed
        .must(
            200,
            "PUT",
            &path,
            json!({ "userName": "alice", "title": "t" }),
        )
        .await;
    assert_eq!(again["meta"], still["meta"]);
    let others = bed
        .ask("PUT", &path, json!({ "userName": "alice", "id": "other" }))
        .await;
    assert_eq!(refused(&others), (400, "mutability".into()));

    // On what was read, or not at all.
    let stale = bed
        .ask_with(
            "PUT",
            &path,
            &[("if-match", "W/\"2\"")],
            json!({ "userName": "alice" }),
        )
        .await;
    assert_eq!(stale.status, 412);
    let stale = bed
        .ask_with("DELETE", &path, &[("if-match", "\"2\"")], Value::Null)
        .await;
    assert_eq!(stale.status, 412);
    let fresh = bed
        .ask_with(
            "PUT",
            &path,
            &[("if-match", "\"3\"")],
            json!({ "userName": "alice" }),
        )
        .await;
    assert_eq!(fresh.status, 200);

    // Names are unique whatever their case; the id is never given again.
    let taken = bed
        .ask("POST", "/Users", json!({ "userName": "ALICE" }))
        .await;
    assert_eq!(refused(&taken), (409, "uniqueness".into()));
    assert_eq!(bed.ask("DELETE", &path, Value::Null).await.status, 204);
    for method in ["GET", "PUT", "PATCH", "DELETE"] {
        let body = match method {
            "PUT" => json!({ "userName": "alice" }),
            "PATCH" => patch(json!([{ "op": "replace", "value": { "active": true } }])),
            _ => Value::Null,
        };
        assert_eq!(bed.ask(method, &path, body).await.status, 404, "{method}");
    }
    let anew = bed
        .must(201, "POST", "/Users", json!({ "userName": "alice" }))
        .await;
    assert_ne!(id(&anew), alice);
    bed.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_same_requests_at_once_make_one_user() {
    let bed = Bed::start().await;
    for n in 0..8 {
        let body =
            json!({ "schemas": [USER], "userName": format!("u{n}"), "externalId": format!("{n}") });
        let (a, b) = tokio::join!(
            bed.ask("POST", "/Users", body.clone()),
            bed.ask("POST", "/Users", body.clone())
        );
        let mut both = [a.status, b.status];
        both.sort_unstable();
        assert_eq!(both, [201, 409]);
        // Who lost finds who won, as Authentik does.
        let found = format!("/Users?filter=userName+eq+%22u{n}%22");
        let found = bed.must(200, "GET", &found, Value::Null).await;
        assert_eq!(found["totalResults"], 1);
    }
    bed.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn members_added_at_once_are_all_there() {
    let bed = Bed::start().await;
    let group = bed.group("staff", &[]).await;
    let path = format!("/Groups/{group}");
    let mut users = Vec::new();
    for n in 0..12 {
        users.push(bed.user(&format!("u{n}")).await);
    }
    let add = |user: String| {
        let (bed, path) = (&bed, &path);
        async move {
            let operation =
                json!([{ "op": "add", "path": "members", "value": [{ "value": user }] }]);
            bed.ask("PATCH", path, patch(operation)).await.status
        }
    };
    let all = futures_util::future::join_all(users.iter().cloned().map(add)).await;
    assert_eq!(all, vec![200; 12]);
    users.sort();
    assert_eq!(bed.members(&group).await, users);
    // Each sees the group; by filter, too.
    let one = bed
        .must(200, "GET", &format!("/Users/{}", users[0]), Value::Null)
        .await;
    assert_eq!(one["groups"][0]["value"], group.as_str());
    assert_eq!(one["groups"][0]["display"], "staff");
    let query = format!(
        "/Groups?filter=id+eq+%22{group}%22+and+members+eq+%22{}%22&excludedAttributes=members",
        users[3]
    );
    let found = bed.must(200, "GET", &query, Value::Null).await;
    assert_eq!(found["totalResults"], 1);
    assert_eq!(found["Resources"][0].get("members"), None);
    bed.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn members_come_and_go_by_every_way_that_is_used() {
    let bed = Bed::start().await;
    let (a, b, c) = (
        bed.user("a").await,
        bed.user("b").await,
        bed.user("c").await,
    );
    let group = bed.group("g", &[&a, &b, &c]).await;
    let path = format!("/Groups/{group}");
    let change = |operation: Value| {
        let (bed, path) = (&bed, &path);
        async move {
            bed.must(200, "PATCH", path, patch(json!([operation])))
                .await
        }
    };
    let sorted = |ids: &[&String]| {
        let mut ids: Vec<_> = ids.iter().map(|id| (*id).clone()).collect();
        ids.sort();
        ids
    };
    // Authentik up to July 2026, and Entra: only those, not all.
    change(json!({ "op": "remove", "path": "members", "value": [{ "value": a }] })).await;
    assert_eq!(bed.members(&group).await, sorted(&[&b, &c]));
    // By filter, as after it, and Okta.
    let path_of = format!("members[value eq \"{b}\"]");
    change(json!({ "op": "Remove", "path": path_of })).await;
    assert_eq!(bed.members(&group).await, sorted(&[&c]));
    // Twice is once.
    let twice = json!([{ "value": a }, { "value": a }]);
    change(json!({ "op": "Add", "path": "members", "value": twice })).await;
    assert_eq!(bed.members(&group).await, sorted(&[&a, &c]));
    // All of them replaced, one alone, not as a list.
    change(json!({ "op": "replace", "path": "members", "value": { "value": b } })).await;
    assert_eq!(bed.members(&group).await, sorted(&[&b]));
    // No value: all of them.
    let empty = change(json!({ "op": "remove", "path": "members" })).await;
    assert_eq!(empty["members"], json!([]), "said, not left out");
    change(json!({ "op": "replace", "value": { "members": [{ "value": c }] } })).await;
    assert_eq!(bed.members(&group).await, sorted(&[&c]));
    // Written as a whole without members: an emptied group (recordings/authentik, difference 6).
    let whole = json!({ "schemas": [GROUP], "displayName": "g" });
    let whole = bed.must(200, "PUT", &path, whole).await;
    assert_eq!(whole["members"], json!([]));
    // An id of nobody is kept: a client that lost track would send it for ever.
    change(json!({ "op": "add", "path": "members", "value": [{ "value": "nobody" }] })).await;
    assert_eq!(bed.members(&group).await, ["nobody"]);
    // Who is deleted is no member.
    change(json!({ "op": "add", "path": "members", "value": [{ "value": a }] })).await;
    assert_eq!(
        bed.ask("DELETE", &format!("/Users/{a}"), Value::Null)
            .await
            .status,
        204
    );
    assert_eq!(bed.members(&group).await, ["nobody"]);
    bed.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn searches_page_sort_and_show_what_is_asked_for() {
    let bed = Bed::start().await;
    for name in ["delta", "alpha", "charlie", "bravo"] {
        bed.user(name).await;
    }
    bed.group("echo", &[]).await;
    let names = |found: &Value| -> String {
        let all = found["Resources"].as_array().unwrap();
        all.iter()
            .map(|one| &one["userName"].as_str().unwrap()[..1])
            .collect()
    };
    let page = bed
        .must(
            200,
            "GET",
            "/Users?sortBy=userName&startIndex=2&count=2",
            Value::Null,
        )
        .await;
    assert_eq!(names(&page), "bc");
    assert_eq!(
        (
            &page["totalResults"],
            &page["startIndex"],
            &page["itemsPerPage"]
        ),
        (&json!(4), &json!(2), &json!(2))
    );
    // Page by page until all were seen, as Authentik does.
    let mut seen = String::new();
    while seen.len() < 4 {
        let path = format!("/Users?startIndex={}&count=3", seen.len() + 1);
        let page = bed.must(200, "GET", &path, Value::Null).await;
        assert_ne!(page["itemsPerPage"], 0, "or it asks for ever");
        seen.push_str(&names(&page));
    }
    assert_eq!(seen, "dacb");
    let none = bed.must(200, "GET", "/Users?count=0", Value::Null).await;
    assert_eq!(
        (&none["totalResults"], &none["Resources"]),
        (&json!(4), &json!([]))
    );
    let nobody = bed
        .must(
            200,
            "GET",
            "/Users?filter=userName+eq+%22nobody%22",
            Value::Null,
        )
        .await;
    assert_eq!(
        (&nobody["totalResults"], &nobody["Resources"]),
        (&json!(0), &json!([]))
    );

    // By a body: of one kind, and of all.
    let search = json!({
        "schemas": ["urn:ietf:params:scim:api:messages:2.0:SearchRequest"],
        "filter": "userName sw \"b\" or displayName eq \"ECHO\"",
        "attributes": ["displayName", "userName"], "sortBy": "id", "sortOrder": "descending",
    });
    let users = bed
        .must(200, "POST", "/Users/.search", search.clone())
        .await;
    assert_eq!(names(&users), "b");
    let all = bed.must(200, "POST", "/.search", search).await;
    let shown = &all["Resources"];
    assert_eq!(shown.as_array().unwrap().len(), 2, "{all}");
    assert_eq!(shown[0]["displayName"], "echo");
    assert_eq!(shown[1]["userName"], "bravo");
    assert_eq!(shown[1].get("meta"), None, "not asked for");
    assert!(shown[1]["id"].is_string(), "always shown");
    bed.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bulk_does_many_things_and_knows_what_it_made() {
    let bed = Bed::start().await;
    let there = bed.user("there").await;
    let bulk = |operations: Value, more: Value| {
        let mut body = json!({
            "schemas": ["urn:ietf:params:scim:api:messages:2.0:BulkRequest"],
            "Operations": operations,
        });
        if let Some(more) = more.as_object() {
            body.as_object_mut().unwrap().extend(more.clone());
        }
        body
    };
    // A group before its member, which it waits for.
    let done = bed
        .must(
            200,
            "POST",
            "/Bulk",
            bulk(
                json!([
                    { "method": "POST", "path": "/Groups", "bulkId": "g", "data":
                        { "displayName": "g", "members": [{ "value": "bulkId:u" }, { "value": there }] } },
                    { "method": "POST", "path": "/Users", "bulkId": "u", "data": { "userName": "new" } },
                    { "method": "PATCH", "path": "/Users/bulkId:u", "data":
                        patch(json!([{ "op": "add", "path": "title", "value": "t" }])) },
                    { "method": "PUT", "path": format!("/Users/{there}"), "data": { "userName": "THERE" } },
                    { "method": "DELETE", "path": "/Users/none" },
                ]),
                json!({}),
            ),
        )
        .await;
    let answers = done["Operations"].as_array().unwrap();
    let mut statuses: Vec<_> = answers
        .iter()
        .map(|one| one["status"].as_str().unwrap())
        .collect();
    statuses.sort_unstable();
    assert_eq!(statuses, ["200", "200", "201", "201", "404"], "{done}");
    let of = |id: &str| answers.iter().find(|one| one["bulkId"] == id).unwrap();
    let group = of("g")["location"]
        .as_str()
        .unwrap()
        .rsplit('/')
        .next()
        .unwrap();
    let user = of("u")["location"]
        .as_str()
        .unwrap()
        .rsplit('/')
        .next()
        .unwrap();
    let mut wanted = vec![there.clone(), user.to_owned()];
    wanted.sort();
    assert_eq!(bed.members(group).await, wanted);
    let read = bed
        .must(200, "GET", &format!("/Users/{user}"), Value::Null)
        .await;
    assert_eq!(read["title"], "t");

    // It stops at so many errors.
    let bad =
        json!({ "method": "POST", "path": "/Users", "bulkId": "b", "data": { "userName": "new" } });
    let good =
        json!({ "method": "POST", "path": "/Users", "bulkId": "c", "data": { "userName": "c" } });
    let done = bed
        .must(
            200,
            "POST",
            "/Bulk",
            bulk(json!([bad, bad, good]), json!({ "failOnErrors": 2 })),
        )
        .await;
    let answers = done["Operations"].as_array().unwrap();
    assert_eq!(answers.len(), 2, "{done}");
    assert_eq!(answers[0]["status"], "409");
    assert_eq!(answers[0]["response"]["scimType"], "uniqueness");

    // Two that wait for each other, and one for what was never there.
    let of = |id: &str, other: &str| {
        json!({ "method": "POST", "path": "/Groups", "bulkId": id,
            "data": { "displayName": id, "members": [{ "value": format!("bulkId:{other}") }] } })
    };
    let circle = json!([of("p", "q"), of("q", "p"), of("r", "nowhere")]);
    let done = bed
        .must(200, "POST", "/Bulk", bulk(circle, json!({})))
        .await;
    for one in done["Operations"].as_array().unwrap() {
        assert_eq!(one["status"], "409", "{done}");
    }
    bed.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_there_is_can_be_read_and_nothing_else() {
    let bed = Bed::start().await;
    let config = bed
        .must(200, "GET", "/ServiceProviderConfig", Value::Null)
        .await;
    // What Authentik's client reads, of exactly these types.
    assert_eq!(config["patch"]["supported"], true);
    assert_eq!(config["filter"]["supported"], true);
    assert!(config["filter"]["maxResults"].is_u64());
    assert!(config["bulk"]["supported"].is_boolean());
    assert!(config["bulk"]["maxOperations"].is_u64() && config["bulk"]["maxPayloadSize"].is_u64());
    assert!(config["changePassword"]["supported"].is_boolean());
    assert!(config["sort"]["supported"].is_boolean() && config["etag"]["supported"].is_boolean());
    let scheme = &config["authenticationSchemes"][0];
    assert_eq!(scheme["type"], "oauthbearertoken");
    assert!(scheme["name"].is_string() && scheme["description"].is_string());
    assert_eq!(
        bed.must(200, "GET", "/ServiceProviderConfigs", Value::Null)
            .await,
        config
    );

    for (list, count) in [("/Schemas", 3), ("/ResourceTypes", 2)] {
        let all = bed.must(200, "GET", list, Value::Null).await;
        assert_eq!(all["totalResults"], count);
        assert!(!all.to_string().contains("null"), "Entra takes none: {all}");
        for one in all["Resources"].as_array().unwrap() {
            let path = format!("{list}/{}", one["id"].as_str().unwrap());
            assert_eq!(&bed.must(200, "GET", &path, Value::Null).await, one);
        }
        assert_eq!(
            bed.ask("GET", &format!("{list}/none"), Value::Null)
                .await
                .status,
            404
        );
    }
    for path in ["/ServiceProviderConfig", "/Schemas", "/ResourceTypes"] {
        let filtered = format!("{path}?filter=id+pr");
        assert_eq!(bed.ask("GET", &filtered, Value::Null).await.status, 403);
        for method in ["POST", "PUT", "PATCH", "DELETE"] {
            let reply = bed.ask(method, path, json!({})).await;
            assert_eq!(reply.status, 405, "{method} {path}");
        }
    }
    assert_eq!(bed.ask("GET", "/Me", Value::Null).await.status, 501);
    assert_eq!(bed.ask("GET", "/Nothing", Value::Null).await.status, 404);
    // Marks in the query lead nobody astray.
    bed.must(200, "GET", "/Users?aadOptscim062020", Value::Null)
        .await;
    bed.finish().await;
}
