//! Where WebSocket frames begin and end (RFC 6455 §5.2): enough to cut a tunnel between two frames
//! and to judge what a browser says, no more. Payloads pass as they are; nothing is re-framed.

/// Longest browser message that is held back until it is judged. Mattermost closes a socket on
/// anything longer than 8 KiB (facts, §3), so a longer one can't carry a challenge.
pub(super) const JUDGED: usize = 8 << 10;

/// Longest frame header: 2 + 8 length + 4 mask.
const MAX_HEADER: usize = 14;

/// The bytes of a close frame towards the browser (unmasked): `code` and a short reason.
pub(super) fn close_frame(code: u16, reason: &str) -> Vec<u8> {
    let reason = &reason.as_bytes()[..reason.len().min(100)];
    let mut frame = Vec::with_capacity(4 + reason.len());
    frame.push(0x88);
    frame.push(u8::try_from(2 + reason.len()).unwrap_or(2));
    frame.extend_from_slice(&code.to_be_bytes());
    frame.extend_from_slice(reason);
    frame
}

/// What is wrong with a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum FrameError {
    /// A reserved bit, opcode, or a length that no frame has.
    Malformed,
    /// A browser's frame without mask, or an app's with one (RFC 6455 §5.1).
    Mask,
}

/// A frame's header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Header {
    fin: bool,
    opcode: u8,
    mask: Option<[u8; 4]>,
    length: u64,
    size: usize,
}

impl Header {
    /// Reads a header from the front of `bytes`; `None` when more is needed.
    fn parse(bytes: &[u8]) -> Result<Option<Self>, FrameError> {
        let [first, second, ..] = *bytes else {
            return Ok(None);
        };
        // Extensions are never negotiated (the bridge drops the offer), so reserved bits are zero.
        if first & 0x70 != 0 {
            return Err(FrameError::Malformed);
        }
        let opcode = first & 0x0f;
        let fin = first & 0x80 != 0;
        let masked = second & 0x80 != 0;
        let short = second & 0x7f;
        match opcode {
            0..=2 => {}
            8..=10 if fin && short < 126 => {}
            _ => return Err(FrameError::Malformed),
        }
        let extra = match short {
            126 => 2,
            127 => 8,
            _ => 0,
        };
        let size = 2 + extra + if masked { 4 } else { 0 };
        let Some(header) = bytes.get(..size) else {
            return Ok(None);
        };
        let length = match extra {
            0 => u64::from(short),
            _ => header[2..2 + extra]
                .iter()
                .fold(0, |n, b| (n << 8) | u64::from(*b)),
        };
        if length >> 63 != 0 {
            return Err(FrameError::Malformed);
        }
        let mask = masked.then(|| {
            let m = &header[size - 4..];
            [m[0], m[1], m[2], m[3]]
        });
        Ok(Some(Self {
            fin,
            opcode,
            mask,
            length,
            size,
        }))
    }
}

/// Follows the frames of one direction as bytes pass: knows whether the last byte that passed ended
/// a frame.
#[derive(Debug, Default)]
pub(super) struct Boundary {
    header: [u8; MAX_HEADER],
    have: usize,
    payload: u64,
}

impl Boundary {
    /// Whether everything that passed is made of whole frames.
    pub(super) fn is_between(&self) -> bool {
        self.have == 0 && self.payload == 0
    }

    /// How many bytes of `bytes` belong to whole frames or the current one: follows all of them.
    ///
    /// # Errors
    /// When the bytes are no frames.
    pub(super) fn pass(&mut self, mut bytes: &[u8]) -> Result<(), FrameError> {
        while !bytes.is_empty() {
            bytes = self.step(bytes)?;
        }
        Ok(())
    }

    /// How many of `bytes` complete the frame that is under way.
    ///
    /// # Errors
    /// When the bytes are no frames.
    pub(super) fn rest_of_frame(&mut self, bytes: &[u8]) -> Result<usize, FrameError> {
        let mut left = bytes;
        while !left.is_empty() && !self.is_between() {
            left = self.step(left)?;
        }
        Ok(bytes.len() - left.len())
    }

    fn step<'a>(&mut self, bytes: &'a [u8]) -> Result<&'a [u8], FrameError> {
        if self.payload > 0 {
            let n = usize::try_from(self.payload)
                .unwrap_or(usize::MAX)
                .min(bytes.len());
            self.payload -= n as u64;
            return Ok(&bytes[n..]);
        }
        self.header[self.have] = bytes[0];
        self.have += 1;
        let header = Header::parse(&self.header[..self.have]);
        let refused = match &header {
            Err(error) => Some(*error),
            Ok(Some(header)) if header.mask.is_some() => Some(FrameError::Mask),
            Ok(_) => None,
        };
        if let Some(error) = refused {
            // From here on nothing is known to be a frame's end.
            self.have = 0;
            self.payload = u64::MAX;
            return Err(error);
        }
        if let Ok(Some(header)) = header {
            self.have = 0;
            self.payload = header.length;
        }
        Ok(&bytes[1..])
    }
}

/// What the judge says about bytes of a browser.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Judgement {
    /// These may pass now; what is missing from them is held until its message is whole.
    Pass(Vec<u8>),
    /// A message the app's rules refuse.
    Refuse,
    /// No frames, or frames that no browser sends.
    Malformed(FrameError),
}

/// Judges what a browser says: holds the frames of a message back until the message is whole (or
/// longer than can matter), shows it to the app's rules, then lets the very bytes pass.
#[derive(Debug, Default)]
pub(super) struct Judge {
    /// Bytes not passed on yet.
    held: Vec<u8>,
    /// Payload of the message under way, unmasked.
    message: Vec<u8>,
    /// Payload bytes of the current frame that may pass without a look.
    free: u64,
    /// Whether the message under way is too long to matter.
    long: bool,
}

impl Judge {
    /// Takes what came; `admits` judges each whole data message.
    pub(super) fn take(&mut self, bytes: &[u8], admits: impl Fn(&[u8]) -> bool) -> Judgement {
        // Nothing held and one whole short frame is by far the usual case; the general loop below
        // handles it as well, so there is no second path.
        self.held.extend_from_slice(bytes);
        let mut passed = 0;
        // Where the parser stands in `held`, ahead of what has passed while frames are held.
        let mut at = 0;
        loop {
            if self.free > 0 {
                let n = usize::try_from(self.free)
                    .unwrap_or(usize::MAX)
                    .min(self.held.len() - at);
                self.free -= n as u64;
                at += n;
                passed = at;
                if self.free > 0 {
                    break;
                }
            }
            let header = match Header::parse(&self.held[at..]) {
                Ok(Some(header)) => header,
                Ok(None) => break,
                Err(error) => return Judgement::Malformed(error),
            };
            let Some(mask) = header.mask else {
                return Judgement::Malformed(FrameError::Mask);
            };
            let control = header.opcode >= 8;
            let known = self.message.len() as u64;
            if !control && (self.long || known + header.length > JUDGED as u64) {
                // Too long for the app to take as a command: pass it as it comes.
                self.long = !header.fin;
                self.message.clear();
                at += header.size;
                self.free = header.length;
                passed = at;
                continue;
            }
            let length = usize::try_from(header.length).unwrap_or(usize::MAX);
            let from = at + header.size;
            let Some(payload) = self.held.get(from..from.saturating_add(length)) else {
                break;
            };
            at = from + length;
            if control {
                // A control frame may stand between the fragments of a message that is held: it
                // waits with them, so that the order stays.
                if self.message.is_empty() {
                    passed = at;
                }
                continue;
            }
            self.message
                .extend(payload.iter().zip(mask.iter().cycle()).map(|(b, m)| b ^ m));
            if header.fin {
                if !admits(&self.message) {
                    return Judgement::Refuse;
                }
                self.message.clear();
                passed = at;
            }
        }
        // Frames of an unfinished message stay held; their payload is collected again with the
        // rest, so that what passes is always what was judged.
        if at > passed {
            self.message.clear();
        }
        Judgement::Pass(self.held.drain(..passed).collect())
    }

    /// Whether nothing is held: an idle socket then keeps no memory for it.
    pub(super) fn is_idle(&self) -> bool {
        self.held.is_empty() && self.free == 0
    }

    /// Gives memory back while nothing is held.
    pub(super) fn rest(&mut self) {
        if self.is_idle() {
            self.held = Vec::new();
            self.message = Vec::new();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn frame(fin: bool, opcode: u8, payload: &[u8], mask: Option<[u8; 4]>) -> Vec<u8> {
        let mut f = vec![opcode | if fin { 0x80 } else { 0 }];
        let bit = if mask.is_some() { 0x80 } else { 0 };
        match payload.len() {
            n if n < 126 => f.push(n as u8 | bit),
            n if n < 65536 => {
                f.push(126 | bit);
                f.extend((n as u16).to_be_bytes());
            }
            n => {
                f.push(127 | bit);
                f.extend((n as u64).to_be_bytes());
            }
        }
        if let Some(m) = mask {
            f.extend(m);
            f.extend(payload.iter().zip(m.iter().cycle()).map(|(b, m)| b ^ m));
        } else {
            f.extend(payload);
        }
        f
    }

    const MASK: Option<[u8; 4]> = Some([1, 2, 3, 4]);

    #[test]
    fn a_message_is_judged_before_any_of_it_passes() {
        let text = frame(true, 1, b"authentication_challenge", MASK);
        for cut in 1..text.len() {
            let mut judge = Judge::default();
            let admits = |m: &[u8]| m != b"authentication_challenge";
            assert_eq!(judge.take(&text[..cut], admits), Judgement::Pass(vec![]));
            assert_eq!(judge.take(&text[cut..], admits), Judgement::Refuse);
        }
    }

    #[test]
    fn a_fragmented_message_is_judged_as_one() {
        let mut bytes = frame(false, 1, b"authentication_", MASK);
        bytes.extend(frame(true, 9, b"ping", MASK));
        bytes.extend(frame(true, 0, b"challenge", MASK));
        for cut in 0..bytes.len() {
            let mut judge = Judge::default();
            let admits = |m: &[u8]| m != b"authentication_challenge";
            let first = judge.take(&bytes[..cut], admits);
            assert_eq!(first, Judgement::Pass(vec![]), "cut at {cut}");
            assert_eq!(
                judge.take(&bytes[cut..], admits),
                Judgement::Refuse,
                "cut at {cut}"
            );
        }
    }

    #[test]
    fn a_message_too_long_to_matter_is_not_held() {
        let long = frame(true, 2, &vec![7; JUDGED + 1], MASK);
        let mut judge = Judge::default();
        assert_eq!(
            judge.take(&long[..100], |_| false),
            Judgement::Pass(long[..100].to_vec())
        );
        assert_eq!(
            judge.take(&long[100..], |_| false),
            Judgement::Pass(long[100..].to_vec())
        );
        assert!(judge.is_idle());
    }

    #[test]
    fn a_browser_must_mask_and_an_app_must_not() {
        let mut judge = Judge::default();
        let plain = frame(true, 1, b"x", None);
        assert_eq!(
            judge.take(&plain, |_| true),
            Judgement::Malformed(FrameError::Mask)
        );
        let masked = frame(true, 1, b"x", MASK);
        assert_eq!(Boundary::default().pass(&masked), Err(FrameError::Mask));
    }

    #[test]
    fn close_frames_are_whole_frames() {
        let mut boundary = Boundary::default();
        boundary.pass(&close_frame(1012, "come back")).unwrap();
        assert!(boundary.is_between());
    }

    proptest! {
        #[test]
        fn what_passes_is_what_came(
            messages in prop::collection::vec((prop::collection::vec(any::<u8>(), 0..300), 1..4usize), 1..6),
            cuts in prop::collection::vec(1..50usize, 1..200),
        ) {
            let mut bytes = vec![];
            for (payload, parts) in &messages {
                let size = payload.len().div_ceil(*parts).max(1);
                let chunks: Vec<&[u8]> = if payload.is_empty() { vec![&[]] } else { payload.chunks(size).collect() };
                for (i, part) in chunks.iter().enumerate() {
                    bytes.extend(frame(i + 1 == chunks.len(), if i == 0 { 1 } else { 0 }, part, MASK));
                }
            }
            let seen = std::cell::RefCell::new(vec![]);
            let mut judge = Judge::default();
            let mut out = vec![];
            let mut rest = &bytes[..];
            for cut in cuts.iter().cycle() {
                if rest.is_empty() { break }
                let (now, later) = rest.split_at((*cut).min(rest.len()));
                rest = later;
                match judge.take(now, |m| { seen.borrow_mut().push(m.to_vec()); true }) {
                    Judgement::Pass(p) => out.extend(p),
                    other => prop_assert!(false, "{other:?}"),
                }
            }
            prop_assert_eq!(&out, &bytes);
            prop_assert!(judge.is_idle());
            let expected: Vec<Vec<u8>> = messages.into_iter().map(|m| m.0).collect();
            prop_assert_eq!(seen.into_inner(), expected);
        }

        #[test]
        fn no_bytes_make_it_panic(chunks in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..64), 0..20)) {
            let mut judge = Judge::default();
            let mut boundary = Boundary::default();
            for chunk in &chunks {
                let _ = judge.take(chunk, |_| true);
                let _ = boundary.pass(chunk);
            }
        }
    }
}
