//! A directory that something may be done in, by hand or by a CI job: people put into listed groups,
//! people invited. Beside [`super::source::Source`], never part of it: whoever reads can't write.
//!
//! Each kind of directory does what it can; what it can't it says clearly, which is what the trait
//! does by itself. Nothing here knows the store, or who asks.

use super::source::{Remark, SourceError};
use crate::config::{Gate, InvitationsConfig, MappedGroup};
use crate::types::{SourceId, Timestamp};
use async_trait::async_trait;
use std::fmt;
use uuid::Uuid;

/// Why nothing was done.
#[derive(Debug, Clone, thiserror::Error)]
pub enum WriteError {
    /// This directory can't, or the configuration does not let the bridge.
    #[error("{0}")]
    Unable(String),
    /// The configuration or what the group is forbids it.
    #[error("{0}")]
    NotAllowed(String),
    /// The directory has no such thing.
    #[error("{0}")]
    Missing(String),
    /// The directory gave no answer that can be used. Of a write it is not known whether it was done.
    #[error(transparent)]
    Source(#[from] SourceError),
}

/// A group, or one that it is in, as it stands in the directory now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ancestor {
    /// The directory's own id.
    pub id: String,
    /// Its name now.
    pub name: String,
    /// What it gives power over, in the directory's own matters; `None`: nothing.
    pub power: Option<&'static str>,
}

/// A group with all that its members are in by it: itself first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lineage(Vec<Ancestor>);

impl Lineage {
    /// The group itself, and those it is in, directly or by way of others.
    #[must_use]
    pub fn new(group: Ancestor, above: impl IntoIterator<Item = Ancestor>) -> Self {
        Self(std::iter::once(group).chain(above).collect())
    }

    /// The proof that it may be given: the very group of one of `allowed`, and nothing in or above it
    /// gives power over the directory, or (`power`) over an app.
    ///
    /// # Errors
    /// [`WriteError::NotAllowed`], with why.
    pub fn harmless(self, allowed: &[Gate], power: &[MappedGroup]) -> Result<Harmless, WriteError> {
        let refused = |why: String| Err(WriteError::NotAllowed(why));
        let Some(own) = self.0.first() else {
            return refused("there is no group".into());
        };
        let listed = allowed
            .iter()
            .filter_map(|gate| gate.id.as_deref())
            .any(|id| id.eq_ignore_ascii_case(&own.id));
        if !listed {
            return refused(format!(
                "the group {:?} is not among those that may be given",
                own.name
            ));
        }
        for of in &self.0 {
            let what = match of.power {
                Some(what) => what,
                None if power.iter().any(|mapped| mapped.is(&of.id, &of.name)) => {
                    "it gives power over an app ([[apps.provision.groups]])"
                }
                None => continue,
            };
            return refused(match of == own {
                true => format!("the group {:?} may not be given: {what}", own.name),
                false => format!(
                    "the group {:?} may not be given: it is in {:?}, and {what}",
                    own.name, of.name
                ),
            });
        }
        Ok(Harmless {
            id: own.id.clone(),
            name: own.name.clone(),
        })
    }
}

/// A group that may be given. Made by [`Lineage::harmless`] alone.
///
/// ```compile_fail
/// use auth_manager::directory::writer::Harmless;
/// let forged = Harmless { id: String::new(), name: String::new() };
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Harmless {
    id: String,
    name: String,
}

impl Harmless {
    /// The directory's own id of it.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Its name now.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }
}

/// By what an invitation is named. Made of what its link holds, one way: who knows it can't use it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct InvitationId(pub Uuid);

impl fmt::Display for InvitationId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl std::str::FromStr for InvitationId {
    type Err = uuid::Error;
    fn from_str(text: &str) -> Result<Self, uuid::Error> {
        text.parse().map(Self)
    }
}

/// Whom an invitation is for, as the enrolment form begins; what the form asks for, people may write
/// otherwise (recordings/authentik, difference 1), so nothing is ever concluded from it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Invitee {
    /// E-mail address.
    pub email: Option<String>,
    /// What they are called.
    pub name: Option<String>,
    /// User name.
    pub username: Option<String>,
}

/// An invitation to be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewInvitation {
    /// What it is called in the directory: ours, and no other's.
    pub name: String,
    /// Whom it is for.
    pub invitee: Invitee,
    /// Until when it is good.
    pub expires_at: Timestamp,
    /// Whether it is gone once somebody used it.
    pub single_use: bool,
}

/// An invitation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Invitation {
    /// By what it is named.
    pub id: InvitationId,
    /// What it is called in the directory.
    pub name: String,
    /// Whom it is for.
    pub invitee: Invitee,
    /// Until when it is good; `None`: until it is revoked.
    pub expires_at: Option<Timestamp>,
    /// Whether it is gone once somebody used it.
    pub single_use: bool,
}

/// The link of an invitation: whoever has it may enrol. It does not print, and is handed over once.
pub struct Link(String);

impl Link {
    /// The link of this address.
    pub(super) fn new(address: impl Into<String>) -> Self {
        Self(address.into())
    }

    /// The address, for the one who asked for the invitation, and nobody else.
    #[must_use]
    pub fn hand_over(self) -> String {
        self.0
    }
}

impl fmt::Debug for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[link]")
    }
}

/// A directory that something may be done in.
#[async_trait]
pub trait Writer: Send + Sync {
    /// Which one.
    fn id(&self) -> &SourceId;

    /// What is said of an act that it can't do.
    fn unable(&self, act: &str) -> WriteError;

    /// The groups that may be given, by the configuration.
    fn groups(&self) -> &[Gate] {
        &[]
    }

    /// How people are invited, by the configuration.
    fn invitations(&self) -> Option<&InvitationsConfig> {
        None
    }

    /// A group as it stands now, with all that it is in, by the directory's own id.
    ///
    /// # Errors
    /// When there is none, or no clear answer.
    async fn lineage(&self, _group: &str) -> Result<Lineage, WriteError> {
        Err(self.unable("give groups"))
    }

    /// Puts a person into a group; nothing happens when they are in it.
    ///
    /// # Errors
    /// When it was not done, or nobody can tell.
    async fn give(&self, _person: &str, _group: &Harmless) -> Result<(), WriteError> {
        Err(self.unable("give groups"))
    }

    /// Makes an invitation.
    ///
    /// # Errors
    /// When it was not done, or nobody can tell.
    async fn invite(&self, _new: &NewInvitation) -> Result<(Invitation, Link), WriteError> {
        Err(self.unable("invite people"))
    }

    /// All invitations of the configured flow, by id.
    ///
    /// # Errors
    /// When there is no clear answer.
    async fn list_invitations(&self) -> Result<Vec<Invitation>, WriteError> {
        Err(self.unable("invite people"))
    }

    /// Takes an invitation back; what it was, or `None` when there is none (any more).
    ///
    /// # Errors
    /// When it was not done, or nobody can tell.
    async fn revoke(&self, _id: InvitationId) -> Result<Option<Invitation>, WriteError> {
        Err(self.unable("invite people"))
    }

    /// Looks whether the token lives on, may do what is configured, and no more.
    ///
    /// # Errors
    /// When the directory does not answer at all.
    async fn look(&self) -> Result<Vec<Remark>, SourceError> {
        Ok(Vec::new())
    }
}

/// A directory in which nothing is ever done.
pub struct ReadOnly {
    id: SourceId,
    /// Why, as the end of a sentence.
    why: &'static str,
}

impl ReadOnly {
    /// Of this one.
    #[must_use]
    pub fn new(id: &SourceId, why: &'static str) -> Self {
        Self {
            id: id.clone(),
            why,
        }
    }
}

impl Writer for ReadOnly {
    fn id(&self) -> &SourceId {
        &self.id
    }

    fn unable(&self, act: &str) -> WriteError {
        WriteError::Unable(format!(
            "the directory {} can't be asked to {act}: {}",
            self.id, self.why
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::GroupName;

    fn group(id: &str, name: &str, power: Option<&'static str>) -> Ancestor {
        Ancestor {
            id: id.into(),
            name: name.into(),
            power,
        }
    }

    fn gate(name: &str, id: Option<&str>) -> Gate {
        Gate {
            name: GroupName::new(name).unwrap(),
            id: id.map(Into::into),
        }
    }

    fn why(judged: Result<Harmless, WriteError>) -> String {
        match judged {
            Err(WriteError::NotAllowed(why)) => why,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn only_a_listed_group_may_be_given_and_by_its_id_alone() {
        let allowed = [gate("validated", Some("A-1")), gate("nameless", None)];
        let of = |id: &str, name: &str| Lineage::new(group(id, name, None), []);
        let given = of("a-1", "renamed").harmless(&allowed, &[]).unwrap();
        assert_eq!((given.id(), given.name()), ("a-1", "renamed"));
        // Another group that took the name is another group.
        assert!(why(of("b-2", "validated").harmless(&allowed, &[])).contains("not among"));
        assert!(why(of("", "nameless").harmless(&allowed, &[])).contains("not among"));
        assert!(why(of("a-1", "validated").harmless(&[], &[])).contains("not among"));
    }

    #[test]
    fn nothing_that_gives_power_is_given_directly_or_by_way_of_others() {
        let allowed = [gate("validated", Some("a"))];
        let plain = || group("a", "validated", None);
        let admins = || group("z", "admins", Some("its members may do everything"));
        let own = group("a", "validated", Some("its members may do everything"));
        assert!(why(Lineage::new(own, []).harmless(&allowed, &[])).contains("everything"));
        let below = Lineage::new(plain(), [group("m", "middle", None), admins()]);
        assert!(why(below.harmless(&allowed, &[])).contains("\"admins\""));
        for power in [
            MappedGroup {
                name: None,
                id: Some("M".into()),
            },
            MappedGroup {
                name: Some(GroupName::new("middle").unwrap()),
                id: None,
            },
        ] {
            let above = Lineage::new(plain(), [group("m", "middle", None)]);
            assert!(why(above.harmless(&allowed, &[power])).contains("power over an app"));
        }
    }

    #[tokio::test]
    async fn a_directory_that_can_t_says_so_and_does_nothing() {
        let keycloak = ReadOnly::new(&SourceId::new("keycloak").unwrap(), "Keycloak is only read");
        let new = NewInvitation {
            name: "a".into(),
            invitee: Invitee::default(),
            expires_at: Timestamp(0),
            single_use: true,
        };
        let said = keycloak.invite(&new).await.unwrap_err().to_string();
        assert_eq!(
            said,
            "the directory keycloak can't be asked to invite people: Keycloak is only read"
        );
        assert!(keycloak.lineage("a").await.is_err());
        assert!(keycloak.groups().is_empty() && keycloak.invitations().is_none());
    }

    #[test]
    fn t34_a_link_does_not_print() {
        assert_eq!(format!("{:?}", Link::new("https://x/?itoken=1")), "[link]");
    }
}
