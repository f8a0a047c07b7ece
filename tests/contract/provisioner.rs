//! The bridge's provisioner of Mattermost against the stand-in: what each order does, that it may be
//! repeated, and whom it never touches.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use auth_manager::apps::mattermost::Mattermost;
use auth_manager::apps::{
    AppError, DeactivateOrder, Deactivated, Place, Provisioner, RemoteKind, Target,
};
use auth_manager::config::{
    AccessRule, AppConfig, AppKind, ExternalRevoke, LinkPolicy, MattermostConfig, ProvisionConfig,
    SecretSource, SessionConfig, SignOut,
};
use auth_manager::demo::mattermost::{NewUser, Options, StandIn};
use auth_manager::types::{
    AppId, HostName, IssuerId, MembershipKind, RemoteId, SecretText, SystemClock,
};
use serde_json::json;

use crate::replay::Stage;

/// The stand-in with eve, a member of `demo`, and the bridge's driver in front of it.
struct Bed {
    stage: Stage,
    driver: Arc<Mattermost>,
}

impl Bed {
    async fn new(change: impl FnOnce(&mut Options)) -> Self {
        let mut options = Options {
            login_cost: Duration::ZERO,
            disable_bots_when_owner_is_deactivated: false,
            ..Options::default()
        };
        change(&mut options);
        let stage = Stage::serving(StandIn::new(options)).await;
        stage.app.create_user(NewUser {
            username: "eve".into(),
            ..NewUser::default()
        });
        let driver = driver(&stage);
        Self { stage, driver }
    }

    fn app(&self) -> &StandIn {
        &self.stage.app
    }

    fn id(&self, name: &str) -> RemoteId {
        RemoteId::new(self.app().user(name).expect("exists").id).expect("an id")
    }

    async fn target(&self, kind: MembershipKind, name: &str) -> Target {
        let name = name.to_owned();
        self.driver
            .resolve(&Place { kind, name })
            .await
            .expect("it is there")
    }

    /// Requests that change something, since the journal was emptied.
    fn writes(&self) -> Vec<String> {
        let journal = self.app().journal();
        let written = journal
            .iter()
            .filter(|seen| seen.method != "GET" && !seen.path.ends_with("/users/status/ids"));
        written
            .map(|seen| format!("{} {}", seen.method, seen.path))
            .collect()
    }
}

pub(crate) fn driver(stage: &Stage) -> Arc<Mattermost> {
    driver_at(stage.address, stage.app.bot_token().into())
}

/// The driver of the server there.
pub(crate) fn driver_at(address: SocketAddr, token: SecretText) -> Arc<Mattermost> {
    let mm = MattermostConfig {
        bot_token: SecretSource::Credential("bot".into()),
        link: LinkPolicy::Never,
        team: None,
        create_team: false,
        logins: 2,
        login_timeout: Duration::from_secs(10),
    };
    let hour = Duration::from_secs(3600);
    let app = AppConfig {
        id: AppId::new("chat").expect("an id"),
        name: "Chat".into(),
        host: HostName::new("chat.example.test").expect("a name"),
        origin: "https://chat.example.test".into(),
        base_path: "/".into(),
        issuer: IssuerId::new("pomerium").expect("an id"),
        upstream: format!("http://{address}").parse().expect("an address"),
        upstream_ca: None,
        access: AccessRule {
            everyone: true,
            validated: None,
            any_of: Vec::new(),
            all_of: Vec::new(),
        },
        session: SessionConfig {
            absolute: 14 * hour,
            overall: 30 * 24 * hour,
            idle: 12 * hour,
            stale_after: Duration::from_secs(180),
            socket_max_age: hour,
            external_revoke: ExternalRevoke::SignOut,
            sign_out: SignOut::Pomerium,
            tombstone: 25 * hour,
            page_wait: Duration::from_secs(2),
            other_wait: Duration::from_secs(30),
            replay_body: 65536,
        },
        machine_routes: Vec::new(),
        services: Vec::new(),
        kind: AppKind::Mattermost(mm.clone()),
        provision: ProvisionConfig::default(),
        response_timeout: Duration::from_secs(60),
    };
    Mattermost::new(&app, &mm, token, None, Arc::new(SystemClock)).expect("a driver")
}

fn by_nobodys_word() -> DeactivateOrder {
    DeactivateOrder::default()
}

#[tokio::test]
async fn an_account_is_deactivated_once_and_comes_back_as_it_was() {
    let bed = Bed::new(|_| ()).await;
    let eve = bed.id("eve");
    assert!(bed.app().add_to_team("demo", "eve"));
    bed.app().open_session("eve");
    let done = bed.driver.deactivate(&eve, &by_nobodys_word()).await;
    let Ok(Deactivated::Now(at)) = done else {
        panic!("{done:?}");
    };
    assert!(bed.app().sessions_of("eve").is_empty());
    let seen = bed.driver.look(&eve).await.unwrap().unwrap();
    assert_eq!(seen.deactivated_at, Some(at));

    // A second time changes nothing: the time tells whose doing it was.
    bed.app().clear_journal();
    let again = bed.driver.deactivate(&eve, &by_nobodys_word()).await;
    assert_eq!(again.unwrap(), Deactivated::Before(at));
    assert!(bed.writes().is_empty(), "{:?}", bed.writes());

    bed.driver.reactivate(&eve).await.unwrap();
    let back = bed.app().user("eve").unwrap();
    assert!(back.is_active());
    assert_eq!(back.teams, ["demo"]);
}

#[tokio::test]
async fn special_accounts_are_never_deactivated_without_an_explicit_order() {
    let bed = Bed::new(|_| ()).await;
    let make = |new: NewUser| bed.app().create_user(new);
    make(NewUser {
        username: "linked".into(),
        auth_service: "gitlab".into(),
        auth_data: "4711".into(),
        ..NewUser::default()
    });
    make(NewUser {
        username: "remote".into(),
        remote_id: "r".repeat(26),
        ..NewUser::default()
    });
    make(NewUser {
        username: "abot".into(),
        bot: true,
        ..NewUser::default()
    });
    let explicit = DeactivateOrder {
        privileged: true,
        ..DeactivateOrder::default()
    };
    for name in ["linked", "remote", "abot"] {
        let refused = bed.driver.deactivate(&bed.id(name), &explicit).await;
        assert!(
            matches!(refused, Err(AppError::NotOurs(_))),
            "{name}: {refused:?}"
        );
        assert!(bed.app().user(name).unwrap().is_active(), "{name}");
    }
    make(NewUser {
        username: "boss".into(),
        roles: "system_user system_admin".into(),
        ..NewUser::default()
    });
    let boss = bed.id("boss");
    assert_eq!(
        bed.driver.look(&boss).await.unwrap().unwrap().kind,
        RemoteKind::Privileged
    );
    let refused = bed.driver.deactivate(&boss, &by_nobodys_word()).await;
    assert!(matches!(refused, Err(AppError::NotOurs(_))), "{refused:?}");
    assert!(bed.app().user("boss").unwrap().is_active());
    let done = bed.driver.deactivate(&boss, &explicit).await.unwrap();
    assert!(matches!(done, Deactivated::Now(_)));
}

#[tokio::test]
async fn reactivating_counts_against_the_limit_and_who_is_active_needs_no_seat() {
    let bed = Bed::new(|options| options.user_hard_limit = 2).await;
    let eve = bed.id("eve");
    // The server would refuse this (recording 30); it is not asked.
    bed.driver.reactivate(&eve).await.unwrap();
    bed.app().deactivate("eve");
    bed.app().create_user(NewUser {
        username: "mallory".into(),
        ..NewUser::default()
    });
    let refused = bed.driver.reactivate(&eve).await;
    assert!(matches!(refused, Err(AppError::NoSeat(_))), "{refused:?}");
    let seats = bed.driver.seats().await.unwrap();
    assert_eq!((seats.used, seats.limit), (2, Some(2)));
}

#[tokio::test]
async fn all_tokens_and_sessions_of_a_person_end_and_nobody_elses() {
    let bed = Bed::new(|_| ()).await;
    let (eve, admin) = (bed.id("eve"), bed.id("admin"));
    for name in ["eve", "eve", "admin"] {
        bed.app().issue_access_token(name);
        bed.app().open_session(name);
    }
    assert_eq!(bed.driver.revoke_tokens(&eve).await.unwrap(), 2);
    assert_eq!(bed.driver.revoke_tokens(&eve).await.unwrap(), 0);
    bed.driver.revoke_sessions(&eve).await.unwrap();
    bed.driver.revoke_sessions(&eve).await.unwrap();
    assert!(bed.app().access_tokens_of("eve").is_empty());
    assert!(bed.app().sessions_of("eve").is_empty());
    assert_eq!(bed.app().access_tokens_of(admin.as_str()).len(), 1);
    assert_eq!(bed.app().sessions_of("admin").len(), 1);
}

#[tokio::test]
async fn a_persons_bots_are_disabled_or_handed_over_and_no_others() {
    let bed = Bed::new(|_| ()).await;
    bed.app().create_bot("eves-bot", "Eve's", "eve");
    bed.app().create_bot("other-bot", "Other", "admin");
    let (eve, admin) = (bed.id("eve"), bed.id("admin"));
    let bots = bed.driver.bots_of(&eve).await.unwrap();
    let names: Vec<_> = bots.iter().map(|bot| bot.username.as_str()).collect();
    assert_eq!(names, ["eves-bot"]);
    let bot = bots[0].remote.clone();
    for _ in 0..2 {
        bed.driver.disable_bot(&bot).await.unwrap();
        assert_eq!(bed.app().bot("eves-bot"), Some((eve.to_string(), false)));
    }
    bed.driver.enable_bot(&bot).await.unwrap();
    for _ in 0..2 {
        bed.driver.hand_over_bot(&bot, &admin).await.unwrap();
        assert_eq!(bed.app().bot("eves-bot"), Some((admin.to_string(), true)));
    }
    // The server would take any of these for an owner but the bot.
    bed.app().deactivate("eve");
    let nobody = RemoteId::new("y".repeat(26)).unwrap();
    for owner in [&eve, &nobody, &bed.id("other-bot")] {
        let refused = bed.driver.hand_over_bot(&bot, owner).await;
        assert!(matches!(refused, Err(AppError::Refused(_))), "{refused:?}");
        assert_eq!(bed.app().bot("eves-bot"), Some((admin.to_string(), true)));
    }
}

#[tokio::test]
async fn the_bridges_own_bot_and_those_that_own_themselves_are_left_alone() {
    let bed = Bed::new(|_| ()).await;
    bed.app().create_user(NewUser {
        username: "converted".into(),
        bot: true,
        ..NewUser::default()
    });
    let (admin, own) = (bed.id("admin"), bed.id("pomerium-bridge"));
    let bots = bed.driver.bots_of(&admin).await.unwrap();
    assert!(bots.iter().any(|bot| bot.own && bot.remote == own));
    for bot in [own, bed.id("converted")] {
        for refused in [
            bed.driver.disable_bot(&bot).await,
            bed.driver.enable_bot(&bot).await,
        ] {
            assert!(matches!(refused, Err(AppError::NotOurs(_))), "{refused:?}");
        }
    }
    let refused = bed
        .driver
        .hand_over_bot(&bed.id("pomerium-bridge"), &bed.id("eve"))
        .await;
    assert!(matches!(refused, Err(AppError::NotOurs(_))), "{refused:?}");
    assert!(bed.app().bot("pomerium-bridge").unwrap().1);
    assert!(bed.app().bot("converted").unwrap().1);
}

#[tokio::test]
async fn nobody_is_deactivated_whose_going_would_take_a_kept_bot_along() {
    let bed = Bed::new(|options| options.disable_bots_when_owner_is_deactivated = true).await;
    bed.app().create_bot("service-bot", "Service", "eve");
    let order = DeactivateOrder {
        keep: vec![bed.id("service-bot")],
        ..DeactivateOrder::default()
    };
    let eve = bed.id("eve");
    let refused = bed.driver.deactivate(&eve, &order).await;
    assert!(
        matches!(&refused, Err(AppError::NotOurs(why)) if why.contains("service-bot")),
        "{refused:?}"
    );
    assert!(bed.app().user("eve").unwrap().is_active());
    // The bridge's own bot belongs to admin.
    let explicit = DeactivateOrder {
        privileged: true,
        ..DeactivateOrder::default()
    };
    let refused = bed.driver.deactivate(&bed.id("admin"), &explicit).await;
    assert!(
        matches!(&refused, Err(AppError::NotOurs(why)) if why.contains("pomerium-bridge")),
        "{refused:?}"
    );
    // With the setting that is advised nothing is lost.
    bed.app()
        .patch_config(&json!({"ServiceSettings": {"DisableBotsWhenOwnerIsDeactivated": false}}));
    assert!(bed.driver.deactivate(&eve, &order).await.is_ok());
    assert!(bed.app().bot("service-bot").unwrap().1);
}

#[tokio::test]
async fn memberships_come_and_go_and_each_order_may_be_repeated() {
    use MembershipKind::{Channel, ChannelAdmin, Team, TeamAdmin};
    let bed = Bed::new(|_| ()).await;
    bed.app().create_team("sales");
    bed.app().create_channel("sales", "deals");
    let eve = bed.id("eve");
    let all = [
        bed.target(Team, "sales").await,
        bed.target(Channel, "sales/deals").await,
        bed.target(TeamAdmin, "sales").await,
        bed.target(ChannelAdmin, "sales/deals").await,
    ];
    for target in &all {
        assert!(!bed.driver.has(&eve, target).await.unwrap(), "{target:?}");
        bed.driver.grant(&eve, target).await.unwrap();
        bed.driver.grant(&eve, target).await.unwrap();
        assert!(bed.driver.has(&eve, target).await.unwrap(), "{target:?}");
    }
    assert!(bed.app().is_team_admin("sales", "eve"));
    for target in all.iter().rev() {
        bed.driver.withdraw(&eve, target).await.unwrap();
        bed.driver.withdraw(&eve, target).await.unwrap();
        assert!(!bed.driver.has(&eve, target).await.unwrap(), "{target:?}");
    }
    let left = bed.app().user("eve").unwrap();
    assert!(
        left.teams.is_empty() && left.channels.is_empty(),
        "{left:?}"
    );
    // Never a member at all, where the server answers otherwise (recording 30).
    let other = bed.target(Team, "demo").await;
    bed.driver.withdraw(&eve, &other).await.unwrap();
}

#[tokio::test]
async fn what_a_membership_rests_on_is_not_made_up() {
    use MembershipKind::{Channel, ChannelAdmin, TeamAdmin};
    let bed = Bed::new(|_| ()).await;
    bed.app().create_channel("demo", "ops");
    let eve = bed.id("eve");
    // Removed from the team, the server still takes them for an administrator (recording 30).
    assert!(bed.app().add_to_team("demo", "eve"));
    assert!(bed.app().remove_from_team("demo", "eve"));
    for (kind, name) in [(TeamAdmin, "demo"), (ChannelAdmin, "demo/ops")] {
        let target = bed.target(kind, name).await;
        let refused = bed.driver.grant(&eve, &target).await;
        assert!(
            matches!(refused, Err(AppError::Refused(_))),
            "{kind}: {refused:?}"
        );
        assert!(!bed.driver.has(&eve, &target).await.unwrap());
    }
    let channel = bed.target(Channel, "demo/ops").await;
    assert!(bed.driver.grant(&eve, &channel).await.is_err());
}

#[tokio::test]
async fn places_that_are_missing_or_archived_are_named() {
    use MembershipKind::{Channel, Team};
    let bed = Bed::new(|_| ()).await;
    bed.app().create_team("old");
    bed.app().archive_team("old");
    for (kind, name, why) in [
        (Team, "none", "there is no team none"),
        (Team, "old", "archived"),
        (Channel, "demo/none", "there is no channel demo/none"),
        (Channel, "demo", "names no channel"),
    ] {
        let place = Place {
            kind,
            name: name.into(),
        };
        let refused = bed.driver.resolve(&place).await;
        assert!(
            matches!(&refused, Err(AppError::Refused(text)) if text.contains(why)),
            "{refused:?}"
        );
    }
}

#[tokio::test]
async fn a_full_team_is_told_from_other_refusals() {
    let bed = Bed::new(|options| options.max_users_per_team = 1).await;
    let demo = bed.target(MembershipKind::Team, "demo").await;
    let refused = bed.driver.grant(&bed.id("eve"), &demo).await;
    assert!(matches!(refused, Err(AppError::TeamFull(_))), "{refused:?}");
}

#[tokio::test]
async fn a_role_comes_and_goes_beside_others_and_the_last_administrator_stays() {
    let bed = Bed::new(|_| ()).await;
    let admin_role = bed.target(MembershipKind::SystemRole, "system_admin").await;
    let eve = bed.id("eve");
    bed.driver.grant(&eve, &admin_role).await.unwrap();
    bed.driver.grant(&eve, &admin_role).await.unwrap();
    assert!(bed.app().user("eve").unwrap().is_admin());
    bed.driver.withdraw(&eve, &admin_role).await.unwrap();
    bed.driver.withdraw(&eve, &admin_role).await.unwrap();
    assert_eq!(bed.app().user("eve").unwrap().roles, "system_user");
    let refused = bed.driver.withdraw(&bed.id("admin"), &admin_role).await;
    assert!(
        matches!(refused, Err(AppError::LastAdmin(_))),
        "{refused:?}"
    );
    // No bot, whatever is mapped.
    let bot = bed.id("pomerium-bridge");
    for refused in [
        bed.driver.grant(&bot, &admin_role).await,
        bed.driver.withdraw(&bot, &admin_role).await,
    ] {
        assert!(matches!(refused, Err(AppError::NotOurs(_))), "{refused:?}");
    }
    // A role that needs a licence.
    let manager = bed
        .target(MembershipKind::SystemRole, "system_user_manager")
        .await;
    let refused = bed.driver.grant(&eve, &manager).await;
    assert!(matches!(refused, Err(AppError::Refused(_))), "{refused:?}");
}

#[tokio::test]
async fn who_takes_a_seat_is_listed_with_their_activity_and_bots_are_not() {
    let bed = Bed::new(|_| ()).await;
    bed.app().create_user(NewUser {
        username: "gone".into(),
        deactivated: true,
        ..NewUser::default()
    });
    bed.app().create_user(NewUser {
        username: "remote".into(),
        remote_id: "r".repeat(26),
        ..NewUser::default()
    });
    bed.app().set_active_at("eve", 1_795_000_000_500);
    let page = bed.driver.holders(0).await.unwrap();
    assert!(page.last);
    let seen: Vec<_> = page
        .holders
        .iter()
        .map(|h| {
            (
                h.username.as_str(),
                h.privileged,
                h.active_at.map(|at| at.0),
            )
        })
        .collect();
    assert_eq!(
        seen,
        [("admin", true, None), ("eve", false, Some(1_795_000_000))]
    );
}

#[tokio::test]
async fn an_account_that_is_gone_is_none_and_no_error() {
    let bed = Bed::new(|_| ()).await;
    let nobody = RemoteId::new("y".repeat(26)).unwrap();
    assert_eq!(bed.driver.look(&nobody).await.unwrap(), None);
    let gone = bed.driver.deactivate(&nobody, &by_nobodys_word()).await;
    assert!(matches!(gone, Err(AppError::Gone)), "{gone:?}");
    assert!(matches!(
        bed.driver.reactivate(&nobody).await,
        Err(AppError::Gone)
    ));
}
