//! Flows, as far as an invitation is for one: which it is, and what for. From the API's schema, not
//! from a recording.

use serde_json::json;

use super::answer::{Answer, Refusal, Reply};
use super::call::Call;

const VIEW: &str = "authentik_flows.view_flow";

/// `GET /flows/instances/{slug}/`.
pub(super) async fn get(call: Call) -> Answer {
    if call.method != http::Method::GET {
        return Err(Refusal::method(call.method.as_str()));
    }
    let state = call.app.state();
    let sees = call.caller.sees(VIEW)?;
    let slug = call.segment(2);
    let flow = state.flows.get(slug).filter(|flow| sees.shows(&flow.pk));
    let flow = flow.ok_or_else(|| Refusal::no_match("Flow"))?;
    Ok(Reply::ok(json!({
        "pk": flow.pk, "slug": slug, "name": slug, "title": slug,
        "designation": flow.designation,
    })))
}
