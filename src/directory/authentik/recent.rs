//! What changed lately, for hints that do not say what: by `last_updated`, and by the event log,
//! which alone knows of somebody who joined a group (difference 35). Both have blind spots (bulk
//! changes, changes without a request): a sweep finds those.

use super::Authentik;
use super::groups::group_id;
use super::shapes::{Event, User};
use crate::directory::source::{Recent, SourceError};
use crate::types::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// So much before the mark is looked at again: transactions end in another order than they begin.
const OVERLAP: i64 = 120;
/// Without a mark, so far back.
const FIRST: i64 = 900;
/// More pages than this are a sweep's business.
const MOST_PAGES: usize = 20;
const ACTIONS: [&str; 4] = [
    "model_created",
    "model_updated",
    "model_deleted",
    "user_write",
];

/// Where the last look ended, in seconds since 1970.
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize)]
#[serde(default)]
struct Mark {
    users: i64,
    events: i64,
}

impl Authentik {
    /// Who and what changed since the mark.
    pub(super) async fn changed_since(&self, mark: Option<&str>) -> Result<Recent, SourceError> {
        let now = self.clock.now().0;
        let mark = mark.and_then(|text| serde_json::from_str::<Mark>(text).ok());
        let mut mark = mark.unwrap_or(Mark {
            users: now - FIRST,
            events: now - FIRST,
        });
        let mut recent = Recent {
            whole: true,
            ..Recent::default()
        };
        let (mut people, mut groups) = (BTreeSet::new(), BTreeSet::new());
        self.saved_since(&mut mark.users, &mut people, &mut recent.whole)
            .await?;
        match self
            .events_since(
                &mut mark.events,
                &mut people,
                &mut groups,
                &mut recent.whole,
            )
            .await
        {
            Ok(()) => {}
            // Without the event log there is no telling who joined what.
            Err(SourceError::Permission(_)) => recent.whole = false,
            Err(other) => return Err(other),
        }
        recent.people = people.into_iter().map(|pk: i64| pk.to_string()).collect();
        recent.groups = groups.into_iter().collect();
        recent.high_water = serde_json::to_string(&mark).ok();
        Ok(recent)
    }

    async fn saved_since(
        &self,
        mark: &mut i64,
        people: &mut BTreeSet<i64>,
        whole: &mut bool,
    ) -> Result<(), SourceError> {
        let since = Timestamp(*mark - OVERLAP).to_string();
        let query = [
            ("last_updated__gt", since.as_str()),
            ("ordering", "last_updated"),
            ("include_groups", "false"),
            ("include_roles", "false"),
        ];
        let mut page = Some(1);
        while let Some(number) = page {
            if number > MOST_PAGES {
                *whole = false;
                break;
            }
            let (list, next) = self
                .list::<User>(&["core", "users"], &query, number)
                .await?;
            for user in list.results {
                people.insert(user.pk);
                let at = user.last_updated.as_deref().and_then(seconds);
                *mark = at.unwrap_or(0).max(*mark);
            }
            page = next;
        }
        Ok(())
    }

    /// The log is newest first and can't be asked from a time on: read until it is older.
    async fn events_since(
        &self,
        mark: &mut i64,
        people: &mut BTreeSet<i64>,
        groups: &mut BTreeSet<String>,
        whole: &mut bool,
    ) -> Result<(), SourceError> {
        let until = *mark - OVERLAP;
        let query: Vec<(&str, &str)> = ACTIONS
            .iter()
            .map(|action| ("actions", *action))
            .chain([("ordering", "-created")])
            .collect();
        let mut page = Some(1);
        while let Some(number) = page {
            if number > MOST_PAGES {
                *whole = false;
                break;
            }
            let (list, next) = self
                .list::<Event>(&["events", "events"], &query, number)
                .await?;
            for event in &list.results {
                let Some(at) = seconds(&event.created) else {
                    continue;
                };
                if at < until {
                    return Ok(());
                }
                *mark = at.max(*mark);
                note(event, people, groups);
            }
            page = next;
        }
        Ok(())
    }

    /// When the newest change happened that a webhook tells of.
    pub(super) async fn newest_event(&self) -> Result<Option<Timestamp>, SourceError> {
        let mut newest = None;
        for model in ["user", "group"] {
            let mut query: Vec<(&str, &str)> = ACTIONS.iter().map(|a| ("actions", *a)).collect();
            query.extend([
                ("context_model_app", "authentik_core"),
                ("context_model_name", model),
                ("ordering", "-created"),
            ]);
            let (list, _) = self.list::<Event>(&["events", "events"], &query, 1).await?;
            let at = list
                .results
                .first()
                .and_then(|event| seconds(&event.created));
            newest = newest.max(at);
        }
        Ok(newest.map(Timestamp))
    }
}

/// Whom and what an event is about. That is a hint and nothing more: anybody with `add_event` can
/// write one (difference 17).
fn note(event: &Event, people: &mut BTreeSet<i64>, groups: &mut BTreeSet<String>) {
    let model = event.context.get("model");
    let of = |key: &str| model.and_then(|model| model.get(key));
    let text = |key: &str| of(key).and_then(|value| value.as_str());
    match (text("app"), text("model_name")) {
        (Some("authentik_core"), Some("user")) => {
            people.extend(of("pk").and_then(serde_json::Value::as_i64));
        }
        (Some("authentik_core"), Some("group")) => {
            groups.extend(text("pk").and_then(|pk| group_id(pk).ok()));
        }
        _ if event.action == "user_write" => {
            people.extend(event.user.get("pk").and_then(serde_json::Value::as_i64));
        }
        _ => {}
    }
}

/// A time of Authentik's, in whole seconds since 1970.
pub(super) fn seconds(text: &str) -> Option<i64> {
    OffsetDateTime::parse(text, &Rfc3339)
        .ok()
        .map(OffsetDateTime::unix_timestamp)
}
