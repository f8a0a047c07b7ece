//! From a tracing event to a line.

use super::Format;
use super::line::{self, Human, Json, Raw};
use super::sink::Sink;
use super::stamp::Stamp;
use std::cell::RefCell;
use std::fmt::{self, Write};
use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::layer::{Context, Layer};

/// Writes every event as one line.
pub(super) struct Lines {
    format: Format,
    sink: Sink,
}

impl Lines {
    pub(super) fn new(format: Format, sink: Sink) -> Self {
        Self { format, sink }
    }
}

/// A thread's own buffer and clock text, so that a line is made without a lock or an allocation.
struct Desk {
    line: Vec<u8>,
    stamp: Stamp,
}

thread_local! {
    static DESK: RefCell<Desk> = const {
        RefCell::new(Desk { line: Vec::new(), stamp: Stamp::new() })
    };
}

impl<S: Subscriber> Layer<S> for Lines {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let urgent = *event.metadata().level() <= Level::WARN;
        let written = DESK.try_with(|desk| {
            let Ok(mut desk) = desk.try_borrow_mut() else {
                // A value logs while it is being formatted: its own line is made elsewhere.
                return false;
            };
            let desk = &mut *desk;
            // A value that panicked while it was being formatted leaves half a line behind.
            desk.line.clear();
            self.write(event, &mut desk.line, &mut desk.stamp);
            self.sink.push(&desk.line, urgent);
            desk.line.clear();
            desk.line.shrink_to(KEPT);
            true
        });
        if !matches!(written, Ok(true)) {
            let mut line = Vec::new();
            self.write(event, &mut line, &mut Stamp::new());
            self.sink.push(&line, urgent);
        }
    }
}

impl Lines {
    fn write(&self, event: &Event<'_>, to: &mut Vec<u8>, stamp: &mut Stamp) {
        let about = event.metadata();
        match self.format {
            Format::Json => {
                to.extend_from_slice(b"{\"ts\":\"");
                to.extend_from_slice(stamp.now());
                to.extend_from_slice(b"\",\"level\":\"");
                to.extend_from_slice(about.level().as_str().as_bytes());
                to.extend_from_slice(b"\",\"target\":");
                line::json_string(to, about.target());
                event.record(&mut JsonFields(to));
                to.extend_from_slice(b"}\n");
            }
            Format::Human => {
                to.extend_from_slice(stamp.now());
                let _ = write!(Raw(to), " {:>5} ", about.level().as_str());
                line::human_escaped(to, about.target());
                to.push(b':');
                event.record(&mut HumanFields(to));
                to.push(b'\n');
            }
        }
    }
}

/// Fields beside the line's own, each under its own name.
struct JsonFields<'a>(&'a mut Vec<u8>);

impl JsonFields<'_> {
    fn name(&mut self, field: &Field) {
        self.0.push(b',');
        line::json_string(self.0, plain_name(field));
        self.0.push(b':');
    }

    fn number(&mut self, field: &Field, value: impl fmt::Display) {
        self.name(field);
        let _ = write!(Raw(self.0), "{value}");
    }
}

impl Visit for JsonFields<'_> {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.name(field);
        line::json_string(self.0, value);
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.number(field, value);
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.number(field, value);
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.number(field, value);
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        if value.is_finite() {
            self.number(field, value);
        } else {
            // JSON has no word for it.
            self.number(field, "null");
        }
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.name(field);
        self.0.push(b'"');
        let _ = write!(Json(self.0), "{value:?}");
        self.0.push(b'"');
    }
}

struct HumanFields<'a>(&'a mut Vec<u8>);

impl Visit for HumanFields<'_> {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.record_debug(field, &format_args!("{value}"));
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.0.push(b' ');
        let name = plain_name(field);
        if name != "message" {
            line::human_escaped(self.0, name);
            self.0.push(b'=');
        }
        let _ = write!(Human(self.0), "{value:?}");
    }
}

/// `r#type` is the field `type`.
fn plain_name(field: &Field) -> &'static str {
    let name = field.name();
    name.strip_prefix("r#").unwrap_or(name)
}

/// What a thread keeps of its buffer between lines.
const KEPT: usize = 4096;
