//! What may be done in Authentik by hand or by a CI job: people put into listed groups, people
//! invited. With a token of its own (`[directories.write]`), of an account that is not the reader's.
//!
//! What is decided here is decided by what the *reader* sees, since the writer's role need not see
//! more than it changes: whether a group gives power is asked of the group and of every group above
//! it, and what can't be seen is not harmless. Authentik itself does not look: whoever has
//! `add_user_to_group` on all objects can make anybody an administrator, so the role must have it on
//! the listed groups alone; [`look`] finds out when it has more.
//!
//! An invitation's `pk` *is* the secret of its link. Here it is kept out of errors, records and lists:
//! what others name an invitation by is a hash of it.

mod groups;
mod invitations;
mod look;
#[cfg(test)]
mod tests;

use super::Authentik;
use super::api::forbidden;
use super::shapes::Detail;
use crate::config::{AuthentikConfig, DirectoryConfig, Gate, InvitationsConfig, WriteConfig};
use crate::directory::http::{Answer, printable};
use crate::directory::source::{Remark, SourceError};
use crate::directory::writer::{
    Harmless, Invitation, InvitationId, Lineage, Link, NewInvitation, WriteError, Writer,
};
use crate::types::{Clock, SourceId};
use arc_swap::ArcSwap;
use async_trait::async_trait;
use http::header::{ACCEPT, ACCEPT_LANGUAGE, AUTHORIZATION, CONTENT_TYPE};
use http::{Method, StatusCode};
use serde_json::Value;
use std::sync::Arc;

/// A writer of one Authentik.
pub struct AuthentikWriter {
    own: WriteConfig,
    /// Asks with the reader's token, which sees everything and changes nothing.
    reader: Authentik,
    /// Asks with the writer's: who it is, and what it must see of what it changes.
    holder: Authentik,
}

impl AuthentikWriter {
    /// A writer; nothing is asked yet. `tls` believes the configured authorities at the time of each
    /// question.
    ///
    /// # Errors
    /// When no client can be made.
    pub fn new(
        config: &DirectoryConfig,
        authentik: &AuthentikConfig,
        own: &WriteConfig,
        tls: Arc<ArcSwap<rustls::ClientConfig>>,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, SourceError> {
        let as_writer = AuthentikConfig {
            token: own.token.clone(),
            token_identifier: own.token_identifier.clone(),
            ..authentik.clone()
        };
        Ok(Self {
            own: own.clone(),
            reader: Authentik::new(config, authentik, tls.clone(), clock.clone())?,
            holder: Authentik::new(config, &as_writer, tls, clock)?,
        })
    }

    /// Sends a change. It is sent once: whether one that was not answered was done, nobody knows.
    async fn change(
        &self,
        method: Method,
        path: &[&str],
        body: Option<&Value>,
    ) -> Result<Answer, WriteError> {
        let (url, line) = (
            self.holder.address(path, &[])?,
            self.holder.authorization()?,
        );
        let body = body.map(Value::to_string);
        let answer = self.holder.http.send(|client| {
            let request = client
                .request(method, url)
                .header(ACCEPT, "application/json")
                // Refusals are told apart by their text.
                .header(ACCEPT_LANGUAGE, "en")
                .header(AUTHORIZATION, line);
            match body {
                Some(body) => request.header(CONTENT_TYPE, "application/json").body(body),
                None => request,
            }
        });
        judge(answer.await?)
    }
}

/// Whether it was done.
fn judge(answer: Answer) -> Result<Answer, WriteError> {
    let detail = || match answer.parse::<Detail>() {
        Ok(detail) => Ok(printable(&detail.detail, 200)),
        Err(_) => Err(answer.foreign()),
    };
    Err(match answer.status {
        StatusCode::OK | StatusCode::CREATED | StatusCode::NO_CONTENT => return Ok(answer),
        StatusCode::NOT_FOUND => match detail()?.as_str() {
            "" => answer.foreign().into(),
            said => WriteError::Missing(format!("the directory says: {said}")),
        },
        StatusCode::FORBIDDEN => match forbidden(&detail()?) {
            SourceError::Permission(_) => SourceError::Permission(
                "the role of the token in [directories.write] does not cover this: README.md, \"By \
                 hand and from CI\", says what it needs"
                    .into(),
            ),
            other => other,
        }
        .into(),
        StatusCode::BAD_REQUEST => {
            // Which fields, never what they hold: that is about people.
            let fields = answer.parse::<serde_json::Map<String, Value>>();
            let names: Vec<_> = fields.iter().flat_map(|all| all.keys()).take(10).collect();
            let names: Vec<_> = names.iter().map(|name| printable(name, 40)).collect();
            SourceError::Refused(format!("it does not take {}", names.join(", "))).into()
        }
        // What it could not do looks like 405 without a body (difference 16).
        status if status.is_server_error() || status == StatusCode::METHOD_NOT_ALLOWED => {
            SourceError::Unavailable(format!("it answers {}", status.as_u16())).into()
        }
        _ => answer.foreign().into(),
    })
}

#[async_trait]
impl Writer for AuthentikWriter {
    fn id(&self) -> &SourceId {
        &self.holder.config.id
    }

    fn unable(&self, act: &str) -> WriteError {
        WriteError::Unable(format!(
            "the directory {} can't be asked to {act}: [directories.write] does not say so",
            self.id()
        ))
    }

    fn groups(&self) -> &[Gate] {
        &self.own.groups
    }

    fn invitations(&self) -> Option<&InvitationsConfig> {
        self.own.invitations.as_ref()
    }

    async fn lineage(&self, group: &str) -> Result<Lineage, WriteError> {
        self.lineage_of(group).await
    }

    async fn give(&self, person: &str, group: &Harmless) -> Result<(), WriteError> {
        self.add(person, group.id()).await
    }

    async fn invite(&self, new: &NewInvitation) -> Result<(Invitation, Link), WriteError> {
        self.make(new).await
    }

    async fn list_invitations(&self) -> Result<Vec<Invitation>, WriteError> {
        let all = self.all_invitations().await?;
        Ok(all.into_iter().map(|(invitation, _)| invitation).collect())
    }

    async fn revoke(&self, id: InvitationId) -> Result<Option<Invitation>, WriteError> {
        self.take_back(id).await
    }

    async fn look(&self) -> Result<Vec<Remark>, SourceError> {
        self.remarks().await
    }
}
