//! Invitations to enrol. Made, listed and deleted here; opening one is a browser's business, which
//! the controls play.

use serde_json::{Value, json};

use super::answer::{Answer, Refusal, Reply};
use super::call::Call;
use super::ids::{new_uuid, parse, uuid_of};
use super::state::Invitation;
use super::{autocomplete, page, render};

const VIEW: &str = "authentik_stages_invitation.view_invitation";

/// `GET /stages/invitation/invitations/`.
pub(super) async fn list(call: Call) -> Answer {
    let state = call.app.state();
    let sees = call.caller.sees(VIEW)?;
    let mut found: Vec<&Invitation> = state
        .invitations
        .values()
        .filter(|invitation| sees.shows(&invitation.pk))
        .filter(|invitation| {
            call.param("name")
                .is_none_or(|name| invitation.name == name)
        })
        .collect();
    found.sort_by_key(|invitation| (invitation.expires, invitation.pk.clone()));
    page::page(&call, &found, autocomplete::none(), |invitation| {
        render::invitation(&state, invitation)
    })
}

/// `POST /stages/invitation/invitations/`.
pub(super) async fn create(mut call: Call) -> Answer {
    call.caller
        .must("authentik_stages_invitation.add_invitation")?;
    let body = call.json().await?;
    let name = body.get("name").and_then(Value::as_str).unwrap_or_default();
    let slug = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    if name.is_empty() || !name.chars().all(slug) {
        let text = "Enter a valid \"slug\" consisting of letters, numbers, underscores or hyphens.";
        return Err(Refusal::field("name", text));
    }
    let flow = body.get("flow").and_then(Value::as_str).map(str::to_owned);
    let invitation = Invitation {
        pk: new_uuid(),
        name: name.to_owned(),
        expires: body.get("expires").and_then(Value::as_str).and_then(parse),
        fixed_data: body.get("fixed_data").cloned().unwrap_or_else(|| json!({})),
        single_use: body
            .get("single_use")
            .and_then(Value::as_bool)
            .unwrap_or(false),
        flow,
        created_by: call.caller.user,
    };
    let pk = invitation.pk.clone();
    let shown = {
        let mut state = call.app.state();
        let shown = render::invitation(&state, &invitation);
        state.invitations.insert(pk.clone(), invitation);
        shown
    };
    let model = render::model("authentik_stages_invitation", "invitation", json!(pk), name);
    call.event_of_model("model_created", model);
    Ok(Reply::json(201, shown))
}

/// `GET /stages/invitation/invitations/{pk}/`.
pub(super) async fn get(call: Call) -> Answer {
    let state = call.app.state();
    let sees = call.caller.sees(VIEW)?;
    let pk = uuid_of(call.segment(3)).ok_or_else(Refusal::not_found)?;
    let found = state
        .invitations
        .get(&pk)
        .filter(|found| sees.shows(&found.pk));
    let found = found.ok_or_else(|| Refusal::no_match("Invitation"))?;
    Ok(Reply::ok(render::invitation(&state, found)))
}

/// `DELETE /stages/invitation/invitations/{pk}/`.
pub(super) async fn delete(call: Call) -> Answer {
    call.caller
        .must("authentik_stages_invitation.delete_invitation")?;
    let pk = uuid_of(call.segment(3)).ok_or_else(Refusal::not_found)?;
    let removed = call.app.state().invitations.remove(&pk);
    let removed = removed.ok_or_else(|| Refusal::no_match("Invitation"))?;
    let model = render::model(
        "authentik_stages_invitation",
        "invitation",
        json!(pk),
        &removed.name,
    );
    call.event_of_model("model_deleted", model);
    Ok(Reply::empty())
}

/// `POST /stages/invitation/invitations/{pk}/send_email/`: it is only noted that it was asked for.
pub(super) async fn send_email(mut call: Call) -> Answer {
    call.caller
        .must("authentik_stages_invitation.change_invitation")?;
    call.json().await?;
    let pk = uuid_of(call.segment(3)).ok_or_else(Refusal::not_found)?;
    if !call.app.state().invitations.contains_key(&pk) {
        return Err(Refusal::no_match("Invitation"));
    }
    Ok(Reply::empty())
}
