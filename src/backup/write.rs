//! Making a backup.

use super::lines::{self, Manifest};
use super::read::Contents;
use super::{Backup, BackupError, MAGIC};
use crate::keys::MasterKey;
use crate::keys::stream::{self, Sealer, StreamError};
use crate::store::StoreError;
use crate::store::archive::{Piece, Place};
use crate::types::Timestamp;
use std::fs::{File, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use tokio::sync::mpsc;

/// Writes a backup of a store to `path`, which must not exist, and reads it back. Gives what is in
/// it. `told` hears of each table and its number of rows.
///
/// # Errors
/// When the store does not answer, or the file can't be written; then there is no file.
pub async fn write(
    place: &Place,
    master: &MasterKey,
    path: &Path,
    now: Timestamp,
    mut told: impl FnMut(&str, u64),
) -> Result<Contents, BackupError> {
    if path.symlink_metadata().is_ok() {
        let exists = std::io::ErrorKind::AlreadyExists.into();
        return Err(BackupError::file(format!("{} is there", path.display()))(
            exists,
        ));
    }
    let part = Part::new(path)?;
    let mut out = Out::new(&part, master)?;
    let (to, from) = mpsc::channel(4);
    let (dumped, written) = tokio::join!(place.dump(to), fill(&mut out, from, now, &mut told));
    // The store's reason first: without pieces the file has none of its own.
    dumped?;
    written?;
    out.finish()?;
    let contents = Backup::open(&part.path, master)?.check(|_, _| {})?;
    part.becomes(path)?;
    Ok(contents)
}

async fn fill(
    out: &mut Out,
    mut from: mpsc::Receiver<Piece>,
    now: Timestamp,
    told: &mut impl FnMut(&str, u64),
) -> Result<(), BackupError> {
    let (mut all, mut table) = (0, (String::new(), 0));
    while let Some(piece) = from.recv().await {
        match piece {
            Piece::Begin { schema } => out.line(&lines::manifest(&Manifest::new(now.0, schema)))?,
            Piece::Table { name, columns } => {
                out.line(&lines::table(&name, &columns))?;
                let (former, rows) = std::mem::replace(&mut table, (name, 0));
                if !former.is_empty() {
                    told(&former, rows);
                }
            }
            Piece::Rows(rows) => {
                for row in &rows {
                    out.line(&lines::row(row))?;
                }
                all += rows.len() as u64;
                table.1 += rows.len() as u64;
            }
            Piece::End => {
                told(&table.0, table.1);
                return out.line(&lines::end(all));
            }
        }
    }
    Err(StoreError::Unavailable("it ended in the middle".into()).into())
}

/// A file under another name, gone unless it was given its own.
struct Part {
    path: PathBuf,
}

impl Part {
    fn new(path: &Path) -> Result<Self, BackupError> {
        let mut name = path.as_os_str().to_owned();
        name.push(".part");
        let path = PathBuf::from(name);
        // Left behind by a run that was killed.
        match std::fs::remove_file(&path) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                let what = format!("removing {}", path.display());
                Err(BackupError::file(what)(error))
            }
            _ => Ok(Self { path }),
        }
    }

    fn becomes(self, path: &Path) -> Result<(), BackupError> {
        // A link, not a rename: that would replace a file that has come meanwhile. A file system
        // without links has only the rename.
        match std::fs::hard_link(&self.path, path) {
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => Err(error),
            Err(_) => std::fs::rename(&self.path, path),
            linked => linked,
        }
        .map_err(BackupError::file(format!("writing {}", path.display())))?;
        let folder = path
            .parent()
            .filter(|folder| !folder.as_os_str().is_empty());
        let folder = folder.unwrap_or(Path::new("."));
        File::open(folder)
            .and_then(|folder| folder.sync_all())
            .map_err(BackupError::file(format!("writing {}", folder.display())))
    }
}

impl Drop for Part {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.path);
    }
}

/// The sealed file.
struct Out {
    file: File,
    name: String,
    sealer: Sealer,
    /// Not sealed yet.
    plain: Vec<u8>,
}

impl Out {
    fn new(part: &Part, master: &MasterKey) -> Result<Self, BackupError> {
        let name = part.path.display().to_string();
        let file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&part.path)
            .map_err(BackupError::file(format!("writing {name}")))?;
        let sealer = master.seal_stream()?;
        let mut out = Self {
            file,
            name,
            sealer,
            plain: Vec::with_capacity(2 * stream::PIECE),
        };
        out.put(MAGIC)?;
        let head = *out.sealer.head();
        out.put(&head)?;
        Ok(out)
    }

    fn line(&mut self, line: &str) -> Result<(), BackupError> {
        self.plain.extend_from_slice(line.as_bytes());
        while self.plain.len() > stream::PIECE {
            let rest = self.plain.split_off(stream::PIECE);
            let piece = std::mem::replace(&mut self.plain, rest);
            self.seal(&piece, false)?;
        }
        Ok(())
    }

    fn finish(mut self) -> Result<(), BackupError> {
        let piece = std::mem::take(&mut self.plain);
        self.seal(&piece, true)?;
        self.file
            .sync_all()
            .map_err(BackupError::file(format!("writing {}", self.name)))
    }

    fn seal(&mut self, piece: &[u8], last: bool) -> Result<(), BackupError> {
        let sealed = self.sealer.piece(piece, last).map_err(StreamError::from)?;
        self.put(&sealed)
    }

    fn put(&mut self, bytes: &[u8]) -> Result<(), BackupError> {
        self.file
            .write_all(bytes)
            .map_err(BackupError::file(format!("writing {}", self.name)))
    }
}
