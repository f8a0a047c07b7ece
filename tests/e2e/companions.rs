//! The cookies that a page needs beside the session's own, and pages whose cookies are another
//! sign-in's: repaired by the redirect, never passed on to the app as they are.

use crate::support::world::World;
use auth_manager::demo::door::alice;
use serde_json::json;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_page_with_a_missing_or_wrong_companion_cookie_is_repaired() {
    let world = World::start().await;
    let mut browser = world.signed_in(alice()).await;
    let good = browser.cookies.clone();
    for name in ["MMUSERID", "MMCSRF"] {
        for value in [None, Some("another-value")] {
            match value {
                None => browser.cookies.remove(name),
                Some(value) => browser.cookies.insert(name.into(), value.into()),
            };
            world.mattermost.clear_journal();
            let answer = browser.send(browser.page("/demo/channels/off-topic")).await;
            assert_eq!(answer.status, 302, "{name} {value:?}");
            assert_eq!(answer.header("cache-control"), Some("no-store"));
            assert!(
                world.arrived("/demo/channels/off-topic").is_empty(),
                "the page that would ask to log in was never fetched"
            );
            for (name, value) in &good {
                if name != "MMAUTHTOKEN" {
                    assert_eq!(&browser.cookies[name], value);
                }
            }
            let page = browser.open("/demo/channels/off-topic").await;
            assert_eq!(page.status, 200);
            let body = json!({ "channel_id": world.town_square(), "message": name });
            assert_eq!(browser.post("/api/v4/posts", &body).await.status, 201);
        }
    }
    assert_eq!(world.mattermost.logins_performed(), 1);
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_tabs_that_sign_in_at_once_are_not_taken_for_blocked_cookies() {
    let world = World::start().await;
    let mut first = world.client(alice());
    let mut second = world.client(alice());
    let marked = first.send(first.page("/")).await;
    let to = marked.header("location").expect("a redirect").to_owned();
    // The other tab's sign-in comes between: its cookies are what the browser now holds.
    assert_eq!(second.open("/").await.status, 200);
    first.cookies = second.cookies.clone();
    let page = first.send(first.page(&to)).await;
    assert_eq!(page.status, 302, "set anew, not blamed on the browser");
    assert_eq!(first.open("/").await.status, 200);
    assert_eq!(first.me().await["username"], "alice");

    // A browser that really keeps none is told so.
    first.cookies.clear();
    let blocked = first.send(first.page(&to)).await;
    assert_eq!(blocked.status, 400);
    assert!(blocked.text().contains("session.cookies_blocked"));
    world.finish().await;
}
