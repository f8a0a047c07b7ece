//! Whether a client without a session gets a redirect or a 401 (recording 03c): JSON only when its
//! `Accept` prefers JSON to pages.

/// Whether `accept` names `application/json` before, or with a higher quality than, anything a
/// page would satisfy. No header, `*/*`, images and event streams count as a page.
pub(super) fn prefers_json(accept: Option<&str>) -> bool {
    let mut best: Option<(bool, u16)> = None;
    for range in accept.unwrap_or_default().split(',') {
        let mut parts = range.split(';');
        let json = match parts.next().unwrap_or_default().trim() {
            "application/json" => true,
            "text/html" | "application/xhtml+xml" | "text/*" | "*/*" => false,
            _ => continue,
        };
        let quality = parts
            .find_map(|part| part.trim().strip_prefix("q="))
            .map_or(1000, thousandths);
        if best.is_none_or(|(_, best)| quality > best) {
            best = Some((json, quality));
        }
    }
    best.is_some_and(|(json, _)| json)
}

fn thousandths(quality: &str) -> u16 {
    let quality: f32 = quality.parse().unwrap_or(0.0);
    // Clamped to 0..=1000, so that the cast is exact enough and cannot wrap.
    (quality.clamp(0.0, 1.0) * 1000.0) as u16
}

#[cfg(test)]
mod tests {
    use super::prefers_json;

    #[test]
    fn the_recorded_accept_values_choose_as_pomerium_chose() {
        for page in [
            None,
            Some("text/html,*/*;q=0.8"),
            Some("*/*"),
            Some("text/event-stream"),
            Some("image/avif,image/webp,*/*;q=0.8"),
            Some("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"),
        ] {
            assert!(!prefers_json(page), "{page:?}");
        }
        for json in ["application/json", "application/json, text/plain, */*"] {
            assert!(prefers_json(Some(json)), "{json}");
        }
    }
}
