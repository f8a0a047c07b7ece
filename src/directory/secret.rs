//! A secret that is read again when its file changes: tokens of directories are renewed without a
//! restart.

use super::source::SourceError;
use crate::config::SecretSource;
use crate::types::SecretText;
use parking_lot::Mutex;
use std::os::unix::fs::MetadataExt;
use std::sync::Arc;

/// See the module.
pub(super) struct HotSecret {
    source: SecretSource,
    last: Mutex<Option<(Stamp, Arc<SecretText>)>>,
}

/// Another file, time or length is another content.
type Stamp = (u64, u64, i64, i64);

impl HotSecret {
    pub(super) fn new(source: SecretSource) -> Self {
        Self {
            source,
            last: Mutex::default(),
        }
    }

    /// The secret as its file has it now.
    pub(super) fn get(&self) -> Result<Arc<SecretText>, SourceError> {
        let stamp = self.stamp();
        let mut last = self.last.lock();
        if let (Some(now), Some((then, secret))) = (stamp, &*last)
            && now == *then
        {
            return Ok(Arc::clone(secret));
        }
        let secret = self.source.read();
        let secret = secret.map_err(|error| SourceError::Credential(error.to_string()))?;
        let secret = Arc::new(secret);
        *last = stamp.map(|stamp| (stamp, Arc::clone(&secret)));
        Ok(secret)
    }

    /// Follows symbolic links: what counts is the file that would be read.
    fn stamp(&self) -> Option<Stamp> {
        let file = std::fs::metadata(self.source.path().ok()?).ok()?;
        Some((file.ino(), file.len(), file.mtime(), file.mtime_nsec()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_renewed_secret_is_used_without_a_restart() {
        use secrecy::ExposeSecret as _;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("token");
        std::fs::write(&path, "one\n").unwrap();
        let secret = HotSecret::new(SecretSource::File(path.clone()));
        let first = secret.get().unwrap();
        assert_eq!(first.expose_secret(), "one");
        assert!(
            Arc::ptr_eq(&first, &secret.get().unwrap()),
            "not read twice"
        );
        // As it is renewed: another file in its place.
        std::fs::write(folder.path().join("new"), "two\n").unwrap();
        std::fs::rename(folder.path().join("new"), &path).unwrap();
        assert_eq!(secret.get().unwrap().expose_secret(), "two");
        std::fs::remove_file(&path).unwrap();
        assert!(matches!(secret.get(), Err(SourceError::Credential(_))));
    }
}
