//! Ids and times as Mattermost writes them.

use std::time::{SystemTime, UNIX_EPOCH};

use time::OffsetDateTime;
use time::format_description::BorrowedFormatItem;
use time::macros::format_description;

/// z-base-32, the alphabet of every id and token of Mattermost.
const ALPHABET: &[u8; 32] = b"ybndrfg8ejkmcpqxot1uwisza345h769";
const HTTP_DATE: &[BorrowedFormatItem<'static>] = format_description!(
    "[weekday repr:short], [day] [month repr:short] [year] [hour]:[minute]:[second] GMT"
);

/// A new id or token: 26 characters.
pub(super) fn new_id() -> String {
    let mut bytes = [0u8; 26];
    // The system's random source does not fail; all-zero ids would show at once if it did.
    let _ = aws_lc_rs::rand::fill(&mut bytes);
    bytes
        .iter()
        .map(|byte| char::from(ALPHABET[usize::from(byte & 31)]))
        .collect()
}

/// `IsValidId`: 26 letters or digits.
pub(super) fn is_id(text: &str) -> bool {
    text.len() == 26 && is_alnum(text)
}

/// The route pattern `[A-Za-z0-9]+`.
pub(super) fn is_alnum(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric())
}

/// Milliseconds since 1970, the unit of every time in the API.
pub(super) fn now_ms() -> i64 {
    let elapsed = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    i64::try_from(elapsed.as_millis()).unwrap_or(i64::MAX)
}

/// `Mon, 02 Jan 2006 15:04:05 GMT` for a time in milliseconds.
pub(super) fn http_date(ms: i64) -> String {
    OffsetDateTime::from_unix_timestamp(ms.div_euclid(1000))
        .ok()
        .and_then(|at| at.format(HTTP_DATE).ok())
        .unwrap_or_default()
}
