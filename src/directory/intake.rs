//! Taking in what directories say: the one way in, whoever heard it (webhook and read, sweep, SCIM,
//! a command). What follows is done in this order, each step on record before the next:
//!
//! 1. the word, with its entry in the revocation log: every replica judges anew;
//! 2. whoever is turned away: their state, their sessions and sockets; then the sessions at apps
//!    whose gate no longer holds;
//! 3. whoever is let in again, and the shadow user of somebody whom an app wants ahead of their visit;
//! 4. wishes for the apps concerned, what takes away before what gives;
//! 5. the word is *settled*.
//!
//! What comes of time or of the configuration, perhaps for thousands at once, deactivates nobody by
//! itself: a look at the app does, which has the brake (`reconcile::drift`).
//!
//! Each step may be repeated. A crash in between leaves the word unsettled: the same call again, or
//! [`Intake::tend`], goes on from there.
//!
//! An id never changes hands: a word that names another subject under a known id is not believed
//! ([`Took::Quarantined`]). The former subject is turned away, the new one is given nothing, and both
//! accounts stay as they are until an operator forgets the word (T33).

mod tend;

use super::gate::{self, View};
use super::index::Index;
use super::standing::{MOVED, Standing, Verdict, Why};
use super::standings;
use super::wanted::{AppTerms, WantedState, wanted};
use crate::audit::{Actor, Audit};
use crate::config::DirectoryRules;
use crate::jobs::wish;
use crate::store::{
    Account, AccountState, By, Deactivation, DeactivationStage, DirectoryGroup, EndReason, NewJob,
    Person, PersonFilter, Priority, Put, Result, SaidOf, SeenUser, SessionFilter, StateBy, Store,
    StoreError, User, UserState, Which,
};
use crate::types::{Clock, IssuerId, SourceId, Subject, Timestamp, UserId};
use arc_swap::ArcSwap;
use aws_lc_rs::digest::{SHA256, digest};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use std::sync::Arc;

/// Words looked at together.
const PAGE: u32 = 200;

/// What the configuration says, as far as it matters here.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Terms {
    /// How words are weighed.
    pub rules: DirectoryRules,
    /// The apps.
    pub apps: Vec<AppTerms>,
    /// What else is configured about accounts, as a text: only compared, so that a change is noticed.
    pub mapping: String,
}

impl Terms {
    /// Tells these terms from others.
    fn fingerprint(&self) -> String {
        let hash = digest(&SHA256, format!("{self:?}").as_bytes());
        URL_SAFE_NO_PAD.encode(hash)
    }
}

/// What became of a word.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Took {
    /// Nobody was known by this id.
    New,
    /// It said something else than before.
    Changed,
    /// It said the same.
    Same,
    /// It is older than what is known, and was dropped.
    Older,
    /// Its id stands for another subject than before: not believed.
    Quarantined,
}

/// What came of taking a word in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Taken {
    /// What became of it.
    pub took: Took,
    /// Whom it is about, if they have a shadow user.
    pub user: Option<UserId>,
    /// How many sessions ended.
    pub ended: usize,
    /// How many wishes were put on record.
    pub wishes: usize,
}

/// What came of taking a group in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TakenGroup {
    /// Whether it said something else than before.
    pub changed: bool,
    /// For how many people that was looked at.
    pub people: usize,
}

/// See the module.
pub struct Intake {
    store: Arc<dyn Store>,
    audit: Arc<Audit>,
    clock: Arc<dyn Clock>,
    terms: Arc<ArcSwap<Terms>>,
}

/// Why what follows is drawn.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Because {
    /// Something else was said; `takes`: less than before, which no gate need show; `held`: nothing is
    /// to be wished for in apps.
    Said { takes: bool, held: bool },
    /// Somebody may have died over it; `due`: as below.
    LeftUndone { due: bool },
    /// It must be done whatever is settled: somebody said so.
    Ordered,
    /// The same, but nobody did: time passed, or the configuration changed, perhaps for thousands at
    /// once. Whose accounts would be deactivated a look at the app finds, which has the brake.
    Due,
}

impl Because {
    /// Whether it must be done whatever is settled.
    fn must(self) -> bool {
        matches!(self, Self::Ordered | Self::Due)
    }

    /// Whether deactivating is left to a look.
    fn by_look(self) -> bool {
        matches!(self, Self::Due | Self::LeftUndone { due: true })
    }
}

/// What followed from all words about a subject.
#[derive(Default)]
struct Drawn {
    user: Option<UserId>,
    ended: usize,
    wishes: usize,
}

impl Intake {
    /// Into this store, by these terms, which a reload may replace.
    #[must_use]
    pub fn new(
        store: Arc<dyn Store>,
        audit: Arc<Audit>,
        clock: Arc<dyn Clock>,
        terms: Arc<ArcSwap<Terms>>,
    ) -> Self {
        Self {
            store,
            audit,
            clock,
            terms,
        }
    }

    /// Takes in a word, and does what follows from it. `why` is for the operator: what it came by.
    ///
    /// # Errors
    /// When the store does not answer: the same call again goes on.
    pub async fn take_in(&self, word: Person, why: &str) -> Result<Taken> {
        self.take(word, false, why).await
    }

    /// The same, but nothing is wished for in apps: more people go at once than can be meant. They
    /// are kept out; what becomes of their accounts a reconciliation's plan says, which an operator
    /// approves.
    ///
    /// # Errors
    /// As [`Self::take_in`].
    pub async fn take_in_held(&self, word: Person, why: &str) -> Result<Taken> {
        self.take(word, true, why).await
    }

    async fn take(&self, word: Person, held: bool, why: &str) -> Result<Taken> {
        let by = self.by(why);
        let known = self.store.person(&word.source, &word.id).await?;
        let (mut word, mut moved) = match &known {
            Some(known) => guarded(known, word),
            None => (word, false),
        };
        let mut put = self.store.put_person(&word, self.clock.now(), &by).await?;
        // Somebody else wrote between the two: it is theirs that must not change hands.
        if let Put::Changed(Some(before)) = &put {
            let (kept, is_moved) = guarded(before, word.clone());
            if kept != word {
                tracing::warn!(source = %kept.source, id = %kept.id, "two words about one id came at once");
                put = self.store.put_person(&kept, self.clock.now(), &by).await?;
                (word, moved) = (kept, moved || is_moved);
            }
        }
        let took = match &put {
            Put::Older => {
                return Ok(Taken {
                    took: Took::Older,
                    user: None,
                    ended: 0,
                    wishes: 0,
                });
            }
            _ if moved => Took::Quarantined,
            Put::Same => Took::Same,
            Put::Changed(None) => Took::New,
            Put::Changed(Some(_)) => Took::Changed,
        };
        if moved && matches!(put, Put::Changed(_)) {
            tracing::error!(source = %word.source, id = %word.id, "a directory's id stands for another subject than before: its former subject is turned away, the new one is given nothing (`users forget-word`)");
        }
        let because = match &put {
            Put::Changed(Some(before)) => Because::Said {
                takes: takes_away(before, &word),
                held,
            },
            Put::Changed(None) => Because::Said { takes: false, held },
            Put::Same | Put::Older => Because::LeftUndone { due: false },
        };
        let drawn = match &word.subject {
            Some(subject) => self.draw(&word.issuer, subject, because, why).await?,
            // About nobody: nothing follows.
            None => Drawn::default(),
        };
        Ok(Taken {
            took,
            user: drawn.user,
            ended: drawn.ended,
            wishes: drawn.wishes,
        })
    }

    /// Takes in a group, and does what follows for everybody who is in it by the words on record.
    ///
    /// # Errors
    /// As [`Self::take_in`].
    pub async fn take_in_group(&self, group: &DirectoryGroup, why: &str) -> Result<TakenGroup> {
        let changed = self.store.put_group(group, self.clock.now()).await?;
        let filter = PersonFilter {
            source: Some(group.source.clone()),
            group: Some(group.id.clone()),
            unsettled: true,
            ..PersonFilter::default()
        };
        Ok(TakenGroup {
            changed: changed.is_some(),
            people: self.draw_all(filter, None, false, why).await?,
        })
    }

    /// Does again what follows from all that is said of a subject: after the configuration changed,
    /// or when in doubt.
    ///
    /// # Errors
    /// As [`Self::take_in`].
    pub async fn recheck(&self, issuer: &IssuerId, subject: &Subject, why: &str) -> Result<()> {
        self.draw(issuer, subject, Because::Ordered, why)
            .await
            .map(drop)
    }

    /// Forgets what a source said about an id, at an operator's word: the next one is the first.
    /// `false` when nothing was said.
    ///
    /// # Errors
    /// As [`Self::take_in`].
    pub async fn forget(&self, source: &SourceId, id: &str, by: &By, why: &str) -> Result<bool> {
        let Some(known) = self.store.person(source, id).await? else {
            return Ok(false);
        };
        let now = self.clock.now();
        self.store.forget_person(source, id, now, by).await?;
        if let Some(subject) = &known.subject {
            self.draw(&known.issuer, subject, Because::Ordered, why)
                .await?;
        }
        Ok(true)
    }

    fn by(&self, why: &str) -> By {
        self.audit.by(Actor::Bridge).reason(why).by()
    }

    /// Draws what follows for everybody whom these words are about; with `before` only of words that
    /// were said until then.
    async fn draw_all(
        &self,
        mut filter: PersonFilter,
        before: Option<Timestamp>,
        due: bool,
        why: &str,
    ) -> Result<usize> {
        filter.limit = PAGE;
        let mut people = 0;
        loop {
            let page = self.store.words(&filter).await?;
            let Some(last) = page.last() else { break };
            filter.after = Some((last.person.source.clone(), last.person.id.clone()));
            for word in &page {
                // What bears a time that has not come was said by a clock that was ahead: left undone.
                let said = word.person.read_at;
                if before.is_some_and(|before| said > before && said <= self.clock.now()) {
                    continue;
                }
                match &word.person.subject {
                    Some(subject) => {
                        let issuer = &word.person.issuer;
                        let because = Because::LeftUndone { due };
                        self.draw(issuer, subject, because, why).await?;
                    }
                    None => self.store.settle(std::slice::from_ref(word)).await?,
                }
                people += 1;
            }
        }
        Ok(people)
    }

    /// Steps 2 to 5.
    async fn draw(
        &self,
        issuer: &IssuerId,
        subject: &Subject,
        because: Because,
        why: &str,
    ) -> Result<Drawn> {
        let whom = [(issuer.clone(), subject.clone())];
        let Some(said) = self.store.said_of(&whom).await?.into_iter().next() else {
            return Ok(Drawn::default());
        };
        let unsettled = said.words.iter().any(|word| !word.settled);
        let takes = match because {
            Because::Said { takes, .. } => takes,
            // What was said before is not known any more: it may have been more.
            Because::LeftUndone { .. } => unsettled,
            Because::Ordered | Because::Due => false,
        };
        if !unsettled && !because.must() {
            let user = self.store.user_by_subject(issuer, subject).await?;
            return Ok(Drawn {
                user: user.map(|user| user.id),
                ..Drawn::default()
            });
        }
        let mut index = standings::read_index(&*self.store).await?;
        let standing = Standing::of(&said, &mut index);
        let terms = self.terms.load_full();
        let now = self.clock.now();
        let case = Case {
            intake: self,
            terms: &terms,
            said: &said,
            standing: &standing,
            index: &index,
            now,
            by: self.by(why),
            why,
        };
        let mut drawn = Drawn::default();
        let mut user = self.store.user_by_subject(issuer, subject).await?;
        if let Some(known) = &user {
            let (after, ended) = case.turn_away(known).await?;
            drawn.ended += ended;
            user = Some(after);
        }
        user = case.introduce(user).await?;
        if let Some(user) = &user {
            drawn.user = Some(user.id);
            drawn.wishes = match because {
                Because::Said { held: true, .. } => 0,
                _ => case.wish(user, takes, because.by_look()).await?,
            };
        }
        // What a clock that was ahead has dated gives nothing yet: it is looked at again, until it was said anew.
        if !standing.said.iter().any(|said| said.is_ahead(&index, now)) {
            self.store.settle(&said.words).await?;
        }
        Ok(drawn)
    }
}

/// One subject, while what follows is drawn.
struct Case<'a> {
    intake: &'a Intake,
    terms: &'a Terms,
    said: &'a SaidOf,
    standing: &'a Standing,
    index: &'a Index,
    now: Timestamp,
    by: By,
    why: &'a str,
}

impl Case<'_> {
    fn view(&self) -> View<'_> {
        View {
            standing: Some(self.standing),
            index: self.index,
        }
    }

    fn apps(&self) -> impl Iterator<Item = &AppTerms> {
        let issuer = &self.said.issuer;
        self.terms
            .apps
            .iter()
            .filter(move |app| app.issuer == *issuer)
    }

    /// State and sessions: first what is taken, then what is given back.
    async fn turn_away(&self, user: &User) -> Result<(User, usize)> {
        let store = &*self.intake.store;
        if let Some(denial) = self.standing.denial() {
            // A date ahead of a clock that was set back is no longer grace.
            let since = denial.since.min(self.now);
            let within = since + self.terms.rules.grace > self.now;
            let state = match denial.why {
                Why::Moved => UserState::Disabled,
                Why::Gone if !within || user.state == UserState::Disabled => UserState::Tombstoned,
                Why::Inactive if !within => UserState::Disabled,
                Why::Gone | Why::Inactive => UserState::Suspended,
            };
            let (source, why) = (&denial.source, denial.why.as_str());
            let set = store
                .directory_sets_state(user.id, source, state, why, self.now, &self.by)
                .await?;
            let (user, ended) = set.ok_or(StoreError::Changed)?;
            return Ok((user, ended.len()));
        }
        let mut ended = 0;
        for app in self.apps() {
            let shut = gate::by_directories(&app.access, &self.view(), &self.terms.rules, self.now);
            if matches!(shut, Some(Err(_))) && self.was_there(user, app).await? {
                let which = Which::User(user.id, Some(app.id.clone()));
                let (reason, now) = (EndReason::PolicyChanged, self.now);
                let over = store.end_sessions(&which, reason, now, now, &self.by);
                ended += over.await?.len();
            }
        }
        // A directory lifts what itself denied, once it says that they are there.
        if let StateBy::Directory(source) = &user.state_by
            && user.state.denies()
            && self.standing.is_present_at(source, self.index)
        {
            let why = "active in the directory";
            let state = UserState::Active;
            let set = store
                .directory_sets_state(user.id, source, state, why, self.now, &self.by)
                .await?;
            let (user, _) = set.ok_or(StoreError::Changed)?;
            return Ok((user, ended));
        }
        Ok((user.clone(), ended))
    }

    /// Whether somebody has, or may be about to have, a session at an app. Ending what nobody has
    /// would only make others' tokens of theirs worthless.
    async fn was_there(&self, user: &User, app: &AppTerms) -> Result<bool> {
        let store = &*self.intake.store;
        let unsettled = self.said.words.iter().any(|word| !word.settled);
        if unsettled && store.account(&app.id, user.id).await?.is_some() {
            return Ok(true);
        }
        let live = SessionFilter {
            app: Some(app.id.clone()),
            user: Some(user.id),
            live: true,
            limit: 1,
            ..SessionFilter::default()
        };
        Ok(!store.sessions(&live).await?.is_empty())
    }

    /// The shadow user, with what the newest word calls them; a new one only when an app wants an
    /// account for them before they come.
    async fn introduce(&self, user: Option<User>) -> Result<Option<User>> {
        if self.standing.verdict != Verdict::Present || !self.standing.human {
            return Ok(user);
        }
        let make = user.is_none()
            && self.apps().filter(|app| app.ahead).any(|app| {
                let rules = &self.terms.rules;
                let open = gate::by_directories(&app.access, &self.view(), rules, self.now);
                open == Some(Ok(()))
            });
        if user.is_none() && !make {
            return Ok(None);
        }
        let present = self.said.words.iter().filter(|word| !word.person.denies());
        let Some(newest) = present.max_by_key(|word| word.person.read_at) else {
            return Ok(user);
        };
        let told = told(&newest.person, &self.said.subject);
        self.intake.store.told_of_user(&told, make).await
    }

    /// Wishes for the apps where something is to be made so; `by_look`: who would be deactivated there is
    /// left to a look at the app.
    async fn wish(&self, user: &User, takes: bool, by_look: bool) -> Result<usize> {
        let mut wishes: Vec<NewJob> = Vec::new();
        for app in self.apps() {
            let account = self.intake.store.account(&app.id, user.id).await?;
            let rules = &self.terms.rules;
            let wanted = wanted(app, Some(user), &self.view(), rules, self.now);
            if by_look && matches!(wanted.account, WantedState::Absent { .. }) {
                // Who stays suspended when time has passed does so again and again: the next look's, in
                // its time.
                let over = user.state != UserState::Suspended;
                if over && account.is_some_and(|own| may_be_active(&own)) {
                    wishes.push(wish::look(&app.id, self.now, self.why));
                }
                continue;
            }
            let priority = match wanted.account {
                WantedState::Absent { .. } if account.is_some() => Priority::Deny,
                WantedState::Present if account.is_some() && takes => Priority::Deny,
                WantedState::Present if account.is_some() || app.ahead => Priority::Grant,
                WantedState::Present | WantedState::Absent { .. } | WantedState::Leave { .. } => {
                    continue;
                }
            };
            wishes.push(wish::converge(
                &app.id, user.id, priority, self.now, self.why,
            ));
        }
        wishes.sort_by_key(|wish| wish.priority);
        if !wishes.is_empty() {
            self.intake.store.enqueue(&wishes, self.now).await?;
        }
        Ok(wishes.len())
    }
}

/// The word as it may be believed after what is known of its id, and whether it names another
/// subject.
fn guarded(known: &Person, word: Person) -> (Person, bool) {
    let Some(subject) = &known.subject else {
        return (word, false);
    };
    match &word.subject {
        // It can't be told at the moment whose it is: whose it was.
        None if known.aliases.iter().any(|alias| alias.starts_with(MOVED)) => {
            let kept = Person {
                read_at: word.read_at,
                gone_at: word.gone_at,
                ..known.clone()
            };
            (kept, true)
        }
        None => {
            let word = Person {
                issuer: known.issuer.clone(),
                subject: known.subject.clone(),
                ..word
            };
            (word, false)
        }
        Some(now) if now == subject && word.issuer == known.issuer => (word, false),
        Some(now) => {
            let mut aliases = word.aliases;
            aliases.push(format!("{MOVED}{}/{now}", word.issuer));
            // Known by the former subject, with nothing of the new one's.
            let kept = Person {
                aliases,
                active: false,
                groups: Vec::new(),
                read_at: word.read_at,
                gone_at: word.gone_at,
                ..known.clone()
            };
            (kept, true)
        }
    }
}

/// Whether there may be something to deactivate.
fn may_be_active(account: &Account) -> bool {
    let done = |known: Deactivation| matches!(known.stage, DeactivationStage::Done(_));
    account.state == AccountState::Linked && !account.deactivated.is_some_and(done)
}

/// Whether the new word says less than the former one.
fn takes_away(before: &Person, after: &Person) -> bool {
    after.denies() || before.groups.iter().any(|id| !after.groups.contains(id))
}

/// What a word calls somebody.
fn told(person: &Person, subject: &Subject) -> SeenUser {
    let given = |text: &str| (!text.is_empty()).then(|| text.to_owned());
    SeenUser {
        issuer: person.issuer.clone(),
        subject: subject.clone(),
        email: person.email.clone(),
        email_verified: person.email_verified,
        name: person.name.clone(),
        username: given(&person.username),
        locale: person.locale.clone(),
        groups: Vec::new(),
        at: person.read_at,
    }
}
