//! A small stand-in for Keycloak's Admin REST API (26.x), for tests of its reader.
//!
//! **Written from its documentation and source, not from recordings of a real one**: what it answers
//! is what those say. Imports nothing of ours.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Router;
use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use parking_lot::Mutex;
use serde_json::{Value, json};
use tokio::net::TcpListener;

/// The client that may read, and its secret.
pub const CLIENT: (&str, &str) = ("auth-manager", "lab-client-secret");
const REALM: &str = "main";

#[derive(Default)]
struct Inner {
    users: BTreeMap<String, Value>,
    groups: BTreeMap<String, Value>,
    /// Group, then member.
    members: Vec<(String, String)>,
    tokens: Vec<String>,
    blind: bool,
    /// What every question is answered with instead.
    broken: Option<u16>,
    granted: usize,
}

/// A handle; clones are of the same one.
#[derive(Clone, Default)]
pub struct StandIn(Arc<Mutex<Inner>>);

type Params = BTreeMap<String, String>;

impl StandIn {
    /// Makes a user; their id.
    pub fn create(&self, username: &str) -> String {
        let id = uuid::Uuid::new_v4().to_string();
        let user = json!({
            "id": id, "username": username, "enabled": true, "firstName": username,
            "lastName": "Example", "email": format!("{username}@example.test"),
            "emailVerified": true, "attributes": { "locale": ["fr"] }, "totp": false,
        });
        self.0.lock().users.insert(id.clone(), user);
        id
    }

    /// Changes a member of a user.
    pub fn set(&self, user: &str, key: &str, value: Value) {
        if let Some(user) = self.0.lock().users.get_mut(user) {
            user[key] = value;
        }
    }

    /// Deletes a user.
    pub fn delete(&self, user: &str) {
        self.0.lock().users.remove(user);
    }

    /// Makes a group, below another if one is named; its id.
    pub fn create_group(&self, name: &str, above: Option<&str>) -> String {
        let id = uuid::Uuid::new_v4().to_string();
        let mut group = json!({ "id": id, "name": name, "path": format!("/{name}") });
        if let Some(above) = above {
            group["parentId"] = json!(above);
        }
        self.0.lock().groups.insert(id.clone(), group);
        id
    }

    /// Puts somebody into a group.
    pub fn join(&self, user: &str, group: &str) {
        self.0
            .lock()
            .members
            .push((group.to_owned(), user.to_owned()));
    }

    /// Takes somebody out of a group.
    pub fn leave(&self, user: &str, group: &str) {
        let is_that = |(g, u): &(String, String)| g == group && u == user;
        self.0.lock().members.retain(|member| !is_that(member));
    }

    /// Whether the service account lacks its roles.
    pub fn blind(&self, blind: bool) {
        self.0.lock().blind = blind;
    }

    /// Answers everything with this status; `None`: as it should.
    pub fn break_with(&self, status: Option<u16>) {
        self.0.lock().broken = status;
    }

    /// Forgets all access tokens, as after a change of the realm's keys.
    pub fn forget_tokens(&self) {
        self.0.lock().tokens.clear();
    }

    /// How many access tokens were given.
    pub fn granted(&self) -> usize {
        self.0.lock().granted
    }

    /// Serves until it is dropped.
    pub async fn serve(self, listener: TcpListener) {
        let admin = Router::new()
            .route("/users", get(users))
            .route("/users/count", get(count))
            .route("/users/{id}", get(user))
            .route("/users/{id}/groups", get(groups_of))
            .route("/groups", get(groups))
            .route("/groups/{id}", get(group))
            .route("/groups/{id}/children", get(children))
            .route("/groups/{id}/members", get(members));
        let app = Router::new()
            .nest(&format!("/admin/realms/{REALM}"), admin)
            .route(
                &format!("/realms/{REALM}/protocol/openid-connect/token"),
                post(token),
            )
            .fallback(|| async { problem(404, "Realm not found.") })
            .with_state(self);
        // Whatever ended it, nobody is left to tell.
        let _ = axum::serve(listener, app).await;
    }

    fn admitted(&self, headers: &HeaderMap) -> Result<(), Box<Response>> {
        let inner = self.0.lock();
        if let Some(status) = inner.broken {
            return Err(Box::new(problem(status, "unknown_error")));
        }
        let line = headers
            .get("authorization")
            .and_then(|value| value.to_str().ok());
        let token = line.and_then(|line| line.strip_prefix("Bearer "));
        if !token.is_some_and(|token| inner.tokens.iter().any(|known| known == token)) {
            return Err(Box::new(problem(401, "HTTP 401 Unauthorized")));
        }
        if inner.blind {
            return Err(Box::new(problem(403, "HTTP 403 Forbidden")));
        }
        Ok(())
    }

    fn shown_group(inner: &Inner, group: &Value) -> Value {
        let below = inner
            .groups
            .values()
            .filter(|child| child["parentId"] == group["id"]);
        let mut shown = group.clone();
        shown["subGroupCount"] = json!(below.count());
        shown["subGroups"] = json!([]);
        shown
    }
}

fn problem(status: u16, error: &str) -> Response {
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    (status, axum::Json(json!({ "error": error }))).into_response()
}

fn page(all: Vec<Value>, params: &Params) -> Response {
    let number = |name: &str, usual: usize| {
        params
            .get(name)
            .and_then(|text| text.parse().ok())
            .unwrap_or(usual)
    };
    let (first, max) = (number("first", 0), number("max", 100));
    let cut: Vec<Value> = all.into_iter().skip(first).take(max).collect();
    axum::Json(cut).into_response()
}

async fn token(State(app): State<StandIn>, body: String) -> Response {
    let mut inner = app.0.lock();
    if let Some(status) = inner.broken {
        return problem(status, "unknown_error");
    }
    let form: Params = url::form_urlencoded::parse(body.as_bytes())
        .into_owned()
        .collect();
    let field = |name: &str| form.get(name).map_or("", String::as_str);
    if (field("client_id"), field("client_secret")) != CLIENT {
        return problem(401, "unauthorized_client");
    }
    let token = uuid::Uuid::new_v4().to_string();
    inner.tokens.push(token.clone());
    inner.granted += 1;
    axum::Json(json!({ "access_token": token, "expires_in": 60, "token_type": "Bearer" }))
        .into_response()
}

async fn users(
    State(app): State<StandIn>,
    headers: HeaderMap,
    Query(params): Query<Params>,
) -> Response {
    if let Err(refused) = app.admitted(&headers) {
        return *refused;
    }
    let inner = app.0.lock();
    let mut all: Vec<Value> = inner.users.values().cloned().collect();
    if let Some(name) = params.get("username") {
        all.retain(|user| user["username"] == name.as_str());
    }
    // Service accounts are not listed.
    all.retain(|user| user.get("serviceAccountClientId").is_none());
    all.sort_by_key(|user| user["username"].to_string());
    page(all, &params)
}

async fn count(State(app): State<StandIn>, headers: HeaderMap) -> Response {
    match app.admitted(&headers) {
        Ok(()) => axum::Json(app.0.lock().users.len()).into_response(),
        Err(refused) => *refused,
    }
}

async fn user(State(app): State<StandIn>, headers: HeaderMap, Path(id): Path<String>) -> Response {
    if let Err(refused) = app.admitted(&headers) {
        return *refused;
    }
    match app.0.lock().users.get(&id) {
        Some(user) => axum::Json(user.clone()).into_response(),
        None => problem(404, "User not found"),
    }
}

async fn groups_of(
    State(app): State<StandIn>,
    headers: HeaderMap,
    Path(id): Path<String>,
    Query(params): Query<Params>,
) -> Response {
    if let Err(refused) = app.admitted(&headers) {
        return *refused;
    }
    let inner = app.0.lock();
    if !inner.users.contains_key(&id) {
        return problem(404, "User not found");
    }
    let of = inner.members.iter().filter(|(_, user)| *user == id);
    let all = of.filter_map(|(group, _)| inner.groups.get(group)).cloned();
    page(all.collect(), &params)
}

async fn groups(
    State(app): State<StandIn>,
    headers: HeaderMap,
    Query(params): Query<Params>,
) -> Response {
    if let Err(refused) = app.admitted(&headers) {
        return *refused;
    }
    let inner = app.0.lock();
    let top = inner
        .groups
        .values()
        .filter(|group| group.get("parentId").is_none());
    page(
        top.map(|group| StandIn::shown_group(&inner, group))
            .collect(),
        &params,
    )
}

async fn group(State(app): State<StandIn>, headers: HeaderMap, Path(id): Path<String>) -> Response {
    if let Err(refused) = app.admitted(&headers) {
        return *refused;
    }
    let inner = app.0.lock();
    match inner.groups.get(&id) {
        Some(group) => axum::Json(StandIn::shown_group(&inner, group)).into_response(),
        None => problem(404, "Could not find group by id"),
    }
}

async fn children(
    State(app): State<StandIn>,
    headers: HeaderMap,
    Path(id): Path<String>,
    Query(params): Query<Params>,
) -> Response {
    if let Err(refused) = app.admitted(&headers) {
        return *refused;
    }
    let inner = app.0.lock();
    let below = inner
        .groups
        .values()
        .filter(|group| group["parentId"] == id.as_str());
    page(
        below
            .map(|group| StandIn::shown_group(&inner, group))
            .collect(),
        &params,
    )
}

async fn members(
    State(app): State<StandIn>,
    headers: HeaderMap,
    Path(id): Path<String>,
    Query(params): Query<Params>,
) -> Response {
    if let Err(refused) = app.admitted(&headers) {
        return *refused;
    }
    let inner = app.0.lock();
    if !inner.groups.contains_key(&id) {
        return problem(404, "Could not find group by id");
    }
    let of = inner.members.iter().filter(|(group, _)| *group == id);
    let all = of.filter_map(|(_, user)| inner.users.get(user)).cloned();
    page(all.collect(), &params)
}
