//! `/api/v1/drift`: what differs in each app, as it was when it was last looked at whole. No app is
//! asked: it is what the last sweep found, and what became of it then.

use super::Routes;
use super::granted::{Granted, ReadAdmin};
use super::problem::Problem;
use super::rest::{Asked, Limit, Page, accept, paged_list, shown};
use super::state::Api;
use crate::error::Code;
use crate::reconcile::drift::{self, Difference, Drifted, Report};
use crate::types::{AppId, Timestamp};
use axum::Router;
use axum::extract::{Path, State};
use axum::middleware::from_fn;
use axum::response::Response;
use axum::routing::get;
use http::{HeaderMap, Uri};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::Arc;
use utoipa::{IntoParams, OpenApi, ToSchema};

pub(super) fn routes() -> Routes {
    Router::new()
        .route("/api/v1/drift", get(all))
        .route("/api/v1/drift/{app}", get(one))
        .layer(from_fn(accept::json))
}

/// Their part of the document.
#[derive(OpenApi)]
#[openapi(paths(all, one))]
pub(super) struct Documented;

/// What an app looked like, beside what it should.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = AppDrift)]
struct Shown {
    #[schema(value_type = String)]
    app: AppId,
    /// The last look; left out when it was not looked at yet.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    look: Option<Look>,
}

/// A look.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = AppLook)]
struct Look {
    #[schema(value_type = i64)]
    looked_at: Timestamp,
    /// Accounts that the app has, deactivated ones and bots included.
    accounts: u64,
    /// Active accounts that are people's of ours.
    present: u64,
    /// Active accounts of people whom nobody here knows; they are never touched.
    strangers: u64,
    /// The user names of some of them.
    some_strangers: Vec<String>,
    /// How much differs, by what; what does not is left out.
    #[schema(value_type = BTreeMap<String, u64>)]
    counts: BTreeMap<Drifted, u64>,
    /// How many differences are counted, but not listed: the list is bounded.
    left_out: u64,
    /// Teams, channels and roles that could not be compared, and why.
    problems: Vec<String>,
}

impl From<Report> for Look {
    fn from(report: Report) -> Self {
        Self {
            looked_at: report.looked_at,
            accounts: report.accounts,
            present: report.present,
            strangers: report.strangers,
            some_strangers: report.some_strangers,
            counts: report.counts,
            left_out: report.left_out,
            problems: report.problems,
        }
    }
}

/// Every app.
#[derive(Debug, Serialize, ToSchema)]
struct AllDrift {
    items: Vec<Shown>,
}

/// One difference.
#[derive(ToSchema)]
#[schema(as = Difference)]
#[expect(dead_code, reason = "the document's form of `drift::Difference`")]
struct ShownDifference {
    /// Whose account or membership, by our id.
    user: uuid::Uuid,
    /// The app's id of the account, if there is one on record.
    #[schema(nullable = false)]
    remote: Option<String>,
    what: ShownWhat,
    /// Which membership.
    #[schema(nullable = false)]
    place: Option<ShownPlace>,
    /// What of their profile: `username`, `email`, `first_name`, `last_name`; never what it says.
    #[schema(nullable = false)]
    attributes: Option<Vec<String>>,
    whose: ShownWhose,
    care: ShownCare,
}

/// A membership.
#[derive(ToSchema)]
#[schema(as = Place)]
#[expect(dead_code, reason = "the document's form of `apps::Place`")]
struct ShownPlace {
    /// `team`, `channel`, `team-admin`, `channel-admin` or `system-role`.
    kind: String,
    name: String,
}

#[derive(ToSchema)]
#[schema(as = Drifted, rename_all = "snake_case")]
#[expect(dead_code, reason = "the document's form of `drift::Drifted`")]
enum ShownWhat {
    Active,
    Keeps,
    Missing,
    Inactive,
    ActivatedByHand,
    DeactivatedByHand,
    Lacks,
    Profile,
    Conflict,
}

/// Whose doing: somebody's in the app, or the bridge did not make it so yet.
#[derive(ToSchema)]
#[schema(as = DriftedBy, rename_all = "snake_case")]
#[expect(dead_code, reason = "the document's form of `drift::Whose`")]
enum ShownWhose {
    App,
    Bridge,
}

/// What becomes of it: a job mends it, waits for its time or is dead; a plan waits for somebody's word;
/// or it stays so.
#[derive(ToSchema)]
#[schema(as = DriftCare, rename_all = "snake_case")]
#[expect(dead_code, reason = "the document's form of `drift::Care`")]
enum ShownCare {
    Mend,
    Waits,
    Dead,
    Held,
    Left,
}

/// Which of them.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
struct Which {
    /// Only these.
    #[param(value_type = Option<ShownWhat>, inline, nullable = false)]
    what: Option<Drifted>,
    /// Entries of a page.
    #[serde(default)]
    #[param(value_type = Option<u32>, nullable = false, minimum = 1, maximum = 200, default = 50)]
    limit: Limit,
    /// Where to go on: as `next` says.
    #[param(nullable = false)]
    cursor: Option<String>,
}

/// What apps looked like.
///
/// Every app that is configured: when it was last looked at whole, how much differed there from what
/// directories and records said, and whom nobody here knows. No app is asked.
#[utoipa::path(
    get, path = "/api/v1/drift", tag = "drift", operation_id = "get_drift",
    responses((status = 200, description = "Every app.", body = AllDrift)),
    security(("certificate" = ["admin"]), ("bearer" = ["admin"])),
)]
async fn all(
    _: Granted<ReadAdmin>,
    State(api): State<Arc<Api>>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let apps: Vec<AppId> = configured(&api);
    let mut items = Vec::with_capacity(apps.len());
    for app in apps {
        let look = drift::last(&app, &*api.store).await?.map(Look::from);
        items.push(Shown { app, look });
    }
    Ok(shown(&AllDrift { items }, &headers))
}

/// What differed in an app.
///
/// The most serious first, as it was when the app was last looked at: `care` says what became of it
/// then. A cursor is of one look: after another it is refused, and the list begins anew.
#[utoipa::path(
    get, path = "/api/v1/drift/{app}", tag = "drift", operation_id = "list_drift",
    params(
        ("app" = String, Path, pattern = "^[a-z0-9][a-z0-9-]{0,39}$", description = "Which app."),
        Which,
    ),
    responses((status = 200, description = "A page of it.", body = Page<ShownDifference>)),
    security(("certificate" = ["admin"]), ("bearer" = ["admin"])),
)]
async fn one(
    _: Granted<ReadAdmin>,
    State(api): State<Arc<Api>>,
    Path(app): Path<String>,
    Asked(which): Asked<Which>,
    uri: Uri,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let limit = which.limit.get()?;
    let app = configured(&api).into_iter().find(|own| own.as_str() == app);
    let app = app.ok_or_else(|| Problem::from(Code::ApiNotFound))?;
    let report = drift::last(&app, &*api.store).await?;
    let report = report
        .ok_or_else(|| Problem::from(Code::ApiNotFound).detail("The app was not looked at yet."))?;
    let filter = format!("drift {app} {} {:?}", report.looked_at.0, which.what);
    let keep = |one: &Difference| which.what.is_none_or(|what| one.what == what);
    let cursor = which.cursor.as_deref();
    let asked = (&uri, &headers);
    paged_list(asked, limit, (report.differences, keep), (cursor, &filter))
}

fn configured(api: &Api) -> Vec<AppId> {
    let terms = api.directory.load();
    terms.apps.iter().map(|app| app.id.clone()).collect()
}
