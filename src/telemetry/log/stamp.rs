//! The time of a line: RFC 3339, UTC, milliseconds; formatted once a second, patched once a
//! millisecond, a copy otherwise.

use std::time::{SystemTime, UNIX_EPOCH};
use time::OffsetDateTime;

/// `2026-11-23T12:34:56.789Z`.
pub(super) const LENGTH: usize = 24;

/// The last time that was written, and its text.
pub(super) struct Stamp {
    second: u64,
    millisecond: u32,
    text: [u8; LENGTH],
}

impl Stamp {
    pub(super) const fn new() -> Self {
        Self {
            second: u64::MAX,
            millisecond: 0,
            text: *b"1970-01-01T00:00:00.000Z",
        }
    }

    /// The text of now.
    pub(super) fn now(&mut self) -> &[u8; LENGTH] {
        let since = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        self.at(since.as_secs(), since.subsec_millis())
    }

    fn at(&mut self, second: u64, millisecond: u32) -> &[u8; LENGTH] {
        if second != self.second {
            self.second = second;
            self.write_second();
            self.millisecond = u32::MAX;
        }
        if millisecond != self.millisecond {
            self.millisecond = millisecond;
            digits(&mut self.text[20..23], millisecond);
        }
        &self.text
    }

    fn write_second(&mut self) {
        let at = i64::try_from(self.second)
            .ok()
            .and_then(|second| OffsetDateTime::from_unix_timestamp(second).ok())
            .unwrap_or(OffsetDateTime::UNIX_EPOCH);
        let parts = [
            (0..4, u32::try_from(at.year()).unwrap_or(0)),
            (5..7, u32::from(u8::from(at.month()))),
            (8..10, u32::from(at.day())),
            (11..13, u32::from(at.hour())),
            (14..16, u32::from(at.minute())),
            (17..19, u32::from(at.second())),
        ];
        for (place, value) in parts {
            digits(&mut self.text[place], value);
        }
    }
}

/// Writes `value` in decimal, with zeros in front; what does not fit is cut off.
fn digits(to: &mut [u8], mut value: u32) {
    for place in to.iter_mut().rev() {
        *place = b'0' + (value % 10) as u8;
        value /= 10;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_text_follows_seconds_and_milliseconds() {
        let mut stamp = Stamp::new();
        let mut text = |s, ms| String::from_utf8(stamp.at(s, ms).to_vec()).unwrap();
        assert_eq!(text(0, 0), "1970-01-01T00:00:00.000Z");
        assert_eq!(text(1_790_000_000, 7), "2026-09-21T14:13:20.007Z");
        assert_eq!(text(1_790_000_000, 999), "2026-09-21T14:13:20.999Z");
        assert_eq!(text(1_790_000_001, 999), "2026-09-21T14:13:21.999Z");
        assert_eq!(text(u64::MAX - 1, 1), "1970-01-01T00:00:00.001Z");
    }
}
