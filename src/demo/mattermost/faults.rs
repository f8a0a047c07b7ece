//! Ways to go wrong on purpose.

use std::time::Duration;

use parking_lot::Mutex;

/// What happens to a request whose path begins with the prefix given to
/// [`StandIn::set_fault`](super::StandIn::set_fault).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Nothing; takes back an earlier fault of the same prefix.
    None,
    /// The request is read and never answered.
    Hang,
    /// This status and body (JSON when it begins with `{`, else text), nothing done.
    Status(u16, String),
    /// 429 with `Retry-After` in seconds.
    RateLimited(u64),
    /// 502 with an HTML page, as a proxy in between would write it.
    Html,
    /// A head that promises 1,000 bytes, ten of them, then the connection is closed.
    CloseMidBody,
    /// The connection is closed before the request is looked at.
    CloseBefore,
    /// The request is carried out and the connection closed instead of answering.
    DropAfter,
    /// The request is carried out after this time.
    Slow(Duration),
    /// As [`Fault::Slow`], for `POST /api/v4/users` only.
    SlowCreate(Duration),
    /// As [`Fault::Slow`], for `POST /api/v4/users/login` only.
    SlowLogin(Duration),
    /// Every login gets the masked 401 and counts nothing.
    RefuseLogin,
    /// As [`Fault::DropAfter`], for `POST /api/v4/users` only: the account exists, nobody was told.
    DropAfterCreate,
}

struct Rule {
    prefix: String,
    fault: Fault,
    left: Option<u32>,
}

/// The faults in force, in the order they were set.
#[derive(Default)]
pub(super) struct Faults {
    rules: Mutex<Vec<Rule>>,
}

impl Faults {
    pub(super) fn set(&self, fault: Fault, prefix: &str, times: Option<u32>) {
        let mut rules = self.rules.lock();
        rules.retain(|rule| rule.prefix != prefix);
        if fault != Fault::None {
            rules.push(Rule {
                prefix: prefix.to_owned(),
                fault,
                left: times,
            });
        }
    }

    pub(super) fn clear(&self) {
        self.rules.lock().clear();
    }

    /// The fault for this request; uses up one of its times.
    pub(super) fn take(&self, method: &str, path: &str) -> Fault {
        let create = method == "POST" && path == "/api/v4/users";
        let login = method == "POST" && path == "/api/v4/users/login";
        let mut rules = self.rules.lock();
        let found = rules.iter_mut().find(|rule| {
            path.starts_with(&rule.prefix)
                && rule.left != Some(0)
                && match rule.fault {
                    Fault::SlowCreate(_) | Fault::DropAfterCreate => create,
                    Fault::SlowLogin(_) | Fault::RefuseLogin => login,
                    _ => true,
                }
        });
        match found {
            None => Fault::None,
            Some(rule) => {
                if let Some(left) = &mut rule.left {
                    *left -= 1;
                }
                rule.fault.clone()
            }
        }
    }
}
