//! Uploads, downloads and profile pictures (recording 15).

use axum::body::Bytes;
use serde_json::json;

use super::answer::{Answer, Refusal, Reply, Style};
use super::call::Call;
use super::gzip;
use super::ids::{http_date, new_id, now_ms};
use super::pages::error_page;
use super::state::FileInfo;

/// Bodies shorter than this are not compressed.
pub(super) const SHORTEST_GZIP: usize = 1_024;
/// Bytes of all uploads together; the stand-in has no disk.
const MOST_BYTES: usize = 512 << 20;

fn unreadable() -> Refusal {
    let message = "Unable to upload file(s). Error reading or parsing request data.";
    Refusal::new(400, "api.file.upload_file.read_request.app_error", message)
}

fn too_large(name: &str, most: usize) -> Refusal {
    let message = format!("Unable to upload file {name}. Limit is {most} bytes.");
    let refusal = Refusal::new(
        413,
        "api.file.upload_file.too_large_detailed.app_error",
        message,
    );
    Refusal {
        close: true,
        ..refusal
    }
}

/// `POST /files`: multipart as the web app sends it, or the bare bytes with the name in the query.
pub(super) async fn upload(mut call: Call) -> Answer {
    let most = usize::try_from(call.app.number("FileSettings", "MaxFileSize")).unwrap_or(0);
    let name = call.param("filename").unwrap_or_default().to_owned();
    let mut channel = call.param("channel_id").unwrap_or_default().to_owned();
    let boundary = call
        .header("content-type")
        .strip_prefix("multipart/form-data")
        .and_then(|rest| rest.split("boundary=").nth(1))
        .map(|text| text.trim_matches('"').to_owned());
    let framing = if boundary.is_some() { 64 << 10 } else { 0 };
    let body = call
        .bytes(most.saturating_add(framing))
        .await
        .map_err(|_| too_large(&name, most))?;
    if body.is_empty() {
        return Err(unreadable());
    }
    let mut clients = Vec::new();
    let mut parts = Vec::new();
    match boundary {
        None => parts.push((name, body)),
        Some(boundary) => {
            for part in multipart(&body, &boundary) {
                let text = || String::from_utf8_lossy(part.data).into_owned();
                match (part.name.as_str(), part.filename) {
                    (_, Some(name)) => parts.push((name, body.slice_ref(part.data))),
                    ("channel_id", None) => channel = text(),
                    ("client_ids", None) => clients.push(text()),
                    _ => {}
                }
            }
        }
    }
    let me = call.caller()?.user_id.clone();
    let mut state = call.app.state();
    if !state.in_channel(&channel, &me) && !call.is_admin() {
        return Err(Refusal::permissions());
    }
    if parts.is_empty() {
        return Err(unreadable());
    }
    let mut infos = Vec::new();
    for (name, data) in parts {
        let held: usize = state.files.values().map(|(info, _)| info.size).sum();
        if data.len() > most || held + data.len() > MOST_BYTES {
            return Err(too_large(&name, most));
        }
        let now = now_ms();
        let extension = name
            .rsplit_once('.')
            .map_or("", |(_, ext)| ext)
            .to_lowercase();
        let info = FileInfo {
            id: new_id(),
            user_id: me.clone(),
            post_id: String::new(),
            channel_id: channel.clone(),
            create_at: now,
            update_at: now,
            delete_at: 0,
            mime_type: mime_of(&extension).into(),
            extension,
            name,
            size: data.len(),
            mini_preview: None,
            remote_id: String::new(),
            archived: false,
        };
        infos.push(info.clone());
        state.files.insert(info.id.clone(), (info, data));
    }
    let clients = (!clients.is_empty()).then_some(clients);
    Ok(Reply::json(
        201,
        &json!({"file_infos": infos, "client_ids": clients}),
    ))
}

fn mime_of(extension: &str) -> &'static str {
    match extension {
        "txt" | "log" | "md" => "text/plain; charset=utf-8",
        "html" | "htm" => "text/html; charset=utf-8",
        "json" => "application/json",
        "png" => "image/png",
        "jpg" | "jpeg" => "image/jpeg",
        "gif" => "image/gif",
        "pdf" => "application/pdf",
        _ => "application/octet-stream",
    }
}

/// One part of a `multipart/form-data` body.
struct Part<'a> {
    name: String,
    filename: Option<String>,
    data: &'a [u8],
}

fn multipart<'a>(body: &'a [u8], boundary: &str) -> Vec<Part<'a>> {
    let marker = format!("--{boundary}");
    let mut found = Vec::new();
    let mut rest = body;
    while let Some(start) = position(rest, marker.as_bytes()) {
        let after = &rest[start + marker.len()..];
        let Some(head_end) = position(after, b"\r\n\r\n") else {
            break;
        };
        let data = &after[head_end + 4..];
        let end = position(data, format!("\r\n{marker}").as_bytes());
        let Some(end) = end else { break };
        let head = String::from_utf8_lossy(&after[..head_end]).into_owned();
        let value = |key: &str| {
            let (_, text) = head.split_once(&format!("{key}=\""))?;
            text.split_once('"').map(|(value, _)| value.to_owned())
        };
        found.push(Part {
            name: value(" name").unwrap_or_default(),
            filename: value("filename"),
            data: &data[..end],
        });
        rest = &data[end + 2..];
    }
    found
}

fn position(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    haystack
        .windows(needle.len())
        .position(|window| window == needle)
}

/// The file in segment 1, for those in its channel.
fn readable(call: &Call) -> Result<(FileInfo, Bytes), Refusal> {
    let id = call.id(1, "file_id")?;
    let state = call.app.state();
    let found = state.files.get(&id).cloned();
    let (info, data) = found.ok_or_else(|| {
        Refusal::new(
            404,
            "app.file_info.get.app_error",
            "Unable to get the file info.",
        )
    })?;
    let me = &call.caller()?.user_id;
    if info.user_id != *me && !state.in_channel(&info.channel_id, me) && !call.is_admin() {
        return Err(Refusal::permissions());
    }
    Ok((info, data))
}

/// `GET /files/{id}/info`.
pub(super) async fn info(call: Call) -> Answer {
    let (info, _) = readable(&call)?;
    Ok(Reply::json(200, &info).with("cache-control", "max-age=2592000, private"))
}

/// `GET /files/{id}/link`: public links are off.
pub(super) async fn link(call: Call) -> Answer {
    readable(&call)?;
    let message = "Public links have been disabled.";
    Err(Refusal::new(
        403,
        "api.file.get_public_link.disabled.app_error",
        message,
    ))
}

/// `GET /files/{id}/public`, outside the API: an HTML error.
pub(super) async fn public(_call: Call) -> Answer {
    Ok(error_page(403, "Public links have been disabled."))
}

/// `GET /files/{id}`.
pub(super) async fn download(call: Call) -> Answer {
    let (info, data) = readable(&call)?;
    let modified = http_date(info.update_at);
    let total = data.len();
    let dress = |reply: Reply| {
        reply
            .with(
                "content-disposition",
                &format!(
                    "attachment;filename=\"{0}\"; filename*=UTF-8''{0}",
                    info.name
                ),
            )
            .with("content-security-policy", "Frame-ancestors 'none'")
            .with("x-frame-options", "DENY")
            .with("x-uncompressed-content-length", &total.to_string())
    };
    let cached = |reply: Reply| {
        dress(reply)
            .with("cache-control", "private, max-age=86400")
            .with("last-modified", &modified)
    };
    if call.header("if-modified-since") == modified {
        return Ok(cached(Reply::new(304, Style::Api, "", "")));
    }
    let kind = mime_of(&info.extension);
    let range = call.header("range");
    if !range.is_empty() {
        return Ok(match range_of(range, total) {
            Some((first, last)) => {
                let part = data.slice(first..=last);
                cached(Reply::new(206, Style::Api, kind, part))
                    .with("accept-ranges", "bytes")
                    .with("content-range", &format!("bytes {first}-{last}/{total}"))
            }
            None => {
                let text = "invalid range: failed to overlap\n";
                dress(Reply::new(
                    416,
                    Style::Api,
                    "text/plain; charset=utf-8",
                    text,
                ))
                .with("content-range", &format!("bytes */{total}"))
            }
        });
    }
    let squeeze = call.header("accept-encoding").contains("gzip")
        && kind.starts_with("text/")
        && total >= SHORTEST_GZIP;
    Ok(if squeeze {
        cached(Reply::new(200, Style::Api, kind, gzip::wrap(&data)))
            .with("content-encoding", "gzip")
    } else {
        cached(Reply::new(200, Style::Api, kind, data)).with("accept-ranges", "bytes")
    })
}

/// First and last byte of a single `bytes=` range that overlaps the file.
fn range_of(text: &str, total: usize) -> Option<(usize, usize)> {
    let (first, last) = text.strip_prefix("bytes=")?.split_once('-')?;
    let end = total.checked_sub(1)?;
    if first.is_empty() {
        let length: usize = last.parse().ok()?;
        return (length > 0).then(|| (total.saturating_sub(length), end));
    }
    let first: usize = first.parse().ok()?;
    let last = if last.is_empty() {
        end
    } else {
        last.parse::<usize>().ok()?.min(end)
    };
    (first <= last).then_some((first, last))
}

/// `POST /users/{id}/image`: PNG, JPEG and GIF, told by their first bytes, kept as they are.
pub(super) async fn set_image(mut call: Call) -> Answer {
    let id = call.user_id(1)?;
    call.self_or_admin(&id)?;
    let boundary = call
        .header("content-type")
        .split("boundary=")
        .nth(1)
        .unwrap_or_default()
        .to_owned();
    let most = usize::try_from(call.app.number("FileSettings", "MaxFileSize")).unwrap_or(0);
    let body = call
        .bytes(most)
        .await
        .map_err(|_| too_large("image", most))?;
    let parts = multipart(&body, &boundary);
    let part = parts
        .iter()
        .find(|part| part.name == "image")
        .ok_or_else(|| {
            let message = "No file under 'image' in request.";
            Refusal::new(
                400,
                "api.user.upload_profile_user.no_file.app_error",
                message,
            )
        })?;
    let signatures: [&[u8]; 3] = [b"\x89PNG\r\n", b"\xff\xd8\xff", b"GIF8"];
    if !signatures
        .iter()
        .any(|signature| part.data.starts_with(signature))
    {
        let message = "Image limits check failed. Resolution is too high.";
        let id = "api.user.upload_profile_user.check_image_limits.app_error";
        return Err(Refusal::new(400, id, message));
    }
    let mut state = call.app.state();
    let user = state.user_mut(&id).ok_or_else(Refusal::missing_user)?;
    user.image = Some(Bytes::copy_from_slice(part.data));
    user.last_picture_update = now_ms();
    user.update_at = now_ms();
    Ok(Reply::ok())
}

/// A grey pixel, for those without a picture.
const PIXEL: &[u8] = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\x01\0\0\0\x01\x08\0\0\0\0:~\x9bU\0\0\0\nIDATx\x9cch\0\0\0\x82\0\x81w\xcdr\xb6\0\0\0\0IEND\xaeB`\x82";

/// `GET /users/{id}/image`.
pub(super) async fn image(call: Call) -> Answer {
    let id = call.user_id(1)?;
    let state = call.app.state();
    let user = state.user(&id).ok_or_else(Refusal::missing_user)?;
    let picture = user
        .image
        .clone()
        .unwrap_or_else(|| Bytes::from_static(PIXEL));
    let reply = Reply::new(200, Style::Api, "image/png", picture);
    Ok(reply
        .with("cache-control", "max-age=86400, private")
        .with("etag", &user.update_at.to_string()))
}

/// `DELETE /users/{id}/image`.
pub(super) async fn remove_image(call: Call) -> Answer {
    let id = call.user_id(1)?;
    call.self_or_admin(&id)?;
    call.app
        .state()
        .user_mut(&id)
        .ok_or_else(Refusal::missing_user)?
        .image = None;
    Ok(Reply::ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges() {
        assert_eq!(range_of("bytes=10-19", 100), Some((10, 19)));
        assert_eq!(range_of("bytes=90-", 100), Some((90, 99)));
        assert_eq!(range_of("bytes=-5", 100), Some((95, 99)));
        for bad in [
            "bytes=100-",
            "bytes=5-4",
            "bytes=x-",
            "lines=1-2",
            "bytes=0-0",
        ] {
            assert_eq!(
                range_of(bad, if bad == "bytes=0-0" { 0 } else { 100 }),
                None,
                "{bad}"
            );
        }
    }

    #[test]
    fn parts_of_a_form() {
        let body = b"--b\r\nContent-Disposition: form-data; name=\"channel_id\"\r\n\r\nc1\r\n--b\r\nContent-Disposition: form-data; name=\"files\"; filename=\"a.txt\"\r\nContent-Type: text/plain\r\n\r\nhello\r\n--b--\r\n";
        let parts = multipart(body, "b");
        assert_eq!(parts.len(), 2);
        assert_eq!(
            (parts[0].name.as_str(), parts[0].data),
            ("channel_id", &b"c1"[..])
        );
        assert_eq!(parts[1].filename.as_deref(), Some("a.txt"));
        assert_eq!(parts[1].data, b"hello");
    }
}
