//! Bots that services call an app as.

use crate::bed::{Bed, at};
use auth_manager::store::{
    Resealed, Revoked, SealHead, SealedAt, SealedKind, StoreError, StoredBot,
};
use auth_manager::types::{AppId, BotName, RemoteId};
use std::sync::Arc;

fn chat() -> AppId {
    AppId::new("chat").unwrap()
}

fn name(text: &str) -> BotName {
    BotName::new(text).unwrap()
}

fn bot(text: &str, remote: &str) -> StoredBot {
    StoredBot {
        app: chat(),
        name: name(text),
        remote: RemoteId::new(remote).unwrap(),
        username: format!("{text}-bot"),
        mark: format!("auth-manager {text}"),
        token_id: None,
        sealed: Vec::new(),
        number: 7,
        settled: false,
        created_at: at(1),
        rotated_at: None,
        version: 0,
    }
}

pub(crate) async fn a_bot_is_put_on_record_once(bed: Bed) {
    let first = bed.a.begin_bot(&bot("reports", "r1")).await.unwrap();
    assert_eq!(first.version, 1);
    // What stands is given back, whatever is said now.
    let again = bed.b.begin_bot(&bot("reports", "r2")).await.unwrap();
    assert_eq!(again, first);
    // A bot has one name in an app, and may have it in another as well.
    let taken = bed.b.begin_bot(&bot("alerts", "r1")).await;
    assert!(matches!(taken, Err(StoreError::Taken(_))), "{taken:?}");
    let elsewhere = StoredBot {
        app: AppId::new("notes").unwrap(),
        ..bot("reports", "r1")
    };
    bed.b.begin_bot(&elsewhere).await.unwrap();
    let names: Vec<String> = (bed.a.bots().await.unwrap().iter())
        .map(|bot| format!("{}/{}", bot.app, bot.name))
        .collect();
    assert_eq!(names, ["chat/reports", "notes/reports"]);
    assert!(bed.a.bot(&chat(), &name("alerts")).await.unwrap().is_none());
    assert!(bed.a.revocations_after(0, 10).await.unwrap().is_empty());
}

pub(crate) async fn a_token_is_written_to_what_was_read_and_told(bed: Bed) {
    let read = bed.a.begin_bot(&bot("reports", "r1")).await.unwrap();
    let unsettled = bed.a.save_bot(&read, at(2)).await.unwrap();
    assert_eq!(unsettled.version, 2);
    // The same number is no news.
    assert!(bed.a.revocations_after(0, 10).await.unwrap().is_empty());
    let renewed = StoredBot {
        token_id: Some("t1".into()),
        sealed: vec![1, 0, 255],
        number: 8,
        settled: true,
        rotated_at: Some(at(3)),
        ..unsettled
    };
    let saved = bed.b.save_bot(&renewed, at(3)).await.unwrap();
    assert_eq!(
        bed.a.bot(&chat(), &name("reports")).await.unwrap(),
        Some(saved.clone())
    );
    let late = bed.a.save_bot(&renewed, at(4)).await;
    assert!(matches!(late, Err(StoreError::Changed)), "{late:?}");
    let late = bed.a.remove_bot(&renewed, at(4)).await;
    assert!(matches!(late, Err(StoreError::Changed)), "{late:?}");
    bed.a.remove_bot(&saved, at(5)).await.unwrap();
    assert!(bed.b.bots().await.unwrap().is_empty());
    let gone = bed.a.save_bot(&saved, at(6)).await;
    assert!(matches!(gone, Err(StoreError::Changed)), "{gone:?}");
    let log = bed.a.revocations_after(0, 10).await.unwrap();
    let told: Vec<_> = log.iter().map(|entry| (entry.at, &entry.what)).collect();
    assert_eq!(told, [(at(3), &Revoked::Bots), (at(5), &Revoked::Bots)]);
}

pub(crate) async fn one_of_many_new_tokens_stands(bed: Bed) {
    let bed = Arc::new(bed);
    let read = bed.a.begin_bot(&bot("reports", "r1")).await.unwrap();
    let writers: Vec<_> = (0..8_i64)
        .map(|n| {
            let (bed, read) = (Arc::clone(&bed), read.clone());
            tokio::spawn(async move {
                let store = if n % 2 == 0 { &bed.a } else { &bed.b };
                let new = StoredBot {
                    number: 100 + n,
                    ..read
                };
                store.save_bot(&new, at(2)).await.is_ok()
            })
        })
        .collect();
    let mut stood = 0;
    for writer in writers {
        stood += usize::from(writer.await.unwrap());
    }
    assert_eq!(stood, 1);
    assert_eq!(bed.a.revocations_after(0, 10).await.unwrap().len(), 1);
}

pub(crate) async fn a_bots_token_is_resealed_like_everything_else(bed: Bed) {
    let (old, new) = ([1; SealHead::LEN], [2; SealHead::LEN]);
    for (text, head) in [("alerts", old), ("reports", old), ("x", new), ("y", old)] {
        let read = bed.a.begin_bot(&bot(text, text)).await.unwrap();
        let sealed = match text {
            // Without a token there is nothing to seal anew.
            "y" => Vec::new(),
            _ => [&head[..], text.as_bytes()].concat(),
        };
        bed.a
            .save_bot(&StoredBot { sealed, ..read }, at(2))
            .await
            .unwrap();
    }
    let head = SealHead(new);
    let page = |after: Option<SealedAt>| {
        let store = &bed.b;
        async move {
            let page = store.sealed_otherwise(SealedKind::Bot, head, after.as_ref(), 1);
            page.await.unwrap()
        }
    };
    let first = page(None).await;
    assert_eq!(first[0].at, SealedAt::Bot(chat(), name("alerts")));
    let second = page(Some(first[0].at.clone())).await;
    assert_eq!(second[0].at, SealedAt::Bot(chat(), name("reports")));
    assert!(page(Some(second[0].at.clone())).await.is_empty());
    let anew = |read: &auth_manager::store::Sealed| Resealed {
        read: read.clone(),
        anew: [&new[..], b"z"].concat(),
    };
    let records = [anew(&first[0]), anew(&second[0])];
    assert_eq!(bed.a.reseal(&records).await.unwrap(), 2);
    assert_eq!(bed.a.reseal(&records).await.unwrap(), 0);
    let counts = bed.a.seals().await.unwrap();
    let of_bots: Vec<_> = (counts.iter())
        .filter(|count| count.kind == SealedKind::Bot)
        .map(|count| (count.head.clone(), count.count))
        .collect();
    assert_eq!(of_bots, [(new.to_vec(), 3)]);
}
