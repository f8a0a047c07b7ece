//! What a person or a CI job orders of a directory: read somebody (or everybody) again, give somebody
//! a group that is listed for it, invite. The api's endpoints and the commands both come here, so that
//! the same is allowed to both and the same is on record.
//!
//! Nothing is concluded from an order: a group that was given counts once the directory has said so,
//! by the read that follows it, like any other word. Each order is in the audit trail before it is
//! carried out, and once more when the directory then refused.
//!
//! - [`sync`]: reading again. [`validate`]: giving groups. [`invite`]: invitations.
//! - [`stands`]: what has become of somebody in the apps.
//!
//! What does not live here: how a directory is asked ([`super::source`], [`super::writer`]), who may
//! order (`api`, `cli`).

pub mod invite;
pub mod stands;
pub mod sync;
#[cfg(test)]
mod tests;
pub mod validate;

use super::intake::Terms;
use super::source::{Source, SourceError};
use super::sources::{Sources, Writers};
use super::writer::{WriteError, Writer};
use crate::audit::{Audit, Event, Kind, Witness};
use crate::config::MappedGroup;
use crate::store::{NewJob, Person, Store, StoreError, User, UserFilter};
use crate::types::{Clock, SourceId, Subject, UserId};
use arc_swap::ArcSwap;
use std::sync::Arc;
use uuid::Uuid;

/// Shadow users that are looked through for a name.
const NEAR: u32 = 50;
/// Longest name or id of a person, in characters.
const LONGEST: usize = 255;

/// Whom an order is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Whom {
    /// By the directory's user name.
    Username(String),
    /// By the directory's own id.
    Id(String),
    /// By our id, of somebody whom the directory has named.
    User(UserId),
}

/// Why an order was not carried out. The texts name what the caller said, never what others are
/// called.
#[derive(Debug, thiserror::Error)]
pub enum HandError {
    /// The order itself can't be meant.
    #[error("{0}")]
    Invalid(String),
    /// Nobody, or nothing, of that name.
    #[error("{0}")]
    Unknown(String),
    /// It does not fit how things are.
    #[error("{0}")]
    Conflict(String),
    /// The directory or the configuration.
    #[error(transparent)]
    Write(#[from] WriteError),
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<SourceError> for HandError {
    fn from(error: SourceError) -> Self {
        Self::Write(error.into())
    }
}

/// A job that was wished for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Queued {
    /// The job.
    pub id: Uuid,
    /// Whether one was waiting for the same already.
    pub joined: bool,
}

/// See the module.
pub struct ByHand {
    /// Who can be asked.
    pub sources: Arc<Sources>,
    /// In whom something may be done.
    pub writers: Arc<Writers>,
    /// What is remembered.
    pub store: Arc<dyn Store>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Where orders are accounted for.
    pub audit: Arc<Audit>,
    /// How words are weighed, and the apps.
    pub terms: Arc<ArcSwap<Terms>>,
    /// Groups that give power over an app; replaced on a reload.
    pub power: ArcSwap<Vec<MappedGroup>>,
}

impl ByHand {
    /// The directory that is meant: the one named, or the only one.
    fn source(&self, named: Option<&SourceId>) -> Result<Arc<dyn Source>, HandError> {
        if let Some(id) = named {
            let found = self.sources.of(id);
            return found.ok_or_else(|| HandError::Unknown(format!("there is no directory {id}")));
        }
        let mut all = self.sources.all();
        match (all.pop(), all.is_empty()) {
            (Some(only), true) => Ok(only),
            (None, _) => Err(HandError::Conflict("no directory is configured".into())),
            (Some(last), false) => {
                all.push(last);
                let ids: Vec<_> = all.iter().map(|source| source.id().as_str()).collect();
                Err(HandError::Invalid(format!(
                    "there are several directories, say which one: {}",
                    ids.join(", ")
                )))
            }
        }
    }

    /// What may be done in it.
    fn writer(&self, id: &SourceId) -> Result<Arc<dyn Writer>, HandError> {
        let found = self.writers.of(id);
        found.ok_or_else(|| HandError::Unknown(format!("there is no directory {id}")))
    }

    /// The person as the directory has them now.
    async fn person(&self, source: &dyn Source, whom: &Whom) -> Result<Person, HandError> {
        let found = match whom {
            Whom::Username(name) => source.person_by_username(fit(name)?).await?,
            Whom::Id(id) => source.person(fit(id)?).await?,
            Whom::User(user) => match self.id_of(source.id(), *user).await? {
                Some(id) => source.person(&id).await?,
                None => None,
            },
        };
        found.ok_or_else(|| nobody(source.id()))
    }

    /// The directory's own id of one of our shadow users.
    async fn id_of(&self, source: &SourceId, user: UserId) -> Result<Option<String>, HandError> {
        let Some(user) = self.store.user(user).await? else {
            return Ok(None);
        };
        self.id_by_record(source, &user).await
    }

    async fn id_by_record(
        &self,
        source: &SourceId,
        user: &User,
    ) -> Result<Option<String>, HandError> {
        let whom = [(user.issuer.clone(), user.subject.clone())];
        let said = self.store.said_of(&whom).await?;
        let mut words = said.into_iter().flat_map(|said| said.words);
        let own = words.find(|word| word.person.source == *source);
        Ok(own.map(|word| word.person.id))
    }

    /// Shadow users of exactly this user name.
    async fn users_named(&self, name: &str) -> Result<Vec<User>, HandError> {
        let filter = UserFilter {
            search: Some(name.to_owned()),
            limit: NEAR,
            ..UserFilter::default()
        };
        let mut near = self.store.users(&filter).await?;
        near.retain(|user| user.username.as_deref() == Some(name));
        Ok(near)
    }

    /// The shadow user of a person, once there is one.
    async fn user_of(&self, person: &Person) -> Result<Option<User>, HandError> {
        let subject: Option<&Subject> = person.subject.as_ref();
        match subject {
            Some(subject) => Ok(self.store.user_by_subject(&person.issuer, subject).await?),
            None => Ok(None),
        }
    }

    async fn enqueue(&self, wish: NewJob) -> Result<Queued, HandError> {
        let put = self.store.enqueue(&[wish], self.clock.now()).await?;
        let one = put.into_iter().next();
        let one = one.ok_or_else(|| HandError::Conflict("nothing was queued".into()))?;
        Ok(Queued {
            id: one.id,
            joined: one.joined,
        })
    }

    /// Puts an order on record; what can't be recorded is not carried out.
    async fn record(&self, event: Event) -> Result<(), HandError> {
        self.audit.record(&*self.store, event).await?;
        Ok(())
    }

    /// Carries out what is on record; when the directory refuses, that is on record too.
    async fn carry_out<T>(
        &self,
        by: &Witness,
        kind: Kind,
        source: &SourceId,
        detail: (&'static str, &str),
        done: impl Future<Output = Result<T, WriteError>>,
    ) -> Result<T, HandError> {
        match done.await {
            Ok(done) => Ok(done),
            Err(error) => {
                let event = by.event(kind).code("failed").reason(&error.to_string());
                let event = event.detail("source", source.as_str());
                let noted = self.record(event.detail(detail.0, detail.1)).await;
                if let Err(error) = noted {
                    tracing::warn!(%error, "that an order failed could not be recorded");
                }
                Err(error.into())
            }
        }
    }
}

fn nobody(source: &SourceId) -> HandError {
    HandError::Unknown(format!(
        "the directory {source} knows nobody of that name or id"
    ))
}

/// A name or id that can be asked for.
fn fit(text: &str) -> Result<&str, HandError> {
    let long = text.chars().count() > LONGEST;
    if text.is_empty() || long || text.contains(char::is_control) {
        let said = format!("a name or id has 1 to {LONGEST} characters");
        return Err(HandError::Invalid(said));
    }
    Ok(text)
}
