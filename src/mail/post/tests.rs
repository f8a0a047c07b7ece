use super::*;
use crate::mail::letter::Access;
use crate::portal::Lang;
use std::time::Duration;
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

/// A mail server that takes one letter, or says `answer` to its recipient.
async fn server(answer: &'static str) -> (u16, JoinHandle<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let heard = tokio::spawn(async move {
        let (stream, _) = listener.accept().await.unwrap();
        let (read, mut write) = stream.into_split();
        let mut lines = BufReader::new(read).lines();
        let mut heard = String::new();
        write.write_all(b"220 mail ready\r\n").await.unwrap();
        let mut in_letter = false;
        while let Ok(Some(line)) = lines.next_line().await {
            heard.push_str(&line);
            heard.push('\n');
            let say = match line.as_str() {
                "." => "250 taken\r\n",
                _ if in_letter => continue,
                "DATA" => "354 go on\r\n",
                "QUIT" => "221 bye\r\n",
                line if line.starts_with("EHLO") => "250-mail\r\n250 8BITMIME\r\n",
                line if line.starts_with("RCPT") => answer,
                _ => "250 fine\r\n",
            };
            in_letter = line == "DATA";
            write.write_all(say.as_bytes()).await.unwrap();
            if line == "." || line == "QUIT" {
                break;
            }
        }
        heard
    });
    (port, heard)
}

fn post(server: &str, plain: bool) -> Post {
    Post::new(&MailConfig {
        server: server.parse().unwrap(),
        plain,
        ca: None,
        login: None,
        from: "Example <chat@example.com>".into(),
        timeout: Duration::from_secs(10),
    })
    .unwrap()
}

fn letter() -> Letter {
    let access = Access {
        name: "Alice",
        app: "Chat",
        address: "https://chat.example.com/",
        organisation: "Example",
        contact: "",
    };
    access.letter(Lang::Fr)
}

#[tokio::test]
async fn a_letter_reaches_the_server_as_it_was_written() {
    let (port, heard) = server("250 fine\r\n").await;
    let post = post(&format!("smtp://127.0.0.1:{port}"), true);
    let sent = post.send("Alice\r\nBcc: x@example.com", "alice@example.com", letter());
    sent.await.unwrap();
    drop(post);
    let heard = heard.await.unwrap();
    assert!(heard.contains("MAIL FROM:<chat@example.com>"), "{heard}");
    assert!(heard.contains("RCPT TO:<alice@example.com>"), "{heard}");
    assert!(heard.contains("Auto-Submitted: auto-generated"), "{heard}");
    assert!(heard.contains("https://chat.example.com/"), "{heard}");
    assert!(
        !heard.lines().any(|line| line.starts_with("Bcc")),
        "{heard}"
    );
}

#[tokio::test]
async fn who_is_refused_for_good_is_not_tried_again_and_who_is_not_is() {
    for (answer, later) in [("550 nobody\r\n", false), ("451 later\r\n", true)] {
        let (port, _heard) = server(answer).await;
        let post = post(&format!("smtp://127.0.0.1:{port}"), true);
        let error = post.send("Alice", "alice@example.com", letter()).await;
        let error = error.unwrap_err();
        assert_eq!(matches!(error, PostError::Later(_)), later, "{error}");
        assert_eq!(matches!(error, PostError::Refused(_)), !later, "{error}");
    }
}

#[tokio::test]
async fn no_letter_goes_in_the_clear_to_a_server_without_tls() {
    let (port, heard) = server("250 fine\r\n").await;
    let post = post(&format!("smtp://127.0.0.1:{port}"), false);
    let error = post.send("Alice", "alice@example.com", letter()).await;
    assert!(error.is_err());
    drop(post);
    assert!(!heard.await.unwrap().contains("alice@example.com"));
}

#[tokio::test]
async fn an_address_that_is_none_is_no_letter() {
    let post = post("smtp://127.0.0.1:1", true);
    for address in ["", "alice", "a@b@c", "alice@example.com\r\nDATA"] {
        let error = post.send("Alice", address, letter()).await.unwrap_err();
        assert!(matches!(error, PostError::Address), "{address:?}: {error}");
    }
}
