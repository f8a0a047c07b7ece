//! `/Users` and `/Groups`: what is done with a resource, whichever kind it is.

use super::answer;
use super::connection::Connected;
use super::error::ScimError;
use super::list;
use super::patch::Patch;
use super::projection::Projection;
use super::query::Query;
use super::request::{has_already, matches, object};
use super::resource::show::{endpoint, tag};
use super::write::Desk;
use crate::api::Routes;
use crate::api::state::Api;
use crate::config::ScimPatchAnswer;
use crate::store::{ScimKind, ScimResource};
use axum::Router;
use axum::body::Body;
use axum::extract::{Path, RawQuery, State};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use http::header::{ETAG, LOCATION};
use http::{HeaderMap, HeaderValue, StatusCode};
use serde_json::Value;
use std::sync::Arc;

type Answer = Result<Response, ScimError>;
type Shared = State<Arc<Api>>;

/// The routes of a kind, below the service's path.
pub(super) fn routes(kind: ScimKind) -> Routes {
    let all = format!("{}/{}", super::PATH, endpoint(kind));
    let one = format!("{all}/{{id}}");
    let search = format!("{all}/.search");
    Router::new()
        .route(
            &all,
            get(
                move |connected: Connected, api: Shared, RawQuery(query): RawQuery| {
                    find(kind, connected, api, query)
                },
            )
            .post(
                move |connected: Connected, api: Shared, query: RawQuery, headers, body| {
                    create(kind, connected, api, query.0, headers, body)
                },
            ),
        )
        .route(
            &search,
            post(move |connected: Connected, api: Shared, headers, body| {
                search_by_body(vec![kind], connected, api, headers, body)
            }),
        )
        .route(
            &one,
            get(
                move |connected: Connected, api: Shared, id, query: RawQuery, headers| {
                    read(kind, connected, api, id, query.0, headers)
                },
            )
            .put(
                move |connected: Connected, api: Shared, id, query: RawQuery, headers, body| {
                    replace(kind, connected, api, id, query.0, (headers, body))
                },
            )
            .patch(
                move |connected: Connected, api: Shared, id, query: RawQuery, headers, body| {
                    modify(kind, connected, api, id, query.0, (headers, body))
                },
            )
            .delete(move |connected: Connected, api: Shared, id, headers| {
                delete(kind, connected, api, id, headers)
            }),
        )
}

async fn find(
    kind: ScimKind,
    connected: Connected,
    State(api): Shared,
    query: Option<String>,
) -> Answer {
    let query = Query::of_parameters(query.as_deref())?;
    let found = list::search(&api, &connected.connection, &[kind], &query).await?;
    Ok(answer(StatusCode::OK, &found))
}

/// A POST to `/.search`, of one kind or of all.
pub(super) async fn search_by_body(
    kinds: Vec<ScimKind>,
    connected: Connected,
    State(api): Shared,
    headers: HeaderMap,
    body: Body,
) -> Answer {
    let body = object(&connected.connection, &headers, body).await?;
    let query = Query::of_body(&body)?;
    let found = list::search(&api, &connected.connection, &kinds, &query).await?;
    Ok(answer(StatusCode::OK, &found))
}

async fn create(
    kind: ScimKind,
    connected: Connected,
    State(api): Shared,
    query: Option<String>,
    headers: HeaderMap,
    body: Body,
) -> Answer {
    let projection = Query::of_parameters(query.as_deref())?.projection;
    let body = object(&connected.connection, &headers, body).await?;
    let desk = Desk::new(&api, &connected);
    let made = desk.create(kind, Value::Object(body)).await?;
    shown(&desk, StatusCode::CREATED, &made, &projection).await
}

async fn read(
    kind: ScimKind,
    connected: Connected,
    State(api): Shared,
    Path(id): Path<String>,
    query: Option<String>,
    headers: HeaderMap,
) -> Answer {
    let projection = Query::of_parameters(query.as_deref())?.projection;
    let desk = Desk::new(&api, &connected);
    let found = desk.read(kind, &id).await?;
    let tag = tag(&found);
    // What is shown of others' making, like groups of a user, is not in the version.
    if kind == ScimKind::Group && has_already(&headers, &tag) {
        let mut response = StatusCode::NOT_MODIFIED.into_response();
        tagged(response.headers_mut(), &tag);
        return Ok(response);
    }
    if kind == ScimKind::User && !projection.shows(kind, "groups") && has_already(&headers, &tag) {
        let mut response = StatusCode::NOT_MODIFIED.into_response();
        tagged(response.headers_mut(), &tag);
        return Ok(response);
    }
    shown(&desk, StatusCode::OK, &found, &projection).await
}

async fn replace(
    kind: ScimKind,
    connected: Connected,
    State(api): Shared,
    Path(id): Path<String>,
    query: Option<String>,
    (headers, body): (HeaderMap, Body),
) -> Answer {
    let projection = Query::of_parameters(query.as_deref())?.projection;
    let matches = matches(&headers);
    let body = object(&connected.connection, &headers, body).await?;
    let desk = Desk::new(&api, &connected);
    let written = desk.replace(kind, &id, &matches, Value::Object(body));
    let written = written.await?;
    shown(&desk, StatusCode::OK, &written, &projection).await
}

async fn modify(
    kind: ScimKind,
    connected: Connected,
    State(api): Shared,
    Path(id): Path<String>,
    query: Option<String>,
    (headers, body): (HeaderMap, Body),
) -> Answer {
    let projection = Query::of_parameters(query.as_deref())?.projection;
    let matches = matches(&headers);
    let connection = &connected.connection;
    let body = object(connection, &headers, body).await?;
    let patch = Patch::read(&body, connection.patch_operations, connection.strict)?;
    let desk = Desk::new(&api, &connected);
    let written = desk.modify(kind, &id, &matches, &patch).await?;
    // Whoever asks for attributes gets them (RFC 7644 §3.5.2).
    if connection.patch_answer == ScimPatchAnswer::Nothing && !projection.is_asked() {
        let mut response = StatusCode::NO_CONTENT.into_response();
        tagged(response.headers_mut(), &tag(&written));
        return Ok(response);
    }
    shown(&desk, StatusCode::OK, &written, &projection).await
}

async fn delete(
    kind: ScimKind,
    connected: Connected,
    State(api): Shared,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Answer {
    let desk = Desk::new(&api, &connected);
    desk.delete(kind, &id, &matches(&headers)).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

/// A resource as the answer.
async fn shown(
    desk: &Desk<'_>,
    status: StatusCode,
    resource: &ScimResource,
    projection: &Projection,
) -> Answer {
    let body = list::one(desk.api, desk.connection, resource, projection).await?;
    let mut response = answer(status, &body);
    tagged(response.headers_mut(), &tag(resource));
    if let Ok(location) = HeaderValue::from_str(&desk.location(resource)) {
        response.headers_mut().insert(LOCATION, location);
    }
    Ok(response)
}

fn tagged(headers: &mut HeaderMap, tag: &str) {
    if let Ok(tag) = HeaderValue::from_str(tag) {
        headers.insert(ETAG, tag);
    }
}
