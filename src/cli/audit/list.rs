//! `auth-manager audit list`.

use super::kind;
use crate::audit::Kind;
use crate::audit::chain::Hex;
use crate::cli::out::{Table, json, print};
use crate::cli::person;
use crate::cli::stage::Stage;
use crate::config::units::parse_duration;
use crate::store::{TrailFilter, TrailRecord};
use crate::types::{AppId, Timestamp, UserId};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use serde_json::value::RawValue;
use std::collections::BTreeMap;
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// Records a page.
const PAGE: u32 = 1_000;

/// The newest records, oldest of them first.
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct List {
    /// Only about this person: id, sub, e-mail address or user name.
    #[arg(long, value_name = "PERSON")]
    user: Option<String>,
    /// Only about this app.
    #[arg(long)]
    app: Option<AppId>,
    /// Only of this kind, like session.started; may be given several times.
    #[arg(long, value_parser = kind)]
    kind: Vec<Kind>,
    /// Only so long back (24h, 30d), or from a day or moment on (2026-11-24, RFC 3339).
    #[arg(long, value_name = "WHEN")]
    since: Option<String>,
    /// At most so many; 0: all.
    #[arg(long, value_name = "NUMBER", default_value_t = 100)]
    limit: usize,
    /// As JSON; times are seconds since 1970.
    #[arg(long)]
    json: bool,
}

impl List {
    pub(super) async fn run(self, stage: &Stage) -> anyhow::Result<()> {
        let user = match &self.user {
            Some(who) => Some(person::find(stage, who).await?.id),
            None => None,
        };
        let since = match &self.since {
            Some(text) => Some(moment(text, stage.now)?),
            None => None,
        };
        let mut filter = TrailFilter {
            user,
            app: self.app,
            kinds: self.kind.iter().map(|kind| kind.as_str().into()).collect(),
            since,
            before: Some(i64::MAX),
            limit: PAGE,
            ..TrailFilter::default()
        };
        let most = match self.limit {
            0 => usize::MAX,
            n => n,
        };
        let mut records = Vec::new();
        while records.len() < most {
            let page = stage.store.trail(&filter).await?;
            let Some(last) = page.last() else { break };
            filter.before = Some(last.number);
            records.extend(page);
        }
        records.truncate(most);
        records.reverse();
        if self.json {
            let shown: Vec<_> = records.iter().map(Shown::of).collect();
            return json(&shown);
        }
        print(table(stage, &records).await?.text("None."))
    }
}

/// A day, a moment, or so long ago.
fn moment(text: &str, now: Timestamp) -> anyhow::Result<Timestamp> {
    if let Some(ago) = parse_duration(text) {
        return Ok(now - ago);
    }
    let full = match text.len() {
        10 => format!("{text}T00:00:00Z"),
        _ => text.to_owned(),
    };
    match OffsetDateTime::parse(&full, &Rfc3339) {
        Ok(at) => Ok(Timestamp(at.unix_timestamp())),
        Err(_) => {
            anyhow::bail!("--since {text}: write it like 24h, 2026-11-24 or 2026-11-24T08:00:00Z")
        }
    }
}

/// A record as JSON shows it: what it says is not written anew.
#[derive(Serialize)]
struct Shown<'a> {
    number: i64,
    hash: Hex,
    record: Option<&'a RawValue>,
}

impl<'a> Shown<'a> {
    fn of(record: &'a TrailRecord) -> Self {
        Self {
            number: record.number,
            hash: Hex(record.hash),
            record: serde_json::from_str(&record.body).ok(),
        }
    }
}

/// What a table shows of a record, also of one that a newer program wrote.
#[derive(Default, Deserialize)]
#[serde(default)]
struct View {
    actor: BTreeMap<String, String>,
    code: String,
    reason: String,
    client: String,
    detail: BTreeMap<String, Value>,
}

async fn table(stage: &Stage, records: &[TrailRecord]) -> anyhow::Result<Table> {
    let mut names: HashMap<UserId, String> = HashMap::new();
    let mut table = Table::new(&[
        "NUMBER", "TIME", "WHAT", "BY", "PERSON", "APP", "WHY", "MORE",
    ]);
    for record in records {
        if let Some(id) = record.user
            && let Entry::Vacant(unknown) = names.entry(id)
        {
            let user = stage.store.user(id).await?;
            unknown.insert(user.as_ref().map_or_else(|| id.to_string(), person::name));
        }
        let view: View = serde_json::from_str(&record.body).unwrap_or_default();
        let why = match (view.code.as_str(), view.reason.as_str()) {
            (code, "") => code.to_owned(),
            ("", reason) => reason.to_owned(),
            (code, reason) => format!("{code}: {reason}"),
        };
        let mut more: Vec<String> = view
            .detail
            .iter()
            .filter(|(name, _)| name.as_str() != "sections")
            .map(|(name, value)| match value {
                Value::String(text) => format!("{name}={text}"),
                other => format!("{name}={other}"),
            })
            .collect();
        if !view.client.is_empty() {
            more.push(format!("client={}", view.client));
        }
        table.row([
            record.number.to_string(),
            record.at.to_string(),
            record.kind.clone(),
            actor(&view.actor),
            record
                .user
                .and_then(|id| names.get(&id).cloned())
                .unwrap_or_default(),
            record
                .app
                .as_ref()
                .map(ToString::to_string)
                .unwrap_or_default(),
            why,
            more.join(" "),
        ]);
    }
    Ok(table)
}

/// `operator 998 auth-manager (1000 alice)`, `client backup`, `visitor`, `bridge`.
fn actor(actor: &BTreeMap<String, String>) -> String {
    let of = |name: &str| actor.get(name).map_or("", String::as_str);
    match (of("type"), of("id"), of("login")) {
        // Who they are stands in the next column.
        (what @ "visitor", ..) | (what, "", _) => what.to_owned(),
        (what, id, "") => format!("{what} {id}"),
        (what, id, login) => format!("{what} {id} ({login})"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn since_is_so_long_ago_or_a_day_or_a_moment() {
        let now = Timestamp(1_800_000_000);
        assert_eq!(moment("24h", now).unwrap(), Timestamp(1_799_913_600));
        assert_eq!(moment("2026-11-24", now).unwrap(), Timestamp(1_795_478_400));
        assert_eq!(
            moment("2026-11-24T01:00:00+01:00", now).unwrap(),
            Timestamp(1_795_478_400)
        );
        assert!(moment("yesterday", now).is_err());
    }
}
