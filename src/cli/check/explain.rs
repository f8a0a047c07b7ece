//! What is wrong with an assertion, and what to do. Explains a refusal that the verifier has made:
//! what is read here without proof decides nothing.

use crate::cli::out::roughly;
use crate::error::{Code, Refusal};
use crate::types::{HostName, Timestamp};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::Value;

/// What a token says of itself.
#[derive(Default)]
pub(super) struct Said {
    header: Value,
    claims: Value,
}

impl Said {
    /// As far as it can be read.
    pub(super) fn of(token: &str) -> Self {
        let mut parts = token.split('.').map(|part| {
            let json = URL_SAFE_NO_PAD.decode(part).unwrap_or_default();
            serde_json::from_slice(&json).unwrap_or_default()
        });
        Self {
            header: parts.next().unwrap_or_default(),
            claims: parts.next().unwrap_or_default(),
        }
    }

    fn text(&self, claim: &str) -> String {
        match &self.claims[claim] {
            Value::Null => "nothing".into(),
            Value::String(text) => text.clone(),
            other => other.to_string(),
        }
    }

    /// For whom it is, if that is one host.
    pub(super) fn audience(&self) -> Option<&str> {
        self.claims["aud"].as_str()
    }

    /// When it was issued.
    pub(super) fn issued(&self) -> Option<Timestamp> {
        self.claims["iat"].as_i64().map(Timestamp)
    }

    fn expires(&self) -> Option<Timestamp> {
        self.claims["exp"].as_i64().map(Timestamp)
    }
}

/// What surrounds the refusal.
pub(super) struct Around<'a> {
    pub(super) said: &'a Said,
    /// The app's configured host.
    pub(super) host: &'a HostName,
    /// The `kid`s of the issuer's key set.
    pub(super) kids: Vec<String>,
    pub(super) now: Timestamp,
}

/// What is wrong, and what to do.
pub(super) fn refusal(refusal: &Refusal, around: &Around<'_>) -> (String, String) {
    let Around {
        said,
        host,
        kids,
        now,
    } = around;
    let (text, remedy) = match refusal.code {
        Code::AssertionMalformed => (
            "it is no compact JWS as Pomerium writes them".to_owned(),
            "Was it captured whole? If it came so, something between Pomerium and the bridge changes headers.",
        ),
        Code::AssertionOversize => (
            "it is longer than limits.assertion".to_owned(),
            "Send fewer groups or claims (jwt_groups_filter, jwt_claims_headers at Pomerium), or raise limits.assertion.",
        ),
        Code::AssertionAlgorithm => (
            format!("its algorithm is {}", said.header["alg"]),
            "Pomerium signs ES256 with an EC P-256 key, RS256 with an RSA key: give it one of those as signing_key_file.",
        ),
        Code::AssertionUnknownKey => (
            format!(
                "no key of the issuer has its kid, {}; known: {}",
                said.header["kid"].as_str().unwrap_or("which it lacks"),
                kids.join(", ")
            ),
            "Another Pomerium signed it, or it changed its key since: jwks must be that Pomerium's, and a jwks file must be kept up to date.",
        ),
        Code::AssertionSignature => (
            "the signature is not the issuer's".to_owned(),
            "It was changed on its way, or captured in part, or somebody forged it.",
        ),
        Code::AssertionExpired => {
            let ago = said.expires().map_or(0, |exp| now.0 - exp.0);
            (
                format!("it expired {} ago", roughly(ago)),
                "A captured one always does, 5 minutes after it was made. If it is fresh, this machine's clock is ahead of Pomerium's.",
            )
        }
        Code::AssertionNotYetValid => {
            let ahead = said.issued().map_or(0, |iat| iat.0 - now.0);
            (
                format!("it is from the future: issued in {}", roughly(ahead)),
                "This machine's clock is behind Pomerium's: let both keep time by NTP.",
            )
        }
        Code::AssertionLifetime => (
            format!(
                "it lives {}, from {} to {}",
                roughly(said.expires().map_or(0, |e| e.0) - said.issued().map_or(0, |i| i.0)),
                said.text("iat"),
                said.text("exp")
            ),
            "Pomerium's live 5 minutes. Raise issuers.max_lifetime only if yours is known to issue longer ones.",
        ),
        Code::AssertionAudience => (
            format!("it is for {}, the app's host is {host}", said.text("aud")),
            "Set preserve_host_header: true on the route, and `from:` and [[apps]] host to the same name. An assertion for one app opens no other.",
        ),
        Code::AssertionIssuer => (
            format!(
                "its issuer is {}, and must be {host} or https://{host}/",
                said.text("iss")
            ),
            "Something rewrote the host: set preserve_host_header: true on the route.",
        ),
        Code::AssertionAnonymous => (
            "it is validly signed and says that nobody is signed in".to_owned(),
            "The route lets people in without a sign-in: replace allow_public_unauthenticated_access (and cors_allow_preflight) by the policy authenticated_user.",
        ),
        Code::AssertionClaims => (
            "its claims are not as Pomerium writes them".to_owned(),
            "A custom claim may have taken the place of sub, sid or user: look at jwt_claims_headers, and at service accounts, which have no sid.",
        ),
        _ => (refusal.code.title().to_owned(), ""),
    };
    let text = match refusal.reason.as_ref() {
        "" => text,
        reason => format!("{text} ({reason})"),
    };
    (text, remedy.to_owned())
}
