//! The trail as JSON lines: written from the store, judged without it.
//!
//! ```text
//! {"audit":1,"begin":null}                                          from the very beginning, or
//! {"audit":1,"begin":{"anchor":"eyJ…"}}                             behind what was removed, or
//! {"audit":1,"begin":{"checkpoint":"eyJ…"}}                         a part, behind a checkpoint
//! {"number":1,"previous":"00…","hash":"5f…","record":{…}}           a record
//! {"checkpoint":"eyJ…"}                                             about the record above it
//! {"end":"eyJ…"}                                                    what all of it is, signed
//! ```
//!
//! One text for each: a line is judged by writing it anew and comparing bytes, so that a file that
//! differs in one byte from what was exported is refused. What a record says is kept as it is: its
//! bytes are what is hashed.

use super::chain::{Fault, Hex, Linked, Mark, Walk};
use super::checkpoints::Checkpoints;
use super::verify::{Verdict, VerifyError};
use crate::keys::{AuditKey, AuditPublicKey, Statement, StatementError};
use crate::store::{MarkKind, Store, TrailFilter, TrailHead, TrailRecord};
use crate::types::Timestamp;
use aws_lc_rs::digest::{Context, SHA256};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use std::io::{self, BufRead, Read as _, Write};

/// Longest line that is looked at. The longest record is a few kilobytes.
const LONGEST: u64 = 256 << 10;
/// Records a page.
const PAGE: u32 = 1_000;

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Begin {
    audit: u8,
    begin: Option<Behind>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Behind {
    Anchor(String),
    Checkpoint(String),
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Record<'a> {
    number: i64,
    previous: Hex,
    hash: Hex,
    #[serde(borrow)]
    record: &'a RawValue,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Checkpoint {
    checkpoint: String,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct End {
    end: String,
}

/// What the last line signs.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Whole {
    /// The record it begins behind; 0: the very beginning.
    behind: i64,
    /// The last record in it.
    last: i64,
    /// The last record's hash.
    hash: Hex,
    /// SHA-256 of all lines before.
    lines: Hex,
    /// When it was exported.
    time: Timestamp,
}

/// Why there is no export.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    /// The store does not answer, or its trail is not as it was.
    #[error(transparent)]
    Trail(#[from] VerifyError),
    /// It can't be written or read.
    #[error(transparent)]
    Io(#[from] io::Error),
}

impl From<crate::store::StoreError> for ExportError {
    fn from(error: crate::store::StoreError) -> Self {
        Self::Trail(error.into())
    }
}

impl From<Fault> for ExportError {
    fn from(fault: Fault) -> Self {
        Self::Trail(fault.into())
    }
}

struct Lines<W> {
    to: W,
    digest: Context,
}

impl<W: Write> Lines<W> {
    fn line(&mut self, line: &impl Serialize) -> io::Result<()> {
        let mut bytes = serde_json::to_vec(line)?;
        bytes.push(b'\n');
        self.digest.update(&bytes);
        self.to.write_all(&bytes)
    }

    fn so_far(&self) -> Hex {
        Hex(digest(&self.digest))
    }
}

fn digest(of: &Context) -> [u8; 32] {
    let mut out = [0; 32];
    out.copy_from_slice(of.clone().finish().as_ref());
    out
}

/// Writes the trail as it is now, behind the newest checkpoint at or before `after` (0: all of it),
/// page by page, and gives the number of the last record. Nothing is exported as good that is not:
/// each record is judged on the way.
///
/// # Errors
/// When the store does not answer, its trail is not as it was, or `to` does not take it.
pub async fn write(
    store: &dyn Store,
    key: &AuditKey,
    after: i64,
    now: Timestamp,
    to: impl Write,
) -> Result<i64, ExportError> {
    let mut lines = Lines {
        to,
        digest: Context::new(&SHA256),
    };
    let head = store.trail_head().await?;
    let (behind, begin) = beginning(store, key.public(), after.min(head.number)).await?;
    lines.line(&Begin { audit: 1, begin })?;
    let mut walk = Walk::behind(behind);
    let mut filter = TrailFilter {
        limit: PAGE,
        ..TrailFilter::default()
    };
    while walk.at().number < head.number {
        filter.after = walk.at().number;
        let page = store.trail(&filter).await?;
        let seals = store
            .trail_marks(MarkKind::Checkpoint, walk.at().number, PAGE)
            .await?;
        if page.is_empty() {
            return Err(Fault::Removed(walk.at().number + 1).into());
        }
        for record in page.iter().take_while(|r| r.number <= head.number) {
            walk.step(Linked::from(record))?;
            lines.line(&line_of(record)?)?;
            if let Some(seal) = seals.iter().find(|seal| seal.number == record.number) {
                lines.line(&Checkpoint {
                    checkpoint: seal.token.clone(),
                })?;
            }
        }
    }
    let whole = Whole {
        behind: behind.number,
        last: walk.at().number,
        hash: Hex(walk.at().hash),
        lines: lines.so_far(),
        time: now,
    };
    let payload = serde_json::to_vec(&whole).map_err(io::Error::from)?;
    lines.line(&End {
        end: key.sign(Statement::Export, &payload),
    })?;
    lines.to.flush()?;
    Ok(whole.last)
}

fn line_of(record: &TrailRecord) -> Result<Record<'_>, ExportError> {
    // A body that is no JSON was not written by us.
    let raw: &RawValue =
        serde_json::from_str(&record.body).map_err(|_| Fault::Changed(record.number))?;
    Ok(Record {
        number: record.number,
        previous: Hex(record.previous),
        hash: Hex(record.hash),
        record: raw,
    })
}

/// Where an export begins that shall hold everything after `after`.
async fn beginning(
    store: &dyn Store,
    key: &AuditPublicKey,
    after: i64,
) -> Result<(TrailHead, Option<Behind>), ExportError> {
    let mut begin = (Walk::from_genesis().at(), None);
    if let Some(seal) = store.newest_trail_mark(MarkKind::Anchor).await? {
        let name = || "the anchor".to_owned();
        let mark = Mark::read(key, Statement::Anchor, &seal.token, name)?;
        begin = (mark.head(), Some(Behind::Anchor(seal.token)));
    }
    let mut from = begin.0.number;
    while from < after {
        let page = store.trail_marks(MarkKind::Checkpoint, from, PAGE).await?;
        let Some(last) = page.last() else { break };
        from = last.number;
        if let Some(seal) = page.iter().rev().find(|seal| seal.number <= after) {
            let name = || format!("the checkpoint of record {}", seal.number);
            let mark = Mark::read(key, Statement::Checkpoint, &seal.token, name)?;
            begin = (mark.head(), Some(Behind::Checkpoint(seal.token.clone())));
        }
    }
    Ok(begin)
}

/// Judges an export: needs the public key, no store and no secret.
///
/// # Errors
/// The first thing that is wrong, or a file that can't be read.
pub fn verify(
    from: impl BufRead,
    key: &AuditPublicKey,
    outside: &Checkpoints,
) -> Result<Verdict, ExportError> {
    let mut file = Reader {
        from,
        number: 0,
        line: Vec::new(),
        digest: Context::new(&SHA256),
    };
    let begin: Begin = file.next()?.ok_or(file.fault("is missing"))?;
    if begin.audit != 1 {
        return Err(file
            .fault("is of a version that this program does not know")
            .into());
    }
    file.same(&begin)?;
    let behind = match &begin.begin {
        None => Walk::from_genesis().at(),
        Some(Behind::Anchor(token)) => {
            Mark::read(key, Statement::Anchor, token, || "the anchor".into())?.head()
        }
        Some(Behind::Checkpoint(token)) => {
            let name = || "the checkpoint it begins with".into();
            Mark::read(key, Statement::Checkpoint, token, name)?.head()
        }
    };
    let mut walk = Walk::behind(behind);
    let mut covered = behind.number;
    let mut checkpoints = 0;
    loop {
        let before = file.so_far();
        if !file.read()? {
            // Records may have gone with the end: checkpoints from outside know how many.
            outside.reach(walk.at().number)?;
            return Err(file.fault("is missing: the end was cut off").into());
        }
        match file.kind() {
            LineKind::Record => {
                let record: Record<'_> = file.parse()?;
                file.same(&record)?;
                let step = walk.step(Linked {
                    number: record.number,
                    previous: &record.previous.0,
                    hash: &record.hash.0,
                    body: record.record.get(),
                });
                if let Err(Fault::Removed(missing)) = step {
                    return Err(file.missing(missing)?.into());
                }
                step?;
                outside.judge(record.number, &record.hash.0)?;
            }
            LineKind::Checkpoint => {
                let line: Checkpoint = file.parse()?;
                file.same(&line)?;
                let at = walk.at();
                let name = || format!("the checkpoint in line {}", file.number);
                let mark = Mark::read(key, Statement::Checkpoint, &line.checkpoint, name)?;
                if mark.head() != at {
                    return Err(Fault::Contradicted {
                        number: mark.number,
                        witness: name(),
                    }
                    .into());
                }
                covered = at.number;
                checkpoints += 1;
            }
            LineKind::End => {
                let line: End = file.parse()?;
                file.same(&line)?;
                file.end(key, &line.end, behind, walk.at(), before)?;
                break;
            }
        }
    }
    if file.read()? {
        return Err(file.fault("stands behind the end").into());
    }
    let last = walk.at().number;
    outside.reach(last)?;
    Ok(Verdict {
        first: if last > behind.number {
            behind.number + 1
        } else {
            0
        },
        last,
        checkpoints,
        // The end is signed too.
        covered: covered.max(last),
        begins_behind: behind.number,
    })
}

enum LineKind {
    Record,
    Checkpoint,
    End,
}

struct Reader<R> {
    from: R,
    /// Of the line at hand, from 1.
    number: u64,
    /// Without its end.
    line: Vec<u8>,
    /// Of all lines read.
    digest: Context,
}

impl<R: BufRead> Reader<R> {
    /// The next line; `false` at the end of the file.
    fn read(&mut self) -> Result<bool, ExportError> {
        self.line.clear();
        self.number += 1;
        let mut limited = (&mut self.from).take(LONGEST);
        if limited.read_until(b'\n', &mut self.line)? == 0 {
            return Ok(false);
        }
        self.digest.update(&self.line);
        if self.line.pop() != Some(b'\n') {
            return Err(self.fault("is cut off").into());
        }
        Ok(true)
    }

    fn next<T: for<'de> Deserialize<'de>>(&mut self) -> Result<Option<T>, ExportError> {
        match self.read()? {
            true => Ok(Some(self.parse()?)),
            false => Ok(None),
        }
    }

    fn so_far(&self) -> Hex {
        Hex(digest(&self.digest))
    }

    fn fault(&self, why: &'static str) -> Fault {
        Fault::Line {
            line: self.number,
            why,
        }
    }

    /// By how it begins: what it is beyond that is judged when it is read.
    fn kind(&self) -> LineKind {
        if self.line.starts_with(b"{\"checkpoint\":") {
            LineKind::Checkpoint
        } else if self.line.starts_with(b"{\"end\":") {
            LineKind::End
        } else {
            LineKind::Record
        }
    }

    fn parse<'l, T: Deserialize<'l>>(&'l self) -> Result<T, Fault> {
        serde_json::from_slice(&self.line).map_err(|_| self.fault("is not of an export"))
    }

    /// Whether the line is the one text of what it says.
    fn same(&self, line: &impl Serialize) -> Result<(), Fault> {
        match serde_json::to_vec(line) {
            Ok(bytes) if bytes == self.line => Ok(()),
            _ => Err(self.fault("was changed")),
        }
    }

    /// A record that should have come: removed, or standing further down?
    fn missing(&mut self, number: i64) -> Result<Fault, ExportError> {
        while self.read()? {
            if let Ok(record) = self.parse::<Record<'_>>()
                && record.number == number
            {
                return Ok(Fault::Moved(number));
            }
        }
        Ok(Fault::Removed(number))
    }

    /// The last line vouches for all that stands before it.
    fn end(
        &self,
        key: &AuditPublicKey,
        token: &str,
        behind: TrailHead,
        last: TrailHead,
        lines: Hex,
    ) -> Result<(), Fault> {
        let foreign = |why| Fault::Foreign {
            what: "the end of the export".into(),
            why,
        };
        let payload = key.verify(Statement::Export, token).map_err(foreign)?;
        let whole: Whole =
            serde_json::from_slice(&payload).map_err(|_| foreign(StatementError::Malformed))?;
        if whole.last > last.number {
            return Err(Fault::Truncated {
                last: last.number,
                known: whole.last,
                witness: "the end of the export".into(),
            });
        }
        if whole.behind != behind.number || whole.last != last.number || whole.hash.0 != last.hash {
            return Err(Fault::Contradicted {
                number: last.number,
                witness: "the end of the export".into(),
            });
        }
        if whole.lines != lines {
            return Err(
                self.fault("does not belong to the lines before it: one was added or taken")
            );
        }
        Ok(())
    }
}
