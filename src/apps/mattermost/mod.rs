//! Mattermost Team Edition: accounts by a bot's token, sessions by a derived password, and what its
//! requests mean on the road.
//!
//! - `api` is the wire: one method per endpoint, nothing decided. `errors` turns the server's error
//!   ids into ours, in one table.
//! - `names` derives what a person is called there.
//! - `connector`, `strategy` and `rules` are three traits, `bots` is the fourth, for services, and
//!   `provisioner` the fifth (`memberships` and `seats` are parts of it); `kind` says which accounts
//!   must never be touched; `facts` reads the settings that bite.
//!
//! What does not live here: when any of it happens (`identity`, `proxy`), and where it is remembered
//! (`store`). In particular *that one account belongs to one person only* is the store's promise:
//! nothing here knows who else was given an account.
//!
//! Contract: recordings of a server 11.2; ids and texts are Mattermost's own.

mod api;
mod bots;
mod connector;
mod errors;
mod facts;
mod kind;
mod memberships;
mod names;
mod provisioner;
mod resets;
mod rules;
mod seats;
mod settings;
mod strategy;

#[cfg(test)]
mod fake;

use crate::apps::AppError;
use crate::config::{AppConfig, LinkPolicy, MattermostConfig};
use crate::types::{Clock, SecretText};
use api::Api;
use arc_swap::{ArcSwap, ArcSwapOption};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64};
use std::time::Duration;
use tokio::sync::Semaphore;

/// One Mattermost server: connector, strategy and rules in one.
pub struct Mattermost {
    api: Api,
    clock: Arc<dyn Clock>,
    /// Origin and base path: what `ServiceSettings.SiteURL` must be.
    site_url: String,
    link: LinkPolicy,
    team: Option<String>,
    create_team: bool,
    /// The team's id once it is known; forgotten when the server no longer knows it.
    team_id: ArcSwapOption<String>,
    /// Logins at once: tokio's semaphore is fair, so the queue is first come, first served.
    logins: Semaphore,
    login_timeout: Duration,
    /// Longest our own sessions live: shorter sessions of the app mean renewals.
    absolute: Duration,
    /// The server has at least one person's account (it never loses the last one): see
    /// `connector::first_person`.
    has_people: AtomicBool,
    /// `ServiceSettings.MaximumLoginAttempts`, as last read.
    max_attempts: AtomicI64,
    /// Passwords set lately.
    resets: resets::Resets,
}

impl Mattermost {
    /// A client of the server at `app.upstream`. Nothing is asked yet. `tls` is what verifies an
    /// `https://` upstream, at the time of each call; `None`: public authorities.
    ///
    /// # Errors
    /// `AppError::Refused` when the address or the token can't be used.
    pub fn new(
        app: &AppConfig,
        mm: &MattermostConfig,
        bot_token: SecretText,
        tls: Option<Arc<ArcSwap<rustls::ClientConfig>>>,
        clock: Arc<dyn Clock>,
    ) -> Result<Arc<Self>, AppError> {
        let below = app.base_path.trim_end_matches('/');
        Ok(Arc::new(Self {
            api: Api::new(app, bot_token, tls)?,
            clock,
            site_url: format!("{}{below}", app.origin.trim_end_matches('/')),
            link: mm.link,
            team: mm.team.clone(),
            create_team: mm.create_team,
            team_id: ArcSwapOption::empty(),
            logins: Semaphore::new(mm.logins.clamp(1, 64)),
            login_timeout: mm.login_timeout,
            absolute: app.session.absolute,
            has_people: AtomicBool::new(false),
            max_attempts: AtomicI64::new(10),
            resets: resets::Resets::default(),
        }))
    }

    /// Uses another bot token from now on: a reload, a rotation.
    ///
    /// # Errors
    /// `AppError::Refused` when the text can't be a token; the former one stays in use.
    pub fn set_bot_token(&self, token: SecretText) -> Result<(), AppError> {
        self.api.set_bot_token(token)
    }
}
