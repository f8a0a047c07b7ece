//! Who can't read JSON is told so before anything is looked up (RFC 9110 §15.5.7).

use crate::api::problem::Problem;
use crate::error::Code;
use axum::extract::Request;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use http::HeaderMap;
use http::header::ACCEPT;

/// Lets pass who takes `application/json`.
pub(in crate::api) async fn json(request: Request, next: Next) -> Response {
    if !takes_json(request.headers()) {
        let problem = Problem::from(Code::ApiNotAcceptable);
        return problem
            .detail("This resource is served as application/json.")
            .into_response();
    }
    next.run(request).await
}

/// Whether one of the media ranges is JSON's and is not refused by `q=0`; no range takes anything.
fn takes_json(headers: &HeaderMap) -> bool {
    let mut any = false;
    for line in headers.get_all(ACCEPT) {
        let Ok(line) = line.to_str() else {
            return false;
        };
        for range in line.split(',').map(str::trim).filter(|r| !r.is_empty()) {
            any = true;
            let mut parts = range.split(';').map(str::trim);
            let media = parts.next().unwrap_or_default();
            let json = ["application/json", "application/*", "*/*"]
                .iter()
                .any(|known| media.eq_ignore_ascii_case(known));
            if json && !parts.any(refuses) {
                return true;
            }
        }
    }
    !any
}

/// `q=0`, `q=0.0` …
fn refuses(parameter: &str) -> bool {
    let Some((name, value)) = parameter.split_once('=') else {
        return false;
    };
    name.eq_ignore_ascii_case("q") && value.parse::<f32>().is_ok_and(|q| q <= 0.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_is_taken_by_name_by_range_and_by_silence() {
        let taken = |lines: &[&str]| {
            let mut headers = HeaderMap::new();
            for line in lines {
                headers.append(ACCEPT, line.parse().unwrap());
            }
            takes_json(&headers)
        };
        for lines in [
            &[][..],
            &[""],
            &["*/*"],
            &["application/*;q=0.1"],
            &["Application/JSON; charset=utf-8"],
            &["text/html, application/json"],
            &["text/html", "*/*;q=0.8"],
        ] {
            assert!(taken(lines), "{lines:?}");
        }
        for lines in [
            &["text/html"][..],
            &["application/json;q=0"],
            &["application/json; q=0.000"],
            &["application/problem+json"],
            &["nonsense"],
        ] {
            assert!(!taken(lines), "{lines:?}");
        }
    }
}
