//! [`Assertion`]: who is there, in the bridge's own types.

use super::claims::Claims;
use crate::error::{Code, Refusal};
use crate::types::{GroupName, IssuerId, Sid, Subject, Timestamp};
use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

/// Longest display name kept, in characters.
const MAX_NAME: usize = 255;

/// Longest e-mail address, in bytes (RFC 5321 §4.5.3.1.3 less its angle brackets).
const MAX_EMAIL: usize = 254;

/// Longest local part, in bytes (RFC 5321 §4.5.3.1.1).
const MAX_LOCAL_PART: usize = 64;

/// The claims of an assertion. The person is (issuer, subject); the sign-in is (subject, sid);
/// everything else is an attribute that may change, be empty, or be late by a minute (recordings,
/// difference 13), never a key (T33).
pub struct Assertion {
    issuer: Arc<IssuerId>,
    subject: Subject,
    sid: Sid,
    email: Box<str>,
    email_odd: bool,
    email_verified: bool,
    name: Box<str>,
    username: Box<str>,
    locale: Box<str>,
    groups: Vec<GroupName>,
    groups_dropped: usize,
    issued: Timestamp,
    expires: Timestamp,
    jti_hash: [u8; 16],
}

impl Assertion {
    /// Turns checked claims into ours. A missing `sub` was refused before.
    pub(super) fn new(
        issuer: &Arc<IssuerId>,
        claims: Claims<'_>,
        issued: Timestamp,
        expires: Timestamp,
        jti_hash: [u8; 16],
    ) -> Result<Self, Refusal> {
        let subject = Subject::new(claims.sub.unwrap_or_default())
            .map_err(|_| wrong("sub is too long or holds a control character"))?;
        let sid = Sid::new(claims.sid.unwrap_or_default())
            .map_err(|_| wrong("sid is empty, too long or holds a control character"))?;
        let email = claims.email.unwrap_or_default();
        let email_ok = is_plain_email(&email);
        let listed = claims.groups.unwrap_or_default().0;
        let count = listed.len();
        // A group that no line could carry is no group (T39); to have fewer groups only denies.
        let groups: Vec<_> = listed
            .into_iter()
            .filter_map(|group| GroupName::new(group).ok())
            .collect();
        Ok(Self {
            issuer: Arc::clone(issuer),
            subject,
            sid,
            email_odd: !email_ok && !email.is_empty(),
            email_verified: email_ok && claims.email_verified.is_some_and(|flag| flag.0),
            email: if email_ok {
                email.into()
            } else {
                Box::default()
            },
            name: printable(claims.name.unwrap_or_default()),
            username: printable(claims.preferred_username.unwrap_or_default()),
            locale: printable(claims.locale.unwrap_or_default()),
            groups_dropped: count - groups.len(),
            groups,
            issued,
            expires,
            jti_hash,
        })
    }

    /// Whose assertion it is: half of the person's key.
    #[must_use]
    pub fn issuer(&self) -> &IssuerId {
        &self.issuer
    }

    /// Who: the other half.
    #[must_use]
    pub fn subject(&self) -> &Subject {
        &self.subject
    }

    /// Which sign-in; to be compared together with the subject only.
    #[must_use]
    pub fn sid(&self) -> &Sid {
        &self.sid
    }

    /// The e-mail address, or empty: there may be none, and an odd one is left out (T15).
    #[must_use]
    pub fn email(&self) -> &str {
        &self.email
    }

    /// Whether an address was left out because it has more than one reading.
    #[must_use]
    pub fn email_left_out(&self) -> bool {
        self.email_odd
    }

    /// Whether the issuer says that the address was verified; false when it says nothing.
    #[must_use]
    pub fn email_verified(&self) -> bool {
        self.email_verified
    }

    /// The display name, or empty; printable.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// `preferred_username`, or empty (needs `jwt_claims_headers` at Pomerium); printable.
    #[must_use]
    pub fn username(&self) -> &str {
        &self.username
    }

    /// `locale`, or empty; printable.
    #[must_use]
    pub fn locale(&self) -> &str {
        &self.locale
    }

    /// Groups in the order given. Empty means *none in this request*, never *remove all*
    /// (recordings, difference 30).
    #[must_use]
    pub fn groups(&self) -> &[GroupName] {
        &self.groups
    }

    /// Names that were no group names (empty, longer than 255 bytes, with control characters).
    #[must_use]
    pub fn groups_dropped(&self) -> usize {
        self.groups_dropped
    }

    /// `iat`.
    #[must_use]
    pub fn issued(&self) -> Timestamp {
        self.issued
    }

    /// `exp`.
    #[must_use]
    pub fn expires(&self) -> Timestamp {
        self.expires
    }

    /// A keyed hash of `jti`, of use to this process only.
    #[must_use]
    pub fn jti_hash(&self) -> &[u8; 16] {
        &self.jti_hash
    }
}

/// The keys only: attributes are personal, and log lines outlive them (T34).
impl fmt::Debug for Assertion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Assertion")
            .field("issuer", &self.issuer)
            .field("subject", &self.subject)
            .field("sid", &self.sid)
            .finish_non_exhaustive()
    }
}

/// An address that every reader takes apart in the same way: one `@`, a dot-atom (RFC 5322
/// §3.2.3) in ASCII, a host name without trailing dot (T15). Others are rare and are left out.
fn is_plain_email(email: &str) -> bool {
    let Some((local, domain)) = email.split_once('@') else {
        return false;
    };
    let atom = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-/=?^_`{|}~".contains(&b);
    let label = |label: &str| {
        !label.is_empty()
            && label.len() <= 63
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b == b'-')
    };
    email.len() <= MAX_EMAIL
        && local.len() <= MAX_LOCAL_PART
        && local
            .split('.')
            .all(|part| !part.is_empty() && part.bytes().all(atom))
        && domain.split('.').all(label)
}

/// Text without control characters, marks that turn its direction, or blanks around it.
fn printable(text: Cow<'_, str>) -> Box<str> {
    let odd = |c: char| {
        c.is_control()
            || matches!(c, '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    // A name this short in bytes can't be too long in characters.
    if text.len() <= MAX_NAME && !text.contains(odd) {
        return text.trim().into();
    }
    let clean: String = text.chars().filter(|c| !odd(*c)).take(MAX_NAME).collect();
    clean.trim().into()
}

fn wrong(reason: &'static str) -> Refusal {
    Refusal::new(Code::AssertionClaims, reason)
}

/// What a unit test of a later station wants an assertion to say.
#[cfg(test)]
#[derive(Debug, Clone)]
#[allow(dead_code, reason = "for the tests of later stations")]
pub(crate) struct AssertionForTest {
    pub(crate) issuer: &'static str,
    pub(crate) subject: &'static str,
    pub(crate) sid: &'static str,
    pub(crate) email: &'static str,
    pub(crate) email_verified: bool,
    pub(crate) name: &'static str,
    pub(crate) username: &'static str,
    pub(crate) groups: &'static [&'static str],
    pub(crate) issued: Timestamp,
    pub(crate) jti: u128,
}

#[cfg(test)]
impl Default for AssertionForTest {
    fn default() -> Self {
        Self {
            issuer: "pomerium",
            subject: "a11ce000-0000-4000-8000-000000000001",
            sid: "6e684008-7a6f-4168-a51a-3f620f5d63b3",
            email: "alice@example.test",
            email_verified: true,
            name: "Alice Example",
            username: "alice",
            groups: &["mattermost-users"],
            issued: Timestamp(1_795_247_677),
            jti: 1,
        }
    }
}

#[cfg(test)]
impl AssertionForTest {
    /// A proof without a signature: for unit tests only, in this crate only.
    #[allow(dead_code, reason = "for the tests of later stations")]
    pub(crate) fn verified(self) -> super::Verified<Assertion> {
        let text = |t: &str| t.into();
        super::Verified {
            inner: Assertion {
                issuer: Arc::new(IssuerId::new(self.issuer).unwrap()),
                subject: Subject::new(self.subject).unwrap(),
                sid: Sid::new(self.sid).unwrap(),
                email: text(self.email),
                email_odd: false,
                email_verified: self.email_verified,
                name: text(self.name),
                username: text(self.username),
                locale: Box::default(),
                groups: self
                    .groups
                    .iter()
                    .map(|g| GroupName::new(*g).unwrap())
                    .collect(),
                groups_dropped: 0,
                issued: self.issued,
                expires: Timestamp(self.issued.0 + 300),
                jti_hash: self.jti.to_ne_bytes(),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn t15_addresses_with_two_readings_are_none() {
        for good in [
            "a@b",
            "alice+tag@example.com",
            "o'neil@x.example",
            "a.b@c-d.example",
        ] {
            assert!(is_plain_email(good), "{good}");
        }
        for bad in [
            "",
            "a",
            "@b",
            "a@",
            "a@b@c",
            "\"a@b\"@c.example",
            "A <a@b.example>",
            "a@b.example.",
            "a@.b",
            "a@b..c",
            ".a@b",
            "a.@b",
            "a..b@c",
            "a b@c",
            "a@b c",
            "a@b.example\r\n",
            "a@ex\u{e4}mple.com",
            "\u{430}lice@example.com",
            "a@[127.0.0.1]",
            "a,b@c",
            "a@-b.c",
            "a(b)@c",
            &format!("{}@b", "a".repeat(65)),
            &format!("a@{}", "b.".repeat(140)),
        ] {
            assert!(!is_plain_email(bad), "{bad:?}");
        }
    }

    #[test]
    fn t39_names_hold_nothing_that_breaks_a_line() {
        for (given, kept) in [
            (" Alice\r\nSet-Cookie: a=b ", "AliceSet-Cookie: a=b"),
            ("A\u{0}\u{7f}\u{85}\u{2028}\u{202e}B", "AB"),
            ("Renée 日本", "Renée 日本"),
        ] {
            assert_eq!(&*printable(given.into()), kept);
        }
        assert_eq!(printable("é".repeat(300).into()).chars().count(), MAX_NAME);
    }
}
