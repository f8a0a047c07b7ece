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
    /// 200 with more bytes than anybody should read.
    Endless,
    /// A head that promises 1,000 bytes, ten of them, then the connection is closed.
    CloseMidBody,
    /// The connection is closed before the request is looked at.
    CloseBefore,
    /// The request is carried out and the connection closed instead of answering.
    DropAfter,
    /// The request is carried out after this time.
    Slow(Duration),
    /// 302 to this address.
    Redirect(String),
}

struct Rule {
    prefix: String,
    fault: Fault,
    left: Option<u32>,
    /// So many requests pass first.
    spared: u32,
}

/// The faults in force, in the order they were set.
#[derive(Default)]
pub(super) struct Faults {
    rules: Mutex<Vec<Rule>>,
}

impl Faults {
    pub(super) fn set(&self, fault: Fault, prefix: &str, spared: u32, times: Option<u32>) {
        let mut rules = self.rules.lock();
        rules.retain(|rule| rule.prefix != prefix);
        if fault != Fault::None {
            rules.push(Rule {
                prefix: prefix.to_owned(),
                fault,
                left: times,
                spared,
            });
        }
    }

    pub(super) fn clear(&self) {
        self.rules.lock().clear();
    }

    /// The fault for this request; uses up one of its times.
    pub(super) fn take(&self, path: &str) -> Fault {
        let mut rules = self.rules.lock();
        let found = rules
            .iter_mut()
            .find(|rule| path.starts_with(&rule.prefix) && rule.left != Some(0));
        let Some(rule) = found else {
            return Fault::None;
        };
        if rule.spared > 0 {
            rule.spared -= 1;
            return Fault::None;
        }
        if let Some(left) = &mut rule.left {
            *left -= 1;
        }
        rule.fault.clone()
    }
}
