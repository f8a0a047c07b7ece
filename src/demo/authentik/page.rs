//! Pages of lists, as recorded: at most 100 entries, 20 by default and for what is no size, 404 for
//! what is no page.

use serde_json::{Value, json};

use super::answer::{Answer, Refusal, Reply};
use super::call::Call;

const USUAL: usize = 20;
const MOST: usize = 100;

/// Cuts a page out of what was found and renders that.
pub(super) fn page<T>(
    call: &Call,
    found: &[T],
    autocomplete: Value,
    render: impl Fn(&T) -> Value,
) -> Answer {
    let size = match call.param("page_size").map(str::parse::<usize>) {
        Some(Ok(size)) if size > 0 => size.min(MOST),
        _ => USUAL,
    };
    let pages = found.len().div_ceil(size).max(1);
    let current = match call.param("page").map(str::parse::<usize>) {
        None => 1,
        Some(Ok(page)) if (1..=pages).contains(&page) => page,
        Some(_) => return Err(Refusal::invalid_page()),
    };
    let first = (current - 1) * size;
    let last = found.len().min(first + size);
    let results: Vec<Value> = found
        .get(first..last)
        .unwrap_or_default()
        .iter()
        .map(render)
        .collect();
    Ok(Reply::ok(json!({
        "pagination": {
            "next": if current < pages { current + 1 } else { 0 },
            "previous": current - 1,
            "count": found.len(),
            "current": current,
            "total_pages": pages,
            "start_index": if found.is_empty() { 0 } else { first + 1 },
            "end_index": last,
        },
        "results": results,
        "autocomplete": autocomplete,
    })))
}
