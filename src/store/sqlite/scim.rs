//! What SCIM connections have put here.

use super::error::is_taken;
use super::row::{many, one, run};
use super::{SqliteStore, trail};
use crate::store::rows::{self, Columns as _};
use crate::store::rules::plain;
use crate::store::scim::sql::{Asked, Bound, Dialect, RESOURCE, count, head, page};
use crate::store::{
    By, Change, Result, SCIM_EXTERNAL_ID, SCIM_NAME, ScimAt, ScimChange, ScimCount, ScimDraft,
    ScimFound, ScimGroupOf, ScimKind, ScimMember, ScimMembers, ScimResource, ScimScalar,
    ScimSearch, ScimStore, ScimWhat, StoreError,
};
use crate::types::{SourceId, Timestamp};
use async_trait::async_trait;
use rusqlite::types::Value;
use rusqlite::{Connection, params, params_from_iter};

#[async_trait]
impl ScimStore for SqliteStore {
    async fn scim_create(
        &self,
        at: ScimAt<'_>,
        draft: &ScimDraft,
        members: &[String],
        now: Timestamp,
        by: &By,
    ) -> Result<ScimResource> {
        let (connection, kind) = (at.connection.clone(), at.kind);
        let (id, draft) = (at.id.to_owned(), draft.clone());
        let (members, by) = (members.to_vec(), by.clone());
        self.write(move |db| create(db, (&connection, kind, &id), &draft, &members, now, &by))
            .await
    }

    async fn scim_update(
        &self,
        read: &ScimResource,
        draft: &ScimDraft,
        members: &ScimMembers,
        now: Timestamp,
        by: &By,
    ) -> Result<ScimResource> {
        let (read, draft) = (read.clone(), draft.clone());
        let (members, by) = (members.clone(), by.clone());
        self.write(move |db| update(db, &read, &draft, &members, now, &by))
            .await
    }

    async fn scim_delete(&self, read: &ScimResource, now: Timestamp, by: &By) -> Result<()> {
        let (read, by) = (read.clone(), by.clone());
        self.write(move |db| delete(db, &read, now, &by)).await
    }

    async fn scim_resource(
        &self,
        connection: &SourceId,
        kind: ScimKind,
        id: &str,
    ) -> Result<Option<ScimResource>> {
        let (connection, id) = (connection.clone(), plain(id).into_owned());
        let found = self.read(move |db| to_tell(db, &connection, &id)).await?;
        Ok(found.filter(|found| found.kind == kind && found.deleted_at.is_none()))
    }

    async fn scim_members(
        &self,
        connection: &SourceId,
        groups: &[String],
    ) -> Result<Vec<ScimMember>> {
        let (connection, groups) = (connection.clone(), rows::json(groups));
        self.read(move |db| {
            let sql = "SELECT m.group_id, m.member, r.kind FROM scim_members m
                 LEFT JOIN scim_resources r ON r.id = m.member AND r.connection = m.connection
                     AND r.deleted_at IS NULL
                 WHERE m.connection = ?1 AND m.group_id IN (SELECT value FROM json_each(?2))
                 ORDER BY m.group_id, m.member";
            many(db, sql, params![connection.as_str(), groups], |row| {
                rows::scim_member(row)
            })
        })
        .await
    }

    async fn scim_groups_of(
        &self,
        connection: &SourceId,
        members: &[String],
    ) -> Result<Vec<ScimGroupOf>> {
        let (connection, members) = (connection.clone(), rows::json(members));
        self.read(move |db| {
            let sql = "WITH RECURSIVE above (member, id, direct) AS (
                     SELECT m.member, m.group_id, 1 FROM scim_members m
                     WHERE m.connection = ?1 AND m.member IN (SELECT value FROM json_each(?2))
                     UNION
                     SELECT a.member, m.group_id, 0 FROM scim_members m
                     JOIN above a ON m.member = a.id WHERE m.connection = ?1)
                 SELECT a.member, a.id, r.external_id, max(a.direct), r.body FROM above a
                 JOIN scim_resources r ON r.id = a.id AND r.connection = ?1
                     AND r.deleted_at IS NULL
                 GROUP BY a.member, a.id ORDER BY a.member, a.id";
            many(db, sql, params![connection.as_str(), members], |row| {
                rows::scim_group_of(row)
            })
        })
        .await
    }

    async fn scim_search(&self, connection: &SourceId, search: &ScimSearch) -> Result<ScimFound> {
        let total = count(Dialect::Sqlite, connection, search);
        let page = (search.limit > 0).then(|| page(Dialect::Sqlite, connection, search));
        self.read(move |db| {
            // Both of one moment. Not kept prepared: clients make up their own statements.
            let tx = db.unchecked_transaction()?;
            let total = ask(&tx, &total, |row| row.int(0))?;
            let resources = match &page {
                Some(page) => ask(&tx, page, |row| rows::scim_resource(row))?,
                None => Vec::new(),
            };
            Ok(ScimFound {
                total: total.first().copied().unwrap_or_default(),
                resources,
            })
        })
        .await
    }

    async fn scim_due(&self, connection: &SourceId, limit: u32) -> Result<Vec<ScimResource>> {
        let connection = connection.clone();
        self.read(move |db| {
            let sql = format!(
                "SELECT {RESOURCE} FROM scim_resources r WHERE r.connection = ?1 AND r.word > r.told
                 ORDER BY r.active AND r.deleted_at IS NULL, r.kind, r.updated_at, r.id LIMIT ?2"
            );
            many(db, &sql, params![connection.as_str(), limit], |row| {
                rows::scim_resource(row)
            })
        })
        .await
    }

    async fn scim_to_tell(&self, connection: &SourceId, id: &str) -> Result<Option<ScimResource>> {
        let (connection, id) = (connection.clone(), plain(id).into_owned());
        self.read(move |db| to_tell(db, &connection, &id)).await
    }

    async fn scim_told(&self, id: &str, word: i64) -> Result<()> {
        let id = id.to_owned();
        self.write(move |db| {
            // What a deleted one said is needed for its last word alone.
            let sql = "UPDATE scim_resources SET told = ?2,
                     body = CASE WHEN deleted_at IS NULL OR word > ?2 THEN body ELSE '{}' END
                 WHERE id = ?1 AND told < ?2";
            run(db, sql, params![id, word])?;
            Ok(())
        })
        .await
    }

    async fn scim_count(&self, connection: &SourceId, since: Timestamp) -> Result<ScimCount> {
        let connection = connection.clone();
        self.read(move |db| {
            let sql = "SELECT
                     coalesce(sum(kind = 'user' AND deleted_at IS NULL AND active), 0),
                     coalesce(sum(kind = 'user' AND deleted_at IS NULL AND NOT active), 0),
                     coalesce(sum(kind = 'group' AND deleted_at IS NULL), 0),
                     coalesce(sum(word > told), 0),
                     coalesce(sum(kind = 'user' AND NOT active AND ended_at >= ?2), 0)
                 FROM scim_resources WHERE connection = ?1";
            let counted = one(db, sql, params![connection.as_str(), since.0], |row| {
                rows::scim_count(row)
            })?;
            Ok(counted.unwrap_or_default())
        })
        .await
    }
}

fn ask<T>(
    db: &Connection,
    asked: &Asked,
    read: impl Fn(&rusqlite::Row<'_>) -> Result<T>,
) -> Result<Vec<T>> {
    let values = asked.values.iter().map(|value| match value {
        Bound::Text(text) => Value::Text(text.clone()),
        Bound::Int(number) => Value::Integer(*number),
    });
    let mut statement = db.prepare(&asked.text)?;
    let mut rows = statement.query(params_from_iter(values))?;
    let mut all = Vec::new();
    while let Some(row) = rows.next()? {
        all.push(read(row)?);
    }
    Ok(all)
}

fn to_tell(db: &Connection, connection: &SourceId, id: &str) -> Result<Option<ScimResource>> {
    let sql =
        format!("SELECT {RESOURCE} FROM scim_resources r WHERE r.id = ?1 AND r.connection = ?2");
    one(db, &sql, params![id, connection.as_str()], |row| {
        rows::scim_resource(row)
    })
}

fn create(
    db: &Connection,
    (connection, kind, id): (&SourceId, ScimKind, &str),
    draft: &ScimDraft,
    members: &[String],
    now: Timestamp,
    by: &By,
) -> Result<ScimResource> {
    let sql =
        "INSERT INTO scim_resources (id, connection, kind, name, external_id, issuer, subject,
             body, active, ended_at, version, word, told, created_at, updated_at)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, 1, 1, 0, ?11, ?11)";
    let made = run(
        db,
        sql,
        params![
            id,
            connection.as_str(),
            kind.as_str(),
            draft.name.as_deref().map(plain),
            draft.external_id.as_deref().map(plain),
            draft.issuer.as_str(),
            draft.subject.as_ref().map(|subject| subject.as_str()),
            plain(&draft.body),
            draft.active,
            (!draft.active).then_some(now.0),
            now.0,
        ],
    );
    made.map_err(taken)?;
    write_values(db, id, draft)?;
    let members = ScimMembers {
        add: members.to_vec(),
        remove: Vec::new(),
    };
    let joined = write_members(db, connection, id, &members)?;
    let change = ScimChange {
        connection,
        kind,
        id,
        what: ScimWhat::Created,
        members: joined,
    };
    trail::append(db, &by.records(&Change::Scim(&change)))?;
    to_tell(db, connection, id)?.ok_or_else(gone)
}

fn update(
    db: &Connection,
    read: &ScimResource,
    draft: &ScimDraft,
    members: &ScimMembers,
    now: Timestamp,
    by: &By,
) -> Result<ScimResource> {
    let sql = "UPDATE scim_resources SET name = ?3, external_id = ?4, issuer = ?5, subject = ?6,
             body = ?7, active = ?8,
             ended_at = CASE WHEN ?8 THEN NULL WHEN active THEN ?9 ELSE ended_at END,
             version = version + 1, word = word + 1, updated_at = max(updated_at, ?9)
         WHERE id = ?1 AND version = ?2 AND deleted_at IS NULL";
    let written = run(
        db,
        sql,
        params![
            read.id,
            read.version,
            draft.name.as_deref().map(plain),
            draft.external_id.as_deref().map(plain),
            draft.issuer.as_str(),
            draft.subject.as_ref().map(|subject| subject.as_str()),
            plain(&draft.body),
            draft.active,
            now.0,
        ],
    );
    if written.map_err(taken)? == 0 {
        return Err(StoreError::Changed);
    }
    run(
        db,
        "DELETE FROM scim_values WHERE resource = ?1",
        [&read.id],
    )?;
    write_values(db, &read.id, draft)?;
    let changed = write_members(db, &read.connection, &read.id, members)?;
    if read.kind == ScimKind::Group && read.external_id != draft.external_id {
        // The directory knows the group by another id from now on.
        due_below(db, &read.connection, &rows::json([&read.id]))?;
    }
    let change = ScimChange {
        connection: &read.connection,
        kind: read.kind,
        id: &read.id,
        what: ScimWhat::of(read.active, draft.active),
        members: changed,
    };
    trail::append(db, &by.records(&Change::Scim(&change)))?;
    to_tell(db, &read.connection, &read.id)?.ok_or_else(gone)
}

fn delete(db: &Connection, read: &ScimResource, now: Timestamp, by: &By) -> Result<()> {
    due_below(db, &read.connection, &rows::json([&read.id]))?;
    let sql = "UPDATE scim_resources SET name = NULL, external_id = NULL, active = 0,
             ended_at = CASE WHEN active THEN ?3 ELSE ended_at END,
             version = version + 1, word = word + 1, updated_at = max(updated_at, ?3),
             deleted_at = ?3
         WHERE id = ?1 AND version = ?2 AND deleted_at IS NULL";
    if run(db, sql, params![read.id, read.version, now.0])? == 0 {
        return Err(StoreError::Changed);
    }
    run(
        db,
        "DELETE FROM scim_values WHERE resource = ?1",
        [&read.id],
    )?;
    let sql = "DELETE FROM scim_members WHERE connection = ?1 AND (group_id = ?2 OR member = ?2)";
    run(db, sql, params![read.connection.as_str(), read.id])?;
    let change = ScimChange {
        connection: &read.connection,
        kind: read.kind,
        id: &read.id,
        what: ScimWhat::Deleted,
        members: (0, 0),
    };
    trail::append(db, &by.records(&Change::Scim(&change)))?;
    Ok(())
}

fn write_values(db: &Connection, id: &str, draft: &ScimDraft) -> Result<()> {
    let sql = "INSERT INTO scim_values (resource, n, attr, element, sub, main, kind, text, head,
             number)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)";
    for (n, value) in (0_i64..).zip(&draft.values) {
        let (kind, text, number) = match &value.value {
            ScimScalar::Text(text) => ("s", Some(plain(text)), None),
            ScimScalar::Number(number) => ("n", None, Some(*number)),
            ScimScalar::Flag(flag) => ("b", None, Some(i64::from(*flag))),
        };
        let found_by = text.as_deref().map(head);
        run(
            db,
            sql,
            params![
                id,
                n,
                plain(&value.attr),
                value.element,
                plain(&value.sub),
                value.main,
                kind,
                text,
                found_by,
                number
            ],
        )?;
    }
    Ok(())
}

/// Writes memberships; gives how many joined and left. Whom that concerns is due.
fn write_members(
    db: &Connection,
    connection: &SourceId,
    group: &str,
    members: &ScimMembers,
) -> Result<(usize, usize)> {
    if members.is_empty() {
        return Ok((0, 0));
    }
    let (mut touched, mut joined, mut left) = (Vec::new(), 0, 0);
    for member in &members.remove {
        let sql = "DELETE FROM scim_members WHERE group_id = ?1 AND member = ?2";
        if run(db, sql, params![group, plain(member)])? > 0 {
            touched.push(plain(member));
            left += 1;
        }
    }
    for member in &members.add {
        let sql = "INSERT INTO scim_members (group_id, member, connection) VALUES (?1, ?2, ?3)
             ON CONFLICT DO NOTHING";
        if run(db, sql, params![group, plain(member), connection.as_str()])? > 0 {
            touched.push(plain(member));
            joined += 1;
        }
    }
    due_below(db, connection, &rows::json(touched))?;
    Ok((joined, left))
}

/// These, and whoever is in one of them that is a group, are due. `ids` is a JSON array.
fn due_below(db: &Connection, connection: &SourceId, ids: &str) -> Result<()> {
    let sql = "WITH RECURSIVE below (id) AS (
             SELECT value FROM json_each(?2)
             UNION
             SELECT m.member FROM scim_members m JOIN below b ON m.group_id = b.id
             WHERE m.connection = ?1)
         UPDATE scim_resources SET word = word + 1
         WHERE connection = ?1 AND deleted_at IS NULL AND id IN (SELECT id FROM below)";
    run(db, sql, params![connection.as_str(), ids])?;
    Ok(())
}

fn taken(error: rusqlite::Error) -> StoreError {
    let external = error.to_string().contains("external_id");
    match is_taken(&error) {
        true if external => StoreError::Taken(SCIM_EXTERNAL_ID),
        true => StoreError::Taken(SCIM_NAME),
        false => error.into(),
    }
}

fn gone() -> StoreError {
    StoreError::Inconsistent("a SCIM resource is gone".into())
}
