//! What a visitor sees: server-rendered pages in French and English, without script, and the
//! one-sentence texts of API answers. What does not live here: which page a request gets
//! (`error/`), and writing the answer (`proxy/`).
//!
//! Every value is escaped by the template (askama's default for `.html`); the only markup that is
//! not is our own style sheet, which the `Content-Security-Policy` names by its hash.

mod lang;
mod messages;
mod page;

pub use lang::Lang;
pub use messages::message;
pub use page::{PageContext, headers, render};
