//! What differs from profile to profile: how an issuer writes `iss` and `aud`, and which claims
//! must be there. A further profile is a further arm here.

use super::claims::{Audience, Claims};
use crate::config::IssuerProfile;
use crate::error::{Code, Refusal};
use crate::types::HostName;

/// Checks who speaks to whom. `host` is the app's *configured* host, never the token's.
pub(super) fn check(
    profile: IssuerProfile,
    claims: &Claims<'_>,
    host: &HostName,
) -> Result<(), Refusal> {
    match profile {
        IssuerProfile::Pomerium => pomerium(claims, host),
    }
}

/// Pomerium writes the request's host, in the case it was sent, port cut, into both claims; with
/// `jwt_issuer_format: uri` `iss` is `https://host/` (recordings/pomerium, difference 22).
fn pomerium(claims: &Claims<'_>, host: &HostName) -> Result<(), Refusal> {
    // All tokens of one Pomerium are signed by one key: only `aud` separates apps (T7).
    match &claims.aud {
        Some(Audience::One(aud)) if host.matches(aud) => {}
        Some(Audience::One(_)) => {
            return Err(Refusal::new(
                Code::AssertionAudience,
                "aud is not the app's host",
            ));
        }
        Some(Audience::Other) => {
            return Err(Refusal::new(
                Code::AssertionAudience,
                "aud is not one string",
            ));
        }
        None => return Err(Refusal::new(Code::AssertionAudience, "aud is missing")),
    }
    let Some(iss) = claims.iss.as_deref() else {
        return Err(Refusal::new(Code::AssertionIssuer, "iss is missing"));
    };
    let inner = iss
        .strip_prefix("https://")
        .and_then(|rest| rest.strip_suffix('/'))
        .unwrap_or(iss);
    if !host.matches(inner) {
        return Err(Refusal::new(
            Code::AssertionIssuer,
            "iss is neither the app's host nor its https URI",
        ));
    }
    Ok(())
}
