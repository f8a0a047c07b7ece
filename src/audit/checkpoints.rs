//! Signed checkpoints as files, so that an operator may keep them where whoever can write to the
//! store can't: a trail whose end was cut off, or that was written anew as a whole, is found against
//! them.
//!
//! One file a replica and day, one compact JWS a line, only ever appended to.

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

/// Appends a checkpoint to the day's file in `folder`.
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
pub struct Checkpoints(BTreeMap<i64, (RecordHash, String)>);

impl Checkpoints {
    /// How many records they know.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Reads a file of them, or all that lie in a folder.
    ///
    /// # Errors
    /// When it can't be read; inside, what is no checkpoint of the bridge's, or contradicts another.
    pub fn read(path: &Path, key: &AuditPublicKey) -> io::Result<Result<Self, Fault>> {
        let mut all = Self::default();
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
            if let Err(fault) = all.read_file(&file, key)? {
                return Ok(Err(fault));
            }
        }
        Ok(Ok(all))
    }

    fn read_file(&mut self, path: &Path, key: &AuditPublicKey) -> io::Result<Result<(), Fault>> {
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
            let mark = match Mark::read(key, Statement::Checkpoint, token, name) {
                Ok(mark) => mark,
                Err(fault) => return Ok(Err(fault)),
            };
            if let Err(fault) = self.add(&mark, name()) {
                return Ok(Err(fault));
            }
        }
    }

    fn add(&mut self, mark: &Mark, name: String) -> Result<(), Fault> {
        let Hex(hash) = mark.hash;
        match self.0.get(&mark.number) {
            Some((known, _)) if *known != hash => Err(Fault::Contradicted {
                number: mark.number,
                witness: name,
            }),
            Some(_) => Ok(()),
            None => {
                self.0.insert(mark.number, (hash, name));
                Ok(())
            }
        }
    }

    /// Whether a record is the one they know.
    ///
    /// # Errors
    /// [`Fault::Contradicted`] when it is another.
    pub fn judge(&self, number: i64, hash: &RecordHash) -> Result<(), Fault> {
        match self.0.get(&number) {
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
        match self.0.last_key_value() {
            Some((known, (_, witness))) if *known > last => Err(Fault::Truncated {
                last,
                known: *known,
                witness: witness.clone(),
            }),
            _ => Ok(()),
        }
    }
}
