//! The road of a request.
