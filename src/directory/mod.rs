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
//! - [`source`]: a directory that can be asked; [`authentik`], [`keycloak`]: those that there are, with
//!   `http` (how they are called), `secret` (tokens that are renewed) and `tree` (inherited membership);
//!   [`sources`]: those that are configured.
//! - [`writer`]: a directory that something may be done in by hand; [`by_hand`]: those orders.
//! - [`read`]: carries out `read` jobs: asks again, and hands over what was said.
//! - [`intake`]: the one way in of what they say, and what is done about it.
//! - [`standing`]: what follows from all words about somebody; [`index`]: the groups they name.
//! - [`gate`]: who may use an app; [`wanted`]: what an app should have of somebody.
//! - [`explain`]: why, for whoever asks.
//! - [`standings`]: everybody's standing in memory, which the road asks.

pub mod authentik;
pub mod by_hand;
pub mod explain;
pub mod gate;
mod http;
pub mod index;
pub mod intake;
pub mod keycloak;
pub mod read;
mod secret;
pub mod source;
pub mod sources;
pub mod standing;
pub mod standings;
#[cfg(test)]
mod tests;
mod tree;
pub mod wanted;
pub mod writer;

pub use by_hand::ByHand;
pub use explain::{Explained, Looked, explain};
pub use gate::{Says, View};
pub use intake::{Intake, Taken, TakenGroup, Terms, Took};
pub use standing::{Denial, Standing, Verdict, Why};
pub use standings::Standings;
pub use wanted::{AppTerms, Wanted, WantedGroup, WantedState, wanted};
