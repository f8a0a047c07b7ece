//! `auth-manager invitations`: invite people to a directory, see who is invited, take it back. The link
//! is printed once, to standard output and nowhere else.

use super::super::ConfigFile;
use super::super::out::{Table, json, print};
use super::super::stage::{Stage, on_store};
use super::hand_of;
use crate::config::units::parse_duration;
use crate::directory::by_hand::invite::Wish;
use crate::directory::writer::{Invitation, InvitationId, Invitee};
use crate::types::SourceId;
use serde_json::{Value, json};
use std::time::Duration;

/// Invitations of a directory.
#[derive(Debug, clap::Subcommand)]
pub(in crate::cli) enum Invitations {
    /// Invite somebody: prints the link, which is shown once.
    Create(Create),
    /// Those that were not used up.
    List {
        #[command(flatten)]
        at: At,
    },
    /// Take one back: its link opens nothing any more. Whoever enrolled by it stays.
    Revoke {
        /// Its id, as `list` shows it.
        id: InvitationId,
        /// Only say what would be done.
        #[arg(long)]
        dry_run: bool,
        #[command(flatten)]
        at: At,
    },
}

/// What it shall be.
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Create {
    /// What its name in the directory begins with: letters, digits, - _ .
    #[arg(long)]
    label: Option<String>,
    /// What the form begins with; people may write otherwise.
    #[arg(long)]
    email: Option<String>,
    /// The same, their name.
    #[arg(long)]
    name: Option<String>,
    /// The same, their user name.
    #[arg(long)]
    username: Option<String>,
    /// How long it is good for, like 24h or 7d. Default: as configured.
    #[arg(long = "for", value_name = "TIME", value_parser = length)]
    lifetime: Option<Duration>,
    /// Good for several people, where the configuration allows it.
    #[arg(long)]
    reusable: bool,
    /// Only say what would be done.
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    at: At,
}

/// Where, and how it is shown.
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct At {
    /// In this directory; not needed when there is one only.
    #[arg(long, value_name = "DIRECTORY")]
    directory: Option<SourceId>,
    /// As JSON; times are seconds since 1970.
    #[arg(long)]
    json: bool,
}

fn length(text: &str) -> Result<Duration, String> {
    parse_duration(text).ok_or_else(|| "a length of time, like 24h or 7d".to_owned())
}

impl Invitations {
    pub(in crate::cli) fn run(self, file: &ConfigFile) -> anyhow::Result<u8> {
        on_store(file, async |stage| match self {
            Self::Create(create) => create.run(stage).await,
            Self::List { at } => list(stage, &at).await,
            Self::Revoke { id, dry_run, at } => revoke(stage, id, dry_run, &at).await,
        })
    }
}

impl Create {
    async fn run(self, stage: &Stage) -> anyhow::Result<()> {
        if !self.dry_run {
            stage.as_owner()?;
        }
        let wish = Wish {
            source: self.at.directory,
            label: self.label,
            invitee: Invitee {
                email: self.email,
                name: self.name,
                username: self.username,
            },
            lifetime: self.lifetime,
            reusable: self.reusable,
        };
        let hand = hand_of(stage)?;
        let invited = hand.invite(&wish, &stage.witness(), self.dry_run).await?;
        let (name, until) = (&invited.new.name, invited.new.expires_at);
        let Some((invitation, link)) = invited.made else {
            return match self.at.json {
                true => json(&json!({ "dry_run": true, "name": name, "expires_at": until })),
                false => print(format!(
                    "the invitation {name} would be made, good until {until}"
                )),
            };
        };
        match self.at.json {
            true => json(&json!({
                "dry_run": false,
                "invitation": shown(&invitation),
                "link": link.hand_over(),
            })),
            false => print(format!(
                "{} is good until {until}; its link is not shown again:\n{}",
                invitation.name,
                link.hand_over()
            )),
        }
    }
}

async fn list(stage: &Stage, at: &At) -> anyhow::Result<()> {
    let (_, all) = hand_of(stage)?.invitations(at.directory.as_ref()).await?;
    if at.json {
        return json(&all.iter().map(shown).collect::<Vec<_>>());
    }
    let mut table = Table::new(&["ID", "NAME", "E-MAIL", "GOOD UNTIL", "FOR"]);
    for one in &all {
        let until = one.expires_at.map(|at| at.to_string());
        table.row([
            one.id.to_string(),
            one.name.clone(),
            one.invitee.email.clone().unwrap_or_default(),
            until.unwrap_or_else(|| "revoked".to_owned()),
            if one.single_use {
                "one person"
            } else {
                "several"
            }
            .to_owned(),
        ]);
    }
    print(table.text("None."))
}

async fn revoke(stage: &Stage, id: InvitationId, dry_run: bool, at: &At) -> anyhow::Result<()> {
    if !dry_run {
        stage.as_owner()?;
    }
    let (hand, by) = (hand_of(stage)?, stage.witness());
    let directory = at.directory.as_ref();
    let revoked = hand.revoke_invitation(directory, id, &by, dry_run).await?;
    if at.json {
        return json(&json!({ "dry_run": dry_run, "invitation": shown(&revoked) }));
    }
    print(match dry_run {
        true => format!("{} would be revoked", revoked.name),
        false => format!("{} is revoked", revoked.name),
    })
}

fn shown(one: &Invitation) -> Value {
    json!({
        "id": one.id.to_string(),
        "name": one.name,
        "email": one.invitee.email,
        "full_name": one.invitee.name,
        "username": one.invitee.username,
        "expires_at": one.expires_at,
        "single_use": one.single_use,
    })
}
