//! What directories say of people and groups.

use super::row::{Conditions, many, one, run};
use super::{SqliteStore, revocations, trail};
use crate::store::directory::Next;
use crate::store::rows::{self, Columns as _, GROUP, WORD};
use crate::store::rules::limit;
use crate::store::{
    By, Change, DirectoryGroup, DirectoryStore, Person, PersonFilter, Put, Result, Revoked, SaidOf,
    SourceState, Word,
};
use crate::types::{IssuerId, SourceId, Subject, Timestamp, UserId};
use async_trait::async_trait;
use rusqlite::{Connection, params};

#[async_trait]
impl DirectoryStore for SqliteStore {
    async fn put_person(&self, person: &Person, now: Timestamp, by: &By) -> Result<Put> {
        let (person, by) = (person.clone(), by.clone());
        self.write_log(move |db| put(db, &person, now, &by)).await
    }

    async fn person(&self, source: &SourceId, id: &str) -> Result<Option<Person>> {
        let (source, id) = (source.clone(), id.to_owned());
        let word = self.read(move |db| word(db, &source, &id)).await?;
        Ok(word.map(|word| word.person))
    }

    async fn person_by_alias(&self, source: &SourceId, alias: &str) -> Result<Option<Person>> {
        let (source, alias) = (source.clone(), alias.to_owned());
        self.read(move |db| by_alias(db, &source, &alias)).await
    }

    async fn said_of(&self, whom: &[(IssuerId, Subject)]) -> Result<Vec<SaidOf>> {
        let whom = whom.to_vec();
        self.read(move |db| whom.into_iter().map(|(i, s)| said_of(db, i, s)).collect())
            .await
    }

    async fn settle(&self, words: &[Word]) -> Result<()> {
        let keys: Vec<_> = words.iter().map(rows::word_key).collect();
        self.write(move |db| {
            for (source, id, number) in keys {
                run(
                    db,
                    "UPDATE directory_people SET settled = 1
                     WHERE source = ?1 AND id = ?2 AND number = ?3",
                    params![source, id, number],
                )?;
            }
            Ok(())
        })
        .await
    }

    async fn words(&self, filter: &PersonFilter) -> Result<Vec<Word>> {
        let filter = filter.clone();
        self.read(move |db| page(db, &filter)).await
    }

    async fn forget_person(
        &self,
        source: &SourceId,
        id: &str,
        now: Timestamp,
        by: &By,
    ) -> Result<()> {
        let (source, id, by) = (source.clone(), id.to_owned(), by.clone());
        self.write_log(move |db| forget(db, &source, &id, now, &by))
            .await
    }

    async fn put_group(
        &self,
        group: &DirectoryGroup,
        now: Timestamp,
    ) -> Result<Option<Option<DirectoryGroup>>> {
        let group = group.clone();
        self.write_log(move |db| put_group(db, &group, now)).await
    }

    async fn groups(&self, source: &SourceId) -> Result<Vec<DirectoryGroup>> {
        let source = source.clone();
        let sql = format!("SELECT {GROUP} FROM directory_groups WHERE source = ?1 ORDER BY id");
        self.read(move |db| many(db, &sql, [source.as_str()], |row| rows::group(row)))
            .await
    }

    async fn all_groups(&self) -> Result<Vec<DirectoryGroup>> {
        let sql = format!("SELECT {GROUP} FROM directory_groups ORDER BY source, id");
        self.read(move |db| many(db, &sql, [], |row| rows::group(row)))
            .await
    }

    async fn source_state(&self, source: &SourceId) -> Result<SourceState> {
        let source = source.clone();
        self.read(move |db| state(db, &source)).await
    }

    async fn source_states(&self) -> Result<Vec<(SourceId, SourceState)>> {
        let sql = "SELECT source, state FROM directory_sources ORDER BY source";
        self.read(move |db| many(db, sql, [], |row| rows::source_state(row)))
            .await
    }

    async fn put_source_state(&self, source: &SourceId, state: &SourceState) -> Result<()> {
        let (source, state) = (source.clone(), state.clone());
        self.write_log(move |db| put_state(db, &source, |before| state.after(before)))
            .await
    }

    async fn heard(&self, source: &SourceId, at: Timestamp, tested: bool) -> Result<()> {
        let source = source.clone();
        self.write(move |db| put_state(db, &source, |before| before.having_heard(at, tested)))
            .await
    }
}

fn word(db: &Connection, source: &SourceId, id: &str) -> Result<Option<Word>> {
    let sql = format!("SELECT {WORD} FROM directory_people WHERE source = ?1 AND id = ?2");
    one(db, &sql, [source.as_str(), id], |row| rows::word_of(row))
}

fn by_alias(db: &Connection, source: &SourceId, alias: &str) -> Result<Option<Person>> {
    let sql = "SELECT person FROM directory_aliases WHERE source = ?1 AND alias = ?2 LIMIT 2";
    let ids = many(db, sql, [source.as_str(), alias], |row| row.text(0))?;
    match ids.as_slice() {
        [id] => Ok(word(db, source, id)?.map(|word| word.person)),
        _ => Ok(None),
    }
}

fn said_of(db: &Connection, issuer: IssuerId, subject: Subject) -> Result<SaidOf> {
    let key = [issuer.as_str(), subject.as_str()];
    let sql = format!(
        "SELECT {WORD} FROM directory_people WHERE issuer = ?1 AND subject = ?2
         ORDER BY source, id"
    );
    let words = many(db, &sql, key, |row| rows::word_of(row))?;
    let sql = "SELECT state_since FROM users WHERE issuer = ?1 AND subject = ?2
               AND state = 'active' AND state_by = 'operator'";
    let pardoned_at = one(db, sql, key, |row| row.int(0).map(Timestamp))?;
    Ok(SaidOf {
        words,
        pardoned_at,
        issuer,
        subject,
    })
}

fn page(db: &Connection, filter: &PersonFilter) -> Result<Vec<Word>> {
    let mut conditions = Conditions::default();
    if let Some(source) = &filter.source {
        conditions.with("source = ?", source.as_str().to_owned());
    }
    if let Some(group) = &filter.group {
        conditions.with("instr(group_ids, ?) > 0", rows::json_text(group));
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
    let (clause, values) = conditions.finish();
    let limit = limit(filter.limit);
    let sql =
        format!("SELECT {WORD} FROM directory_people {clause} ORDER BY source, id LIMIT {limit}");
    many(db, &sql, rusqlite::params_from_iter(values), |row| {
        rows::word_of(row)
    })
}

fn put(db: &Connection, said: &Person, now: Timestamp, by: &By) -> Result<Put> {
    let before = word(db, &said.source, &said.id)?;
    let after = match Word::after(before.as_ref(), said, now) {
        Next::Says(after) => after,
        Next::Older => return Ok(Put::Older),
        Next::Same => {
            run(
                db,
                "UPDATE directory_people SET read_at = ?3 WHERE source = ?1 AND id = ?2",
                params![said.source.as_str(), said.id, said.read_at.0],
            )?;
            return Ok(Put::Same);
        }
    };
    write(db, &after)?;
    let before = before.map(|word| word.person);
    tell(db, before.as_ref(), Some(&after.person), now, by)?;
    Ok(Put::Changed(before.map(Box::new)))
}

fn write(db: &Connection, word: &Word) -> Result<()> {
    let (p, denied_since) = (&word.person, word.denied_since);
    let subject = p.subject.as_ref().map(Subject::as_str);
    let sql = format!(
        "INSERT OR REPLACE INTO directory_people ({WORD})
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17,
             ?18)"
    );
    run(
        db,
        &sql,
        params![
            p.source.as_str(),
            p.id,
            rows::json(&p.aliases),
            p.issuer.as_str(),
            subject,
            p.username,
            p.name,
            p.email,
            p.email_verified,
            p.locale,
            p.active,
            p.human,
            rows::json(&p.groups),
            p.read_at.0,
            p.gone_at.map(|at| at.0),
            denied_since.map(|at| at.0),
            word.number,
            word.settled,
        ],
    )?;
    forget_aliases(db, &p.source, &p.id)?;
    for alias in &p.aliases {
        run(
            db,
            "INSERT INTO directory_aliases (source, alias, person, issuer, subject)
             VALUES (?1, ?2, ?3, ?4, ?5)",
            params![p.source.as_str(), alias, p.id, p.issuer.as_str(), subject],
        )?;
    }
    Ok(())
}

fn forget_aliases(db: &Connection, source: &SourceId, id: &str) -> Result<()> {
    let sql = "DELETE FROM directory_aliases WHERE source = ?1 AND person = ?2";
    run(db, sql, params![source.as_str(), id])?;
    Ok(())
}

/// Log and trail of what became of a word.
fn tell(
    db: &Connection,
    before: Option<&Person>,
    after: Option<&Person>,
    now: Timestamp,
    by: &By,
) -> Result<()> {
    for (issuer, subject) in rows::subjects(before, after) {
        let what = Revoked::Person(issuer.clone(), subject.clone());
        revocations::append(db, &what, None, now)?;
    }
    let whom = after
        .or(before)
        .and_then(|p| Some((&p.issuer, p.subject.as_ref()?)));
    let user = match whom {
        Some((issuer, subject)) => one(
            db,
            "SELECT id FROM users WHERE issuer = ?1 AND subject = ?2",
            [issuer.as_str(), subject.as_str()],
            |row| row.uuid(0).map(UserId),
        )?,
        None => None,
    };
    trail::append(db, &by.records(&Change::Word(before, after, user)))?;
    Ok(())
}

fn forget(db: &Connection, source: &SourceId, id: &str, now: Timestamp, by: &By) -> Result<()> {
    let Some(before) = word(db, source, id)? else {
        return Ok(());
    };
    forget_aliases(db, source, id)?;
    let sql = "DELETE FROM directory_people WHERE source = ?1 AND id = ?2";
    run(db, sql, params![source.as_str(), id])?;
    tell(db, Some(&before.person), None, now, by)
}

fn put_group(
    db: &Connection,
    said: &DirectoryGroup,
    now: Timestamp,
) -> Result<Option<Option<DirectoryGroup>>> {
    let sql = format!("SELECT {GROUP} FROM directory_groups WHERE source = ?1 AND id = ?2");
    let key = [said.source.as_str(), said.id.as_str()];
    let before = one(db, &sql, key, |row| rows::group(row))?;
    let group = said.as_kept(before.as_ref());
    let nothing_new = before.as_ref().is_some_and(|b| group.adds_nothing(b, now));
    let newer = before.as_ref().is_none_or(|b| !group.is_older(b, now));
    if newer {
        run(
            db,
            &format!(
                "INSERT OR REPLACE INTO directory_groups ({GROUP}) VALUES (?1, ?2, ?3, ?4, ?5, ?6)"
            ),
            params![
                group.source.as_str(),
                group.id,
                group.name,
                rows::json(&group.parents),
                group.read_at.0,
                group.gone_at.map(|at| at.0),
            ],
        )?;
    }
    if nothing_new {
        return Ok(None);
    }
    run(
        db,
        "UPDATE directory_people SET settled = 0, number = number + 1
         WHERE source = ?1 AND instr(group_ids, ?2) > 0",
        params![group.source.as_str(), rows::json_text(&group.id)],
    )?;
    revocations::append(db, &Revoked::Groups, None, now)?;
    Ok(Some(before))
}

fn state(db: &Connection, source: &SourceId) -> Result<SourceState> {
    let sql = "SELECT source, state FROM directory_sources WHERE source = ?1";
    let found = one(db, sql, [source.as_str()], |row| rows::source_state(row))?;
    Ok(found.map(|(_, state)| state).unwrap_or_default())
}

fn put_state(
    db: &Connection,
    source: &SourceId,
    change: impl Fn(&SourceState) -> SourceState,
) -> Result<()> {
    let before = state(db, source)?;
    let after = change(&before);
    run(
        db,
        "INSERT INTO directory_sources (source, state) VALUES (?1, ?2)
         ON CONFLICT (source) DO UPDATE SET state = excluded.state",
        [source.as_str(), &rows::source_text(&after)],
    )?;
    match after.swept_at {
        Some(at) if before.swept_at != Some(at) => {
            revocations::append(db, &Revoked::Groups, None, at)
        }
        _ => Ok(()),
    }
}
