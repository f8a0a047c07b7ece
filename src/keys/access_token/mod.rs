//! Exchanged tokens: access tokens in the form of RFC 9068, signed with ES256 so that any stock
//! library verifies them from our metadata and key set alone.
//!
//! Beyond RFC 9068 they carry `act` (who asked for it, RFC 8693 §4.1), `cnf` (the certificate it is
//! bound to, RFC 8705 §3.1) and what they die with: `sid`, our session, or, where the visitor had
//! none, `am_origin`, the app and the state of the revocation log that the exchange met. There is no
//! `auth_time`: when somebody signed in at the identity provider is not known here.
//!
//! As with the bridge cookie only what we would mint ourselves is accepted; but ECDSA has two
//! signatures for one message, so a token is known by its `jti`, never by its bytes.
//!
//! Whether what it was made from still stands is not decided here, nor for whom it is.

use super::compact::{self, TokenError};
use super::ring::{Ring, RingError};
use crate::store::{Epoch, KeyKind};
use crate::types::{AppId, ClientId, GroupName, SessionId, Timestamp, TokenId};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::{Deserialize, Serialize};

#[doc(hidden)]
pub mod fuzz;

/// Longest token that is looked at, in bytes.
pub const MAX_TOKEN: usize = 8192;

/// Length of a hidden session's name.
const HIDDEN: usize = 64;

/// Why an exchanged token was not minted.
#[derive(Debug, thiserror::Error)]
pub enum MintError {
    /// What it would say about the person is too much.
    #[error("the token would be longer than {MAX_TOKEN} bytes: pass on fewer claims")]
    TooLong,
    /// No signature.
    #[error(transparent)]
    Ring(#[from] RingError),
}

/// What a token dies with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// A session of ours.
    Session(SessionId),
    /// A session of ours under a name that only its audience sees ([`super::pairwise`]).
    Hidden(String),
    /// A sign-in that had no session at the app: whatever is revoked of the person afterwards ends
    /// it.
    SignIn {
        /// At which app.
        app: AppId,
        /// The log as it was.
        epoch: Epoch,
    },
}

/// What a token says about the person, beside who it is. All of it may be missing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct About {
    /// E-mail address.
    pub email: Option<String>,
    /// Whether the issuer says that it was verified.
    pub email_verified: Option<bool>,
    /// Display name.
    pub name: Option<String>,
    /// User name.
    pub preferred_username: Option<String>,
    /// Groups (RFC 9068 §2.2.3.1).
    pub groups: Vec<GroupName>,
}

/// What to mint.
#[derive(Debug, Clone)]
pub struct NewAccessToken<'a> {
    /// This bridge (`iss`).
    pub issuer: &'a str,
    /// Whom for (`aud`).
    pub audience: &'a str,
    /// The person, as this audience knows them (`sub`).
    pub subject: &'a str,
    /// Who asked (`client_id`, `act`).
    pub client: &'a ClientId,
    /// What it allows, words with blanks between (`scope`).
    pub scope: &'a str,
    /// What it dies with.
    pub origin: &'a Origin,
    /// SHA-256 of the certificate it is bound to (`cnf`).
    pub certificate: Option<&'a [u8; 32]>,
    /// More about the person.
    pub about: &'a About,
    /// Its own id (`jti`).
    pub id: TokenId,
    /// Now (`iat`).
    pub issued_at: Timestamp,
    /// Not valid at or after (`exp`).
    pub expires_at: Timestamp,
}

/// What a verified token says. Only [`verify`] makes one.
#[derive(Debug, Clone, PartialEq)]
pub struct AccessClaims {
    claims: Claims,
    id: TokenId,
    client: ClientId,
    origin: Origin,
}

impl AccessClaims {
    /// Its own id.
    #[must_use]
    pub fn id(&self) -> TokenId {
        self.id
    }

    /// Whom it is for: to be compared before it is believed.
    #[must_use]
    pub fn audience(&self) -> &str {
        &self.claims.aud
    }

    /// The person, as the audience knows them.
    #[must_use]
    pub fn subject(&self) -> &str {
        &self.claims.sub
    }

    /// Who exchanged it.
    #[must_use]
    pub fn client(&self) -> &ClientId {
        &self.client
    }

    /// What it dies with.
    #[must_use]
    pub fn origin(&self) -> &Origin {
        &self.origin
    }

    /// `exp`.
    #[must_use]
    pub fn expires_at(&self) -> Timestamp {
        self.claims.exp
    }

    /// Its claims as members of a JSON object, but for those that are nobody's business.
    #[must_use]
    pub fn members(&self) -> serde_json::Map<String, serde_json::Value> {
        let shown = Claims {
            am_origin: None,
            ..self.claims.clone()
        };
        match serde_json::to_value(shown) {
            Ok(serde_json::Value::Object(members)) => members,
            // A struct of texts and numbers is always an object.
            _ => serde_json::Map::new(),
        }
    }
}

/// Mints a token under the key that signs exchanged tokens.
///
/// # Errors
/// When it would be too long or there is no signature.
pub fn mint(ring: &Ring, new: &NewAccessToken<'_>) -> Result<String, MintError> {
    let (sid, am_origin) = match new.origin {
        Origin::Session(id) => (Some(id.to_string()), None),
        Origin::Hidden(name) => (Some(name.clone()), None),
        Origin::SignIn { app, epoch } => {
            let epoch = [epoch.user, epoch.global];
            let app = app.clone();
            (None, Some(SignIn { app, epoch }))
        }
    };
    let claims = Claims {
        iss: new.issuer.into(),
        aud: new.audience.into(),
        sub: new.subject.into(),
        client_id: new.client.to_string(),
        act: Actor {
            sub: new.client.to_string(),
        },
        scope: (!new.scope.is_empty()).then(|| new.scope.into()),
        jti: new.id.to_string(),
        iat: new.issued_at,
        exp: new.expires_at,
        sid,
        am_origin,
        cnf: new.certificate.map(|hash| Confirmation {
            x5t_s256: URL_SAFE_NO_PAD.encode(hash),
        }),
        email: new.about.email.clone(),
        email_verified: new.about.email_verified,
        name: new.about.name.clone(),
        preferred_username: new.about.preferred_username.clone(),
        groups: new.about.groups.clone(),
    };
    let claims = serde_json::to_vec(&claims).map_err(|_| RingError::Crypto)?;
    let token = compact::sign(ring, KeyKind::AccessToken, &claims)?;
    match token.len() > MAX_TOKEN {
        true => Err(MintError::TooLong),
        false => Ok(token),
    }
}

/// Verifies a token of this bridge (`issuer`), whomever it is for.
///
/// # Errors
/// When it is not as we mint them, or its time is over.
pub fn verify(
    ring: &Ring,
    token: &str,
    issuer: &str,
    now: Timestamp,
) -> Result<AccessClaims, TokenError> {
    let payload = compact::open(ring, KeyKind::AccessToken, token, MAX_TOKEN)?;
    let claims = read(&payload).ok_or(TokenError::Malformed)?;
    if claims.claims.iss != issuer {
        return Err(TokenError::Issuer);
    }
    if claims.claims.exp <= now {
        return Err(TokenError::Expired);
    }
    Ok(claims)
}

/// Reads a payload, which proves nothing by itself.
fn read(payload: &[u8]) -> Option<AccessClaims> {
    let claims: Claims = serde_json::from_slice(payload).ok()?;
    let origin = match (&claims.sid, &claims.am_origin) {
        (Some(sid), None) => match sid.parse() {
            Ok(id) => Origin::Session(id),
            Err(_) if sid.len() == HIDDEN => Origin::Hidden(sid.clone()),
            Err(_) => return None,
        },
        (None, Some(sign_in)) => Origin::SignIn {
            app: sign_in.app.clone(),
            epoch: Epoch {
                user: sign_in.epoch[0],
                global: sign_in.epoch[1],
            },
        },
        _ => return None,
    };
    if claims.act.sub != claims.client_id {
        return None;
    }
    Some(AccessClaims {
        id: claims.jti.parse().ok()?,
        client: claims.client_id.parse().ok()?,
        origin,
        claims,
    })
}

/// In the order in which they are written.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Claims {
    iss: String,
    aud: String,
    sub: String,
    client_id: String,
    act: Actor,
    #[serde(skip_serializing_if = "Option::is_none")]
    scope: Option<String>,
    jti: String,
    iat: Timestamp,
    exp: Timestamp,
    #[serde(skip_serializing_if = "Option::is_none")]
    sid: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    am_origin: Option<SignIn>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cnf: Option<Confirmation>,
    #[serde(skip_serializing_if = "Option::is_none")]
    email: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    email_verified: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    preferred_username: Option<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    groups: Vec<GroupName>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Actor {
    sub: String,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct SignIn {
    app: AppId,
    /// The user's and everybody's.
    epoch: [i64; 2],
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Confirmation {
    #[serde(rename = "x5t#S256")]
    x5t_s256: String,
}

#[cfg(test)]
mod tests;
