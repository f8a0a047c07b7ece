//! Whether the writer's token lives on, may do what is configured, and no more. Nothing is changed by
//! looking: what it may is found by asking for what can't be done (somebody who does not exist, an
//! invitation without a name), and by how that is refused.

use super::super::look::{serious, slight};
use super::super::shapes::{self, PowerGroup};
use super::AuthentikWriter;
use crate::directory::source::{Remark, SourceError};
use crate::directory::writer::WriteError;
use http::Method;
use serde_json::json;

/// Nobody's number.
const NOBODY: i64 = 0;

impl AuthentikWriter {
    pub(super) async fn remarks(&self) -> Result<Vec<Remark>, SourceError> {
        let mut found = Vec::new();
        let me = match self.holder.me().await {
            Ok(me) => me,
            Err(error @ (SourceError::Credential(_) | SourceError::Permission(_))) => {
                found.push(serious("token", error.to_string()));
                return Ok(found);
            }
            Err(error) => return Err(error),
        };
        if me.is_superuser {
            found.push(serious(
                "token",
                "it may do everything in Authentik: whoever gets hold of it owns every account. Make \
                 it one of a service account with the role that README.md, \"By hand and from CI\", \
                 describes"
                    .into(),
            ));
        } else if !me.kind.is_empty() && !me.kind.ends_with("service_account") {
            found.push(slight(
                "token",
                "it is a person's: when they leave, nothing can be done by hand any more. Make it one \
                 of a service account",
            ));
        }
        if self
            .reader
            .me()
            .await
            .is_ok_and(|reader| reader.pk == me.pk)
        {
            found.push(serious(
                "token",
                "it is of the account that the directory is read with, which can so write as well: \
                 make another service account"
                    .into(),
            ));
        }
        self.judge_groups(&mut found).await?;
        self.judge_invitations(&mut found).await?;
        self.holder.judge_expiry(&me, &mut found).await?;
        Ok(found)
    }

    /// Each listed group is there, harmless in the directory, and may be given; no other may.
    async fn judge_groups(&self, found: &mut Vec<Remark>) -> Result<(), SourceError> {
        for gate in &self.own.groups {
            let name = gate.name.as_str();
            let Some(id) = gate.id.as_deref() else {
                continue;
            };
            match self.lineage_of(id).await {
                Ok(lineage) => {
                    if let Err(error) = lineage.harmless(&self.own.groups, &[]) {
                        found.push(serious("group", error.to_string()));
                    }
                }
                Err(WriteError::Source(error)) if error.is_transient() => return Err(error),
                Err(error) => {
                    found.push(serious("group", format!("{name:?}: {error}")));
                    continue;
                }
            }
            match self.may_give(id).await? {
                true => {}
                false => found.push(serious(
                    "permission",
                    format!(
                        "it may not put people into {name:?}: give its role, on this group, \
                         view_group and add_user_to_group, and view_user on all objects"
                    ),
                )),
            }
        }
        if let Some(other) = self.another_group().await? {
            found.push(serious(
                "permission",
                format!(
                    "it may put people into groups that are not listed, {other:?} among them: give its \
                     role add_user_to_group on the listed groups alone. With it on all objects whoever \
                     has the token can make themselves an administrator"
                ),
            ));
        }
        Ok(())
    }

    /// A group that is not listed and may be given all the same.
    async fn another_group(&self) -> Result<Option<String>, SourceError> {
        let query = [("ordering", "name"), ("include_users", "false")];
        let (list, _) = self
            .reader
            .list::<PowerGroup>(&["core", "groups"], &query, 1)
            .await?;
        let listed = |id: &str| {
            let mut gates = self.own.groups.iter();
            gates.any(|gate| {
                gate.id
                    .as_deref()
                    .is_some_and(|own| own.eq_ignore_ascii_case(id))
            })
        };
        // Those that give power first, and a few of the others: a permission on all objects shows on any.
        let mut others: Vec<_> = list.results.iter().filter(|g| !listed(&g.pk)).collect();
        others.sort_by_key(|group| (!group.is_superuser, group.roles.is_empty()));
        for group in others.into_iter().take(3) {
            if self.may_give(&group.pk).await? {
                return Ok(Some(group.name.clone()));
            }
        }
        Ok(None)
    }

    /// Whether it could put somebody into a group: nobody is asked for, and that nobody is not found.
    async fn may_give(&self, group: &str) -> Result<bool, SourceError> {
        match self.add_user(NOBODY, group).await {
            Err(WriteError::Missing(said)) => Ok(!said.contains("No Group")),
            // A user who is none was taken: it would have worked.
            Ok(()) | Err(WriteError::Source(SourceError::Refused(_))) => Ok(true),
            Err(WriteError::Source(SourceError::Permission(_))) => Ok(false),
            Err(WriteError::Source(error)) => Err(error),
            Err(WriteError::Unable(_) | WriteError::NotAllowed(_)) => Ok(false),
        }
    }

    async fn judge_invitations(&self, found: &mut Vec<Remark>) -> Result<(), SourceError> {
        if self.own.invitations.is_none() {
            return Ok(());
        }
        match self.flow().await {
            Ok(_) => {}
            Err(WriteError::Source(error)) if error.is_transient() => return Err(error),
            Err(error) => found.push(serious("invitations", error.to_string())),
        }
        let path = ["stages", "invitation", "invitations"];
        let lacks = |what: &str| {
            let text = format!("it may not {what}: give its role {what}_invitation on all objects");
            serious("invitations", text)
        };
        match self.holder.list::<shapes::Invitation>(&path, &[], 1).await {
            Ok(_) => {}
            Err(error) if error.is_transient() => return Err(error),
            Err(_) => found.push(lacks("view")),
        }
        match self.change(Method::POST, &path, Some(&json!({}))).await {
            Err(WriteError::Source(SourceError::Permission(_))) => found.push(lacks("add")),
            Err(WriteError::Source(error)) if error.is_transient() => return Err(error),
            // It lacks a name, and that is all that it lacks.
            _ => {}
        }
        Ok(())
    }
}
