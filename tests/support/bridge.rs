//! The bridge's binary in a folder of its own.

use super::certs::{BRIDGE, Certs, POMERIUM};
use super::process::Process;
use super::unit::Unit;
use base64::{Engine, engine::general_purpose::STANDARD};
use std::fmt::Write;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};
use std::sync::Arc;
use tokio::process::Command;

/// The binary under test.
pub const BINARY: &str = env!("CARGO_BIN_EXE_auth-manager");

/// What a configuration says beyond the usual. Texts are TOML lines of the named section.
#[derive(Clone, Debug)]
pub struct Settings {
    /// External host of the app.
    pub host: String,
    /// External origin; empty: `https://` and the host.
    pub origin: String,
    /// `[apps.access]`
    pub access: String,
    /// `[apps.session]`
    pub session: String,
    /// `[apps.mattermost]`, beside `bot_token`
    pub mattermost: String,
    /// `[[issuers]]`, beside `id` and `jwks`
    pub issuer: String,
    /// `[[apps]]` itself
    pub app: String,
    /// TLS with client certificates instead of plain HTTP on loopback.
    pub tls: bool,
    /// `[keys]`, beside `master_key`.
    pub keys: String,
    /// Where the app is; empty: `http://` and its address.
    pub upstream: String,
    /// The log filter.
    pub log: String,
    /// `[listen.proxy]`, beside `address`
    pub proxy: String,
    /// `[limits]`
    pub limits: String,
    /// A `postgres://` URL; empty: SQLite in the bridge's own folder.
    pub postgres: String,
    /// The master key: the same for replicas, so for clones of these settings.
    pub master: [u8; 32],
    /// Further `[[apps]]`, whole.
    pub more: String,
    /// Started as systemd would, with its socket; none: bound by the bridge.
    pub unit: Option<Arc<Unit>>,
    /// What else its environment says when it is first started.
    pub environment: Vec<(&'static str, String)>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            host: "chat.example.test".into(),
            origin: String::new(),
            access: "validated = \"validated\"\nany_of = [\"mattermost-users\"]".into(),
            session: String::new(),
            mattermost: "team = \"demo\"".into(),
            issuer: String::new(),
            app: String::new(),
            tls: false,
            keys: String::new(),
            upstream: String::new(),
            // Everything of ours: what the finest log shows must be clean, too (T34).
            log: "info,auth_manager=trace".into(),
            proxy: String::new(),
            limits: String::new(),
            postgres: String::new(),
            master: {
                let mut key = [0; 32];
                aws_lc_rs::rand::fill(&mut key).expect("randomness");
                key
            },
            more: String::new(),
            unit: None,
            environment: Vec::new(),
        }
    }
}

/// What stands on both sides of the bridge.
pub struct Neighbours<'a> {
    pub app: SocketAddr,
    pub bot_token: &'a str,
    pub jwks: &'a str,
}

/// A running bridge, and its folder.
pub struct Bridge {
    folder: tempfile::TempDir,
    log: String,
    unit: Option<Arc<Unit>>,
    process: Process,
    /// What former processes said.
    earlier: String,
    /// Where Pomerium would reach it.
    pub proxy: SocketAddr,
    /// Health and metrics.
    pub ops: SocketAddr,
    /// The certificates, with `tls`.
    pub certs: Option<Certs>,
}

impl Bridge {
    /// Writes a configuration and starts the binary on it.
    pub async fn start(settings: &Settings, neighbours: &Neighbours<'_>) -> Self {
        let (folder, certs) = prepare(settings, neighbours);
        let mut process = serve(
            folder.path(),
            &settings.log,
            settings.unit.as_deref(),
            &settings.environment,
        );
        let (proxy, ops) = addresses(&mut process).await;
        let log = settings.log.clone();
        Self {
            folder,
            log,
            unit: settings.unit.clone(),
            process,
            earlier: String::new(),
            proxy,
            ops,
            certs,
        }
    }

    /// Writes a configuration, `auth-manager.toml`, and starts nothing.
    pub fn prepare(settings: &Settings, neighbours: &Neighbours<'_>) -> tempfile::TempDir {
        prepare(settings, neighbours).0
    }

    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The configuration file.
    pub fn config(&self) -> PathBuf {
        self.folder.path().join("auth-manager.toml")
    }

    /// Replaces the key set file; the bridge looks at it again by itself.
    pub fn set_jwks(&self, jwks: &str) {
        let path = self.folder.path().join("jwks.json");
        let fresh = path.with_extension("new");
        std::fs::write(&fresh, jwks).expect("the folder is writable");
        std::fs::rename(fresh, path).expect("a rename in one folder");
    }

    /// `kill -9`.
    pub async fn kill(&mut self) {
        self.process.kill().await;
    }

    /// Its resident memory in bytes.
    pub fn memory(&self) -> u64 {
        self.process.memory()
    }

    /// SIGTERM; waits for the end and gives the exit code.
    pub async fn stop(&mut self) -> Option<i32> {
        self.process.signal("TERM");
        self.process.ended().await
    }

    /// Waits for its end; the exit code.
    pub async fn ended(&mut self) -> Option<i32> {
        self.process.ended().await
    }

    /// SIGHUP: read the configuration again.
    pub fn hang_up(&self) {
        self.process.signal("HUP");
    }

    /// SIGSTOP: it does nothing from now on, and can only be killed.
    pub fn freeze(&self) {
        self.process.signal("STOP");
    }

    /// SIGTERM, without waiting for the end.
    pub fn terminate(&self) {
        self.process.signal("TERM");
    }

    /// Most memory the process ever held, in KiB (`VmHWM` of proc(5)).
    pub fn peak_memory(&self) -> u64 {
        let status = format!("/proc/{}/status", self.process.id());
        let status = std::fs::read_to_string(status).expect("a running process");
        let peak = status
            .lines()
            .find_map(|line| line.strip_prefix("VmHWM:"))
            .and_then(|rest| rest.split_whitespace().next()?.parse().ok());
        peak.expect("the kernel says so")
    }

    /// A new process on the same folder; the addresses change.
    pub async fn restart(&mut self) {
        self.earlier.push_str(&self.process.output());
        self.process = serve(self.folder.path(), &self.log, self.unit.as_deref(), &[]);
        (self.proxy, self.ops) = addresses(&mut self.process).await;
    }

    /// The first thing `wanted` finds in a log line, old or new.
    pub async fn line<T>(&mut self, what: &str, wanted: impl Fn(&str) -> Option<T>) -> T {
        self.process.line(what, wanted).await
    }

    /// Everything it logged so far.
    pub fn output(&self) -> String {
        format!("{}{}", self.earlier, self.process.output())
    }

    /// Runs a command on the same configuration.
    pub async fn command(&self, arguments: &[&str]) -> Output {
        let run = Command::new(BINARY)
            .args(arguments)
            .arg("--config")
            .arg(self.config())
            .stdin(Stdio::null())
            .output();
        tokio::time::timeout(super::PATIENCE, run)
            .await
            .expect("a command ends")
            .expect("the binary starts")
    }

    /// Runs a command that must succeed; its standard output.
    pub async fn run(&self, arguments: &[&str]) -> String {
        let output = self.command(arguments).await;
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        assert!(
            output.status.success(),
            "{arguments:?}: {}\n{}{}",
            output.status,
            text(&output.stdout),
            text(&output.stderr)
        );
        text(&output.stdout)
    }

    /// `GET` on the ops listener.
    pub async fn ops(&self, path: &str) -> super::wire::Response {
        let request = format!(
            "GET {path} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n",
            self.ops
        );
        super::wire::exchange(self.ops, request.as_bytes()).await
    }
}

fn prepare(settings: &Settings, neighbours: &Neighbours<'_>) -> (tempfile::TempDir, Option<Certs>) {
    let folder = tempfile::tempdir().expect("a folder for the test");
    let certs = settings.tls.then(|| Certs::make(folder.path()));
    write_configuration(folder.path(), settings, neighbours, certs.as_ref());
    (folder, certs)
}

fn serve(folder: &Path, log: &str, unit: Option<&Unit>, environment: &[(&str, String)]) -> Process {
    let config = folder.join("auth-manager.toml");
    let arguments = [Path::new("serve"), Path::new("--config"), &config];
    let (mut command, input) = match unit {
        Some(unit) => unit.command(BINARY, &arguments),
        None => {
            // A measurement names another build of it.
            let binary = std::env::var_os("AUTH_MANAGER_TEST_BINARY");
            let mut command = Command::new(binary.unwrap_or_else(|| BINARY.into()));
            command.args(arguments);
            (command, Stdio::null())
        }
    };
    command
        .envs(environment.iter().map(|(name, value)| (name, value)))
        .env("RUST_LOG", log)
        .env("AUTH_MANAGER_LOG", log)
        .current_dir(folder);
    Process::start_with(
        command,
        input,
        "auth-manager serve",
        "It is built by the same cargo test.",
    )
}

async fn addresses(process: &mut Process) -> (SocketAddr, SocketAddr) {
    let proxy = process
        .line("the proxy's address", |line| listening(line, "proxy"))
        .await;
    let ops = process
        .line("the ops address", |line| listening(line, "ops"))
        .await;
    (proxy, ops)
}

/// The address in a line `listening` of this listener; fields flattened or below `fields`.
pub fn listening(line: &str, listener: &str) -> Option<SocketAddr> {
    let line: serde_json::Value = serde_json::from_str(line).ok()?;
    let fields = line.get("fields").unwrap_or(&line);
    let text = |name: &str| fields.get(name).and_then(|value| value.as_str());
    let ours = text("message") == Some("listening") && text("listener") == Some(listener);
    ours.then(|| text("address")?.parse().ok())?
}

fn write_configuration(
    folder: &Path,
    settings: &Settings,
    neighbours: &Neighbours<'_>,
    certs: Option<&Certs>,
) {
    let secret = |name: &str, text: &str| {
        let path = folder.join(name);
        std::fs::write(&path, text).expect("the folder is writable");
        std::fs::set_permissions(&path, PermissionsExt::from_mode(0o600)).expect("our own file");
        path.display().to_string()
    };
    let master = secret("master.key", &STANDARD.encode(settings.master));
    let bot = secret("bot.token", neighbours.bot_token);
    let jwks = secret("jwks.json", neighbours.jwks);
    let Settings {
        host,
        access,
        session,
        mattermost,
        issuer,
        app,
        proxy,
        limits,
        more,
        keys,
        ..
    } = settings;
    let upstream = match settings.upstream.as_str() {
        "" => format!("http://{}", neighbours.app),
        upstream => upstream.to_owned(),
    };
    let store = match settings.postgres.as_str() {
        "" => format!("[store]\nsqlite = \"{}/auth-manager.db\"", folder.display()),
        url => {
            let url = secret("postgres.url", url);
            format!("[store.postgres]\nurl = {{ file = {url:?} }}")
        }
    };
    let more = more
        .replace("{upstream}", &neighbours.app.to_string())
        .replace("{bot}", &bot);
    let origin = if settings.origin.is_empty() {
        format!("https://{host}")
    } else {
        settings.origin.clone()
    };
    let mut text = format!("[listen.proxy]\naddress = \"127.0.0.1:0\"\n{proxy}\n");
    if let Some(certs) = certs {
        write!(
            text,
            "[listen.proxy.tls]\ncertificate = {:?}\nkey = {:?}\nclient_ca = {:?}\nclient_names = [{POMERIUM:?}]\n",
            certs.server, certs.server_key, certs.ca
        )
        .expect("a String takes it");
        debug_assert_ne!(BRIDGE, POMERIUM);
    }
    write!(
        text,
        "[listen.ops]\naddress = \"127.0.0.1:0\"\n\
         {store}\n\
         [limits]\n{limits}\n\
         [keys]\nmaster_key = {{ file = {master:?} }}\n{keys}\n\
         [[issuers]]\nid = \"pomerium\"\njwks = {{ file = {jwks:?} }}\n{issuer}\n\
         [[apps]]\nid = \"chat\"\nkind = \"mattermost\"\nname = \"Chat\"\nhost = {host:?}\n\
         origin = {origin:?}\nupstream = {upstream:?}\n{app}\n\
         [apps.access]\n{access}\n\
         [apps.session]\n{session}\n\
         [apps.mattermost]\nbot_token = {{ file = {bot:?} }}\n{mattermost}\n\
         {more}\n\
         [portal]\norganisation = \"Example Organisation\"\ncontact = \"help@example.test\"\n",
    )
    .expect("a String takes it");
    std::fs::write(folder.join("auth-manager.toml"), text).expect("the folder is writable");
}
