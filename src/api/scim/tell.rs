//! Telling the directory what SCIM has said: before the answer is sent, so that access has ended when
//! the client is told so; and again after a crash, from what is due.
//!
//! One at a time of a connection, on whichever replica: a word is always made of what is stored at
//! that moment, so that an older one can't come after a newer one.
//!
//! The **brake**: SCIM names each person who goes, so each is kept out at once, however many they
//! are. But when more go than the connection's brake allows, what can't be taken back in a moment, the
//! deactivation of their accounts in apps, is not done: an alarm says so, and it is left to the next
//! reconciliation, whose plan an operator approves.

use super::error::ScimError;
use super::word;
use crate::api::state::Api;
use crate::config::ScimConfig;
use crate::error::Code;
use crate::store::{By, DirectoryGroup, Person, ScimKind, ScimResource, StoreError};
use crate::types::Timestamp;
use async_trait::async_trait;
use std::collections::{HashMap, HashSet};
use std::time::Duration;

/// How long a change waits for its turn to be told.
const PATIENCE: Duration = Duration::from_secs(8);
/// Most people and groups whom one request tells of: a larger group's members are told of in the
/// background.
const AT_ONCE: u32 = 500;

/// Whoever takes in what is said of people and groups, and does what follows.
#[async_trait]
pub trait Hearing: Send + Sync {
    /// Takes in a word about a person. When it returns, who is turned away has no access, session or
    /// socket any more. With `held` nothing that is wished for in apps follows.
    ///
    /// # Errors
    /// When it was not taken in whole.
    async fn person(&self, person: &Person, held: bool, by: &By) -> Result<(), StoreError>;

    /// Takes in a word about a group.
    ///
    /// # Errors
    /// When it was not taken in.
    async fn group(&self, group: &DirectoryGroup, by: &By) -> Result<(), StoreError>;

    /// Wishes that a directory is asked about whoever a change concerns.
    ///
    /// # Errors
    /// When the wish is not on record.
    async fn reread(
        &self,
        connection: &ScimConfig,
        changed: &ScimResource,
    ) -> Result<(), StoreError>;
}

/// After a change: tells of it, and of whom it concerns besides.
pub(super) async fn after(
    api: &Api,
    connection: &ScimConfig,
    changed: &ScimResource,
    by: &By,
) -> Result<(), ScimError> {
    let told = async {
        let lock = format!("scim/{}", connection.id);
        let _turn = api.store.lock(&lock, PATIENCE).await?;
        let first = api.store.scim_to_tell(&connection.id, &changed.id).await?;
        let first: Vec<_> = first.into_iter().filter(ScimResource::is_due).collect();
        tell(api, connection, &first, by).await?;
        let more = api.store.scim_due(&connection.id, AT_ONCE).await?;
        tell(api, connection, &more, by).await?;
        Ok::<bool, StoreError>(more.len() as u64 == u64::from(AT_ONCE))
    };
    match told.await {
        Ok(behind) => {
            if behind {
                api.scim_behind.notify_one();
            }
            if let Err(error) = api.hearing.reread(connection, changed).await {
                // A hint: the sweep comes in any case.
                tracing::warn!(connection = connection.id.as_str(), %error, "no re-read was wished");
            }
            Ok(())
        }
        // It is stored and due: told in the background, or by the client's next try. No 2xx until
        // then, since whoever reads one believes that access has ended.
        Err(error) => {
            api.scim_behind.notify_one();
            tracing::error!(connection = connection.id.as_str(), %error, "the directory was not told");
            let detail = "The change is stored, but did not take effect yet: send it again.";
            Err(ScimError::new(Code::StoreUnavailable, None, detail))
        }
    }
}

/// Tells all that is due; gives how much it was.
///
/// # Errors
/// When the store does not answer; what is told stays told.
pub async fn catch_up(api: &Api, connection: &ScimConfig) -> Result<usize, StoreError> {
    let by = api.audit.bridge();
    let mut told = 0;
    loop {
        let lock = format!("scim/{}", connection.id);
        // A few at a time: a request that takes access away must not wait for thousands.
        let turn = api.store.lock(&lock, PATIENCE).await?;
        let due = api.store.scim_due(&connection.id, AT_ONCE / 10).await?;
        tell(api, connection, &due, &by).await?;
        drop(turn);
        if due.is_empty() {
            return Ok(told);
        }
        told += due.len();
    }
}

async fn tell(
    api: &Api,
    connection: &ScimConfig,
    due: &[ScimResource],
    by: &By,
) -> Result<(), StoreError> {
    if due.is_empty() {
        return Ok(());
    }
    let now = api.clock.now();
    let ids: Vec<String> = due.iter().map(|resource| resource.id.clone()).collect();
    let mut groups: HashMap<String, Vec<_>> = HashMap::new();
    for edge in api.store.scim_groups_of(&connection.id, &ids).await? {
        groups.entry(edge.member.clone()).or_default().push(edge);
    }
    let mut held = None;
    let mut done = HashSet::new();
    for resource in due
        .iter()
        .filter(|resource| done.insert(resource.id.clone()))
    {
        let of = groups
            .get(&resource.id)
            .map(Vec::as_slice)
            .unwrap_or_default();
        match resource.kind {
            ScimKind::User => {
                let person = word::person(connection, resource, of, now);
                let hold = match (person.active, held) {
                    (true, _) => false,
                    (false, Some(held)) => held,
                    (false, None) => *held.insert(brake(api, connection, now).await?),
                };
                api.hearing.person(&person, hold, by).await?;
            }
            ScimKind::Group => {
                let group = word::group(connection, resource, of, now);
                api.hearing.group(&group, by).await?;
            }
        }
        api.store.scim_told(&resource.id, resource.word).await?;
    }
    Ok(())
}

/// Whether too many have gone.
async fn brake(api: &Api, connection: &ScimConfig, now: Timestamp) -> Result<bool, StoreError> {
    let since = now - connection.brake.window;
    let count = api.store.scim_count(&connection.id, since).await?;
    let holds = connection.brake.holds(count.ended, count.active);
    if holds {
        tracing::error!(
            connection = connection.id.as_str(),
            gone = count.ended,
            left = count.active,
            "too many people went at once: they are kept out, but their accounts stay as they are \
             until an operator approves the next reconciliation"
        );
        api.metrics.scim_braked(connection.id.as_str());
    }
    Ok(holds)
}
