//! `auth-manager check`: reads the files, asks the neighbours, names each mistake and its remedy.
//! Changes nothing, and needs no running bridge.
//!
//! `report` collects verdicts · `local` files, keys and store · `certificates` · `peers` issuers and
//! apps, by way of `ask` · `directories` who knows about people · `hooks` what tells of changes ·
//! `bots` whom services call an app as · `assertion` a captured one, with
//! `capture` (what was captured) and `explain` (what is wrong with it).

mod ask;
mod assertion;
mod bots;
pub(super) mod capture;
mod certificates;
mod directories;
mod explain;
mod hooks;
mod local;
mod peers;
pub(super) mod report;

use super::stage::block_on;
use super::{ConfigFile, EX_CONFIG};
use crate::config::{Config, ConfigErrors};
use crate::types::{AppId, Clock, SystemClock};
use report::Report;
use std::sync::Arc;

/// Read the configuration, ask Pomerium's keys, the app and the store, and explain what is wrong.
#[derive(Debug, clap::Args)]
pub(super) struct Check {
    #[command(flatten)]
    file: ConfigFile,
    /// As JSON.
    #[arg(long)]
    json: bool,
    /// Judge a captured assertion instead: a file with the token or with a whole request head, `-`
    /// for standard input.
    #[arg(long, value_name = "FILE")]
    assertion: Option<String>,
    /// With --assertion: the app it was for; found out by itself where that is possible.
    #[arg(long, requires = "assertion")]
    app: Option<AppId>,
}

impl Check {
    pub(super) fn run(self) -> anyhow::Result<u8> {
        let mut report = Report::default();
        let config = match Config::load(&self.file.config) {
            Ok(config) => config,
            Err(errors) => {
                if self.json {
                    of_mistakes(&mut report, &errors);
                    report.print(true)?;
                } else {
                    eprintln!("{errors}");
                }
                return Ok(EX_CONFIG);
            }
        };
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        block_on(async {
            if let Some(from) = &self.assertion {
                let text = capture::read(from)?;
                assertion::judge(&mut report, &config, self.app.as_ref(), &text, &clock).await;
            } else {
                let file = self.file.config.display().to_string();
                local::configuration(&mut report, &config, &file);
                certificates::judge(&mut report, &config, clock.now());
                let opened = local::keys_and_store(&mut report, &config).await;
                let store = opened.as_ref().map(|opened| &*opened.store);
                for issuer in &config.issuers {
                    peers::issuer(&mut report, issuer, &clock).await;
                }
                for issuer in &config.api_issuers {
                    peers::api_issuer(&mut report, issuer, &clock).await;
                }
                for directory in &config.directories {
                    directories::judge(&mut report, directory, store, &clock).await;
                    hooks::judge(&mut report, &config, directory, &clock).await;
                }
                for app in &config.apps {
                    peers::app(&mut report, &config, app, &clock).await;
                }
                bots::judge(&mut report, &config, opened.as_ref(), &clock).await;
            }
            Ok(())
        })?;
        report.print(self.json)?;
        Ok(u8::from(report.has_errors()))
    }
}

fn of_mistakes(report: &mut Report, errors: &ConfigErrors) {
    for error in &errors.0 {
        let line = error
            .line
            .map_or(String::new(), |line| format!(", line {line}"));
        let about = match error.key.as_str() {
            "" => "config".to_owned(),
            key => format!("config: {key}"),
        };
        let text = format!("{}{line}: {}", error.file, error.problem);
        report.error(about, text, error.remedy.clone());
    }
}
