//! Whom an operator means: a shadow user by our id, by `sub`, by e-mail address or by user name.

use super::out::{Table, clean};
use super::stage::Stage;
use crate::store::{Store, User, UserFilter};
use crate::types::{Subject, UserId};
use anyhow::bail;

/// Rows a page.
const PAGE: u32 = 1000;
/// Most candidates shown.
const SHOWN: usize = 20;

/// The one person whom `text` names. What never changes (id, `sub`) goes before what people may
/// choose for themselves, so that nobody is mistaken for another by a borrowed name.
pub(super) async fn find(stage: &Stage, text: &str) -> anyhow::Result<User> {
    if let Ok(id) = text.parse::<UserId>()
        && let Some(user) = stage.store.user(id).await?
    {
        return Ok(user);
    }
    let mut found = Vec::new();
    if let Ok(subject) = Subject::new(text) {
        for issuer in &stage.config.issuers {
            found.extend(stage.store.user_by_subject(&issuer.id, &subject).await?);
        }
    }
    if found.is_empty() && !text.is_empty() {
        let filter = UserFilter {
            search: Some(text.to_owned()),
            ..UserFilter::default()
        };
        let near = every(&*stage.store, filter).await?;
        let is = |user: &&User| {
            user.email.eq_ignore_ascii_case(text)
                || user.subject.as_str() == text
                || user
                    .username
                    .as_deref()
                    .is_some_and(|name| name.eq_ignore_ascii_case(text))
        };
        found = near.iter().filter(is).cloned().collect();
        if found.is_empty() && !near.is_empty() {
            bail!(
                "{} is nobody's id, sub, e-mail address or user name. Near it:\n\n{}",
                clean(text),
                candidates(&near)
            );
        }
    }
    match <[User; 1]>::try_from(found) {
        Ok([user]) => Ok(user),
        Err(none) if none.is_empty() => bail!(
            "nobody is known as {}: `auth-manager users list` shows everybody who has come by",
            clean(text)
        ),
        Err(several) => bail!(
            "{} may be each of these: name the one you mean by its id\n\n{}",
            clean(text),
            candidates(&several)
        ),
    }
}

/// All users of a filter, page by page.
pub(super) async fn every(store: &dyn Store, mut filter: UserFilter) -> anyhow::Result<Vec<User>> {
    let mut all = Vec::new();
    filter.limit = PAGE;
    loop {
        let page = store.users(&filter).await?;
        let Some(last) = page.last() else {
            return Ok(all);
        };
        filter.after = Some(last.id);
        all.extend(page);
    }
}

/// A table of users.
pub(super) fn table(users: &[User]) -> Table {
    let mut table = Table::new(&["ID", "STATE", "USER NAME", "E-MAIL", "NAME", "SUB"]);
    for user in users {
        table.row([
            user.id.to_string(),
            user.state.to_string(),
            user.username.clone().unwrap_or_default(),
            user.email.clone(),
            user.name.clone(),
            user.subject.to_string(),
        ]);
    }
    table
}

/// How a message names somebody.
pub(super) fn name(user: &User) -> String {
    let known = user.username.as_deref().filter(|name| !name.is_empty());
    let known = known.or(Some(user.email.as_str()).filter(|email| !email.is_empty()));
    match known {
        Some(known) => format!("{} ({})", clean(known), user.id),
        None => user.id.to_string(),
    }
}

fn candidates(users: &[User]) -> String {
    let mut text = table(users.get(..SHOWN).unwrap_or(users)).text("");
    if users.len() > SHOWN {
        text.push_str(&format!("\n… and {} more", users.len() - SHOWN));
    }
    text
}
