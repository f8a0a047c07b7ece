//! What comes of time and of the configuration: words that somebody died over, people whose grace is
//! over, everybody when the terms are others than before. It deactivates nobody by itself: see the
//! module above.

use super::{Because, Intake, PAGE};
use crate::store::{PersonFilter, Result, SourceState, StoreError, UserFilter, UserState};
use crate::types::SourceId;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// How often what was left undone is looked for.
const TEND: Duration = Duration::from_secs(15);
/// A word that is unsettled for so long was left so by somebody who died.
const LEFT: Duration = Duration::from_secs(30);
/// Under which name it is remembered by which terms everybody was last looked at. No directory's: those
/// have a kind.
const TERMS: &str = "auth-manager-terms";

impl Intake {
    /// Does what was left undone: words that somebody died over, and people whose grace is over.
    /// Gives how many it was.
    ///
    /// # Errors
    /// As [`Self::take_in`].
    pub async fn tend(&self) -> Result<usize> {
        let now = self.clock.now();
        let filter = PersonFilter {
            unsettled: true,
            ..PersonFilter::default()
        };
        let before = now - LEFT;
        let mut done = self
            .draw_all(filter, Some(before), true, "left undone")
            .await?;
        let grace = self.terms.load().rules.grace;
        let mut filter = UserFilter {
            state: Some(UserState::Suspended),
            limit: PAGE,
            ..UserFilter::default()
        };
        loop {
            let page = self.store.users(&filter).await?;
            let Some(last) = page.last() else { break };
            filter.after = Some(last.id);
            for user in &page {
                if user.state_since + grace > now {
                    continue;
                }
                let why = "the grace is over";
                self.draw(&user.issuer, &user.subject, Because::Due, why)
                    .await?;
                done += 1;
            }
        }
        Ok(done)
    }

    /// Looks at everybody anew when the configuration's terms are others than at the last time, on
    /// whatever replica that was: a gate that was added or taken out has consequences for accounts.
    /// Gives for how many it was done. A crash in between begins again.
    ///
    /// # Errors
    /// As [`Self::take_in`].
    pub async fn adopt_terms(&self) -> Result<usize> {
        let print = self.terms.load().fingerprint();
        let Ok(name) = SourceId::new(TERMS) else {
            return Ok(0);
        };
        let known = self.store.source_state(&name).await?;
        if known.cursor.as_ref() == Some(&print) {
            return Ok(0);
        }
        let mut filter = PersonFilter {
            limit: PAGE,
            ..PersonFilter::default()
        };
        let mut people = 0;
        loop {
            let page = self.store.words(&filter).await?;
            let Some(last) = page.last() else { break };
            filter.after = Some((last.person.source.clone(), last.person.id.clone()));
            for word in &page {
                let person = &word.person;
                if let Some(subject) = &person.subject {
                    let why = "the configuration changed";
                    self.draw(&person.issuer, subject, Because::Due, why)
                        .await?;
                    people += 1;
                }
            }
        }
        let adopted = SourceState {
            cursor: Some(print),
            ..SourceState::default()
        };
        self.store.put_source_state(&name, &adopted).await?;
        Ok(people)
    }

    /// Tends until told to stop; one replica at a time. At once: a first start goes by its terms before
    /// anybody is known, rather than to look at all who came meanwhile.
    pub async fn keep(&self, stop: CancellationToken) {
        while !stop.is_cancelled() {
            match self.round().await {
                Ok(0) => {}
                Ok(done) => tracing::info!(done, "what directories said was carried out late"),
                Err(error) => {
                    tracing::warn!(%error, "what directories said could not be tended; it is tried again");
                }
            }
            tokio::select! {
                () = stop.cancelled() => {}
                () = tokio::time::sleep(TEND) => {}
            }
        }
    }

    async fn round(&self) -> Result<usize> {
        let _turn = match self.store.lock("directory/tend", Duration::ZERO).await {
            Err(StoreError::Busy) => return Ok(0),
            other => other?,
        };
        Ok(self.adopt_terms().await? + self.tend().await?)
    }
}
