//! Signed checkpoints as files, so that an operator may keep them where whoever can write to the
//! store can't: a trail whose end was cut off, or that was written anew as a whole, is found against
//! them.
//!
//! One file a replica and day, one compact JWS a line, only ever appended to.
//!
//! A restore of the store leaves its own signed line there: up to which record the trail is the
//! backup's, and when. What was signed before about later records is of the trail that was replaced,
//! and says nothing of this one. Only who has the master key can write such a line.

use super::chain::{Fault, Hex, Mark};
use crate::keys::{AuditPublicKey, Statement};
use crate::store::RecordHash;
use crate::types::Timestamp;
use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

/// How the files end.
const ENDING: &str = "jws";
/// The most that is read of one file: years of checkpoints.
const LARGEST: u64 = 64 << 20;

/// Appends a signed line to the day's file in `folder`.
///
/// # Errors
/// When the file can't be written.
pub fn append(folder: &Path, replica: &str, token: &str, now: Timestamp) -> io::Result<()> {
    let day = now.to_string();
    let day = day.get(..10).unwrap_or("unknown");
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
    let replica: String = replica
        .chars()
        .take(60)
        .map(|c| if plain(c) { c } else { '_' })
        .collect();
    let path = folder.join(format!("checkpoints-{replica}-{day}.{ENDING}"));
    let mut file = OpenOptions::new()
        .append(true)
        .create(true)
        .mode(0o640)
        .open(path)?;
    // One write: a line is there whole, or torn only by a crash.
    file.write_all(format!("{token}\n").as_bytes())?;
    file.sync_data()
}

/// Checkpoints from outside the store, each verified: which hash a record must have.
#[derive(Debug, Default)]
pub struct Checkpoints {
    known: BTreeMap<i64, (RecordHash, String)>,
    restores: Vec<Mark>,
    replaced: usize,
}

/// What was read, in order, before it is known what a restore replaced.
#[derive(Default)]
struct Read {
    checkpoints: Vec<(Mark, String)>,
    restores: Vec<Mark>,
}

impl Checkpoints {
    /// How many records they know.
    #[must_use]
    pub fn len(&self) -> usize {
        self.known.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.known.is_empty()
    }

    /// Restores of the store, in the order of their lines: up to which record the trail is the
    /// backup's, and when.
    #[must_use]
    pub fn restores(&self) -> &[Mark] {
        &self.restores
    }

    /// How many checkpoints are of a trail that a restore replaced.
    #[must_use]
    pub fn replaced(&self) -> usize {
        self.replaced
    }

    /// Reads a file of them, or all that lie in a folder.
    ///
    /// # Errors
    /// When it can't be read; inside, what is no checkpoint of the bridge's, or contradicts another.
    pub fn read(path: &Path, key: &AuditPublicKey) -> io::Result<Result<Self, Fault>> {
        let mut read = Read::default();
        let mut files = Vec::new();
        if path.is_dir() {
            for entry in std::fs::read_dir(path)? {
                let path = entry?.path();
                if path.extension().is_some_and(|end| end == ENDING) {
                    files.push(path);
                }
            }
            files.sort();
        } else {
            files.push(path.to_owned());
        }
        for file in files {
            if let Err(fault) = read.file(&file, key)? {
                return Ok(Err(fault));
            }
        }
        Ok(Self::of(read))
    }

    fn of(read: Read) -> Result<Self, Fault> {
        let mut all = Self {
            restores: read.restores,
            ..Self::default()
        };
        for (mark, name) in read.checkpoints {
            let replaced =
                |restore: &Mark| mark.number > restore.number && mark.time <= restore.time;
            if all.restores.iter().any(replaced) {
                all.replaced += 1;
                continue;
            }
            let Hex(hash) = mark.hash;
            match all.known.get(&mark.number) {
                Some((known, _)) if *known != hash => {
                    return Err(Fault::Contradicted {
                        number: mark.number,
                        witness: name,
                    });
                }
                Some(_) => {}
                None => {
                    all.known.insert(mark.number, (hash, name));
                }
            }
        }
        Ok(all)
    }

    /// Whether a record is the one they know.
    ///
    /// # Errors
    /// [`Fault::Contradicted`] when it is another.
    pub fn judge(&self, number: i64, hash: &RecordHash) -> Result<(), Fault> {
        match self.known.get(&number) {
            Some((known, witness)) if known != hash => Err(Fault::Contradicted {
                number,
                witness: witness.clone(),
            }),
            _ => Ok(()),
        }
    }

    /// Whether the trail reaches as far as they know.
    ///
    /// # Errors
    /// [`Fault::Truncated`] when it does not.
    pub fn reach(&self, last: i64) -> Result<(), Fault> {
        match self.known.last_key_value() {
            Some((known, (_, witness))) if *known > last => Err(Fault::Truncated {
                last,
                known: *known,
                witness: witness.clone(),
            }),
            _ => Ok(()),
        }
    }
}

impl Read {
    fn file(&mut self, path: &Path, key: &AuditPublicKey) -> io::Result<Result<(), Fault>> {
        let mut lines = BufReader::new(File::open(path)?.take(LARGEST));
        let mut number = 0_u64;
        let mut line = String::new();
        loop {
            line.clear();
            if lines.read_line(&mut line)? == 0 {
                return Ok(Ok(()));
            }
            number += 1;
            // Torn by a crash: never said to anybody.
            let Some(token) = line.strip_suffix('\n') else {
                return Ok(Ok(()));
            };
            let name = || format!("{}, line {number},", path.display());
            if let Ok(restore) = Mark::read(key, Statement::Restored, token, name) {
                self.restores.push(restore);
                continue;
            }
            match Mark::read(key, Statement::Checkpoint, token, name) {
                Ok(mark) => self.checkpoints.push((mark, name())),
                Err(fault) => return Ok(Err(fault)),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mark(number: i64, hash: u8, time: i64) -> Mark {
        Mark {
            number,
            hash: Hex([hash; 32]),
            time: Timestamp(time),
        }
    }

    fn of(checkpoints: &[Mark], restores: &[Mark]) -> Result<Checkpoints, Fault> {
        Checkpoints::of(Read {
            checkpoints: checkpoints.iter().map(|m| (*m, "it".into())).collect(),
            restores: restores.to_vec(),
        })
    }

    #[test]
    fn a_restore_excuses_what_was_signed_before_it_about_later_records_and_nothing_else() {
        let before = [mark(50, 1, 10), mark(60, 2, 20), mark(70, 3, 30)];
        let since = mark(60, 9, 110);
        let all = [before.as_slice(), &[since]].concat();
        assert!(of(&all, &[]).is_err(), "two trails");
        let restore = mark(55, 8, 100);
        let known = of(&all, &[restore]).unwrap();
        assert_eq!((known.len(), known.replaced()), (2, 2));
        assert!(known.judge(60, &[9; 32]).is_ok());
        assert!(known.judge(60, &[2; 32]).is_err());
        // What the backup holds must be as it was, and what was signed since is not excused.
        assert!(known.judge(50, &[7; 32]).is_err());
        assert!(known.reach(59).is_err());
        assert!(known.reach(60).is_ok());
    }
}
