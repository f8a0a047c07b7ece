//! What services see of the bridge: the real binary, its api listener, and a stock HTTP client.
//!
//! Names of rows `T…` are those of the threat table.

#[path = "../support/mod.rs"]
mod support;

mod accounts;
mod bearers;
mod bots;
mod certificates;
mod commands;
mod desk;
mod events;
mod explain;
mod hooks;
mod jobs;
mod limits;
mod plans;
mod replicas;
mod resources;
mod schemathesis;
mod scim;
mod scopes;
mod secrets;
mod service;
mod service_replicas;
mod service_socket;
mod sessions;
mod tokens;
mod users;
mod visitors;

/// An endpoint that needs the scope users:read or admin.
const CLIENTS: &str = "/api/v1/clients";
