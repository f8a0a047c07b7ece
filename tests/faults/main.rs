//! The fault run: the real binary with real stores, between a stand-in Mattermost and a stand-in
//! Authentik, while one of them fails in every way there is. One file a fault; the last file mixes all
//! of them by a seed.
//!
//! Each story ends with the same question (`ledger`): is what the directory says now true in the bridge
//! and in the app, was nothing lost, nothing done twice? And in each somebody asks all the time whether
//! those who must not come in are let in (`prober`).
//!
//! - `house`: the bridge with everything around it; `way`: a way to a neighbour, which can be closed
//! - `ledger`: what must be true once the faults are over; `prober`: what must be true all the time

#[path = "../support/mod.rs"]
mod support;

mod house;
mod ledger;
mod prober;
mod way;

// The app.
mod app_breaks;
mod app_errors;
mod app_hangs;
mod app_rate;
mod dead_letters;
mod deny_first;

// The store.
mod database;
mod replicas;

// The directory.
mod directory;
mod storm;

// Time.
mod clock;

// Everything.
mod mixture;
