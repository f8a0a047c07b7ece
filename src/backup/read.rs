//! Going through a backup: to check it, and to restore it.

use super::lines::{self, Manifest, Said};
use super::{BackupError, MAGIC};
use crate::keys::MasterKey;
use crate::keys::stream::{self, Opener};
use crate::store::archive::{Load, Loaded, Piece, Place};
use std::fs::File;
use std::io::{BufReader, Read as _, Seek as _, SeekFrom};
use std::path::Path;
use tokio::sync::mpsc;
use zeroize::Zeroizing;

/// Longest line: no row comes near it.
const LONGEST: usize = 16 * 1024 * 1024;
/// Rows sent to the store at once.
const BATCH: usize = 200;

/// A backup's file. It stays open: what was checked is what is restored.
pub struct Backup {
    file: BufReader<File>,
    name: String,
    master: MasterKey,
}

/// What is in a backup.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Contents {
    /// What it says of itself.
    pub manifest: Manifest,
    /// Tables and their number of rows.
    pub tables: Vec<(String, u64)>,
}

impl Contents {
    /// All rows.
    #[must_use]
    pub fn rows(&self) -> u64 {
        self.tables.iter().map(|(_, rows)| rows).sum()
    }
}

impl Backup {
    /// Opens a file.
    ///
    /// # Errors
    /// When it can't be read.
    pub fn open(path: &Path, master: &MasterKey) -> Result<Self, BackupError> {
        let name = path.display().to_string();
        let file = File::open(path).map_err(BackupError::file(format!("reading {name}")))?;
        Ok(Self {
            file: BufReader::with_capacity(stream::SEALED, file),
            name,
            master: master.clone(),
        })
    }

    /// Reads all of it; gives what is in it. `told` hears of each table when it was read.
    ///
    /// # Errors
    /// When it is not whole, not of this master key, or of a newer program.
    pub fn check(&mut self, mut told: impl FnMut(&str, u64)) -> Result<Contents, BackupError> {
        let mut tables: Vec<(String, u64)> = Vec::new();
        let manifest = self.go_through(|piece| {
            match piece {
                Piece::Table { name, .. } => {
                    if let Some((former, rows)) = tables.last() {
                        told(former, *rows);
                    }
                    tables.push((name, 0));
                }
                Piece::Rows(rows) => match tables.last_mut() {
                    Some((_, count)) => *count += rows.len() as u64,
                    None => return Err(BackupError::Line("rows come before a table".into())),
                },
                Piece::Begin { .. } | Piece::End => {}
            }
            Ok(())
        })?;
        if let Some((last, rows)) = tables.last() {
            told(last, *rows);
        }
        Ok(Contents { manifest, tables })
    }

    /// Restores it into a store, in one transaction.
    ///
    /// # Errors
    /// As [`Self::check`] and [`Place::load`]; the store is then as it was.
    pub async fn restore(mut self, place: &Place, how: &Load) -> Result<Loaded, BackupError> {
        let (to, from) = mpsc::channel(4);
        // On a thread: reading the file blocks, and it waits for the store to take what was read.
        let reading = tokio::task::spawn_blocking(move || {
            let mut batch = Vec::with_capacity(BATCH);
            let send = |piece| to.blocking_send(piece).map_err(|_| BackupError::Cut);
            self.go_through(|piece| match piece {
                Piece::Rows(rows) => {
                    batch.extend(rows);
                    if batch.len() < BATCH {
                        return Ok(());
                    }
                    send(Piece::Rows(std::mem::take(&mut batch)))
                }
                other => {
                    if !batch.is_empty() {
                        send(Piece::Rows(std::mem::take(&mut batch)))?;
                    }
                    send(other)
                }
            })
        });
        let loaded = place.load(how, from).await;
        let read = reading.await.map_err(|_| BackupError::Cut)?;
        match (read, loaded) {
            // The store ended first, and the reader only noticed.
            (Err(BackupError::Cut), Err(store)) => Err(store.into()),
            (Err(file), _) => Err(file),
            (Ok(_), loaded) => Ok(loaded?),
        }
    }

    /// Gives every piece to `take`, in order, `End` only when all was read and counted.
    fn go_through(
        &mut self,
        mut take: impl FnMut(Piece) -> Result<(), BackupError>,
    ) -> Result<Manifest, BackupError> {
        let reading = || BackupError::file(format!("reading {}", self.name));
        self.file.seek(SeekFrom::Start(0)).map_err(reading())?;
        let mut lines = Lines::begin(&mut self.file, &self.master)?;
        let first = lines.next()?.map(|line| lines::read(&line)).transpose()?;
        let Some(Said::Manifest(manifest)) = first else {
            return Err(BackupError::Line("it begins without a manifest".into()));
        };
        let schema = manifest.schema;
        take(Piece::Begin { schema })?;
        let mut counted = 0;
        while let Some(line) = lines.next()? {
            match lines::read(&line)? {
                Said::Piece(piece) => {
                    counted += u64::from(matches!(piece, Piece::Rows(_)));
                    take(piece)?;
                }
                Said::End(rows) if rows == counted && lines.next()?.is_none() => {
                    take(Piece::End)?;
                    return Ok(manifest);
                }
                Said::End(_) => return Err(BackupError::Line("its end does not fit".into())),
                Said::Manifest(_) => return Err(BackupError::Line("it begins twice".into())),
            }
        }
        Err(BackupError::Cut)
    }
}

/// The lines of the file.
struct Lines<'a> {
    file: &'a mut BufReader<File>,
    opener: Opener,
    /// Opened and not read yet, from `at` on.
    plain: Zeroizing<Vec<u8>>,
    at: usize,
    /// The length of the next piece; none after the last.
    next: Option<usize>,
}

impl<'a> Lines<'a> {
    fn begin(file: &'a mut BufReader<File>, master: &MasterKey) -> Result<Self, BackupError> {
        let mut magic = [0; MAGIC.len()];
        file.read_exact(&mut magic)
            .map_err(|_| BackupError::NoBackup)?;
        if magic != MAGIC {
            return Err(BackupError::NoBackup);
        }
        let mut head = [0; stream::HEAD];
        file.read_exact(&mut head).map_err(|_| BackupError::Cut)?;
        let opener = master.open_stream(&head)?;
        let next = length(file)?.ok_or(BackupError::Cut)?;
        Ok(Self {
            file,
            opener,
            plain: Zeroizing::new(Vec::new()),
            at: 0,
            next: Some(next),
        })
    }

    /// The next line without its end; none at the end of all.
    fn next(&mut self) -> Result<Option<Vec<u8>>, BackupError> {
        let mut searched = self.at;
        loop {
            if let Some(found) = memchr::memchr(b'\n', &self.plain[searched..]) {
                let line = self.plain[self.at..searched + found].to_vec();
                self.at = searched + found + 1;
                return Ok(Some(line));
            }
            // What was read makes room first.
            self.plain.drain(..self.at);
            self.at = 0;
            searched = self.plain.len();
            if searched > LONGEST {
                return Err(BackupError::Line("a line has no end".into()));
            }
            if !self.piece()? {
                return match searched {
                    0 => Ok(None),
                    _ => Err(BackupError::Line("the last line has no end".into())),
                };
            }
        }
    }

    /// Opens one piece more, if there is one.
    fn piece(&mut self) -> Result<bool, BackupError> {
        let Some(length_of_this) = self.next else {
            return Ok(false);
        };
        let mut sealed = vec![0; length_of_this];
        self.file
            .read_exact(&mut sealed)
            .map_err(|_| BackupError::Cut)?;
        self.next = length(self.file)?;
        let last = self.next.is_none();
        let plain = self.opener.piece(&sealed, last).map_err(|error| {
            // A file that was cut between two pieces looks as if it were at its end.
            match last {
                true => BackupError::Cut,
                false => error.into(),
            }
        })?;
        self.plain.extend_from_slice(&plain);
        Ok(true)
    }
}

/// The length in front of a piece; none at the end of the file.
fn length(file: &mut BufReader<File>) -> Result<Option<usize>, BackupError> {
    let mut bytes = [0; 4];
    let mut have = 0;
    while have < bytes.len() {
        match file.read(&mut bytes[have..]) {
            Ok(0) if have == 0 => return Ok(None),
            Ok(0) => return Err(BackupError::Cut),
            Ok(n) => have += n,
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(_) => return Err(BackupError::Cut),
        }
    }
    match usize::try_from(u32::from_be_bytes(bytes)) {
        Ok(length) if length <= stream::SEALED => Ok(Some(length)),
        // No piece of ours is so long: nothing is read for it.
        _ => Err(BackupError::Open(crate::keys::OpenError::Tampered)),
    }
}
