//! Tables and rows: a dump of either engine goes into either, whole or not at all; what was refused
//! stays refused.

use crate::bed::{Bed, Raw, T0, app, at, by, postgres_options, seen, sid, subject};
use auth_manager::store::archive::{
    Cell, Erasure, Load, Loaded, Piece, Place, TABLES, Table, table,
};
use auth_manager::store::{
    Birth, EndReason, JobEnd, JobState, KeyKind, KeyState, PostgresStore, Priority, Revoked,
    Session, SqliteStore, StateBy, Store, StoreError, StoredKey, User, UserState, Which,
};
use auth_manager::types::KeyId;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;

const HOW: Load = Load {
    replace: false,
    keep_denials: true,
    tombstone_until: auth_manager::types::Timestamp(T0.0 + 90_000),
    now: auth_manager::types::Timestamp(T0.0 + 100),
};

impl Bed {
    pub(crate) fn place(&self) -> Place {
        match &self.raw {
            Raw::Sqlite(folder) => Place::Sqlite(folder.path().join("store.db")),
            Raw::Postgres(options) => Place::Postgres(options.clone()),
        }
    }

    /// Its place, with nobody who has it open.
    fn closed(self) -> (Place, Raw) {
        let place = self.place();
        (place, self.raw)
    }
}

/// A place with nothing in it, of the other engine or the same.
struct Empty {
    place: Place,
    _folder: Option<tempfile::TempDir>,
}

impl Empty {
    fn sqlite() -> Self {
        let folder = tempfile::tempdir().unwrap();
        Self {
            place: Place::Sqlite(folder.path().join("new.db")),
            _folder: Some(folder),
        }
    }

    fn postgres() -> Self {
        Self {
            place: Place::Postgres(postgres_options()),
            _folder: None,
        }
    }
}

async fn opened(place: &Place) -> Arc<dyn Store> {
    match place {
        Place::Sqlite(path) => Arc::new(SqliteStore::open(path).await.unwrap()),
        Place::Postgres(options) => Arc::new(PostgresStore::connect(options).await.unwrap()),
    }
}

async fn dumped(place: &Place) -> Vec<Piece> {
    let (to, mut from) = mpsc::channel(2);
    let collect = async {
        let mut all = Vec::new();
        while let Some(piece) = from.recv().await {
            all.push(piece);
        }
        all
    };
    let (done, all) = tokio::join!(place.dump(to), collect);
    done.unwrap();
    all
}

async fn load(place: &Place, how: &Load, pieces: Vec<Piece>) -> Result<Loaded, StoreError> {
    let (to, from) = mpsc::channel(2);
    let send = async move {
        for piece in pieces {
            if to.send(piece).await.is_err() {
                return;
            }
        }
    };
    tokio::join!(place.load(how, from), send).0
}

/// Loads, once whoever had the store open has gone.
async fn loaded(place: &Place, how: &Load, pieces: &[Piece]) -> Loaded {
    for _ in 0..500 {
        match load(place, how, pieces.to_vec()).await {
            Err(StoreError::Busy) => tokio::time::sleep(Duration::from_millis(20)).await,
            other => return other.unwrap(),
        }
    }
    panic!("somebody still has it open");
}

pub(crate) async fn a_job_of_a_backup_waits_again(bed: Bed) {
    let mut wish = crate::jobs::wish("runs", "alice", Priority::Deny, 0);
    wish.user = Some(bed.person("alice").await.id);
    let wishes = [
        wish,
        crate::jobs::wish("waits", "alice", Priority::Grant, 50),
    ];
    let made = bed.a.enqueue(&wishes, T0).await.unwrap();
    let taken = bed.a.claim_jobs(&crate::jobs::claim("h", 9), T0).await;
    assert_eq!(taken.unwrap().len(), 1);
    let again = bed.a.enqueue(&wishes, T0).await.unwrap();
    assert!(again[0].joined);
    let pieces = dumped(&bed.place()).await;
    for empty in [Empty::sqlite(), Empty::postgres()] {
        loaded(&empty.place, &HOW, &pieces).await;
        let store = opened(&empty.place).await;
        let job = store.job(made[0].id).await.unwrap().unwrap();
        assert_eq!((job.state, job.holder), (JobState::Pending, None));
        assert_eq!((job.leased_until, job.again), (None, false));
        // Whoever held it is of another day: it can't finish what it does not know.
        let end = store.finish_job(job.id, "h", &JobEnd::Done, T0).await;
        assert!(!end.unwrap());
        let taken = store
            .claim_jobs(&crate::jobs::claim("new", 9), at(100))
            .await;
        assert_eq!(taken.unwrap()[0].id, made[0].id);
        assert!(store.job(made[1].id).await.unwrap().is_some());
    }
}

/// Texts and numbers at the edges of what a row may hold.
async fn filled(bed: &Bed) -> (User, Session) {
    let (user, session) = bed.visitor("alice", "s1").await;
    let mut odd = seen("odd", T0);
    odd.name = "Ødd \"quoted\" \\ \u{1f980}\r\n\t\u{202e}".into();
    odd.username = None;
    odd.locale = Some(String::new());
    odd.email_verified = false;
    bed.a.saw_user(&odd).await.unwrap();
    let key = StoredKey {
        id: KeyId::new("kid").unwrap(),
        kind: KeyKind::Session,
        state: KeyState::Signing,
        sealed: vec![0, 255, 10],
        public: (0..=255).collect(),
        created_at: T0,
        state_since: T0,
    };
    bed.a.put_signing_key(&key, T0, &by()).await.unwrap();
    bed.a.secret_or_insert("root", &[1, 2, 3]).await.unwrap();
    (user, session)
}

pub(crate) async fn every_table_is_listed_with_what_becomes_of_it(bed: Bed) {
    let (names, personal): (BTreeSet<String>, BTreeSet<String>) = match &bed.raw {
        Raw::Sqlite(folder) => {
            let db = rusqlite::Connection::open(folder.path().join("store.db")).unwrap();
            let read = |sql: &str| -> BTreeSet<String> {
                let mut statement = db.prepare(sql).unwrap();
                let names = statement.query_map([], |row| row.get(0)).unwrap();
                names.map(Result::unwrap).collect()
            };
            let ours =
                "m.type = 'table' AND m.name NOT LIKE 'sqlite_%' AND m.name <> 'schema_versions'";
            (
                read(&format!("SELECT m.name FROM sqlite_master m WHERE {ours}")),
                read(&format!(
                    "SELECT DISTINCT m.name FROM sqlite_master m, pragma_table_info(m.name) c
                     WHERE {ours} AND c.name IN ('user_id', 'subject')"
                )),
            )
        }
        Raw::Postgres(options) => {
            let client = crate::bed::client(options).await;
            let read = async |more: &str| -> BTreeSet<String> {
                let sql = format!(
                    "SELECT DISTINCT table_name::text FROM information_schema.columns
                     WHERE table_schema = '{}' AND table_name <> 'schema_versions' {more}",
                    options.schema
                );
                let rows = client.query(&sql, &[]).await.unwrap();
                rows.iter().map(|row| row.get(0)).collect()
            };
            (
                read("").await,
                read("AND column_name IN ('user_id', 'subject')").await,
            )
        }
    };
    let listed: BTreeSet<String> = TABLES.iter().map(|t| t.name.to_owned()).collect();
    assert_eq!(
        names, listed,
        "a table needs its line in store/archive/tables.rs"
    );
    let known = |name: &String| table(name).is_some_and(Table::is_personal);
    let forgotten: Vec<_> = personal.iter().filter(|name| !known(name)).collect();
    assert!(
        forgotten.is_empty(),
        "{forgotten:?} name people: say by which column, and what erasing does"
    );
    // Every column can be dumped, and none is withheld that is not there.
    let pieces = dumped(&bed.place()).await;
    for listed in TABLES.iter().filter(|t| t.kept) {
        let columns = pieces.iter().find_map(|piece| match piece {
            Piece::Table { name, columns } if name == listed.name => Some(columns),
            _ => None,
        });
        let columns = columns.expect("a kept table is dumped");
        for withheld in listed.withheld {
            assert!(
                columns.iter().any(|c| c == withheld),
                "{}.{withheld}",
                listed.name
            );
        }
        let erased = listed.erasure != Erasure::Nobodys;
        assert_eq!(erased, listed.is_personal(), "{}", listed.name);
    }
}

pub(crate) async fn a_dump_goes_into_either_engine_and_is_the_same_there(bed: Bed) {
    let (user, session) = filled(&bed).await;
    let pieces = dumped(&bed.place()).await;
    for empty in [Empty::sqlite(), Empty::postgres()] {
        let done = loaded(&empty.place, &HOW, &pieces).await;
        assert_eq!((done.ended, done.keys, done.disabled), (1, 1, 0));
        let rows = pieces.iter().map(|piece| match piece {
            Piece::Rows(rows) => rows.len() as u64,
            _ => 0,
        });
        assert_eq!(done.rows, rows.sum::<u64>());
        let store = opened(&empty.place).await;
        let there = store.user(user.id).await.unwrap().unwrap();
        assert_eq!(there, bed.a.user(user.id).await.unwrap().unwrap());
        let odd = store
            .user_by_subject(&user.issuer, &subject("odd"))
            .await
            .unwrap();
        assert_eq!(
            odd,
            bed.a
                .user_by_subject(&user.issuer, &subject("odd"))
                .await
                .unwrap()
        );
        assert_eq!(
            store.account(&app(), user.id).await.unwrap(),
            bed.a.account(&app(), user.id).await.unwrap()
        );
        assert_eq!(store.secret("root").await.unwrap(), Some(vec![1, 2, 3]));
        // Safe: the session is over, its token still there for the app to be told.
        let restored = store.session(session.id).await.unwrap().unwrap();
        assert_eq!(restored.end_reason, Some(EndReason::Revoked));
        assert_eq!(restored.sealed, session.sealed);
        assert_eq!(store.unclosed_sessions(9).await.unwrap(), [restored]);
        let keys = store.signing_keys().await.unwrap();
        assert_eq!(keys.len(), 1);
        assert_eq!(
            (keys[0].state, keys[0].sealed.len()),
            (KeyState::Revoked, 0)
        );
        assert_eq!(keys[0].public.len(), 256);
    }
}

pub(crate) async fn a_restore_lets_nobody_back_in(bed: Bed) {
    let (user, session) = bed.visitor("alice", "s1").await;
    bed.a
        .carry_over(
            session.id,
            &sid("s2"),
            session.expires_at,
            bed.a.epoch(user.id).await.unwrap(),
            at(1),
        )
        .await
        .unwrap();
    let (mallory, _) = bed.member("mallory").await;
    let epoch = bed.a.epoch(user.id).await.unwrap();
    let log = bed.a.newest_revocation().await.unwrap();
    let pieces = dumped(&bed.place()).await;

    // After the backup: one is disabled, one comes and is disabled, a sign-in is ended.
    bed.a
        .set_user_state(mallory.id, UserState::Disabled, "left", at(5), &by())
        .await
        .unwrap();
    let late = bed.person("late").await;
    bed.a
        .set_user_state(late.id, UserState::Disabled, "left", at(6), &by())
        .await
        .unwrap();
    let gone = Which::Sid(app(), user.issuer.clone(), user.subject.clone(), sid("s9"));
    bed.a
        .end_sessions(&gone, EndReason::Logout, at(9_000), at(7), &by())
        .await
        .unwrap();
    let before = bed.a.newest_revocation().await.unwrap();
    let (place, _raw) = bed.closed();

    let refused = load(&place, &HOW, pieces.clone()).await;
    assert!(
        matches!(refused, Err(StoreError::NotEmpty | StoreError::Busy)),
        "{refused:?}"
    );
    let how = Load {
        replace: true,
        ..HOW
    };
    let done = loaded(&place, &how, &pieces).await;
    assert_eq!((done.disabled, done.tombstones, done.ended), (2, 1, 1));
    let store = opened(&place).await;
    for person in [&mallory, &late] {
        let there = store
            .user_by_subject(&person.issuer, &person.subject)
            .await
            .unwrap()
            .unwrap();
        assert_eq!(
            (there.state, there.state_reason.as_str()),
            (UserState::Disabled, "left")
        );
    }
    // Every sid of the session that was live in the backup, and the one that was ended since.
    for on in ["s1", "s2", "s9"] {
        let stands = store
            .tombstone(&app(), &user.issuer, &user.subject, &sid(on), at(101))
            .await
            .unwrap();
        assert!(stands.is_some(), "{on}");
    }
    // Whoever remembers anything of before goes on from nothing.
    let entries = store.revocations_after(before, 10).await.unwrap();
    assert_ne!(
        entries[0].number,
        before + 1,
        "a gap makes replicas read all anew"
    );
    assert!(entries.iter().any(|e| e.what == Revoked::All) && entries[0].number > log);
    let again = store
        .birth(
            &Session {
                id: session.id,
                sid: sid("s3"),
                former_sids: Vec::new(),
                ..session
            },
            epoch,
            at(101),
            &by(),
        )
        .await;
    assert_eq!(again.unwrap(), Birth::EpochMoved);

    // An operator may say that the backup's word counts.
    drop(store);
    let how = Load {
        replace: true,
        keep_denials: false,
        ..HOW
    };
    let done = loaded(&place, &how, &pieces).await;
    assert_eq!((done.disabled, done.tombstones), (0, 0));
    let store = opened(&place).await;
    assert_eq!(
        store.user(mallory.id).await.unwrap().unwrap().state,
        UserState::Active
    );
    assert!(store.user(late.id).await.unwrap().is_none());
}

pub(crate) async fn a_store_that_is_open_is_not_replaced(bed: Bed) {
    bed.person("alice").await;
    let pieces = dumped(&bed.place()).await;
    let how = Load {
        replace: true,
        ..HOW
    };
    // On PostgreSQL who has it open says so as soon as it listens.
    crate::bed::until("a restore is refused", || async {
        matches!(
            load(&bed.place(), &how, pieces.clone()).await,
            Err(StoreError::Busy)
        )
    })
    .await;
    assert!(
        bed.b
            .user_by_subject(&crate::bed::issuer(), &subject("alice"))
            .await
            .unwrap()
            .is_some()
    );
}

pub(crate) async fn pieces_that_are_not_a_whole_dump_change_nothing(bed: Bed) {
    let (user, _) = filled(&bed).await;
    let good = dumped(&bed.place()).await;
    let (place, _raw) = bed.closed();
    let how = Load {
        replace: true,
        ..HOW
    };
    loaded(&place, &how, &good).await;
    let kept = dumped(&place).await;
    let without_end = good[..good.len() - 1].to_vec();
    let mut late = good.clone();
    late[0] = Piece::Begin { schema: 1_000 };
    let mut foreign = good.clone();
    foreign.insert(
        1,
        Piece::Table {
            name: "pg_authid".into(),
            columns: vec!["x".into()],
        },
    );
    let mut left_out = good.clone();
    left_out.insert(
        1,
        Piece::Table {
            name: "revocations".into(),
            columns: Vec::new(),
        },
    );
    let mut short = good.clone();
    for piece in &mut short {
        if let Piece::Rows(rows) = piece {
            rows[0].pop();
            break;
        }
    }
    let mut other_kind = good.clone();
    for piece in &mut other_kind {
        if let Piece::Rows(rows) = piece {
            rows[0][1] = Cell::Text("seven".into());
            break;
        }
    }
    let mut orphans = good.clone();
    let users = orphans
        .iter()
        .position(|p| matches!(p, Piece::Table { name, .. } if name == "users"));
    // The accounts of people who are not there.
    orphans.remove(users.unwrap() + 1);
    let twice = [good.clone(), good.clone()].concat();
    let more = [good.clone(), vec![good[0].clone()]].concat();
    for (what, pieces) in [
        ("no end", without_end),
        ("newer", late),
        ("a foreign table", foreign),
        ("a table that is left out", left_out),
        ("a short row", short),
        ("another kind of value", other_kind),
        ("rows that refer to nothing", orphans),
        ("nothing", Vec::new()),
        ("no beginning", good[1..].to_vec()),
    ] {
        let refused = load(&place, &how, pieces).await;
        assert!(
            matches!(
                refused,
                Err(StoreError::Inconsistent(_) | StoreError::Schema(_))
            ),
            "{what}: {refused:?}"
        );
        assert_eq!(dumped(&place).await, kept, "{what}");
    }
    // What comes behind the end is not asked for.
    for pieces in [twice, more] {
        assert!(load(&place, &how, pieces).await.is_ok());
    }
    assert!(opened(&place).await.user(user.id).await.unwrap().is_some());
}

/// Takes a column out of a table that has rows.
fn without(pieces: &mut [Piece], table: &str, column: &str) {
    let ours = |p: &Piece| matches!(p, Piece::Table { name, .. } if name == table);
    let at = pieces.iter().position(ours).expect("it is dumped");
    let Piece::Table { columns, .. } = &mut pieces[at] else {
        unreachable!()
    };
    let place = columns.iter().position(|c| c == column);
    let place = place.expect("a later version has it");
    columns.remove(place);
    let Piece::Rows(rows) = &mut pieces[at + 1] else {
        panic!("{table} has rows");
    };
    for row in rows {
        row.remove(place);
    }
}

pub(crate) async fn an_older_dump_is_brought_up_to_date(bed: Bed) {
    let (user, _) = filled(&bed).await;
    let mut pieces = dumped(&bed.place()).await;
    // As version 1 had it: there was no audit trail, no bot, no directory, a signing key had no kind, a
    // state nobody who set it, of a session it was not known that its person was turned away, and no
    // account was ever deactivated.
    pieces[0] = Piece::Begin { schema: 1 };
    let mut newer = false;
    pieces.retain(|piece| {
        match piece {
            Piece::Table { name, .. } => {
                let later = [
                    "audit_",
                    "bots",
                    "jobs",
                    "plans",
                    "directory_",
                    "memberships",
                    "seat_counts",
                    "scim_",
                ];
                newer = later.iter().any(|begins| name.starts_with(begins));
            }
            Piece::End => newer = false,
            Piece::Begin { .. } | Piece::Rows(_) => {}
        }
        !newer
    });
    for (table, column) in [
        ("signing_keys", "kind"),
        ("users", "state_by"),
        ("sessions", "refused_at"),
        ("sessions", "readmitted_at"),
        ("accounts", "deactivated_for"),
        ("accounts", "deactivated_at"),
        ("accounts", "deactivated_mark"),
        ("accounts", "bots"),
    ] {
        without(&mut pieces, table, column);
    }
    let new = match bed.raw {
        Raw::Sqlite(_) => Empty::sqlite(),
        Raw::Postgres(_) => Empty::postgres(),
    };
    loaded(&new.place, &HOW, &pieces).await;
    let store = opened(&new.place).await;
    assert_eq!(
        store.signing_keys().await.unwrap()[0].kind,
        KeyKind::Session
    );
    assert!(store.user(user.id).await.unwrap().is_some());
}

pub(crate) async fn a_dump_is_of_one_moment_while_the_bridge_writes(bed: Bed) {
    for n in 0..450 {
        bed.a.saw_user(&seen(&format!("p{n}"), T0)).await.unwrap();
    }
    let (to, mut from) = mpsc::channel(1);
    let place = bed.place();
    let taken = async {
        let (mut people, mut late) = (0, 0);
        while let Some(piece) = from.recv().await {
            // From the first piece on somebody comes with each.
            if late < 20 {
                bed.member(&format!("late{late}")).await;
                late += 1;
            }
            if let Piece::Rows(rows) = &piece {
                assert!(!format!("{rows:?}").contains("late"), "a later moment");
                people += rows.len();
            }
        }
        (people, late)
    };
    let (dumped, (people, late)) = tokio::join!(place.dump(to), taken);
    dumped.unwrap();
    assert!(people >= 450 && late > 3, "{people} {late}");
}

pub(crate) async fn a_restore_does_not_undo_what_a_directory_denied(bed: Bed) {
    use crate::directory::{said, source};
    let one = source("authentik");
    let user = bed.person("alice").await;
    bed.a.put_person(&said("alice"), T0, &by()).await.unwrap();
    bed.person("bob").await;
    let backup = dumped(&bed.place()).await;
    let mut disabled = said("alice");
    (disabled.active, disabled.read_at) = (false, at(5));
    bed.a.put_person(&disabled, at(5), &by()).await.unwrap();
    let by = by();
    let set = bed
        .a
        .directory_sets_state(user.id, &one, UserState::Tombstoned, "", at(5), &by);
    set.await.unwrap();
    // Nobody here, and never seen: the word alone turns them away.
    let mut stranger = said("carol");
    stranger.gone_at = Some(at(5));
    bed.a.put_person(&stranger, at(5), &by).await.unwrap();

    let (place, _raw) = bed.closed();
    let how = Load {
        replace: true,
        ..HOW
    };
    assert_eq!(loaded(&place, &how, &backup).await.disabled, 1);
    let store = opened(&place).await;
    let state = store.user(user.id).await.unwrap().unwrap();
    assert_eq!(state.state, UserState::Tombstoned);
    assert_eq!(state.state_by, StateBy::Directory(one.clone()));
    for id in ["pk-alice", "pk-carol"] {
        assert!(
            store.person(&one, id).await.unwrap().unwrap().denies(),
            "{id}"
        );
    }
}
