//! Every way to say no: one closed table of codes. Rendering lives in `proxy/refuse.rs` (and the
//! listeners of their own); what a person reads lives in `portal/`.

mod code;

pub use code::{Code, Level, Page};

use std::borrow::Cow;
use std::time::Duration;

/// A decision not to serve a request: what the log line, the metric label, the page and the
/// problem document all carry.
#[derive(Debug, Clone)]
pub struct Refusal {
    /// What it is.
    pub code: Code,
    /// Why exactly, for the log and for the operator; never a secret, never shown to visitors.
    pub reason: Cow<'static, str>,
    /// When trying again may help.
    pub retry_after: Option<Duration>,
}

impl Refusal {
    /// A refusal with its reason for the log.
    pub fn new(code: Code, reason: impl Into<Cow<'static, str>>) -> Self {
        Self {
            code,
            reason: reason.into(),
            retry_after: code.retry_after(),
        }
    }
}

impl From<Code> for Refusal {
    fn from(code: Code) -> Self {
        Self::new(code, code.title())
    }
}
