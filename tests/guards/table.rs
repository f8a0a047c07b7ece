//! The guards, by where they stand.

#[path = "table/api.rs"]
mod api;
#[path = "table/keeping.rs"]
mod keeping;
#[path = "table/people.rs"]
mod people;
#[path = "table/road.rs"]
mod road;

/// A guard: what it is, its file, words of its code, and a test that fails when the guard is taken
/// out.
pub(crate) type Guard = (
    &'static str,
    &'static str,
    &'static str,
    &'static [&'static str],
);

/// All there are.
pub(crate) fn guards() -> impl Iterator<Item = &'static Guard> {
    let tables = [road::GUARDS, people::GUARDS, api::GUARDS, keeping::GUARDS];
    tables.into_iter().flatten()
}
