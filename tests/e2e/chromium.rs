//! The demo in a real Chromium, as somebody who tries the product out would click through it.

use crate::support::browser::Browser;
use crate::support::demo::Demo;

/// Opens the demo and chooses a person by user name.
async fn choose(browser: &Browser, demo: &Demo, person: &str) {
    browser.go(&demo.origin).await;
    browser.wait_for_text("Who are you?").await;
    browser.click(&format!("[data-person={person}]")).await;
}

/// Waits until the app shows who is signed in and its socket is open.
async fn in_the_app(browser: &Browser, name: &str) {
    let script = format!(
        "return document.querySelector('#me')?.innerText.includes({name:?}) \
         && document.querySelector('#socket-state')?.innerText === 'open'"
    );
    browser
        .wait_until(&format!("{name} in the app with an open socket"), &script)
        .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_member_signs_in_sees_a_post_arrive_live_and_logs_out() {
    let (demo, browser) = tokio::join!(Demo::start(), Browser::start());
    choose(&browser, &demo, "alice").await;
    in_the_app(&browser, "Alice Martin").await;
    let cookies = browser.cookies().await;
    let cookie = |name: &str| cookies.iter().find(|cookie| cookie["name"] == name);
    assert_eq!(
        cookie("MMAUTHTOKEN").expect("the bridge's cookie")["httpOnly"],
        true
    );
    assert!(cookie("MMUSERID").is_some() && cookie("MMCSRF").is_some());

    // The same sign-in in a second window; what the first one writes arrives there by socket.
    let (first, second) = browser.new_window().await;
    browser.go(&demo.origin).await;
    in_the_app(&browser, "Alice Martin").await;
    browser.script("window.unloaded = false; return true").await;
    browser.switch(&first).await;
    browser.type_into("#message", "seen live").await;
    browser.click("#send").await;
    browser.wait_for_text("seen live").await;
    browser.switch(&second).await;
    browser.wait_for_text("seen live").await;
    assert_eq!(
        browser.script("return window.unloaded").await,
        false,
        "not by a reload"
    );

    // Logging out in one window takes both to the door. Which of them brings the sign-out there is a
    // race that the browser decides (README, "Known behaviour"): that one reads that it is signed
    // out, the other may come later and be asked who it is, or meet the bridge's own page.
    browser.click("#logout").await;
    let out = "return document.querySelector('#socket-state')?.innerText !== 'open' \
        && (location.pathname.startsWith('/.pomerium/sign') \
            || document.body.innerText.includes('session.signed_out'))";
    let mut paths = Vec::new();
    for window in [&second, &first] {
        browser.switch(window).await;
        browser.wait_until("the way out", out).await;
        paths.push(browser.script("return location.pathname").await);
    }
    assert!(paths.contains(&"/.pomerium/signed_out".into()), "{paths:?}");
    assert!(
        browser
            .cookies()
            .await
            .iter()
            .all(|cookie| cookie["name"] != "MMAUTHTOKEN")
    );
    browser.go(&demo.origin).await;
    browser.wait_for_text("Who are you?").await;

    // And in again, as somebody else.
    browser.switch(&second).await;
    choose(&browser, &demo, "bob").await;
    in_the_app(&browser, "Bob Admin").await;
    browser.wait_for_text("seen live").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_may_not_come_in_reads_why_and_can_come_as_someone_else() {
    let (demo, browser) = tokio::join!(Demo::start(), Browser::start());
    for (person, text) in [
        ("paul", "awaits validation"),
        ("nora", "have access to"),
        ("denis", "disabled"),
    ] {
        choose(&browser, &demo, person).await;
        browser.wait_for_text(text).await;
        assert!(
            browser
                .cookies()
                .await
                .iter()
                .all(|cookie| cookie["name"] != "MMAUTHTOKEN")
        );
        // The page's own way out: to the door, and back to the chooser.
        browser.click("a[href*='/.pomerium/sign_out']").await;
        browser.wait_for_text("Signed out").await;
        browser.click("#again").await;
        browser.wait_for_text("Who are you?").await;
    }
    browser.click("[data-person=alice]").await;
    in_the_app(&browser, "Alice Martin").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_old_window_of_another_person_writes_nothing_under_either_name() {
    let (demo, browser) = tokio::join!(Demo::start(), Browser::start());
    choose(&browser, &demo, "alice").await;
    in_the_app(&browser, "Alice Martin").await;
    let (first, second) = browser.new_window().await;
    // Alice's app is still open in the first window while Bob signs in at the door.
    let door = "/.pomerium/sign_in?pomerium_redirect_uri=%2F";
    browser.go(&format!("{}{door}", demo.origin)).await;
    browser.click("[data-person=bob]").await;
    in_the_app(&browser, "Bob Admin").await;

    // Her page still holds her CSRF value: what is typed there is refused, or the page becomes
    // Bob's before it can be sent.
    browser.switch(&first).await;
    let write = "const field = document.querySelector('#message'); \
        if (!document.querySelector('#me')?.innerText.includes('Alice')) return 'not hers'; \
        field.value = 'under whose name?'; document.querySelector('#send').click(); return 'sent'";
    browser.script(write).await;
    let settled = "return document.querySelector('#me')?.innerText.includes('Bob') \
        || document.querySelector('#note')?.innerText";
    browser
        .wait_until("a refusal, or Bob's page", settled)
        .await;

    browser.switch(&second).await;
    browser.go(&demo.origin).await;
    in_the_app(&browser, "Bob Admin").await;
    browser.type_into("#message", "the first message").await;
    browser.click("#send").await;
    browser.wait_for_text("the first message").await;
    assert!(!browser.page_text().await.contains("under whose name?"));
}
