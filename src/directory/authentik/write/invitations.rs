//! Invitations to enrol: made for the configured flow alone, and only those of that flow are listed
//! or taken back. What the link holds leaves this file in a [`Link`], and in no other way.

use super::super::api::Said;
use super::super::recent::seconds;
use super::super::shapes::{self, Flow};
use super::AuthentikWriter;
use crate::config::InvitationsConfig;
use crate::directory::http::printable;
use crate::directory::source::SourceError;
use crate::directory::writer::{
    Invitation, InvitationId, Invitee, Link, NewInvitation, WriteError, Writer as _,
};
use crate::types::Timestamp;
use aws_lc_rs::digest::{SHA256, digest};
use http::Method;
use serde_json::{Map, Value, json};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use uuid::Uuid;

/// More pages of invitations than this are not read.
const MOST_PAGES: usize = 50;
/// Longest text of an invitation that is shown, in characters.
const SHOWN: usize = 200;
const PATH: [&str; 3] = ["stages", "invitation", "invitations"];

impl AuthentikWriter {
    fn inviting(&self) -> Result<&InvitationsConfig, WriteError> {
        let own = self.own.invitations.as_ref();
        own.ok_or_else(|| self.unable("invite people"))
    }

    /// The configured flow, which must be one that people enrol by: an invitation to another would
    /// open what nobody meant.
    pub(super) async fn flow(&self) -> Result<Flow, WriteError> {
        let slug = &self.inviting()?.flow;
        let path = ["flows", "instances", slug];
        let asked = self.holder.get::<Flow>(&path, &[]).await;
        let lacks = |error| match error {
            SourceError::Permission(_) => SourceError::Permission(
                "the token of [directories.write] may not view flows (view_flow)".into(),
            ),
            other => other,
        };
        match asked.map_err(lacks)? {
            Said::Found(flow) if flow.slug == *slug && flow.designation == "enrollment" => Ok(flow),
            Said::Found(flow) if flow.slug == *slug => Err(WriteError::NotAllowed(format!(
                "the flow {slug:?} is not for enrolment"
            ))),
            Said::Found(_) => {
                Err(SourceError::Unavailable("it answers about another flow".into()).into())
            }
            Said::None => Err(WriteError::Missing(format!(
                "the directory has no flow {slug:?}, or the token may not view it (view_flow)"
            ))),
        }
    }

    pub(super) async fn make(&self, new: &NewInvitation) -> Result<(Invitation, Link), WriteError> {
        let flow = self.flow().await?;
        let body = json!({
            "name": new.name,
            "expires": written(new.expires_at)?,
            "fixed_data": fixed(new),
            "single_use": new.single_use,
            "flow": flow.pk,
        });
        let sent = self.change(Method::POST, &PATH, Some(&body)).await;
        let made = match sent {
            Ok(answer) => answer
                .parse::<shapes::Invitation>()
                .map_err(WriteError::from),
            Err(error) => Err(error),
        };
        let made = match made {
            Ok(made) => made,
            Err(error) => {
                // It may have been made: nobody has its link, and nobody shall.
                if matches!(&error, WriteError::Source(source) if source.is_transient()) {
                    self.withdraw(&new.name).await;
                }
                return Err(error);
            }
        };
        let link = self.link(&flow.slug, made.pk)?;
        Ok((shown(&made), link))
    }

    /// Takes back whatever is called so; as far as it can be done.
    async fn withdraw(&self, name: &str) {
        let query = [("name", name)];
        let asked = self.holder.list::<shapes::Invitation>(&PATH, &query, 1);
        let Ok((list, _)) = asked.await else { return };
        for left in list.results.iter().filter(|left| left.name == name) {
            let _ = self.delete(left.pk).await;
        }
    }

    /// All of the flow's, with what each link holds, by id.
    pub(super) async fn all_invitations(&self) -> Result<Vec<(Invitation, Uuid)>, WriteError> {
        let flow = self.flow().await?;
        let (mut all, mut page) = (Vec::new(), Some(1));
        while let Some(number) = page {
            if number > MOST_PAGES {
                return Err(
                    SourceError::Refused("it has more invitations than are read".into()).into(),
                );
            }
            let asked = self
                .holder
                .list::<shapes::Invitation>(&PATH, &[], number)
                .await;
            let (list, next) = asked?;
            let ours = list.results.into_iter();
            let ours = ours.filter(|one| one.flow.as_ref() == Some(&flow.pk));
            all.extend(ours.map(|one| (shown(&one), one.pk)));
            page = next;
        }
        all.sort_by_key(|(invitation, _)| invitation.id);
        all.dedup_by_key(|(invitation, _)| invitation.id);
        Ok(all)
    }

    pub(super) async fn take_back(
        &self,
        id: InvitationId,
    ) -> Result<Option<Invitation>, WriteError> {
        let all = self.all_invitations().await?;
        let found = all.into_iter().find(|(invitation, _)| invitation.id == id);
        let Some((invitation, pk)) = found else {
            return Ok(None);
        };
        match self.delete(pk).await {
            Ok(()) => Ok(Some(invitation)),
            // Somebody used it, or took it back, a moment ago.
            Err(WriteError::Missing(_)) => Ok(None),
            Err(error) => Err(error),
        }
    }

    async fn delete(&self, pk: Uuid) -> Result<(), WriteError> {
        let pk = pk.to_string();
        let path = [PATH.as_slice(), &[pk.as_str()]].concat();
        self.change(Method::DELETE, &path, None).await?;
        Ok(())
    }

    /// `…/if/flow/{slug}/?itoken={pk}`.
    fn link(&self, slug: &str, pk: Uuid) -> Result<Link, WriteError> {
        let own = &self.inviting()?.url;
        let mut url = own.as_ref().unwrap_or(&self.holder.config.url).clone();
        url.path_segments_mut()
            .map_err(|()| SourceError::Refused("its url can't be used".into()))?
            .pop_if_empty()
            .extend(["if", "flow", slug, ""]);
        url.query_pairs_mut().append_pair("itoken", &pk.to_string());
        Ok(Link::new(url))
    }
}

/// What the enrolment begins with. `attributes` tells later which invitation somebody came by: no form
/// asks for it, so nobody writes it otherwise (recordings/authentik, difference 1).
fn fixed(new: &NewInvitation) -> Map<String, Value> {
    let mut fixed = Map::new();
    for (key, text) in [
        ("email", &new.invitee.email),
        ("name", &new.invitee.name),
        ("username", &new.invitee.username),
    ] {
        if let Some(text) = text {
            fixed.insert(key.to_owned(), json!(text));
        }
    }
    fixed.insert("attributes".to_owned(), json!({ "invitation": new.name }));
    fixed
}

fn shown(made: &shapes::Invitation) -> Invitation {
    let text = |key: &str| {
        let fixed = made.fixed_data.as_ref();
        let text = fixed.and_then(|fixed| fixed.get(key)?.as_str());
        text.map(|text| printable(text, SHOWN))
    };
    Invitation {
        id: named(made.pk),
        name: printable(&made.name, SHOWN),
        invitee: Invitee {
            email: text("email"),
            name: text("name"),
            username: text("username"),
        },
        expires_at: made.expires.as_deref().and_then(seconds).map(Timestamp),
        single_use: made.single_use,
    }
}

/// By what others name it: 128 bits of a hash of 122 random ones, so nobody gets back.
pub(super) fn named(pk: Uuid) -> InvitationId {
    let mut bytes = b"auth-manager invitation\0".to_vec();
    bytes.extend(pk.as_bytes());
    let hash = digest(&SHA256, &bytes);
    let mut id = [0; 16];
    id.iter_mut()
        .zip(hash.as_ref())
        .for_each(|(to, from)| *to = *from);
    InvitationId(Uuid::from_bytes(id))
}

fn written(at: Timestamp) -> Result<String, SourceError> {
    let time = OffsetDateTime::from_unix_timestamp(at.0).ok();
    let text = time.and_then(|time| time.format(&Rfc3339).ok());
    text.ok_or_else(|| SourceError::Refused("that is no time".into()))
}
