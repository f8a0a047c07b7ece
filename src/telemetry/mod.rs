//! Logs, metrics and traces: what an operator watches.
//!
//! - [`log`]: one line an event, JSON or for people, written by a thread of its own.
//! - [`metrics`]: a Prometheus registry per bridge, with labels from closed sets only.
//! - [`request_id`]: the id that ties a line to a request.
//! - [`traces`]: where a request's time went, when the configuration asks for it.
//!
//! What does not live here: deciding what is logged, and serving `/metrics` (`runtime`). Nothing
//! here knows a secret, and nobody passes one in (T34).

pub mod log;
pub mod metrics;
pub mod request_id;
pub mod traces;

pub use log::{Format, LogError, LogHandle, LogOptions};
pub use metrics::{AppMetrics, Metrics};
pub use request_id::RequestId;
pub use traces::Traces;
