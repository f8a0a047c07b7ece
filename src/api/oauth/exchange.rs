//! `POST /api/v1/oauth/exchange` (RFC 8693): what a visitor brought, for a token of another audience.
//!
//! The subject token is the visitor's Pomerium assertion (`…:jwt`), of a host that the client may
//! speak for, or the app's session cookie (`…:access_token`). Either is judged as the road judges a
//! request of that visitor, now. The token that comes out is for one configured audience, allows no
//! more than that audience's policy, names the client as the actor, is bound to the client's
//! certificate if it showed one, and ends with what it came from.

use super::GRANT;
use super::error::{Body, Refused, Word};
use super::form::Form;
use super::token::Token;
use crate::api::Routes;
use crate::api::caller::Caller;
use crate::api::granted::{Exchange, Granted};
use crate::api::problem::{Document, Problem};
use crate::api::state::Api;
use crate::config::{AudienceClaim, AudienceConfig, SubjectKind};
use crate::error::{Code, Refusal};
use crate::identity::Visitor;
use crate::keys::access_token::{self, About, MintError, NewAccessToken, Origin};
use crate::keys::random;
use crate::store::User;
use crate::types::TokenId;
use axum::extract::State;
use axum::response::{IntoResponse, Json, Response};
use axum::routing::post;
use http::header::CACHE_CONTROL;
use serde::Serialize;
use std::sync::Arc;
use utoipa::{OpenApi, ToSchema};

/// Where it is.
pub(crate) const PATH: &str = "/api/v1/oauth/exchange";

const ACCESS_TOKEN: &str = "urn:ietf:params:oauth:token-type:access_token";
const JWT: &str = "urn:ietf:params:oauth:token-type:jwt";

/// An exchanged token (RFC 8693 §2.2.1).
#[derive(Serialize, ToSchema)]
#[schema(as = ExchangedToken)]
struct Answer {
    /// A JWT in the form of RFC 9068.
    access_token: String,
    /// `urn:ietf:params:oauth:token-type:access_token`.
    issued_token_type: &'static str,
    /// `Bearer`; with `cnf` it is bound to the client's certificate all the same.
    token_type: &'static str,
    /// In seconds.
    expires_in: u64,
    /// What it allows.
    scope: String,
}

/// Its part of the document.
#[derive(OpenApi)]
#[openapi(paths(exchange))]
pub(crate) struct Documented;

pub(super) fn routes() -> Routes {
    Routes::new().route(PATH, post(exchange))
}

/// What is traded (RFC 8693 §2.1).
#[derive(ToSchema)]
#[schema(as = ExchangeForm)]
#[expect(dead_code, reason = "read by hand: see `form`")]
struct ExchangeForm {
    /// `urn:ietf:params:oauth:grant-type:token-exchange`.
    grant_type: String,
    /// The visitor's assertion, or the app's session cookie.
    subject_token: String,
    /// `urn:ietf:params:oauth:token-type:jwt` for the assertion, `…:access_token` for the cookie.
    subject_token_type: String,
    /// One of the client's audiences; here or as `resource`.
    #[schema(nullable = false)]
    audience: Option<String>,
    /// The same.
    #[schema(nullable = false)]
    resource: Option<String>,
    /// Words with blanks between; cut to what the audience allows. Without it: all of that.
    #[schema(nullable = false)]
    scope: Option<String>,
    /// `urn:ietf:params:oauth:token-type:access_token`.
    #[schema(nullable = false)]
    requested_token_type: Option<String>,
    /// The calling client.
    #[schema(nullable = false)]
    client_id: Option<String>,
}

/// What a visitor brought, for a token of another audience.
#[utoipa::path(
    post, path = "/api/v1/oauth/exchange", tag = "oauth", operation_id = "exchange_token",
    request_body(content = ExchangeForm, content_type = "application/x-www-form-urlencoded"),
    responses(
        (status = 200, description = "The token (RFC 8693 §2.2.1).", body = Answer),
        (status = 400, description = "Refused (RFC 6749 §5.2, RFC 8693 §2.2.2).",
         content((Body = "application/json"), (Document<'_> = "application/problem+json"))),
    ),
    security(("certificate" = ["exchange"]), ("bearer" = ["exchange"])),
)]
async fn exchange(
    caller: Granted<Exchange>,
    State(api): State<Arc<Api>>,
    form: Form,
) -> Result<Response, Refused> {
    check_form(&caller, &form)?;
    let audiences = api.audiences.load();
    let audience = target(&caller, &audiences, &form)?;
    let scope = scope(audience, form.one("scope")?)?;
    let visitor = subject(&api, &caller, &form).await?;
    let (token, expires_in) = mint(&api, &caller, audience, &scope, &visitor)?;
    let answer = Answer {
        access_token: token,
        issued_token_type: ACCESS_TOKEN,
        token_type: "Bearer",
        expires_in,
        scope,
    };
    Ok(([(CACHE_CONTROL, "no-store")], Json(answer)).into_response())
}

/// What is the same for every exchange.
fn check_form(caller: &Caller, form: &Form) -> Result<(), Refused> {
    let invalid = |why| Err(Refused::new(Word::InvalidRequest, why));
    if form.must("grant_type", "The parameter grant_type is missing.")? != GRANT {
        return Err(Refused::new(
            Word::UnsupportedGrantType,
            "The only grant type is token exchange.",
        ));
    }
    // RFC 8705 §2 lets a client name itself.
    if (form.one("client_id")?).is_some_and(|id| id != caller.id().as_str()) {
        return invalid("client_id is not the calling client.");
    }
    if form.one("actor_token")?.is_some() || form.one("actor_token_type")?.is_some() {
        return invalid("The actor is the calling client: actor_token is not taken.");
    }
    match form.one("requested_token_type")? {
        None | Some(ACCESS_TOKEN) => Ok(()),
        Some(_) => invalid("Only access tokens are issued."),
    }
}

/// The one audience that is asked for, by either of its parameters (RFC 8693 §2.1).
fn target<'a>(
    caller: &Caller,
    audiences: &'a [AudienceConfig],
    form: &Form,
) -> Result<&'a AudienceConfig, Refused> {
    let refused = |why| Refused::new(Word::InvalidTarget, why);
    let mut named: Vec<&str> = form.all("audience").chain(form.all("resource")).collect();
    named.dedup();
    let [one] = named.as_slice() else {
        return Err(refused("Name exactly one audience."));
    };
    // One answer for those that are not there and those that are not the client's.
    let known = audiences.iter().find(|audience| audience.id == *one);
    known
        .filter(|audience| caller.audiences().contains(&audience.id))
        .ok_or_else(|| refused("The client may not ask for this audience."))
}

/// What is asked for, cut to what the audience allows; without a wish all of it.
fn scope(audience: &AudienceConfig, wish: Option<&str>) -> Result<String, Refused> {
    let Some(wish) = wish else {
        return Ok(audience.scopes.join(" "));
    };
    let asked: Vec<&str> = wish.split(' ').filter(|word| !word.is_empty()).collect();
    let granted: Vec<&str> = (audience.scopes.iter())
        .map(String::as_str)
        .filter(|scope| asked.contains(scope))
        .collect();
    if granted.is_empty() && !asked.is_empty() {
        return Err(Refused::new(
            Word::InvalidScope,
            "The audience allows nothing of this.",
        ));
    }
    Ok(granted.join(" "))
}

/// The visitor whom the subject token speaks of, as the road judges them.
async fn subject(api: &Api, caller: &Caller, form: &Form) -> Result<Visitor, Refused> {
    let token = form.must("subject_token", "The parameter subject_token is missing.")?;
    let kind = form.must(
        "subject_token_type",
        "The parameter subject_token_type is missing.",
    )?;
    let judged = match kind {
        JWT => {
            let visitors = &api.visitors;
            visitors
                .by_assertion(caller.id(), caller.hosts(), token)
                .await
        }
        ACCESS_TOKEN => match Token::read(api, caller, token, api.clock.now()) {
            Some(session @ Token::Session(..)) => api.visitors.by_token(&session.claimed()).await,
            // What was exchanged once is for its audience, not for a further exchange.
            Some(Token::Access(..)) => refuse("an exchanged token"),
            None => refuse("no session's cookie of a host of the client's"),
        },
        _ => {
            return Err(Refused::new(
                Word::InvalidRequest,
                "subject_token_type is neither a jwt (the assertion) nor an access_token (the \
                 session's cookie).",
            ));
        }
    };
    judged.map_err(Refused::subject)
}

fn refuse(reason: &'static str) -> Result<Visitor, Refusal> {
    Err(Refusal::new(Code::SessionRequired, reason))
}

/// The token, and how many seconds it lives.
fn mint(
    api: &Api,
    caller: &Caller,
    audience: &AudienceConfig,
    scope: &str,
    visitor: &Visitor,
) -> Result<(String, u64), Refused> {
    let internal = |error: &dyn std::fmt::Display| Problem::new(Code::Internal, error.to_string());
    let now = api.clock.now();
    let expires_at = (now + audience.lifetime).min(visitor.until);
    let lives = expires_at.since(now).as_secs();
    if lives == 0 {
        return Err(Refused::subject(Refusal::new(
            Code::SessionRequired,
            "what it would come from ends now",
        )));
    }
    let user = visitor.user.id;
    let pairwise = audience.subject == SubjectKind::Pairwise;
    let subject = match pairwise {
        true => (api.pairwise.subject(&audience.id, user)).map_err(|e| internal(&e))?,
        false => user.to_string(),
    };
    let origin = match visitor.session {
        Some(id) if pairwise => {
            let hidden = api.pairwise.hide(&audience.id, id);
            Origin::Hidden(hidden.map_err(|e| internal(&e))?)
        }
        Some(id) => Origin::Session(id),
        None => Origin::SignIn {
            app: visitor.app.clone(),
            epoch: visitor.epoch,
        },
    };
    let id = TokenId(random::bytes().map_err(|e| internal(&e))?);
    let new = NewAccessToken {
        issuer: &api.listener.issuer,
        audience: &audience.id,
        subject: &subject,
        client: caller.id(),
        scope,
        origin: &origin,
        certificate: caller.certificate().map(|peer| &peer.thumbprint),
        about: &about(audience, &visitor.user),
        id,
        issued_at: now,
        expires_at,
    };
    let token = match access_token::mint(&api.ring.load(), &new) {
        Ok(token) => token,
        Err(error @ (MintError::TooLong | MintError::Ring(_))) => {
            return Err(internal(&error).into());
        }
    };
    tracing::info!(
        client = %caller.id(),
        %user,
        app = %visitor.app,
        audience = audience.id.as_str(),
        scope,
        token = %id,
        "token exchanged"
    );
    Ok((token, lives))
}

/// What the audience is told about a person beyond who it is.
fn about(audience: &AudienceConfig, user: &User) -> About {
    let told = |claim| audience.claims.contains(&claim);
    let email = (told(AudienceClaim::Email) && !user.email.is_empty()).then(|| user.email.clone());
    About {
        email_verified: email.is_some().then_some(user.email_verified),
        email,
        name: (told(AudienceClaim::Name) && !user.name.is_empty()).then(|| user.name.clone()),
        preferred_username: user
            .username
            .clone()
            .filter(|_| told(AudienceClaim::Username)),
        groups: (audience.groups.iter())
            .filter(|group| user.groups.contains(group))
            .cloned()
            .collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::GroupName;
    use std::time::Duration;

    fn audience(scopes: &[&str]) -> AudienceConfig {
        AudienceConfig {
            id: "https://files.internal".into(),
            scopes: scopes.iter().map(|s| (*s).to_owned()).collect(),
            lifetime: Duration::from_secs(300),
            subject: SubjectKind::Shared,
            claims: Vec::new(),
            groups: vec![GroupName::new("staff").unwrap()],
        }
    }

    #[test]
    fn scopes_are_cut_to_what_the_audience_allows() {
        let files = audience(&["read", "write"]);
        let cut = |wish| scope(&files, wish).ok();
        assert_eq!(cut(None).as_deref(), Some("read write"));
        assert_eq!(cut(Some("read")).as_deref(), Some("read"));
        assert_eq!(cut(Some("admin write read")).as_deref(), Some("read write"));
        assert_eq!(cut(Some(" write  write ")).as_deref(), Some("write"));
        assert_eq!(cut(Some("admin")), None);
        assert_eq!(cut(Some("rea")), None);
        assert_eq!(scope(&audience(&[]), Some("read")).ok(), None);
        assert_eq!(scope(&audience(&[]), None).ok().as_deref(), Some(""));
    }
}
