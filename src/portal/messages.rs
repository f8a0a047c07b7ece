//! The texts of `messages/*.toml`, embedded. What each page needs is a field here, so that a text
//! that is missing, or that nobody shows, fails the first test that reads them.

use super::Lang;
use crate::error::{Code, Page};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::sync::LazyLock;

/// One language's texts.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Messages {
    pub(super) common: Common,
    page: Pages,
    /// By code; empty for English, whose sentences are the codes' own titles.
    #[serde(default)]
    code: BTreeMap<String, String>,
}

/// Words of the layout.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Common {
    pub(super) the_app: String,
    pub(super) signed_in_as: String,
    pub(super) ask: String,
    pub(super) request: String,
    pub(super) check_again: String,
    pub(super) try_again: String,
    pub(super) go_home: String,
    pub(super) sign_in_again: String,
    pub(super) someone_else: String,
}

/// What one page says; `{app}` stands for the app's name.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Words {
    pub(super) title: String,
    pub(super) what: String,
    pub(super) next: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Pages {
    preparing: Words,
    pending: Words,
    not_granted: Words,
    disabled: Words,
    conflict: Words,
    no_seat: Words,
    signed_out: Words,
    cookies_blocked: Words,
    app_unavailable: Words,
    plain_not_found: Words,
    plain_sign_in: Words,
    plain_refused: Words,
    plain_request: Words,
}

impl Messages {
    /// The texts of a language.
    pub(super) fn of(lang: Lang) -> &'static Self {
        static EN: LazyLock<Messages> = LazyLock::new(|| parse(include_str!("messages/en.toml")));
        static FR: LazyLock<Messages> = LazyLock::new(|| parse(include_str!("messages/fr.toml")));
        match lang {
            Lang::En => &EN,
            Lang::Fr => &FR,
        }
    }

    /// What a page says; a plain one by the kind of its code.
    pub(super) fn page(&self, page: Page, code: Code) -> &Words {
        let pages = &self.page;
        match page {
            Page::Preparing => &pages.preparing,
            Page::Pending => &pages.pending,
            Page::NotGranted => &pages.not_granted,
            Page::Disabled => &pages.disabled,
            Page::Conflict => &pages.conflict,
            Page::NoSeat => &pages.no_seat,
            Page::SignedOut => &pages.signed_out,
            Page::CookiesBlocked => &pages.cookies_blocked,
            Page::AppUnavailable => &pages.app_unavailable,
            Page::Plain => match code.status().as_u16() {
                404 => &pages.plain_not_found,
                401 => &pages.plain_sign_in,
                403 => &pages.plain_refused,
                _ => &pages.plain_request,
            },
        }
    }
}

fn parse(text: &str) -> Messages {
    toml::from_str(text).expect("the embedded messages are complete: a test reads them")
}

/// One sentence for a code: what an API caller's `message` or `detail` says, and the small print
/// of a page.
#[must_use]
pub fn message(code: Code, lang: Lang) -> &'static str {
    Messages::of(lang)
        .code
        .get(code.as_str())
        .map_or(code.title(), String::as_str)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn french_has_a_sentence_for_every_code_and_no_other() {
        let french: Vec<_> = Messages::of(Lang::Fr).code.keys().cloned().collect();
        let mut codes: Vec<_> = Code::ALL.iter().map(|c| c.as_str().to_owned()).collect();
        codes.sort();
        assert_eq!(french, codes);
        assert!(Messages::of(Lang::En).code.is_empty());
        for code in Code::ALL {
            for lang in Lang::ALL {
                assert!(message(*code, lang).ends_with('.'), "{code:?} {lang:?}");
            }
        }
    }

    #[test]
    fn texts_have_no_other_placeholder_and_no_double_blank() {
        for text in [
            include_str!("messages/en.toml"),
            include_str!("messages/fr.toml"),
        ] {
            let rest = text.replace("{app}", "");
            assert!(!rest.contains('{') && !rest.contains('}'));
            assert!(!text.contains("  "));
        }
    }
}
