//! Entry points for fuzzing: pure functions from bytes that assert what must hold.

use super::filter::{compile, judge, parse, parse_path};
use super::patch::{Patch, apply};
use super::resource::Said;
use crate::store::ScimKind;
use serde_json::{Value, json};

/// Any bytes as a filter: what is read is bounded, reads the same when it is written out, and can be
/// compiled and judged.
pub fn fuzz_filter(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    let Ok(filter) = parse(text) else { return };
    assert!(text.len() <= super::filter::LONGEST);
    let again = parse(&filter.to_string());
    assert_eq!(again.ok().as_ref(), Some(&filter), "{text:?}");
    let shown = Value::Object(user().body);
    for kind in ScimKind::ALL {
        let _ = compile::condition(&filter, &[kind]);
        let _ = judge::resource(&filter, kind, &shown);
    }
}

/// Any bytes as a path of a PATCH operation.
pub fn fuzz_path(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    if let Ok(path) = parse_path(text) {
        assert_eq!(parse_path(&path.to_string()).ok(), Some(path), "{text:?}");
    }
    let operations = json!([
        { "op": "add", "path": text, "value": "x" },
        { "op": "replace", "path": text, "value": [{ "value": "y" }] },
        { "op": "remove", "path": text },
    ]);
    patched(&json!({ "Operations": operations }));
}

/// Any bytes as the body of a PATCH.
pub fn fuzz_patch(data: &[u8]) {
    if let Ok(body) = serde_json::from_slice(data) {
        patched(&body);
    }
}

/// What comes out is a resource, whatever was asked.
fn patched(body: &Value) {
    let Some(body) = body.as_object() else { return };
    for strict in [false, true] {
        let Ok(patch) = Patch::read(body, 100, strict) else {
            continue;
        };
        for said in [user(), group()] {
            if let Ok(after) = apply(&patch, said, strict) {
                let whole = Value::Object(after.body.clone());
                let read = Said::read(after.kind, whole, false).map(|read| read.body);
                assert_eq!(read.ok(), Some(after.body));
            }
        }
    }
}

fn user() -> Said {
    let body = json!({
        "userName": "alice", "active": true, "name": { "givenName": "A" },
        "emails": [{ "value": "a@x", "type": "work", "primary": true }], "own": ["a", 1, true],
        "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User": { "department": "d" },
    });
    Said {
        kind: ScimKind::User,
        body: body.as_object().cloned().unwrap_or_default(),
        members: None,
        id: Some("1".to_owned()),
    }
}

fn group() -> Said {
    let body = json!({ "displayName": "staff" });
    Said {
        kind: ScimKind::Group,
        body: body.as_object().cloned().unwrap_or_default(),
        members: Some(vec!["1".to_owned(), "2".to_owned()]),
        id: Some("3".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    fn replay(name: &str, target: fn(&[u8])) {
        let folder = format!("{}/fuzz/corpus/{name}", env!("CARGO_MANIFEST_DIR"));
        let mut count = 0;
        for entry in fs::read_dir(folder).unwrap() {
            target(&fs::read(entry.unwrap().path()).unwrap());
            count += 1;
        }
        assert!(count >= 4, "{name}: {count}");
    }

    #[test]
    fn corpus_replays() {
        replay("scim-filter", fuzz_filter);
        replay("scim-path", fuzz_path);
        replay("scim-patch", fuzz_patch);
    }

    proptest::proptest! {
        #[test]
        fn any_bytes_are_taken_without_a_panic(
            bytes in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..200)
        ) {
            fuzz_filter(&bytes);
            fuzz_path(&bytes);
            fuzz_patch(&bytes);
        }
    }
}
