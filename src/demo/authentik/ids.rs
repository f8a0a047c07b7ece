//! Ids and times in Authentik's forms.

use aws_lc_rs::digest::{SHA256, digest};
use std::fmt::Write as _;
use std::time::{SystemTime, UNIX_EPOCH};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use uuid::Uuid;

/// Now, in microseconds since 1970.
pub(super) fn now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    i64::try_from(since.unwrap_or_default().as_micros()).unwrap_or(i64::MAX)
}

/// A new id, with dashes.
pub(super) fn new_uuid() -> String {
    Uuid::new_v4().to_string()
}

/// The same without dashes, as events have it.
pub(super) fn hex(uuid: &str) -> String {
    uuid.replace('-', "")
}

/// An id as paths have it, with or without dashes (recorded), in the form with dashes.
pub(super) fn uuid_of(text: &str) -> Option<String> {
    Uuid::parse_str(text).ok().map(|id| id.to_string())
}

/// A random secret of 60 letters and digits (recorded).
pub(super) fn new_key() -> String {
    let text = format!("{}{}", new_uuid(), new_uuid());
    text.chars().filter(|c| *c != '-').take(60).collect()
}

/// `uid`: a hash of the user's number and the installation.
pub(super) fn uid(pk: i64, install_id: &str) -> String {
    let hash = digest(&SHA256, format!("{pk}-{install_id}").as_bytes());
    hash.as_ref().iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// `num_pk` of a group: the first five digits of its id as a number.
pub(super) fn number(uuid: &str) -> i64 {
    let id = Uuid::parse_str(uuid).unwrap_or_default();
    let digits: String = id.as_u128().to_string().chars().take(5).collect();
    digits.parse().unwrap_or_default()
}

/// As the API writes a time: `2026-11-21T08:04:12.740612Z`, without a fraction when there is none.
pub(super) fn stamp(micros: i64) -> String {
    let Ok(time) = OffsetDateTime::from_unix_timestamp_nanos(i128::from(micros) * 1_000) else {
        return String::new();
    };
    let (date, clock) = (time.date(), time.time());
    let mut text = format!(
        "{date}T{:02}:{:02}:{:02}",
        clock.hour(),
        clock.minute(),
        clock.second()
    );
    if clock.microsecond() != 0 {
        let _ = write!(text, ".{:06}", clock.microsecond());
    }
    text + "Z"
}

/// As Python writes it (`isoformat`).
pub(super) fn iso(micros: i64) -> String {
    stamp(micros).trim_end_matches('Z').to_owned() + "+00:00"
}

/// What a text says the time is.
pub(super) fn parse(text: &str) -> Option<i64> {
    let time = OffsetDateTime::parse(text, &Rfc3339).ok()?;
    i64::try_from(time.unix_timestamp_nanos() / 1_000).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_and_numbers_are_the_recorded_ones() {
        let recorded = "2026-11-21T08:04:12.740612Z";
        let micros = parse(recorded).unwrap();
        assert_eq!(stamp(micros), recorded);
        assert_eq!(iso(micros), "2026-11-21T08:04:12.740612+00:00");
        assert_eq!(
            stamp(parse("2027-01-01T00:00:00Z").unwrap()),
            "2027-01-01T00:00:00Z"
        );
        assert_eq!(number("4e41e286-12c1-4bbe-8a39-98dbd1aeae02"), 10_402);
        assert_eq!(number("f9f90b23-c028-46e4-a179-7746871bae8f"), 33_227);
        assert_eq!(new_key().len(), 60);
    }
}
