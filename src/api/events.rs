//! `/api/v1/events`: the audit trail, for services that watch it. Reading alone: nothing here writes
//! a record, and none is ever changed. Whether the trail is whole is judged by `auth-manager audit
//! verify`, which has the key; here each record comes with its hash and the one before it.

use super::Routes;
use super::granted::{Granted, ReadAdmin};
use super::problem::Problem;
use super::rest::{Asked, Limit, Page, accept, cursor, paged, shown};
use super::state::Api;
use crate::audit::Kind;
use crate::audit::chain::Hex;
use crate::error::Code;
use crate::store::{TrailFilter, TrailRecord};
use crate::types::{AppId, Timestamp, UserId};
use axum::Router;
use axum::extract::{Path, State};
use axum::middleware::from_fn;
use axum::response::Response;
use axum::routing::get;
use http::{HeaderMap, Uri};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::value::RawValue;
use std::sync::Arc;
use utoipa::{IntoParams, OpenApi, ToSchema};

/// Longest outcome, in characters.
const LONGEST_CODE: usize = 64;

pub(super) fn routes() -> Routes {
    Router::new()
        .route("/api/v1/events", get(list))
        .route("/api/v1/events/{number}", get(one))
        .layer(from_fn(accept::json))
}

/// Their part of the document.
#[derive(OpenApi)]
#[openapi(paths(list, one))]
pub(super) struct Documented;

/// A record of the audit trail.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Event)]
struct Shown {
    /// 1, 2, 3 … in commit order, without gaps.
    number: i64,
    /// SHA-256 of the record before it, in hexadecimal; zeros before the first.
    #[schema(value_type = String)]
    previous: Hex,
    /// SHA-256 of this one and all before it.
    #[schema(value_type = String)]
    hash: Hex,
    /// What it says, byte for byte as it was hashed. Missing if somebody made it unreadable.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Record>, nullable = false)]
    record: Option<Box<RawValue>>,
}

impl From<TrailRecord> for Shown {
    fn from(record: TrailRecord) -> Self {
        Self {
            number: record.number,
            previous: Hex(record.previous),
            hash: Hex(record.hash),
            record: RawValue::from_string(record.body).ok(),
        }
    }
}

/// What a record says. A newer version may say more.
#[derive(ToSchema)]
#[expect(dead_code, reason = "the document's form of `audit::event`'s body")]
struct Record {
    /// Of this form.
    v: u8,
    /// When.
    at: i64,
    /// What happened, like `session.started`.
    kind: String,
    actor: Actor,
    /// Whom it concerns: their shadow user.
    #[schema(nullable = false)]
    user: Option<uuid::Uuid>,
    /// Their e-mail address, if `[audit] email` says so.
    #[schema(nullable = false)]
    email: Option<String>,
    /// Which app it concerns.
    #[schema(nullable = false)]
    app: Option<String>,
    /// Which session: no credential.
    #[schema(nullable = false)]
    session: Option<String>,
    /// The outcome.
    #[schema(nullable = false)]
    code: Option<String>,
    /// Why, in somebody's words.
    #[schema(nullable = false)]
    reason: Option<String>,
    /// The id of the request that it came with.
    #[schema(nullable = false)]
    request: Option<String>,
    /// Where the request came from, if `[audit] client_address` says so.
    #[schema(nullable = false)]
    client: Option<String>,
    /// Which replica wrote it.
    #[schema(nullable = false)]
    replica: Option<String>,
    /// Numbers, flags, short texts and lists of them.
    #[schema(value_type = Option<Object>, nullable = false)]
    detail: Option<()>,
}

/// Who did it.
#[derive(ToSchema)]
#[expect(dead_code, reason = "the document's form of `audit::event`'s actor")]
struct Actor {
    /// `visitor`, `client`, `operator`, `bridge`.
    #[schema(rename = "type")]
    what: String,
    /// A shadow user, a client's id, the user a command ran as.
    #[schema(nullable = false)]
    id: Option<String>,
    /// `api`, `cli`.
    #[schema(nullable = false)]
    via: Option<String>,
    /// Who had logged in on the machine, when the kernel knows.
    #[schema(nullable = false)]
    login: Option<String>,
}

/// Which records.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
struct Which {
    /// Only of this kind, like `session.started`; several are separated by commas.
    #[serde(default, deserialize_with = "kinds")]
    #[param(value_type = Option<String>, nullable = false, pattern = "^[a-z_]+\\.[a-z_]+(,[a-z_]+\\.[a-z_]+)*$", max_length = 400)]
    kind: Vec<Kind>,
    /// Only about this person.
    #[param(value_type = Option<uuid::Uuid>, nullable = false)]
    user: Option<UserId>,
    /// Only about this app.
    #[param(value_type = Option<String>, nullable = false, pattern = "^[a-z0-9][a-z0-9-]{0,39}$")]
    app: Option<AppId>,
    /// Only with this outcome: the record's `code`.
    #[serde(default, deserialize_with = "code")]
    #[param(value_type = Option<String>, nullable = false, pattern = "^[A-Za-z0-9_.-]{1,64}$")]
    code: Option<String>,
    /// Not before this time.
    #[param(value_type = Option<i64>, nullable = false)]
    from: Option<Timestamp>,
    /// Only before this time.
    #[param(value_type = Option<i64>, nullable = false)]
    to: Option<Timestamp>,
    /// Entries of a page.
    #[serde(default)]
    #[param(value_type = Option<u32>, nullable = false, minimum = 1, maximum = 200, default = 50)]
    limit: Limit,
    /// Where to go on: as `next` says.
    #[param(nullable = false)]
    cursor: Option<String>,
}

fn kinds<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<Kind>, D::Error> {
    let text = String::deserialize(from)?;
    let known = |word: &str| {
        let shown: String = word.chars().take(LONGEST_CODE).collect();
        Kind::from_word(word)
            .ok_or_else(|| serde::de::Error::custom(format!("{shown} is no kind of record")))
    };
    let mut kinds = text.split(',').map(known).collect::<Result<Vec<_>, _>>()?;
    kinds.sort_by_key(|kind| kind.as_str());
    kinds.dedup();
    Ok(kinds)
}

fn code<'de, D: Deserializer<'de>>(from: D) -> Result<Option<String>, D::Error> {
    let text = String::deserialize(from)?;
    let usual = |c: u8| c.is_ascii_alphanumeric() || matches!(c, b'_' | b'.' | b'-');
    if text.is_empty() || text.len() > LONGEST_CODE || !text.bytes().all(usual) {
        return Err(serde::de::Error::custom("code is no word of an outcome"));
    }
    Ok(Some(text))
}

/// Records, newest first.
#[utoipa::path(
    get, path = "/api/v1/events", tag = "events", operation_id = "list_events", params(Which),
    responses((status = 200, description = "A page of them.", body = Page<Shown>)),
    security(("certificate" = ["admin"]), ("bearer" = ["admin"])),
)]
async fn list(
    _: Granted<ReadAdmin>,
    State(api): State<Arc<Api>>,
    Asked(which): Asked<Which>,
    uri: Uri,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let limit = which.limit.get()?;
    let filter = format!(
        "{:?} {:?} {:?} {:?} {:?} {:?}",
        which.kind, which.user, which.app, which.code, which.from, which.to
    );
    let before = cursor::after(which.cursor.as_deref(), &filter)?.unwrap_or(i64::MAX);
    let page = TrailFilter {
        user: which.user,
        app: which.app,
        kinds: which.kind.iter().map(|kind| kind.as_str().into()).collect(),
        since: which.from,
        until: which.to,
        code: which.code,
        before: Some(before),
        limit: limit as u32 + 1,
        ..TrailFilter::default()
    };
    let found = api.store.trail(&page).await?;
    let behind = |record: &TrailRecord| cursor::behind(&record.number, &filter);
    Ok(paged((&uri, &headers), limit, found, behind, Shown::from))
}

/// One record.
///
/// What is older than `[audit] keep` says is removed, and not found.
#[utoipa::path(
    get, path = "/api/v1/events/{number}", tag = "events", operation_id = "get_event",
    params(("number" = i64, Path, description = "Its number.", minimum = 1)),
    responses((status = 200, description = "The record.", body = Shown)),
    security(("certificate" = ["admin"]), ("bearer" = ["admin"])),
)]
async fn one(
    _: Granted<ReadAdmin>,
    State(api): State<Arc<Api>>,
    Path(number): Path<String>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let number = number_of(&number)?;
    let page = TrailFilter {
        after: number - 1,
        limit: 1,
        ..TrailFilter::default()
    };
    let found = api.store.trail(&page).await?.into_iter().next();
    let found = found.filter(|record| record.number == number);
    let found = found.ok_or(Code::ApiNotFound)?;
    Ok(shown(&Shown::from(found), &headers))
}

/// The one way to write a record's number: what is written otherwise names none.
fn number_of(text: &str) -> Result<i64, Problem> {
    let number = text.parse::<i64>().ok().filter(|number| *number > 0);
    let plain = number.filter(|number| number.to_string() == text);
    plain.ok_or_else(|| Code::ApiNotFound.into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::GENESIS;

    fn asked(query: &str) -> Result<Which, String> {
        let uri: Uri = format!("/api/v1/events?{query}").parse().unwrap();
        let read = axum::extract::Query::try_from_uri(&uri);
        read.map(|query| query.0)
            .map_err(|rejection| rejection.body_text())
    }

    #[test]
    fn a_record_has_one_number_and_one_way_to_write_it() {
        assert_eq!(number_of("17").unwrap(), 17);
        for text in [
            "0",
            "-1",
            "+1",
            "01",
            "1.0",
            "",
            "x",
            "99999999999999999999",
        ] {
            assert!(number_of(text).is_err(), "{text}");
        }
    }

    #[test]
    fn kinds_are_those_there_are_in_any_order() {
        let kinds = |query| asked(query).map(|which| which.kind);
        let both = vec![Kind::SessionEnded, Kind::UserDisabled];
        assert_eq!(kinds("kind=user.disabled,session.ended"), Ok(both.clone()));
        assert_eq!(
            kinds("kind=session.ended,user.disabled,session.ended"),
            Ok(both)
        );
        assert_eq!(kinds(""), Ok(Vec::new()));
        for query in [
            "kind=",
            "kind=session",
            "kind=session.ended,",
            "kind=a&kind=b",
        ] {
            assert!(kinds(query).is_err(), "{query}");
        }
    }

    #[test]
    fn an_outcome_is_a_word() {
        assert!(asked("code=access.groups").is_ok());
        for query in ["code=", "code=%22", "code=a%25", "code=a+b"] {
            assert!(asked(query).is_err(), "{query}");
        }
        assert!(asked(&format!("code={}", "a".repeat(65))).is_err());
    }

    #[test]
    fn a_record_is_shown_as_it_was_hashed() {
        let record = |body: &str| {
            Shown::from(TrailRecord {
                number: 1,
                at: Timestamp(0),
                kind: "api.write".into(),
                user: None,
                app: None,
                body: body.into(),
                previous: GENESIS,
                hash: [0xab; 32],
            })
        };
        // Order, spaces and numbers of somebody else's stay.
        let body = r#"{"b":1.0,"a" :"é"}"#;
        let text = serde_json::to_string(&record(body)).unwrap();
        assert!(text.contains(body), "{text}");
        let spoilt = serde_json::to_string(&record("{\"a\"")).unwrap();
        assert!(!spoilt.contains("record"), "{spoilt}");
    }
}
