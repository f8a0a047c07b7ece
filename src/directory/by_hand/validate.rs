//! Giving somebody a group that is listed for it, and having the directory read again, so that their
//! account is there before they first come. The same order twice is one.

use super::stands::Stand;
use super::{ByHand, HandError, Queued, Whom};
use crate::audit::{Kind, Witness};
use crate::config::Gate;
use crate::directory::source::Source;
use crate::directory::wanted::AppTerms;
use crate::directory::writer::{Harmless, WriteError, Writer};
use crate::jobs::wish::{self, ToRead};
use crate::store::{Person, Priority};
use crate::types::{AppId, SourceId, UserId};

/// Most groups of one order.
const MOST: usize = 20;

/// Whom to give what.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Validation {
    /// Whom.
    pub whom: Whom,
    /// In which directory; `None`: the only one.
    pub source: Option<SourceId>,
    /// Groups by their configured names; none: the first of the configuration, or those that `app`
    /// asks for.
    pub groups: Vec<String>,
    /// So that they may use this app.
    pub app: Option<AppId>,
}

/// A group of the order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GivenGroup {
    /// Its configured name.
    pub name: String,
    /// The directory's own id.
    pub id: String,
    /// Whether they were in it already.
    pub already: bool,
}

/// What was done, or would be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Validated {
    /// In which directory.
    pub source: SourceId,
    /// Whom, by the directory's own id.
    pub person: String,
    /// Their shadow user, once there is one.
    pub user: Option<UserId>,
    /// The groups.
    pub groups: Vec<GivenGroup>,
    /// The job that reads them again; `None` when it was only tried.
    pub job: Option<Queued>,
    /// What has become of them in the apps by now.
    pub stands: Vec<Stand>,
}

impl ByHand {
    /// Gives the groups, and wishes for the person to be read.
    ///
    /// # Errors
    /// When it may not be, or was not done; what was given until then stays given.
    pub async fn validate(
        &self,
        order: &Validation,
        by: &Witness,
        dry_run: bool,
    ) -> Result<Validated, HandError> {
        let source = self.source(order.source.as_ref())?;
        let writer = self.writer(source.id())?;
        let person = self.person(&*source, &order.whom).await?;
        fits(&person)?;
        let wanted = self.groups_of(order, &*writer, &person)?;
        // All are judged before one is given.
        let mut judged: Vec<(Harmless, GivenGroup)> = Vec::with_capacity(wanted.len());
        let power = self.power.load_full();
        for (gate, id) in wanted {
            let lineage = writer.lineage(&id).await?;
            let harmless = lineage.harmless(writer.groups(), &power)?;
            let given = GivenGroup {
                name: gate.name.to_string(),
                already: person.groups.iter().any(|own| own == harmless.id()),
                id: harmless.id().to_owned(),
            };
            judged.push((harmless, given));
        }
        if !dry_run {
            for (harmless, given) in &judged {
                if !given.already {
                    self.give(&*writer, &person, harmless, by).await?;
                }
            }
        }
        let job = match dry_run {
            true => None,
            // Also when nothing was given: a former order may have been cut short here.
            false => Some(self.read_again(&*source, &person).await?),
        };
        let user = self.user_of(&person).await?;
        let stands = self.stands(user.as_ref(), order.app.as_ref()).await?;
        Ok(Validated {
            source: source.id().clone(),
            person: person.id,
            user: user.map(|user| user.id),
            groups: judged.into_iter().map(|(_, given)| given).collect(),
            job,
            stands,
        })
    }

    async fn give(
        &self,
        writer: &dyn Writer,
        person: &Person,
        group: &Harmless,
        by: &Witness,
    ) -> Result<(), HandError> {
        let source = writer.id();
        let kind = Kind::DirectoryGroupOrdered;
        let mut event = by
            .event(kind)
            .detail("source", source.as_str())
            .detail("id", person.id.as_str())
            .detail("group", group.id())
            .detail("name", group.name());
        if let Some(user) = self.user_of(person).await? {
            event = event.user(user.id);
        }
        self.record(event).await?;
        let done = writer.give(&person.id, group);
        let detail = ("group", group.id());
        self.carry_out(by, kind, source, detail, done).await
    }

    async fn read_again(&self, source: &dyn Source, person: &Person) -> Result<Queued, HandError> {
        let (now, id) = (self.clock.now(), person.id.clone());
        let what = ToRead::Person { id };
        let why = "validated by hand";
        let wish = wish::read(source.id(), &what, Priority::Grant, now, why);
        self.enqueue(wish).await
    }

    /// The groups that are meant, each with its id, of those that may be given.
    fn groups_of(
        &self,
        order: &Validation,
        writer: &dyn Writer,
        person: &Person,
    ) -> Result<Vec<(Gate, String)>, HandError> {
        let listed = writer.groups();
        let Some(first) = listed.first() else {
            return Err(writer.unable("give groups").into());
        };
        if order.groups.len() > MOST {
            return Err(HandError::Invalid(format!("at most {MOST} groups at once")));
        }
        let mut found: Vec<&Gate> = Vec::new();
        for name in &order.groups {
            let gate = listed.iter().find(|gate| gate.name.as_str() == name);
            found.push(gate.ok_or_else(|| not_listed(name, listed))?);
        }
        if let Some(app) = &order.app {
            let terms = self.terms.load();
            let app = terms.apps.iter().find(|terms| terms.id == *app);
            let app = app.ok_or_else(|| HandError::Unknown("there is no such app".into()))?;
            if order.groups.is_empty() {
                found = groups_of_app(app, listed, &person.groups)?;
            }
        } else if found.is_empty() {
            found.push(first);
        }
        let mut all: Vec<(Gate, String)> = Vec::new();
        for gate in found {
            // One without an id refuses to start; here it is not given either.
            let id = gate.id.as_deref();
            let id = id.ok_or_else(|| not_listed(gate.name.as_str(), listed))?;
            if all.iter().all(|(_, known)| known != id) {
                all.push((gate.clone(), id.to_owned()));
            }
        }
        Ok(all)
    }
}

/// What an app's rule asks for: *validated*, all of `all_of`, and the one of `any_of` that may be given.
/// What they are in already need not be listed.
pub(super) fn groups_of_app<'a>(
    app: &AppTerms,
    listed: &'a [Gate],
    own: &[String],
) -> Result<Vec<&'a Gate>, HandError> {
    let rule = &app.access;
    let listed_as = |gate: &Gate| {
        let mut all = listed.iter();
        all.find(|known| match &gate.id {
            Some(id) => known
                .id
                .as_ref()
                .is_some_and(|own| own.eq_ignore_ascii_case(id)),
            None => known.name == gate.name,
        })
    };
    // A name alone says nothing here: it may be anybody's.
    let is_in = |gate: &&Gate| {
        let id = listed_as(gate).unwrap_or(gate).id.as_deref();
        id.is_some_and(|id| own.iter().any(|own| own.eq_ignore_ascii_case(id)))
    };
    let mut found = Vec::new();
    for gate in rule.validated.iter().chain(&rule.all_of) {
        match listed_as(gate) {
            Some(known) => found.push(known),
            None if is_in(&gate) => {}
            None => return Err(not_listed(gate.name.as_str(), listed)),
        }
    }
    let mut any = rule.any_of.iter().filter_map(listed_as);
    match (rule.any_of.iter().find(is_in), any.next(), any.next()) {
        (Some(gate), ..) => found.extend(listed_as(gate)),
        (None, Some(only), None) => found.push(only),
        (None, None, _) if rule.any_of.is_empty() => {}
        (None, None, _) => {
            return Err(WriteError::NotAllowed(format!(
                "none of the groups that {} asks for is among those that may be given",
                app.id
            ))
            .into());
        }
        (None, Some(_), Some(_)) => {
            return Err(HandError::Invalid(format!(
                "{} asks for one of several groups that may be given: name it",
                app.id
            )));
        }
    }
    if rule.validated.is_none() && rule.all_of.is_empty() && rule.any_of.is_empty() {
        return Err(HandError::Invalid(format!(
            "{} asks for no group: there is nothing to give",
            app.id
        )));
    }
    Ok(found)
}

fn not_listed(name: &str, listed: &[Gate]) -> HandError {
    let names: Vec<_> = listed.iter().map(|gate| gate.name.as_str()).collect();
    let name: String = name.chars().filter(|c| !c.is_control()).take(60).collect();
    WriteError::NotAllowed(format!(
        "the group {name:?} is not among those that may be given: {}",
        names.join(", ")
    ))
    .into()
}

/// Nobody is validated whom the directory turns away, or who is nobody.
fn fits(person: &Person) -> Result<(), HandError> {
    let conflict = |text: &str| Err(HandError::Conflict(text.to_owned()));
    if person.gone_at.is_some() {
        return conflict("they are gone from the directory");
    }
    if !person.active {
        return conflict("they are disabled in the directory: enable them there first");
    }
    if !person.human {
        return conflict("that is a service account, or below a path that is ignored: no person");
    }
    Ok(())
}
