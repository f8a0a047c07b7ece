//! How soon somebody is out once the identity provider says so: the tool of `tests/load/goodbye`.
//!
//!     load-leave AUTH-MANAGER PEOPLE ONE MANY
//!
//! AUTH-MANAGER is the binary, which runs between a stand-in Authentik and a stand-in Mattermost, both
//! in this process. PEOPLE are signed in, each with an open socket. Then ONE are disabled, one after the
//! other, and MANY at once; from the very change in the directory on it is measured until their next
//! request is refused, their socket has its close frame, and their account in the app is deactivated.
//! Prints a line of JSON; times are in milliseconds.

#![allow(
    dead_code,
    missing_docs,
    unreachable_pub,
    reason = "what the integration tests share; a part of it is used"
)]

#[path = "../../support/client.rs"]
mod client;
#[path = "../../support/socket.rs"]
mod socket;
#[path = "../../support/taint.rs"]
mod taint;
#[path = "../../support/wire.rs"]
mod wire;

use anyhow::{Context, bail, ensure};
use auth_manager::demo::authentik::{
    Hook, NewPerson, Options as DirectoryOptions, StandIn as Authentik,
};
use auth_manager::demo::door::{Minter, Person};
use auth_manager::demo::mattermost::{Options, StandIn as Mattermost};
use client::Client;
use serde_json::{Value, json};
use socket::{End, Socket};
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

/// How long anything may take.
const PATIENCE: Duration = Duration::from_secs(60);
const HOST: &str = "chat.example.com";
const SECRET: &str = "kq3Zr9tYw2mXc7VbN1sLdF5gH8jP0oUa";
const GROUPS: [&str; 2] = ["validated", "mattermost-users"];

/// Ends with the tool, however that ends.
struct Bridge(Child);

impl Drop for Bridge {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Somebody who is signed in.
struct Visitor {
    pk: i64,
    name: String,
    client: Client,
    socket: Socket,
}

/// How long it took, in milliseconds.
struct Took {
    refused: f64,
    closed: f64,
    deactivated: f64,
}

fn main() -> anyhow::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [binary, people, one, many] = arguments.as_slice() else {
        bail!("load-leave AUTH-MANAGER PEOPLE ONE MANY: see the top of tests/load/leave/main.rs");
    };
    let [people, one, many] = [people, one, many].map(|count| count.parse::<usize>());
    let (people, one, many) = (people?, one?, many?);
    ensure!(one + many <= people, "more are to leave than there are");
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()?
        .block_on(measure(Path::new(binary), people, one, many))
}

async fn measure(binary: &Path, people: usize, one: usize, many: usize) -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let authentik = Authentik::new(DirectoryOptions {
        journal_capacity: 0,
        ..DirectoryOptions::default()
    });
    for group in GROUPS {
        authentik.create_group(group);
    }
    let mut hired = Vec::with_capacity(people);
    for number in 0..people {
        let name = format!("person{number:04}");
        let pk = authentik.create(&NewPerson {
            groups: GROUPS.map(str::to_owned).to_vec(),
            ..NewPerson::named(&name)
        });
        hired.push((pk, name));
    }
    let mattermost = Mattermost::new(Options {
        site_url: format!("https://{HOST}"),
        login_cost: Duration::ZERO,
        user_hard_limit: 1_000_000,
        max_users_per_team: 1_000_000,
        ..Options::default()
    });
    let stop = CancellationToken::new();
    let _stops = stop.clone().drop_guard();
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let directory = listener.local_addr()?;
    let (served, until) = (authentik.clone(), stop.clone());
    tokio::spawn(async move { served.serve(listener, until).await });
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let app = listener.local_addr()?;
    let served = mattermost.clone();
    tokio::spawn(async move { served.serve(listener, stop).await });

    let minter = Arc::new(Minter::generate()?);
    let (_, token) = authentik.reader(
        "auth-manager",
        &[
            "authentik_core.view_user",
            "authentik_core.view_group",
            "authentik_events.view_event",
        ],
    );
    configure(
        folder.path(),
        directory,
        app,
        &token,
        &mattermost.bot_token(),
        &minter.jwks(),
    )?;
    let (_bridge, proxy, api) = start(binary, folder.path()).await?;
    authentik.add_hook(Hook::shipped(
        &format!("http://{api}/hooks/authentik"),
        SECRET,
    ));

    let mut visitors = Vec::with_capacity(people);
    for (pk, name) in hired {
        let mut person = Person::new(0, &name, &name, &GROUPS, "");
        person.sub = authentik.uid(pk);
        visitors.push(sign_in(proxy, &minter, pk, name, person).await?);
    }
    // Nobody's first hint is younger than what a burst is coalesced by, and no job is left over.
    tokio::time::sleep(Duration::from_secs(4)).await;

    let mut singly = Vec::with_capacity(one);
    for visitor in visitors.drain(..one) {
        let leaves = leave(&authentik, &mattermost, visitor, Duration::from_millis(2));
        singly.push(leaves.await?);
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    tokio::time::sleep(Duration::from_secs(2)).await;
    // Asking is work for the bridge as well: together no more than 1,000 a second.
    let pause = Duration::from_millis(many.max(2) as u64);
    let together = visitors
        .drain(..many)
        .map(|visitor| leave(&authentik, &mattermost, visitor, pause));
    let together = futures_util::future::try_join_all(together).await?;
    // Whoever stays is not disturbed.
    for visitor in visitors.iter_mut().take(10) {
        let status = visitor.client.get("/api/v4/users/me").await.status;
        ensure!(status == 200, "somebody who stays: {status}");
    }
    let out = json!({
        "people": people,
        "one": shown(&singly), "ones": singly.len(),
        "many": shown(&together), "manies": together.len(),
    });
    println!("{out}");
    Ok(())
}

/// From the change in the directory on.
async fn leave(
    authentik: &Authentik,
    mattermost: &Mattermost,
    visitor: Visitor,
    pause: Duration,
) -> anyhow::Result<Took> {
    let Visitor {
        pk,
        name,
        mut client,
        socket,
    } = visitor;
    let start = Instant::now();
    let since = || start.elapsed().as_secs_f64() * 1_000.0;
    authentik.set_active(pk, false);
    let refused = async {
        loop {
            let status = client.get("/api/v4/users/me").await.status;
            match status {
                403 => return Ok(since()),
                200 if start.elapsed() < PATIENCE => tokio::time::sleep(pause).await,
                status => bail!("{name}: {status} after {:?}", start.elapsed()),
            }
        }
    };
    let closed = async {
        match socket.ended().await {
            End::Closed(Some(1008)) => Ok(since()),
            other => bail!("{name}'s socket: {other:?}"),
        }
    };
    let deactivated = async {
        while mattermost.user(&name).is_some_and(|user| user.is_active()) {
            ensure!(start.elapsed() < PATIENCE, "{name} is active still");
            tokio::time::sleep(pause).await;
        }
        Ok(since())
    };
    let (refused, closed, deactivated) = tokio::try_join!(refused, closed, deactivated)?;
    Ok(Took {
        refused,
        closed,
        deactivated,
    })
}

fn shown(all: &[Took]) -> Value {
    let of = |what: fn(&Took) -> f64| {
        let mut times: Vec<f64> = all.iter().map(what).collect();
        times.sort_by(f64::total_cmp);
        json!({ "p50": times.get(times.len() / 2), "max": times.last() })
    };
    json!({
        "refused": of(|took| took.refused),
        "closed": of(|took| took.closed),
        "deactivated": of(|took| took.deactivated),
    })
}

async fn sign_in(
    proxy: SocketAddr,
    minter: &Arc<Minter>,
    pk: i64,
    name: String,
    person: Person,
) -> anyhow::Result<Visitor> {
    let mut client = Client::new(proxy, HOST, person, minter.clone(), Default::default());
    let began = Instant::now();
    loop {
        let page = client.open("/").await;
        match page.status {
            200 => break,
            // *Preparing your account*; or the first sweep is under way.
            403 | 503 if began.elapsed() < PATIENCE => {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
            status => bail!("{name} signs in: {status} {}", page.text()),
        }
    }
    let socket = client.socket().await.map_err(|answer| {
        anyhow::anyhow!("{name}'s socket: {} {}", answer.status, answer.text())
    })?;
    Ok(Visitor {
        pk,
        name,
        client,
        socket,
    })
}

/// The bridge, and where proxy and api listen.
async fn start(binary: &Path, folder: &Path) -> anyhow::Result<(Bridge, SocketAddr, SocketAddr)> {
    let log = folder.join("log");
    let child = Command::new(binary)
        .arg("serve")
        .arg("--config")
        .arg(folder.join("auth-manager.toml"))
        .stdin(Stdio::null())
        .stdout(std::fs::File::create(&log)?)
        .stderr(std::fs::File::create(folder.join("errors"))?)
        .spawn()
        .with_context(|| binary.display().to_string())?;
    let bridge = Bridge(child);
    let began = Instant::now();
    loop {
        let text = std::fs::read_to_string(&log)?;
        let at = |name: &str| text.lines().find_map(|line| listening(line, name));
        if let (Some(proxy), Some(api)) = (at("proxy"), at("api")) {
            return Ok((bridge, proxy, api));
        }
        if began.elapsed() > Duration::from_secs(30) {
            let errors = std::fs::read_to_string(folder.join("errors"))?;
            bail!("the bridge does not start:\n{text}{errors}");
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

fn listening(line: &str, listener: &str) -> Option<SocketAddr> {
    let line: Value = serde_json::from_str(line).ok()?;
    let fields = line.get("fields").unwrap_or(&line);
    let text = |name: &str| fields.get(name).and_then(Value::as_str);
    let ours = text("message") == Some("listening") && text("listener") == Some(listener);
    ours.then(|| text("address")?.parse().ok())?
}

fn configure(
    folder: &Path,
    directory: SocketAddr,
    app: SocketAddr,
    token: &str,
    bot: &str,
    jwks: &str,
) -> anyhow::Result<()> {
    let secret = |name: &str, text: &str| {
        let path = folder.join(name);
        std::fs::write(&path, text)?;
        std::fs::set_permissions(&path, PermissionsExt::from_mode(0o600))?;
        anyhow::Ok(format!("{{ file = {:?} }}", path.display().to_string()))
    };
    let mut key = [0; 32];
    aws_lc_rs::rand::fill(&mut key)?;
    let key = base64::Engine::encode(&base64::engine::general_purpose::STANDARD, key);
    let text = format!(
        "[listen.proxy]\naddress = \"127.0.0.1:0\"\n[listen.ops]\naddress = \"off\"\n\
         [listen.api]\naddress = \"127.0.0.1:0\"\nissuer = \"https://api.example.com\"\n\
         [store]\nsqlite = {:?}\n[keys]\nmaster_key = {}\n\
         [[issuers]]\nid = \"pomerium\"\njwks = {}\n\
         [[directories]]\nid = \"authentik\"\nkind = \"authentik\"\nurl = \"http://{directory}\"\n\
         token = {}\n[directories.hooks]\nsecrets = [{}]\n\
         [[apps]]\nid = \"chat\"\nkind = \"mattermost\"\nhost = \"{HOST}\"\n\
         upstream = \"http://{app}\"\n[apps.access]\nvalidated = \"validated\"\n\
         any_of = [\"mattermost-users\"]\n[apps.mattermost]\nbot_token = {}\nteam = \"demo\"\n",
        folder.join("auth-manager.db").display().to_string(),
        secret("master.key", &key)?,
        secret("jwks.json", jwks)?,
        secret("directory.token", token)?,
        secret("hooks.secret", SECRET)?,
        secret("bot.token", bot)?,
    );
    std::fs::write(folder.join("auth-manager.toml"), text)?;
    Ok(())
}
