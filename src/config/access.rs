//! `[apps.access]` and `[directory]`: who may come in, and how what directories say is weighed.

use super::reader::{Table, shown};
use super::sections::{hours, seconds};
use super::units::format_duration;
use super::{AccessRule, DirectoryRules, Gate};
use crate::types::GroupName;
use toml::de::DeValue;

/// Longest id of a group, in bytes: as long as any opaque id.
const LONGEST_ID: usize = 255;

/// An app's rule.
pub(super) fn access(app: &Table<'_>) -> AccessRule {
    let table = app.table("access");
    let rule = AccessRule {
        everyone: table.flag("everyone", false),
        validated: validated(&table),
        any_of: gates(&table, "any_of"),
        all_of: gates(&table, "all_of"),
    };
    let names_groups = table.has("any_of") || table.has("all_of");
    if rule.everyone && names_groups {
        table.complain(
            "everyone",
            "It contradicts any_of and all_of.",
            "Keep everyone = true, or the groups.",
        );
    } else if !rule.everyone && rule.any_of.is_empty() && rule.all_of.is_empty() {
        table.complain(
            "",
            "It does not say who may come in.",
            "Add [apps.access] with any_of = [\"a-group\"], or everyone = true.",
        );
    }
    rule
}

fn validated(table: &Table<'_>) -> Option<Gate> {
    let (_, value) = table.entry("validated")?;
    gate(table, "validated", value.get_ref())
}

pub(super) fn gates(table: &Table<'_>, key: &'static str) -> Vec<Gate> {
    let Some((_, value)) = table.entry(key) else {
        return Vec::new();
    };
    let Some(items) = value.get_ref().as_array() else {
        table.complain(
            key,
            "It must be a list of groups.",
            format!("Write it like `{key} = [\"a-group\", {{ name = \"chat\", id = \"…\" }}]`."),
        );
        return Vec::new();
    };
    let gates = items.iter();
    gates
        .filter_map(|item| gate(table, key, item.get_ref()))
        .collect()
}

fn gate(table: &Table<'_>, key: &'static str, value: &DeValue<'_>) -> Option<Gate> {
    const REMEDY: &str = "Write \"a-group\", or { name = \"a-group\", id = \"…\" } with the \
                          directory's own id of it.";
    let (name, id) = match value {
        DeValue::String(name) => (name.as_ref(), None),
        DeValue::Table(entries) => {
            let text = |of: &str| entries.get(of).map(|value| value.get_ref().as_str());
            let known = entries
                .keys()
                .all(|k| matches!(k.get_ref().as_ref(), "name" | "id"));
            match (text("name"), text("id")) {
                (Some(Some(name)), Some(Some(id))) if known => (name, Some(id)),
                _ => {
                    table.complain(key, "A group is bound by its name and its id.", REMEDY);
                    return None;
                }
            }
        }
        _ => {
            table.complain(key, "It holds what is no group.", REMEDY);
            return None;
        }
    };
    if let Some(id) = id
        && (id.trim() != id || id.is_empty() || id.len() > LONGEST_ID)
    {
        let problem = format!("{} is not an id of a group.", shown(id));
        table.complain(key, problem, "Write it as the directory shows it.");
        return None;
    }
    match GroupName::new(name) {
        Ok(group) if name.trim() == name => Some(Gate {
            name: group,
            id: id.map(Into::into),
        }),
        Ok(_) => {
            table.complain(
                key,
                format!("{} begins or ends with a blank.", shown(name)),
                "Write the group exactly as the assertion names it.",
            );
            None
        }
        Err(error) => {
            table.complain(key, format!("{error}."), "Name a group, or remove it.");
            None
        }
    }
}

/// `[directory]`.
pub(super) fn directory(table: &Table<'_>) -> DirectoryRules {
    let default = DirectoryRules::default();
    let max_age = table.duration("max_age", default.max_age, seconds(60)..=hours(30 * 24));
    let power = default.admin_max_age.min(max_age);
    let admin_max_age = table.duration("admin_max_age", power, seconds(60)..=hours(30 * 24));
    if admin_max_age > max_age {
        table.complain(
            "admin_max_age",
            format!(
                "{} is longer than max_age ({}).",
                format_duration(admin_max_age),
                format_duration(max_age)
            ),
            "What gives power needs a fresher word, not an older one: lower it.",
        );
    }
    let may_grant = table.flag("may_grant", default.may_grant);
    let grant_to_empty = table.insecure("insecure_grant_without_groups");
    if grant_to_empty && !may_grant {
        table.complain(
            "insecure_grant_without_groups",
            "It has no effect: may_grant = false.",
            "Remove one of them.",
        );
    }
    DirectoryRules {
        max_age,
        admin_max_age,
        may_grant,
        grant_to_empty,
        grace: table.duration("grace", default.grace, seconds(0)..=hours(365 * 24)),
        // Known once [[scim]] is read.
        connections: default.connections,
    }
}
