//! A resource on its way in and out. In: what a client says becomes [`Said`], canonical in its names
//! and free of what is ours to say ([`Said::read`]), and is indexed ([`index`]). Out: [`show`] adds
//! what is ours. What lies in between is JSON as the client sent it: values are echoed verbatim,
//! empty lists too, since clients compare (recordings/authentik, differences 21, 23 and 29).

mod index;
mod read;
pub mod show;

pub use index::draft;
pub use read::Said;
pub(super) use read::coerced;
pub(super) use read::member_ids;

use serde_json::{Map, Value};

/// A JSON object.
pub type Object = Map<String, Value>;

/// The member of this name in any case, with its own spelling.
pub(super) fn entry<'o>(object: &'o Object, name: &str) -> Option<(&'o String, &'o Value)> {
    if let Some(found) = object.get_key_value(name) {
        return Some(found);
    }
    object
        .iter()
        .find(|(key, _)| key.eq_ignore_ascii_case(name))
}

/// The member of this name in any case.
pub(super) fn member<'o>(object: &'o Object, name: &str) -> Option<&'o Value> {
    entry(object, name).map(|(_, value)| value)
}
