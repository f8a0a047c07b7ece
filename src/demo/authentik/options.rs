//! How a stand-in is made.

use std::sync::Arc;

/// Settings that do not change while it runs.
#[derive(Clone)]
pub struct Options {
    /// What it calls itself, in `User-Agent` and `/admin/version/`.
    pub version: String,
    /// Half of every `uid`.
    pub install_id: String,
    /// Threads of the worker that sends webhooks and SCIM requests (recorded: two by default, so
    /// that deliveries overtake each other).
    pub workers: usize,
    /// Waits between deliveries are divided by it: with 1,000 the first retry comes after 35 ms.
    pub time_factor: u32,
    /// Requests and deliveries that are remembered; 0: none.
    pub journal_capacity: usize,
    /// Whom it believes when it sends to `https://`; `None`: such deliveries fail.
    pub tls: Option<Arc<rustls::ClientConfig>>,
    /// Nobody and nothing from the start, for recordings that bring everything with them.
    pub empty: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            version: "2026.2.3-rc1".into(),
            install_id: "stand-in".into(),
            workers: 2,
            time_factor: 1_000,
            journal_capacity: 1_000,
            tls: None,
            empty: false,
        }
    }
}
