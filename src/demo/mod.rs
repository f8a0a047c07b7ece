//! The demo: a door that plays Pomerium, a stand-in Mattermost and a stand-in Authentik.

pub mod authentik;
pub mod door;
pub mod mattermost;
