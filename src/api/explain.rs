//! `/api/v1/users/{user}/explain`: why a person may or may not use an app, in a form for machines.

use super::Routes;
use super::granted::{Granted, ReadUsers};
use super::problem::Problem;
use super::rest::{Asked, accept, shown};
use super::state::Api;
use super::users::known;
use crate::directory::{Looked, explain};
use crate::error::Code;
use crate::types::AppId;
use axum::Router;
use axum::extract::{Path, State};
use axum::middleware::from_fn;
use axum::response::Response;
use axum::routing::get;
use http::HeaderMap;
use serde::Deserialize;
use std::sync::Arc;
use utoipa::{IntoParams, OpenApi, ToSchema};

pub(super) fn routes() -> Routes {
    Router::new()
        .route("/api/v1/users/{user}/explain", get(one))
        .layer(from_fn(accept::json))
}

/// Its part of the document.
#[derive(OpenApi)]
#[openapi(paths(one))]
pub(super) struct Documented;

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
struct Which {
    /// Only this app.
    #[param(value_type = Option<String>, nullable = false, pattern = "^[a-z0-9][a-z0-9-]{0,39}$")]
    app: Option<AppId>,
}

/// Why a person may or may not use an app.
///
/// Each gate of the app's rule, which directory says what and how old it is, what the newest assertion
/// said, what decides, and what the app should have of them.
#[utoipa::path(
    get, path = "/api/v1/users/{user}/explain", tag = "users", operation_id = "explain_user",
    params(("user" = uuid::Uuid, Path, description = "Our id."), Which),
    responses((status = 200, description = "What decides.", body = ShownExplained)),
    security(("certificate" = ["users:read"]), ("bearer" = ["users:read"])),
)]
async fn one(
    _: Granted<ReadUsers>,
    State(api): State<Arc<Api>>,
    Path(user): Path<String>,
    Asked(which): Asked<Which>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let user = known(&api, &user).await?;
    let terms = api.directory.load();
    let meant = |app: &&crate::directory::AppTerms| {
        which.app.as_ref().is_none_or(|wanted| app.id == *wanted)
    };
    if which.app.is_some() && !terms.apps.iter().any(|app| meant(&app)) {
        return Err(Code::ApiNotFound.into());
    }
    let looked = Looked::at(&*api.store, &user.issuer, &user.subject).await?;
    let apps = terms.apps.iter().filter(meant);
    let explained = explain(apps, &user, &looked, &terms.rules, api.clock.now());
    Ok(shown(&explained, &headers))
}

/// What decides about one person.
#[derive(ToSchema)]
#[schema(as = Explained)]
#[expect(dead_code, reason = "the document's form of `directory::Explained`")]
struct ShownExplained {
    /// Who turns them away at every app, if a directory does.
    #[schema(nullable = false)]
    denial: Option<ShownDenial>,
    /// What each directory says that does not turn them away.
    words: Vec<ShownWord>,
    /// Each app of theirs.
    apps: Vec<ShownApp>,
}

/// A directory's no.
#[derive(ToSchema)]
#[schema(as = Denial)]
#[expect(dead_code, reason = "the document's form of `directory::Denial`")]
struct ShownDenial {
    source: String,
    why: ShownWhy,
    /// By our clock.
    since: i64,
}

#[derive(ToSchema)]
#[schema(as = DenialReason, rename_all = "snake_case")]
#[expect(dead_code, reason = "the document's form of `directory::Why`")]
enum ShownWhy {
    Inactive,
    Gone,
    Moved,
}

/// A directory's word.
#[derive(ToSchema)]
#[schema(as = DirectoryWord)]
#[expect(
    dead_code,
    reason = "the document's form of `directory::standing::ShownWord`"
)]
struct ShownWord {
    source: String,
    /// When it was said or last confirmed.
    read_at: i64,
    /// How old that is, in seconds.
    age: u64,
    groups: Vec<ShownGroup>,
}

#[derive(ToSchema)]
#[schema(as = DirectoryGroup)]
#[expect(
    dead_code,
    reason = "the document's form of `directory::standing::ShownGroup`"
)]
struct ShownGroup {
    id: String,
    /// Empty when only the id was heard of.
    name: String,
    gone: bool,
}

#[derive(ToSchema)]
#[schema(as = ExplainedApp)]
#[expect(
    dead_code,
    reason = "the document's form of `directory::explain::ExplainedApp`"
)]
struct ShownApp {
    app: String,
    comes_in: bool,
    /// The code that they are refused with.
    #[schema(nullable = false)]
    code: Option<String>,
    decided_by: String,
    gates: Vec<ShownGate>,
    wanted: ShownWanted,
}

#[derive(ToSchema)]
#[schema(as = ExplainedGate)]
#[expect(
    dead_code,
    reason = "the document's form of `directory::gate::ExplainedGate`"
)]
struct ShownGate {
    /// `validated`, `any_of` or `all_of`.
    key: String,
    name: String,
    /// The directory's id that it is bound to.
    #[schema(nullable = false)]
    id: Option<String>,
    directories: ShownSays,
    sources: Vec<ShownSource>,
    /// Whether the newest assertion names it.
    assertion: bool,
    open: bool,
    decided_by: ShownDecider,
}

#[derive(ToSchema)]
#[schema(as = DirectoriesSay, rename_all = "snake_case")]
#[expect(dead_code, reason = "the document's form of `directory::Says`")]
enum ShownSays {
    Yes,
    No,
    Nothing,
}

#[derive(ToSchema)]
#[schema(as = DecidedBy, rename_all = "snake_case")]
#[expect(
    dead_code,
    reason = "the document's form of `directory::gate::DecidedBy`"
)]
enum ShownDecider {
    Directory,
    Assertion,
}

/// What one directory says of one group.
#[derive(ToSchema)]
#[schema(as = SourceSays)]
#[expect(
    dead_code,
    reason = "the document's form of `directory::gate::SourceSays`"
)]
struct ShownSource {
    source: String,
    is_in: bool,
}

/// What the app should have of them.
#[derive(ToSchema)]
#[schema(as = Wanted)]
#[expect(dead_code, reason = "the document's form of `directory::Wanted`")]
struct ShownWanted {
    account: ShownAccount,
    #[schema(nullable = false)]
    why: Option<String>,
    since: Option<i64>,
    groups: Vec<ShownWantedGroup>,
}

#[derive(ToSchema)]
#[schema(as = WantedAccount, rename_all = "snake_case")]
#[expect(dead_code, reason = "the document's form of `directory::WantedState`")]
enum ShownAccount {
    Present,
    Absent,
    Leave,
}

#[derive(ToSchema)]
#[schema(as = WantedGroup)]
#[expect(dead_code, reason = "the document's form of `directory::WantedGroup`")]
struct ShownWantedGroup {
    source: String,
    id: String,
    name: String,
    /// Whether the word is fresh enough to give power by.
    for_power: bool,
}
