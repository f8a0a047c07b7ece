//! TLS on both sides: rustls with aws-lc-rs, the provider always passed explicitly (no process-wide
//! default), TLS 1.2 and 1.3.
//!
//! - [`pem`]: reading certificates and keys from files.
//! - [`server`]: what a listener offers, and which client certificates it takes.
//! - [`peer`]: who a client is, by its certificate: asked after the handshake.
//! - [`client`]: how we call others; [`http`]: an HTTP client that does.
//! - [`validity`]: until when a certificate is valid.
//! - [`reload`]: replacing either when its files change, without dropping a connection.
//! - [`dev`]: a certificate authority for development and tests.
//!
//! What does not live here: accepting connections (`runtime`). A connection says only which *peer*
//! speaks, never for whom: Envoy pools connections across users (recordings/pomerium, difference
//! 33).

pub mod client;
pub mod dev;
pub mod http;
pub mod peer;
pub mod pem;
pub mod reload;
pub mod server;
pub mod validity;

pub use client::ClientFiles;
pub use http::HttpClient;
pub use peer::{Peer, PeerError, PeerName, PinnedNames};
pub use pem::TlsError;
pub use reload::Reloading;
pub use server::{ClientCertificates, ServerFiles};

use rustls::crypto::CryptoProvider;
use std::sync::Arc;

/// What a file of certificates is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Shown to the other side.
    Own,
    /// The authorities that are believed.
    Authority,
}

impl Role {
    /// The word of the metric's label.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Own => "own",
            Self::Authority => "authority",
        }
    }
}

/// The one provider of this house.
#[must_use]
pub fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::aws_lc_rs::default_provider())
}

#[cfg(test)]
mod tests;
