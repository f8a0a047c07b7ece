//! `config/compose`: what it names exists, nothing secret stands in it, and the bridge's container is
//! as closed as it is said to be. Where Docker's own compose is at hand it judges the file, too.

use super::{path, run, text};
use serde_json::Value;
use std::collections::BTreeSet;
use std::process::Command;

const COMPOSE: &str = "config/compose/compose.yaml";

/// A YAML file as JSON, anchors and merges resolved.
fn yaml(file: &str) -> Value {
    let program =
        "import json, sys, yaml; json.dump(yaml.safe_load(open(sys.argv[1])), sys.stdout)";
    let file = path(file);
    let (output, said) = run(
        "python3",
        "python3-yaml",
        &["-c", program, file.to_str().unwrap()],
    );
    assert!(
        output.status.success(),
        "install the package python3-yaml: {said}"
    );
    serde_json::from_slice(&output.stdout).unwrap()
}

fn names(value: &Value) -> BTreeSet<String> {
    match value {
        Value::Object(map) => map.keys().cloned().collect(),
        Value::Array(all) => all
            .iter()
            .filter_map(|v| v.as_str().map(str::to_owned))
            .collect(),
        _ => BTreeSet::new(),
    }
}

#[test]
fn every_name_in_the_compose_file_is_defined_and_used() {
    let file = yaml(COMPOSE);
    let services = file["services"].as_object().unwrap();
    for kind in ["secrets", "networks"] {
        let used: BTreeSet<String> = services.values().flat_map(|s| names(&s[kind])).collect();
        assert_eq!(used, names(&file[kind]), "{kind}");
    }
    let mut volumes = BTreeSet::new();
    for (name, service) in services {
        for volume in names(&service["volumes"]) {
            let source = volume.split(':').next().unwrap();
            match source.strip_prefix("./") {
                // Made by `prepare`, or in the repository.
                Some("certs/public") => {}
                Some(file) => assert!(path("config/compose").join(file).exists(), "{name}: {file}"),
                None => {
                    volumes.insert(source.to_owned());
                }
            }
        }
        for needed in names(&service["depends_on"]) {
            assert!(services.contains_key(&needed), "{name} depends on {needed}");
        }
    }
    assert_eq!(volumes, names(&file["volumes"]));
    let prepare = text("config/compose/prepare");
    for (name, secret) in file["secrets"].as_object().unwrap() {
        assert_eq!(secret["file"], format!("./secrets/{name}"));
        assert!(
            prepare.contains(&format!("\nsecret {name} $")),
            "prepare makes no {name}"
        );
    }
}

#[test]
fn no_secret_is_in_an_environment_and_only_pomerium_is_reached_from_outside() {
    let file = yaml(COMPOSE);
    for (name, service) in file["services"].as_object().unwrap() {
        for (key, value) in service["environment"].as_object().into_iter().flatten() {
            let value = value.as_str().unwrap_or_default();
            let file =
                value.starts_with("/run/secrets/") || value.contains("File.read('/run/secrets/");
            let secret = ["PASS", "SECRET", "TOKEN", "KEY"]
                .iter()
                .any(|word| key.contains(word));
            assert!(file || !secret, "{name}: {key}");
            // A URL with a password in it.
            let user = value
                .split_once("://")
                .and_then(|(_, rest)| rest.split_once('@'));
            assert!(
                user.is_none_or(|(user, _)| !user.contains(':')),
                "{name}: {key}"
            );
        }
        let ports = names(&service["ports"]);
        let outside = ports.iter().any(|port| !port.starts_with("127.0.0.1:"));
        assert_eq!(outside, name == "pomerium", "{name}: {ports:?}");
    }
    for network in ["app", "data"] {
        assert_eq!(file["networks"][network]["internal"], true, "{network}");
    }
    // Nobody but the bridge is where Mattermost is.
    let services = file["services"].as_object().unwrap();
    let beside: Vec<_> = services
        .iter()
        .filter(|(_, service)| names(&service["networks"]).contains("app"))
        .map(|(name, _)| name.as_str())
        .collect();
    assert_eq!(beside, ["auth-manager", "mattermost"]);
}

#[test]
fn the_bridges_container_is_closed_and_asks_itself_how_it_is() {
    let file = yaml(COMPOSE);
    let bridge = &file["services"]["auth-manager"];
    assert_eq!(bridge["read_only"], true);
    assert_eq!(bridge["cap_drop"], serde_json::json!(["ALL"]));
    assert_eq!(bridge["user"], "65532:65532");
    assert_eq!(
        bridge["security_opt"],
        serde_json::json!(["no-new-privileges:true"])
    );
    let image = text("config/Containerfile");
    let last = image.rsplit("\nFROM ").next().unwrap();
    assert!(
        last.starts_with("scratch\n"),
        "nothing but the program is in it"
    );
    assert!(last.contains("\nUSER 65532:65532\n"));
    assert!(last.contains("CMD [\"/usr/local/bin/auth-manager\", \"health\"]"));
    let build = path("config/compose").join(bridge["build"]["context"].as_str().unwrap());
    let named = build.join(bridge["build"]["dockerfile"].as_str().unwrap());
    assert_eq!(
        named.canonicalize().unwrap(),
        path("config/Containerfile").canonicalize().unwrap()
    );
    // What is built from is let in by the ignore file.
    let ignore = text("config/Containerfile.dockerignore");
    for needed in [
        "Cargo.lock",
        "Cargo.toml",
        "askama.toml",
        "benches",
        "rust-toolchain.toml",
        "src",
        "tests",
    ] {
        assert!(ignore.contains(&format!("\n!{needed}\n")), "{needed}");
        assert!(path(needed).exists(), "{needed}");
    }
}

#[test]
fn the_bridge_and_pomerium_of_compose_fit_together() {
    let config: toml::Table = text("config/compose/auth-manager.toml").parse().unwrap();
    let app = &config["apps"][0];
    let compose = yaml(COMPOSE);
    let secrets = names(&compose["services"]["auth-manager"]["secrets"]);
    let (mine, whole) = (
        text("config/compose/auth-manager.toml"),
        yaml("config/compose/pomerium.yaml"),
    );
    let named: BTreeSet<String> = mine
        .split("/run/secrets/")
        .skip(1)
        .filter_map(|rest| rest.split('"').next().map(str::to_owned))
        .collect();
    assert_eq!(named, secrets);
    let route = &whole["routes"][0];
    let host = app["host"].as_str().unwrap();
    assert_eq!(route["from"], format!("https://{host}"));
    let to = route["to"].as_str().unwrap();
    let alias = compose["services"]["auth-manager"]["networks"]["road"]["aliases"][0].as_str();
    assert_eq!(to, format!("https://{}:8443", alias.unwrap()));
    let pomerium = &compose["services"]["pomerium"]["networks"]["road"]["aliases"];
    assert!(
        names(pomerium).contains(host),
        "the bridge reads Pomerium's keys by it"
    );
    // As in the example that explains each key.
    let example = yaml("config/pomerium.yaml");
    let example = example["routes"].as_array().unwrap();
    let explained = example
        .iter()
        .find(|r| r["pass_identity_headers"] == true)
        .unwrap();
    assert_eq!(names(route), names(explained));
    for key in [
        "preserve_host_header",
        "allow_websockets",
        "policy",
        "remove_request_headers",
        "circuit_breaker_thresholds",
    ] {
        assert_eq!(route[key], explained[key], "{key}");
    }
}

#[test]
fn dockers_own_compose_takes_the_file_where_it_is_at_hand() {
    let known = Command::new("docker").args(["compose", "version"]).output();
    if !known.is_ok_and(|output| output.status.success()) {
        // Not installed for this: it is not Debian's. The other tests here need no Docker.
        return;
    }
    let file = path(COMPOSE);
    let arguments = [
        "compose",
        "--profile",
        "gitlab",
        "-f",
        file.to_str().unwrap(),
        "config",
        "--quiet",
    ];
    let (output, said) = run("docker", "docker", &arguments);
    assert!(output.status.success(), "{said}");
}
