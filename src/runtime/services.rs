//! What services need beside their requests: that their sockets follow the configuration, and that
//! their bots are settled.

use crate::bots::{self, Desk};
use crate::config::{AppConfig, ClientConfig};
use crate::proxy::Bridge;
use crate::proxy::forward::Cut;
use crate::proxy::route::{Site, Sites};
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// How often unsettled bots are looked for; none there are unless something went wrong.
const SETTLE: Duration = Duration::from_secs(60);

/// Cuts the sockets of services that are gone, or not the same as before a reload: client, bot,
/// token, what it may call. Called once the new rules stand: whoever comes back must meet them.
pub(super) fn cut_changed(
    bridge: &Bridge,
    (formers, sites): (&Sites, &Sites),
    (then, now): (&[ClientConfig], &[ClientConfig]),
) {
    for former in formers.iter() {
        let app = &former.config.id;
        let site = sites.iter().find(|site| site.config.id == *app);
        for service in &former.config.services {
            let id = &service.client;
            let of = |clients: &[ClientConfig]| clients.iter().find(|c| c.id == *id).cloned();
            let gone = of(now).is_none() || site.is_none_or(|s| s.config.service(id).is_none());
            if gone {
                bridge.tunnels.cut_service(app, id, Cut::SessionEnded);
            } else if of(then) != of(now) || site.is_none_or(|site| differs(former, site, service))
            {
                bridge.tunnels.cut_service(app, id, Cut::Restart);
            }
        }
    }
}

fn differs(former: &Site, site: &Site, service: &crate::config::ServiceConfig) -> bool {
    let place = |config: &AppConfig| (config.upstream.clone(), config.base_path.clone());
    let token = |site: &Site| {
        let token = site.bot_tokens.get(&service.client);
        token.map(|token| token.expose().to_owned())
    };
    site.config.service(&service.client) != Some(service)
        || place(&former.config) != place(&site.config)
        || token(former) != token(site)
}

/// Settles bots that a crash left unsettled, until told to stop.
pub(super) async fn settle(bridge: Arc<Bridge>, end: CancellationToken) {
    loop {
        match bridge.store.bots().await {
            Ok(all) => {
                for bot in all.iter().filter(|bot| !bot.settled) {
                    let Some(site) = bridge.site(&bot.app) else {
                        continue;
                    };
                    let desk = Desk {
                        store: &*bridge.store,
                        master: &bridge.master.load_full(),
                        app: &bot.app,
                        bots: &*site.bots,
                        now: bridge.clock.now(),
                    };
                    match bots::settle(&desk, &bot.name).await {
                        Ok(true) => {
                            tracing::info!(app = %bot.app, bot = %bot.name, "a bot's other tokens are revoked");
                        }
                        Ok(false) => {}
                        Err(error) => {
                            tracing::warn!(app = %bot.app, bot = %bot.name, %error, "a bot could not be settled yet");
                        }
                    }
                }
            }
            Err(error) => bridge.metrics.store_error(error.trouble()),
        }
        tokio::select! {
            () = end.cancelled() => return,
            () = tokio::time::sleep(SETTLE) => {}
        }
    }
}
