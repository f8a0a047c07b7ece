//! How far reading is, on standard error.

use crate::reconcile::world::Progress;
use std::io::{IsTerminal as _, Write as _};
use std::sync::atomic::{AtomicU64, Ordering};

/// Shows how far a sweep is, on standard error.
pub(super) struct Teller {
    terminal: bool,
    last: AtomicU64,
}

impl Teller {
    pub(super) fn new() -> Self {
        Self {
            terminal: std::io::stderr().is_terminal(),
            last: AtomicU64::new(0),
        }
    }

    pub(super) fn tell_accounts(&self, n: u64) {
        self.write(&format!("{n} accounts read"), n, false);
    }

    pub(super) fn tell(&self, progress: Progress) {
        let (text, done, all) = match progress {
            Progress::Groups(n) => (format!("{n} groups read"), n, false),
            Progress::People(n, None) => (format!("{n} people read"), n, false),
            Progress::People(n, Some(of)) => (format!("{n} of {of} people read"), n, n >= of),
            Progress::Missing(n, of) => {
                (format!("{n} of {of} asked for by themselves"), n, n >= of)
            }
            Progress::Steps(n, of) => (format!("{n} of {of} steps done"), n, n >= of),
        };
        self.write(&text, done, all);
    }

    fn write(&self, text: &str, done: u64, all: bool) {
        // A log gets a line every thousand, a terminal one that is written over.
        if self.terminal {
            let _ = write!(std::io::stderr(), "\r\x1b[K{text}");
            if all {
                let _ = writeln!(std::io::stderr());
            }
        } else if all || done / 1000 != self.last.swap(done, Ordering::Relaxed) / 1000 {
            eprintln!("{text}");
        }
    }
}
