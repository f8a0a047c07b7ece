use super::*;
use parking_lot::{Condvar, Mutex};
use serde_json::Value;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tracing::{debug, error, info, warn};

/// An output that can be watched, and held.
#[derive(Clone, Default)]
struct Paper(Arc<Sheet>);

#[derive(Default)]
struct Sheet {
    /// The text, and whether writers are held.
    inner: Mutex<(Vec<u8>, bool)>,
    changed: Condvar,
}

impl Paper {
    fn hold(&self, held: bool) {
        self.0.inner.lock().1 = held;
        self.0.changed.notify_all();
    }

    fn text(&self) -> String {
        String::from_utf8(self.0.inner.lock().0.clone()).unwrap()
    }

    /// Waits until the text holds `part`.
    fn wait_for(&self, part: &str) -> Instant {
        let mut inner = self.0.inner.lock();
        let until = Instant::now() + Duration::from_secs(20);
        while !String::from_utf8_lossy(&inner.0).contains(part) {
            assert!(
                !self.0.changed.wait_until(&mut inner, until).timed_out(),
                "no {part:?}"
            );
        }
        Instant::now()
    }
}

impl Write for Paper {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let mut inner = self.0.inner.lock();
        while inner.1 {
            self.0.changed.wait(&mut inner);
        }
        inner.0.extend_from_slice(bytes);
        self.0.changed.notify_all();
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

fn logged(format: Format, filter: Option<&str>, test: impl FnOnce()) -> String {
    let paper = Paper::default();
    let options = LogOptions {
        format,
        filter: filter.map(str::to_owned),
    };
    let (subscriber, handle) = to(&options, Box::new(paper.clone())).unwrap();
    tracing::subscriber::with_default(subscriber, test);
    handle.flush();
    paper.text()
}

#[test]
fn a_json_line_is_flat_and_typed() {
    let text = logged(Format::Json, None, || {
        let host = "chat.example.com";
        info!(
            host, status = 200_u16, took_ms = 1.25, cached = true, delta = -3, r#type = "page",
            who = %"a\"b", list = ?["x\n"], nan = f64::NAN, "request {}", "served"
        );
        debug!("not shown");
        warn!(target: "other", "line\nfeed");
    });
    let lines: Vec<Value> = text
        .lines()
        .map(|l| serde_json::from_str(l).unwrap())
        .collect();
    assert_eq!(lines.len(), 2);
    let first = lines[0].as_object().unwrap();
    for (name, value) in [
        ("level", Value::from("INFO")),
        ("message", "request served".into()),
        ("target", module_path!().into()),
        ("host", "chat.example.com".into()),
        ("status", 200.into()),
        ("took_ms", 1.25.into()),
        ("cached", true.into()),
        ("delta", (-3).into()),
        ("type", "page".into()),
        ("who", "a\"b".into()),
        ("list", "[\"x\\n\"]".into()),
        ("nan", Value::Null),
    ] {
        assert_eq!(first[name], value, "{name}");
    }
    let ts = first["ts"].as_str().unwrap();
    assert_eq!(ts.len(), 24);
    let rfc3339 = &time::format_description::well_known::Rfc3339;
    time::OffsetDateTime::parse(ts, rfc3339).unwrap();
    assert_eq!(lines[1]["target"], "other");
    assert_eq!(lines[1]["message"], "line\nfeed");
}

#[test]
fn a_human_line_can_not_be_broken() {
    let text = logged(Format::Human, Some("debug"), || {
        debug!(name = "a\r\n\u{1b}[31m", count = 3, "seen");
    });
    assert_eq!(text.lines().count(), 1);
    assert!(
        text.ends_with("seen name=a\\r\\n\\u{1b}[31m count=3\n"),
        "{text:?}"
    );
    assert!(text.contains(" DEBUG auth_manager::"), "{text}");
}

#[test]
fn a_value_that_panics_or_logs_while_it_is_shown_spoils_no_other_line() {
    struct Panics;
    impl std::fmt::Debug for Panics {
        fn fmt(&self, _: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            panic!("on purpose")
        }
    }
    struct Logs;
    impl std::fmt::Debug for Logs {
        fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            info!("inner");
            f.write_str("shown")
        }
    }
    let text = logged(Format::Json, None, || {
        let panicked = std::panic::catch_unwind(|| info!(value = ?Panics, "half"));
        assert!(panicked.is_err());
        info!(value = ?Logs, "outer");
    });
    let lines: Vec<Value> = text
        .lines()
        .map(|l| serde_json::from_str(l).unwrap())
        .collect();
    // Tracing itself does not deliver an event from within another.
    let outer = lines.last().unwrap();
    assert_eq!(
        (&outer["message"], &outer["value"]),
        (&"outer".into(), &"shown".into())
    );
}

#[test]
fn a_bad_filter_names_the_variable() {
    let options = LogOptions {
        filter: Some("a=b=c".to_owned()),
        ..LogOptions::default()
    };
    let error = to(&options, Box::new(std::io::sink()))
        .map(drop)
        .unwrap_err();
    assert!(error.to_string().contains(FILTER_VARIABLE), "{error}");
}

#[test]
fn lines_come_out_by_themselves_and_in_order() {
    let paper = Paper::default();
    let (subscriber, handle) = to(&LogOptions::default(), Box::new(paper.clone())).unwrap();
    tracing::subscriber::with_default(subscriber, || {
        info!("first");
        paper.wait_for("first");
        info!("second");
        error!("third");
        paper.wait_for("third");
        for number in 0..2000 {
            info!(number, "many");
        }
    });
    drop(handle);
    let text = paper.text();
    assert!(text.find("second") < text.find("third"));
    let numbers: Vec<_> = text
        .lines()
        .filter_map(|l| serde_json::from_str::<Value>(l).unwrap()["number"].as_i64())
        .collect();
    assert!(numbers.iter().copied().eq(0..2000));
}

#[test]
fn an_output_that_blocks_drops_and_counts_instead_of_waiting() {
    let paper = Paper::default();
    let (subscriber, handle) = to(&LogOptions::default(), Box::new(paper.clone())).unwrap();
    let filler = "x".repeat(64 << 10);
    paper.hold(true);
    tracing::subscriber::with_default(subscriber, || {
        for _ in 0..200 {
            info!(filler, "big");
        }
        let dropped = handle.dropped().get();
        assert!((1..200).contains(&dropped), "{dropped}");
        paper.hold(false);
        handle.flush();
        info!("after");
        paper.wait_for("after");
        assert_eq!(handle.dropped().get(), dropped);
    });
    assert!(paper.text().len() < 9 << 20);
}

/// `cargo test --release -- --ignored --nocapture cost_of_a_line`
#[test]
#[ignore = "a measurement, not a check"]
fn cost_of_a_line() {
    fn measure(name: &str) {
        let begun = Instant::now();
        for status in 0..200_000_u64 {
            info!(
                request_id = "8f6e0b1c0000400080001d2a00000000",
                app = "chat",
                method = "GET",
                path = "/api/v4/users/me",
                status,
                code = "ok",
                took_us = 731_u64,
                "request"
            );
        }
        println!("{name}: {:?} a line", begun.elapsed() / 200_000);
    }
    let (ours, handle) = to(&LogOptions::default(), Box::new(std::io::sink())).unwrap();
    tracing::subscriber::with_default(ours, || measure("ours"));
    drop(handle);
    let theirs = tracing_subscriber::fmt()
        .json()
        .flatten_event(true)
        .with_writer(std::io::sink)
        .finish();
    tracing::subscriber::with_default(theirs, || measure("tracing-subscriber json"));
}
