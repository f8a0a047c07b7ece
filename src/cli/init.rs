//! `auth-manager init`: configuration, master key and, for trying out, certificates. What exists is
//! never overwritten, so that it can be run again.

use super::out::print;
use crate::config::{self, write_default};
use crate::keys::master::MasterKey;
use crate::tls;
use crate::types::{Clock as _, HostName, SystemClock};
use anyhow::{Context as _, bail};
use std::fs::{DirBuilder, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use url::Url;

/// Folder of configuration and secrets.
const CONFIGURATION: &str = "/etc/auth-manager";
/// Folder of the store.
const STATE: &str = "/var/lib/auth-manager";
/// Folder of everything for trying out; ignored by git.
const DEVELOPMENT: &str = "certs/dev";
/// Names in the bridge's development certificate.
const SERVER_NAMES: [&str; 3] = ["bridge.internal", "localhost", "127.0.0.1"];

/// Name in the development certificate of a service, for the api listener.
const SERVICE_NAME: &str = "service.internal";

/// Write configuration and master key; with --dev development certificates too. What exists is kept.
#[derive(Debug, clap::Args)]
pub(super) struct Init {
    /// For trying out: development certificates too, and everything in one folder.
    #[arg(long)]
    dev: bool,
    /// Folder to write into [default: /etc/auth-manager, state in /var/lib/auth-manager; with --dev:
    /// certs/dev].
    #[arg(long, value_name = "FOLDER")]
    dir: Option<PathBuf>,
    /// The app's external host.
    #[arg(long, default_value = "chat.example.com", value_parser = host)]
    host: HostName,
    /// Where the app is.
    #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:8065")]
    upstream: Url,
    /// Where Pomerium's keys are [default: https://HOST/.well-known/pomerium/jwks.json].
    #[arg(long, value_name = "URL")]
    jwks: Option<Url>,
    /// Authority of that address, when it is not a public one.
    #[arg(long, value_name = "FILE")]
    jwks_ca: Option<PathBuf>,
    /// Name in Pomerium's client certificate.
    #[arg(long, value_name = "NAME", default_value = "pomerium.internal")]
    client_name: String,
    /// Pomerium runs on this machine: plain HTTP on loopback, no certificates.
    #[arg(long, conflicts_with = "dev")]
    plain: bool,
    /// Only say what would be done.
    #[arg(long)]
    dry_run: bool,
}

fn host(text: &str) -> Result<HostName, String> {
    HostName::new(text).map_err(|error| error.to_string())
}

/// Where everything goes.
struct Places {
    config: PathBuf,
    secrets: PathBuf,
    state: PathBuf,
    certificates: PathBuf,
}

impl Init {
    pub(super) fn run(self) -> anyhow::Result<u8> {
        let places = self.places()?;
        let master = places.secrets.join("master.key");
        let store = places.state.join("auth-manager.db");
        if store.exists() && !master.exists() {
            bail!(
                "{} is there, but {} is not: without the key that sealed it the store is worthless. Put the key back from your backup, or move the store away to begin anew",
                store.display(),
                master.display()
            );
        }
        for (folder, mode) in [(&places.secrets, 0o755), (&places.state, 0o700)] {
            self.folder(folder, mode)?;
        }
        if !self.plain {
            self.folder(&places.certificates, 0o755)?;
        }
        if self.dev {
            self.certificates(&places.certificates)?;
        }
        if self.is_new(&master, "master key")? {
            MasterKey::generate_file(&master)?;
        }
        let text = write_default(&config::Init {
            host: self.host.clone(),
            upstream: self.upstream.clone(),
            jwks: self.jwks()?,
            jwks_ca: self.jwks_ca.as_ref().map(std::path::absolute).transpose()?,
            secrets: places.secrets.clone(),
            state: places.state.clone(),
            certificates: (!self.plain).then(|| places.certificates.clone()),
            client_name: self.client_name.clone(),
        });
        if self.is_new(&places.config, "configuration")? {
            write_new(&places.config, &text)?;
        }
        print(self.next(&places))?;
        Ok(0)
    }

    fn places(&self) -> anyhow::Result<Places> {
        let absolute = |path: &Path| {
            std::path::absolute(path).with_context(|| format!("the folder {}", path.display()))
        };
        let (folder, state, certificates) = match (&self.dir, self.dev) {
            (Some(dir), _) => (absolute(dir)?, absolute(dir)?, absolute(dir)?.join("certs")),
            (None, true) => {
                let folder = absolute(Path::new(DEVELOPMENT))?;
                (folder.clone(), folder.clone(), folder)
            }
            (None, false) => {
                let folder = PathBuf::from(CONFIGURATION);
                let certificates = folder.join("certs");
                (folder, PathBuf::from(STATE), certificates)
            }
        };
        Ok(Places {
            config: folder.join("auth-manager.toml"),
            secrets: folder,
            state,
            certificates,
        })
    }

    fn jwks(&self) -> anyhow::Result<Url> {
        match &self.jwks {
            Some(url) => Ok(url.clone()),
            None => config::Init::jwks_of(&self.host)
                .with_context(|| format!("no address can be made of {}: name --jwks", self.host)),
        }
    }

    /// Says what becomes of a file; whether it is to be written now.
    fn is_new(&self, path: &Path, what: &str) -> anyhow::Result<bool> {
        let there = path
            .try_exists()
            .with_context(|| format!("{} can't be looked at", path.display()))?;
        let would = match (there, self.dry_run) {
            (true, _) => "kept",
            (false, true) => "would write",
            (false, false) => "wrote",
        };
        print(format!("{would:<12}{}  ({what})", path.display()))?;
        Ok(!there && !self.dry_run)
    }

    fn folder(&self, folder: &Path, mode: u32) -> anyhow::Result<()> {
        if self.dry_run || folder.is_dir() {
            return Ok(());
        }
        DirBuilder::new()
            .recursive(true)
            .mode(mode)
            .create(folder)
            .with_context(|| {
                format!(
                    "the folder {} can't be made: run this as root, or name another with --dir",
                    folder.display()
                )
            })
    }

    /// All of a set or none: one that is half there is somebody's work.
    fn certificates(&self, folder: &Path) -> anyhow::Result<()> {
        let names = [
            "ca.pem",
            "ca-key.pem",
            "server.pem",
            "server-key.pem",
            "client.pem",
            "client-key.pem",
            "service.pem",
            "service-key.pem",
        ];
        let there: Vec<_> = names.iter().filter(|n| folder.join(n).exists()).collect();
        if !there.is_empty() && there.len() < names.len() {
            bail!(
                "{} has some certificates, but not all: move them away for a new set, or put the missing ones back",
                folder.display()
            );
        }
        if self.is_new(&folder.join("ca.pem"), "development certificates")? {
            let server: Vec<_> = SERVER_NAMES.iter().map(|n| (*n).to_owned()).collect();
            let client = [self.client_name.clone()];
            let service = [SERVICE_NAME.to_owned()];
            tls::dev::write(folder, &server, &client, &service, SystemClock.now())?;
        }
        Ok(())
    }

    fn next(&self, places: &Places) -> String {
        let config = places.config.display();
        let folder = places.secrets.display();
        let certificates = places.certificates.display();
        let mut steps = vec![
            format!(
                "Put the token of Mattermost's bot into {folder}/bot.token, mode 0600: README.md says how to make one."
            ),
            format!(
                "Edit {config}: host, upstream, and [apps.access], which lets in everyone whom Pomerium signs in."
            ),
        ];
        if self.dev {
            steps.push(format!(
                "Give Pomerium's route {certificates}/ca.pem as tls_custom_ca_file, client.pem as tls_client_cert_file and client-key.pem as tls_client_key_file, and `to: https://{}:8443`.",
                SERVER_NAMES[0]
            ));
        } else if !self.plain {
            steps.push(format!(
                "Put server.pem, server-key.pem and ca.pem into {certificates}: certs/README.md says what is in them."
            ));
        }
        if !self.dev {
            let certificates = if self.plain { "" } else { ",certs" };
            steps.push(format!(
                "If the bridge runs as a user of its own: `chown -R USER: {} {folder}/{{master.key,bot.token{certificates}}}`, and run the next two as that user. (By LoadCredential= of systemd, key and token may stay root's.)",
                places.state.display(),
            ));
        }
        steps.push(format!("auth-manager check --config {config}"));
        steps.push(format!("auth-manager serve --config {config}"));
        let numbered = steps.iter().zip(1..);
        let lines: Vec<_> = numbered.map(|(step, n)| format!("  {n}. {step}")).collect();
        format!("\nNext:\n{}", lines.join("\n"))
    }
}

fn write_new(path: &Path, text: &str) -> anyhow::Result<()> {
    OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o644)
        .open(path)
        .and_then(|mut file| {
            file.write_all(text.as_bytes())?;
            file.sync_all()
        })
        .with_context(|| format!("{} can't be written", path.display()))
}
