//! The whole comparison with a SCIM peer: users first, then groups with their members (recorded: 10,
//! 23). A user whom the peer has lost is not made again; a group is.

use std::collections::BTreeSet;

use http::Method;
use serde_json::Value;

use super::controls::StandIn;
use super::hooks::Open;
use super::scim::{Trouble, abilities, resource};
use super::state::Group;

impl StandIn {
    /// Pushes everything that the peer does not have. Troubles end it for one object only.
    pub async fn scim_sync(&self) {
        let open = Open::new(self);
        let unknown = self.with_scim(|scim| scim.abilities.is_none());
        if unknown == Some(true) {
            let asked = self
                .scim_call(Method::GET, "/ServiceProviderConfig", None, 1)
                .await;
            let found = asked.map(|answer| abilities(&answer)).unwrap_or_default();
            self.with_scim(|scim| scim.abilities = Some(found));
        }
        let users: Vec<i64> = self.state().users.keys().copied().collect();
        for pk in users {
            let _ = self.push_user(pk, 1).await;
        }
        let groups: Vec<String> = self.state().groups.keys().cloned().collect();
        for pk in groups {
            let _ = self.push_group(&pk, 1).await;
        }
        drop(open);
    }

    /// Asks for the peer's members, and sends what differs.
    pub(super) async fn heal_members(
        &self,
        group: &Group,
        id: &str,
        attempt: u32,
    ) -> Result<(), Trouble> {
        let answer = self
            .scim_call(Method::GET, &format!("/Groups/{id}"), None, attempt)
            .await?;
        if answer.status == 404 {
            self.with_scim(|scim| scim.groups.remove(&group.pk));
            return Err(Trouble::Again);
        }
        let there = resource(&answer)?;
        // An answer without a name makes the client fail (recorded: difference 23).
        if there.get("displayName").is_none() {
            return Err(Trouble::Again);
        }
        let Some(members) = there.get("members").and_then(Value::as_array) else {
            return Ok(());
        };
        let has: BTreeSet<String> = members
            .iter()
            .filter_map(|member| member.get("value")?.as_str().map(str::to_owned))
            .collect();
        let (add, remove) = self
            .with_scim(|scim| {
                let mine = |pk: &&i64| scim.users.get(*pk).is_some_and(|l| !has.contains(&l.id));
                let add: Vec<i64> = group.users.iter().filter(mine).copied().collect();
                let remove: Vec<i64> = scim
                    .users
                    .iter()
                    .filter(|(pk, linked)| has.contains(&linked.id) && !group.users.contains(pk))
                    .map(|(pk, _)| *pk)
                    .collect();
                (add, remove)
            })
            .unwrap_or_default();
        if !add.is_empty() {
            self.push_members(&group.pk, &add, "add", attempt).await?;
        }
        if !remove.is_empty() {
            self.push_members(&group.pk, &remove, "remove", attempt)
                .await?;
        }
        Ok(())
    }
}
