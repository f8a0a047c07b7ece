//! Durations and sizes as people write them: `"30s"`, `"1h30m"`, `65536`, `"64KiB"`. What does not
//! live here: which of them a key allows (`reader.rs`).

use std::time::Duration;

/// Units of time, longest first, in milliseconds.
const TIMES: [(&str, u64); 5] = [
    ("d", 86_400_000),
    ("h", 3_600_000),
    ("m", 60_000),
    ("s", 1_000),
    ("ms", 1),
];

/// Units of size, largest first, in bytes.
const SIZES: [(&str, u64); 3] = [("MiB", 1 << 20), ("KiB", 1 << 10), ("B", 1)];

/// Reads `"30s"`, `"10m"`, `"14h"`, `"30d"`, `"250ms"` and sums as `"1h30m"`. A number needs its
/// unit; signs, blanks and fractions are refused, as is anything past 100 years.
#[must_use]
pub fn parse_duration(text: &str) -> Option<Duration> {
    const LONGEST: u64 = 36_500 * 86_400_000;
    let mut rest = text;
    let mut total: u64 = 0;
    if rest.is_empty() {
        return None;
    }
    while !rest.is_empty() {
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        let (number, tail) = rest.split_at(digits);
        let letters = tail.bytes().take_while(u8::is_ascii_alphabetic).count();
        let (unit, tail) = tail.split_at(letters);
        let (_, factor) = TIMES.iter().find(|(name, _)| *name == unit)?;
        let part = number.parse::<u64>().ok()?.checked_mul(*factor)?;
        total = total.checked_add(part).filter(|sum| *sum <= LONGEST)?;
        rest = tail;
    }
    Some(Duration::from_millis(total))
}

/// Writes a duration as [`parse_duration`] reads it, in as few units as hold it exactly.
#[must_use]
pub fn format_duration(duration: Duration) -> String {
    let mut left = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
    if left == 0 {
        return "0s".to_owned();
    }
    let mut text = String::new();
    for (unit, factor) in TIMES {
        let count = left / factor;
        // "25h" reads better than "1d1h": days only when nothing is left over.
        if count > 0 && (unit != "d" || left.is_multiple_of(factor)) {
            text.push_str(&format!("{count}{unit}"));
            left %= factor;
        }
    }
    text
}

/// Reads `"64KiB"`, `"1MiB"`, `"512B"`; plain numbers are bytes and come as integers.
#[must_use]
pub fn parse_size(text: &str) -> Option<u64> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    let (_, factor) = SIZES.iter().find(|(name, _)| *name == unit)?;
    number.parse::<u64>().ok()?.checked_mul(*factor)
}

/// Writes a size in its largest exact unit.
#[must_use]
pub fn format_size(bytes: u64) -> String {
    let exact = |factor: &u64| bytes > 0 && bytes.is_multiple_of(*factor);
    SIZES.iter().find(|(_, factor)| exact(factor)).map_or_else(
        || "0B".to_owned(),
        |(unit, f)| format!("{}{unit}", bytes / f),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn durations_need_a_unit() {
        for (text, millis) in [
            ("250ms", 250),
            ("30s", 30_000),
            ("10m", 600_000),
            ("1h30m", 5_400_000),
            ("30d", 2_592_000_000),
        ] {
            assert_eq!(parse_duration(text), Some(Duration::from_millis(millis)));
        }
        for bad in [
            "",
            "30",
            "s",
            "-1s",
            "1.5h",
            "1 h",
            "1H",
            "1w",
            "99999999999d",
            "1é",
            "1s ",
        ] {
            assert_eq!(parse_duration(bad), None, "{bad:?}");
        }
    }

    #[test]
    fn units_are_chosen_for_readers() {
        assert_eq!(format_duration(Duration::from_secs(50_400)), "14h");
        assert_eq!(format_duration(Duration::from_secs(90_000)), "25h");
        assert_eq!(format_duration(Duration::from_secs(2_592_000)), "30d");
        assert_eq!(format_size(65_536), "64KiB");
        assert_eq!(format_size(1_000), "1000B");
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_back(millis in 0_u64..=3_000_000_000_000, bytes in any::<u64>()) {
            let duration = Duration::from_millis(millis);
            prop_assert_eq!(parse_duration(&format_duration(duration)), Some(duration));
            prop_assert_eq!(parse_size(&format_size(bytes)), Some(bytes));
        }

        #[test]
        fn no_text_panics(text in "\\PC*") {
            let _ = (parse_duration(&text), parse_size(&text));
        }
    }
}
