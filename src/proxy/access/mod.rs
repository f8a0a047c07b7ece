//! Station 4, authorize: the negative facts first, then the app's rule, then `Admitted`, without
//! which no session is looked at.
//!
//! The assertion's groups can only admit or refuse this request: they never take an account or a
//! membership away (design §5). What directories say is weighed with them gate by gate
//! (`directory::gate`): a fresher negative fact (a user disabled on any replica, somebody who left a
//! group or the directory) beats the newest assertion (T10). Everything is in memory: two look-ups.

mod denied;

pub use denied::Denied;

use super::assertion::{Assertion, Verified};
use crate::config::{AccessRule, DirectoryRules};
use crate::directory::{Standings, View, gate};
use crate::error::{Code, Refusal};
use crate::store::{User, UserState};
use crate::types::{GroupName, IssuerId, Subject, Timestamp};
use arc_swap::Guard;
use std::sync::Arc;

/// Proof that the person may use the app now. Made only here (T20):
///
/// ```compile_fail,E0451
/// fn forge(a: auth_manager::proxy::assertion::Verified<auth_manager::proxy::assertion::Assertion>) {
///     let _ = auth_manager::proxy::access::Admitted { assertion: a };
/// }
/// ```
pub struct Admitted {
    assertion: Verified<Assertion>,
}

impl Admitted {
    /// Who.
    pub fn assertion(&self) -> &Assertion {
        &self.assertion
    }
}

/// What this replica knows of people, beside what an assertion says.
pub struct Facts<'a> {
    /// Who is turned away everywhere.
    pub denied: &'a Denied,
    /// What directories say.
    pub standings: &'a Standings,
    /// How that is weighed; borrowed, since each request asks.
    pub rules: Guard<Arc<DirectoryRules>>,
    /// Now.
    pub now: Timestamp,
}

/// Admits or refuses a verified person.
///
/// # Errors
/// `access.disabled`, `access.pending`, `access.not_granted`.
pub fn decide(
    rule: &AccessRule,
    facts: &Facts<'_>,
    assertion: Verified<Assertion>,
) -> Result<Admitted, Refusal> {
    judge(
        rule,
        facts,
        (assertion.issuer(), assertion.subject()),
        assertion.groups(),
    )?;
    Ok(Admitted { assertion })
}

/// Whether somebody who was admitted is so still: asked again at the end of a long wait, since what
/// was known then may be known better now.
///
/// # Errors
/// As [`decide`].
pub fn again(rule: &AccessRule, facts: &Facts<'_>, admitted: &Admitted) -> Result<(), Refusal> {
    let who = admitted.assertion();
    judge(rule, facts, (who.issuer(), who.subject()), who.groups())
}

/// Whether a person may still use the app by what is on record: their state, what directories say,
/// and what their newest admitted assertion said. For tokens, behind which no assertion stands any
/// more.
///
/// # Errors
/// As [`decide`].
pub fn still(rule: &AccessRule, facts: &Facts<'_>, user: &User) -> Result<(), Refusal> {
    match user.state {
        UserState::Active => {}
        // Nobody has come yet.
        UserState::Pending => return Err(Code::AccessPending.into()),
        UserState::Suspended | UserState::Disabled | UserState::Tombstoned => {
            return Err(disabled());
        }
    }
    judge(rule, facts, (&user.issuer, &user.subject), &user.groups)
}

/// Whether directories alone shut an app to somebody: whatever their assertions say.
pub fn is_shut(rule: &AccessRule, facts: &Facts<'_>, issuer: &IssuerId, subject: &Subject) -> bool {
    facts.standings.ask(issuer, subject, |view| {
        let said = gate::by_directories(rule, view, &facts.rules, facts.now);
        matches!(said, Some(Err(_)))
    })
}

fn judge(
    rule: &AccessRule,
    facts: &Facts<'_>,
    (issuer, subject): (&IssuerId, &Subject),
    asserted: &[GroupName],
) -> Result<(), Refusal> {
    if facts.denied.contains(issuer, subject) {
        return Err(disabled());
    }
    facts.standings.ask(issuer, subject, |view| {
        gate::judge(rule, asserted, view, &facts.rules, facts.now)
            .map_err(|code| refusal(code, view, asserted, facts))
    })
}

fn disabled() -> Refusal {
    Refusal::new(
        Code::AccessDisabled,
        "disabled by an operator or a directory",
    )
}

/// Why, for the log: by whose word.
fn refusal(code: Code, view: &View<'_>, asserted: &[GroupName], facts: &Facts<'_>) -> Refusal {
    if let Some(denial) = view.denial() {
        let reason = format!(
            "{}, says {} since {}",
            denial.why.as_str(),
            denial.source,
            denial.since
        );
        return Refusal::new(code, reason);
    }
    let said = asserted.len();
    let directories = match view.is_fresh(&facts.rules, facts.now) {
        true => "directories were asked",
        false => "no directory has a fresh word",
    };
    Refusal::new(
        code,
        format!("by the app's access rule; the assertion names {said} groups, {directories}"),
    )
}
