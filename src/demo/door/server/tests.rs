//! The door in front of a raw socket that notes what it receives.

use super::super::people::{alice, invented_people};
use super::*;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

struct Running {
    address: SocketAddr,
    door: Arc<Door>,
    upstream: TcpListener,
    cancel: CancellationToken,
}

impl Drop for Running {
    fn drop(&mut self) {
        self.cancel.cancel();
    }
}

async fn start() -> Running {
    let upstream = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let options = DoorOptions {
        upstream: upstream.local_addr().unwrap(),
        host: "localhost".into(),
        people: invented_people(),
        scheme: Scheme::Http,
    };
    let door = Arc::new(Door::new(options).unwrap());
    let address = listener.local_addr().unwrap();
    let cancel = CancellationToken::new();
    tokio::spawn(Arc::clone(&door).serve(listener, cancel.clone()));
    Running {
        address,
        door,
        upstream,
        cancel,
    }
}

async fn read_head(stream: &mut TcpStream) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.unwrap());
    }
    String::from_utf8(head).unwrap()
}

impl Running {
    async fn send(&self, request: &str) -> TcpStream {
        let mut client = TcpStream::connect(self.address).await.unwrap();
        client.write_all(request.as_bytes()).await.unwrap();
        client
    }

    /// Sends a request that the door answers itself and gives all of its answer.
    async fn ask(&self, request: &str) -> String {
        let request = request.replacen("\r\n\r\n", "\r\nConnection: close\r\n\r\n", 1);
        let mut answer = String::new();
        self.send(&request)
            .await
            .read_to_string(&mut answer)
            .await
            .unwrap();
        answer
    }
}

#[tokio::test]
async fn choosing_a_person_signs_in_and_signing_out_ends_the_session() {
    let running = start().await;
    let answer = running
        .ask("GET /a?b=c HTTP/1.1\r\nHost: localhost\r\n\r\n")
        .await;
    assert!(answer.starts_with("HTTP/1.1 302 "), "{answer}");
    assert!(answer.contains("location: /.pomerium/sign_in?pomerium_redirect_uri=%2Fa%3Fb%3Dc\r\n"));

    let chooser = "GET /.pomerium/sign_in?pomerium_redirect_uri=%2Fa%3Fb%3Dc HTTP/1.1\r\nHost: localhost\r\n\r\n";
    let answer = running.ask(chooser).await;
    assert!(answer.contains("simulation of Pomerium"));
    assert!(answer.contains(r#"value="/a?b=c""#), "{answer}");
    assert!(
        invented_people()
            .iter()
            .all(|person| answer.contains(&person.name))
    );

    let form = format!("person={}&pomerium_redirect_uri=%2Fa%3Fb%3Dc", alice().sub);
    let post = format!(
        "POST /.pomerium/sign_in HTTP/1.1\r\nHost: localhost\r\nContent-Length: {}\r\n\r\n{form}",
        form.len()
    );
    let answer = running.ask(&post).await;
    assert!(answer.starts_with("HTTP/1.1 303 ") && answer.contains("location: /a?b=c\r\n"));
    let cookie = answer.split("set-cookie: _pomerium=").nth(1).unwrap();
    let handle = cookie.split(';').next().unwrap();
    assert!(running.door.sid(handle).is_some());

    let out = format!(
        "GET /.pomerium/sign_out HTTP/1.1\r\nHost: localhost\r\nCookie: _pomerium={handle}\r\n\r\n"
    );
    let answer = running.ask(&out).await;
    assert!(answer.contains("location: /.pomerium/signed_out\r\n"));
    assert!(answer.contains("_pomerium=; Path=/; Max-Age=0"));
    assert!(running.door.sid(handle).is_none());
}

#[tokio::test]
async fn a_session_brings_the_request_to_the_upstream_with_an_assertion_in_the_clients_case() {
    let running = start().await;
    let handle = running.door.sign_in(alice()).unwrap();
    let request = format!(
        "POST /p?q=%20 HTTP/1.1\r\nHost: LocalHost:{}\r\nX-PoMeRiUm-Jwt-Assertion: FAKE\r\n\
         Cookie: _pomerium={handle}\r\nContent-Length: 4\r\n\r\nbody",
        running.address.port()
    );
    let mut client = running.send(&request).await;
    let (mut upstream, _) = running.upstream.accept().await.unwrap();
    let head = read_head(&mut upstream).await;
    let mut body = [0; 4];
    upstream.read_exact(&mut body).await.unwrap();
    assert_eq!(&body, b"body");
    assert!(
        head.starts_with("POST /p?q=%20 HTTP/1.1\r\nHost: LocalHost:"),
        "{head}"
    );
    assert!(head.contains("\r\nX-PoMeRiUm-Jwt-Assertion: eyJ"), "{head}");
    assert!(
        head.contains("\r\nx-pomerium-jwt-assertion-for: FAKE\r\n"),
        "{head}"
    );
    assert!(head.contains("\r\nx-forwarded-proto: http\r\n"), "{head}");
    // Pomerium writes `Cookie: `; hyper leaves the space out, which means the same.
    assert!(head.contains("\r\nCookie:\r\n"), "{head}");
    assert!(!head.contains(&handle));

    upstream
        .write_all(b"HTTP/1.1 200 OK\r\nX-Own: 1\r\nContent-Length: 2\r\n\r\nhi")
        .await
        .unwrap();
    let answer = read_head(&mut client).await;
    assert!(
        answer.starts_with("HTTP/1.1 200 OK\r\nX-Own: 1\r\n"),
        "{answer}"
    );
}

#[tokio::test]
async fn a_websocket_becomes_a_tunnel_that_outlives_the_sign_out() {
    let running = start().await;
    let handle = running.door.sign_in(alice()).unwrap();
    let request = format!(
        "GET /ws HTTP/1.1\r\nHost: localhost\r\nConnection: keep-alive, Upgrade\r\n\
         Upgrade: websocket\r\nCookie: _pomerium={handle}\r\n\r\n"
    );
    let mut client = running.send(&request).await;
    let (mut upstream, _) = running.upstream.accept().await.unwrap();
    let head = read_head(&mut upstream).await;
    assert!(
        head.contains("\r\nConnection: keep-alive, Upgrade\r\nUpgrade: websocket\r\n"),
        "{head}"
    );
    let switched =
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\nab";
    upstream.write_all(switched).await.unwrap();
    assert!(read_head(&mut client).await.starts_with("HTTP/1.1 101 "));

    running.ask(&format!(
        "POST /.pomerium/sign_out HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\nCookie: _pomerium={handle}\r\n\r\n"
    )).await;
    let mut two = [0; 2];
    client.read_exact(&mut two).await.unwrap();
    assert_eq!(&two, b"ab");
    client.write_all(b"cd").await.unwrap();
    upstream.read_exact(&mut two).await.unwrap();
    assert_eq!(&two, b"cd");
    drop(upstream);
    assert_eq!(client.read(&mut two).await.unwrap(), 0);
}

#[tokio::test]
async fn what_a_client_without_a_session_gets_and_what_never_reaches_the_upstream() {
    let running = start().await;
    for (request, expected) in [
        (
            "GET /api HTTP/1.1\r\nHost: localhost\r\nAccept: application/json",
            "401",
        ),
        (
            "GET /ws HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket",
            "302",
        ),
        ("GET / HTTP/1.1\r\nHost: evil.test", "404"),
        ("GET / HTTP/1.1\r\nHost: localhost\r\nX_Under: 1", "400"),
        ("GET /a%2Fb HTTP/1.1\r\nHost: localhost", "400"),
        ("GET /.pomerium/jwt HTTP/1.1\r\nHost: localhost", "404"),
        (
            "HEAD /.pomerium/sign_out HTTP/1.1\r\nHost: localhost",
            "404",
        ),
        (
            "HEAD /.well-known/pomerium/jwks.json HTTP/1.1\r\nHost: localhost",
            "404",
        ),
        ("GET /healthz HTTP/1.1\r\nHost: localhost", "200"),
    ] {
        let answer = running.ask(&format!("{request}\r\n\r\n")).await;
        assert!(
            answer.starts_with(&format!("HTTP/1.1 {expected} ")),
            "{request}: {answer}"
        );
    }
    let keys = "GET /.well-known/pomerium/jwks.json HTTP/1.1\r\nHost: localhost\r\n\r\n";
    let answer = running.ask(keys).await;
    assert!(
        answer.contains("cache-control: max-age=60\r\n") && answer.ends_with(&running.door.jwks())
    );
    let tag = answer
        .split("etag: ")
        .nth(1)
        .unwrap()
        .split("\r\n")
        .next()
        .unwrap();
    let again = keys.replace("\r\n\r\n", &format!("\r\nIf-None-Match: {tag}\r\n\r\n"));
    assert!(running.ask(&again).await.starts_with("HTTP/1.1 304 "));
}

#[test]
fn the_chooser_returns_to_this_host_only() {
    for elsewhere in [
        "https://evil.test/",
        "//evil.test",
        "/\\evil.test",
        "",
        "x",
        "/a\r\nb",
    ] {
        assert_eq!(local(elsewhere), "/", "{elsewhere:?}");
    }
    assert_eq!(local("/a?b=//c"), "/a?b=//c");
}
