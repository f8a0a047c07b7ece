//! What operations have in common, added to each from what it says itself.

use crate::error::Code;
use serde_json::{Value, json};
use utoipa::openapi::{RefOr, Response};

/// Resources that are served as JSON with an `ETag`.
const TAGGED: [&str; 7] = [
    "users",
    "accounts",
    "sessions",
    "keys",
    "events",
    "invitations",
    "drift",
];
/// Bodies that may be left out.
const OPTIONAL: [&str; 2] = ["Why", "Nothing"];

/// Refusals that several operations have, by name.
pub(super) type Shared = serde_json::Map<String, Value>;

/// Completes an operation.
pub(super) fn complete(method: &str, operation: &mut Value, shared: &mut Shared) {
    let reads = method == "get";
    let resource = (operation["tags"].as_array().into_iter().flatten())
        .any(|tag| TAGGED.iter().any(|known| tag == known));
    if resource && reads {
        let parameter = json!({
            "name": "If-None-Match",
            "in": "header",
            "description": "What is known already: its `ETag`. Answered 304 when it still is so.",
            "required": false,
            "schema": { "type": "string" },
        });
        match operation["parameters"].as_array_mut() {
            Some(parameters) => parameters.push(parameter),
            None => operation["parameters"] = json!([parameter]),
        }
        let same = json!({ "description": "It is as the caller knows it." });
        operation["responses"]["304"] = same;
    }
    if resource {
        let etag = "Of the resource as it is now.";
        let made = operation["responses"]["200"].is_null();
        let status = if made { "201" } else { "200" };
        operation["responses"][status]["headers"]["ETag"] = header("string", etag);
    }
    for codes in grouped(&codes(operation, resource)) {
        let (status, name) = (status(&codes), name(&codes));
        if operation["responses"][&status].is_null() {
            let reference = format!("#/components/responses/{name}");
            operation["responses"][&status] = json!({ "$ref": reference });
            shared.insert(name, problem(&codes));
        }
    }
    let needs = scopes(operation).filter(|scopes| !scopes.is_empty());
    if let Some(scopes) = needs {
        let needs = format!("Needs the scope `{}`.", scopes.join("` or `"));
        let said = operation["description"].as_str().unwrap_or_default();
        let whole = format!("{said}\n\n{needs}");
        operation["description"] = whole.trim().into();
    }
    let body = &mut operation["requestBody"];
    if body.is_null() {
        if let Some(operation) = operation.as_object_mut() {
            operation.remove("requestBody");
        }
    } else {
        let schema = &body["content"]["application/json"]["schema"]["$ref"];
        let name = schema.as_str().and_then(|text| text.rsplit('/').next());
        body["required"] = (!name.is_some_and(|name| OPTIONAL.contains(&name))).into();
    }
}

/// The scopes one of which is needed; `None`: anybody may.
fn scopes(operation: &Value) -> Option<Vec<String>> {
    let alternatives = operation["security"].as_array()?;
    let mut scopes = Vec::new();
    for scope in alternatives
        .iter()
        .filter_map(Value::as_object)
        .flat_map(|one| one.values())
        .filter_map(Value::as_array)
        .flatten()
        .filter_map(Value::as_str)
    {
        if !scopes.iter().any(|known| known == scope) {
            scopes.push(scope.to_owned());
        }
    }
    Some(scopes)
}

/// Every way in which an operation can be refused.
fn codes(operation: &Value, resource: bool) -> Vec<Code> {
    let parameters = operation["parameters"].as_array();
    let has = |name: &str, place: &str| {
        let mut all = parameters.into_iter().flatten();
        all.any(|p| p["in"] == place && (name.is_empty() || p["name"] == name))
    };
    let mut codes = vec![Code::ApiMalformed, Code::ApiMethod, Code::Internal];
    if let Some(scopes) = scopes(operation) {
        codes.extend([
            Code::ApiUnauthenticated,
            Code::ApiRate,
            Code::ApiTimeout,
            Code::StoreUnavailable,
            Code::Busy,
        ]);
        if !scopes.is_empty() {
            codes.push(Code::ApiScope);
        }
    }
    // A webhook names no directory: its caller must be one.
    if has("", "path") || operation["operationId"] == "deliver_hook" {
        codes.push(Code::ApiNotFound);
    }
    if !operation["requestBody"].is_null() {
        codes.extend([Code::ApiTooLarge, Code::ApiMediaType, Code::ApiInvalid]);
    }
    if has("If-Match", "header") {
        codes.push(Code::ApiPrecondition);
    }
    if has("Idempotency-Key", "header") {
        codes.extend([
            Code::ApiConflict,
            Code::ApiIdempotencyUnderWay,
            Code::ApiIdempotencyReused,
        ]);
    }
    if has("cursor", "query") {
        codes.push(Code::ApiCursor);
    }
    if has("confirm", "query") {
        codes.push(Code::ApiConfirmation);
    }
    if resource {
        codes.push(Code::ApiNotAcceptable);
    }
    codes
}

/// Grouped by status.
fn grouped(codes: &[Code]) -> Vec<Vec<Code>> {
    let mut groups: Vec<(u16, Vec<Code>)> = Vec::new();
    for code in codes {
        let status = code.status().as_u16();
        match groups.iter_mut().find(|(known, _)| *known == status) {
            Some((_, group)) => group.push(*code),
            None => groups.push((status, vec![*code])),
        }
    }
    groups.into_iter().map(|(_, group)| group).collect()
}

/// The status that codes have in common.
fn status(codes: &[Code]) -> String {
    let status = codes.first().map(|code| code.status().as_str().to_owned());
    status.unwrap_or_default()
}

/// What their refusal is called: the codes.
fn name(codes: &[Code]) -> String {
    let words: Vec<_> = codes.iter().map(|code| code.as_str()).collect();
    words.join("-")
}

/// A refusal with these codes, which have one status.
fn problem(codes: &[Code]) -> Value {
    let lines: Vec<_> = codes
        .iter()
        .map(|code| format!("`{}`: {}", code.as_str(), code.title()))
        .collect();
    let mut response = json!({
        "description": lines.join("\n"),
        "content": {
            "application/problem+json": { "schema": { "$ref": "#/components/schemas/Problem" } },
        },
    });
    let headers = &mut response["headers"];
    if codes.contains(&Code::ApiUnauthenticated) {
        headers["WWW-Authenticate"] = header("string", "RFC 6750 §3.");
    }
    let waits = |code: &Code| *code == Code::ApiRate || code.retry_after().is_some();
    if codes.iter().any(waits) {
        headers["Retry-After"] = header("integer", "Seconds.");
    }
    if codes.contains(&Code::ApiMethod) {
        headers["Allow"] = header("string", "The methods there are.");
    }
    if headers.is_null()
        && let Some(response) = response.as_object_mut()
    {
        response.remove("headers");
    }
    response
}

fn header(kind: &str, description: &str) -> Value {
    json!({ "description": description, "schema": { "type": kind } })
}

/// The same, for an endpoint that says it itself.
pub(in crate::api) fn refusal(codes: &[Code]) -> (String, RefOr<Response>) {
    let response = serde_json::from_value(problem(codes)).unwrap_or_default();
    (status(codes), RefOr::T(response))
}
