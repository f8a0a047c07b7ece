//! Reading what a [`SecretSource`] names. What the secret is for, and whether it has the right
//! form, is its reader's business.

use super::SecretSource;
use crate::types::SecretText;
use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use zeroize::Zeroizing;

/// Longest secret in bytes; a token or a URL has far less.
const LONGEST: u64 = 64 * 1024;

/// Why a secret can't be had. Never holds the secret.
#[derive(Debug, thiserror::Error)]
pub enum SecretError {
    /// The file can't be read.
    #[error("the secret {path} can't be read: {source}")]
    Read {
        /// Which file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A folder, a device, a socket.
    #[error("the secret {0} is not an ordinary file")]
    NotAFile(PathBuf),
    /// Nothing but blanks.
    #[error("the secret {0} is empty")]
    Empty(PathBuf),
    /// More than 64 KiB.
    #[error("the secret {0} is longer than 64 KiB: is it the right file?")]
    TooLong(PathBuf),
    /// Bytes that are no text.
    #[error("the secret {0} is not text")]
    NotText(PathBuf),
    /// No credentials at all.
    #[error(
        "the credential {0:?} is not there: $CREDENTIALS_DIRECTORY is not set \
         (LoadCredential={0}:… in the systemd unit sets it)"
    )]
    NoCredentials(String),
}

impl SecretSource {
    /// The file behind it: the file itself, or the credential's in `$CREDENTIALS_DIRECTORY`.
    ///
    /// # Errors
    /// When a credential is asked for and systemd gave none.
    pub fn path(&self) -> Result<PathBuf, SecretError> {
        self.path_in(std::env::var_os("CREDENTIALS_DIRECTORY").map(PathBuf::from))
    }

    fn path_in(&self, credentials: Option<PathBuf>) -> Result<PathBuf, SecretError> {
        match self {
            Self::File(path) => Ok(path.clone()),
            Self::Credential(name) => credentials
                .map(|folder| folder.join(name))
                .ok_or_else(|| SecretError::NoCredentials(name.clone())),
        }
    }

    /// The secret as text, without blanks and line ends around it. Read anew at each call, so that
    /// a reload sees a replaced file.
    ///
    /// # Errors
    /// When it is not there, empty, too long or not text.
    pub fn read(&self) -> Result<SecretText, SecretError> {
        let path = self.path()?;
        let bytes = self.read_bytes()?;
        let text = std::str::from_utf8(&bytes).map_err(|_| SecretError::NotText(path.clone()))?;
        match text.trim() {
            "" => Err(SecretError::Empty(path)),
            text => Ok(SecretText::from(text)),
        }
    }

    /// The secret's bytes as they are: for keys, which need not be text.
    ///
    /// # Errors
    /// When it is not there, empty or too long.
    pub fn read_bytes(&self) -> Result<Zeroizing<Vec<u8>>, SecretError> {
        let path = self.path()?;
        let read = |source| SecretError::Read {
            path: path.clone(),
            source,
        };
        // Looked at before it is opened: opening a named pipe would wait for its writer.
        if !std::fs::metadata(&path).map_err(read)?.is_file() {
            return Err(SecretError::NotAFile(path));
        }
        let file = File::open(&path).map_err(read)?;
        let mut bytes = Zeroizing::new(Vec::new());
        file.take(LONGEST + 1)
            .read_to_end(&mut bytes)
            .map_err(read)?;
        if bytes.is_empty() {
            Err(SecretError::Empty(path))
        } else if bytes.len() as u64 > LONGEST {
            Err(SecretError::TooLong(path))
        } else {
            Ok(bytes)
        }
    }
}

/// The permission bits of a file that others than its owner may read or write; `None` when it is
/// private. Credentials are not asked: systemd guards their folder, and shows their access list as
/// group bits.
pub(super) fn shared_mode(path: &Path) -> Option<u32> {
    let mode = std::fs::metadata(path).ok()?.mode() & 0o7777;
    (mode & 0o066 != 0).then_some(mode)
}

#[cfg(test)]
mod tests {
    use super::*;
    use secrecy::ExposeSecret;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn a_secret_is_read_without_its_line_end() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("token");
        std::fs::write(&path, "  s3cret\n").unwrap();
        let secret = SecretSource::File(path).read().unwrap();
        assert_eq!(secret.expose_secret(), "s3cret");
    }

    #[test]
    fn what_is_no_secret_is_refused_without_showing_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        std::fs::write(path("blank"), " \n").unwrap();
        std::fs::write(path("bytes"), [0xff, 0xfe, 0xfd]).unwrap();
        std::fs::write(path("long"), "x".repeat(70_000)).unwrap();
        for name in ["missing", "blank", "bytes", "long", "."] {
            let error = SecretSource::File(path(name)).read().unwrap_err();
            assert!(!error.to_string().contains("xxxx"), "{name}");
        }
        assert!(SecretSource::File(path("bytes")).read_bytes().is_ok());
    }

    #[test]
    fn a_credential_lies_in_the_folder_that_systemd_names() {
        let source = SecretSource::Credential("bot".into());
        let given = source.path_in(Some("/run/credentials/x".into())).unwrap();
        assert_eq!(given, Path::new("/run/credentials/x/bot"));
        assert!(source.path_in(None).is_err());
    }

    #[test]
    fn a_file_that_others_read_is_noticed() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("token");
        std::fs::write(&path, "x").unwrap();
        for (mode, shared) in [(0o600, false), (0o400, false), (0o640, true), (0o604, true)] {
            std::fs::set_permissions(&path, PermissionsExt::from_mode(mode)).unwrap();
            assert_eq!(shared_mode(&path).is_some(), shared, "{mode:o}");
        }
    }
}
