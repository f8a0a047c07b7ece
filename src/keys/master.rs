//! The master key: one secret of 32 bytes (a file or a systemd credential) that wraps everything
//! at rest, and the former ones that may still open what was sealed before a rotation.
//!
//! The secret itself is never used: HKDF-SHA256 (RFC 5869) makes the sealing key and a short
//! public id from it, and then it is forgotten.

use super::random::{self, NoRandomness};
use aws_lc_rs::aead::{AES_256_GCM_SIV, RandomizedNonceKey};
use aws_lc_rs::hkdf::{HKDF_SHA256, KeyType, Prk, Salt};
use base64::Engine;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use std::fmt;
use std::fs::{File, OpenOptions};
use std::io::{Read, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use zeroize::Zeroizing;

/// Why there is no master key.
#[derive(Debug, thiserror::Error)]
pub enum MasterKeyError {
    /// The file can't be read.
    #[error(
        "master key {path}: {source}; make one with `auth-manager init`, or name the right file"
    )]
    Read {
        /// Which file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The file can't be made.
    #[error("master key {path}: can't be made: {source}; an existing key is never overwritten")]
    Write {
        /// Which file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// Others than the owner can read the file.
    #[error("master key {path}: mode {mode:04o} lets others read it; run `chmod 600 {path}`")]
    Shared {
        /// Which file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// The file holds something else.
    #[error("master key {path}: {source}")]
    Content {
        /// Which file.
        path: PathBuf,
        /// What is wrong.
        source: InvalidMasterKey,
    },
    /// No random bytes.
    #[error(transparent)]
    Random(#[from] NoRandomness),
}

/// Why some bytes are no master key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidMasterKey {
    /// Neither of the three forms.
    #[error(
        "must be 32 bytes: raw, 64 hex digits, or base64; make one with `openssl rand -base64 32`"
    )]
    Form,
    /// 32 bytes, but a text: far less than 256 random bits.
    #[error(
        "is 32 printable characters, not 32 random bytes; make one with `openssl rand -base64 32`"
    )]
    Passphrase,
    /// All bytes equal.
    #[error("is one byte repeated; make one with `openssl rand -base64 32`")]
    Constant,
    /// The library refuses it.
    #[error("can't be used by the crypto library")]
    Unusable,
}

/// Who may be able to read a key file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FileAccess {
    /// Its owner alone; anything else is refused.
    OwnerOnly,
    /// Anyone: for systemd credentials (which show the mask of an ACL as group bits) and for
    /// operators who said so.
    Any,
}

/// The public name of a master key: 8 bytes derived from it, written as hex. Stands in front of
/// everything sealed, so that a wrong key is told from damage.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MasterKeyId(pub(super) [u8; MasterKeyId::LEN]);

impl MasterKeyId {
    pub(super) const LEN: usize = 8;
}

impl std::str::FromStr for MasterKeyId {
    type Err = InvalidMasterKeyId;

    fn from_str(text: &str) -> Result<Self, InvalidMasterKeyId> {
        if text.len() != 2 * Self::LEN || !text.bytes().all(|b| b.is_ascii_hexdigit()) {
            return Err(InvalidMasterKeyId);
        }
        u64::from_str_radix(text, 16)
            .map(|id| Self(id.to_be_bytes()))
            .map_err(|_| InvalidMasterKeyId)
    }
}

/// A text that names no master key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the id of a master key is 16 hex digits, as `auth-manager keys status` shows it")]
pub struct InvalidMasterKeyId;

impl fmt::Display for MasterKeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|b| write!(f, "{b:02x}"))
    }
}

impl fmt::Debug for MasterKeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "MasterKeyId({self})")
    }
}

/// One wrapping key, ready for use.
#[derive(Clone)]
pub(super) struct WrappingKey {
    pub(super) id: MasterKeyId,
    pub(super) aead: Arc<RandomizedNonceKey>,
    /// What keys of streams are made from.
    pub(super) stream: Arc<Prk>,
}

/// The master key that seals, the former ones that may still open, and the next one that other
/// replicas may seal with already. Cheap to clone.
#[derive(Clone)]
pub struct MasterKey {
    pub(super) current: WrappingKey,
    pub(super) previous: Vec<WrappingKey>,
    pub(super) next: Option<WrappingKey>,
}

impl MasterKey {
    /// The master key in `path`.
    ///
    /// # Errors
    /// When the file can't be read, is readable by others than `access` allows, or holds no key.
    pub fn from_file(path: &Path, access: FileAccess) -> Result<Self, MasterKeyError> {
        let text = read(path, access)?;
        Self::from_bytes(&text).map_err(|source| MasterKeyError::Content {
            path: path.to_owned(),
            source,
        })
    }

    /// The master key that `bytes` hold: 32 raw bytes, or hex or base64 with white space around.
    ///
    /// # Errors
    /// When they hold none, or one that nobody drew at random.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, InvalidMasterKey> {
        let secret = parse(bytes)?;
        Ok(Self {
            current: WrappingKey::new(&secret)?,
            previous: Vec::new(),
            next: None,
        })
    }

    /// Lets `former` open what it sealed before the rotation; this key alone seals.
    #[must_use]
    pub fn with_previous(mut self, former: Self) -> Self {
        for key in std::iter::once(former.current).chain(former.previous) {
            if self.by_id(key.id).is_none() {
                self.previous.push(key);
            }
        }
        self
    }

    /// Lets `next` open what a replica sealed that has changed over before this one.
    #[must_use]
    pub fn with_next(mut self, next: Self) -> Self {
        if self.by_id(next.id()).is_none() {
            self.next = Some(next.current);
        }
        self
    }

    /// The id of the key that seals.
    #[must_use]
    pub fn id(&self) -> MasterKeyId {
        self.current.id
    }

    /// The ids of the former keys: what they sealed is to be sealed anew. Not of the next one.
    pub fn former(&self) -> impl Iterator<Item = MasterKeyId> + '_ {
        self.previous.iter().map(|key| key.id)
    }

    /// The id of the next key, when there is one.
    #[must_use]
    pub fn next_id(&self) -> Option<MasterKeyId> {
        self.next.as_ref().map(|key| key.id)
    }

    /// Whether it opens what the key of this id sealed.
    #[must_use]
    pub fn opens(&self, id: MasterKeyId) -> bool {
        self.by_id(id).is_some()
    }

    /// Writes a new master key into `path` (base64, mode 0600), which must not exist.
    ///
    /// # Errors
    /// When the file exists or can't be written.
    pub fn generate_file(path: &Path) -> Result<Self, MasterKeyError> {
        let secret = Zeroizing::new(random::bytes::<32>()?);
        let mut text = Zeroizing::new(STANDARD.encode(&secret[..]));
        text.push('\n');
        let written = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(path)
            .and_then(|mut file| {
                file.write_all(text.as_bytes())?;
                file.sync_all()
            });
        written.map_err(|source| MasterKeyError::Write {
            path: path.to_owned(),
            source,
        })?;
        Self::from_bytes(&secret[..]).map_err(|source| MasterKeyError::Content {
            path: path.to_owned(),
            source,
        })
    }

    pub(super) fn by_id(&self, id: MasterKeyId) -> Option<&WrappingKey> {
        std::iter::once(&self.current)
            .chain(&self.previous)
            .chain(&self.next)
            .find(|key| key.id == id)
    }
}

impl fmt::Debug for MasterKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "MasterKey({})", self.current.id)
    }
}

impl WrappingKey {
    fn new(secret: &[u8; 32]) -> Result<Self, InvalidMasterKey> {
        let mut id = [0; MasterKeyId::LEN];
        expand(secret, b"auth-manager master key id v1", &mut id)?;
        let mut key = Zeroizing::new([0; 32]);
        expand(secret, b"auth-manager sealing key v1", &mut key[..])?;
        let aead = RandomizedNonceKey::new(&AES_256_GCM_SIV, &key[..])
            .map_err(|_| InvalidMasterKey::Unusable)?;
        let mut stream = Zeroizing::new([0; 32]);
        expand(secret, b"auth-manager stream root v1", &mut stream[..])?;
        Ok(Self {
            id: MasterKeyId(id),
            aead: Arc::new(aead),
            stream: Arc::new(Prk::new_less_safe(HKDF_SHA256, &stream[..])),
        })
    }
}

struct Length(usize);

impl KeyType for Length {
    fn len(&self) -> usize {
        self.0
    }
}

/// HKDF-SHA256 without salt: the input is uniformly random already (RFC 5869 §3.1).
fn expand(secret: &[u8; 32], info: &[u8], out: &mut [u8]) -> Result<(), InvalidMasterKey> {
    Salt::new(HKDF_SHA256, &[])
        .extract(secret)
        .expand(&[info], Length(out.len()))
        .and_then(|okm| okm.fill(out))
        .map_err(|_| InvalidMasterKey::Unusable)
}

/// Reads the file through one handle, so that what was checked is what is read.
fn read(path: &Path, access: FileAccess) -> Result<Zeroizing<Vec<u8>>, MasterKeyError> {
    let failed = |source| MasterKeyError::Read {
        path: path.to_owned(),
        source,
    };
    let file = File::open(path).map_err(failed)?;
    let mode = file.metadata().map_err(failed)?.mode() & 0o777;
    if access == FileAccess::OwnerOnly && mode & 0o077 != 0 {
        return Err(MasterKeyError::Shared {
            path: path.to_owned(),
            mode,
        });
    }
    // Room for everything at once: a growing vector would leave copies behind.
    let mut text = Zeroizing::new(Vec::with_capacity(MAX_FILE as usize + 1));
    file.take(MAX_FILE + 1)
        .read_to_end(&mut text)
        .map_err(failed)?;
    Ok(text)
}

fn parse(bytes: &[u8]) -> Result<Zeroizing<[u8; 32]>, InvalidMasterKey> {
    let mut secret = Zeroizing::new([0; 32]);
    if bytes.len() == 32 {
        if bytes
            .iter()
            .all(|b| matches!(b, b' '..=b'~' | b'\r' | b'\n'))
        {
            return Err(InvalidMasterKey::Passphrase);
        }
        secret.copy_from_slice(bytes);
    } else {
        let text = bytes.trim_ascii();
        if text.len() == 64 {
            for (to, digits) in secret.iter_mut().zip(text.chunks_exact(2)) {
                *to = std::str::from_utf8(digits)
                    .ok()
                    .filter(|d| d.bytes().all(|b| b.is_ascii_hexdigit()))
                    .and_then(|d| u8::from_str_radix(d, 16).ok())
                    .ok_or(InvalidMasterKey::Form)?;
            }
        } else {
            let decoded = STANDARD
                .decode_slice(text, &mut secret[..])
                .or_else(|_| URL_SAFE.decode_slice(text, &mut secret[..]));
            if decoded != Ok(32) {
                return Err(InvalidMasterKey::Form);
            }
        }
    }
    if secret.iter().all(|b| *b == secret[0]) {
        return Err(InvalidMasterKey::Constant);
    }
    Ok(secret)
}

/// A key file is never longer; more is not read.
const MAX_FILE: u64 = 1024;

/// What `openssl rand -base64` and `head -c 32 | base64` write, with or without padding.
const STANDARD: GeneralPurpose = GeneralPurpose::new(&alphabet::STANDARD, LENIENT);
const URL_SAFE: GeneralPurpose = GeneralPurpose::new(&alphabet::URL_SAFE, LENIENT);
const LENIENT: GeneralPurposeConfig =
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::PermissionsExt;

    fn sample() -> [u8; 32] {
        std::array::from_fn(|i| u8::try_from(i * 7).unwrap())
    }

    #[test]
    fn three_forms_of_one_key_have_one_id() {
        let raw = sample();
        let hex: String = raw.iter().map(|b| format!("{b:02X}")).collect();
        let id = MasterKey::from_bytes(&raw).unwrap().id();
        let standard = STANDARD.encode(raw);
        for text in [
            hex + "\n",
            format!(" {standard}\r\n"),
            standard.trim_end_matches('=').to_owned(),
            URL_SAFE.encode(raw),
        ] {
            assert_eq!(
                MasterKey::from_bytes(text.as_bytes()).unwrap().id(),
                id,
                "{text}"
            );
        }
        assert_eq!(id.to_string().len(), 16);
    }

    #[test]
    fn what_is_no_key_is_refused() {
        use InvalidMasterKey::*;
        for (bytes, why) in [
            (&b""[..], Form),
            (b"short", Form),
            (&[b'x'; 31], Form),
            (b"correct horse battery staple etc", Passphrase),
            (b"0123456789abcdef0123456789abcdef", Passphrase),
            (&[0; 32], Constant),
            (&[b'0'; 64], Constant),
            (&[b'g'; 64], Form),
            (&[b'+'; 64], Form),
            (&[b'A'; 2000], Form),
        ] {
            assert_eq!(MasterKey::from_bytes(bytes).unwrap_err(), why, "{bytes:?}");
        }
    }

    #[test]
    fn a_generated_file_is_private_and_never_overwritten() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("master.key");
        let made = MasterKey::generate_file(&path).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o600);
        let read = MasterKey::from_file(&path, FileAccess::OwnerOnly).unwrap();
        assert_eq!(read.id(), made.id());
        assert!(matches!(
            MasterKey::generate_file(&path),
            Err(MasterKeyError::Write { .. })
        ));

        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
        let refused = MasterKey::from_file(&path, FileAccess::OwnerOnly).unwrap_err();
        assert!(refused.to_string().contains("chmod 600"), "{refused}");
        assert!(MasterKey::from_file(&path, FileAccess::Any).is_ok());
        let missing = MasterKey::from_file(&dir.path().join("no"), FileAccess::Any).unwrap_err();
        assert!(
            missing.to_string().contains("auth-manager init"),
            "{missing}"
        );
    }
}
