//! What SCIM needs beside its requests: somebody who hears what it says, and that what is due is told
//! in the end.

use crate::api::scim::{Hearing, tell};
use crate::api::{Api, scim::Connections};
use crate::config::ScimConfig;
use crate::directory::Intake;
use crate::jobs::wish::{self, ToRead};
use crate::proxy::Bridge;
use crate::proxy::route::Site;
use crate::store::{By, DirectoryGroup, Person, Priority, ScimKind, ScimResource, StoreError};
use async_trait::async_trait;
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// How often it is looked for what is due; none is unless something went wrong.
const LOOK: Duration = Duration::from_secs(20);
/// A directory is asked again so long after a change, so that a burst is one question.
const REREAD: Duration = Duration::from_secs(2);

/// Why apps are looked at then.
const HELD: &str = "more people went by SCIM at once than its brake allows";

/// Hears what SCIM says.
pub(super) struct Heard {
    bridge: Arc<Bridge>,
    intake: Arc<Intake>,
}

impl Heard {
    pub(super) fn new(bridge: Arc<Bridge>, intake: Arc<Intake>) -> Self {
        Self { bridge, intake }
    }
}

#[async_trait]
impl Hearing for Heard {
    async fn person(&self, person: &Person, held: bool, by: &By) -> Result<(), StoreError> {
        let why = format!("{} said so by SCIM", person.source);
        match held {
            true => {
                let taken = self.intake.take_in_held(person.clone(), &why).await?;
                // Soon a plan says whose accounts wait for an operator.
                let now = self.bridge.clock.now();
                let sites = self.bridge.sites.load_full();
                let look = |site: &Arc<Site>| wish::look(&site.config.id, now + LOOK, HELD);
                let wishes: Vec<_> = sites.iter().map(look).collect();
                self.bridge.store.enqueue(&wishes, now).await?;
                taken
            }
            false => self.intake.take_in(person.clone(), &why).await?,
        };
        let Some(subject) = person.subject.as_ref().filter(|_| !person.denies()) else {
            return Ok(());
        };
        // Deleted there and put there again, under another id: the former word is over.
        let whom = [(person.issuer.clone(), subject.clone())];
        for said in self.bridge.store.said_of(&whom).await? {
            let former = said.words.iter().map(|word| &word.person);
            let former = former.filter(|f| f.source == person.source && f.id != person.id);
            for over in former.filter(|former| former.denies()) {
                let (source, id) = (&over.source, &over.id);
                let resource = self.bridge.store.scim_to_tell(source, id).await?;
                // Two who bear one subject at once are no matter of the past: who denies, denies.
                if resource.is_none_or(|resource| resource.deleted_at.is_some()) {
                    self.intake.forget(source, id, by, &why).await?;
                }
            }
        }
        Ok(())
    }

    async fn group(&self, group: &DirectoryGroup, _: &By) -> Result<(), StoreError> {
        let why = format!("{} said so by SCIM", group.source);
        self.intake.take_in_group(group, &why).await?;
        Ok(())
    }

    async fn reread(
        &self,
        connection: &ScimConfig,
        changed: &ScimResource,
    ) -> Result<(), StoreError> {
        let Some(directory) = &connection.reread else {
            return Ok(());
        };
        let store = &self.bridge.store;
        let to_read = match (changed.kind, &changed.external_id) {
            (ScimKind::Group, Some(id)) => ToRead::Group { id: id.clone() },
            (ScimKind::User, Some(id)) => {
                // What Authentik sends as externalId is one of the ids by which its reader knows them.
                let mut known = store
                    .person_by_alias(directory, &format!("uid:{id}"))
                    .await?;
                if known.is_none() {
                    known = store
                        .person_by_alias(directory, &format!("uuid:{id}"))
                        .await?;
                }
                known.map_or(ToRead::Recent, |known| ToRead::Person { id: known.id })
            }
            _ => ToRead::Recent,
        };
        let now = self.bridge.clock.now();
        let why = format!("{} said something by SCIM", connection.id);
        let wish = wish::read(directory, &to_read, Priority::Deny, now + REREAD, &why);
        store.enqueue(&[wish], now).await?;
        Ok(())
    }
}

/// Tells what is due, when it is rung for and every now and then, until told to stop.
pub(super) async fn keep_telling(api: Arc<Api>, end: CancellationToken) {
    loop {
        let connections: Arc<Connections> = api.scim.load_full();
        for connection in connections.iter() {
            if let Err(error) = tell::catch_up(&api, connection).await {
                let connection = connection.id.as_str();
                tracing::warn!(connection, %error, "what SCIM said could not be told yet");
            }
            let since = api.clock.now();
            if let Ok(count) = api.store.scim_count(&connection.id, since).await {
                api.metrics.scim_due(connection.id.as_str(), count.due);
            }
        }
        tokio::select! {
            () = end.cancelled() => return,
            () = tokio::time::sleep(LOOK) => {}
            () = api.scim_behind.notified() => {}
        }
    }
}
