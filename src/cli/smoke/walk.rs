//! The steps of a walk, in the order in which a browser takes them. Each says what it saw; one that
//! nothing can follow ends the walk.

use super::socket::{self, Opened};
use super::visitor::{Answer, Visitor};
use crate::cli::check::report::Report;
use crate::error::Code;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::{Method, StatusCode};
use std::time::Duration;

/// Which steps are taken.
pub(in crate::cli) struct Steps {
    /// The door in front is part of the road.
    pub(in crate::cli) door: bool,
    /// Every step; a captured assertion is good for the first ones only.
    pub(in crate::cli) all: bool,
    /// The logout at the end.
    pub(in crate::cli) log_out: bool,
}

/// Redirects and *preparing* pages that a first sign-in may take.
const HOPS: usize = 30;
const PAUSE: Duration = Duration::from_secs(1);
/// Another site.
const ELSEWHERE: &str = "https://elsewhere.invalid";

const ME: &str = "/api/v4/users/me";
const SOCKET: &str = "/api/v4/websocket";
/// A call that changes nothing and needs a CSRF value.
const HARMLESS: &str = "/api/v4/users/ids";

/// Walks the road.
pub(in crate::cli) async fn walk(report: &mut Report, visitor: &mut Visitor, steps: &Steps) {
    if steps.door {
        door(report, visitor).await;
    }
    if !page(report, visitor).await {
        return;
    }
    cookies(report, visitor);
    if !steps.all {
        report.note(
            "the rest",
            "a captured assertion is good for a few requests of one kind: use --cookie for the whole road",
        );
        return;
    }
    if !api(report, visitor).await {
        return;
    }
    refused(report, visitor).await;
    socket(report, visitor).await;
    if steps.log_out {
        log_out(report, visitor).await;
    }
    match visitor.leaked.first() {
        Some(name) => report.error(
            "credentials",
            format!("an answer had the header {name}: the app's own credential reaches the browser"),
            "Is something between the bridge and the browser adding it, or is there a way around the bridge?",
        ),
        None => report.ok("credentials", "no answer showed one of the app's"),
    }
}

/// Without any identity nobody comes in.
async fn door(report: &mut Report, visitor: &mut Visitor) {
    let about = "door";
    let kept = std::mem::take(&mut visitor.cookies);
    let asked = visitor.send(Method::GET, "/", &PAGE, None).await;
    visitor.cookies = kept;
    match asked {
        Err(error) => report.error(about, format!("{}: {error}", visitor.origin), "Is the address right, and its certificate one that --ca believes?"),
        Ok(answer) if answer.status.is_redirection() => report.ok(about, "asks who is there"),
        Ok(answer) if answer.status == StatusCode::OK => report.error(
            about,
            "let a stranger in: the page came without any identity",
            "Is this the address of the app itself? Nobody but the bridge may reach it.",
        ),
        Ok(answer) => report.error(
            about,
            format!("{} instead of a sign-in{}", answer.status, code_of(&answer)),
            "A route that is public in Pomerium reaches the bridge without an assertion: it needs `policy`, and pass_identity_headers.",
        ),
    }
}

/// The first page, through whatever redirects set cookies.
async fn page(report: &mut Report, visitor: &mut Visitor) -> bool {
    let about = "page";
    let mut target = "/".to_owned();
    let mut waited = 0;
    for _ in 0..HOPS {
        let answer = match visitor.send(Method::GET, &target, &PAGE, None).await {
            Ok(answer) => answer,
            Err(error) => {
                report.error(about, error.to_string(), "");
                return false;
            }
        };
        match answer.status {
            StatusCode::OK => {
                let text = match waited {
                    0 => "200".to_owned(),
                    n => format!("200, after {n} s of preparing"),
                };
                report.ok(about, text);
                return true;
            }
            StatusCode::SERVICE_UNAVAILABLE if answer.body.contains("account.preparing") => {
                waited += 1;
                tokio::time::sleep(PAUSE).await;
            }
            status if status.is_redirection() => {
                let location = answer.location().unwrap_or_default();
                let below = location.strip_prefix(visitor.origin.as_str());
                let below = below.unwrap_or(location);
                if !below.starts_with('/')
                    || below.starts_with("//")
                    || below.starts_with("/.pomerium/")
                {
                    report.error(
                        about,
                        "is sent away to sign in",
                        "The cookie is no session of Pomerium's (any more): copy the Cookie header of a browser that is signed in.",
                    );
                    return false;
                }
                below.clone_into(&mut target);
            }
            status => {
                report.error(
                    about,
                    format!("{status}{}", code_of(&answer)),
                    "The README's table of pages says what the code means; the log line of the same request id says more.",
                );
                return false;
            }
        }
    }
    report.error(
        about,
        "sent round in circles",
        "Do cookies arrive? A proxy in front must not take them out.",
    );
    false
}

/// The bridge's own cookie is there, and is what it should be.
fn cookies(report: &mut Report, visitor: &Visitor) {
    let about = "cookies";
    let Some(token) = visitor.cookies.get("MMAUTHTOKEN") else {
        return report.error(
            about,
            "no session cookie was set",
            "Is this an app of the bridge's?",
        );
    };
    let header = token.split('.').next().unwrap_or_default();
    let header = URL_SAFE_NO_PAD.decode(header).ok();
    let header: Option<serde_json::Value> =
        header.and_then(|bytes| serde_json::from_slice(&bytes).ok());
    let ours = header.filter(|h| h["typ"] == "session+jwt");
    let Some(ours) = ours else {
        return report.error(
            about,
            "the session cookie is not the bridge's: the browser holds the app's own session",
            "There is a way around the bridge: the app must be reachable by nobody else.",
        );
    };
    let line = (visitor.set.iter().rev()).find(|line| line.starts_with("MMAUTHTOKEN="));
    let https = visitor.origin.starts_with("https://");
    if let Some(line) = line {
        let line = line.to_ascii_lowercase();
        let wrong: Vec<&str> = [
            ("httponly", true, "HttpOnly is missing"),
            ("secure", https, "Secure is missing"),
            ("samesite=lax", true, "SameSite is not Lax"),
        ]
        .into_iter()
        .filter(|(word, needed, _)| *needed && !line.contains(word))
        .map(|(_, _, text)| text)
        .chain(line.contains("domain=").then_some("it has a Domain"))
        .collect();
        if !wrong.is_empty() {
            return report.error(
                about,
                wrong.join(", "),
                "Something in front rewrites cookies.",
            );
        }
    }
    let kid = ours["kid"].as_str().unwrap_or("?").to_owned();
    report.ok(about, format!("the bridge's own, signed by {kid}"));
}

/// The app answers, and with the right person.
async fn api(report: &mut Report, visitor: &mut Visitor) -> bool {
    let about = "api";
    let expected = visitor.cookies.get("MMUSERID").cloned().unwrap_or_default();
    let answer = match visitor.send(Method::GET, ME, &CALL, None).await {
        Ok(answer) => answer,
        Err(error) => {
            report.error(about, error.to_string(), "");
            return false;
        }
    };
    let me: serde_json::Value = serde_json::from_str(&answer.body).unwrap_or_default();
    let (id, name) = (me["id"].as_str(), me["username"].as_str());
    match (answer.status, id, name) {
        (StatusCode::OK, Some(id), Some(name)) if id == expected => {
            report.ok(about, format!("the app says {name}"));
            true
        }
        (StatusCode::OK, Some(_), Some(name)) => {
            report.error(
                about,
                format!("the app says {name}, which is not whom the cookies name"),
                "Somebody else's session: stop the bridge and look at the log.",
            );
            false
        }
        (status, ..) => {
            report.error(
                about,
                format!("{status}{}", code_of(&answer)),
                "Look at the log.",
            );
            false
        }
    }
}

/// What must not work: without the CSRF value, from another site, the app's own sign-in.
async fn refused(report: &mut Report, visitor: &mut Visitor) {
    let csrf = visitor.cookies.get("MMCSRF").cloned().unwrap_or_default();
    let ours = visitor.origin.clone();
    let good: Vec<(&'static str, &str)> =
        [("x-csrf-token", csrf.as_str()), ("origin", ours.as_str())].into();
    let bare: Vec<(&'static str, &str)> = [("origin", ours.as_str())].into();
    let foreign: Vec<(&'static str, &str)> = [
        ("x-csrf-token", csrf.as_str()),
        ("origin", ELSEWHERE),
        ("sec-fetch-site", "cross-site"),
    ]
    .into();
    let cases = [
        ("a call with the page's CSRF value", HARMLESS, good, true),
        ("a call without a CSRF value", HARMLESS, bare, false),
        ("a call from another site", HARMLESS, foreign, false),
        (
            "the app's own sign-in",
            "/api/v4/users/login",
            [("x-csrf-token", csrf.as_str()), ("origin", ours.as_str())].into(),
            false,
        ),
    ];
    for (what, path, headers, passes) in cases {
        match visitor.send(Method::POST, path, &headers, Some("[]")).await {
            Err(error) => report.error("calls", format!("{what}: {error}"), ""),
            Ok(answer) if answer.status.is_success() == passes => {
                let word = if passes { "passes" } else { "is refused" };
                report.ok(
                    "calls",
                    format!("{what} {word} ({})", answer.status.as_u16()),
                );
            }
            Ok(answer) => report.error(
                "calls",
                format!("{what}: {}{}", answer.status, code_of(&answer)),
                match passes {
                    true => "Does a proxy in front drop X-CSRF-Token or Origin?",
                    false => "This must never pass: is the bridge in front of the app?",
                },
            ),
        }
    }
}

/// The app's socket opens, speaks, and does so for our own pages only.
async fn socket(report: &mut Report, visitor: &Visitor) {
    let about = "socket";
    match socket::open(visitor, SOCKET, &visitor.origin).await {
        Ok(Opened::Text(text)) if text.contains("\"hello\"") => {
            report.ok(about, "opens, and the app says hello");
        }
        Ok(Opened::Text(_)) => report.warning(about, "opens, but what came first is no hello", ""),
        Ok(Opened::Refused(status)) => report.error(
            about,
            format!("{status} instead of a socket"),
            "allow_websockets must be true in Pomerium's route, and HTTP/1.1 spoken to the bridge.",
        ),
        Err(error) => report.error(
            about,
            error.to_string(),
            "allow_websockets must be true in Pomerium's route.",
        ),
    }
    match socket::open(visitor, SOCKET, ELSEWHERE).await {
        Ok(Opened::Text(_)) => report.error(
            about,
            "opens for a page of another site",
            "This must never be: is the bridge in front of the app?",
        ),
        Ok(Opened::Refused(status)) => {
            report.ok(
                about,
                format!("is refused to another site ({})", status.as_u16()),
            );
        }
        Err(error) => report.error(about, format!("from another site: {error}"), ""),
    }
}

/// The app's logout ends it.
async fn log_out(report: &mut Report, visitor: &mut Visitor) {
    let about = "logout";
    let csrf = visitor.cookies.get("MMCSRF").cloned().unwrap_or_default();
    let (kept, ours) = (visitor.cookies.clone(), visitor.origin.clone());
    let headers = [("x-csrf-token", csrf.as_str()), ("origin", ours.as_str())];
    let out = visitor
        .send(Method::POST, "/api/v4/users/logout", &headers, Some("{}"))
        .await;
    match out {
        Ok(answer) if answer.status.is_success() => {}
        Ok(answer) => {
            return report.error(about, format!("{}{}", answer.status, code_of(&answer)), "");
        }
        Err(error) => return report.error(about, error.to_string(), ""),
    }
    if visitor.cookies.contains_key("MMAUTHTOKEN") {
        report.error(about, "the session cookie was not cleared", "");
    }
    visitor.cookies = kept;
    match visitor.send(Method::GET, ME, &CALL, None).await {
        Ok(answer) if answer.status == StatusCode::UNAUTHORIZED => {
            report.ok(
                about,
                "ends the session: its cookie is worth nothing any more",
            );
        }
        Ok(answer) => report.error(
            about,
            format!("its cookie still gives {}", answer.status),
            "This must never be: look at the store and the replicas' clocks.",
        ),
        Err(error) => report.error(about, error.to_string(), ""),
    }
}

/// The refusal's code, where the answer shows one.
fn code_of(answer: &Answer) -> String {
    let shown = Code::ALL
        .iter()
        .find(|code| answer.body.contains(code.as_str()));
    shown.map_or_else(String::new, |code| format!(", {}", code.as_str()))
}

/// A navigation.
const PAGE: [(&str, &str); 3] = [
    ("accept", "text/html"),
    ("sec-fetch-mode", "navigate"),
    ("sec-fetch-site", "none"),
];
/// A call of the web app.
const CALL: [(&str, &str); 3] = [
    ("x-requested-with", "XMLHttpRequest"),
    ("sec-fetch-mode", "cors"),
    ("sec-fetch-site", "same-origin"),
];
