//! An entry point for fuzzing: a pure function from bytes that asserts what must hold.

use super::notice::{About, Notice, read};
use super::worth::{Worth, weigh};
use crate::jobs::wish::ToRead;

/// Any bytes as a webhook's body: no panic, and whoever is asked about has a key that such a row has.
pub fn fuzz_hook(data: &[u8]) {
    let Notice::Event(event) = read(data) else {
        return;
    };
    let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_';
    assert!(event.action.len() <= 64 && event.action.bytes().all(plain));
    let (Worth::Read(what, _) | Worth::Seldom(what, _)) = weigh(&event) else {
        return;
    };
    match what {
        ToRead::Person { id } => {
            assert!(!id.is_empty() && id.len() <= 20 && id.bytes().all(|b| b.is_ascii_digit()));
            let said = match &event.about {
                About::Model(model) => {
                    let key = model.key.parse::<u32>().map(|pk| pk.to_string());
                    model.app == "authentik_core" && model.name == "user" && key == Ok(id)
                }
                About::Person(pk) => *pk == id,
                _ => false,
            };
            assert!(said);
        }
        ToRead::Group { id } => assert_eq!(id.len(), 36),
        ToRead::Groups | ToRead::Recent => {}
    }
}
