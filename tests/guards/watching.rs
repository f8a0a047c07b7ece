//! What is shipped for watching: every metric that dashboard and alerts name is one that the bridge
//! has, every alert has its entry in the runbook, and Prometheus' own tool accepts the rules.

use auth_manager::error::Code;
use auth_manager::telemetry::metrics::{
    AccountOutcome, AppLooked, AuditTrouble, ConnectionTrouble, DirectoryTrouble, FetchOutcome,
    HookOutcome, JobWord, JobsCounted, LoginOutcome, Metrics, Reconciled, ReplayKind, SessionEvent,
    StoreTrouble,
};
use auth_manager::types::{AppId, IssuerId, SourceId, Timestamp};
use http::StatusCode;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

fn config(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("config")
        .join(name)
}

fn text(name: &str) -> String {
    std::fs::read_to_string(config(name)).expect("it is shipped")
}

/// Every name that a scrape may show, each metric having happened once.
fn shown() -> BTreeSet<String> {
    let metrics = Metrics::new(Default::default());
    let app = metrics.app(&AppId::new("chat").expect("a word"));
    let issuer = IssuerId::new("pomerium").expect("a word");
    let (now, took) = (Timestamp(1), Duration::ZERO);
    app.request(None, StatusCode::OK, took);
    metrics.assertion_failed(Code::AssertionExpired);
    metrics.jwks_fetched(&issuer, FetchOutcome::Ok, now);
    metrics.replay(ReplayKind::Repeat);
    metrics.store_error(StoreTrouble::Busy);
    metrics.store_answered(took);
    metrics.revocations(1, 0);
    metrics.revocations_read(now);
    metrics.certificate("listen.proxy.tls", "own", now);
    metrics.signing_key("session", now, None);
    metrics.sealed_under_former("session", 0);
    metrics.insecure(0);
    metrics.audit_reached(1, 1);
    metrics.scim_braked("idp");
    metrics.scim_due("idp", 0);
    metrics.audit_broken(false);
    metrics.audit_dropped(0);
    metrics.audit_trouble(AuditTrouble::Sign);
    metrics.job_attempt("converge", JobWord::Done);
    metrics.job_breaker("app", "chat", 0);
    let waits = JobsCounted {
        kind: "converge",
        app: "chat",
        state: "pending",
        waits: true,
        count: 1,
        oldest_due: now,
    };
    metrics.jobs_counted(&[waits], now);
    let source = SourceId::new("authentik").expect("a word");
    metrics.directory_answered(&source, now);
    metrics.sweep_due(&source, Some(now), took);
    metrics.plans_held([&source].into_iter(), &[]);
    metrics.reconciled(
        &source,
        &Reconciled {
            duration: took,
            people: 1,
            groups: 1,
            differences: [("losing", 0); 5],
        },
    );
    metrics.app_looked(&AppLooked {
        app: &AppId::new("chat").expect("a word"),
        at: now,
        duration: took,
        accounts: 1,
        strangers: 0,
        differences: vec![("lacks", 1)],
    });
    metrics.directory_failed(&source, DirectoryTrouble::Timeout);
    metrics.connection_refused("proxy", ConnectionTrouble::Tls);
    let directory = SourceId::new("authentik").expect("a word");
    metrics.hook(&directory, HookOutcome::Read);
    metrics.hooks_heard(&directory, None, false);
    app.session(SessionEvent::Born);
    app.session_ended("logout");
    app.sessions_live(1);
    app.login(LoginOutcome::Ok);
    app.account(AccountOutcome::Created);
    app.upstream_connection(true);
    app.websocket_cut("stale");
    app.reachable(true);
    app.seats(1, 2);
    let held = (
        metrics.connection("proxy"),
        app.websocket(),
        app.login_in_flight(),
        app.login_queued(),
    );
    let text = metrics.encode();
    drop(held);
    let samples = text.lines().filter(|line| !line.starts_with('#'));
    let names = samples.filter_map(|line| line.split(['{', ' ']).next());
    names.map(str::to_owned).collect()
}

/// The names of ours in an expression.
fn named(expression: &str) -> BTreeSet<String> {
    let words = expression.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
    words
        .filter(|word| word.starts_with("auth_manager_"))
        .map(str::to_owned)
        .collect()
}

/// Alert → expression, by their lines: the file is ours.
fn alerts() -> BTreeMap<String, String> {
    let mut alerts = BTreeMap::new();
    let rules = text("prometheus/auth-manager.rules.yml");
    for rule in rules.split("- alert: ").skip(1) {
        let (name, rest) = rule.split_once('\n').expect("more lines");
        assert!(
            rest.contains("severity:") && rest.contains("summary:"),
            "{name}"
        );
        let expression = rest.split("labels:").next().expect("an expression");
        alerts.insert(name.trim().to_owned(), expression.to_owned());
    }
    assert!(alerts.len() > 20, "{alerts:?}");
    alerts
}

#[test]
fn every_metric_of_an_alert_exists_and_every_alert_is_in_the_runbook() {
    let (shown, runbook) = (shown(), text("runbook.md"));
    let entries: BTreeSet<&str> = runbook
        .lines()
        .filter_map(|l| l.strip_prefix("## "))
        .collect();
    let alerts = alerts();
    for (alert, expression) in &alerts {
        let unknown: Vec<_> = named(expression)
            .into_iter()
            .filter(|n| !shown.contains(n))
            .collect();
        assert!(
            unknown.is_empty(),
            "{alert} names {unknown:?}, which the bridge does not have"
        );
        assert!(
            entries.contains(alert.as_str()),
            "{alert} has no entry in config/runbook.md"
        );
    }
    let stale: Vec<_> = entries
        .iter()
        .filter(|e| !alerts.contains_key(**e))
        .collect();
    assert!(
        stale.is_empty(),
        "config/runbook.md explains what is no alert: {stale:?}"
    );
}

#[test]
fn every_metric_of_the_dashboard_exists_and_every_panel_can_be_drawn() {
    let shown = shown();
    let board: serde_json::Value =
        serde_json::from_str(&text("grafana/auth-manager.json")).expect("JSON");
    let panels = board["panels"].as_array().expect("panels");
    let mut drawn = BTreeSet::new();
    let mut ids = BTreeSet::new();
    for panel in panels {
        assert!(
            ids.insert(panel["id"].as_i64().expect("a number")),
            "two of one id"
        );
        let title = panel["title"].as_str().expect("a title");
        if panel["type"] == "row" {
            continue;
        }
        for target in panel["targets"].as_array().expect("targets") {
            let expression = target["expr"].as_str().expect("an expression");
            let names = named(expression);
            let unknown: Vec<_> = names.iter().filter(|n| !shown.contains(*n)).collect();
            assert!(
                unknown.is_empty(),
                "{title}: {unknown:?} is no metric of the bridge"
            );
            let open = expression.matches(['(', '{', '[']).count();
            assert_eq!(
                open,
                expression.matches([')', '}', ']']).count(),
                "{title}: {expression}"
            );
            drawn.extend(names);
        }
    }
    // And the other way: what is counted is drawn somewhere, or alerted on.
    let alerted: BTreeSet<String> = alerts().values().flat_map(|e| named(e)).collect();
    let base = |name: &str| {
        name.trim_end_matches("_sum")
            .trim_end_matches("_count")
            .to_owned()
    };
    let unseen: Vec<_> = (shown.iter())
        .filter(|name| !drawn.contains(*name) && !alerted.contains(*name))
        .filter(|name| !drawn.contains(&format!("{}_bucket", base(name))))
        .filter(|name| !name.ends_with("_build_info") && !name.ends_with("revocation_number"))
        .collect();
    assert!(unseen.is_empty(), "counted, and shown nowhere: {unseen:?}");
}

#[test]
fn prometheus_accepts_the_rules_and_they_come_when_they_must() {
    for arguments in [
        ["check", "rules", "auth-manager.rules.yml"],
        ["test", "rules", "tests.yml"],
    ] {
        let ran = Command::new("promtool")
            .args(arguments)
            .current_dir(config("prometheus"))
            .output();
        let ran = ran.unwrap_or_else(|error| {
            panic!(
                "promtool is needed for this test and can't be run ({error}). Install Prometheus \
                 (Debian: `apt-get install -y prometheus`; Nix: `prometheus.cli`)"
            )
        });
        let said = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        assert!(
            ran.status.success(),
            "promtool {arguments:?}:\n{}{}",
            said(&ran.stdout),
            said(&ran.stderr)
        );
    }
}
