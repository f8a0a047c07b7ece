//! auth-manager: single sign-on, provisioning and deprovisioning for apps whose free edition has
//! none, behind Pomerium, with the app unmodified.
//!
//! # The life of a request
//!
//! `proxy/` is the road, one folder a station, in path order. Each station consumes one type and
//! gives the next, so that a skipped check does not compile:
//!
//! `edge` (hygiene) → `route` → `assertion` (authenticate) → `access` (authorize) → `session`
//! (session and CSRF) → `swap` → `forward` → `filter`.
//!
//! The rest of the house stands beside the road: `apps/` knows how an app makes accounts and
//! sessions, `bots/` whom services call it as, `api/` is what services ask, `identity/` decides what
//! must be made, `directory/` knows what identity providers say of people, `jobs/` does what must be
//! done later and surely, `store/` remembers, `keys/` signs and seals, `jwks/` knows the keys of others, `audit/`
//! accounts for what was done,
//! `backup/` brings store and keys elsewhere, `portal/` is what a visitor sees, `runtime/` wires
//! everything and owns the listeners.

// Leaves: import nothing of ours but each other.
pub mod error;
pub mod telemetry;
pub mod types;

// What the house rests on.
pub mod config;
pub mod jwks;
pub mod keys;
pub mod store;
pub mod tls;

// Who did what: rests on store and keys.
pub mod audit;

// What it is for.
pub mod api;
pub mod apps;
pub mod backup;
pub mod bots;
pub mod directory;
pub mod identity;
pub mod jobs;
pub mod mail;
pub mod portal;
pub mod proxy;
pub mod reconcile;

// What runs it.
pub mod cli;
pub mod demo;
pub mod runtime;
