//! What tests do to teams, channels and bots behind the API's back, as somebody does who has the
//! server's own console. Accounts and sessions are in `controls`.

use super::controls::StandIn;
use super::ids::now_ms;

impl StandIn {
    /// Deletes an account for good, as the server's own console does; false when there is none.
    pub fn delete_user(&self, user: &str) -> bool {
        let Some(id) = self.id_of(user) else {
            return false;
        };
        let mut state = self.state();
        state.end_sessions(&id);
        state.users.retain(|user| user.id != id);
        state.team_members.retain(|member| member.user_id != id);
        state.channel_members.retain(|member| member.user_id != id);
        state.access_tokens.retain(|token| token.user_id != id);
        true
    }

    /// Takes a user out of a team by their names, as its administrator does; false when there is no
    /// such thing.
    pub fn remove_from_team(&self, team: &str, user: &str) -> bool {
        let Some(user) = self.id_of(user) else {
            return false;
        };
        let mut state = self.state();
        let Some(team) = state.teams.iter().find(|have| have.name == team) else {
            return false;
        };
        let team = team.id.clone();
        let found = state
            .team_members
            .iter_mut()
            .find(|m| m.team_id == team && m.user_id == user);
        found.is_some_and(|member| {
            member.delete_at = now_ms();
            true
        })
    }

    /// Archives a team by its name; false when there is none.
    pub fn archive_team(&self, team: &str) -> bool {
        let mut state = self.state();
        let found = state.teams.iter_mut().find(|have| have.name == team);
        found.is_some_and(|team| {
            team.delete_at = now_ms();
            true
        })
    }

    /// Gives a team another name, as its administrator does; false when there is none.
    pub fn rename_team(&self, team: &str, name: &str) -> bool {
        let mut state = self.state();
        let found = state.teams.iter_mut().find(|have| have.name == team);
        found.is_some_and(|team| {
            team.name = name.to_owned();
            true
        })
    }

    /// Makes a private channel by team and channel name; its id.
    pub fn create_channel(&self, team: &str, channel: &str) -> Option<String> {
        let team = {
            let state = self.state();
            state
                .teams
                .iter()
                .find(|have| have.name == team)?
                .id
                .clone()
        };
        let admin = self.admin_id();
        Some(self.new_channel(&team, channel, channel, "P", &admin).id)
    }

    /// Whether a user administers a team, by their names.
    pub fn is_team_admin(&self, team: &str, user: &str) -> bool {
        let Some(user) = self.id_of(user) else {
            return false;
        };
        let state = self.state();
        let team = state.teams.iter().find(|have| have.name == team);
        team.and_then(|team| state.team_member(&team.id, &user))
            .is_some_and(|member| member.delete_at == 0 && member.scheme_admin)
    }

    /// Makes a bot of a person's; its id.
    ///
    /// # Panics
    /// When the name is taken or nobody is called so: a mistake in the test.
    pub fn create_bot(&self, username: &str, display_name: &str, owner: &str) -> String {
        let owner = self.id_of(owner);
        let owner = owner.unwrap_or_else(|| panic!("the stand-in knows no owner"));
        match self.new_bot(username, display_name, &owner) {
            Ok(bot) => bot.user_id,
            Err(refusal) => panic!("the stand-in refuses {username}: {}", refusal.id),
        }
    }

    /// Whose bot it is, and whether it is enabled.
    pub fn bot(&self, username: &str) -> Option<(String, bool)> {
        let state = self.state();
        let found = state.bots.iter().find(|bot| bot.username == username);
        found.map(|bot| (bot.owner_id.clone(), bot.delete_at == 0))
    }

    /// Lets somebody have been at work last at this time, in milliseconds; 0: never.
    pub fn set_active_at(&self, user: &str, ms: i64) {
        self.with_user(user, |user| user.active_at = ms);
    }

    /// Somebody is at work now; nothing else of the account moves.
    pub(super) fn set_active_now(&self, id: &str) {
        if let Some(user) = self.state().user_mut(id) {
            user.active_at = now_ms();
        }
    }
}
