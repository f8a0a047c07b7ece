//! The configuration: one TOML file (and `apps.d/*.toml` beside it), checked as a whole before
//! anything is bound. What lives here: the checked form (this file and `model.rs`), the raw form
//! (`raw.rs`), loading and explaining (`load.rs`). What does not: reading keys and certificates
//! (`keys/`, `tls/`), asking peers (`cli/check`).
//!
//! Everything below is valid by construction: an unsafe or contradictory file has no `Config`.

mod model;

pub use model::*;
