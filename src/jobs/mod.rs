//! Durable work: what must happen surely, though not within a request. What lives here: the wishes
//! that others put on record ([`wish`]), who carries them out ([`handler`]), the loop that has them
//! carried out ([`worker`]), pauses after failures ([`pause`]), and who may be asked now ([`gates`]:
//! a breaker and a budget an app and directory). What does not: the queue itself (`store`), and what
//! is done (`identity`, `directory`).
//!
//! Delivery is at least once. A job is taken for a lease that is renewed while it is worked at; who
//! dies loses it to another as soon as that is seen (`presence`), at the latest when the lease is over;
//! who loses it stops. Two jobs of a lane never run
//! at once. What takes access away goes first, has places of its own, and stops what is in its way
//! in its own lane.
//!
//! A failure costs an attempt, and with the last one the job is dead: it waits for an operator. What
//! fails because an app is away costs nothing once its breaker is open; one job at a time, the most
//! urgent that is due, asks whether it is back.

mod attempt;
pub mod breaker;
pub mod budget;
pub mod gates;
pub mod handler;
pub mod pause;
mod presence;
pub mod wish;
pub mod worker;

pub use attempt::Dice;
pub use handler::{Handler, Handlers, Outcome, STORE_AWAY};
pub use worker::{Settings, Worker};
