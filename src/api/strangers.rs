//! Callers that nobody knows: how many lines their refusals are worth. Whoever reaches the listener
//! could fill the disk with one line a request; so an address has [`LINES`] of them a [`PERIOD`], and
//! what is left out is counted, and said with the next line or when the address has been quiet. The
//! metric of refusals counts each.

use parking_lot::Mutex;
use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::time::Duration;
use tokio::time::Instant;

/// Lines of one address a [`PERIOD`]: enough to see each way in which a service is set up wrongly.
const LINES: u32 = 10;
/// See [`LINES`].
const PERIOD: Duration = Duration::from_secs(60);
/// Addresses remembered: 128 KiB. All others share one entry.
const MOST: usize = 1024;

/// Who was refused lately without being known.
#[derive(Debug, Default)]
pub struct Strangers(Mutex<Inner>);

#[derive(Debug, Default)]
struct Inner {
    /// By address; `None`: those that found no place, and connections that have none.
    seen: HashMap<Option<IpAddr>, Tally>,
    swept: Option<Instant>,
}

#[derive(Debug)]
struct Tally {
    since: Instant,
    lines: u32,
    /// Left out since the last line.
    more: u64,
}

/// What an address's refusal is worth.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Worth {
    /// A line, which says how many were left out before it; `None`: this one is left out.
    pub line: Option<u64>,
    /// Addresses that have been quiet since, and how many of theirs were left out.
    pub quiet: Vec<(Option<IpAddr>, u64)>,
}

impl Strangers {
    /// Counts a refusal.
    pub fn refused(&self, from: Option<IpAddr>, now: Instant) -> Worth {
        let mut inner = self.0.lock();
        let mut worth = Worth {
            quiet: inner.sweep(now),
            line: None,
        };
        let from = from.map(network);
        let place = match inner.seen.contains_key(&from) || inner.seen.len() < MOST {
            true => from,
            false => None,
        };
        let tally = inner.seen.entry(place).or_insert(Tally {
            since: now,
            lines: 0,
            more: 0,
        });
        if now.duration_since(tally.since) >= PERIOD {
            tally.since = now;
            tally.lines = 0;
        }
        if tally.lines < LINES {
            tally.lines += 1;
            worth.line = Some(std::mem::take(&mut tally.more));
        } else {
            tally.more += 1;
        }
        worth
    }
}

impl Inner {
    /// Once a period: forgets who has been quiet for one.
    fn sweep(&mut self, now: Instant) -> Vec<(Option<IpAddr>, u64)> {
        let lately = |at: &Instant| now.duration_since(*at) < PERIOD;
        if self.swept.as_ref().is_some_and(lately) {
            return Vec::new();
        }
        self.swept = Some(now);
        let over = |tally: &Tally| now.duration_since(tally.since) >= 2 * PERIOD;
        let gone = self.seen.extract_if(|_, tally| over(tally));
        let gone = gone.map(|(from, tally)| (from, tally.more));
        gone.filter(|(_, more)| *more > 0).collect()
    }
}

/// Whose an address is: in IPv6 a host has 2^64 of them.
fn network(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(_) => address,
        IpAddr::V6(v6) => match v6.to_ipv4_mapped() {
            Some(v4) => IpAddr::V4(v4),
            None => IpAddr::V6(Ipv6Addr::from_bits(v6.to_bits() >> 64 << 64)),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(n: u32) -> Option<IpAddr> {
        Some(IpAddr::V4(n.into()))
    }

    #[test]
    fn t40_a_storm_of_one_address_is_a_few_lines_a_minute_and_all_of_it_is_counted() {
        let (strangers, begin) = (Strangers::default(), Instant::now());
        let (mut lines, mut left_out) = (0, 0);
        for second in 0..600 {
            for _ in 0..100 {
                let now = begin + Duration::from_secs(second);
                let worth = strangers.refused(address(1), now);
                lines += u64::from(worth.line.is_some());
                left_out += worth.line.unwrap_or_default();
            }
        }
        assert_eq!(lines, 100);
        // Somebody else has lines of their own, and the first one's rest is said.
        let later = begin + Duration::from_secs(900);
        let worth = strangers.refused(address(2), later);
        assert_eq!(worth.line, Some(0));
        let [(from, rest)] = worth.quiet[..] else {
            panic!("{worth:?}")
        };
        assert_eq!(from, address(1));
        assert_eq!(lines + left_out + rest, 60_000);
    }

    #[test]
    fn t40_a_storm_of_many_addresses_is_bounded() {
        let (strangers, now) = (Strangers::default(), Instant::now());
        let said = (0..100_000).filter(|n| strangers.refused(address(*n), now).line.is_some());
        assert_eq!(said.count(), MOST + LINES as usize);
        assert_eq!(strangers.0.lock().seen.len(), MOST + 1);
    }

    #[test]
    fn addresses_of_one_host_are_one() {
        let of = |text: &str| network(text.parse().unwrap());
        assert_eq!(of("2001:db8::1"), of("2001:db8::ffff:0:0:2"));
        assert_ne!(of("2001:db8::1"), of("2001:db8:0:1::1"));
        assert_eq!(of("::ffff:192.0.2.1"), of("192.0.2.1"));
        assert_ne!(of("192.0.2.1"), of("192.0.2.2"));
    }
}
