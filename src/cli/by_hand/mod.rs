//! Orders about a directory by hand: `sync`, `users validate`, `invitations`. What may be done, and
//! what is on record, is `directory::by_hand`'s matter; here is how it is said and shown, and waiting
//! for what a running bridge makes of it.

pub(super) mod invitations;
pub(super) mod sync;
pub(super) mod validate;
mod wait;

use super::stage::Stage;
use crate::directory::ByHand;
use crate::directory::by_hand::stands::Stand;
use crate::directory::by_hand::{Queued, Whom};
use crate::runtime;
use crate::types::{SourceId, SystemClock};
use serde_json::{Value, json};
use std::sync::Arc;

/// Orders by the configuration as its file has it now.
fn hand_of(stage: &Stage) -> anyhow::Result<ByHand> {
    let (store, audit) = (stage.store.clone(), stage.audit());
    let hand = runtime::by_hand_of(&stage.config, store, audit, Arc::new(SystemClock));
    Ok(hand?)
}

/// Whom, in which directory.
#[derive(Debug, clap::Args)]
pub(super) struct Person {
    /// The directory's user name of them, or our id.
    #[arg(value_name = "PERSON")]
    who: Option<String>,
    /// Or the directory's own id of them.
    #[arg(long, value_name = "ID", conflicts_with = "who")]
    id: Option<String>,
    /// In this directory; not needed when there is one only.
    #[arg(long, value_name = "DIRECTORY")]
    directory: Option<SourceId>,
}

impl Person {
    /// Whom they mean; `None` when nobody is named.
    fn whom(&self) -> Option<Whom> {
        if let Some(id) = &self.id {
            return Some(Whom::Id(id.clone()));
        }
        let who = self.who.as_ref()?;
        Some(match who.parse() {
            Ok(user) => Whom::User(user),
            Err(_) => Whom::Username(who.clone()),
        })
    }
}

fn shown_job(job: Option<&Queued>) -> Value {
    match job {
        Some(job) => json!({ "job": job.id, "joined": job.joined }),
        None => Value::Null,
    }
}

fn shown_stand(stand: &Stand) -> Value {
    json!({
        "app": stand.app,
        "wanted": stand.wanted,
        "decided_by": stand.decided_by,
        "ahead": stand.ahead,
        "account": stand.account,
        "detail": stand.detail,
    })
}
