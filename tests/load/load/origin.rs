//! The app's stand-in: as little work as an answer can be.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// Answers for ever.
pub(crate) async fn serve(port: u16) -> anyhow::Result<()> {
    let listener = TcpListener::bind(("127.0.0.1", port)).await?;
    loop {
        let (io, _) = listener.accept().await?;
        io.set_nodelay(true)?;
        tokio::task::spawn_local(async move {
            // A peer that hangs up is no trouble of the origin's.
            let _ = connection(io).await;
        });
    }
}

fn answer(length: usize) -> Vec<u8> {
    let body = format!(
        r#"{{"id":"perfuserperfuserperfuser00","username":"perf","roles":"system_user","email":"","fill":"{}"}}"#,
        "x".repeat(length)
    );
    let head = format!(
        "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nX-Version-Id: 11.2.0\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    [head.as_bytes(), body.as_bytes()].concat()
}

async fn connection(mut io: TcpStream) -> std::io::Result<()> {
    let (small, big) = (answer(1900), answer(1 << 20));
    let mut buffer = Vec::with_capacity(4 << 10);
    loop {
        buffer.clear();
        while !buffer.ends_with(b"\r\n\r\n") {
            if io.read_buf(&mut buffer).await? == 0 {
                return Ok(());
            }
        }
        if buffer.starts_with(b"GET /api/v4/websocket ") {
            drop((small, big, buffer));
            return echo(io).await;
        }
        let big_one = buffer.starts_with(b"GET /big ");
        io.write_all(if big_one { &big } else { &small }).await?;
    }
}

/// Sends short text frames back, unmasked.
async fn echo(mut io: TcpStream) -> std::io::Result<()> {
    // The answer to the one key that `wire` sends (RFC 6455 §1.3).
    io.write_all(
        b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
          Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n",
    )
    .await?;
    loop {
        let mut head = [0; 6];
        io.read_exact(&mut head).await?;
        let length = usize::from(head[1] & 0x7f);
        let mut frame = vec![0; length];
        io.read_exact(&mut frame).await?;
        frame
            .iter_mut()
            .zip(head[2..].iter().cycle())
            .for_each(|(b, m)| *b ^= m);
        if head[0] & 0x0f == 1 {
            io.write_all(&[&[0x81, head[1] & 0x7f], &frame[..]].concat())
                .await?;
        }
    }
}
