//! Traces by OTLP, received by a collector of the test's own.

use crate::support::bridge::Settings;
use crate::support::collector::{Collector, attribute, hex};
use crate::support::world::World;
use auth_manager::demo::door::alice;
use auth_manager::demo::mattermost::Options;
use opentelemetry_proto::tonic::trace::v1::Span;
use tokio::net::TcpListener;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_is_a_trace_with_its_stations_and_nothing_of_a_person() {
    let (collector, address) = Collector::start().await;
    let folder = tempfile::tempdir().expect("a folder");
    let token = folder.path().join("token");
    std::fs::write(&token, "Bearer a-collectors-token\n").expect("our own folder");
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o600);
    std::fs::set_permissions(&token, mode).expect("our own file");
    let settings = Settings {
        more: format!(
            "[telemetry.traces]\nendpoint = \"http://{address}/v1/traces\"\n\
             authorization = {{ file = {token:?} }}\ninstance = \"one\"\n"
        ),
        ..Settings::default()
    };
    let mut world = World::with(settings, Options::default()).await;
    let mut visitor = world.signed_in(alice()).await;
    let parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    let call = visitor
        .api("GET", "/api/v4/users/me?secret=query")
        .header("traceparent", parent);
    assert_eq!(visitor.send(call).await.status, 200);
    let mut stranger = visitor.clone();
    stranger.cookies.clear();
    assert_eq!(stranger.get("/api/v4/users/me").await.status, 401);
    // The last of them are sent before the end.
    world.bridge.stop().await;

    let spans = collector.spans();
    let traced = hex(parent.split('-').nth(1).expect("a trace"));
    let call = spans.iter().find(|s| s.trace_id == traced && s.kind == 2);
    let call = call.expect("a server's span of the proxy's trace");
    assert_eq!(call.name, "GET chat");
    assert_eq!(
        call.parent_span_id,
        hex(parent.split('-').nth(2).expect("a span"))
    );
    assert!(attribute(call, "url.path").contains("\"/api/v4/users/me\""));
    assert!(attribute(call, "auth_manager.decision").contains("\"ok\""));
    assert!(attribute(call, "http.response.status_code").contains("200"));
    let mut stations: Vec<&Span> = (spans.iter())
        .filter(|s| s.trace_id == traced && s.parent_span_id == call.span_id)
        .collect();
    stations.sort_by_key(|s| s.start_time_unix_nano);
    let names: Vec<&str> = stations.iter().map(|s| s.name.as_str()).collect();
    assert_eq!(
        names,
        [
            "edge",
            "route",
            "assertion",
            "access",
            "session",
            "csrf",
            "app"
        ]
    );
    for pair in stations.windows(2) {
        assert_eq!(pair[0].end_time_unix_nano, pair[1].start_time_unix_nano);
    }
    assert!(stations[0].start_time_unix_nano >= call.start_time_unix_nano);
    assert_eq!(stations[6].end_time_unix_nano, call.end_time_unix_nano);
    // A refusal ends where it was refused.
    let refused = spans
        .iter()
        .find(|s| attribute(s, "auth_manager.decision").contains("session.required"));
    let refused = refused.expect("the stranger's");
    let last = (spans.iter().filter(|s| s.parent_span_id == refused.span_id))
        .max_by_key(|s| s.start_time_unix_nano);
    assert_eq!(last.expect("stations").name, "session");

    let received = collector.received.lock();
    let (head, _) = received.first().expect("a batch");
    assert!(head.starts_with("POST /v1/traces HTTP/1.1"), "{head}");
    assert!(
        head.contains("authorization: Bearer a-collectors-token"),
        "{head}"
    );
    let everything: Vec<u8> = received.iter().flat_map(|(_, body)| body.clone()).collect();
    let text = String::from_utf8_lossy(&everything);
    assert!(text.contains("auth-manager") && text.contains("one"));
    for private in ["alice", "secret=query", visitor.sid.as_str()] {
        assert!(
            !text.contains(private),
            "{private} was sent to the collector"
        );
    }
    world.taint.operator("what the collector got", &text);
    world.taint.assert_clean(&world.mattermost.real_tokens());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_of_many_is_traced_whoever_asks_and_a_collector_that_is_away_holds_up_nobody() {
    let (collector, address) = Collector::start().await;
    let settings = Settings {
        more: format!(
            "[telemetry.traces]\nendpoint = \"http://{address}/v1/traces\"\none_in = 10\n"
        ),
        ..Settings::default()
    };
    let mut world = World::with(settings, Options::default()).await;
    let mut visitor = world.client(alice());
    for _ in 0..100 {
        // The flag asks for it: that is not the caller's to say.
        let call = visitor.api("GET", "/api/v4/users/me").header(
            "traceparent",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        );
        assert_eq!(visitor.send(call).await.status, 401);
    }
    world.bridge.stop().await;
    let roots = collector.spans().iter().filter(|s| s.kind == 2).count();
    assert_eq!(roots, 10);

    let gone = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = gone.local_addr().expect("a bound listener");
    drop(gone);
    let settings = Settings {
        more: format!("[telemetry.traces]\nendpoint = \"http://{address}/v1/traces\"\n"),
        ..Settings::default()
    };
    let world = World::with(settings, Options::default()).await;
    let mut visitor = world.signed_in(alice()).await;
    assert_eq!(visitor.me().await["username"], "alice");
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_environment_says_nothing_of_where_traces_go_nor_what_is_in_them() {
    let (collector, address) = Collector::start().await;
    let (elsewhere, other) = Collector::start().await;
    let at = |path: &str| format!("http://{other}{path}");
    let settings = Settings {
        more: format!(
            "[telemetry.traces]\nendpoint = \"http://{address}/v1/traces\"\ninstance = \"one\"\n"
        ),
        environment: vec![
            ("OTEL_EXPORTER_OTLP_ENDPOINT", at("")),
            ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", at("/v1/traces")),
            ("OTEL_EXPORTER_OTLP_HEADERS", "x-planted=1".into()),
            (
                "OTEL_EXPORTER_OTLP_TRACES_HEADERS",
                "authorization=planted,x-planted=2,content-type=text/plain".into(),
            ),
            ("OTEL_EXPORTER_OTLP_PROTOCOL", "http/json".into()),
            ("OTEL_EXPORTER_OTLP_COMPRESSION", "gzip".into()),
            ("OTEL_EXPORTER_OTLP_TIMEOUT", "0".into()),
            ("OTEL_RESOURCE_ATTRIBUTES", "planted=attribute".into()),
            ("OTEL_SERVICE_NAME", "planted".into()),
            ("OTEL_TRACES_SAMPLER", "always_off".into()),
            ("OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT", "0".into()),
            ("OTEL_BSP_MAX_QUEUE_SIZE", "1".into()),
            ("OTEL_SDK_DISABLED", "true".into()),
            ("HTTP_PROXY", at("")),
            ("http_proxy", at("")),
            ("ALL_PROXY", at("")),
        ],
        ..Settings::default()
    };
    let mut world = World::with(settings, Options::default()).await;
    let mut visitor = world.signed_in(alice()).await;
    assert_eq!(visitor.me().await["username"], "alice");
    world.bridge.stop().await;

    assert!(elsewhere.received.lock().is_empty());
    let spans = collector.spans();
    let mut roots = spans.iter().filter(|span| span.kind == 2);
    let path = |span: &Span| attribute(span, "url.path").contains("\"/api/v4/users/me\"");
    assert!(roots.any(path), "whole spans arrive");
    let received = collector.received.lock();
    for (head, body) in received.iter() {
        let head = head.to_ascii_lowercase();
        assert!(head.starts_with("post /v1/traces "), "{head}");
        assert!(
            head.contains("content-type: application/x-protobuf"),
            "{head}"
        );
        for planted in ["x-planted", "authorization", "content-encoding"] {
            assert!(!head.contains(planted), "{head}");
        }
        assert!(!String::from_utf8_lossy(body).contains("planted"));
    }
    drop(received);
    world.taint.assert_clean(&world.mattermost.real_tokens());
}
