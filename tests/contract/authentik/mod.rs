//! The stand-in Authentik against recordings of a real one (2026.2): the REST API answers as
//! recorded, webhooks and SCIM requests go out as recorded, byte for byte but for ids and times.

mod hooks;
mod rest;
mod scim;
mod stage;
mod text;

use serde_json::Value;
use std::path::Path;

/// A recording.
pub(crate) fn load(name: &str) -> Value {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/recordings/authentik");
    let text = std::fs::read_to_string(folder.join(name)).expect(name);
    serde_json::from_str(&text).expect("a recording is JSON")
}

/// Its exchanges.
pub(crate) fn exchanges(name: &str) -> Vec<Value> {
    load(name)["exchanges"]
        .as_array()
        .expect("exchanges")
        .clone()
}
