//! `auth-manager keys`: our own signing keys, of every kind.

use super::out::{Table, json, print};
use super::stage::{Stage, on_store};
use super::{ConfigFile, master};
use crate::keys::master::{MasterKey, MasterKeyId};
use crate::keys::ring::Ring;
use crate::keys::rotation::{self, Rotation};
use crate::store::{KeyKind, KeyState, StoredKey};
use crate::types::KeyId;
use anyhow::bail;
use serde_json::json;

/// Our signing keys: of sessions (the cookie), exchanged tokens and signed answers; rotating signs
/// nobody out.
#[derive(Debug, clap::Subcommand)]
pub(super) enum Keys {
    /// All keys, oldest first.
    List {
        /// Only of this kind: session, access_token or introspection.
        #[arg(long, value_parser = kind)]
        kind: Option<KeyKind>,
        /// As JSON; times are seconds since 1970.
        #[arg(long)]
        json: bool,
    },
    /// Announce a new key of each kind. A running bridge lets it sign by itself after
    /// `keys.announce`, so that every replica and service knows it before it meets a signature of
    /// it.
    Rotate {
        /// Only of this kind: session, access_token or introspection.
        #[arg(long, value_parser = kind)]
        kind: Option<KeyKind>,
        /// Let it sign at once: replicas may ask some visitors for one more redirect, and services
        /// may refuse a new token until they read our keys again.
        #[arg(long)]
        now: bool,
        /// Only say what would be done.
        #[arg(long)]
        dry_run: bool,
    },
    /// Revoke a key: what it signed is refused from now on, visitors get a new cookie on their next
    /// page, and services exchange anew. If it signs, another takes over.
    Revoke {
        /// Its id, or the beginning of it.
        #[arg(value_name = "KID", allow_hyphen_values = true)]
        kid: String,
        /// Only say what would be done.
        #[arg(long)]
        dry_run: bool,
    },
    /// Which keys sign and until when, and what still hangs on a former master key.
    Status {
        /// As JSON; times are seconds since 1970.
        #[arg(long)]
        json: bool,
    },
    /// Seal anew, under the current master key, whatever a former one sealed. A running bridge does
    /// it by itself; interrupted, it goes on where it was.
    Rewrap {
        /// End the sessions that hang on this master key, which is lost for good.
        #[arg(long, value_name = "MASTER KEY")]
        forget: Option<MasterKeyId>,
        /// Only say what would be done.
        #[arg(long)]
        dry_run: bool,
        /// As JSON.
        #[arg(long)]
        json: bool,
    },
    /// The public keys as a JWK set.
    Jwks {
        /// Only of this kind: session, access_token or introspection.
        #[arg(long, value_parser = kind)]
        kind: Option<KeyKind>,
    },
}

/// A kind of key by its word.
fn kind(word: &str) -> Result<KeyKind, String> {
    KeyKind::from_word(word).ok_or_else(|| {
        let words = KeyKind::ALL.map(KeyKind::as_str).join(", ");
        format!("the kinds of keys are {words}")
    })
}

impl Keys {
    pub(super) fn run(self, file: &ConfigFile) -> anyhow::Result<u8> {
        on_store(file, async |stage| match self {
            Self::List { kind, json } => list(stage, kind, json).await,
            Self::Rotate { kind, now, dry_run } => {
                let kinds = KeyKind::ALL.into_iter();
                let kinds = kinds.filter(|one| kind.is_none_or(|only| only == *one));
                rotate(stage, kinds.collect(), now, dry_run).await
            }
            Self::Revoke { kid, dry_run } => revoke(stage, &kid, dry_run).await,
            Self::Status { json } => master::status(stage, json).await,
            Self::Rewrap {
                forget,
                dry_run,
                json,
            } => master::rewrap(stage, forget, dry_run, json).await,
            Self::Jwks { kind } => {
                let ring = Ring::load(&*stage.store, &stage.master()?).await?;
                match kind {
                    Some(kind) => print(ring.jwks_of(kind)),
                    None => print(ring.jwks()),
                }
            }
        })
    }
}

async fn list(stage: &Stage, only: Option<KeyKind>, as_json: bool) -> anyhow::Result<()> {
    let mut keys = stage.store.signing_keys().await?;
    keys.retain(|key| only.is_none_or(|kind| key.kind == kind));
    if as_json {
        let shown = |key: &StoredKey| {
            json!({
                "id": key.id,
                "kind": key.kind,
                "state": key.state,
                "state_since": key.state_since,
                "created_at": key.created_at,
            })
        };
        return json(&keys.iter().map(shown).collect::<Vec<_>>());
    }
    let mut table = Table::new(&["KID", "KIND", "STATE", "SINCE", "MADE", "NOTE"]);
    for key in &keys {
        let note = match key.state {
            KeyState::Announced => {
                format!(
                    "signs from {}",
                    key.state_since + stage.config.keys.announce
                )
            }
            KeyState::Signing => String::new(),
            KeyState::Retired => "verifies what it signed".into(),
            KeyState::Revoked => "verifies nothing".into(),
        };
        table.row([
            key.id.to_string(),
            key.kind.to_string(),
            key.state.to_string(),
            key.state_since.to_string(),
            key.created_at.to_string(),
            note,
        ]);
    }
    print(table.text("None yet: the bridge makes them when it first starts."))
}

async fn rotate(
    stage: &Stage,
    kinds: Vec<KeyKind>,
    at_once: bool,
    dry_run: bool,
) -> anyhow::Result<()> {
    let (store, master) = (&*stage.store, stage.master()?);
    if !dry_run {
        stage.as_owner()?;
    }
    let mut ring = Ring::load(store, &master).await?;
    let signs = |kind: &KeyKind| ring.signing(*kind).is_ok();
    let (known, first): (Vec<_>, Vec<_>) = kinds.into_iter().partition(signs);
    if !first.is_empty() && !dry_run {
        ring = rotation::ensure(store, &master, stage.now, &stage.by()).await?;
    }
    for kind in first {
        match dry_run {
            true => print(format!(
                "{kind}: there is no key yet: the first would be made, and would sign at once"
            ))?,
            false => {
                let kid = ring.signing(kind)?.id();
                print(format!("{kind}: {kid} is the first key, and signs"))?;
            }
        }
    }
    for kind in known {
        rotate_one(stage, &master, &ring, kind, at_once, dry_run).await?;
    }
    Ok(())
}

async fn rotate_one(
    stage: &Stage,
    master: &MasterKey,
    ring: &Ring,
    kind: KeyKind,
    at_once: bool,
    dry_run: bool,
) -> anyhow::Result<()> {
    let (store, now, announce) = (&*stage.store, stage.now, stage.config.keys.announce);
    let kid = match ring.rotation(kind, now, announce) {
        Rotation::Announce if dry_run && at_once => {
            return print(format!(
                "{kind}: a new key would be made, and would sign at once"
            ));
        }
        Rotation::Announce if dry_run => {
            return print(format!(
                "{kind}: a new key would be announced, and would sign from {}",
                now + announce
            ));
        }
        Rotation::Announce => {
            let kid = rotation::announce(store, master, kind, now, &stage.by()).await?;
            if !at_once {
                return print(format!(
                    "{kind}: {kid} is announced. A running bridge lets it sign from {}; then the \
                     former one only verifies",
                    now + announce
                ));
            }
            kid
        }
        Rotation::Wait { kid, until } if !at_once => {
            return print(format!(
                "{kind}: {kid} is announced already. A running bridge lets it sign from {until}; \
                 --now does it at once"
            ));
        }
        Rotation::Wait { kid, .. } | Rotation::Promote(kid) => kid,
    };
    if dry_run {
        return print(format!("{kind}: {kid} would sign from now on"));
    }
    rotation::promote(store, master, &kid, now, &stage.by()).await?;
    print(format!(
        "{kind}: {kid} signs from now on; the former one only verifies"
    ))
}

async fn revoke(stage: &Stage, beginning: &str, dry_run: bool) -> anyhow::Result<()> {
    let keys = stage.store.signing_keys().await?;
    let matching: Vec<_> = keys
        .iter()
        .filter(|key| key.id.as_str().starts_with(beginning))
        .collect();
    let exact = matching.iter().find(|key| key.id.as_str() == beginning);
    let key = match (exact, matching.as_slice()) {
        (Some(key), _) => *key,
        (None, [only]) if !beginning.is_empty() => *only,
        (None, []) => bail!("there is no key {beginning}: `auth-manager keys list` shows them"),
        (None, several) => {
            let ids: Vec<&str> = several.iter().map(|key| key.id.as_str()).collect();
            bail!("several keys begin so:\n  {}", ids.join("\n  "));
        }
    };
    let kid: &KeyId = &key.id;
    if key.state == KeyState::Revoked {
        return print(format!("{kid} is revoked already"));
    }
    let then = match (key.state, key.kind) {
        (KeyState::Signing, KeyKind::Session) => {
            "; another key signs at once, and every visitor gets a new cookie"
        }
        (KeyState::Signing, KeyKind::AccessToken) => {
            "; another key signs at once, and services exchange anew"
        }
        (KeyState::Signing, KeyKind::Introspection) => "; another key signs at once",
        _ => "",
    };
    if dry_run {
        return print(format!(
            "{kid} ({}, {}) would be revoked{then}",
            key.kind, key.state
        ));
    }
    stage.as_owner()?;
    rotation::revoke(&*stage.store, &stage.master()?, kid, stage.now, &stage.by()).await?;
    print(format!("{kid} is revoked{then}"))
}
