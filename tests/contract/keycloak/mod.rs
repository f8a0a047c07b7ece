//! The stand-in Keycloak against recordings of a real one (26.7): what its API and its token endpoint
//! answer, letter by letter but for tokens.

mod claims;
mod rest;
mod stage;

use serde_json::Value;
use std::path::Path;

/// A recording.
fn load(name: &str) -> Value {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/recordings/keycloak");
    let text = std::fs::read_to_string(folder.join(name)).expect(name);
    serde_json::from_str(&text).expect("a recording is JSON")
}

/// Its exchanges.
fn exchanges(name: &str) -> Vec<Value> {
    let recorded = load(name)["exchanges"].take();
    recorded.as_array().expect("exchanges").clone()
}
