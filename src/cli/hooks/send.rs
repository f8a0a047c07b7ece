//! Playing Authentik: events of an operator's choice, delivered as Authentik's worker would, a few at
//! once, some of them twice or in the wrong order.

use super::play::{ALL, Event, Form, TEST};
use crate::api::hooks::{Meaning, meaning};
use crate::cli::out::{Table, json, print};
use crate::cli::stage::{block_on, load};
use crate::cli::{ConfigFile, EX_CONFIG};
use crate::config::{Config, DirectoryConfig};
use crate::tls::ClientFiles;
use crate::types::{Clock as _, SourceId, SystemClock};
use anyhow::{Context as _, bail};
use futures_util::{StreamExt as _, stream};
use http::HeaderValue;
use http::header::{AUTHORIZATION, CONTENT_TYPE, USER_AGENT};
use serde::Serialize;
use std::io::Read as _;
use std::path::PathBuf;
use std::time::Duration;
use tokio::time::Instant;
use url::Url;
use uuid::Uuid;
use zeroize::Zeroizing;

/// As Authentik waits.
const PATIENCE: Duration = Duration::from_secs(30);
/// Longest body that is explained.
const LONGEST: u64 = 1 << 20;

/// Play Authentik: deliver events to a running bridge, which asks the real directory about them.
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Send {
    /// What: `test`, an action like `model_updated:user`, `model_deleted:group` or `login`, or `all`.
    #[arg(value_name = "EVENT", default_values_t = [TEST.to_owned()])]
    events: Vec<String>,
    /// The directory to pose as; the only one that sends webhooks, when there is one.
    #[arg(long, value_name = "ID")]
    directory: Option<SourceId>,
    /// About this person: their `pk` at Authentik. The default is nobody's.
    #[arg(long, value_name = "PK", default_value_t = 4_000_000_000)]
    user: u32,
    /// About this group: its UUID at Authentik. The default is nobody's.
    #[arg(long, value_name = "UUID", default_value_t = Uuid::nil())]
    group: Uuid,
    /// Which body: of the shipped mapping, or Authentik's own.
    #[arg(long, value_enum, default_value = "custom")]
    form: Form,
    /// A burst: so many events of each.
    #[arg(long, value_name = "COUNT", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    times: u32,
    /// Deliver each once more, under the same event id, as after an answer that came too late.
    #[arg(long)]
    again: bool,
    /// The last event first.
    #[arg(long)]
    reverse: bool,
    /// Deliveries at once, like threads of Authentik's worker.
    #[arg(long, value_name = "COUNT", default_value_t = 2, value_parser = clap::value_parser!(u16).range(1..=256))]
    at_once: u16,
    /// Where to, instead of /hooks/authentik below listen.api.issuer.
    #[arg(long, value_name = "URL")]
    url: Option<Url>,
    /// The authority of the listener's certificate, when it is not a public one.
    #[arg(long, value_name = "FILE")]
    ca: Option<PathBuf>,
    /// Only say what would be sent, and what the bridge would make of it.
    #[arg(long)]
    dry_run: bool,
    /// As JSON.
    #[arg(long)]
    json: bool,
}

/// What became of a delivery.
#[derive(Debug, Serialize)]
struct Delivered {
    event: String,
    event_id: Uuid,
    meaning: Meaning,
    #[serde(skip_serializing_if = "Option::is_none")]
    body: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    millis: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
}

impl Send {
    pub(super) fn run(self, file: &ConfigFile) -> anyhow::Result<u8> {
        let Some(config) = load(file) else {
            return Ok(EX_CONFIG);
        };
        let directory = self.directory(&config)?;
        let url = self.address(&config)?;
        let events = self.events();
        if self.dry_run {
            let planned = events.iter().map(|(word, event)| {
                let body = event.body(self.form);
                Delivered {
                    event: word.clone(),
                    event_id: event.id,
                    meaning: meaning(body.as_bytes()),
                    body: Some(body),
                    status: None,
                    millis: None,
                    error: None,
                }
            });
            let planned: Vec<_> = planned.collect();
            if !self.json {
                print(format!("would be sent to {url} as {}:", directory.id))?;
            }
            self.show(&planned)?;
            return Ok(0);
        }
        let bearer = bearer(directory)?;
        let client = self.client()?;
        let delivered = block_on(async {
            let all = stream::iter(events).map(|(word, event)| {
                let (client, url, bearer) = (client.clone(), url.clone(), bearer.clone());
                let body = event.body(self.form);
                async move { deliver(&client, url, bearer, word, event.id, body).await }
            });
            Ok(all
                .buffer_unordered(usize::from(self.at_once))
                .collect::<Vec<_>>()
                .await)
        })?;
        self.show(&delivered)?;
        let taken = |d: &Delivered| d.status.is_some_and(|status| (200..300).contains(&status));
        if let Some(refused) = delivered.iter().find(|d| !taken(d)) {
            eprintln!("{}", remedy(refused));
            return Ok(1);
        }
        Ok(0)
    }

    fn directory<'a>(&self, config: &'a Config) -> anyhow::Result<&'a DirectoryConfig> {
        let all = config.directories.iter().filter(|d| d.hooks.is_some());
        let mut all: Vec<_> = all.collect();
        if let Some(id) = &self.directory {
            all.retain(|directory| directory.id == *id);
        }
        match all.as_slice() {
            [only] => Ok(only),
            [] => bail!("no such directory has [directories.hooks]"),
            several => {
                let ids: Vec<_> = several.iter().map(|d| d.id.as_str()).collect();
                bail!("name one with --directory: {}", ids.join(", "))
            }
        }
    }

    fn address(&self, config: &Config) -> anyhow::Result<Url> {
        if let Some(url) = &self.url {
            return Ok(url.clone());
        }
        let api = config.api.as_ref();
        let api = api.context("the api listener is not served: see [listen.api]")?;
        Ok(Url::parse(&format!("{}/hooks/authentik", api.issuer))?)
    }

    fn events(&self) -> Vec<(String, Event)> {
        let words = self.events.iter().flat_map(|word| match word.as_str() {
            "all" => ALL.map(str::to_owned).to_vec(),
            word => vec![word.to_owned()],
        });
        let now = SystemClock.now().to_string();
        let mut events = Vec::new();
        for word in words {
            for _ in 0..self.times {
                let event = Event::new(&word, self.user, self.group, &now);
                events.push((word.clone(), event));
            }
        }
        if self.again {
            events.extend(events.clone());
        }
        if self.reverse {
            events.reverse();
        }
        events
    }

    fn client(&self) -> anyhow::Result<reqwest::Client> {
        let tls = ClientFiles {
            ca: self.ca.clone(),
            identity: None,
            h2: false,
        };
        let client = reqwest::Client::builder()
            .tls_backend_preconfigured(tls.load()?)
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .timeout(PATIENCE)
            .build();
        Ok(client?)
    }

    fn show(&self, delivered: &[Delivered]) -> anyhow::Result<()> {
        if self.json {
            return json(&delivered);
        }
        let mut table = Table::new(&["EVENT", "ASKS ABOUT", "ANSWER", "MS"]);
        for one in delivered {
            let answer = match (&one.error, one.status) {
                (Some(error), _) => error.clone(),
                (None, Some(status)) => status.to_string(),
                (None, None) => String::new(),
            };
            let millis = one.millis.map(|ms| ms.to_string()).unwrap_or_default();
            table.row([one.event.clone(), one.meaning.to_string(), answer, millis]);
        }
        print(table.text("Nothing."))
    }
}

/// `Authorization`, marked so that nobody prints it.
fn bearer(directory: &DirectoryConfig) -> anyhow::Result<HeaderValue> {
    let hooks = directory.hooks.iter();
    let source = hooks
        .flat_map(|hooks| &hooks.secrets)
        .find_map(|secret| secret.source.as_ref());
    let source = source.with_context(|| {
        format!(
            "only the hash of {}'s secret is configured: name its file in directories.hooks.secrets",
            directory.id
        )
    })?;
    let secret = source.read_bytes()?;
    let mut line = Zeroizing::new(b"Bearer ".to_vec());
    line.extend_from_slice(secret.trim_ascii());
    let mut line = HeaderValue::from_bytes(&line).context("the secret is no text of one line")?;
    line.set_sensitive(true);
    Ok(line)
}

async fn deliver(
    client: &reqwest::Client,
    url: Url,
    bearer: HeaderValue,
    event: String,
    event_id: Uuid,
    body: String,
) -> Delivered {
    let meaning = meaning(body.as_bytes());
    let began = Instant::now();
    let answer = client
        .post(url)
        .header(USER_AGENT, "authentik@auth-manager-hooks-send")
        .header(AUTHORIZATION, bearer)
        .header(CONTENT_TYPE, "application/json")
        .body(body)
        .send()
        .await;
    let millis = u64::try_from(began.elapsed().as_millis()).ok();
    let (status, error) = match answer {
        Ok(answer) => (Some(answer.status().as_u16()), None),
        Err(error) => (None, Some(innermost(&error))),
    };
    Delivered {
        event,
        event_id,
        meaning,
        body: None,
        status,
        millis,
        error,
    }
}

/// The cause at the bottom says it best.
fn innermost(error: &reqwest::Error) -> String {
    let mut cause: &dyn std::error::Error = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    cause.to_string()
}

fn remedy(refused: &Delivered) -> String {
    let what = match refused.status {
        Some(401) => {
            "401: the running bridge knows another secret (does it have the new configuration? send SIGHUP)"
        }
        Some(403) => "403: the secret is another directory's than the address names",
        Some(404 | 405) => {
            "not found: is the address that of the api listener, ending in /hooks/authentik?"
        }
        Some(429) => "429: too many at once",
        Some(503) => "503: the store does not take it; Authentik would try again after 35 s",
        Some(300..=399) => {
            "a redirect: something stands in between, and Authentik would lose the event"
        }
        Some(_) => "refused: the bridge's log says why",
        None if refused
            .error
            .as_deref()
            .is_some_and(|e| e.contains("ertificate")) =>
        {
            "the certificate is not believed: name its authority with --ca"
        }
        None => "nobody answers: is the bridge running, and its api listener at this address?",
    };
    format!("{}: {what}", refused.event)
}

/// `hooks explain`.
pub(super) fn explain(file: &str, as_json: bool) -> anyhow::Result<u8> {
    let mut body = Vec::new();
    match file {
        "-" => std::io::stdin().lock().take(LONGEST).read_to_end(&mut body),
        path => std::fs::File::open(path)
            .with_context(|| format!("{path} can't be read"))?
            .take(LONGEST)
            .read_to_end(&mut body),
    }
    .with_context(|| format!("{file} can't be read"))?;
    let meaning = meaning(&body);
    if as_json {
        json(&meaning)?;
        return Ok(0);
    }
    print(match &meaning {
        Meaning::Test => "the transport test: notes that webhooks arrive".to_owned(),
        Meaning::Read { .. } => format!("asks the directory about {meaning}"),
        Meaning::Nothing => "of no consequence".to_owned(),
        Meaning::Unknown => {
            "of a kind that this version does not know: of no consequence".to_owned()
        }
        Meaning::Garbage => "no JSON object: answered 400".to_owned(),
    })?;
    Ok(0)
}
