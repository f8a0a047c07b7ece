//! Wires everything and owns the listeners. What lives here: from a checked configuration to a
//! running bridge (`wire`), accepting connections (`accept`) for the road (`road`) and the api
//! (`api`), certificates that follow their files (`certificates`), keys that change by themselves
//! (`keys`), the way in of what directories say (`directory`), who carries out durable work (`jobs`),
//! what SCIM needs beside its requests (`scim`), what services need beside their requests (`services`), the ops listener (`ops`), what
//! systemd hands over and is told (`systemd`), what the audit trail says of the configuration
//! (`account`), reload and drain (`serve`). What does not: deciding
//! anything about a request.

mod accept;
mod account;
mod api;
mod certificates;
mod directory;
mod jobs;
mod keys;
mod mail;
mod ops;
mod provision;
mod reconcile;
mod road;
mod scim;
mod serve;
mod services;
mod systemd;
mod wire;

pub use directory::{Directory, by_hand_of, intake_of, terms_of as directory_terms_of};
pub use keys::{rewrapped, schedule_of};
pub use provision::converging;
pub use reconcile::sweeper_of;
pub use serve::{Options, serve};
pub use systemd::Sockets;
pub use wire::{
    StartError, audit_of, driver_of, master_of, must_open, place_of, replica_of, schema_of,
    store_of, terms_of,
};
