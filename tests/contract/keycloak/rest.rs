//! Recordings 01 to 06: the token endpoint and the Admin REST API.

use super::exchanges;
use super::stage::{Stage, part, path};
use auth_manager::demo::keycloak::CLIENT;
use serde_json::Value;

/// Exchanges not played, and why.
const LEFT_OUT: &[(&str, &str, &str)] = &[
    (
        "02-authentication-failures.json",
        "another realm",
        "there is one realm only",
    ),
    (
        "02-authentication-failures.json",
        "after it",
        "tokens do not age here: they are forgotten",
    ),
];

/// Plays a recording; `before` brings about what its step or trigger says.
async fn played(name: &str, mut before: impl FnMut(&Stage, &str, &Value)) {
    let stage = Stage::peopled().await;
    let mut report = Vec::new();
    for (index, exchange) in exchanges(name).iter().enumerate() {
        let what = ["step", "trigger"].map(|key| exchange[key].as_str().unwrap_or_default());
        let what = what.concat();
        if LEFT_OUT
            .iter()
            .any(|(file, step, _)| (*file, *step) == (name, &*what))
        {
            continue;
        }
        before(&stage, &what, exchange);
        let found = stage.differences(exchange).await;
        let asked = path(exchange);
        report.extend(
            found
                .into_iter()
                .map(|text| format!("#{index} {what} {asked}: {text}")),
        );
    }
    assert!(report.is_empty(), "{name}:\n{}", report.join("\n"));
}

/// Takes the token that an exchange asks with.
fn know(stage: &Stage, exchange: &Value) {
    let lines = exchange["request"]["headers"].as_array();
    let line = lines
        .into_iter()
        .flatten()
        .find(|l| l[0] == "Authorization");
    let token = line.and_then(|line| line[1].as_str()?.strip_prefix("Bearer "));
    if let Some(token) = token.filter(|token| *token != "garbage") {
        stage.app.give_token(token);
    }
}

#[tokio::test]
async fn the_token_endpoint_grants_and_refuses() {
    played("01-token-endpoint.json", |stage, step, exchange| {
        know(stage, exchange);
        let app = &stage.app;
        app.set_service_accounts(step != "service account switched off");
        app.set_public(step == "public client");
        app.set_client_enabled(step != "client disabled");
        app.set_account_enabled(step != "service account disabled");
        app.demand_https(step == "https required of everybody");
        app.set_realm_enabled(step != "realm disabled");
        app.set_secret(match step.starts_with("secret rotated") {
            true => "lab-client-secret-1111111111111111",
            false => CLIENT.1,
        });
        app.set_roles(match step.ends_with("its roles are gone") {
            true => &[],
            false => &["view-users"],
        });
    })
    .await;
}

#[tokio::test]
async fn tokens_that_are_not_good_are_refused() {
    let name = "02-authentication-failures.json";
    played(name, |stage, step, exchange| {
        know(stage, exchange);
        let app = &stage.app;
        if step.starts_with("revoked") {
            app.forget_tokens();
        }
        app.set_client_enabled(step != "client disabled");
        app.set_account_enabled(step != "service account disabled");
        app.set_realm_enabled(step != "realm disabled");
    })
    .await;
}

#[tokio::test]
async fn roles_decide_what_is_shown() {
    played("03-roles.json", |stage, step, exchange| {
        match step.strip_suffix(", but the client's scope lacks it") {
            Some(roles) => {
                stage.app.set_roles(&[roles]);
                stage.app.set_full_scope(false);
            }
            None => {
                let roles: Vec<&str> = step.split(' ').filter(|role| *role != "none").collect();
                stage.app.set_roles(&roles);
            }
        }
        know(stage, exchange);
    })
    .await;
}

#[tokio::test]
async fn users_are_listed_paged_and_shown() {
    played("04-users.json", |stage, _, exchange| know(stage, exchange)).await;
}

#[tokio::test]
async fn groups_are_a_tree_with_members() {
    played("05-groups.json", |stage, _, exchange| know(stage, exchange)).await;
}

#[tokio::test]
async fn a_person_comes_and_goes() {
    let recorded = exchanges("06-life.json");
    let eve = part(path(&recorded[0]), 5).to_owned();
    let group = |trigger: &str| {
        let of = recorded
            .iter()
            .find(|exchange| exchange["trigger"] == trigger);
        part(path(of.expect(trigger)), 5).to_owned()
    };
    let sales = group("/sales renamed");
    let (staff, low) = (
        group("/everybody/staff moved to the top"),
        group("/everybody/staff/sales deleted"),
    );
    let back = &recorded
        .iter()
        .find(|exchange| exchange["trigger"] == "and back below /everybody");
    let everybody = back.expect("a group")["response"]["body"]["parentId"].clone();
    played("06-life.json", |stage, trigger, exchange| {
        know(stage, exchange);
        let app = &stage.app;
        match trigger {
            "created" | "last name and address changed" | "disabled" | "enabled" => {
                app.import_user(&exchange["response"]["body"]);
                app.rename_group(&sales, "sales");
            }
            "put into /sales" => app.join(&eve, &sales),
            "/sales renamed" => app.rename_group(&sales, "vente"),
            "taken out of /sales" => app.leave(&eve, &sales),
            "put into /everybody/staff" => app.join(&eve, &staff),
            "/everybody/staff moved to the top" => app.move_group(&staff, None),
            "and back below /everybody" => app.move_group(&staff, everybody.as_str()),
            "deleted" => app.delete(&eve),
            "/everybody/staff/sales deleted" => app.delete_group(&low),
            other => assert_eq!(other, "", "a trigger that is not known here"),
        }
    })
    .await;
}

#[test]
fn what_is_left_out_is_written_down() {
    for (file, step, reason) in LEFT_OUT {
        let there = exchanges(file);
        let times = there.iter().filter(|exchange| exchange["step"] == *step);
        assert_eq!(times.count(), 1, "{file}: {step}");
        assert!(reason.len() > 5);
    }
    assert_eq!(LEFT_OUT.len(), 2);
}
