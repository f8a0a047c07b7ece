//! The road of a request: nine stations in path order.
//!
//! | station | folder | takes → gives |
//! |---|---|---|
//! | 1 hygiene | `edge` | raw request → `CleanRequest` |
//! | 2 route | `route` | → `ForApp` |
//! | 3 authenticate | `assertion` | → `Verified<Assertion>` |
//! | 4 authorize | `access` | → `Admitted` |
//! | 5 session | `session` | → `Bound` |
//! | 6 csrf | `session/csrf` | → `Intended` |
//! | 7 swap | `swap` | → `UpstreamRequest` |
//! | 8 forward | `forward` | → `UpstreamResponse` or a tunnel |
//! | 9 filter | `filter` | → the browser's response |
//!
//! A service's call comes in by `service`, from the api listener: the same hygiene, then its own
//! proof in place of stations 2 to 6, then the same stations 7 to 9.
//!
//! Each type is made by its station alone, so that a skipped check does not compile. Nothing
//! reaches the forwarder without a permit (`swap::Permit`). Everything fails closed.

// In path order.
pub mod edge;

pub mod route;

pub mod assertion;

pub mod access;

pub mod session;

pub mod swap;

pub mod forward;

pub mod filter;

// Beside the path.
mod body;
mod bridge;
pub mod refuse;
pub mod service;
mod visit;
mod vouch;

pub use body::Body;
pub use bridge::{Bridge, Parts};
pub use visit::handle;
