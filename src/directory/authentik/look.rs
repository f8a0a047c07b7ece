//! Whether the token lives on, and may read all that it must.

use super::Authentik;
use super::api::Said;
use super::recent::seconds;
use super::shapes::{Event, MeUser, Token, Version};
use crate::directory::source::{Remark, SourceError};

/// `parents` of groups exist since then.
const OLDEST: (u32, u32) = (2025, 12);

impl Authentik {
    /// What it lacks. An answer that never came is an error; one that refuses is a remark.
    pub(super) async fn remarks(&self) -> Result<Vec<Remark>, SourceError> {
        let mut found = Vec::new();
        let me = match self.me().await {
            Ok(me) => me,
            Err(error @ (SourceError::Credential(_) | SourceError::Permission(_))) => {
                found.push(serious("token", error.to_string()));
                return Ok(found);
            }
            Err(error) => return Err(error),
        };
        self.judge_owner(&me, &mut found);
        self.judge_version(&mut found).await?;
        for (about, seen) in [
            ("permission", self.sees_everybody().await),
            ("permission", self.sees_every_group().await),
        ] {
            match seen {
                Ok(()) => {}
                Err(error) if error.is_transient() => return Err(error),
                Err(error) => {
                    found.push(serious(about, error.to_string()));
                    break;
                }
            }
        }
        match self
            .list::<Event>(&["events", "events"], &[("actions", "model_updated")], 1)
            .await
        {
            Ok(_) => {}
            Err(error) if error.is_transient() => return Err(error),
            Err(_) => found.push(slight(
                "permission",
                "it may not read the event log (view_event): what lost webhooks would have said is \
                 found by sweeps only",
            )),
        }
        self.judge_expiry(&me, &mut found).await?;
        Ok(found)
    }

    pub(super) fn judge_owner(&self, me: &MeUser, found: &mut Vec<Remark>) {
        if me.is_superuser {
            found.push(slight(
                "token",
                "it may do everything in Authentik, and needs to read only: make it one of a \
                 service account with the role that README.md describes",
            ));
        } else if !me.kind.is_empty() && !me.kind.ends_with("service_account") {
            found.push(slight(
                "token",
                "it is a person's: when they leave, nothing is read any more. Make it one of a \
                 service account",
            ));
        }
    }

    async fn judge_version(&self, found: &mut Vec<Remark>) -> Result<(), SourceError> {
        let version = match self.get::<Version>(&["admin", "version"], &[]).await {
            Ok(Said::Found(version)) => version.version_current,
            Ok(Said::None) => return Ok(()),
            Err(error) if error.is_transient() => return Err(error),
            // Not everybody may ask in every version: reading does not depend on it.
            Err(_) => return Ok(()),
        };
        let mut numbers = version.split('.').map(|part| part.parse::<u32>().ok());
        if let (Some(Some(year)), Some(Some(month))) = (numbers.next(), numbers.next())
            && (year, month) < OLDEST
        {
            let text = format!("it is version {year}.{month}; groups have `parents` since 2025.12");
            found.push(serious("version", text));
        }
        Ok(())
    }

    /// A token whose name is configured, or all API tokens of its owner: whoever holds one may look
    /// at their own.
    pub(super) async fn judge_expiry(
        &self,
        me: &MeUser,
        found: &mut Vec<Remark>,
    ) -> Result<(), SourceError> {
        let tokens = match &self.own.token_identifier {
            Some(name) => match self.get::<Token>(&["core", "tokens", name], &[]).await {
                Ok(Said::Found(token)) => vec![token],
                Ok(Said::None) => {
                    let text =
                        format!("there is no token {name:?} of its own: look at token_identifier");
                    found.push(slight("token", text));
                    return Ok(());
                }
                Err(error) if error.is_transient() => return Err(error),
                Err(_) => return Ok(()),
            },
            None => {
                let query = [("user__username", me.username.as_str()), ("intent", "api")];
                match self.list::<Token>(&["core", "tokens"], &query, 1).await {
                    Ok((list, _)) => list.results,
                    Err(error) if error.is_transient() => return Err(error),
                    Err(_) => return Ok(()),
                }
            }
        };
        let one = tokens.len() == 1;
        let now = self.clock.now().0;
        for token in tokens
            .iter()
            .filter(|token| token.expiring && token.intent != "app_password")
        {
            let Some(at) = token.expires.as_deref().and_then(seconds) else {
                continue;
            };
            let warned = i64::try_from(self.config.expiry_warning.as_secs()).unwrap_or(i64::MAX);
            if at - now > warned {
                continue;
            }
            let when = match at - now {
                left if left <= 0 => "has ended".to_owned(),
                left if left < 172_800 => format!("ends in {} h", left / 3_600),
                left => format!("ends in {} days", left / 86_400),
            };
            let which = if one {
                "the token"
            } else {
                "a token of its owner,"
            };
            let text = format!(
                "{which} {:?} {when}: Authentik rotates what expires, so make one that does not \
                 expire, or put a new one into its file in time",
                token.identifier
            );
            found.push(Remark {
                serious: one,
                about: "expiry",
                text,
            });
        }
        Ok(())
    }
}

pub(super) fn serious(about: &'static str, text: String) -> Remark {
    Remark {
        serious: true,
        about,
        text,
    }
}

pub(super) fn slight(about: &'static str, text: impl Into<String>) -> Remark {
    Remark {
        serious: false,
        about,
        text: text.into(),
    }
}
