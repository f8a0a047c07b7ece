//! Bots (recordings 01 and 25), as far as an identity bridge meets them.

use serde_json::Value;

use super::answer::{Answer, Refusal, Reply};
use super::call::Call;
use super::controls::StandIn;
use super::ids::now_ms;
use super::state::Bot;
use super::user_changes::set_active;
use super::users::{blank, insert};

impl StandIn {
    /// Makes a bot and its account; an empty owner means that it owns itself.
    pub(super) fn new_bot(
        &self,
        username: &str,
        display_name: &str,
        owner: &str,
    ) -> Result<Bot, Refusal> {
        let mut user = blank();
        user.username = username.to_lowercase();
        user.email = format!("{}@localhost", user.username);
        user.first_name = display_name.to_owned();
        user.is_bot = true;
        user.remote_id = None;
        let now = now_ms();
        let bot = Bot {
            user_id: user.id.clone(),
            username: user.username.clone(),
            display_name: display_name.to_owned(),
            description: String::new(),
            owner_id: if owner.is_empty() {
                user.id.clone()
            } else {
                owner.to_owned()
            },
            create_at: now,
            update_at: now,
            delete_at: 0,
        };
        insert(self, user)?;
        self.state().bots.push(bot.clone());
        Ok(bot)
    }
}

/// `POST /bots`.
pub(super) async fn create(mut call: Call) -> Answer {
    let body = call.json().await?;
    // No bot makes a bot, whatever its roles: asked before the setting (tried with a server 11.2).
    let caller = call.caller()?.user_id.clone();
    if call
        .app
        .state()
        .user(&caller)
        .is_some_and(|user| user.is_bot)
    {
        return Err(Refusal::permissions());
    }
    if !call.app.flag("ServiceSettings", "EnableBotAccountCreation") {
        return Err(Refusal::new(
            403,
            "api.bot.create_disabled",
            "Bot creation has been disabled.",
        ));
    }
    call.admin_only()?;
    let text = |name: &str| body.get(name).and_then(Value::as_str).unwrap_or_default();
    let owner = call.caller()?.user_id.clone();
    let bot = call
        .app
        .new_bot(text("username"), text("display_name"), &owner)?;
    Ok(Reply::json(201, &bot))
}

fn find(call: &Call) -> Result<Bot, Refusal> {
    let id = call.id(1, "bot_user_id")?;
    let state = call.app.state();
    let found = state.bots.iter().find(|bot| bot.user_id == id).cloned();
    found.ok_or_else(|| {
        Refusal::new(
            404,
            "store.sql_bot.get.missing.app_error",
            "Bot does not exist.",
        )
    })
}

/// `GET /bots/{id}`.
pub(super) async fn get(call: Call) -> Answer {
    let bot = find(&call)?;
    call.admin_only()?;
    if bot.delete_at > 0 && call.param("include_deleted") != Some("true") {
        return Err(Refusal::new(
            404,
            "store.sql_bot.get.missing.app_error",
            "Bot does not exist.",
        ));
    }
    Ok(Reply::json(200, &bot))
}

/// `GET /bots`: an administrator sees everybody's.
pub(super) async fn list(call: Call) -> Answer {
    call.admin_only()?;
    let number = |name: &str, default: usize| {
        call.param(name)
            .and_then(|text| text.parse().ok())
            .unwrap_or(default)
    };
    let (page, size) = (number("page", 0), number("per_page", 60).clamp(1, 200));
    let all = call.param("include_deleted") == Some("true");
    let state = call.app.state();
    let shown: Vec<&Bot> = state
        .bots
        .iter()
        .filter(|bot| all || bot.delete_at == 0)
        .skip(page.saturating_mul(size))
        .take(size)
        .collect();
    Ok(Reply::json(200, &shown))
}

/// `POST /bots/{id}/assign/{user}`: any id is taken for an owner but another bot's (recording 30).
pub(super) async fn assign(call: Call) -> Answer {
    let bot = find(&call)?;
    let owner = call.id(3, "user_id")?;
    call.admin_only()?;
    let mut state = call.app.state();
    if state.user(&owner).is_some_and(|user| user.is_bot) {
        return Err(Refusal::permissions());
    }
    let kept = state
        .bots
        .iter_mut()
        .find(|have| have.user_id == bot.user_id);
    let kept = kept.ok_or_else(Refusal::missing_user)?;
    kept.owner_id = owner;
    kept.update_at = now_ms();
    Ok(Reply::json(200, &kept.clone()))
}

/// `POST /bots/{id}/enable` and `…/disable`.
pub(super) async fn switch(call: Call) -> Answer {
    let bot = find(&call)?;
    call.admin_only()?;
    if !set_active(&call.app, &bot.user_id, call.segment(2) == "enable")? {
        std::future::pending::<()>().await;
    }
    Ok(Reply::json(200, &find(&call)?))
}
