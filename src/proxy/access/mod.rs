//! Station 4, authorize: the negative facts first, then the app's rule, then `Admitted`, without
//! which no session is looked at.
//!
//! The assertion's groups can only admit or refuse this request: they never take an account or a
//! membership away (design §5). A fresher negative fact (a user disabled on any replica) beats the
//! newest assertion (T10).

mod denied;

pub use denied::Denied;

use super::assertion::{Assertion, Verified};
use crate::config::AccessRule;
use crate::error::{Code, Refusal};
use crate::store::{User, UserState};
use crate::types::GroupName;

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

/// What the rule says of a set of groups.
fn judge(rule: &AccessRule, groups: &[GroupName]) -> Result<(), Code> {
    let has = |wanted: &GroupName| groups.contains(wanted);
    if rule.validated.as_ref().is_some_and(|g| !has(g)) {
        return Err(Code::AccessPending);
    }
    let any = rule.any_of.is_empty() || rule.any_of.iter().any(has);
    let all = rule.all_of.iter().all(has);
    // Neither "everyone" nor a group to ask for: a rule that says nothing admits nobody.
    let says_something = rule.everyone || !rule.any_of.is_empty() || !rule.all_of.is_empty();
    if any && all && says_something {
        Ok(())
    } else {
        Err(Code::AccessNotGranted)
    }
}

/// Admits or refuses a verified person.
///
/// # Errors
/// `access.disabled`, `access.pending`, `access.not_granted`.
pub fn decide(
    rule: &AccessRule,
    denied: &Denied,
    assertion: Verified<Assertion>,
) -> Result<Admitted, Refusal> {
    if denied.contains(assertion.issuer(), assertion.subject()) {
        return Err(Refusal::new(
            Code::AccessDisabled,
            "disabled by an operator or a directory",
        ));
    }
    by_rule(rule, assertion.groups())?;
    Ok(Admitted { assertion })
}

/// Whether a person may still use the app by what is on record: their state, and what their newest
/// admitted assertion said. For tokens, behind which no assertion stands any more.
///
/// # Errors
/// As [`decide`].
pub fn still(rule: &AccessRule, user: &User) -> Result<(), Refusal> {
    if user.state != UserState::Active {
        return Err(Refusal::new(
            Code::AccessDisabled,
            "disabled by an operator or a directory",
        ));
    }
    by_rule(rule, &user.groups)
}

fn by_rule(rule: &AccessRule, groups: &[GroupName]) -> Result<(), Refusal> {
    judge(rule, groups).map_err(|code| {
        let said = groups.len();
        Refusal::new(
            code,
            format!("by the app's access rule; the assertion names {said} groups"),
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn groups(names: &[&str]) -> Vec<GroupName> {
        names.iter().map(|n| GroupName::new(*n).unwrap()).collect()
    }

    fn rule(everyone: bool, validated: Option<&str>, any: &[&str], all: &[&str]) -> AccessRule {
        AccessRule {
            everyone,
            validated: validated.map(|v| GroupName::new(v).unwrap()),
            any_of: groups(any),
            all_of: groups(all),
        }
    }

    #[test]
    fn the_rule_denies_unless_it_says_otherwise() {
        let mute = rule(false, None, &[], &[]);
        assert_eq!(judge(&mute, &groups(&["a"])), Err(Code::AccessNotGranted));
        let only_validated = rule(false, Some("v"), &[], &[]);
        assert_eq!(
            judge(&only_validated, &groups(&["v"])),
            Err(Code::AccessNotGranted)
        );
        assert_eq!(judge(&rule(true, None, &[], &[]), &[]), Ok(()));
    }

    #[test]
    fn pending_comes_before_not_granted() {
        let rule = rule(false, Some("validated"), &["chat"], &[]);
        assert_eq!(judge(&rule, &groups(&["chat"])), Err(Code::AccessPending));
        assert_eq!(
            judge(&rule, &groups(&["validated"])),
            Err(Code::AccessNotGranted)
        );
        assert_eq!(judge(&rule, &groups(&["validated", "chat"])), Ok(()));
    }

    #[test]
    fn names_are_exact() {
        let rule = rule(false, None, &["chat"], &[]);
        for near in ["Chat", "chat ", "chats", "cha"] {
            assert_eq!(
                judge(&rule, &groups(&[near])),
                Err(Code::AccessNotGranted),
                "{near:?}"
            );
        }
    }

    #[test]
    fn all_means_all_and_any_means_any() {
        let rule = rule(false, None, &["a", "b"], &["c", "d"]);
        assert_eq!(
            judge(&rule, &groups(&["a", "c"])),
            Err(Code::AccessNotGranted)
        );
        assert_eq!(
            judge(&rule, &groups(&["c", "d"])),
            Err(Code::AccessNotGranted)
        );
        assert_eq!(judge(&rule, &groups(&["b", "c", "d"])), Ok(()));
    }
}
