//! Rules about the sources themselves (T19): every guard has a test that fails without it, modules
//! import what they may, outside bytes can't panic, codes are never renamed.

#[path = "guards/differences.rs"]
mod differences;
#[path = "guards/sealing.rs"]
mod sealing;
#[path = "guards/table.rs"]
mod table;
#[path = "guards/watching.rs"]
mod watching;

use auth_manager::error::Code;
use auth_manager::portal::{Lang, message};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

fn sources(folder: &str) -> Vec<(String, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut folders: Vec<PathBuf> = vec![root.join(folder)];
    let mut found = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).expect("a folder of the repository") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|ext| ext == "rs") {
                let text = std::fs::read_to_string(&path).expect("text");
                let name = path.strip_prefix(root).expect("below the root");
                found.push((name.display().to_string(), text));
            }
        }
    }
    found.sort();
    assert!(!found.is_empty());
    found
}

/// The code that ships: without comments and unit tests.
fn shipped() -> Vec<(String, String)> {
    let test = |name: &str| {
        ["/tests.rs", "/tests/", "/testing/", "/fuzz.rs", "/fake.rs"]
            .iter()
            .any(|part| name.contains(part))
    };
    let mut shipped = sources("src");
    shipped.retain(|(name, _)| !test(name));
    for (_, text) in &mut shipped {
        let mut kept = String::new();
        let mut lines = text.lines();
        while let Some(line) = lines.next() {
            if line.trim() == "#[cfg(test)]" {
                // The item it stands over, to the brace or semicolon that ends it.
                let indent = line.len() - line.trim_start().len();
                let end = format!("{}}}", " ".repeat(indent));
                for line in lines.by_ref() {
                    let attribute = line.trim().starts_with("#[");
                    if line == end
                        || (line.trim_end().ends_with(';')
                            && !attribute
                            && line.len() - line.trim_start().len() == indent)
                    {
                        break;
                    }
                }
                continue;
            }
            if !line.trim_start().starts_with("//") {
                kept.push_str(line);
                kept.push('\n');
            }
        }
        *text = kept;
    }
    shipped
}

#[test]
fn t19_every_guard_stands_and_its_test_exists() {
    let src: BTreeMap<_, _> = sources("src").into_iter().collect();
    let all: Vec<String> = src
        .values()
        .cloned()
        .chain(sources("tests").into_iter().map(|(_, text)| text))
        .collect();
    let mut missing = Vec::new();
    for (what, file, words, tests) in table::guards() {
        if !src.get(*file).is_some_and(|text| text.contains(words)) {
            missing.push(format!("{what}: {file} no longer says {words:?}"));
        }
        for test in *tests {
            let name = format!("fn {test}(");
            if !all.iter().any(|text| text.contains(&name)) {
                missing.push(format!("{what}: there is no test {test}"));
            }
        }
    }
    assert!(missing.is_empty(), "{}", missing.join("\n"));
}

#[test]
fn every_threat_row_has_a_test_that_names_it() {
    let texts: Vec<String> = sources("src")
        .into_iter()
        .chain(sources("tests"))
        .map(|(_, text)| text)
        .collect();
    let missing: Vec<String> = (1..=40)
        .filter(|row| {
            !texts
                .iter()
                .any(|text| text.contains(&format!("fn t{row:02}_")))
        })
        .map(|row| format!("T{row}"))
        .collect();
    assert!(missing.is_empty(), "no test names {missing:?}");
}

#[test]
fn t20_what_a_station_makes_nobody_else_can() {
    // Each says so in its documentation, which the compiler checks.
    for (file, made) in [
        ("src/proxy/edge/clean.rs", "CleanRequest {"),
        ("src/proxy/assertion/mod.rs", "Verified {"),
        ("src/proxy/access/mod.rs", "Admitted {"),
        ("src/proxy/session/mod.rs", "Bound {"),
        ("src/proxy/session/csrf.rs", "Intended("),
        ("src/proxy/swap/mod.rs", "UpstreamRequest("),
        ("src/api/caller.rs", "Caller("),
        ("src/api/apps.rs", "AppCaller {"),
        ("src/api/visitors.rs", "Introducer {"),
        ("src/proxy/service/entitle.rs", "Entitled {"),
        ("src/api/granted.rs", "Granted {"),
    ] {
        let sources = sources("src");
        let (_, text) = sources.iter().find(|(name, _)| name == file).expect(file);
        let refused = text.split("```compile_fail").skip(1);
        let forged = refused.filter_map(|rest| rest.split("```").next());
        assert!(
            forged.into_iter().any(|code| code.contains(made)),
            "{file}: {made}"
        );
    }
}

#[test]
fn every_endpoint_of_the_api_asks_for_a_scope() {
    // What everybody may read, and what every known caller may.
    const OPEN: [&str; 2] = ["src/api/keys.rs", "src/api/metadata.rs"];
    const KNOWN: &str = "src/api/openapi/mod.rs";
    for (name, text) in shipped() {
        if name == "src/api/mod.rs" {
            let open = text.split("fn open()").nth(1).unwrap_or_default();
            let open = open.split("fn resources()").next().unwrap_or_default();
            assert_eq!(open.matches(".merge(").count(), OPEN.len(), "{open}");
            assert!(!open.contains(".route("), "{open}");
        }
        if name.starts_with("src/api/") && text.contains(".route(") && !OPEN.contains(&&*name) {
            let known = name == KNOWN && text.contains("|_: Caller|");
            // A SCIM client's connection is made of a `Granted<Scim>`.
            let of_scim = name.starts_with("src/api/scim/") && text.contains(": Connected");
            let asks = text.contains("Granted<") || text.contains(".require(") || of_scim;
            assert!(asks || known, "{name}: an endpoint that no scope guards");
        }
    }
}

/// What each module may import beside itself.
const IMPORTS: &[(&str, &[&str])] = &[
    ("types", &[]),
    ("error", &["types"]),
    ("telemetry", &["error", "types"]),
    ("tls", &["types"]),
    ("config", &["types"]),
    ("jwks", &["config", "tls", "types"]),
    ("store", &["telemetry", "types"]),
    ("keys", &["store", "types"]),
    ("audit", &["error", "keys", "store", "telemetry", "types"]),
    ("backup", &["keys", "store", "types"]),
    ("portal", &["error", "types"]),
    ("apps", &["config", "error", "keys", "tls", "types"]),
    (
        "api",
        &[
            "apps",
            "audit",
            "config",
            "directory",
            "error",
            "identity",
            "jobs",
            "jwks",
            "keys",
            "reconcile",
            "store",
            "telemetry",
            "tls",
            "types",
        ],
    ),
    ("bots", &["apps", "keys", "store", "types"]),
    (
        "directory",
        &[
            "audit",
            "config",
            "error",
            "jobs",
            "store",
            "telemetry",
            "tls",
            "types",
        ],
    ),
    (
        "identity",
        &[
            "apps",
            "audit",
            "config",
            "error",
            "jobs",
            "keys",
            "store",
            "telemetry",
            "types",
        ],
    ),
    (
        "directory",
        &[
            "apps",
            "audit",
            "config",
            "error",
            "identity",
            "jobs",
            "keys",
            "store",
            "telemetry",
            "tls",
            "types",
        ],
    ),
    (
        "proxy",
        &[
            "api",
            "apps",
            "audit",
            "bots",
            "config",
            "directory",
            "error",
            "identity",
            "jwks",
            "keys",
            "portal",
            "store",
            "telemetry",
            "tls",
            "types",
        ],
    ),
    ("demo", &[]),
];

#[test]
fn modules_import_what_they_may() {
    let mut wrong = BTreeSet::new();
    for (name, text) in shipped() {
        let module = name.split('/').nth(1).unwrap_or_default().to_owned();
        let Some((_, allowed)) = IMPORTS.iter().find(|(of, _)| *of == module) else {
            continue;
        };
        assert!(!text.contains("use crate::{"), "{name}: one `use` a module");
        for (at, _) in text.match_indices("crate::") {
            let rest = &text[at + "crate::".len()..];
            let end = rest.find(|c: char| !c.is_ascii_lowercase() && c != '_');
            let used = &rest[..end.unwrap_or(rest.len())];
            if !used.is_empty() && used != module && !allowed.contains(&used) {
                wrong.insert(format!("{name} imports {used}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// The road knows of the api only what the api's proofs and its wish list say.
#[test]
fn the_road_takes_nothing_of_the_api_but_its_proofs() {
    for (name, text) in shipped()
        .iter()
        .filter(|(name, _)| name.starts_with("src/proxy/"))
    {
        for (at, _) in text.match_indices("crate::api::") {
            let rest = &text[at + "crate::api::".len()..];
            let known = ["apps::", "visitors::"].iter().any(|m| rest.starts_with(m));
            assert!(known, "{name}: {}", rest.lines().next().unwrap_or_default());
        }
    }
}

#[test]
fn outside_bytes_cannot_panic() {
    const PANICS: [&str; 6] = [
        ".unwrap()",
        ".expect(",
        "panic!(",
        "unreachable!(",
        "todo!(",
        "unimplemented!(",
    ];
    // Files whose every panic is about something that ships with the program.
    const ALLOWED: [&str; 1] = ["src/portal/messages.rs"];
    let mut found = Vec::new();
    for (name, text) in shipped() {
        let elsewhere = ["src/demo/", "src/cli/"]
            .iter()
            .any(|f| name.starts_with(f));
        if elsewhere || ALLOWED.contains(&name.as_str()) {
            continue;
        }
        let lines = text
            .lines()
            .filter(|line| PANICS.iter().any(|p| line.contains(p)));
        found.extend(lines.map(|line| format!("{name}: {}", line.trim())));
    }
    assert!(found.is_empty(), "{found:#?}");
}

#[test]
fn secrets_are_exposed_in_few_places() {
    const ALLOWED: [&str; 12] = [
        "src/apps/mattermost/api.rs",
        "src/apps/mattermost/api/shapes.rs",
        "src/config/postgres.rs",
        "src/config/secret.rs",
        "src/directory/authentik/api.rs",
        "src/directory/keycloak/api.rs",
        "src/keys/derive.rs",
        "src/keys/phc.rs",
        "src/mail/post.rs",
        "src/store/postgres/pool.rs",
        "src/telemetry/traces/export.rs",
        "src/types/secret.rs",
    ];
    let mut found: Vec<String> = shipped()
        .into_iter()
        .filter(|(name, text)| text.contains("expose_secret") && !name.starts_with("src/demo/"))
        .map(|(name, _)| name)
        .collect();
    found.retain(|name| !ALLOWED.contains(&name.as_str()));
    assert!(found.is_empty(), "{found:?}");
}

#[test]
fn codes_are_never_renamed_and_each_has_its_words() {
    let snapshot = include_str!("data/codes.txt");
    let old: Vec<&str> = snapshot.lines().collect();
    let now: Vec<String> = Code::ALL
        .iter()
        .map(|code| format!("{} {}", code.as_str(), code.status().as_u16()))
        .collect();
    for line in &old {
        assert!(
            now.iter().any(|have| have == line),
            "{line} is gone: operators filter on it"
        );
    }
    for line in &now {
        assert!(
            old.contains(&line.as_str()),
            "add a line to tests/data/codes.txt: {line}"
        );
    }
    for code in Code::ALL {
        for lang in Lang::ALL {
            let text = message(*code, lang);
            assert!(text.len() > 10, "{} in {lang:?}", code.as_str());
        }
        let (english, french) = (message(*code, Lang::En), message(*code, Lang::Fr));
        assert_ne!(english, french, "{} is not translated", code.as_str());
    }
}
