//! The door: a simulation of Pomerium for the demo and the tests.
//!
//! It is **not** Pomerium and protects nothing: whoever opens it chooses whom to be. What it shares
//! with the real one is everything a bridge behind it can see, held to recordings of Pomerium
//! 0.33.1 (`tests/data/recordings/pomerium/`): the assertion byte for byte in its form, the head of
//! each forwarded request in order and letter case, the `_pomerium` cookie, the paths it keeps to
//! itself, what a client without a session gets, and that sockets outlive a sign-out.
//!
//! It plays a route with `preserve_host_header`, `allow_websockets` and `pass_identity_headers` and
//! *without* `remove_request_headers`: the harder neighbour, since a client's `Forwarded`,
//! `X-Pomerium-Claim-*` and `X-Pomerium-Jwt-Assertion-For` then reach the bridge.
//!
//! - `mint`: the signing key and assertions; usable without a running door
//! - `people`: who may be chosen
//! - `sessions`: cookie handle → person and session id
//! - `accept`: does a client want JSON or a page
//! - `head`: the head of a forwarded request
//! - `pages`: the chooser and the rest of what the door says itself
//! - `forward`: the road to the upstream, tunnels included
//! - `server`: connections and the table of paths
//!
//! What does not live here: anything of the bridge. This folder imports nothing of ours, so that a
//! mistake of the bridge is not repeated by what should catch it.

mod accept;
mod forward;
mod head;
mod mint;
mod pages;
mod people;
mod server;
mod sessions;

pub use mint::{Claims, MintError, Minter};
pub use people::{
    GROUP_ADMINS, GROUP_MEMBERS, GROUP_VALIDATED, Person, alice, bob, denis, invented_people, nora,
    paul,
};
pub use server::{Door, DoorOptions, Scheme};
