//! The road of a request.

pub mod assertion;
pub mod edge;
