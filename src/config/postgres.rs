//! The PostgreSQL URL: which of libpq's parameters are understood, and where the others belong.
//! What does not live here: connecting.

use crate::types::SecretText;
use secrecy::ExposeSecret;
use std::str::FromStr as _;
use url::Url;

/// A URL that the store can use.
pub(super) struct PostgresUrl {
    /// With `sslmode` in the one strict form that the driver knows.
    pub url: SecretText,
    /// Whether it demands TLS. Ours always verifies the server's name, so that `require` is as
    /// strict as `verify-full`.
    pub tls: bool,
}

/// What is wrong with a URL, and what to do. Never a part of the URL: it holds a password, which may
/// stand anywhere in a URL that was written wrongly.
#[derive(Debug)]
pub(super) struct UrlProblem {
    pub problem: String,
    pub remedy: &'static str,
}

/// Parameters that people bring along from libpq, and what stands for them here.
const ELSEWHERE: [(&str, &str); 6] = [
    (
        "sslrootcert",
        "Take it out, and name the authority's file in `ca` below [store.postgres].",
    ),
    (
        "sslcert",
        "Take it out: client certificates towards PostgreSQL are not supported; use a password.",
    ),
    (
        "sslkey",
        "Take it out: client certificates towards PostgreSQL are not supported; use a password.",
    ),
    (
        "gssencmode",
        "Take it out: the connection is protected by TLS.",
    ),
    (
        "schema",
        "Take it out: the tables are in the schema `auth_manager`.",
    ),
    (
        "pool_max_conns",
        "Take it out, and set max_connections below [store.postgres].",
    ),
];

/// Reads a URL.
pub(super) fn read(text: &SecretText) -> Result<PostgresUrl, UrlProblem> {
    let text = text.expose_secret();
    let url = Url::parse(text)
        .ok()
        .filter(|url| matches!(url.scheme(), "postgres" | "postgresql"))
        // A `?` in the password: where it ends is a matter of opinion.
        .filter(|url| url.query().is_none_or(|query| !query.contains('@')))
        .ok_or_else(|| UrlProblem {
            problem: "What is in it is not a postgres:// URL.".to_owned(),
            remedy: "Write postgres://user:password@host:5432/database?sslmode=require into it; in \
                     user and password, characters like @ : / ? # % as %40 %3A %2F %3F %23 %25.",
        })?;
    for (name, remedy) in ELSEWHERE {
        if url.query_pairs().any(|(given, _)| given == name) {
            return Err(UrlProblem {
                problem: format!("The URL in it has the parameter {name}."),
                remedy,
            });
        }
    }
    let mode = url.query_pairs().find(|(name, _)| name == "sslmode");
    let mode = mode.map(|(_, value)| value.into_owned());
    let tls = matches!(
        mode.as_deref(),
        Some("require" | "verify-ca" | "verify-full")
    );
    let strict = match text.split_once('?') {
        // The driver knows `require` alone.
        Some((address, query)) if tls => {
            let query: Vec<_> = query
                .split('&')
                .map(|pair| match pair.strip_prefix("sslmode=") {
                    Some(_) => "sslmode=require",
                    None => pair,
                })
                .collect();
            format!("{address}?{}", query.join("&"))
        }
        _ => text.to_owned(),
    };
    if tokio_postgres::Config::from_str(&strict).is_err() {
        return Err(UrlProblem {
            problem: "The URL in it can't be read.".to_owned(),
            remedy: "sslmode is disable, prefer, require, verify-ca or verify-full; of the other \
                     parameters, leave only those that you need.",
        });
    }
    Ok(PostgresUrl {
        url: strict.into(),
        tls,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_text(text: &str) -> Result<(String, bool), UrlProblem> {
        read(&text.to_owned().into()).map(|url| (url.url.expose_secret().to_owned(), url.tls))
    }

    #[test]
    fn every_strict_mode_demands_tls_and_is_understood_by_the_driver() {
        for mode in ["require", "verify-ca", "verify-full"] {
            let text = format!("postgres://a:b@c/d?connect_timeout=3&sslmode={mode}");
            let strict = "postgres://a:b@c/d?connect_timeout=3&sslmode=require";
            assert_eq!(read_text(&text).unwrap(), (strict.to_owned(), true));
        }
        for text in [
            "postgres://a:b@c/d",
            "postgresql://a:b@c/d?sslmode=disable",
            "postgres://a:b@c/d?sslmode=prefer",
            // A password that looks like a mode is none.
            "postgres://a:sslmode=require@c/d",
        ] {
            assert_eq!(read_text(text).unwrap(), (text.to_owned(), false));
        }
    }

    #[test]
    fn what_belongs_elsewhere_is_named_and_what_is_secret_is_not() {
        let problem = read_text("postgres://a:b@c/d?sslmode=verify-full&sslrootcert=/ca.pem");
        let problem = problem.unwrap_err();
        assert!(problem.problem.contains("sslrootcert"), "{problem:?}");
        assert!(problem.remedy.contains("`ca`"), "{problem:?}");
        for text in [
            "postgres://a:ge/heim@c/d",
            "postgres://a:1?geheim@c/d",
            "postgres://a:b@c/d?geheim=1",
            "postgres://a:b@c/d?sslmode=geheim",
            "mysql://a:geheim@c/d",
            "geheim",
        ] {
            let problem = read_text(text).unwrap_err();
            assert!(!format!("{problem:?}").contains("heim"), "{problem:?}");
        }
    }
}
