//! What has become of somebody in the apps: what a CI job that validated them waits for.

use super::{ByHand, HandError};
use crate::directory::explain::{Looked, explain};
use crate::directory::wanted::WantedState;
use crate::store::{Account, AccountFilter, AccountState, User};
use crate::types::AppId;

/// Where somebody stands in an app.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stand {
    /// Which app.
    pub app: AppId,
    /// Whether directories say that they may use it.
    pub wanted: bool,
    /// What decides.
    pub decided_by: String,
    /// Whether an account is made before they first come.
    pub ahead: bool,
    /// Their account, if it was begun.
    pub account: Option<AccountState>,
    /// What is in its way; empty when nothing.
    pub detail: String,
}

impl Stand {
    /// Whether the account is there.
    #[must_use]
    pub fn is_there(&self) -> bool {
        self.account == Some(AccountState::Linked)
    }
}

impl ByHand {
    /// Each app of theirs, or `only` this one; none for somebody who is not on record yet.
    ///
    /// # Errors
    /// When the store does not answer.
    pub async fn stands(
        &self,
        user: Option<&User>,
        only: Option<&AppId>,
    ) -> Result<Vec<Stand>, HandError> {
        let Some(user) = user else {
            return Ok(Vec::new());
        };
        let terms = self.terms.load_full();
        let looked = Looked::at(&*self.store, &user.issuer, &user.subject).await?;
        let apps = terms.apps.iter();
        let apps = apps.filter(|app| only.is_none_or(|only| app.id == *only));
        let explained = explain(apps, user, &looked, &terms.rules, self.clock.now());
        let filter = AccountFilter {
            user: Some(user.id),
            ..AccountFilter::default()
        };
        let accounts = self.store.accounts(&filter).await?;
        let of = |app: &AppId| accounts.iter().find(|account| account.app == *app);
        let ahead = |app: &AppId| terms.apps.iter().any(|own| own.id == *app && own.ahead);
        let one = |app: crate::directory::explain::ExplainedApp| {
            let account: Option<&Account> = of(&app.app);
            Stand {
                wanted: matches!(app.wanted.account, WantedState::Present),
                decided_by: app.decided_by,
                ahead: ahead(&app.app),
                account: account.map(|account| account.state),
                detail: account.map(|a| a.detail.clone()).unwrap_or_default(),
                app: app.app,
            }
        };
        Ok(explained.apps.into_iter().map(one).collect())
    }
}
