//! Who sends letters in a running bridge.

use super::wire::StartError;
use crate::config::Config;
use crate::jobs::{Handler, Outcome};
use crate::mail::letter::{Access, language};
use crate::mail::post::{Post, PostError};
use crate::proxy::Bridge;
use crate::store::Job;
use async_trait::async_trait;
use std::sync::Arc;

/// Carries out `mail` jobs.
struct Letters {
    bridge: Arc<Bridge>,
    post: Post,
}

/// Who carries out `mail` jobs; `None` when no mail server is configured.
///
/// # Errors
/// When the mail server can't be used as it is configured.
pub(super) fn letters(
    bridge: &Arc<Bridge>,
    config: &Config,
) -> Result<Option<Arc<dyn Handler>>, StartError> {
    let Some(mail) = &config.mail else {
        return Ok(None);
    };
    let post = Post::new(mail).map_err(|e| StartError::new("mail", e))?;
    let bridge = bridge.clone();
    Ok(Some(Arc::new(Letters { bridge, post })))
}

#[async_trait]
impl Handler for Letters {
    async fn run(&self, job: &Job) -> Outcome {
        let (Some(app), Some(user)) = (&job.app, job.user) else {
            let error = "it names no app, or nobody".into();
            return Outcome::Never { error };
        };
        let user = match self.bridge.store.user(user).await {
            Ok(user) => user,
            Err(error) => return Outcome::failed(error.to_string()),
        };
        // Gone or turned away meanwhile: there is nothing to tell them.
        let Some(user) = user.filter(|user| !user.state.denies()) else {
            return Outcome::Done;
        };
        let Some(site) = self.bridge.site(app) else {
            return Outcome::Done;
        };
        let portal = self.bridge.portal.load();
        let address = format!("{}{}", site.config.origin, site.home());
        let access = Access {
            name: &user.name,
            app: &site.config.name,
            address: &address,
            organisation: &portal.organisation,
            contact: &portal.contact,
        };
        let letter = access.letter(language(user.locale.as_deref()));
        match self.post.send(&user.name, &user.email, letter).await {
            Ok(()) => Outcome::Done,
            Err(error @ PostError::Later(_)) => Outcome::failed(error.to_string()),
            Err(error) => Outcome::Never {
                error: error.to_string(),
            },
        }
    }
}
