//! People: which account a person needs in an app, and getting there in steps that a crash can't
//! spoil. What lives here: the order of the steps, the records, what each failure means to the
//! visitor, and what operators and services order (`orders`). What does not: the app's API
//! (`apps/`), the session (`proxy/session`).

mod called;
pub mod converge;
mod ensure;
mod memo;
pub mod orders;
pub mod seats;
mod visitors;

pub use called::Called;
pub use ensure::{ensure, ensure_seen, open_session, update};
pub use memo::{Asserted, Memo};
pub use visitors::{Claimed, Visitor, Visitors};

use crate::apps::{AppError, Connector, Profile, Provisioner, Strategy};
use crate::audit::Witness;
use crate::error::{Code, Refusal};
use crate::keys::derive::PasswordRoot;
use crate::store::{Store, User};
use crate::telemetry::metrics::AppMetrics;
use crate::types::{AccountId, AppId, HostName, RemoteId, SecretText};
use std::sync::Arc;

/// What the steps need: the app's driver, the records, the root that passwords derive from.
pub struct Context {
    /// The records.
    pub store: Arc<dyn Store>,
    /// Which app.
    pub app: AppId,
    /// Its public host, for the address of people who have none.
    pub host: HostName,
    /// Its accounts.
    pub connector: Arc<dyn Connector>,
    /// What becomes of its accounts.
    pub provisioner: Arc<dyn Provisioner>,
    /// Its sessions.
    pub strategy: Arc<dyn Strategy>,
    /// Whether groups give memberships in this app: then a first sign-in is followed by a job that
    /// looks which are theirs.
    pub mapped: bool,
    /// What passwords derive from.
    pub root: Arc<PasswordRoot>,
    /// Its counters.
    pub metrics: AppMetrics,
    /// Whom the records of the audit trail say it is done for.
    pub witness: Witness,
}

/// An account that is theirs and settled, with what a login needs.
pub struct Ready {
    /// Our record of it.
    pub account: AccountId,
    /// The app's own id.
    pub remote: RemoteId,
    /// The derived password.
    pub password: SecretText,
    /// What the app calls them.
    pub profile: Profile,
}

/// The lock under which a person's account in an app is made: one sign-in of a person at a time, on
/// all replicas, since two would make two accounts.
#[must_use]
pub fn turn(app: &AppId, user: &User) -> String {
    format!("sign-in/{app}/{}", user.id)
}

/// What an app's error means to the visitor.
#[must_use]
pub fn refusal(error: AppError) -> Refusal {
    let code = match &error {
        AppError::Unavailable(_) => Code::AppUnavailable,
        AppError::Timeout(_) => Code::AppTimeout,
        AppError::RateLimited(_) => Code::Busy,
        AppError::NoSeat(_) => Code::AccountNoSeat,
        AppError::TeamFull(_) => Code::AccountTeamFull,
        AppError::Deactivated => Code::AccountDisabledInApp,
        AppError::NotOurs(_) => Code::AccountConflict,
        AppError::Credential(_)
        | AppError::WrongPassword
        | AppError::Locked
        | AppError::Gone
        | AppError::LastAdmin(_)
        | AppError::Refused(_) => Code::AccountRefused,
    };
    let mut refusal = Refusal::new(code, error.to_string());
    if let AppError::RateLimited(wait) = error {
        refusal.retry_after = Some(wait);
    }
    refusal
}
