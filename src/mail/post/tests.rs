use super::*;
use crate::config::SecretSource;
use crate::mail::letter::Access;
use crate::portal::Lang;
use crate::tls::dev::{DevAuthority, DevUsage};
use crate::types::{Clock as _, SystemClock};
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

/// A mail server that takes one letter, or says `answer` to its recipient.
async fn server(answer: &'static str) -> (u16, JoinHandle<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let heard = tokio::spawn(async move {
        let (stream, _) = listener.accept().await.unwrap();
        let (heard, _) = talk(stream, "250-mail\r\n250 8BITMIME\r\n", answer, true).await;
        heard
    });
    (port, heard)
}

/// Speaks as a mail server until the letter is taken, the other side goes or wants TLS; gives what was
/// heard, and the stream.
async fn talk<S: AsyncRead + AsyncWrite + Unpin>(
    mut stream: S,
    hello: &str,
    answer: &str,
    greet: bool,
) -> (String, S) {
    let mut heard = String::new();
    if greet {
        let _ = stream.write_all(b"220 mail ready\r\n").await;
    }
    let mut in_letter = false;
    loop {
        let mut line = Vec::new();
        while !line.ends_with(b"\r\n") {
            match stream.read_u8().await {
                Ok(byte) => line.push(byte),
                Err(_) => return (heard, stream),
            }
        }
        let line = String::from_utf8(line).unwrap();
        let line = line.trim_end();
        heard.push_str(line);
        heard.push('\n');
        let say = match line {
            "." => "250 taken\r\n",
            _ if in_letter => continue,
            "DATA" => "354 go on\r\n",
            "QUIT" => "221 bye\r\n",
            "STARTTLS" => "220 go ahead\r\n",
            line if line.starts_with("EHLO") => hello,
            line if line.starts_with("AUTH") => "235 welcome\r\n",
            line if line.starts_with("RCPT") => answer,
            _ => "250 fine\r\n",
        };
        in_letter = line == "DATA";
        let said = stream.write_all(say.as_bytes()).await;
        if said.is_err() || matches!(line, "." | "QUIT" | "STARTTLS") {
            return (heard, stream);
        }
    }
}

/// A mail server with a certificate for `name` of an authority of its own: TLS from the start, or after
/// STARTTLS. Gives its port, its authority, and what it hears in the clear and under TLS.
async fn server_under_tls(
    name: &str,
    wrapped: bool,
) -> (u16, tempfile::NamedTempFile, JoinHandle<(String, String)>) {
    let authority = DevAuthority::new(SystemClock.now()).unwrap();
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), authority.certificate()).unwrap();
    let own = authority
        .issue(DevUsage::Server, &[name.to_owned()])
        .unwrap();
    let chain = CertificateDer::from_pem_slice(own.certificate.as_bytes()).unwrap();
    let key = PrivateKeyDer::from_pem_slice(own.key.as_bytes()).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![chain], key)
        .unwrap();
    let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let heard = tokio::spawn(async move {
        let (stream, _) = listener.accept().await.unwrap();
        let (clear, stream) = match wrapped {
            true => (String::new(), stream),
            false => talk(stream, "250-mail\r\n250 STARTTLS\r\n", "", true).await,
        };
        let Ok(stream) = acceptor.accept(stream).await else {
            return (clear, String::new());
        };
        let hello = "250-mail\r\n250 AUTH PLAIN LOGIN\r\n";
        let (heard, _) = talk(stream, hello, "250 fine\r\n", wrapped).await;
        (clear, heard)
    });
    (port, file, heard)
}

/// As the operator of [`server_under_tls`] would write it.
fn post_under_tls(server: &str, ca: &Path) -> Post {
    let folder = tempfile::tempdir().unwrap();
    let password = folder.path().join("password");
    std::fs::write(&password, "correct horse\n").unwrap();
    std::fs::set_permissions(&password, std::fs::Permissions::from_mode(0o600)).unwrap();
    Post::new(&MailConfig {
        server: server.parse().unwrap(),
        plain: false,
        ca: Some(ca.into()),
        login: Some(("bridge".into(), SecretSource::File(password))),
        from: "Example <chat@example.com>".into(),
        timeout: Duration::from_secs(10),
    })
    .unwrap()
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

#[tokio::test]
async fn a_letter_and_the_password_go_under_tls_from_the_start_or_after_starttls() {
    for (scheme, wrapped) in [("smtps", true), ("smtp", false)] {
        let (port, ca, heard) = server_under_tls("localhost", wrapped).await;
        let post = post_under_tls(&format!("{scheme}://localhost:{port}"), ca.path());
        let sent = post.send("Alice", "alice@example.com", letter()).await;
        sent.unwrap();
        drop(post);
        let (clear, heard) = heard.await.unwrap();
        assert!(
            !clear.contains("AUTH") && !clear.contains("MAIL"),
            "{clear}"
        );
        assert!(heard.contains("AUTH PLAIN"), "{scheme}: {heard}");
        assert!(heard.contains("RCPT TO:<alice@example.com>"), "{heard}");
    }
}

#[tokio::test]
async fn a_mail_server_of_another_name_or_authority_hears_nothing() {
    for wrapped in [true, false] {
        let scheme = if wrapped { "smtps" } else { "smtp" };
        for (name, own_authority) in [("mail.example.net", true), ("localhost", false)] {
            let (port, ca, heard) = server_under_tls(name, wrapped).await;
            let (_, other, _) = server_under_tls(name, wrapped).await;
            let ca = if own_authority { ca } else { other };
            let post = post_under_tls(&format!("{scheme}://localhost:{port}"), ca.path());
            let error = post.send("Alice", "alice@example.com", letter()).await;
            // Later: a certificate that was mended lets the letter go.
            assert!(matches!(error, Err(PostError::Later(_))), "{error:?}");
            drop(post);
            assert_eq!(heard.await.unwrap().1, "", "{scheme} {name}");
        }
    }
}
