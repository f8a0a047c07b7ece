//! The load tool of `tests/load`: an origin that costs next to nothing, signed assertions, load, and
//! sockets. One thread; each command prints one line of JSON.
//!
//!     load keys DIR                    DIR/key.pk8 and DIR/jwks.json
//!     load certs DIR                   an authority, a server's certificate (localhost) and a client's
//!     load origin PORT                 200 and 2 KiB for everything, 1 MiB for /big, echoes frames
//!     load ready  PORT DIR COOKIES     waits until an answer comes through
//!     load run    PORT DIR COOKIES SECONDS CONNECTIONS RATE PATH PID
//!     load sockets PORT DIR COOKIES COUNT PID [COMMAND…]
//!
//! `run` with RATE 0 is a closed loop; otherwise request *i* is due at start + *i*/RATE whatever came
//! back, and when no connection was free by then its latency counts from there, so that a stall is
//! charged to all it delays. `sockets` opens COUNT sockets and weighs them; COMMAND then
//! ends their sessions, and the time until each has its close frame is measured from its start.
//!
//! LOAD_TLS names a folder with `ca.pem`, `client.pem` and `client-key.pem`: connections are then made
//! by TLS, with what lies there at that moment. LOAD_EACH is how many requests `run` sends over a
//! connection before it makes another; all, if not said.

mod origin;
mod sign;
mod wire;

use anyhow::{Context, bail};
use serde_json::json;
use sign::Signer;
use std::path::Path;
use std::rc::Rc;
use std::time::{Duration, Instant};
use tokio::io::AsyncReadExt;
use wire::{Connection, Visitor};

fn main() -> anyhow::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let of = |i: usize| arguments.get(i).map(String::as_str).unwrap_or_default();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let work = async {
        match of(0) {
            "certs" => certs(Path::new(of(1))),
            "keys" => Ok(Signer::generate(Path::new(of(1)))?),
            "origin" => origin::serve(of(1).parse()?).await,
            "ready" => ready(of(1).parse()?, of(2), of(3)).await,
            "run" => run(&arguments[1..]).await,
            "sockets" => sockets(&arguments[1..]).await,
            _ => {
                bail!(
                    "load keys|certs|origin|ready|run|sockets: see the top of tests/load/load/main.rs"
                )
            }
        }
    };
    let local = tokio::task::LocalSet::new();
    local.block_on(&runtime, work)
}

fn certs(folder: &Path) -> anyhow::Result<()> {
    use auth_manager::types::{Clock as _, SystemClock};
    let (server, client) = (["localhost".to_owned()], ["pomerium.internal".to_owned()]);
    auth_manager::tls::dev::write(folder, &server, &client, &[], SystemClock.now())?;
    Ok(())
}

async fn ready(port: u16, keys: &str, cookies: &str) -> anyhow::Result<()> {
    let until = Instant::now() + Duration::from_secs(20);
    loop {
        let visitor = Visitor::load(keys, cookies, 200);
        if let Ok(visitor) = &visitor
            && let Ok(mut connection) = Connection::open(port).await
            && connection
                .get(&visitor.request(0, "/api/v4/users/me"))
                .await
                .is_ok_and(|a| a.status == 200)
        {
            return Ok(());
        }
        if Instant::now() > until {
            bail!("no 200 came through within 20 s ({:?})", visitor.err());
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

async fn run(arguments: &[String]) -> anyhow::Result<()> {
    let [port, keys, cookies, seconds, connections, rate, path, pid] = arguments else {
        bail!("run PORT DIR COOKIES SECONDS CONNECTIONS RATE PATH PID");
    };
    let (port, seconds): (u16, f64) = (port.parse()?, seconds.parse()?);
    let (connections, rate): (usize, f64) = (connections.parse()?, rate.parse()?);
    let enough = if rate > 0.0 { rate } else { 30_000.0 } * (seconds + 0.5);
    // A token of its own for each request, made before the clock starts.
    let visitor = Rc::new(Visitor::load(keys, cookies, enough as usize)?);
    let mut open = Vec::new();
    for _ in 0..connections {
        open.push(Connection::open(port).await?);
    }
    let each = std::env::var("LOAD_EACH").ok();
    let each: usize = each.map_or(Ok(usize::MAX), |text| text.parse())?;
    let next = Rc::new(std::cell::Cell::new(0_usize));
    let before = cpu(pid);
    let start = Instant::now();
    let end = start + Duration::from_secs_f64(seconds);
    let workers = open.into_iter().map(|mut connection| {
        let (visitor, next, path) = (visitor.clone(), next.clone(), path.clone());
        tokio::task::spawn_local(async move {
            let (mut took, mut bytes) = (Vec::new(), 0_u64);
            loop {
                if took.len() % each == each - 1 {
                    connection = Connection::open(port).await.context("a new connection")?;
                }
                let number = next.replace(next.get() + 1);
                let due = match rate {
                    0.0 => Instant::now(),
                    rate => start + Duration::from_secs_f64(number as f64 / rate),
                };
                if due >= end {
                    return anyhow::Ok((took, bytes));
                }
                let mut from = due;
                if due > Instant::now() {
                    tokio::time::sleep_until(due.into()).await;
                    // The timer is coarser than what is measured.
                    from = Instant::now();
                }
                let answer = connection.get(&visitor.request(number, &path)).await?;
                if answer.status != 200 {
                    bail!("status {}", answer.status);
                }
                took.push(from.elapsed().as_micros() as u64);
                bytes += answer.length as u64;
            }
        })
    });
    let (mut took, mut bytes) = (Vec::new(), 0);
    for worker in workers.collect::<Vec<_>>() {
        let (t, b) = worker.await??;
        took.extend(t);
        bytes += b;
    }
    let (used, wall) = (cpu(pid) - before, start.elapsed().as_secs_f64());
    took.sort_unstable();
    let at = |q: f64| took.get((took.len() as f64 * q) as usize).copied();
    let out = json!({
        "requests": took.len(),
        "rps": took.len() as f64 / wall,
        "p50_us": at(0.5),
        "p99_us": at(0.99),
        "cpu_us": used * 1e6 / took.len().max(1) as f64,
        "cpu_s_per_gib": used / bytes.max(1) as f64 * f64::from(1 << 30),
        "rss_mib": rss_kib(pid) / 1024.0,
    });
    println!("{out}");
    Ok(())
}

async fn sockets(arguments: &[String]) -> anyhow::Result<()> {
    let [port, keys, cookies, count, pid, command @ ..] = arguments else {
        bail!("sockets PORT DIR COOKIES COUNT PID [COMMAND…]");
    };
    let (port, count): (u16, usize) = (port.parse()?, count.parse()?);
    let visitor = Visitor::load(keys, cookies, count + 8)?;
    // What a first socket allocates once for all is not the sockets' cost.
    let first = Connection::upgrade(port, &visitor.upgrade(count)).await?;
    let before = rss_kib(pid);
    let mut open = Vec::with_capacity(count);
    for number in 0..count {
        let socket = Connection::upgrade(port, &visitor.upgrade(number)).await;
        open.push(socket.with_context(|| format!("socket {number}"))?);
    }
    tokio::time::sleep(Duration::from_secs(1)).await;
    let each = (rss_kib(pid) - before) / count as f64;
    for socket in &mut open {
        wire::echo(socket).await.context("an idle socket is dead")?;
    }
    let mut out = json!({ "sockets": count, "kib_each": each, "rss_mib": rss_kib(pid) / 1024.0 });
    if let [program, rest @ ..] = command {
        let start = Instant::now();
        let closings: Vec<_> = open
            .into_iter()
            .map(|mut socket| {
                tokio::task::spawn_local(async move {
                    let mut frame = [0; 4];
                    socket.read_exact(&mut frame).await?;
                    anyhow::Ok((frame, start.elapsed()))
                })
            })
            .collect();
        let ended = tokio::process::Command::new(program)
            .args(rest)
            .stdout(std::process::Stdio::null())
            .status()
            .await?;
        anyhow::ensure!(ended.success(), "{program}: {ended}");
        let said = start.elapsed();
        let mut took = Vec::with_capacity(count);
        for closing in closings {
            let (frame, after) = tokio::time::timeout(Duration::from_secs(30), closing).await???;
            // A close frame (RFC 6455 §5.5.1) with code 1008.
            anyhow::ensure!(frame[0] == 0x88 && frame[2..] == [0x03, 0xf0], "{frame:?}");
            took.push(after.as_secs_f64());
        }
        took.sort_by(f64::total_cmp);
        out["command_s"] = json!(said.as_secs_f64());
        out["first_close_s"] = json!(took.first());
        out["last_close_s"] = json!(took.last());
    }
    drop(first);
    println!("{out}");
    Ok(())
}

/// Seconds that all threads of a process have run (nanoseconds in `schedstat`); 0 for none.
fn cpu(pid: &str) -> f64 {
    let Ok(threads) = std::fs::read_dir(format!("/proc/{pid}/task")) else {
        return 0.0;
    };
    let one = |text: String| text.split(' ').next()?.parse::<f64>().ok();
    threads
        .flatten()
        .filter_map(|t| std::fs::read_to_string(t.path().join("schedstat")).ok())
        .filter_map(one)
        .sum::<f64>()
        / 1e9
}

fn rss_kib(pid: &str) -> f64 {
    let text = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let line = text.lines().find_map(|l| l.strip_prefix("VmRSS:"));
    let number = line.and_then(|l| l.split_whitespace().next()?.parse().ok());
    number.unwrap_or_default()
}
