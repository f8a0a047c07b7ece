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

pub mod source;
