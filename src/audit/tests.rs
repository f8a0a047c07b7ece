//! The trail on a store in memory: what records say, and every way of changing an export.

use super::chain::{Fault, Mark};
use super::checkpoints::{self, Checkpoints};
use super::export::{self, ExportError};
use super::verify::VerifyError;
use super::{Actor, Audit, Kind, Settings};
use crate::keys::{AuditKey, Statement};
use crate::store::{SqliteStore, Store, TrailFilter};
use crate::types::{AppId, ManualClock, Timestamp, UserId};
use proptest::prelude::*;
use std::sync::Arc;

const NOW: Timestamp = Timestamp(1_800_000_000);

fn audit(settings: Settings) -> Audit {
    Audit::new(Arc::new(ManualClock::at(NOW)), settings)
}

fn key() -> AuditKey {
    AuditKey::from_seed(&[7; 32]).unwrap()
}

/// A trail of so many records, with a checkpoint after every third.
async fn trail(records: i64) -> SqliteStore {
    let (store, audit, key) = (
        SqliteStore::in_memory().unwrap(),
        audit(Settings::default()),
        key(),
    );
    for n in 1..=records {
        let event = audit.by(Actor::Bridge).event(Kind::ApiWrite);
        let head = audit.record(&store, event.detail("n", n)).await.unwrap();
        if n % 3 == 0 {
            let token = Mark::of(head, NOW).sign(&key, Statement::Checkpoint);
            store.put_checkpoint(n, &token).await.unwrap();
        }
    }
    store
}

async fn exported(store: &SqliteStore, after: i64) -> Vec<u8> {
    let mut file = Vec::new();
    export::write(store, &key(), after, NOW, &mut file)
        .await
        .unwrap();
    file
}

fn judge(file: &[u8], outside: &Checkpoints) -> Result<super::verify::Verdict, Fault> {
    match export::verify(file, key().public(), outside) {
        Ok(verdict) => Ok(verdict),
        Err(ExportError::Trail(VerifyError::Fault(fault))) => Err(fault),
        Err(other) => panic!("{other}"),
    }
}

fn lines(file: &[u8]) -> Vec<Vec<u8>> {
    file.split_inclusive(|b| *b == b'\n')
        .map(<[u8]>::to_vec)
        .collect()
}

async fn bodies(store: &SqliteStore) -> Vec<String> {
    let records = store.trail(&TrailFilter::default()).await.unwrap();
    records.into_iter().map(|record| record.body).collect()
}

#[tokio::test]
async fn a_record_says_who_what_and_why_and_no_more_than_it_may() {
    let user = UserId::generate();
    let app = AppId::new("chat").unwrap();
    let store = SqliteStore::in_memory().unwrap();
    for (email, client_address) in [(false, false), (true, true)] {
        let audit = audit(Settings {
            email,
            client_address,
            replica: "one".into(),
        });
        let witness = audit
            .by(Actor::Visitor(user))
            .request("req-1")
            .client("192.0.2.1".parse().ok())
            .email("alice@example.test");
        let event = witness.event(Kind::SessionStarted).user(user).app(&app);
        audit.record(&store, event).await.unwrap();
    }
    let bodies = bodies(&store).await;
    let mute = format!(
        r#"{{"v":1,"at":1800000000,"kind":"session.started","actor":{{"type":"visitor","id":"{user}"}},"user":"{user}","app":"chat","request":"req-1","replica":"one"}}"#
    );
    assert_eq!(bodies[0], mute);
    assert!(bodies[1].contains(r#""email":"alice@example.test""#));
    assert!(bodies[1].contains(r#""client":"192.0.2.1""#));
}

#[tokio::test]
async fn t39_no_text_of_a_record_moves_a_cursor_or_grows_without_end() {
    let (store, audit) = (
        SqliteStore::in_memory().unwrap(),
        audit(Settings::default()),
    );
    let nasty = "a\r\nb\u{1b}[2J\u{202e}\u{200b}\\\"é\0";
    let witness = audit.by(Actor::Stranger).request(nasty);
    let event = witness
        .reason(&"x".repeat(10_000))
        .event(Kind::ApiWrite)
        .code(nasty)
        .detail("text", nasty)
        .detail("list", vec![nasty.to_owned(); 1_000]);
    audit.record(&store, event).await.unwrap();
    let body = bodies(&store).await.remove(0);
    assert!(body.len() < 8_000, "{}", body.len());
    // Neither as it stands nor as a reader of the JSON gets it.
    let read: serde_json::Value = serde_json::from_str(&body).unwrap();
    let text = read["detail"]["text"].as_str().unwrap();
    assert_eq!(
        text,
        "a\\u{d}\\u{a}b\\u{1b}[2J\\u{202e}\\u{200b}\\u{5c}\"é\\u{0}"
    );
    for shown in [body.as_str(), text, read["reason"].as_str().unwrap()] {
        assert!(!shown.chars().any(char::is_control));
        assert!(!shown.contains('\u{202e}'));
    }
}

#[test]
fn kinds_have_words_of_their_own() {
    for kind in Kind::ALL {
        assert_eq!(Kind::from_word(kind.as_str()), Some(*kind));
    }
}

#[tokio::test]
async fn an_export_is_judged_without_the_store() {
    let store = trail(10).await;
    let file = exported(&store, 0).await;
    let verdict = judge(&file, &Checkpoints::default()).unwrap();
    assert_eq!(
        (verdict.first, verdict.last, verdict.checkpoints),
        (1, 10, 3)
    );
    // A part begins behind a checkpoint, and says so.
    let part = judge(&exported(&store, 7).await, &Checkpoints::default()).unwrap();
    assert_eq!((part.begins_behind, part.first, part.last), (6, 7, 10));
    // An empty trail is one too.
    let empty = SqliteStore::in_memory().unwrap();
    let none = judge(&exported(&empty, 0).await, &Checkpoints::default()).unwrap();
    assert_eq!((none.first, none.last), (0, 0));
}

#[tokio::test]
async fn the_first_bad_record_of_an_export_is_named() {
    let file = exported(&trail(10).await, 0).await;
    let lines = lines(&file);
    let at = |number: usize| {
        let start = format!("{{\"number\":{number},");
        let found = lines.iter().position(|l| l.starts_with(start.as_bytes()));
        found.unwrap()
    };
    let judged = |lines: &[Vec<u8>]| judge(&lines.concat(), &Checkpoints::default()).unwrap_err();

    let mut changed = lines.clone();
    let text = String::from_utf8(changed[at(5)].clone()).unwrap();
    changed[at(5)] = text.replace("\"n\":5", "\"n\":6").into_bytes();
    assert_eq!(judged(&changed), Fault::Changed(5));

    let mut removed = lines.clone();
    removed.remove(at(5));
    assert_eq!(judged(&removed), Fault::Removed(5));

    let mut moved = lines.clone();
    moved.swap(at(4), at(5));
    assert_eq!(judged(&moved), Fault::Moved(4));

    let mut twice = lines.clone();
    twice.insert(at(5), lines[at(4)].clone());
    assert_eq!(judged(&twice), Fault::Moved(4));

    // The last records taken out, and the end left.
    let mut shorter = lines.clone();
    shorter.drain(at(10)..=at(10));
    let fault = judged(&shorter);
    assert!(
        matches!(
            fault,
            Fault::Truncated {
                last: 9,
                known: 10,
                ..
            }
        ),
        "{fault:?}"
    );
    // With it.
    shorter.pop();
    assert!(matches!(judged(&shorter), Fault::Line { .. }));

    // Written anew from record 5 on by somebody without the key: whole in itself, but signed for
    // something else.
    let forged = AuditKey::from_seed(&[8; 32]).unwrap();
    let mut foreign = Vec::new();
    export::write(&trail(10).await, &key(), 0, NOW, &mut foreign)
        .await
        .unwrap();
    let verdict = export::verify(&foreign[..], forged.public(), &Checkpoints::default());
    assert!(
        matches!(
            verdict,
            Err(ExportError::Trail(VerifyError::Fault(
                Fault::Foreign { .. }
            )))
        ),
        "{verdict:?}"
    );
}

#[tokio::test]
async fn a_tail_cut_off_before_the_export_is_found_by_a_checkpoint_from_elsewhere() {
    let key = key();
    let folder = tempfile::tempdir().unwrap();
    let long = trail(9).await;
    let mark = Mark::of(long.trail_head().await.unwrap(), NOW);
    let token = mark.sign(&key, Statement::Checkpoint);
    checkpoints::append(folder.path(), "bridge 1/../x", &token, NOW).unwrap();
    let outside = Checkpoints::read(folder.path(), key.public())
        .unwrap()
        .unwrap();
    assert_eq!(outside.len(), 1);
    assert!(judge(&exported(&long, 0).await, &outside).is_ok());

    let cut = judge(&exported(&trail(8).await, 0).await, &outside).unwrap_err();
    assert!(
        matches!(
            cut,
            Fault::Truncated {
                last: 8,
                known: 9,
                ..
            }
        ),
        "{cut:?}"
    );
    // Another trail of the same length.
    let store = trail(8).await;
    let audit = audit(Settings::default());
    let event = audit.by(Actor::Bridge).event(Kind::ApiWrite);
    audit.record(&store, event.detail("n", 99)).await.unwrap();
    let anew = judge(&exported(&store, 0).await, &outside).unwrap_err();
    assert!(
        matches!(anew, Fault::Contradicted { number: 9, .. }),
        "{anew:?}"
    );

    // A checkpoint that somebody else signed is named, one that a crash tore is not there.
    let stranger = AuditKey::from_seed(&[9; 32]).unwrap();
    let own = mark.sign(&stranger, Statement::Checkpoint);
    checkpoints::append(folder.path(), "z", &own, NOW).unwrap();
    let fault = Checkpoints::read(folder.path(), key.public())
        .unwrap()
        .unwrap_err();
    assert!(matches!(fault, Fault::Foreign { .. }), "{fault:?}");
    let torn = folder.path().join("torn.jws");
    std::fs::write(&torn, format!("{token}\n{}", &token[..40])).unwrap();
    let read = Checkpoints::read(&torn, key.public()).unwrap().unwrap();
    assert_eq!(read.len(), 1);
}

/// Every byte, each in several ways: nothing that differs from what was exported is taken for it.
#[tokio::test]
async fn any_changed_byte_of_an_export_is_found() {
    let file = exported(&trail(4).await, 0).await;
    for at in 0..file.len() {
        for other in [file[at] ^ 1, file[at] ^ 0x20, b' ', b'\n', b'"', b'0'] {
            if other != file[at] {
                let mut changed = file.clone();
                changed[at] = other;
                assert!(
                    judge(&changed, &Checkpoints::default()).is_err(),
                    "byte {at}: {:?}",
                    char::from(other)
                );
            }
        }
        let mut shorter = file.clone();
        shorter.remove(at);
        assert!(
            judge(&shorter, &Checkpoints::default()).is_err(),
            "byte {at}"
        );
        assert!(
            judge(&file[..at], &Checkpoints::default()).is_err(),
            "cut at {at}"
        );
    }
}

/// What somebody may do to the lines of a file.
#[derive(Debug, Clone)]
enum Deed {
    Remove(usize),
    Swap(usize, usize),
    Repeat(usize, usize),
    Byte(usize, u8),
    Insert(usize, u8),
    Cut(usize),
}

fn deed() -> impl Strategy<Value = Deed> {
    let at = any::<usize>;
    prop_oneof![
        at().prop_map(Deed::Remove),
        (at(), at()).prop_map(|(a, b)| Deed::Swap(a, b)),
        (at(), at()).prop_map(|(a, b)| Deed::Repeat(a, b)),
        (at(), any::<u8>()).prop_map(|(a, b)| Deed::Byte(a, b)),
        (at(), any::<u8>()).prop_map(|(a, b)| Deed::Insert(a, b)),
        at().prop_map(Deed::Cut),
    ]
}

fn done(file: &[u8], deed: &Deed) -> Vec<u8> {
    let mut lines = lines(file);
    let (many, long) = (lines.len(), file.len());
    let mut bytes = file.to_vec();
    match *deed {
        Deed::Remove(a) => drop(lines.remove(a % many)),
        Deed::Swap(a, b) => lines.swap(a % many, b % many),
        Deed::Repeat(a, b) => lines.insert(b % many, lines[a % many].clone()),
        Deed::Byte(a, b) => {
            bytes[a % long] = b;
            return bytes;
        }
        Deed::Insert(a, b) => {
            bytes.insert(a % long, b);
            return bytes;
        }
        Deed::Cut(a) => {
            bytes.truncate(a % long);
            return bytes;
        }
    }
    lines.concat()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn any_manipulation_of_an_export_is_found(
        records in 0_i64..20,
        after in 0_i64..20,
        deeds in proptest::collection::vec(deed(), 1..4),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let file = runtime.block_on(async { exported(&trail(records).await, after).await });
        let mut changed = file.clone();
        for deed in &deeds {
            if !changed.is_empty() {
                changed = done(&changed, deed);
            }
        }
        let verdict = judge(&changed, &Checkpoints::default());
        prop_assert_eq!(verdict.is_ok(), changed == file);
    }
}
