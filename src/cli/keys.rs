//! `auth-manager keys`: the signing keys of the bridge's cookie.

use super::ConfigFile;
use super::out::{Table, json, print};
use super::stage::{Stage, on_store};
use crate::keys::ring::{Ring, RingError};
use crate::keys::rotation::{self, Rotation};
use crate::store::{KeyState, StoredKey};
use crate::types::KeyId;
use anyhow::bail;
use serde_json::json;

/// The signing keys of the bridge's cookie; rotating signs nobody out.
#[derive(Debug, clap::Subcommand)]
pub(super) enum Keys {
    /// All keys, oldest first.
    List {
        /// As JSON; times are seconds since 1970.
        #[arg(long)]
        json: bool,
    },
    /// Announce a new key. A running bridge lets it sign by itself after `keys.announce`, so that
    /// every replica knows it before it meets a signature of it.
    Rotate {
        /// Let it sign at once: replicas may ask some visitors for one more redirect.
        #[arg(long)]
        now: bool,
        /// Only say what would be done.
        #[arg(long)]
        dry_run: bool,
    },
    /// Revoke a key: what it signed is refused from now on, and visitors get a new cookie on their
    /// next page. If it signs, another takes over.
    Revoke {
        /// Its id, or the beginning of it.
        #[arg(value_name = "KID", allow_hyphen_values = true)]
        kid: String,
        /// Only say what would be done.
        #[arg(long)]
        dry_run: bool,
    },
    /// The public keys as a JWK set.
    Jwks,
}

impl Keys {
    pub(super) fn run(self, file: &ConfigFile) -> anyhow::Result<u8> {
        on_store(file, async |stage| match self {
            Self::List { json } => list(stage, json).await,
            Self::Rotate { now, dry_run } => rotate(stage, now, dry_run).await,
            Self::Revoke { kid, dry_run } => revoke(stage, &kid, dry_run).await,
            Self::Jwks => print(Ring::load(&*stage.store, &stage.master()?).await?.jwks()),
        })
    }
}

async fn list(stage: &Stage, as_json: bool) -> anyhow::Result<()> {
    let keys = stage.store.signing_keys().await?;
    if as_json {
        let shown = |key: &StoredKey| {
            json!({
                "id": key.id,
                "state": key.state,
                "state_since": key.state_since,
                "created_at": key.created_at,
            })
        };
        return json(&keys.iter().map(shown).collect::<Vec<_>>());
    }
    let mut table = Table::new(&["KID", "STATE", "SINCE", "MADE", "NOTE"]);
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
            key.state.to_string(),
            key.state_since.to_string(),
            key.created_at.to_string(),
            note,
        ]);
    }
    print(table.text("None yet: the bridge makes one when it first starts."))
}

async fn rotate(stage: &Stage, at_once: bool, dry_run: bool) -> anyhow::Result<()> {
    let (store, master, now) = (&*stage.store, stage.master()?, stage.now);
    let announce = stage.config.keys.announce;
    if !dry_run {
        stage.as_owner()?;
    }
    let ring = match Ring::load(store, &master).await {
        Err(RingError::NoSigningKey) if dry_run => {
            return print("there is no key yet: the first would be made, and would sign at once");
        }
        Err(RingError::NoSigningKey) => {
            let ring = rotation::ensure(store, &master, now, &stage.by()).await?;
            return print(format!(
                "{} is the first key, and signs",
                ring.signing().id()
            ));
        }
        other => other?,
    };
    let kid = match ring.rotation(now, announce) {
        Rotation::Announce if dry_run && at_once => {
            return print("a new key would be made, and would sign at once");
        }
        Rotation::Announce if dry_run => {
            return print(format!(
                "a new key would be announced, and would sign from {}",
                now + announce
            ));
        }
        Rotation::Announce => {
            let kid = rotation::announce(store, &master, now, &stage.by()).await?;
            if !at_once {
                return print(format!(
                    "{kid} is announced. A running bridge lets it sign from {}; then the former one \
                     only verifies",
                    now + announce
                ));
            }
            kid
        }
        Rotation::Wait { kid, until } if !at_once => {
            return print(format!(
                "{kid} is announced already. A running bridge lets it sign from {until}; --now does \
                 it at once"
            ));
        }
        Rotation::Wait { kid, .. } | Rotation::Promote(kid) => kid,
    };
    if dry_run {
        return print(format!("{kid} would sign from now on"));
    }
    rotation::promote(store, &master, &kid, now, &stage.by()).await?;
    print(format!(
        "{kid} signs from now on; the former one only verifies"
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
    let then = match key.state {
        KeyState::Signing => "; another key signs at once, and every visitor gets a new cookie",
        _ => "",
    };
    if dry_run {
        return print(format!("{kid} ({}) would be revoked{then}", key.state));
    }
    stage.as_owner()?;
    rotation::revoke(&*stage.store, &stage.master()?, kid, stage.now, &stage.by()).await?;
    print(format!("{kid} is revoked{then}"))
}
