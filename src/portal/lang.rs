//! Which language a visitor reads: `Accept-Language` (RFC 9110 §12.5.4), French or English.

/// A language that pages exist in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Lang {
    /// English: the default.
    #[default]
    En,
    /// French.
    Fr,
}

impl Lang {
    /// Every language.
    pub const ALL: [Self; 2] = [Self::En, Self::Fr];

    /// The BCP 47 tag, for `lang` and `Content-Language`.
    #[must_use]
    pub const fn tag(self) -> &'static str {
        match self {
            Self::En => "en",
            Self::Fr => "fr",
        }
    }

    /// The language of the highest weight, the first one among equals; English when none of ours
    /// is asked for, or the header is absent or odd.
    #[must_use]
    pub fn negotiate(header: Option<&str>) -> Self {
        // Longer lists are not a browser's; whatever they ask for, a page in English will do.
        const LONGEST: usize = 32;
        let mut best = (0, Self::En);
        for range in header.unwrap_or_default().split(',').take(LONGEST) {
            let mut parts = range.split(';').map(str::trim);
            let tag = parts.next().unwrap_or_default();
            let primary = tag.split('-').next().unwrap_or_default();
            let Some(lang) = Self::ALL
                .into_iter()
                .find(|lang| primary.eq_ignore_ascii_case(lang.tag()))
            else {
                continue;
            };
            let weight = parts
                .find_map(|part| part.strip_prefix("q=").or_else(|| part.strip_prefix("Q=")))
                .map_or(Some(1000), weight)
                .unwrap_or(0);
            if weight > best.0 {
                best = (weight, lang);
            }
        }
        best.1
    }
}

/// A `qvalue` in thousandths: `0`, `0.5`, `1.000`; `None` when it is none.
fn weight(text: &str) -> Option<u16> {
    let (whole, part) = text.split_once('.').unwrap_or((text, ""));
    if part.len() > 3 || !part.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let thousandths: u16 = format!("{part:0<3}").parse().ok()?;
    match whole {
        "0" => Some(thousandths),
        "1" if thousandths == 0 => Some(1000),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_heaviest_language_of_ours_wins() {
        for (header, lang) in [
            ("fr", Lang::Fr),
            ("fr-CA,fr;q=0.9,en;q=0.8", Lang::Fr),
            ("FR-be", Lang::Fr),
            ("en;q=0.8, fr;q=0.9", Lang::Fr),
            ("de,fr;q=0.5,en;q=0.4", Lang::Fr),
            ("en,fr", Lang::En),
            ("fr,en", Lang::Fr),
            ("fr;q=0,en;q=0.1", Lang::En),
            ("fr;q=0", Lang::En),
            ("fr;q=2", Lang::En),
            ("fr;q=x", Lang::En),
            ("de", Lang::En),
            ("*", Lang::En),
            ("", Lang::En),
            ("frisian", Lang::En),
            (";;,,q=1;fr", Lang::En),
        ] {
            assert_eq!(Lang::negotiate(Some(header)), lang, "{header:?}");
        }
        assert_eq!(Lang::negotiate(None), Lang::En);
    }

    proptest::proptest! {
        #[test]
        fn no_header_panics(header in "\\PC*") {
            let _ = Lang::negotiate(Some(&header));
        }
    }
}
