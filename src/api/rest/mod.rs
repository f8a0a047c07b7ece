//! What the resources below `/api/v1` have in common, as HTTP sees it.
//!
//! - [`accept`]: 406 for who can't read JSON.
//! - [`ask`]: path, query and body, read strictly.
//! - [`cursor`], [`page`]: lists in bounded pages that new entries don't shift.
//! - [`precondition`]: `ETag`, `If-Match`, `If-None-Match` (RFC 9110 §13).
//! - [`order`]: a POST that acts: `?dry_run=true`, `Idempotency-Key`.
//! - [`answer`]: what comes back.

pub(super) mod accept;
pub(super) mod answer;
pub(super) mod ask;
pub(super) mod cursor;
pub(super) mod order;
pub(super) mod page;
pub(super) mod precondition;

pub(super) use answer::{Done, shown};
pub(super) use ask::{Asked, id};
pub(super) use order::{DryRun, Nothing, OneOrder, Order};
pub(super) use page::{Limit, Page, paged, paged_list};
