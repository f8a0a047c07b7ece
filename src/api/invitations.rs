//! `/api/v1/invitations`: people invited to a directory. The link of an invitation is said once, to
//! whoever had it made: it is in no list, no log, no record, and not in the answer that is kept for an
//! idempotency key.

use super::Routes;
use super::granted::{Granted, Invitations};
use super::openapi::AsksTheDirectory;
use super::problem::Problem;
use super::rest::{Asked, Done, DryRun, Limit, Nothing, OneOrder, Order, Page};
use super::rest::{accept, answer, cursor, id, paged, shown};
use super::state::Api;
use crate::directory::by_hand::invite::Wish;
use crate::directory::writer::{Invitation, InvitationId, Invitee, NewInvitation};
use crate::error::Code;
use crate::types::{SourceId, Timestamp};
use axum::Router;
use axum::extract::{Path, State};
use axum::middleware::from_fn;
use axum::response::Response;
use axum::routing::{get, post};
use http::{HeaderMap, StatusCode, Uri};
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use std::time::Duration;
use utoipa::{IntoParams, OpenApi, ToSchema};

pub(super) fn routes() -> Routes {
    Router::new()
        .route("/api/v1/invitations", get(list).post(create))
        .route("/api/v1/invitations/{invitation}", get(one))
        .route("/api/v1/invitations/{invitation}/revoke", post(revoke))
        .layer(from_fn(accept::json))
}

/// Their part of the document.
#[derive(OpenApi)]
#[openapi(paths(list, create, one, revoke))]
pub(super) struct Documented;

/// An invitation.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = Invitation)]
struct Shown {
    /// By what it is named here; its link can't be made from it.
    id: uuid::Uuid,
    #[schema(value_type = String)]
    directory: SourceId,
    /// What it is called in the directory.
    name: String,
    /// What the form begins with; people may write otherwise.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    email: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    full_name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    username: Option<String>,
    /// Until when it is good; left out: until it is revoked.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<i64>, nullable = false)]
    expires_at: Option<Timestamp>,
    /// Whether it is gone once somebody opened its link.
    single_use: bool,
}

impl Shown {
    fn of(directory: &SourceId, invitation: Invitation) -> Self {
        Self {
            id: invitation.id.0,
            directory: directory.clone(),
            name: invitation.name,
            email: invitation.invitee.email,
            full_name: invitation.invitee.name,
            username: invitation.invitee.username,
            expires_at: invitation.expires_at,
            single_use: invitation.single_use,
        }
    }
}

/// Which invitations.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
struct Which {
    /// Of which directory; needed when there are several.
    #[param(value_type = Option<String>, nullable = false, pattern = "^[a-z0-9][a-z0-9-]{0,39}$")]
    directory: Option<SourceId>,
    /// Entries of a page.
    #[serde(default)]
    #[param(value_type = Option<u32>, nullable = false, minimum = 1, maximum = 200, default = 50)]
    limit: Limit,
    /// Where to go on: as `next` says.
    #[param(nullable = false)]
    cursor: Option<String>,
}

/// Of which directory.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
struct Where {
    /// Of which directory; needed when there are several.
    #[param(value_type = Option<String>, nullable = false, pattern = "^[a-z0-9][a-z0-9-]{0,39}$")]
    directory: Option<SourceId>,
}

/// Invitations.
///
/// Those of the configured flow that were not used up, in no order that means anything.
#[utoipa::path(
    get, path = "/api/v1/invitations", tag = "invitations", operation_id = "list_invitations", params(Which),
    responses(
        (status = 200, description = "A page of them.", body = Page<Shown>),
        AsksTheDirectory,
    ),
    security(("certificate" = ["invitations"]), ("bearer" = ["invitations"])),
)]
async fn list(
    _: Granted<Invitations>,
    State(api): State<Arc<Api>>,
    Asked(which): Asked<Which>,
    uri: Uri,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let limit = which.limit.get()?;
    let filter = format!("{:?}", which.directory);
    let after: Option<InvitationId> = cursor::after(which.cursor.as_deref(), &filter)?;
    let (directory, mut all) = api.hand.invitations(which.directory.as_ref()).await?;
    all.retain(|one| after.is_none_or(|after| one.id > after));
    all.truncate(limit + 1);
    let behind = |one: &Invitation| cursor::behind(&one.id, &filter);
    let show = |one| Shown::of(&directory, one);
    Ok(paged((&uri, &headers), limit, all, behind, show))
}

/// An invitation that must be there.
async fn known(
    api: &Api,
    directory: Option<&SourceId>,
    invitation: &str,
) -> Result<(InvitationId, Shown), Problem> {
    let id: InvitationId = id(invitation)?;
    let (directory, all) = api.hand.invitations(directory).await?;
    let found = all.into_iter().find(|one| one.id == id);
    let found = found.ok_or_else(|| Problem::from(Code::ApiNotFound))?;
    Ok((id, Shown::of(&directory, found)))
}

/// One invitation.
#[utoipa::path(
    get, path = "/api/v1/invitations/{invitation}", tag = "invitations", operation_id = "get_invitation",
    params(("invitation" = uuid::Uuid, Path, description = "Its id."), Where),
    responses(
        (status = 200, description = "The invitation, without its link.", body = Shown),
        AsksTheDirectory,
    ),
    security(("certificate" = ["invitations"]), ("bearer" = ["invitations"])),
)]
async fn one(
    _: Granted<Invitations>,
    State(api): State<Arc<Api>>,
    Path(invitation): Path<String>,
    Asked(place): Asked<Where>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let (_, found) = known(&api, place.directory.as_ref(), &invitation).await?;
    Ok(shown(&found, &headers))
}

/// What an invitation shall be.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct InvitationOrder {
    /// To which directory; needed when there are several.
    #[schema(value_type = Option<String>, pattern = "^[a-z0-9][a-z0-9-]{0,39}$")]
    directory: Option<SourceId>,
    /// What its name in the directory begins with.
    #[schema(min_length = 1, max_length = 32, pattern = "^[A-Za-z0-9_-]+$")]
    label: Option<String>,
    /// What the form begins with; people may write otherwise.
    #[schema(min_length = 1, max_length = 150)]
    email: Option<String>,
    #[schema(min_length = 1, max_length = 150)]
    full_name: Option<String>,
    #[schema(min_length = 1, max_length = 150)]
    username: Option<String>,
    /// Seconds that it is good for. Default: as configured.
    #[schema(minimum = 300)]
    lifetime: Option<u32>,
    /// Whether it is good for several people; only where the configuration allows it.
    #[serde(default)]
    reusable: bool,
}

/// What was made, or would be.
#[derive(Serialize, ToSchema)]
struct InvitationOutcome {
    /// Whether it was only tried.
    dry_run: bool,
    /// Left out when it was only tried.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    invitation: Option<Shown>,
    /// What it is, or would be, called in the directory.
    name: String,
    /// Until when it is, or would be, good.
    #[schema(value_type = i64)]
    expires_at: Timestamp,
    /// Whoever has it may enrol. Said once: it is not in an answer that is given again.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    link: Option<String>,
}

/// Invite somebody.
///
/// For one person and for as long as the configuration says, unless it is said otherwise. The answer
/// alone has the link. When it got lost, revoke the invitation and make another.
#[utoipa::path(
    post, path = "/api/v1/invitations", tag = "invitations", operation_id = "create_invitation",
    params(DryRun, OneOrder),
    request_body = InvitationOrder,
    responses(
        (status = 200, description = "What would be made (`dry_run`).", body = InvitationOutcome),
        (status = 201, description = "It is made.", body = InvitationOutcome),
        AsksTheDirectory,
    ),
    security(("certificate" = ["invitations"]), ("bearer" = ["invitations"])),
)]
async fn create(
    caller: Granted<Invitations>,
    State(api): State<Arc<Api>>,
    order: Order<InvitationOrder>,
) -> Result<Response, Problem> {
    let act = async |order: Order<InvitationOrder>| {
        order.precondition.judge(None)?;
        let dry_run = order.dry_run();
        let wish = wish(order.body);
        let by = api.witness(&caller);
        let invited = api.hand.invite(&wish, &by, dry_run).await?;
        let outcome = |new: &NewInvitation, invitation, link| InvitationOutcome {
            dry_run,
            invitation,
            name: new.name.clone(),
            expires_at: new.expires_at,
            link,
        };
        let new = &invited.new;
        let Some((invitation, link)) = invited.made else {
            return Ok(Done::new(StatusCode::OK, &outcome(new, None, None)));
        };
        let made = Shown::of(&invited.source, invitation);
        // What is kept names nobody, and opens nothing.
        let nameless = Shown {
            email: None,
            full_name: None,
            username: None,
            ..made.clone()
        };
        let again = outcome(new, Some(nameless), None);
        let whole = outcome(new, Some(made.clone()), Some(link.hand_over()));
        let done = Done::new(StatusCode::CREATED, &whole).again(&again);
        Ok(done.of(&made))
    };
    order.once(&api, &caller, act).await
}

fn wish(order: InvitationOrder) -> Wish {
    Wish {
        source: order.directory,
        label: order.label,
        invitee: Invitee {
            email: order.email,
            name: order.full_name,
            username: order.username,
        },
        lifetime: order.lifetime.map(|life| Duration::from_secs(life.into())),
        reusable: order.reusable,
    }
}

/// What was taken back, or would be.
#[derive(Debug, Serialize, ToSchema)]
struct RevokedInvitation {
    /// Whether it was only tried.
    dry_run: bool,
    /// What was taken back, or would be: its id.
    invitation: uuid::Uuid,
    /// What it was called in the directory.
    name: String,
}

/// Of which directory, and whether it is only tried.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
struct Revoking {
    /// Of which directory; needed when there are several.
    #[param(value_type = Option<String>, nullable = false, pattern = "^[a-z0-9][a-z0-9-]{0,39}$")]
    directory: Option<SourceId>,
    /// Only say what would be done.
    #[serde(default)]
    #[param(default = false)]
    dry_run: bool,
}

impl super::rest::order::Tried for Revoking {
    fn dry_run(&self) -> bool {
        self.dry_run
    }
}

/// Revoke an invitation.
///
/// Its link opens nothing any more. Whoever enrolled by it stays. What takes away may be done blindly:
/// `If-Match` is looked at when it is there.
#[utoipa::path(
    post, path = "/api/v1/invitations/{invitation}/revoke", tag = "invitations", operation_id = "revoke_invitation",
    params(("invitation" = uuid::Uuid, Path, description = "Its id."), Revoking, OneOrder),
    request_body = Nothing,
    responses(
        (status = 200, description = "Done.", body = RevokedInvitation),
        AsksTheDirectory,
    ),
    security(("certificate" = ["invitations"]), ("bearer" = ["invitations"])),
)]
async fn revoke(
    caller: Granted<Invitations>,
    State(api): State<Arc<Api>>,
    Path(invitation): Path<String>,
    order: Order<Nothing, Revoking>,
) -> Result<Response, Problem> {
    let act = async |order: Order<Nothing, Revoking>| {
        let dry_run = order.query.dry_run;
        let directory = order.query.directory.as_ref();
        let (id, read) = known(&api, directory, &invitation).await?;
        order.precondition.judge(Some(&answer::tag(&read)))?;
        let by = api.witness(&caller);
        let hand = &api.hand;
        let revoked = hand.revoke_invitation(directory, id, &by, dry_run).await?;
        let outcome = RevokedInvitation {
            dry_run,
            invitation: id.0,
            name: revoked.name,
        };
        Ok(Done::new(StatusCode::OK, &outcome).of(&read))
    };
    order.once(&api, &caller, act).await
}
