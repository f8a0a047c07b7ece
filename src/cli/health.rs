//! `auth-manager health`: asks the running bridge how it is, for places without curl: health checks
//! of containers, mostly.

use super::out::print;
use super::stage::{block_on, load};
use super::{ConfigFile, EX_CONFIG};
use anyhow::{Context as _, bail};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// How long an answer may take, and be.
const PATIENCE: Duration = Duration::from_secs(4);
const LONGEST: u64 = 256 * 1024;

/// Ask the running bridge how it is; the exit code is 0 when it is ready, 1 when it is not.
#[derive(Debug, clap::Args)]
pub(super) struct Health {
    #[command(flatten)]
    file: ConfigFile,
    /// Only whether it runs, be the store or Pomerium's keys away.
    #[arg(long)]
    live: bool,
}

impl Health {
    pub(super) fn run(self) -> anyhow::Result<u8> {
        let Some(config) = load(&self.file) else {
            return Ok(EX_CONFIG);
        };
        let Some(address) = config.ops.address else {
            bail!("listen.ops.address is \"off\": there is nobody to ask");
        };
        let path = if self.live { "/livez" } else { "/readyz" };
        block_on(async {
            let asked = tokio::time::timeout(PATIENCE, ask(reachable(address), path));
            let (status, body) = asked.await.context("no answer within 4 s")??;
            print(match self.live {
                true => body.trim().to_owned(),
                false => parts(&body),
            })?;
            Ok(u8::from(status != 200))
        })
    }
}

/// An address to ask at, of one to listen on.
fn reachable(listen: SocketAddr) -> SocketAddr {
    let ip = match listen.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(ip, listen.port())
}

async fn ask(address: SocketAddr, path: &str) -> anyhow::Result<(u16, String)> {
    let mut stream = TcpStream::connect(address)
        .await
        .with_context(|| format!("nobody answers at {address} (listen.ops.address)"))?;
    let request = format!("GET {path} HTTP/1.0\r\nHost: {address}\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    let mut answer = Vec::new();
    // HTTP/1.0: the body ends with the connection.
    stream.take(LONGEST).read_to_end(&mut answer).await?;
    let answer = String::from_utf8_lossy(&answer).into_owned();
    let (head, body) = answer
        .split_once("\r\n\r\n")
        .context("the answer is no HTTP: is another program on that port?")?;
    let status = head.split(' ').nth(1).and_then(|code| code.parse().ok());
    let status = status.context("the answer is no HTTP: is another program on that port?")?;
    Ok((status, body.to_owned()))
}

/// `ready`, or which parts are not and why.
fn parts(body: &str) -> String {
    let said: serde_json::Value = match serde_json::from_str(body) {
        Ok(said) => said,
        Err(_) => return "the answer is not the bridge's".into(),
    };
    if said["ready"] == true {
        return "ready".into();
    }
    let parts = said["parts"].as_object().into_iter().flatten();
    let missing = parts.filter(|(_, part)| part["ready"] != true);
    let lines: Vec<_> = missing
        .map(|(name, part)| super::out::clean(&format!("not ready: {name} {}", part["detail"])))
        .collect();
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_listens_everywhere_is_asked_on_loopback() {
        for (listen, ask) in [
            ("0.0.0.0:9464", "127.0.0.1:9464"),
            ("[::]:1", "[::1]:1"),
            ("192.0.2.1:9464", "192.0.2.1:9464"),
        ] {
            assert_eq!(reachable(listen.parse().unwrap()), ask.parse().unwrap());
        }
    }

    #[test]
    fn only_what_is_missing_is_named() {
        assert_eq!(parts("{\"ready\":true,\"parts\":{}}"), "ready");
        let body = "{\"ready\":false,\"parts\":{\"store\":{\"ready\":false,\"detail\":\"away\"},\"accepting\":{\"ready\":true}}}";
        assert_eq!(parts(body), "not ready: store \"away\"");
        assert_eq!(parts("<html>"), "the answer is not the bridge's");
    }
}
