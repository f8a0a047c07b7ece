//! A stand-in for a Mattermost server (Team Edition, unlicensed, 11.2), spoken to over HTTP/1.1.
//!
//! It exists for the demo, which must run without Mattermost, and for the tests, which need a
//! server that can be looked into, made to fail and asked what arrived. Its contract is the set of
//! recordings of a real server in `tests/data/recordings/mattermost/`, replayed against it by the
//! `contract` test; where a comment below says "recorded", it means those.
//!
//! What does not live here: anything of the bridge itself. This folder imports nothing of ours, so
//! that a mistake of the bridge can never be repeated by the thing that is to catch it.
//!
//! One file a resource of the API; `server` accepts connections, `route` is the table of paths,
//! `credential` decides who calls, `answer` is how Mattermost answers, `controls` and `furniture` are
//! what tests may do behind the API's back.

mod answer;
mod bots;
mod call;
mod channels;
mod config;
mod controls;
mod credential;
mod faults;
mod files;
mod furniture;
mod gzip;
mod hooks;
mod ids;
mod journal;
mod login;
mod options;
mod pages;
mod passwords;
mod plugin;
mod posts;
mod route;
mod server;
mod sessions;
mod snapshots;
mod socket;
mod state;
mod system;
mod teams;
mod tokens;
mod user_changes;
mod users;
mod websocket;

pub use controls::StandIn;
pub use faults::Fault;
pub use journal::{CredentialKind, Done, Seen, SeenCredential};
pub use options::Options;
pub use snapshots::{NewUser, SessionSnapshot, UserSnapshot};
