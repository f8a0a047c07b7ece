//! From hired to gone, the whole road: an identity provider says something, by webhook, by SCIM or
//! only when it is asked, and what follows is seen where it matters: at the door, on the socket, in
//! the app. The real binary between the stand-in Authentik (held to recordings of a real one, as its
//! bodies are), the stand-in Keycloak and the stand-in Mattermost; nobody takes a word in by hand.
//!
//! - `hooks`: by webhook, with either body
//! - `odd`: what a real Authentik does that nobody would expect (its recorded differences)
//! - `lost`: with every notification lost, by the sweep alone
//! - `scim`: by SCIM
//! - `keycloak`: with a directory that notifies nobody
//! - `killed`: with the bridge killed in the middle of each step (T36)
//! - `reload`: with another mapping, for people who are there already

mod hooks;
mod keycloak;
mod killed;
mod lost;
mod odd;
mod reload;
mod scim;

use auth_manager::demo::mattermost::UserSnapshot;

pub(super) fn in_sales(user: &UserSnapshot) -> bool {
    user.teams.contains(&"sales".to_owned())
}

pub(super) fn is_gone(user: &UserSnapshot) -> bool {
    !user.is_active()
}

pub(super) fn administers(user: &UserSnapshot) -> bool {
    user.roles.split(' ').any(|role| role == "system_admin")
}
