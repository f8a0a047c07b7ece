//! Which bot a client is at an app, and whether that bot may call this.

use crate::api::apps::AppCaller;
use crate::config::{BotSource, CallRule, ServiceConfig};
use crate::error::{Code, Refusal};
use crate::proxy::bridge::Bridge;
use crate::proxy::edge::CleanRequest;
use crate::proxy::route::{RESERVED, Site};
use crate::types::ClientId;
use http::{HeaderName, HeaderValue, Method};

/// Proof that a service's request may reach the app, and the bot's credential that goes with it.
/// Made only here, from the api's proof of a caller who has the scope for this very app; the swap
/// asks for it (T20):
///
/// ```compile_fail,E0451
/// use auth_manager::proxy::service::Entitled;
/// fn forge(credential: (http::HeaderName, http::HeaderValue)) {
///     let _ = Entitled { who: todo!(), credential, token: 0, rule: String::new(), audited: false };
/// }
/// ```
pub struct Entitled {
    who: AppCaller,
    credential: (HeaderName, HeaderValue),
    /// Which token of the bot's it is: raised by each rotation.
    token: i64,
    rule: String,
    audited: bool,
}

impl Entitled {
    /// Which client.
    pub fn client(&self) -> &ClientId {
        self.who.client()
    }

    /// The header that carries the bot's token, and nothing of the caller's.
    pub(in crate::proxy) fn credential(&self) -> &(HeaderName, HeaderValue) {
        &self.credential
    }

    /// The rule that lets it through, as it is written.
    pub fn rule(&self) -> &str {
        &self.rule
    }

    /// Whether the audit trail has it.
    pub(super) fn is_audited(&self) -> bool {
        self.audited
    }

    /// The same with the bot's token of now; `None` when that is the one it has.
    pub(super) fn renewed(self, bridge: &Bridge, site: &Site) -> Result<Option<Self>, Refusal> {
        let service = service(site, &self.who)?;
        let (credential, token) = credential(bridge, site, service)?;
        Ok((token != self.token).then_some(Self {
            credential,
            token,
            ..self
        }))
    }

    /// Whether what entitled it still stands: the same client, by the same trust in its connection;
    /// bot, rules and token; and that the bridge knows who is revoked. Asked after a socket is
    /// registered, since a cut that came before found nothing to cut.
    pub(super) fn still_stands(&self, bridge: &Bridge, site: &Site) -> bool {
        if !self.who.still_stands() || !bridge.sessions.log.is_fresh(bridge.clock.now()) {
            return false;
        }
        let Some(now) = bridge.site(&site.config.id) else {
            return false;
        };
        let (Ok(then), Ok(service)) = (service(site, &self.who), service(&now, &self.who)) else {
            return false;
        };
        let current = credential(bridge, &now, service);
        then == service && current.is_ok_and(|(_, token)| token == self.token)
    }
}

/// Judges a request.
///
/// # Errors
/// `service.route`, `service.bot_missing`; `api.not_found` when the client has no bot at this app.
pub(super) fn entitle(
    bridge: &Bridge,
    site: &Site,
    who: AppCaller,
    request: &CleanRequest,
) -> Result<Entitled, Refusal> {
    let service = service(site, &who)?;
    let rule = judge(site, service, request.method(), request.path())?.to_string();
    let (credential, token) = credential(bridge, site, service)?;
    let reads = matches!(*request.method(), Method::GET | Method::HEAD) && !request.is_upgrade();
    Ok(Entitled {
        who,
        credential,
        token,
        rule,
        audited: service.audit_reads || !reads,
    })
}

fn service<'s>(site: &'s Site, who: &AppCaller) -> Result<&'s ServiceConfig, Refusal> {
    let service = site.config.service(who.client());
    service.ok_or_else(|| Refusal::new(Code::ApiNotFound, "the client has no bot at this app"))
}

/// The rule that lets a request through. `allow` never means what gives power, however it is
/// written.
fn judge<'s>(
    site: &Site,
    service: &'s ServiceConfig,
    method: &Method,
    path: &str,
) -> Result<&'s CallRule, Refusal> {
    let refuse = |why| Err(Refusal::new(Code::ServiceRoute, why));
    if path.starts_with(RESERVED) {
        return refuse("a path of the bridge's own");
    }
    let Some(below) = site.below_base(path) else {
        return refuse("not below the app's base path");
    };
    let covering = |rules: &'s [CallRule]| rules.iter().find(|rule| rule.covers(method, below));
    if site.rules.is_powerful(method, below) {
        return match covering(&service.insecure_allow) {
            Some(rule) => Ok(rule),
            None => refuse(
                "it gives power over accounts or the server, and insecure_allow does not name it",
            ),
        };
    }
    match covering(&service.allow).or_else(|| covering(&service.insecure_allow)) {
        Some(rule) => Ok(rule),
        None => refuse("no rule of the service's allow covers it"),
    }
}

type Credential = ((HeaderName, HeaderValue), i64);

fn credential(
    bridge: &Bridge,
    site: &Site,
    service: &ServiceConfig,
) -> Result<Credential, Refusal> {
    let missing = |why| Refusal::new(Code::ServiceBotMissing, why);
    let (token, number) = match &service.bot {
        BotSource::Managed(name) => bridge
            .bots
            .get(&site.config.id, name)
            .ok_or_else(|| missing("`auth-manager bots add` has not made it yet"))?,
        BotSource::Token(_) => {
            let token = site.bot_tokens.get(&service.client);
            (
                token
                    .cloned()
                    .ok_or_else(|| missing("its token was not read"))?,
                0,
            )
        }
    };
    let header = site.rules.bot_credential(&token);
    Ok((
        header.ok_or_else(|| missing("its token is none of the app's"))?,
        number,
    ))
}
