//! The place that a connection takes among those a listener may have at once.

use crate::telemetry::metrics::Counted;
use tokio::sync::OwnedSemaphorePermit;

/// Taken when a connection is accepted, given back when this is dropped: at the connection's end, or
/// where it became a tunnel, at the tunnel's. hyper calls a connection ended once it is upgraded, so
/// the stream itself carries this (`limits.connections` counts sockets too, T40).
#[derive(Debug)]
pub struct Place {
    _permit: OwnedSemaphorePermit,
    _counted: Counted,
}

impl Place {
    /// One of the listener's, counted as open.
    #[must_use]
    pub fn new(permit: OwnedSemaphorePermit, counted: Counted) -> Self {
        Self {
            _permit: permit,
            _counted: counted,
        }
    }
}
