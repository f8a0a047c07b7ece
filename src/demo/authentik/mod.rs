//! A stand-in for Authentik (2026.2, community edition), spoken to over HTTP/1.1: its REST API (v3)
//! of users, groups, tokens, events and invitations with the permissions that guard them, its
//! webhooks, and its SCIM client.
//!
//! It exists for the demo and for the tests, which need an identity provider that can be looked
//! into, made to fail, and asked what it sent. Its contract is the set of recordings of a real one in
//! `tests/data/recordings/authentik/`, held to it by the `contract` test; where a comment below says
//! "recorded", it means those.
//!
//! What does not live here: anything of the bridge itself (this folder imports nothing of ours), and
//! signing people in: Pomerium's stand-in (`demo::door`) plays that.
//!
//! One file a resource of the API; `server` accepts connections, `route` is the table of paths,
//! `credential` decides who calls and what they see, `answer` is how Authentik answers, `controls`
//! is what tests may do behind the API's back (`remote` the same over HTTP), `hooks` sends webhooks,
//! `scim` and `scim_sync` are the SCIM client.

mod answer;
mod autocomplete;
mod body;
mod call;
mod controls;
mod credential;
mod events;
mod faults;
mod filter;
mod flows;
mod group_changes;
mod groups;
mod hooks;
mod ids;
mod invitations;
mod journal;
mod oauth;
mod options;
mod page;
mod python;
mod remote;
mod render;
mod route;
mod scim;
mod scim_sync;
mod seed;
mod server;
mod state;
mod system;
mod tokens;
mod transports;
mod user_changes;
mod users;
mod wire;

pub use controls::{NewPerson, StandIn};
pub use faults::Fault;
pub use hooks::{BodyKind, Hook};
pub use journal::{Seen, Sent};
pub use options::Options;
pub use scim::ScimTarget;
