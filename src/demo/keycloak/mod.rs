//! A stand-in for Keycloak (26.7), spoken to over HTTP/1.1: the questions of its Admin REST API about
//! users and groups that a reader asks, with the roles that guard them, and the token endpoint for a
//! client's own account.
//!
//! It exists for the tests, which need an identity provider that can be looked into and made to fail.
//! Its contract is the set of recordings of a real one in `tests/data/recordings/keycloak/`, held to it
//! by the `contract` test.
//!
//! What does not live here: anything of the bridge itself (this folder imports nothing of ours), and
//! signing people in: Pomerium's stand-in (`demo::door`) plays that.
//!
//! `controls` is what tests may do behind the API's back, `state` what is kept, `answer` how Keycloak
//! answers, `token` who may ask, `users` and `groups` are the questions.

mod answer;
mod controls;
mod groups;
mod state;
mod token;
mod users;

use answer::{Gone, problem};
use axum::Router;
use axum::extract::{Path, Request, State};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::Response;
use axum::routing::{get, post};
use parking_lot::Mutex;
use state::Inner;
use std::sync::Arc;
use tokio::net::TcpListener;

/// The client that may read, and its secret.
pub const CLIENT: (&str, &str) = ("auth-manager", "lab-client-secret-0000000000000000");
const REALM: &str = "main";

/// A handle; clones are of the same one.
#[derive(Clone, Default)]
pub struct StandIn(Arc<Mutex<Inner>>);

impl StandIn {
    /// Serves until it is dropped.
    pub async fn serve(self, listener: TcpListener) {
        let realm = Router::new()
            .route("/users", get(users::list))
            .route("/users/count", get(users::count))
            .route("/users/{id}", get(users::one))
            .route("/users/{id}/groups", get(users::groups_of))
            .route("/groups", get(groups::list))
            .route("/groups/count", get(groups::count))
            .route("/groups/{id}", get(groups::one))
            .route("/groups/{id}/children", get(groups::children))
            .route("/groups/{id}/members", get(groups::members));
        let app = Router::new()
            .nest(&format!("/admin/realms/{REALM}"), realm)
            .route(
                "/realms/{realm}/protocol/openid-connect/token",
                post(token::grant),
            )
            .route("/admin/realms/{realm}/{*rest}", get(elsewhere))
            .fallback(|| async { Gone })
            .layer(from_fn_with_state(self.clone(), afterwards))
            .with_state(self);
        // Whatever ended it, nobody is left to tell.
        let _ = axum::serve(listener, app).await;
    }
}

/// What there is not, or another realm, of which there is none.
async fn elsewhere(Path((realm, _)): Path<(String, String)>) -> Response {
    match realm.as_str() {
        REALM => problem(404, "HTTP 404 Not Found"),
        _ => problem(404, "Realm not found."),
    }
}

/// Does what was to be done after a question.
async fn afterwards(State(app): State<StandIn>, request: Request, next: Next) -> Response {
    let asked = request.uri().to_string();
    let answer = next.run(request).await;
    let due = {
        let mut inner = app.0.lock();
        let at = inner
            .after
            .iter()
            .position(|(part, _)| asked.contains(part.as_str()));
        at.map(|at| inner.after.remove(at).1)
    };
    if let Some(act) = due {
        act(&app);
    }
    answer
}
