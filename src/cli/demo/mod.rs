//! `auth-manager demo`: everything on loopback, in one process. The door is a simulation of
//! Pomerium, the identity provider one of Authentik (`office`, with a `page` of its own), the app a
//! stand-in unless a real server is named; the bridge between them is the real one, with its real
//! configuration file.

mod office;
mod page;

use super::check::report::Report;
use super::{operator, smoke};
use crate::config::Config;
use crate::demo::door::{self, Door, DoorOptions, Minter, Scheme};
use crate::demo::mattermost::{Options as StandInOptions, StandIn};
use crate::keys::master::MasterKey;
use crate::runtime::{self, Options, Sockets};
use crate::store::{SeenUser, UserState};
use crate::telemetry::log::{self, Format, LogHandle, LogOptions};
use crate::types::{Clock as _, IssuerId, Subject, SystemClock};
use anyhow::Context as _;
use office::{GROUP_SALES, Office, Provider};
use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

/// Show everything on this machine. Nothing here protects anything: it is a demo.
#[derive(Debug, clap::Args)]
pub(super) struct Demo {
    /// Keep state in this folder; a temporary one by default.
    #[arg(long, value_name = "FOLDER")]
    dir: Option<PathBuf>,
    /// Port of the door on localhost; 0 picks a free one.
    #[arg(long, default_value_t = 8600)]
    port: u16,
    /// Port of the identity provider's page on localhost; 0 picks a free one.
    #[arg(long, default_value_t = 8601)]
    people_port: u16,
    /// A real Mattermost in the stand-in's place. Its SiteURL must be the address that is printed.
    #[arg(long, value_name = "URL", requires = "bot_token_file")]
    mattermost: Option<url::Url>,
    /// The token of a bot with the role system_admin on that server.
    #[arg(long, value_name = "FILE", requires = "mattermost")]
    bot_token_file: Option<PathBuf>,
    /// Walk the whole road once as one of the invented people, say how it went, and end.
    #[arg(long)]
    smoke: bool,
}

impl Demo {
    pub(super) fn run(self) -> anyhow::Result<u8> {
        // People look at a demo's terminal: warnings only, unless asked.
        let mut options = LogOptions::from_environment(Format::Human);
        options.filter.get_or_insert_with(|| "warn".into());
        let log = log::start(&options)?;
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .enable_all()
            .build()?;
        runtime.block_on(self.play(&log))
    }

    async fn play(self, log: &LogHandle) -> anyhow::Result<u8> {
        let folder = Folder::of(self.dir.clone())?;
        let stop = CancellationToken::new();
        let front = listen(self.port, "--port").await?;
        let origin = format!("http://localhost:{}", front.local_addr()?.port());
        let desk = listen(self.people_port, "--people-port").await?;
        let people = format!("http://localhost:{}", desk.local_addr()?.port());

        let (upstream, token_file, app) = match (&self.mattermost, &self.bot_token_file) {
            (Some(url), Some(file)) => (url.clone(), fs::canonicalize(file)?, None),
            _ => stand_in(&origin, &folder.path, &stop).await?,
        };
        let provider = Provider::new();
        let directory = serve_directory(&provider, &stop).await?;
        write_secret(&folder.path.join("directory.token"), &provider.token)?;
        let secret = uuid::Uuid::new_v4().simple().to_string();
        write_secret(&folder.path.join("hooks.secret"), &secret)?;
        // Bound here, so that its address is known to whoever sends webhooks.
        let api = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let hook = format!("http://{}/hooks/authentik", api.local_addr()?);
        let minter = Arc::new(Minter::generate()?);
        fs::write(folder.path.join("jwks.json"), minter.jwks())?;
        let master = folder.path.join("master.key");
        if !master.exists() {
            MasterKey::generate_file(&master)?;
        }
        let path = folder.path.join("auth-manager.toml");
        fs::write(
            &path,
            configuration(
                &folder.path,
                &origin,
                &upstream,
                &token_file,
                &directory,
                app.is_some(),
            ),
        )?;
        let config = Config::load(&path)
            .map_err(|e| anyhow::anyhow!("the demo's own configuration: {e}"))?;
        disable_denis(&config).await?;
        let office =
            Office::open(provider.authentik, app, config.clone(), (&hook, &secret)).await?;

        let (tell, told) = tokio::sync::oneshot::channel();
        let options = Options {
            path,
            config,
            sockets: Sockets::with("api", api)?,
            clock: Arc::new(SystemClock),
            stop: stop.clone(),
            ready: Some(tell),
        };
        let bridge = runtime::serve(options, log);
        let rest = async {
            let bridge: SocketAddr = told.await.context("the bridge did not start")?;
            let door = Arc::new(Door::with_signer(
                DoorOptions {
                    upstream: bridge,
                    host: "localhost".into(),
                    people: door::invented_people(),
                    scheme: Scheme::Http,
                },
                minter,
            ));
            if self.smoke {
                let cookie = door.sign_in(door::alice())?;
                let walk = walk(&origin, &cookie);
                return tokio::select! {
                    ended = door.serve(front, stop.clone()) => ended.map(|()| 1).map_err(Into::into),
                    verdict = walk => verdict,
                };
            }
            self.announce(&origin, &people, &folder.path);
            let page = page::serve(Arc::new(office), origin.clone(), desk, stop.clone());
            tokio::select! {
                served = door.serve(front, stop.clone()) => served?,
                served = page => served?,
            }
            anyhow::Ok(0)
        };
        let code = tokio::select! {
            ended = bridge => ended.map(|()| 0)?,
            ended = rest => ended?,
        };
        stop.cancel();
        Ok(code)
    }

    fn announce(&self, origin: &str, people: &str, folder: &Path) {
        let app = match &self.mattermost {
            Some(url) => format!("the Mattermost at {url}"),
            None => "a stand-in Mattermost".into(),
        };
        println!("auth-manager demo: a simulated Pomerium and Authentik, the real bridge, {app}.");
        println!(
            "Nothing here protects anything. State: {}",
            folder.display()
        );
        println!();
        println!("    Open {origin}/ and choose a person.");
        println!("    Open {people}/ beside it, and disable somebody, or put them into a group.");
        println!();
        println!("Ctrl-C ends it.");
    }
}

async fn listen(port: u16, option: &str) -> anyhow::Result<TcpListener> {
    TcpListener::bind((Ipv4Addr::LOCALHOST, port))
        .await
        .with_context(|| format!("port {port} of localhost is taken: choose another by {option}"))
}

/// The identity provider's API; its address.
async fn serve_directory(provider: &Provider, stop: &CancellationToken) -> anyhow::Result<String> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    let url = format!("http://{}", listener.local_addr()?);
    let (authentik, stop) = (provider.authentik.clone(), stop.clone());
    tokio::spawn(async move { authentik.serve(listener, stop).await });
    Ok(url)
}

/// The whole road once, and the exit code.
async fn walk(origin: &str, cookie: &str) -> anyhow::Result<u8> {
    let mut report = Report::default();
    smoke::signed_in(
        &mut report,
        &origin.parse()?,
        &format!("_pomerium={cookie}"),
    )
    .await?;
    report.print(false)?;
    Ok(u8::from(report.has_errors()))
}

/// Where the demo keeps its state; a temporary folder goes with it.
struct Folder {
    path: PathBuf,
    temporary: bool,
}

impl Folder {
    fn of(chosen: Option<PathBuf>) -> anyhow::Result<Self> {
        let temporary = chosen.is_none();
        let path = chosen.unwrap_or_else(|| {
            std::env::temp_dir().join(format!("auth-manager-demo-{}", std::process::id()))
        });
        fs::create_dir_all(&path).with_context(|| format!("folder {}", path.display()))?;
        Ok(Self {
            path: fs::canonicalize(path)?,
            temporary,
        })
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        if self.temporary {
            let _ = fs::remove_dir_all(&self.path);
        }
    }
}

async fn stand_in(
    origin: &str,
    folder: &Path,
    stop: &CancellationToken,
) -> anyhow::Result<(url::Url, PathBuf, Option<StandIn>)> {
    let app = StandIn::new(StandInOptions {
        site_url: origin.to_owned(),
        ..StandInOptions::default()
    });
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    let url = url::Url::parse(&format!("http://{}", listener.local_addr()?))?;
    let file = folder.join("bot.token");
    write_secret(&file, &app.bot_token())?;
    app.create_team(GROUP_SALES);
    let (served, stop) = (app.clone(), stop.clone());
    tokio::spawn(async move { served.serve(listener, stop).await });
    Ok((url, file, Some(app)))
}

fn write_secret(path: &Path, text: &str) -> anyhow::Result<()> {
    use std::io::Write as _;
    use std::os::unix::fs::OpenOptionsExt as _;
    let mut file = fs::OpenOptions::new()
        .create(true)
        .write(true)
        .truncate(true)
        .mode(0o600)
        .open(path)?;
    file.write_all(text.as_bytes())?;
    Ok(())
}

fn configuration(
    folder: &Path,
    origin: &str,
    upstream: &url::Url,
    token: &Path,
    directory: &str,
    stand_in: bool,
) -> String {
    let text = |t: &str| toml::Value::String(t.to_owned()).to_string();
    let file = |name: &str| text(&folder.join(name).display().to_string());
    // In a real server nobody is made ahead of their visit.
    let provision = match stand_in {
        true => format!(
            "[apps.provision]\nwhen = \"on-assignment\"\n\
             [[apps.provision.groups]]\ngroup = \"{GROUP_SALES}\"\nteam = \"{GROUP_SALES}\"\n"
        ),
        false => String::new(),
    };
    format!(
        "# Written by `auth-manager demo`, anew at each start.\n\
         [listen.proxy]\naddress = \"127.0.0.1:0\"\n\
         [listen.ops]\naddress = \"127.0.0.1:0\"\n\
         [listen.api]\naddress = \"127.0.0.1:0\"\nissuer = \"https://demo.invalid\"\n\
         [store]\nsqlite = {store}\n\
         [keys]\nmaster_key = {{ file = {master} }}\n\
         [[issuers]]\nid = \"pomerium\"\njwks = {{ file = {jwks} }}\n\
         [[apps]]\nid = \"chat\"\nname = \"Mattermost\"\nkind = \"mattermost\"\n\
         host = \"localhost\"\norigin = {origin}\nupstream = {upstream}\n\
         [apps.access]\nvalidated = \"{validated}\"\nany_of = [\"{members}\"]\n\
         [apps.mattermost]\nbot_token = {{ file = {token} }}\nteam = \"demo\"\ncreate_team = true\n\
         {provision}\
         [[directories]]\nid = \"authentik\"\nkind = \"authentik\"\nurl = {directory}\n\
         token = {{ file = {directory_token} }}\n\
         [directories.hooks]\nsecrets = [{{ file = {hooks} }}]\n\
         [directories.reconcile]\nevery = \"10s\"\n\
         [portal]\norganisation = \"Demo\"\ncontact = \"help@example.test\"\n",
        store = file("demo.db"),
        master = file("master.key"),
        jwks = file("jwks.json"),
        directory = text(directory),
        directory_token = file("directory.token"),
        hooks = file("hooks.secret"),
        origin = text(origin),
        upstream = text(upstream.as_str().trim_end_matches('/')),
        token = text(&token.display().to_string()),
        validated = door::GROUP_VALIDATED,
        members = door::GROUP_MEMBERS,
    )
}

/// One of the invented people is disabled before the first visit.
async fn disable_denis(config: &Config) -> anyhow::Result<()> {
    let store = runtime::store_of(&config.store).await?;
    let denis = door::denis();
    let now = SystemClock.now();
    let seen = SeenUser {
        issuer: IssuerId::new("pomerium")?,
        subject: Subject::new(denis.sub)?,
        email: denis.email,
        email_verified: true,
        name: denis.name,
        username: denis.username,
        locale: None,
        groups: Vec::new(),
        at: now,
    };
    let user = store.saw_user(&seen).await?;
    let by = runtime::audit_of(config, Arc::new(SystemClock)).by(operator::operator());
    let (state, why) = (UserState::Disabled, "disabled for the demo");
    store
        .set_user_state(user.id, state, why, now, &by.by())
        .await?;
    Ok(())
}
