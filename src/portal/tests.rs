//! Pages: each in each language has its pieces, escapes what it is given and asks nobody else.

use super::*;

const PAGES: [(Page, Code); 13] = [
    (Page::Preparing, Code::AccountPreparing),
    (Page::Pending, Code::AccessPending),
    (Page::NotGranted, Code::AccessNotGranted),
    (Page::Disabled, Code::AccessDisabled),
    (Page::Conflict, Code::AccountConflict),
    (Page::NoSeat, Code::AccountNoSeat),
    (Page::SignedOut, Code::SessionSignedOut),
    (Page::CookiesBlocked, Code::SessionCookiesBlocked),
    (Page::AppUnavailable, Code::AppUnavailable),
    (Page::Plain, Code::RouteNotFound),
    (Page::Plain, Code::AssertionExpired),
    (Page::Plain, Code::CsrfRefused),
    (Page::Plain, Code::RequestFraming),
];

fn context(lang: Lang, code: Code) -> PageContext<'static> {
    PageContext {
        app_name: "Chat",
        organisation: "Example Society",
        contact: "help@example.com",
        display_name: "Zoë Ångström",
        email: "zoe@example.com",
        request_id: "0f9c2a7e",
        retry_seconds: code.retry_after().map(|_| 2),
        ..PageContext::new(lang, code)
    }
}

fn html(page: Page, ctx: &PageContext<'_>) -> String {
    String::from_utf8(render(page, ctx).to_vec()).unwrap()
}

#[test]
fn every_page_says_who_what_next_and_whom_to_ask_in_both_languages() {
    for lang in Lang::ALL {
        for (page, code) in PAGES {
            let html = html(page, &context(lang, code));
            let words = Messages::of(lang).page(page, code);
            let title = words.title.replace("{app}", "Chat").replace('\'', "&#39;");
            for piece in [
                "<!doctype html>",
                &format!("<html lang=\"{}\">", lang.tag()),
                &format!("<h1>{title}</h1>"),
                "name=\"viewport\"",
                "content=\"noindex\"",
                "href=\"mailto:help@example.com\"",
                "Example Society · Chat",
                &format!("<code>{}</code>", code.as_str()),
                "<code>0f9c2a7e</code>",
                "class=\"main\"",
                "</html>",
            ] {
                assert!(html.contains(piece), "{page:?} {lang:?}: {piece}\n{html}");
            }
            let names_them = html.contains("Zoë Ångström") && html.contains("zoe@example.com");
            assert_eq!(names_them, page != Page::SignedOut, "{page:?} {lang:?}");
            assert!(html.len() < 12 * 1024, "{page:?}: {} bytes", html.len());
            assert!(!html.contains("{app}"), "{page:?} {lang:?}");
        }
    }
}

#[test]
fn every_code_has_a_page_that_needs_nothing_but_itself() {
    for lang in Lang::ALL {
        for code in Code::ALL {
            let html = html(code.page(), &PageContext::new(lang, *code));
            for foreign in [
                "<script", "http:", "https:", "src=", "<link", "<form", "style=", "@import", "url(",
            ] {
                assert!(!html.contains(foreign), "{code:?}: {foreign}");
            }
            assert!(!html.contains("<dl>"), "{code:?}: an empty list");
        }
    }
}

#[test]
fn whatever_is_given_is_escaped_and_cut() {
    let evil = "<script>alert('x')</script>\"&";
    let long = "é".repeat(5000);
    for given in [evil, &long] {
        for (page, code) in PAGES {
            let ctx = PageContext {
                app_name: given,
                organisation: given,
                contact: given,
                display_name: given,
                email: given,
                request_id: given,
                message: Some(given),
                ..PageContext::new(Lang::En, code)
            };
            let html = html(page, &ctx);
            assert!(!html.contains("<script"), "{page:?}");
            assert!(!html.contains("alert('"), "{page:?}");
            assert!(html.len() < 12 * 1024, "{page:?}: {} bytes", html.len());
        }
    }
}

#[test]
fn links_lead_nowhere_but_here() {
    for bad in [
        "https://evil.example/",
        "//evil.example",
        "/\\evil.example",
        "javascript:x",
        "",
        "/\n",
    ] {
        let ctx = PageContext {
            sign_in_url: bad,
            ..PageContext::new(Lang::En, Code::SessionSignedOut)
        };
        assert!(
            html(Page::SignedOut, &ctx).contains("href=\"/\">"),
            "{bad:?}"
        );
    }
    for bad in ["a@b.c?subject=x", "a b@c.d", "@c.d", "a@b", "a\"@b.c"] {
        assert!(!is_address(bad), "{bad}");
    }
}

#[test]
fn ways_on_fit_the_page() {
    let page = |page, code| html(page, &PageContext::new(Lang::En, code));
    let signed_out = page(Page::SignedOut, Code::SessionSignedOut);
    assert!(signed_out.contains("href=\"/.pomerium/sign_out\">Sign in again"));
    let refused = page(Page::NotGranted, Code::AccessNotGranted);
    assert!(refused.contains("href=\"/.pomerium/sign_out\">Sign in as someone else"));
    let pending = page(Page::Pending, Code::AccessPending);
    assert!(pending.contains("href=\"\">Check again"));
    assert!(!pending.contains("http-equiv"));
    let preparing = html(Page::Preparing, &context(Lang::Fr, Code::AccountPreparing));
    assert!(preparing.contains("<meta http-equiv=\"refresh\" content=\"2\">"));
}

#[test]
fn a_page_without_an_app_speaks_of_the_app() {
    let html = html(
        Page::AppUnavailable,
        &PageContext::new(Lang::En, Code::Busy),
    );
    assert!(html.contains("<h1>The app is not available right now</h1>"));
    assert!(html.contains("The bridge is busy."));
}

#[test]
fn the_policy_allows_the_style_sheet_of_the_page_and_nothing_else() {
    let page = html(
        Page::Pending,
        &PageContext::new(Lang::En, Code::AccessPending),
    );
    let (_, rest) = page.split_once("<style>").unwrap();
    let (style, _) = rest.split_once("</style>").unwrap();
    let hash = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, style.as_bytes());
    let headers = headers();
    let policy = headers
        .iter()
        .find(|(name, _)| name == header::CONTENT_SECURITY_POLICY);
    let policy = policy.unwrap().1.to_str().unwrap();
    assert!(policy.starts_with("default-src 'none';"), "{policy}");
    assert!(policy.contains(&format!("style-src 'sha256-{}'", STANDARD.encode(hash))));
    assert!(!policy.contains("unsafe"));
    let store = headers
        .iter()
        .find(|(name, _)| name == header::CACHE_CONTROL)
        .unwrap();
    assert_eq!(store.1, "no-store");
}

#[test]
fn the_readme_explains_every_code() {
    let readme = include_str!("../../README.md");
    for code in Code::ALL {
        let area = code.as_str().split('.').next().unwrap_or_default();
        let named = readme.contains(&format!("`{}`", code.as_str()));
        let by_area = readme.contains(&format!("`{area}.*`"));
        assert!(
            named || by_area,
            "README.md does not say what {} means",
            code.as_str()
        );
    }
}

/// Writes every page to a folder, for people to look at:
/// `PAGES_TO=/tmp/pages cargo test --lib portal -- --ignored`.
#[test]
#[ignore = "writes files for people to look at"]
fn write_pages() {
    let folder = std::path::PathBuf::from(std::env::var_os("PAGES_TO").unwrap());
    std::fs::create_dir_all(&folder).unwrap();
    for lang in Lang::ALL {
        for (index, (page, code)) in PAGES.into_iter().enumerate() {
            let name = format!("{index:02}-{}-{}.html", code.as_str(), lang.tag());
            std::fs::write(folder.join(name), render(page, &context(lang, code))).unwrap();
        }
    }
}
