//! `auth-manager serve`.

use super::EX_CONFIG;
use crate::config::Config;
use crate::runtime::{self, Options, Sockets};
use crate::telemetry::log::{self, Format, LogOptions};
use crate::types::SystemClock;
use std::path::Path;
use std::sync::Arc;
use tokio_util::sync::CancellationToken;

/// The variable by which tokio itself is told the number of its threads.
const WORKERS: &str = "TOKIO_WORKER_THREADS";

/// Threads that serve: what `TOKIO_WORKER_THREADS` says, else one for each core.
fn workers() -> usize {
    std::env::var(WORKERS)
        .ok()
        .and_then(|text| text.parse().ok())
        .filter(|n| *n > 0)
        .unwrap_or_else(|| std::thread::available_parallelism().map_or(1, usize::from))
}

/// One thread needs none of the machinery that shares work between several, and costs less without.
fn runtime_for(workers: usize) -> std::io::Result<tokio::runtime::Runtime> {
    let mut builder = match workers {
        1 => tokio::runtime::Builder::new_current_thread(),
        n => {
            let mut builder = tokio::runtime::Builder::new_multi_thread();
            builder.worker_threads(n);
            builder
        }
    };
    builder.enable_all().build()
}

pub(super) fn run(path: &Path) -> anyhow::Result<u8> {
    let config = match Config::load(path) {
        Ok(config) => config,
        Err(errors) => {
            eprintln!("{errors}");
            return Ok(EX_CONFIG);
        }
    };
    // Before there are threads: it reads and clears the environment.
    let sockets = Sockets::from_environment()?;
    let log = log::start(&LogOptions::from_environment(Format::Json))?;
    let runtime = runtime_for(workers())?;
    let options = Options {
        path: path.to_owned(),
        config,
        sockets,
        clock: Arc::new(SystemClock),
        stop: CancellationToken::new(),
        ready: None,
    };
    match runtime.block_on(runtime::serve(options, &log)) {
        Ok(()) => Ok(0),
        Err(error) => {
            tracing::error!(%error, "the bridge can't start");
            log.flush();
            eprintln!("auth-manager: {error}");
            Ok(1)
        }
    }
}
