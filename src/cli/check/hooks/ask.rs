//! Questions to Authentik's API that only a check asks.

use crate::config::{DirectoryConfig, SecretSource};
use crate::tls::ClientFiles;
use http::HeaderValue;
use http::header::AUTHORIZATION;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use url::Url;
use zeroize::Zeroizing;

/// Longest answer in bytes.
const LONGEST: usize = 1 << 20;
/// Most pages of a list.
const PAGES: u32 = 20;

pub(super) struct Authentik {
    client: reqwest::Client,
    base: Url,
    bearer: HeaderValue,
}

/// What it said.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) text: String,
}

impl Answer {
    pub(super) fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }
}

/// Why there is nothing to be known.
#[derive(Debug)]
pub(super) enum Trouble {
    /// The token may not; what it may not see is not there, to Authentik.
    Forbidden,
    Other(String),
}

/// A page of a list.
#[derive(Deserialize)]
struct Page<T> {
    pagination: Pagination,
    results: Vec<T>,
}

#[derive(Deserialize)]
struct Pagination {
    /// 0: there is none.
    #[serde(default)]
    next: f64,
}

impl Authentik {
    pub(super) fn new(directory: &DirectoryConfig, token: &SecretSource) -> Result<Self, String> {
        let tls = ClientFiles {
            ca: directory.ca.clone(),
            identity: None,
            h2: false,
        };
        let client = reqwest::Client::builder()
            .tls_backend_preconfigured(tls.load().map_err(|e| e.to_string())?)
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .timeout(directory.timeout)
            .build()
            .map_err(|e| e.to_string())?;
        let token = token.read_bytes().map_err(|e| e.to_string())?;
        let mut line = Zeroizing::new(b"Bearer ".to_vec());
        line.extend_from_slice(token.trim_ascii());
        let mut bearer = HeaderValue::from_bytes(&line)
            .map_err(|_| "the token is no text of one line".to_owned())?;
        bearer.set_sensitive(true);
        Ok(Self {
            client,
            base: directory.url.clone(),
            bearer,
        })
    }

    /// All pages of a list.
    pub(super) async fn all<T: DeserializeOwned>(&self, path: &str) -> Result<Vec<T>, Trouble> {
        let mut all = Vec::new();
        let join = if path.contains('?') { '&' } else { '?' };
        for page in 1..=PAGES {
            let path = format!("{path}{join}page={page}&page_size=100");
            let page: Page<T> = self.get(&path).await?;
            all.extend(page.results);
            if page.pagination.next == 0.0 {
                return Ok(all);
            }
        }
        Err(Trouble::Other("there is no end of it".to_owned()))
    }

    pub(super) async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, Trouble> {
        let answer = self.ask(self.client.get(self.url(path)?)).await?;
        if !answer.is_success() {
            return Err(Trouble::Other(format!("it answers {}", answer.status)));
        }
        serde_json::from_str(&answer.text)
            .map_err(|_| Trouble::Other("the answer is none of Authentik's".to_owned()))
    }

    pub(super) async fn post(&self, path: &str) -> Result<Answer, Trouble> {
        self.ask(self.client.post(self.url(path)?)).await
    }

    fn url(&self, path: &str) -> Result<Url, Trouble> {
        let url = self.base.join(&format!("api/v3/{path}"));
        url.map_err(|e| Trouble::Other(e.to_string()))
    }

    async fn ask(&self, request: reqwest::RequestBuilder) -> Result<Answer, Trouble> {
        let answer = request.header(AUTHORIZATION, self.bearer.clone()).send();
        let mut answer = answer.await.map_err(|error| {
            let mut cause: &dyn std::error::Error = &error;
            while let Some(source) = cause.source() {
                cause = source;
            }
            Trouble::Other(cause.to_string())
        })?;
        let status = answer.status().as_u16();
        let mut body = Vec::new();
        while let Ok(Some(chunk)) = answer.chunk().await {
            if body.len() + chunk.len() > LONGEST {
                return Err(Trouble::Other("its answer is too long".to_owned()));
            }
            body.extend_from_slice(&chunk);
        }
        let text = String::from_utf8_lossy(&body).into_owned();
        // Whatever is wrong with the token is 403 there; what it may not see is 404 (differences 32, 33).
        match status {
            401 | 403 | 404 => Err(Trouble::Forbidden),
            _ => Ok(Answer { status, text }),
        }
    }
}
