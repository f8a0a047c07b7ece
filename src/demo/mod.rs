//! The demo: a door that plays Pomerium, stand-ins for Mattermost, Authentik and
//! Keycloak.

pub mod authentik;
pub mod door;
pub mod keycloak;
pub mod mattermost;
