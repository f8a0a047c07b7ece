//! The page of the demo's identity provider: who there is, what is done to them, what became of it.
//! Plain forms; the same by `curl`, which gets a table. It protects nothing, but that no page of
//! somebody else's in the same browser can press its buttons.

use super::office::{Deed, GROUPS, Office, Row};
use crate::cli::out::Table;
use askama::Template;
use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::response::{Html, IntoResponse, Redirect, Response};
use axum::routing::get;
use http::{HeaderMap, StatusCode};
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

/// How long whoever asked by a command waits to see what has come of it.
const EFFECT: Duration = Duration::from_millis(1_500);
/// Longest form.
const LONGEST: usize = 1_000;

/// Serves it until told to stop.
pub(super) async fn serve(
    office: Arc<Office>,
    origin: String,
    listener: TcpListener,
    stop: CancellationToken,
) -> anyhow::Result<()> {
    let desk = Arc::new(Desk { office, origin });
    let app = Router::new()
        .route("/", get(show).post(act))
        .with_state(desk);
    axum::serve(listener, app)
        .with_graceful_shutdown(stop.cancelled_owned())
        .await?;
    Ok(())
}

struct Desk {
    office: Arc<Office>,
    /// Where the door is.
    origin: String,
}

type Said = Result<Response, (StatusCode, String)>;

fn failed(error: anyhow::Error) -> (StatusCode, String) {
    (StatusCode::INTERNAL_SERVER_ERROR, format!("{error:#}\n"))
}

async fn show(State(desk): State<Arc<Desk>>, headers: HeaderMap) -> Said {
    ours(&headers)?;
    desk.shown(&headers).await
}

async fn act(State(desk): State<Arc<Desk>>, headers: HeaderMap, body: Bytes) -> Said {
    ours(&headers)?;
    if body.len() > LONGEST {
        return Err((StatusCode::PAYLOAD_TOO_LARGE, "too much\n".into()));
    }
    let form: Vec<(String, String)> = url::form_urlencoded::parse(&body).into_owned().collect();
    let field = |name: &str| {
        let found = form.iter().find(|(key, _)| key == name);
        found.map_or("", |(_, value)| value.as_str())
    };
    let done = match field("do") {
        "lose-webhooks" => {
            desk.office.lose(true);
            true
        }
        "deliver-webhooks" => {
            desk.office.lose(false);
            true
        }
        word => Deed::of(word, field("group"))
            .is_some_and(|deed| desk.office.act(field("person"), deed)),
    };
    if !done {
        let usage = format!(
            "say person=NAME and do=disable, enable, delete, join or leave (with group={}); or \
             do=lose-webhooks, do=deliver-webhooks\n",
            GROUPS.join("|")
        );
        return Err((StatusCode::BAD_REQUEST, usage));
    }
    if is_browser(&headers) {
        return Ok(Redirect::to("/").into_response());
    }
    tokio::time::sleep(EFFECT).await;
    desk.shown(&headers).await
}

/// A request of this machine's own, and of no other site's page.
fn ours(headers: &HeaderMap) -> Result<(), (StatusCode, String)> {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let host = text("host").unwrap_or_default();
    let host = host.rsplit_once(':').map_or(host, |(name, _)| name);
    let site = text("sec-fetch-site").unwrap_or("none");
    if !["localhost", "127.0.0.1"].contains(&host) || !["none", "same-origin"].contains(&site) {
        return Err((StatusCode::FORBIDDEN, "from this machine only\n".into()));
    }
    Ok(())
}

fn is_browser(headers: &HeaderMap) -> bool {
    let accept = headers.get("accept").and_then(|value| value.to_str().ok());
    accept.is_some_and(|accept| accept.contains("text/html"))
}

impl Desk {
    async fn shown(&self, headers: &HeaderMap) -> Said {
        let rows = self.office.rows().await.map_err(failed)?;
        if is_browser(headers) {
            let page = Page {
                style: STYLE,
                rows: &rows,
                lately: &self.office.lately().await.map_err(failed)?,
                lost: self.office.loses(),
                door: &self.origin,
            };
            let page = page.render().map_err(|error| failed(error.into()))?;
            return Ok(([("cache-control", "no-store")], Html(page)).into_response());
        }
        let head = ["PERSON", "IN THE DIRECTORY", "AT THE DOOR", "IN THE APP"];
        let mut table = Table::new(&head);
        for row in &rows {
            table.row([
                row.username.clone(),
                row.directory(),
                row.door.clone(),
                row.app.clone(),
            ]);
        }
        Ok(format!("{}\n", table.text("Nobody.")).into_response())
    }
}

const STYLE: &str = "body{font:16px/1.5 system-ui,sans-serif;max-width:76rem;margin:2rem auto;\
    padding:0 1rem;color:#222}table{border-collapse:collapse;width:100%}td,th{text-align:left;\
    vertical-align:top;padding:.5rem;border-bottom:1px solid #ddd}button{font:inherit;\
    margin:.1rem;border:1px solid #bbb;border-radius:6px;background:#fff;cursor:pointer}\
    button:hover{background:#f3f6fa}form{display:inline}small{color:#666;display:block}\
    .note{background:#fff6dd;border:1px solid #e8d48b;border-radius:6px;padding:.5rem 1rem}";

#[derive(Template)]
#[template(
    ext = "html",
    source = r#"<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<meta http-equiv="refresh" content="3"><title>People</title><style>{{ style|safe }}</style></head><body>
<p class="note">A simulation of Authentik, for trying auth-manager out. Whoever opens this page is its
administrator; it protects nothing. What the bridge makes of it is real.</p>
<h1>People</h1>
<p>Do something to somebody, and see what becomes of it. <a href="{{ door }}/" target="_blank">Open the app</a> as
one of them beside this page first: somebody who goes is thrown out while they look.</p>
<table><tr><th>Person</th><th>In the directory</th><th>At the door</th><th>In the app</th></tr>
{% for row in rows -%}
<tr data-row="{{ row.username }}"><td>{{ row.name }}<small>{{ row.username }}</small></td><td>
{%- if !row.exists -%}deleted{%- else -%}
{%- if row.active -%}active{%- else -%}<b>disabled</b>{%- endif -%}
<form method="post" action="/"><input type="hidden" name="person" value="{{ row.username }}">
{%- if row.active -%}<button name="do" value="disable">disable</button>{%- else -%}<button name="do" value="enable">enable</button>{%- endif -%}
<button name="do" value="delete">delete</button></form><br>
{%- for (group, is_in) in row.groups -%}
<form method="post" action="/"><input type="hidden" name="person" value="{{ row.username }}"><input type="hidden" name="group" value="{{ group }}">
{%- if *is_in -%}<button name="do" value="leave" data-group="{{ group }}">&#10003; {{ group }}: take out</button>
{%- else -%}<button name="do" value="join" data-group="{{ group }}">{{ group }}: put in</button>{%- endif -%}</form>
{%- endfor -%}
{%- endif -%}</td><td data-at="door">{{ row.door }}</td><td data-at="app">{{ row.app }}</td></tr>
{% endfor -%}
</table>
<p>{% if lost %}<b>Webhooks are lost:</b> the bridge notices when it reads everybody, every ten seconds here.
<form method="post" action="/"><button name="do" value="deliver-webhooks">deliver them again</button></form>
{% else %}Webhooks are delivered.
<form method="post" action="/"><button name="do" value="lose-webhooks">lose them from now on</button></form>{% endif %}</p>
<h2>What the bridge did lately</h2>
<ul>{% for (at, what) in lately %}<li>{{ at }} {{ what }}</li>{% endfor %}</ul>
</body></html>
"#
)]
struct Page<'a> {
    style: &'static str,
    rows: &'a [Row],
    lately: &'a [(String, String)],
    lost: bool,
    door: &'a str,
}
