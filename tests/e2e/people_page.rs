//! The demo's identity provider, as somebody who tries the product out would use it: its page in a
//! real Chromium, and the README's command.

use crate::support::browser::Browser;
use crate::support::demo::Demo;
use crate::support::eventually;
use crate::support::wire;

/// A row of the table that a command gets.
fn row(table: &str, who: &str) -> String {
    let found = table.lines().find(|line| line.starts_with(who));
    found
        .unwrap_or_else(|| panic!("no {who}: {table}"))
        .to_owned()
}

/// Waits until somebody's row is as it should be.
async fn shows(demo: &Demo, who: &str, words: &[&str]) {
    eventually(&format!("{who}: {words:?}"), || async {
        let row = row(&demo.says(&[]).await, who);
        words.iter().all(|word| row.contains(word)).then_some(())
    })
    .await;
}

/// Presses a button at once: the page reads itself again every few seconds.
async fn press(browser: &Browser, css: &str) {
    let script = format!(
        "const button = document.querySelector({css:?}); if (!button) return false; \
         setTimeout(() => button.click(), 0); return true"
    );
    browser.wait_until(css, &script).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_newcomer_sees_people_come_and_go() {
    let (demo, browser) = tokio::join!(Demo::start(), Browser::start());
    // Alice has the app open in one window.
    browser.go(&demo.origin).await;
    browser.wait_for_text("Who are you?").await;
    browser.click("[data-person=alice]").await;
    let open = "return document.querySelector('#socket-state')?.innerText === 'open'";
    browser.wait_until("alice in the app", open).await;
    let (app, page) = browser.new_window().await;
    browser.go(&demo.people).await;
    browser.wait_for_text("A simulation of Authentik").await;
    let cell = |who: &str, at: &str| format!("[data-row={who}] [data-at={at}]");
    let says = |who: &str, at: &str, text: &str| {
        format!(
            "return document.querySelector({:?})?.innerText.includes({text:?})",
            cell(who, at)
        )
    };
    browser
        .wait_until("her session", &says("alice", "app", "1 session"))
        .await;

    // Nora has no access; put into the app's group and sales, she has an account before she comes.
    browser
        .wait_until("nora", &says("nora", "door", "access.not_granted"))
        .await;
    press(
        &browser,
        "[data-row=nora] button[value=join][data-group=mattermost-users]",
    )
    .await;
    browser
        .wait_until("her account", &says("nora", "app", "demo"))
        .await;
    press(
        &browser,
        "[data-row=nora] button[value=join][data-group=sales]",
    )
    .await;
    browser
        .wait_until("her team", &says("nora", "app", "sales"))
        .await;
    browser
        .wait_until("never signed in", &says("nora", "app", "not signed in"))
        .await;

    // Alice is disabled: thrown out while she looks, and deactivated in the app.
    press(&browser, "[data-row=alice] button[value=disable]").await;
    browser
        .wait_until("her end", &says("alice", "app", "deactivated"))
        .await;
    browser
        .wait_until("the door", &says("alice", "door", "disabled"))
        .await;
    browser.wait_for_text("account.deactivated").await;
    browser.switch(&app).await;
    let cut = "return document.querySelector('#socket-state')?.innerText !== 'open' \
        || document.body.innerText.includes('access.disabled')";
    browser.wait_until("her window", cut).await;
    browser.go(&demo.origin).await;
    browser.wait_for_text("disabled").await;

    // And back, to the same app.
    browser.switch(&page).await;
    press(&browser, "[data-row=alice] button[value=enable]").await;
    browser
        .wait_until("her return", &says("alice", "door", "comes in"))
        .await;
    browser.switch(&app).await;
    browser.go(&demo.origin).await;
    browser.wait_until("alice in the app", open).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_readmes_command_does_the_same() {
    let demo = Demo::start().await;
    shows(
        &demo,
        "alice",
        &["active", "comes in", "account; teams: demo"],
    )
    .await;
    let readme = include_str!("../../README.md");
    let line = "curl -d person=alice -d do=disable http://localhost:8601/";
    assert!(readme.contains(line), "as the README writes it");
    let table = demo.says(&[("person", "alice"), ("do", "disable")]).await;
    assert!(row(&table, "alice").contains("disabled"), "{table}");
    shows(
        &demo,
        "alice",
        &["refused: disabled, by directory:authentik", "deactivated"],
    )
    .await;
    demo.says(&[("person", "alice"), ("do", "enable")]).await;
    shows(
        &demo,
        "alice",
        &["active", "comes in", "account; teams: demo"],
    )
    .await;
    let nora = [
        ("person", "nora"),
        ("do", "join"),
        ("group", "mattermost-users"),
    ];
    demo.says(&nora).await;
    shows(&demo, "nora", &["comes in", "account", "not signed in"]).await;
    // Nothing is told any more: the sweep, ten seconds apart.
    demo.says(&[("do", "lose-webhooks")]).await;
    demo.says(&[
        ("person", "nora"),
        ("do", "leave"),
        ("group", "mattermost-users"),
    ])
    .await;
    shows(
        &demo,
        "nora",
        &["refused: access.not_granted", "deactivated"],
    )
    .await;
    demo.says(&[("do", "deliver-webhooks")]).await;
    demo.says(&[("person", "bob"), ("do", "delete")]).await;
    shows(&demo, "bob", &["deleted", "gone for good", "deactivated"]).await;

    let usage = demo.says(&[("person", "nobody"), ("do", "disable")]).await;
    assert!(usage.contains("person=NAME"), "{usage}");
}

/// Not even a demo does what a page of somebody else's in the same browser wants.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_demos_page_is_pressed_by_nobody_elses() {
    let demo = Demo::start().await;
    shows(&demo, "alice", &["active"]).await;
    let address = demo.people.trim_start_matches("http://localhost:");
    let address = format!("127.0.0.1:{address}").parse().expect("an address");
    let body = "person=alice&do=disable";
    for (host, line) in [
        ("localhost", "Sec-Fetch-Site: cross-site\r\n"),
        ("localhost", "Sec-Fetch-Site: same-site\r\n"),
        ("evil.example", ""),
    ] {
        let request = format!(
            "POST / HTTP/1.1\r\nHost: {host}\r\n{line}Connection: close\r\n\
             Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        );
        let answer = wire::exchange(address, request.as_bytes()).await;
        assert_eq!(answer.status, 403, "{host} {line}");
    }
    shows(&demo, "alice", &["active", "comes in"]).await;
}
