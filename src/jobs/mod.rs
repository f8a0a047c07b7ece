//! Durable work: what must happen surely, though not within a request. What lives here: the wishes
//! that others put on record ([`wish`]), who carries them out, pauses after failures, breakers and
//! budgets. What does not: the queue itself (`store`), and what is done (`identity`, `directory`).

pub mod handler;
pub mod wish;

pub use handler::{Handler, Handlers, Outcome};
