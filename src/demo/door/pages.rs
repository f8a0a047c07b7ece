//! What the door says itself: who are you, signed out, and that the upstream is not there. English
//! only: Pomerium's pages are, too.

use super::people::Person;
use askama::Template;

const STYLE: &str = "body{font:16px/1.5 system-ui,sans-serif;max-width:36rem;margin:3rem auto;\
    padding:0 1rem;color:#222}button{display:block;width:100%;text-align:left;margin:.5rem 0;\
    padding:.75rem 1rem;font:inherit;border:1px solid #bbb;border-radius:6px;background:#fff;\
    cursor:pointer}button:hover{background:#f3f6fa}small{color:#666;display:block}\
    .note{background:#fff6dd;border:1px solid #e8d48b;border-radius:6px;padding:.5rem 1rem}";

/// The chooser.
#[derive(Template)]
#[template(
    ext = "html",
    source = r#"<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>Who are you?</title><style>{{ style|safe }}</style></head><body>
<p class="note">A simulation of Pomerium's sign-in, for trying auth-manager out. It asks for no
password and protects nothing.</p>
<h1>Who are you?</h1>
<form method="post" action="/.pomerium/sign_in">
<input type="hidden" name="pomerium_redirect_uri" value="{{ back }}">
{% for person in people -%}
<button name="person" value="{{ person.sub }}" data-person="{{ person.username.as_deref().unwrap_or_default() }}">{{ person.name }}<small>{{ person.note }}</small></button>
{% endfor -%}
</form></body></html>
"#
)]
pub(super) struct Chooser<'a> {
    style: &'static str,
    back: &'a str,
    people: &'a [Person],
}

impl<'a> Chooser<'a> {
    /// A page that offers `people` and afterwards returns to the path `back`.
    pub(super) fn new(people: &'a [Person], back: &'a str) -> Self {
        Self {
            style: STYLE,
            back,
            people,
        }
    }
}

/// A title and a sentence, with a link when there is somewhere to go.
#[derive(Template)]
#[template(
    ext = "html",
    source = r#"<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>{{ title }}</title><style>{{ style|safe }}</style></head><body>
<p class="note">A simulation of Pomerium, for trying auth-manager out.</p>
<h1>{{ title }}</h1><p>{{ text }}</p>
{% if let Some((target, label)) = link %}<p><a id="again" href="{{ target }}">{{ label }}</a></p>{% endif %}
</body></html>
"#
)]
pub(super) struct Notice<'a> {
    style: &'static str,
    title: &'a str,
    text: &'a str,
    link: Option<(&'a str, &'a str)>,
}

impl<'a> Notice<'a> {
    pub(super) fn new(title: &'a str, text: &'a str) -> Self {
        Self {
            style: STYLE,
            title,
            text,
            link: None,
        }
    }

    /// Where one ends after signing out.
    pub(super) fn signed_out() -> Self {
        let text = "Your session at the door has ended.";
        let link = Some((
            "/.pomerium/sign_in?pomerium_redirect_uri=%2F",
            "Sign in again",
        ));
        Self {
            link,
            ..Self::new("Signed out", text)
        }
    }
}
