//! Which users a list has: the filters and orders of `GET /core/users/`.

use serde_json::Value;

use super::answer::Refusal;
use super::call::Call;
use super::ids::{parse, uuid_of};
use super::state::{State, User};

type Rule = Box<dyn Fn(&User) -> bool>;

/// The filters of a request, all of which must hold.
pub(super) fn rules(state: &State, call: &Call) -> Result<Vec<Rule>, Refusal> {
    let mut rules: Vec<Rule> = Vec::new();
    for (name, value) in &call.query {
        let value = value.clone();
        let rule: Rule = match name.as_str() {
            "username" => Box::new(move |user| user.username == value),
            "email" => Box::new(move |user| user.email == value),
            "name" => Box::new(move |user| user.name == value),
            "path" => Box::new(move |user| user.path == value),
            "path_startswith" => Box::new(move |user| user.path.starts_with(&value)),
            "uuid" => {
                let uuid =
                    uuid_of(&value).ok_or_else(|| Refusal::field("uuid", "Enter a valid UUID."))?;
                Box::new(move |user| user.uuid == uuid)
            }
            "is_active" => {
                let wanted = value.eq_ignore_ascii_case("true");
                Box::new(move |user| user.is_active == wanted)
            }
            "search" => {
                let word = value.to_lowercase();
                Box::new(move |user| {
                    [&user.username, &user.name, &user.email]
                        .iter()
                        .any(|text| text.to_lowercase().contains(&word))
                })
            }
            "attributes" => {
                let wanted: Value = serde_json::from_str(&value)
                    .map_err(|_| Refusal::field("attributes", "Value must be valid JSON."))?;
                Box::new(move |user| {
                    let fields = wanted.as_object();
                    fields.is_some_and(|all| {
                        all.iter()
                            .all(|(key, value)| user.attributes.get(key) == Some(value))
                    })
                })
            }
            "last_updated__gt" => time(name, &value, |user, at| user.last_updated > at)?,
            "last_updated__lt" => time(name, &value, |user, at| user.last_updated < at)?,
            "date_joined__gt" => time(name, &value, |user, at| user.date_joined > at)?,
            "date_joined__lt" => time(name, &value, |user, at| user.date_joined < at)?,
            _ => continue,
        };
        rules.push(rule);
    }
    let types: Vec<String> = call.params("type").map(str::to_owned).collect();
    if !types.is_empty() {
        rules.push(Box::new(move |user| types.contains(&user.kind)));
    }
    // A name or id that no group has is an error, not an empty list (recorded).
    for (parameter, by_name) in [("groups_by_name", true), ("groups_by_pk", false)] {
        let mut groups = Vec::new();
        for named in call.params(parameter) {
            let pk = match by_name {
                true => state.group_names.get(named).cloned(),
                false => uuid_of(named).filter(|pk| state.groups.contains_key(pk)),
            };
            let text =
                format!("Select a valid choice. {named} is not one of the available choices.");
            groups.push(pk.ok_or_else(|| Refusal::field(parameter, text))?);
        }
        if !groups.is_empty() {
            rules.push(Box::new(move |user| {
                groups.iter().any(|pk| user.groups.contains(pk))
            }));
        }
    }
    Ok(rules)
}

fn time(name: &str, value: &str, holds: fn(&User, i64) -> bool) -> Result<Rule, Refusal> {
    let at = parse(value).ok_or_else(|| Refusal::field(name, "Enter a valid date/time."))?;
    Ok(Box::new(move |user| holds(user, at)))
}

/// Sorts as asked for; what is no field is ignored (recorded), and names decide then.
pub(super) fn sort(users: &mut [&User], ordering: Option<&str>) {
    let ordering = ordering.unwrap_or_default();
    let (field, down) = match ordering.strip_prefix('-') {
        Some(field) => (field, true),
        None => (ordering, false),
    };
    match field {
        "pk" => users.sort_by_key(|user| user.pk),
        "last_updated" => users.sort_by_key(|user| (user.last_updated, user.pk)),
        "date_joined" => users.sort_by_key(|user| (user.date_joined, user.pk)),
        "name" => users.sort_by(|a, b| a.name.cmp(&b.name)),
        "email" => users.sort_by(|a, b| a.email.cmp(&b.email)),
        "username" => users.sort_by(|a, b| a.username.cmp(&b.username)),
        _ => {
            users.sort_by(|a, b| a.username.cmp(&b.username));
            return;
        }
    }
    if down {
        users.reverse();
    }
}
