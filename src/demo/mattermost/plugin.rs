//! The one plugin: it echoes what reached it (recording 20). Plugin routes look for a token in the
//! header first, then the cookie, then the query, and treat a bad one as nobody.

use std::collections::BTreeMap;

use serde_json::json;

use super::answer::{Answer, Refusal, Reply, Style};
use super::call::{Call, cookies};
use super::credential::{csrf_passes, from_header};
use super::state::Session;

/// `/plugins/{id}/…`.
pub(super) async fn echo(mut call: Call) -> Answer {
    if !call.app.flag("PluginSettings", "Enable") {
        let message = "Plugins have been disabled. Please check your logs for details.";
        let mut refusal = Refusal::new(501, "app.plugin.disabled.app_error", message);
        refusal.detailed_error = "Enable plugins to serve plugin requests".into();
        let text = serde_json::to_string(&refusal).unwrap_or_default();
        return Ok(Reply::new(
            501,
            Style::Naked,
            "text/plain; charset=utf-8",
            text,
        ));
    }
    let body = String::from_utf8_lossy(&call.bytes(1 << 20).await?).into_owned();
    let session = session(&call, &body);
    let mut headers: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (name, value) in &call.headers {
        let value = String::from_utf8_lossy(value.as_bytes()).into_owned();
        match name.as_str() {
            "host" | "referer" | "mattermost-user-id" | "connection" => {}
            "authorization" if session.is_some() => {}
            "cookie" => {
                let kept = value.split(';').map(str::trim);
                let kept: Vec<_> = kept
                    .filter(|pair| !pair.starts_with("MMAUTHTOKEN="))
                    .collect();
                if !kept.is_empty() {
                    headers
                        .entry("Cookie".into())
                        .or_default()
                        .push(kept.join("; "));
                }
            }
            name => headers.entry(canonical(name)).or_default().push(value),
        }
    }
    if let Some(session) = &session {
        headers.insert("Mattermost-User-Id".into(), vec![session.user_id.clone()]);
    }
    let mut query = url::form_urlencoded::Serializer::new(String::new());
    query.extend_pairs(call.query.iter().filter(|(name, _)| name != "access_token"));
    let shown = json!({
        "body": body, "header": headers, "host": call.header("host"), "method": call.method.as_str(),
        "path": format!("/{}", call.segments.get(2..).unwrap_or_default().join("/")),
        "query": query.finish(), "session_id": session.map(|session| session.id).unwrap_or_default(),
    });
    Ok(Reply::new(
        200,
        Style::Naked,
        "application/json",
        format!("{shown}\n"),
    ))
}

fn session(call: &Call, body: &str) -> Option<Session> {
    if let Some(token) = from_header(&call.headers) {
        // A dead header token is not made good by a live cookie (recorded).
        return call.app.session_of_token(token);
    }
    if let Some((_, token)) = cookies(&call.headers).find(|(name, _)| *name == "MMAUTHTOKEN") {
        let session = call.app.session_of_token(token)?;
        let form = || {
            url::form_urlencoded::parse(body.as_bytes())
                .any(|(name, value)| name == "csrf" && value == session.csrf())
        };
        let passes = call.method == http::Method::GET
            || csrf_passes(&call.app, &call.headers, &session)
            || form();
        return passes.then_some(session);
    }
    call.app.session_of_token(call.param("access_token")?)
}

/// Go's canonical form of a header name.
fn canonical(name: &str) -> String {
    name.split('-')
        .map(|word| {
            let (first, rest) = word.split_at(word.len().min(1));
            format!("{}{rest}", first.to_uppercase())
        })
        .collect::<Vec<_>>()
        .join("-")
}
