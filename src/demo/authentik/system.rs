//! What the bridge's operator looks at: the version, and applications.

use serde_json::json;

use super::answer::{Answer, Reply};
use super::call::Call;
use super::{autocomplete, page};

/// `GET /admin/version/`: everybody who has a token may (recorded: 42).
pub(super) async fn version(call: Call) -> Answer {
    let version = &call.app.options().version;
    Ok(Reply::ok(json!({
        "version_current": version, "version_latest": version, "version_latest_valid": true,
        "build_hash": "", "outdated": false, "outpost_outdated": false,
    })))
}

/// `GET /root/config/`: a token is not needed in the real one; only that it answers matters here.
pub(super) async fn config(_: Call) -> Answer {
    Ok(Reply::ok(
        json!({ "capabilities": [], "cache_timeout": 300 }),
    ))
}

/// `GET /core/applications/`: none are kept here.
pub(super) async fn applications(call: Call) -> Answer {
    page::page(&call, &[(); 0], autocomplete::none(), |()| json!({}))
}
