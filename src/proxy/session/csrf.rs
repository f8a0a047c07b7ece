//! Station 6, CSRF: the bridge owns it. The page holds a value that is stable for the session; the
//! app's own current value is put in by the swap, and the page's is never forwarded.
//!
//! What proves that a request comes from the app's own pages, best first:
//!
//! 1. the session's CSRF value in the app's header. A wrong value is always refused, with the 401
//!    on which the web app loads itself anew: it is a page from before, another person's perhaps
//!    (tried-for-real, 7), and loading is what mends it;
//! 2. `X-Requested-With: XMLHttpRequest` alone, as the web app sends it before it has read the
//!    cookie: a custom header crosses origins only after a preflight, which the app does not grant,
//!    so it is worth as much as the browser's own word, provided that no `Origin` and no Fetch
//!    Metadata contradict it;
//! 3. for listed beacon routes (`sendBeacon` can set no header): our exact `Origin`, and Fetch
//!    Metadata `same-origin` or absent (tried-for-real, 21).
//!
//! Safe methods pass: a cross-site GET navigation is every link in a mail.

use super::{Bound, Live};
use crate::apps::Route;
use crate::error::{Code, Refusal};
use crate::proxy::edge::CleanRequest;
use crate::proxy::route::Site;
use http::Method;

/// A bound request that comes from the app's own pages (or changes nothing). Made only here; the
/// swap asks for it (T20):
///
/// ```compile_fail,E0423
/// fn forge(bound: auth_manager::proxy::session::Bound) {
///     let _ = auth_manager::proxy::session::csrf::Intended(bound);
/// }
/// ```
pub struct Intended(Bound);

impl Intended {
    /// The binding.
    pub fn bound(&self) -> &Bound {
        &self.0
    }
}

/// Checks a bound request.
///
/// # Errors
/// `csrf.refused`, `origin.refused`.
pub fn check(
    site: &Site,
    route: Route,
    request: &CleanRequest,
    bound: Bound,
) -> Result<Intended, Refusal> {
    if route == Route::Socket {
        // The upgrade changes nothing by itself but opens a channel that does: the browser's own
        // word about where it comes from is required (T28).
        if !is_ours(site, request.origin()) {
            return Err(Refusal::new(
                Code::OriginRefused,
                "an upgrade needs our exact Origin",
            ));
        }
        return Ok(Intended(bound));
    }
    if matches!(
        *request.method(),
        Method::GET | Method::HEAD | Method::OPTIONS
    ) {
        return Ok(Intended(bound));
    }
    judge(site, route, request, bound.live())?;
    Ok(Intended(bound))
}

fn judge(site: &Site, route: Route, request: &CleanRequest, live: &Live) -> Result<(), Refusal> {
    let refuse = |why| Err(Refusal::new(Code::CsrfRefused, why));
    let origin = request.origin();
    if origin.is_some() && !is_ours(site, origin) {
        return Err(Refusal::new(
            Code::OriginRefused,
            "Origin is another site's",
        ));
    }
    // `none` is an address typed by hand, which never sends a body.
    if request.sec_fetch_site().is_some_and(|s| s != "same-origin") {
        return Err(Refusal::new(
            Code::OriginRefused,
            "Sec-Fetch-Site is not same-origin",
        ));
    }
    match request.csrf_token() {
        Some(value) if live.is_csrf(value.as_bytes()) => return Ok(()),
        Some(_) => {
            return Err(Refusal::new(
                Code::SessionRequired,
                "the CSRF value is not the session's: a page from before",
            ));
        }
        None => {}
    }
    if route == Route::Beacon && is_ours(site, origin) {
        return Ok(());
    }
    let requested_with = request.headers().get("x-requested-with");
    if requested_with.is_some_and(|v| v.as_bytes() == b"XMLHttpRequest") {
        return Ok(());
    }
    refuse("neither CSRF value nor X-Requested-With")
}

/// Whether an `Origin` is exactly the app's public one. Absent and `null` are not.
fn is_ours(site: &Site, origin: Option<&str>) -> bool {
    origin.is_some_and(|o| o.eq_ignore_ascii_case(&site.config.origin))
}
