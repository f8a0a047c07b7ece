//! The controls over HTTP, for programs that run elsewhere: `POST /-/do` with
//! `{"do": "disable", "user": 7}` and the like. Never a path of the real one.

use std::time::Duration;

use serde::Deserialize;
use serde_json::json;

use super::answer::{Answer, Refusal, Reply};
use super::controls::{NewPerson, StandIn};
use super::faults::Fault;

#[derive(Deserialize)]
#[serde(tag = "do", rename_all = "kebab-case")]
enum Order {
    Create {
        username: String,
        #[serde(default)]
        groups: Vec<String>,
    },
    CreateGroup {
        name: String,
    },
    Seed {
        people: usize,
        groups: usize,
    },
    Disable {
        user: i64,
    },
    Enable {
        user: i64,
    },
    Delete {
        user: i64,
    },
    Join {
        user: i64,
        group: String,
    },
    Leave {
        user: i64,
        group: String,
    },
    LoseHooks {
        lost: bool,
    },
    Unlist {
        users: Vec<i64>,
    },
    Permissions {
        user: i64,
        global: Vec<String>,
    },
    ExpireToken {
        identifier: String,
        seconds: i64,
    },
    Fault {
        prefix: String,
        /// A status; 0: never answered; absent: nothing goes wrong any more.
        status: Option<u16>,
        times: Option<u32>,
    },
    Slow {
        prefix: String,
        millis: u64,
    },
}

/// `POST /-/do`.
pub(super) fn order(app: &StandIn, body: &[u8]) -> Answer {
    let order: Order =
        serde_json::from_slice(body).map_err(|error| Refusal::field("do", error.to_string()))?;
    let mut done = json!({});
    match order {
        Order::Create { username, groups } => {
            if app.user_id(&username).is_some() {
                return Err(Refusal::field("username", "This field must be unique."));
            }
            let pk = app.create(&NewPerson {
                groups,
                ..NewPerson::named(&username)
            });
            done = json!({ "pk": pk, "uid": app.uid(pk) });
        }
        Order::CreateGroup { name } => done = json!({ "pk": app.create_group(&name) }),
        Order::Seed { people, groups } => {
            done = json!({ "people": app.seed(people, groups).len() })
        }
        Order::Disable { user } => app.set_active(user, false),
        Order::Enable { user } => app.set_active(user, true),
        Order::Delete { user } => app.delete(user),
        Order::Join { user, group } => app.join(user, &group),
        Order::Leave { user, group } => app.leave(user, &group),
        Order::LoseHooks { lost } => app.lose_hooks(lost),
        Order::Unlist { users } => app.unlist(&users),
        Order::Permissions { user, global } => {
            let global: Vec<&str> = global.iter().map(String::as_str).collect();
            app.set_permissions(user, &global, &[]);
        }
        Order::ExpireToken {
            identifier,
            seconds,
        } => app.expire_token(&identifier, seconds),
        Order::Fault {
            prefix,
            status,
            times,
        } => {
            let fault = match status {
                None => Fault::None,
                Some(0) => Fault::Hang,
                Some(429) => Fault::RateLimited(1),
                Some(status) => Fault::Status(status, "{\"detail\":\"On purpose.\"}".into()),
            };
            app.set_fault(fault, &prefix, times);
        }
        Order::Slow { prefix, millis } => {
            app.set_fault(Fault::Slow(Duration::from_millis(millis)), &prefix, None);
        }
    }
    Ok(Reply::ok(done))
}
