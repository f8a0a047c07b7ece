//! The configuration: one TOML file (and `apps.d/*.toml` beside it), checked as a whole before
//! anything is bound. What lives here: the checked form (`model.rs`), the raw form (`reader.rs`,
//! `files.rs`, `findings.rs`), what the keys of each section are (`sections.rs`, `apps.rs`, `access.rs`,
//! `postgres.rs`, `api.rs`, `clients.rs`, `services.rs`, `directories.rs`, `jobs.rs`, `scim.rs`), loading (`load.rs`), mistakes
//! (`problem.rs`), the file that `init` writes (`init.rs`). What does not: what is in keys and
//! certificates (`keys/`, `tls/`), asking peers (`cli/check`).
//!
//! Everything below is valid by construction: an unsafe or contradictory file has no `Config`.

mod access;
mod api;
mod api_model;
mod apps;
mod audiences;
mod clients;
mod directories;
mod directories_model;
mod files;
mod findings;
mod hooks;
mod init;
mod jobs;
mod load;
mod mail;
mod model;
mod postgres;
mod problem;
mod provision;
mod provision_model;
mod reader;
mod reconcile;
mod scim;
mod scim_model;
mod secret;
mod sections;
mod services;
mod suggest;
#[cfg(test)]
mod tests;
pub mod units;
mod write;

pub use api_model::*;
pub use audiences::LONGEST_TOKEN;
pub use directories_model::*;
pub use init::{Init, write_default};
pub use jobs::JobsConfig;
pub use mail::MailConfig;
pub use model::*;
pub use problem::{ConfigError, ConfigErrors};
pub use provision_model::*;
pub use reconcile::{Brake, ReconcileConfig};
pub use scim_model::*;
pub use secret::SecretError;
pub use suggest::nearest;
pub use write::{InvitationsConfig, WriteConfig};
