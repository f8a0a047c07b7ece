//! A long text sealed in pieces, for backups: STREAM (Hoang, Reyhanitabar, Rogaway, Vizár, "Online
//! Authenticated-Encryption and its Nonce-Reuse Misuse-Resistance", 2015) over AES-256-GCM.
//!
//! Each text has a key of its own: HKDF-SHA256 from the master key and 32 random bytes, so that
//! nonces may count. The nonce is the piece's number and whether it is the last: pieces that are
//! changed, missing, moved, repeated, of another text, or behind the last do not open.
//!
//! The form: head = version (1 byte, 1) · master key id (8) · salt (32), then pieces = length of
//! what follows (4 bytes) · ciphertext · tag (16). The head is associated data of every piece.

use super::master::{MasterKey, MasterKeyId};
use super::random::{self, NoRandomness};
use super::seal::{OpenError, SealError};
use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use aws_lc_rs::hkdf::{KeyType, Prk};
use zeroize::Zeroizing;

/// Length of the head.
pub const HEAD: usize = 1 + MasterKeyId::LEN + SALT;
/// Longest plain piece.
pub const PIECE: usize = 64 * 1024;
/// Longest sealed piece, without its length.
pub const SEALED: usize = PIECE + TAG;

const VERSION: u8 = 1;
const SALT: usize = 32;
const TAG: usize = 16;

/// Why a text could not be sealed.
#[derive(Debug, thiserror::Error)]
pub enum StreamError {
    /// No random bytes for its salt.
    #[error(transparent)]
    Random(#[from] NoRandomness),
    /// The crypto library refuses, or there are too many pieces.
    #[error(transparent)]
    Seal(#[from] SealError),
}

/// Seals one text.
pub struct Sealer {
    key: StreamKey,
    head: [u8; HEAD],
}

/// Opens one text.
pub struct Opener(StreamKey);

impl MasterKey {
    /// Begins a text, under the current key.
    ///
    /// # Errors
    /// When there are no random bytes.
    pub fn seal_stream(&self) -> Result<Sealer, StreamError> {
        let mut head = [0; HEAD];
        head[0] = VERSION;
        head[1..=MasterKeyId::LEN].copy_from_slice(&self.current.id.0);
        random::fill(&mut head[1 + MasterKeyId::LEN..])?;
        let key = StreamKey::new(&self.current.stream, head).ok_or(SealError)?;
        Ok(Sealer { key, head })
    }

    /// Opens a text by its head, under the current key or a former one.
    ///
    /// # Errors
    /// When it is no head of ours, or its master key is not at hand.
    pub fn open_stream(&self, head: &[u8; HEAD]) -> Result<Opener, OpenError> {
        if head[0] != VERSION {
            return Err(OpenError::Malformed);
        }
        let mut id = [0; MasterKeyId::LEN];
        id.copy_from_slice(&head[1..=MasterKeyId::LEN]);
        let id = MasterKeyId(id);
        let key = self.by_id(id).ok_or(OpenError::UnknownKey(id))?;
        let key = StreamKey::new(&key.stream, *head).ok_or(OpenError::Malformed)?;
        Ok(Opener(key))
    }
}

impl Sealer {
    /// What stands in front.
    #[must_use]
    pub fn head(&self) -> &[u8; HEAD] {
        &self.head
    }

    /// The next piece, with its length in front; at most [`PIECE`] bytes.
    ///
    /// # Errors
    /// When it is too long, there are too many, or the crypto library refuses.
    pub fn piece(&mut self, plain: &[u8], last: bool) -> Result<Vec<u8>, SealError> {
        if plain.len() > PIECE {
            return Err(SealError);
        }
        let nonce = self.key.next(last).ok_or(SealError)?;
        let length = u32::try_from(plain.len() + TAG).map_err(|_| SealError)?;
        let mut sealed = Vec::with_capacity(4 + plain.len() + TAG);
        sealed.extend_from_slice(&length.to_be_bytes());
        sealed.extend_from_slice(plain);
        let tag = self
            .key
            .aead
            .seal_in_place_separate_tag(nonce, Aad::from(self.key.head), &mut sealed[4..])
            .map_err(|_| SealError)?;
        sealed.extend_from_slice(tag.as_ref());
        Ok(sealed)
    }
}

impl Opener {
    /// The next piece, of which the length was read already.
    ///
    /// # Errors
    /// When it is not the next piece of this text, or `last` is not true of it.
    pub fn piece(&mut self, sealed: &[u8], last: bool) -> Result<Zeroizing<Vec<u8>>, OpenError> {
        let nonce = self.0.next(last).ok_or(OpenError::Malformed)?;
        let mut plain = Zeroizing::new(sealed.to_vec());
        let length = self
            .0
            .aead
            .open_in_place(nonce, Aad::from(self.0.head), &mut plain)
            .map_err(|_| OpenError::Tampered)?
            .len();
        plain.truncate(length);
        Ok(plain)
    }
}

struct StreamKey {
    aead: LessSafeKey,
    head: [u8; HEAD],
    /// Number of the next piece; none behind the last.
    next: Option<u64>,
}

impl StreamKey {
    fn new(from: &Prk, head: [u8; HEAD]) -> Option<Self> {
        let mut key = Zeroizing::new([0; 32]);
        let info = [b"auth-manager sealed stream v1".as_slice(), &head];
        let okm = from.expand(&info, KeyLength).ok()?;
        okm.fill(&mut key[..]).ok()?;
        let aead = LessSafeKey::new(UnboundKey::new(&AES_256_GCM, &key[..]).ok()?);
        Some(Self {
            aead,
            head,
            next: Some(0),
        })
    }

    fn next(&mut self, last: bool) -> Option<Nonce> {
        let number = self.next?;
        self.next = if last { None } else { number.checked_add(1) };
        let mut nonce = [0; 12];
        nonce[3..11].copy_from_slice(&number.to_be_bytes());
        nonce[11] = u8::from(last);
        Some(Nonce::assume_unique_for_key(nonce))
    }
}

struct KeyLength;

impl KeyType for KeyLength {
    fn len(&self) -> usize {
        32
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keys::testing;

    fn sealed(master: &MasterKey, pieces: &[&[u8]]) -> ([u8; HEAD], Vec<Vec<u8>>) {
        let mut sealer = master.seal_stream().unwrap();
        let last = pieces.len() - 1;
        let seal = |(at, piece): (usize, &&[u8])| sealer.piece(piece, at == last).unwrap();
        let sealed = pieces.iter().enumerate().map(seal).collect();
        (*sealer.head(), sealed)
    }

    fn opened(master: &MasterKey, head: &[u8; HEAD], pieces: &[Vec<u8>]) -> Option<Vec<Vec<u8>>> {
        let mut opener = master.open_stream(head).ok()?;
        let last = pieces.len() - 1;
        let open = |(at, piece): (usize, &Vec<u8>)| {
            Some(opener.piece(&piece[4..], at == last).ok()?.to_vec())
        };
        pieces.iter().enumerate().map(open).collect()
    }

    #[test]
    fn what_is_sealed_opens_again_under_its_own_and_under_a_former_key() {
        let (old, new) = (testing::master(), testing::master());
        let (head, pieces) = sealed(&old, &[b"one", b"", &[7; PIECE]]);
        let plain = vec![b"one".to_vec(), vec![], vec![7; PIECE]];
        assert_eq!(opened(&old, &head, &pieces), Some(plain.clone()));
        let both = new.clone().with_previous(old.clone());
        assert_eq!(opened(&both, &head, &pieces), Some(plain));
        let lost = new.open_stream(&head).err();
        assert_eq!(lost, Some(OpenError::UnknownKey(old.id())));
        assert!(
            old.seal_stream()
                .unwrap()
                .piece(&[0; PIECE + 1], true)
                .is_err()
        );
    }

    #[test]
    fn pieces_that_are_cut_moved_repeated_or_of_another_text_do_not_open() {
        let master = testing::master();
        let (head, pieces) = sealed(&master, &[b"one", b"two", b"three"]);
        let of = |order: &[usize]| {
            order
                .iter()
                .map(|at| pieces[*at].clone())
                .collect::<Vec<_>>()
        };
        for order in [
            &[0, 1][..],
            &[0],
            &[1, 0, 2],
            &[0, 0, 1, 2],
            &[0, 2],
            &[0, 1, 2, 2],
        ] {
            assert_eq!(opened(&master, &head, &of(order)), None, "{order:?}");
        }
        let (other, theirs) = sealed(&master, &[b"one", b"two", b"three"]);
        assert_eq!(opened(&master, &other, &pieces), None);
        assert_eq!(
            opened(
                &master,
                &head,
                &[pieces[0].clone(), theirs[1].clone(), pieces[2].clone()]
            ),
            None
        );
        // Nothing comes behind the last.
        let mut opener = master.open_stream(&head).unwrap();
        for (at, piece) in pieces.iter().enumerate() {
            opener.piece(&piece[4..], at == 2).unwrap();
        }
        assert_eq!(
            opener.piece(&pieces[0][4..], false).err(),
            Some(OpenError::Malformed)
        );
    }

    #[test]
    fn any_flipped_bit_fails() {
        let master = testing::master();
        let (head, pieces) = sealed(&master, &[b"all there is"]);
        for bit in 0..HEAD * 8 {
            let mut changed = head;
            changed[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(opened(&master, &changed, &pieces), None, "head, bit {bit}");
        }
        for bit in 4 * 8..pieces[0].len() * 8 {
            let mut changed = pieces.clone();
            changed[0][bit / 8] ^= 1 << (bit % 8);
            assert_eq!(opened(&master, &head, &changed), None, "bit {bit}");
        }
    }
}
