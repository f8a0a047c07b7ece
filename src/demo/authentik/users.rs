//! Reading users.

use super::answer::{Answer, Refusal, Reply};
use super::call::Call;
use super::state::User;
use super::{autocomplete, filter, page, render};

/// The permission that shows them.
pub(super) const VIEW: &str = "authentik_core.view_user";

/// `GET /core/users/`.
pub(super) async fn list(call: Call) -> Answer {
    let state = call.app.state();
    let sees = call.caller.sees(VIEW)?;
    let rules = filter::rules(&state, &call)?;
    let mut found: Vec<&User> = state
        .users
        .values()
        .filter(|user| !state.unlisted.contains(&user.pk))
        .filter(|user| sees.shows(&user.pk.to_string()))
        .filter(|user| rules.iter().all(|holds| holds(user)))
        .collect();
    filter::sort(&mut found, call.param("ordering"));
    let shown = render::Shown {
        groups: !call.without("include_groups"),
        roles: !call.without("include_roles"),
    };
    page::page(&call, &found, autocomplete::users(), |user| {
        render::user(&state, user, shown)
    })
}

/// `GET /core/users/me/`: everybody may see themselves.
pub(super) async fn me(call: Call) -> Answer {
    let state = call.app.state();
    let user = state.users.get(&call.caller.user);
    let user = user.ok_or_else(Refusal::bad_token)?;
    Ok(Reply::ok(render::me(&state, user)))
}

/// `GET /core/users/{pk}/`.
pub(super) async fn get(call: Call) -> Answer {
    let state = call.app.state();
    // The permission is looked at first, whatever the id is (recorded: 42).
    let sees = call.caller.sees(VIEW)?;
    let pk: i64 = call.segment(2).parse().map_err(|_| Refusal::not_found())?;
    let user = state
        .users
        .get(&pk)
        .filter(|user| sees.shows(&user.pk.to_string()));
    let user = user.ok_or_else(|| Refusal::no_match("User"))?;
    Ok(Reply::ok(render::user(&state, user, render::WHOLE)))
}
