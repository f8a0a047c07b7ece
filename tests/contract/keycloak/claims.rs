//! Recording 07: what a real realm's tokens say of who somebody is, against what its API says. The
//! reader and README.md rest on it.

use super::load;
use serde_json::Value;
use std::collections::BTreeSet;

fn cases() -> (Value, Vec<Value>) {
    let mut recorded = load("07-openid-claims.json");
    let cases = recorded["cases"].as_array().expect("cases").clone();
    (recorded["groups"].take(), cases)
}

fn groups(claims: &Value) -> Option<BTreeSet<String>> {
    let all = claims.get("groups")?.as_array()?;
    let all = all.iter().filter_map(Value::as_str);
    Some(all.map(str::to_owned).collect())
}

#[test]
fn sub_is_the_id_that_the_directory_has() {
    let (_, cases) = cases();
    assert_eq!(cases.len(), 9);
    for case in cases {
        for claims in ["id_token", "userinfo"] {
            assert_eq!(
                case[claims]["sub"], case["directory_id"],
                "{}",
                case["person"]
            );
        }
    }
}

#[test]
fn groups_are_called_as_the_directory_calls_them_without_their_path() {
    let (paths, cases) = cases();
    for case in cases {
        let person = case["person"].as_str().expect("a person");
        let direct = paths[person].as_array().expect("paths");
        let direct = direct.iter().filter_map(Value::as_str);
        let said = groups(&case["id_token"]);
        assert_eq!(said, groups(&case["userinfo"]), "{person}");
        let want: BTreeSet<String> = match case["mapper"]["full.path"].as_str() {
            None => {
                assert_eq!(said, None, "no mapper, no groups");
                continue;
            }
            Some("true") => direct.map(str::to_owned).collect(),
            Some(_) => direct
                .filter_map(|path| path.rsplit('/').next())
                .map(str::to_owned)
                .collect(),
        };
        // Whoever is in no group has no claim at all, rather than an empty one.
        assert_eq!(said, (!want.is_empty()).then_some(want), "{person}");
    }
}
