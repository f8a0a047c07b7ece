//! A plain question to a peer: what it answers, and what time it believes it is.

use crate::tls::ClientFiles;
use crate::types::{Clock, Timestamp};
use http::header::{DATE, HOST, HeaderMap};
use std::path::PathBuf;
use std::time::Duration;
use time::PrimitiveDateTime;
use time::macros::format_description;
use url::Url;

/// A peer that needs longer is away.
const PATIENCE: Duration = Duration::from_secs(5);
/// Longest body that is read, in bytes: as much as a key set may have.
const LONGEST: usize = 1 << 20;

/// An answer, whatever its status.
pub(super) struct Answer {
    /// At most 1 MiB of it.
    pub(super) body: Vec<u8>,
    /// How many seconds the peer's clock is ahead of ours; `None` when it does not tell the time.
    pub(super) ahead: Option<i64>,
}

/// `GET`; no redirect is followed. `None` when there is no answer: whoever asks has said so already.
pub(super) async fn get(
    url: &Url,
    host: Option<&str>,
    ca: Option<&PathBuf>,
    clock: &dyn Clock,
) -> Option<Answer> {
    let tls = ClientFiles {
        ca: ca.cloned(),
        identity: None,
        h2: false,
    };
    let client = reqwest::Client::builder()
        .tls_backend_preconfigured(tls.load().ok()?)
        .redirect(reqwest::redirect::Policy::none())
        .no_proxy()
        .timeout(PATIENCE)
        .build()
        .ok()?;
    let mut request = client.get(url.clone());
    if let Some(host) = host {
        request = request.header(HOST, host);
    }
    let mut response = request.send().await.ok()?;
    let ahead = date(response.headers()).map(|date| date.0 - clock.now().0);
    let mut body = Vec::new();
    while let Ok(Some(chunk)) = response.chunk().await {
        if body.len() + chunk.len() > LONGEST {
            break;
        }
        body.extend_from_slice(&chunk);
    }
    Some(Answer { body, ahead })
}

/// `Date` in the one form that is still written (RFC 9110 §5.6.7).
fn date(headers: &HeaderMap) -> Option<Timestamp> {
    let form = format_description!(
        "[weekday repr:short], [day] [month repr:short] [year] [hour]:[minute]:[second] GMT"
    );
    let text = headers.get(DATE)?.to_str().ok()?;
    let at = PrimitiveDateTime::parse(text, form).ok()?;
    Some(Timestamp(at.assume_utc().unix_timestamp()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    #[test]
    fn a_date_is_read() {
        let mut headers = HeaderMap::new();
        assert_eq!(date(&headers), None);
        let recorded = HeaderValue::from_static("Sat, 21 Nov 2026 08:12:25 GMT");
        headers.insert(DATE, recorded);
        assert_eq!(date(&headers), Some(Timestamp(1_795_248_745)));
        headers.insert(DATE, HeaderValue::from_static("yesterday"));
        assert_eq!(date(&headers), None);
    }
}
