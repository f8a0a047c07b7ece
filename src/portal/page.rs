//! One page: its words, its actions, its headers.

use super::Lang;
use super::messages::{Common, Messages, message};
use crate::error::{Code, Page};
use askama::Template;
use base64::{Engine, engine::general_purpose::STANDARD};
use bytes::Bytes;
use http::header::{self, HeaderName, HeaderValue};
use std::sync::LazyLock;

/// The style sheet, byte for byte as it stands between `<style>` and `</style>`.
const STYLE: &str = include_str!("templates/style.css");

/// What a page says beside its own words. Empty texts are left out of the page.
#[derive(Debug, Clone, Copy)]
pub struct PageContext<'a> {
    /// The visitor's language.
    pub lang: Lang,
    /// Why the page is shown.
    pub code: Code,
    /// What visitors call the app; empty when none was found.
    pub app_name: &'a str,
    /// Whose service this is.
    pub organisation: &'a str,
    /// Whom to ask: a text, or an e-mail address (which becomes a link).
    pub contact: &'a str,
    /// Who is signed in: from a verified assertion only.
    pub display_name: &'a str,
    /// Their e-mail address, likewise.
    pub email: &'a str,
    /// The request's id, which the log has too.
    pub request_id: &'a str,
    /// Reload after so many seconds (1 to 300). Only for an answer to a GET.
    pub retry_seconds: Option<u32>,
    /// Where *sign in again* leads. A tombstoned session never gets back in by reloading: only a
    /// new `sid` does, so the default is Pomerium's sign-out (`/.pomerium/sign_out`).
    pub sign_in_url: &'a str,
    /// Where *sign in as someone else* leads. Default: `/.pomerium/sign_out`.
    pub sign_out_url: &'a str,
    /// The app's own first page. Default: `/`.
    pub home_url: &'a str,
    /// Said instead of the page's own *what happened*.
    pub message: Option<&'a str>,
}

impl PageContext<'_> {
    /// A context with nothing but a language and a reason.
    #[must_use]
    pub const fn new(lang: Lang, code: Code) -> Self {
        Self {
            lang,
            code,
            app_name: "",
            organisation: "",
            contact: "",
            display_name: "",
            email: "",
            request_id: "",
            retry_seconds: None,
            sign_in_url: "/.pomerium/sign_out",
            sign_out_url: "/.pomerium/sign_out",
            home_url: "/",
            message: None,
        }
    }
}

struct Action<'a> {
    href: &'a str,
    text: String,
}

#[derive(Template)]
#[template(path = "page.html")]
struct View<'a> {
    lang: &'static str,
    refresh: Option<u32>,
    title: String,
    style: &'static str,
    heading: String,
    tone: &'static str,
    icon: &'static str,
    what: String,
    next: String,
    actions: Vec<Action<'a>>,
    common: &'a Common,
    who: &'a str,
    address: &'a str,
    contact: &'a str,
    contact_is_address: bool,
    detail: &'a str,
    code: &'static str,
    request_id: &'a str,
}

/// The page as HTML: complete, self-contained, under 12 KiB.
#[must_use]
pub fn render(page: Page, ctx: &PageContext<'_>) -> Bytes {
    let messages = Messages::of(ctx.lang);
    let words = messages.page(page, ctx.code);
    let app = match cut(ctx.app_name) {
        "" => messages.common.the_app.as_str(),
        name => name,
    };
    let fill = |text: &str| {
        let filled = text.replace("{app}", app);
        if !cut(ctx.app_name).is_empty() {
            return filled;
        }
        // "the app is …" begins a sentence; a name keeps its own case.
        let mut letters = filled.chars();
        letters.next().map_or_else(String::new, |first| {
            first.to_uppercase().chain(letters).collect()
        })
    };
    let (who, address) = match (cut(ctx.display_name), cut(ctx.email)) {
        // Whoever just signed out is not told that they are signed in.
        _ if page == Page::SignedOut => ("", ""),
        ("", email) => (email, ""),
        (name, email) if name == email => (name, ""),
        both => both,
    };
    let detail = message(ctx.code, ctx.lang);
    // Pages that stand for several codes add the code's own sentence; the others say it already.
    let is_general = matches!(page, Page::Plain | Page::AppUnavailable | Page::NoSeat);
    let (tone, icon) = picture(page);
    let heading: Vec<_> = [cut(ctx.organisation), cut(ctx.app_name)]
        .into_iter()
        .filter(|text| !text.is_empty())
        .collect();
    let contact = cut(ctx.contact);
    let view = View {
        lang: ctx.lang.tag(),
        refresh: ctx.retry_seconds.map(|seconds| seconds.clamp(1, 300)),
        title: fill(&words.title),
        style: STYLE,
        heading: heading.join(" · "),
        tone,
        icon,
        what: ctx
            .message
            .map_or_else(|| fill(&words.what), |text| cut(text).to_owned()),
        next: fill(&words.next),
        actions: actions(page, ctx, &messages.common, &fill),
        common: &messages.common,
        who,
        address,
        contact,
        contact_is_address: is_address(contact),
        detail: if is_general && detail.trim_end_matches('.') != words.title {
            detail
        } else {
            ""
        },
        code: ctx.code.as_str(),
        request_id: cut(ctx.request_id),
    };
    // Rendering into a string fails only if a `Display` of ours did.
    Bytes::from(view.render().unwrap_or_else(|_| detail.to_owned()))
}

fn actions<'a>(
    page: Page,
    ctx: &PageContext<'a>,
    common: &Common,
    fill: &dyn Fn(&str) -> String,
) -> Vec<Action<'a>> {
    let to = |href: &'a str, text: &str| Action {
        href: own_path(href),
        text: fill(text),
    };
    // An empty address is the page's own: whoever followed a deep link gets there in the end.
    let again = |text: &str| Action {
        href: "",
        text: fill(text),
    };
    let someone_else = to(ctx.sign_out_url, &common.someone_else);
    match page {
        Page::Preparing => vec![again(&common.check_again)],
        Page::Pending | Page::Conflict | Page::NoSeat => {
            vec![again(&common.check_again), someone_else]
        }
        Page::NotGranted | Page::Disabled => vec![someone_else, again(&common.check_again)],
        Page::SignedOut => vec![to(ctx.sign_in_url, &common.sign_in_again)],
        // Not the page's own address, which may carry the mark of the redirect that failed.
        Page::CookiesBlocked => vec![to(ctx.home_url, &common.try_again)],
        Page::AppUnavailable => vec![again(&common.try_again)],
        Page::Plain => match ctx.code {
            Code::RouteUnknownHost => Vec::new(),
            _ => match ctx.code.status().as_u16() {
                401 => vec![
                    again(&common.try_again),
                    to(ctx.sign_in_url, &common.sign_in_again),
                ],
                _ => vec![to(ctx.home_url, &common.go_home)],
            },
        },
    }
}

/// Only paths of this very site become links (T38): whatever else was given leads to its root.
fn own_path(href: &str) -> &str {
    let mut bytes = href.bytes();
    let own = bytes.next() == Some(b'/')
        && !matches!(bytes.next(), Some(b'/' | b'\\'))
        && !href.contains(|c: char| c.is_control());
    if own { href } else { "/" }
}

/// A text of outside, cut where no page would show more: at 200 characters.
fn cut(text: &str) -> &str {
    let text = text.trim();
    match text.char_indices().nth(200) {
        Some((end, _)) => text.get(..end).unwrap_or_default(),
        None => text,
    }
}

/// Whether a contact can stand in a `mailto:` link as it is.
fn is_address(text: &str) -> bool {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"-_.+".contains(&b);
    text.split_once('@').is_some_and(|(name, domain)| {
        !name.is_empty() && domain.contains('.') && name.bytes().chain(domain.bytes()).all(plain)
    })
}

/// Tone and drawing of a page: one path on 24 by 24, stroked.
const fn picture(page: Page) -> (&'static str, &'static str) {
    match page {
        Page::Preparing => ("turn", "M12 2a10 10 0 1 1-8.7 5"),
        Page::Pending => ("wait", "M12 2a10 10 0 1 0 .01 0M12 6.5V12l3.5 2"),
        Page::NotGranted => (
            "wait",
            "M6 10.5h12a1.5 1.5 0 0 1 1.5 1.5v8a1.5 1.5 0 0 1-1.5 1.5H6A1.5 1.5 0 0 1 4.5 20v-8A1.5 1.5 0 0 1 6 10.5M8 10.5V7a4 4 0 0 1 8 0v3.5M12 15v2.5",
        ),
        Page::Disabled => ("stop", "M12 2a10 10 0 1 0 .01 0M5 5l14 14"),
        Page::Conflict => (
            "wait",
            "M8.5 5.5a6.5 6.5 0 1 0 .01 0M15.5 5.5a6.5 6.5 0 1 0 .01 0",
        ),
        Page::NoSeat => (
            "wait",
            "M9 4a3.5 3.5 0 1 0 .01 0M2.5 20v-1.5A5.5 5.5 0 0 1 8 13h2a5.5 5.5 0 0 1 5.5 5.5V20M17 9.5h5",
        ),
        Page::SignedOut => (
            "calm",
            "M10 3.5H5.5A1.5 1.5 0 0 0 4 5v14a1.5 1.5 0 0 0 1.5 1.5H10M10 12h10.5M16.5 8l4 4-4 4",
        ),
        Page::CookiesBlocked => (
            "wait",
            "M12 2a10 10 0 1 0 10 10 4 4 0 0 1-5-5 4 4 0 0 1-5-5M8.5 9v.01M8 15v.01M13 12.5v.01M15 17v.01",
        ),
        Page::AppUnavailable => ("wait", "M12 3.5 2.5 20h19zM12 10v4.5M12 17.2v.01"),
        Page::Plain => ("stop", "M12 2a10 10 0 1 0 .01 0M12 7v6M12 16.5v.01"),
    }
}

/// Headers of every page. The policy allows our style sheet, by its hash, and nothing else.
#[must_use]
pub fn headers() -> [(HeaderName, HeaderValue); 5] {
    static POLICY: LazyLock<HeaderValue> = LazyLock::new(|| {
        let hash = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, STYLE.as_bytes());
        let policy = format!(
            "default-src 'none'; style-src 'sha256-{}'; form-action 'self'; \
             frame-ancestors 'none'; base-uri 'none'",
            STANDARD.encode(hash)
        );
        // Base64 and the text above are all visible ASCII; without the hash it only gets stricter.
        HeaderValue::try_from(policy).unwrap_or(HeaderValue::from_static("default-src 'none'"))
    });
    [
        (
            header::CONTENT_TYPE,
            HeaderValue::from_static("text/html; charset=utf-8"),
        ),
        (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
        (header::CONTENT_SECURITY_POLICY, POLICY.clone()),
        (
            header::X_CONTENT_TYPE_OPTIONS,
            HeaderValue::from_static("nosniff"),
        ),
        (
            header::REFERRER_POLICY,
            HeaderValue::from_static("no-referrer"),
        ),
    ]
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
