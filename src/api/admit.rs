//! Who gets in: every credential that is shown must be good and name the same client, and the
//! client must not ask too often. And how long a request may take.

use super::caller::{self, Caller};
use super::problem::Problem;
use super::state::Api;
use crate::error::Code;
use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use http::header::AUTHORIZATION;
use std::sync::Arc;
use tokio::time::Instant;

/// Turns a request into one with a [`Caller`], or away.
pub(super) async fn admit(
    State(api): State<Arc<Api>>,
    mut request: Request,
    next: Next,
) -> Response {
    let caller = match caller::authenticate(&api, request.headers(), request.extensions()).await {
        Ok(caller) => caller,
        Err(problem) => return problem.into_response(),
    };
    if let Err(wait) = caller.take_turn(Instant::now()) {
        let problem = Problem::from(Code::ApiRate).retry_after(wait);
        return with(caller, problem.into_response());
    }
    // Nobody behind here needs it, and what is not there can't leak (T34).
    request.headers_mut().remove(AUTHORIZATION);
    request.extensions_mut().insert(caller.clone());
    let response = next.run(request).await;
    with(caller, response)
}

/// For the log line.
fn with(caller: Caller, mut response: Response) -> Response {
    response.extensions_mut().insert(caller);
    response
}

/// Ends a request that takes too long, its body included (T40).
pub(super) async fn in_time(State(api): State<Arc<Api>>, request: Request, next: Next) -> Response {
    match tokio::time::timeout(api.listener.timeout, next.run(request)).await {
        Ok(response) => response,
        Err(_) => Problem::new(Code::ApiTimeout, "longer than listen.api.timeout").into_response(),
    }
}
