//! What SCIM connections have put here.
//!
//! A resource's row is locked before anything that hangs on it is written, so that two changes of
//! one group come one after the other. What becomes due is locked in the order of ids.

use super::error::taken as constraint;
use super::row::{Value, many, one, run};
use super::{PostgresStore, bounded, trail};
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
use deadpool_postgres::{GenericClient, Transaction};
use tokio_postgres::types::ToSql;
use tokio_postgres::{IsolationLevel, Row};

#[async_trait]
impl ScimStore for PostgresStore {
    async fn scim_create(
        &self,
        at: ScimAt<'_>,
        draft: &ScimDraft,
        members: &[String],
        now: Timestamp,
        by: &By,
    ) -> Result<ScimResource> {
        bounded(async {
            let mut client = self.client().await?;
            let tx = client.transaction().await?;
            let made = create(
                &tx,
                (at.connection, at.kind, at.id),
                draft,
                members,
                now,
                by,
            )
            .await?;
            tx.commit().await?;
            Ok(made)
        })
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
        bounded(async {
            let mut client = self.client().await?;
            let tx = client.transaction().await?;
            let written = update(&tx, read, draft, members, now, by).await?;
            tx.commit().await?;
            Ok(written)
        })
        .await
    }

    async fn scim_delete(&self, read: &ScimResource, now: Timestamp, by: &By) -> Result<()> {
        bounded(async {
            let mut client = self.client().await?;
            let tx = client.transaction().await?;
            delete(&tx, read, now, by).await?;
            tx.commit().await?;
            Ok(())
        })
        .await
    }

    async fn scim_resource(
        &self,
        connection: &SourceId,
        kind: ScimKind,
        id: &str,
    ) -> Result<Option<ScimResource>> {
        let found = self.scim_to_tell(connection, id).await?;
        Ok(found.filter(|found| found.kind == kind && found.deleted_at.is_none()))
    }

    async fn scim_members(
        &self,
        connection: &SourceId,
        groups: &[String],
    ) -> Result<Vec<ScimMember>> {
        let sql = "SELECT m.group_id, m.member, r.kind FROM scim_members m
             LEFT JOIN scim_resources r ON r.id = m.member AND r.connection = m.connection
                 AND r.deleted_at IS NULL
             WHERE m.connection = $1 AND m.group_id = ANY ($2)
             ORDER BY m.group_id, m.member";
        bounded(async {
            let values: &[Value<'_>] = &[&connection.as_str(), &groups];
            many(&self.client().await?, sql, values, rows::scim_member).await
        })
        .await
    }

    async fn scim_groups_of(
        &self,
        connection: &SourceId,
        members: &[String],
    ) -> Result<Vec<ScimGroupOf>> {
        let sql = "WITH RECURSIVE above (member, id, direct) AS (
                 SELECT m.member, m.group_id, 1::bigint FROM scim_members m
                 WHERE m.connection = $1 AND m.member = ANY ($2)
                 UNION
                 SELECT a.member, m.group_id, 0::bigint FROM scim_members m
                 JOIN above a ON m.member = a.id WHERE m.connection = $1)
             SELECT a.member, a.id, r.external_id, max(a.direct), r.body FROM above a
             JOIN scim_resources r ON r.id = a.id AND r.connection = $1 AND r.deleted_at IS NULL
             GROUP BY a.member, a.id, r.external_id, r.body ORDER BY a.member, a.id";
        bounded(async {
            let values: &[Value<'_>] = &[&connection.as_str(), &members];
            many(&self.client().await?, sql, values, rows::scim_group_of).await
        })
        .await
    }

    async fn scim_search(&self, connection: &SourceId, search: &ScimSearch) -> Result<ScimFound> {
        let total = count(Dialect::Postgres, connection, search);
        let page = (search.limit > 0).then(|| page(Dialect::Postgres, connection, search));
        bounded(async {
            let mut client = self.client().await?;
            // Both of one moment.
            let tx = client
                .build_transaction()
                .isolation_level(IsolationLevel::RepeatableRead)
                .read_only(true)
                .start()
                .await?;
            let total = ask(&tx, &total, |row| row.int(0)).await?;
            let resources = match &page {
                Some(page) => ask(&tx, page, rows::scim_resource).await?,
                None => Vec::new(),
            };
            tx.commit().await?;
            Ok(ScimFound {
                total: total.first().copied().unwrap_or_default(),
                resources,
            })
        })
        .await
    }

    async fn scim_due(&self, connection: &SourceId, limit: u32) -> Result<Vec<ScimResource>> {
        let sql = format!(
            "SELECT {RESOURCE} FROM scim_resources r WHERE r.connection = $1 AND r.word > r.told
             ORDER BY r.active AND r.deleted_at IS NULL, r.kind, r.updated_at, r.id LIMIT $2"
        );
        let limit = i64::from(limit);
        bounded(async {
            let values: &[Value<'_>] = &[&connection.as_str(), &limit];
            many(&self.client().await?, &sql, values, rows::scim_resource).await
        })
        .await
    }

    async fn scim_to_tell(&self, connection: &SourceId, id: &str) -> Result<Option<ScimResource>> {
        bounded(async { to_tell(&self.client().await?, connection, id).await }).await
    }

    async fn scim_told(&self, id: &str, word: i64) -> Result<()> {
        // What a deleted one said is needed for its last word alone.
        let sql = "UPDATE scim_resources SET told = $2,
                 body = CASE WHEN deleted_at IS NULL OR word > $2 THEN body ELSE '{}' END
             WHERE id = $1 AND told < $2";
        bounded(async {
            run(&self.client().await?, sql, &[&id, &word]).await?;
            Ok(())
        })
        .await
    }

    async fn scim_count(&self, connection: &SourceId, since: Timestamp) -> Result<ScimCount> {
        let sql = "SELECT
                 count(*) FILTER (WHERE kind = 'user' AND deleted_at IS NULL AND active),
                 count(*) FILTER (WHERE kind = 'user' AND deleted_at IS NULL AND NOT active),
                 count(*) FILTER (WHERE kind = 'group' AND deleted_at IS NULL),
                 count(*) FILTER (WHERE word > told),
                 count(*) FILTER (WHERE kind = 'user' AND NOT active AND ended_at >= $2)
             FROM scim_resources WHERE connection = $1";
        bounded(async {
            let values: &[Value<'_>] = &[&connection.as_str(), &since.0];
            let counted = one(&self.client().await?, sql, values, rows::scim_count).await?;
            Ok(counted.unwrap_or_default())
        })
        .await
    }
}

/// Not kept prepared: clients make up their own statements.
async fn ask<T>(
    tx: &Transaction<'_>,
    asked: &Asked,
    read: fn(&Row) -> Result<T>,
) -> Result<Vec<T>> {
    let values = asked.values.iter().map(|value| match value {
        Bound::Text(text) => text as &(dyn ToSql + Sync),
        Bound::Int(number) => number as &(dyn ToSql + Sync),
    });
    let values: Vec<_> = values.collect();
    let rows = tx.query(asked.text.as_str(), &values).await?;
    rows.iter().map(read).collect()
}

async fn to_tell(
    db: &impl GenericClient,
    connection: &SourceId,
    id: &str,
) -> Result<Option<ScimResource>> {
    let sql =
        format!("SELECT {RESOURCE} FROM scim_resources r WHERE r.id = $1 AND r.connection = $2");
    let values: &[Value<'_>] = &[&plain(id), &connection.as_str()];
    one(db, &sql, values, rows::scim_resource).await
}

async fn create(
    tx: &Transaction<'_>,
    (connection, kind, id): (&SourceId, ScimKind, &str),
    draft: &ScimDraft,
    members: &[String],
    now: Timestamp,
    by: &By,
) -> Result<ScimResource> {
    let sql =
        "INSERT INTO scim_resources (id, connection, kind, name, external_id, issuer, subject,
             body, active, ended_at, version, word, told, created_at, updated_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, 1, 1, 0, $11, $11)";
    let made = run(
        tx,
        sql,
        &[
            &id,
            &connection.as_str(),
            &kind.as_str(),
            &draft.name.as_deref().map(plain),
            &draft.external_id.as_deref().map(plain),
            &draft.issuer.as_str(),
            &draft.subject.as_ref().map(|subject| subject.as_str()),
            &plain(&draft.body),
            &draft.active,
            &(!draft.active).then_some(now.0),
            &now.0,
        ],
    )
    .await;
    made.map_err(taken)?;
    write_values(tx, id, draft).await?;
    let members = ScimMembers {
        add: members.to_vec(),
        remove: Vec::new(),
    };
    let joined = write_members(tx, connection, id, &members).await?;
    let change = ScimChange {
        connection,
        kind,
        id,
        what: ScimWhat::Created,
        members: joined,
    };
    trail::append(tx, &by.records(&Change::Scim(&change))).await?;
    to_tell(tx, connection, id).await?.ok_or_else(gone)
}

async fn update(
    tx: &Transaction<'_>,
    read: &ScimResource,
    draft: &ScimDraft,
    members: &ScimMembers,
    now: Timestamp,
    by: &By,
) -> Result<ScimResource> {
    let sql = "UPDATE scim_resources SET name = $3, external_id = $4, issuer = $5, subject = $6,
             body = $7, active = $8,
             ended_at = CASE WHEN $8 THEN NULL WHEN active THEN $9 ELSE ended_at END,
             version = version + 1, word = word + 1, updated_at = greatest(updated_at, $9)
         WHERE id = $1 AND version = $2 AND deleted_at IS NULL";
    let written = run(
        tx,
        sql,
        &[
            &read.id,
            &read.version,
            &draft.name.as_deref().map(plain),
            &draft.external_id.as_deref().map(plain),
            &draft.issuer.as_str(),
            &draft.subject.as_ref().map(|subject| subject.as_str()),
            &plain(&draft.body),
            &draft.active,
            &now.0,
        ],
    )
    .await;
    if written.map_err(taken)? == 0 {
        return Err(StoreError::Changed);
    }
    let sql = "DELETE FROM scim_values WHERE resource = $1";
    run(tx, sql, &[&read.id]).await?;
    write_values(tx, &read.id, draft).await?;
    let changed = write_members(tx, &read.connection, &read.id, members).await?;
    if read.kind == ScimKind::Group && read.external_id != draft.external_id {
        // The directory knows the group by another id from now on.
        due_below(tx, &read.connection, std::slice::from_ref(&read.id)).await?;
    }
    let change = ScimChange {
        connection: &read.connection,
        kind: read.kind,
        id: &read.id,
        what: ScimWhat::of(read.active, draft.active),
        members: changed,
    };
    trail::append(tx, &by.records(&Change::Scim(&change))).await?;
    let written = to_tell(tx, &read.connection, &read.id).await?;
    written.ok_or_else(gone)
}

async fn delete(tx: &Transaction<'_>, read: &ScimResource, now: Timestamp, by: &By) -> Result<()> {
    let sql = "UPDATE scim_resources SET name = NULL, external_id = NULL, active = false,
             ended_at = CASE WHEN active THEN $3 ELSE ended_at END,
             version = version + 1, word = word + 1, updated_at = greatest(updated_at, $3),
             deleted_at = $3
         WHERE id = $1 AND version = $2 AND deleted_at IS NULL";
    if run(tx, sql, &[&read.id, &read.version, &now.0]).await? == 0 {
        return Err(StoreError::Changed);
    }
    due_below(tx, &read.connection, std::slice::from_ref(&read.id)).await?;
    let sql = "DELETE FROM scim_values WHERE resource = $1";
    run(tx, sql, &[&read.id]).await?;
    let sql = "DELETE FROM scim_members WHERE connection = $1 AND (group_id = $2 OR member = $2)";
    run(tx, sql, &[&read.connection.as_str(), &read.id]).await?;
    let change = ScimChange {
        connection: &read.connection,
        kind: read.kind,
        id: &read.id,
        what: ScimWhat::Deleted,
        members: (0, 0),
    };
    trail::append(tx, &by.records(&Change::Scim(&change))).await?;
    Ok(())
}

async fn write_values(tx: &Transaction<'_>, id: &str, draft: &ScimDraft) -> Result<()> {
    let values = &draft.values;
    let attrs: Vec<_> = values.iter().map(|v| plain(&v.attr)).collect();
    let elements: Vec<_> = values.iter().map(|v| v.element).collect();
    let subs: Vec<_> = values.iter().map(|v| plain(&v.sub)).collect();
    let mains: Vec<_> = values.iter().map(|v| v.main).collect();
    let kinds: Vec<_> = (values.iter())
        .map(|v| match v.value {
            ScimScalar::Text(_) => "s",
            ScimScalar::Number(_) => "n",
            ScimScalar::Flag(_) => "b",
        })
        .collect();
    let texts: Vec<_> = (values.iter())
        .map(|v| match &v.value {
            ScimScalar::Text(text) => Some(plain(text)),
            _ => None,
        })
        .collect();
    let heads: Vec<_> = texts.iter().map(|t| t.as_deref().map(head)).collect();
    let numbers: Vec<_> = (values.iter())
        .map(|v| match v.value {
            ScimScalar::Text(_) => None,
            ScimScalar::Number(number) => Some(number),
            ScimScalar::Flag(flag) => Some(i64::from(flag)),
        })
        .collect();
    let sql = "INSERT INTO scim_values (resource, n, attr, element, sub, main, kind, text, head,
             number)
         SELECT $1, n, attr, element, sub, main, kind, text, head, number
         FROM unnest($2::text[], $3::bigint[], $4::text[], $5::boolean[], $6::text[], $7::text[],
             $8::text[], $9::bigint[])
         WITH ORDINALITY AS v (attr, element, sub, main, kind, text, head, number, n)";
    let bound: &[Value<'_>] = &[
        &id, &attrs, &elements, &subs, &mains, &kinds, &texts, &heads, &numbers,
    ];
    run(tx, sql, bound).await?;
    Ok(())
}

/// Writes memberships; gives how many joined and left. Whom that concerns is due.
async fn write_members(
    tx: &Transaction<'_>,
    connection: &SourceId,
    group: &str,
    members: &ScimMembers,
) -> Result<(usize, usize)> {
    if members.is_empty() {
        return Ok((0, 0));
    }
    let plain_all = |all: &[String]| -> Vec<String> {
        all.iter()
            .map(|member| plain(member).into_owned())
            .collect()
    };
    let id = |row: &Row| row.text(0);
    let sql = "DELETE FROM scim_members WHERE group_id = $1 AND member = ANY ($2) RETURNING member";
    let left = many(tx, sql, &[&group, &plain_all(&members.remove)], id).await?;
    let sql = "INSERT INTO scim_members (group_id, member, connection)
         SELECT $1, member, $3 FROM unnest($2::text[]) AS m (member)
         ON CONFLICT DO NOTHING RETURNING member";
    let values: &[Value<'_>] = &[&group, &plain_all(&members.add), &connection.as_str()];
    let joined = many(tx, sql, values, id).await?;
    let counts = (joined.len(), left.len());
    let touched: Vec<String> = joined.into_iter().chain(left).collect();
    due_below(tx, connection, &touched).await?;
    Ok(counts)
}

/// These, and whoever is in one of them that is a group, are due.
async fn due_below(tx: &Transaction<'_>, connection: &SourceId, ids: &[String]) -> Result<()> {
    let sql = "WITH RECURSIVE below (id) AS (
             SELECT unnest($2::text[]) COLLATE \"C\"
             UNION
             SELECT m.member FROM scim_members m JOIN below b ON m.group_id = b.id
             WHERE m.connection = $1),
         meant AS (
             SELECT r.id FROM scim_resources r
             WHERE r.connection = $1 AND r.deleted_at IS NULL AND r.id IN (SELECT id FROM below)
             ORDER BY r.id FOR UPDATE)
         UPDATE scim_resources SET word = word + 1 WHERE id IN (SELECT id FROM meant)";
    run(tx, sql, &[&connection.as_str(), &ids]).await?;
    Ok(())
}

fn taken(error: tokio_postgres::Error) -> StoreError {
    match constraint(&error) {
        Some("scim_resources_external_id") => StoreError::Taken(SCIM_EXTERNAL_ID),
        Some(_) => StoreError::Taken(SCIM_NAME),
        None => error.into(),
    }
}

fn gone() -> StoreError {
    StoreError::Inconsistent("a SCIM resource is gone".into())
}
