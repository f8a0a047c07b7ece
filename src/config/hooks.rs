//! `[directories.hooks]`: what a directory's webhooks prove themselves by. A secret that could be
//! guessed, or that comes of a slip, refuses to start: Authentik writes `Bearer None` when the file
//! of its blueprint is missing, and sends it (recordings, difference 16).

use super::directories_model::HooksConfig;
use super::reader::Table;
use super::secret::SecretError;
use super::sections::{hours, seconds};
use super::{DirectoryConfig, DirectoryKind, HookSecret};
use aws_lc_rs::digest::{SHA256, digest};
use std::collections::{BTreeSet, HashSet};

/// Shortest secret in characters.
const SHORTEST: usize = 32;
/// Longest, as Authentik's mapping and the listener take them.
const LONGEST: usize = 512;
/// Fewest different characters; 32 random hex digits have 10 at least, all but surely.
const DIFFERENT: usize = 9;
/// What people and programs write where a secret should be.
const WORDS: [&str; 22] = [
    "authentik",
    "authorization",
    "bearer",
    "bridge",
    "changeit",
    "changeme",
    "default",
    "dummy",
    "empty",
    "example",
    "false",
    "none",
    "null",
    "password",
    "placeholder",
    "replaceme",
    "secret",
    "todo",
    "token",
    "true",
    "undefined",
    "webhook",
];
const REMEDY: &str = "Make one with `openssl rand -hex 32`, and give Authentik the same file.";

/// `[directories.hooks]`; `None` when it is absent or wrong. `served`: whether the api listener is.
pub(super) fn hooks(table: &Table<'_>, authentik: bool, served: bool) -> Option<HooksConfig> {
    let sources = table.secrets("secrets");
    let hashes = super::clients::hashes(
        table,
        "secrets_sha256",
        "Write 64 hex digits: `auth-manager clients new-bearer` makes a secret and prints them.",
    );
    let silent_after = table.duration("silent_after", hours(7 * 24), seconds(600)..=hours(90 * 24));
    if !table.is_present() {
        return None;
    }
    if !authentik {
        table.complain("", "Keycloak sends no webhooks.", "Remove the section.");
        return None;
    }
    if !served {
        table.complain(
            "",
            "Webhooks arrive at the api listener, which is not served.",
            "Add [listen.api] with its address.",
        );
    }
    if !table.has("secrets") && !table.has("secrets_sha256") {
        table.complain(
            "secrets",
            "It is missing.",
            format!("Write secrets = [{{ file = \"…\" }}]. {REMEDY}"),
        );
    }
    let mut secrets = Vec::new();
    for source in sources {
        let bytes = match source.read_bytes() {
            Ok(bytes) => bytes,
            // Said already: the file or the credential itself is not to be had.
            Err(
                SecretError::Read { .. } | SecretError::NotAFile(_) | SecretError::NoCredentials(_),
            ) => continue,
            Err(error) => {
                table.complain("secrets", format!("{error}."), REMEDY);
                continue;
            }
        };
        let secret = bytes.trim_ascii();
        if let Some(why) = weakness(secret) {
            // Never shown.
            table.complain("secrets", format!("A secret {why}."), REMEDY);
            continue;
        }
        secrets.push(HookSecret {
            sha256: sha256(secret),
            source: Some(source),
        });
    }
    secrets.extend(hashes.into_iter().map(|sha256| HookSecret {
        sha256,
        source: None,
    }));
    let known_bad: Vec<[u8; 32]> = ["", "None", "null"].map(|t| sha256(t.as_bytes())).into();
    if secrets
        .iter()
        .any(|secret| known_bad.contains(&secret.sha256))
    {
        table.complain("secrets_sha256", "It is the hash of no secret.", REMEDY);
    }
    let different: BTreeSet<_> = secrets.iter().map(|secret| secret.sha256).collect();
    if secrets.len() > 2 || different.len() < secrets.len() {
        table.complain(
            "secrets",
            "There are more than two secrets, or the same one twice.",
            "Name the one that Authentik sends and, while it is changed, the next one.",
        );
    }
    Some(HooksConfig {
        secrets,
        silent_after,
    })
}

/// No two directories have the same secret: it would not say which one calls. Gives what clients may
/// not have as well: ids and hashes.
pub(super) fn taken(
    tables: &[Table<'_>],
    directories: &[DirectoryConfig],
) -> (HashSet<String>, HashSet<String>) {
    let (mut ids, mut credentials) = (HashSet::new(), HashSet::new());
    for directory in directories {
        let Some(hooks) = &directory.hooks else {
            continue;
        };
        ids.insert(directory.id.to_string());
        let table = (tables.iter()).find(|t| t.text("id") == Some(directory.id.as_str()));
        let own: BTreeSet<_> = hooks.secrets.iter().map(|s| s.sha256).collect();
        for sha256 in own {
            let credential = format!("static {sha256:?}");
            if !credentials.insert(credential)
                && let Some(table) = table
            {
                table.complain(
                    "hooks",
                    "Another directory has the same secret.",
                    "Give each directory its own.",
                );
            }
        }
    }
    (ids, credentials)
}

impl DirectoryConfig {
    /// Whether it is an Authentik.
    #[must_use]
    pub fn is_authentik(&self) -> bool {
        matches!(self.kind, DirectoryKind::Authentik(_))
    }
}

fn sha256(bytes: &[u8]) -> [u8; 32] {
    let mut hash = [0; 32];
    hash.copy_from_slice(digest(&SHA256, bytes).as_ref());
    hash
}

/// Why it is no secret that can be trusted, as the end of a sentence.
fn weakness(secret: &[u8]) -> Option<&'static str> {
    let plain = |b: &u8| b.is_ascii_alphanumeric() || *b == b'-' || *b == b'_';
    if secret.is_empty() {
        return Some("is empty");
    }
    if !secret.iter().all(plain) {
        return Some(
            "holds other characters than A-Z a-z 0-9 - _, which break the expression that Authentik \
             puts it into",
        );
    }
    if secret.len() > LONGEST {
        return Some("is longer than 512 characters");
    }
    if secret.len() < SHORTEST {
        return Some("is shorter than 32 characters");
    }
    let different: BTreeSet<u8> = secret.iter().copied().collect();
    if different.len() < DIFFERENT || repeats(secret) || counts(secret) {
        return Some("is made of a few characters over and over, and can be guessed");
    }
    let mut rest = String::from_utf8_lossy(secret).to_ascii_lowercase();
    for word in WORDS {
        rest = rest.replace(word, "");
    }
    if rest.len() < SHORTEST * 3 / 4 {
        return Some("is made of words that stand where a secret should be");
    }
    None
}

/// Whether it is something shorter, written several times.
fn repeats(secret: &[u8]) -> bool {
    (1..=secret.len() / 2).any(|period| {
        let shifted = secret.iter().skip(period);
        secret.iter().zip(shifted).all(|(a, b)| a == b)
    })
}

/// Whether more than half of it goes up or down by one, like a keyboard's or the alphabet's order.
fn counts(secret: &[u8]) -> bool {
    let steps = secret.windows(2).filter(|pair| match pair {
        [a, b] => a.abs_diff(*b) <= 1,
        _ => false,
    });
    steps.count() * 2 > secret.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn t30_weak_secrets_are_known_and_strong_ones_taken() {
        for weak in [
            "",
            "None",
            "null",
            "changeme",
            "secret",
            "Bearer x",
            "hunter2",
            // Long enough, and still nothing.
            "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
            "abababababababababababababababab",
            "0123456789abcdef0123456789abcdef",
            "abcdefghijklmnopqrstuvwxyz012345",
            "changemechangemechangemechangeme",
            "authentik-webhook-secret-changeme-please",
            "my-authentik-webhook-bearer-token",
            "NoneNoneNoneNoneNoneNoneNoneNone",
            // Strong, but for what it would break.
            "kq3Zr9\"tYw2mXc7VbN1sLdF5gH8jP0oUaE",
            "kq3Zr9tYw2mXc7VbN1sLdF5gH8jP0oUa\\E",
            "kq3Zr9tYw2mXc7VbN1s LdF5gH8jP0oUaE",
        ] {
            assert!(weakness(weak.as_bytes()).is_some(), "{weak}");
        }
        for strong in [
            "kq3Zr9tYw2mXc7VbN1sLdF5gH8jP0oUa",
            "amb_Zm9vYmFyYmF6cXV4Y29ycGVsZ3JhdWx0Z2FycGx5",
            "9f8b1c2d7e6a4f50b3c8d1e2a7f6b5c4",
            "5d41402abc4b2a76b9719d911017c592ae2f7e63",
        ] {
            assert_eq!(weakness(strong.as_bytes()), None, "{strong}");
        }
        // What the tools that we name make: hex digits of random bytes.
        for number in 0..500_u32 {
            let random = sha256(&number.to_be_bytes());
            let hex: String = random.iter().map(|byte| format!("{byte:02x}")).collect();
            assert_eq!(weakness(hex.as_bytes()), None, "{hex}");
        }
    }
}
