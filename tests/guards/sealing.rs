//! Whatever is sealed must be sealed anew under another master key: a purpose that `keys/rewrap` does
//! not know would keep a former key in use for ever.

use std::path::Path;

fn source(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("src").join(name);
    std::fs::read_to_string(path).expect("a file of the repository")
}

#[test]
fn every_purpose_is_known_where_things_are_sealed_anew() {
    let seal = source("keys/seal.rs");
    let (_, rest) = seal.split_once("pub enum Purpose<'a> {").expect("the enum");
    let (body, _) = rest.split_once("\n}\n").expect("its end");
    let purposes: Vec<&str> = (body.lines())
        .map(str::trim)
        .filter(|line| !line.starts_with("//") && !line.is_empty())
        .map(|line| line.split(['(', ',']).next().expect("a name"))
        .collect();
    assert!(purposes.len() >= 5, "{purposes:?}");
    let rewrap = source("keys/rewrap.rs");
    let (shipped, _) = rewrap.split_once("#[cfg(test)]").expect("tests");
    for purpose in purposes {
        let named = format!("Purpose::{purpose}");
        assert!(
            shipped.contains(&named),
            "keys/rewrap.rs does not know {named}"
        );
    }
}
