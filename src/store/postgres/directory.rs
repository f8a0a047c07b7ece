//! What directories say of people and groups.
//!
//! A row of these tables is locked before anything that `users::lock` names; nobody takes one later.

use super::row::{Conditions, many, one, run};
use super::{PostgresStore, bounded, revocations, trail};
use crate::store::directory::Next;
use crate::store::rows::{self, Columns as _, GROUP, WORD};
use crate::store::rules::limit;
use crate::store::{
    By, Change, DirectoryGroup, DirectoryStore, Person, PersonFilter, Put, Result, Revoked, SaidOf,
    SourceState, StoreError, Word,
};
use crate::types::{IssuerId, SourceId, Subject, Timestamp, UserId};
use async_trait::async_trait;
use deadpool_postgres::{GenericClient, Pool, Transaction};
use std::collections::HashMap;

#[async_trait]
impl DirectoryStore for PostgresStore {
    async fn put_person(&self, person: &Person, now: Timestamp, by: &By) -> Result<Put> {
        bounded(put(&self.pool, &self.channel, person, now, by)).await
    }

    async fn person(&self, source: &SourceId, id: &str) -> Result<Option<Person>> {
        let word = bounded(async { word(&self.client().await?, source, id).await }).await?;
        Ok(word.map(|word| word.person))
    }

    async fn person_by_alias(&self, source: &SourceId, alias: &str) -> Result<Option<Person>> {
        bounded(async { by_alias(&self.client().await?, source, alias).await }).await
    }

    async fn said_of(&self, whom: &[(IssuerId, Subject)]) -> Result<Vec<SaidOf>> {
        bounded(async { said_of(&self.client().await?, whom).await }).await
    }

    async fn settle(&self, words: &[Word]) -> Result<()> {
        bounded(async { settle(&self.client().await?, words).await }).await
    }

    async fn words(&self, filter: &PersonFilter) -> Result<Vec<Word>> {
        bounded(page(&self.pool, filter)).await
    }

    async fn forget_person(
        &self,
        source: &SourceId,
        id: &str,
        now: Timestamp,
        by: &By,
    ) -> Result<()> {
        bounded(forget(&self.pool, &self.channel, (source, id), now, by)).await
    }

    async fn put_group(
        &self,
        group: &DirectoryGroup,
        now: Timestamp,
    ) -> Result<Option<Option<DirectoryGroup>>> {
        bounded(put_group(&self.pool, &self.channel, group, now)).await
    }

    async fn groups(&self, source: &SourceId) -> Result<Vec<DirectoryGroup>> {
        let sql = format!("SELECT {GROUP} FROM directory_groups WHERE source = $1 ORDER BY id");
        let source = source.as_str();
        bounded(async { many(&self.client().await?, &sql, &[&source], rows::group).await }).await
    }

    async fn all_groups(&self) -> Result<Vec<DirectoryGroup>> {
        let sql = format!("SELECT {GROUP} FROM directory_groups ORDER BY source, id");
        bounded(async { many(&self.client().await?, &sql, &[], rows::group).await }).await
    }

    async fn source_state(&self, source: &SourceId) -> Result<SourceState> {
        bounded(async { state(&self.client().await?, source, "").await }).await
    }

    async fn source_states(&self) -> Result<Vec<(SourceId, SourceState)>> {
        let sql = "SELECT source, state FROM directory_sources ORDER BY source";
        bounded(async { many(&self.client().await?, sql, &[], rows::source_state).await }).await
    }

    async fn put_source_state(&self, source: &SourceId, state: &SourceState) -> Result<()> {
        let after = |before: &SourceState| state.after(before);
        bounded(put_state(&self.pool, &self.channel, source, after)).await
    }

    async fn heard(&self, source: &SourceId, at: Timestamp, tested: bool) -> Result<()> {
        let after = |before: &SourceState| before.having_heard(at, tested);
        bounded(put_state(&self.pool, &self.channel, source, after)).await
    }
}

async fn word(db: &impl GenericClient, source: &SourceId, id: &str) -> Result<Option<Word>> {
    let sql = format!("SELECT {WORD} FROM directory_people WHERE source = $1 AND id = $2");
    one(db, &sql, &[&source.as_str(), &id], rows::word_of).await
}

/// The word, and nobody else writes one about this person until the transaction ends.
async fn locked(tx: &Transaction<'_>, source: &SourceId, id: &str) -> Result<Option<Word>> {
    hold(tx, "person", source, id).await?;
    word(tx, source, id).await
}

/// Holds a row that may not be there yet: by a lock of its name.
async fn hold(tx: &Transaction<'_>, what: &str, source: &SourceId, id: &str) -> Result<()> {
    let name = format!("directory/{what}/{source}/{id}");
    run(
        tx,
        "SELECT pg_advisory_xact_lock(hashtextextended(current_schema() || $1, 0))",
        &[&name],
    )
    .await?;
    Ok(())
}

async fn by_alias(
    db: &impl GenericClient,
    source: &SourceId,
    alias: &str,
) -> Result<Option<Person>> {
    let sql = "SELECT person FROM directory_aliases WHERE source = $1 AND alias = $2 LIMIT 2";
    let ids = many(db, sql, &[&source.as_str(), &alias], |row| row.text(0)).await?;
    match ids.as_slice() {
        [id] => Ok(word(db, source, id).await?.map(|word| word.person)),
        _ => Ok(None),
    }
}

/// In two statements, whoever many are asked about.
async fn said_of(db: &impl GenericClient, whom: &[(IssuerId, Subject)]) -> Result<Vec<SaidOf>> {
    let issuers: Vec<_> = whom.iter().map(|(issuer, _)| issuer.as_str()).collect();
    let subjects: Vec<_> = whom.iter().map(|(_, subject)| subject.as_str()).collect();
    let words = many(
        db,
        &format!(
            "SELECT {WORD} FROM directory_people
             WHERE (issuer, subject) IN (SELECT * FROM unnest($1::text[], $2::text[]))
             ORDER BY source, id"
        ),
        &[&issuers, &subjects],
        rows::word_of,
    )
    .await?;
    let pardons = many(
        db,
        "SELECT issuer, subject, state_since FROM users
         WHERE (issuer, subject) IN (SELECT * FROM unnest($1::text[], $2::text[]))
             AND state = 'active' AND state_by = 'operator'",
        &[&issuers, &subjects],
        |row| Ok((row.text(0)?, row.text(1)?, Timestamp(row.int(2)?))),
    )
    .await?;
    let mut all: HashMap<(String, String), (Vec<Word>, Option<Timestamp>)> = HashMap::new();
    for word in words {
        let of = word.person.subject.as_ref().map(ToString::to_string);
        let key = (word.person.issuer.to_string(), of.unwrap_or_default());
        all.entry(key).or_default().0.push(word);
    }
    for (issuer, subject, at) in pardons {
        all.entry((issuer, subject)).or_default().1 = Some(at);
    }
    let said = |(issuer, subject): &(IssuerId, Subject)| {
        let key = (issuer.to_string(), subject.to_string());
        let (words, pardoned_at) = all.get(&key).cloned().unwrap_or_default();
        SaidOf {
            issuer: issuer.clone(),
            subject: subject.clone(),
            words,
            pardoned_at,
        }
    };
    Ok(whom.iter().map(said).collect())
}

async fn settle(db: &impl GenericClient, words: &[Word]) -> Result<()> {
    for (source, id, number) in words.iter().map(rows::word_key) {
        run(
            db,
            "UPDATE directory_people SET settled = true
             WHERE source = $1 AND id = $2 AND number = $3",
            &[&source, &id, &number],
        )
        .await?;
    }
    Ok(())
}

async fn page(pool: &Pool, filter: &PersonFilter) -> Result<Vec<Word>> {
    let mut conditions = Conditions::default();
    if let Some(source) = &filter.source {
        conditions.with("source = ?", source.as_str().to_owned());
    }
    if let Some(group) = &filter.group {
        conditions.with("strpos(group_ids, ?) > 0", rows::json_text(group));
    }
    if let Some(before) = filter.read_before {
        conditions.with("read_at < ?", before.0);
    }
    if filter.present {
        conditions.plain("gone_at IS NULL");
    }
    if filter.unsettled {
        conditions.plain("NOT settled");
    }
    if let Some((source, id)) = &filter.after {
        let (source, id) = (source.as_str().to_owned(), id.clone());
        conditions.with_both("(source, id) > (?, ?)", source, id);
    }
    let (clause, limit) = (conditions.clause(), limit(filter.limit));
    let sql =
        format!("SELECT {WORD} FROM directory_people {clause} ORDER BY source, id LIMIT {limit}");
    many(
        &pool.get().await?,
        &sql,
        &conditions.values(),
        rows::word_of,
    )
    .await
}

async fn put(pool: &Pool, channel: &str, said: &Person, now: Timestamp, by: &By) -> Result<Put> {
    let mut client = pool.get().await?;
    let tx = client.transaction().await?;
    let before = locked(&tx, &said.source, &said.id).await?;
    let after = match Word::after(before.as_ref(), said, now) {
        Next::Says(after) => after,
        Next::Older => return Ok(Put::Older),
        Next::Same => {
            run(
                &tx,
                "UPDATE directory_people SET read_at = $3 WHERE source = $1 AND id = $2",
                &[&said.source.as_str(), &said.id, &said.read_at.0],
            )
            .await?;
            tx.commit().await?;
            return Ok(Put::Same);
        }
    };
    write(&tx, &after).await?;
    let before = before.map(|word| word.person);
    tell(
        &tx,
        channel,
        (before.as_ref(), Some(&after.person)),
        now,
        by,
    )
    .await?;
    tx.commit().await?;
    Ok(Put::Changed(before.map(Box::new)))
}

async fn write(tx: &Transaction<'_>, word: &Word) -> Result<()> {
    let (p, denied_since) = (&word.person, word.denied_since);
    let subject = p.subject.as_ref().map(Subject::as_str);
    let sql = format!(
        "INSERT INTO directory_people ({WORD})
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17,
             $18)
         ON CONFLICT (source, id) DO UPDATE SET
             aliases = excluded.aliases, issuer = excluded.issuer, subject = excluded.subject,
             username = excluded.username, name = excluded.name, email = excluded.email,
             email_verified = excluded.email_verified, locale = excluded.locale,
             active = excluded.active, human = excluded.human, group_ids = excluded.group_ids,
             read_at = excluded.read_at, gone_at = excluded.gone_at,
             denied_since = excluded.denied_since, number = excluded.number,
             settled = excluded.settled"
    );
    run(
        tx,
        &sql,
        &[
            &p.source.as_str(),
            &p.id,
            &rows::json(&p.aliases),
            &p.issuer.as_str(),
            &subject,
            &p.username,
            &p.name,
            &p.email,
            &p.email_verified,
            &p.locale,
            &p.active,
            &p.human,
            &rows::json(&p.groups),
            &p.read_at.0,
            &p.gone_at.map(|at| at.0),
            &denied_since.map(|at| at.0),
            &word.number,
            &word.settled,
        ],
    )
    .await?;
    forget_aliases(tx, &p.source, &p.id).await?;
    for alias in &p.aliases {
        run(
            tx,
            "INSERT INTO directory_aliases (source, alias, person, issuer, subject)
             VALUES ($1, $2, $3, $4, $5)",
            &[
                &p.source.as_str(),
                alias,
                &p.id,
                &p.issuer.as_str(),
                &subject,
            ],
        )
        .await?;
    }
    Ok(())
}

async fn forget_aliases(tx: &Transaction<'_>, source: &SourceId, id: &str) -> Result<()> {
    let sql = "DELETE FROM directory_aliases WHERE source = $1 AND person = $2";
    run(tx, sql, &[&source.as_str(), &id]).await?;
    Ok(())
}

/// Log and trail of what became of a word: before and after.
async fn tell(
    tx: &Transaction<'_>,
    channel: &str,
    (before, after): (Option<&Person>, Option<&Person>),
    now: Timestamp,
    by: &By,
) -> Result<()> {
    let whom = after.or(before);
    let whom = whom.and_then(|p| Some((p.issuer.as_str(), p.subject.as_ref()?.as_str())));
    let user = match whom {
        Some((issuer, subject)) => {
            one(
                tx,
                "SELECT id FROM users WHERE issuer = $1 AND subject = $2",
                &[&issuer, &subject],
                |row| row.uuid(0).map(UserId),
            )
            .await?
        }
        None => None,
    };
    let of =
        |(issuer, subject): (&IssuerId, &Subject)| Revoked::Person(issuer.clone(), subject.clone());
    let what: Vec<_> = rows::subjects(before, after).map(of).collect();
    revocations::append(tx, channel, &what, None, now).await?;
    trail::append(tx, &by.records(&Change::Word(before, after, user))).await?;
    Ok(())
}

async fn forget(
    pool: &Pool,
    channel: &str,
    (source, id): (&SourceId, &str),
    now: Timestamp,
    by: &By,
) -> Result<()> {
    let mut client = pool.get().await?;
    let tx = client.transaction().await?;
    let Some(before) = locked(&tx, source, id).await? else {
        return Ok(());
    };
    forget_aliases(&tx, source, id).await?;
    let sql = "DELETE FROM directory_people WHERE source = $1 AND id = $2";
    run(&tx, sql, &[&source.as_str(), &id]).await?;
    tell(&tx, channel, (Some(&before.person), None), now, by).await?;
    tx.commit().await?;
    Ok(())
}

async fn put_group(
    pool: &Pool,
    channel: &str,
    said: &DirectoryGroup,
    now: Timestamp,
) -> Result<Option<Option<DirectoryGroup>>> {
    let mut client = pool.get().await?;
    let tx = client.transaction().await?;
    hold(&tx, "group", &said.source, &said.id).await?;
    let sql = format!("SELECT {GROUP} FROM directory_groups WHERE source = $1 AND id = $2");
    let before = one(&tx, &sql, &[&said.source.as_str(), &said.id], rows::group).await?;
    let group = said.as_kept(before.as_ref());
    let nothing_new = before.as_ref().is_some_and(|b| group.adds_nothing(b, now));
    let newer = before.as_ref().is_none_or(|b| !group.is_older(b, now));
    if newer {
        run(
            &tx,
            &format!(
                "INSERT INTO directory_groups ({GROUP}) VALUES ($1, $2, $3, $4, $5, $6)
                 ON CONFLICT (source, id) DO UPDATE SET name = excluded.name,
                     parents = excluded.parents, read_at = excluded.read_at,
                     gone_at = excluded.gone_at"
            ),
            &[
                &group.source.as_str(),
                &group.id,
                &group.name,
                &rows::json(&group.parents),
                &group.read_at.0,
                &group.gone_at.map(|at| at.0),
            ],
        )
        .await?;
    }
    if !nothing_new {
        run(
            &tx,
            "UPDATE directory_people SET settled = false, number = number + 1
             WHERE source = $1 AND strpos(group_ids, $2) > 0",
            &[&group.source.as_str(), &rows::json_text(&group.id)],
        )
        .await?;
        revocations::append(&tx, channel, &[Revoked::Groups], None, now).await?;
    }
    tx.commit().await?;
    Ok((!nothing_new).then_some(before))
}

async fn state(db: &impl GenericClient, source: &SourceId, lock: &str) -> Result<SourceState> {
    let sql = format!("SELECT source, state FROM directory_sources WHERE source = $1 {lock}");
    let found = one(db, &sql, &[&source.as_str()], rows::source_state).await?;
    Ok(found.map(|(_, state)| state).unwrap_or_default())
}

async fn put_state(
    pool: &Pool,
    channel: &str,
    source: &SourceId,
    change: impl Fn(&SourceState) -> SourceState,
) -> Result<()> {
    let mut client = pool.get().await?;
    let tx = client.transaction().await?;
    let none = rows::source_text(&SourceState::default());
    run(
        &tx,
        "INSERT INTO directory_sources (source, state) VALUES ($1, $2)
         ON CONFLICT (source) DO NOTHING",
        &[&source.as_str(), &none],
    )
    .await?;
    let before = state(&tx, source, "FOR UPDATE").await?;
    let after = change(&before);
    let written = run(
        &tx,
        "UPDATE directory_sources SET state = $2 WHERE source = $1",
        &[&source.as_str(), &rows::source_text(&after)],
    )
    .await?;
    if written != 1 {
        return Err(StoreError::Changed);
    }
    if let Some(at) = after.swept_at.filter(|at| before.swept_at != Some(*at)) {
        revocations::append(&tx, channel, &[Revoked::Groups], None, at).await?;
    }
    tx.commit().await?;
    Ok(())
}
