//! Which events Authentik sends: rules, the policies bound to them, recipients.

use super::ask::{Authentik, Trouble};
use super::{SHIPPED, Transport, unseen};
use crate::cli::check::report::Report;
use crate::cli::out::clean;
use serde::Deserialize;
use std::collections::BTreeSet;

/// What webhooks are worth something for: action and model, as matchers name them.
const WANTED: [(&str, &str); 6] = [
    ("model_created", "authentik_core.user"),
    ("model_updated", "authentik_core.user"),
    ("model_deleted", "authentik_core.user"),
    ("model_created", "authentik_core.group"),
    ("model_updated", "authentik_core.group"),
    ("model_deleted", "authentik_core.group"),
];

#[derive(Deserialize)]
struct Rule {
    pk: String,
    #[serde(default)]
    name: String,
    #[serde(default)]
    transports: Vec<String>,
    #[serde(default)]
    destination_group: Option<String>,
    #[serde(default)]
    destination_event_user: bool,
}

#[derive(Deserialize)]
struct Binding {
    #[serde(default)]
    policy: Option<String>,
    #[serde(default = "yes")]
    enabled: bool,
}

#[derive(Deserialize)]
struct Matcher {
    pk: String,
    #[serde(default)]
    name: String,
    #[serde(default)]
    action: Option<String>,
    #[serde(default)]
    app: Option<String>,
    #[serde(default)]
    model: Option<String>,
}

#[derive(Deserialize)]
struct Group {
    #[serde(default)]
    users: Vec<i64>,
}

const fn yes() -> bool {
    true
}

/// Everything about the rules that use a transport.
pub(super) async fn judge(
    report: &mut Report,
    about: &str,
    authentik: &Authentik,
    transport: &Transport,
) {
    let rules = match authentik.all::<Rule>("events/rules/").await {
        Ok(rules) => rules,
        Err(trouble) => return unseen(report, about, "rules", &trouble),
    };
    let ours: Vec<_> = rules
        .iter()
        .filter(|rule| rule.transports.contains(&transport.pk))
        .collect();
    if ours.is_empty() {
        let text = format!(
            "no rule uses transport {}: nothing is ever sent",
            clean(&transport.name)
        );
        return report.error(about, text, SHIPPED);
    }
    let mut wanted: BTreeSet<_> = WANTED.into();
    let mut unsure = false;
    for rule in ours {
        recipients(report, about, authentik, rule, transport).await;
        match policies(report, about, authentik, rule).await {
            Ok(matchers) => wanted.retain(|(action, model)| {
                let covers = |m: &Matcher| {
                    let is = |set: &Option<String>, value: &str| {
                        set.as_deref()
                            .is_none_or(|set| set.is_empty() || set == value)
                    };
                    !has(&m.app) && is(&m.action, action) && is(&m.model, model)
                };
                !matchers.iter().any(covers)
            }),
            Err(trouble) => {
                unsure = true;
                unseen(report, about, "policies", &trouble);
            }
        }
    }
    if !unsure && !wanted.is_empty() {
        let missing = wanted
            .iter()
            .map(|(action, model)| format!("{action} of {model}"));
        let missing: Vec<_> = missing.collect();
        report.warning(
            about,
            format!("no policy selects {}", missing.join(", ")),
            SHIPPED,
        );
    }
}

async fn recipients(
    report: &mut Report,
    about: &str,
    authentik: &Authentik,
    rule: &Rule,
    transport: &Transport,
) {
    let name = clean(&rule.name);
    if rule.destination_event_user {
        report.warning(
            about,
            format!("rule {name} notifies the event's own user: of somebody who was deleted nothing is sent"),
            "Switch destination_event_user off, and name a group of one service account.",
        );
    }
    let Some(group) = &rule.destination_group else {
        if !rule.destination_event_user {
            let text = format!("rule {name} has no recipients: nothing is ever sent");
            report.error(about, text, SHIPPED);
        }
        return;
    };
    match authentik
        .get::<Group>(&format!("core/groups/{group}/"))
        .await
    {
        Ok(group) if group.users.is_empty() => report.error(
            about,
            format!("the recipient group of rule {name} is empty: nothing is ever sent"),
            "Put one service account into it.",
        ),
        Ok(group) if group.users.len() > 1 && !transport.send_once => report.warning(
            about,
            format!(
                "the recipient group of rule {name} has {} members: each event comes as often",
                group.users.len()
            ),
            "Leave one service account in it.",
        ),
        Ok(_) => {}
        Err(trouble) => unseen(report, about, "the recipient group", &trouble),
    }
}

/// The matchers that are bound to a rule. A policy of another kind is one that may select anything.
async fn policies(
    report: &mut Report,
    about: &str,
    authentik: &Authentik,
    rule: &Rule,
) -> Result<Vec<Matcher>, Trouble> {
    let name = clean(&rule.name);
    let path = format!("policies/bindings/?target={}", rule.pk);
    let bindings = authentik.all::<Binding>(&path).await?;
    let bound: Vec<_> = bindings
        .iter()
        .filter(|binding| binding.enabled)
        .filter_map(|binding| binding.policy.as_deref())
        .collect();
    if bound.is_empty() {
        let text = format!("rule {name} has no policy: it never fires");
        report.error(about, text, SHIPPED);
        return Ok(Vec::new());
    }
    let mut matchers = authentik.all::<Matcher>("policies/event_matcher/").await?;
    matchers.retain(|matcher| bound.contains(&matcher.pk.as_str()));
    for matcher in matchers.iter().filter(|matcher| has(&matcher.app)) {
        report.error(
            about,
            format!(
                "policy {} has `app` set: it never matches",
                clean(&matcher.name)
            ),
            "Leave `app` empty; model and action say enough.",
        );
    }
    let others = bound.len() - matchers.len();
    matchers.extend((0..others).map(|_| Matcher {
        pk: String::new(),
        name: String::new(),
        action: None,
        app: None,
        model: None,
    }));
    Ok(matchers)
}

fn has(set: &Option<String>) -> bool {
    set.as_deref().is_some_and(|set| !set.is_empty())
}
