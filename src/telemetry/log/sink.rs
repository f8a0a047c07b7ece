//! Where lines wait: a bounded buffer, and the thread that empties it.
//!
//! It is emptied when it holds 32 KiB, 100 ms after its first line, and at once for a warning or an
//! error. With nothing to write the thread sleeps without a timer. Beyond 4 MiB (the output blocks)
//! lines are dropped and counted.

use parking_lot::{Condvar, Mutex};
use prometheus_client::metrics::counter::Counter;
use std::io::Write;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

/// The log's other end: keep it until the process ends.
pub struct LogHandle {
    sink: Sink,
}

impl LogHandle {
    pub(super) fn start(output: Box<dyn Write + Send>, dropped: Counter) -> std::io::Result<Self> {
        let sink = Sink(Arc::new(Shared {
            waiting: Mutex::default(),
            wake: Condvar::new(),
            output: Mutex::new(Output {
                to: output,
                spare: Vec::new(),
            }),
            dropped,
        }));
        let writer = sink.clone();
        // Never joined: an output that blocks for good must not keep the process from ending.
        thread::Builder::new()
            .name("log".to_owned())
            .spawn(move || writer.run())?;
        Ok(Self { sink })
    }

    /// Brings out everything that waits, now.
    pub fn flush(&self) {
        self.sink.flush();
    }

    /// Lines that were dropped because the output blocked: for [`crate::telemetry::Metrics`].
    #[must_use]
    pub fn dropped(&self) -> Counter {
        self.sink.0.dropped.clone()
    }

    pub(super) fn flusher(&self) -> Sink {
        self.sink.clone()
    }
}

impl Drop for LogHandle {
    fn drop(&mut self) {
        self.sink.0.waiting.lock().closing = true;
        self.sink.0.wake.notify_one();
        self.sink.flush();
    }
}

impl std::fmt::Debug for LogHandle {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("LogHandle")
    }
}

#[derive(Clone)]
pub(super) struct Sink(Arc<Shared>);

struct Shared {
    waiting: Mutex<Waiting>,
    wake: Condvar,
    output: Mutex<Output>,
    dropped: Counter,
}

#[derive(Default)]
struct Waiting {
    lines: Vec<u8>,
    urgent: bool,
    closing: bool,
}

struct Output {
    to: Box<dyn Write + Send>,
    /// Emptied, swapped with the buffer of those who write lines.
    spare: Vec<u8>,
}

impl Sink {
    /// Takes a line, which ends in a line feed.
    pub(super) fn push(&self, line: &[u8], urgent: bool) {
        let mut waiting = self.0.waiting.lock();
        if waiting.lines.len() + line.len() > MOST {
            drop(waiting);
            self.0.dropped.inc();
            return;
        }
        let before = waiting.lines.len();
        waiting.lines.extend_from_slice(line);
        // Wakes once when the first line comes, once when the buffer fills up.
        let full = before < ENOUGH && waiting.lines.len() >= ENOUGH;
        let wake = before == 0 || full || (urgent && !waiting.urgent);
        waiting.urgent |= urgent;
        drop(waiting);
        if wake {
            self.0.wake.notify_one();
        }
    }

    /// Brings out everything that waits; gives up after a second when the output blocks.
    pub(super) fn flush(&self) {
        if let Some(mut output) = self.0.output.try_lock_for(PATIENCE) {
            self.empty_into(&mut output);
        }
    }

    fn run(&self) {
        loop {
            let mut waiting = self.0.waiting.lock();
            while waiting.lines.is_empty() && !waiting.closing {
                self.0.wake.wait(&mut waiting);
            }
            let until = Instant::now() + INTERVAL;
            while !waiting.urgent && !waiting.closing && waiting.lines.len() < ENOUGH {
                if self.0.wake.wait_until(&mut waiting, until).timed_out() {
                    break;
                }
            }
            let last = waiting.closing;
            drop(waiting);
            self.empty_into(&mut self.0.output.lock());
            if last {
                return;
            }
        }
    }

    /// The output's lock is held from before the lines are taken until they are written, so that
    /// they keep their order.
    fn empty_into(&self, output: &mut Output) {
        let mut waiting = self.0.waiting.lock();
        std::mem::swap(&mut waiting.lines, &mut output.spare);
        waiting.urgent = false;
        drop(waiting);
        // There is nowhere to report a broken output to.
        let _ = output.to.write_all(&output.spare);
        let _ = output.to.flush();
        output.spare.clear();
        // What a flood has grown is given back.
        output.spare.shrink_to(ENOUGH * 2);
    }
}

const ENOUGH: usize = 32 << 10;
const MOST: usize = 4 << 20;
const INTERVAL: Duration = Duration::from_millis(100);
const PATIENCE: Duration = Duration::from_secs(1);
