//! Black-box stories: the real binary between a stand-in Mattermost and whoever plays Pomerium.
//! One file a story; each says what a visitor or an operator sees, and what the app saw.
//!
//! Names of rows `T…` are those of the threat table: what this kind of software has been broken by.

#[path = "../support/mod.rs"]
mod support;

// The visitor.
mod carry_over;
mod companions;
mod first_requests;
mod heal;
mod hired_to_gone;
mod logout;
mod pages;
mod person_switch;
mod provision;
mod routes;
mod seats;
mod sign_in;
mod sockets;
mod transport;
mod websocket;

// The attacker.
mod csrf;
mod swap;

mod closed;
mod crooked;
mod flood;
mod h2;
mod hostile;
mod lockout;

// The operator.
mod audit;
mod by_hand;
mod crash;
mod directory;
mod keys;
mod orphans;
mod reconcile;
mod reload;
mod replicas;
mod revoke;
mod rotation;
mod smoke;
mod systemd;
mod traces;

// With real neighbours.
mod chromium;
mod envoy;
mod people_page;
