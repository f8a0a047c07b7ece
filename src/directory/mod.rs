//! Directories: what identity providers say of people and groups, beside what an assertion says.
//!
//! A **source** ([`source::Source`]) is one of them, read over its API. What it says is taken in as a
//! word about one person ([`crate::store::Person`]); what follows from all words about a subject is
//! decided in one place, and then done in this order: access is refused, sessions and sockets end,
//! accounts are brought up to date by jobs.
//!
//! A notification (webhook, SCIM) is a hint to read again, whatever it says: its content is never
//! taken for truth about access. A list that lacks somebody is no proof that they are gone: they are
//! asked for one by one.
//!
//! `source` is that interface, `authentik` and `keycloak` have it, `sources` holds those that are
//! configured, `read` carries out jobs with them; `http` (how they are called),
//! `secret` (tokens that are renewed) and `tree` (inherited membership) are what they share.

pub mod authentik;
mod http;
pub mod keycloak;
pub mod read;
mod secret;
pub mod source;
pub mod sources;
mod tree;
