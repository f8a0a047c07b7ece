//! WebSocket frames, server side (RFC 6455, without extensions): what Mattermost's library does,
//! written out because the bridge's own copies bytes and has no codec either.

use std::io;

use aws_lc_rs::digest::{SHA1_FOR_LEGACY_USE_ONLY, digest};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

/// What a client sent.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Message {
    Text(String),
    Binary(Vec<u8>),
    Ping(Vec<u8>),
    Pong,
    /// A close frame with its code; 1005 stands for none.
    Close(u16),
}

/// Why reading ended.
#[derive(Debug, thiserror::Error)]
pub(super) enum Broken {
    #[error("the message is longer than allowed")]
    TooLong,
    #[error("the frame breaks the protocol")]
    Protocol,
    #[error("the connection failed: {0}")]
    Io(#[from] io::Error),
}

/// Most bytes of an overlong message that are read and thrown away.
const DRAINED: u64 = 1 << 20;

const CONTINUATION: u8 = 0;
const TEXT: u8 = 1;
const BINARY: u8 = 2;
const CLOSE: u8 = 8;
const PING: u8 = 9;
const PONG: u8 = 10;

/// `Sec-WebSocket-Accept` for a key.
pub(super) fn accept_key(key: &str) -> String {
    let text = format!("{key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11");
    STANDARD.encode(digest(&SHA1_FOR_LEGACY_USE_ONLY, text.as_bytes()))
}

/// Reads the next whole message. Not to be cancelled: half a frame would be lost.
pub(super) async fn read(
    from: &mut (impl AsyncRead + Unpin),
    most: usize,
) -> Result<Message, Broken> {
    let mut kind = None;
    let mut data = Vec::new();
    loop {
        let (first, second) = (from.read_u8().await?, from.read_u8().await?);
        let (last, opcode, masked) = (first & 0x80 != 0, first & 0x0f, second & 0x80 != 0);
        if first & 0x70 != 0 || !masked {
            return Err(Broken::Protocol);
        }
        let length = match second & 0x7f {
            126 => u64::from(from.read_u16().await?),
            127 => from.read_u64().await?,
            short => u64::from(short),
        };
        let length = usize::try_from(length).map_err(|_| Broken::TooLong)?;
        let control = opcode >= CLOSE;
        if control && (length > 125 || !last) {
            return Err(Broken::Protocol);
        }
        if length.saturating_add(data.len()) > most {
            // Read off what is under way, or the reset overtakes the close frame.
            let rest = (length as u64).min(DRAINED) + 4;
            tokio::io::copy(&mut (&mut *from).take(rest), &mut tokio::io::sink()).await?;
            return Err(Broken::TooLong);
        }
        let mut mask = [0u8; 4];
        from.read_exact(&mut mask).await?;
        let mut payload = vec![0u8; length];
        from.read_exact(&mut payload).await?;
        payload
            .iter_mut()
            .zip(mask.iter().cycle())
            .for_each(|(byte, key)| *byte ^= key);
        match (opcode, kind) {
            (CLOSE, _) => {
                let code = payload
                    .first_chunk::<2>()
                    .map_or(1005, |code| u16::from_be_bytes(*code));
                return Ok(Message::Close(code));
            }
            (PING, _) => return Ok(Message::Ping(payload)),
            (PONG, _) => return Ok(Message::Pong),
            (TEXT | BINARY, None) => kind = Some(opcode),
            (CONTINUATION, Some(_)) => {}
            _ => return Err(Broken::Protocol),
        }
        data.append(&mut payload);
        if last {
            return if kind == Some(TEXT) {
                String::from_utf8(data)
                    .map(Message::Text)
                    .map_err(|_| Broken::Protocol)
            } else {
                Ok(Message::Binary(data))
            };
        }
    }
}

async fn write(to: &mut (impl AsyncWrite + Unpin), opcode: u8, data: &[u8]) -> io::Result<()> {
    let mut frame = vec![0x80 | opcode];
    match data.len() {
        short @ 0..=125 => frame.push(short as u8),
        middle @ 126..=0xffff => {
            frame.push(126);
            frame.extend((middle as u16).to_be_bytes());
        }
        long => {
            frame.push(127);
            frame.extend((long as u64).to_be_bytes());
        }
    }
    frame.extend(data);
    to.write_all(&frame).await?;
    to.flush().await
}

pub(super) async fn write_text(to: &mut (impl AsyncWrite + Unpin), text: &str) -> io::Result<()> {
    write(to, TEXT, text.as_bytes()).await
}

pub(super) async fn write_ping(to: &mut (impl AsyncWrite + Unpin)) -> io::Result<()> {
    write(to, PING, b"").await
}

pub(super) async fn write_pong(to: &mut (impl AsyncWrite + Unpin), data: &[u8]) -> io::Result<()> {
    write(to, PONG, data).await
}

pub(super) async fn write_close(to: &mut (impl AsyncWrite + Unpin), code: u16) -> io::Result<()> {
    let code = if code == 1005 { 1000 } else { code };
    write(to, CLOSE, &code.to_be_bytes()).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_example_of_the_standard() {
        assert_eq!(
            accept_key("dGhlIHNhbXBsZSBub25jZQ=="),
            "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
        );
    }

    #[tokio::test]
    async fn frames_of_the_standard() {
        // RFC 6455 §5.7: a masked "Hello", and one in two fragments with a ping between.
        let mut single: &[u8] = &[
            0x81, 0x85, 0x37, 0xfa, 0x21, 0x3d, 0x7f, 0x9f, 0x4d, 0x51, 0x58,
        ];
        assert_eq!(
            read(&mut single, 100).await.unwrap(),
            Message::Text("Hello".into())
        );
        let mut split: &[u8] = &[0x01, 0x81, 0, 0, 0, 0, b'H', 0x80, 0x81, 0, 0, 0, 0, b'i'];
        assert_eq!(
            read(&mut split, 100).await.unwrap(),
            Message::Text("Hi".into())
        );
    }

    #[tokio::test]
    async fn limits_and_breaches() {
        let mut long: &[u8] = &[0x81, 0xfe, 0xff, 0xff];
        assert!(matches!(read(&mut long, 8192).await, Err(Broken::TooLong)));
        let mut unmasked: &[u8] = &[0x81, 0x01, b'x'];
        assert!(matches!(
            read(&mut unmasked, 8192).await,
            Err(Broken::Protocol)
        ));
        let mut close: &[u8] = &[0x88, 0x82, 0, 0, 0, 0, 0x03, 0xe9];
        assert_eq!(read(&mut close, 8192).await.unwrap(), Message::Close(1001));
    }
}
