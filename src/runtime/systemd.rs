//! systemd, from both sides: the sockets it hands over (socket activation) and what it is told
//! (`Type=notify`, watchdog). Without systemd all of it does nothing.
//!
//! **Sockets.** They stay with systemd while one process ends and the next begins, so that a
//! restart or an upgrade refuses no connection: who comes meanwhile waits in the queue. A socket is
//! named by `FileDescriptorName=`: `proxy`, `api` or `ops`; a single one of another name is the
//! proxy's. Several of one name serve the same (IPv4 and IPv6). A socket that nobody would accept
//! from is a mistake and ends the start: its clients would hang.
//!
//! **Watchdog.** A ping says: the runtime gives turns, every listener accepts, and whoever follows
//! the revocation log gets answers from the store. A store that answers with errors, or is away, is
//! no reason to be killed: the bridge refuses everyone then and says why, and a restart would turn
//! that page into a connection that hangs. A follower that gets no answer at all is stuck, and only
//! a restart helps.

use super::wire::StartError;
use crate::proxy::Bridge;
use listenfd::ListenFd;
use sd_notify::NotifyState;
use std::net::TcpListener;
use std::sync::Arc;
use std::time::Duration;
use tokio::task::AbortHandle;
use tokio_util::sync::CancellationToken;

/// Names that a socket may have.
const NAMES: [&str; 3] = ["proxy", "api", "ops"];
/// The follower of the log is stuck when it heard nothing of the store for so long. No call of the
/// store takes longer than 10 s.
const FOLLOWED: Duration = Duration::from_secs(30);
/// How often the status line is renewed.
const STATUS: Duration = Duration::from_secs(10);

/// The sockets that systemd handed over.
#[derive(Debug, Default)]
pub struct Sockets(Vec<(&'static str, TcpListener)>);

impl Sockets {
    /// Takes them from the environment (`LISTEN_PID`, `LISTEN_FDS`, `LISTEN_FDNAMES`; none when
    /// they are meant for another process). To be called before there are threads.
    ///
    /// # Errors
    /// When one has an unknown name or is no listening TCP socket.
    pub fn from_environment() -> Result<Self, StartError> {
        let ours = std::env::var("LISTEN_PID")
            .ok()
            .and_then(|pid| pid.parse().ok());
        if ours != Some(std::process::id()) {
            return Ok(Self::default());
        }
        let names = std::env::var("LISTEN_FDNAMES").ok();
        let mut handed = ListenFd::from_env();
        let mut sockets = Vec::new();
        for (at, name) in named(handed.len(), names.as_deref())?
            .into_iter()
            .enumerate()
        {
            let what = || format!("the socket {name} that systemd handed over");
            let listener = handed
                .take_tcp_listener(at)
                .map_err(|e| {
                    StartError::new(what(), format!("{e}: ListenStream= must name a TCP port"))
                })?
                .ok_or_else(|| StartError::new(what(), "it is not there"))?;
            listener
                .set_nonblocking(true)
                .map_err(|e| StartError::new(what(), e))?;
            sockets.push((name, listener));
        }
        Ok(Self(sockets))
    }

    /// One that the caller has bound: its address is known before anything runs.
    ///
    /// # Errors
    /// When it can't be made non-blocking.
    pub fn with(name: &'static str, listener: TcpListener) -> std::io::Result<Self> {
        listener.set_nonblocking(true)?;
        Ok(Self(vec![(name, listener)]))
    }

    /// Those of a listener, which are then its own.
    ///
    /// # Errors
    /// When the runtime can't watch one.
    pub(super) fn take(&mut self, name: &str) -> Result<Vec<tokio::net::TcpListener>, StartError> {
        let (taken, left) = std::mem::take(&mut self.0)
            .into_iter()
            .partition(|(of, _)| *of == name);
        self.0 = left;
        let taken: Vec<(&str, TcpListener)> = taken;
        taken
            .into_iter()
            .map(|(name, socket)| {
                tokio::net::TcpListener::from_std(socket)
                    .map_err(|e| StartError::new(format!("the socket {name}"), e))
            })
            .collect()
    }

    /// Whether all have been taken.
    ///
    /// # Errors
    /// Names one that has not: nobody would ever accept from it.
    pub(super) fn all_taken(&self) -> Result<(), StartError> {
        match self.0.first() {
            None => Ok(()),
            Some((name, _)) => Err(StartError::new(
                format!("the socket {name} that systemd handed over"),
                format!(
                    "the configuration serves no such listener: add [listen.{name}], or take the socket out of the unit"
                ),
            )),
        }
    }
}

/// What each of `count` sockets is for.
fn named(count: usize, names: Option<&str>) -> Result<Vec<&'static str>, StartError> {
    let given: Vec<&str> = names
        .map(|names| names.split(':').collect())
        .unwrap_or_default();
    let known = |name: &str| NAMES.into_iter().find(|known| *known == name);
    (0..count)
        .map(|at| {
            let name = given.get(at).copied().unwrap_or_default();
            match known(name) {
                Some(name) => Ok(name),
                // Without FileDescriptorName= the name is the unit's own.
                None if count == 1 => Ok("proxy"),
                None => Err(StartError::new(
                    format!("socket {} that systemd handed over", at + 1),
                    format!("its name is {name:?}: set FileDescriptorName= to proxy, api or ops, in one .socket unit each"),
                )),
            }
        })
        .collect()
}

/// Tells systemd that the bridge serves.
pub(super) fn ready(bridge: &Bridge) {
    tell(&[NotifyState::Ready, NotifyState::Status(&status(bridge))]);
}

/// Tells systemd that the configuration is being read again; [`ready`] ends it.
pub(super) fn reloading() {
    match NotifyState::monotonic_usec_now() {
        Ok(now) => tell(&[
            NotifyState::Reloading,
            now,
            NotifyState::Status("reading the configuration again"),
        ]),
        Err(error) => tracing::warn!(%error, "systemd was not told of the reload"),
    }
}

/// Tells systemd that the bridge ends, and that it may take so long.
pub(super) fn stopping(at_most: Duration) {
    let micros = (at_most + Duration::from_secs(15)).as_micros();
    tell(&[
        NotifyState::Stopping,
        NotifyState::ExtendTimeoutUsec(u32::try_from(micros).unwrap_or(u32::MAX)),
        NotifyState::Status("letting open requests end"),
    ]);
}

/// Tells systemd how far the start is.
pub(super) fn starting(how_far: &str) {
    tell(&[NotifyState::Status(how_far)]);
}

fn tell(state: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(state) {
        tracing::warn!(%error, "systemd could not be told");
    }
}

fn status(bridge: &Bridge) -> String {
    let apps = bridge.sites.load().iter().count();
    let sockets = bridge.tunnels.open();
    let text = format!("serving, apps: {apps}, open sockets: {sockets}");
    match bridge.sessions.log.is_fresh(bridge.clock.now()) {
        true => text,
        false => format!("{text}; the revocation log can't be read: everyone is refused"),
    }
}

/// Keeps the status line current, and pings the watchdog, when there is one, while the bridge is
/// well.
pub(super) async fn watch(bridge: Arc<Bridge>, loops: Vec<AbortHandle>, end: CancellationToken) {
    let limit = sd_notify::watchdog_enabled().filter(|limit| !limit.is_zero());
    // Three pings a limit: one may be late.
    let every = limit.map_or(STATUS, |limit| (limit / 3).clamp(SOON, STATUS));
    let mut told = String::new();
    loop {
        if limit.is_some() {
            match well(&bridge, &loops, every).await {
                Ok(()) => tell(&[NotifyState::Watchdog]),
                Err(why) => tracing::error!(why, "not well: the watchdog is not told otherwise"),
            }
        }
        let now = status(&bridge);
        if now != told {
            tell(&[NotifyState::Status(&now)]);
            told = now;
        }
        tokio::select! {
            () = end.cancelled() => return,
            () = tokio::time::sleep(every) => {}
        }
    }
}

/// A watchdog's limit below three of these makes no sense.
const SOON: Duration = Duration::from_millis(50);

/// What a ping of the watchdog stands for.
async fn well(bridge: &Bridge, loops: &[AbortHandle], turn: Duration) -> Result<(), &'static str> {
    // A task of its own: this one has its turn already.
    if tokio::time::timeout(turn, tokio::spawn(async {}))
        .await
        .is_err()
    {
        return Err("the runtime gives no turns");
    }
    if loops.iter().any(AbortHandle::is_finished) {
        return Err("a listener no longer accepts");
    }
    if !bridge.sessions.log.is_followed(FOLLOWED) {
        return Err("nobody follows the revocation log");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sockets_are_known_by_name_and_a_single_one_is_the_proxys() {
        assert_eq!(named(0, None).unwrap(), Vec::<&str>::new());
        assert_eq!(named(1, None).unwrap(), ["proxy"]);
        assert_eq!(named(1, Some("auth-manager.socket")).unwrap(), ["proxy"]);
        assert_eq!(named(1, Some("ops")).unwrap(), ["ops"]);
        let several = named(4, Some("ops:proxy:api:proxy")).unwrap();
        assert_eq!(several, ["ops", "proxy", "api", "proxy"]);
    }

    #[test]
    fn a_socket_whose_name_says_nothing_is_refused_among_several() {
        for names in [
            None,
            Some("proxy"),
            Some("proxy:"),
            Some("proxy:auth-manager.socket"),
        ] {
            let refused = named(2, names).unwrap_err().to_string();
            assert!(refused.contains("FileDescriptorName="), "{refused}");
        }
    }
}
