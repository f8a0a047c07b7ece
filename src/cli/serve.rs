//! `auth-manager serve`.

use super::EX_CONFIG;
use crate::config::Config;
use crate::runtime::{self, Options};
use crate::telemetry::log::{self, Format, LogOptions};
use crate::types::SystemClock;
use std::path::Path;
use std::sync::Arc;
use tokio_util::sync::CancellationToken;

pub(super) fn run(path: &Path) -> anyhow::Result<u8> {
    let config = match Config::load(path) {
        Ok(config) => config,
        Err(errors) => {
            eprintln!("{errors}");
            return Ok(EX_CONFIG);
        }
    };
    let log = log::start(&LogOptions::from_environment(Format::Json))?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    let options = Options {
        path: path.to_owned(),
        config,
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
