//! The document is whole, and says what is so.

use super::*;
use std::collections::BTreeSet;

fn operations(document: &Value) -> Vec<(String, String, Value)> {
    let paths = document["paths"].as_object().unwrap();
    let mut all = Vec::new();
    for (path, methods) in paths {
        for (method, operation) in methods.as_object().unwrap() {
            all.push((path.clone(), method.clone(), operation.clone()));
        }
    }
    all
}

#[test]
fn the_document_is_as_it_was_reviewed() {
    let now = serde_json::to_string_pretty(&document()).unwrap() + "\n";
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/openapi.json");
    if std::env::var_os("UPDATE_SNAPSHOTS").is_some() {
        std::fs::write(path, &now).unwrap();
    }
    let reviewed = std::fs::read_to_string(path).unwrap_or_default();
    assert!(
        reviewed == now,
        "the api changed: UPDATE_SNAPSHOTS=1 cargo test --lib openapi, and review tests/data/openapi.json"
    );
}

#[test]
fn every_route_is_in_the_document() {
    // As the sources say it: a path, or the name of a constant that holds one.
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/src/api");
    let mut routed = BTreeSet::new();
    let mut folders = vec![std::path::PathBuf::from(folder)];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            // SCIM describes itself, in its own documents (RFC 7644 §4).
            if path.ends_with("api/scim") {
                continue;
            }
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            if path.file_name().is_some_and(|name| name == "tests.rs") {
                continue;
            }
            let text = std::fs::read_to_string(&path).unwrap();
            for (at, _) in text.match_indices(".route(") {
                let word = text[at + 7..].trim_start();
                let word = word.split(',').next().unwrap().trim();
                let found = match word.strip_prefix('"') {
                    Some(path) => path.trim_end_matches('"').to_owned(),
                    None => {
                        let constant =
                            format!("const {}: &str = \"", word.rsplit("::").next().unwrap());
                        let value = text.split(&constant).nth(1);
                        let value = value.unwrap_or_else(|| panic!("{word} of {}", path.display()));
                        value.split('"').next().unwrap().to_owned()
                    }
                };
                routed.insert(found);
            }
        }
    }
    // What lies behind is the app's own API, which the app documents.
    routed.retain(|path| !path.starts_with("/apps/"));
    let documented = operations(&document());
    let documented: BTreeSet<_> = documented.into_iter().map(|(path, ..)| path).collect();
    assert_eq!(routed, documented);
}

#[test]
fn every_reference_leads_somewhere_and_every_operation_has_a_name_of_its_own() {
    let document = document();
    let text = document.to_string();
    for (at, _) in text.match_indices("\"#/components/schemas/") {
        let name = text[at + 22..].split('"').next().unwrap();
        assert!(!document["components"]["schemas"][name].is_null(), "{name}");
    }
    let operations = operations(&document);
    let names: BTreeSet<_> = operations
        .iter()
        .map(|(.., operation)| operation["operationId"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(names.len(), operations.len());
}

#[test]
fn every_way_to_be_refused_is_in_the_document() {
    for (path, method, operation) in operations(&document()) {
        let mut wanted = vec!["400", "405", "500"];
        if !operation["security"].is_null() {
            wanted.extend(["401", "429", "408", "503"]);
        }
        if path.contains("/api/v1/") {
            wanted.push("403");
        }
        if path.contains('{') {
            wanted.push("404");
        }
        if !operation["requestBody"].is_null() {
            wanted.extend(["413", "415", "422"]);
        }
        // What OAuth asks knows neither conditions nor idempotency keys.
        if method == "post" && path.starts_with("/api/v1/") && !path.contains("/oauth/") {
            wanted.extend(["409", "412"]);
        }
        for status in wanted {
            let response = &operation["responses"][status];
            assert!(!response.is_null(), "{method} {path}: {status}");
        }
    }
}
