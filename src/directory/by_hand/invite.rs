//! Invitations: bounded, for one person and a week unless it is said otherwise, and the link handed
//! over once.

use super::{ByHand, HandError};
use crate::audit::{Kind, Witness};
use crate::directory::writer::{
    Invitation, InvitationId, Invitee, Link, NewInvitation, WriteError,
};
use crate::types::SourceId;
use std::time::Duration;
use uuid::Uuid;

/// Shortest life of an invitation.
const SHORTEST: Duration = Duration::from_secs(300);
/// Longest label, in characters: with what is added, a name stays within Authentik's 50.
const LABEL: usize = 32;
/// Longest text about the invited, in characters.
const TEXT: usize = 150;

/// What an invitation shall be.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Wish {
    /// In which directory; `None`: the only one.
    pub source: Option<SourceId>,
    /// What it begins with in the directory's list.
    pub label: Option<String>,
    /// Whom it is for.
    pub invitee: Invitee,
    /// How long it is good; `None`: as configured.
    pub lifetime: Option<Duration>,
    /// Whether it is good for several people.
    pub reusable: bool,
}

/// What was made, or would be.
#[derive(Debug)]
pub struct Invited {
    /// In which directory.
    pub source: SourceId,
    /// What would be made; with `made`, what was.
    pub new: NewInvitation,
    /// `None` when it was only tried.
    pub made: Option<(Invitation, Link)>,
}

impl ByHand {
    /// Makes an invitation.
    ///
    /// # Errors
    /// When it may not be, or was not made.
    pub async fn invite(
        &self,
        wish: &Wish,
        by: &Witness,
        dry_run: bool,
    ) -> Result<Invited, HandError> {
        let source = self.source(wish.source.as_ref())?;
        let writer = self.writer(source.id())?;
        let own = writer.invitations();
        let own = own.ok_or_else(|| writer.unable("invite people"))?;
        let lifetime = wish.lifetime.unwrap_or(own.lifetime);
        if lifetime > own.longest || lifetime < SHORTEST {
            return Err(HandError::Invalid(format!(
                "an invitation is good for {} to {} seconds here",
                SHORTEST.as_secs(),
                own.longest.as_secs()
            )));
        }
        if wish.reusable && !own.reusable {
            let said = "an invitation for several people is not allowed: [directories.write.invitations] reusable";
            return Err(WriteError::NotAllowed(said.into()).into());
        }
        let new = NewInvitation {
            name: name(wish.label.as_deref())?,
            invitee: judged(&wish.invitee)?,
            expires_at: self.clock.now() + lifetime,
            single_use: !wish.reusable,
        };
        let source = source.id().clone();
        if dry_run {
            return Ok(Invited {
                source,
                new,
                made: None,
            });
        }
        let kind = Kind::InvitationOrdered;
        let event = by
            .event(kind)
            .detail("source", source.as_str())
            .detail("name", new.name.as_str())
            .detail("expires_at", new.expires_at.0)
            .detail("single_use", new.single_use);
        self.record(event).await?;
        let detail = ("name", new.name.as_str());
        let done = writer.invite(&new);
        let made = self.carry_out(by, kind, &source, detail, done).await?;
        Ok(Invited {
            source,
            new,
            made: Some(made),
        })
    }

    /// All invitations of a directory, by id.
    ///
    /// # Errors
    /// When there is no clear answer.
    pub async fn invitations(
        &self,
        source: Option<&SourceId>,
    ) -> Result<(SourceId, Vec<Invitation>), HandError> {
        let source = self.source(source)?.id().clone();
        let all = self.writer(&source)?.list_invitations().await?;
        Ok((source, all))
    }

    /// Takes one back.
    ///
    /// # Errors
    /// [`HandError::Unknown`] when there is none; when it was not done.
    pub async fn revoke_invitation(
        &self,
        source: Option<&SourceId>,
        id: InvitationId,
        by: &Witness,
        dry_run: bool,
    ) -> Result<Invitation, HandError> {
        let none = || HandError::Unknown("there is no such invitation (any more)".into());
        let (source, all) = self.invitations(source).await?;
        let found = all.into_iter().find(|one| one.id == id).ok_or_else(none)?;
        if dry_run {
            return Ok(found);
        }
        let (kind, text) = (Kind::InvitationRevoked, id.to_string());
        let event = by
            .event(kind)
            .detail("source", source.as_str())
            .detail("name", found.name.as_str())
            .detail("invitation", text.as_str());
        self.record(event).await?;
        let writer = self.writer(&source)?;
        let detail = ("invitation", text.as_str());
        let done = writer.revoke(id);
        let revoked = self.carry_out(by, kind, &source, detail, done).await?;
        revoked.ok_or_else(none)
    }
}

/// Ours, and no other's: by it the record and the directory's list name the same one.
fn name(label: Option<&str>) -> Result<String, HandError> {
    let label = label.unwrap_or("invitation");
    let slug = |b: u8| b.is_ascii_alphanumeric() || b"-_".contains(&b);
    if label.is_empty() || label.len() > LABEL || !label.bytes().all(slug) {
        return Err(HandError::Invalid(format!(
            "a label has 1 to {LABEL} characters: letters, digits, - _"
        )));
    }
    let own = Uuid::new_v4().simple().to_string();
    let own = own.get(..12).unwrap_or_default();
    Ok(format!("{label}-{own}"))
}

/// Texts that may begin a form: bounded, on one line, and an address that looks like one.
fn judged(invitee: &Invitee) -> Result<Invitee, HandError> {
    for (what, text) in [
        ("email", &invitee.email),
        ("name", &invitee.name),
        ("username", &invitee.username),
    ] {
        let Some(text) = text else { continue };
        let odd = text.contains(char::is_control) || text.trim() != text;
        if text.is_empty() || text.chars().count() > TEXT || odd {
            return Err(HandError::Invalid(format!(
                "{what} has 1 to {TEXT} characters on one line"
            )));
        }
    }
    let address = |text: &str| {
        let mut parts = text.split('@');
        let sides = (parts.next(), parts.next(), parts.next());
        let plain = !text.contains(|c: char| c.is_whitespace() || "<>\"(),:;[]\\".contains(c));
        plain && matches!(sides, (Some(a), Some(b), None) if !a.is_empty() && b.contains('.'))
    };
    if invitee.email.as_deref().is_some_and(|text| !address(text)) {
        return Err(HandError::Invalid("email is no address".into()));
    }
    let user = |text: &str| !text.contains(|c: char| c.is_whitespace() || c == '@');
    if invitee.username.as_deref().is_some_and(|text| !user(text)) {
        return Err(HandError::Invalid("username holds a blank or an @".into()));
    }
    Ok(invitee.clone())
}
