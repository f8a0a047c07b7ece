//! `config/authentik`: the blueprint is made of what a recorded one was made of, its body mapping says
//! what the bridge understands, and Terraform says the same. Authentik itself judged the recorded
//! blueprint, not this one; neither Terraform nor its provider was run.

use super::{path, run, text};
use auth_manager::api::hooks::meaning;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::io::Write as _;
use std::process::{Command, Stdio};

const BLUEPRINT: &str = "config/authentik/blueprint.yaml";
const RECORDED: &str = "tests/data/recordings/authentik/blueprint.yaml";

/// Runs Python on something; what it prints.
fn python(program: &str, input: &str) -> String {
    let mut child = Command::new("python3")
        .args(["-c", program])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| panic!("python3 ({error}): install the package python3-yaml"));
    child
        .stdin
        .take()
        .unwrap()
        .write_all(input.as_bytes())
        .unwrap();
    let output = child.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    String::from_utf8(output.stdout).unwrap()
}

/// A blueprint as JSON: a tag becomes `{"!Tag": what follows it}`.
fn blueprint(text: &str) -> Value {
    let program = "\
import json, sys, yaml
class Loader(yaml.SafeLoader): pass
def tag(loader, suffix, node):
    if isinstance(node, yaml.ScalarNode): value = loader.construct_scalar(node)
    else: value = loader.construct_sequence(node, deep=True)
    return {'!' + suffix: value}
Loader.add_multi_constructor('!', tag)
json.dump(yaml.load(sys.stdin, Loader), sys.stdout)";
    serde_json::from_str(&python(program, text)).unwrap()
}

fn entries(blueprint: &Value) -> Vec<&Value> {
    blueprint["entries"].as_array().unwrap().iter().collect()
}

fn of<'a>(blueprint: &'a Value, model: &str) -> Vec<&'a Value> {
    let mut found = entries(blueprint);
    found.retain(|entry| entry["model"] == model);
    found
}

fn keys(value: &Value) -> BTreeSet<String> {
    let map = value.as_object().into_iter().flatten();
    map.map(|(key, _)| key.clone()).collect()
}

/// `model` → keys of identifiers and attributes that Authentik took.
fn taken(blueprint: &Value) -> BTreeMap<String, (BTreeSet<String>, BTreeSet<String>)> {
    let mut taken: BTreeMap<String, (BTreeSet<String>, BTreeSet<String>)> = BTreeMap::new();
    for entry in entries(blueprint) {
        let model = entry["model"].as_str().unwrap().to_owned();
        let known = taken.entry(model).or_default();
        known.0.extend(keys(&entry["identifiers"]));
        known.1.extend(keys(&entry["attrs"]));
    }
    taken
}

#[test]
fn the_blueprint_is_made_of_what_authentik_was_seen_to_take() {
    let (ours, recorded) = (blueprint(&text(BLUEPRINT)), blueprint(&text(RECORDED)));
    let known = taken(&recorded);
    for (model, (identifiers, attributes)) in taken(&ours) {
        let (have, may) = known.get(&model).unwrap_or_else(|| panic!("{model}"));
        assert_eq!(&identifiers, have, "{model}");
        assert!(attributes.is_subset(may), "{model}: {attributes:?}");
    }
    assert_eq!(keys(&ours), keys(&recorded));
    // Each name that is pointed to is there, above.
    let mut ids = BTreeSet::new();
    for entry in entries(&ours) {
        let text = entry.to_string();
        for pointed in text.split("{\"!KeyOf\":\"").skip(1) {
            let id = pointed.split('"').next().unwrap();
            assert!(ids.contains(id), "{id} comes too late or not at all");
        }
        if let Some(id) = entry["id"].as_str() {
            assert!(ids.insert(id.to_owned()), "{id} twice");
        }
    }
}

#[test]
fn each_event_comes_once_and_only_those_that_are_worth_something() {
    let ours = blueprint(&text(BLUEPRINT));
    let transports = of(&ours, "authentik_events.notificationtransport");
    let [transport] = transports.as_slice() else {
        panic!("one transport");
    };
    let attributes = &transport["attrs"];
    assert_eq!(
        (&attributes["mode"], &attributes["send_once"]),
        (&json!("webhook"), &json!(true))
    );
    assert!(
        attributes["webhook_url"]
            .as_str()
            .unwrap()
            .ends_with(":8444/hooks/authentik")
    );
    assert_eq!(
        attributes["webhook_mapping_headers"],
        json!({ "!KeyOf": "headers" })
    );
    assert_eq!(
        attributes["webhook_mapping_body"],
        json!({ "!KeyOf": "body" })
    );
    let rules = of(&ours, "authentik_events.notificationrule");
    let [rule] = rules.as_slice() else {
        panic!("one rule");
    };
    assert_eq!(
        rule["attrs"]["destination_group"],
        json!({ "!KeyOf": "recipients" })
    );
    assert!(!text(BLUEPRINT).contains("destination_event_user:"));
    // One recipient, of a group of their own.
    let groups = of(&ours, "authentik_core.group");
    let users = of(&ours, "authentik_core.user");
    assert_eq!((groups.len(), users.len()), (1, 1));
    assert_eq!(
        groups[0]["identifiers"]["name"],
        "auth-manager-webhook-recipients"
    );
    assert_eq!(users[0]["attrs"]["type"], "service_account");
    assert_eq!(
        users[0]["attrs"]["groups"],
        json!([{ "!KeyOf": "recipients" }])
    );
    // Matchers without `app`, each bound once.
    let matchers = of(&ours, "authentik_policies_event_matcher.eventmatcherpolicy");
    let bindings = of(&ours, "authentik_policies.policybinding");
    let mut events = BTreeSet::new();
    for (order, (matcher, binding)) in matchers.iter().zip(&bindings).enumerate() {
        let attributes = &matcher["attrs"];
        assert!(attributes["app"].is_null() && !attributes["action"].is_null());
        assert_eq!(
            binding["identifiers"],
            json!({ "order": order, "policy": { "!KeyOf": matcher["id"] }, "target": { "!KeyOf": "rule" } })
        );
        let text = |key: &str| attributes[key].as_str().unwrap_or("").to_owned();
        events.insert((text("action"), text("model")));
    }
    assert_eq!((matchers.len(), bindings.len(), events.len()), (8, 8, 8));
    // What the bridge acts upon, and nothing that it ignores.
    let mut worth = BTreeSet::new();
    for action in [
        "model_created",
        "model_updated",
        "model_deleted",
        "login",
        "logout",
        "user_write",
        "password_set",
        "login_failed",
        "suspicious_request",
        "invitation_used",
        "secret_rotate",
    ] {
        for model in ["user", "group", ""] {
            if model.is_empty() == action.starts_with("model_") {
                continue;
            }
            let pk = if model == "user" {
                json!(6)
            } else {
                json!("4e41e28612c14bbe8a3998dbd1aeae02")
            };
            let body = json!({
                "v": 1, "action": action, "user": { "pk": 6 },
                "model": (!model.is_empty()).then(|| json!({ "pk": pk, "app": "authentik_core", "model_name": model })),
            });
            if meaning(body.to_string().as_bytes()).to_string() != "-" {
                let model = if model.is_empty() {
                    String::new()
                } else {
                    format!("authentik_core.{model}")
                };
                worth.insert((action.to_owned(), model));
            }
        }
    }
    assert_eq!(events, worth);
}

/// The expressions of the two mappings.
fn mappings(blueprint: &Value) -> (Value, String) {
    let mappings = of(blueprint, "authentik_events.notificationwebhookmapping");
    let by = |id: &str| {
        let found = mappings.iter().find(|entry| entry["id"] == id).unwrap();
        found["attrs"]["expression"].clone()
    };
    (by("headers"), by("body").as_str().unwrap().to_owned())
}

/// Runs a body mapping as Authentik does, on an event with this action, user and context.
fn mapped(expression: &str, event: &Value) -> String {
    let program = format!(
        "\
import json, sys, types, datetime, uuid
event = json.load(sys.stdin)
def run(notification):
{}
e = None
if event is not None:
    e = types.SimpleNamespace(
        event_uuid=uuid.UUID(int=7), action=event['action'], user=event['user'], context=event['context'],
        created=datetime.datetime(2026, 11, 21, 8, 0, 1, 809983, datetime.timezone.utc))
json.dump(run(types.SimpleNamespace(event=e, body='x')), sys.stdout)",
        expression.lines().map(|line| format!("    {line}\n")).collect::<String>()
    );
    python(&program, &event.to_string())
}

#[test]
fn the_body_mapping_says_what_the_bridge_understands_and_nothing_personal() {
    let ours = blueprint(&text(BLUEPRINT));
    let (headers, body) = mappings(&ours);
    assert_eq!(
        headers,
        json!({ "!Format": [
            "return {\"Authorization\": \"Bearer %s\"}",
            { "!File": "/run/secrets/auth-manager-hooks" },
        ] })
    );
    let model = |app: &str, name: &str, pk: Value| json!({ "model": { "pk": pk, "app": app, "name": "Alice Martin", "model_name": name } });
    let alice = json!({ "pk": 6, "email": "alice@example.org", "username": "alice" });
    let admin = json!({ "pk": 3, "email": "admin@lab.example", "username": "akadmin" });
    for (action, user, context, expected) in [
        (
            "model_updated",
            &admin,
            model("authentik_core", "user", json!(6)),
            "person/6",
        ),
        (
            "model_updated",
            &admin,
            model(
                "authentik_core",
                "group",
                json!("01da33a36f8f45e7a17cd6f65f3e55dd"),
            ),
            "group/01da33a3-6f8f-45e7-a17c-d6f65f3e55dd",
        ),
        (
            "model_created",
            &admin,
            model("authentik_stages_invitation", "invitation", json!("ab")),
            "-",
        ),
        (
            "login",
            &alice,
            json!({ "auth_method": "password" }),
            "person/6",
        ),
        (
            "user_write",
            &alice,
            json!({ "created": true, "name": "Alice" }),
            "person/6",
        ),
        ("password_set", &alice, json!({}), "-"),
        ("login", &json!({}), json!({}), "-"),
        (
            "custom_notification_test",
            &json!({}),
            json!({ "user": admin }),
            "test",
        ),
    ] {
        let event = json!({ "action": action, "user": user, "context": context });
        let said = mapped(&body, &event);
        assert_eq!(meaning(said.as_bytes()).to_string(), expected, "{said}");
        for personal in ["alice", "Alice", "admin", "example"] {
            assert!(!said.contains(personal), "{said}");
        }
    }
    assert_eq!(
        meaning(mapped(&body, &Value::Null).as_bytes()).to_string(),
        "-"
    );
    // The recorded mapping had the same form, and more in it.
    let recorded: Value = serde_json::from_str(&text(
        "tests/data/recordings/authentik/03-lifecycle-blueprint-body.json",
    ))
    .unwrap();
    let recorded = &recorded["exchanges"][0]["request"]["body"];
    let event = json!({ "action": "model_created", "user": admin, "context": model("authentik_core", "user", json!(6)) });
    let said: Value = serde_json::from_str(&mapped(&body, &event)).unwrap();
    assert!(keys(&said).is_subset(&keys(recorded)));
    assert!(keys(&said["model"]).is_subset(&keys(&recorded["model"])));
    for key in ["v", "action", "created"] {
        assert_eq!(said[key].is_number(), recorded[key].is_number(), "{key}");
    }
}

#[test]
fn terraform_says_the_same_and_is_written_as_its_formatter_writes() {
    let terraform = text("config/authentik/main.tf");
    let ours = blueprint(&text(BLUEPRINT));
    let (_, body) = mappings(&ours);
    let heredoc = terraform.split("<<-EOT\n").nth(1).unwrap();
    let heredoc = heredoc.split("\n  EOT").next().unwrap();
    let lines: Vec<_> = heredoc
        .lines()
        .map(|l| l.strip_prefix("    ").unwrap_or(l))
        .collect();
    assert_eq!(lines.join("\n"), body.trim_end());
    assert!(!heredoc.contains("${") && !heredoc.contains("%{"));
    for matcher in of(&ours, "authentik_policies_event_matcher.eventmatcherpolicy") {
        let attributes = &matcher["attrs"];
        let model = attributes["model"].as_str();
        let model = model.map_or("null".to_owned(), |model| format!("{model:?}"));
        let line = format!("action = {}, model = {model} }}", attributes["action"]);
        let id = matcher["id"].as_str().unwrap();
        let found = terraform
            .lines()
            .find(|l| l.trim_start().starts_with(&format!("{id} ")));
        assert!(found.is_some_and(|l| l.ends_with(&line)), "{id}: {found:?}");
    }
    for said in [
        "send_once               = true",
        "mode                    = \"webhook\"",
        "destination_group = authentik_group.recipients.id",
        "sensitive   = true",
    ] {
        assert!(terraform.contains(said), "{said}");
    }
    for never in ["destination_event_user", "\n  app ", "app ="] {
        assert!(!terraform.contains(never), "{never}");
    }
    // Two blanks a level, and equals signs of neighbours in one column.
    let code = terraform.replace(heredoc, "");
    let (mut depth, mut column) = (0_usize, None);
    for line in code.lines() {
        let trimmed = line.trim_start();
        let closes = trimmed.starts_with(['}', ']', ')']);
        let indent = (depth - usize::from(closes)) * 2;
        let here = line.len() - trimmed.len();
        assert!(
            trimmed.is_empty() || trimmed == "EOT" || here == indent,
            "{line:?}"
        );
        assert_eq!(line.trim_end(), line, "{line:?}");
        let open = line.matches(['{', '[', '(']).count();
        let close = line.matches(['}', ']', ')']).count();
        depth = depth + open - close;
        let equals = line
            .find(" = ")
            .filter(|_| !trimmed.starts_with('#') && open == close);
        assert!(
            column.is_none() || equals.is_none() || column == equals,
            "{line:?}"
        );
        column = equals;
    }
    assert_eq!(depth, 0);
}

#[test]
fn the_nix_option_renders_the_blueprint_with_the_machines_own_names() {
    let expression = format!(
        "import {} {{ url = \"https://am.internal/hooks/authentik\"; secretFile = \"/run/x\"; authority = \"lab\"; }}",
        path("nix/blueprint.nix").display()
    );
    let arguments = [
        "--store",
        "dummy://",
        "--eval",
        "--strict",
        "--json",
        "-E",
        &expression,
    ];
    let (output, said) = run("nix-instantiate", "nix-bin", &arguments);
    assert!(output.status.success(), "{said}");
    let rendered: String = serde_json::from_slice(&output.stdout).unwrap();
    let (mut rendered, shipped) = (blueprint(&rendered), blueprint(&text(BLUEPRINT)));
    let find = |entry: &&mut Value| entry["model"] == "authentik_events.notificationtransport";
    let transport = rendered["entries"]
        .as_array_mut()
        .unwrap()
        .iter_mut()
        .find(find)
        .unwrap();
    let attributes = transport["attrs"].as_object_mut().unwrap();
    assert_eq!(
        attributes["webhook_url"],
        "https://am.internal/hooks/authentik"
    );
    let ca = attributes.remove("webhook_ca").unwrap();
    assert_eq!(
        ca,
        json!({ "!Find": ["authentik_crypto.certificatekeypair", ["name", "lab"]] })
    );
    attributes["webhook_url"] = "https://auth-manager.internal:8444/hooks/authentik".into();
    let again = rendered
        .to_string()
        .replace("/run/x", "/run/secrets/auth-manager-hooks");
    assert_eq!(again, shipped.to_string());
    for bad in [
        "url = \"https://x/y\"; secretFile = \"/run/x\";",
        "url = \"https://x/hooks/authentik\"; secretFile = \"/run/x'\";",
    ] {
        let expression = format!("import {} {{ {bad} }}", path("nix/blueprint.nix").display());
        let arguments = [
            "--store",
            "dummy://",
            "--eval",
            "--strict",
            "-E",
            &expression,
        ];
        let (output, _) = run("nix-instantiate", "nix-bin", &arguments);
        assert!(!output.status.success(), "{bad}");
    }
}

/// The role that writes: everything that could make somebody an administrator is on listed groups alone,
/// and Terraform says the same. What the bridge asks for is what the role has (`check` tries it).
#[test]
fn the_role_that_writes_may_add_to_listed_groups_alone() {
    let blueprint = blueprint(&text("config/authentik/by-hand/blueprint.yaml"));
    let role = of(&blueprint, "authentik_rbac.role");
    let [role] = role.as_slice() else {
        panic!("one role");
    };
    let everywhere: BTreeSet<_> = role["attrs"]["permissions"]
        .as_array()
        .unwrap()
        .iter()
        .map(|name| name.as_str().unwrap())
        .collect();
    let wanted = BTreeSet::from([
        "authentik_core.view_user",
        "authentik_flows.view_flow",
        "authentik_stages_invitation.view_invitation",
        "authentik_stages_invitation.add_invitation",
        "authentik_stages_invitation.delete_invitation",
    ]);
    assert_eq!(everywhere, wanted);
    let groups = of(&blueprint, "authentik_core.group");
    let given: Vec<_> = groups
        .iter()
        .filter(|g| g["permissions"].is_array())
        .collect();
    assert_eq!(given.len(), 1, "an example of one");
    let on_it: BTreeSet<_> = given[0]["permissions"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| {
            assert_eq!(one["role"], json!({ "!KeyOf": "role" }));
            one["permission"].as_str().unwrap()
        })
        .collect();
    let on_groups = [
        "authentik_core.add_user_to_group",
        "authentik_core.view_group",
    ];
    assert_eq!(on_it, BTreeSet::from(on_groups));
    // Not the account that reads, and one that can't sign in.
    let user = of(&blueprint, "authentik_core.user");
    assert_eq!(user[0]["identifiers"]["username"], "auth-manager-write");
    assert_eq!(user[0]["attrs"]["type"], "service_account");

    let terraform = text("config/authentik/by-hand/main.tf");
    for name in wanted {
        assert!(terraform.contains(&format!("\"{name}\"")), "{name}");
    }
    let everywhere = terraform.split("on_groups").next().unwrap();
    assert!(!everywhere.contains("authentik_core.add_user_to_group"));
    assert!(terraform.contains("[\"view_group\", \"add_user_to_group\"]"));
}
