//! `nix/`: it parses, its options are the configuration's keys, its sandbox is the unit's. The
//! machine itself (`nix/vm-test.nix`) needs nixpkgs and is run by `nix flake check`.

use super::{path, run, text};
use std::collections::{BTreeMap, BTreeSet};

fn evaluated(file: &str) -> serde_json::Value {
    let file = path(file);
    // No store on disk: nothing is built.
    let arguments = [
        "--store",
        "dummy://",
        "--eval",
        "--strict",
        "--json",
        file.to_str().unwrap(),
    ];
    let (output, said) = run("nix-instantiate", "nix-bin", &arguments);
    assert!(output.status.success(), "{said}");
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {said}"))
}

#[test]
fn every_nix_file_parses() {
    let mut files = 0;
    for entry in std::fs::read_dir(path("nix")).unwrap() {
        let file = entry.unwrap().path();
        if file.extension().is_some_and(|ext| ext == "nix") {
            let arguments = ["--store", "dummy://", "--parse", file.to_str().unwrap()];
            let (output, said) = run("nix-instantiate", "nix-bin", &arguments);
            assert!(output.status.success(), "{}: {said}", file.display());
            files += 1;
        }
    }
    assert!(files >= 7, "{files}");
}

/// Sections and keys of the annotated file, those that are commented out too.
fn keys() -> BTreeSet<String> {
    let (mut keys, mut section) = (BTreeSet::new(), String::new());
    for line in text("config/auth-manager.toml").lines() {
        // `#key = value` may be added; `# prose` is a comment.
        let line = line.strip_prefix('#').unwrap_or(line);
        if let Some(header) = line.strip_prefix('[') {
            section = header.trim_matches(['[', ']']).to_owned();
            let ends = section.match_indices('.').map(|(at, _)| at);
            keys.extend(
                ends.chain([section.len()])
                    .map(|at| section[..at].to_owned()),
            );
            continue;
        }
        let Some((name, _)) = line.split_once(" = ") else {
            continue;
        };
        let name = name.split('.').next().unwrap_or_default();
        if name
            .bytes()
            .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_')
        {
            keys.insert(match section.as_str() {
                "" => name.to_owned(),
                section => format!("{section}.{name}"),
            });
        }
    }
    keys
}

#[test]
fn every_key_of_the_configuration_is_an_option_and_no_other() {
    let keys = keys();
    assert!(
        keys.contains("apps.session.idle") && keys.contains("store.postgres.url"),
        "{keys:?}"
    );
    let options: BTreeSet<String> =
        serde_json::from_value(evaluated("tests/shipped/keys.nix")).unwrap();
    let missing: Vec<_> = keys.difference(&options).collect();
    assert!(missing.is_empty(), "nix/options.nix lacks {missing:?}");
    let astray: Vec<_> = options.difference(&keys).collect();
    assert!(
        astray.is_empty(),
        "config/auth-manager.toml has no {astray:?}"
    );
}

#[test]
fn the_modules_sandbox_is_the_units() {
    let unit = text("config/systemd/auth-manager.service");
    let mut lines: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let service = unit.split("[Service]").nth(1).unwrap();
    let service = service.split("[Install]").next().unwrap();
    for line in service.lines().filter(|line| !line.starts_with('#')) {
        if let Some((name, value)) = line.split_once('=') {
            lines.entry(name.into()).or_default().push(value.into());
        }
    }
    let module = text("nix/module.nix");
    let serde_json::Value::Object(sandbox) = evaluated("nix/hardening.nix") else {
        panic!("no attribute set");
    };
    for (name, value) in &sandbox {
        let word = |value: &serde_json::Value| match value {
            serde_json::Value::Bool(true) => "yes".to_owned(),
            serde_json::Value::String(text) => text.clone(),
            other => other.to_string(),
        };
        let wanted: Vec<_> = match value {
            serde_json::Value::Array(all) => all.iter().map(word).collect(),
            one => vec![word(one)],
        };
        assert_eq!(lines.remove(name).as_ref(), Some(&wanted), "{name}");
    }
    // The rest is the module's own.
    for name in lines.keys() {
        assert!(
            module.contains(&format!("{name} =")),
            "nix/module.nix lacks {name}"
        );
    }
}

#[test]
fn no_secret_of_the_example_comes_into_the_store() {
    let example = text("nix/example.nix");
    for line in example
        .lines()
        .filter(|line| !line.trim_start().starts_with('#'))
    {
        let names_one = ["master.key", "bot.token", "key.pem", "pomerium/env"];
        let value = line.split_once('=').map_or(line, |(_, value)| value);
        if names_one.iter().any(|name| value.contains(name)) {
            // A path as text, never one of Nix's, which would be copied.
            assert!(!value.contains(" ./") && value.contains('"'), "{line}");
        }
    }
    assert!(example.matches("secret \"").count() >= 6);
}
