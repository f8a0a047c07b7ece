//! Station 2, route: which app a request is for, and which of the ways out of the road it takes
//! before identity matters.
//!
//! Hosts are matched exactly: there is no wildcard and no default app. What is decided here depends
//! on method, host and canonical path alone, never on a header a client can set (T13).

mod site;

pub use site::{Site, Sites};

use super::edge::CleanRequest;
use crate::apps;
use crate::config::MachineRoute;
use crate::error::{Code, Refusal};
use std::sync::Arc;

/// Paths below this are the bridge's own on every app host.
pub const RESERVED: &str = "/.auth-manager/";

/// Where a request goes.
pub enum Way {
    /// The listener's health path, asked by Pomerium without identity.
    Health,
    /// An app.
    App(ForApp),
}

/// A request that belongs to an app.
pub struct ForApp {
    /// The app.
    pub site: Arc<Site>,
    /// What the request is to the app.
    pub route: apps::Route,
    /// The machine route it matches, by index into the site's list.
    pub machine: Option<usize>,
    /// Whether it is none of the app's: below [`RESERVED`], or outside the app's base path.
    pub outside: bool,
}

impl ForApp {
    /// The machine route, if it is one.
    pub fn machine_route(&self) -> Option<&MachineRoute> {
        self.machine
            .and_then(|i| self.site.config.machine_routes.get(i))
    }
}

/// Finds the way of a clean request.
///
/// # Errors
/// `route.unknown_host`.
pub fn find(sites: &Sites, request: &CleanRequest) -> Result<Way, Refusal> {
    if request.path() == sites.health_path && request.assertion().is_none() {
        return Ok(Way::Health);
    }
    let site = sites
        .by_host(request.host())
        .ok_or(Code::RouteUnknownHost)?;
    let path = request.path();
    let below = site.below_base(path);
    let Some(below) = below.filter(|_| !path.starts_with(RESERVED)) else {
        let site = site.clone();
        return Ok(Way::App(ForApp {
            site,
            route: apps::Route::Plain,
            machine: None,
            outside: true,
        }));
    };
    let route = site.rules.classify(request.method(), below);
    let machine = site.config.machine_routes.iter().position(|m| {
        m.method == *request.method()
            && match m.path.strip_suffix('*') {
                Some(prefix) => path.starts_with(prefix) && path.len() > prefix.len(),
                None => path == m.path,
            }
    });
    Ok(Way::App(ForApp {
        site: site.clone(),
        route,
        machine,
        outside: false,
    }))
}
