//! The table of codes: append-only, since operators filter and alert on them.

use http::StatusCode;
use std::time::Duration;

/// How loud a refusal is in the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Level {
    /// Ordinary life: a visitor without the group, an expired session.
    Info,
    /// Somebody should look: a forged assertion, an app that does not answer.
    Warn,
    /// The bridge itself is broken.
    Error,
}

/// Which page a browser gets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Page {
    /// A plain statement of what went wrong.
    Plain,
    /// *Preparing your account*, reloads itself.
    Preparing,
    /// *Pending validation*: who to ask, check again.
    Pending,
    /// *No access to this app*.
    NotGranted,
    /// *Account disabled*.
    Disabled,
    /// *Account conflict*.
    Conflict,
    /// *No seat left*.
    NoSeat,
    /// *Signed out*, with a link to sign in again.
    SignedOut,
    /// *Cookies blocked*.
    CookiesBlocked,
    /// *App unavailable*.
    AppUnavailable,
}

macro_rules! codes {
    ($($variant:ident = $text:literal, $status:ident, $level:ident, $page:ident, $title:literal;)*) => {
        /// What was decided, in one word for every reader.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum Code {
            $(#[doc = $title] $variant,)*
        }

        impl Code {
            /// Every code, in table order.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// The stable text: log field, metric label, problem `code`.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $text,)* }
            }

            /// The HTTP status.
            #[must_use]
            pub const fn status(self) -> StatusCode {
                match self { $(Self::$variant => StatusCode::$status,)* }
            }

            /// How loud it is.
            #[must_use]
            pub const fn level(self) -> Level {
                match self { $(Self::$variant => Level::$level,)* }
            }

            /// Which page a browser gets.
            #[must_use]
            pub const fn page(self) -> Page {
                match self { $(Self::$variant => Page::$page,)* }
            }

            /// One English sentence, fit for visitors.
            #[must_use]
            pub const fn title(self) -> &'static str {
                match self { $(Self::$variant => $title,)* }
            }
        }
    };
}

codes! {
    // 1 hygiene
    RequestMalformed = "request.malformed", BAD_REQUEST, Warn, Plain, "The request is malformed.";
    RequestFraming = "request.framing", BAD_REQUEST, Warn, Plain, "The request's framing is ambiguous.";
    RequestPath = "request.path", BAD_REQUEST, Warn, Plain, "The request's path is not canonical.";
    RequestHeader = "request.header", BAD_REQUEST, Warn, Plain, "A request header imitates a protected one.";
    RequestTooLarge = "request.too_large", REQUEST_HEADER_FIELDS_TOO_LARGE, Warn, Plain, "The request head is too large.";
    RequestMethod = "request.method", METHOD_NOT_ALLOWED, Warn, Plain, "The request method is not served.";
    // 2 route
    RouteUnknownHost = "route.unknown_host", NOT_FOUND, Warn, Plain, "No app is configured for this host.";
    RouteNotFound = "route.not_found", NOT_FOUND, Info, Plain, "There is nothing here.";
    // 3 authenticate
    AssertionMissing = "assertion.missing", UNAUTHORIZED, Warn, Plain, "The identity assertion is missing.";
    AssertionDuplicate = "assertion.duplicate", BAD_REQUEST, Warn, Plain, "There is more than one identity assertion.";
    AssertionMalformed = "assertion.malformed", UNAUTHORIZED, Warn, Plain, "The identity assertion is malformed.";
    AssertionOversize = "assertion.oversize", UNAUTHORIZED, Warn, Plain, "The identity assertion is too large.";
    AssertionAlgorithm = "assertion.algorithm", UNAUTHORIZED, Warn, Plain, "The identity assertion's algorithm is not allowed.";
    AssertionUnknownKey = "assertion.unknown_key", UNAUTHORIZED, Warn, Plain, "The identity assertion's key is unknown.";
    AssertionKeysUnavailable = "assertion.keys_unavailable", SERVICE_UNAVAILABLE, Error, AppUnavailable, "The keys that verify identities can't be read.";
    AssertionSignature = "assertion.signature", UNAUTHORIZED, Warn, Plain, "The identity assertion's signature is wrong.";
    AssertionExpired = "assertion.expired", UNAUTHORIZED, Warn, Plain, "The identity assertion has expired.";
    AssertionNotYetValid = "assertion.not_yet_valid", UNAUTHORIZED, Warn, Plain, "The identity assertion is from the future: a clock is wrong.";
    AssertionLifetime = "assertion.lifetime", UNAUTHORIZED, Warn, Plain, "The identity assertion lives too long.";
    AssertionAudience = "assertion.audience", UNAUTHORIZED, Warn, Plain, "The identity assertion is for another host.";
    AssertionIssuer = "assertion.issuer", UNAUTHORIZED, Warn, Plain, "The identity assertion has another issuer.";
    AssertionAnonymous = "assertion.anonymous", UNAUTHORIZED, Info, Plain, "Nobody is signed in.";
    AssertionClaims = "assertion.claims", UNAUTHORIZED, Warn, Plain, "The identity assertion's claims are not as they must be.";
    AssertionReplayed = "assertion.replayed", UNAUTHORIZED, Warn, Plain, "The identity assertion was used before.";
    // 4 authorize
    AccessDisabled = "access.disabled", FORBIDDEN, Info, Disabled, "This account is disabled.";
    AccessPending = "access.pending", FORBIDDEN, Info, Pending, "This account awaits validation.";
    AccessNotGranted = "access.not_granted", FORBIDDEN, Info, NotGranted, "This account has no access to this app.";
    // 5 session: provisioning
    AccountConflict = "account.conflict", FORBIDDEN, Warn, Conflict, "An account in the app has this name or address, and is not provably yours.";
    AccountPreparing = "account.preparing", SERVICE_UNAVAILABLE, Info, Preparing, "Your account is being prepared.";
    AccountNoSeat = "account.no_seat", FORBIDDEN, Warn, NoSeat, "The app has no seat left.";
    AccountTeamFull = "account.team_full", FORBIDDEN, Warn, NoSeat, "The app's team is full.";
    AccountDisabledInApp = "account.disabled_in_app", FORBIDDEN, Info, Disabled, "This account is disabled in the app.";
    AccountRefused = "account.refused", BAD_GATEWAY, Error, AppUnavailable, "The app refused to prepare the account.";
    // 5 session: the bridge's own
    SessionRequired = "session.required", UNAUTHORIZED, Info, Plain, "The session of this page has ended.";
    SessionSignedOut = "session.signed_out", UNAUTHORIZED, Info, SignedOut, "You are signed out.";
    SessionCookiesBlocked = "session.cookies_blocked", BAD_REQUEST, Info, CookiesBlocked, "The browser does not keep this site's cookies.";
    SessionRenewed = "session.renewed", SERVICE_UNAVAILABLE, Info, Preparing, "The session was renewed: please try again.";
    SessionRace = "session.race", SERVICE_UNAVAILABLE, Info, Preparing, "The session changed meanwhile: please try again.";
    // 6 csrf
    CsrfRefused = "csrf.refused", FORBIDDEN, Warn, Plain, "The request does not come from this site's own pages.";
    OriginRefused = "origin.refused", FORBIDDEN, Warn, Plain, "The request comes from another site.";
    // 8 forward, 9 filter
    AppUnavailable = "app.unavailable", BAD_GATEWAY, Warn, AppUnavailable, "The app does not answer.";
    AppTimeout = "app.timeout", GATEWAY_TIMEOUT, Warn, AppUnavailable, "The app takes too long to answer.";
    AppBadAnswer = "app.bad_answer", BAD_GATEWAY, Warn, AppUnavailable, "The app's answer could not be used.";
    RouteBlocked = "route.blocked", FORBIDDEN, Info, Plain, "This function is switched off: your organisation's sign-in takes its place.";
    IdentityField = "identity.field", FORBIDDEN, Info, Plain, "Name and e-mail address are managed by your organisation's sign-in.";
    // the api listener
    ApiUnauthenticated = "api.unauthenticated", UNAUTHORIZED, Warn, Plain, "The caller did not prove who it is.";
    ApiScope = "api.scope", FORBIDDEN, Warn, Plain, "The caller's scopes do not cover this.";
    ApiBothNeeded = "api.both_needed", FORBIDDEN, Warn, Plain, "This needs both a client certificate and a bearer token.";
    ApiNotFound = "api.not_found", NOT_FOUND, Info, Plain, "There is no such resource.";
    ApiMethod = "api.method", METHOD_NOT_ALLOWED, Info, Plain, "The resource does not have this method.";
    ApiMalformed = "api.malformed", BAD_REQUEST, Info, Plain, "The request can't be read.";
    ApiMediaType = "api.media_type", UNSUPPORTED_MEDIA_TYPE, Info, Plain, "The body is of another media type than it must be.";
    ApiInvalid = "api.invalid", UNPROCESSABLE_ENTITY, Info, Plain, "The request says something that can't be done.";
    ApiTooLarge = "api.too_large", PAYLOAD_TOO_LARGE, Warn, Plain, "The request body is too large.";
    ApiRate = "api.rate", TOO_MANY_REQUESTS, Warn, Plain, "The caller asks too often.";
    ApiTimeout = "api.timeout", REQUEST_TIMEOUT, Warn, Plain, "The request took too long.";
    ApiNotAcceptable = "api.not_acceptable", NOT_ACCEPTABLE, Info, Plain, "The resource can't be served in a form that the caller takes.";
    ApiCursor = "api.cursor", BAD_REQUEST, Info, Plain, "The cursor is none of this list.";
    ApiConflict = "api.conflict", CONFLICT, Info, Plain, "The order does not fit how things are.";
    ApiPrecondition = "api.precondition", PRECONDITION_FAILED, Info, Plain, "The resource is not as the caller read it.";
    ApiPreconditionRequired = "api.precondition_required", PRECONDITION_REQUIRED, Info, Plain, "This change must say what it was made on.";
    ApiIdempotencyUnderWay = "api.idempotency_under_way", CONFLICT, Info, Plain, "The same request is under way.";
    ApiIdempotencyReused = "api.idempotency_reused", UNPROCESSABLE_ENTITY, Warn, Plain, "The idempotency key stands for another request.";
    ApiConfirmation = "api.confirmation", UNPROCESSABLE_ENTITY, Info, Plain, "This concerns many people and must be confirmed.";
    ApiHost = "api.host", FORBIDDEN, Warn, Plain, "The caller may not speak for visitors of this app.";
    ApiAssertion = "api.assertion", UNPROCESSABLE_ENTITY, Warn, Plain, "The visitor's assertion can't be accepted.";
    // orders about a directory
    DirectoryUnavailable = "directory.unavailable", BAD_GATEWAY, Warn, Plain, "The directory does not answer as it should.";
    DirectoryTimeout = "directory.timeout", GATEWAY_TIMEOUT, Warn, Plain, "The directory takes too long to answer.";
    DirectoryUnable = "directory.unable", CONFLICT, Info, Plain, "This directory can't do that, or the bridge may not ask it to.";
    DirectoryNotAllowed = "directory.not_allowed", FORBIDDEN, Warn, Plain, "This may not be given by hand.";
    // SCIM
    ScimForbidden = "scim.forbidden", FORBIDDEN, Info, Plain, "This is not done here.";
    ScimNotImplemented = "scim.not_implemented", NOT_IMPLEMENTED, Info, Plain, "There is no such function.";
    // services that call an app
    ServiceBrowser = "service.browser", FORBIDDEN, Warn, Plain, "Browsers are not served here.";
    ServiceRoute = "service.route", FORBIDDEN, Warn, Plain, "The caller's bot may not call this.";
    ServiceBotMissing = "service.bot_missing", SERVICE_UNAVAILABLE, Error, Plain, "The caller's bot has no token here.";
    ServiceBotRefused = "service.bot_refused", BAD_GATEWAY, Error, Plain, "The app does not accept the caller's bot.";
    ServiceBotRenewed = "service.bot_renewed", SERVICE_UNAVAILABLE, Info, Plain, "The bot's token was renewed: please try again.";
    // the bridge itself
    StoreUnavailable = "bridge.store_unavailable", SERVICE_UNAVAILABLE, Error, AppUnavailable, "The bridge's store does not answer.";
    RevocationsStale = "bridge.revocations_stale", SERVICE_UNAVAILABLE, Error, AppUnavailable, "The bridge can't tell what was revoked.";
    Busy = "bridge.busy", SERVICE_UNAVAILABLE, Warn, AppUnavailable, "The bridge is busy.";
    Internal = "bridge.internal", INTERNAL_SERVER_ERROR, Error, AppUnavailable, "Something in the bridge went wrong.";
}

impl Code {
    /// When trying again may help, for `Retry-After`.
    #[must_use]
    pub const fn retry_after(self) -> Option<Duration> {
        match self {
            Self::AccountPreparing | Self::SessionRace => Some(Duration::from_secs(2)),
            Self::SessionRenewed | Self::ServiceBotRenewed | Self::ApiIdempotencyUnderWay => {
                Some(Duration::from_secs(1))
            }
            Self::AssertionKeysUnavailable
            | Self::StoreUnavailable
            | Self::RevocationsStale
            | Self::Busy => Some(Duration::from_secs(5)),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn codes_are_unique_and_have_an_area() {
        let texts: HashSet<_> = Code::ALL.iter().map(|c| c.as_str()).collect();
        assert_eq!(texts.len(), Code::ALL.len());
        assert!(texts.iter().all(|t| t.split_once('.').is_some()));
    }
}
