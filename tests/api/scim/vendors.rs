//! What Okta and Entra send. **Written from their documentation**, not recorded: shapes and order of
//! requests as Okta's and Microsoft's pages describe them.

use super::{Bed, GROUP, USER, id, patch};
use serde_json::{Value, json};

/// Okta: find, make, read, write whole; deactivate by a path-less PATCH; push a group.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn okta_as_documented() {
    let bed = Bed::start().await;
    let page = bed
        .must(200, "GET", "/Users?startIndex=1&count=2", Value::Null)
        .await;
    assert!(page["totalResults"].is_u64() && page["startIndex"].is_u64());
    let find = "/Users?filter=userName%20eq%20%22test.user%40okta.local%22&startIndex=1&count=100";
    let none = bed.must(200, "GET", find, Value::Null).await;
    assert_eq!(
        (&none["totalResults"], &none["Resources"]),
        (&json!(0), &json!([]))
    );
    let user = json!({
        "schemas": [USER], "userName": "test.user@okta.local",
        "name": { "givenName": "Test", "familyName": "User" },
        "emails": [{ "primary": true, "value": "test.user@okta.local", "type": "work" }],
        "displayName": "Test User", "locale": "en-US", "externalId": "00ujl29u0le5T6Aj10h7",
        "groups": [], "password": "1mz050nq", "active": true,
    });
    let made = bed.must(201, "POST", "/Users", user.clone()).await;
    let path = format!("/Users/{}", id(&made));
    let read = bed.must(200, "GET", &path, Value::Null).await;
    // It puts back what it read, with a change.
    let mut whole = read.clone();
    whole["name"]["givenName"] = "Another".into();
    let written = bed.must(200, "PUT", &path, whole).await;
    assert_eq!(written["name"]["givenName"], "Another");
    let off = patch(json!([{ "op": "replace", "value": { "active": false } }]));
    assert_eq!(bed.must(200, "PATCH", &path, off).await["active"], false);
    // Deactivated people are found still.
    assert_eq!(
        bed.must(200, "GET", find, Value::Null).await["totalResults"],
        1
    );
    let on = patch(json!([{ "op": "replace", "value": { "active": true } }]));
    assert_eq!(bed.must(200, "PATCH", &path, on).await["active"], true);

    let group = json!({ "schemas": [GROUP], "displayName": "Test SCIMv2", "members": [] });
    let group = id(&bed.must(201, "POST", "/Groups", group).await);
    let at = format!("/Groups/{group}");
    // With each push the name and the id again.
    let push = |operations: Value| {
        let (bed, at) = (&bed, &at);
        async move { bed.must(200, "PATCH", at, patch(operations)).await }
    };
    push(json!([{ "op": "replace", "value": { "id": group, "displayName": "Test SCIMv2 renamed" } }]))
        .await;
    let member = json!([{ "value": id(&made), "display": "test.user@okta.local" }]);
    push(json!([{ "op": "add", "path": "members", "value": member }])).await;
    assert_eq!(bed.members(&group).await, [id(&made)]);
    let only = format!("members[value eq \"{}\"]", id(&made));
    push(json!([{ "op": "remove", "path": only }])).await;
    assert_eq!(bed.members(&group).await, Vec::<String>::new());
    push(json!([{ "op": "replace", "path": "members", "value": member }])).await;
    assert_eq!(bed.members(&group).await, [id(&made)]);
    let null = json!({ "schemas": [GROUP], "displayName": "Test SCIMv2", "members": null });
    bed.must(200, "PUT", &at, null).await;
    assert_eq!(bed.members(&group).await, Vec::<String>::new());
    assert_eq!(bed.ask("DELETE", &at, Value::Null).await.status, 204);
    bed.finish().await;
}

/// Entra without its flag: capitals, texts for flags, value arrays.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn entra_as_documented() {
    let bed = Bed::start().await;
    // "Test connection" asks for somebody who can't be there: an empty list, no 404.
    let probe = "/Users?filter=userName+eq+%22non-existent%22";
    assert_eq!(
        bed.must(200, "GET", probe, Value::Null).await["totalResults"],
        0
    );
    let enterprise = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User";
    let user = json!({
        "schemas": [USER, enterprise], "externalId": "0a21f0f2-8d2a-4f8e-bf98-7363c4aed4ef",
        "userName": "Test_User_ab6490ee@testuser.com", "active": true,
        "emails": [{ "primary": true, "type": "work", "value": "Test_User_fd0ea19b@testuser.com" }],
        "meta": { "resourceType": "User" },
        "name": { "formatted": "givenName familyName", "familyName": "familyName", "givenName": "givenName" },
        "roles": [],
    });
    let made = bed.must(201, "POST", "/Users", user).await;
    let (user, path) = (id(&made), format!("/Users/{}", id(&made)));
    assert_eq!(made["roles"], json!([]));
    for filter in [
        "userName+eq+%22test_user_AB6490EE%40testuser.com%22",
        "externalId+eq+%220a21f0f2-8d2a-4f8e-bf98-7363c4aed4ef%22",
        "emails%5Btype+eq+%22work%22%5D.value+eq+%22Test_User_fd0ea19b%40testuser.com%22",
    ] {
        let found = bed
            .must(200, "GET", &format!("/Users?filter={filter}"), Value::Null)
            .await;
        assert_eq!(found["totalResults"], 1, "{filter}");
    }
    let changed = bed
        .must(
            200,
            "PATCH",
            &path,
            patch(json!([
                { "op": "Replace", "path": "emails[type eq \"work\"].value", "value": "updatedEmail@microsoft.com" },
                { "op": "Replace", "path": "name.familyName", "value": "updatedFamilyName" },
                { "op": "Add", "path": "phoneNumbers[type eq \"mobile\"].value", "value": "+1 555" },
                { "op": "Add", "path": format!("{enterprise}:department"), "value": "Sales" },
                { "op": "Replace", "path": format!("{enterprise}:manager"), "value": "boss" },
                { "op": "Replace", "path": "active", "value": "False" },
            ])),
        )
        .await;
    assert_eq!(changed["emails"][0]["value"], "updatedEmail@microsoft.com");
    assert_eq!(changed["name"]["familyName"], "updatedFamilyName");
    // Made so, since it was not there.
    assert_eq!(
        changed["phoneNumbers"],
        json!([{ "type": "mobile", "value": "+1 555" }])
    );
    assert_eq!(changed[enterprise]["department"], "Sales");
    assert_eq!(changed["active"], false);
    assert_eq!(
        bed.must(200, "GET", &path, Value::Null).await["active"],
        false
    );

    let unknown = "http://schemas.microsoft.com/2006/11/ResourceManagement/ADSCIM/2.0/Group";
    let group = json!({
        "schemas": [GROUP, unknown], "externalId": "8aa1a0c0-c4c3-4bc0-b4a5-2ef676900159",
        "displayName": "displayName", "meta": { "resourceType": "Group" },
    });
    let made = bed.must(201, "POST", "/Groups", group).await;
    assert_eq!(made["schemas"], json!([GROUP]));
    let (group, at) = (id(&made), format!("/Groups/{}", id(&made)));
    let find = "/Groups?excludedAttributes=members&filter=displayName+eq+%22displayName%22";
    assert_eq!(
        bed.must(200, "GET", find, Value::Null).await["totalResults"],
        1
    );
    let bare = format!("{at}?excludedAttributes=members");
    assert_eq!(
        bed.must(200, "GET", &bare, Value::Null)
            .await
            .get("members"),
        None
    );
    let add =
        json!([{ "op": "Add", "path": "members", "value": [{ "$ref": null, "value": user }] }]);
    bed.must(200, "PATCH", &at, patch(add)).await;
    let is_in = format!("/Groups?filter=id+eq+%22{group}%22+and+members+eq+%22{user}%22");
    assert_eq!(
        bed.must(200, "GET", &is_in, Value::Null).await["totalResults"],
        1
    );
    let remove =
        json!([{ "op": "Remove", "path": "members", "value": [{ "$ref": null, "value": user }] }]);
    bed.must(200, "PATCH", &at, patch(remove)).await;
    assert_eq!(bed.members(&group).await, Vec::<String>::new());
    assert_eq!(bed.ask("DELETE", &path, Value::Null).await.status, 204);
    bed.finish().await;
}

/// Entra with the flag in the tenant's address: dotted names and full URNs without a path.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn entra_with_its_flag_as_documented() {
    let bed = Bed::start().await;
    let flag = "?aadOptscim062020";
    let made = bed
        .must(
            201,
            "POST",
            &format!("/Users{flag}"),
            json!({ "schemas": [USER], "userName": "a" }),
        )
        .await;
    let path = format!("/Users/{}{flag}", id(&made));
    let department = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:department";
    let changed = bed
        .must(
            200,
            "PATCH",
            &path,
            patch(json!([
                { "op": "replace", "value": {
                    "displayName": "Pvlo", "name.givenName": "Gtfd", "name.familyName": "Pkqf",
                    "name.formatted": "Bjfe", department: "Bhfe", "active": false } },
                { "op": "add", "value": { "emails[type eq \"work\"].value": "a@example.com" } },
            ])),
        )
        .await;
    assert_eq!(
        changed["name"],
        json!({ "givenName": "Gtfd", "familyName": "Pkqf", "formatted": "Bjfe" })
    );
    let enterprise = department.strip_suffix(":department").unwrap();
    assert_eq!(changed[enterprise], json!({ "department": "Bhfe" }));
    assert_eq!(
        changed["emails"],
        json!([{ "type": "work", "value": "a@example.com" }])
    );
    assert_eq!(
        (&changed["displayName"], &changed["active"]),
        (&json!("Pvlo"), &json!(false))
    );
    bed.finish().await;
}
