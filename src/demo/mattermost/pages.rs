//! What a browser is given: the page of the demo under every path, and its two static files.

use super::answer::{Answer, Reply, Style};
use super::call::Call;
use super::gzip;

const PAGE: &str = include_str!("page/page.html");
const SCRIPT: &str = include_str!("page/demo.js");
const STYLE: &str = include_str!("page/demo.css");
/// The files are part of the program; any fixed time will do.
const MODIFIED: &str = "Sat, 21 Nov 2026 08:03:18 GMT";

/// Any `GET` that nothing else answers: never touches cookies, never compressed, no ETag
/// (recordings 16 and 27).
pub(super) async fn shell(_call: Call) -> Answer {
    Ok(Reply::new(200, Style::Shell, "text/html", PAGE)
        .with("cache-control", "no-cache, max-age=31556926, public")
        .with(
            "content-security-policy",
            "frame-ancestors 'self' ; script-src 'self'",
        )
        .with("x-frame-options", "SAMEORIGIN"))
}

/// `/static/…`: kept by browsers for a year.
pub(super) async fn file(call: Call) -> Answer {
    let (kind, text) = match call.path.as_str() {
        "/static/demo.js" => ("text/javascript; charset=utf-8", SCRIPT),
        "/static/demo.css" => ("text/css; charset=utf-8", STYLE),
        _ => {
            let reply = Reply::new(404, Style::Static, "text/plain; charset=utf-8", NOT_FOUND);
            return Ok(reply.with("cache-control", "no-cache, public"));
        }
    };
    let keep = |reply: Reply| {
        reply
            .with("cache-control", "max-age=31556926, public")
            .with("last-modified", MODIFIED)
    };
    if call.header("if-modified-since") == MODIFIED {
        return Ok(keep(Reply::new(304, Style::Static, "", "")));
    }
    if call.header("accept-encoding").contains("gzip") {
        let reply = Reply::new(200, Style::Static, kind, gzip::wrap(text.as_bytes()));
        return Ok(keep(reply).with("content-encoding", "gzip"));
    }
    Ok(keep(Reply::new(200, Style::Static, kind, text)).with("accept-ranges", "bytes"))
}

const NOT_FOUND: &str = "404 page not found\n";

/// A method other than `GET` and `HEAD` outside the API.
pub(super) fn not_found() -> Reply {
    let reply = Reply::new(404, Style::Naked, "text/plain; charset=utf-8", NOT_FOUND);
    reply.with("x-content-type-options", "nosniff")
}

/// `GET /robots.txt`.
pub(super) async fn robots(_call: Call) -> Answer {
    Ok(Reply::new(
        200,
        Style::Naked,
        "text/plain; charset=utf-8",
        "User-agent: *\nDisallow: /\n",
    ))
}

/// An error outside the API: a page that jumps to `/error`.
pub(super) fn error_page(status: u16, message: &str) -> Reply {
    let query: String = url::form_urlencoded::byte_serialize(message.as_bytes()).collect();
    let target = format!("/error?message={query}&amp;s=stand-in");
    let text = format!(
        "<!DOCTYPE html><html><head></head>\n<body>\n<noscript><meta http-equiv=\"refresh\" content=\"0; url={target}\"></noscript>\n<!-- web error message -->\n<a href=\"{target}\" style=\"color: #c0c0c0;\">...</a>\n</body></html>\n"
    );
    Reply::new(status, Style::Api, "text/html", text)
}

/// `GET /oauth/{service}/login` and the like: sign-in with someone else is off.
pub(super) async fn no_oauth(_call: Call) -> Answer {
    Ok(error_page(
        501,
        "<no value> SSO through OAuth 2.0 not available on this server.",
    ))
}
