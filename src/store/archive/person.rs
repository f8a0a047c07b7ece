//! One person's rows: shown whole, or erased.
//!
//! Erasing takes away every row about them that need not stay ([`Erasure`] says which and why). If
//! an operator or a directory has disabled them, their row stays, emptied of all but what names them:
//! without it they would be let in as a stranger at their next sign-in. So does a directory's word that
//! turns them away, with the ids that it is found by.

use super::dump::shown;
use super::load::{int, text};
use super::{Cell, Column, Erasure, Kind, Raw, TABLES, Table};
use crate::store::{Result, StoreError, UserState};
use crate::types::{Timestamp, UserId};

/// The rows of one table that are about a person.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PersonRows {
    /// Of which table.
    pub table: &'static str,
    /// What erasing does to them.
    pub erasure: Erasure,
    /// Columns, without those that are withheld.
    pub columns: Vec<String>,
    /// Values in their order.
    pub rows: Vec<Vec<Cell>>,
}

/// What was erased.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Erased {
    /// Rows that went.
    pub removed: Vec<Removed>,
    /// Whether the row of a disabled person stays, emptied.
    pub stays_disabled: bool,
}

/// How many rows went; of `claims`, answers that were emptied.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Removed {
    /// Of which table.
    pub table: &'static str,
    /// How many.
    pub rows: u64,
}

/// Whom it is about.
struct Person {
    id: UserId,
    issuer: Cell,
    subject: Cell,
    disabled: bool,
}

/// All rows about a person; nothing when there is no such person.
pub(in crate::store) async fn person(raw: &dyn Raw, user: UserId) -> Result<Vec<PersonRows>> {
    let Some(person) = find(raw, user).await? else {
        return Ok(Vec::new());
    };
    let mut all = Vec::new();
    for table in TABLES.iter().filter(|table| table.is_personal()) {
        let columns = raw.columns(table.name).await?;
        if columns.is_empty() {
            continue;
        }
        let (which, values) = about(raw, table, &columns, &person);
        let open: Vec<_> = columns
            .into_iter()
            .filter(|column| !table.withheld.contains(&column.name.as_str()))
            .collect();
        let sql = format!("SELECT {} FROM {} {which}", shown(raw, &open), table.name);
        all.push(PersonRows {
            table: table.name,
            erasure: table.erasure,
            rows: raw.rows(&sql, &values).await?,
            columns: open.into_iter().map(|column| column.name).collect(),
        });
    }
    Ok(all)
}

/// See the module.
pub(in crate::store) async fn erase(
    raw: &dyn Raw,
    user: UserId,
    unclosed: bool,
    now: Timestamp,
) -> Result<Option<Erased>> {
    raw.lock_person(user).await?;
    let Some(person) = find(raw, user).await? else {
        return Ok(None);
    };
    // A session that lives, or that the app was not told of: its token must not get lost.
    let open = match unclosed {
        true => "ended_at IS NULL",
        false => "(ended_at IS NULL OR length(sealed) > 0)",
    };
    let (me, id) = (raw.place(1, Kind::Uuid), (Kind::Uuid, id_of(user)));
    let count = format!("SELECT count(*) FROM sessions WHERE user_id = {me} AND {open}");
    let found = raw.rows(&count, std::slice::from_ref(&id)).await?;
    if found.first().and_then(|row| row.first()?.int()) != Some(0) {
        return Err(StoreError::Changed);
    }
    let mut removed = Vec::new();
    let deleted = |table: &&Table| table.erasure == Erasure::Deletes;
    for table in TABLES.iter().rev().filter(deleted) {
        let columns = raw.columns(table.name).await?;
        if columns.is_empty() || (table.name == "users" && person.disabled) {
            continue;
        }
        let (which, values) = about(raw, table, &columns, &person);
        let but = match table.name {
            "directory_people" => " AND denied_since IS NULL",
            "directory_aliases" => {
                " AND (source, person) NOT IN
                 (SELECT source, id FROM directory_people WHERE denied_since IS NOT NULL)"
            }
            _ => "",
        };
        let sql = format!("DELETE FROM {} {which}{but}", table.name);
        let rows = raw.run(&sql, &values).await?;
        if rows > 0 {
            removed.push(Removed {
                table: table.name,
                rows,
            });
        }
    }
    if person.disabled {
        let sql = format!(
            "UPDATE users SET email = '', email_verified = {}, name = '', username = NULL,
                 locale = NULL, group_names = '[]', state_reason = 'erased' WHERE id = {}",
            raw.place(1, Kind::Flag),
            raw.place(2, Kind::Uuid)
        );
        raw.run(&sql, &[(Kind::Flag, Cell::Int(0)), id.clone()])
            .await?;
    }
    // Answers that are kept for a day, for requests that come twice, and say something of them: the
    // request is still known, so that it does not act again.
    let forget = format!(
        "UPDATE claims SET body = '{{}}', etag = NULL WHERE body LIKE {}",
        raw.place(1, Kind::Text)
    );
    let theirs = text(&format!("%{user}%"));
    let rows = raw.run(&forget, std::slice::from_ref(&theirs)).await?;
    if rows > 0 {
        let table = "claims";
        removed.push(Removed { table, rows });
    }
    let who = [&person.issuer, &person.subject].map(|cell| text(cell.text().unwrap_or_default()));
    let empty = format!(
        "UPDATE directory_people SET email = '', email_verified = {}, name = '', username = '',
             locale = NULL, group_ids = '[]' WHERE issuer = {} AND subject = {}",
        raw.place(1, Kind::Flag),
        raw.place(2, Kind::Text),
        raw.place(3, Kind::Text)
    );
    let [issuer, subject] = who.clone();
    let values = [(Kind::Flag, Cell::Int(0)), issuer, subject];
    let stay = raw.run(&empty, &values).await?;
    let told = stay > 0 || removed.iter().any(|of| of.table == "directory_people");
    // Whoever remembers something of them drops it.
    let next = "UPDATE counters SET value = value + 1 WHERE name = 'log'";
    raw.run(next, &[]).await?;
    let log = format!(
        "INSERT INTO revocations (number, appended_at, what, user_id)
         SELECT value, {}, 'user', {} FROM counters WHERE name = 'log'",
        raw.place(1, Kind::Int),
        raw.place(2, Kind::Uuid)
    );
    raw.run(&log, &[int(now.0), id]).await?;
    if told {
        raw.run(next, &[]).await?;
        let log = format!(
            "INSERT INTO revocations (number, appended_at, what, issuer, subject)
             SELECT value, {}, 'person', {}, {} FROM counters WHERE name = 'log'",
            raw.place(1, Kind::Int),
            raw.place(2, Kind::Text),
            raw.place(3, Kind::Text)
        );
        let [issuer, subject] = who;
        raw.run(&log, &[int(now.0), issuer, subject]).await?;
    }
    raw.commit().await?;
    Ok(Some(Erased {
        removed,
        stays_disabled: person.disabled,
    }))
}

async fn find(raw: &dyn Raw, user: UserId) -> Result<Option<Person>> {
    let sql = format!(
        "SELECT issuer, subject, state FROM users WHERE id = {}",
        raw.place(1, Kind::Uuid)
    );
    let rows = raw.rows(&sql, &[(Kind::Uuid, id_of(user))]).await?;
    let Some(row) = rows.into_iter().next() else {
        return Ok(None);
    };
    let [issuer, subject, state] = <[Cell; 3]>::try_from(row)
        .map_err(|_| StoreError::Inconsistent("a user has other columns".into()))?;
    Ok(Some(Person {
        id: user,
        issuer,
        subject,
        // A word that this version does not know lets nobody in.
        disabled: state
            .text()
            .and_then(UserState::from_word)
            .is_none_or(UserState::denies),
    }))
}

/// The `WHERE` that finds the rows about somebody, and its values.
fn about(
    raw: &dyn Raw,
    table: &Table,
    columns: &[Column],
    person: &Person,
) -> (String, Vec<(Kind, Cell)>) {
    let kind = |name: &str| {
        let found = columns.iter().find(|column| column.name == name);
        found.map_or(Kind::Text, |column| column.kind)
    };
    let (mut ways, mut values) = (Vec::new(), Vec::new());
    if let Some(column) = table.user {
        values.push((kind(column), id_of(person.id)));
        ways.push(format!(
            "{column} = {}",
            raw.place(values.len(), kind(column))
        ));
    }
    if table.subject {
        let n = values.len();
        let who = [&person.issuer, &person.subject];
        values.extend(who.map(|cell| text(cell.text().unwrap_or_default())));
        ways.push(format!(
            "(issuer = {} AND subject = {})",
            raw.place(n + 1, Kind::Text),
            raw.place(n + 2, Kind::Text)
        ));
    }
    (format!("WHERE {}", ways.join(" OR ")), values)
}

fn id_of(user: UserId) -> Cell {
    Cell::Text(user.to_string())
}
