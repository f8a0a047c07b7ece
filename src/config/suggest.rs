//! "Did you mean": the nearest of the words that would have been right.

/// The candidate that a tired person most likely meant, if any is near enough: up to a third of
/// its letters may differ, and `-`, `_` and case never count.
#[must_use]
pub fn nearest<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    // A key longer than any of ours is not a slip of the finger, and the distance is quadratic.
    if word.len() > 64 {
        return None;
    }
    let fold = |text: &str| text.replace('-', "_").to_ascii_lowercase();
    let word = fold(word);
    candidates
        .into_iter()
        .map(|candidate| {
            let folded = fold(candidate);
            let distance = strsim::damerau_levenshtein(&word, &folded);
            let prefix =
                word.len() >= 4 && (folded.starts_with(&word) || word.starts_with(&folded));
            let allowed = candidate.chars().count().div_ceil(3);
            let near = prefix || distance <= allowed;
            (if near { distance } else { usize::MAX }, candidate)
        })
        .min_by_key(|(distance, _)| *distance)
        .filter(|(distance, _)| *distance < usize::MAX)
        .map(|(_, candidate)| candidate)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slips_are_recognised_and_strangers_are_not() {
        let keys = [
            "stale_after",
            "absolute",
            "idle",
            "tombstone",
            "socket_max_age",
        ];
        for (slip, meant) in [
            ("stale-after", Some("stale_after")),
            ("absolut", Some("absolute")),
            ("Idle", Some("idle")),
            ("tombtsone", Some("tombstone")),
            ("socket_max", Some("socket_max_age")),
            ("colour", None),
            ("", None),
        ] {
            assert_eq!(nearest(slip, keys), meant, "{slip}");
        }
    }
}
