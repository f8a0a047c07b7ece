//! Recordings 40 to 49 and 56: the REST API.

use super::stage::{READER, ROLE, Stage, results};
use super::{exchanges, load};
use serde_json::{Value, json};

const VIEW_USER: &str = "authentik_core.view_user";
const VIEW_GROUP: &str = "authentik_core.view_group";
const VIEW_EVENT: &str = "authentik_events.view_event";

/// Exchanges not played, and why.
const LEFT_OUT: &[(&str, usize, &str)] = &[
    (
        "42-rest-valid-token-without-permission.json",
        7,
        "applications are not kept here",
    ),
    (
        "47-rest-reader-writes-refused.json",
        5,
        "applications are not kept here",
    ),
];

async fn played(stage: &Stage, name: &str, ignored: &[&str]) {
    let mut report = Vec::new();
    for (index, exchange) in exchanges(name).iter().enumerate() {
        if LEFT_OUT
            .iter()
            .any(|(file, at, _)| (*file, *at) == (name, index))
        {
            continue;
        }
        let path = exchange["request"]["path"]
            .as_str()
            .unwrap_or_default()
            .to_owned();
        let found = stage.differences(exchange, ignored).await;
        report.extend(
            found
                .into_iter()
                .map(|text| format!("#{index} {path}: {text}")),
        );
    }
    assert!(report.is_empty(), "{name}:\n{}", report.join("\n"));
}

#[tokio::test]
async fn a_service_account_and_its_token_are_made() {
    let stage = Stage::empty().await;
    for user in results(&exchanges("44-rest-users-with-view-user.json")[4]) {
        // All but the one that is about to be made.
        if user["username"] != "bridge-reader" {
            let mut user = user.clone();
            user["groups"] = json!([]);
            stage.app.import_user(&user);
        }
    }
    let admins = stage.app.create_group("authentik Admins");
    stage.app.import_group(&json!({
        "pk": "b783350a-122b-4ab2-bc62-41ba9a19e708", "name": "superusers", "is_superuser": true,
    }));
    assert!(!admins.is_empty());
    stage.app.join(3, "superusers");
    stage.app.give_token(3, "lab-admin", "lab-admin-token");
    // The two secrets were replaced by a description of their form.
    let ignored = ["body.token", "body.key"];
    played(&stage, "40-rest-service-account-and-token.json", &ignored).await;
    let key = &exchanges("40-rest-service-account-and-token.json")[2];
    let key = stage.ask(&key["request"]).await;
    let key: Value = serde_json::from_slice(&key.body).expect("a key");
    let form = |text: &str| text.len() == 60 && text.bytes().all(|b| b.is_ascii_alphanumeric());
    assert!(key["key"].as_str().is_some_and(form), "{key}");
}

#[tokio::test]
async fn whoever_cannot_prove_who_they_are_gets_403() {
    let stage = Stage::peopled(&[]).await;
    let disabled = "lab-inactive-owner-token-00000000000000";
    stage
        .app
        .give_token(13, "not-expired", "lab-expired-token-00000000000000000000");
    stage.app.give_token(10, "inactive", disabled);
    stage
        .app
        .give_app_password(13, "password", "lab-app-password-0000000000000000000000");
    played(&stage, "41-rest-authentication-failures.json", &[]).await;
}

#[tokio::test]
async fn a_token_without_permissions_sees_itself_only() {
    let stage = Stage::peopled(&[]).await;
    // The role came later.
    let ignored = ["user.roles"];
    played(
        &stage,
        "42-rest-valid-token-without-permission.json",
        &ignored,
    )
    .await;
}

#[tokio::test]
async fn a_permission_on_one_object_makes_a_list_that_is_not_whole() {
    let stage = Stage::peopled(&[]).await;
    stage
        .app
        .set_role(ROLE, "bridge-reader", &[], &[(VIEW_USER, "9")]);
    played(&stage, "43-rest-object-permission-only.json", &[]).await;
}

#[tokio::test]
async fn users_are_listed_filtered_and_paged() {
    let stage = Stage::peopled(&[VIEW_USER]).await;
    played(&stage, "44-rest-users-with-view-user.json", &[]).await;
}

#[tokio::test]
async fn groups_have_parents_children_and_members() {
    let stage = Stage::peopled(&[VIEW_USER, VIEW_GROUP, VIEW_EVENT]).await;
    stage.app.join(9, "family-child");
    played(&stage, "45-rest-groups.json", &[]).await;
}

#[tokio::test]
async fn events_are_read_newest_first() {
    let stage = Stage::peopled(&[VIEW_USER, VIEW_GROUP, VIEW_EVENT]).await;
    let name = "46-rest-events.json";
    let mut known: Vec<Value> = exchanges(name)
        .iter()
        .flat_map(|e| results(e).clone())
        .collect();
    known.sort_by_key(|event| event["created"].as_str().unwrap_or_default().to_owned());
    known.dedup();
    for event in &known {
        stage.app.import_event(event);
    }
    // Of 149 events only those that were shown are known.
    let ignored = ["body.pagination"];
    played(&stage, name, &ignored).await;
}

#[tokio::test]
async fn a_reader_changes_nothing() {
    let stage = Stage::peopled(&[VIEW_USER, VIEW_GROUP, VIEW_EVENT]).await;
    played(&stage, "47-rest-reader-writes-refused.json", &[]).await;
}

#[tokio::test]
async fn an_oauth_token_needs_the_scope_of_the_api() {
    let stage = Stage::peopled(&[VIEW_USER]).await;
    stage.app.give_app_password(
        13,
        "bridge-app-pw",
        "lab-app-password-0000000000000000000000",
    );
    let ignored = ["body.access_token", "body.id_token", "body.pagination"];
    for pair in exchanges("48-rest-with-oauth-token.json").chunks(2) {
        let asked = stage.differences(&pair[0], &ignored).await;
        assert!(asked.is_empty(), "{asked:?}");
        let token = stage.ask(&pair[0]["request"]).await;
        let token: Value = serde_json::from_slice(&token.body).expect("a token");
        let token = token["access_token"].as_str().expect("a token").to_owned();
        let mut used = pair[1].clone();
        used["request"]["headers"][1][1] = json!(format!("Bearer {token}"));
        let found = stage.differences(&used, &ignored).await;
        assert!(found.is_empty(), "{found:?}");
    }
}

#[tokio::test]
async fn a_page_has_at_most_a_hundred_entries() {
    let stage = Stage::peopled(&[VIEW_EVENT]).await;
    let recorded = load("49-rest-page-size.json");
    let one = &recorded["exchanges"][0]["response"]["body"]["results"][0];
    for _ in 0..512 {
        stage.app.import_event(one);
    }
    for exchange in recorded["exchanges"].as_array().expect("exchanges") {
        let live = stage.ask(&exchange["request"]).await;
        let body: Value = serde_json::from_slice(&live.body).expect("JSON");
        let want = &exchange["response"]["body"];
        assert_eq!(
            body["pagination"], want["pagination"],
            "{}",
            exchange["request"]["path"]
        );
        let count = body["results"].as_array().map_or(0, Vec::len);
        assert_eq!(json!(count), want["results_count_before_trimming"]);
    }
}

#[tokio::test]
async fn an_expired_token_is_deleted_by_its_use() {
    let stage = Stage::peopled(&[VIEW_USER]).await;
    let all = exchanges("56-rest-api-token-expiry.json");
    let made = stage.differences(&all[0], &[]).await;
    assert!(made.is_empty(), "{made:?}");
    let asked = json!({
        "method": "GET", "path": "/api/v3/core/tokens/exp-a/",
        "headers": [["Authorization", "Bearer lab-admin-token"]], "body": null,
    });
    let life = stage.ask(&asked).await;
    let life: Value = serde_json::from_slice(&life.body).expect("JSON");
    assert_ne!(
        life["expires"], "2027-01-01T00:00:00Z",
        "half an hour, whatever was asked for"
    );
    stage
        .app
        .give_token(13, "exp-a", "lab-expired-a-0000000000000000000000000");
    stage.app.expire_token("exp-a", -60);
    for exchange in &all[1..3] {
        let found = stage.differences(exchange, &[]).await;
        assert!(found.is_empty(), "{found:?}");
    }
}

#[tokio::test]
async fn ten_thousand_people_are_read_in_a_few_seconds() {
    let stage = Stage::peopled(&[VIEW_USER, VIEW_GROUP]).await;
    assert_eq!(stage.app.seed(10_000, 200).len(), 10_000);
    let (mut page, mut people) = (1, 0);
    while page != 0 {
        let asked = json!({
            "method": "GET", "body": null,
            "path": format!("/api/v3/core/users/?ordering=pk&page_size=100&page={page}"),
            "headers": [["Authorization", format!("Bearer {READER}")]],
        });
        let answer = stage.ask(&asked).await;
        let body: Value = serde_json::from_slice(&answer.body).expect("JSON");
        people += body["results"].as_array().map_or(0, Vec::len);
        page = body["pagination"]["next"].as_u64().expect("a number");
    }
    assert_eq!(people, 10_007);
}

#[test]
fn what_is_left_out_is_written_down() {
    for (file, index, reason) in LEFT_OUT {
        assert!(
            *index < exchanges(file).len() && reason.len() > 5,
            "{file} #{index}"
        );
    }
    assert_eq!(LEFT_OUT.len(), 2);
}
