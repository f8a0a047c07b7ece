//! `auth-manager keys status` and `keys rewrap`: which keys there are, when they change, and what
//! still hangs on a former master key.

use super::out::{Table, count, json, print, roughly};
use super::stage::Stage;
use crate::keys::master::{MasterKey, MasterKeyId};
use crate::keys::rewrap::{self, Census, Progress};
use crate::keys::ring::Ring;
use crate::runtime;
use crate::store::{EndReason, KeyKind, SealedAt, SealedKind, Which};
use anyhow::bail;
use serde_json::{Value, json};
use std::io::{IsTerminal as _, Write as _};

/// Records of a lost key that are looked at at once.
const PAGE: u32 = 200;

/// A master key, and what hangs on it.
struct Row {
    id: MasterKeyId,
    role: &'static str,
    hanging: rewrap::Hanging,
}

impl Row {
    fn note(&self) -> String {
        match (self.role, self.hanging.total()) {
            ("current", _) => "seals".into(),
            ("next", _) => "opens; it will be master_key".into(),
            ("former", 0) => {
                "may be taken out of keys.former_master_keys (keep it as long as backups of before)"
                    .into()
            }
            ("former", _) => "opens; `keys rewrap`, or a running bridge, seals anew".into(),
            _ => "NOT CONFIGURED: what hangs on it does not open".into(),
        }
    }
}

fn rows(master: &MasterKey, census: &Census) -> Vec<Row> {
    let row = |role| {
        move |id: MasterKeyId| Row {
            id,
            role,
            hanging: census.under(id),
        }
    };
    let mut rows = vec![row("current")(master.id())];
    rows.extend(master.next_id().map(row("next")));
    rows.extend(master.former().map(row("former")));
    rows.extend(census.missing(master).map(|(id, _)| id).map(row("missing")));
    rows
}

/// `keys status`.
pub(super) async fn status(stage: &Stage, as_json: bool) -> anyhow::Result<()> {
    let (store, master) = (&*stage.store, stage.master()?);
    let schedule = runtime::schedule_of(&stage.config);
    let census = Census::take(store).await?;
    // Without a master key that is missing the ring does not open; the rest is worth telling.
    let ring = Ring::load(store, &master).await.ok();
    let signing = |kind| {
        let ring = ring.as_ref()?;
        let key = ring.signing(kind).ok()?;
        Some((
            key.id().clone(),
            key.state_since(),
            schedule.next(ring, kind),
        ))
    };
    let masters = rows(&master, &census);
    if as_json {
        let keys = KeyKind::ALL.map(|kind| match signing(kind) {
            None => json!({ "kind": kind, "signing": Value::Null }),
            Some((kid, since, next)) => {
                json!({ "kind": kind, "signing": kid, "since": since, "next": next })
            }
        });
        let masters: Vec<_> = (masters.iter())
            .map(|row| {
                let kinds: serde_json::Map<_, _> = (row.hanging.kinds())
                    .map(|(kind, n)| (kind.as_str().to_owned(), n.into()))
                    .collect();
                json!({ "id": row.id.to_string(), "role": row.role, "sealed": kinds })
            })
            .collect();
        return json(&json!({
            "signing_keys": keys,
            "announce": schedule.announce.as_secs(),
            "rotate_every": schedule.rotate_every.map(|every| every.as_secs()),
            "master_keys": masters,
            "left": SealedKind::ALL.iter().map(|k| census.left(&master, *k)).sum::<u64>(),
        }));
    }
    let mut table = Table::new(&["KIND", "SIGNS NOW", "SINCE", "NEXT"]);
    for kind in KeyKind::ALL {
        let (kid, since, next) = match signing(kind) {
            None => ("none yet".to_owned(), String::new(), String::new()),
            Some((kid, since, next)) => {
                let next =
                    next.map(|at| format!("{at} (in {})", roughly((at.0 - stage.now.0).max(0))));
                let planned = next.unwrap_or_else(|| "when `keys rotate` says so".into());
                (kid.to_string(), since.to_string(), planned)
            }
        };
        table.row([kind.to_string(), kid, since, next]);
    }
    print(table.text(""))?;
    let mut table = Table::new(&[
        "MASTER KEY",
        "ROLE",
        "SIGNING KEYS",
        "SECRETS",
        "SESSIONS",
        "BOTS",
        "NOTE",
    ]);
    for row in masters {
        let of = |kind| {
            let found = row.hanging.kinds().find(|(k, _)| *k == kind);
            found.map_or(0, |(_, n)| n).to_string()
        };
        table.row([
            row.id.to_string(),
            row.role.to_owned(),
            of(SealedKind::SigningKey),
            of(SealedKind::Secret),
            of(SealedKind::Session),
            of(SealedKind::Bot),
            row.note(),
        ]);
    }
    print(format!("\n{}", table.text("")))
}

/// `keys rewrap`.
pub(super) async fn rewrap(
    stage: &Stage,
    forget: Option<MasterKeyId>,
    dry_run: bool,
    as_json: bool,
) -> anyhow::Result<()> {
    let (store, master) = (&*stage.store, stage.master()?);
    if let Some(lost) = forget {
        return self::forget(stage, &master, lost, dry_run).await;
    }
    let census = Census::take(store).await?;
    let left: u64 = SealedKind::ALL
        .iter()
        .map(|k| census.left(&master, *k))
        .sum();
    if dry_run || left == 0 {
        if as_json {
            return json(&json!({ "done": 0, "left": left, "refused": [] }));
        }
        return print(match left {
            0 => format!("everything is sealed under {} already", master.id()),
            _ => format!(
                "{} would be sealed anew under {}",
                count_of(left),
                master.id()
            ),
        });
    }
    stage.as_owner()?;
    census.must_open(&master)?;
    let mut tell = |progress: &Progress| {
        if !as_json {
            on_the_way(progress.done, left);
        }
    };
    let progress = rewrap::rewrap(store, &master, &mut tell).await?;
    if progress.done > 0 {
        let event = runtime::rewrapped(&stage.witness(), &master, &progress);
        stage.record(event).await?;
    }
    if as_json {
        let after = Census::take(store).await?;
        let left: u64 = SealedKind::ALL
            .iter()
            .map(|k| after.left(&master, *k))
            .sum();
        json(&json!({ "done": progress.done, "left": left, "refused": progress.refusals }))?;
    } else {
        print(format!(
            "{} sealed anew under {}",
            count_of(progress.done),
            master.id()
        ))?;
    }
    if progress.refused > 0 {
        bail!(
            "{} not open, and stayed as they are:\n  {}",
            match progress.refused {
                1 => "1 record does".to_owned(),
                n => format!("{n} records do"),
            },
            progress.refusals.join("\n  ")
        );
    }
    if progress.overtaken > 0 && !as_json {
        print(
            "some were written by somebody else meanwhile: `keys status` says whether any are left",
        )?;
    }
    Ok(())
}

/// A line that overwrites itself at a terminal, and one line a batch elsewhere.
fn on_the_way(done: u64, of: u64) {
    let mut err = std::io::stderr().lock();
    // Whether anybody reads it does not matter.
    let _ = match err.is_terminal() {
        true if done >= of => write!(err, "\r\u{1b}[K"),
        true => write!(err, "\rsealed anew: {done} of {of}"),
        false => writeln!(err, "sealed anew: {done} of {of}"),
    };
    let _ = err.flush();
}

fn count_of(records: u64) -> String {
    count(usize::try_from(records).unwrap_or(usize::MAX), "record")
}

/// Ends what hangs on a master key that is lost for good: sessions only. What else hangs on it is
/// named, since only a backup brings it back.
async fn forget(
    stage: &Stage,
    master: &MasterKey,
    lost: MasterKeyId,
    dry_run: bool,
) -> anyhow::Result<()> {
    if master.opens(lost) {
        bail!("{lost} is configured: what hangs on it opens, and is sealed anew by `keys rewrap`");
    }
    let store = &*stage.store;
    let hanging = Census::take(store).await?.under(lost);
    let others: u64 = (hanging.kinds())
        .filter(|(kind, _)| *kind != SealedKind::Session)
        .map(|(_, n)| n)
        .sum();
    if others > 0 {
        bail!(
            "{hanging} sealed under {lost}: signing keys can be revoked one by one (`keys revoke`), but without its secrets the bridge can prove nobody's account: put that key back, or restore a backup"
        );
    }
    if dry_run || hanging.total() == 0 {
        return print(format!(
            "{} would end: their app sessions can't be ended, and live until they expire in the app",
            count(
                usize::try_from(hanging.total()).unwrap_or(usize::MAX),
                "session"
            )
        ));
    }
    stage.as_owner()?;
    let (mut after, mut ended) = (None, 0_usize);
    loop {
        let page = store
            .sealed_otherwise(SealedKind::Session, master.head(), after.as_ref(), PAGE)
            .await?;
        let Some(last) = page.last() else { break };
        after = Some(last.at.clone());
        for sealed in &page {
            let SealedAt::Session(id, _) = &sealed.at else {
                continue;
            };
            if MasterKeyId::of_head(&sealed.bytes) != Some(lost) {
                continue;
            }
            // No tombstone: the person did nothing, and signs in again with the next page.
            store
                .end_sessions(
                    &Which::Session(*id),
                    EndReason::Expired,
                    stage.now,
                    stage.now,
                    &stage.by(),
                )
                .await?;
            store.session_closed(*id).await?;
            ended += 1;
        }
    }
    print(format!(
        "{} ended; nothing hangs on {lost} any more",
        count(ended, "session")
    ))
}
