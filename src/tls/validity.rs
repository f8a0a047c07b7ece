//! From when until when a certificate is valid, and a revocation list good: what the TLS library
//! checks but does not tell. For telling only: nothing is decided by it.

use super::pem;
use crate::types::Timestamp;
use std::path::Path;
use time::{Date, Month, PrimitiveDateTime, Time};

/// `notBefore` and `notAfter` of a DER certificate (RFC 5280 §4.1.2.5); `None` when it can't be
/// read.
#[must_use]
pub fn of(der: &[u8]) -> Option<(Timestamp, Timestamp)> {
    let (tag, certificate, _) = element(der)?;
    let (_, body, _) = (tag == SEQUENCE).then(|| element(certificate))??;
    let mut rest = body;
    // [0] version, where it is given; serial number, algorithm, issuer; then validity.
    let (tag, _, behind) = element(rest)?;
    if tag == VERSION {
        rest = behind;
    }
    for _ in 0..3 {
        rest = element(rest)?.2;
    }
    let (_, validity, _) = element(rest)?;
    let (tag, from, behind) = element(validity)?;
    let (until_tag, until, _) = element(behind)?;
    Some((moment(tag, from)?, moment(until_tag, until)?))
}

/// When the first of the certificates in a PEM file ends; `None` when none can be read.
#[must_use]
pub fn earliest_end(path: &Path) -> Option<Timestamp> {
    let certificates = pem::certificates(path).ok()?;
    let ends = certificates.iter().filter_map(|der| of(der));
    ends.map(|(_, until)| until).min()
}

/// `nextUpdate` of a DER revocation list (RFC 5280 §5.1.2.5); `None` when it can't be read.
#[must_use]
pub fn next_update(der: &[u8]) -> Option<Timestamp> {
    let (tag, list, _) = element(der)?;
    let (_, body, _) = (tag == SEQUENCE).then(|| element(list))??;
    let mut rest = body;
    // version, where it is given; algorithm, issuer, thisUpdate; then nextUpdate.
    let (tag, _, behind) = element(rest)?;
    if tag == INTEGER {
        rest = behind;
    }
    for _ in 0..3 {
        rest = element(rest)?.2;
    }
    let (tag, next, _) = element(rest)?;
    moment(tag, next)
}

const INTEGER: u8 = 0x02;
const SEQUENCE: u8 = 0x30;
const VERSION: u8 = 0xa0;
const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;

/// The first element: its tag, its content, what is behind it (X.690 §8.1).
fn element(der: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (&tag, rest) = der.split_first()?;
    let (&first, rest) = rest.split_first()?;
    let (length, rest) = if first < 0x80 {
        (usize::from(first), rest)
    } else {
        let count = usize::from(first & 0x7f);
        if count == 0 || count > 4 {
            return None;
        }
        let (digits, rest) = rest.split_at_checked(count)?;
        let length = digits
            .iter()
            .fold(0_usize, |n, d| (n << 8) | usize::from(*d));
        (length, rest)
    };
    let (content, behind) = rest.split_at_checked(length)?;
    Some((tag, content, behind))
}

/// `YYMMDDHHMMSSZ` or `YYYYMMDDHHMMSSZ`.
fn moment(tag: u8, text: &[u8]) -> Option<Timestamp> {
    let text = std::str::from_utf8(text).ok()?.strip_suffix('Z')?;
    if !text.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let (year, rest) = match tag {
        UTC_TIME => {
            let (year, rest) = text.split_at_checked(2)?;
            let year: i32 = year.parse().ok()?;
            (if year < 50 { 2000 + year } else { 1900 + year }, rest)
        }
        GENERALIZED_TIME => {
            let (year, rest) = text.split_at_checked(4)?;
            (year.parse().ok()?, rest)
        }
        _ => return None,
    };
    let part = |at: usize| rest.get(at..at + 2)?.parse::<u8>().ok();
    let month = Month::try_from(part(0)?).ok()?;
    let date = Date::from_calendar_date(year, month, part(2)?).ok()?;
    let time = Time::from_hms(part(4)?, part(6)?, part(8)?).ok()?;
    let at = PrimitiveDateTime::new(date, time).assume_utc();
    Some(Timestamp(at.unix_timestamp()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tls::dev::{DevAuthority, DevUsage};
    use rustls_pki_types::CertificateDer;
    use rustls_pki_types::pem::PemObject as _;

    #[test]
    fn a_certificate_says_how_long_it_is_valid() {
        let now = Timestamp(1_800_000_000);
        let made = DevAuthority::new(now)
            .unwrap()
            .issue(DevUsage::Server, &["a.example".into()])
            .unwrap();
        let der = CertificateDer::from_pem_slice(made.certificate.as_bytes()).unwrap();
        let (from, until) = of(&der).unwrap();
        assert!(from <= now && now < until, "{from} {until}");
        // Cut anywhere it is unreadable or, behind the field, the same; never a panic.
        for length in 0..der.len() {
            let cut = of(&der[..length]);
            assert!(cut.is_none() || cut == Some((from, until)));
        }
    }

    #[test]
    fn both_forms_of_time_are_read() {
        for (tag, text, seconds) in [
            (UTC_TIME, "700101000001Z", 1),
            (UTC_TIME, "491231235959Z", 2_524_607_999),
            (GENERALIZED_TIME, "20500101000000Z", 2_524_608_000),
        ] {
            assert_eq!(moment(tag, text.as_bytes()), Some(Timestamp(seconds)));
        }
        for odd in ["", "Z", "7001010000Z", "701301000001Z", "70010100000éZ"] {
            assert_eq!(moment(UTC_TIME, odd.as_bytes()), None, "{odd}");
        }
    }
}
