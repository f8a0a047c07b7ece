//! TLS on both sides: rustls with aws-lc-rs, the provider always passed explicitly (no process-wide
//! default), TLS 1.2 and 1.3.
//!
//! - [`pem`]: reading certificates and keys from files.
//! - [`server`]: what a listener offers, and which client certificates it takes.
//! - [`peer`]: who a client is, by its certificate: asked after the handshake.
//! - [`client`]: how we call others.
//! - [`reload`]: replacing either when its files change, without dropping a connection.
//! - [`dev`]: a certificate authority for development and tests.
//!
//! What does not live here: accepting connections (`runtime`). A connection says only which *peer*
//! speaks, never for whom: Envoy pools connections across users (recordings/pomerium, difference
//! 33).

pub mod client;
pub mod dev;
pub mod peer;
pub mod pem;
pub mod reload;
pub mod server;

pub use client::ClientFiles;
pub use peer::{Peer, PeerError, PeerName, PinnedNames};
pub use pem::TlsError;
pub use reload::Reloading;
pub use server::{ClientCertificates, ServerFiles};

use rustls::crypto::CryptoProvider;
use std::sync::Arc;

/// The one provider of this house.
#[must_use]
pub fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::aws_lc_rs::default_provider())
}

#[cfg(test)]
mod tests;
