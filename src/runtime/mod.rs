//! Wires everything and owns the listeners. What lives here: from a checked configuration to a
//! running bridge (`wire`), accepting connections (`accept`) for the road (`road`) and the api
//! (`api`), the ops listener (`ops`), what systemd hands over and is told (`systemd`), reload and
//! drain (`serve`). What does not: deciding anything about a request.

mod accept;
mod api;
mod ops;
mod road;
mod serve;
mod systemd;
mod wire;

pub use serve::{Options, serve};
pub use systemd::Sockets;
pub use wire::{StartError, driver_of, master_of, place_of, schema_of, store_of};
