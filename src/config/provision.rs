//! `[apps.provision]`: what its keys are, their defaults, bounds and cross checks.

use super::apps::team_name;
use super::reader::{Table, shown};
use super::sections::{hours, seconds};
use super::{
    BotsPolicy, DeactivateConfig, GroupMapping, MappedGroup, ProvisionConfig, ProvisionWhen,
    SeatsConfig,
};
use crate::types::{GroupName, MembershipKind};

/// The one role beyond everybody's that Mattermost gives without a licence (recordings 01).
const ADMIN: &str = "system_admin";

pub(super) fn provision(app: &Table<'_>) -> ProvisionConfig {
    let table = app.table("provision");
    ProvisionConfig {
        when: table.choice(
            "when",
            ProvisionWhen::OnSignIn,
            &[
                ("on-sign-in", ProvisionWhen::OnSignIn),
                ("on-assignment", ProvisionWhen::OnAssignment),
            ],
        ),
        groups: table
            .tables("groups", "group")
            .iter()
            .filter_map(mapping)
            .collect(),
        withdraw: table.flag("withdraw", true),
        deactivate: deactivate(&table.table("deactivate")),
        seats: seats(&table.table("seats")),
    }
}

fn deactivate(table: &Table<'_>) -> DeactivateConfig {
    if table.flag("delete", false) {
        table.complain(
            "delete",
            "The bridge deletes no account: everything the person wrote, their files, direct \
             messages and reactions would be lost for everybody who talked with them, and a person \
             of the same address would begin as a stranger.",
            "Remove it: a deactivated account takes no seat and nobody can sign in to it. Whoever \
             must be erased is deleted in Mattermost itself (mmctl user delete), after \
             `auth-manager users erase`.",
        );
    }
    let owner = table.parsed(
        "bots_to",
        user_name,
        "Write the user name of who keeps the bots.",
    );
    let bots = match table.choice(
        "bots",
        "disable",
        &[
            ("disable", "disable"),
            ("hand-over", "hand-over"),
            ("leave", "leave"),
        ],
    ) {
        "hand-over" => {
            table.require(
                "bots_to",
                "Write the user name of who keeps the bots: bots_to = \"alice\".",
            );
            owner.map_or(BotsPolicy::Disable, BotsPolicy::HandOver)
        }
        other => {
            if table.has("bots_to") {
                table.complain(
                    "bots_to",
                    "Nothing is handed over.",
                    "Write bots = \"hand-over\", or remove it.",
                );
            }
            match other {
                "leave" => BotsPolicy::Leave,
                _ => BotsPolicy::Disable,
            }
        }
    };
    DeactivateConfig {
        grace: table.duration("grace", seconds(0), seconds(0)..=hours(365 * 24)),
        bots,
        memberships: table.flag("memberships", false),
        administrators: table.flag("administrators", false),
    }
}

fn seats(table: &Table<'_>) -> SeatsConfig {
    let whole = SeatsConfig::default();
    SeatsConfig {
        warn_at: u8::try_from(table.count("warn_at", 90, 1..=100)).unwrap_or(whole.warn_at),
        reserve: table.count("reserve", 0, 0..=100_000) as u64,
        idle_after: table.duration("idle_after", whole.idle_after, hours(24)..=hours(3650 * 24)),
        grace: table.duration("grace", whole.grace, seconds(0)..=hours(365 * 24)),
    }
}

fn mapping(table: &Table<'_>) -> Option<GroupMapping> {
    let name = table.parsed(
        "group",
        GroupName::new,
        "Write the group's name, exactly as the directory has it.",
    );
    let id = table.text("group_id").map(str::to_owned);
    if name.is_none() && id.is_none() && !table.has("group") {
        table.complain(
            "group",
            "It names no group.",
            "Write group = \"sales\", or group_id with the directory's own id of it.",
        );
    }
    if id
        .as_deref()
        .is_some_and(|id| id.trim() != id || id.is_empty())
    {
        table.complain(
            "group_id",
            "It is empty, or begins or ends with a blank.",
            "Write the id as the directory shows it (Authentik: the group's UUID).",
        );
    }
    let gives = gives(table, id.is_some());
    let group = MappedGroup { name, id };
    (group.name.is_some() || group.id.is_some()).then_some(GroupMapping { group, gives })
}

fn gives(table: &Table<'_>, by_id: bool) -> Vec<(MembershipKind, String)> {
    let mut gives = Vec::new();
    let team = table.parsed(
        "team",
        team_name,
        "Write the team's name in its URL, like \"sales\".",
    );
    let channels: Vec<&str> = table.texts("channels");
    let team_admin = table.flag("team_admin", false);
    let channel_admin = table.flag("channel_admin", false);
    for (key, asked) in [
        ("channels", !channels.is_empty()),
        ("team_admin", team_admin),
    ] {
        if asked && !table.has("team") {
            table.complain(key, "It is in no team.", "Add team = \"…\".");
        }
    }
    if channel_admin && channels.is_empty() {
        table.complain(
            "channel_admin",
            "There is no channel to administer.",
            "Add channels = [\"…\"], or remove it.",
        );
    }
    if let Some(team) = &team {
        gives.push((MembershipKind::Team, team.clone()));
        for channel in channels {
            if !is_channel(channel) {
                table.complain(
                    "channels",
                    format!("{} is not a channel's name.", shown(channel)),
                    "Write the channel's name in its URL: a-z, 0-9, - and _, at most 64.",
                );
                continue;
            }
            let channel = format!("{team}/{channel}");
            gives.push((MembershipKind::Channel, channel.clone()));
            if channel_admin {
                gives.push((MembershipKind::ChannelAdmin, channel));
            }
        }
        if team_admin {
            gives.push((MembershipKind::TeamAdmin, team.clone()));
        }
    }
    if let Some(role) = table.text("system_role") {
        if role != ADMIN {
            table.complain(
                "system_role",
                format!("{} can't be given.", shown(role)),
                "Mattermost gives \"system_admin\" only, the others need a licence.",
            );
        } else if !by_id {
            table.complain(
                "system_role",
                "Whoever can make or rename a group would become administrator of the app.",
                "Name the group by its id, which nobody can take: group_id = \"…\".",
            );
        } else {
            gives.push((MembershipKind::SystemRole, role.to_owned()));
        }
    }
    if gives.is_empty() && !table.has("team") && !table.has("system_role") {
        table.complain(
            "",
            "It gives nothing.",
            "Add team = \"…\" (with channels, team_admin), or system_role.",
        );
    }
    gives
}

fn is_channel(name: &str) -> bool {
    let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b"-_".contains(&b);
    (1..=64).contains(&name.len()) && name.bytes().all(plain)
}

fn user_name(text: &str) -> Result<String, &'static str> {
    let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b"-_.".contains(&b);
    if (1..=64).contains(&text.len()) && text.bytes().all(plain) {
        Ok(text.to_owned())
    } else {
        Err("it is no user name of Mattermost's")
    }
}
