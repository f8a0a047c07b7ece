//! What a `converge` job does, with the bridge's own driver in front of the stand-in: the account and
//! the memberships follow the directory's word, what is somebody else's is left alone, and a crash at
//! any step heals.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use auth_manager::apps::{
    AppError, Attribute, DeactivateOrder, Deactivated, HolderPage, OwnedBot, Part, Place,
    Provisioner, RemoteAccount, Seats, Target, WantedProfile,
};
use auth_manager::audit::{Actor, Audit, Settings};
use auth_manager::config::{BotsPolicy, GroupMapping, MappedGroup, ProvisionConfig, ProvisionWhen};
use auth_manager::demo::mattermost::{Fault, NewUser, Options, StandIn, UserSnapshot};
use auth_manager::identity::Context;
use auth_manager::identity::converge::{
    Ground, InGroup, Outcome, Wanted, WantedAccount, Words, converge,
};
use auth_manager::keys::derive::PasswordRoot;
use auth_manager::store::{
    Account, DeactivatedFor, Deactivation, DeactivationStage, JobFilter, JobKind, SeenUser,
    SqliteStore, Store, StoreError, TrailFilter, User, UserState,
};
use auth_manager::telemetry::metrics::Metrics;
use auth_manager::types::{
    AppId, AppToken, GroupName, HostName, IssuerId, ManualClock, MembershipKind, RemoteId, Subject,
    Timestamp,
};
use parking_lot::Mutex;

use crate::provisioner::driver;
use crate::replay::Stage;

const NOW: Timestamp = Timestamp(1_795_600_000);

/// What the directory says, as the test wants it.
struct Said(Mutex<Wanted>);

#[async_trait]
impl Words for Said {
    async fn wanted(&self, _: &AppId, _: &User, _: Timestamp) -> Result<Wanted, StoreError> {
        Ok(self.0.lock().clone())
    }
}

struct Bed {
    stage: Stage,
    ground: Ground,
    said: Arc<Said>,
    user: User,
    bomb: Arc<Bomb>,
}

fn present(groups: &[&str]) -> Wanted {
    let groups = groups.iter().map(|name| InGroup {
        id: format!("id-of-{name}"),
        name: (*name).to_owned(),
        for_power: true,
    });
    Wanted {
        account: WantedAccount::Present,
        groups: groups.collect(),
    }
}

fn absent() -> Wanted {
    Wanted {
        account: WantedAccount::Absent {
            why: "inactive in the directory".into(),
            since: Some(NOW),
        },
        groups: Vec::new(),
    }
}

fn gives(group: &str, gives: &[(MembershipKind, &str)]) -> GroupMapping {
    GroupMapping {
        group: MappedGroup {
            name: GroupName::new(group).ok(),
            id: None,
        },
        gives: gives
            .iter()
            .map(|(kind, name)| (*kind, (*name).to_owned()))
            .collect(),
    }
}

impl Bed {
    async fn new(change: impl FnOnce(&mut Options, &mut ProvisionConfig)) -> Self {
        let mut options = Options {
            login_cost: Duration::ZERO,
            disable_bots_when_owner_is_deactivated: false,
            ..Options::default()
        };
        let mut policy = ProvisionConfig {
            when: ProvisionWhen::OnAssignment,
            groups: vec![
                gives("sales", &[(MembershipKind::Team, "sales")]),
                gives(
                    "leads",
                    &[
                        (MembershipKind::Channel, "sales/deals"),
                        (MembershipKind::TeamAdmin, "sales"),
                    ],
                ),
                gives("root", &[(MembershipKind::SystemRole, "system_admin")]),
            ],
            ..ProvisionConfig::default()
        };
        change(&mut options, &mut policy);
        let stage = Stage::serving(StandIn::new(options)).await;
        stage.app.create_team("sales");
        stage.app.create_channel("sales", "deals");
        let store = Arc::new(SqliteStore::in_memory().expect("a store"));
        let user = store.saw_user(&alice()).await.expect("a person");
        let driver = driver(&stage);
        let bots = driver.clone();
        let bomb = Arc::new(Bomb {
            inner: driver.clone(),
            left: AtomicU32::new(0),
            after: Mutex::new(false),
            went_off: Mutex::new(false),
        });
        let audit = Audit::new(Arc::new(ManualClock::at(NOW)), Settings::default());
        let app = AppId::new("chat").expect("an id");
        let said = Arc::new(Said(Mutex::new(present(&["sales"]))));
        let ground = Ground {
            context: Context {
                store,
                app: app.clone(),
                host: HostName::new("chat.example.test").expect("a name"),
                connector: driver.clone(),
                provisioner: bomb.clone(),
                strategy: driver,
                mapped: false,
                root: Arc::new(PasswordRoot::from_bytes([7; 32])),
                metrics: Metrics::new(Default::default()).app(&app),
                witness: audit.by(Actor::Bridge),
            },
            policy,
            words: said.clone(),
            kept_bots: Vec::new(),
            kept_tokens: Vec::new(),
            bots,
            letters: true,
        };
        Self {
            stage,
            ground,
            said,
            user,
            bomb,
        }
    }

    fn app(&self) -> &StandIn {
        &self.stage.app
    }

    fn says(&self, wanted: Wanted) {
        *self.said.0.lock() = wanted;
    }

    async fn run(&self) -> Outcome {
        self.run_at(NOW).await
    }

    async fn run_at(&self, now: Timestamp) -> Outcome {
        converge(&self.ground, self.user.id, now).await
    }

    async fn done(&self) -> String {
        match self.run().await {
            Outcome::Done(what) => what,
            other => panic!("{other:?}"),
        }
    }

    fn alice(&self) -> UserSnapshot {
        self.app().user("alice").expect("alice's account")
    }

    async fn account(&self) -> Account {
        let context = &self.ground.context;
        let account = context.store.account(&context.app, self.user.id).await;
        account.expect("the store answers").expect("a record")
    }

    async fn kinds(&self) -> Vec<String> {
        let filter = TrailFilter {
            limit: 1_000,
            ..TrailFilter::default()
        };
        let records = self.ground.context.store.trail(&filter).await;
        let records = records.expect("the store answers");
        records.into_iter().map(|r| r.kind).collect()
    }

    fn writes(&self) -> Vec<String> {
        let journal = self.app().journal();
        let written = journal.iter().filter(|seen| seen.method != "GET");
        written
            .map(|seen| format!("{} {}", seen.method, seen.path))
            .collect()
    }
}

fn alice() -> SeenUser {
    SeenUser {
        issuer: IssuerId::new("pomerium").expect("an id"),
        subject: Subject::new("sub-alice").expect("a subject"),
        email: "alice@example.test".into(),
        email_verified: true,
        name: "Alice Doe".into(),
        username: Some("alice".into()),
        locale: None,
        groups: Vec::new(),
        at: NOW,
    }
}

fn teams(user: &UserSnapshot) -> Vec<&str> {
    user.teams.iter().map(String::as_str).collect()
}

#[tokio::test]
async fn an_account_is_there_before_the_first_sign_in_with_its_memberships() {
    let bed = Bed::new(|_, _| ()).await;
    bed.says(present(&["sales", "leads", "unmapped"]));
    bed.done().await;
    let alice = bed.alice();
    assert_eq!(teams(&alice), ["sales"]);
    assert!(alice.channels.contains(&"sales/deals".to_owned()));
    assert!(bed.app().is_team_admin("sales", "alice"));
    assert_eq!(bed.app().users_created(), 1);
    let kinds = bed.kinds().await;
    assert_eq!(
        kinds.iter().filter(|k| *k == "membership.granted").count(),
        3
    );
    // Again: nothing is written, to the app or on record.
    bed.app().clear_journal();
    bed.done().await;
    assert!(bed.writes().is_empty(), "{:?}", bed.writes());
    assert_eq!(bed.kinds().await, kinds);
}

#[tokio::test]
async fn nobody_gets_an_account_ahead_unless_it_is_said() {
    let bed = Bed::new(|_, policy| policy.when = ProvisionWhen::OnSignIn).await;
    bed.done().await;
    assert_eq!(bed.app().users_created(), 0);
}

#[tokio::test]
async fn what_the_bridge_gave_is_taken_away_and_nothing_else() {
    let bed = Bed::new(|_, _| ()).await;
    bed.says(present(&["sales", "leads"]));
    bed.done().await;
    // By hand, both: a team of their own, and one that a group would give, too.
    bed.app().create_team("hobby");
    assert!(bed.app().add_to_team("hobby", "alice"));
    bed.says(present(&["sales"]));
    bed.done().await;
    let alice = bed.alice();
    assert_eq!(teams(&alice), ["sales", "hobby"]);
    assert!(!alice.channels.contains(&"sales/deals".to_owned()));
    assert!(!bed.app().is_team_admin("sales", "alice"));
    bed.says(present(&[]));
    bed.done().await;
    assert_eq!(teams(&bed.alice()), ["hobby"]);
    assert_eq!(
        bed.kinds()
            .await
            .iter()
            .filter(|k| *k == "membership.withdrawn")
            .count(),
        3
    );
}

#[tokio::test]
async fn a_membership_that_was_there_before_is_never_the_bridges() {
    let bed = Bed::new(|_, _| ()).await;
    bed.says(present(&[]));
    bed.done().await;
    assert!(bed.app().add_to_team("sales", "alice"));
    bed.says(present(&["sales"]));
    bed.done().await;
    bed.says(present(&[]));
    bed.done().await;
    assert_eq!(teams(&bed.alice()), ["sales"]);
    assert!(!bed.kinds().await.contains(&"membership.granted".to_owned()));
}

#[tokio::test]
async fn what_was_taken_away_by_hand_comes_back_and_a_renamed_team_is_the_same() {
    let bed = Bed::new(|_, _| ()).await;
    bed.done().await;
    assert!(bed.app().remove_from_team("sales", "alice"));
    bed.done().await;
    assert_eq!(teams(&bed.alice()), ["sales"]);
    // Renamed: it can't be found by its name, which costs nobody their place in it.
    assert!(bed.app().rename_team("sales", "trade"));
    assert!(matches!(bed.run().await, Outcome::Stuck(_)));
    assert_eq!(teams(&bed.alice()), ["trade"]);
    // And it is the one that is left, not another that has the name now.
    let other = bed.app().create_team("sales");
    assert!(!other.is_empty());
    bed.says(present(&[]));
    bed.done().await;
    assert!(bed.alice().teams.is_empty());
}

#[tokio::test]
async fn what_somebody_was_renamed_to_by_hand_is_put_right_and_what_is_their_own_is_not() {
    let bed = Bed::new(|_, _| ()).await;
    bed.done().await;
    let before = bed.alice();
    let theirs = [("nickname", "Al"), ("position", "Head"), ("locale", "fr")];
    bed.app().set_fields("alice", &theirs);
    bed.app().clear_journal();
    bed.done().await;
    assert!(bed.writes().is_empty(), "{:?}", bed.writes());

    let ours = [
        ("email", "eve@example.test"),
        ("first_name", "Eve"),
        ("username", "eve"),
    ];
    bed.app().set_fields("alice", &ours);
    bed.done().await;
    let after = bed.alice();
    assert_eq!(
        (after.email, after.first_name, after.username),
        (before.email, before.first_name, before.username)
    );
    assert_eq!((&*after.nickname, &*after.position), ("Al", "Head"));
    assert_eq!(after.locale, "fr");
    assert_eq!(bed.writes().len(), 1, "{:?}", bed.writes());
    bed.app().clear_journal();
    bed.done().await;
    assert!(bed.writes().is_empty(), "{:?}", bed.writes());
}

#[tokio::test]
async fn an_address_that_is_not_to_be_had_is_not_asked_for_again_and_again() {
    let bed = Bed::new(|_, _| ()).await;
    bed.done().await;
    bed.app().create_user(NewUser {
        username: "bob".into(),
        email: "doe@example.test".into(),
        ..NewUser::default()
    });
    let renamed = SeenUser {
        email: "doe@example.test".into(),
        ..alice()
    };
    let store = &bed.ground.context.store;
    store.saw_user(&renamed).await.expect("a person");
    bed.done().await;
    assert_eq!(bed.alice().email, "alice@example.test");
    assert!(!bed.account().await.detail.is_empty());
    bed.app().clear_journal();
    bed.done().await;
    assert!(bed.writes().is_empty(), "{:?}", bed.writes());
}

#[tokio::test]
async fn memberships_stay_when_the_operator_says_so() {
    let bed = Bed::new(|_, policy| policy.withdraw = false).await;
    bed.done().await;
    bed.says(present(&[]));
    bed.done().await;
    assert_eq!(teams(&bed.alice()), ["sales"]);
}

#[tokio::test]
async fn who_is_gone_holds_nothing_and_comes_back_to_the_same() {
    let bed = Bed::new(|_, _| ()).await;
    bed.done().await;
    let before = bed.alice();
    bed.app().open_session("alice");
    bed.app().issue_access_token("alice");
    bed.app().create_bot("alices-bot", "Alice's", "alice");
    let made = bed.app().users_created();
    bed.app().clear_journal();
    bed.says(absent());
    bed.done().await;
    let gone = bed.alice();
    assert!(!gone.is_active());
    assert!(bed.app().sessions_of("alice").is_empty());
    assert!(bed.app().access_tokens_of("alice").is_empty());
    assert_eq!(bed.app().bot("alices-bot").map(|b| b.1), Some(false));
    assert_eq!(teams(&gone), ["sales"], "kept for when they come back");
    // What gives a way in ends before what only ends the account.
    let order = bed.writes();
    let at = |what: &str| order.iter().position(|w| w.contains(what)).expect(what);
    assert!(at("sessions/revoke/all") < at("tokens/revoke"));
    assert!(at("tokens/revoke") < at("/disable"));
    assert!(at("/disable") < at("/active"));
    // Again: nothing new.
    bed.app().clear_journal();
    bed.done().await;
    assert!(!bed.writes().iter().any(|w| w.contains("/active")));

    bed.says(present(&["sales"]));
    bed.done().await;
    let back = bed.alice();
    assert!(back.is_active());
    assert_eq!(back.id, before.id);
    assert_eq!(back.teams, before.teams);
    assert_eq!(bed.app().bot("alices-bot").map(|b| b.1), Some(true));
    assert_eq!(bed.app().users_created(), made);
    assert_eq!(bed.account().await.deactivated, None);
    let kinds = bed.kinds().await;
    for kind in [
        "account.deactivated",
        "account.reactivated",
        "account.tokens_revoked",
        "bot.disabled",
        "bot.enabled",
    ] {
        assert_eq!(
            kinds.iter().filter(|k| *k == kind).count(),
            1,
            "{kind}: {kinds:?}"
        );
    }
}

#[tokio::test]
async fn what_somebody_deactivated_in_the_app_stays_so() {
    let bed = Bed::new(|_, _| ()).await;
    bed.done().await;
    assert!(bed.app().deactivate("alice"));
    assert!(bed.done().await.contains("somebody deactivated"));
    assert!(!bed.alice().is_active());
    // Gone and back again: it was never our doing.
    bed.says(absent());
    bed.done().await;
    bed.says(present(&["sales"]));
    bed.done().await;
    assert!(!bed.alice().is_active());
    assert!(
        !bed.kinds()
            .await
            .contains(&"account.deactivated".to_owned())
    );
}

#[tokio::test]
async fn a_deactivation_that_somebody_did_anew_is_no_longer_ours() {
    let bed = Bed::new(|_, _| ()).await;
    bed.done().await;
    bed.says(absent());
    bed.done().await;
    bed.app().reactivate("alice");
    tokio::time::sleep(Duration::from_millis(5)).await;
    bed.app().deactivate("alice");
    bed.says(present(&["sales"]));
    assert!(bed.done().await.contains("somebody deactivated"));
    assert!(!bed.alice().is_active());
}

#[tokio::test]
async fn the_account_stands_for_the_grace_and_what_it_holds_does_not() {
    let day = Duration::from_secs(86_400);
    let bed = Bed::new(|_, policy| policy.deactivate.grace = day).await;
    bed.done().await;
    bed.app().issue_access_token("alice");
    bed.says(absent());
    let Outcome::Later { at, .. } = bed.run().await else {
        panic!("not yet");
    };
    assert_eq!(at, NOW + day);
    assert!(bed.alice().is_active());
    assert!(bed.app().access_tokens_of("alice").is_empty());
    assert_eq!(
        bed.account().await.deactivated.map(|d| (d.at, d.stage)),
        Some((at, DeactivationStage::Planned))
    );
    // Without a time from the directory it is counted from when it was first seen.
    bed.says(Wanted {
        account: WantedAccount::Absent {
            why: "not in the app's groups".into(),
            since: None,
        },
        groups: Vec::new(),
    });
    let later = NOW + Duration::from_secs(3_600);
    assert!(matches!(bed.run_at(later).await, Outcome::Later { at: due, .. } if due == at));
    // Back in time: nothing happened.
    bed.says(present(&["sales"]));
    bed.done().await;
    assert_eq!(bed.account().await.deactivated, None);
    bed.says(absent());
    assert!(matches!(bed.run_at(at).await, Outcome::Done(_)));
    assert!(!bed.alice().is_active());
}

#[tokio::test]
async fn whose_account_waits_for_a_word_keeps_it_as_it_is() {
    let bed = Bed::new(|_, _| ()).await;
    bed.done().await;
    bed.app().clear_journal();
    bed.says(Wanted {
        account: WantedAccount::Held {
            why: "a plan waits".into(),
        },
        groups: Vec::new(),
    });
    let done = bed.done().await;
    assert!(done.contains("a plan waits"), "{done}");
    assert!(bed.writes().is_empty(), "{:?}", bed.writes());
    assert!(bed.alice().is_active());
    assert_eq!(teams(&bed.alice()), ["sales"]);
}

#[tokio::test]
async fn no_directorys_word_is_no_reason_to_do_anything() {
    let bed = Bed::new(|_, _| ()).await;
    bed.done().await;
    bed.app().clear_journal();
    bed.says(Wanted {
        account: WantedAccount::Leave {
            why: "no directory knows them".into(),
        },
        groups: Vec::new(),
    });
    bed.done().await;
    assert!(bed.app().journal().is_empty());
    assert_eq!(teams(&bed.alice()), ["sales"]);
}

#[tokio::test]
async fn whoever_is_let_in_again_has_their_account_back_though_no_directory_decides() {
    let bed = Bed::new(|_, _| ()).await;
    bed.done().await;
    let at = |seconds| NOW + Duration::from_secs(seconds);
    bed.says(absent());
    assert!(matches!(bed.run_at(at(10)).await, Outcome::Done(_)));
    assert!(!bed.alice().is_active());
    // Nobody says anything any more: nothing is given back by that.
    bed.says(Wanted {
        account: WantedAccount::Leave {
            why: "no directory has a fresh word that decides".into(),
        },
        groups: Vec::new(),
    });
    bed.run_at(at(20)).await;
    assert!(!bed.alice().is_active());
    let context = &bed.ground.context;
    let by = context.witness.clone().by();
    for (state, seconds) in [(UserState::Disabled, 30), (UserState::Active, 40)] {
        let set = context
            .store
            .set_user_state(bed.user.id, state, "", at(seconds), &by);
        set.await.expect("the store answers").expect("alice");
        bed.run_at(at(seconds + 5)).await;
        assert_eq!(bed.alice().is_active(), state == UserState::Active);
    }
    assert_eq!(bed.account().await.deactivated, None);
}

#[tokio::test]
async fn the_first_account_made_ahead_is_told_once() {
    let bed = Bed::new(|_, _| ()).await;
    bed.done().await;
    bed.done().await;
    let filter = JobFilter {
        kind: Some(JobKind::Mail),
        ..JobFilter::default()
    };
    let letters = bed.ground.context.store.jobs(&filter).await;
    let letters = letters.expect("the store answers");
    assert_eq!(letters.len(), 1);
    assert_eq!(letters[0].user, Some(bed.user.id));
}

#[tokio::test]
async fn an_administrator_is_left_alone_unless_the_bridge_made_them_one() {
    let bed = Bed::new(|_, _| ()).await;
    bed.done().await;
    bed.app().set_roles("alice", "system_user system_admin");
    bed.says(absent());
    let outcome = bed.run().await;
    assert!(
        matches!(&outcome, Outcome::Stuck(why) if why.contains("administrators")),
        "{outcome:?}"
    );
    assert!(bed.alice().is_active());
    assert!(bed.account().await.detail.contains("left as it is"));
    bed.app().set_roles("alice", "system_user");
    bed.says(present(&["root"]));
    bed.done().await;
    assert!(bed.alice().is_admin());
    bed.says(absent());
    bed.done().await;
    assert!(!bed.alice().is_active() && !bed.alice().is_admin());
}

#[tokio::test]
async fn power_over_the_app_needs_a_fresh_word() {
    let bed = Bed::new(|_, _| ()).await;
    bed.says(present(&["root"]));
    bed.done().await;
    assert!(bed.alice().is_admin());
    let mut stale = present(&["root", "sales"]);
    stale.groups.iter_mut().for_each(|g| g.for_power = false);
    bed.says(stale);
    bed.done().await;
    assert!(!bed.alice().is_admin());
    assert_eq!(teams(&bed.alice()), ["sales"]);
}

#[tokio::test]
async fn bots_are_handed_over_and_disabled_where_that_fails() {
    for (to, owner_is_admin, enabled) in [("admin", true, true), ("nobody", false, false)] {
        let bed = Bed::new(|_, policy| {
            policy.deactivate.bots = BotsPolicy::HandOver(to.to_owned());
        })
        .await;
        bed.done().await;
        bed.app().create_bot("alices-bot", "Alice's", "alice");
        bed.says(absent());
        bed.done().await;
        let (owner, on) = bed.app().bot("alices-bot").expect("a bot");
        assert_eq!(
            (owner == bed.app().admin_id(), on),
            (owner_is_admin, enabled),
            "{to}"
        );
    }
}

#[tokio::test]
async fn bots_that_services_use_are_neither_disabled_nor_given_away() {
    for (policy, by_token) in [
        (BotsPolicy::Disable, false),
        (BotsPolicy::HandOver("admin".into()), false),
        (BotsPolicy::Leave, false),
        (BotsPolicy::Disable, true),
        (BotsPolicy::HandOver("admin".into()), true),
    ] {
        let mut bed = Bed::new(|_, config| config.deactivate.bots = policy).await;
        bed.done().await;
        let bot = bed.app().create_bot("service-bot", "Service", "alice");
        // One that the operator manages is known by its token alone; another is nobody's any more.
        if by_token {
            let (_, token) = bed.app().issue_access_token("service-bot").expect("a bot");
            let dead = "x".repeat(26);
            bed.ground.kept_tokens = vec![AppToken::new(dead), AppToken::new(token)];
        } else {
            bed.ground.kept_bots = vec![RemoteId::new(bot).expect("an id")];
        }
        bed.says(absent());
        bed.done().await;
        let (owner, on) = bed.app().bot("service-bot").expect("a bot");
        assert!(on && owner == bed.alice().id);
        assert!(!bed.alice().is_active());
    }
}

#[tokio::test]
async fn no_seat_waits_and_says_so() {
    let bed = Bed::new(|options, _| options.user_hard_limit = 1).await;
    let outcome = bed.run().await;
    assert!(
        matches!(&outcome, Outcome::Later { why, .. } if why.contains("seat")),
        "{outcome:?}"
    );
    assert!(bed.account().await.detail.contains("seat"));
    assert_eq!(bed.app().users_created(), 0);
}

#[tokio::test]
async fn coming_back_needs_a_seat_too() {
    let bed = Bed::new(|options, _| options.user_hard_limit = 2).await;
    bed.done().await;
    bed.says(absent());
    bed.done().await;
    bed.app().create_user(NewUser {
        username: "mallory".into(),
        ..NewUser::default()
    });
    bed.says(present(&["sales"]));
    let outcome = bed.run().await;
    assert!(
        matches!(&outcome, Outcome::Later { why, .. } if why.contains("seat")),
        "{outcome:?}"
    );
    assert!(!bed.alice().is_active());
    bed.app().deactivate("mallory");
    bed.done().await;
    assert!(bed.alice().is_active());
}

#[tokio::test]
async fn accounts_ahead_leave_the_reserve_free() {
    let bed = Bed::new(|options, policy| {
        options.user_hard_limit = 3;
        policy.seats.reserve = 2;
    })
    .await;
    assert!(matches!(bed.run().await, Outcome::Later { .. }));
    assert_eq!(bed.app().users_created(), 0);
}

#[tokio::test]
async fn a_full_team_waits_and_costs_nobody_the_rest() {
    let bed = Bed::new(|options, _| options.max_users_per_team = 1).await;
    bed.says(present(&["sales", "root"]));
    let outcome = bed.run().await;
    assert!(
        matches!(&outcome, Outcome::Later { why, .. } if why.contains("full")),
        "{outcome:?}"
    );
    assert!(bed.alice().is_admin(), "the other mapping is followed");
    bed.app()
        .patch_config(&serde_json::json!({"TeamSettings": {"MaxUsersPerTeam": 9}}));
    bed.done().await;
    assert_eq!(teams(&bed.alice()), ["sales"]);
}

#[tokio::test]
async fn a_conflict_is_an_operators_and_an_account_that_is_gone_is_made_anew() {
    let bed = Bed::new(|_, _| ()).await;
    bed.app().create_user(NewUser {
        username: "other".into(),
        email: "alice@example.test".into(),
        ..NewUser::default()
    });
    assert!(matches!(bed.run().await, Outcome::Stuck(_)));

    let bed = Bed::new(|_, _| ()).await;
    bed.done().await;
    let first = bed.alice().id;
    bed.app().delete_user("alice");
    bed.done().await;
    assert_ne!(bed.alice().id, first);
    assert_eq!(teams(&bed.alice()), ["sales"]);
    // Gone and absent: nothing is left to do.
    bed.app().delete_user("alice");
    bed.says(absent());
    assert!(bed.done().await.contains("gone from the app"));
}

#[tokio::test]
async fn trouble_of_the_app_is_tried_again_and_changes_nothing() {
    let bed = Bed::new(|_, _| ()).await;
    bed.done().await;
    let body = r#"{"id":"api.context.server_busy.app_error","message":"busy","status_code":503}"#;
    for fault in [
        Fault::Status(500, body.into()),
        Fault::CloseBefore,
        Fault::Html,
        Fault::CloseMidBody,
    ] {
        bed.says(absent());
        bed.app().set_fault(fault.clone(), "/api/v4/");
        let outcome = bed.run().await;
        assert!(
            matches!(outcome, Outcome::Again { .. }),
            "{fault:?}: {outcome:?}"
        );
        bed.app().clear_faults();
        assert!(bed.alice().is_active(), "{fault:?}");
    }
    bed.app()
        .set_fault(Fault::Status(429, "limit exceeded".into()), "/api/v4/");
    let outcome = bed.run().await;
    assert!(
        matches!(outcome, Outcome::Again { after: Some(_), .. }),
        "{outcome:?}"
    );
    bed.app().clear_faults();
    bed.done().await;
    assert!(!bed.alice().is_active());
}

#[tokio::test]
async fn a_reclaimed_seat_stays_so_until_they_are_needed_again() {
    let bed = Bed::new(|_, _| ()).await;
    bed.done().await;
    let due = NOW + Duration::from_secs(60);
    let plan = async || {
        let account = bed.account().await;
        let planned = Account {
            deactivated: Some(Deactivation {
                why: DeactivatedFor::Idle,
                at: due,
                stage: DeactivationStage::Planned,
            }),
            ..account
        };
        let by = bed.ground.context.witness.clone().by();
        bed.ground
            .context
            .store
            .save_account(&planned, &by)
            .await
            .expect("saved");
    };
    plan().await;
    assert!(matches!(bed.run().await, Outcome::Later { at, .. } if at == due));
    assert!(bed.alice().is_active());
    assert!(matches!(bed.run_at(due).await, Outcome::Done(_)));
    assert!(!bed.alice().is_active());
    // The directory still has them: that alone is no reason to take a seat again.
    bed.done().await;
    assert!(!bed.alice().is_active());
    // Gone meanwhile, and back: now it is.
    bed.says(absent());
    bed.done().await;
    bed.says(present(&["sales"]));
    bed.done().await;
    assert!(bed.alice().is_active());
}

// ---- T36 -------------------------------------------------------------------------------------

/// The driver, whose n-th call that changes something goes wrong: before it was done, or after, so
/// that nobody learns that it was. What the bridge then knows is what a `kill -9` leaves it.
struct Bomb {
    inner: Arc<dyn Provisioner>,
    left: AtomicU32,
    after: Mutex<bool>,
    went_off: Mutex<bool>,
}

impl Bomb {
    fn at(&self, call: u32, after: bool) {
        self.left.store(call, Ordering::SeqCst);
        *self.after.lock() = after;
        *self.went_off.lock() = false;
    }

    async fn around<T>(
        &self,
        call: impl Future<Output = Result<T, AppError>>,
    ) -> Result<T, AppError> {
        let left = self.left.load(Ordering::SeqCst);
        if left > 0 {
            self.left.store(left - 1, Ordering::SeqCst);
        }
        if left != 1 {
            return call.await;
        }
        *self.went_off.lock() = true;
        if *self.after.lock() {
            call.await?;
        }
        Err(AppError::Timeout("boom".into()))
    }
}

#[async_trait]
impl Provisioner for Bomb {
    async fn look(&self, remote: &RemoteId) -> Result<Option<RemoteAccount>, AppError> {
        self.inner.look(remote).await
    }
    fn would_write(&self, account: &RemoteAccount, wanted: &WantedProfile) -> Vec<Attribute> {
        self.inner.would_write(account, wanted)
    }
    async fn deactivate(
        &self,
        remote: &RemoteId,
        order: &DeactivateOrder,
    ) -> Result<Deactivated, AppError> {
        self.around(self.inner.deactivate(remote, order)).await
    }
    async fn reactivate(&self, remote: &RemoteId) -> Result<(), AppError> {
        self.around(self.inner.reactivate(remote)).await
    }
    async fn revoke_sessions(&self, remote: &RemoteId) -> Result<(), AppError> {
        self.around(self.inner.revoke_sessions(remote)).await
    }
    async fn revoke_tokens(&self, remote: &RemoteId) -> Result<u64, AppError> {
        self.around(self.inner.revoke_tokens(remote)).await
    }
    async fn bots_of(&self, owner: &RemoteId) -> Result<Vec<OwnedBot>, AppError> {
        self.inner.bots_of(owner).await
    }
    async fn disable_bot(&self, bot: &RemoteId) -> Result<(), AppError> {
        self.around(self.inner.disable_bot(bot)).await
    }
    async fn enable_bot(&self, bot: &RemoteId) -> Result<(), AppError> {
        self.around(self.inner.enable_bot(bot)).await
    }
    async fn hand_over_bot(&self, bot: &RemoteId, to: &RemoteId) -> Result<(), AppError> {
        self.around(self.inner.hand_over_bot(bot, to)).await
    }
    async fn resolve(&self, place: &Place) -> Result<Target, AppError> {
        self.inner.resolve(place).await
    }
    async fn has(&self, remote: &RemoteId, target: &Target) -> Result<bool, AppError> {
        self.inner.has(remote, target).await
    }
    async fn grant(&self, remote: &RemoteId, target: &Target) -> Result<(), AppError> {
        self.around(self.inner.grant(remote, target)).await
    }
    async fn withdraw(&self, remote: &RemoteId, target: &Target) -> Result<(), AppError> {
        self.around(self.inner.withdraw(remote, target)).await
    }
    async fn seats(&self) -> Result<Seats, AppError> {
        self.inner.seats().await
    }
    async fn holders(&self, page: u32) -> Result<HolderPage, AppError> {
        self.inner.holders(page).await
    }
    async fn accounts(&self, page: u32) -> Result<Part<RemoteAccount>, AppError> {
        self.inner.accounts(page).await
    }
    async fn members(&self, target: &Target, page: u32) -> Result<Part<RemoteId>, AppError> {
        self.inner.members(target, page).await
    }
    async fn find(&self, username: &str) -> Result<Option<RemoteAccount>, AppError> {
        self.inner.find(username).await
    }
}

/// A whole life, with a crash at each step in turn: the second try brings everything to where it
/// would have been, nothing twice, and what somebody else did stays theirs.
#[tokio::test]
async fn t36_a_crash_at_any_step_heals() {
    let mut steps = 0;
    for after in [false, true] {
        for call in 1.. {
            let bed = Bed::new(|_, _| ()).await;
            bed.says(present(&[]));
            bed.done().await;
            bed.app().create_bot("alices-bot", "Alice's", "alice");
            bed.app().issue_access_token("alice");
            bed.bomb.at(call, after);
            let first = bed.alice().id;
            for wanted in [
                present(&["sales", "leads", "root"]),
                absent(),
                present(&["sales"]),
            ] {
                bed.says(wanted.clone());
                if !matches!(bed.run().await, Outcome::Done(_)) {
                    bed.done().await;
                }
                let alice = bed.alice();
                let there = wanted.account == WantedAccount::Present;
                assert_eq!(alice.is_active(), there, "call {call}, after {after}");
                assert_eq!(
                    bed.app().bot("alices-bot").map(|b| b.1),
                    Some(there),
                    "call {call}, after {after}"
                );
                assert_eq!(alice.id, first);
            }
            assert_eq!(teams(&bed.alice()), ["sales"], "call {call}, after {after}");
            assert!(!bed.alice().is_admin() && !bed.app().is_team_admin("sales", "alice"));
            assert!(bed.app().access_tokens_of("alice").is_empty());
            // All that is left is what was given, and on record as given.
            let context = &bed.ground.context;
            let ours = context.store.memberships(&context.app, bed.user.id).await;
            let ours: Vec<String> = ours
                .expect("an answer")
                .into_iter()
                .map(|m| m.name)
                .collect();
            assert_eq!(ours, ["sales"], "call {call}, after {after}");
            let kinds = bed.kinds().await;
            let count = |kind: &str| kinds.iter().filter(|k| *k == kind).count();
            assert_eq!(
                count("account.deactivated"),
                1,
                "call {call}, after {after}"
            );
            assert_eq!(
                count("account.reactivated"),
                1,
                "call {call}, after {after}"
            );
            if !*bed.bomb.went_off.lock() {
                steps += call - 1;
                break;
            }
        }
    }
    assert!(steps >= 24, "only {steps} steps were cut");
}
