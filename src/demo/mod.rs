//! The demo: a door that plays Pomerium and a stand-in Mattermost.

pub mod door;
pub mod mattermost;
