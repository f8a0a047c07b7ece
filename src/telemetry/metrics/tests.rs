use super::*;
use http::StatusCode;
use std::time::Duration;

fn line<'a>(text: &'a str, start: &str) -> &'a str {
    text.lines()
        .find_map(|line| line.strip_prefix(start))
        .unwrap_or_else(|| panic!("no {start} in {text}"))
        .trim()
}

#[test]
fn a_certificate_that_is_not_used_any_more_is_not_shown() {
    let metrics = Metrics::new(Counter::default());
    metrics.certificate("app chat", "authority", Timestamp(7));
    let name = r#"certificate_expires_timestamp_seconds{about="app chat",role="authority"} 7"#;
    assert!(metrics.encode().contains(name));
    metrics.certificate_gone("app chat", "authority");
    assert!(!metrics.encode().contains("app chat"));
}

#[test]
fn what_is_counted_is_shown() {
    let dropped = Counter::default();
    let metrics = Metrics::new(dropped.clone());
    let app = metrics.app(&AppId::new("chat").unwrap());
    dropped.inc();
    app.request(None, StatusCode::OK, Duration::from_millis(3));
    app.request(None, StatusCode::OK, Duration::from_millis(3));
    let code = Code::AccessPending;
    app.request(Some(code), StatusCode::FORBIDDEN, Duration::ZERO);
    metrics.refused(Code::RouteUnknownHost);
    metrics.assertion_failed(Code::AssertionExpired);
    let issuer = IssuerId::new("pomerium").unwrap();
    metrics.jwks_fetched(&issuer, FetchOutcome::Ok, Timestamp(1_790_000_000));
    metrics.jwks_fetched(&issuer, FetchOutcome::Unreachable, Timestamp(1_790_000_009));
    metrics.replay(ReplayKind::Repeat);
    metrics.store_error(StoreTrouble::Unavailable);
    metrics.revocations(40, 2);
    metrics.audit_reached(7, 5);
    metrics.audit_broken(true);
    metrics.audit_dropped(3);
    metrics.audit_trouble(AuditTrouble::File);
    app.session(SessionEvent::Born);
    app.session_ended("logout");
    app.login(LoginOutcome::Ok);
    app.account(AccountOutcome::Created);
    app.upstream_connection(false);
    app.upstream_connection(true);
    app.websocket_cut("stale");
    let (socket, login, queued) = (app.websocket(), app.login_in_flight(), app.login_queued());
    drop((login, queued));

    let text = metrics.encode();
    let version = env!("CARGO_PKG_VERSION");
    for (start, value) in [
        (
            r#"requests_total{app="chat",listener="proxy",code="ok",status="2xx"}"#,
            "2",
        ),
        (
            r#"requests_total{app="chat",listener="proxy",code="access.pending",status="4xx"}"#,
            "1",
        ),
        ("audit_number", "7"),
        ("audit_checkpoint_number", "5"),
        ("audit_broken", "1"),
        ("audit_denials_dropped_total", "3"),
        (r#"audit_troubles_total{kind="file"}"#, "1"),
        (
            r#"request_duration_seconds_count{app="chat",listener="proxy"}"#,
            "3",
        ),
        (r#"refusals_total{code="access.pending"}"#, "1"),
        (r#"refusals_total{code="route.unknown_host"}"#, "1"),
        (r#"refusals_total{code="bridge.internal"}"#, "0"),
        (r#"assertion_failures_total{code="assertion.expired"}"#, "1"),
        (
            r#"jwks_fetched_timestamp_seconds{issuer="pomerium"}"#,
            "1790000000",
        ),
        (
            r#"jwks_fetches_total{issuer="pomerium",outcome="unreachable"}"#,
            "1",
        ),
        (r#"replays_total{kind="repeat"}"#, "1"),
        (r#"sessions_total{app="chat",kind="born"}"#, "1"),
        (r#"sessions_ended_total{app="chat",kind="logout"}"#, "1"),
        (r#"logins_total{app="chat",kind="ok"}"#, "1"),
        (r#"logins_in_flight{app="chat"}"#, "0"),
        (r#"login_queue{app="chat"}"#, "0"),
        (r#"accounts_total{app="chat",kind="created"}"#, "1"),
        (
            r#"upstream_connections_total{app="chat",kind="opened"}"#,
            "1",
        ),
        (
            r#"upstream_connections_total{app="chat",kind="reused"}"#,
            "1",
        ),
        (r#"websockets_open{app="chat"}"#, "1"),
        (r#"websockets_cut_total{app="chat",kind="stale"}"#, "1"),
        (r#"store_errors_total{kind="unavailable"}"#, "1"),
        ("log_lines_dropped_total", "1"),
        ("revocation_lag", "2"),
        ("revocation_number", "40"),
        (&format!(r#"build_info{{version="{version}"}}"#), "1"),
    ] {
        assert_eq!(
            line(&text, &format!("auth_manager_{start} ")),
            value,
            "{start}"
        );
    }
    assert!(text.ends_with("# EOF\n"));
    drop(socket);
    assert_eq!(
        line(
            &metrics.encode(),
            r#"auth_manager_websockets_open{app="chat"} "#
        ),
        "0"
    );
}

#[test]
fn an_app_asked_for_twice_has_one_set_of_counters() {
    let metrics = Metrics::new(Counter::default());
    let id = AppId::new("chat").unwrap();
    for app in [metrics.app(&id), metrics.app(&id)] {
        app.request(None, StatusCode::NO_CONTENT, Duration::ZERO);
    }
    let start =
        r#"auth_manager_requests_total{app="chat",listener="proxy",code="ok",status="2xx"} "#;
    assert_eq!(line(&metrics.encode(), start), "2");
}

#[test]
fn every_code_finds_its_own_counter() {
    let metrics = Metrics::new(Counter::default());
    for (times, code) in (1..).zip(Code::ALL) {
        (0..times).for_each(|_| metrics.refused(*code));
    }
    let text = metrics.encode();
    for (times, code) in (1..).zip(Code::ALL) {
        let start = format!(
            r#"auth_manager_refusals_total{{code="{}"}} "#,
            code.as_str()
        );
        assert_eq!(line(&text, &start), times.to_string());
    }
}
