//! [`ReplayTable`]: which assertions were used, in memory that never grows.
//!
//! Pomerium mints a fresh `jti` for each request; the only honest repetition is Envoy's retry of
//! an identical request, at most four in all (recordings/pomerium, difference 21). So a `jti` is
//! good for four uses within 30 s by the same method, path and (sub, sid), and for nothing else
//! while it lives. Per replica, defence in depth: signature and lifetime are checked before.
//!
//! Each entry is 32 bytes in a bucket of eight; buckets lie in 64 locked shards whose memory is
//! asked for at first use. A full bucket gives up the entry that would expire first, and counts.

use super::{Assertion, Verified};
use crate::config::ReplayMode;
use crate::error::{Code, Refusal};
use crate::types::{ClientId, Timestamp};
use http::Method;
use parking_lot::Mutex;
use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Uses of one assertion in all: one request and Envoy's three retries.
const MAX_USES: u64 = 4;
/// How long after the first use a retry may come, in seconds.
const RETRY_WINDOW: u64 = 30;
/// Most uses that an entry has room for.
const MOST_USES: u64 = 0xff;
const SHARDS: usize = 64;
const WAYS: usize = 8;

/// What the table says about one use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReplayVerdict {
    /// `replay = "off"`: not looked at.
    Ignored,
    /// Never seen.
    First,
    /// The n-th use by the very same request: a retry.
    Retry(u8),
    /// A replay, with `replay = "count"`: counted, let through.
    Counted,
    /// A replay, with `replay = "enforce"`: refuse it (`Code::AssertionReplayed`).
    Refused,
}

impl ReplayVerdict {
    /// The verdict as a station needs it.
    ///
    /// # Errors
    /// When the use is refused.
    pub fn admit(self) -> Result<(), Refusal> {
        match self {
            Self::Refused => Err(Refusal::new(
                Code::AssertionReplayed,
                "its jti was used by another request, too often or too long ago",
            )),
            Self::Ignored | Self::First | Self::Retry(_) | Self::Counted => Ok(()),
        }
    }
}

/// Counters since the start.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ReplayStats {
    /// Retries let through.
    pub retries: u64,
    /// Replays found, refused or not.
    pub replays: u64,
    /// Living entries that had to make place: above zero the table is too small.
    pub overflows: u64,
}

/// Remembers used assertions of one issuer.
pub struct ReplayTable {
    mode: ReplayMode,
    leeway: Duration,
    /// Uses in all, and how long after the first one they may come, in seconds.
    uses: u64,
    window: u64,
    buckets: usize,
    shards: Box<[Mutex<Vec<Entry>>]>,
    hasher: RandomState,
    retries: AtomicU64,
    replays: AtomicU64,
    overflows: AtomicU64,
}

/// `[jti, jti, use, first seen << 32 | lifetime << 8 | uses]`; all zero is empty. Plain integers,
/// since the allocator hands out zeroed pages for them untouched.
type Entry = [u64; 4];

impl ReplayTable {
    /// A table of about `entries` entries of 32 bytes; `leeway` is the verifier's.
    #[must_use]
    pub fn new(mode: ReplayMode, entries: usize, leeway: Duration) -> Self {
        Self::with(mode, entries, leeway, MAX_USES, RETRY_WINDOW)
    }

    /// A table of assertions that clients pass on: each may do so `uses` times while it lives, and
    /// no other client may.
    #[must_use]
    pub fn for_clients(entries: usize, leeway: Duration, uses: u64) -> Self {
        let uses = uses.min(MOST_USES);
        Self::with(ReplayMode::Enforce, entries, leeway, uses, u64::MAX)
    }

    fn with(mode: ReplayMode, entries: usize, leeway: Duration, uses: u64, window: u64) -> Self {
        let buckets = entries.div_ceil(SHARDS * WAYS).max(1);
        Self {
            mode,
            leeway,
            uses,
            window,
            buckets,
            shards: (0..SHARDS).map(|_| Mutex::default()).collect(),
            hasher: RandomState::new(),
            retries: AtomicU64::new(0),
            replays: AtomicU64::new(0),
            overflows: AtomicU64::new(0),
        }
    }

    /// Notes one use and judges it. `path` is the request's canonical path.
    pub fn check(
        &self,
        assertion: &Verified<Assertion>,
        method: &Method,
        path: &str,
        now: Timestamp,
    ) -> ReplayVerdict {
        if self.mode == ReplayMode::Off {
            return ReplayVerdict::Ignored;
        }
        let used_by = self.hasher.hash_one((
            method.as_str(),
            path,
            assertion.subject().as_str(),
            assertion.sid().as_str(),
        ));
        self.judge(assertion, used_by, now)
    }

    /// Whether a replay is refused.
    #[must_use]
    pub fn enforces(&self) -> bool {
        self.mode == ReplayMode::Enforce
    }

    /// Notes that a client passes an assertion on, and judges it.
    pub fn check_for(
        &self,
        assertion: &Verified<Assertion>,
        client: &ClientId,
        now: Timestamp,
    ) -> ReplayVerdict {
        self.judge(assertion, self.hasher.hash_one(client.as_str()), now)
    }

    fn judge(
        &self,
        assertion: &Verified<Assertion>,
        used_by: u64,
        now: Timestamp,
    ) -> ReplayVerdict {
        let dies = assertion.expires() + self.leeway;
        match self.note(assertion.jti_hash(), used_by, now, dies) {
            Some(1) => ReplayVerdict::First,
            Some(uses) => {
                self.retries.fetch_add(1, Ordering::Relaxed);
                ReplayVerdict::Retry(u8::try_from(uses).unwrap_or(u8::MAX))
            }
            None => {
                self.replays.fetch_add(1, Ordering::Relaxed);
                match self.mode {
                    ReplayMode::Enforce => ReplayVerdict::Refused,
                    ReplayMode::Count | ReplayMode::Off => ReplayVerdict::Counted,
                }
            }
        }
    }

    /// Counters for metrics.
    #[must_use]
    pub fn stats(&self) -> ReplayStats {
        ReplayStats {
            retries: self.retries.load(Ordering::Relaxed),
            replays: self.replays.load(Ordering::Relaxed),
            overflows: self.overflows.load(Ordering::Relaxed),
        }
    }

    /// How many uses there were with this one; `None` for a replay.
    fn note(&self, jti: &[u8; 16], used_by: u64, now: Timestamp, dies: Timestamp) -> Option<u64> {
        let [high, low] = halves(jti);
        let now = seconds(now);
        let lifetime = seconds(dies).saturating_sub(now).clamp(1, MAX_LIFETIME);
        // The hash is keyed and uniform, so its bits serve as numbers of shard and bucket.
        let shard = usize::try_from(high % SHARDS as u64).ok()?;
        let bucket = usize::try_from(low % self.buckets as u64).ok()?;
        let mut entries = self.shards.get(shard)?.lock();
        if entries.is_empty() {
            *entries = vec![[0; 4]; self.buckets * WAYS];
        }
        let bucket = entries.get_mut(bucket * WAYS..(bucket + 1) * WAYS)?;

        let mut place: Option<&mut Entry> = None;
        for entry in bucket {
            let alive = now < death(entry);
            if entry[0] == high && entry[1] == low && alive {
                let uses = entry[3] & 0xff;
                let retry = entry[2] == used_by
                    && now.saturating_sub(entry[3] >> 32) <= self.window
                    && uses < self.uses;
                if !retry {
                    return None;
                }
                entry[3] += 1;
                return Some(uses + 1);
            }
            // The dead go first (an empty entry died in 1970), then whoever dies soonest.
            if place.as_ref().is_none_or(|best| death(entry) < death(best)) {
                place = Some(entry);
            }
        }
        let place = place?;
        if now < death(place) {
            self.overflows.fetch_add(1, Ordering::Relaxed);
        }
        *place = [high, low, used_by, now << 32 | lifetime << 8 | 1];
        Some(1)
    }
}

/// Longest remembered lifetime, in seconds (24 bits: half a year).
const MAX_LIFETIME: u64 = 0xff_ffff;

/// When an entry may be forgotten, in seconds since 1970.
fn death(entry: &Entry) -> u64 {
    (entry[3] >> 32) + (entry[3] >> 8 & MAX_LIFETIME)
}

/// Seconds since 1970 in 32 bits (until 2106).
fn seconds(at: Timestamp) -> u64 {
    u64::from(u32::try_from(at.0.max(0)).unwrap_or(u32::MAX))
}

fn halves(hash: &[u8; 16]) -> [u64; 2] {
    let all = u128::from_ne_bytes(*hash);
    // Truncation is the point.
    [(all >> 64) as u64, all as u64]
}

#[cfg(test)]
mod tests {
    use super::super::AssertionForTest;
    use super::*;

    const NOW: Timestamp = Timestamp(1_795_247_677);

    fn table(mode: ReplayMode, entries: usize) -> ReplayTable {
        ReplayTable::new(mode, entries, Duration::from_secs(30))
    }

    fn assertion(jti: u128) -> Verified<Assertion> {
        AssertionForTest {
            jti,
            ..AssertionForTest::default()
        }
        .verified()
    }

    fn later(seconds: u64) -> Timestamp {
        NOW + Duration::from_secs(seconds)
    }

    #[test]
    fn envoy_retries_pass_and_a_fifth_use_does_not() {
        let table = table(ReplayMode::Enforce, 1024);
        let one = assertion(7);
        let check = |at| table.check(&one, &Method::POST, "/a", at);
        assert_eq!(check(NOW), ReplayVerdict::First);
        assert_eq!(check(NOW), ReplayVerdict::Retry(2));
        assert_eq!(check(later(29)), ReplayVerdict::Retry(3));
        assert_eq!(check(later(30)), ReplayVerdict::Retry(4));
        assert_eq!(check(later(30)), ReplayVerdict::Refused);
        // Until exp + leeway it stays refused; then its signature's lifetime refuses it.
        assert_eq!(check(later(329)), ReplayVerdict::Refused);
        assert_eq!(check(later(330)), ReplayVerdict::First);
        assert_eq!(table.stats().replays, 2);
        assert_eq!(table.stats().retries, 3);
    }

    #[test]
    fn one_client_passes_an_assertion_on_a_bounded_number_of_times() {
        let table = ReplayTable::for_clients(1024, Duration::from_secs(30), 3);
        let one = assertion(7);
        let check = |client: &str, at| table.check_for(&one, &ClientId::new(client).unwrap(), at);
        assert_eq!(check("a", NOW), ReplayVerdict::First);
        assert_eq!(check("b", NOW), ReplayVerdict::Refused);
        assert_eq!(check("a", later(200)), ReplayVerdict::Retry(2));
        assert_eq!(check("a", later(300)), ReplayVerdict::Retry(3));
        assert_eq!(check("a", later(300)), ReplayVerdict::Refused);
    }

    #[test]
    fn another_request_or_a_late_one_is_a_replay() {
        for (method, path, at, sid) in [
            (Method::GET, "/a", NOW, "s"),
            (Method::POST, "/b", NOW, "s"),
            (Method::POST, "/a", later(31), "s"),
            (Method::POST, "/a", NOW, "other"),
        ] {
            let table = table(ReplayMode::Enforce, 1024);
            let with = |sid| {
                AssertionForTest {
                    sid,
                    ..AssertionForTest::default()
                }
                .verified()
            };
            table.check(&with("s"), &Method::POST, "/a", NOW);
            let verdict = table.check(&with(sid), &method, path, at);
            assert_eq!(verdict, ReplayVerdict::Refused, "{method} {path} {sid}");
        }
    }

    #[test]
    fn t35_a_clock_that_jumps_back_forgets_nothing() {
        let table = table(ReplayMode::Enforce, 1024);
        table.check(&assertion(1), &Method::GET, "/", NOW);
        let back = Timestamp(NOW.0 - 1000);
        let verdict = table.check(&assertion(1), &Method::GET, "/other", back);
        assert_eq!(verdict, ReplayVerdict::Refused);
        // Before 1970 and after 2106 are no reason to panic.
        for odd in [Timestamp(i64::MIN), Timestamp(i64::MAX)] {
            table.check(&assertion(2), &Method::GET, "/", odd);
        }
    }

    #[test]
    fn modes_differ_in_what_happens_to_a_replay() {
        for (mode, expected) in [
            (ReplayMode::Off, ReplayVerdict::Ignored),
            (ReplayMode::Count, ReplayVerdict::Counted),
            (ReplayMode::Enforce, ReplayVerdict::Refused),
        ] {
            let table = table(mode, 1024);
            table.check(&assertion(1), &Method::GET, "/a", NOW);
            let verdict = table.check(&assertion(1), &Method::GET, "/b", NOW);
            assert_eq!(verdict, expected);
            assert_eq!(verdict.admit().is_err(), mode == ReplayMode::Enforce);
        }
    }

    #[test]
    fn a_full_table_forgets_the_oldest_and_counts() {
        let table = table(ReplayMode::Enforce, SHARDS * WAYS);
        // All in one shard and its one bucket.
        let jti = |n: u64| u128::from(n) << 70 | u128::from(n);
        for n in 1..=9 {
            let at = later(n);
            let verdict = table.check(&assertion_from(jti(n), at), &Method::GET, "/", at);
            assert_eq!(verdict, ReplayVerdict::First);
        }
        assert_eq!(table.stats().overflows, 1);
        let again = |n| {
            table.check(
                &assertion_from(jti(n), later(n)),
                &Method::GET,
                "/x",
                later(9),
            )
        };
        assert_eq!(again(2), ReplayVerdict::Refused);
        assert_eq!(again(1), ReplayVerdict::First);
        // Dead entries make place without being missed.
        let far = later(1000);
        table.check(&assertion_from(jti(99), far), &Method::GET, "/", far);
        assert_eq!(table.stats().overflows, 2);
    }

    fn assertion_from(jti: u128, issued: Timestamp) -> Verified<Assertion> {
        AssertionForTest {
            jti,
            issued,
            ..AssertionForTest::default()
        }
        .verified()
    }

    #[test]
    fn memory_is_asked_for_at_first_use() {
        let table = table(ReplayMode::Enforce, 262_144);
        assert_eq!(size_of::<Entry>(), 32);
        assert!(
            table
                .shards
                .iter()
                .all(|shard| shard.lock().capacity() == 0)
        );
        table.check(&assertion(1), &Method::GET, "/", NOW);
        let used = table.shards.iter().filter(|s| !s.lock().is_empty()).count();
        assert_eq!(used, 1);
    }
}
