//! Reading again: one person, or all of a directory. Only ever a wish for what happens by itself
//! anyway, so it takes nothing from anybody that the directory does not take.

use super::{ByHand, HandError, Queued, Whom, fit, nobody};
use crate::audit::{Kind, Witness};
use crate::jobs::wish::{self, ToRead};
use crate::store::Priority;
use crate::types::SourceId;

/// What is to be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ToSync {
    /// This person.
    Person(Whom),
    /// Everybody.
    Everybody,
}

/// What was queued, or would be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Synced {
    /// Which directory is read.
    pub source: SourceId,
    /// Whom about, by the directory's own id; `None`: everybody.
    pub person: Option<String>,
    /// The job; `None` when it was only tried.
    pub job: Option<Queued>,
}

impl ByHand {
    /// Wishes for it. `source`: only this directory; everybody of all of them when none is named.
    ///
    /// # Errors
    /// When nobody is meant, or it could not be put on record.
    pub async fn sync(
        &self,
        what: &ToSync,
        source: Option<&SourceId>,
        by: &Witness,
        dry_run: bool,
    ) -> Result<Vec<Synced>, HandError> {
        let found = match what {
            ToSync::Person(whom) => vec![self.whom(whom, source).await?],
            ToSync::Everybody => {
                let all = self.meant(source)?.into_iter();
                all.map(|source| (source, None)).collect()
            }
        };
        let mut synced = Vec::with_capacity(found.len());
        for (source, person) in found {
            let job = match dry_run {
                true => None,
                false => Some(self.order(&source, person.as_deref(), by).await?),
            };
            synced.push(Synced {
                source,
                person,
                job,
            });
        }
        Ok(synced)
    }

    /// Wishes for plans of what reading everybody would do, which nothing follows from. `who` is what
    /// whoever asks is called on them.
    ///
    /// # Errors
    /// As [`Self::sync`].
    pub async fn propose(
        &self,
        source: Option<&SourceId>,
        (by, who): (&Witness, &str),
        dry_run: bool,
    ) -> Result<Vec<Synced>, HandError> {
        let mut proposed = Vec::new();
        for source in self.meant(source)? {
            let job = match dry_run {
                true => None,
                false => {
                    let event = by.event(Kind::PlanProposed);
                    let event = event.detail("source", source.as_str());
                    self.record(event).await?;
                    let wish = wish::propose(&source, who, self.clock.now());
                    Some(self.enqueue(wish).await?)
                }
            };
            proposed.push(Synced {
                source,
                person: None,
                job,
            });
        }
        Ok(proposed)
    }

    /// This directory, or all of them.
    fn meant(&self, source: Option<&SourceId>) -> Result<Vec<SourceId>, HandError> {
        let all = match source {
            Some(_) => vec![self.source(source)?],
            None => self.sources.all(),
        };
        if all.is_empty() {
            return Err(HandError::Conflict("no directory is configured".into()));
        }
        Ok(all.iter().map(|source| source.id().clone()).collect())
    }

    async fn order(
        &self,
        source: &SourceId,
        person: Option<&str>,
        by: &Witness,
    ) -> Result<Queued, HandError> {
        let event = by.event(Kind::DirectoryReadOrdered);
        let event = event.detail("source", source.as_str());
        self.record(match person {
            Some(id) => event.detail("id", id),
            None => event,
        })
        .await?;
        const WHY: &str = "ordered by hand";
        let now = self.clock.now();
        self.enqueue(match person {
            // It may find that access must end.
            Some(id) => {
                let id = id.to_owned();
                wish::read(source, &ToRead::Person { id }, Priority::Deny, now, WHY)
            }
            None => wish::sweep(source, now, WHY),
        })
        .await
    }

    /// The directory's own id of somebody. Who is on record is found there, too: they may be gone by
    /// now, which is what reading again finds out, and the directory may be away.
    async fn whom(
        &self,
        whom: &Whom,
        named: Option<&SourceId>,
    ) -> Result<(SourceId, Option<String>), HandError> {
        let source = self.source(named)?;
        let id = source.id();
        let on_record = match whom {
            Whom::Id(own) => {
                let known = self.store.person(id, fit(own)?).await?;
                known.map(|person| person.id)
            }
            Whom::User(user) => self.id_of(id, *user).await?,
            Whom::Username(_) => None,
        };
        let found = match (on_record, whom) {
            (Some(own), _) => Some(own),
            (None, Whom::User(_)) => None,
            (None, Whom::Id(own)) => source.person(own).await?.map(|person| person.id),
            (None, Whom::Username(name)) => {
                let asked = source.person_by_username(fit(name)?).await;
                match asked {
                    Ok(Some(person)) => Some(person.id),
                    Ok(None) => self.id_named(id, name).await?,
                    Err(error) if error.is_transient() => match self.id_named(id, name).await? {
                        Some(own) => Some(own),
                        None => return Err(error.into()),
                    },
                    Err(error) => return Err(error.into()),
                }
            }
        };
        let found = found.ok_or_else(|| nobody(id))?;
        Ok((id.clone(), Some(found)))
    }

    /// The same, of the one shadow user who has this name and whom the directory has named.
    async fn id_named(&self, source: &SourceId, name: &str) -> Result<Option<String>, HandError> {
        let mut found = None;
        for user in self.users_named(name).await? {
            let Some(id) = self.id_by_record(source, &user).await? else {
                continue;
            };
            if found.is_some_and(|other| other != id) {
                let said = "that name is several people's on record: say whom by id";
                return Err(HandError::Invalid(said.into()));
            }
            found = Some(id);
        }
        Ok(found)
    }
}
