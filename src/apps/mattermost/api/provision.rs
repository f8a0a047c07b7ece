//! The endpoints that provisioning uses (recordings 11, 13, 14, 25, 30).

use super::{Api, ApiError, As, User, checked, found, parse};
use http::Method;
use serde::{Deserialize, Serialize};
use serde_json::json;

/// Entries a page: the server's largest.
pub(in super::super) const PAGE: usize = 200;
/// Most entries that are read of a list: five times what an unlicensed server can hold.
const MOST: usize = 2_000;

/// A bot as listed.
#[derive(Debug, Clone, Deserialize)]
pub(in super::super) struct ListedBot {
    pub(in super::super) user_id: String,
    #[serde(default)]
    pub(in super::super) username: String,
    #[serde(default)]
    pub(in super::super) owner_id: String,
    /// Milliseconds; 0: enabled.
    #[serde(default)]
    pub(in super::super) delete_at: i64,
}

/// A membership of a team or channel; only a team's has `delete_at`.
#[derive(Debug, Clone, Deserialize)]
pub(in super::super) struct Membership {
    pub(in super::super) user_id: String,
    #[serde(default)]
    pub(in super::super) delete_at: i64,
    #[serde(default)]
    pub(in super::super) scheme_admin: bool,
}

/// A channel.
#[derive(Debug, Clone, Deserialize)]
pub(in super::super) struct Channel {
    pub(in super::super) id: String,
    #[serde(default)]
    pub(in super::super) delete_at: i64,
}

/// When the server last saw somebody; it answers for ids that nobody has, too (recordings 30).
#[derive(Debug, Clone, Deserialize)]
pub(in super::super) struct Status {
    pub(in super::super) user_id: String,
    /// Milliseconds; 0: never.
    #[serde(default)]
    pub(in super::super) last_activity_at: i64,
}

/// What a person is a member of: the two kinds have the same routes.
#[derive(Debug, Clone, Copy)]
pub(in super::super) enum Of<'a> {
    Team(&'a str),
    Channel(&'a str),
}

impl Api {
    /// `PUT /users/{id}/active`. At the limit `true` is refused even for who is active already.
    pub(in super::super) async fn set_active(
        &self,
        id: &str,
        active: bool,
    ) -> Result<(), ApiError> {
        let path = ["users", checked(id)?, "active"];
        self.done(Method::PUT, &path, &json!({ "active": active }))
            .await
    }

    /// `POST /users/{id}/sessions/revoke/all`: 200 for an id that nobody has, too.
    pub(in super::super) async fn revoke_all_sessions(&self, id: &str) -> Result<(), ApiError> {
        let path = ["users", checked(id)?, "sessions", "revoke", "all"];
        self.bare(Method::POST, &path).await
    }

    /// `PUT /users/{id}/roles`: the whole list.
    pub(in super::super) async fn set_roles(&self, id: &str, roles: &str) -> Result<(), ApiError> {
        let path = ["users", checked(id)?, "roles"];
        self.done(Method::PUT, &path, &json!({ "roles": roles }))
            .await
    }

    /// `GET /users?active=true`: bots and people of other servers too, by user name.
    pub(in super::super) async fn active_users(&self, page: u32) -> Result<Vec<User>, ApiError> {
        self.get_page(
            &["users"],
            &format!("active=true&page={page}&per_page={PAGE}"),
        )
        .await
    }

    /// `GET /users`: everybody, by user name.
    pub(in super::super) async fn all_users(&self, page: u32) -> Result<Vec<User>, ApiError> {
        self.get_page(&["users"], &format!("page={page}&per_page={PAGE}"))
            .await
    }

    /// `GET …/members`.
    pub(in super::super) async fn members(
        &self,
        of: Of<'_>,
        page: u32,
    ) -> Result<Vec<Membership>, ApiError> {
        let (kind, id) = of.parts();
        let path = [kind, checked(id)?, "members"];
        self.get_page(&path, &format!("page={page}&per_page={PAGE}"))
            .await
    }

    /// `POST /users/status/ids`.
    pub(in super::super) async fn statuses(&self, ids: &[&str]) -> Result<Vec<Status>, ApiError> {
        if ids.is_empty() {
            return Ok(Vec::new());
        }
        for id in ids {
            checked(id)?;
        }
        self.post(&["users", "status", "ids"], &ids).await
    }

    /// `GET /bots`, all of them: the server can't be asked for one owner's.
    pub(in super::super) async fn bots(&self) -> Result<Vec<ListedBot>, ApiError> {
        let mut all = Vec::new();
        for page in 0.. {
            let query = format!("include_deleted=true&page={page}&per_page={PAGE}");
            let some: Vec<ListedBot> = self.get_page(&["bots"], &query).await?;
            let last = some.len() < PAGE;
            all.extend(some);
            if last {
                break;
            }
            if all.len() >= MOST {
                return Err(ApiError::Foreign("it has more bots than are read".into()));
            }
        }
        Ok(all)
    }

    /// `POST /bots/{id}/enable` and `…/disable`.
    pub(in super::super) async fn switch_bot(&self, id: &str, on: bool) -> Result<(), ApiError> {
        let word = if on { "enable" } else { "disable" };
        self.bare(Method::POST, &["bots", checked(id)?, word]).await
    }

    /// `POST /bots/{id}/assign/{owner}`: takes ids that nobody has (recordings 30).
    pub(in super::super) async fn assign_bot(
        &self,
        id: &str,
        owner: &str,
    ) -> Result<ListedBot, ApiError> {
        let path = ["bots", checked(id)?, "assign", checked(owner)?];
        let call = self.call(Method::POST, &path, &As::Bot)?;
        parse(&self.send(call).await?.1)
    }

    /// `GET /teams/{id}/channels/name/{name}`.
    pub(in super::super) async fn channel_by_name(
        &self,
        team: &str,
        name: &str,
    ) -> Result<Option<Channel>, ApiError> {
        found(
            self.get(&["teams", checked(team)?, "channels", "name", name])
                .await,
        )
    }

    /// `GET …/members/{user}`; a removed member of a team is still there, with `delete_at`.
    pub(in super::super) async fn member(
        &self,
        of: Of<'_>,
        user: &str,
    ) -> Result<Option<Membership>, ApiError> {
        found(self.get(&of.member(user)?).await)
    }

    /// `POST /channels/{id}/members`; a member already is fine, who is not in the team is a 404.
    pub(in super::super) async fn add_to_channel(
        &self,
        channel: &str,
        user: &str,
    ) -> Result<Membership, ApiError> {
        let path = ["channels", checked(channel)?, "members"];
        self.post(&path, &json!({ "user_id": checked(user)? }))
            .await
    }

    /// `DELETE …/members/{user}`.
    pub(in super::super) async fn remove_member(
        &self,
        of: Of<'_>,
        user: &str,
    ) -> Result<(), ApiError> {
        self.bare(Method::DELETE, &of.member(user)?).await
    }

    /// `PUT …/members/{user}/schemeRoles`: 200 for a removed member of a team, too.
    pub(in super::super) async fn set_admin(
        &self,
        of: Of<'_>,
        user: &str,
        admin: bool,
    ) -> Result<(), ApiError> {
        let [kind, id, members, user] = of.member(user)?;
        let body = json!({ "scheme_user": true, "scheme_admin": admin });
        self.done(
            Method::PUT,
            &[kind, id, members, user, "schemeRoles"],
            &body,
        )
        .await
    }

    async fn get_page<T: serde::de::DeserializeOwned>(
        &self,
        path: &[&str],
        query: &str,
    ) -> Result<T, ApiError> {
        let mut url = self.url(path)?;
        url.set_query(Some(query));
        let call = self.call_url(Method::GET, url, &As::Bot)?;
        parse(&self.send(call).await?.1)
    }

    /// A call whose answer says nothing but that it is done.
    async fn done(
        &self,
        method: Method,
        path: &[&str],
        body: &(impl Serialize + ?Sized),
    ) -> Result<(), ApiError> {
        self.json::<serde_json::Value>(method, path, body)
            .await
            .map(drop)
    }

    /// The same without a body.
    async fn bare(&self, method: Method, path: &[&str]) -> Result<(), ApiError> {
        let call = self.call(method, path, &As::Bot)?;
        self.send(call).await.map(drop)
    }
}

impl<'a> Of<'a> {
    const fn parts(self) -> (&'static str, &'a str) {
        match self {
            Self::Team(id) => ("teams", id),
            Self::Channel(id) => ("channels", id),
        }
    }

    fn member(self, user: &'a str) -> Result<[&'a str; 4], ApiError> {
        let (kind, id) = self.parts();
        Ok([kind, checked(id)?, "members", checked(user)?])
    }
}
