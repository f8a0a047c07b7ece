//! Carries out `converge` jobs.

use super::{Ground, Outcome, converge};
use crate::jobs;
use crate::store::{Job, StoreError};
use crate::types::{AppId, Clock};
use async_trait::async_trait;
use std::sync::Arc;
use std::time::Duration;

/// Who knows the apps as they are configured now.
#[async_trait]
pub trait Grounds: Send + Sync {
    /// What converging in this app needs; `None`: no such app is configured (any more).
    ///
    /// # Errors
    /// When the store does not answer.
    async fn ground(&self, app: &AppId) -> Result<Option<Ground>, StoreError>;
}

/// The handler.
pub struct Converge {
    grounds: Arc<dyn Grounds>,
    clock: Arc<dyn Clock>,
}

impl Converge {
    /// For these apps.
    #[must_use]
    pub fn new(grounds: Arc<dyn Grounds>, clock: Arc<dyn Clock>) -> Self {
        Self { grounds, clock }
    }
}

#[async_trait]
impl jobs::Handler for Converge {
    async fn run(&self, job: &Job) -> jobs::Outcome {
        let (Some(app), Some(user)) = (&job.app, job.user) else {
            return jobs::Outcome::Never {
                error: "it names no app, or nobody".into(),
            };
        };
        let ground = match self.grounds.ground(app).await {
            Ok(Some(ground)) => ground,
            Ok(None) => {
                return jobs::Outcome::Never {
                    error: format!("there is no app {app} in the configuration"),
                };
            }
            Err(error) => return jobs::Outcome::of_store(&error),
        };
        let now = self.clock.now();
        match converge(&ground, user, now).await {
            Outcome::Done(what) => {
                tracing::info!(app = %app, user = %user, what, "converged");
                jobs::Outcome::Done
            }
            Outcome::Later { at, why } => jobs::Outcome::Later {
                after: at.since(now),
                error: why,
                counts: false,
            },
            Outcome::Again {
                after: Some(after),
                why,
            } => jobs::Outcome::Wait { after, error: why },
            Outcome::Again { after: None, why } => jobs::Outcome::failed(why),
            Outcome::Stuck(why) => jobs::Outcome::Never { error: why },
        }
    }

    /// A person with many bots, tokens and memberships, at an app that is slow.
    fn patience(&self) -> Duration {
        Duration::from_secs(180)
    }
}
