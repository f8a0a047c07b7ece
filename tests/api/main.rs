//! What services see of the bridge: the real binary, its api listener, and a stock HTTP client.
//!
//! Names of rows `T…` are those of the threat table.

#[path = "../support/mod.rs"]
mod support;

mod bearers;
mod certificates;
mod commands;
mod limits;
mod secrets;

/// An endpoint that needs the scope users:read or admin.
const CLIENTS: &str = "/api/v1/clients";
