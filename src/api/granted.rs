//! [`Granted`]: the proof that a caller may do what an endpoint is about to do.
//!
//! A handler takes one as its argument, and axum makes it before the body is read:
//!
//! ```ignore
//! async fn list(caller: Granted<ReadUsers>, State(api): State<Arc<Api>>) -> Result<Json<…>, Problem>
//! ```
//!
//! ```compile_fail
//! // Nobody else makes one.
//! use auth_manager::api::granted::{Granted, ReadUsers};
//! let forged: Granted<ReadUsers> = Granted { caller: todo!(), of: std::marker::PhantomData };
//! ```

use super::caller::Caller;
use super::problem::Problem;
use super::state::Api;
use crate::error::Code;
use crate::types::Scope;
use axum::extract::FromRequestParts;
use http::request::Parts;
use std::marker::PhantomData;
use std::ops::Deref;
use std::sync::Arc;

/// Something that scopes allow.
pub trait Permission: Send + Sync + 'static {
    /// One of these is needed.
    const ANY_OF: &'static [Scope];
    /// Whether it changes what only `admin` may: then both credentials may be demanded.
    const ADMIN_CHANGE: bool = false;
}

macro_rules! permissions {
    ($($(#[$doc:meta])* $name:ident: $($scope:ident)|+ $(, $change:ident)?;)*) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, Copy)]
        pub struct $name;

        impl Permission for $name {
            const ANY_OF: &'static [Scope] = &[$(Scope::$scope),+];
            $(const ADMIN_CHANGE: bool = permissions!(@ $change);)?
        }
    )*};
    (@ admin_change) => { true };
}

permissions! {
    /// Ask about tokens.
    Introspect: Introspect;
    /// Take tokens back: one's own, or sessions.
    RevokeTokens: Introspect | Exchange | Sessions | Admin;
    /// Exchange tokens.
    Exchange: Exchange;
    /// Read people and accounts.
    ReadUsers: UsersRead;
    /// Change people and accounts.
    WriteUsers: UsersWrite;
    /// Read and revoke sessions.
    Sessions: Sessions;
    /// Read and retry jobs.
    Jobs: Jobs;
    /// Follow one job that one wished for.
    FollowJobs: Jobs | Validate | Admin;
    /// Have directories read again.
    Reread: Jobs | Validate;
    /// Give people the groups that are listed for it.
    Validate: Validate;
    /// Invite people, and take that back.
    Invitations: Invitations;
    /// Provision by SCIM.
    Scim: Scim;
    /// Deliver webhooks.
    Hooks: Hooks;
    /// See who may call.
    ReadClients: Admin | UsersRead;
    /// Read what concerns the bridge as a whole.
    ReadAdmin: Admin;
    /// Change it.
    WriteAdmin: Admin, admin_change;
}

/// A scope that was asked for by hand ([`Caller::require`]).
#[derive(Debug, Clone, Copy)]
pub struct ByHand;

/// A caller that may do `P`.
pub struct Granted<P> {
    caller: Caller,
    of: PhantomData<fn() -> P>,
}

impl<P> Deref for Granted<P> {
    type Target = Caller;
    fn deref(&self) -> &Caller {
        &self.caller
    }
}

impl<P: Permission> FromRequestParts<Arc<Api>> for Granted<P> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, api: &Arc<Api>) -> Result<Self, Problem> {
        let caller = Caller::from_request_parts(parts, api).await?;
        if !P::ANY_OF
            .iter()
            .any(|scope| caller.scopes().contains(scope))
        {
            return Err(lacks(P::ANY_OF));
        }
        if P::ADMIN_CHANGE && api.listener.require_both && !caller.brought_both() {
            return Err(Code::ApiBothNeeded.into());
        }
        Ok(Self {
            caller,
            of: PhantomData,
        })
    }
}

impl Caller {
    /// Asks for a scope that depends on the request, like `proxy:<app>`.
    ///
    /// # Errors
    /// When the caller does not have it.
    pub fn require(&self, scope: &Scope) -> Result<Granted<ByHand>, Problem> {
        if !self.scopes().contains(scope) {
            return Err(lacks(std::slice::from_ref(scope)));
        }
        Ok(Granted {
            caller: self.clone(),
            of: PhantomData,
        })
    }
}

impl Caller {
    /// Whether it may change what endpoints leave to `admin` beside a narrower scope; then both
    /// credentials may be demanded, as for what `admin` alone may change.
    ///
    /// # Errors
    /// `api.both_needed`.
    pub(super) fn changes_as_admin(&self, api: &Api) -> Result<bool, Problem> {
        if !self.scopes().contains(&Scope::Admin) {
            return Ok(false);
        }
        if api.listener.require_both && !self.brought_both() {
            return Err(Code::ApiBothNeeded.into());
        }
        Ok(true)
    }
}

/// What is missing is in the documentation: a caller may know.
fn lacks(any_of: &[Scope]) -> Problem {
    let words: Vec<_> = any_of.iter().map(Scope::to_string).collect();
    let needed = words.join(" or ");
    Problem::new(Code::ApiScope, format!("it lacks {needed}"))
        .detail(format!("This needs the scope {needed}."))
}
