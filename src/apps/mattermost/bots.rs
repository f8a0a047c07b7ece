//! Bots that service clients act as, and their access tokens (recordings 21, 25). A bot's token works
//! whatever `EnableUserAccessTokens` says, and never expires. The bots themselves an administrator
//! makes: the server lets no bot make one, whatever its roles (tried with 11.2).

use super::Mattermost;
use super::api::User;
use super::errors::ApiError;
use crate::apps::{AppError, BotAccount, Bots, IssuedToken, TokenRecord};
use crate::types::{AppToken, RemoteId};
use async_trait::async_trait;

#[async_trait]
impl Bots for Mattermost {
    async fn find_bot(&self, username: &str) -> Result<Option<BotAccount>, AppError> {
        match self.api.user_by_username(username).await? {
            Some(user) => self.account(&user).await.map(Some),
            None => Ok(None),
        }
    }

    async fn issue_token(
        &self,
        remote: &RemoteId,
        description: &str,
    ) -> Result<IssuedToken, AppError> {
        let issued = self.api.create_token(remote.as_str(), description).await?;
        super::connector::check_same(remote.as_str(), &issued.user_id)?;
        Ok(IssuedToken {
            id: issued.id,
            token: AppToken::new(issued.token),
        })
    }

    async fn tokens(&self, remote: &RemoteId) -> Result<Vec<TokenRecord>, AppError> {
        let tokens = self.api.tokens(remote.as_str()).await?;
        let shown = tokens.into_iter().map(|token| TokenRecord {
            id: token.id,
            description: token.description,
        });
        Ok(shown.collect())
    }

    async fn revoke_token(&self, id: &str) -> Result<(), AppError> {
        match self.api.revoke_token(id).await {
            // Gone already is what was wanted.
            Err(ApiError::Answer { status: 404, .. }) => Ok(()),
            other => Ok(other?),
        }
    }

    async fn account_of(&self, token: &AppToken) -> Result<Option<BotAccount>, AppError> {
        match self.api.whose(token).await? {
            Some(user) => self.account(&user).await.map(Some),
            None => Ok(None),
        }
    }

    async fn is_accepted(&self, token: &AppToken, remote: &RemoteId) -> Result<bool, AppError> {
        let whose = self.api.whose(token).await?;
        Ok(whose.is_some_and(|user| user.id == remote.as_str()))
    }
}

impl Mattermost {
    async fn account(&self, user: &User) -> Result<BotAccount, AppError> {
        let (own, _) = self.api.me().await?;
        let remote = RemoteId::new(user.id.clone());
        Ok(BotAccount {
            remote: remote.map_err(|e| AppError::Unavailable(e.to_string()))?,
            username: user.username.clone(),
            is_bot: user.is_bot,
            active: user.delete_at == 0,
            ordinary: user.roles.split_whitespace().eq(["system_user"]),
            own: own.id == user.id,
        })
    }
}
