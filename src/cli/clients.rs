//! `auth-manager clients`: who may call the api listener, and bearers for callers that can send
//! nothing else.

use super::ConfigFile;
use super::out::{Table, json, print, record};
use crate::config::{ClientConfig, Config, ConfigErrors};
use crate::keys::random;
use anyhow::{Context as _, bail};
use aws_lc_rs::digest::{SHA256, digest};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::json;
use std::io::Read as _;
use zeroize::Zeroizing;

/// What our bearers begin with, so that scanners for leaked secrets can know them.
const PREFIX: &str = "amb_";
/// Shortest bearer that is hashed, in characters: what is shorter can be guessed from its hash.
const SHORTEST: usize = 32;
/// Longest, as the listener takes them.
const LONGEST: u64 = 8192;

/// Who may call the api listener.
#[derive(Debug, clap::Subcommand)]
pub(super) enum Clients {
    /// All clients of the configuration: what they may do, and how they prove who they are.
    List {
        #[command(flatten)]
        file: ConfigFile,
        /// As JSON.
        #[arg(long)]
        json: bool,
    },
    /// Make a bearer of 256 random bits and print it once, with the hash that the configuration
    /// takes. Nothing is stored.
    NewBearer {
        /// As JSON.
        #[arg(long)]
        json: bool,
    },
    /// Print the hash of a bearer that is read from standard input.
    Hash,
}

impl Clients {
    pub(super) fn run(self) -> anyhow::Result<u8> {
        match self {
            Self::List { file, json } => return list(&file, json),
            Self::NewBearer { json } => new_bearer(json)?,
            Self::Hash => print(hash(&read()?))?,
        }
        Ok(0)
    }
}

fn list(file: &ConfigFile, as_json: bool) -> anyhow::Result<u8> {
    let config = match Config::load(&file.config) {
        Ok(config) => config,
        Err(errors) => return Ok(mistakes(&errors)),
    };
    if as_json {
        let shown = |client: &ClientConfig| {
            json!({
                "id": client.id,
                "scopes": client.scopes,
                "proofs": proofs(client),
                "hosts": client.hosts,
                "audiences": client.audiences,
            })
        };
        json(&config.clients.iter().map(shown).collect::<Vec<_>>())?;
        return Ok(0);
    }
    let mut table = Table::new(&["ID", "SCOPES", "PROVED BY"]);
    for client in &config.clients {
        let scopes: Vec<_> = client.scopes.iter().map(ToString::to_string).collect();
        table.row([
            client.id.to_string(),
            scopes.join(" "),
            proofs(client).join(", "),
        ]);
    }
    print(table.text("None: add [[clients]] to the configuration."))?;
    Ok(0)
}

fn mistakes(errors: &ConfigErrors) -> u8 {
    eprintln!("{errors}");
    super::EX_CONFIG
}

/// How a client proves who it is; of a static bearer only that there is one.
fn proofs(client: &ClientConfig) -> Vec<String> {
    let names = client.dns_names.iter().chain(&client.uri_names);
    let mut proofs: Vec<_> = names.map(|name| format!("certificate {name}")).collect();
    proofs.extend(
        client
            .spki_sha256
            .iter()
            .map(|_| "certificate's key".to_owned()),
    );
    let bearer = client.bearer.as_ref();
    proofs.extend(bearer.map(|b| format!("token of {} for {}", b.issuer, b.sub)));
    let statics = client.static_bearer_sha256.iter();
    proofs.extend(statics.map(|_| "static bearer".to_owned()));
    proofs
}

fn new_bearer(as_json: bool) -> anyhow::Result<()> {
    let random = Zeroizing::new(random::bytes::<32>()?);
    let bearer = Zeroizing::new(format!("{PREFIX}{}", URL_SAFE_NO_PAD.encode(*random)));
    let hash = hash(&bearer);
    if as_json {
        return json(&json!({ "bearer": *bearer, "sha256": hash }));
    }
    print(record(&[("bearer", bearer.to_string()), ("sha256", hash)]))?;
    print(
        "\nThe bearer is shown this once: give it to the caller. The hash goes into \
         static_bearer_sha256 of its [[clients]], whose scopes may be hooks and scim alone; then \
         send SIGHUP.",
    )
}

fn hash(bearer: &str) -> String {
    let hash = digest(&SHA256, bearer.as_bytes());
    hash.as_ref()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

/// From standard input, not an argument: those stand in the list of processes.
fn read() -> anyhow::Result<Zeroizing<String>> {
    let mut text = Zeroizing::new(String::new());
    let most = LONGEST + 2;
    let read = std::io::stdin().lock().take(most).read_to_string(&mut text);
    read.context("standard input can't be read as text")?;
    let bearer = Zeroizing::new(text.trim_end_matches(['\r', '\n']).to_owned());
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"-._~+/=".contains(&b);
    if bearer.len() < SHORTEST {
        bail!(
            "a bearer of fewer than {SHORTEST} characters can be guessed from its hash: `auth-manager clients new-bearer` makes a good one"
        );
    }
    if bearer.len() as u64 > LONGEST || !bearer.bytes().all(plain) {
        bail!(
            "a bearer has at most {LONGEST} characters, of A-Z a-z 0-9 - . _ ~ + / = (RFC 6750 §2.1)"
        );
    }
    Ok(bearer)
}
