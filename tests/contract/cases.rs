//! Which recordings are played, what each needs, and which exchanges are left out with the reason.

use auth_manager::demo::mattermost::NewUser;
use futures_util::future::BoxFuture;
use serde_json::json;

use crate::compare::Body;
use crate::replay::{Before, Case, Stage};

const ANN: &str = "s7iesyh6kpyz8fggtygtd44u3e";
const BOB: &str = "jdnxtzhhd385bmcmoa7f5chd8h";
const CARL: &str = "7fdokop4pbbuix8uuwy8mrynpc";
const DORA: &str = "o9498ems6bbm3khpj1xhe48fia";
const HOUR: i64 = 3_600_000;

/// Turns a block into something a table can hold.
macro_rules! before {
    (|$stage:ident| $body:block) => {{
        fn run<'a>($stage: &'a mut Stage) -> BoxFuture<'a, ()> {
            Box::pin(async move { $body })
        }
        run as Before
    }};
}

async fn bob(stage: &mut Stage) {
    stage
        .user(
            BOB,
            json!({
                "email": "bob@example.test", "username": "bob", "password": "Init-pass-bob1",
                "first_name": "Bob", "last_name": "Roe", "nickname": "bobby", "position": "dev",
                "locale": "de",
            }),
        )
        .await;
    stage.app.add_to_team("alpha", "bob");
}

async fn carl(stage: &mut Stage) {
    let body =
        json!({"email": "carl@example.test", "username": "carl", "password": "Init-pass-carl1"});
    stage.user(CARL, body).await;
    stage.app.add_to_team("alpha", "carl");
}

/// Lets a session of bob's be this old, counted from its last extension.
fn age(stage: &Stage, hours_times_ten: i64) {
    let token = stage.live("s73ju913ftfxuroh8693dffawc");
    stage.app.age_session(&token, hours_times_ten * HOUR / 10);
}

pub(crate) const BOOTSTRAP: Case = Case {
    file: "01-bootstrap.json",
    before: &[],
    skipped: &[],
    bodies: &[],
};

pub(crate) const USERS: Case = Case {
    file: "02-users-and-login.json",
    before: &[],
    skipped: &[],
    bodies: &[],
};

pub(crate) const LOCK_OUT: Case = Case {
    file: "03-lock-out.json",
    before: &[(
        17,
        before!(|stage| { stage.app.set_failed_attempts("carl", 10) }),
    )],
    skipped: &[],
    bodies: &[],
};

pub(crate) const TOKEN_AND_CSRF: Case = Case {
    file: "05-token-and-csrf.json",
    before: &[(
        0,
        before!(|stage| {
            bob(stage).await;
            stage
                .session(
                    "s73ju913ftfxuroh8693dffawc",
                    "86y1d4oamjbk58jkt81y9tgmfh",
                    BOB,
                )
                .await;
            stage.session("pj7qwj49gbrwtj7nsb6umj4d8o", "", BOB).await;
        }),
    )],
    skipped: &[],
    bodies: &[],
};

pub(crate) const EXTENSION: Case = Case {
    file: "06-session-extension.json",
    before: &[
        (
            0,
            before!(|stage| {
                stage.official_package();
                bob(stage).await;
                stage
                    .session(
                        "s73ju913ftfxuroh8693dffawc",
                        "86y1d4oamjbk58jkt81y9tgmfh",
                        BOB,
                    )
                    .await;
                stage.session("r7fsqefq3trtf8ubcwp6y7pswr", "", BOB).await;
                stage.session("j1ocp9isdtb17qtxu56j8negoy", "", BOB).await;
            }),
        ),
        (1, before!(|stage| { age(stage, 71) })),
        (2, before!(|stage| { age(stage, 2) })),
        (4, before!(|stage| { age(stage, 73) })),
        (5, before!(|stage| { age(stage, 73) })),
        (7, before!(|stage| { age(stage, 73) })),
        (
            19,
            before!(|stage| {
                let token = stage.live("j1ocp9isdtb17qtxu56j8negoy");
                stage.app.expire_session(&token);
            }),
        ),
    ],
    skipped: &[],
    bodies: &[(5, Body::Shape), (6, Body::Shape), (20, Body::Shape)],
};

pub(crate) const SOCKETS: Case = Case {
    file: "07-websocket-basics.json",
    before: &[(0, before!(|stage| { stage.official_package() }))],
    skipped: &[],
    bodies: &[],
};

pub(crate) const RESUME: Case = Case {
    file: "08-websocket-resume.json",
    before: &[],
    skipped: &[
        (
            0,
            "the sequence numbers hold presence events of the recorder's other sockets",
        ),
        (
            1,
            "as 0; resuming is tested in resume_sends_what_was_missed",
        ),
        (2, "as 0, for another user"),
    ],
    bodies: &[],
};

const SIDE: &str = "the other side of the socket before it, done while that one is played";
const OUTSIDE: &str =
    "what happens meanwhile comes over HTTP; tested in sessions_end_under_sockets";

pub(crate) const SOCKETS_END: Case = Case {
    file: "09-websocket-session-end.json",
    before: &[(
        0,
        before!(|stage| {
            stage.official_package();
            bob(stage).await;
            carl(stage).await;
        }),
    )],
    skipped: &[
        (1, SIDE),
        (3, SIDE),
        (4, OUTSIDE),
        (5, OUTSIDE),
        (6, OUTSIDE),
        (7, OUTSIDE),
        (8, OUTSIDE),
        (9, OUTSIDE),
        (10, OUTSIDE),
        (11, OUTSIDE),
        (12, OUTSIDE),
        (13, OUTSIDE),
        (14, OUTSIDE),
        (15, OUTSIDE),
        (17, SIDE),
        (19, SIDE),
        (
            20,
            "the real server sends each event twice to a socket that changed its user",
        ),
        (21, SIDE),
        (23, SIDE),
    ],
    bodies: &[],
};

pub(crate) const LOGOUT: Case = Case {
    file: "11-logout-revoke-deactivate.json",
    before: &[
        (
            0,
            before!(|stage| {
                stage.official_package();
                let body = json!({"email": "dora@example.test", "username": "dora", "password": "Init-pass-dora1"});
                stage.user(DORA, body).await;
                stage
                    .session(
                        "6rz98esp4pb6mxdd63xfmp8hdc",
                        "o9o4trhgqjdaxxwj63xbpsqobw",
                        DORA,
                    )
                    .await;
                stage
                    .session(
                        "msa4ewt5ptym8m9s9jeup3opgy",
                        "ozrsxrfg8jdqby3jqmai9iqteo",
                        DORA,
                    )
                    .await;
                stage
                    .session(
                        "sdhrk4zirpygtpgznreiurcwxe",
                        "jcpop7jcwp8bbdka1bgdoaatky",
                        DORA,
                    )
                    .await;
            }),
        ),
        (
            16,
            before!(|stage| { stage.session("54ghz95oapytdxfhii7mw85hze", "", DORA).await }),
        ),
        (
            20,
            before!(|stage| { stage.session("e98pdktaytfm7qec1bsdad7gqy", "", DORA).await }),
        ),
        (
            36,
            before!(|stage| {
                stage.app.reactivate("dora");
                stage.session("dgjmqaxdb3r97d84rfah4ezusy", "", DORA).await;
            }),
        ),
    ],
    skipped: &[],
    bodies: &[],
};

pub(crate) const AUTH_SERVICE: Case = Case {
    file: "12-auth-service.json",
    before: &[(
        0,
        before!(|stage| {
            stage.official_package();
            let body = json!({
                "email": "gina@example.test", "username": "gina", "password": "Init-pass-gina1",
                "email_verified": true,
            });
            stage.user("dniweg3y3ibtdp85uoi8q9eunc", body).await;
        }),
    )],
    skipped: &[],
    bodies: &[],
};

pub(crate) const TEAMS: Case = Case {
    file: "13-teams-and-channels.json",
    before: &[
        (
            0,
            before!(|stage| {
                stage.official_package();
                bob(stage).await;
                carl(stage).await;
                for (id, name) in [
                    ("z5zkbf3bnirbxcw1sqztzw3w4e", "teama"),
                    ("sm8jofim4pgxpqdx1h9hfg1k9y", "teamb"),
                    ("1dopwktayfbqzra9s3ctkny8ba", "teamc"),
                    ("ewxzep7ciiyfuym3s6eqjwurcw", "teamd"),
                    ("qkkymrm6d7rtzyhbd5e1nimu1c", "teame"),
                ] {
                    let email = format!("{name}@example.test");
                    let body =
                        json!({"email": email, "username": name, "password": "Init-pass-team1"});
                    stage.user(id, body).await;
                }
                stage
                    .session(
                        "sk9dy95cgb8xbfccn318tj3s4w",
                        "",
                        "z5zkbf3bnirbxcw1sqztzw3w4e",
                    )
                    .await;
            }),
        ),
        (
            39,
            before!(|stage| {
                stage
                    .app
                    .patch_config(&json!({"TeamSettings": {"MaxUsersPerTeam": 5}}));
            }),
        ),
        (
            42,
            before!(|stage| {
                stage
                    .app
                    .patch_config(&json!({"TeamSettings": {"MaxUsersPerTeam": 50}}));
                stage.app.deactivate("teame");
            }),
        ),
    ],
    skipped: &[],
    bodies: &[],
};

pub(crate) const USER_LIMIT: Case = Case {
    file: "14-user-limit.json",
    before: &[(
        0,
        before!(|stage| {
            stage.official_package();
            let body = json!({"email": "teama@example.test", "username": "teama", "password": "Init-pass-teama1"});
            stage.user("z5zkbf3bnirbxcw1sqztzw3w4e", body).await;
            let away = stage.app.create_user(NewUser {
                username: "teame".into(),
                deactivated: true,
                ..NewUser::default()
            });
            stage.names.learn("qkkymrm6d7rtzyhbd5e1nimu1c", &away);
            let people = |stage: &Stage| {
                stage
                    .app
                    .users()
                    .iter()
                    .filter(|user| user.is_active() && !user.is_bot)
                    .count()
            };
            while people(stage) < 249 {
                let username = format!("filler{}", people(stage));
                stage.app.create_user(NewUser {
                    username,
                    ..NewUser::default()
                });
            }
        }),
    )],
    skipped: &[],
    bodies: &[],
};

async fn with_files(stage: &mut Stage) {
    stage.official_package();
    bob(stage).await;
    stage
        .session(
            "aojrqhkwn38r8mu5arw9wzdp8r",
            "kwhye1qqptbsuc36ndsqziduih",
            BOB,
        )
        .await;
}

pub(crate) const FILES: Case = Case {
    file: "15-files-and-hooks.json",
    before: &[
        (0, before!(|stage| { with_files(stage).await })),
        (
            16,
            before!(|stage| {
                stage
                    .app
                    .patch_config(&json!({"FileSettings": {"MaxFileSize": 1 << 20}}));
            }),
        ),
        (
            30,
            before!(|stage| {
                stage
                    .app
                    .patch_config(&json!({"ServiceSettings": {"EnableIncomingWebhooks": false}}));
            }),
        ),
    ],
    skipped: &[],
    bodies: &[],
};

pub(crate) const TRANSPORT: Case = Case {
    file: "16-transport.json",
    before: &[(
        0,
        before!(|stage| {
            with_files(stage).await;
            // The recorded server had a file of the recorder's; the stand-in has its own.
            stage.names.learn("/static/lab.js", "/static/demo.js");
        }),
    )],
    skipped: &[],
    bodies: &[
        (8, Body::Ignored),
        (10, Body::Ignored),
        (17, Body::Shape),
        (18, Body::Shape),
        (19, Body::Shape),
    ],
};

pub(crate) const PATCH: Case = Case {
    file: "19-user-patch.json",
    before: &[(
        0,
        before!(|stage| {
            stage.official_package();
            for (id, name) in [
                ("q3w8x1h6hbnstkbu35oukoz5ur", "paul"),
                ("zmer76ub3py6id3x1c466wsj5c", "quinn"),
            ] {
                let (email, password) =
                    (format!("{name}@example.test"), format!("Init-pass-{name}1"));
                stage
                    .user(
                        id,
                        json!({"email": email, "username": name, "password": password}),
                    )
                    .await;
            }
            stage
                .session(
                    "6urpsbeffp887dj5pjp1fjiape",
                    "",
                    "q3w8x1h6hbnstkbu35oukoz5ur",
                )
                .await;
        }),
    )],
    skipped: &[],
    bodies: &[],
};

const PLUGIN_OWN: &str = "what the recorder's plugin did beyond echoing";

pub(crate) const PLUGINS: Case = Case {
    file: "20-plugin-routes.json",
    before: &[(
        0,
        before!(|stage| {
            stage.official_package();
            stage
                .app
                .patch_config(&json!({"PluginSettings": {"Enable": true}}));
            bob(stage).await;
            stage
                .session(
                    "chixe4c8b3npdx3oyndtqobcew",
                    "7ny3tax8pjg6xdptwhz8bx1dee",
                    BOB,
                )
                .await;
        }),
    )],
    skipped: &[
        (14, PLUGIN_OWN),
        (15, "every plugin name is the echo here"),
        (16, PLUGIN_OWN),
        (17, PLUGIN_OWN),
        (18, PLUGIN_OWN),
        (19, PLUGIN_OWN),
        (20, PLUGIN_OWN),
        (21, PLUGIN_OWN),
        (22, PLUGIN_OWN),
        (23, PLUGIN_OWN),
        (24, PLUGIN_OWN),
    ],
    bodies: &[],
};

pub(crate) const ACCESS_TOKENS: Case = Case {
    file: "21-personal-access-token.json",
    before: &[(
        0,
        before!(|stage| {
            stage.official_package();
            bob(stage).await;
            stage
                .app
                .patch_config(&json!({"ServiceSettings": {"EnableUserAccessTokens": true}}));
        }),
    )],
    skipped: &[],
    bodies: &[(6, Body::Shape)],
};

const BOTS_BEFORE: &str =
    "needs a bot with a token made by another administrator between exchanges";

pub(crate) const BOTS: Case = Case {
    file: "25-bot-life.json",
    before: &[
        (
            0,
            before!(|stage| {
                stage.official_package();
                bob(stage).await;
                stage
                    .app
                    .patch_config(&json!({"ServiceSettings": {"EnableBotAccountCreation": true}}));
                let owner = stage.app.create_user(NewUser {
                    username: "owner2".into(),
                    roles: "system_user system_admin".into(),
                    ..NewUser::default()
                });
                stage.names.learn("bndwt9fe9fdw9riouitffrfqwh", &owner);
                stage
                    .session(
                        "tdiej4ujn3bz5rgr8gx87518ro",
                        "",
                        "bndwt9fe9fdw9riouitffrfqwh",
                    )
                    .await;
            }),
        ),
        (
            1,
            before!(|stage| {
                let bot = stage.live("gihcb5zjji8uxem97r395bfmse");
                stage.app.set_roles(&bot, "system_user system_admin");
                let (id, token) = stage.app.issue_access_token(&bot).expect("the bot exists");
                stage.names.learn("961gotce9bnp8bb978gk7c8itr", &id);
                stage.names.learn("fg7pj1qqk3fhupedcddc8nyaky", &token);
            }),
        ),
        (
            9,
            before!(|stage| {
                let bot = stage.live("gihcb5zjji8uxem97r395bfmse");
                stage.app.reactivate(&bot);
            }),
        ),
        (
            14,
            before!(|stage| {
                stage.app.create_user(NewUser {
                    username: "second".into(),
                    roles: "system_user system_admin".into(),
                    ..NewUser::default()
                });
            }),
        ),
        (
            20,
            before!(|stage| {
                let bot = stage.app.create_user(NewUser {
                    username: "local-bot3".into(),
                    email: "lob3@example.test".into(),
                    roles: "system_user system_admin".into(),
                    bot: true,
                    ..NewUser::default()
                });
                stage.names.learn("xkmz73nz6jf6xeuunouoowuxuw", &bot);
                let (_, token) = stage.app.issue_access_token(&bot).expect("the bot exists");
                stage.names.learn("jubtombdhfggfcxyfi1uey4sho", &token);
                stage.app.patch_config(
                    &json!({"ServiceSettings": {"DisableBotsWhenOwnerIsDeactivated": false}}),
                );
            }),
        ),
    ],
    skipped: &[
        (
            20,
            "a converted person keeps remote_id, a bot made as one has none; only made ones here",
        ),
        (24, "as 20, after coming back"),
        (
            25,
            "never answered; tested in a_bot_that_owns_itself_never_comes_back",
        ),
        (27, BOTS_BEFORE),
    ],
    bodies: &[],
};

/// Ids of recording 30 that recording 01 has not.
const OLGA: &str = "djz9nnobwfbjxk5dz1ui3nbjaa";
const OLGAS_BOT: &str = "ygt6q3e3ubfmbj4ks4buruy9dc";

pub(crate) const PROVISIONING: Case = Case {
    file: "30-provisioning.json",
    before: &[
        (
            0,
            before!(|stage| {
                stage
                    .app
                    .patch_config(&json!({"ServiceSettings": {"EnableUserAccessTokens": true}}));
                let body = json!({"email": "olga@example.test", "username": "olga", "password": "Init-pass-olga1"});
                stage.user(OLGA, body).await;
                let bot = stage.app.create_bot("olgas-bot", "Olga's", "olga");
                stage.names.learn(OLGAS_BOT, &bot);
            }),
        ),
        (
            43,
            before!(|stage| {
                let ops = stage.app.create_channel("alpha", "ops").expect("a channel");
                stage.names.learn("8kifnuxc6pb8jymekze9iif1so", &ops);
            }),
        ),
        (
            59,
            before!(|stage| {
                let old = stage.app.create_team("old");
                stage.names.learn("of4m5gjd97d9zfdxjs8jqdcsye", &old);
                stage.app.archive_team("old");
            }),
        ),
        (
            61,
            before!(|stage| {
                let people = |stage: &Stage| {
                    let all = stage.app.users();
                    all.iter()
                        .filter(|user| user.is_active() && !user.is_bot)
                        .count()
                };
                while people(stage) < 250 {
                    let username = format!("filler{}", people(stage));
                    stage.app.create_user(NewUser {
                        username,
                        ..NewUser::default()
                    });
                }
            }),
        ),
    ],
    skipped: &[],
    bodies: &[
        // The bridge's own bot lacks `last_password_update` there, and nowhere else; 1 is the list again.
        (0, Body::Ignored),
        // Made otherwise here.
        (43, Body::Shape),
        (59, Body::Shape),
        // The recorder counted a mention.
        (47, Body::Shape),
        (49, Body::Shape),
    ],
};

/// Users that sockets of recording 07 belong to.
pub(crate) async fn socket_users(stage: &mut Stage) {
    let ann = stage.live(ANN);
    stage.app.add_to_team("alpha", &ann);
    bob(stage).await;
}

/// Everything, for the count of what is left out.
pub(crate) const ALL: &[&Case] = &[
    &BOOTSTRAP,
    &USERS,
    &LOCK_OUT,
    &TOKEN_AND_CSRF,
    &EXTENSION,
    &SOCKETS,
    &RESUME,
    &SOCKETS_END,
    &LOGOUT,
    &AUTH_SERVICE,
    &TEAMS,
    &USER_LIMIT,
    &FILES,
    &TRANSPORT,
    &PATCH,
    &PLUGINS,
    &ACCESS_TOKENS,
    &BOTS,
    &PROVISIONING,
];
