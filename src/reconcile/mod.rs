//! Reconciliation: a directory is read whole, compared with what is on record, and the difference
//! becomes a plan, which is carried out, or held when it would take access from too many at once.
//! It alone is enough to converge: every webhook may be lost.
//!
//! [`world`] reads the directory and asks one by one for whoever a list lacks · [`plan`] what differs
//! and what follows from it · [`brake`] when a plan waits for a person's word · [`apply`] carries a
//! plan out, deny first, or exactly as it was shown · [`sweep`] all of it, once · [`drift`] the same
//! for what apps have · [`schedule`] when · [`handler`] the jobs of all this · [`decide`] a person's word
//! about a plan, the same for a command and a service. What does not live here: what a word means (`directory`), accounts
//! (`identity`), the reading itself (`directory::source`, `apps::Provisioner`).
//!
//! A sweep that was cut short begins anew: what it had taken in by then no longer differs, so it goes
//! on where it was without a note of where that is.

pub mod apply;
pub mod brake;
pub mod decide;
pub mod drift;
pub mod handler;
pub mod judge;
pub mod plan;
mod schedule;
pub mod sweep;
pub mod world;
