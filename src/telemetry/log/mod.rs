//! The log: one line an event, to standard output, JSON or for people.
//!
//! A line costs its request a few hundred nanoseconds and one short lock: it is written into memory
//! (`line`), collected (`sink`), and brought out by a thread of its own, so that an output that
//! blocks holds up nobody. Spans are not shown: a line carries all it says in its own fields.
//!
//! The filter comes from `AUTH_MANAGER_LOG` (`info` when unset), in the form of tracing-subscriber's
//! `EnvFilter`.

mod layer;
mod line;
mod sink;
mod stamp;

pub use sink::LogHandle;

use prometheus_client::metrics::counter::Counter;
use std::io::Write;
use tracing::Subscriber;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::layer::SubscriberExt;

/// The environment variable that holds the filter.
pub const FILTER_VARIABLE: &str = "AUTH_MANAGER_LOG";

/// What a line looks like.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Format {
    /// One JSON object a line.
    #[default]
    Json,
    /// For people at a terminal.
    Human,
}

/// How to log.
#[derive(Debug, Clone, Default)]
pub struct LogOptions {
    /// What a line looks like.
    pub format: Format,
    /// What is logged; `info` when `None`.
    pub filter: Option<String>,
}

impl LogOptions {
    /// Lines of this form, with the filter of the environment.
    #[must_use]
    pub fn from_environment(format: Format) -> Self {
        let filter = std::env::var(FILTER_VARIABLE).ok();
        Self {
            format,
            filter: filter.filter(|text| !text.trim().is_empty()),
        }
    }
}

/// Why there is no log.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// The filter can't be read.
    #[error("{FILTER_VARIABLE}: {0}; an example: `info,auth_manager::proxy=debug`")]
    Filter(#[from] tracing_subscriber::filter::ParseError),
    /// Something else logs for this process already.
    #[error("the process has a log already")]
    Taken(#[from] tracing::subscriber::SetGlobalDefaultError),
    /// The writing thread can't be had.
    #[error("the log's thread can't be started: {0}")]
    Thread(#[from] std::io::Error),
}

/// Logs for the whole process, to standard output; a panic brings out what is pending. Keep the
/// handle until the end: dropping it does the same, and stops the writing thread.
///
/// # Errors
/// When the filter can't be read or the process has a log already.
pub fn start(options: &LogOptions) -> Result<LogHandle, LogError> {
    let (subscriber, handle) = to(options, Box::new(std::io::stdout()))?;
    tracing::subscriber::set_global_default(subscriber)?;
    let (former, flusher) = (std::panic::take_hook(), handle.flusher());
    std::panic::set_hook(Box::new(move |panic| {
        former(panic);
        // Only where it happened: the message may hold anything.
        match panic.location() {
            Some(at) => tracing::error!(file = at.file(), line = at.line(), "a thread panicked"),
            None => tracing::error!("a thread panicked"),
        }
        flusher.flush();
    }));
    Ok(handle)
}

/// A subscriber that writes to `output`, for whoever sets it up themselves (tests).
///
/// # Errors
/// When the filter can't be read.
pub fn to(
    options: &LogOptions,
    output: Box<dyn Write + Send>,
) -> Result<(impl Subscriber + Send + Sync + use<>, LogHandle), LogError> {
    let filter = EnvFilter::builder().parse(options.filter.as_deref().unwrap_or("info"))?;
    let handle = LogHandle::start(output, Counter::default())?;
    let layer = layer::Lines::new(options.format, handle.flusher());
    Ok((
        tracing_subscriber::registry().with(filter).with(layer),
        handle,
    ))
}

#[cfg(test)]
mod tests;
