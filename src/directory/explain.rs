//! Why somebody may or may not use an app, and what the app should have of them: every gate, every
//! source's word and its age, the rule that decides. Made of the same decisions that the road and
//! provisioning make, never of its own.

use super::gate::{self, ExplainedGate, View};
use super::index::Index;
use super::standing::{Denial, ShownWord, Standing};
use super::standings::read_index;
use super::wanted::{AppTerms, Wanted, wanted};
use crate::config::DirectoryRules;
use crate::error::Code;
use crate::store::{Result, Store, User};
use crate::types::{AppId, IssuerId, Subject, Timestamp};
use serde::Serialize;

/// All that decides about a subject, read from the store: for those who are in no hurry.
pub struct Looked {
    standing: Standing,
    index: Index,
}

impl Looked {
    /// As it is on record now.
    ///
    /// # Errors
    /// When the store does not answer.
    pub async fn at(store: &dyn Store, issuer: &IssuerId, subject: &Subject) -> Result<Self> {
        let mut index = read_index(store).await?;
        let whom = [(issuer.clone(), subject.clone())];
        let said = store.said_of(&whom).await?.into_iter().next();
        let said = said.unwrap_or_else(|| crate::store::SaidOf {
            issuer: issuer.clone(),
            subject: subject.clone(),
            words: Vec::new(),
            pardoned_at: None,
        });
        Ok(Self {
            standing: Standing::of(&said, &mut index),
            index,
        })
    }

    #[cfg(test)]
    pub(super) fn of(standing: Standing, index: Index) -> Self {
        Self { standing, index }
    }

    /// As directories see them.
    #[must_use]
    pub fn view(&self) -> View<'_> {
        View {
            standing: Some(&self.standing),
            index: &self.index,
        }
    }
}

/// What decides about one person, in words and numbers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Explained {
    /// Who turns them away at every app, if a directory does.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub denial: Option<Denial>,
    /// What each source says that does not turn them away.
    pub words: Vec<ShownWord>,
    /// Each app.
    pub apps: Vec<ExplainedApp>,
}

/// One app.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ExplainedApp {
    /// Which.
    pub app: AppId,
    /// Whether they may come in, with what their newest assertion said.
    pub comes_in: bool,
    /// The code that they are refused with.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub code: Option<&'static str>,
    /// What decides.
    pub decided_by: String,
    /// Each gate of the app's rule.
    pub gates: Vec<ExplainedGate>,
    /// What the app should have of them.
    pub wanted: Wanted,
}

/// Explains a person at these apps.
#[must_use]
pub fn explain<'a>(
    apps: impl IntoIterator<Item = &'a AppTerms>,
    user: &User,
    looked: &Looked,
    rules: &DirectoryRules,
    now: Timestamp,
) -> Explained {
    let view = looked.view();
    let one = |app: &AppTerms| {
        let judged = match user.state.denies() {
            true => Err(Code::AccessDisabled),
            false => gate::judge(&app.access, &user.groups, &view, rules, now),
        };
        let gates = gate::explain(&app.access, &user.groups, &view, rules, now);
        ExplainedApp {
            app: app.id.clone(),
            comes_in: judged.is_ok(),
            code: judged.err().map(Code::as_str),
            decided_by: decided_by(app, user, &view, &gates, judged),
            gates,
            wanted: wanted(app, Some(user), &view, rules, now),
        }
    };
    let of_theirs = |app: &&AppTerms| app.issuer == user.issuer;
    Explained {
        denial: view.denial().cloned(),
        words: looked.standing.shown(&looked.index, now),
        apps: apps.into_iter().filter(of_theirs).map(one).collect(),
    }
}

fn decided_by(
    app: &AppTerms,
    user: &User,
    view: &View<'_>,
    gates: &[ExplainedGate],
    judged: std::result::Result<(), Code>,
) -> String {
    if user.state.denies() {
        let by = match user.state_by.text().as_str() {
            "" => String::new(),
            by => format!(" by {by}"),
        };
        return format!("{}{by} since {}", user.state, user.state_since);
    }
    if let Some(denial) = view.denial() {
        let (why, source) = (denial.why.as_str(), &denial.source);
        return format!("{why}, says {source} since {}", denial.since);
    }
    let named = |gate: &ExplainedGate| match gate.decided_by {
        gate::DecidedBy::Directory => format!("{} by the directory's word", gate.name),
        gate::DecidedBy::Assertion => format!("{} by the assertion", gate.name),
    };
    let shut = |key: &'static str| {
        gates
            .iter()
            .filter(move |gate| gate.key == key && !gate.open)
    };
    let list = |key: &'static str| shut(key).map(named).collect::<Vec<_>>().join(", ");
    match judged {
        Ok(()) if gates.is_empty() => "everyone may come in".into(),
        Ok(()) => {
            let open = gates.iter().filter(|gate| gate.open).map(named);
            format!("in {}", open.collect::<Vec<_>>().join(", "))
        }
        Err(Code::AccessPending) => format!("not in {} (validated)", list("validated")),
        Err(_) if shut("all_of").next().is_some() => format!("not in {} (all_of)", list("all_of")),
        Err(_) if !app.access.any_of.is_empty() => format!("in none of {}", list("any_of")),
        Err(_) => "the rule names nobody".into(),
    }
}
