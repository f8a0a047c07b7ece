//! Judging the trail in the store: every link, what stands beside each body, every statement that is
//! signed about it, and the end against whatever knows of it.

use super::chain::{Fault, Linked, Mark, Walk};
use super::checkpoints::Checkpoints;
use crate::keys::{AuditPublicKey, Statement};
use crate::store::{MarkKind, Store, StoreError, TrailFilter, TrailHead, TrailMark, TrailRecord};
use crate::types::{AppId, Timestamp, UserId};
use serde::Deserialize;

/// Records and checkpoints a page.
const PAGE: u32 = 1_000;
/// How often a walk begins again because the beginning was removed under its feet.
const TRIES: u32 = 3;

/// What was found to be as it was.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verdict {
    /// The first record that is there; 0 when there is none.
    pub first: i64,
    /// The last.
    pub last: i64,
    /// How many checkpoints in the store or the export agree.
    pub checkpoints: u64,
    /// The newest record that something signed vouches for.
    pub covered: i64,
    /// What came up to here was removed by the bridge, or is not in the export.
    pub begins_behind: i64,
}

/// Why there is no verdict.
#[derive(Debug, thiserror::Error)]
pub enum VerifyError {
    /// Something is wrong with the trail.
    #[error(transparent)]
    Fault(#[from] Fault),
    /// The store does not answer.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Judges the whole trail as it is now; what is appended meanwhile is not looked at.
///
/// # Errors
/// The first thing that is wrong, or a store that does not answer.
pub async fn store(
    store: &dyn Store,
    key: &AuditPublicKey,
    outside: &Checkpoints,
) -> Result<Verdict, VerifyError> {
    let mut tries = 0;
    loop {
        let before = anchor(store, key).await?;
        let verdict = once(store, key, outside, before).await;
        tries += 1;
        let moved = match &verdict {
            Err(VerifyError::Fault(_)) => anchor(store, key).await? != before,
            _ => false,
        };
        if !moved || tries == TRIES {
            return verdict;
        }
    }
}

/// Judges what stands between a record that is vouched for and the end, and gives the end.
///
/// # Errors
/// As [`store`].
pub async fn since(store: &dyn Store, from: TrailHead) -> Result<TrailHead, VerifyError> {
    let head = store.trail_head().await?;
    if head.number < from.number {
        return Err(Fault::Truncated {
            last: head.number,
            known: from.number,
            witness: "the newest checkpoint".into(),
        }
        .into());
    }
    between(store, from, head).await?;
    Ok(head)
}

/// Judges what stands between two records, of which the first is vouched for.
///
/// # Errors
/// As [`store`].
pub async fn between(store: &dyn Store, from: TrailHead, to: TrailHead) -> Result<(), VerifyError> {
    let mut walk = Walk::behind(from);
    let mut filter = TrailFilter {
        limit: PAGE,
        ..TrailFilter::default()
    };
    while walk.at().number < to.number {
        filter.after = walk.at().number;
        let page = store.trail(&filter).await?;
        if page.is_empty() {
            return Err(cut_off(walk.at(), to).into());
        }
        for record in page.iter().take_while(|r| r.number <= to.number) {
            judge(&mut walk, record)?;
        }
    }
    if walk.at().hash != to.hash {
        return Err(Fault::Changed(walk.at().number).into());
    }
    Ok(())
}

fn cut_off(at: TrailHead, head: TrailHead) -> Fault {
    Fault::Truncated {
        last: at.number,
        known: head.number,
        witness: "the trail's head".into(),
    }
}

/// Where the trail begins, by the anchor that the bridge left.
async fn anchor(store: &dyn Store, key: &AuditPublicKey) -> Result<Option<Mark>, VerifyError> {
    let Some(seal) = store.newest_trail_mark(MarkKind::Anchor).await? else {
        return Ok(None);
    };
    Ok(Some(read(key, &seal)?))
}

fn read(key: &AuditPublicKey, seal: &TrailMark) -> Result<Mark, Fault> {
    let what = match seal.kind {
        MarkKind::Checkpoint => Statement::Checkpoint,
        MarkKind::Anchor => Statement::Anchor,
    };
    let name = || name(seal);
    let mark = Mark::read(key, what, &seal.token, name)?;
    if mark.number != seal.number {
        return Err(Fault::Contradicted {
            number: seal.number,
            witness: name(),
        });
    }
    Ok(mark)
}

fn name(seal: &TrailMark) -> String {
    format!("the {} of record {}", seal.kind, seal.number)
}

async fn once(
    store: &dyn Store,
    key: &AuditPublicKey,
    outside: &Checkpoints,
    anchor: Option<Mark>,
) -> Result<Verdict, VerifyError> {
    // The newest checkpoint before the head: what is signed later may be about later records.
    let newest = store.newest_trail_mark(MarkKind::Checkpoint).await?;
    let head = store.trail_head().await?;
    if let Some(seal) = newest.filter(|seal| seal.number > head.number) {
        let mark = read(key, &seal)?;
        return Err(Fault::Truncated {
            last: head.number,
            known: mark.number,
            witness: name(&seal),
        }
        .into());
    }
    let begin = anchor.map_or(Walk::from_genesis(), |mark| Walk::behind(mark.head()));
    let begins_behind = begin.at().number;
    let mut walk = begin;
    let mut seals = Seals::new(key, begins_behind);
    let mut covered = begins_behind;
    let mut checkpoints = 0;
    // The first record tells a removed beginning from a hole.
    let filter = TrailFilter {
        limit: 1,
        ..TrailFilter::default()
    };
    if let Some(first) = store.trail(&filter).await?.first() {
        let first = first.number;
        if first > begins_behind + 1 {
            return Err(Fault::Beginning { first }.into());
        }
        if first <= begins_behind {
            return Err(Fault::Surplus(first).into());
        }
    }
    let mut filter = TrailFilter {
        limit: PAGE,
        ..TrailFilter::default()
    };
    while walk.at().number < head.number {
        filter.after = walk.at().number;
        let page = store.trail(&filter).await?;
        if page.is_empty() {
            break;
        }
        for record in page.iter().take_while(|r| r.number <= head.number) {
            judge(&mut walk, record)?;
            outside.judge(record.number, &record.hash)?;
            if let Some(mark) = seals.about(store, record.number).await? {
                if mark.hash.0 != record.hash {
                    return Err(Fault::Contradicted {
                        number: record.number,
                        witness: format!("the checkpoint of record {}", record.number),
                    }
                    .into());
                }
                covered = record.number;
                checkpoints += 1;
            }
        }
        if page.last().is_some_and(|last| last.number >= head.number) {
            break;
        }
    }
    let at = walk.at();
    if at.number < head.number {
        return Err(cut_off(at, head).into());
    }
    if at.hash != head.hash {
        return Err(Fault::Changed(at.number).into());
    }
    outside.reach(at.number)?;
    surplus(store, head).await?;
    Ok(Verdict {
        first: if at.number > begins_behind {
            begins_behind + 1
        } else {
            0
        },
        last: at.number,
        checkpoints,
        covered,
        begins_behind,
    })
}

/// What stands beside a body, as the body has it.
#[derive(Deserialize)]
struct Beside {
    at: Timestamp,
    kind: String,
    user: Option<UserId>,
    app: Option<AppId>,
}

/// A step, and that what is searched by is what the record says.
fn judge(walk: &mut Walk, record: &TrailRecord) -> Result<(), Fault> {
    walk.step(Linked::from(record))?;
    let beside: Option<Beside> = serde_json::from_str(&record.body).ok();
    let same = beside.is_some_and(|body| {
        body.at == record.at
            && body.kind == record.kind
            && body.user == record.user
            && body.app == record.app
    });
    if same {
        Ok(())
    } else {
        Err(Fault::Changed(record.number))
    }
}

/// Records behind the head were put there past the store.
async fn surplus(store: &dyn Store, head: TrailHead) -> Result<(), VerifyError> {
    let filter = TrailFilter {
        after: head.number,
        limit: 1,
        ..TrailFilter::default()
    };
    let Some(found) = store.trail(&filter).await?.pop() else {
        return Ok(());
    };
    // Appended meanwhile: then the head has moved on, too.
    if store.trail_head().await?.number >= found.number {
        return Ok(());
    }
    Err(Fault::Surplus(found.number).into())
}

/// Checkpoints of the store in step with the walk.
struct Seals<'k> {
    key: &'k AuditPublicKey,
    read_to: i64,
    page: std::collections::VecDeque<TrailMark>,
    done: bool,
}

impl<'k> Seals<'k> {
    fn new(key: &'k AuditPublicKey, after: i64) -> Self {
        Self {
            key,
            read_to: after,
            page: std::collections::VecDeque::new(),
            done: false,
        }
    }

    /// The checkpoint of this record, if there is one. Numbers must be asked for in order.
    async fn about(&mut self, store: &dyn Store, number: i64) -> Result<Option<Mark>, VerifyError> {
        if self.page.is_empty() && !self.done {
            let page = store
                .trail_marks(MarkKind::Checkpoint, self.read_to, PAGE)
                .await?;
            self.done = page.len() < PAGE as usize;
            if let Some(last) = page.last() {
                self.read_to = last.number;
            }
            self.page = page.into();
        }
        match self.page.front() {
            Some(seal) if seal.number == number => {
                let mark = read(self.key, seal)?;
                self.page.pop_front();
                Ok(Some(mark))
            }
            _ => Ok(None),
        }
    }
}
