//! `check --assertion` on what a real Pomerium sent.

use crate::bed::{Bed, head};

/// Judges a capture; exit code and what was said.
async fn judge(bed: &Bed, capture: &str) -> (i32, String) {
    let ended = bed.run_with(&["check", "--assertion", "-"], capture).await;
    assert!(ended.err.is_empty(), "{ended:?}");
    // Whoever reads the token could use it: it is never said again.
    assert!(!ended.out.contains("eyJ"), "{ended:?}");
    (ended.code, ended.out)
}

fn logged_in() -> String {
    head("01-logged-in-get.json", "browser GET #1")
}

/// The assertion of a head.
fn token(head: &str) -> String {
    let line = head
        .lines()
        .find_map(|line| line.strip_prefix("x-pomerium-jwt-assertion: "));
    line.unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_expired_one_is_judged_as_of_its_time() {
    let bed = Bed::new().await;
    for capture in [logged_in(), token(&logged_in())] {
        let (code, said) = judge(&bed, &capture).await;
        // Recorded in November 2026: whatever the clock of this machine says.
        assert!(
            said.contains("it expired") || said.contains("from the future"),
            "{said}"
        );
        assert!(
            said.contains("takes its word for chat.localhost.test"),
            "{said}"
        );
        assert!(
            said.contains("alice@example.test") && said.contains("chat admits"),
            "{said}"
        );
        assert_eq!(code == 0, said.contains("it expired"), "{said}");
    }
    assert!(!bed.path("store.db").exists(), "a check makes nothing");

    bed.replace("[\"mattermost-users\"]", "[\"others\"]");
    let (code, said) = judge(&bed, &logged_in()).await;
    assert_eq!(code, 1);
    assert!(
        said.contains("access.not_granted") && said.contains("mattermost-users"),
        "{said}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_missing_an_empty_and_a_doubled_one_are_told_apart() {
    let bed = Bed::new().await;
    let without: String = logged_in()
        .lines()
        .filter(|line| !line.starts_with("x-pomerium-jwt-assertion"))
        .map(|line| format!("{line}\r\n"))
        .collect();
    for (capture, words) in [
        (without.clone(), "pass_identity_headers"),
        (
            format!(
                "{}x-pomerium-jwt-assertion:\r\n",
                without.trim_end_matches("\r\n").to_owned() + "\r\n"
            ),
            "signing_key_file",
        ),
        (
            format!(
                "{}x-pomerium-jwt-assertion: a.b.c\r\n",
                logged_in().trim_end_matches("\r\n").to_owned() + "\r\n"
            ),
            "more than one",
        ),
        ("not.a.token".to_owned(), "no compact JWS"),
    ] {
        let (code, said) = judge(&bed, &capture).await;
        assert_eq!(code, 1, "{said}");
        assert!(said.contains(words), "{words}: {said}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rewritten_host_another_audience_and_nobody_are_told_apart() {
    let bed = Bed::new().await;
    let (code, said) = judge(
        &bed,
        &head("08-host-handling.json", "preserve_host_header unset"),
    )
    .await;
    assert_eq!(code, 1);
    assert!(said.contains("preserve_host_header: true"), "{said}");

    bed.replace(
        "host = \"chat.localhost.test\"",
        "host = \"other.localhost.test\"",
    );
    let (code, said) = judge(&bed, &token(&logged_in())).await;
    assert_eq!(code, 1);
    assert!(
        said.contains("it is for chat.localhost.test, the app's host is other.localhost.test"),
        "{said}"
    );

    bed.replace(
        "host = \"other.localhost.test\"",
        "host = \"pub.localhost.test\"",
    );
    let (code, said) = judge(&bed, &head("03-public-route.json", "no cookie, GET")).await;
    assert_eq!(code, 1);
    assert!(said.contains("nobody is signed in"), "{said}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_key_and_a_changed_token_are_told_apart() {
    let bed = Bed::new().await;
    let genuine = token(&logged_in());
    let (signed, signature) = genuine.rsplit_once('.').unwrap();
    let reversed: String = signature.chars().rev().collect();
    let (code, said) = judge(&bed, &format!("{signed}.{reversed}")).await;
    assert_eq!(code, 1);
    assert!(
        said.contains("the signature is not the issuer's") || said.contains("no compact JWS"),
        "{said}"
    );

    let others = auth_manager::demo::door::Minter::generate().unwrap();
    bed.write("jwks.json", &others.jwks());
    let (code, said) = judge(&bed, &genuine).await;
    assert_eq!(code, 1);
    assert!(
        said.contains("kid") && said.contains(others.kid()),
        "{said}"
    );

    bed.write("jwks.json", "[]");
    let (code, said) = judge(&bed, &genuine).await;
    assert_eq!(code, 1);
    assert!(
        said.contains("no JWKS") && said.contains("was not judged"),
        "{said}"
    );
}
