//! What OAuth 2.0 asks of an authorization server, as far as there is one here: nobody signs in, but
//! services ask about tokens (`introspect`, RFC 7662), take them back (`revoke`, RFC 7009) and trade
//! what a visitor brought for a token of another audience (`exchange`, RFC 8693).
//!
//! `form`: how these requests are read. `error`: how they are refused, in OAuth's words. `token`:
//! whatever text a caller holds, as a question that the road answers.
//!
//! What does not live here: how tokens are written (`keys`), whether a visitor may use an app (the
//! road, asked through [`crate::identity::Visitors`]).

mod error;
mod exchange;
mod form;
mod introspect;
mod revoke;
mod token;

pub(super) use exchange::PATH as EXCHANGE;
pub(super) use introspect::PATH as INTROSPECT;
pub(super) use revoke::PATH as REVOKE;

use super::Routes;
use utoipa::OpenApi;

/// The one grant that there is.
pub(super) const GRANT: &str = "urn:ietf:params:oauth:grant-type:token-exchange";

/// Its part of the document.
pub(super) fn documented() -> utoipa::openapi::OpenApi {
    let mut all = introspect::Documented::openapi();
    all.merge(revoke::Documented::openapi());
    all.merge(exchange::Documented::openapi());
    all
}

pub(super) fn routes() -> Routes {
    Routes::new()
        .merge(introspect::routes())
        .merge(revoke::routes())
        .merge(exchange::routes())
}

#[cfg(test)]
mod tests;
