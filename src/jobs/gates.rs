//! Who may be asked now: a gate an app and a directory, each with its breaker, its budget, a time to
//! be left alone for, and so many at once. Each process has its own: what one has learnt of an app,
//! another learns with a few attempts.

use super::breaker::{Breaker, Position, Verdict};
use super::budget::Budget;
use crate::store::{Job, Priority};
use crate::types::{AppId, SourceId};
use std::collections::HashMap;
use std::time::Duration;
use tokio::time::Instant;

/// Nobody is left alone for longer, whatever they ask for.
const LONGEST_WAIT: Duration = Duration::from_secs(15 * 60);

/// What a directory may be asked ahead of its rate because somebody may have to be turned away: whoever
/// was disabled is let in until it was asked. An app is told afterwards, and has its rate.
const AHEAD: Duration = Duration::from_secs(10);

/// What a gate is of.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Place {
    /// An app.
    App(AppId),
    /// A directory.
    Source(SourceId),
}

/// What limits them all.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Jobs of an app a second.
    pub app_rate: u32,
    /// Jobs of a directory a second.
    pub source_rate: u32,
    /// How long a place that fails again and again is left alone at first.
    pub rest: Duration,
    /// Jobs of one place at once: what takes access away, ...
    pub urgent: usize,
    /// ... and all together with what does not.
    pub others: usize,
}

#[derive(Debug)]
struct Gate {
    breaker: Breaker,
    budget: Budget,
    quiet_until: Option<Instant>,
    /// What takes access away, and what does not.
    running: (usize, usize),
}

/// Who was let through, to be given back.
#[derive(Debug, Clone, Default)]
pub struct Pass {
    probes: Vec<Place>,
    /// How long the breaker stays open if this one fails; `None`: it is no probe.
    pub probe: Option<Duration>,
}

/// All of them.
#[derive(Debug)]
pub struct Gates {
    limits: Limits,
    gates: HashMap<Place, Gate>,
}

impl Gates {
    /// None is known yet.
    #[must_use]
    pub fn new(limits: Limits) -> Self {
        Self {
            limits,
            gates: HashMap::new(),
        }
    }

    /// Places of which no job is to be taken now.
    pub fn shut(&mut self, urgent: bool, now: Instant) -> (Vec<AppId>, Vec<SourceId>) {
        let (mut apps, mut sources) = (Vec::new(), Vec::new());
        for (place, gate) in &mut self.gates {
            if gate.may(urgent, now) && gate.has_room(urgent, &self.limits) {
                continue;
            }
            match place {
                Place::App(app) => apps.push(app.clone()),
                Place::Source(source) => sources.push(source.clone()),
            }
        }
        (apps, sources)
    }

    /// Lets a job through, unless one of its places is not to be asked now.
    pub fn enter(&mut self, job: &Job, now: Instant) -> Option<Pass> {
        let urgent = is_urgent(job);
        let places = places(job);
        for place in &places {
            let rate = match place {
                Place::App(_) => self.limits.app_rate,
                Place::Source(_) => self.limits.source_rate,
            };
            let gate = self.gates.entry(place.clone()).or_insert_with(|| Gate {
                breaker: Breaker::new(self.limits.rest),
                budget: Budget::new(rate, now).with_credit(match place {
                    Place::App(_) => Duration::ZERO,
                    Place::Source(_) => AHEAD,
                }),
                quiet_until: None,
                running: (0, 0),
            });
            // One that is nearly spent may be spent by who is here already.
            if !gate.has(urgent, now) || !gate.has_room(urgent, &self.limits) {
                return None;
            }
        }
        let mut pass = Pass::default();
        for place in places {
            let Some(gate) = self.gates.get_mut(&place) else {
                continue;
            };
            // There is some: it was looked at above.
            let _ = gate.budget.take(urgent, now);
            match urgent {
                true => gate.running.0 += 1,
                false => gate.running.1 += 1,
            }
            if let Some(pause) = gate.breaker.pass(now) {
                pass.probe = Some(pass.probe.map_or(pause, |other| other.max(pause)));
                pass.probes.push(place);
            }
        }
        Some(pass)
    }

    /// Whoever was let through is back.
    pub fn leave(
        &mut self,
        job: &Job,
        pass: &Pass,
        verdict: Verdict,
        quiet: Option<Duration>,
        now: Instant,
    ) {
        for place in places(job) {
            let Some(gate) = self.gates.get_mut(&place) else {
                continue;
            };
            match is_urgent(job) {
                true => gate.running.0 = gate.running.0.saturating_sub(1),
                false => gate.running.1 = gate.running.1.saturating_sub(1),
            }
            gate.breaker
                .back(pass.probes.contains(&place), verdict, now);
            if let Some(quiet) = quiet {
                let until = now + quiet.min(LONGEST_WAIT);
                gate.quiet_until = gate.quiet_until.max(Some(until));
            }
        }
    }

    /// What each breaker is.
    pub fn positions(&self, now: Instant) -> impl Iterator<Item = (&Place, Position)> {
        self.gates
            .iter()
            .map(move |(place, gate)| (place, gate.breaker.position(now)))
    }
}

impl Gate {
    fn may(&mut self, urgent: bool, now: Instant) -> bool {
        self.is_open(now) && self.budget.may(urgent, now)
    }

    fn has(&mut self, urgent: bool, now: Instant) -> bool {
        self.is_open(now) && self.budget.has(urgent, now)
    }

    fn is_open(&mut self, now: Instant) -> bool {
        self.quiet_until.is_none_or(|until| until <= now) && self.breaker.may(now)
    }

    /// What does not take access away never fills the places of what does.
    fn has_room(&self, urgent: bool, limits: &Limits) -> bool {
        let (deny, others) = self.running;
        match urgent {
            true => deny < limits.urgent,
            false => others < limits.others && deny + others < limits.urgent + limits.others,
        }
    }
}

fn is_urgent(job: &Job) -> bool {
    job.priority == Priority::Deny
}

fn places(job: &Job) -> Vec<Place> {
    let app = job.app.clone().map(Place::App);
    app.into_iter()
        .chain(job.source.clone().map(Place::Source))
        .collect()
}

#[cfg(test)]
mod tests;
