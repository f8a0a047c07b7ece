//! Seats: the server's own count and limit, and who takes one (recordings 14, 30).

use super::Mattermost;
use super::api::{PAGE, User};
use super::memberships::roles_beyond;
use super::provisioner::remote_id;
use crate::apps::{AppError, HolderPage, SeatHolder, Seats};
use crate::types::Timestamp;
use std::collections::HashMap;

impl Mattermost {
    pub(super) async fn read_seats(&self) -> Result<Seats, AppError> {
        let limits = self.api.limits().await?;
        Ok(Seats {
            used: limits.active_user_count,
            limit: (limits.max_users_hard_limit > 0).then_some(limits.max_users_hard_limit),
        })
    }

    pub(super) async fn read_holders(&self, page: u32) -> Result<HolderPage, AppError> {
        let users = self.api.active_users(page).await?;
        let last = users.len() < PAGE;
        let people: Vec<User> = users.into_iter().filter(takes_a_seat).collect();
        let ids: Vec<&str> = people.iter().map(|user| user.id.as_str()).collect();
        let seen: HashMap<String, i64> = self
            .api
            .statuses(&ids)
            .await?
            .into_iter()
            .map(|status| (status.user_id, status.last_activity_at))
            .collect();
        let holders = people.iter().map(|user| holder(user, &seen));
        Ok(HolderPage {
            holders: holders.collect::<Result<_, _>>()?,
            last,
        })
    }
}

/// Bots and people of other servers take none (facts §4).
fn takes_a_seat(user: &User) -> bool {
    user.delete_at == 0 && !user.is_bot && user.remote_id.as_deref().is_none_or(str::is_empty)
}

fn holder(user: &User, seen: &HashMap<String, i64>) -> Result<SeatHolder, AppError> {
    Ok(SeatHolder {
        remote: remote_id(user.id.clone())?,
        username: user.username.clone(),
        privileged: !roles_beyond(user).is_empty(),
        created_at: seconds(user.create_at),
        active_at: seen
            .get(&user.id)
            .filter(|at| **at > 0)
            .map(|at| seconds(*at)),
    })
}

const fn seconds(milliseconds: i64) -> Timestamp {
    Timestamp(milliseconds / 1000)
}
