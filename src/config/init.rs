//! The file that `auth-manager init` writes: short, complete, with a reason beside each choice.

use super::units::format_duration;
use crate::types::HostName;
use std::path::{Path, PathBuf};
use std::time::Duration;
use url::Url;

/// What `init` knows or was told.
#[derive(Debug, Clone)]
pub struct Init {
    /// The app's external host.
    pub host: HostName,
    /// Where the app is.
    pub upstream: Url,
    /// Where Pomerium's keys are; by default [`Init::jwks_of`] the host.
    pub jwks: Url,
    /// Authority of that address, when it is not a public one.
    pub jwks_ca: Option<PathBuf>,
    /// Folder of `master.key` and `bot.token`.
    pub secrets: PathBuf,
    /// Folder of the store's file.
    pub state: PathBuf,
    /// Folder of `server.pem`, `server-key.pem` and `ca.pem` (see certs/README.md); `None`: plain HTTP
    /// on loopback.
    pub certificates: Option<PathBuf>,
    /// Name in Pomerium's client certificate.
    pub client_name: String,
}

impl Init {
    /// The address at which a Pomerium publishes its keys on every host it serves.
    #[must_use]
    pub fn jwks_of(host: &HostName) -> Option<Url> {
        Url::parse(&format!("https://{host}/.well-known/pomerium/jwks.json")).ok()
    }
}

/// The text of a configuration that [`super::Config::load`] accepts once the files it names exist.
#[must_use]
pub fn write_default(init: &Init) -> String {
    let (address, tls) = match &init.certificates {
        None => ("127.0.0.1:8443", PLAIN.to_owned()),
        Some(folder) => (
            "0.0.0.0:8443",
            format!(
                "\n[listen.proxy.tls]\n\
                 certificate = {}\n\
                 key = {}\n\
                 # Only a client certificate of this authority, with one of these names, is Pomerium.\n\
                 client_ca = {}\n\
                 client_names = [{}]\n",
                path(&folder.join("server.pem")),
                path(&folder.join("server-key.pem")),
                path(&folder.join("ca.pem")),
                quoted(&init.client_name),
            ),
        ),
    };
    let ca = init
        .jwks_ca
        .as_ref()
        .map_or_else(String::new, |ca| format!(", ca = {}", path(ca)));
    format!(
        "# auth-manager. Every key, its default and its reason: config/auth-manager.toml.\n\
         # `auth-manager check` explains mistakes.\n\
         \n\
         [listen.proxy]\n\
         # Where Pomerium reaches the bridge: `to:` of the route.\n\
         address = \"{address}\"\n\
         {tls}\n\
         [store]\n\
         sqlite = {store}\n\
         \n\
         [keys]\n\
         # Wraps everything at rest. Keep a copy where you keep your backups, but not with them.\n\
         master_key = {{ file = {master} }}\n\
         \n\
         [[issuers]]\n\
         id = \"pomerium\" # never change it: half of every person's key\n\
         jwks = {{ url = {jwks}{ca} }}\n\
         \n\
         [[apps]]\n\
         id = \"chat\" # never change it: passwords derive from it\n\
         kind = \"mattermost\"\n\
         host = {host}\n\
         upstream = {upstream}\n\
         \n\
         [apps.access]\n\
         # Who may come in: any_of = [\"a-group\"] of the identity provider, or everyone it signs in.\n\
         everyone = true\n\
         \n\
         [apps.session]\n\
         # Pomerium's cookie_expire, or less.\n\
         absolute = \"{absolute}\"\n\
         \n\
         [apps.mattermost]\n\
         # Token of a bot with the role system_admin: README.md says how to make it.\n\
         bot_token = {{ file = {bot} }}\n\
         # Team that everyone joins, by its name in the URL.\n\
         # team = \"main\"\n\
         \n\
         [portal]\n\
         # Shown on pages: whose service this is, and whom to ask.\n\
         organisation = \"\"\n\
         contact = \"\"\n",
        store = path(&init.state.join("auth-manager.db")),
        master = path(&init.secrets.join("master.key")),
        jwks = quoted(init.jwks.as_str()),
        host = quoted(init.host.as_str()),
        upstream = quoted(init.upstream.as_str().trim_end_matches('/')),
        absolute = format_duration(Duration::from_secs(14 * 3600)),
        bot = path(&init.secrets.join("bot.token")),
    )
}

const PLAIN: &str = "# Plain HTTP is accepted on loopback only; [listen.proxy.tls] brings TLS with client\n\
                     # certificates.\n";

/// A TOML string, escaped.
fn quoted(text: &str) -> String {
    toml::Value::String(text.to_owned()).to_string()
}

fn path(path: &Path) -> String {
    quoted(&path.display().to_string())
}
